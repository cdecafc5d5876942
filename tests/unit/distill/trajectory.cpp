// SPDX-License-Identifier: Apache-2.0
// The original's training, step by step, through the public pieces. It overwrites the weights by their
// fake-quantized values on every forward, of which there are two a step: this test does it by hand.
#include <algorithm>
#include <amct_distill/distill/adamw.hpp>
#include <amct_distill/distill/loss.hpp>
#include <amct_distill/nn/layers/activation.hpp>
#include <amct_distill/nn/layers/batch_norm.hpp>
#include <amct_distill/nn/layers/conv2d.hpp>
#include <amct_distill/nn/layers/linear.hpp>
#include <amct_distill/nn/layers/structure.hpp>
#include <amct_distill/plan/resolve.hpp>
#include <amct_distill/student/calibrate.hpp>
#include <amct_distill/text/reader.hpp>
#include <cmath>
#include <cstdio>
#include <map>
#include <variant>

#include "support/catch.hpp"
#include "support/golden.hpp"

namespace distill_trajectory_test {

using namespace amct_distill;
namespace json = golden::json;

namespace {

// Of the golden numbers' documentation: the same sums in float32, in other orders.
constexpr double gradient_tolerance = 1.5e-4;
// BatchNorm in training takes from the gradients before it, and from its own sums, their mean and what goes
// along with its input: what is left is a small difference of large numbers. There the rounding errors are
// measured by the largest gradient of the step too: a hundred float32 rounding errors of it.
constexpr double cancellation_tolerance = 100 * 1.2e-7;
constexpr double step_tolerance = 5e-5;  // times the learning rate
constexpr double float_rounding = 6e-8;  // times the value

std::string text(const json::value& v) { return std::string(v.as_string()); }

nn::Tensor tensor(const json::value& v) {
    nn::Shape shape;
    for (std::size_t d : golden::shape(v)) shape.push_back(static_cast<nn::Index>(d));
    if (shape.empty()) shape.push_back(1);
    return nn::Tensor(shape, golden::floats(v));
}

nn::Network network_of(const json::value& c) {
    const auto& state = c.at("teacher");
    nn::Network net;
    std::vector<std::size_t> const batch = golden::shape(c.at("batches").at(0));
    nn::Shape sample;
    for (std::size_t i = 1; i != batch.size(); ++i) sample.push_back(static_cast<nn::Index>(batch[i]));
    nn::NodeId x = net.input("x", sample);
    for (const auto& m : c.at("modules").as_array()) {
        std::string const name = text(m.at(0)), type = text(m.at(1));
        auto const parameter = [&](std::string_view which) {
            return tensor(state.at(detail::concat(name, '.', which)));
        };
        if (type == "Conv2d") {
            nn::Tensor const weight = parameter("weight");
            const auto& o = c.at("conv").at(name);
            auto const pair = [&](const char* key) -> nn::Size2 {
                return {o.at(key).at(0).to_number<nn::Index>(), o.at(key).at(1).to_number<nn::Index>()};
            };
            auto const groups = o.at("groups").to_number<nn::Index>();
            nn::Conv2d conv({.in_channels = weight.dim(1) * groups,
                             .out_channels = weight.dim(0),
                             .kernel = {weight.dim(2), weight.dim(3)},
                             .stride = pair("stride"),
                             .padding = pair("padding"),
                             .groups = groups});
            conv.weight() = weight;
            conv.bias() = parameter("bias");
            x = net.add(name, conv, {x});
        } else if (type == "Linear") {
            nn::Tensor const weight = parameter("weight");
            nn::Linear linear({.in_features = weight.dim(1), .out_features = weight.dim(0)});
            linear.weight() = weight;
            linear.bias() = parameter("bias");
            if (net.node(x).shape.size() > 2) x = net.add_function("flatten", nn::Flatten{}, {x});
            x = net.add(name, linear, {x});
        } else if (type == "BatchNorm2d") {
            nn::Tensor const weight = parameter("weight");
            nn::BatchNorm2d bn({.num_features = weight.dim(0)});
            bn.weight() = weight;
            bn.bias() = parameter("bias");
            bn.running_mean() = parameter("running_mean");
            bn.running_var() = parameter("running_var");
            x = net.add(name, bn, {x});
        } else {
            REQUIRE(type == "ReLU");
            x = net.add(name, nn::ReLU{}, {x});
        }
    }
    net.output(x);
    return net;
}

/// The plan of the case. Weight ULQ is ARQ in the original, and a clip_min of 0 after a ReLU is ours.
DistillPlan plan_of(const json::value& c, const nn::Network& net) {
    std::string config = c.at("cfg").is_null() ? "" : text(c.at("cfg"));
    if (auto const at = config.find("ulq_distill"); at != config.npos) config.replace(at, 3, "arq");
    DistillPlan plan = resolve(read<AMCTDistillConfig>(config).value(), net.topology()).value();
    for (PlannedLayer& layer : plan.layers)
        if (!layer.data_from["fixed_min"].by_user)
            std::get<ActULQquantize>(layer.data.value()).fixed_min = false;
    return plan;
}

/// torch.optim.SGD without momentum, which the original's rebuilding of the optimizer drops.
struct GradientDescent {
    struct Entry {
        std::span<float> values;
        std::span<const float> gradient;
        double rate;
    };
    std::vector<Entry> entries{};
    void add(std::span<float> values, std::span<const float> gradient, double rate) {
        entries.push_back({values, gradient, rate});
    }
    void step() {
        for (Entry& e : entries)
            for (std::size_t i = 0; i != e.values.size(); ++i)
                e.values[i] -= static_cast<float>(e.rate) * e.gradient[i];
    }
};

struct Worst {
    double loss = 0, gradient = 0, step = 0;
};

class Replay {
public:
    Replay(const json::value& c, Worst& worst)
        : case_(c),
          worst_(worst),
          teacher_(network_of(c)),
          student_(make_student(teacher_, plan_of(c, teacher_)).value()) {}

