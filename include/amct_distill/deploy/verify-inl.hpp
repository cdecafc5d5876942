// SPDX-License-Identifier: Apache-2.0
/// The definitions of verify.hpp.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../core/inline.hpp"
#include "../io/binary.hpp"
#include "../run/together.hpp"
#include "../student/load_ahead.hpp"
#include "../student/own_batches.hpp"
#include "../student/slice_sums.hpp"
#include "../student/slices.hpp"
#include "integer.hpp"
#include "simulation.hpp"
#include "verify.hpp"

namespace amct_distill {

namespace detail {

/// The most by which a sum may differ from the rounded simulation. The simulation computes K products of two
/// rounded factors and adds them and the bias in float32: each term passes at most K + 3 roundings, and two
/// more are in scale_d * scale_w and in the bias. With u = 2^-24, whatever the order of the sum, its error is
/// below g * S, g = (K + 5) u / (1 - (K + 5) u), S the sum of the terms' magnitudes; at most, in units of the
/// sum, what the codes can reach plus |bias|. Rounding the bias adds 1/2, rounding the simulation 1/2.
inline std::int64_t explained_difference(const DeployedLayer& layer) {
    double const n = (static_cast<double>(layer.cols()) + 5) * 0x1p-24, growth = n / (1 - n);
    std::vector<std::int8_t> codes(layer.cols());
    double most = 0;
    for (std::size_t r = 0; r != layer.rows(); ++r) {
        unpack_row(layer.codes, r, codes);
        auto sum = static_cast<double>(sum_of_magnitudes(codes) * largest_data(layer.data_width, layer.data));
        if (!layer.bias.empty()) sum += std::abs(static_cast<double>(layer.bias[r])) + 1;
        most = (std::max)(most, sum);
    }
    return static_cast<std::int64_t>(growth * most + 1);
}

/// Adds one batch to the comparison.
inline void compare_sums(const DeployedLayer& layer, const IntegerTensor& sums, const nn::Tensor& simulated,
                         VerifiedLayer& to) {
    to.outputs += sums.size();
    layer.for_each_output(sums.shape(), [&](std::size_t i, std::size_t channel) {
        auto const unit = static_cast<double>(layer.dequantization_scale(channel));
        auto const expected =
            static_cast<std::int64_t>(std::nearbyint(static_cast<double>(simulated[i]) / unit));
        std::int64_t const d = std::abs(expected - sums[i]);
        if (d != 0) ++to.different;
        to.largest = (std::max)(to.largest, d);
    });
}
inline void compare_inputs(const IntegerLayer& integer, const nn::Tensor& simulated, const nn::Tensor& found,
                           VerifiedLayer& to) {
    std::vector<std::int8_t> a, b;
    integer.quantize_data(simulated, a);
    integer.quantize_data(found, b);
    to.inputs += a.size();
    for (std::size_t i = 0; i != a.size(); ++i) {
        int const d = std::abs(a[i] - b[i]);
        if (d != 0) ++to.inputs_different;
        to.inputs_largest = (std::max)(to.inputs_largest, d);
    }
}

/// How many samples are compared at a time: the values of all layers are in memory, of three networks.
inline constexpr nn::Index verified_at_a_time = 8;

/// Compares a deployment, batch after batch, with its simulation and with another network of the same
/// outputs.
class Verification {
public:
    explicit Verification(const Deployment& deployment)
        : deployment_(deployment),
          simulation_(simulation_network(deployment)),
          device_(integer_network(deployment)) {
        for (const DeployedLayer& l : deployment.layers()) {
            report_.layers.push_back({.name = l.name,
                                      .explained = explained_difference(l),
                                      .requantized_channels = l.requantized.size()});
            integers_.push_back(device_.module(l.module).get_if<IntegerLayer>());
            nodes_.push_back(l.node);
        }
    }

