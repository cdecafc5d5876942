// SPDX-License-Identifier: Apache-2.0
/// The definitions of bias_correction.hpp.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "../nn/batch_norm_after.hpp"
#include "../run/together.hpp"
#include "bias_correction.hpp"
#include "channel_sums.hpp"
#include "own_batches.hpp"
#include "same_network.hpp"
#include "slices.hpp"

namespace amct_distill {
namespace detail {

/// Some batches on their way through a network: what nodes that are still to come read of those that have
/// been run, of this rank's samples. Where that has no room, a run begins at the inputs each time.
class NetworkProgress {
public:
    /// `samples`: of a batch, about.
    NetworkProgress(const nn::Network& network, DataSource batches, std::size_t count, nn::Index samples,
                    std::size_t memory_bytes, const nn::Executor& executor)
        : network_(network),
          own_(batches, network, &executor, default_slices, "correct_biases"),
          memory_(memory_bytes),
          runner_(network, &executor),
          samples_(runner_.own_part(samples).size()) {
        states_.resize(count);
        samples_of_.resize(count);
    }

    /// As batches are cut here.
    SliceSums sums() { return SliceSums(runner_); }

    /// Runs all operations before the one at `end` (an index of `operations()`), for good.
    result<void> advance(std::size_t end) {
        if (end == begin_) return {};
        std::vector<nn::NodeId> const live = live_at(end);
        if (is_kept_) is_kept_ = fits(live);
        if (!is_kept_) {
            for (State& s : states_) s.clear();
            begin_ = 0;
            return {};
        }
        auto const nodes = network_.operations().subspan(begin_, end - begin_);
        for (std::size_t i = 0; i != states_.size(); ++i) {
            State next(live.size());
            for (std::size_t k = 0; k != live.size(); ++k) next[k].node = live[k];
            if (auto ok = run(i, nodes, next); !ok) return ok;
            states_[i] = std::move(next);
        }
        begin_ = end;
        return {};
    }
    /// f(value of a node, samples of the whole batch) for each batch, the node being run, and what it takes;
    /// nothing is kept.
    template <class F>
    result<void> look_at(nn::NodeId node, std::size_t end, F f) {
        auto const nodes = network_.operations().subspan(begin_, end - begin_);
        for (std::size_t i = 0; i != states_.size(); ++i) {
            State wanted(1);
            wanted[0].node = node;
            if (auto ok = run(i, nodes, wanted); !ok) return ok;
            f(wanted[0].value, samples_of_[i]);
        }
        return {};
    }

private:
    struct Value {
        nn::NodeId node{};
        nn::Tensor value{};
    };
    using State = std::vector<Value>;

    /// What the operations from `end` on read of the inputs and of the operations before.
    std::vector<nn::NodeId> live_at(std::size_t end) const {
        auto const later = network_.operations().subspan(end);
        std::vector<nn::NodeId> live;
        for (nn::NodeId id : later)
            for (nn::NodeId input : network_.node(id).inputs)
                if (input < later.front() && network_.node(input).kind != NodeKind::constant)
                    live.push_back(input);
        std::ranges::sort(live);
        live.erase(std::unique(live.begin(), live.end()), live.end());
        return live;
    }
    bool fits(const std::vector<nn::NodeId>& live) const {
        double bytes = 0;
        for (nn::NodeId id : live) {
            double one = sizeof(float);
            for (nn::Index d : network_.node(id).shape) one *= static_cast<double>(d > 0 ? d : samples_);
            bytes += one * static_cast<double>(states_.size());
        }
        return bytes <= static_cast<double>(memory_);
    }

    result<void> run(std::size_t i, std::span<const nn::NodeId> nodes, State& wanted) {
        given_.clear();
        wanted_.clear();
        Batch buffer;
        if (begin_ == 0) {
            auto const batch = own_.load(i, buffer);
            if (!batch) return batch.diagnostics();
            samples_of_[i] = batch->samples;
            for (std::size_t k = 0; k != batch->tensors.size(); ++k)
                given_.push_back({network_.inputs()[k], &batch->tensors[k]});
            give(wanted, nodes, samples_of_[i]);
            return {};
        }
        for (const Value& v : states_[i]) given_.push_back({v.node, &v.value});
        give(wanted, nodes, samples_of_[i]);
        return {};
    }
    void give(State& wanted, std::span<const nn::NodeId> nodes, nn::Index samples) {
        for (Value& w : wanted) {
            auto const there = std::ranges::find_if(given_, [&](const auto& g) { return g.node == w.node; });
            if (there != given_.end())
                w.value = *there->value;  // passed on
            else
                wanted_.push_back({w.node, &w.value});
        }
        runner_.run(nodes, given_, wanted_, samples);
    }

