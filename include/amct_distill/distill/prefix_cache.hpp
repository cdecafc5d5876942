// SPDX-License-Identifier: Apache-2.0
/// What a network has computed so far, batch by batch, so that the next block begins where the last one
/// ended.
///
///     CacheBudget budget(512 << 20);
///     PrefixRunner prefix(network, batches, budget, executor);
///     prefix.advance(3, block.front());       // runs the nodes before that one ...
///     prefix.tape().output(input_node);                         // ... whose outputs are there now
///
/// Kept of a batch is what a later node reads. Where the budget has no room for it, the next call begins at
/// the network's input again: with the same bits, only later.
#pragma once
#include <cstddef>
#include <utility>
#include <vector>

#include "../nn/network.hpp"
#include "../student/data_source.hpp"
#include "../student/same_network.hpp"

namespace amct_distill {

/// How many bytes may be kept, by all who share it.
class CacheBudget {
public:
    explicit CacheBudget(std::size_t bytes) : free_(bytes) {}
    bool take(std::size_t bytes) {
        if (bytes > free_) return false;
        free_ -= bytes;
        return true;
    }
    void give_back(std::size_t bytes) { free_ += bytes; }
    std::size_t free() const { return free_; }

private:
    std::size_t free_;
};

class PrefixRunner {
public:
    /// All outlive it. The network's parameters may change for nodes that advance() has not evaluated.
    PrefixRunner(const nn::Network& network, DataSource batches, CacheBudget& budget,
                 const nn::Executor* executor = nullptr)
        : network_(network), batches_(batches), budget_(budget), tape_(executor) {}

    nn::Tape& tape() { return tape_; }
    const nn::Network& network() const { return network_; }

    /// Brings what the nodes from `to` on read into the tape, for batch number `i`. Error: it cannot be
    /// loaded. Throws std::invalid_argument when it does not fit the network's inputs.
    result<void> advance(std::size_t i, nn::NodeId to) {
        if (kept_.size() <= i) kept_.resize(i + 1);
        Kept& kept = kept_[i];
        std::size_t from = 0;
        if (kept.bytes != 0 && kept.at <= to) {
            from = kept.at.index;
            for (auto& [id, value] : kept.values) std::swap(tape_.output(id), value);
        } else {
            auto const batch = batches_.load(i, buffer_);
            if (!batch) return batch.diagnostics();
            detail::require_batch(network_, *batch, "distill", i);
            for (std::size_t k = 0; k != batch->size(); ++k) tape_.output(network_.inputs()[k]) = (*batch)[k];
        }
        for (nn::NodeId id : network_.operations())
            if (id.index >= from && id < to) network_.forward_node(id, tape_, nn::Mode::evaluate);
        keep(kept, to);
        return {};
    }

    /// Call after changing parameters of nodes that advance() has evaluated.
    void forget() {
        for (Kept& kept : kept_) drop(kept);
    }

private:
    struct Kept {
        nn::NodeId at{};
        std::vector<std::pair<nn::NodeId, nn::Tensor>> values{};
        std::size_t bytes = 0;
    };

    void drop(Kept& kept) {
        budget_.give_back(std::exchange(kept.bytes, 0));
        kept.values.clear();
    }
    void keep(Kept& kept, nn::NodeId to) {
        if (live_at_ != to || live_.empty()) find_live(to);
        std::size_t bytes = 0;
        for (nn::NodeId id : live_) bytes += tape_.output(id).size() * sizeof(float);
        drop(kept);
        if (!budget_.take(bytes)) return;
        kept.at = to;
        kept.bytes = bytes;
        for (nn::NodeId id : live_) kept.values.emplace_back(id, tape_.output(id));
    }
    /// The nodes before `to` that it or one after it reads.
    void find_live(nn::NodeId to) {
        std::vector<bool> live(to.index, false);
        for (nn::NodeId id : network_.operations())
            if (id >= to)
                for (nn::NodeId input : network_.node(id).inputs)
                    if (input < to) live[input.index] = true;
        live_.clear();
        live_at_ = to;
        for (std::size_t i = 0; i != live.size(); ++i)
            if (live[i]) live_.push_back({i});
    }

    const nn::Network& network_;
    DataSource batches_;
    Batch buffer_{};
    CacheBudget& budget_;
    nn::Tape tape_;
    std::vector<Kept> kept_{};  // by batch
    std::vector<nn::NodeId> live_{};
    nn::NodeId live_at_{};
};

}  // namespace amct_distill
