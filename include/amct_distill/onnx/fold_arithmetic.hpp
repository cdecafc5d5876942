// SPDX-License-Identifier: Apache-2.0
/// Arithmetic, comparisons and reductions of known values.
///
/// A part of Folding (fold.hpp): a function for each kind of operator; fold_operations.hpp has what they do
/// to a value.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "fold_moves.hpp"
#include "fold_operations.hpp"

namespace amct_distill::onnx {

class FoldArithmetic : public FoldMoves {
protected:
    using FoldMoves::FoldMoves;

    void logical_not() {
        const Value* const v = needed(0);
        if (v == nullptr || !may_make(v->extents())) return;
        if (v->is_floating()) return fail("its input is not a truth value");
        Dense<Size> d = sizes(*v);
        for (Size& s : d.data) s = Size(s == Size(0) ? 1 : 0);
        give(ElementType::boolean, std::move(d));
    }
    template <class F>
    void unary() {
        const Value* const v = needed(0);
        if (v == nullptr || !may_make(v->extents())) return;
        if (v->is_floating()) {
            Dense<float> d = floats(*v);
            for (float& x : d.data) x = F::of(x);
            return give(v->type(), std::move(d));
        }
        Dense<Size> d = sizes(*v);
        for (Size& x : d.data) {
            std::optional<Size> const y = F::of(x);
            if (!y) return fail_on_batch();
            x = *y;
        }
        give(v->type(), std::move(d));
    }
    /// The first two inputs, broadcast; Min and Max may have more.
    template <class F>
    void binary() {
        if (needed(0) == nullptr) return;
        Value left = *input(0);
        if (node_.op() == "Mod" && attributes_.integer("fmod", 0) != 0 && !left.is_floating()) {
            if (needed(1) == nullptr) return;
            if (std::optional<Value> out = paired<fold::Remainder>(left, *input(1))) give(*std::move(out));
            return;
        }
        if (node_.op() == "Pow" && input(1) != nullptr && input(1)->is_floating() != left.is_floating())
            return power_of_other_type(left, *input(1));
        for (std::size_t i = 1; i < (std::max)(in_.size(), std::size_t{in_.size() == 1 ? 1u : 2u}); ++i) {
            if (needed(i) == nullptr) return;
            std::optional<Value> next = paired<F>(left, *input(i));
            if (!next) return;
            left = *std::move(next);
        }
        give(std::move(left));
    }
    /// The base's type is the result's.
    void power_of_other_type(const Value& base, const Value& exponent) {
        std::optional<Extents> const shape = broadcast(base.extents(), exponent.extents());
        if (!shape) return fail("its inputs do not broadcast");
        if (!may_make(*shape)) return;
        Dense<float> x = broadcast_to(floats(base), *shape);
        Dense<float> const y = broadcast_to(floats(exponent), *shape);
        for (std::size_t i = 0; i != x.data.size(); ++i) x.data[i] = std::pow(x.data[i], y.data[i]);
        if (base.is_floating()) return give(base.type(), std::move(x));
        Dense<Size> out{*shape, {}};
        for (float f : x.data) out.data.push_back(to_integer(f, base.type()));
        give(base.type(), std::move(out));
    }
    template <class F>
    std::optional<Value> paired(const Value& a, const Value& b) {
        std::optional<Extents> const shape = broadcast(a.extents(), b.extents());
        if (!shape || a.is_floating() != b.is_floating()) {
            fail("its inputs do not broadcast, or are of different types");
            return std::nullopt;
        }
        if (!may_make(*shape)) return std::nullopt;
        if (a.is_floating()) {
            Dense<float> x = broadcast_to(floats(a), *shape);
            Dense<float> const y = broadcast_to(floats(b), *shape);
            for (std::size_t i = 0; i != x.data.size(); ++i) x.data[i] = F::of(x.data[i], y.data[i]);
            return Value(a.type(), std::move(x));
        }
        Dense<Size> x = broadcast_to(sizes(a), *shape);
        Dense<Size> const y = broadcast_to(sizes(b), *shape);
        for (std::size_t i = 0; i != x.data.size(); ++i) {
            std::optional<Size> const z = F::of(x.data[i], y.data[i]);
            if (!z) {
                fail_on_batch();
                return std::nullopt;
            }
            x.data[i] = *z;
        }
        return Value(a.type(), std::move(x));
    }
    template <class F>
    void compare() {
        const Value *const a = needed(0), *const b = needed(1);
        if (a == nullptr || b == nullptr) return;
        std::optional<Extents> const shape = broadcast(a->extents(), b->extents());
        if (!shape || a->is_floating() != b->is_floating())
            return fail("its inputs do not broadcast, or are of different types");
        if (!may_make(*shape)) return;
        Dense<Size> out{*shape, {}};
        if (a->is_floating()) {
            Dense<float> const x = broadcast_to(floats(*a), *shape), y = broadcast_to(floats(*b), *shape);
            for (std::size_t i = 0; i != x.data.size(); ++i)
                out.data.push_back(F::of(x.data[i], y.data[i]) ? 1 : 0);
        } else {
            Dense<Size> const x = broadcast_to(sizes(*a), *shape), y = broadcast_to(sizes(*b), *shape);
            for (std::size_t i = 0; i != x.data.size(); ++i) {
                std::optional<bool> const z = F::of(x.data[i], y.data[i]);
                if (!z) return fail_on_batch();
                out.data.push_back(*z ? 1 : 0);
            }
        }
        give(ElementType::boolean, std::move(out));
    }
    template <class F>
    void reduce() {
        const Value* const v = needed(0);
        bool const keep = attributes_.integer("keepdims", 1) != 0;
        bool const empty_is_none = attributes_.integer("noop_with_empty_axes", 0) != 0;
        if (v == nullptr) return;
        std::optional<std::vector<std::size_t>> list = axes(1, v->extents().size(), true);
        if (!list) return;
        if (list->empty() && !empty_is_none)
            for (std::size_t a = 0; a != v->extents().size(); ++a) list->push_back(a);
        Extents shape = v->extents(), kept;
        for (std::size_t i = 0; i != shape.size(); ++i) {
            bool const reduced = std::binary_search(list->begin(), list->end(), i);
            if (reduced && shape[i] == 0) return fail("reduces an axis without elements");
            if (reduced) shape[i] = 1;
            if (!reduced || keep) kept.push_back(shape[i]);
        }
        if (!may_make(v->extents())) return;
        give_moved(*v, [&](auto d) {
            Extents const strides = detail::strides_of(shape);
            decltype(d) out{shape, {}};
            out.data.resize(count_of(shape));
            std::vector<bool> begun(out.data.size(), false);
            std::vector<std::ptrdiff_t> moves;
            for (std::size_t i = 0; i != shape.size(); ++i)
                moves.push_back(shape[i] == 1 ? 0 : static_cast<std::ptrdiff_t>(strides[i]));
            std::size_t next = 0;
            detail::each_offset(v->extents(), moves, 0, [&](std::ptrdiff_t to) {
                auto const at = static_cast<std::size_t>(to);
                auto const x = d.data[next++];
                if (!begun[at]) {
                    out.data[at] = x;
                    begun[at] = true;
                } else if constexpr (std::is_same_v<decltype(d), Dense<float>>) {
                    out.data[at] = F::of(out.data[at], x);
                } else if (std::optional<Size> const y = F::of(out.data[at], x)) {
                    out.data[at] = *y;
                } else {
                    fail_on_batch();
                }
            });
            out.shape = kept;
            return out;
        });
    }
};

}  // namespace amct_distill::onnx
