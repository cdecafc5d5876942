// SPDX-License-Identifier: Apache-2.0
/// Resizes any dimensions, as torch.nn.Upsample and ONNX's Resize: nearest, linear in every dimension that
/// changes, cubic.
///
///     Upsample({.scales = {1, 1, 2, 2}})                                        // nearest, twice as large
///     Upsample({.sizes = {0, 0, 32, 48}, .mode = ResizeMode::linear})           // 0: the input's size
///     Upsample({.scales = {1, 1, 2, 2}, .mode = ResizeMode::linear,
///               .coordinates = ResizeCoordinates::align_corners})
///
/// Where an output pixel lies in the input is computed in float, as ONNX Runtime does; 1e-6 beside the middle
/// of two pixels counts as the middle.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "../module.hpp"
#include "../moves.hpp"

namespace amct_distill::nn {

enum class ResizeMode { nearest, linear, cubic };

/// Where output pixel j lies in the input, s being the scale.
enum class ResizeCoordinates {
    half_pixel,            ///< (j + 1/2) / s - 1/2
    asymmetric,            ///< j / s
    align_corners,         ///< j (input - 1) / (output - 1)
    pytorch_half_pixel,    ///< half_pixel, but 0 where the output is one pixel
    tf_half_pixel_for_nn,  ///< (j + 1/2) / s
    half_pixel_symmetric   ///< half_pixel, with the output's middle on the input's
};

/// Which pixel is nearest: where halves go to, or always down or up.
enum class ResizeNearest { round_prefer_floor, round_prefer_ceil, floor, ceil };

struct UpsampleOptions {
    std::vector<float> scales{};  ///< for all dimensions; the output is floor(scale * input)
    Shape sizes{};                ///< of the output, instead of scales; 0: as the input
    ResizeMode mode = ResizeMode::nearest;
    ResizeCoordinates coordinates = ResizeCoordinates::half_pixel;
    ResizeNearest nearest = ResizeNearest::round_prefer_floor;
    float cubic_coefficient = -0.75f;
    bool exclude_outside = false;  ///< cubic: pixels beyond the border weigh nothing, else as the border's
    friend bool operator==(const UpsampleOptions&, const UpsampleOptions&) = default;
};

}  // namespace amct_distill::nn

namespace amct_distill::detail {

/// The pixels of a dimension that an output pixel is a sum of, and their weights.
struct ResizeTaps {
    std::array<nn::Index, 4> pixel{};
    std::array<float, 4> weight{};
};
/// How many there are.
constexpr std::size_t resize_taps(nn::ResizeMode mode) {
    return mode == nn::ResizeMode::nearest ? 1 : mode == nn::ResizeMode::linear ? 2 : 4;
}

inline float resize_coordinate(nn::ResizeCoordinates how, nn::Index j, float scale, nn::Index input,
                               nn::Index output) {
    float const at = static_cast<float>(j), in = static_cast<float>(input), out = static_cast<float>(output);
    switch (how) {
        case nn::ResizeCoordinates::asymmetric:
            return at / scale;
        case nn::ResizeCoordinates::align_corners:
            return output == 1 ? 0 : at * (in - 1) / (out - 1);
        case nn::ResizeCoordinates::pytorch_half_pixel:
            return output > 1 ? (at + 0.5f) / scale - 0.5f : 0;
        case nn::ResizeCoordinates::tf_half_pixel_for_nn:
            return (at + 0.5f) / scale;
        case nn::ResizeCoordinates::half_pixel_symmetric:
            return in / 2 * (1 - out / (scale * in)) + (at + 0.5f) / scale - 0.5f;
        default:
            return (at + 0.5f) / scale - 0.5f;
    }
}

/// Along a dimension of `input` pixels, for the one that lies at x.
inline ResizeTaps taps_at(const nn::UpsampleOptions& o, float x, nn::Index input) {
    auto const last = static_cast<float>(input - 1);
    auto const pixel = [&](float at) { return static_cast<nn::Index>(std::clamp(at, 0.0f, last)); };
    if (o.mode == nn::ResizeMode::nearest) {
        float const low = std::floor(x), above = x - low - 0.5f;
        bool const is_half = std::abs(above) < 1e-6f;
        bool const is_high = is_half ? o.nearest == nn::ResizeNearest::round_prefer_ceil : above > 0;
        float const at = o.nearest == nn::ResizeNearest::floor  ? low
                         : o.nearest == nn::ResizeNearest::ceil ? std::ceil(x)
                         : is_high                              ? low + 1
                                                                : low;
        return {{pixel(at)}, {1}};
    }
    if (o.mode == nn::ResizeMode::linear) {
        float const within = std::clamp(x, 0.0f, last), low = std::floor(within);
        return {{pixel(low), pixel(low + 1)}, {1 - (within - low), within - low}};
    }
    // Keys' convolution, at the distances 1 + t, t, 1 - t and 2 - t.
    float const low = std::floor(x), t = x - low, a = o.cubic_coefficient;
    auto const inner = [a](float d) { return ((a + 2) * d - (a + 3)) * d * d + 1; };
    auto const outer = [a](float d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
    ResizeTaps taps{{}, {outer(1 + t), inner(t), inner(1 - t), outer(2 - t)}};
    float sum = 0;
    for (std::size_t k = 0; k != 4; ++k) {
        float const at = low - 1 + static_cast<float>(k);
        taps.pixel[k] = pixel(at);
        if (o.exclude_outside && (at < 0 || at > last)) taps.weight[k] = 0;
        sum += taps.weight[k];
    }
    if (o.exclude_outside)
        for (float& w : taps.weight) w /= sum;
    return taps;
}

}  // namespace amct_distill::detail

namespace amct_distill::nn {

template <class T>
class BasicUpsample {
public:
    static constexpr std::string_view type_name = "Upsample";
    static constexpr std::string_view operation = "Resize";

