// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/deploy/deployment.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include "support/catch.hpp"
#include "support/deploy_networks.hpp"

namespace deploy_deployment_test {

using namespace amct_distill;

namespace {
const nn::BatchNorm2d& batch_norm(const Student& s, std::string_view name) {
    return *s.network().module(name).get_if<nn::BatchNorm2d>();
}
QuantizedMatrix codes_of(const Student& s, std::string_view layer) {
    return s.quantizers(layer)->weight_codes(*s.weight(layer)).value();
}
std::vector<int> row_of(const std::vector<std::int8_t>& codes, std::size_t r, std::size_t cols) {
    auto const begin = codes.begin() + static_cast<std::ptrdiff_t>(r * cols);
    return {begin, begin + static_cast<std::ptrdiff_t>(cols)};
}
}  // namespace

TEST_CASE("codes and scales are the student's, turned and stretched by the factor of the BatchNorm") {
    for (const std::string& config : support::deployed_configs()) {
        INFO(config);
        Student const student = support::calibrated_student(support::every_convolution(), config);
        auto const device = deploy(student).value();
        const auto& layers = device.layers();
        REQUIRE(layers.size() == 5);
        const DeployedLayer& d = layers[0];
        CHECK(d.name == "conv_dilated");
        CHECK(d.batch_norm == "bn_dilated");
        CHECK(layers[4].batch_norm.empty());
        auto const student_codes = codes_of(student, d.name);
        auto const codes = unpack(d.codes);
        auto const factors = fold_factors(batch_norm(student, "bn_dilated"));
        int const qmin = name_of(d.codes) == "INT4" ? -8 : -128;
        REQUIRE(d.weight_scales.size() == 6);
        std::size_t same = 0;
        for (std::size_t r = 0; r != 6; ++r) {
            float const scale = student_codes.scales.of_row(r).scale;
            auto const before = row_of(student_codes.codes, r, d.cols());
            auto after = row_of(codes, r, d.cols());
            bool const has_qmin = std::find(before.begin(), before.end(), qmin) != before.end();
            bool const is_new =
                std::find(d.requantized.begin(), d.requantized.end(), r) != d.requantized.end();
            CHECK(is_new == (factors[r] == 0 || (factors[r] < 0 && has_qmin)));
            if (is_new) continue;
            ++same;
            CHECK(d.weight_scales[r].scale == scale * std::fabs(factors[r]));
            if (factors[r] < 0)
                for (int& c : after) c = -c;
            CHECK(after == before);
        }
        CHECK(same >= 2);
    }
}

TEST_CASE("a negative gamma and a code without its opposite: the scale grows to hold the folded weights") {
    nn::Network teacher = support::small_network();
    auto& conv = *teacher.module("conv1").get_if<nn::Conv2d>();
    conv.weight()[18 + 3] = -3.0f;  // the largest of channel 1, whose gamma is -1.5: code qmin
    for (int bits : {8, 4}) {
        Student const student = support::calibrated_student(
            teacher, bits == 4 ? "distill_weight_quant_config { arq_distill { dst_type: INT4 } }" : "");
        auto const d = deploy(student).value().layers()[0];
        CHECK(d.requantized == std::vector<std::size_t>{1});
        // ARQ of the folded weights: the largest of them over qmax.
        auto const folded = fold(conv.weight(), conv.bias(), batch_norm(student, "bn1"));
        int const qmax = bits == 4 ? 7 : 127;
        CHECK(d.weight_scales[1].scale ==
              Approx(folded.weight[18 + 3] / static_cast<float>(qmax)).epsilon(4 * 0x1p-24));
        auto const codes = unpack(d.codes);
        CHECK(codes[18 + 3] == qmax);
        for (std::size_t k = 18; k != 36; ++k)
            CHECK(std::fabs(static_cast<float>(codes[k]) * d.weight_scales[1].scale - folded.weight[k]) <=
                  0.5001f * d.weight_scales[1].scale);
    }
}

TEST_CASE("a gamma of 0 leaves codes 0, a scale above 0, and the output to the bias") {
    Student const student = support::calibrated_student(support::every_convolution(), support::int4_config);
    auto const d = deploy(student).value().layers()[0];
    CHECK(row_of(unpack(d.codes), 4, d.cols()) == std::vector<int>(d.cols(), 0));
    CHECK(d.weight_scales[4].scale > 0);
    float const beta = batch_norm(student, "bn_dilated").bias()[4];
    CHECK(beta != 0);
    CHECK(static_cast<float>(d.bias[4]) * d.dequantization_scale(4) == Approx(beta).epsilon(0x1p-20));
}

TEST_CASE("the bias fits 22 bits, however small the folded weights are") {
    nn::Network teacher = support::small_network();
    auto* bn = teacher.module("bn1").get_if<nn::BatchNorm2d>();
    bn->weight()[0] = 1e-12f;
    bn->bias()[0] = 1000.0f;
    auto const d = deploy(support::calibrated_student(teacher, "")).value().layers()[0];
    CHECK(d.requantized.front() == 0);
    CHECK(std::abs(d.bias[0]) <= (1 << 22) + 1);
    CHECK(std::abs(d.bias[0]) > (1 << 21));
    CHECK(static_cast<float>(d.bias[0]) * d.dequantization_scale(0) == Approx(1000.0).epsilon(0x1p-20));
}

TEST_CASE("INT4 weights are packed, and a layer without a bias has none") {
    Student const student = support::calibrated_student(support::every_convolution(), support::int4_config);
    auto const device = deploy(student).value();
    const auto& layers = device.layers();
    const DeployedLayer& depthwise = layers[2];
    CHECK(std::get<Codes<Int4>>(depthwise.codes).bytes().size() == 6 * 2);
    CHECK(depthwise.bias.empty());
    CHECK(unpack(depthwise.codes) == codes_of(student, depthwise.name).codes);
    CHECK(layers[3].bias.size() == 5);
    CHECK_FALSE(layers[1].bias.empty());  // from the BatchNorm
}

TEST_CASE("accumulators that could leave INT32 are refused, with the layer, the channel and a remedy") {
    // Codes 127 of weights times up to 255 of data, 66312 of them: the first number that INT32 cannot hold.
    for (int features : {66311, 66312}) {
        nn::Network teacher;
        nn::NodeId const x = teacher.input("x", {features});
        nn::Linear linear({.in_features = features, .out_features = 2, .bias = false});
        linear.weight().fill(0.5f);
        linear.weight()[0] = 0;
        teacher.output(teacher.add("fc", linear, {x}));
        Student student = make_student(teacher, support::plan_for(teacher, "")).value();
        nn::Tensor batch({1, features});
        batch.fill(1.0f);
        std::vector<nn::Tensor> const batches{batch};
        calibrate(student, std::span(batches)).value();
        for (auto& p : student.network().module("fc").parameters())
            if (p.name == "clips") {
                p.values[0] = 1.0f;
                p.values[1] = 0.0f;  // offset -128: data up to 255 from it
            }
        student.network().constrain();
        REQUIRE(student.quantizers("fc")->data_scale().offset == -128);
        auto const device = deploy(student);
        CHECK(device.has_value() == (features == 66311));
        if (!device)
            CHECK(device.diagnostics()[0].message ==
                  "layer `fc`: channel 1: its accumulator can reach 2147514120, more than INT32 holds (66312 "
                  "weights a channel); use INT4, or split the layer");
    }
}

TEST_CASE("what cannot be deployed is named, all of it") {
    nn::Network teacher = support::small_network();
    auto const refused = deploy(make_student(teacher, support::plan_for(teacher, "")).value());
    REQUIRE_FALSE(refused);
    REQUIRE(refused.diagnostics().size() == 3);
    CHECK(refused.diagnostics()[2].message == "layer `fc`: it is not calibrated; call calibrate() first");

    Student student = support::calibrated_student(teacher, "");
    student.network().module("bn1").get_if<nn::BatchNorm2d>()->running_var()[2] = -1;
    auto const folded = deploy(student);
    REQUIRE_FALSE(folded);
    CHECK(
        folded.diagnostics()[0].message.starts_with("layer `conv1`: folded weights: value at [36] is nan;"));
}

TEST_CASE("the network of a deployment is the student's, folded, with what the codes stand for") {
    Student const student = support::calibrated_student(support::every_convolution(), support::int4_config);
    auto const device = deploy(student).value();
    CHECK(device.network().module("bn_dilated").get_if<nn::Identity>() != nullptr);
    CHECK(device.network().module("relu_dilated").get_if<nn::ReLU>() != nullptr);
    for (const DeployedLayer& d : device.layers()) {
        INFO(d.name);
        CHECK(device.layer(d.name) == &d);
        const auto* conv = device.network().module(d.name).get_if<nn::Conv2d>();
        const auto* linear = device.network().module(d.name).get_if<nn::Linear>();
        const nn::Tensor& weight = conv != nullptr ? conv->weight() : linear->weight();
        auto const codes = unpack(d.codes);
        REQUIRE(codes.size() == weight.size());
        bool equal = true;
        for (std::size_t i = 0; i != codes.size(); ++i)
            equal = equal &&
                    weight[i] == static_cast<float>(codes[i]) * d.weight_scales.of_row(i / d.cols()).scale;
        CHECK(equal);
        const nn::Tensor& bias = conv != nullptr ? conv->bias() : linear->bias();
        CHECK(bias.size() == d.bias.size());
    }
    CHECK(device.layer("relu_dilated") == nullptr);
}

TEST_CASE("layers that are not the network's do not make a deployment") {
    auto const device = deploy(support::calibrated_student(support::small_network(), "")).value();
    auto const other = deploy(support::calibrated_student(support::every_convolution(), "")).value();
    CHECK_THROWS_WITH(Deployment(device.network(), other.layers()),
                      "Deployment: layer `conv_dilated` is not one of the network's");
    auto layers = device.layers();
    auto const rename = [&](const char* name) {
        layers[2].name = name;
        layers[2].module = *device.network().graph().module_named(name);
        layers[2].node = *device.network().find(name);
    };
    rename("conv2");
    CHECK_THROWS_WITH(Deployment(device.network(), layers),
                      "Deployment: layer `conv2` has 3 x 20 codes, but a weight [5, 4, 3, 3]");
    rename("relu2");
    CHECK_THROWS_WITH(Deployment(device.network(), layers),
                      "Deployment: layer `relu2` is a ReLU, which has no weights that are quantized");
    layers = device.layers();
    layers[0].bias.pop_back();
    CHECK_THROWS_WITH(Deployment(device.network(), layers),
                      "Deployment: layer `conv1` has 3 biases for 4 channels");
    layers = device.layers();
    layers[1].weight_scales = Scales{{1, 0}, {1, 0}};
    CHECK_THROWS_WITH(Deployment(device.network(), layers),
                      "Deployment: layer `conv2` has 2 scales for 5 channels");
}

TEST_CASE("scales far below those of usual networks are what they are") {
    nn::Network teacher = support::small_network();
    for (float& w : teacher.module("conv2").get_if<nn::Conv2d>()->weight()) w *= 1e-9f;
    teacher.module("conv2").get_if<nn::Conv2d>()->bias().fill(0);
    Student const student = support::calibrated_student(teacher, "");
    auto const device = deploy(student).value();
    const DeployedLayer& d = device.layers()[1];
    CHECK(d.requantized.empty());
    auto const before = codes_of(student, "conv2");
    for (std::size_t r = 0; r != 5; ++r) CHECK(d.weight_scales.of_row(r) == before.scales.of_row(r));
    CHECK(unpack(d.codes) == before.codes);
}

}  // namespace deploy_deployment_test
