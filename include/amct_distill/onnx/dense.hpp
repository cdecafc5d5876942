// SPDX-License-Identifier: Apache-2.0
/// Constants while they are folded: values with a shape, and the operators that only move values.
///
///     onnx::Dense<float> w{{2, 3}, {1, 2, 3, 4, 5, 6}};
///     onnx::transpose(w, {1, 0}).shape == {3, 2}
///     onnx::gather(shape, index, 0);
///
/// Arguments are checked by who calls (fold.hpp); all of it is row-major.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace amct_distill::onnx {

using Extents = std::vector<std::size_t>;

/// The number of elements. Precondition: it fits.
inline std::size_t count_of(std::span<const std::size_t> shape) {
    std::size_t n = 1;
    for (std::size_t d : shape) n *= d;
    return n;
}

template <class T>
struct Dense {
    Extents shape{};
    std::vector<T> data{};
};

namespace detail {
/// How far apart neighbours along each axis are.
inline Extents strides_of(std::span<const std::size_t> shape) {
    Extents out(shape.size(), 1);
    for (std::size_t i = shape.size(); i-- > 1;) out[i - 1] = out[i] * shape[i];
    return out;
}
/// Calls `f(offset)` for every element of `shape`, in order, the offset being the sum of index * stride.
template <class F>
void each_offset(std::span<const std::size_t> shape, std::span<const std::ptrdiff_t> strides,
                 std::ptrdiff_t start, F&& f) {
    std::size_t const n = count_of(shape);
    Extents index(shape.size(), 0);
    std::ptrdiff_t at = start;
    for (std::size_t i = 0; i != n; ++i) {
        f(at);
        for (std::size_t axis = shape.size(); axis-- > 0;) {
            at += strides[axis];
            if (++index[axis] != shape[axis]) break;
            at -= strides[axis] * static_cast<std::ptrdiff_t>(shape[axis]);
            index[axis] = 0;
        }
    }
}
template <class T>
Dense<T> moved(const Dense<T>& from, Extents shape, std::span<const std::ptrdiff_t> strides,
               std::ptrdiff_t start = 0) {
    Dense<T> out{std::move(shape), {}};
    out.data.reserve(count_of(out.shape));
    each_offset(out.shape, strides, start,
                [&](std::ptrdiff_t at) { out.data.push_back(from.data[static_cast<std::size_t>(at)]); });
    return out;
}
}  // namespace detail

/// Precondition: a permutation of the axes.
template <class T>
Dense<T> transpose(const Dense<T>& from, std::span<const std::size_t> permutation) {
    Extents const strides = detail::strides_of(from.shape);
    Extents shape;
    std::vector<std::ptrdiff_t> moves;
    for (std::size_t axis : permutation) {
        shape.push_back(from.shape[axis]);
        moves.push_back(static_cast<std::ptrdiff_t>(strides[axis]));
    }
    return detail::moved(from, std::move(shape), moves);
}

/// The shape that two broadcast to; nothing when they do not.
inline std::optional<Extents> broadcast(std::span<const std::size_t> a, std::span<const std::size_t> b) {
    Extents out((std::max)(a.size(), b.size()));
    for (std::size_t i = 0; i != out.size(); ++i) {
        std::size_t const x = i < a.size() ? a[a.size() - 1 - i] : 1,
                          y = i < b.size() ? b[b.size() - 1 - i] : 1;
        if (x != y && x != 1 && y != 1) return std::nullopt;
        out[out.size() - 1 - i] = x == 1 ? y : x;
    }
    return out;
}
/// Precondition: `from` broadcasts to `shape`.
template <class T>
Dense<T> broadcast_to(const Dense<T>& from, const Extents& shape) {
    if (from.shape == shape) return from;
    Extents const strides = detail::strides_of(from.shape);
    std::vector<std::ptrdiff_t> moves(shape.size(), 0);
    std::size_t const ahead = shape.size() - from.shape.size();
    for (std::size_t i = 0; i != from.shape.size(); ++i)
        if (from.shape[i] != 1) moves[ahead + i] = static_cast<std::ptrdiff_t>(strides[i]);
    return detail::moved(from, shape, moves);
}

