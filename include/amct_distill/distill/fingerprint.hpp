// SPDX-License-Identifier: Apache-2.0
/// What a distillation run depends on, as a few numbers: an interrupted run is continued only where all
/// agree.
///
///     Fingerprint now = fingerprint(teacher, student, batches, options);
///     if (auto what = difference(now, saved); !what.empty()) ...       // "the data"
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <typeinfo>

#include "../io/hash.hpp"
#include "../student/student.hpp"
#include "train_options.hpp"

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
/// Structure and parameters.
inline void add(Hash& hash, const nn::Network& network) {
    for (nn::NodeId id : network.operations()) {
        const auto& n = network.node(id);
        hash.add(n.name);
        const nn::Module& module = n.module ? network.modules()[*n.module].module : *n.function;
        hash.add(module.type());
        for (nn::NodeId input : n.inputs) hash.add(std::uint64_t{input.index});
        for (nn::Index d : n.shape) hash.add(static_cast<std::uint64_t>(d));
    }
    for (const auto& m : network.modules())
        for (const auto& p : m.module.parameters()) {
            hash.add(p.name);
            add(hash, *p.value);
        }
}

/// What an optimizer or a loss has as settings it shows by `settings()`, a text; see optimizer.hpp.
template <class T>
void add_settings(Hash& hash, const T& t) {
    hash.add(std::string_view(typeid(T).name()));
    if constexpr (requires { std::string_view(t.settings()); }) hash.add(std::string_view(t.settings()));
}

}  // namespace detail

/// The teacher's outputs for the first batch stand for the settings that its modules do not show (a stride, a
/// slope). What does not change a bit of the result is not in it: dump, cache, threads.
template <class Algorithms, class Loss, class Optimizer>
Fingerprint fingerprint(const nn::Network& teacher, const BasicStudent<Algorithms>& student,
                        std::span<const nn::Tensor> batches, const TrainOptions<Loss, Optimizer>& options) {
    detail::Hash of_teacher, of_configuration, of_data, of_calibration, of_training;
    detail::add(of_teacher, teacher);
    detail::add(of_teacher, teacher.predict(batches[0]));
    const auto& plan = student.plan();
    of_configuration.add(std::uint64_t{plan.batch_num.value});
    for (const auto& layer : plan.layers) {
        of_configuration.add(layer.name);
        of_configuration.add(std::uint64_t{layer.quant_enable});
        if (const auto* q = student.quantizers(layer.name)) {
            of_configuration.add(q->weight_policy());
            of_configuration.add(q->data_policy());
            of_configuration.add(std::uint64_t{q->fixed_min()} + 2 * std::uint64_t{q->has_user_clips()});
        }
    }
    for (const PlannedBlock& block : plan.blocks) {
        of_configuration.add(std::uint64_t{block.nodes.size()});
        for (std::size_t n : block.nodes) of_configuration.add(std::uint64_t{n});
    }
    of_data.add(std::uint64_t{batches.size()});
    for (const nn::Tensor& batch : batches) detail::add(of_data, batch);
    detail::add(of_calibration, student.network());
    of_training.add(static_cast<std::uint64_t>(options.epochs));
    of_training.add(static_cast<std::uint64_t>(options.schedule));
    of_training.add(static_cast<std::uint64_t>(options.search.looks_per_epoch));
    for (double v :
         {options.learning_rates.parameters, options.learning_rates.clips, options.learning_rates.scales,
          options.search.rate_after_failure, options.search.average_decay})
        of_training.add(v);
    detail::add_settings(of_training, options.loss);
    detail::add_settings(of_training, options.optimizer);
    return {of_teacher.value(), of_configuration.value(), of_data.value(), of_calibration.value(),
            of_training.value()};
}

}  // namespace amct_distill