    /// Whether every step of the case is as in the original.
    bool run() {
        std::vector<nn::Tensor> batches;
        for (const auto& b : case_.at("batches").as_array()) batches.push_back(tensor(b));
        calibrate(student_, std::span(std::as_const(batches))).value();
        bool ok = check_clips();
        take_state(case_.at("after_calibration"));
        std::size_t step = 0;
        const auto& blocks = student_.plan().blocks;
        std::size_t const per_block = batches.size() * case_.at("epochs").to_number<std::size_t>();
        for (const PlannedBlock& block : blocks) {
            optimizer_ = AdamW{};
            descent_ = {};
            added_ = false;
            for (std::size_t i = 0; i != per_block; ++i, ++step)
                ok = replay(block, case_.at("steps").at(step)) && ok;
        }
        return ok && step == case_.at("steps").as_array().size();
    }

private:
    /// After one batch of calibration the weights are still the teacher's for us both.
    bool check_clips() {
        constexpr double ifmr_tolerance = 3e-7;
        bool ok = true;
        for (const PlannedLayer& layer : student_.plan().layers) {
            const auto* const q = student_.quantizers(layer.name);
            if (q == nullptr || student_.plan().batch_num.value != 1 || q->has_user_clips()) continue;
            if (case_.at("bn_train_mode").as_bool() && layer.node != 0) continue;  // we do not calibrate so
            for (auto [name, value] : {std::pair{"max", q->data_clip().max}, {"min", q->data_clip().min}}) {
                double const expected = golden::floats(
                    case_.at("after_calibration").at(detail::concat(layer.name, ".acts_clip_", name)))[0];
                // The input of a later layer is a sum in another order.
                ok = ok && std::fabs(static_cast<double>(value) - expected) <=
                               (layer.node == 0 ? ifmr_tolerance : 1e-5) * std::fabs(expected);
            }
        }
        return ok;
    }

    /// "fc1.weight", or "fc1.clips" from the original's two.
    nn::Tensor golden_value(const json::value& values, const std::string& name) {
        auto const dot = name.rfind('.');
        if (name.substr(dot) != ".clips") return tensor(values.at(name));
        std::string const layer = name.substr(0, dot);
        return nn::Tensor({2}, std::vector<float>{golden::floats(values.at(layer + ".acts_clip_max"))[0],
                                                  golden::floats(values.at(layer + ".acts_clip_min"))[0]});
    }

    /// Gives the student these values, for all its trained parameters that there are.
    void take_state(const json::value& values) {
        for (auto& p : student_.network().parameters(tape_))
            if (p.role != nn::Role::statistic && has(values, p.name))
                std::ranges::copy(golden_value(values, p.name).span(), p.values.begin());
        student_.network().constrain();
    }
    static bool has(const json::value& values, const std::string& name) {
        auto const dot = name.rfind('.');
        std::string const key = name.substr(dot) == ".clips" ? name.substr(0, dot) + ".acts_clip_max" : name;
        return values.as_object().contains(key);
    }

    /// What a forward of the original does to the weights.
    void overwrite(const PlannedBlock& block) {
        nn::Tensor quantized;
        for (const std::string& name : block.names)
            if (const auto* const q = student_.quantizers(name))
                for (auto& p : student_.network().module(name).parameters())
                    if (p.role == nn::Role::weight) {
                        q->quantize_weight(*student_.weight(name), quantized);
                        std::ranges::copy(quantized.span(), p.values.begin());
                    }
    }

