// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/distill/fingerprint.hpp>

#include <amct_distill/student/calibrate.hpp>

#include "support/catch.hpp"
#include "support/small_network.hpp"

namespace distill_fingerprint_test {

using namespace amct_distill;

namespace {

/// ARQ with a setting of one's own that changes nothing that shows in names, widths, scales or clips.
struct PatientDistill {
    template <class Bits, class Granularity>
    using quantizer = Arq<Bits, Granularity>;

    optional<DataType, DataType::INT8> dst_type{};
    optional<bool> channel_wise{};
    optional<float> patience{};
    friend bool operator==(const PatientDistill&, const PatientDistill&) = default;
};
struct WithPatience : StandardAlgorithms {
    struct weights {
        ARQDistill arq_distill;
        PatientDistill patient_distill;
    };
};

/// conv, an activation, conv; the activation's inputs are all above 0, so that its slope never shows.
nn::Network network(nn::Index stride, float slope) {
    nn::Network net;
    nn::NodeId x = net.input("x", {1, 4, 4});
    x = net.add("conv", nn::Conv2d({.in_channels = 1, .out_channels = 2, .stride = {stride, stride}}), {x});
    x = net.add("act", nn::LeakyReLU(slope), {x});
    net.output(net.add("last", nn::Conv2d({.in_channels = 2, .out_channels = 1}), {x}));
    nn::initialize(net, 1);
    for (float& v : net.module("conv").get_if<nn::Conv2d>()->weight()) v = 0.5f;
    net.module("conv").get_if<nn::Conv2d>()->bias().fill(1);
    return net;
}
std::vector<nn::Tensor> const batches{nn::Tensor({2, 1, 4, 4}, std::vector<float>(32, 0.5f))};

template <class Algorithms = StandardAlgorithms>
Fingerprint mark(const nn::Network& teacher, std::string_view config, const DistillOptions& options = {}) {
    auto const plan =
        resolve(read<BasicConfig<Algorithms>>(config).value(), teacher.graph(), target::generic).value();
    auto student = make_student(teacher, plan).value();
    calibrate(student, batches).value();
    return fingerprint(teacher, student, batches, options).value();
}

}  // namespace

TEST_CASE("settings of one's own algorithm are in the fingerprint, also those that show nowhere else") {
    nn::Network const teacher = network(1, 0.25f);
    auto const with = [&](std::string_view settings) {
        return mark<WithPatience>(
            teacher, detail::concat("distill_weight_quant_config { patient_distill { ", settings, " } }"));
    };
    Fingerprint const one = with("patience: 1");
    CHECK(difference(one, with("patience: 1")).empty());
    CHECK(difference(one, with("patience: 2")) == "the configuration");
    CHECK(difference(one, with("")) == "the configuration");
    CHECK(difference(with(""),
                     mark<WithPatience>(teacher, "distill_weight_quant_config { arq_distill { } }")) ==
          "the configuration");
}

TEST_CASE("options of modules are in the fingerprint, also those that the first batch does not show") {
    Fingerprint const one = mark(network(1, 0.25f), "");
    CHECK(difference(one, mark(network(1, 0.25f), "")).empty());
    CHECK(network(1, 0.25f).predict(batches[0]) == network(1, 0.5f).predict(batches[0]));
    CHECK(difference(one, mark(network(1, 0.5f), "")) == "the teacher");
    CHECK(difference(one, mark(network(2, 0.25f), "")) == "the teacher");
}

TEST_CASE("what changes the bits of the result is in the fingerprint") {
    nn::Network const teacher = network(1, 0.25f);
    Fingerprint const one = mark(teacher, "");
    for (const DistillOptions& other :
         {DistillOptions{.epochs = 2}, DistillOptions{.schedule = Schedule::constant},
          DistillOptions{.slices = 4}, DistillOptions{.blocks = BlockShape::automatic},
          DistillOptions{.input = BlockInput::mix}, DistillOptions{.drop_probability = 0.5, .seed = 0},
          DistillOptions{.loss_weights = LossWeights::fisher, .seed = 0},
          DistillOptions{.learning_rates = {.parameters = 2e-3}},
          DistillOptions{.learning_rates = {.clips = 0.2}},
          DistillOptions{.learning_rates = {.scales = 2e-4}},
          DistillOptions{.search = {.evaluations_per_epoch = 3}},
          DistillOptions{.search = {.rate_after_failure = 0.5}},
          DistillOptions{.search = {.average_decay = 0.9}},
          DistillOptions{.optimizer = AdamW({.beta2 = 0.99})}})
        CHECK(difference(one, mark(teacher, "", other)) == "the training options");
    CHECK(difference(one, mark(teacher, "", {.seed = 2})).empty());  // which nothing asks for
    CHECK(difference(one, mark(teacher, "group_size: 2")) == "the configuration");
    Student const student = make_student(teacher, support::plan_for(teacher, "")).value();
    CHECK(fingerprint(teacher, student, {}, DistillOptions{}).diagnostics().at(0).message ==
          "fingerprint: no batches; give at least one");
}

TEST_CASE("a network whose samples cannot be told apart is told by all of its values") {
    nn::Network net;
    net.output(
        net.add("fc", nn::Linear({.in_features = 3, .out_features = 2}), {net.fixed_input("x", {2, 3})}));
    nn::initialize(net, 1);
    Student student = make_student(net, support::plan_for(net, "")).value();
    nn::Tensor batch({2, 3}, {1, 2, 3, 4, 5, 6});
    calibrate(student, std::vector{batch}).value();
    auto const mark = [&] { return fingerprint(net, student, std::vector{batch}, DistillOptions{}).value(); };
    Fingerprint const before = mark();
    CHECK(difference(before, mark()).empty());
    batch[5] = 7;
    CHECK(mark().data != before.data);
    CHECK(mark().teacher != before.teacher);  // which its outputs are part of
    CHECK(mark().configuration == before.configuration);
}

}  // namespace distill_fingerprint_test
