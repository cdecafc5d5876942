// SPDX-License-Identifier: Apache-2.0
/// Operators on known values, computed while a model is read: what constants.hpp calls.
///
///     onnx::Folding f(graph, node, inputs, opset, budget);      // inputs: a Value each, null where left out
///     f.run()                                             // whether the operator is one that is folded here
///     f.error();  f.outputs()                                   // what is wrong, or a Value each
///
/// Integers may depend on the batch (Size): so shape arithmetic is computed away while the batch stays free.
#pragma once
#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "fold_arithmetic.hpp"

namespace amct_distill::onnx {

class Folding : public FoldArithmetic {
public:
    using FoldArithmetic::FoldArithmetic;

    /// False: not an operator that is folded; nothing was done.
    bool run() {
        struct Entry {
            std::string_view op;
            void (Folding::*fold)();
        };
        static const std::array<Entry, 45> table{{
            {"Constant", &Folding::constant},
            {"ConstantOfShape", &Folding::constant_of_shape},
            {"Identity", &Folding::identity},
            {"Dropout", &Folding::identity},
            {"Cast", &Folding::cast},
            {"Transpose", &Folding::do_transpose},
            {"Reshape", &Folding::do_reshape},
            {"Flatten", &Folding::flatten},
            {"Squeeze", &Folding::squeeze},
            {"Unsqueeze", &Folding::unsqueeze},
            {"Concat", &Folding::concat},
            {"Gather", &Folding::do_gather},
            {"Slice", &Folding::do_slice},
            {"Expand", &Folding::expand},
            {"Tile", &Folding::tile},
            {"Range", &Folding::range},
            {"Where", &Folding::where},
            {"Not", &Folding::logical_not},
            {"Add", &Folding::binary<fold::Add>},
            {"Sub", &Folding::binary<fold::Subtract>},
            {"Mul", &Folding::binary<fold::Multiply>},
            {"Div", &Folding::binary<fold::Divide>},
            {"Mod", &Folding::binary<fold::Modulo>},
            {"Pow", &Folding::binary<fold::Power>},
            {"Min", &Folding::binary<fold::Minimum>},
            {"Max", &Folding::binary<fold::Maximum>},
            {"Equal", &Folding::compare<fold::IsEqual>},
            {"Less", &Folding::compare<fold::IsLess>},
            {"LessOrEqual", &Folding::compare<fold::IsAtMost>},
            {"Greater", &Folding::compare<fold::IsGreater>},
            {"GreaterOrEqual", &Folding::compare<fold::IsAtLeast>},
            {"And", &Folding::compare<fold::Both>},
            {"Or", &Folding::compare<fold::Either>},
            {"Neg", &Folding::unary<fold::Negative>},
            {"Abs", &Folding::unary<fold::Absolute>},
            {"Sqrt", &Folding::unary<fold::SquareRoot>},
            {"Reciprocal", &Folding::unary<fold::Inverse>},
            {"Exp", &Folding::unary<fold::Exponential>},
            {"Log", &Folding::unary<fold::Logarithm>},
            {"Floor", &Folding::unary<fold::Floor>},
            {"Ceil", &Folding::unary<fold::Ceiling>},
            {"ReduceSum", &Folding::reduce<fold::Add>},
            {"ReduceProd", &Folding::reduce<fold::Multiply>},
            {"ReduceMax", &Folding::reduce<fold::Maximum>},
            {"ReduceMin", &Folding::reduce<fold::Minimum>},
        }};
        if (!node_.is_standard()) return false;
        for (auto const& [op, fold] : table)
            if (op == node_.op()) {
                // What was expanded over the batch has one sample's values; few operators mean the same on
                // those.
                for (const Value* v : in_)
                    if (v != nullptr && v->is_over_batch() && op != "Identity" && op != "Cast") return false;
                (this->*fold)();
                if (error_.empty())
                    if (std::optional<std::string> wrong = attributes_.error()) error_ = *std::move(wrong);
                return true;
            }
        return false;
    }
};

}  // namespace amct_distill::onnx
