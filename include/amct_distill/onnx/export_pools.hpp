// SPDX-License-Identifier: Apache-2.0
/// How pooling is written as ONNX.
#pragma once
#include "../nn/layers/pool.hpp"
#include "export_weighted.hpp"
#include "node_writer.hpp"

namespace amct_distill::onnx {

namespace detail {

inline AttributeList pool_attributes(const nn::PoolOptions& o) {
    return {attribute("kernel_shape", sizes(o.kernel)),
            attribute("pads", both_ends(sizes(o.padding), sizes(o.padding))),
            attribute("strides", sizes(o.stride))};
}

}  // namespace detail

inline void write_onnx(const nn::MaxPool2d& m, NodeWriter& w) {
    w.last("MaxPool", {w.input(0)}, detail::pool_attributes(m.options()));
}
inline void write_onnx(const nn::AvgPool2d& m, NodeWriter& w) {
    AttributeList attributes = detail::pool_attributes(m.options());
    attributes.push_back(attribute("count_include_pad", 1));
    w.last("AveragePool", {w.input(0)}, std::move(attributes));
}
inline void write_onnx(const nn::GlobalAveragePool&, NodeWriter& w) {
    w.last("GlobalAveragePool", {w.input(0)});
}

}  // namespace amct_distill::onnx
