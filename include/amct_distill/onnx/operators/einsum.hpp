// SPDX-License-Identifier: Apache-2.0
/// ONNX's Einsum of one or two tensors: sums, a matrix product, and moves before and after it.
///
///     bhid,bhjd->bhij        // Transpose of the second, MatMul
///     nd,de->ne              // MatMul
///     ij->ji                 // Transpose
///
/// Refused: more tensors, diagonals (ii), `...`.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../nn/layers/matmul.hpp"
#include "../../nn/layers/reduce.hpp"
#include "../../nn/layers/reshape.hpp"
#include "../../nn/layers/transpose.hpp"
#include "../operation.hpp"

namespace amct_distill::onnx::detail {

/// A tensor of the network whose dimensions have letters.
struct EinsumTerm {
    amct_distill::NodeId node{};
    std::string letters{};
};

class Einsum {
public:
    explicit Einsum(Operation& o) : o_(o) {}

    void convert() {
        std::string_view const given = o_.attributes().text("equation");
        if (given.size() > 4 * longest_list) return refuse(std::string(given.substr(0, 40)) + " ...");
        std::string equation(given);
        std::erase(equation, ' ');
        std::size_t const arrow = equation.find("->");
        std::vector<std::string> terms(1);
        for (char c : equation.substr(0, arrow))
            c == ',' ? void(terms.emplace_back()) : void(terms.back() += c);
        std::string const all = std::accumulate(terms.begin(), terms.end(), std::string());
        std::string out = arrow == equation.npos ? once(all) : equation.substr(arrow + 2);
        if (terms.size() > 2 || terms.size() != o_.inputs()) return refuse(equation);
        for (const std::string& term : terms)
            if (!are_letters(term)) return refuse(equation);
        if (!are_letters(out) || out.find_first_not_of(all) != out.npos) return refuse(equation);

        std::vector<EinsumTerm> read;
        for (std::size_t i = 0; i != terms.size(); ++i) {
            nn::Shape const shape = o_.shape(i);
            if (o_.failed()) return;
            if (o_.model_shape(i).size() != terms[i].size())
                return o_.fail(
                    amct_distill::detail::concat("`", equation, "` does not fit its inputs' dimensions"));
            read.push_back({o_.value(i), terms[i]});
            for (std::size_t d = 0; d != terms[i].size(); ++d) {
                nn::Index const known = sizes_.emplace(terms[i][d], shape[d]).first->second;
                if (known != shape[d])
                    return o_.fail(amct_distill::detail::concat("`", equation, "`: the letter ", terms[i][d],
                                                                " has the sizes ", known, " and ", shape[d]));
            }
        }
        EinsumTerm result = read[0];
        if (read.size() == 1) {
            result = summed(read[0], out);
        } else {
            result = product(read[0], read[1], out);
        }
        result = ordered(result, out);
        if (o_.failed()) return;
        o_.result_is_scalar(out.empty());
        o_.result_is(result.node);
    }

private:
    void refuse(const std::string& equation) {
        o_.fail(
            amct_distill::detail::concat("`", equation,
                                         "`; expected one or two tensors whose letters differ; write it by "
                                         "MatMul, Transpose and ReduceSum"));
    }
    static bool are_letters(std::string text) {
        std::sort(text.begin(), text.end());
        return std::ranges::all_of(text,
                                   [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }) &&
               std::adjacent_find(text.begin(), text.end()) == text.end();
    }
    /// Without an arrow: the letters that stand once, in their order in the alphabet.
    static std::string once(std::string text) {
        std::string out;
        for (char c : text)
            if (std::ranges::count(text, c) == 1) out += c;
        std::sort(out.begin(), out.end());
        return out;
    }
    static bool has(std::string_view text, char c) { return text.find(c) != text.npos; }

