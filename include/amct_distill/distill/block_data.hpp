// SPDX-License-Identifier: Apache-2.0
/// What a block is trained on: for every batch, its inputs and the outputs that the teacher has there.
///
///     BlockData data(student_prefix, teacher_prefix, budget, batches.size(), blocks[2], nullptr, 2);
///     const BlockData::Step& step = *data.load(7).value();     // valid until the next load
///
/// Neither changes while the block is trained, so both are computed once, and kept: in memory where the
/// budget allows, else in a file of its directory; without one they are computed again at every use.
#pragma once
#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "../student/slice_sums.hpp"
#include "blocks.hpp"
#include "distance.hpp"
#include "distill_options.hpp"
#include "dump.hpp"
#include "fisher.hpp"
#include "loss.hpp"
#include "prefix_cache.hpp"

namespace amct_distill {

class BlockData {
public:
    struct Step {
        std::vector<nn::Tensor> inputs{}, targets{};  // parallel to those of the block; this rank's samples
        std::vector<nn::Tensor> weights{};            // of the targets' elements in the loss; empty: none
        nn::Index samples = 0;                        // of the whole batch
        /// The inputs are the teacher's, since that is asked for, or: the student's were off by more than
        /// half of the smaller signal's power, mean((t - s)^2) > 0.5 min(mean t^2, mean s^2), and had nothing
        /// left to teach.
        bool from_teacher = false;
    };

    /// The blocks before this one are trained. `dump`: the teacher's part, when it was dumped. All outlive
    /// it.
    BlockData(PrefixRunner& student, PrefixRunner& teacher, CacheBudget& budget, std::size_t batches,
              const TrainedBlock& block, const TeacherDump* dump, std::size_t index,
              BlockInput input = BlockInput::student, const FisherOptions* fisher = nullptr)
        : student_(student),
          teacher_(teacher),
          budget_(budget),
          block_(block),
          dump_(dump),
          index_(index),
          input_(input),
          steps_(batches),
          file_(budget.directory()),
          places_(batches),
          is_far_(batches),
          sums_(student.runner()) {
        if (fisher != nullptr) fisher_.emplace(teacher.runner(), block, *fisher);
        const nn::Network& network = student.network();
        // A module that is trained here and also used before makes the inputs change with every step.
        for (nn::NodeId id : network.operations())
            if (id < block.nodes.front() && network.node(id).module)
                for (nn::NodeId own : block.nodes)
                    if (network.node(own).module == network.node(id).module) changes_ = true;
        asked_ = block.inputs;
        asked_.insert(asked_.end(), block.outputs.begin(), block.outputs.end());
        if (fisher_) asked_.insert(asked_.end(), fisher_->given().begin(), fisher_->given().end());
    }
    BlockData(const BlockData&) = delete;
    BlockData& operator=(const BlockData&) = delete;
    ~BlockData() {
        budget_.give_back(bytes_);
        if (changes_) student_.forget();
    }

    const TrainedBlock& block() const { return block_; }
    std::size_t size() const { return steps_.size(); }

    /// Errors: a batch cannot be loaded, the teacher's dump or the file cannot be read, or written.
    result<const Step*> load(std::size_t i) {
        if (steps_[i]) return &*steps_[i];
        if (places_[i]) {
            if (auto ok = read(*places_[i]); !ok) return ok.diagnostics();
            return &current_;
        }
        if (auto ok = compute(i); !ok) return ok.diagnostics();
        std::size_t bytes = 0;
        for (const auto* all : {&current_.inputs, &current_.targets, &current_.weights})
            for (const nn::Tensor& t : *all) bytes += t.size() * sizeof(float);
        if (changes_) return &current_;
        if (budget_.take(bytes)) {
            bytes_ += bytes;
            return &steps_[i].emplace(std::exchange(current_, {}));
        }
        if (!file_.is_usable()) return &current_;
        if (auto ok = write(places_[i].emplace()); !ok) return ok.diagnostics();
        return &current_;
    }

