// SPDX-License-Identifier: Apache-2.0
/// How convolutions, linear layers and matrix products are written as ONNX.
///
/// A linear layer of a matrix is a Gemm; of more dimensions a MatMul whose weight a Transpose turns, so that
/// the initializer is PyTorch's `fc.weight` in both.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "../nn/layers/conv1d.hpp"
#include "../nn/layers/conv2d.hpp"
#include "../nn/layers/conv_function.hpp"
#include "../nn/layers/conv_transpose.hpp"
#include "../nn/layers/linear.hpp"
#include "../nn/layers/matmul.hpp"
#include "node_writer.hpp"

namespace amct_distill::onnx {

namespace detail {

inline std::vector<std::int64_t> sizes(const nn::Size2& s) { return {s[0], s[1]}; }
inline std::vector<std::int64_t> sizes(nn::Index s) { return {s}; }
/// Those at the beginnings, then those at the ends.
inline std::vector<std::int64_t> both_ends(std::vector<std::int64_t> begin,
                                           const std::vector<std::int64_t>& end) {
    begin.insert(begin.end(), end.begin(), end.end());
    return begin;
}
inline std::vector<std::string_view> with_parameters(NodeWriter& w, bool bias) {
    std::vector<std::string_view> reads{w.input(0), w.parameter("weight")};
    if (bias) reads.push_back(w.parameter("bias"));
    return reads;
}

template <class Options>
AttributeList window_attributes(const Options& o, std::vector<std::int64_t> pads) {
    return {attribute("dilations", sizes(o.dilation)), attribute("group", o.groups),
            attribute("kernel_shape", sizes(o.kernel)), attribute("pads", std::move(pads)),
            attribute("strides", sizes(o.stride))};
}

template <class Options>
void write_convolution(const Options& o, NodeWriter& w, std::vector<std::string_view> reads) {
    w.last("Conv", std::move(reads), window_attributes(o, both_ends(sizes(o.padding), sizes(o.padding))));
}

/// What output_padding takes away is padding at the end, for ONNX.
template <class Options>
void write_transposed(const Options& o, NodeWriter& w, std::vector<std::string_view> reads) {
    std::vector<std::int64_t> end = sizes(o.padding), more = sizes(o.output_padding);
    std::vector<std::int64_t> const stride = sizes(o.stride), dilation = sizes(o.dilation);
    for (std::size_t d = 0; d != more.size(); ++d) {
        if (more[d] >= (std::max)(stride[d], dilation[d]))
            return w.fail("its output_padding is not below the stride or the dilation, which ONNX asks for");
        if (more[d] < 0) end[d] -= std::exchange(more[d], 0);
    }
    AttributeList attributes = window_attributes(o, both_ends(sizes(o.padding), end));
    attributes.push_back(attribute("output_padding", std::move(more)));
    w.last("ConvTranspose", std::move(reads), std::move(attributes));
}

}  // namespace detail

inline void write_onnx(const nn::Conv1d& m, NodeWriter& w) {
    detail::write_convolution(m.options(), w, detail::with_parameters(w, m.options().bias));
}
inline void write_onnx(const nn::Conv2d& m, NodeWriter& w) {
    detail::write_convolution(m.options(), w, detail::with_parameters(w, m.options().bias));
}
inline void write_onnx(const nn::ConvTranspose1d& m, NodeWriter& w) {
    detail::write_transposed(m.options(), w, detail::with_parameters(w, m.options().bias));
}
inline void write_onnx(const nn::ConvTranspose2d& m, NodeWriter& w) {
    detail::write_transposed(m.options(), w, detail::with_parameters(w, m.options().bias));
}
inline void write_onnx(const nn::FunctionalConv1d& m, NodeWriter& w) {
    detail::write_convolution(m.options(), w, w.all_inputs());
}
inline void write_onnx(const nn::FunctionalConv2d& m, NodeWriter& w) {
    detail::write_convolution(m.options(), w, w.all_inputs());
}
inline void write_onnx(const nn::FunctionalConvTranspose1d& m, NodeWriter& w) {
    detail::write_transposed(m.options(), w, w.all_inputs());
}
inline void write_onnx(const nn::FunctionalConvTranspose2d& m, NodeWriter& w) {
    detail::write_transposed(m.options(), w, w.all_inputs());
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
inline void write_onnx(const nn::MatMul&, NodeWriter& w) {
    bool const scalar = w.shape(0).size() == 1 && w.shape(1).size() == 1;
    w.last_of_rank(scalar ? 0 : w.output_shape().size(), "MatMul", {w.input(0), w.input(1)});
}

}  // namespace amct_distill::onnx
