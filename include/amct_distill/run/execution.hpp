// SPDX-License-Identifier: Apache-2.0
/// How a loop is run: with which instructions, on how many threads. Results do not depend on it, bit for
/// bit.
///
///     Execution on;                                     // the best instructions, this thread
///     on.parallel_for = [&](std::size_t n, const std::function<void(std::size_t)>& task) {
///         pool.run(n, task);                            // task(0), ..., task(n - 1), in any order, on any
///     };                                                // threads; returns when all are done
///     fake_quantize<Int8>(x, y, p, on);
#pragma once
#include <algorithm>
#include <cstddef>
#include <functional>

#include "function_ref.hpp"
#include "instructions.hpp"

namespace amct_distill {

struct Execution {
    InstructionSet instructions = best_instructions();
    /// Empty: all on the calling thread.
    std::function<void(std::size_t tasks, const std::function<void(std::size_t)>& task)> parallel_for{};
    /// Outputs of more bytes are written past the caches.
    std::size_t streaming_size = amct_distill::streaming_size();
};

namespace detail {

/// What a thread takes at a time, in elements: 256 KB of floats are some 50 us of work, a thousand times
/// what handing out a task costs. A multiple of `sum_block`.
inline constexpr std::size_t task_size = std::size_t{1} << 16;

/// How many rows of a matrix a thread takes at a time.
inline std::size_t rows_per_task(std::size_t cols) {
    return (task_size - 1) / (std::max)(cols, std::size_t{1}) + 1;
}

/// body(begin, end) for parts of 0..n that begin at multiples of `size`; on one thread, in a single part.
inline void in_parts(const Execution& on, std::size_t n, std::size_t size,
                     function_ref<void(std::size_t begin, std::size_t end)> body) {
    if (!on.parallel_for || n <= size) return body(std::size_t{0}, n);
    auto const part = [&](std::size_t k) { body(k * size, (std::min)(n, (k + 1) * size)); };
    on.parallel_for((n - 1) / size + 1, std::cref(part));  // a std::function of a reference: no allocation
}

}  // namespace detail
}  // namespace amct_distill
