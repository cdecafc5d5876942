// SPDX-License-Identifier: Apache-2.0
/// How far what a student computes is from what its teacher does.
///
///     double const sum = detail::squared_error(of_student, of_teacher);
///
///     detail::Distance distance;
///     distance.add(of_teacher, of_student);          // of a slice; its sums are those of all
///     if (distance.is_far()) ...
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <span>

#include "../run/instructions.hpp"
#include "../run/vectors.hpp"

namespace amct_distill::detail {

/// A sum in double, in eight lanes: value i is added to lane i % 8, and the lanes at the end. One lane would
/// wait for the last addition at every value.
struct LaneSum {
    static constexpr std::size_t lanes = 8;
    double lane[lanes] = {};

    double total() const {
        return ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
    }
};

/// Eight floats, as doubles.
template <int Bytes, class D>
[[gnu::always_inline]] inline void widen_eight(const float* x, D* to) {
    if constexpr (Bytes == 4) {
        for (std::size_t k = 0; k != 8; ++k) to[k] = static_cast<double>(x[k]);
    } else {
#if defined(__GNUC__)
        typename Vectors<(Bytes < 32 ? Bytes : 32)>::floats v;
        load(x, v);
        if constexpr (Bytes == 64) {
            to[0] = __builtin_convertvector(v, D);
        } else {
            widen(v, to[0], to[1]);
            if constexpr (Bytes == 16) {
                load(x + 4, v);
                widen(v, to[2], to[3]);
            }
        }
#endif
    }
}

/// The sums of `Terms::of(x[i], y[i], terms)` over all i, each in lanes.
template <class Terms>
struct LaneLoop {
    const float *x, *y;
    std::size_t n;

    template <int Bytes>
    [[gnu::always_inline]] std::array<LaneSum, Terms::sums> run() const {
        using D = typename Vectors<Bytes>::doubles;
        constexpr std::size_t vectors = LaneSum::lanes * sizeof(double) / sizeof(D);
        D sums[Terms::sums][vectors] = {};
        std::size_t i = 0;
        for (; i + LaneSum::lanes <= n; i += LaneSum::lanes) {
            D a[vectors], b[vectors];
            widen_eight<Bytes>(x + i, a);
            widen_eight<Bytes>(y + i, b);
#pragma GCC unroll 8
            for (std::size_t k = 0; k != vectors; ++k) add(a[k], b[k], &sums[0][k], vectors);
        }
        std::array<LaneSum, Terms::sums> lanes;
        for (std::size_t s = 0; s != Terms::sums; ++s)
            std::memcpy(lanes[s].lane, sums[s], sizeof lanes[s].lane);
        for (std::size_t k = 0; i != n; ++i, ++k)
            add(static_cast<double>(x[i]), static_cast<double>(y[i]), &lanes[0].lane[k], LaneSum::lanes);
        return lanes;
    }

private:
    template <class D>
    [[gnu::always_inline]] static void add(const D& a, const D& b, D* sums, std::size_t stride) {
        D terms[Terms::sums];
        Terms::of(a, b, terms);
#pragma GCC unroll 4
        for (std::size_t s = 0; s != Terms::sums; ++s) {
            keep_rounded(terms[s]);
            sums[s * stride] += terms[s];
        }
    }
};

/// The two have the same size.
template <class Terms>
std::array<LaneSum, Terms::sums> lane_sums(std::span<const float> x, std::span<const float> y) {
    return run_on(best_instructions(), LaneLoop<Terms>{x.data(), y.data(), x.size()});
}

struct ErrorTerms {
    static constexpr std::size_t sums = 1;
    template <class D>
    [[gnu::always_inline]] static void of(const D& x, const D& y, D* to) {
        D const d = x - y;
        to[0] = d * d;
    }
};

/// sum((x - y)^2).
inline double squared_error(std::span<const float> x, std::span<const float> y) {
    return lane_sums<ErrorTerms>(x, y)[0].total();
}

struct DistanceTerms {
    static constexpr std::size_t sums = 3;
    template <class D>
    [[gnu::always_inline]] static void of(const D& t, const D& s, D* to) {
        ErrorTerms::of(t, s, to);
        to[1] = t * t;
        to[2] = s * s;
    }
};

/// How far the student's values are from the teacher's, in sums over any number of tensors.
struct Distance {
    double error = 0, teacher = 0, student = 0;
    void add(std::span<const float> t, std::span<const float> s) {
        auto const found = lane_sums<DistanceTerms>(t, s);
        error += found[0].total();
        teacher += found[1].total();
        student += found[2].total();
    }
    /// By more than half of the smaller power; what is not finite is too far as well.
    bool is_far() const { return !(error <= 0.5 * (std::min)(teacher, student)); }
};

}  // namespace amct_distill::detail
