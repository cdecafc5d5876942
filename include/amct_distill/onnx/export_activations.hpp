// SPDX-License-Identifier: Apache-2.0
/// How activations are written as ONNX.
#pragma once
#include "../nn/layers/activation.hpp"
#include "node_writer.hpp"

namespace amct_distill::onnx {

inline void write_onnx(const nn::ReLU&, NodeWriter& w) { w.last("Relu", {w.input(0)}); }
inline void write_onnx(const nn::LeakyReLU& m, NodeWriter& w) {
    w.last("LeakyRelu", {w.input(0)}, {attribute("alpha", m.options().negative_slope)});
}
inline void write_onnx(const nn::Sigmoid&, NodeWriter& w) { w.last("Sigmoid", {w.input(0)}); }
inline void write_onnx(const nn::Tanh&, NodeWriter& w) { w.last("Tanh", {w.input(0)}); }
inline void write_onnx(const nn::Softmax& m, NodeWriter& w) {
    w.last("Softmax", {w.input(0)}, {attribute("axis", m.options().dim)});
}

}  // namespace amct_distill::onnx
