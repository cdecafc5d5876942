// SPDX-License-Identifier: Apache-2.0
// One-dimensional and transposed convolutions, with the BatchNorm that follows them, from plan to device.
#include <amct_distill/deploy/deployment.hpp>

#include <amct_distill/deploy/verify.hpp>
#include <amct_distill/distill/distill.hpp>
#include <amct_distill/nn/layers/conv1d.hpp>
#include <amct_distill/nn/layers/conv_transpose.hpp>

#include "support/catch.hpp"
#include "support/deploy_networks.hpp"

namespace deploy_convolutions_test {

using namespace amct_distill;

namespace {

std::vector<nn::Tensor> batches_of(const nn::Shape& shape) {
    std::vector<nn::Tensor> batches(3, nn::Tensor(shape));
    for (std::size_t b = 0; b != batches.size(); ++b)
        for (std::size_t i = 0; i != batches[b].size(); ++i)
            batches[b][i] = std::cos(static_cast<float>(3 * i + 11 * b));
    return batches;
}

/// Factors and means of a BatchNorm that are not its start values.
void fill(nn::BatchNorm& bn) {
    for (std::size_t c = 0; c != bn.weight().size(); ++c) {
        auto const k = static_cast<float>(c);
        bn.weight()[c] = c % 2 == 1 ? -1.5f : 1.0f + 0.25f * k;
        bn.bias()[c] = 0.1f * k - 0.2f;
        bn.running_mean()[c] = 0.05f * k;
        bn.running_var()[c] = 0.5f + 0.5f * k;
    }
}

nn::Network sequence_network() {
    nn::Network net;
    nn::NodeId x = net.input("x", {3, 10});
    x = net.add(
        "conv",
        nn::Conv1d(
            {.in_channels = 3, .out_channels = 6, .kernel = 3, .stride = 2, .padding = 1, .groups = 3}),
        {x});
    x = net.add("bn", nn::BatchNorm1d({.num_features = 6}), {x});
    x = net.add("relu", nn::ReLU{}, {x});
    x = net.add(
        "up",
        nn::ConvTranspose1d({.in_channels = 6, .out_channels = 4, .kernel = 2, .stride = 2, .groups = 2}),
        {x});
    net.output(x);
    nn::initialize(net, 5);
    fill(*net.module("bn").get_if<nn::BatchNorm1d>());
    return net;
}
nn::Network image_network() {
    nn::Network net;
    nn::NodeId x = net.input("x", {4, 5, 4});
    x = net.add("up",
                nn::ConvTranspose2d({.in_channels = 4,
                                     .out_channels = 6,
                                     .kernel = {3, 3},
                                     .stride = {2, 2},
                                     .padding = {1, 1},
                                     .output_padding = {1, 1},
                                     .groups = 2}),
                {x});
    x = net.add("bn", nn::BatchNorm2d({.num_features = 6}), {x});
    x = net.add("relu", nn::ReLU{}, {x});
    x = net.add("last", nn::ConvTranspose2d({.in_channels = 6, .out_channels = 2, .kernel = {2, 1}}), {x});
    net.output(x);
    nn::initialize(net, 5);
    fill(*net.module("bn").get_if<nn::BatchNorm2d>());
    return net;
}

/// What the library does with a network, with these widths of weights.
void go_through(const nn::Network& teacher, const nn::Shape& input, std::string_view config,
                std::string_view folded_into) {
    INFO(config);
    auto const batches = batches_of(input);
    auto const plan = resolve(read<AMCTDistillConfig>(config).value(), teacher.graph()).value();
    REQUIRE(plan.layers.size() == 2);
    Student student = make_student(teacher, plan).value();
    calibrate(student, batches).value();
    DistillReport const report = distill(teacher, student, batches, {.epochs = 3}).value();
    CHECK(report.output_error_distilled <= report.output_error_calibrated);

    Deployment const device = deploy(student).value();
    const DeployedLayer& layer = *device.layer(folded_into);
    CHECK(layer.rows() == 6);
    CHECK(layer.batch_norm == "bn");
    CHECK(layer.channel_axis == 1);
    CHECK(verify(device, student, batches).value().agrees());
}

}  // namespace

TEST_CASE("Conv1d and ConvTranspose1d are quantized, distilled, and deployed with their BatchNorm1d") {
    for (std::string_view config :
         {"", "distill_weight_quant_config { ulq_distill { dst_type: INT4 channel_wise: true } }",
          "distill_weight_quant_config { arq_distill { channel_wise: false } }"})
        go_through(sequence_network(), {4, 3, 10}, config, "conv");
}

TEST_CASE("ConvTranspose2d is quantized, distilled, and deployed with its BatchNorm2d") {
    for (std::string_view config :
         {"", "distill_weight_quant_config { ulq_distill { dst_type: INT4 channel_wise: true } }",
          "distill_weight_quant_config { arq_distill { channel_wise: false } }"})
        go_through(image_network(), {4, 4, 5, 4}, config, "up");
}

TEST_CASE("BatchNorm1d folds into a Linear whose outputs are dimension 1") {
    nn::Network net;
    nn::NodeId x = net.input("x", {5});
    x = net.add("fc", nn::Linear({.in_features = 5, .out_features = 4}), {x});
    x = net.add("bn", nn::BatchNorm1d({.num_features = 4}), {x});
    net.output(x);
    nn::initialize(net, 5);
    fill(*net.module("bn").get_if<nn::BatchNorm1d>());
    auto const batches = batches_of({6, 5});
    Student student = make_student(net, resolve(AMCTDistillConfig{}, net.graph()).value()).value();
    calibrate(student, batches).value();
    Deployment const device = deploy(student).value();
    CHECK(device.layer("fc")->batch_norm == "bn");
    CHECK(verify(device, student, batches).value().agrees());
}

}  // namespace deploy_convolutions_test
