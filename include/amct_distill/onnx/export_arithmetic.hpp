// SPDX-License-Identifier: Apache-2.0
/// How arithmetic, functions of one value and reductions are written as ONNX. What ONNX has for two inputs
/// and the network for more becomes a chain.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "../nn/layers/arithmetic.hpp"
#include "../nn/layers/extremes.hpp"
#include "../nn/layers/reduce.hpp"
#include "../nn/layers/trigonometric.hpp"
#include "../nn/layers/unary.hpp"
#include "node_writer.hpp"

namespace amct_distill::onnx {

inline void write_onnx(const nn::Add&, NodeWriter& w) {
    std::string_view sum = w.input(0);
    for (std::size_t i = 1; i + 1 < w.inputs(); ++i) sum = w.step("Add", {sum, w.input(i)});
    w.last("Add", {sum, w.input(w.inputs() - 1)});
}
inline void write_onnx(const nn::Sum&, NodeWriter& w) { w.last("Sum", w.all_inputs()); }
inline void write_onnx(const nn::Mean&, NodeWriter& w) { w.last("Mean", w.all_inputs()); }
inline void write_onnx(const nn::Max&, NodeWriter& w) { w.last("Max", w.all_inputs()); }
inline void write_onnx(const nn::Min&, NodeWriter& w) { w.last("Min", w.all_inputs()); }
inline void write_onnx(const nn::Sub&, NodeWriter& w) { w.last("Sub", w.all_inputs()); }
inline void write_onnx(const nn::Mul&, NodeWriter& w) { w.last("Mul", w.all_inputs()); }
inline void write_onnx(const nn::Div&, NodeWriter& w) { w.last("Div", w.all_inputs()); }
inline void write_onnx(const nn::Pow&, NodeWriter& w) { w.last("Pow", w.all_inputs()); }

/// Called as ONNX calls them.
template <class Function>
void write_onnx(const nn::Unary<float, Function>&, NodeWriter& w) {
    w.last(Function::name, {w.input(0)});
}

/// The axes are an input from opset 18 on, ReduceSum's from 13 on.
template <class Function>
void write_onnx(const nn::Reduce<float, Function>& m, NodeWriter& w) {
    constexpr std::string_view op = Function::name;
    const nn::ReduceOptions& o = m.options();
    if (o.axes.empty()) {
        if (op == "ReduceSum" || op == "ReduceMean" || op == "ReduceMax" || op == "ReduceMin" ||
            op == "ReduceProd")
            return w.last("Identity", {w.input(0)});
        return w.fail("it reduces no dimension, which ONNX does not have");
    }
    std::vector<std::int64_t> axes(o.axes.begin(), o.axes.end());
    bool const scalar = !o.keepdims && axes.size() == w.shape(0).size();
    std::vector<std::string_view> reads{w.input(0)};
    AttributeList attributes{attribute("keepdims", o.keepdims ? 1 : 0)};
    if (w.opset() >= 18 || op == "ReduceSum")
        reads.push_back(w.integers("axes", std::move(axes)));
    else
        attributes.push_back(attribute("axes", std::move(axes)));
    w.last_of_rank(scalar ? 0 : w.output_shape().size(), op, std::move(reads), std::move(attributes));
}

}  // namespace amct_distill::onnx
