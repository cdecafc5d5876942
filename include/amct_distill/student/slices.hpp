// SPDX-License-Identifier: Apache-2.0
/// Runs a network on a batch that is cut along its samples into slices: each runs alone, threads take slices.
///
///     SliceRunner runner(network, &executor);
///     runner.run_batch(batch, network.outputs(), outputs);            // whole batches in, whole batches out
///     runner.for_each(samples, [&](std::size_t k, BatchSlice slice, nn::Tape& tape, std::size_t worker) {
///         ...
///     });
///
/// How a batch is cut depends on its samples alone, never on the threads; whoever adds up what the slices
/// gave does it along one binary tree (`tree_sum`). So results have the same bits on any number of threads.
/// Where there are more threads than slices, all of them share one slice after the other.
///
/// Of several ranks (those of the executor) each runs its range of the slices, on tensors that have the
/// samples of that range (own_batches.hpp). Where samples cannot be told apart, every rank runs everything.
#pragma once
#include <algorithm>
#include <cstddef>
#include <deque>
#include <optional>
#include <span>
#include <stdexcept>
#include <vector>

#include "../core/concat.hpp"
#include "../nn/network.hpp"
#include "../run/executor.hpp"
#include "../run/ranks.hpp"
#include "batch_slice.hpp"

namespace amct_distill {

namespace detail {

/// Slice k of `count`.
inline BatchSlice slice_of(nn::Index samples, std::size_t k, std::size_t count) {
    auto const at = [&](std::size_t i) {
        return samples * static_cast<nn::Index>(i) / static_cast<nn::Index>(count);
    };
    return {at(k), at(k + 1)};
}

/// The samples that a rank has of a batch, as a slice of it.
inline BatchSlice part_of_rank(nn::Index samples, std::size_t slices, std::size_t rank, std::size_t ranks) {
    IndexRange const own = range_of_rank(slices, rank, ranks);
    if (own.size() == 0) return {};
    return {slice_of(samples, own.begin, slices).begin, slice_of(samples, own.end - 1, slices).end};
}

/// Whether dimension 0 of all values is the batch: then samples have nothing to do with each other.
inline bool can_be_cut(const nn::Network& network) {
    auto const has_batch = [&](nn::NodeId id) {
        return network.node(id).shape[0] == nn::any_batch;  // no value has no dimensions
    };
    return std::ranges::all_of(network.inputs(), has_batch) &&
           std::ranges::all_of(network.operations(), has_batch);
}

/// The values of a slice, at their place in a tensor of all samples.
inline std::span<const float> values_of(const nn::Tensor& whole, BatchSlice slice) {
    std::size_t const one = whole.size() / static_cast<std::size_t>(whole.dim(0));
    return whole.span().subspan(static_cast<std::size_t>(slice.begin) * one,
                                static_cast<std::size_t>(slice.size()) * one);
}
inline std::span<float> values_of(nn::Tensor& whole, BatchSlice slice) {
    std::size_t const one = whole.size() / static_cast<std::size_t>(whole.dim(0));
    return whole.span().subspan(static_cast<std::size_t>(slice.begin) * one,
                                static_cast<std::size_t>(slice.size()) * one);
}

/// Copies a tensor; parts of it on all threads.
inline void copy_tensor(const nn::Tensor& from, nn::Tensor& to, const nn::Executor* executor) {
    to.resize_to_write(from.shape());
    auto const part = [&](std::size_t begin, std::size_t end) {
        copy_values(from.span().subspan(begin, end - begin), to.data() + begin);
    };
    if (executor == nullptr)
        part(0, from.size());
    else
        in_parts(executor->execution(), from.size(), task_size, part);
}

/// Copies a slice of a batch into a tensor of its own; `shape` is that of the value in the network.
inline void take_slice(const nn::Tensor& whole, const nn::Shape& shape, BatchSlice slice, nn::Tensor& to) {
    if (shape[0] != nn::any_batch) {
        to = whole;
        return;
    }
    to.resize_batch_to_write(shape, slice.size());
    copy_values(values_of(whole, slice), to.data());
}

/// Calls f(i, stride) for the additions v[i] += v[i + stride] that add `count` values up, in order, along a
/// binary tree that the count alone determines: neighbours, then neighbours of those. The sum is v[0].
template <class F>
void for_each_addition(std::size_t count, F&& f) {
    for (std::size_t stride = 1; stride < count; stride *= 2)
        for (std::size_t i = 0; i + stride < count; i += 2 * stride) f(i, stride);
}

/// values[0] + values[1] + ..., along that tree. Overwrites them.
template <class T>
T tree_sum(std::span<T> values) {
    for_each_addition(values.size(),
                      [&](std::size_t i, std::size_t stride) { values[i] += values[i + stride]; });
    return values.empty() ? T{} : values[0];
}

}  // namespace detail

class SliceRunner {
public:
    struct Given {
        nn::NodeId node;
        const nn::Tensor* value;
    };
    struct Wanted {
        nn::NodeId node;
        nn::Tensor* value;
    };