    const nn::Network& network_;
    OwnBatches own_;
    std::size_t memory_, begin_ = 0;
    bool is_kept_ = true;
    SliceRunner runner_;
    nn::Index samples_;                    // of this rank, about
    std::vector<State> states_{};          // by batch
    std::vector<nn::Index> samples_of_{};  // the whole batches'
    std::vector<SliceRunner::Given> given_{};
    std::vector<SliceRunner::Wanted> wanted_{};
};

/// A layer whose outputs' means are corrected.
struct BiasTarget {
    std::size_t report = 0;  // its place
    nn::NodeId layer{}, measured{};
    nn::ModuleId corrected{};
    ChannelSums teacher, student;
};

/// `correct_biases`, when the arguments make sense.
template <class Algorithms>
result<BiasReport> correct_biases_together(const nn::Network& teacher, BasicStudent<Algorithms>& student,
                                           DataSource batches, const RunOptions& run,
                                           const BiasOptions& options) {
    nn::Network network = student.network();  // becomes the student's when all is well
    const Graph& graph = network.graph();
    BiasReport report;
    std::size_t const asked =
        options.batch_num != 0 ? options.batch_num : std::size_t{student.plan().batch_num.value};
    report.batches = (std::min)(asked, batches.size());

    std::vector<BiasTarget> targets;
    for (nn::NodeId id : network.operations()) {
        auto const module = graph.module_of(id);
        if (!module || graph.is_shared(id)) continue;
        const auto* const layer = network.module(*module).template get_if<QuantizedLayer<Algorithms>>();
        if (layer == nullptr) continue;
        const nn::Weighted& weighted = layer->layer();
        auto const add = [&](nn::NodeId measured, nn::ModuleId into, std::vector<std::uint32_t> channels) {
            auto const count = static_cast<std::size_t>(weighted.output_channels());
            ChannelSums const sums(std::move(channels), count);
            targets.push_back({report.layers.size(), id, measured, into, sums, sums});
            report.layers.push_back({graph.module(*module).name, graph.module(into).name, 0, 0});
        };
        if (!weighted.bias().empty())
            add(id, *module,
                channels_of_bias(weighted, network.node(network.node(id).inputs[0]).shape,
                                 network.node(id).shape));
        else if (auto const norm = batch_norm_after(network, *module))
            add(graph.uses(*norm).front(), *norm,
                channels_of_planes(network.node(graph.uses(*norm).front()).shape));
        else
            report.others.push_back(
                {graph.module(*module).name, "it has no bias, and no BatchNorm after it that has one"});
    }
    if (targets.empty()) return report;

    nn::Executor const executor(run.threads, best_instructions(), run.ranks);
    auto const position = [&](nn::NodeId id) {
        return static_cast<std::size_t>(std::ranges::lower_bound(network.operations(), id) -
                                        network.operations().begin());
    };
    auto const measure = [&](NetworkProgress& progress, nn::NodeId node, ChannelSums& sums) {
        SliceSums by_slice = progress.sums();
        return progress.look_at(node, position(node) + 1, [&](const nn::Tensor& y, nn::Index samples) {
            sums.add(y, by_slice, samples);
        });
    };
    Batch buffer;
    auto const first =
        OwnBatches(batches, network, &executor, default_slices, "correct_biases").load(0, buffer);
    if (!first) return first.diagnostics();
    nn::Index const samples = first->samples;
    NetworkProgress of_teacher(teacher, batches, report.batches, samples, run.memory_bytes / 2, executor),
        of_student(network, batches, report.batches, samples, run.memory_bytes / 2, executor);
    for (BiasTarget& t : targets) {
        for (NetworkProgress* progress : {&of_teacher, &of_student}) {
            if (auto ok = progress->advance(position(t.layer)); !ok) return ok.diagnostics();
            if (auto ok = measure(*progress, t.measured, progress == &of_teacher ? t.teacher : t.student);
                !ok)
                return ok.diagnostics();
        }
        CorrectedBias& told = report.layers[t.report];
        nn::Module& module = network.module(t.corrected);
        for (const nn::Parameter& p : module.parameters()) {
            if (p.name != "bias") continue;
            double squares = 0;
            for (std::size_t c = 0; c != p.values.size(); ++c) {
                double const shift = t.teacher.mean(c) - t.student.mean(c);
                if (!std::isfinite(shift))
                    return general_error(
                        concat("correct_biases: layer `", told.layer, "`: the mean of channel ", c,
                               " of its outputs is not finite: check the data and the clips"));
                p.values[c] = static_cast<float>(static_cast<double>(p.values[c]) + shift);
                squares += shift * shift;
            }
            told.shift = std::sqrt(squares / static_cast<double>(p.values.size()));
        }
        told.deviation = t.teacher.deviation();
    }
    student.network() = std::move(network);
    return report;
}

}  // namespace detail

template <class Algorithms>
result<BiasReport> correct_biases(const nn::Network& teacher, BasicStudent<Algorithms>& student,
                                  DataSource batches, const RunOptions& run, const BiasOptions& options) {
    run.check_options("correct_biases");
    if (batches.empty()) return general_error("correct_biases: no batches; give at least one");
    if (auto const what = detail::difference(teacher, student.network(), "the teacher", "the student");
        !what.empty())
        throw std::invalid_argument(detail::concat("correct_biases: ", what));
    return detail::together(
        run.ranks, [&] { return detail::correct_biases_together(teacher, student, batches, run, options); });
}

}  // namespace amct_distill