    /// Throws std::invalid_argument unless there are either scales above 0 or sizes of at least 0.
    explicit BasicUpsample(UpsampleOptions options) : options_(std::move(options)) {
        const UpsampleOptions& o = options_;
        if (o.scales.empty() == o.sizes.empty() ||
            std::ranges::any_of(o.scales, [](float s) { return !(s > 0 && s < 1e6f); }) ||
            std::ranges::any_of(o.sizes, [](Index s) { return s < 0 || s > largest_size; }))
            throw std::invalid_argument("Upsample: expected scales above 0, or sizes, of all dimensions");
    }
    const UpsampleOptions& options() const { return options_; }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        std::size_t const rank = (std::max)(options_.scales.size(), options_.sizes.size());
        if (inputs.size() != 1 || inputs[0].size() != rank)
            return detail::unexpected_inputs(detail::concat("one input with ", rank, " dimensions"), inputs);
        Shape shape = inputs[0];
        for (std::size_t d = 0; d != rank; ++d) {
            if (stays(d)) continue;
            if (d == 0 && shape[0] == any_batch)
                return detail::touches_batch("another size of dimension 0", inputs);
            shape[d] = options_.sizes.empty()
                           ? static_cast<Index>(options_.scales[d] * static_cast<float>(shape[d]))
                           : options_.sizes[d];
            if (shape[d] < 1)
                return detail::unexpected_inputs(
                    detail::concat("one input of whose dimension ", d, " something is left"), inputs);
        }
        return shape;
    }