    /// Both outlive it. Null: the caller's thread alone.
    explicit SliceRunner(const nn::Network& network, const nn::Executor* executor = nullptr,
                         std::size_t slices = default_slices)
        : network_(network),
          executor_(executor),
          slices_((std::max)(slices, std::size_t{1})),
          is_cut_(detail::can_be_cut(network)) {
        std::size_t const threads = executor ? static_cast<std::size_t>(executor->threads()) : 1;
        for (std::size_t w = 0; w != (std::min)(threads, slices_); ++w) tapes_.emplace_back();
    }

    const nn::Network& network() const { return network_; }
    const nn::Executor* executor() const { return executor_; }
    /// The workspaces, one for each slice that runs at a time.
    std::deque<nn::Tape>& tapes() { return tapes_; }
    bool is_cut() const { return is_cut_; }
    /// At most so many a batch.
    std::size_t slices() const { return slices_; }
    std::size_t count(nn::Index samples) const {
        return is_cut_ ? (std::max)(std::size_t{1}, (std::min)(slices_, static_cast<std::size_t>(samples)))
                       : 1;
    }
    /// The ranks that share batches; null where this one runs all slices.
    Ranks* ranks() const {
        return is_cut_ && executor_ != nullptr && detail::are_several(executor_->ranks()) ? executor_->ranks()
                                                                                          : nullptr;
    }
    /// The slices of a batch that are this rank's.
    detail::IndexRange own(nn::Index samples) const { return detail::own_range(ranks(), count(samples)); }
    /// The samples of rank r, as a slice of the batch.
    BatchSlice part_of(nn::Index samples, std::size_t r) const {
        if (ranks() == nullptr) return {0, samples};
        return detail::part_of_rank(samples, count(samples), r, ranks()->size());
    }
    BatchSlice own_part(nn::Index samples) const {
        return part_of(samples, ranks() == nullptr ? 0 : ranks()->rank());
    }

    /// Slice k of this rank's, counted from its first sample.
    BatchSlice slice(nn::Index samples, std::size_t k) const {
        return own_slice(samples, k, count(samples), own(samples));
    }

    /// Gives the workspaces' memory back; the next run makes what it needs.
    void release() {
        for (nn::Tape& tape : tapes_) {
            bool const input_gradients = tape.input_gradients;  // what is asked of it stays
            tape = nn::Tape();
            tape.input_gradients = input_gradients;
        }
        prepared_.clear();
        preparing_ = nn::Scratch();
    }

    /// What the modules of some nodes can compute once for all slices: after a change of their parameters.
    void prepare(std::span<const nn::NodeId> nodes) {
        prepared_.resize(network_.modules().size());
        preparing_.use(executor_);
        for (nn::NodeId id : nodes)
            if (auto const m = network_.node(id).module)
                network_.module(*m).prepare(prepared_[*m], preparing_);
    }

    /// f(k, slice, tape, worker) for every slice of this rank; `samples` are the whole batch's, k counts its
    /// slices. `worker` is an index of `tapes()`, and no two calls at the same time have the same. What f
    /// throws is thrown here.
    template <class F>
    void for_each(nn::Index samples, F&& f) {
        std::size_t const n = count(samples);
        detail::IndexRange const mine = own(samples);
        bool const share = shares_threads(mine.size());
        auto const one = [&](std::size_t i, std::size_t worker) {
            nn::Tape& tape = tapes_[worker];
            tape.use(share ? executor_ : nullptr);
            tape.use_prepared(&prepared_);
            BatchSlice const slice = own_slice(samples, mine.begin + i, n, mine);
            tape.use_first_sample(slice.first);
            f(mine.begin + i, slice, tape, worker);
        };
        if (share)
            nn::Executor::run_here(mine.size(), one);
        else
            executor_->parallel_for(mine.size(), one);
    }

