// SPDX-License-Identifier: Apache-2.0
/// Arithmetic of one tensor and numbers, in whatever order an exporter wrote it.
///
///     Expression e(context, x);
///     e.polynomial(t);                       // {0, k, 0, k * 0.044715}: t is k * (x + 0.044715 * x * x * x)
///     e.product(gate, 0.5);                  // the node that makes x * gate * 0.5 of them, or `none`
///     e.nodes                                // all that were passed on the way
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "../pattern.hpp"

namespace amct_distill::onnx::detail {

/// Coefficients of 1, x, x^2, x^3.
using Polynomial = std::array<double, 4>;

/// Numbers in a model are rounded to floats.
inline bool is_about(double a, double b) { return std::abs(a - b) <= 1e-6 * std::abs(b); }
inline bool is_about(const Polynomial& a, const Polynomial& b) {
    for (std::size_t i = 0; i != a.size(); ++i)
        if (!is_about(a[i], b[i])) return false;
    return true;
}

/// A number of at most one dimension: more could give a result more than the other operand has.
inline std::optional<double> number_of(const PatternContext& context, TensorId t) {
    std::optional<std::size_t> const rank = context.is_constant(t) ? context.rank(t) : std::nullopt;
    std::optional<float> const n = rank && *rank <= 1 ? context.number(t) : std::nullopt;
    return n ? std::optional(double(*n)) : std::nullopt;
}

class Expression {
public:
    Expression(const PatternContext& context, TensorId x) : context_(&context), x_(x) {}

    std::vector<NodeId> nodes{};

    /// A tensor as a polynomial of x, where it is one of degree 3 at most.
    std::optional<Polynomial> polynomial(TensorId t) {
        if (t == x_) return Polynomial{0, 1, 0, 0};
        if (std::optional<double> const n = number_of(*context_, t)) return Polynomial{*n, 0, 0, 0};
        NodeId const n = context_->producer(t);
        if (n == none || context_->inputs(n) != 2 || budget_ == 0) return std::nullopt;
        --budget_;
        bool const sum = context_->is(n, "Add") || context_->is(n, "Sub");
        if (!sum && !context_->is(n, "Mul") && !context_->is(n, "Div") && !context_->is(n, "Pow"))
            return std::nullopt;
        std::optional<Polynomial> const a = polynomial(context_->input(n, 0));
        std::optional<Polynomial> const b = a ? polynomial(context_->input(n, 1)) : std::nullopt;
        if (!b) return std::nullopt;
        add(n);
        Polynomial out{};
        if (sum) {
            double const sign = context_->is(n, "Sub") ? -1 : 1;
            for (std::size_t i = 0; i != out.size(); ++i) out[i] = (*a)[i] + sign * (*b)[i];
            return out;
        }
        if (context_->is(n, "Mul")) return times(*a, *b);
        if ((*b)[1] != 0 || (*b)[2] != 0 || (*b)[3] != 0) return std::nullopt;
        double const by = (*b)[0];
        if (context_->is(n, "Div")) {
            for (std::size_t i = 0; i != out.size(); ++i) out[i] = (*a)[i] / by;
            return out;
        }
        if (by != 2 && by != 3) return std::nullopt;
        std::optional<Polynomial> const square = times(*a, *a);
        return by == 2 || !square ? square : times(*square, *a);
    }

    /// Follows Mul and Div from `gate` on, until x * gate * factor has been made.
    NodeId product(TensorId gate, double factor) {
        double scale = 1;
        bool has_x = false;
        for (int steps = 0; steps != 4; ++steps) {
            NodeId const n = context_->only_reader(gate);
            TensorId const other = n == none ? none : context_->other_input(n, gate);
            if (other == none) return none;
            if (context_->is(n, "Mul")) {
                std::optional<Polynomial> const p = polynomial(other);
                if (!p || (*p)[2] != 0 || (*p)[3] != 0) return none;
                if ((*p)[0] == 0 && !has_x) {
                    has_x = true;
                    scale *= (*p)[1];
                } else if ((*p)[1] == 0) {
                    scale *= (*p)[0];
                } else {
                    return none;
                }
            } else if (std::optional<double> const by = number_of(*context_, other);
                       by && context_->is(n, "Div") && context_->input(n, 0) == gate) {
                scale /= *by;
            } else {
                return none;
            }
            add(n);
            if (has_x && is_about(scale, factor)) return n;
            gate = context_->output(n);
        }
        return none;
    }

    void add(NodeId n) {
        if (std::find(nodes.begin(), nodes.end(), n) == nodes.end()) nodes.push_back(n);
    }
    /// All that were passed make one module, whose result `last` gives.
    Match match(NodeId last, std::function<void(Operation&)> convert) && {
        nodes.erase(std::remove(nodes.begin(), nodes.end(), last), nodes.end());
        std::sort(nodes.begin(), nodes.end());
        nodes.push_back(last);
        return {std::move(nodes), {x_}, std::move(convert)};
    }

private:
    static std::optional<Polynomial> times(const Polynomial& a, const Polynomial& b) {
        Polynomial out{};
        for (std::size_t i = 0; i != a.size(); ++i)
            for (std::size_t j = 0; j != b.size(); ++j) {
                if (a[i] == 0 || b[j] == 0) continue;
                if (i + j >= out.size()) return std::nullopt;
                out[i + j] += a[i] * b[j];
            }
        return out;
    }

    const PatternContext* context_;
    TensorId x_;
    int budget_ = 16;
};

/// What the x of an expression might be: what it is computed of, the nearest first, 8 at most.
inline std::vector<TensorId> sources_of(const PatternContext& context, TensorId t) {
    std::vector<TensorId> found{t};
    for (std::size_t i = 0; i != found.size() && found.size() < 8; ++i) {
        NodeId const n = context.producer(found[i]);
        if (n == none || context.inputs(n) != 2) continue;
        for (std::size_t k : {0u, 1u}) {
            TensorId const input = context.input(n, k);
            if (input != none && !context.is_constant(input) &&
                std::find(found.begin(), found.end(), input) == found.end())
                found.push_back(input);
        }
    }
    return found;
}

}  // namespace amct_distill::onnx::detail
