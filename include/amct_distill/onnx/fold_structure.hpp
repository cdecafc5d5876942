// SPDX-License-Identifier: Apache-2.0
/// Constants, casts, and the operators that give known values another shape.
///
/// A part of Folding (fold.hpp): a function for each operator.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "fold_base.hpp"

namespace amct_distill::onnx {

class FoldStructure : public FoldBase {
protected:
    using FoldBase::FoldBase;

    // ---- constants

    void constant() {
        if (const TensorProto* t = attributes_.tensor("value")) {
            result<TensorValues> values = graph_->model().values(*t);
            if (!values) return fail(values.diagnostics().front().message);
            return give(Value(*std::move(values)));
        }
        if (attributes_.has("value_float"))
            return give(ElementType::float32, Dense<float>{{}, {attributes_.real("value_float", 0)}});
        if (attributes_.has("value_int"))
            return give(ElementType::int64, Dense<Size>{{}, {attributes_.integer("value_int", 0)}});
        if (auto list = attributes_.reals("value_floats"))
            return give(ElementType::float32, Dense<float>{{list->size()}, *std::move(list)});
        if (auto list = attributes_.integers("value_ints"))
            return give(ElementType::int64, Dense<Size>{{list->size()}, {list->begin(), list->end()}});
        fail("a constant without a value that is supported: a tensor, integers or floats");
    }
    void constant_of_shape() {
        const Value* const shape = needed(0);
        if (shape == nullptr) return;
        std::optional<std::vector<Size>> const target = sizes_in(*shape);
        if (!target) return;
        Value fill(ElementType::float32, Dense<float>{{1}, {0}});
        if (const TensorProto* t = attributes_.tensor("value")) {
            result<TensorValues> values = graph_->model().values(*t);
            if (!values) return fail(values.diagnostics().front().message);
            if (values->size() != 1) return fail("its value is not one number");
            fill = Value(*std::move(values));
        }
        give_expanded(fill, *target);
    }
    void identity() {
        if (needed(0) == nullptr || !may_make(input(0)->extents())) return;
        if (node_.op() == "Dropout") {
            for (std::string_view name : {"seed", "ratio", "is_test"}) attributes_.ignore(name);
            std::optional<std::vector<std::int64_t>> const training =
                input(2) != nullptr ? integers(2) : std::nullopt;
            if (training && *training != std::vector<std::int64_t>{0})
                return fail("it is in training mode; export the model for inference");
            if (node_.output(1) != none) return fail("the mask of a Dropout is not supported");
        }
        give(*input(0));
    }
    void cast() {
        const Value* const v = needed(0);
        auto const to = static_cast<ElementType>(attributes_.integer("to", 0));
        attributes_.ignore("saturate");
        if (v == nullptr || !may_make(v->extents())) return;
        if (bits_of(to) == 0)
            return fail(amct_distill::detail::concat("a cast to ", name_of(to), " is not supported"));
        Shape const shape = v->shape();
        bool const over_batch = v->is_over_batch();
        if (is_floating(to)) {
            give(to, floats(*v));
        } else if (v->is_floating()) {
            Dense<float> const from = floats(*v);
            Dense<Size> out{from.shape, {}};
            for (float f : from.data) out.data.push_back(to_integer(f, to));
            give(to, std::move(out));
        } else {
            Dense<Size> out = sizes(*v);
            if (to == ElementType::boolean)
                for (Size& s : out.data) {
                    std::optional<bool> const zero = equal(s, 0);
                    if (!zero) return fail_on_batch();
                    s = Size(*zero ? 0 : 1);
                }
            else
                for (Size& s : out.data)
                    if (s.is_fixed()) s = Size(wrapped(s.fixed, to));
            give(to, std::move(out));
        }
        if (over_batch) out_.back() = std::move(out_.back()).over_batch(shape);
    }
    /// The low bits that a narrower type keeps.
    static std::int64_t wrapped(std::int64_t v, ElementType to) {
        unsigned const bits = bits_of(to);
        if (bits == 64) return v;
        std::uint64_t const mask = (std::uint64_t{1} << bits) - 1, low = static_cast<std::uint64_t>(v) & mask;
        bool const is_signed = to == ElementType::int8 || to == ElementType::int16 ||
                               to == ElementType::int32 || to == ElementType::int4;
        bool const negative = is_signed && (low >> (bits - 1)) != 0;
        return static_cast<std::int64_t>(negative ? low | ~mask : low);
    }
    /// Towards zero. What is beyond the type's range ONNX leaves open: four bits take the nearest, as ONNX's
    /// own tests have it, and wider types keep the low bits of 64, as NumPy and the runtimes do.
    static Size to_integer(float f, ElementType to) {
        if (to == ElementType::boolean) return f != 0 ? 1 : 0;
        if (!(f == f)) return 0;
        if (to == ElementType::int4) return static_cast<std::int64_t>(std::clamp(f, -8.0f, 7.0f));
        if (to == ElementType::uint4) return static_cast<std::int64_t>(std::clamp(f, 0.0f, 15.0f));
        if (f >= 0x1p63f) return wrapped(std::int64_t{0x7FFFFFFFFFFFFFFF}, to);
        if (f <= -0x1p63f) return wrapped(-std::int64_t{0x7FFFFFFFFFFFFFFF} - 1, to);
        return wrapped(static_cast<std::int64_t>(f), to);
    }

