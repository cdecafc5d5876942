// SPDX-License-Identifier: Apache-2.0
/// What a node lends to its module: buffers, so that only the first step allocates, and threads.
///
///     float* rows = scratch.buffer(0, 64);                   // 64 values for every thread that may work
///     scratch.parallel_for(planes, work, [&](Index plane, Index worker) { use(rows + worker * 64); });
///
/// The buffers carry nothing from one call to the next.
#pragma once
#include <algorithm>
#include <cstddef>
#include <deque>
#include <vector>

#include "../run/executor.hpp"
#include "tensor.hpp"

namespace amct_distill::nn {

template <class T>
class BasicScratch {
public:
    /// The k-th buffer; references stay valid when others are asked for. Not from within `parallel_for`: ask
    /// for all of them before.
    BasicTensor<T>& tensor(std::size_t k) {
        while (tensors_.size() <= k) tensors_.emplace_back();
        return tensors_[k];
    }

    /// `size` values for every thread that may work at a time; worker w has those from w * size on.
    T* buffer(std::size_t k, Index size) { return buffer(k, size, static_cast<Index>(threads())); }
    T* buffer(std::size_t k, Index size, Index workers) {
        tensor(k).resize({size * workers});
        return tensor(k).data();
    }

    /// The k-th buffer of indices, in addition to those of values; the same holds for it.
    std::vector<Index>& indices(std::size_t k) {
        while (indices_.size() <= k) indices_.emplace_back();
        return indices_[k];
    }

    /// Whose threads the module uses; null: the caller's alone.
    void use(const Executor* executor) { executor_ = executor; }
    std::size_t threads() const { return executor_ ? static_cast<std::size_t>(executor_->threads()) : 1; }
    /// f(i, worker) for every i below `count`, all of which is `work` additions or so: see
    /// `Executor::parallel_for`. Where it takes no longer than waking a thread, on the caller's alone.
    template <class F>
    void parallel_for(Index count, double work, F&& f) const {
        auto const call = [&f](std::size_t i, std::size_t worker) {
            f(static_cast<Index>(i), static_cast<Index>(worker));
        };
        if (executor_ && work > 1e6)
            executor_->parallel_for(static_cast<std::size_t>(count), call);
        else
            Executor::run_here(static_cast<std::size_t>(count), call);
    }
    /// f(begin, end) for parts of [0, n) whose elements have nothing to do with each other.
    template <class F>
    void in_parts(std::size_t n, F&& f) const {
        constexpr std::size_t size = 1 << 14;
        parallel_for(static_cast<Index>((n + size - 1) / size), double(n), [&](Index part, Index) {
            std::size_t const begin = static_cast<std::size_t>(part) * size;
            f(begin, (std::min)(n, begin + size));
        });
    }
    /// The threads in the quantizers' form.
    const Execution& execution() const {
        static const Execution alone{};
        return executor_ ? executor_->execution() : alone;
    }

    /// What the module's `prepare` computed for this run and others with the same parameters; null: nothing.
    const BasicTensor<T>* prepared() const { return prepared_; }
    void use_prepared(const BasicTensor<T>* prepared) { prepared_ = prepared; }

    /// Which sample of the whole batch is the first of those in this run.
    Index first_sample() const { return first_sample_; }
    void use_first_sample(Index sample) { first_sample_ = sample; }

    /// What the buffers hold, in bytes.
    std::size_t bytes() const {
        std::size_t sum = 0;
        for (const auto& t : tensors_) sum += t.capacity() * sizeof(T);
        for (const auto& i : indices_) sum += i.capacity() * sizeof(Index);
        return sum;
    }

private:
    std::deque<BasicTensor<T>> tensors_{};
    std::deque<std::vector<Index>> indices_{};
    const Executor* executor_ = nullptr;
    const BasicTensor<T>* prepared_ = nullptr;
    Index first_sample_ = 0;
};

using Scratch = BasicScratch<float>;

}  // namespace amct_distill::nn
