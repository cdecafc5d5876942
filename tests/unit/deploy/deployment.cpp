// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/deploy/deployment.hpp>

#include <algorithm>
#include <amct_distill/deploy/read.hpp>
#include <amct_distill/deploy/verify.hpp>
#include <amct_distill/deploy/write.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/deploy_networks.hpp"
#include "support/temporary_directory.hpp"

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

namespace {
/// Both widths, both algorithms, a scale per channel and one for all.
std::vector<std::string> weight_configs() {
    std::vector<std::string> all;
    for (std::string width : {"INT8", "INT4"})
        for (std::string algorithm : {"arq_distill", "ulq_distill"})
            for (std::string channel_wise : {"true", "false"})
                all.push_back("distill_weight_quant_config { " + algorithm + " { dst_type: " + width +
                              " channel_wise: " + channel_wise + " } }");
    return all;
}
/// A deployment that is right: its scales can be written and read, simulation and integers agree, and the
/// outputs are the student's, up to what rounding the biases changes.
void check_device(const Student& student, const Deployment& device, double tolerance) {
    for (const DeployedLayer& d : device.layers()) {
        INFO(d.name);
        for (std::size_t r = 0; r != d.rows(); ++r) {
            CHECK(std::isnormal(d.weight_scales.of_row(r).scale));
            CHECK(std::isnormal(d.dequantization_scale(r)));
        }
    }
    auto const batches = support::small_batches(2, 4);
    VerifyReport const report = verify(device, student, batches).value();
    CHECK(report.agrees());
    CHECK(report.output_largest <= tolerance);
    support::temporary_directory const dir;
    write(device, dir.path(), {.network = true}).value();
    Deployment const back = read_deployment(dir.path()).value();
    CHECK(integer_network(back).predict(batches[0]) == integer_network(device).predict(batches[0]));
}
}  // namespace

TEST_CASE("a channel whose weights are all but zero has codes 0 and its bias") {
    for (const std::string& config : weight_configs())
        for (bool bias : {true, false}) {
            INFO(config << (bias ? " with biases" : " without biases"));
            nn::Network teacher = support::small_network();
            auto& conv = *teacher.module("conv2").get_if<nn::Conv2d>();
            // Scales of 1e-38 / 128 and less: products of codes with an input of about 1 would be denormal.
            std::vector<float> const largest{1e-37f, 0.0f, 1e-42f, 1e-38f};
            for (std::size_t r = 0; r != largest.size(); ++r)
                for (std::size_t k = 0; k != 36; ++k)
                    conv.weight()[r * 36 + k] = largest[r] * (k % 2 == 0 ? 1.0f : -0.5f);
            if (!bias) conv.bias().fill(0);
            if (bias) conv.bias()[3] = 1e-41f;
            Student const student = support::calibrated_student(teacher, config);
            Deployment const device = deploy(student).value();
            const DeployedLayer& d = device.layers()[1];
            auto const codes = unpack(d.codes);
            for (std::size_t r = 0; r != largest.size(); ++r) {
                INFO("channel " << r);
                auto const kept =
                    static_cast<double>(d.bias[r]) * static_cast<double>(d.dequantization_scale(r));
                CHECK(kept == Approx(conv.bias()[r]).epsilon(0x1p-21).margin(1e-37));
                for (int c : row_of(codes, r, 36))  // what is left of them adds next to nothing
                    CHECK(std::fabs(static_cast<double>(c) * static_cast<double>(d.dequantization_scale(r))) <
                          1e-36);
                if (bias && r != 3) CHECK(row_of(codes, r, 36) == std::vector<int>(36, 0));
            }
            check_device(student, device, 0.02);
        }
}

TEST_CASE("a layer without weights is its biases, which do not take the scale of the input") {
    for (const std::string& config : weight_configs()) {
        INFO(config);
        nn::Network teacher = support::small_network();
        auto& conv = *teacher.module("conv2").get_if<nn::Conv2d>();
        conv.weight().fill(0);
        conv.bias()[0] = 0;
        conv.bias()[1] = -1e-3f;
        Student const student = support::calibrated_student(teacher, config);
        Deployment const device = deploy(student).value();
        const DeployedLayer& d = device.layers()[1];
        CHECK(d.requantized.empty());
        CHECK(unpack(d.codes) == std::vector<std::int8_t>(5 * 36, 0));
        for (std::size_t r = 0; r != 5; ++r)
            CHECK(static_cast<double>(d.bias[r]) * static_cast<double>(d.dequantization_scale(r)) ==
                  Approx(conv.bias()[r]).epsilon(0x1p-21));
        check_device(student, device, 0.02);
        conv.bias().fill(0);
        Deployment const none = deploy(support::calibrated_student(teacher, config)).value();
        CHECK(none.layers()[1].weight_scales.size() == (config.ends_with("true } }") ? 5 : 1));
        CHECK(none.layers()[1].weight_scales[0].scale == 1.0f);
    }
}

TEST_CASE("a BatchNorm that all but removes a channel leaves its bias") {
    for (const std::string& config : weight_configs())
        for (float gamma : {1e-40f, -1e-40f, 1e-36f, -1e-45f}) {
            INFO(config << " gamma " << gamma);
            nn::Network teacher = support::small_network();
            auto& bn = *teacher.module("bn1").get_if<nn::BatchNorm2d>();
            for (std::size_t c : {std::size_t{0}, std::size_t{2}}) {
                bn.weight()[c] = gamma;
                bn.bias()[c] = c == 0 ? 0.75f : 0.0f;
            }
            Student const student = support::calibrated_student(teacher, config);
            Deployment const device = deploy(student).value();
            const DeployedLayer& d = device.layers()[0];
            CHECK(std::ranges::count(d.requantized, std::size_t{0}) == 1);
            CHECK(std::ranges::count(d.requantized, std::size_t{2}) == 1);
            CHECK(row_of(unpack(d.codes), 0, 18) == std::vector<int>(18, 0));
            CHECK(static_cast<double>(d.bias[0]) * static_cast<double>(d.dequantization_scale(0)) ==
                  Approx(0.75).epsilon(0x1p-21));
            check_device(student, device, 0.05);
        }
}

