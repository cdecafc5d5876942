// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/deploy/cpp_header.hpp>

#include <algorithm>
#include <amct_distill/deploy/cpp_text.hpp>
#include <amct_distill/nn/layers/clamp.hpp>
#include <amct_distill/nn/layers/concat.hpp>
#include <amct_distill/nn/layers/upsample.hpp>
#include <amct_distill/plan/select.hpp>
#include <amct_distill/text/reader.hpp>
#include <concepts>
#include <limits>
#include <string>

#include "support/catch.hpp"
#include "support/deploy_networks.hpp"
#include "support/transposed_linear.hpp"

namespace deploy_cpp_header_test {

using namespace amct_distill;

namespace {

/// What stands between two texts, the first time.
std::string between(const std::string& text, const std::string& begin, const std::string& end) {
    std::size_t const at = text.find(begin);
    INFO(begin);
    REQUIRE(at != text.npos);
    std::size_t const first = at + begin.size();
    return text.substr(first, text.find(end, first) - first);
}
std::vector<int> numbers(const std::string& list) {
    std::vector<int> out;
    for (std::size_t i = 0; i < list.size();) {
        std::size_t const begin = list.find_first_of("-0123456789", i);
        if (begin == list.npos) break;
        out.push_back(std::stoi(list.substr(begin)));
        i = list.find_first_not_of("-0123456789", begin);
    }
    return out;
}
/// The text of lines of string literals.
std::string joined(const std::string& literals) {
    std::string out;
    for (std::size_t i = literals.find('"') + 1; i < literals.size(); ++i) {
        if (literals[i] == '"') {
            i = literals.find('"', i + 1);  // of the next line
            if (i == literals.npos) break;
        } else if (literals[i] == '\\') {
            ++i;
            out += literals[i] == 'n' ? '\n' : literals[i];
        } else {
            out += literals[i];
        }
    }
    return out;
}

}  // namespace

TEST_CASE("numbers, texts and names are spelled as C++ has them") {
    using detail::cpp_literal;
    CHECK(cpp_literal(0.1f) == "0.1f");
    CHECK(cpp_literal(2.0f) == "2.0f");
    CHECK(cpp_literal(1e-30f) == "1e-30f");
    CHECK(cpp_literal(0.1) == "0.1");
    CHECK(cpp_literal(-std::numeric_limits<double>::infinity()) ==
          "-std::numeric_limits<double>::infinity()");
    CHECK(cpp_literal(std::numeric_limits<float>::quiet_NaN()) == "std::numeric_limits<float>::quiet_NaN()");
    CHECK(cpp_literal("a \"b\"\n\\\x01"
                      "7") == "\"a \\\"b\\\"\\n\\\\\\0017\"");
    detail::CppNames names;
    CHECK(names.add("conv1") == "conv1");
    CHECK(names.add("layer1.0.conv") == "layer1_0_conv");
    CHECK(names.add("layer1/0//conv_") == "layer1_0_conv_2");
    CHECK(names.add("class") == "layer_class");
    CHECK(names.add("0") == "layer_0");
    CHECK(names.add("卷积") == "layer");
    CHECK(names.add("") == "layer_2");
    CHECK(names.add("__x__y__") == "x_y");
    CHECK(detail::cpp_array("int", "none", std::vector<int>{}) ==
          "    static constexpr std::array<int, 0> none{};\n");
    CHECK(detail::cpp_array("int", "two", std::vector<int>{1, -2}) ==
          "    static constexpr std::array<int, 2> two{1, -2};\n");
    std::string const many = detail::cpp_array("int", "many", std::vector<int>(200, 100));
    CHECK(std::ranges::count(many, '\n') == 12);
    CHECK(std::ranges::count(many, ',') == 201);
}

TEST_CASE("a header has the integers, the options and what lies between") {
    nn::Network const network = support::every_convolution();
    Student const student =
        support::calibrated_student(network,
                                    "quant_skip_layers: 'conv_strided'\n"
                                    "distill_override_layers { layer_name: 'conv_depthwise'\n"
                                    "  distill_data_quant_config { ulq_quantize { } }\n"
                                    "  distill_weight_quant_config { arq_distill { dst_type: INT4 } } }");
    Deployment const device = deploy(student).value();
    std::string const text = write_cpp_header(device, {.name = "net"}).value();
    CHECK(text == write_cpp_header(device, {.name = "net"}).value());
    CHECK(text.starts_with("// A deployed network"));
    CHECK(text.find("\nnamespace net {\n") != text.npos);

    for (const DeployedLayer& layer : device.layers()) {
        INFO(layer.name);
        std::string const own = between(text, "struct " + layer.name + " {\n", "\n};\n");
        std::string const bits = layer.name == "conv_depthwise" ? "Int4" : "Int8";
        std::string const wise = layer.name == "fc" ? "TensorWise" : "ChannelWise";
        CHECK(own.find("using weights = amct_distill::Arq<amct_distill::" + bits +
                       ", amct_distill::" + wise) != own.npos);
        std::vector<int> const codes = numbers(between(own, "codes{{", "}}"));
        std::visit(
            [&](const auto& c) { CHECK(codes == std::vector<int>(c.bytes().begin(), c.bytes().end())); },
            layer.codes);
        if (!layer.bias.empty()) CHECK(numbers(between(own, "bias{", "}")) == layer.bias);
        CHECK(own.find(detail::concat("input{", detail::cpp_literal(layer.data.scale), ", ",
                                      layer.data.offset, "}")) != own.npos);
        CHECK(own.find(detail::cpp_literal(layer.weight_scales.of_row(0).scale)) != own.npos);
    }
    // What is not quantized has its parameters, the BatchNorm's statistics with them.
    CHECK(between(text, "struct conv_strided {", "\n};\n").find("weight{") != text.npos);
    CHECK(between(text, "struct bn_strided {", "\n};\n").find("running_var{") != text.npos);
    CHECK(between(text, "struct bn_dilated {", "\n};\n").find("\"Identity\"") != text.npos);
    CHECK(text.find("static constexpr double negative_slope = 0.25;") != text.npos);
    CHECK(text.find("static constexpr std::array<std::int64_t, 2> kernel{3, 2};") != text.npos);
    CHECK(text.find("{\"image\", 4, {1, 2, 6, 6}},") != text.npos);

    // The configuration gives the layers the same bits again.
    std::string const config = joined(between(text, "configuration[] =", ";"));
    INFO(config);
    DistillPlan const plan = resolve(read<AMCTDistillConfig>(config).value(), network.graph()).value();
    for (const auto& planned : plan.layers) {
        INFO(planned.name);
        const DeployedLayer* const layer = device.layer(planned.name);
        REQUIRE(planned.quant_enable == (layer != nullptr));
        if (layer == nullptr) continue;
        visit_weight_quantizer<supports_all>(planned.weights, [&]<class W>(std::type_identity<W>,
                                                                           const auto&) {
            CHECK(W::bits::name == name_of(layer->codes));
            CHECK(std::same_as<typename W::granularity, ChannelWise> == (layer->weight_scales.size() != 1));
        }).value();
    }
}

TEST_CASE("a header of layers of one's own, or of a bad name, is refused with all reasons") {
    nn::Network net;
    nn::NodeId x = net.input("x", {4});
    x = net.add("mine", support::TransposedLinear({.in = 4, .out = 4}), {x});
    x = net.add("fc", nn::Linear({.in_features = 4, .out_features = 2}), {x});
    net.output(net.add("mine again", support::TransposedLinear({.in = 2, .out = 1}), {x}));
    Deployment const device(net, {});
    auto const refused = write_cpp_header(device, {.name = "my-net"});
    REQUIRE_FALSE(refused);
    REQUIRE(refused.diagnostics().size() == 3);
    std::string const said = to_string(refused.diagnostics());
    CHECK(said.find("`my-net` is no name for a namespace") != said.npos);
    CHECK(said.find("layer `mine` (TransposedLinear): a module of your own") != said.npos);
    CHECK(said.find("layer `mine again`") != said.npos);
}

TEST_CASE(
    "a header has constants and parts of values, numbers of any kind, and the rule that most layers have") {
    nn::Network net;
    nn::NodeId const x = net.input("x", {6, 2, 2});
    nn::NodeId const parts = net.add_function("parts", nn::Split({.dim = 1, .sizes = {2, 4}}), {x});
    nn::NodeId const second = net.outputs_of(parts)[1];
    nn::NodeId a = net.add("a", nn::Conv2d({.in_channels = 4, .out_channels = 2}), {second});
    a = net.add("b", nn::Conv2d({.in_channels = 2, .out_channels = 2}), {a});
    a = net.add_function("sum", nn::Add{}, {a, net.constant("table", nn::Tensor({2, 1, 1}, {0.5f, -2}))});
    a = net.add_function("wider", nn::Upsample({.scales = {1, 1, 1.5f, 2}}), {a});
    a = net.add_function(
        "cut", nn::Hardtanh({.min_val = -std::numeric_limits<double>::infinity(), .max_val = 1e300}), {a});
    a = net.add_function("flat", nn::Flatten{}, {a});
    net.output(net.add("one", nn::Linear({.in_features = 24, .out_features = 1}), {a}));
    net.output(parts);
    nn::initialize(net, 1);
    nn::Tensor batch({2, 6, 2, 2});
    for (std::size_t i = 0; i != batch.size(); ++i) batch[i] = static_cast<float>(i % 9) - 4;
    auto const header = [&](std::string_view config) {
        Student student = make_student(net, support::plan_for(net, config)).value();
        calibrate(student, std::vector{batch}).value();
        return write_cpp_header(deploy(student).value(), {.name = "net"}).value();
    };
    std::string const text = header("batch_num: 1");
    std::string const table = between(text, "struct table {\n", "\n};\n");
    CHECK(table.find("type = \"Constant\";") != table.npos);
    CHECK(table.find("quantized = false;") != table.npos);
    CHECK(table.find("std::array<float, 2> value{0.5f, -2.0f};") != table.npos);
    CHECK(between(text, "using layers = std::tuple<", ">").find("table") != text.npos);
    std::string const split = between(text, "struct parts {\n", "\n};\n");
    CHECK(numbers(between(split, "writes{", "}")) == std::vector<int>{1, 2});
    CHECK(text.find("struct parts_1 {") == text.npos);
    CHECK(text.find("std::array<double, 4> scales{1.0, 1.0, 1.5, 2.0};") != text.npos);
    CHECK(text.find("double min_val = -std::numeric_limits<double>::infinity();") != text.npos);
    CHECK(text.find("double max_val = 1e+300;") != text.npos);
    // A layer of one channel has one scale however that is called.
    CHECK(between(text, "struct one {\n", "\n};\n").find("amct_distill::ChannelWise") != text.npos);
    CHECK(joined(between(text, "configuration[] =", ";")).find("override") == text.npos);
    // Two layers of INT4 weights are more than one of INT8, and have the rule for all.
    std::string const four = header(
        "batch_num: 1 distill_weight_quant_config { arq_distill { dst_type: INT4 } }\n"
        "distill_override_layers { layer_name: 'one' distill_weight_quant_config { arq_distill { } } }");
    std::string const config = joined(between(four, "configuration[] =", ";"));
    INFO(config);
    CHECK(config.find("INT4") < config.find("distill_override_layers"));
    CHECK(config.find("layer_name: \"one\"") != config.npos);
    CHECK(config.find("layer_name: \"a\"") == config.npos);
    std::string const all =
        header("batch_num: 1 distill_weight_quant_config { arq_distill { dst_type: INT4 } }");
    CHECK(joined(between(all, "configuration[] =", ";")).find("override") == all.npos);
    Deployment const device(net, {});
    for (const char* name : {"class", "a__b", "a-b", "{a", "7"})
        CHECK(to_string(write_cpp_header(device, {.name = name}).diagnostics()) ==
              detail::concat("error: `", name, "` is no name for a namespace; use letters, digits and `_`"));
    CHECK(write_cpp_header(device, {.name = "Net_7"}));
    CHECK(detail::cpp_array("int", std::string(100, 'n'), std::vector<int>{}).ends_with("n{\n    };\n"));
}

}  // namespace deploy_cpp_header_test
