// SPDX-License-Identifier: Apache-2.0
#include "sensitivity.hpp"

#include <amct_distill/core/concat.hpp>
#include <amct_distill/nn/weight_rows.hpp>
#include <amct_distill/run/executor.hpp>
#include <amct_distill/run/ranks.hpp>
#include <amct_distill/student/slices.hpp>
#include <atomic>
#include <deque>
#include <span>

#include "interrupt.hpp"

namespace tool {
namespace {

namespace ad = amct_distill;
using ad::detail::concat;

/// A float layer whose input is quantized.
class DataQuantized {
public:
    static constexpr std::string_view type_name = "DataQuantized";
    DataQuantized(ad::nn::Module module, ad::LayerQuantizers<ad::ExtendedAlgorithms> quantizers)
        : module_(std::move(module)), quantizers_(std::move(quantizers)) {}
    ad::result<ad::nn::Shape> output_shape(std::span<const ad::nn::Shape> inputs) const {
        return module_.output_shape(inputs);
    }
    void forward(ad::nn::Inputs inputs, ad::nn::Tensor& output, ad::nn::Scratch& scratch,
                 ad::nn::Mode) const {
        const ad::nn::Weighted& layer = *module_.weighted();
        ad::nn::Tensor& x = scratch.tensor(layer.scratch_tensors());
        x.resize(inputs[0]->shape());
        quantizers_.quantize_data(*inputs[0], x, scratch.execution());
        layer.forward_with(layer.weight(), x, output, scratch);
    }
    [[noreturn]] void backward(ad::nn::Inputs, const ad::nn::Tensor&, const ad::nn::Tensor&,
                               std::span<ad::nn::Tensor* const>, std::span<ad::nn::Tensor>, ad::nn::Scratch&,
                               ad::nn::Mode) const {
        throw std::invalid_argument("a layer that is analyzed is not trained");
    }

private:
    ad::nn::Module module_;
    ad::LayerQuantizers<ad::ExtendedAlgorithms> quantizers_;
};

/// The float layer with the weights that are quantized.
ad::nn::Module with_quantized_weights(const ad::QuantizedLayer<ad::ExtendedAlgorithms>& from) {
    ad::nn::WeightRows const rows = from.rows();
    ad::nn::Tensor buffer, quantized;
    const ad::nn::Tensor& matrix = rows.gather(from.layer().weight(), buffer);
    from.quantizers().quantize_weight(matrix, quantized);
    ad::nn::Tensor weight(from.layer().weight().shape());
    if (rows.in_order())
        std::ranges::copy(quantized.span(), weight.begin());
    else
        rows.scatter(quantized, weight);
    return from.layer().with_parameters(weight, from.layer().bias());
}

/// What depends on a node, and what that reads from elsewhere.
struct Downstream {
    std::vector<ad::NodeId> nodes{}, reads{};
};
Downstream downstream(const ad::nn::Network& net, ad::NodeId from) {
    Downstream out;
    std::vector<bool> after(net.graph().size(), false), read(net.graph().size(), false);
    for (ad::NodeId id = from; id != net.graph().size(); ++id.index) {
        const auto& node = net.node(id);
        bool const depends =
            id == from || std::ranges::any_of(node.inputs, [&](ad::NodeId i) { return after[i.index]; });
        if (!depends) continue;
        after[id.index] = true;
        if (node.kind == ad::NodeKind::operation) out.nodes.push_back(id);
    }
    for (ad::NodeId id : out.nodes)
        for (ad::NodeId i : net.node(id).inputs)
            if (!after[i.index] && !read[i.index] && net.node(i).kind != ad::NodeKind::constant) {
                read[i.index] = true;
                out.reads.push_back(i);
            }
    return out;
}

/// A module in the place of another, and where its noise goes.
struct Trial {
    std::size_t layer = 0;
    bool of_planned = false;  // in the planned student, not in the float network
    ad::nn::Module module;
    OutputNoise LayerCost::*to = nullptr;
};

/// The trials of early layers take the longest: each rank has a share of those.
std::vector<std::size_t> dealt(std::size_t trials, std::size_t ranks) {
    std::vector<std::size_t> order;
    for (std::size_t r = 0; r != ranks; ++r)
        for (std::size_t t = r; t < trials; t += ranks) order.push_back(t);
    return order;
}

void add_noise(OutputNoise& to, const ad::nn::Network& net, ad::nn::Tape& reference, ad::nn::Tape& found,
               const std::vector<bool>& computed) {
    for (ad::NodeId output : net.outputs()) {
        const ad::nn::Tensor& y = net.value(output, reference);
        if (!computed.empty() && !computed[output.index]) {
            for (float v : y) to.signal += static_cast<double>(v) * static_cast<double>(v);
            continue;
        }
        const ad::nn::Tensor& x = net.value(output, found);
        double noise = 0, signal = 0;
        for (std::size_t i = 0; i != y.size(); ++i) {
            double const v = static_cast<double>(y[i]), d = static_cast<double>(x[i]) - v;
            noise += d * d;
            signal += v * v;
        }
        to.noise += noise;
        to.signal += signal;
    }
}

}  // namespace

Costs layer_costs(const ad::nn::Network& net, const Students& students, const Dataset& data,
                  const ad::RunOptions& run, Console& console) {
    Costs out;
    const auto& plan = students.planned->plan();
    std::vector<Downstream> after;
    std::vector<Trial> trials;
    for (const auto& planned : plan.layers) {
        const auto* const int8 = students.int8->quantized(planned.module);
        const auto* const int4 = students.int4->quantized(planned.module);
        if (int8 == nullptr || int4 == nullptr) continue;
        std::size_t const l = out.layers.size();
        LayerCost& cost = out.layers.emplace_back();
        cost.name = planned.name;
        cost.type = planned.type;
        cost.weights = int8->layer().weight().size();
        cost.quantized = planned.quant_enable;
        after.push_back(downstream(net, planned.node));
        const ad::nn::Module& layer = net.module(planned.module);
        trials.push_back({l, false, with_quantized_weights(*int8), &LayerCost::weights_int8});
        trials.push_back({l, false, with_quantized_weights(*int4), &LayerCost::weights_int4});
        trials.push_back({l, false, DataQuantized(layer, int8->quantizers()), &LayerCost::data_int8});
        trials.push_back({l, false, DataQuantized(layer, int4->quantizers()), &LayerCost::data_int4});
        if (planned.quant_enable) trials.push_back({l, true, layer, &LayerCost::all_but_this});
    }
    std::vector<ad::ModuleId> module_of;
    for (const LayerCost& c : out.layers) module_of.push_back(*net.graph().module_named(c.name));

    std::vector<std::size_t> const order = dealt(trials.size(), run.ranks == nullptr ? 1 : run.ranks->size());
    ad::detail::IndexRange const own = ad::detail::own_range(run.ranks, order.size());
    std::vector<OutputNoise> found(order.size());

    ad::nn::Executor const executor(run.threads);
    auto const workers = static_cast<std::size_t>(run.threads);
    struct Worker {
        ad::nn::Network of_float, of_planned;
        ad::nn::Tape tape{};
    };
    std::deque<Worker> all;
    for (std::size_t w = 0; w != workers; ++w) all.push_back({net, students.planned->network()});
    ad::nn::Tape teacher, student;
    std::atomic<std::size_t> done{0};
    for (std::size_t i = 0; i != data.size(); ++i) {
        auto const loaded = data.load(i);
        const ad::Batch& batch = loaded.value();
        std::vector<const ad::nn::Tensor*> inputs;
        for (const ad::nn::Tensor& t : batch) inputs.push_back(&t);
        teacher.use(&executor);
        student.use(&executor);
        net.forward(inputs, teacher, ad::nn::Mode::evaluate);
        students.planned->network().forward(inputs, student, ad::nn::Mode::evaluate);
        add_noise(out.planned, net, teacher, student, {});
        executor.parallel_for(own.size(), [&](std::size_t k, std::size_t w) {
            if (interrupted()) return;
            const Trial& trial = trials[order[own.begin + k]];
            Worker& worker = all[w];
            ad::nn::Network& network = trial.of_planned ? worker.of_planned : worker.of_float;
            ad::nn::Tape& from = trial.of_planned ? student : teacher;
            ad::ModuleId const m = module_of[trial.layer];
            ad::nn::Module const before = network.module(m);
            network.replace(m, trial.module);
            for (ad::NodeId id : after[trial.layer].reads) worker.tape.output(id) = from.output(id);
            worker.tape.use(nullptr);
            network.forward_nodes(after[trial.layer].nodes, worker.tape, ad::nn::Mode::evaluate);
            network.replace(m, before);
            std::vector<bool> computed(net.graph().size(), false);
            for (ad::NodeId id : after[trial.layer].nodes)
                for (ad::NodeId port : net.outputs_of(id)) computed[port.index] = true;
            // An output that does not depend on the layer is, of the planned student, as noisy as before.
            OutputNoise& to = found[own.begin + k];
            add_noise(to, net, teacher, worker.tape, computed);
            if (trial.of_planned)
                for (ad::NodeId output : net.outputs())
                    if (!computed[output.index]) {
                        const ad::nn::Tensor &y = net.value(output, teacher), &x = net.value(output, student);
                        for (std::size_t v = 0; v != y.size(); ++v) {
                            double const d = static_cast<double>(x[v]) - static_cast<double>(y[v]);
                            to.noise += d * d;
                        }
                    }
            if (w == 0) {
                std::size_t const n = done.load();
                console.progress("analyzing", concat("batch ", i + 1, " of ", data.size()),
                                 static_cast<double>(n) / static_cast<double>(own.size() * data.size()));
            }
            done.fetch_add(1);
        });
        if (interrupted()) throw Stop(exit_interrupted, "interrupted; nothing was written");
    }
    console.finish();
    ad::detail::Exchange exchange;
    ad::detail::gather_ranges(run.ranks, std::span(found), found.size(), exchange);
    for (std::size_t k = 0; k != order.size(); ++k)
        out.layers[trials[order[k]].layer].*trials[order[k]].to = found[k];
    for (LayerCost& c : out.layers)
        if (c.quantized && out.planned.noise > 0)
            c.noise_share = (std::max)(0.0, 1 - c.all_but_this.noise / out.planned.noise);
    return out;
}

OutputNoise output_noise(const ad::nn::Network& net, const ad::nn::Network& other, const Dataset& data,
                         int threads) {
    ad::nn::Executor const executor(threads);
    ad::SliceRunner of_net(net, &executor), of_other(other, &executor);
    std::vector<ad::nn::Tensor> a(net.outputs().size()), b(net.outputs().size());
    OutputNoise out;
    for (std::size_t i = 0; i != data.size(); ++i) {
        auto const loaded = data.load(i);
        if (!loaded && interrupted()) throw Stop(exit_interrupted, "interrupted; nothing was written");
        of_net.run_batch(loaded.value(), net.outputs(), a);
        of_other.run_batch(loaded.value(), other.outputs(), b);
        for (std::size_t o = 0; o != a.size(); ++o)
            for (std::size_t v = 0; v != a[o].size(); ++v) {
                double const y = static_cast<double>(a[o][v]), d = static_cast<double>(b[o][v]) - y;
                out.noise += d * d;
                out.signal += y * y;
            }
    }
    return out;
}

}  // namespace tool