TEST_CASE("scales are the least that files and floats carry, and no lower") {
    // Of a Linear 1 x 1 with the input's scale 2^e * 1.5 and a weight of 2^w.
    for (int e : {-100, -20, 0, 40})
        for (int w : {-130, -126, -110, -60, 0}) {
            INFO("input 2^" << e << ", weight 2^" << w);
            DeployedLayer d{.name = "fc"};
            d.data = {std::ldexp(1.5f, e), 0};
            nn::Tensor const weight({1, 1}, {std::ldexp(1.0f, w)});
            auto const codes =
                quantize<Int8>(nn::matrix(weight, 1, 1), Scales{symmetric_scale<Int8>({weight[0], 0})});
            nn::Tensor meant, bias;
            detail::FoldCodes<Int8>(d, weight, {}, nullptr).run(codes, meant, bias).value();
            float const scale = d.weight_scales[0].scale, unit = d.dequantization_scale(0);
            CHECK(std::isnormal(scale));
            CHECK(std::isnormal(unit));
            CHECK(meant[0] == static_cast<float>(unpack(d.codes)[0]) * scale);
            if (w - 7 < -126) {  // a range too narrow for ARQ: the student's codes are 0, and its scale 1
                CHECK(d.requantized.empty());
                CHECK(scale == 1.0f);
                CHECK(meant[0] == 0);
                continue;
            }
            CHECK(d.requantized.empty() == (w - 7 + e >= -126));
            if (!d.requantized.empty()) CHECK(unit < 0x1p-125f);
            CHECK(std::fabs(meant[0] - weight[0]) * d.data.scale * 255 <
                  (d.requantized.empty() ? 0.005f * weight[0] * d.data.scale * 255 : 0x1p-118f));
        }
}

TEST_CASE("scales whose product no float holds are refused") {
    DeployedLayer d{.name = "fc"};
    d.data = {1e20f, 0};
    nn::Tensor const weight({1, 1}, {1e22f});
    auto const codes =
        quantize<Int8>(nn::matrix(weight, 1, 1), Scales{symmetric_scale<Int8>({weight[0], 0})});
    nn::Tensor meant, bias;
    auto const refused = detail::FoldCodes<Int8>(d, weight, {}, nullptr).run(codes, meant, bias);
    REQUIRE_FALSE(refused);
    CHECK(refused.diagnostics()[0].message ==
          "channel 0: scale_d * scale_w is inf; calibrate with other data, or skip the layer");
}

TEST_CASE("a layer of another node, and codes of another length, do not make a deployment") {
    Deployment const device = deploy(support::calibrated_student(support::small_network(), "")).value();
    std::vector<DeployedLayer> layers = device.layers();
    layers[0].node = layers[1].node;
    CHECK_THROWS_WITH(Deployment(device.network(), layers),
                      "Deployment: layer `conv1` is not one of the network's");
    layers = device.layers();
    layers[0].codes = Codes<Int8>(4, 17);
    CHECK_THROWS_WITH(Deployment(device.network(), layers),
                      "Deployment: layer `conv1` has 4 x 17 codes, but a weight [4, 2, 3, 3]");
}

TEST_CASE("weights that are not finite, or no longer when they are folded, are not deployed") {
    Student bad = support::calibrated_student(support::small_network(), "");
    ModuleId const conv2 = *bad.network().graph().module_named("conv2");
    bad.network().module(conv2).parameters().at(0).values[5] = std::numeric_limits<float>::quiet_NaN();
    auto const nan = deploy(bad);
    REQUIRE_FALSE(nan);
    CHECK(nan.diagnostics()[0].message.starts_with("layer `conv2`: weights: value at ["));
    nn::Network teacher = support::small_network();
    auto* const bn = teacher.module("bn1").get_if<nn::BatchNorm2d>();
    bn->weight()[2] = 3e38f;
    bn->running_var()[2] = 1e-4f;
    bn->running_mean()[2] = 0;
    bn->bias()[2] = 0;
    auto const plan = support::plan_for(teacher, "quant_skip_layers: 'conv2' quant_skip_layers: 'fc'");
    Student student = make_student(teacher, plan).value();
    calibrate(student, support::small_batches(1, 2)).value();
    auto const folded = deploy(student);
    REQUIRE_FALSE(folded);
    CHECK(folded.diagnostics()[0].message.starts_with("layer `conv1`: folded weights: value at ["));
}

TEST_CASE("one scale that a BatchNorm leaves alike is kept for each channel") {
    nn::Network teacher = support::small_network();
    auto* const bn = teacher.module("bn1").get_if<nn::BatchNorm2d>();
    for (std::size_t c = 0; c != 4; ++c) bn->weight()[c] = 2, bn->running_var()[c] = 1, bn->bias()[c] = 0.5f;
    Deployment const device =
        deploy(support::calibrated_student(
                   teacher, "distill_weight_quant_config { arq_distill { channel_wise: false } }"))
            .value();
    const Scales& scales = device.layers()[0].weight_scales;
    REQUIRE(scales.size() == 4);
    for (std::size_t c = 1; c != 4; ++c) CHECK(scales[c] == scales[0]);
    CHECK(device.layers()[1].weight_scales.size() == 1);
}

}  // namespace deploy_deployment_test