    void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>& scratch, Mode) const {
        const T* from = inputs[0]->data();
        std::size_t left = changes(inputs[0]->shape(), output.shape());
        if (left == 0) std::copy(inputs[0]->begin(), inputs[0]->end(), output.begin());
        for (std::size_t d = 0; left != 0; ++d) {
            if (!changes_in(d, inputs[0]->shape(), output.shape())) continue;
            Pass const p = pass(d, inputs[0]->shape(), output.shape(), scratch);
            T* to = output.data();
            if (--left != 0) to = scratch.buffer(left % 2, p.outer * p.output * p.inner, 1);
            scratch.parallel_for(p.outer, p.work(), [&](Index o, Index) {
                const T* const x = from + o * p.input * p.inner;
                T* y = to + o * p.output * p.inner;
                std::fill(y, y + p.output * p.inner, T(0));
                for (Index j = 0, tap = 0; j != p.output; ++j, y += p.inner)
                    for (Index k = 0; k != p.taps; ++k, ++tap) {
                        const T* const line = x + p.pixels[tap] * p.inner;
                        T const w = p.weights[tap];
                        for (Index i = 0; i != p.inner; ++i) y[i] += w * line[i];
                    }
            });
            from = to;
        }
    }
    void backward(BasicInputs<T> inputs, const BasicTensor<T>&, const BasicTensor<T>& grad_output,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>>,
                  BasicScratch<T>& scratch, Mode) const {
        if (!grad_inputs[0]) return;
        const T* from = grad_output.data();
        std::size_t left = changes(inputs[0]->shape(), grad_output.shape());
        if (left == 0) array(*grad_inputs[0]) += array(grad_output);
        // The same passes, the last one first.
        for (std::size_t d = grad_output.rank(); left != 0;) {
            if (!changes_in(--d, inputs[0]->shape(), grad_output.shape())) continue;
            Pass const p = pass(d, inputs[0]->shape(), grad_output.shape(), scratch);
            T* to = grad_inputs[0]->data();
            if (--left != 0) {
                to = scratch.buffer(left % 2, p.outer * p.input * p.inner, 1);
                std::fill(to, to + p.outer * p.input * p.inner, T(0));
            }
            scratch.parallel_for(p.outer, p.work(), [&](Index o, Index) {
                T* const gx = to + o * p.input * p.inner;
                const T* g = from + o * p.output * p.inner;
                for (Index j = 0, tap = 0; j != p.output; ++j, g += p.inner)
                    for (Index k = 0; k != p.taps; ++k, ++tap) {
                        T* const line = gx + p.pixels[tap] * p.inner;
                        T const w = p.weights[tap];
                        for (Index i = 0; i != p.inner; ++i) line[i] += w * g[i];
                    }
            });
            from = to;
        }
    }

private:
    /// One dimension at a time: [outer, input, inner] -> [outer, output, inner]. The dimensions before it
    /// have the output's sizes already, those after it still the input's.
    struct Pass {
        Index outer, input, output, inner, taps;
        const Index* pixels;
        const T* weights;
        double work() const { return double(outer * output * inner) * double(taps); }
    };
    Pass pass(std::size_t d, const Shape& input, const Shape& output, BasicScratch<T>& scratch) const {
        Pass p{product(output, 0, d),
               input[d],
               output[d],
               detail::step_of(input, d),
               static_cast<Index>(detail::resize_taps(options_.mode)),
               nullptr,
               nullptr};
        auto& pixels = scratch.indices(0);
        T* const weights = scratch.buffer(2, p.output * p.taps, 1);
        pixels.resize(static_cast<std::size_t>(p.output * p.taps));
        for (Index j = 0; j != p.output; ++j) {
            detail::ResizeTaps const taps = detail::taps_at(
                options_,
                detail::resize_coordinate(options_.coordinates, j, scale(d, input[d]), input[d], output[d]),
                input[d]);
            for (Index k = 0; k != p.taps; ++k) {
                pixels[static_cast<std::size_t>(j * p.taps + k)] = taps.pixel[static_cast<std::size_t>(k)];
                weights[j * p.taps + k] = T(taps.weight[static_cast<std::size_t>(k)]);
            }
        }
        p.pixels = pixels.data();
        p.weights = weights;
        return p;
    }

    /// Whether a dimension is as in the input, whatever that is.
    bool stays(std::size_t d) const {
        return options_.sizes.empty() ? options_.scales[d] == 1 : options_.sizes[d] == 0;
    }
    float scale(std::size_t d, Index input) const {
        return options_.sizes.empty() ? options_.scales[d]
                                      : static_cast<float>(options_.sizes[d]) / static_cast<float>(input);
    }
    /// A scale may move pixels even where the size stays.
    bool changes_in(std::size_t d, const Shape& input, const Shape& output) const {
        return !stays(d) && (input[d] != output[d] || scale(d, input[d]) != 1);
    }
    std::size_t changes(const Shape& input, const Shape& output) const {
        std::size_t n = 0;
        for (std::size_t d = 0; d != input.size(); ++d) n += changes_in(d, input, output);
        return n;
    }

    UpsampleOptions options_;
};

using Upsample = BasicUpsample<float>;

}  // namespace amct_distill::nn