/// One axis of a Slice: `count` elements from `start`, `step` apart.
struct Range {
    std::size_t start = 0;
    std::ptrdiff_t step = 1;
    std::size_t count = 0;
};
/// As ONNX reads start and end: negative ones count from the end, all are cut to the axis. Precondition: step
/// != 0.
constexpr Range slice_range(std::int64_t start, std::int64_t end, std::int64_t step, std::size_t extent) {
    auto const n = static_cast<std::int64_t>(extent);
    auto const place = [n](std::int64_t v, std::int64_t least, std::int64_t most) {
        if (v < 0) v = v < -n ? -1 - n : v;  // no overflow below
        if (v < 0) v += n;
        return (std::clamp)(v, least, most);
    };
    if (n == 0) return {0, 1, 0};
    std::int64_t const from = step > 0 ? place(start, 0, n) : place(start, 0, n - 1);
    std::int64_t const to = step > 0 ? place(end, 0, n) : place(end, -1, n - 1);
    std::int64_t const width = step > 0 ? to - from : from - to;
    if (width <= 0) return {0, 1, 0};
    // -step overflows for the least integer; a step beyond the axis takes one element.
    std::int64_t const stride = step > 0 ? (std::min)(step, n) : (step < -n ? n : -step);
    std::int64_t const count = (width + stride - 1) / stride;
    return {static_cast<std::size_t>(from), static_cast<std::ptrdiff_t>(step > 0 ? stride : -stride),
            static_cast<std::size_t>(count)};
}
/// Precondition: a range within each axis.
template <class T>
Dense<T> slice(const Dense<T>& from, std::span<const Range> ranges) {
    Extents const strides = detail::strides_of(from.shape);
    Extents shape;
    std::vector<std::ptrdiff_t> moves;
    std::ptrdiff_t start = 0;
    for (std::size_t i = 0; i != ranges.size(); ++i) {
        auto const stride = static_cast<std::ptrdiff_t>(strides[i]);
        shape.push_back(ranges[i].count);
        moves.push_back(stride * ranges[i].step);
        start += stride * static_cast<std::ptrdiff_t>(ranges[i].start);
    }
    return detail::moved(from, std::move(shape), moves, start);
}

/// Precondition: at least one part; all but `axis` agree.
template <class T>
Dense<T> concatenate(std::span<const Dense<T>> parts, std::size_t axis) {
    Dense<T> out{parts.front().shape, {}};
    out.shape[axis] = 0;
    for (const Dense<T>& p : parts) out.shape[axis] += p.shape[axis];
    std::size_t const n = count_of(out.shape);
    if (n == 0) return out;  // of any number of rows
    std::size_t const blocks = count_of(std::span(out.shape).first(axis));
    out.data.reserve(n);
    for (std::size_t block = 0; block != blocks; ++block)
        for (const Dense<T>& p : parts) {
            std::size_t const length = p.data.size() / blocks;
            auto const from = p.data.begin() + static_cast<std::ptrdiff_t>(block * length);
            out.data.insert(out.data.end(), from, from + static_cast<std::ptrdiff_t>(length));
        }
    return out;
}

/// Precondition: every index is within the axis.
template <class T>
Dense<T> gather(const Dense<T>& from, const Dense<std::size_t>& indices, std::size_t axis) {
    Dense<T> out;
    out.shape.assign(from.shape.begin(), from.shape.begin() + static_cast<std::ptrdiff_t>(axis));
    out.shape.insert(out.shape.end(), indices.shape.begin(), indices.shape.end());
    out.shape.insert(out.shape.end(), from.shape.begin() + static_cast<std::ptrdiff_t>(axis) + 1,
                     from.shape.end());
    std::size_t const n = count_of(out.shape);
    if (n == 0) return out;  // of any number of rows
    std::size_t const inner = count_of(std::span(from.shape).subspan(axis + 1));
    std::size_t const outer = count_of(std::span(from.shape).first(axis));
    out.data.reserve(n);
    for (std::size_t o = 0; o != outer; ++o)
        for (std::size_t i : indices.data) {
            auto const at =
                from.data.begin() + static_cast<std::ptrdiff_t>((o * from.shape[axis] + i) * inner);
            out.data.insert(out.data.end(), at, at + static_cast<std::ptrdiff_t>(inner));
        }
    return out;
}

}  // namespace amct_distill::onnx
