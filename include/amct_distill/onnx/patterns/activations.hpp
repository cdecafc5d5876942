// SPDX-License-Identifier: Apache-2.0
/// Activations that exporters spell out, each found at its characteristic operator:
///
///     SiLU        x * Sigmoid(x)
///     Mish        x * Tanh(Softplus(x)), also with Softplus as Log(Exp(x) + 1)
///     Hardswish   x * Clip(x + 3, 0, 6) / 6, in any order; x * HardSigmoid(x) of alpha 1/6 and beta 1/2
///     Softsign    x / (1 + |x|)
///     GELU        x / 2 * (1 + Erf(x / sqrt(2))), and x / 2 * (1 + Tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))
#pragma once
#include <array>
#include <cmath>
#include <numbers>
#include <optional>

#include "../../nn/layers/clamp.hpp"
#include "../../nn/layers/smooth_activation.hpp"
#include "expression.hpp"

namespace amct_distill::onnx::detail {

/// Adds the module; what the operators' attributes say has been looked at.
template <class Module>
void add_spelled_out(Operation& o, const Module& module) {
    for (std::string_view name : {"alpha", "beta", "min", "max", "axis", "broadcast", "consumed_inputs"})
        o.attributes().ignore(name);
    o.add(module, {0});
}

inline std::optional<Match> match_silu(const PatternContext& c, NodeId gate) {
    if (!c.is(gate, "Sigmoid")) return std::nullopt;
    Expression e(c, c.input(gate, 0));
    NodeId const last = e.product(c.output(gate), 1);
    if (last == none) return std::nullopt;
    e.add(gate);
    return std::move(e).match(last, [](Operation& o) { add_spelled_out(o, nn::SiLU{}); });
}

inline std::optional<Match> match_mish(const PatternContext& c, NodeId gate) {
    if (!c.is(gate, "Tanh")) return std::nullopt;
    std::array<NodeId, 3> inner{c.producer(c.input(gate, 0)), none, none};
    TensorId x = none;
    if (c.is(inner[0], "Softplus")) {
        x = c.input(inner[0], 0);
    } else if (c.is(inner[0], "Log")) {
        TensorId const sum = c.input(inner[0], 0);
        inner[1] = c.producer(sum);
        if (!c.is(inner[1], "Add")) return std::nullopt;
        for (std::size_t k : {0u, 1u})
            if (number_of(c, c.input(inner[1], 1 - k)) == 1.0) inner[2] = c.producer(c.input(inner[1], k));
        if (c.is(inner[2], "Exp")) x = c.input(inner[2], 0);
    }
    if (x == none) return std::nullopt;
    Expression e(c, x);
    NodeId const last = e.product(c.output(gate), 1);
    if (last == none) return std::nullopt;
    e.add(gate);
    for (NodeId n : inner)
        if (n != none) e.add(n);
    return std::move(e).match(last, [](Operation& o) { add_spelled_out(o, nn::Mish{}); });
}

inline std::optional<Match> match_softsign(const PatternContext& c, NodeId first) {
    if (!c.is(first, "Abs")) return std::nullopt;
    NodeId const sum = c.only_reader(c.output(first));
    if (!c.is(sum, "Add") || number_of(c, c.other_input(sum, c.output(first))) != 1.0) return std::nullopt;
    NodeId const last = c.only_reader(c.output(sum));
    TensorId const x = c.input(first, 0);
    if (!c.is(last, "Div") || c.input(last, 0) != x || c.input(last, 1) != c.output(sum)) return std::nullopt;
    return Match{{first, sum, last}, {x}, [](Operation& o) { add_spelled_out(o, nn::Softsign{}); }};
}

/// What is clipped to [0, 6]: by Clip, or by Min of Relu and 6. Adds the nodes.
inline TensorId clipped_to_6(const PatternContext& c, NodeId n, Expression& e) {
    if (c.is(n, "Clip")) {
        Attributes a(*c.graph().node(n).proto);
        bool const fits = c.opset() < 11
                              ? a.has("min") && a.has("max") && a.real("min", 1) == 0 && a.real("max", 0) == 6
                              : number_of(c, c.input(n, 1)) == 0.0 && number_of(c, c.input(n, 2)) == 6.0;
        return fits ? e.add(n), c.input(n, 0) : none;
    }
    if (!c.is(n, "Min") || c.inputs(n) != 2) return none;
    for (std::size_t k : {0u, 1u}) {
        NodeId const relu = c.producer(c.input(n, k));
        if (!c.is(relu, "Relu") || number_of(c, c.input(n, 1 - k)) != 6.0) continue;
        e.add(n);
        e.add(relu);
        return c.input(relu, 0);
    }
    return none;
}
inline std::optional<Match> match_hardswish(const PatternContext& c, NodeId gate) {
    auto const convert = [](Operation& o) { add_spelled_out(o, nn::Hardswish{}); };
    if (c.is(gate, "HardSigmoid")) {
        Attributes a(*c.graph().node(gate).proto);
        if (!is_about(double(a.real("alpha", 0.2f)), 1.0 / 6) || a.real("beta", 0.5f) != 0.5f)
            return std::nullopt;
        Expression e(c, c.input(gate, 0));
        NodeId const last = e.product(c.output(gate), 1);
        if (last == none) return std::nullopt;
        e.add(gate);
        return std::move(e).match(last, convert);
    }
    Expression clip(c, none);
    TensorId const shifted = clipped_to_6(c, gate, clip);
    if (shifted == none) return std::nullopt;
    for (TensorId x : sources_of(c, shifted)) {
        Expression e(c, x);
        std::optional<Polynomial> const p = e.polynomial(shifted);
        if (!p || !is_about(*p, {3, 1, 0, 0})) continue;
        NodeId const last = e.product(c.output(gate), 1.0 / 6);
        if (last == none) continue;
        for (NodeId n : clip.nodes) e.add(n);
        return std::move(e).match(last, convert);
    }
    return std::nullopt;
}

inline std::optional<Match> match_gelu(const PatternContext& c, NodeId gate) {
    bool const tanh = c.is(gate, "Tanh");
    if (!tanh && !c.is(gate, "Erf")) return std::nullopt;
    double const k = std::numbers::sqrt2 * std::numbers::inv_sqrtpi;  // sqrt(2 / pi)
    Polynomial const inner =
        tanh ? Polynomial{0, k, 0, k * 0.044715} : Polynomial{0, std::numbers::sqrt2 / 2, 0, 0};
    NodeId const plus_one = c.only_reader(c.output(gate));
    if (!c.is(plus_one, "Add") || number_of(c, c.other_input(plus_one, c.output(gate))) != 1.0)
        return std::nullopt;
    for (TensorId x : sources_of(c, c.input(gate, 0))) {
        Expression e(c, x);
        std::optional<Polynomial> const p = e.polynomial(c.input(gate, 0));
        if (!p || !is_about(*p, inner)) continue;
        NodeId const last = e.product(c.output(plus_one), 0.5);
        if (last == none) continue;
        e.add(gate);
        e.add(plus_one);
        return std::move(e).match(last, [tanh](Operation& o) {
            add_spelled_out(o, nn::GELU({.approximate = tanh ? "tanh" : "none"}));
        });
    }
    return std::nullopt;
}

}  // namespace amct_distill::onnx::detail
