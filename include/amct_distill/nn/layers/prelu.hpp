// SPDX-License-Identifier: Apache-2.0
/// PReLU: LeakyReLU with a slope that is a parameter, one of all channels or one of each, as in torch.nn.
///
///     PReLU slope({.num_parameters = 16});                         // starts at 0.25
///     net.add("act1", slope, {x});                                 // [N, 16, ...]
#pragma once
#include <array>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "../module.hpp"

namespace amct_distill::nn {

struct PReLUOptions {
    Index num_parameters = 1;  ///< 1, or the number of channels: dimension 1
    friend bool operator==(const PReLUOptions&, const PReLUOptions&) = default;
};

template <class T>
class BasicPReLU {
public:
    static constexpr std::string_view type_name = "PReLU";
    static constexpr std::string_view operation = "PRelu";
    static constexpr bool is_homogeneous = true;
    /// Throws std::invalid_argument when there is no parameter.
    explicit BasicPReLU(const PReLUOptions& options = {}) : options_(options) {
        if (options.num_parameters < 1)
            throw std::invalid_argument("PReLU: expected a num_parameters of 1 or more");
        weight_.resize({options.num_parameters});
        weight_.fill(T(0.25));
    }
    const PReLUOptions& options() const { return options_; }
    BasicTensor<T>& weight() { return weight_; }
    const BasicTensor<T>& weight() const { return weight_; }
    void parameters(std::vector<BasicParameter<T>>& list) {
        list.push_back({"weight", Role::affine, &weight_});
    }
    result<void> check_parameters() const {
        return detail::check_shape("weight", weight_, std::array{options_.num_parameters});
    }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].empty()) return detail::unexpected_inputs("one input", inputs);
        if (options_.num_parameters != 1 && (inputs[0].size() < 2 || inputs[0][1] != options_.num_parameters))
            return detail::unexpected_inputs(
                detail::concat("one input with ", options_.num_parameters, " channels"), inputs);
        return inputs[0];
    }
    void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>& scratch, Mode) const {
        const T* const x = inputs[0]->data();
        T* const y = output.data();
        for_each_plane(*inputs[0], scratch, [&](std::size_t channel, Index begin, Index n) {
            ConstArrayMap<T> const from(x + begin, n);
            ArrayMap<T>(y + begin, n) = (from.max)(T(0)) + (from.min)(T(0)) * weight_[channel] + T(0);
        });
    }
    void backward(BasicInputs<T> inputs, const BasicTensor<T>&, const BasicTensor<T>& grad_output,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>> grad_parameters,
                  BasicScratch<T>& scratch, Mode) const {
        const T *const x = inputs[0]->data(), *const g = grad_output.data();
        Index const planes = count(*inputs[0]), channels = options_.num_parameters;
        scratch.tensor(0).resize({planes});
        T* const sums = scratch.tensor(0).data();
        T* const gx = grad_inputs[0] ? grad_inputs[0]->data() : nullptr;
        for_each_plane(*inputs[0], scratch, [&](std::size_t channel, Index begin, Index n) {
            double lanes[4] = {};
            for (Index i = 0; i != n; ++i) {
                T const negative = x[begin + i] > T(0) ? T(0) : x[begin + i];
                lanes[i % 4] += double(g[begin + i]) * double(negative);
            }
            double const sum = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
            T const slopes[] = {weight_[channel], T(1)};  // looked up, not branched on
            if (gx != nullptr)
                for (Index i = begin; i != begin + n; ++i) gx[i] += g[i] * slopes[x[i] > T(0)];
            sums[n == 0 ? 0 : begin / n] = T(sum);
        });
        for (Index c = 0; c != channels; ++c) {
            double sum = 0;
            for (Index i = c; i < planes; i += channels) sum += double(sums[i]);
            grad_parameters[0][static_cast<std::size_t>(c)] += T(sum);
        }
    }

private:
    /// What has one slope: a channel of an image, or an image when there is one slope of all.
    Index count(const BasicTensor<T>& x) const { return x.dim(0) * options_.num_parameters; }
    template <class F>
    void for_each_plane(const BasicTensor<T>& x, const BasicScratch<T>& scratch, F f) const {
        Index const planes = count(x);
        if (planes == 0) return;
        Index const n = static_cast<Index>(x.size()) / planes;
        scratch.parallel_for(planes, double(x.size()), [&](Index i, Index) {
            f(static_cast<std::size_t>(i % options_.num_parameters), i * n, n);
        });
    }

    PReLUOptions options_;
    BasicTensor<T> weight_{};
};

using PReLU = BasicPReLU<float>;

}  // namespace amct_distill::nn
