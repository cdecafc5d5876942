// SPDX-License-Identifier: Apache-2.0
/// Sums in double whose order of additions is fixed: the same bits however many threads or vectors compute
/// it.
///
///     auto const [sum] = ordered_sums(on, n, Dot{x, y});       // terms: see sums.hpp
///
/// The order: elements go in blocks of `sum_block`; in a block, element i is added to accumulator i %
/// accumulator_count, and at its end the accumulators are added from the first to the last; the blocks are
/// added from the first to the last. Accumulators are what a vector register holds, blocks are what a thread
/// takes. Terms that are floats are first added in runs of 64 (BlockSumLoop), as fixed.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>

#include "execution.hpp"
#include "sums.hpp"

namespace amct_distill::detail {

/// The terms of elements `begin` to `begin + n`, n at most sum_block.
template <class Terms>
struct BlockOf {
    static constexpr std::size_t sums = Terms::sums;
    Terms inner;
    std::size_t first;

    template <int Bytes>
    [[gnu::always_inline]] void add(std::size_t i, std::size_t accumulator, Accumulators<Bytes>* to) const
        requires(!in_runs<Terms>) {
        inner.template add<Bytes>(first + i, accumulator, to);
    }
    template <class F>
    [[gnu::always_inline]] void begin(std::size_t i, F& v) const requires(in_runs<Terms>) {
        inner.begin(first + i, v);
    }
    template <class F>
    [[gnu::always_inline]] void terms(std::size_t i, const F& v, F* of) const requires(in_runs<Terms>) {
        inner.terms(first + i, v, of);
    }
};

template <class Terms>
std::array<double, Terms::sums> ordered_sums(const Execution& on, std::size_t n, const Terms& terms) {
    using Sums = std::array<double, Terms::sums>;
    auto const block = [&](std::size_t k) {
        std::size_t const begin = k * sum_block;
        return run_on(on.instructions,
                      BlockSumLoop<BlockOf<Terms>>{{terms, begin}, (std::min)(sum_block, n - begin)});
    };
    Sums total{};
    auto const add = [&](const Sums& part) {
        for (std::size_t s = 0; s != Terms::sums; ++s) total[s] += part[s];
    };
    std::size_t const blocks = n / sum_block + (n % sum_block != 0);
    if (!on.parallel_for || n <= task_size) {
        for (std::size_t k = 0; k != blocks; ++k) add(block(k));
        return total;
    }
    std::array<Sums, 1024> parts;  // of 4 M elements, on the stack
    for (std::size_t first = 0; first < blocks; first += parts.size()) {
        std::size_t const count = (std::min)(parts.size(), blocks - first);
        in_parts(on, count, task_size / sum_block, [&](std::size_t begin, std::size_t end) {
            for (std::size_t k = begin; k != end; ++k) parts[k] = block(first + k);
        });
        for (std::size_t k = 0; k != count; ++k) add(parts[k]);
    }
    return total;
}

}  // namespace amct_distill::detail
