// SPDX-License-Identifier: Apache-2.0
/// Normalization of blocks of values that lie together: what InstanceNorm, GroupNorm and LayerNorm are.
///
///     detail::BlockNormalization<float> n(samples, groups, channels, run, eps);
///     n.forward(x, weight, bias, y, scratch);        // weight and bias: null for none
///     n.backward(x, weight, grad_y, grad_x, grad_weight, grad_bias, scratch);
///
/// A sample is `groups` blocks; a block `channels` runs of values, each run with a weight and a bias of its
/// own, of groups * channels in all. LayerNorm: one group, runs of one value.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>

#include "scratch.hpp"
#include "tensor.hpp"

namespace amct_distill::detail {

template <class T>
class BlockNormalization {
public:
    using Index = nn::Index;
    BlockNormalization(Index samples, Index groups, Index channels, Index run, double eps)
        : samples_(samples), groups_(groups), channels_(channels), run_(run), eps_(eps) {}

    void forward(const T* x, const T* weight, const T* bias, T* y, const nn::BasicScratch<T>& scratch) const {
        scratch.parallel_for(blocks(), work(), [&](Index block, Index) {
            Moments const m = moments(x, block);
            for_each_run(block, [&](Index c, Index first) {
                double const factor = m.inverse_deviation * (weight ? double(weight[c]) : 1.0);
                double const shift = bias ? double(bias[c]) : 0.0;
                for (Index i = first; i != first + run_; ++i)
                    y[i] = T((double(x[i]) - m.mean) * factor + shift);
            });
        });
    }

    /// Adds to the gradients that are not null.
    void backward(const T* x, const T* weight, const T* grad_y, T* grad_x, T* grad_weight, T* grad_bias,
                  nn::BasicScratch<T>& scratch) const {
        // Each block's mean, as a sum of two, and the inverse of its deviation, for the second pass.
        constexpr Index stored = 3;
        T* const all = scratch.buffer(0, stored * blocks(), 1);
        scratch.parallel_for(blocks(), work(), [&](Index block, Index) {
            Moments const m = moments(x, block);
            T* const to = all + block * stored;
            to[0] = T(m.mean);
            to[1] = T(m.mean - double(to[0]));
            to[2] = T(m.inverse_deviation);
            if (!grad_x) return;
            // The mean and the variance depend on every value, which takes away from the gradient its mean
            // and its component along the normalized values.
            double sum = 0, dot = 0;
            for_each_run(block, [&](Index c, Index first) {
                double const w = weight ? double(weight[c]) : 1.0;
                for (Index i = first; i != first + run_; ++i) {
                    double const g = double(grad_y[i]) * w;
                    sum += g;
                    dot += g * (double(x[i]) - m.mean);
                }
            });
            double const count = double(channels_ * run_), mean_gradient = sum / count;
            double const slope = dot / count * m.inverse_deviation * m.inverse_deviation;
            for_each_run(block, [&](Index c, Index first) {
                double const w = weight ? double(weight[c]) : 1.0;
                for (Index i = first; i != first + run_; ++i)
                    grad_x[i] += T((double(grad_y[i]) * w - mean_gradient - (double(x[i]) - m.mean) * slope) *
                                   m.inverse_deviation);
            });
        });
        if (!grad_weight && !grad_bias) return;
        constexpr Index step = 32;
        Index const all_channels = groups_ * channels_;
        scratch.parallel_for((all_channels + step - 1) / step, work(), [&](Index part, Index) {
            Index const begin = part * step, end = (std::min)(all_channels, begin + step);
            double sums[step] = {}, dots[step] = {};
            for (Index sample = 0; sample != samples_; ++sample)
                for (Index c = begin; c != end; ++c) {
                    const T* const from = all + (sample * groups_ + c / channels_) * stored;
                    double const mean = double(from[0]) + double(from[1]);
                    double sum = 0, dot = 0;
                    Index const first = (sample * all_channels + c) * run_;
                    for (Index i = first; i != first + run_; ++i) {
                        sum += double(grad_y[i]);
                        dot += double(grad_y[i]) * (double(x[i]) - mean);
                    }
                    sums[c - begin] += sum;
                    dots[c - begin] += dot * double(from[2]);
                }
            for (Index c = begin; c != end; ++c) {
                if (grad_weight) grad_weight[c] += T(dots[c - begin]);
                if (grad_bias) grad_bias[c] += T(sums[c - begin]);
            }
        });
    }

private:
    struct Moments {
        double mean = 0, inverse_deviation = 0;
    };
    Moments moments(const T* x, Index block) const {
        Index const n = channels_ * run_;
        const T* const values = x + block * n;
        Moments m;
        m.mean = sum_of(values, n) / double(n);
        double lanes[4] = {};
        for (Index i = 0; i != n; ++i) {
            double const d = double(values[i]) - m.mean;
            lanes[i % 4] += d * d;
        }
        double const variance = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) / double(n);
        m.inverse_deviation = 1 / std::sqrt(variance + eps_);
        return m;
    }
    Index blocks() const { return samples_ * groups_; }
    double work() const { return 4 * double(blocks()) * double(channels_ * run_); }
    /// f(channel, index of the run's first value)
    template <class F>
    void for_each_run(Index block, F f) const {
        Index const first = block % groups_ * channels_;
        for (Index c = 0; c != channels_; ++c) f(first + c, (block * channels_ + c) * run_);
    }

    Index samples_, groups_, channels_, run_;
    double eps_;
};

}  // namespace amct_distill::detail
