// SPDX-License-Identifier: Apache-2.0
/// How normalizations are written as ONNX: LayerNorm needs opset 17, GroupNorm 21.
///
/// ONNX always has a scale: of a module without parameters it is ones, and read back it is a parameter.
#pragma once
#include <cstddef>
#include <string_view>
#include <vector>

#include "../nn/layers/batch_norm.hpp"
#include "../nn/layers/normalization.hpp"
#include "node_writer.hpp"

namespace amct_distill::onnx {

namespace detail {

inline std::vector<std::string_view> with_scale_and_bias(NodeWriter& w, bool affine, nn::Index channels) {
    if (affine) return {w.input(0), w.parameter("weight"), w.parameter("bias")};
    auto const n = static_cast<std::size_t>(channels);
    return {w.input(0), w.values("weight", {channels}, std::vector<float>(n, 1)),
            w.values("bias", {channels}, std::vector<float>(n, 0))};
}

}  // namespace detail

template <std::size_t Dims>
void write_onnx(const nn::BasicBatchNormOf<float, Dims>& m, NodeWriter& w) {
    w.last("BatchNormalization",
           {w.input(0), w.parameter("weight"), w.parameter("bias"), w.parameter("running_mean"),
            w.parameter("running_var")},
           {attribute("epsilon", m.options().eps), attribute("momentum", 1 - m.options().momentum)});
}
template <std::size_t Dims>
void write_onnx(const nn::BasicInstanceNorm<float, Dims>& m, NodeWriter& w) {
    w.last("InstanceNormalization",
           detail::with_scale_and_bias(w, m.options().affine, m.options().num_features),
           {attribute("epsilon", m.options().eps)});
}
inline void write_onnx(const nn::GroupNorm& m, NodeWriter& w) {
    w.needs_opset(21);
    w.last("GroupNormalization", detail::with_scale_and_bias(w, m.options().affine, m.options().num_channels),
           {attribute("epsilon", m.options().eps), attribute("num_groups", m.options().num_groups)});
}
inline void write_onnx(const nn::LayerNorm& m, NodeWriter& w) {
    w.needs_opset(17);
    const nn::LayerNormOptions& o = m.options();
    std::vector<std::string_view> reads{w.input(0)};
    if (o.elementwise_affine) {
        reads.push_back(w.parameter("weight"));
        if (o.bias) reads.push_back(w.parameter("bias"));
    } else {
        auto const n =
            static_cast<std::size_t>(nn::product(o.normalized_shape, 0, o.normalized_shape.size()));
        reads.push_back(w.values("weight", {o.normalized_shape.begin(), o.normalized_shape.end()},
                                 std::vector<float>(n, 1)));
    }
    w.last("LayerNormalization", std::move(reads),
           {attribute("axis", -static_cast<std::int64_t>(o.normalized_shape.size())),
            attribute("epsilon", o.eps)});
}

}  // namespace amct_distill::onnx
