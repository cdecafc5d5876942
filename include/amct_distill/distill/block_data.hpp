// SPDX-License-Identifier: Apache-2.0
/// What a block is trained on: for every batch, its input and the output that the teacher has there.
///
///     BlockData data(student_prefix, teacher_prefix, budget, batches.size(), plan.blocks[2], nullptr, 2);
///     const BlockData::Step& step = *data.load(7).value();     // valid until the next load
///
/// Neither changes while the block is trained, so both are computed once, and kept where the budget allows.
#pragma once
#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "../plan/plan.hpp"
#include "dump.hpp"
#include "loss.hpp"
#include "prefix_cache.hpp"

namespace amct_distill {

class BlockData {
public:
    struct Step {
        nn::Tensor input{}, target{};
        /// The input is the teacher's: the student's was off by more than half of the smaller signal's power,
        /// mean((t - s)^2) > 0.5 min(mean t^2, mean s^2), and had nothing left to teach.
        bool from_teacher = false;
    };

    /// The blocks before this one are trained. `dump`: the teacher's part, when it was dumped.
    BlockData(PrefixRunner& student, PrefixRunner& teacher, CacheBudget& budget, std::size_t batches,
              const PlannedBlock& block, const TeacherDump* dump, std::size_t index)
        : student_(student), teacher_(teacher), budget_(budget), dump_(dump), index_(index), steps_(batches) {
        const nn::Network& network = student.network();
        nodes_ = block.nodes;
        input_node_ = network.node(nodes_.front()).inputs.at(0);
        // A module that is trained here and also used before makes the input change with every step.
        for (nn::NodeId id : network.operations())
            if (id < nodes_.front() && network.node(id).module)
                for (nn::NodeId own : nodes_)
                    if (network.node(own).module == network.node(id).module) changes_ = true;
    }
    BlockData(const BlockData&) = delete;
    BlockData& operator=(const BlockData&) = delete;
    ~BlockData() {
        budget_.give_back(bytes_);
        if (changes_) student_.forget();
    }

    std::span<const nn::NodeId> nodes() const { return nodes_; }
    nn::NodeId input_node() const { return input_node_; }
    std::size_t size() const { return steps_.size(); }

    /// Errors: a batch cannot be loaded, the teacher's dump cannot be read.
    result<const Step*> load(std::size_t i) {
        if (steps_[i]) return &*steps_[i];
        if (auto ok = compute(i); !ok) return ok.diagnostics();
        std::size_t const bytes = (current_.input.size() + current_.target.size()) * sizeof(float);
        if (changes_ || !budget_.take(bytes)) return &current_;
        bytes_ += bytes;
        return &steps_[i].emplace(current_);
    }

private:
    result<void> compute(std::size_t i) {
        if (changes_) student_.forget();
        if (auto ok = student_.advance(i, nodes_.front()); !ok) return ok;
        const nn::Tensor& own = student_.tape().output(input_node_);
        if (dump_ != nullptr) {
            auto step = dump_->load(index_, i);
            if (!step) return step.diagnostics();
            current_.input = std::move(step->input);
            current_.target = std::move(step->output);
        } else {
            if (auto ok = teacher_.advance(i, nodes_.front()); !ok) return ok;
            teacher_.network().forward_nodes(nodes_, teacher_.tape(), nn::Mode::evaluate);
            current_.input = teacher_.tape().output(input_node_);
            current_.target = teacher_.tape().output(nodes_.back());
        }
        double const distance = detail::mean_squared_error(current_.input, own);
        double const power = (std::min)(detail::mean_square(current_.input), detail::mean_square(own));
        current_.from_teacher = !(distance <= 0.5 * power);  // not finite is too far as well
        if (!current_.from_teacher) current_.input = own;
        return {};
    }

    PrefixRunner &student_, &teacher_;
    CacheBudget& budget_;
    const TeacherDump* dump_;
    std::size_t index_;
    std::vector<nn::NodeId> nodes_{};
    nn::NodeId input_node_{};
    bool changes_ = false;
    std::vector<std::optional<Step>> steps_;
    std::size_t bytes_ = 0;
    Step current_{};
};

}  // namespace amct_distill
