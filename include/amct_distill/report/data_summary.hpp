// SPDX-License-Identifier: Apache-2.0
/// What data look like: ranges of each channel, and pictures of the first samples.
///
///     page.data = summarize_data(network, batches).value();                  // of each input
///     page.data = summarize_data(network, batches, {"0", "7", "3"}).value();     // with captions
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "../nn/network.hpp"
#include "../student/data_source.hpp"
#include "../student/same_network.hpp"
#include "page.hpp"
#include "png.hpp"

namespace amct_distill {
namespace detail {

/// Minimum, maximum, mean and deviation, as values come.
struct RangeOfChannel {
    double least = 0, greatest = 0, sum = 0, squares = 0, count = 0;
    void add(double v) {
        if (!std::isfinite(v)) return;
        least = count == 0 ? v : (std::min)(least, v);
        greatest = count == 0 ? v : (std::max)(greatest, v);
        sum += v;
        squares += v * v;
        ++count;
    }
    ChannelSummary summary(std::string name) const {
        double const mean = count == 0 ? 0 : sum / count;
        double const variance = count == 0 ? 0 : (std::max)(squares / count - mean * mean, 0.0);
        return {std::move(name), least, greatest, mean, std::sqrt(variance)};
    }
};

inline constexpr std::size_t most_channels = 16;  ///< others are one together: "all"
inline constexpr std::size_t most_thumbnails = 8;

/// Whether samples of this shape are pictures: [N, 1 or 3, H, W], at least 4 x 4.
inline bool is_picture(const nn::Shape& shape) {
    return shape.size() == 4 && (shape[1] == 1 || shape[1] == 3) && shape[2] >= 4 && shape[3] >= 4;
}

/// A sample of a batch, at most 72 wide and high; from `low`, black, to `high`, white.
inline Thumbnail thumbnail(const nn::Tensor& batch, std::size_t sample, double low, double high) {
    auto const channels = static_cast<std::size_t>(batch.dim(1)),
               height = static_cast<std::size_t>(batch.dim(2)),
               width = static_cast<std::size_t>(batch.dim(3));
    std::size_t const largest = (std::max)(width, height), least = (std::min)(width, height);
    std::size_t const most = largest > 2 * least ? 240 : 72;  // a line of text is read in 240
    std::size_t const w = largest <= most ? width : (std::max)(width * most / largest, std::size_t{1});
    std::size_t const h = largest <= most ? height : (std::max)(height * most / largest, std::size_t{1});
    const float* const values = batch.data() + sample * channels * height * width;
    std::vector<std::uint8_t> pixels;
    for (std::size_t y = 0; y != h; ++y)
        for (std::size_t x = 0; x != w; ++x)
            for (std::size_t c = 0; c != channels; ++c) {  // the mean of the pixels that fall together
                double sum = 0;
                std::size_t count = 0;
                for (std::size_t v = y * height / h;
                     v != (std::max)((y + 1) * height / h, y * height / h + 1); ++v)
                    for (std::size_t u = x * width / w;
                         u != (std::max)((x + 1) * width / w, x * width / w + 1); ++u) {
                        sum += static_cast<double>(values[(c * height + v) * width + u]);
                        ++count;
                    }
                double const part = high == low ? 0 : (sum / static_cast<double>(count) - low) / (high - low);
                pixels.push_back(static_cast<std::uint8_t>(std::clamp(part, 0.0, 1.0) * 255));
            }
    return {w, h, base64(png_of(pixels, w, h, channels)), {}};
}

class DataObserver {
public:
    DataObserver(const nn::Network& network, std::size_t input) {
        nn::NodeId const id = network.inputs()[input];
        summary_.input = network.name(id);
        summary_.shape = nn::to_string(network.node(id).shape);
    }
    void add(const nn::Tensor& batch) {
        ++summary_.batches;
        summary_.samples += static_cast<std::size_t>(batch.dim(0));
        std::size_t const channels = batch.rank() < 2 ? 1 : static_cast<std::size_t>(batch.dim(1));
        std::size_t const kept = channels > most_channels || batch.rank() < 3 ? 1 : channels;
        ranges_.resize(kept);
        std::size_t const each = batch.size() / (channels * static_cast<std::size_t>(batch.dim(0)));
        for (std::size_t i = 0; i != batch.size(); ++i)
            ranges_[kept == 1 ? 0 : i / each % channels].add(static_cast<double>(batch[i]));
        if (is_picture(batch.shape()) && first_.size() != most_thumbnails) first_.push_back(batch);
    }
    DataSummary finish(const std::vector<std::string>& captions) {
        for (std::size_t c = 0; c != ranges_.size(); ++c)
            summary_.channels.push_back(ranges_[c].summary(ranges_.size() == 1 ? "all" : number(c)));
        double low = 0, high = 0;
        for (const RangeOfChannel& r : ranges_) {
            low = (std::min)(low, r.least);
            high = (std::max)(high, r.greatest);
        }
        std::size_t at = 0;
        for (const nn::Tensor& batch : first_)
            for (std::size_t s = 0; s != static_cast<std::size_t>(batch.dim(0)) && at != most_thumbnails;
                 ++s, ++at) {
                summary_.thumbnails.push_back(thumbnail(batch, s, low, high));
                if (at < captions.size()) summary_.thumbnails.back().caption = captions[at];
            }
        return std::move(summary_);
    }

private:
    DataSummary summary_{};
    std::vector<RangeOfChannel> ranges_{};
    std::vector<nn::Tensor> first_{};
};

}  // namespace detail

/// Of each input of the network, over all batches; the captions are those of the first samples. Errors: no
/// batches, or one that cannot be loaded. Throws std::invalid_argument when one does not fit the network.
inline result<std::vector<DataSummary>> summarize_data(const nn::Network& network, DataSource batches,
                                                       const std::vector<std::string>& captions = {}) {
    if (batches.empty()) return general_error("summarize_data: no batches; give at least one");
    std::vector<detail::DataObserver> observers;
    for (std::size_t k = 0; k != network.inputs().size(); ++k) observers.emplace_back(network, k);
    Batch buffer;
    for (std::size_t i = 0; i != batches.size(); ++i) {
        auto const batch = batches.load(i, buffer);
        if (!batch) return batch.diagnostics();
        detail::require_batch(network, *batch, "summarize_data", i);
        for (std::size_t k = 0; k != observers.size(); ++k) observers[k].add((*batch)[k]);
    }
    std::vector<DataSummary> summaries;
    for (auto& observer : observers) summaries.push_back(observer.finish(captions));
    return summaries;
}

}  // namespace amct_distill
