// SPDX-License-Identifier: Apache-2.0
/// Reductions over dimensions, by ONNX's names: ReduceSum, ReduceMean, ReduceMax, ReduceMin, ReduceProd,
/// ReduceL1, ReduceL2, ReduceLogSum, ReduceLogSumExp, ReduceSumSquare.
///
///     x = net.add_function("/ReduceMean", ReduceMean({.axes = {2, 3}}), {x});            // [N, C, 1, 1]
///     x = net.add_function("/Max", ReduceMax({.axes = {1}, .keepdims = false}), {x});   // [N, H, W]
///
/// All is computed in double. The gradient of the extremes is shared by those that are equal, as that of
/// torch.amax is. What is left of no dimension is [1].
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "../module.hpp"
#include "../reduction.hpp"
#include "reduce_functions.hpp"

namespace amct_distill::nn {

struct ReduceOptions {
    Shape axes{};  ///< those that are reduced; none: nothing is
    bool keepdims = true;
    friend bool operator==(const ReduceOptions&, const ReduceOptions&) = default;
};

template <class T, class Function>
class Reduce {
public:
    using function = Function;
    static constexpr std::string_view type_name = Function::name;
    /// Throws std::invalid_argument for axes that are negative or twice there.
    explicit Reduce(ReduceOptions options) : options_(std::move(options)) {
        Shape& axes = options_.axes;
        std::sort(axes.begin(), axes.end());
        if (std::adjacent_find(axes.begin(), axes.end()) != axes.end() || (!axes.empty() && axes[0] < 0))
            throw std::invalid_argument(detail::concat(
                type_name, ": expected axes of 0 or more, each once, found ", to_string(axes)));
    }
    const ReduceOptions& options() const { return options_; }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        const Shape& axes = options_.axes;
        if (inputs.size() != 1 || inputs[0].empty() || inputs[0].size() > max_rank)
            return detail::unexpected_inputs("one input", inputs);
        if (!axes.empty() && axes.back() >= std::ssize(inputs[0]))
            return detail::unexpected_inputs(detail::concat("one input with a dimension ", axes.back()),
                                             inputs);
        if (!axes.empty() && axes[0] == 0 && inputs[0][0] == any_batch)
            return detail::unexpected_inputs(
                "an input of a fixed size, because dimension 0, which is reduced, is the batch", inputs);
        Shape shape;
        for (std::size_t i = 0; i != inputs[0].size(); ++i)
            if (!is_reduced(i))
                shape.push_back(inputs[0][i]);
            else if (inputs[0][i] == 0)
                return detail::unexpected_inputs("one input with values to reduce", inputs);
            else if (options_.keepdims)
                shape.push_back(1);
        if (shape.empty()) shape.push_back(1);
        return shape;
    }
    void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>& scratch, Mode) const {
        Reduction const over = reduction(*inputs[0]);
        const T* const x = inputs[0]->data();
        over.for_each(scratch, [&](Index out, Index width, auto each_line) {
            typename Function::State states[Reduction::strip];
            each_line([&](Index at, Index n) {
                if (over.step() == 0)
                    add_line(states[0], x + at, n);
                else
                    for (Index j = 0; j != n; ++j) states[j].add(double(x[at + j]));
            });
            for (Index j = 0; j != width; ++j)
                output.data()[out + j] = T(states[j].value(double(over.terms())));
        });
    }
    void backward(BasicInputs<T> inputs, const BasicTensor<T>& output, const BasicTensor<T>& grad_output,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>>,
                  BasicScratch<T>& scratch, Mode) const {
        if (!grad_inputs[0]) return;
        Reduction const over = reduction(*inputs[0]);
        Index const step = over.step();
        double const terms = double(over.terms());
        const T *const x = inputs[0]->data(), *const ys = output.data(), *const gs = grad_output.data();
        T* const gx = grad_inputs[0]->data();
        over.for_each(scratch, [&](Index out, Index, auto each_line) {
            const T *const y = ys + out, *const g = gs + out;
            typename Function::Tally tallies[Reduction::strip];  // what all slopes of an output depend on
            if constexpr (requires { tallies[0].add(0.0, 0.0); })
                each_line([&](Index at, Index n) {
                    if (step == 0) {
                        typename Function::Tally tally = tallies[0];
                        for (Index j = 0; j != n; ++j) tally.add(double(x[at + j]), double(y[0]));
                        tallies[0] = tally;
                    } else {
                        for (Index j = 0; j != n; ++j) tallies[j].add(double(x[at + j]), double(y[j]));
                    }
                });
            each_line([&](Index at, Index n) {
                for (Index j = 0; j != n; ++j) {
                    Index const k = j * step;
                    gx[at + j] +=
                        T(double(g[k]) * Function::slope(double(x[at + j]), double(y[k]), terms, tallies[k]));
                }
            });
        });
    }

private:
    /// In a register, not in memory; sums in several lanes.
    static void add_line(typename Function::State& state, const T* x, Index n) {
        if constexpr (requires { typename Function::is_sum; }) {
            state.sum += detail::sum_of(x, n);
        } else {
            typename Function::State local = state;
            for (Index j = 0; j != n; ++j) local.add(double(x[j]));
            state = local;
        }
    }
    bool is_reduced(std::size_t dim) const {
        return std::binary_search(options_.axes.begin(), options_.axes.end(), static_cast<Index>(dim));
    }
    Reduction reduction(const BasicTensor<T>& x) const {
        return {x.shape(), [this](std::size_t dim) { return is_reduced(dim); }};
    }

    ReduceOptions options_;
};

using ReduceSum = Reduce<float, detail::reductions::Sum>;
using ReduceMean = Reduce<float, detail::reductions::Mean>;
using ReduceMax = Reduce<float, detail::reductions::Max>;
using ReduceMin = Reduce<float, detail::reductions::Min>;
using ReduceProd = Reduce<float, detail::reductions::Prod>;
using ReduceL1 = Reduce<float, detail::reductions::L1>;
using ReduceL2 = Reduce<float, detail::reductions::L2>;
using ReduceLogSum = Reduce<float, detail::reductions::LogSum>;
using ReduceLogSumExp = Reduce<float, detail::reductions::LogSumExp>;
using ReduceSumSquare = Reduce<float, detail::reductions::SumSquare>;

}  // namespace amct_distill::nn
