// SPDX-License-Identifier: Apache-2.0
/// How pooling and resizing are written as ONNX: an AvgPool with dilation needs opset 19, an LPPool with one
/// or with ceil_mode 18.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "../nn/layers/global_pool.hpp"
#include "../nn/layers/pool.hpp"
#include "../nn/layers/upsample.hpp"
#include "node_writer.hpp"

namespace amct_distill::onnx {

namespace detail {

/// `newer`: the opset from which the operator has dilations and ceil_mode, as far as those are not given.
template <class Options>
AttributeList pool_attributes(const Options& o, NodeWriter& w, std::int64_t dilations_since,
                              std::int64_t ceil_mode_since) {
    auto const list = [](const auto& values) {
        return std::vector<std::int64_t>(values.begin(), values.end());
    };
    std::vector<std::int64_t> pads = list(o.padding);
    pads.insert(pads.end(), o.end_padding.begin(), o.end_padding.end());
    AttributeList out{attribute("kernel_shape", list(o.kernel)), attribute("pads", std::move(pads)),
                      attribute("strides", list(o.stride))};
    if (std::ranges::any_of(o.dilation, [](nn::Index d) { return d != 1; })) {
        w.needs_opset(dilations_since);
        out.push_back(attribute("dilations", list(o.dilation)));
    }
    if (o.ceil_mode) {
        w.needs_opset(ceil_mode_since);
        out.push_back(attribute("ceil_mode", 1));
    }
    return out;
}

}  // namespace detail

template <std::size_t D>
void write_onnx(const nn::BasicMaxPool<float, D>& m, NodeWriter& w) {
    w.last("MaxPool", {w.input(0)}, detail::pool_attributes(m.options(), w, 13, 13));
}
template <std::size_t D>
void write_onnx(const nn::BasicAvgPool<float, D>& m, NodeWriter& w) {
    AttributeList attributes = detail::pool_attributes(m.options(), w, 19, 13);
    attributes.push_back(attribute("count_include_pad", m.options().count_include_pad ? 1 : 0));
    w.last("AveragePool", {w.input(0)}, std::move(attributes));
}
template <std::size_t D>
void write_onnx(const nn::BasicLPPool<float, D>& m, NodeWriter& w) {
    AttributeList attributes = detail::pool_attributes(m.options(), w, 18, 18);
    attributes.push_back(attribute("p", m.options().norm));
    w.last("LpPool", {w.input(0)}, std::move(attributes));
}
template <std::size_t D>
void write_onnx(const nn::BasicGlobalAveragePool<float, D>&, NodeWriter& w) {
    w.last("GlobalAveragePool", {w.input(0)});
}
template <std::size_t D>
void write_onnx(const nn::BasicGlobalMaxPool<float, D>&, NodeWriter& w) {
    w.last("GlobalMaxPool", {w.input(0)});
}
template <std::size_t D>
void write_onnx(const nn::BasicGlobalLpPool<float, D>& m, NodeWriter& w) {
    w.last("GlobalLpPool", {w.input(0)}, {attribute("p", m.options().norm)});
}

namespace detail {

/// Where the batch is free, the sizes are computed from it.
inline std::string_view resize_sizes(NodeWriter& w) {
    const nn::Shape& out = w.output_shape();
    if (out[0] != nn::any_batch) return w.integers("sizes", {out.begin(), out.end()});
    std::string_view const shape = w.step("Shape", {w.input(0)});
    std::string_view const batch =
        w.step("Gather", {shape, w.integers("batch", {0})}, {attribute("axis", 0)});
    return w.step("Concat", {batch, w.integers("sizes", {out.begin() + 1, out.end()})},
                  {attribute("axis", 0)});
}

}  // namespace detail

inline void write_onnx(const nn::Upsample& m, NodeWriter& w) {
    static constexpr std::array modes{"nearest", "linear", "cubic"};
    static constexpr std::array coordinates{"half_pixel",           "asymmetric",
                                            "align_corners",        "pytorch_half_pixel",
                                            "tf_half_pixel_for_nn", "half_pixel_symmetric"};
    static constexpr std::array nearest{"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
    const nn::UpsampleOptions& o = m.options();
    if (o.coordinates == nn::ResizeCoordinates::half_pixel_symmetric) w.needs_opset(19);
    AttributeList attributes{
        attribute("coordinate_transformation_mode", coordinates[static_cast<std::size_t>(o.coordinates)]),
        attribute("mode", modes[static_cast<std::size_t>(o.mode)])};
    if (o.mode == nn::ResizeMode::nearest)
        attributes.push_back(attribute("nearest_mode", nearest[static_cast<std::size_t>(o.nearest)]));
    if (o.mode == nn::ResizeMode::cubic) {
        attributes.push_back(attribute("cubic_coeff_a", o.cubic_coefficient));
        attributes.push_back(attribute("exclude_outside", o.exclude_outside ? 1 : 0));
    }
    std::vector<std::string_view> reads{w.input(0), ""};
    if (o.sizes.empty()) {
        reads.push_back(w.values("scales", {static_cast<std::int64_t>(o.scales.size())}, o.scales));
    } else {
        reads.push_back("");
        reads.push_back(detail::resize_sizes(w));
    }
    w.last("Resize", std::move(reads), std::move(attributes));
}

}  // namespace amct_distill::onnx