    /// Broadcasts to a shape that may depend on the batch where the value has one sample's.
    void give_expanded(const Value& v, const Shape& target) {
        Shape shape(target);
        Extents const& from = v.extents();
        while (shape.size() < from.size()) shape.insert(shape.begin(), Size(1));
        std::size_t const ahead = shape.size() - from.size();
        Extents extents;
        bool over_batch = false;
        for (std::size_t i = 0; i != shape.size(); ++i) {
            std::size_t const have = i < ahead ? 1 : from[i - ahead];
            if (shape[i].is_fixed()) {
                if (shape[i].fixed < 0) return fail("a negative size");
                if (shape[i] == Size(1)) shape[i] = Size(static_cast<std::int64_t>(have));
                if (have != 1 && shape[i] != Size(static_cast<std::int64_t>(have)))
                    return fail("it does not broadcast to that shape");
                extents.push_back(static_cast<std::size_t>(shape[i].fixed));
            } else {
                if (have != 1) return fail("it does not broadcast to a batch");
                over_batch = true;
                extents.push_back(1);
            }
        }
        if (!may_make(extents)) return;
        give_moved(v, [&](auto d) { return broadcast_to(reranked(std::move(d), ahead), extents); });
        if (over_batch) out_.back() = std::move(out_.back()).over_batch(shape);
    }
    template <class T>
    static Dense<T> reranked(Dense<T> d, std::size_t ahead) {
        d.shape.insert(d.shape.begin(), ahead, 1);
        return d;
    }
    // ---- shapes

    void do_transpose() {
        const Value* const v = needed(0);
        if (v == nullptr) return;
        std::size_t const rank = v->extents().size();
        std::vector<std::size_t> permutation;
        if (auto list = attributes_.integers("perm")) {
            std::vector<bool> seen(rank, false);
            for (std::int64_t a : *list) {
                std::optional<std::size_t> const at = axis(a, rank);
                if (!at) return;
                if (seen[*at]) return fail("its permutation names an axis twice");
                seen[*at] = true;
                permutation.push_back(*at);
            }
            if (permutation.size() != rank) return fail("its permutation has another rank than its input");
        } else {
            for (std::size_t a = rank; a-- > 0;) permutation.push_back(a);
        }
        if (may_make(v->extents())) give_moved(*v, [&](auto d) { return transpose(d, permutation); });
    }
    void give_reshaped(const Value& v, const Shape& shape) {
        if (shape.size() > max_rank) return fail("it makes a tensor of too many dimensions");
        Extents extents;
        for (Size s : shape) {
            if (!s.is_fixed()) return fail_on_batch();
            extents.push_back(static_cast<std::size_t>(s.fixed));
        }
        if (!may_make(extents)) return;
        give_moved(v, [&](auto d) {
            d.shape = extents;
            return d;
        });
    }
    void do_reshape() {
        const Value* const v = needed(0);
        std::optional<std::vector<Size>> target;
        if (auto list = attributes_.integers("shape"))  // before opset 5
            target = std::vector<Size>(list->begin(), list->end());
        else if (needed(1) != nullptr)
            target = sizes_in(*input(1));
        bool const allow_zero = attributes_.integer("allowzero", 0) != 0;
        if (v == nullptr || !target) return;
        result<Shape> const shape = reshape(v->shape(), *target, allow_zero);
        if (!shape) return fail(shape.diagnostics().front().message);
        give_reshaped(*v, *shape);
    }
    void flatten() {
        const Value* const v = needed(0);
        if (v == nullptr) return;
        auto const rank = static_cast<std::int64_t>(v->extents().size());
        std::int64_t a = attributes_.integer("axis", 1);
        if (a < 0) a += rank;
        if (a < 0 || a > rank)
            return fail(amct_distill::detail::concat("axis ", a, " of a tensor of rank ", rank));
        std::size_t const rows = count_of(std::span(v->extents()).first(static_cast<std::size_t>(a)));
        std::size_t const columns = count_of(std::span(v->extents()).subspan(static_cast<std::size_t>(a)));
        give_reshaped(*v, {static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns)});
    }
    void squeeze() {
        const Value* const v = needed(0);
        if (v == nullptr) return;
        std::optional<std::vector<std::size_t>> const list = axes(1, v->extents().size(), false);
        if (!error_.empty()) return;
        Shape shape;
        for (std::size_t i = 0; i != v->extents().size(); ++i) {
            bool const named = list && std::binary_search(list->begin(), list->end(), i);
            if (named && v->extents()[i] != 1) return fail("squeezes an axis whose size is not 1");
            if (list ? !named : v->extents()[i] != 1) shape.push_back(v->shape()[i]);
        }
        give_reshaped(*v, shape);
    }
    void unsqueeze() {
        const Value* const v = needed(0);
        if (v == nullptr) return;
        std::optional<std::vector<std::int64_t>> const list =
            attributes_.has("axes") ? attributes_.integers("axes") : integers(1);
        if (!list) return;
        if (list->size() > longest_list) return fail("it makes a tensor of too many dimensions");
        std::size_t const rank = v->extents().size() + list->size();
        std::vector<bool> added(rank, false);
        for (std::int64_t a : *list) {
            std::optional<std::size_t> const at = axis(a, rank);
            if (!at) return;
            if (added[*at]) return fail("an axis is named twice");
            added[*at] = true;
        }
        Shape shape;
        std::size_t next = 0;
        for (std::size_t i = 0; i != rank; ++i) shape.push_back(added[i] ? Size(1) : v->shape()[next++]);
        give_reshaped(*v, shape);
    }
};

}  // namespace amct_distill::onnx
