// SPDX-License-Identifier: Apache-2.0
/// What a network has computed so far, batch by batch, so that the next block begins where the last one
/// ended.
///
///     CacheBudget budget(512 << 20);
///     PrefixRunner prefix(network, batches, budget, executor);
///     prefix.advance(3, block.nodes.front());              // evaluates the nodes before that one ...
///     prefix.value(block.inputs[0]);                        // ... whose values are there now
///
/// Kept of a batch is what a later node reads. Where the budget has no room for it, it goes to a file of the
/// budget's directory; without one, the next call begins at the network's input again: with the same bits.
#pragma once
#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <span>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "../nn/network.hpp"
#include "../student/data_source.hpp"
#include "../student/own_batches.hpp"
#include "../student/slices.hpp"
#include "spill_file.hpp"

namespace amct_distill {

/// How many bytes may be kept, by all who share it, and the directory for what has no room (empty: it is not
/// kept).
class CacheBudget {
public:
    explicit CacheBudget(std::size_t bytes, std::filesystem::path directory = {})
        : free_(bytes), directory_(std::move(directory)) {}
    bool take(std::size_t bytes) {
        if (bytes > free_) return false;
        free_ -= bytes;
        return true;
    }
    void give_back(std::size_t bytes) { free_ += bytes; }
    std::size_t free() const { return free_; }
    const std::filesystem::path& directory() const { return directory_; }

private:
    std::size_t free_;
    std::filesystem::path directory_;
};

/// Is told the values of the nodes that a PrefixRunner evaluates, slice by slice.
class ValueWatcher {
public:
    /// False: it does not want to see these nodes of batch i.
    virtual bool begin(std::size_t i, nn::Index samples, std::span<const nn::NodeId> nodes) = 0;
    /// Slice k of the batch; the tape has the nodes' values and what they read. On any thread: `worker` is
    /// as in slices.hpp.
    virtual void add(std::size_t k, nn::Tape& tape, std::size_t worker) = 0;
    virtual void end() = 0;

protected:
    ~ValueWatcher() = default;
};

class PrefixRunner {
public:
    /// All outlive it. The network's parameters may change for nodes that advance() has not evaluated.
    PrefixRunner(const nn::Network& network, DataSource batches, CacheBudget& budget,
                 const nn::Executor* executor = nullptr, std::size_t slices = default_slices,
                 std::string_view who = "distill")
        : batches_(batches, network, executor, slices, who),
          budget_(budget),
          runner_(network, executor, slices),
          file_(budget.directory()) {}
    PrefixRunner(const PrefixRunner&) = delete;
    PrefixRunner& operator=(const PrefixRunner&) = delete;
    ~PrefixRunner() { forget(); }

    const nn::Network& network() const { return runner_.network(); }
    std::size_t size() const { return batches_.size(); }
    /// Who is told what is evaluated from now on; outlives it, and may be null.
    void tell(ValueWatcher* watcher) { watcher_ = watcher; }

    /// Evaluates the nodes before `to` for batch number `i`. Then `value` has what later nodes and the
    /// network's outputs need of them, and the values that are asked for besides. Errors: the batch cannot be
    /// loaded, the file cannot be written or read. Throws std::invalid_argument when it does not fit the
    /// network's inputs.
    result<void> advance(std::size_t i, nn::NodeId to, std::span<const nn::NodeId> besides = {}) {
        if (kept_.size() <= i) kept_.resize(i + 1);
        Kept& kept = kept_[i];
        given_.clear();
        wanted_.clear();
        std::span<const nn::Tensor> batch;
        bool goes_on = (kept.bytes != 0 || kept.in_file) && kept.at <= to;
        for (nn::NodeId id : besides)  // what was evaluated before and dropped
            goes_on = goes_on && (id >= kept.at || kept.has(id));
        std::size_t const from = goes_on ? kept.at.index : 0;
        std::swap(before_, kept.values);
        if (goes_on && kept.in_file)
            for (std::size_t k = 0; k != kept.nodes.size(); ++k) {
                auto& value = before_.emplace_back(kept.nodes[k], nn::Tensor()).second;
                if (auto ok = file_.read(kept.places[k], value); !ok) return ok;
            }
        if (goes_on) {
            for (const auto& [id, value] : before_) given_.push_back({id, &value});
        } else {
            before_.clear();
            auto const loaded = batches_.load(i, buffer_);
            if (!loaded) return loaded.diagnostics();
            batch = loaded->tensors;
            kept.samples = loaded->samples;
            for (std::size_t k = 0; k != batch.size(); ++k)
                given_.push_back({network().inputs()[k], &batch[k]});
        }
        find_live(to);
        after_.clear();
        std::size_t const live = live_.size();
        for (nn::NodeId id : besides)
            if (std::ranges::find(live_, id) == live_.end()) live_.push_back(id);
        after_.reserve(live_.size());
        for (nn::NodeId id : live_) {
            nn::Tensor& value = after_.emplace_back(id, nn::Tensor()).second;
            if (std::ranges::find(given_, id, &SliceRunner::Given::node) == given_.end())
                wanted_.push_back({id, &value});
        }
        nodes_.clear();
        for (nn::NodeId id : network().operations())
            if (id.index >= from && id < to) nodes_.push_back(id);
        // A block's values are of no use to the next one.
        if (!nodes_.empty() && std::exchange(first_, nodes_.front()) != nodes_.front()) runner_.release();
        if (watcher_ != nullptr && !nodes_.empty() && watcher_->begin(i, kept.samples, nodes_)) {
            runner_.run(
                nodes_, given_, wanted_, kept.samples,
                [&](std::size_t k, nn::Tape& tape, std::size_t worker) { watcher_->add(k, tape, worker); });
            watcher_->end();
        } else if (!nodes_.empty()) {
            runner_.run(nodes_, given_, wanted_, kept.samples);
        }
        for (auto& [id, value] : after_) {  // what was there goes on, or is a part of the batch
            auto const there = std::ranges::find(before_, id, &std::pair<nn::NodeId, nn::Tensor>::first);
            if (there != before_.end())
                value = std::move(there->second);
            else if (auto const given = std::ranges::find(given_, id, &SliceRunner::Given::node);
                     given != given_.end())
                value = *given->value;
        }
        before_.clear();
        live_.resize(live);
        return keep(i, to);
    }
    /// To the end of the network, whose outputs `value` has then.
    result<void> advance_to_end(std::size_t i) {
        return advance(i, {network().graph().topology().nodes.size()});
    }
    /// Of the whole batch, after `advance`.
    nn::Index samples(std::size_t i) const { return kept_[i].samples; }
    SliceRunner& runner() { return runner_; }
    /// After `advance`, until the next.
    const nn::Tensor& value(nn::NodeId id) const {
        const nn::Tensor* found = find(after_, id);
        if (found == nullptr && at_ < kept_.size()) found = find(kept_[at_].values, id);
        if (found == nullptr) throw std::out_of_range("PrefixRunner: a value that was not asked for");
        return *found;
    }

