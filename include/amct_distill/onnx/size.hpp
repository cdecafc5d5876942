// SPDX-License-Identifier: Apache-2.0
/// A size that may depend on the batch, fixed + batch * N, and shapes of such sizes.
///
///     onnx::Size const n = onnx::Size::of_batch();           // N
///     onnx::multiply(n, 12)->batch == 12                     // 12 N
///     onnx::divide(*onnx::multiply(n, 12), 5)                // nothing: not a size for every N
///     onnx::reshape({n, 64, 4, 4}, {0, -1});                 // {N, 1024}
///
/// N is the number of samples, one or more, and stays free while a graph's shapes are computed away. Every
/// operation gives nothing where the result is no such size, or overflows.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "../core/concat.hpp"
#include "../core/result.hpp"

namespace amct_distill::onnx {

struct Size {
    std::int64_t fixed = 0;
    std::int64_t batch = 0;  ///< how many times N

    constexpr Size() = default;
    constexpr Size(std::int64_t value) : fixed(value) {}
    constexpr Size(std::int64_t value, std::int64_t times_batch) : fixed(value), batch(times_batch) {}
    static constexpr Size of_batch() { return {0, 1}; }

    constexpr bool is_fixed() const { return batch == 0; }
    /// Its value for a number of samples. Precondition: it fits.
    constexpr std::int64_t at(std::int64_t samples) const { return fixed + batch * samples; }
    friend constexpr bool operator==(const Size&, const Size&) = default;
};
using Shape = std::vector<Size>;

constexpr std::optional<Size> add(Size a, Size b) {
    Size out;
    if (__builtin_add_overflow(a.fixed, b.fixed, &out.fixed) ||
        __builtin_add_overflow(a.batch, b.batch, &out.batch))
        return std::nullopt;
    return out;
}
constexpr std::optional<Size> multiply(Size a, Size b) {
    if (!a.is_fixed() && !b.is_fixed()) return std::nullopt;  // N squared
    if (!a.is_fixed()) return multiply(b, a);
    Size out;
    if (__builtin_mul_overflow(a.fixed, b.fixed, &out.fixed) ||
        __builtin_mul_overflow(a.fixed, b.batch, &out.batch))
        return std::nullopt;
    return out;
}
constexpr std::optional<Size> subtract(Size a, Size b) {
    std::optional<Size> const negative = multiply(-1, b);
    return negative ? add(a, *negative) : std::nullopt;
}
/// As ONNX divides integers, cut towards zero; with N only where nothing is left over.
constexpr std::optional<Size> divide(Size a, Size b) {
    if (b == Size(0)) return std::nullopt;
    if (!b.is_fixed()) {  // 12 N / 4 N
        if (a == Size(0)) return Size(0);
        std::int64_t times = 0;
        if (b.batch != -1)
            times = a.batch / b.batch;
        else if (__builtin_sub_overflow(std::int64_t{0}, a.batch, &times))  // the least integer / -1
            return std::nullopt;
        std::optional<Size> const back = multiply(times, b);
        return back && *back == a ? std::optional<Size>(times) : std::nullopt;
    }
    if (b.fixed == -1) return multiply(-1, a);  // the least integer / -1 overflows
    if (a.is_fixed()) return Size(a.fixed / b.fixed);
    if (a.fixed % b.fixed != 0 || a.batch % b.fixed != 0) return std::nullopt;
    return Size(a.fixed / b.fixed, a.batch / b.fixed);
}
/// Whether they are equal for every N >= 1; nothing where it depends on N.
constexpr std::optional<bool> equal(Size a, Size b) {
    if (a == b) return true;
    if (a.batch == b.batch) return false;
    std::optional<Size> const d = subtract(a, b);
    if (!d) return std::nullopt;
    // fixed + batch * N is zero for no N >= 1 when it begins beyond zero and goes away from it.
    std::int64_t first = 0;
    if (__builtin_add_overflow(d->fixed, d->batch, &first)) return std::nullopt;
    if ((first > 0 && d->batch > 0) || (first < 0 && d->batch < 0)) return false;
    return std::nullopt;
}
/// Whether a < b for every N >= 1; nothing where it depends on N.
constexpr std::optional<bool> less(Size a, Size b) {
    std::optional<Size> const d = subtract(a, b);
    if (!d) return std::nullopt;
    if (d->is_fixed()) return d->fixed < 0;
    std::int64_t first = 0;
    if (__builtin_add_overflow(d->fixed, d->batch, &first)) return std::nullopt;
    if (d->batch > 0 && first >= 0) return false;
    if (d->batch < 0 && first < 0) return true;
    return std::nullopt;
}

/// "N", "12", "3N + 1".
inline std::string to_string(Size s) {
    using amct_distill::detail::concat;
    if (s.is_fixed()) return number(s.fixed);
    std::string const n = s.batch == 1 ? "N" : s.batch == -1 ? "-N" : concat(s.batch, "N");
    if (s.fixed == 0) return n;
    return s.fixed > 0 ? concat(n, " + ", s.fixed) : concat(n, " - ", number(s.fixed).substr(1));
}
/// "[N, 3, 8, 8]".
inline std::string to_string(std::span<const Size> shape) {
    std::string out = "[";
    for (std::size_t i = 0; i != shape.size(); ++i)
        out += amct_distill::detail::concat(i == 0 ? "" : ", ", to_string(shape[i]));
    return out + "]";
}

/// The number of elements; nothing where it is N squared or overflows.
constexpr std::optional<Size> product(std::span<const Size> shape) {
    Size out = 1;
    for (Size s : shape) {
        std::optional<Size> const next = multiply(out, s);
        if (!next) return std::nullopt;
        out = *next;
    }
    return out;
}

/// ONNX's Reshape: 0 keeps a dimension (but for `allow_zero`), one -1 takes what is left. Where exporters
/// have written the batch that they saw as a number, `exported_batch`, into dimension 0 of the target, it
/// becomes what fits.
inline result<Shape> reshape(std::span<const Size> from, std::span<const Size> target,
                             bool allow_zero = false, std::optional<std::int64_t> exported_batch = {}) {
    using amct_distill::detail::concat;
    auto const wrong = [&](std::string_view why) {
        return general_error(
            concat("a tensor ", to_string(from), " has no shape ", to_string(target), ": ", why));
    };
    // [1, 1024] or [1, -1] of [N, 64, 4, 4], exported with a batch of 1: first as if N, or the user's number,
    // were written there.
    if (exported_batch && !target.empty() && target[0] == Size(*exported_batch) && !from.empty() &&
        from[0] != Size(*exported_batch)) {
        Shape free(target.begin(), target.end());
        free[0] = from[0];
        if (result<Shape> out = reshape(from, free, allow_zero)) return out;
    }
    Shape out(target.begin(), target.end());
    std::size_t open = out.size();
    Size known = 1;
    for (std::size_t i = 0; i != out.size(); ++i) {
        if (out[i] == Size(-1)) {
            if (open != out.size()) return wrong("more than one -1");
            open = i;
            continue;
        }
        if (out[i] == Size(0) && !allow_zero) {
            if (i >= from.size()) return wrong("a 0 that keeps a dimension which the tensor does not have");
            out[i] = from[i];
        }
        if (out[i].is_fixed() && out[i].fixed < 0) return wrong("a negative size");
        std::optional<Size> const next = multiply(known, out[i]);
        if (!next) return wrong("a size that is too large, or the square of the batch");
        known = *next;
    }
    std::optional<Size> const all = product(from);
    if (!all) return wrong("the tensor's size is too large, or the square of the batch");
    if (open == out.size()) {
        if (known == *all) return out;
    } else if (std::optional<Size> const rest = divide(*all, known); rest && multiply(*rest, known) == *all) {
        out[open] = *rest;
        return out;
    }
    return wrong("the number of elements differs");
}

}  // namespace amct_distill::onnx
