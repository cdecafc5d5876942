// SPDX-License-Identifier: Apache-2.0
/// Where the batch is in a tensor of a model, when it is not dimension 0 alone.
///
///     Layout mha = {{{1}, {0, 2}, {3}}};       // the network's [N, 7, 4, 8] is the model's [7, N * 4, 8]
///     mha.model_shape({any_batch, 7, 4, 8})    // [7, 4N, 8]
///
/// The network keeps the batch in dimension 0. A model may carry it elsewhere for a while, as attention does,
/// or join it with other dimensions: then the network's tensor is the model's with the batch taken to the
/// front, and the layout says which of its dimensions each of the model's is made of. Apart from the batch
/// they are in the model's order, so that between batches the values are in the same order too.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "../nn/tensor.hpp"
#include "size.hpp"

namespace amct_distill::onnx::detail {

struct Layout {
    /// For each dimension of the model, those of the network that it is made of, the slowest first. All but
    /// the one with the batch (0) have one. Empty: the batch is dimension 0, as everywhere else.
    std::vector<std::vector<std::size_t>> groups{};

    bool is_plain() const { return groups.empty(); }
    friend bool operator==(const Layout&, const Layout&) = default;

    /// Of a tensor as the network has it.
    static Layout plain(std::size_t rank) {
        Layout out;
        for (std::size_t i = 0; i != rank; ++i) out.groups.push_back({i});
        return out;
    }
    Shape model_shape(const nn::Shape& shape) const {
        Shape out;
        for (const auto& group : groups) {
            Size size = 1;
            for (std::size_t d : group)
                size = multiply(size, d == 0 ? Size::of_batch() : Size(shape[d])).value_or(Size(0));
            out.push_back(size);
        }
        return out;
    }
    /// The network's dimension that one of the model's is, unless the batch is in it.
    std::optional<std::size_t> dimension(std::size_t axis) const {
        if (axis >= groups.size() || groups[axis].size() != 1 || groups[axis][0] == 0) return std::nullopt;
        return groups[axis][0];
    }
    /// A constant as the model aligns it with such a tensor (from the last dimension on), in the network's
    /// dimensions. Nothing where it is not 1 along the batch.
    std::optional<nn::Shape> aligned(nn::Shape constant, std::size_t rank) const {
        if (constant.size() > groups.size()) return std::nullopt;
        constant.insert(constant.begin(), groups.size() - constant.size(), 1);
        nn::Shape out(rank, 1);
        for (std::size_t i = 0; i != groups.size(); ++i) {
            if (std::optional<std::size_t> const d = dimension(i))
                out[*d] = constant[i];
            else if (constant[i] != 1)
                return std::nullopt;
        }
        return out;
    }
};

/// How the network's tensor changes with a layout: first the shape of a sample (a reshape), or first the
/// order of its dimensions (a transposition); the batch stays where it is.
struct Relayout {
    Layout layout{};
    std::vector<std::size_t> permutation{};  ///< empty: the same order
    nn::Shape shape{};                       ///< of the result
};

/// Numbers the dimensions anew, in the order in which they come, and joins those of a group that no batch
/// keeps apart.
inline Relayout simplified(std::vector<std::vector<std::size_t>> groups, std::span<const nn::Index> sizes) {
    Relayout out;
    out.shape.push_back(nn::any_batch);
    for (const auto& group : groups) {
        std::vector<std::size_t> made;
        for (std::size_t d : group) {
            if (d == 0) {
                made.push_back(0);
            } else if (made.empty() || made.back() == 0) {
                made.push_back(out.shape.size());
                out.shape.push_back(sizes[d]);
            } else {
                out.shape.back() *= sizes[d];
            }
        }
        if (made.empty()) {
            made.push_back(out.shape.size());
            out.shape.push_back(1);
        }
        out.layout.groups.push_back(std::move(made));
    }
    if (out.layout == Layout::plain(out.shape.size())) out.layout = {};
    return out;
}

/// Some of the network's dimensions are gone, each a dimension of the model too.
inline Layout without(const Layout& from, std::span<const std::size_t> gone) {
    Layout out;
    std::size_t rank = 0;
    for (const auto& group : from.groups) {
        if (group.size() == 1 && std::ranges::find(gone, group[0]) != gone.end()) continue;
        out.groups.push_back(group);
        for (std::size_t& d : out.groups.back())
            d -= static_cast<std::size_t>(std::ranges::count_if(gone, [d](std::size_t g) { return g < d; }));
        rank += group.size();
    }
    return out == Layout::plain(rank) ? Layout{} : out;
}

/// Precondition: a permutation of the model's dimensions.
inline Relayout transposed(const Layout& from, const nn::Shape& shape,
                           std::span<const std::size_t> permutation) {
    Layout const whole = from.is_plain() ? Layout::plain(shape.size()) : from;
    std::vector<std::vector<std::size_t>> groups;
    for (std::size_t axis : permutation) groups.push_back(whole.groups[axis]);
    std::vector<std::size_t> order{0};
    for (const auto& group : groups)
        for (std::size_t d : group)
            if (d != 0) order.push_back(d);
    Relayout out = simplified(groups, shape);
    if (!std::ranges::is_sorted(order)) out.permutation = std::move(order);
    return out;
}

/// Nothing when the dimensions cannot be cut and joined to the model's shape without moving values, or when
/// the batch would be cut.
inline std::optional<Relayout> reshaped(const Layout& from, const nn::Shape& shape, const Shape& target) {
    Layout const whole = from.is_plain() ? Layout::plain(shape.size()) : from;
    struct Factor {
        bool batch;
        nn::Index size;
    };
    std::vector<Factor> rest;  // the model's, the fastest first, so that they are taken from the end
    for (const auto& group : whole.groups)
        for (std::size_t d : group) rest.push_back({d == 0, d == 0 ? 1 : shape[d]});
    std::ranges::reverse(rest);

    std::vector<nn::Index> sizes{nn::any_batch};
    std::vector<std::vector<std::size_t>> groups;
    for (Size t : target) {
        bool wants_batch = !t.is_fixed();
        if (wants_batch && t.fixed != 0) return std::nullopt;
        nn::Index need = wants_batch ? t.batch : t.fixed;
        if (need < 1) return std::nullopt;
        std::vector<std::size_t> group;
        while (need != 1 || wants_batch) {
            if (rest.empty()) return std::nullopt;
            Factor& f = rest.back();
            if (f.batch) {
                if (!wants_batch) return std::nullopt;
                wants_batch = false;
                group.push_back(0);
                rest.pop_back();
            } else if (need % f.size == 0) {
                need /= f.size;
                if (f.size != 1) {
                    group.push_back(sizes.size());
                    sizes.push_back(f.size);
                }
                rest.pop_back();
            } else if (!wants_batch && f.size % need == 0) {
                group.push_back(sizes.size());
                sizes.push_back(need);
                f.size /= need;
                need = 1;
            } else {
                return std::nullopt;
            }
        }
        groups.push_back(std::move(group));
    }
    for (const Factor& f : rest)
        if (f.batch || f.size != 1) return std::nullopt;
    return simplified(std::move(groups), sizes);
}

}  // namespace amct_distill::onnx::detail
