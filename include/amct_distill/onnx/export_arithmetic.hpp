// SPDX-License-Identifier: Apache-2.0
/// How arithmetic is written as ONNX. Operators of any number of inputs that ONNX has for two become a chain.
#pragma once
#include <cstddef>
#include <string_view>

#include "../nn/layers/structure.hpp"
#include "node_writer.hpp"

namespace amct_distill::onnx {

namespace detail {

inline void write_chain(std::string_view op, NodeWriter& w) {
    std::string_view sum = w.input(0);
    for (std::size_t i = 1; i + 1 < w.inputs(); ++i) sum = w.step(op, {sum, w.input(i)});
    w.last(op, {sum, w.input(w.inputs() - 1)});
}

}  // namespace detail

inline void write_onnx(const nn::Add&, NodeWriter& w) { detail::write_chain("Add", w); }

}  // namespace amct_distill::onnx
