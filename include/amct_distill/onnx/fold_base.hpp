// SPDX-License-Identifier: Apache-2.0
/// What all operators that are folded share: inputs, attributes, errors, and the values that they give.
///
///     class Mine : public onnx::FoldBase {
///         void neg() { if (const Value* v = needed(0)) give_moved(*v, ...); }
///     };
///
/// The first error counts; what is given after it is dropped with it.
#pragma once
#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "attributes.hpp"
#include "dense.hpp"
#include "graph_view.hpp"
#include "size.hpp"
#include "value.hpp"

namespace amct_distill::onnx {

class FoldBase {
public:
    /// `elements_left`: how many values folding may still make; a model of a few bytes can ask for any
    /// number.
    FoldBase(const GraphView& graph, NodeId node, std::vector<const Value*> inputs, std::int64_t opset,
             std::size_t& elements_left)
        : graph_(&graph),
          node_(graph.node(node)),
          in_(std::move(inputs)),
          attributes_(*node_.proto),
          opset_(opset),
          elements_left_(&elements_left) {}

    /// What is wrong; empty when nothing is.
    const std::string& error() const noexcept { return error_; }
    std::vector<Value>& outputs() noexcept { return out_; }

protected:
    [[gnu::cold, gnu::noinline]] void fail(std::string message) {
        if (error_.empty()) error_ = std::move(message);
    }
    [[gnu::cold, gnu::noinline]] void fail_on_batch() {
        fail(
            "its result is not known for every batch (or too large); give the batch as a number in the "
            "shapes");
    }
    const Value* input(std::size_t i) const { return i < in_.size() ? in_[i] : nullptr; }
    /// Input `i`, or an error.
    const Value* needed(std::size_t i) {
        if (input(i) == nullptr) fail(amct_distill::detail::concat("input ", i, " is missing"));
        return input(i);
    }
    /// Whether so many values may be made. Precondition: they do not depend on the batch.
    bool may_make(std::optional<Size> count) {
        if (!count) return fail_on_batch(), false;
        assert(count->is_fixed() && count->fixed >= 0);
        auto const n = static_cast<std::uint64_t>(count->fixed);
        if (n > *elements_left_)
            return fail(amct_distill::detail::concat("would make a constant of ", n,
                                                     " values, more than such a file "
                                                     "may ask for")),
                   false;
        *elements_left_ -= static_cast<std::size_t>(n);
        return true;
    }
    bool may_make(const Extents& shape) {
        std::vector<Size> sizes;
        for (std::size_t d : shape) sizes.push_back(static_cast<std::int64_t>(d));
        return may_make(product(sizes));
    }
    Dense<float> floats(const Value& v) {
        std::optional<std::vector<float>> data = v.floats();
        if (!data) fail_on_batch();
        return {v.extents(), data ? *std::move(data) : std::vector<float>(v.count())};
    }
    static Dense<Size> sizes(const Value& v) { return {v.extents(), *v.sizes()}; }
    void give(Value v) { out_.push_back(std::move(v)); }
    template <class T>
    void give(ElementType type, Dense<T> v) {
        if constexpr (std::is_same_v<T, float>)
            for (float& f : v.data) f = rounded_to(type, f);
        out_.emplace_back(type, std::move(v));
    }
    /// Calls `f` with the values of `v`, floats or sizes, and gives what it returns.
    template <class F>
    void give_moved(const Value& v, F&& f) {
        if (v.is_floating())
            give(v.type(), f(floats(v)));
        else
            give(v.type(), f(sizes(v)));
    }
    /// The integers of input `i`; nothing, with an error, when it is floats or depends on the batch.
    std::optional<std::vector<std::int64_t>> integers(std::size_t i) {
        if (needed(i) == nullptr || !may_make(input(i)->extents())) return std::nullopt;
        std::optional<std::vector<std::int64_t>> out = input(i)->integers();
        if (!out) fail_on_batch();
        return out;
    }
    /// The sizes of a shape that `v` has; nothing, with an error, where it is none.
    std::optional<std::vector<Size>> sizes_in(const Value& v) {
        if (v.is_floating())
            fail("its shape is not a list of integers");
        else if (v.count() > max_rank)
            fail("it makes a tensor of too many dimensions");
        return error_.empty() ? v.sizes() : std::nullopt;
    }
    /// The axes of an attribute, of input `i` in later versions, or `otherwise`; counted from the front.
    std::optional<std::vector<std::size_t>> axes(std::size_t i, std::size_t rank, bool all_when_absent) {
        std::optional<std::vector<std::int64_t>> list = attributes_.integers("axes");
        if (!list && input(i) != nullptr) list = integers(i);
        if (list && list->size() > longest_list) fail("it has more axes than any tensor");
        if (!error_.empty()) return std::nullopt;
        std::vector<std::size_t> out;
        if (!list) {
            if (!all_when_absent) return std::nullopt;
            for (std::size_t a = 0; a != rank; ++a) out.push_back(a);
            return out;
        }
        for (std::int64_t a : *list) {
            std::optional<std::size_t> const at = axis(a, rank);
            if (!at) return std::nullopt;
            out.push_back(*at);
        }
        std::sort(out.begin(), out.end());
        if (std::adjacent_find(out.begin(), out.end()) != out.end()) {
            fail("an axis is named twice");
            return std::nullopt;
        }
        return out;
    }
    std::optional<std::size_t> axis(std::int64_t a, std::size_t rank) {
        auto const n = static_cast<std::int64_t>(rank);
        if (a < -n || a >= n) {
            fail(amct_distill::detail::concat("axis ", a, " of a tensor of rank ", rank));
            return std::nullopt;
        }
        return static_cast<std::size_t>(a < 0 ? a + n : a);
    }

    const GraphView* graph_;
    const GraphNode& node_;
    std::vector<const Value*> in_;
    Attributes attributes_;
    std::int64_t opset_;
    std::size_t* elements_left_;
    std::string error_{};
    std::vector<Value> out_{};
};

}  // namespace amct_distill::onnx
