// SPDX-License-Identifier: Apache-2.0
/// The operators that pick, join and repeat known values.
///
/// A part of Folding (fold.hpp): a function for each operator.
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

#include "fold_structure.hpp"

namespace amct_distill::onnx {

class FoldMoves : public FoldStructure {
protected:
    using FoldStructure::FoldStructure;

    void concat() {
        if (needed(0) == nullptr) return;
        std::optional<std::size_t> const at = axis(attributes_.integer("axis", 1), in_[0]->extents().size());
        if (!at) return;
        std::size_t total = 0;
        for (std::size_t i = 0; i != in_.size(); ++i) {
            if (needed(i) == nullptr) return;
            Extents a = in_[i]->extents(), b = in_[0]->extents();
            total += in_[i]->count();
            if (a.size() == b.size()) a[*at] = b[*at] = 0;
            if (a != b || in_[i]->is_floating() != in_[0]->is_floating())
                return fail("its inputs differ in type or in a size other than that of its axis");
        }
        if (!may_make(Size(static_cast<std::int64_t>(total)))) return;
        if (in_[0]->is_floating()) {
            std::vector<Dense<float>> parts;
            for (const Value* v : in_) parts.push_back(floats(*v));
            give(in_[0]->type(), concatenate<float>(parts, *at));
        } else {
            std::vector<Dense<Size>> parts;
            for (const Value* v : in_) parts.push_back(sizes(*v));
            give(in_[0]->type(), concatenate<Size>(parts, *at));
        }
    }
    void do_gather() {
        const Value* const v = needed(0);
        std::optional<std::vector<std::int64_t>> const list = integers(1);
        if (v == nullptr || !list) return;
        std::optional<std::size_t> const at = axis(attributes_.integer("axis", 0), v->extents().size());
        if (!at) return;
        auto const extent = static_cast<std::int64_t>(v->extents()[*at]);
        Dense<std::size_t> indices{input(1)->extents(), {}};
        for (std::int64_t i : *list) {
            if (i < -extent || i >= extent)
                return fail(amct_distill::detail::concat("index ", i, " of an axis of size ", extent));
            indices.data.push_back(static_cast<std::size_t>(i < 0 ? i + extent : i));
        }
        Extents shape = v->extents();
        shape[*at] = indices.data.size();
        if (may_make(shape)) give_moved(*v, [&](const auto& d) { return gather(d, indices, *at); });
    }
    void do_slice() {
        const Value* const v = needed(0);
        if (v == nullptr) return;
        bool const early = opset_ < 10;
        auto const list = [&](std::string_view name, std::size_t i) {
            return early ? attributes_.integers(name) : input(i) != nullptr ? integers(i) : std::nullopt;
        };
        auto const starts = list("starts", 1), ends = list("ends", 2), named = list("axes", 3);
        std::optional<std::vector<std::int64_t>> const steps =
            !early && input(4) != nullptr ? integers(4) : std::nullopt;
        if (!error_.empty()) return;
        if (!starts || !ends || starts->size() != ends->size() ||
            (named && named->size() != starts->size()) || (steps && steps->size() != starts->size()))
            return fail("its starts, ends, axes and steps differ in length");
        std::vector<Range> ranges;
        for (std::size_t d : v->extents()) ranges.push_back({0, 1, d});
        for (std::size_t i = 0; i != starts->size(); ++i) {
            std::optional<std::size_t> const at =
                axis(named ? (*named)[i] : static_cast<std::int64_t>(i), ranges.size());
            if (!at) return;
            std::int64_t const step = steps ? (*steps)[i] : 1;
            if (step == 0) return fail("a step of 0");
            ranges[*at] = slice_range((*starts)[i], (*ends)[i], step, v->extents()[*at]);
        }
        Extents shape;
        for (const Range& r : ranges) shape.push_back(r.count);
        if (may_make(shape)) give_moved(*v, [&](const auto& d) { return slice(d, ranges); });
    }
    void expand() {
        const Value *const v = needed(0), *const target = needed(1);
        if (v == nullptr || target == nullptr) return;
        if (std::optional<std::vector<Size>> const shape = sizes_in(*target)) give_expanded(*v, *shape);
    }
    void tile() {
        const Value *const v = needed(0), *const times = needed(1);
        if (v == nullptr || times == nullptr) return;
        std::optional<std::vector<Size>> const repeats = sizes_in(*times);
        Extents const& from = v->extents();
        if (!repeats || repeats->size() != from.size())
            return fail("a number of repeats for each axis is needed");
        // An axis of n taken r times is [r, n] broadcast from [1, n], then one again.
        Shape target, joined;
        Extents apart;
        for (std::size_t i = 0; i != from.size(); ++i) {
            auto const n = static_cast<std::int64_t>(from[i]);
            std::optional<Size> const all = multiply((*repeats)[i], n);
            if (!all || ((*repeats)[i].is_fixed() && (*repeats)[i].fixed < 0))
                return fail("a bad number of repeats");
            target.push_back((*repeats)[i]);
            target.push_back(n);
            joined.push_back(*all);
            apart.push_back(1);
            apart.push_back(from[i]);
        }
        Value parted = *v;
        if (v->is_floating())
            parted = Value(v->type(), Dense<float>{apart, floats(*v).data});
        else
            parted = Value(v->type(), Dense<Size>{apart, sizes(*v).data});
        give_expanded(parted, target);
        if (out_.empty()) return;
        Value whole = std::move(out_.back());
        out_.clear();
        Extents extents;
        for (std::size_t i = 0; i != from.size(); ++i)
            extents.push_back(whole.extents()[2 * i] * whole.extents()[2 * i + 1]);
        bool const over_batch = whole.is_over_batch();
        give_moved(whole, [&](auto d) {
            d.shape = extents;
            return d;
        });
        if (over_batch) out_.back() = std::move(out_.back()).over_batch(joined);
    }
    void range() {
        if (needed(0) == nullptr || needed(1) == nullptr || needed(2) == nullptr) return;
        for (std::size_t i : {0u, 1u, 2u})
            if (input(i)->count() != 1) return fail("its limits are not single numbers");
        if (input(0)->is_floating()) {
            float const start = floats(*input(0)).data[0], limit = floats(*input(1)).data[0],
                        delta = floats(*input(2)).data[0];
            double const n = std::ceil((static_cast<double>(limit) - start) / delta);
            if (!(n < 0x1p40)) return fail("it has no end");
            if (n > 0 && !may_make(Size(static_cast<std::int64_t>(n)))) return;
            Dense<float> out;
            for (double i = 0; i < n; ++i) out.data.push_back(start + static_cast<float>(i) * delta);
            out.shape = {out.data.size()};
            return give(input(0)->type(), std::move(out));
        }
        auto const start = integers(0), limit = integers(1), delta = integers(2);
        if (!start || !limit || !delta) return;
        std::int64_t const step = (*delta)[0];
        if (step == 0) return fail("a step of 0");
        std::optional<Size> width =
            step > 0 ? subtract((*limit)[0], (*start)[0]) : subtract((*start)[0], (*limit)[0]);
        std::optional<Size> const stride = step > 0 ? std::optional<Size>(step) : multiply(-1, step);
        if (width && stride)
            width = width->fixed <= 0 ? Size(0) : Size((width->fixed - 1) / stride->fixed + 1);
        if (!may_make(stride ? width : std::nullopt)) return;
        Dense<Size> out{{static_cast<std::size_t>(width->fixed)}, {}};
        for (std::int64_t i = 0; i != width->fixed; ++i) out.data.push_back((*start)[0] + i * step);
        give(input(0)->type(), std::move(out));
    }
    void where() {
        const Value *const condition = needed(0), *const a = needed(1), *const b = needed(2);
        if (condition == nullptr || a == nullptr || b == nullptr) return;
        std::optional<Extents> shape = broadcast(a->extents(), b->extents());
        if (shape) shape = broadcast(*shape, condition->extents());
        if (!shape || a->is_floating() != b->is_floating()) return fail("its inputs do not broadcast");
        if (condition->is_floating()) return fail("its condition is not a truth value");
        if (!may_make(*shape)) return;
        Dense<Size> const which = broadcast_to(sizes(*condition), *shape);
        auto const pick = [&](auto x, const auto& y) {
            for (std::size_t i = 0; i != x.data.size(); ++i)
                if (which.data[i] == Size(0)) x.data[i] = y.data[i];
            return x;
        };
        if (a->is_floating())
            give(a->type(), pick(broadcast_to(floats(*a), *shape), broadcast_to(floats(*b), *shape)));
        else
            give(a->type(), pick(broadcast_to(sizes(*a), *shape), broadcast_to(sizes(*b), *shape)));
    }
};

}  // namespace amct_distill::onnx
