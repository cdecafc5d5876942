// SPDX-License-Identifier: Apache-2.0
/// A convolution, and Mul and Add of constants with a value for each channel, or one for all: a convolution
/// with other weights. An Add alone is its bias.
///
/// PaddleOCR's detector has 28 of these, of an affine that was learned with each convolution; on a device
/// they would be folded as a BatchNorm is. A constant for all channels that is added without a Mul stays an
/// Add: it belongs to what follows (x + 3 of HardSigmoid).
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "../operators/convolution.hpp"
#include "../pattern.hpp"

namespace amct_distill::onnx::detail {

/// y * factor + shift, with the constants of two inputs, in double.
inline void scale_convolution(Operation& o, ConvolutionWeights& c, std::optional<std::size_t> factor,
                              std::optional<std::size_t> shift) {
    auto const channels = static_cast<std::size_t>(c.output_channels());
    auto const values = [&](std::optional<std::size_t> i, double otherwise) {
        std::vector<double> out(channels, otherwise);
        if (!i) return out;
        nn::Tensor const of = o.constant(*i);
        if (!o.failed())
            for (std::size_t k = 0; k != channels; ++k) out[k] = double(of[of.size() == 1 ? 0 : k]);
        return out;
    };
    std::vector<double> const factors = values(factor, 1), shifts = values(shift, 0);
    if (o.failed()) return;
    // A transposed one's weight is [in, out / groups, ...], in groups along `in`.
    auto const groups = static_cast<std::size_t>(c.groups);
    std::size_t const rows = static_cast<std::size_t>(c.weight.dim(0));
    std::size_t const cols = c.transposed ? static_cast<std::size_t>(c.weight.dim(1)) : 1;
    std::size_t const taps = c.weight.size() / (rows * cols);
    for (std::size_t i = 0; i != c.weight.size(); ++i) {
        std::size_t const row = i / taps / cols, col = i / taps % cols;
        std::size_t const channel = c.transposed ? row / (rows / groups) * cols + col : row;
        c.weight[i] = static_cast<float>(double(c.weight[i]) * factors[channel]);
    }
    if (c.bias.empty()) c.bias = nn::Tensor({static_cast<nn::Index>(channels)});
    for (std::size_t k = 0; k != channels; ++k)
        c.bias[k] = static_cast<float>(double(c.bias[k]) * factors[k] + shifts[k]);
}

inline std::optional<Match> match_scaled_convolution(const PatternContext& c, NodeId first) {
    bool const transposed = c.is(first, "ConvTranspose");
    if ((!transposed && !c.is(first, "Conv")) || c.opset() < 7) return std::nullopt;
    TensorId const bias = c.input(first, 2);
    std::optional<Extents> const weight = c.extents(c.input(first, 1));
    if (!weight || weight->size() < 3 || (bias != none && !c.is_constant(bias))) return std::nullopt;
    std::size_t const rank = weight->size();
    std::size_t channels = weight->front();
    if (transposed) {
        std::int64_t const groups = Attributes(*c.graph().node(first).proto).integer("group", 1);
        if (groups < 1 || groups > static_cast<std::int64_t>(channels)) return std::nullopt;
        channels = (*weight)[1] * static_cast<std::size_t>(groups);
    }
    // Of [1, C, 1, 1] or [C, 1, 1]; `or_one`: or a number.
    auto const fits = [&](TensorId t, bool or_one) {
        std::optional<Extents> const v = c.extents(t);
        if (!v || v->size() > rank) return false;
        if (count_of(*v) == 1) return or_one || channels == 1;
        std::size_t const at = v->size() + 1;  // of the channels, when it is rank - 1 or rank
        return at >= rank && count_of(*v) == channels && (*v)[at - rank] == channels;
    };
    Match match{{first}, {c.input(first, 0), c.input(first, 1), bias}, {}};
    TensorId made = c.output(first);
    std::optional<std::size_t> factor, shift;
    NodeId next = c.only_reader(made);
    if (c.is(next, "Mul") && fits(c.other_input(next, made), true)) {
        factor = match.inputs.size();
        match.inputs.push_back(c.other_input(next, made));
        match.nodes.push_back(next);
        made = c.output(next);
        next = c.only_reader(made);
    }
    if (c.is(next, "Add") && fits(c.other_input(next, made), factor.has_value())) {
        shift = match.inputs.size();
        match.inputs.push_back(c.other_input(next, made));
        match.nodes.push_back(next);
    }
    if (!factor && !shift) return std::nullopt;
    match.convert = [factor, shift](Operation& o) {
        ConvolutionWeights weights = convolution_weights(o);
        if (!o.failed()) scale_convolution(o, weights, factor, shift);
        if (!o.failed() && factor)
            o.note(
                "the constants that its result is multiplied by, and that are added, are folded into its "
                "weights");
        bool const own_bias = o.has(2);
        add_convolution(o, std::move(weights), own_bias ? 2 : shift);
    };
    return match;
}

}  // namespace amct_distill::onnx::detail
