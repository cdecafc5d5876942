/// Sums in double whose order of additions is fixed: the same bits however many threads or lanes compute it.
///
///     auto const [loss] = ordered_sums<1>(n, [&](std::size_t i) { return std::array{x[i] * x[i]}; });
///
/// The order: elements go in blocks of `sum_block`; in a block, element i is added to lane i % sum_lanes, and
/// at its end the lanes are added from the first to the last; the blocks are added from the first to the
/// last. Lanes are what a vector register adds, blocks are what a thread takes.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>

namespace amct_distill::detail {

inline constexpr std::size_t sum_lanes = 8;
inline constexpr std::size_t sum_block = 4096;

/// `term(i)`, called once for each i < n in increasing order, returns the i-th term of each of `Sums` sums.
template <std::size_t Sums, class Term>
std::array<double, Sums> ordered_sums(std::size_t n, Term term) {
    std::array<double, Sums> total{};
    for (std::size_t begin = 0; begin < n; begin += sum_block) {
        std::size_t const end = (std::min)(n, begin + sum_block);
        std::array<std::array<double, sum_lanes>, Sums> lanes{};
        auto const add = [&](std::size_t i, std::size_t lane) {
            auto const terms = term(i);
            for (std::size_t s = 0; s != Sums; ++s) lanes[s][lane] += terms[s];
        };
        std::size_t i = begin;
        for (; i + sum_lanes <= end; i += sum_lanes)
            for (std::size_t lane = 0; lane != sum_lanes; ++lane) add(i + lane, lane);
        for (; i != end; ++i) add(i, i % sum_lanes);
        for (std::size_t s = 0; s != Sums; ++s) {
            double block = 0;
            for (double lane : lanes[s]) block += lane;
            total[s] += block;
        }
    }
    return total;
}

/// a * b in double: exact for float factors, so that adding it rounds once, with or without FMA instructions.
inline double product(float a, float b) { return static_cast<double>(a) * static_cast<double>(b); }

}  // namespace amct_distill::detail