    /// `count` sums over the samples of a step, on all ranks the same: f(values_of, to) adds those of a slice
    /// to `to`, values_of(tensor) being what the slice has of a tensor of this rank's samples. Valid until
    /// the next sums.
    template <class F>
    std::span<const double> sum_over(const Step& step, std::size_t count, F&& f) {
        sums_.begin(step.samples, count);
        sums_.for_each([&](BatchSlice slice, std::span<double> to) {
            f([&](const nn::Tensor& tensor) { return sums_.values(tensor, slice); }, to);
        });
        return sums_.finish();
    }

private:
    /// Of a step in the file.
    struct Places {
        std::vector<SpillFile::Place> inputs{}, targets{}, weights{};
        bool from_teacher = false;
        nn::Index samples = 0;
    };
    result<void> write(Places& places) {
        places.from_teacher = current_.from_teacher;
        places.samples = current_.samples;
        for (auto [tensors, to] : {std::pair{&current_.inputs, &places.inputs},
                                   {&current_.targets, &places.targets},
                                   {&current_.weights, &places.weights}})
            for (const nn::Tensor& t : *tensors)
                if (auto ok = file_.write(t, to->emplace_back()); !ok) return ok;
        return {};
    }
    result<void> read(const Places& places) {
        current_.from_teacher = places.from_teacher;
        current_.samples = places.samples;
        for (auto [tensors, from] : {std::pair{&current_.inputs, &places.inputs},
                                     {&current_.targets, &places.targets},
                                     {&current_.weights, &places.weights}}) {
            tensors->resize(from->size());
            for (std::size_t k = 0; k != tensors->size(); ++k)
                if (auto ok = file_.read((*from)[k], (*tensors)[k]); !ok) return ok;
        }
        return {};
    }
    result<void> compute(std::size_t i) {
        const nn::Executor* const executor = student_.runner().executor();
        if (changes_) student_.forget();
        if (auto ok = student_.advance(i, block_.nodes.front()); !ok) return ok;
        current_.inputs.resize(block_.inputs.size());
        current_.targets.resize(block_.outputs.size());
        of_teacher_.clear();
        if (dump_ != nullptr && !fisher_) {
            if (auto ok = dump_->load(index_, i, current_.inputs, current_.targets); !ok) return ok;
            for (const nn::Tensor& t : current_.inputs) of_teacher_.push_back(&t);
        } else {
            // Past the block at once: its outputs are what the next one goes on from.
            if (auto ok = teacher_.advance(i, block_.end(teacher_.network()), asked_); !ok) return ok;
            for (nn::NodeId input : block_.inputs) of_teacher_.push_back(&teacher_.value(input));
            for (std::size_t k = 0; k != block_.outputs.size(); ++k)
                detail::copy_tensor(teacher_.value(block_.outputs[k]), current_.targets[k], executor);
        }
        current_.samples = student_.samples(i);
        if (fisher_)
            fisher_->compute(
                i, current_.samples, [&](nn::NodeId id) -> const nn::Tensor& { return teacher_.value(id); },
                current_.weights);
        current_.from_teacher =
            is_far(i) || input_ == BlockInput::teacher || (input_ == BlockInput::mix && i % 2 != 0);
        for (std::size_t k = 0; k != block_.inputs.size(); ++k)
            if (!current_.from_teacher)
                detail::copy_tensor(student_.value(block_.inputs[k]), current_.inputs[k], executor);
            else if (of_teacher_[k] != &current_.inputs[k])
                detail::copy_tensor(*of_teacher_[k], current_.inputs[k], executor);
        return {};
    }
    /// Found once where the inputs stay: a rank that computes them again does not ask the others again.
    bool is_far(std::size_t i) {
        if (is_far_[i] && !changes_) return *is_far_[i];
        auto const found = sum_over(current_, 3, [&](auto&& values_of, std::span<double> to) {
            detail::Distance distance;
            for (std::size_t k = 0; k != block_.inputs.size(); ++k)
                distance.add(values_of(*of_teacher_[k]), values_of(student_.value(block_.inputs[k])));
            to[0] = distance.error, to[1] = distance.teacher, to[2] = distance.student;
        });
        is_far_[i] = detail::Distance{found[0], found[1], found[2]}.is_far();
        return *is_far_[i];
    }

    PrefixRunner &student_, &teacher_;
    CacheBudget& budget_;
    const TrainedBlock& block_;
    const TeacherDump* dump_;
    std::size_t index_;
    BlockInput input_;
    std::optional<FisherWeights> fisher_{};
    std::vector<nn::NodeId> asked_{};
    std::vector<const nn::Tensor*> of_teacher_{};  // its inputs of the step that is computed
    bool changes_ = false;
    std::vector<std::optional<Step>> steps_;
    SpillFile file_;
    std::vector<std::optional<Places>> places_;
    std::vector<std::optional<bool>> is_far_;
    SliceSums sums_;
    std::size_t bytes_ = 0;
    Step current_{};
};

}  // namespace amct_distill
