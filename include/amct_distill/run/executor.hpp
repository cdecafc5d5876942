// SPDX-License-Identifier: Apache-2.0
/// The threads of a run: one pool for all that is computed in it; and the ranks that share it, if there are
/// several.
///
///     Executor executor(4);
///     tape.use(&executor);                                        // the modules' loops
///     executor.parallel_for(8, [&](std::size_t i) { ... });       // 0 to 7, in any order
///     fake_quantize<Int8>(x, y, p, executor.execution());         // the quantizers' loops
///
/// Whoever shares out work cuts it in parts that do not depend on the number of threads, and adds up what
/// the parts gave in their order: then the results have the same bits for any number.
#pragma once
#include <cstddef>
#include <memory>
#include <type_traits>

#include "execution.hpp"
#include "ranks.hpp"

namespace amct_distill::detail {
class ThreadPool;
}  // namespace amct_distill::detail

namespace amct_distill::nn {

class Executor {
public:
    /// The caller of `parallel_for` is one of the threads. Throws std::invalid_argument unless 1 to 1024, and
    /// for instructions that this machine does not have. The ranks, which may be null, outlive it.
    explicit Executor(int threads, InstructionSet instructions = best_instructions(), Ranks* ranks = nullptr);
    ~Executor();
    Executor(const Executor&) = delete;
    Executor& operator=(const Executor&) = delete;

    int threads() const { return threads_; }
    /// Null: this process has the whole run.
    Ranks* ranks() const { return ranks_; }

    /// f(i), or f(i, worker), for every i below `count`; returns when all are done. `worker` is below
    /// threads(), and no two calls at the same time have the same: an index of buffers. A call from within
    /// f runs on the thread that it comes from, and so does one from another thread meanwhile. What f throws
    /// is thrown here, the first of it by i, and what has not begun by then is left out.
    template <class F>
    void parallel_for(std::size_t count, F&& f) const {
        if constexpr (std::is_invocable_v<F&, std::size_t, std::size_t>)
            run(count, f);
        else
            run(count, [&f](std::size_t i, std::size_t) { f(i); });
    }

    /// The same on the calling thread alone, in order.
    template <class F>
    static void run_here(std::size_t count, F&& f) {
        for (std::size_t i = 0; i != count; ++i)
            if constexpr (std::is_invocable_v<F&, std::size_t, std::size_t>)
                f(i, 0);
            else
                f(i);
    }

    /// The same threads, for the quantizers.
    const Execution& execution() const { return execution_; }

private:
    using Function = detail::function_ref<void(std::size_t i, std::size_t worker)>;

    void run(std::size_t count, Function f) const;

    int threads_;
    Ranks* ranks_;
    std::unique_ptr<detail::ThreadPool> pool_;
    Execution execution_{};
};

}  // namespace amct_distill::nn

#ifndef AMCT_DISTILL_COMPILED
#include "executor-inl.hpp"
#endif