    /// f for one of the largest slices on every workspace, which then has room for any: which slice comes to
    /// which workspace is not the same in every `for_each`.
    template <class F>
    void make_room(nn::Index samples, F&& f) {
        std::size_t const n = count(samples);
        detail::IndexRange const mine = own(samples);
        if (mine.size() == 0) return;
        auto const size = [&](std::size_t k) { return detail::slice_of(samples, k, n).size(); };
        std::size_t largest = mine.begin;
        for (std::size_t k = mine.begin; k != mine.end; ++k)
            if (size(k) > size(largest)) largest = k;
        auto const one = [&](std::size_t k, std::size_t w, bool share) {
            tapes_[w].use(share ? executor_ : nullptr);
            tapes_[w].use_prepared(&prepared_);
            f(k, own_slice(samples, k, n, mine), tapes_[w], w);
        };
        if (shares_threads(mine.size())) return one(largest, 0, true);
        if (samples % static_cast<nn::Index>(n) == 0)  // all are alike: one for each workspace
            executor_->parallel_for(tapes_.size(), [&](std::size_t w) { one(mine.begin + w, w, false); });
        else
            for (std::size_t w = 0; w != tapes_.size(); ++w) one(largest, w, false);
    }

    /// Runs some nodes, in graph order, in Mode::evaluate, from values that they read; `wanted` are
    /// overwritten. `samples_of_all`: of the whole batch, where ranks share it. Throws std::invalid_argument
    /// when the values do not have this rank's samples of it.
    void run(std::span<const nn::NodeId> nodes, std::span<const Given> given, std::span<const Wanted> wanted,
             std::optional<nn::Index> samples_of_all = {}) {
        run(nodes, given, wanted, samples_of_all, [](std::size_t, nn::Tape&, std::size_t) {});
    }
    /// And f(k, tape, worker) for each slice, the tape having the values of all of the nodes: see `for_each`.
    template <class F>
    void run(std::span<const nn::NodeId> nodes, std::span<const Given> given, std::span<const Wanted> wanted,
             std::optional<nn::Index> samples_of_all, F&& f) {
        nn::Index const given_here = given.empty() ? 1 : given[0].value->dim(0);
        nn::Index const samples = samples_of_all.value_or(given_here);
        if (is_cut_ && own_part(samples).size() != given_here)
            throw std::invalid_argument(detail::concat("SliceRunner: of ", samples, " samples this rank has ",
                                                       own_part(samples).size(), ", and ", given_here,
                                                       " were given"));
        prepare(nodes);
        for (const Wanted& w : wanted)
            w.value->resize_batch_to_write(network_.node(w.node).shape, given_here);
        for_each(samples, [&](std::size_t k, BatchSlice slice, nn::Tape& tape, std::size_t worker) {
            for (const Given& g : given)
                detail::take_slice(*g.value, network_.node(g.node).shape, slice, tape.output(g.node));
            network_.forward_nodes(nodes, tape, nn::Mode::evaluate);
            f(k, tape, worker);
            for (const Wanted& w : wanted) {
                const nn::Tensor& value = network_.value(w.node, tape);
                if (is_cut_)
                    detail::copy_values(value.span(), detail::values_of(*w.value, slice).data());
                else
                    *w.value = value;
            }
        });
    }

    /// The whole network on a batch, one tensor for each input; `values` become those of `nodes`.
    void run_batch(std::span<const nn::Tensor> batch, std::span<const nn::NodeId> nodes,
                   std::span<nn::Tensor> values, std::optional<nn::Index> samples_of_all = {}) {
        given_.clear();
        wanted_.clear();
        for (std::size_t k = 0; k != batch.size(); ++k) given_.push_back({network_.inputs()[k], &batch[k]});
        for (std::size_t k = 0; k != nodes.size(); ++k) wanted_.push_back({nodes[k], &values[k]});
        run(network_.operations(), given_, wanted_, samples_of_all);
    }

private:
    /// Slice k of n, counted from this rank's first sample.
    static BatchSlice own_slice(nn::Index samples, std::size_t k, std::size_t n, detail::IndexRange own) {
        BatchSlice const slice = detail::slice_of(samples, k, n);
        nn::Index const before = detail::slice_of(samples, own.begin, n).begin;
        return {slice.begin - before, slice.end - before, slice.begin};
    }
    bool shares_threads(std::size_t slices) const {
        return executor_ == nullptr || slices < static_cast<std::size_t>(executor_->threads());
    }

    const nn::Network& network_;
    const nn::Executor* executor_;
    std::size_t slices_;
    bool is_cut_;
    std::deque<nn::Tape> tapes_{};
    std::vector<nn::Tensor> prepared_{};  // by module
    nn::Scratch preparing_{};
    std::vector<Given> given_{};
    std::vector<Wanted> wanted_{};
};

}  // namespace amct_distill
