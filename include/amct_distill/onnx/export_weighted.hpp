// SPDX-License-Identifier: Apache-2.0
/// How convolutions, linear layers and batch normalizations are written as ONNX.
///
/// A linear layer of a matrix is a Gemm; of more dimensions a MatMul whose weight a Transpose turns, so that
/// the initializer is PyTorch's `fc.weight` in both.
#pragma once
#include <array>
#include <string_view>
#include <vector>

#include "../nn/layers/batch_norm.hpp"
#include "../nn/layers/conv2d.hpp"
#include "../nn/layers/linear.hpp"
#include "node_writer.hpp"

namespace amct_distill::onnx {

namespace detail {

inline std::vector<std::int64_t> sizes(const nn::Size2& s) { return {s[0], s[1]}; }
/// Those at the beginnings, then those at the ends.
inline std::vector<std::int64_t> both_ends(const nn::Size2& s) { return {s[0], s[1], s[0], s[1]}; }
inline std::vector<std::string_view> with_parameters(NodeWriter& w, bool bias) {
    std::vector<std::string_view> reads{w.input(0), w.parameter("weight")};
    if (bias) reads.push_back(w.parameter("bias"));
    return reads;
}

}  // namespace detail

inline void write_onnx(const nn::Conv2d& conv, NodeWriter& w) {
    const nn::Conv2dOptions& o = conv.options();
    w.last("Conv", detail::with_parameters(w, o.bias),
           {attribute("dilations", detail::sizes(o.dilation)), attribute("group", o.groups),
            attribute("kernel_shape", detail::sizes(o.kernel)),
            attribute("pads", detail::both_ends(o.padding)), attribute("strides", detail::sizes(o.stride))});
}

inline void write_onnx(const nn::Linear& linear, NodeWriter& w) {
    bool const bias = linear.options().bias;
    if (w.shape(0).size() == 2)
        return w.last("Gemm", detail::with_parameters(w, bias), {attribute("transB", 1)});
    std::string_view const weight =
        w.shared_step("Transpose", {w.parameter("weight")}, {attribute("perm", {1, 0})});
    if (!bias) return w.last("MatMul", {w.input(0), weight});
    w.last("Add", {w.step("MatMul", {w.input(0), weight}), w.parameter("bias")});
}

inline void write_onnx(const nn::BatchNorm2d& norm, NodeWriter& w) {
    w.last("BatchNormalization",
           {w.input(0), w.parameter("weight"), w.parameter("bias"), w.parameter("running_mean"),
            w.parameter("running_var")},
           {attribute("epsilon", norm.options().eps), attribute("momentum", 1 - norm.options().momentum)});
}

}  // namespace amct_distill::onnx