    /// This rank's samples of a batch; `slices` is of the network to compare with.
    void add(const OwnBatches::Loaded& batch, SliceRunner& slices) {
        const nn::Network& reference = slices.network();
        for (nn::Tape* tape : {&simulated_, &mixed_, &other_}) tape->use(slices.executor());
        scratch_.use(slices.executor());
        SliceSums sums(slices);
        sums.begin(batch.samples, 3);
        // One slice after the other, each on all threads: the values of all layers are in memory.
        sums.for_each_in_order([&](BatchSlice slice, std::span<double> to) {
            if (!slices.is_cut()) return add_part(batch.tensors, reference, to);
            parts_.resize(batch.tensors.size());
            for (nn::Index begin = slice.begin; begin < slice.end; begin += verified_at_a_time) {
                BatchSlice const part{begin, (std::min)(begin + verified_at_a_time, slice.end)};
                for (std::size_t k = 0; k != parts_.size(); ++k)
                    take_slice(batch.tensors[k], reference.node(reference.inputs()[k]).shape, part,
                               parts_[k]);
                add_part(parts_, reference, to);
            }
        });
        auto const of_batch = sums.finish();
        report_.output_error += of_batch[0];
        report_.output_square += of_batch[1];
        values_ += of_batch[2];
    }
    /// `ranks`: those that have looked at other samples.
    VerifyReport finish(Ranks* ranks) {
        report_.output_error /= values_;
        report_.output_square /= values_;
        for (const VerifyReport& other : others(ranks)) {
            report_.output_largest = (std::max)(report_.output_largest, other.output_largest);
            for (std::size_t k = 0; k != report_.layers.size(); ++k) {
                VerifiedLayer& to = report_.layers[k];
                const VerifiedLayer& from = other.layers[k];
                to.outputs += from.outputs;
                to.different += from.different;
                to.largest = (std::max)(to.largest, from.largest);
                to.inputs += from.inputs;
                to.inputs_different += from.inputs_different;
                to.inputs_largest = (std::max)(to.inputs_largest, from.inputs_largest);
            }
        }
        return std::move(report_);
    }

private:
    /// What the other ranks have found.
    std::vector<VerifyReport> others(Ranks* ranks) const {
        std::vector<VerifyReport> found;
        if (!are_several(ranks)) return found;
        BinaryWriter out;
        out.put(report_);
        std::vector<std::string> const texts = gather_texts(ranks, std::move(out.text));
        for (std::size_t r = 0; r != texts.size(); ++r)
            if (r != ranks->rank())
                if (VerifyReport other; BinaryReader(texts[r]).get(other)) found.push_back(std::move(other));
        return found;
    }
    /// Adds to the outputs' squared error, their square, and their number.
    void add_part(std::span<const nn::Tensor> part, const nn::Network& reference, std::span<double> to) {
        std::vector<const nn::Tensor*> inputs;
        for (const nn::Tensor& t : part) inputs.push_back(&t);
        simulation_.forward(inputs, simulated_, nn::Mode::evaluate);
        simulation_.set_inputs(inputs, mixed_);
        compare_layers();
        device_.forward(inputs, mixed_, nn::Mode::evaluate);
        reference.forward(inputs, other_, nn::Mode::evaluate);
        for (nn::NodeId output : device_.outputs())
            compare_outputs(device_.value(output, mixed_), reference.value(output, other_), to);
    }
    void compare_layers() {
        for (nn::NodeId id : simulation_.operations()) {
            auto const found = std::ranges::find(nodes_, id);
            if (found == nodes_.end()) {
                simulation_.forward_node(id, mixed_, nn::Mode::evaluate);
                continue;
            }
            auto const k = static_cast<std::size_t>(found - nodes_.begin());
            nn::NodeId const input = simulation_.node(id).inputs[0];
            compare_inputs(*integers_[k], simulation_.value(input, simulated_),
                           simulation_.value(input, mixed_), report_.layers[k]);
            integers_[k]->accumulate(simulation_.value(input, simulated_), sums_, scratch_);
            compare_sums(deployment_.layers()[k], sums_, simulated_.output(id), report_.layers[k]);
            integers_[k]->dequantize_sums(sums_, mixed_.output(id));
        }
    }
    void compare_outputs(const nn::Tensor& ours, const nn::Tensor& theirs, std::span<double> to) {
        for (std::size_t i = 0; i != ours.size(); ++i) {
            double const y = static_cast<double>(theirs[i]), d = static_cast<double>(ours[i]) - y;
            to[0] += d * d;
            to[1] += y * y;
            report_.output_largest = (std::max)(report_.output_largest, std::abs(d));
        }
        to[2] += static_cast<double>(ours.size());
    }