    bool replay(const PlannedBlock& block, const json::value& step) {
        nn::Network& net = student_.network();
        nn::Mode const mode = case_.at("bn_train_mode").as_bool() ? nn::Mode::train : nn::Mode::evaluate;
        const std::vector<nn::NodeId>& nodes = block.nodes;
        overwrite(block);  // the first forward of the step
        tape_.output(net.node(nodes.front()).inputs[0]) = tensor(step.at("student_input"));
        net.forward_nodes(nodes, tape_, mode);
        MeanSquaredError const loss;
        nn::Tensor const target = tensor(step.at("teacher_output"));
        const nn::Tensor& output = tape_.output(nodes.back());
        double const expected = golden::to_double(step.at("loss"));
        bool ok = within(loss(output, target) - expected, gradient_tolerance * expected, worst_.loss);

        nn::Tensor gradient(output.shape());
        loss.gradient(output, target, gradient);
        net.zero_gradients(tape_);
        net.backward_nodes(nodes, gradient, tape_, mode);
        overwrite(block);  // the second one: what the optimizer finds

        std::vector<nn::NamedParameter> trained;
        for (auto& p : net.parameters(tape_))
            if (p.role != nn::Role::statistic && has(step.at("values_before_step"), p.name))
                trained.push_back(p);
        double largest = 0;
        for (const auto& p : trained)
            for (float g : golden_value(step.at("grads"), p.name))
                largest = (std::max)(largest, std::fabs(static_cast<double>(g)));
        double const cancelled = mode == nn::Mode::train ? cancellation_tolerance * largest : 0;
        std::map<std::string, double> rates;
        for (const auto& group : step.at("param_groups").as_array())
            for (const auto& name : group.at("params").as_array())
                rates[text(name)] = golden::to_double(group.at("lr"));
        bool const adam = text(case_.at("optimizer")).starts_with("AdamW");
        for (const auto& p : trained) {
            ok = std::ranges::equal(p.values, golden_value(step.at("values_before_step"), p.name).span()) &&
                 ok;
            nn::Tensor const grad = golden_value(step.at("grads"), p.name);
            double most = 0;
            for (float g : grad) most = (std::max)(most, std::fabs(static_cast<double>(g)));
            for (std::size_t i = 0; i != grad.size(); ++i)
                ok = within(static_cast<double>((*p.gradient)[i]) - static_cast<double>(grad[i]),
                            gradient_tolerance * most + cancelled, worst_.gradient) &&
                     ok;
            *p.gradient = grad;  // so that the optimizer is judged by itself
            if (added_) continue;
            double const rate = rates.at(
                p.role == nn::Role::clip ? p.name.substr(0, p.name.rfind('.')) + ".acts_clip_max" : p.name);
            std::span<const float> const found = p.gradient->span();
            adam ? optimizer_.add(p.values, found, rate) : descent_.add(p.values, found, rate);
        }
        added_ = true;
        adam ? optimizer_.step() : descent_.step();
        for (const auto& p : trained) {
            nn::Tensor const after = golden_value(step.at("values_after_step"), p.name);
            double const rate = rates.at(
                p.role == nn::Role::clip ? p.name.substr(0, p.name.rfind('.')) + ".acts_clip_max" : p.name);
            for (std::size_t i = 0; i != after.size(); ++i) {
                auto const value = static_cast<double>(after[i]);
                ok = within(static_cast<double>(p.values[i]) - value,
                            step_tolerance * rate + float_rounding * std::fabs(value), worst_.step) &&
                     ok;
            }
        }
        take_state(step.at("values_after_step"));
        return ok;
    }
    static bool within(double difference, double tolerance, double& worst) {
        worst = (std::max)(worst, std::fabs(difference) / tolerance);
        return std::fabs(difference) <= tolerance;
    }

    const json::value& case_;
    Worst& worst_;
    nn::Network teacher_;
    Student student_;
    nn::Tape tape_{};
    AdamW optimizer_{};
    GradientDescent descent_{};
    bool added_ = false;
};

}  // namespace

TEST_CASE("every step of the original's training loop, with the weights overwritten as it does") {
    json::value const file = golden::load("distill_traj.json");
    const auto& cases = file.at("cases").as_array();
    Worst worst;
    std::size_t passed = 0, steps = 0;
    for (const auto& c : cases) {
        INFO(text(c.at("name")));
        bool const ok = Replay(c, worst).run();
        CHECK(ok);
        if (ok) ++passed;
        steps += c.at("steps").as_array().size();
    }
    char note[160];
    std::snprintf(note, sizeof note,
                  "%zu steps; of the tolerances used: loss %.2f, gradients %.2f, optimizer %.2f", steps,
                  worst.loss, worst.gradient, worst.step);
    golden::print_count("distill_traj.json", passed, cases.size(), note);
}

}  // namespace distill_trajectory_test
