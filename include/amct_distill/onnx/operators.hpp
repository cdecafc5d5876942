// SPDX-License-Identifier: Apache-2.0
/// Every operator and pattern that can be imported, in one place: the families of operators/ and patterns/.
#pragma once
#include <array>
#include <span>

#include "operation.hpp"
#include "operators/activations.hpp"
#include "operators/arithmetic.hpp"
#include "operators/convolution.hpp"
#include "operators/einsum.hpp"
#include "operators/linear.hpp"
#include "operators/moves.hpp"
#include "operators/normalization.hpp"
#include "operators/pooling.hpp"
#include "operators/reduce.hpp"
#include "operators/resize.hpp"
#include "operators/structure.hpp"
#include "pattern.hpp"
#include "patterns/activations.hpp"
#include "patterns/layer_norm.hpp"
#include "patterns/linear.hpp"
#include "patterns/scaled_convolution.hpp"

namespace amct_distill::onnx::detail {

inline constexpr std::array operator_families{
    std::span<const OperatorRule>(activation_rules),    std::span<const OperatorRule>(arithmetic_rules),
    std::span<const OperatorRule>(convolution_rules),   std::span<const OperatorRule>(linear_rules),
    std::span<const OperatorRule>(einsum_rules),        std::span<const OperatorRule>(move_rules),
    std::span<const OperatorRule>(normalization_rules), std::span<const OperatorRule>(pooling_rules),
    std::span<const OperatorRule>(reduce_rules),        std::span<const OperatorRule>(resize_rules),
    std::span<const OperatorRule>(structure_rules),
};

/// Null: not an operator that is known.
inline const OperatorRule* rule_of(std::string_view op) {
    for (std::span<const OperatorRule> family : operator_families)
        for (const OperatorRule& rule : family)
            if (rule.op == op) return &rule;
    return nullptr;
}

/// The first that matches at a node.
inline std::optional<Match> match_at(const PatternContext& context, NodeId first) {
    constexpr std::array<Pattern, 8> patterns{
        match_silu,     match_mish,   match_hardswish,          match_gelu,
        match_softsign, match_linear, match_scaled_convolution, match_layer_norm};
    for (Pattern pattern : patterns)
        if (std::optional<Match> found = pattern(context, first)) return found;
    return std::nullopt;
}

/// Why an operator is not imported, and what would help.
inline std::string refusal(const GraphNode& node) {
    using amct_distill::detail::concat;
    std::string_view const op = node.op();
    auto const one_of = [op](auto... names) { return ((op == names) || ...); };
    if (!node.is_standard()) {
        if (node.proto->domain.get() == "com.microsoft" || node.proto->domain.get() == "com.microsoft.nchwc")
            return "an operator of ONNX Runtime's own, which its optimizer writes; give the model as "
                   "exported";
        return concat("an operator of the domain `", node.proto->domain.get(),
                      "`; only ONNX's own operators are known");
    }
    if (one_of("If", "Loop", "Scan", "SequenceMap"))
        return "control flow is not supported; export one path, such as torch.jit.trace gives";
    if (one_of("LSTM", "GRU", "RNN"))
        return "recurrent operators are not supported; quantize the parts before and after it as models of "
               "their own";
    if (one_of("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul",
               "ConvInteger", "MatMulInteger"))
        return "the model is quantized already; give the float model";
    if (one_of("NonZero", "TopK", "Unique", "NonMaxSuppression", "Compress", "ArgMax", "ArgMin"))
        return "its result is indices or has a shape that depends on the data; cut the model before it";
    return "the operator is not supported; cut the model before it, or write it by the supported ones";
}

}  // namespace amct_distill::onnx::detail