    nn::Shape shape_of(std::string_view letters) const {
        nn::Shape shape;
        for (char c : letters) shape.push_back(sizes_.at(c));
        return shape;
    }
    nn::Index product_of(std::string_view letters) const {
        nn::Shape const shape = shape_of(letters);
        return nn::product(shape, 0, shape.size());
    }

    amct_distill::NodeId reshaped(amct_distill::NodeId id, const nn::Shape& from, nn::Shape to) {
        if (to.empty()) to = {1};
        if (o_.failed() || from == to) return id;
        if (to[0] == nn::any_batch)
            return o_.step("Reshape", nn::Reshape(nn::Shape(to.begin() + 1, to.end())), {id});
        return o_.step("Reshape", nn::Reshape::whole(std::move(to)), {id});
    }
    EinsumTerm ordered(const EinsumTerm& term, std::string_view letters) {
        if (o_.failed() || term.letters == letters) return term;
        nn::Shape permutation;
        for (char c : letters) permutation.push_back(static_cast<nn::Index>(term.letters.find(c)));
        return {o_.step("Transpose", nn::Transpose(std::move(permutation)), {term.node}),
                std::string(letters)};
    }
    /// Without the letters that are in none of `keep`.
    EinsumTerm summed(const EinsumTerm& term, std::string_view keep) {
        nn::ReduceOptions options;
        options.keepdims = false;
        std::string left;
        for (std::size_t d = 0; d != term.letters.size(); ++d)
            if (has(keep, term.letters[d]))
                left += term.letters[d];
            else
                options.axes.push_back(static_cast<nn::Index>(d));
        if (o_.failed() || options.axes.empty()) return term;
        return {o_.step("ReduceSum", nn::ReduceSum(std::move(options)), {term.node}), std::move(left)};
    }
    EinsumTerm product(EinsumTerm a, EinsumTerm b, const std::string& out) {
        a = summed(a, b.letters + out);
        b = summed(b, a.letters + out);
        // What the batch counts is a row of the left factor.
        for (char c : b.letters)
            if (sizes_.at(c) == nn::any_batch && !has(a.letters, c)) std::swap(a, b);
        std::string both, left, inner, right;
        for (char c : out) (has(a.letters, c) ? has(b.letters, c) ? both : left : right) += c;
        for (char c : a.letters)
            if (!has(out, c)) inner += c;
        auto const counts_batch = [&](char c) { return sizes_.at(c) == nn::any_batch; };
        if (std::ranges::any_of(inner + right + (both.empty() ? "" : left), counts_batch))
            return o_.fail("it sums over the batch, or multiplies samples with each other"), a;
        for (std::string* part : {&both, &left})
            std::stable_partition(part->begin(), part->end(), counts_batch);
        a = ordered(a, both + left + inner);
        b = ordered(b, both + inner + right);
        if (o_.failed()) return a;
        // [both, left, inner] [both, inner, right]; without `both` the left dimensions may stay apart.
        nn::Shape from_a = shape_of(both), from_b = from_a;
        if (both.empty() && !left.empty())
            from_a = shape_of(left);
        else
            from_a.push_back(product_of(left));
        from_a.push_back(product_of(inner));
        from_b.push_back(product_of(inner));
        from_b.push_back(product_of(right));
        amct_distill::NodeId const x = reshaped(a.node, shape_of(a.letters), from_a),
                                   y = reshaped(b.node, shape_of(b.letters), from_b);
        if (o_.failed()) return a;
        nn::Shape made = from_a;
        made.back() = product_of(right);
        amct_distill::NodeId const z = o_.step("MatMul", nn::MatMul{}, {x, y});
        return {reshaped(z, made, shape_of(both + left + right)), both + left + right};
    }

    Operation& o_;
    std::map<char, nn::Index> sizes_{};
};

inline void convert_einsum(Operation& o) { Einsum(o).convert(); }

inline constexpr std::array einsum_rules{
    OperatorRule{"Einsum", convert_einsum},
};

}  // namespace amct_distill::onnx::detail