    const Deployment& deployment_;
    nn::Network simulation_, device_;
    std::vector<const IntegerLayer*> integers_{};
    std::vector<nn::NodeId> nodes_{};
    nn::Tape simulated_{}, mixed_{}, other_{};
    std::vector<nn::Tensor> parts_{};
    nn::Scratch scratch_{};
    IntegerTensor sums_{};
    double values_ = 0;
    VerifyReport report_{};
};

AMCT_DISTILL_INLINE result<VerifyReport> verify_together(const Deployment& deployment,
                                                         const nn::Network* reference,
                                                         const DataSource& batches, const RunOptions& run) {
    nn::Network simulation;
    if (reference == nullptr) {
        simulation = simulation_network(deployment);
        reference = &simulation;
    }
    Verification verification(deployment);
    nn::Executor const executor(run.threads, best_instructions(), run.ranks);
    SliceRunner slices(*reference, &executor);
    LoadAhead ahead(batches, run.load_ahead ? batches.size() : 0);
    OwnBatches own(ahead.source(), *reference, &executor, default_slices, "verify");
    Batch buffer;
    for (std::size_t i = 0; i != own.size(); ++i) {
        auto const batch = own.load(i, buffer);
        if (!batch) return batch.diagnostics();
        verification.add(*batch, slices);
    }
    return verification.finish(slices.ranks());
}
AMCT_DISTILL_INLINE result<VerifyReport> run_verification(const Deployment& deployment,
                                                          const nn::Network* reference,
                                                          const DataSource& batches, const RunOptions& run) {
    run.check_options("verify");
    if (batches.empty()) return general_error("verify: no batches; give at least one");
    return together(run.ranks, [&] { return verify_together(deployment, reference, batches, run); });
}

/// What a student has that its deployment does not: the first difference, or "". Quantized layers and
/// BatchNorms are other modules in a deployment.
template <class Algorithms>
std::string difference(const Deployment& deployment, const BasicStudent<Algorithms>& student) {
    const nn::Network &a = deployment.network(), &b = student.network();
    for (nn::NodeId id; id != a.graph().size() && id != b.graph().size(); ++id.index) {
        if (a.name(id) != b.name(id))
            return concat("node ", id.index, " is `", a.name(id), "` in the deployment, and `", b.name(id),
                          "` in the student");
        if (a.node(id).shape != b.node(id).shape || a.node(id).inputs != b.node(id).inputs ||
            a.node(id).kind != b.node(id).kind)
            return concat("node `", a.name(id), "` of shape ", nn::to_string(a.node(id).shape),
                          " in the deployment is another one in the student, of shape ",
                          nn::to_string(b.node(id).shape));
    }
    if (a.graph().size() != b.graph().size())
        return concat("the deployment has ", a.graph().size(), " nodes, the student ", b.graph().size());
    if (!std::ranges::equal(a.outputs(), b.outputs())) return "their outputs are other nodes";
    for (const auto& planned : student.plan().layers)
        if ((student.quantized(planned.module) != nullptr) != (deployment.layer(planned.name) != nullptr))
            return concat("layer `", planned.name, "` is quantized in ",
                          deployment.layer(planned.name) ? "the deployment" : "the student", " only");
    return {};
}

}  // namespace detail

AMCT_DISTILL_INLINE result<VerifyReport>(verify)(const Deployment& deployment, const DataSource& batches,
                                                 const RunOptions& run) {
    return detail::run_verification(deployment, nullptr, batches, run);
}
template <class Algorithms>
result<VerifyReport>(verify)(const Deployment& deployment, const BasicStudent<Algorithms>& student,
                             const DataSource& batches, const RunOptions& run) {
    if (auto const what = detail::difference(deployment, student); !what.empty())
        throw std::invalid_argument(
            detail::concat("verify: the deployment is not of this student: ", what, "; deploy it"));
    return detail::run_verification(deployment, &student.network(), batches, run);
}

}  // namespace amct_distill
