// SPDX-License-Identifier: Apache-2.0
/// How activations are written as ONNX: Hardswish needs opset 14, Mish 18; GELU and SiLU are spelled out as
/// PyTorch does, and read back as one module.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "../nn/layers/activation.hpp"
#include "../nn/layers/clamp.hpp"
#include "../nn/layers/prelu.hpp"
#include "../nn/layers/smooth_activation.hpp"
#include "../nn/layers/softmax.hpp"
#include "export_structure.hpp"
#include "node_writer.hpp"

namespace amct_distill::onnx {

inline void write_onnx(const nn::ReLU&, NodeWriter& w) { w.last("Relu", {w.input(0)}); }
inline void write_onnx(const nn::LeakyReLU& m, NodeWriter& w) {
    w.last("LeakyRelu", {w.input(0)}, {attribute("alpha", m.options().negative_slope)});
}
/// The slopes are [C] in the network; ONNX broadcasts from the last dimension.
inline void write_onnx(const nn::PReLU& m, NodeWriter& w) {
    std::size_t const rank = w.shape(0).size();
    std::string_view slope = w.parameter("weight");
    if (m.options().num_parameters != 1 && rank > 2) {
        std::vector<std::int64_t> axes;
        for (std::size_t d = 2; d != rank; ++d) axes.push_back(static_cast<std::int64_t>(d) - 1);
        slope = w.shared_step("Unsqueeze", {slope, w.integers("axes", std::move(axes))});
    }
    w.last("PRelu", {w.input(0), slope});
}

inline void write_onnx(const nn::Sigmoid&, NodeWriter& w) { w.last("Sigmoid", {w.input(0)}); }
inline void write_onnx(const nn::Tanh&, NodeWriter& w) { w.last("Tanh", {w.input(0)}); }
inline void write_onnx(const nn::Hardtanh& m, NodeWriter& w) {
    w.last("Clip", {w.input(0), w.scalar("min", m.options().min_val), w.scalar("max", m.options().max_val)});
}
inline void write_onnx(const nn::ReLU6&, NodeWriter& w) {
    w.last("Clip", {w.input(0), w.scalar("min", 0), w.scalar("max", 6)});
}
inline void write_onnx(const nn::Hardsigmoid& m, NodeWriter& w) {
    w.last("HardSigmoid", {w.input(0)},
           {attribute("alpha", m.options().alpha), attribute("beta", m.options().beta)});
}
inline void write_onnx(const nn::Hardswish&, NodeWriter& w) {
    w.needs_opset(14);
    w.last("HardSwish", {w.input(0)});
}
inline void write_onnx(const nn::Threshold& m, NodeWriter& w) {
    if (m.options().value == 0)
        return w.last("ThresholdedRelu", {w.input(0)}, {attribute("alpha", m.options().threshold)});
    std::string_view const above =
        w.step("Greater", {w.input(0), w.scalar("threshold", m.options().threshold)});
    w.last("Where", {above, w.input(0), w.scalar("value", m.options().value)});
}
inline void write_onnx(const nn::Shrink& m, NodeWriter& w) {
    w.last("Shrink", {w.input(0)},
           {attribute("bias", m.options().bias), attribute("lambd", m.options().lambd)});
}

inline void write_onnx(const nn::SiLU&, NodeWriter& w) {
    w.last("Mul", {w.input(0), w.step("Sigmoid", {w.input(0)})});
}
inline void write_onnx(const nn::Mish&, NodeWriter& w) {
    w.needs_opset(18);
    w.last("Mish", {w.input(0)});
}
inline void write_onnx(const nn::GELU& m, NodeWriter& w) {
    bool const by_tanh = m.options().approximate == "tanh";
    std::string_view const x = w.input(0);
    if (w.opset() >= 20) return w.last("Gelu", {x}, {attribute("approximate", by_tanh ? "tanh" : "none")});
    std::string_view bend;
    if (by_tanh) {
        std::string_view const cube = w.step("Pow", {x, w.scalar("three", 3)});
        std::string_view const part = w.step("Mul", {w.scalar("cubic", 0.044715), cube});
        std::string_view const sum = w.step("Add", {x, part});
        bend = w.step("Tanh", {w.step("Mul", {w.scalar("slope", 0.7978845608028654), sum})});
    } else {
        bend = w.step("Erf", {w.step("Div", {x, w.scalar("root", 1.4142135623730951)})});
    }
    std::string_view const one_more = w.step("Add", {bend, w.scalar("one", 1)});
    w.last("Mul", {w.step("Mul", {x, one_more}), w.scalar("half", 0.5)});
}
inline void write_onnx(const nn::ELU& m, NodeWriter& w) {
    w.last("Elu", {w.input(0)}, {attribute("alpha", m.options().alpha)});
}
inline void write_onnx(const nn::SELU& m, NodeWriter& w) {
    w.last("Selu", {w.input(0)},
           {attribute("alpha", m.options().alpha), attribute("gamma", m.options().gamma)});
}
inline void write_onnx(const nn::CELU& m, NodeWriter& w) {
    w.last("Celu", {w.input(0)}, {attribute("alpha", m.options().alpha)});
}
/// Above 15 Softplus is the identity in float, with a threshold or without.
inline void write_onnx(const nn::Softplus& m, NodeWriter& w) {
    if (m.options().threshold < 15)
        return w.fail("ONNX's Softplus has no threshold; give it one of 15 or more, as torch.nn's 20");
    if (m.options().beta == 1) return w.last("Softplus", {w.input(0)});
    std::string_view const beta = w.scalar("beta", m.options().beta);
    w.last("Div", {w.step("Softplus", {w.step("Mul", {w.input(0), beta})}), beta});
}
inline void write_onnx(const nn::Softsign&, NodeWriter& w) { w.last("Softsign", {w.input(0)}); }

namespace detail {

/// Along several dimensions at once: those are made one, and again what they were.
inline void write_along(std::string_view op, const nn::SoftmaxOptions& o, NodeWriter& w) {
    const nn::Shape& shape = w.shape(0);
    auto const first = static_cast<std::size_t>(o.dim);
    if (!o.to_end || first + 1 == shape.size()) return w.last(op, {w.input(0)}, {attribute("axis", o.dim)});
    nn::Shape flat(shape.begin(), shape.begin() + o.dim);
    flat.push_back(nn::product(shape, first, shape.size()));
    std::string_view const x = w.step("Reshape", {w.input(0), w.integers("flat", target(flat))});
    std::string_view const y = w.step(op, {x}, {attribute("axis", o.dim)});
    w.last("Reshape", {y, w.integers("shape", target(shape))});
}

}  // namespace detail

inline void write_onnx(const nn::Softmax& m, NodeWriter& w) {
    detail::write_along("Softmax", m.options(), w);
}
inline void write_onnx(const nn::LogSoftmax& m, NodeWriter& w) {
    detail::write_along("LogSoftmax", m.options(), w);
}

}  // namespace amct_distill::onnx
