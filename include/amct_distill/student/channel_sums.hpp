// SPDX-License-Identifier: Apache-2.0
/// Sums of a value's channels over the samples of batches, in double and in a fixed order.
///
///     detail::ChannelSums sums(detail::channels_of_bias(layer, sample_shape), channels);
///     sums.add(y, by_slice, samples);              // y: [this rank's samples, ...]; the batch has `samples`
///     sums.mean(c);
#pragma once
#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "../nn/module.hpp"
#include "../nn/tensor.hpp"
#include "slice_sums.hpp"

namespace amct_distill::detail {

/// Which channel's bias each element of an output is added to: the layer on zeros, channel c having the bias
/// c. So it is known of layers of one's own too. `input`, `output`: shapes, the batch being 1 where it is
/// free.
inline std::vector<std::uint32_t> channels_of_bias(const nn::Weighted& layer, const nn::Shape& input,
                                                   const nn::Shape& output) {
    nn::Tensor x, y, numbers({layer.output_channels()});
    x.resize_batch(input, 1);
    y.resize_batch(output, 1);
    x.fill(0);
    for (std::size_t c = 0; c != numbers.size(); ++c) numbers[c] = static_cast<float>(c);
    nn::Module const numbered = layer.with_parameters(layer.weight(), numbers);
    nn::Scratch scratch;
    nn::Tensor* const outputs[] = {&y};
    const nn::Tensor* const inputs[] = {&x};
    numbered.forward(inputs, outputs, scratch, nn::Mode::evaluate);
    std::vector<std::uint32_t> channels(y.size());
    for (std::size_t i = 0; i != y.size(); ++i) channels[i] = static_cast<std::uint32_t>(y[i]);
    return channels;
}
/// The same of a value whose dimension 1 is the channel.
inline std::vector<std::uint32_t> channels_of_planes(const nn::Shape& output) {
    auto const count = static_cast<std::size_t>(output.at(1));
    auto const pixels = static_cast<std::size_t>(nn::product(output, 2, output.size()));
    std::vector<std::uint32_t> channels(count * pixels);
    for (std::size_t i = 0; i != channels.size(); ++i)
        channels[i] = static_cast<std::uint32_t>(i / pixels % count);
    return channels;
}

class ChannelSums {
public:
    /// `channel_of`: of each element of a sample; of a value without a batch, of the whole.
    ChannelSums(std::vector<std::uint32_t> channel_of, std::size_t channels)
        : channel_of_(std::move(channel_of)), each_(channels), sums_(channels) {
        for (std::uint32_t c : channel_of_) ++each_[c];
    }
    std::size_t channels() const { return sums_.size(); }

    /// The values of a batch, of which ranks have a part each. `samples`: of the whole batch.
    void add(const nn::Tensor& values, SliceSums& by_slice, nn::Index samples) {
        by_slice.begin(samples, channels() + 2);
        by_slice.for_each([&](BatchSlice slice, std::span<double> to) {
            std::span<const float> const of_slice = by_slice.values(values, slice);
            for (std::size_t i = 0; i != of_slice.size(); i += channel_of_.size())
                add_sample(of_slice.subspan(i, channel_of_.size()), to.first(channels()), to[channels()]);
            to[channels() + 1] += static_cast<double>(of_slice.size() / channel_of_.size());
        });
        std::span<const double> const all = by_slice.finish();
        for (std::size_t c = 0; c != channels(); ++c) sums_[c] += all[c];
        squares_ += all[channels()];
        samples_ += all[channels() + 1];
    }
    double mean(std::size_t c) const {
        return each_[c] == 0 ? 0 : sums_[c] / (static_cast<double>(each_[c]) * samples_);
    }
    /// Of all values.
    double deviation() const {
        double sum = 0;
        for (double s : sums_) sum += s;
        double const n = samples_ * static_cast<double>(channel_of_.size());
        double const mean = sum / n, variance = squares_ / n - mean * mean;
        return variance > 0 ? std::sqrt(variance) : 0;
    }

private:
    void add_sample(std::span<const float> values, std::span<double> sums, double& squares) const {
        // Channels mostly come in runs, and a run in one register.
        for (std::size_t i = 0; i != values.size();) {
            std::uint32_t const c = channel_of_[i];
            double sum = 0;
            for (; i != values.size() && channel_of_[i] == c; ++i) {
                double const v = static_cast<double>(values[i]);
                sum += v;
                squares += v * v;
            }
            sums[c] += sum;
        }
    }

    std::vector<std::uint32_t> channel_of_;
    std::vector<std::size_t> each_;  // elements of a sample, by channel
    std::vector<double> sums_;
    double squares_ = 0, samples_ = 0;
};

}  // namespace amct_distill::detail