    /// Call after changing parameters of nodes that advance() has evaluated.
    void forget() {
        for (Kept& kept : kept_) drop(kept);
    }

private:
    using Values = std::vector<std::pair<nn::NodeId, nn::Tensor>>;
    struct Kept {
        nn::NodeId at{};
        std::vector<nn::NodeId> nodes{};
        Values values{};                         // theirs, in memory
        std::vector<SpillFile::Place> places{};  // or in the file; some may be left of earlier nodes
        std::size_t bytes = 0;
        bool in_file = false;
        nn::Index samples = 0;  // of the whole batch
        bool has(nn::NodeId id) const { return std::ranges::find(nodes, id) != nodes.end(); }
    };

    static const nn::Tensor* find(const Values& values, nn::NodeId id) {
        for (const auto& [node, value] : values)
            if (node == id) return &value;
        return nullptr;
    }
    void drop(Kept& kept) {
        budget_.give_back(std::exchange(kept.bytes, 0));
        kept.values.clear();
        kept.in_file = false;
    }
    result<void> keep(std::size_t i, nn::NodeId to) {
        Kept& kept = kept_[i];
        at_ = i;
        std::size_t bytes = 0;
        for (nn::NodeId id : live_) bytes += find(after_, id)->size() * sizeof(float);
        drop(kept);
        bool const in_memory = budget_.take(bytes);
        if (!in_memory && !file_.is_usable()) return {};
        kept.at = to;
        kept.nodes.assign(live_.begin(), live_.end());
        if (in_memory) {
            kept.bytes = bytes;
            // The first ones of `after_` are those that live.
            auto const end = after_.begin() + std::ssize(live_);
            kept.values.assign(std::move_iterator(after_.begin()), std::move_iterator(end));
            after_.erase(after_.begin(), end);
            return {};
        }
        if (kept.places.size() < live_.size()) kept.places.resize(live_.size());
        for (std::size_t k = 0; k != live_.size(); ++k)
            if (auto ok = file_.write(*find(after_, live_[k]), kept.places[k]); !ok) return ok;
        kept.in_file = true;
        return {};
    }
    /// The values before `to` that it or a later node reads, or that leave the network.
    void find_live(nn::NodeId to) {
        const nn::Network& net = network();
        std::vector<bool> live(to.index, false);
        auto const need = [&](nn::NodeId value) {
            if (value < to && net.node(value).kind != NodeKind::constant) live[value.index] = true;
        };
        for (nn::NodeId id : net.operations())
            if (id >= to) std::ranges::for_each(net.node(id).inputs, need);
        std::ranges::for_each(net.outputs(), need);
        live_.clear();
        for (std::size_t i = 0; i != live.size(); ++i)
            if (live[i]) live_.push_back({i});
    }

    OwnBatches batches_;
    Batch buffer_{};
    CacheBudget& budget_;
    SliceRunner runner_;
    ValueWatcher* watcher_ = nullptr;
    SpillFile file_;
    std::vector<Kept> kept_{};   // by batch
    nn::NodeId first_{};         // of the last run
    std::size_t at_ = 0;         // the batch that advanced last
    Values before_{}, after_{};  // of that one; what is kept has moved from `after_` to there
    std::vector<nn::NodeId> live_{}, nodes_{};
    std::vector<SliceRunner::Given> given_{};
    std::vector<SliceRunner::Wanted> wanted_{};
};

}  // namespace amct_distill
