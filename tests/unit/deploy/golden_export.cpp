// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/deploy/verify.hpp>

#include <amct_distill/deploy/record.hpp>
#include <amct_distill/text/reader.hpp>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "support/catch.hpp"
#include "support/deploy_networks.hpp"
#include "support/golden.hpp"

namespace deploy_golden_export_test {

using namespace amct_distill;
namespace json = golden::json;

namespace {

nn::Tensor tensor(const json::value& v) {
    nn::Shape shape;
    for (std::size_t d : golden::shape(v)) shape.push_back(static_cast<nn::Index>(d));
    return {shape, golden::floats(v)};
}
std::string text(const json::value& v) { return std::string(v.as_string()); }
/// As the original prints a float.
float printed(float x) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%.8g", static_cast<double>(x));
    return std::strtof(digits, nullptr);
}

/// The network of a case, with the parameters that its student had in the end.
nn::Network network_of(const json::value& c) {
    const auto& state = c.at("student_state").as_object();
    nn::Network net;
    nn::Shape sample;
    for (std::size_t d : golden::shape(c.at("eval_input"))) sample.push_back(static_cast<nn::Index>(d));
    sample.erase(sample.begin());
    nn::NodeId x = net.input("input", sample);
    for (const auto& entry : c.at("order").as_array()) {
        std::string const name = text(entry.at(0)), type = text(entry.at(1));
        auto const of = [&](const char* what) { return tensor(state.at(name + "." + what)); };
        bool const bias = state.contains(name + ".bias");
        if (type == "ReLU") {
            x = net.add(name, nn::ReLU{}, {x});
        } else if (type == "BatchNorm2d") {
            nn::BatchNorm2d bn({.num_features = of("weight").dim(0)});
            bn.weight() = of("weight");
            bn.bias() = of("bias");
            bn.running_mean() = of("running_mean");
            bn.running_var() = of("running_var");
            x = net.add(name, bn, {x});
        } else if (type == "Conv2d") {
            nn::Tensor const w = of("weight");
            const auto& conv = c.at("conv").at(name);
            auto const pair = [&](const char* what) {
                return nn::Size2{conv.at(what).at(0).to_number<nn::Index>(),
                                 conv.at(what).at(1).to_number<nn::Index>()};
            };
            auto const groups = conv.at("groups").to_number<nn::Index>();
            nn::Conv2d layer({.in_channels = w.dim(1) * groups,
                              .out_channels = w.dim(0),
                              .kernel = {w.dim(2), w.dim(3)},
                              .stride = pair("stride"),
                              .padding = pair("padding"),
                              .groups = groups,
                              .bias = bias});
            layer.weight() = w;
            if (bias) layer.bias() = of("bias");
            x = net.add(name, layer, {x});
        } else {
            REQUIRE(type == "Linear");
            nn::Tensor const w = of("weight");
            nn::Linear layer({.in_features = w.dim(1), .out_features = w.dim(0), .bias = bias});
            layer.weight() = w;
            if (bias) layer.bias() = of("bias");
            if (net.node(x).shape.size() == 4) x = net.add_function("flatten", nn::Flatten{}, {x});
            x = net.add(name, layer, {x});
        }
    }
    net.output(x);
    return net;
}

/// Its configuration, without our default of fixed_min after a ReLU, which the original does not have.
std::string config_of(const json::value& c) {
    std::string config = c.at("cfg").is_null() ? std::string() : text(c.at("cfg"));
    std::string const name = "ulq_quantize: {";
    if (auto const at = config.find(name); at != config.npos)
        return config.insert(at + name.size(), " fixed_min: false");
    return detail::concat(config, "\ndistill_data_quant_config { ulq_quantize { fixed_min: false } }");
}

/// With the clips that it had in the end.
Student student_of(const json::value& c) {
    nn::Network const net = network_of(c);
    auto const plan = support::plan_for(net, config_of(c));
    Student student = make_student(net, plan).value();
    std::vector<nn::Tensor> const batches{tensor(c.at("eval_input"))};
    calibrate(student, std::span(batches)).value();
    const auto& state = c.at("student_state").as_object();
    for (const auto& layer : plan.layers)
        for (auto& p : student.network().module(layer.name).parameters())
            if (p.name == "clips") {
                p.values[0] = golden::floats(state.at(layer.name + ".acts_clip_max"))[0];
                p.values[1] = golden::floats(state.at(layer.name + ".acts_clip_min"))[0];
            }
    student.network().constrain();
    return student;
}

struct Counts {
    std::size_t channels = 0, new_codes = 0, codes = 0, biases = 0, outputs = 0, equal_outputs = 0;
};

/// The integers of one layer; false when one of them is another than the original's, whose linear layers are
/// transposed.
bool check_layer(const DeployedLayer& d, bool is_linear, const json::value& c, Counts& counts) {
    const auto& numbers = c.at("deploy").at("initializers").as_object();
    const auto* weight = numbers.if_contains(d.name + ".sub_module.weight");
    if (weight == nullptr) weight = &numbers.at("onnx::MatMul_11");  // what a Linear without bias is called
    auto const expected = golden::integers(*weight);
    auto const codes = unpack(d.codes);
    REQUIRE(expected.size() == codes.size());
    auto const units = numbers.at(d.name + ".dequant.param").at("data").as_array();
    const auto* const bias = numbers.if_contains(d.name + ".sub_module.bias");
    CHECK((bias == nullptr) == d.bias.empty());
    REQUIRE(units.size() == d.weight_scales.size());

    bool equal = true;
    for (std::size_t r = 0; r != d.rows(); ++r) {
        ++counts.channels;
        // The one divergence: a negative gamma and code -128, which the original makes +127.
        if (std::find(d.requantized.begin(), d.requantized.end(), r) != d.requantized.end()) {
            ++counts.new_codes;
            continue;
        }
        for (std::size_t k = 0; k != d.cols(); ++k, ++counts.codes)
            equal =
                equal && codes[r * d.cols() + k] == expected[is_linear ? k * d.rows() + r : r * d.cols() + k];
        if (bias != nullptr) {
            equal = equal && d.bias[r] == golden::integers(*bias)[r];
            ++counts.biases;
        }
        auto const unit =
            static_cast<std::uint32_t>(units[units.size() == 1 ? 0 : r].to_number<std::uint64_t>());
        equal = equal && golden::same_bits(d.dequantization_scale(r), std::bit_cast<float>(unit));
    }
    return equal;
}

}  // namespace

