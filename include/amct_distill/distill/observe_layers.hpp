// SPDX-License-Identifier: Apache-2.0
/// Runs teacher and student side by side on some samples, and looks at the values of every layer.
///
///     ObservedValues seen = observe_layers(teacher, student, batches, run).value();
///     seen.layers[0].output_sqnr;      // dB, with the noise of all layers before it
///     seen.layers[0].data.counts;      // a histogram of its inputs
///
/// It changes nothing, and takes as long as two runs of the network on so many samples.
#pragma once
#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <vector>

#include "../core/concat.hpp"
#include "../run/executor.hpp"
#include "../student/data_source.hpp"
#include "../student/run_options.hpp"
#include "../student/same_network.hpp"
#include "../student/slices.hpp"
#include "../student/student.hpp"
#include "layer_values.hpp"
#include "noise.hpp"
#include "report_layers.hpp"

namespace amct_distill {

/// More samples hardly move the figures, and a report should not take long.
inline constexpr std::size_t default_observed_samples = 256;

namespace detail {

/// How many samples run at a time: the values of all layers are in memory.
inline constexpr nn::Index observed_at_a_time = 8;

class LayerObserver {
public:
    template <class Algorithms>
    LayerObserver(const nn::Network& teacher, const BasicStudent<Algorithms>& student, int threads)
        : teacher_(teacher), student_(student.network()), executor_(threads) {
        for (const auto& layer : student.plan().layers) {
            nodes_.push_back(layer.node);
            LayerValues& values = seen_.layers.emplace_back();
            values.name = layer.name;
            const auto* const quantized = student.quantized(layer.module);
            const nn::Weighted* const weighted =
                quantized ? &quantized->layer() : student_.module(layer.module).weighted();
            if (weighted != nullptr) values.weights.add(weighted->weight().span());
        }
        noises_.resize(nodes_.size() + 1);
        for (nn::Tape* tape : {&of_teacher_, &of_student_}) tape->use(&executor_);
    }

    /// The first samples of a batch; all of them where samples cannot be told apart.
    void add(std::span<const nn::Tensor> batch, std::size_t most) {
        auto const samples = batch[0].dim(0);
        bool const cut = can_be_cut(student_);
        nn::Index const end = cut ? (std::min)(samples, static_cast<nn::Index>(most)) : samples;
        for (nn::Index begin = 0; begin < end;) {
            BatchSlice const part{begin, cut ? (std::min)(begin + observed_at_a_time, end) : end};
            parts_.resize(batch.size());
            for (std::size_t k = 0; k != batch.size(); ++k)
                take_slice(batch[k], student_.node(student_.inputs()[k]).shape, part, parts_[k]);
            add_part();
            begin = part.end;
        }
        seen_.samples += static_cast<std::size_t>(end);
    }
    std::size_t samples() const { return seen_.samples; }
    ObservedValues finish() {
        for (std::size_t k = 0; k != nodes_.size(); ++k) seen_.layers[k].output_sqnr = noises_[k].sqnr();
        seen_.output_sqnr = noises_.back().sqnr();
        return std::move(seen_);
    }

private:
    void add_part() {
        std::vector<const nn::Tensor*> inputs;
        for (const nn::Tensor& t : parts_) inputs.push_back(&t);
        teacher_.forward(inputs, of_teacher_, nn::Mode::evaluate);
        student_.forward(inputs, of_student_, nn::Mode::evaluate);
        for (std::size_t k = 0; k != nodes_.size(); ++k) {
            noises_[k].add(teacher_.value(nodes_[k], of_teacher_), student_.value(nodes_[k], of_student_));
            nn::NodeId const input = student_.node(nodes_[k]).inputs.at(0);
            seen_.layers[k].data.add(student_.value(input, of_student_).span());
        }
        for (nn::NodeId output : student_.outputs())
            noises_.back().add(teacher_.value(output, of_teacher_), student_.value(output, of_student_));
    }

    const nn::Network &teacher_, &student_;
    nn::Executor executor_;
    std::vector<nn::NodeId> nodes_{};
    std::vector<Noise> noises_{};  // of each layer, then of the network
    nn::Tape of_teacher_{}, of_student_{};
    std::vector<nn::Tensor> parts_{};
    ObservedValues seen_{};
};

}  // namespace detail

/// On the first `samples` samples of the batches. Errors: no batches, or one that cannot be loaded. Throws
/// std::invalid_argument when the student is not one of this teacher, or a batch does not fit the networks'
/// inputs. The result has the same bits with any number of threads.
template <class Algorithms>
result<ObservedValues> observe_layers(const nn::Network& teacher, const BasicStudent<Algorithms>& student,
                                      DataSource batches, const RunOptions& run = {},
                                      std::size_t samples = default_observed_samples) {
    run.check_options("observe_layers");
    if (auto const what = detail::difference(teacher, student.network(), "the teacher", "the student");
        !what.empty())
        throw std::invalid_argument(
            detail::concat("observe_layers: the student is not one of this teacher: ", what));
    if (batches.empty()) return general_error("observe_layers: no batches; give at least one");
    detail::LayerObserver observer(teacher, student, run.threads);
    Batch buffer;
    for (std::size_t i = 0; i != batches.size() && observer.samples() < samples; ++i) {
        auto const batch = batches.load(i, buffer);
        if (!batch) return batch.diagnostics();
        detail::require_batch(student.network(), *batch, "observe_layers", i);
        observer.add(*batch, samples - observer.samples());
    }
    return observer.finish();
}

}  // namespace amct_distill
