// SPDX-License-Identifier: Apache-2.0
/// What a distillation run depends on, as a few numbers: an interrupted run is continued only where all
/// agree.
///
///     Fingerprint now = fingerprint(teacher, student, batches, options).value();
///     if (auto what = difference(now, saved); !what.empty()) ...       // "the data"
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <variant>
#include <vector>

#include "../io/hash.hpp"
#include "../student/data_source.hpp"
#include "../student/own_batches.hpp"
#include "../student/student.hpp"
#include "../text/printer.hpp"
#include "distill_options.hpp"

namespace amct_distill {

/// Each by 64 bits; against mistakes, not against an enemy.
struct Fingerprint {
    std::uint64_t teacher = 0, configuration = 0, data = 0, calibration = 0, training = 0;
    friend bool operator==(const Fingerprint&, const Fingerprint&) = default;
};

/// What differs, the first of it; empty when nothing does.
inline std::string_view difference(const Fingerprint& a, const Fingerprint& b) {
    if (a.teacher != b.teacher) return "the teacher";
    if (a.configuration != b.configuration) return "the configuration";
    if (a.data != b.data) return "the data";
    if (a.calibration != b.calibration) return "the calibrated student";
    if (a.training != b.training) return "the training options";
    return {};
}

namespace detail {

inline void add(Hash& hash, const nn::Tensor& t) {
    for (nn::Index d : t.shape()) hash.add(static_cast<std::uint64_t>(d));
    hash.add_bytes(t.span());
}
/// Values that are told apart by samples, a rank's in each rank: of each sample a hash, in order.
inline void add_samples(Hash& hash, std::span<const nn::Tensor> own, SliceRunner& runner, nn::Index samples) {
    Exchange exchange;
    for (const nn::Tensor& t : own) {
        for (std::size_t d = 1; d < t.shape().size(); ++d) hash.add(static_cast<std::uint64_t>(t.dim(d)));
        if (!runner.is_cut()) {
            hash.add_bytes(t.span());
            continue;
        }
        std::vector<std::uint64_t> all(static_cast<std::size_t>(samples));
        std::size_t const one = t.size() / (std::max)(static_cast<std::size_t>(t.dim(0)), std::size_t{1});
        BatchSlice const part = runner.own_part(samples);
        for (nn::Index s = 0; s != part.size(); ++s) {
            Hash of_sample;
            of_sample.add_bytes(t.span().subspan(static_cast<std::size_t>(s) * one, one));
            all[static_cast<std::size_t>(part.begin + s)] = of_sample.value();
        }
        exchange.begin(runner.ranks());
        if (Ranks* const ranks = runner.ranks(); ranks != nullptr)
            for (std::size_t r = 0; r != ranks->size(); ++r) {
                auto const of = [&](BatchSlice p) {
                    return std::span(all).subspan(static_cast<std::size_t>(p.begin),
                                                  static_cast<std::size_t>(p.size()));
                };
                exchange.send(r, std::span<const std::uint64_t>(of(part)));
                exchange.receive(r, of(runner.part_of(samples, r)));
            }
        exchange.run(runner.ranks());
        hash.add_bytes(std::span<const std::uint64_t>(all));
    }
}
/// Structure and parameters.
inline void add(Hash& hash, const nn::Network& network) {
    for (nn::NodeId id : network.operations()) {
        const auto& n = network.node(id);
        hash.add(network.name(id));
        hash.add(network.operation(id).type());
        hash.add(network.operation(id).options());
        for (nn::NodeId input : n.inputs) hash.add(std::uint64_t{input.index});
        for (nn::Index d : n.shape) hash.add(static_cast<std::uint64_t>(d));
    }
    for (const auto& m : network.modules())
        for (const auto& p : m.module.parameters()) {
            hash.add(p.name);
            for (nn::Index d : p.shape()) hash.add(static_cast<std::uint64_t>(d));
            hash.add_bytes(p.values);
        }
}

/// All settings of a layer's algorithm, those of one's own too.
template <class Alternatives>
void add_message(Hash& hash, const oneof<Alternatives>& algorithm) {
    hash.add(algorithm.name());
    std::visit(
        [&]<class M>(const M& message) {
            if constexpr (!std::is_same_v<M, std::monostate>) hash.add(print(message));
        },
        algorithm.value());
}

/// What an optimizer or a loss has as settings it shows by `settings()`, a text; see optimizer.hpp.
template <class T>
void add_settings(Hash& hash, const T& t) {
    hash.add(std::string_view(typeid(T).name()));
    if constexpr (requires { std::string_view(t.settings()); }) hash.add(std::string_view(t.settings()));
}

}  // namespace detail

/// What a run computes depends on. What does not change a bit of the result is not in it: dump, memory,
/// threads. The teacher's outputs for the first batch stand for the settings that its modules do not show.
/// Errors: no batches; one cannot be loaded. Throws std::invalid_argument when a batch does not fit the
/// teacher's inputs. Of several ranks (the executor's) each looks at its own samples.
template <class Algorithms, class Loss, class Optimizer>
result<Fingerprint> fingerprint(const nn::Network& teacher, const BasicStudent<Algorithms>& student,
                                DataSource batches, const BasicDistillOptions<Loss, Optimizer>& options,
                                const nn::Executor* executor = nullptr) {
    if (batches.empty()) return general_error("fingerprint: no batches; give at least one");
    detail::Hash of_teacher, of_configuration, of_data, of_calibration, of_training;
    detail::add(of_teacher, teacher);
    of_data.add(std::uint64_t{batches.size()});
    SliceRunner runner(teacher, executor, options.slices);
    OwnBatches own(batches, teacher, executor, options.slices, "distill");
    Batch buffer, outputs(teacher.outputs().size());
    for (std::size_t i = 0; i != own.size(); ++i) {
        auto const batch = own.load(i, buffer);
        if (!batch) return batch.diagnostics();
        of_data.add(static_cast<std::uint64_t>(batch->samples));
        detail::add_samples(of_data, batch->tensors, runner, batch->samples);
        if (i != 0) continue;
        runner.run_batch(batch->tensors, teacher.outputs(), outputs, batch->samples);
        detail::add_samples(of_teacher, outputs, runner, batch->samples);
    }
    const auto& plan = student.plan();
    of_configuration.add(std::uint64_t{plan.batch_num.value});
    for (const auto& layer : plan.layers) {
        of_configuration.add(layer.name);
        of_configuration.add(std::uint64_t{layer.quant_enable});
        detail::add_message(of_configuration, layer.data);
        detail::add_message(of_configuration, layer.weights);
    }
    for (const PlannedBlock& block : plan.blocks) {
        of_configuration.add(std::uint64_t{block.nodes.size()});
        for (NodeId n : block.nodes) of_configuration.add(std::uint64_t{n.index});
    }
    detail::add(of_calibration, student.network());
    of_training.add(static_cast<std::uint64_t>(options.epochs));
    of_training.add(static_cast<std::uint64_t>(options.schedule));
    of_training.add(static_cast<std::uint64_t>(options.blocks));
    of_training.add(std::uint64_t{options.slices});
    of_training.add(static_cast<std::uint64_t>(options.search.evaluations_per_epoch));
    for (double v :
         {options.learning_rates.parameters, options.learning_rates.clips, options.learning_rates.scales,
          options.search.rate_after_failure, options.search.average_decay})
        of_training.add(v);
    of_training.add(static_cast<std::uint64_t>(options.input));
    of_training.add(options.drop_probability);
    of_training.add(static_cast<std::uint64_t>(options.loss_weights));
    of_training.add(options.drop_probability > 0 || options.loss_weights != LossWeights::none ? options.seed
                                                                                              : 0);
    detail::add_settings(of_training, options.loss);
    detail::add_settings(of_training, options.optimizer);
    return Fingerprint{of_teacher.value(), of_configuration.value(), of_data.value(), of_calibration.value(),
                       of_training.value()};
}

}  // namespace amct_distill
