// SPDX-License-Identifier: Apache-2.0
/// Pictures as samples: decoded, brought to a size, normalized.
///
///     ImageRules rules = image_rules(options, {3, 224, 224}).value();     // of a sample of the model
///     read_image("cat.jpg", rules, std::span<float>(sample)).value();
///
/// A value is (pixel * scale - mean) / std, the pixel being 0..255; scale, mean and std are applied in
/// double and rounded once.
#pragma once
#include <amct_distill/core/result.hpp>
#include <amct_distill/nn/tensor.hpp>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "options.hpp"

namespace tool {

enum class Resize { fill, fit, crop };

struct ImageRules {
    std::size_t channels = 3, height = 0, width = 0;
    Resize resize = Resize::fill;
    double scale = 1;
    std::vector<double> mean{}, std{};  ///< one per channel
    bool bgr = false, channels_last = false;
};

/// Pixels, 8 bits a channel, channels last.
struct Pixels {
    std::size_t height = 0, width = 0, channels = 0;
    std::vector<unsigned char> values{};
};

bool is_image_file(const std::filesystem::path& path);

/// For samples of this shape. Errors: the options do not make such samples.
amct_distill::result<ImageRules> image_rules(const DataOptions& options,
                                             const amct_distill::nn::Shape& sample, std::string_view input);

/// Errors: these bytes, of the file `name`, are no picture, or one of more pixels than are read.
amct_distill::result<void> check_picture(std::string_view name, std::string_view bytes);
/// Errors: the file cannot be read, or is no picture.
amct_distill::result<void> check_image(const std::filesystem::path& path);
amct_distill::result<Pixels> decode_image(const std::filesystem::path& path, std::size_t channels);

/// Whole pixels stay as they are when the size does not change. Making larger is bilinear; making smaller
/// weighs all pixels by a triangle.
Pixels resized(const Pixels& image, std::size_t height, std::size_t width, Resize how);

amct_distill::result<void> read_image(const std::filesystem::path& path, const ImageRules& rules,
                                      std::span<float> sample);

}  // namespace tool