TEST_CASE("golden: the export of trained students, its record and its integers") {
    auto const file = golden::load("export.json");
    const auto& cases = file.at("cases").as_array();
    std::size_t ran = 0;
    Counts counts;
    for (const auto& c : cases) {
        std::string const name = text(c.at("name"));
        INFO(name);
        Student const student = student_of(c);
        Deployment const deployment = deploy(student).value();
        const auto& layers = deployment.layers();
        bool equal = true, is_int4 = false, has_new_codes = false;
        for (const DeployedLayer& d : layers) {
            INFO(d.name);
            bool const same = check_layer(
                d, deployment.network().module(d.name).get_if<nn::Linear>() != nullptr, c, counts);
            CHECK(same);
            equal = equal && same;
            is_int4 = is_int4 || name_of(d.data_width) == "INT4";
            has_new_codes = has_new_codes || !d.requantized.empty();
        }

        // The record; its types are ours, since the original records INT4 as INT8.
        auto const theirs = read<ScaleOffsetRecord>(text(c.at("record_text"))).value();
        auto const ours = make_record(deployment);
        REQUIRE(ours.record.size() == theirs.record.size());
        for (std::size_t i = 0; i != layers.size(); ++i) {
            INFO(layers[i].name);
            const auto &a = *ours.record[i].value, &b = *theirs.record[i].value;
            bool same = ours.record[i].key == theirs.record[i].key &&
                        printed(a.scale_d.get()) == b.scale_d.get() && a.offset_d == b.offset_d &&
                        a.offset_w == b.offset_w && a.scale_w.size() == b.scale_w.size();
            for (std::size_t k = 0; same && k != a.scale_w.size(); ++k)
                if (layers[i].requantized.empty() ||
                    std::find(layers[i].requantized.begin(), layers[i].requantized.end(), k) ==
                        layers[i].requantized.end())
                    same = printed(a.scale_w[k]) == b.scale_w[k];
            CHECK(same);
            equal = equal && same;
        }

        // A skipped convolution is folded in float.
        for (const auto& planned : student.plan().layers)
            if (!planned.quant_enable) {
                const auto& conv = *student.network().module(planned.name).get_if<nn::Conv2d>();
                FoldedLayer const folded =
                    fold(conv.weight(), conv.bias(),
                         *student.network()
                              .module(*batch_norm_after(student.network(), planned.module))
                              .get_if<nn::BatchNorm2d>());
                const auto& numbers = c.at("deploy").at("initializers").as_object();
                bool const same = folded.weight == tensor(numbers.at(planned.name + ".sub_module.weight")) &&
                                  folded.bias == tensor(numbers.at(planned.name + ".sub_module.bias"));
                CHECK(same);
                equal = equal && same;
            }

        // What the deployed network computes. The original does not clip INT4 data to 4 bits when it runs
        // them.
        nn::Tensor const input = tensor(c.at("eval_input"));
        if (!is_int4 && !has_new_codes) {
            nn::Tensor const found = integer_network(deployment).predict(input);
            auto const expected = golden::floats(c.at("fake_quant_output"));
            for (std::size_t i = 0; i != expected.size(); ++i, ++counts.outputs)
                counts.equal_outputs += golden::same_bits(found[i], expected[i]) ? 1u : 0u;
        }
        std::vector<nn::Tensor> const batches{input};
        CHECK(verify(deployment, student, batches).value().agrees());
        nn::Tensor const simulated = student.predict(input), qat = tensor(c.at("qat_output"));
        for (std::size_t i = 0; i != qat.size(); ++i) CHECK(simulated[i] == Approx(qat[i]).margin(1e-5));
        if (equal) ++ran;
    }
    CHECK(ran == cases.size());
    CHECK(counts.equal_outputs == counts.outputs);
    golden::print_count(
        "export.json", ran, cases.size(),
        detail::concat(counts.codes, " codes and ", counts.biases, " biases equal, ", counts.equal_outputs,
                       " of ", counts.outputs, " outputs equal in bits; ", counts.new_codes, " of ",
                       counts.channels, " channels diverge: negative gamma and code -128"));
}

}  // namespace deploy_golden_export_test
