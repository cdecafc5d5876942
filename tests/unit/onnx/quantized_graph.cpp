// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/quantized_graph.hpp>

#include <amct_distill/nn/layers/conv_transpose.hpp>
#include <amct_distill/quant/any_codes.hpp>

#include <string>
#include <vector>

#include "models.hpp"
#include "support/catch.hpp"
#include "support/quantized_model.hpp"

namespace onnx_quantized_graph_test {

using namespace amct_distill;
using onnx_test::Model;
using support::QuantizedModel;

namespace {

onnx::QuantizedGraph graph_of(const QuantizedModel& m) {
    return onnx::quantized_graph(m.file, m.imported, m.deployment).value();
}
/// "op(inputs)->output" of a layer.
std::string line(const onnx::QuantizedGraph& g, std::size_t k) {
    const onnx::QuantizedNode& l = g.layers.at(k);
    std::string out = std::string(g.edit.op(l.node)) + "(" + std::string(l.input) + "," +
                      std::string(l.weight) + "," + std::string(l.bias) + ")->" + std::string(l.output);
    return l.bias_add ? out + " added" : out;
}
std::int8_t code(const DeployedLayer& layer, std::size_t row, std::size_t col) {
    std::vector<std::int8_t> codes(layer.cols());
    unpack_row(layer.codes, row, codes);
    return codes[col];
}
/// A file's bytes, of a model of two matrices after [N, 4].
std::string matrices(std::vector<onnx::NodeProto> nodes) {
    Model m;
    m.output("y");
    onnx::TypeProto::Tensor type{.elem_type = 1};
    type.shape.emplace();
    type.shape->dim.resize(2);
    type.shape->dim[0].value.emplace<1>(std::string_view("N"));
    type.shape->dim[1].value.emplace<0>(72);
    m.graph().input.push_back({.name = std::string_view("x"), .type = onnx::TypeProto{.tensor_type = type}});
    std::vector<float> w(72 * 2);
    for (std::size_t i = 0; i != w.size(); ++i) w[i] = static_cast<float>(i % 7) - 3;
    m.initializer(onnx_test::floats("fc.weight", {72, 2}, w));
    m.initializer(onnx_test::floats("fc.bias", {2}, {1, -1}));
    m.initializer(onnx_test::floats("before.weight", {72, 2}, w));
    m.graph().node = std::move(nodes);
    return write_binary(m.file().proto());
}
onnx::NodeProto node(std::string_view op, std::vector<std::string_view> inputs, std::string_view output,
                     onnx::AttributeList attributes = {}) {
    return {
        .input = std::move(inputs), .output = {output}, .op_type = op, .attribute = std::move(attributes)};
}
/// Deployed by hand: weights of codes 1, 2, 3 ... per row; no bias unless given.
Deployment deployed(const nn::Network& network, std::string_view name, bool bias) {
    DeployedLayer layer{.name = std::string(name)};
    layer.module = *network.graph().module_named(name);
    layer.node = *network.graph().node_named(name);
    const nn::Weighted& weighted = *network.module(layer.module).weighted();
    nn::WeightRows const rows(weighted);
    auto const count = static_cast<std::size_t>(rows.count()),
               length = static_cast<std::size_t>(rows.length());
    std::vector<std::int8_t> codes(count * length);
    for (std::size_t i = 0; i != codes.size(); ++i) codes[i] = static_cast<std::int8_t>(i % 100);
    layer.data = {0.5f, 3};
    layer.codes = Codes<Int8>::pack(codes, count, length).value();
    layer.weight_scales = Scales(std::vector<ScaleOffset>(count, {0.25f, 0}));
    if (bias) layer.bias.assign(count, 7);
    return Deployment(network, {layer});
}

}  // namespace

TEST_CASE("quantized layers are found in a model, their BatchNorms gone") {
    QuantizedModel const m(support::every_convolution(), "");
    onnx::QuantizedGraph const g = graph_of(m);
    REQUIRE(g.layers.size() == m.deployment.layers().size());
    CHECK(line(g, 0) == "Conv(image,conv_dilated.weight,conv_dilated.bias)->/conv_dilated/Conv_output_0");
    CHECK(line(g, 1) ==
          "Conv(/relu_dilated/Relu_output_0,conv_strided.weight,)->/conv_strided/Conv_output_0");
    for (std::size_t n = 0; n != g.edit.nodes(); ++n)
        CHECK((!g.edit.has(n) || g.edit.op(n) != "BatchNormalization"));
    CHECK(g.edit.only_reader("/conv_dilated/Conv_output_0") ==
          g.edit.producer("/relu_dilated/Relu_output_0"));
    std::string bytes = g.edit.finish().value().model;
    auto const back = onnx::import_network(onnx::ModelFile::of_bytes(bytes).value());
    CHECK(back.value().network.graph().size() == m.imported.network.graph().size() - 2);
    const onnx::QuantizedNode& conv = g.layers[1];
    CHECK(conv.dims == std::vector<std::int64_t>{6, 3, 3, 3});
    CHECK(conv.axis == 0);
    CHECK(conv.codes[27 * 2 + 5] == code(*conv.layer, 2, 5));
}

TEST_CASE("a matrix's codes are in the order of the file") {
    for (bool const gemm : {true, false}) {
        std::string const bytes =
            gemm ? matrices({node("Gemm", {"x", "fc.weight", "fc.bias"}, "y")})
                 : matrices({node("MatMul", {"x", "fc.weight"}, "p"), node("Add", {"fc.bias", "p"}, "y")});
        onnx::ModelFile const file = onnx::ModelFile::of_bytes(bytes).value();
        onnx::Imported const net = onnx::import_network(file).value();
        Deployment const d = deployed(net.network, "fc", true);
        onnx::QuantizedGraph const g = onnx::quantized_graph(file, net, d).value();
        CHECK(line(g, 0) == (gemm ? "Gemm(x,fc.weight,fc.bias)->y" : "MatMul(x,fc.weight,fc.bias)->y added"));
        CHECK(g.layers[0].dims == std::vector<std::int64_t>{72, 2});
        CHECK(g.layers[0].axis == 1);
        CHECK(g.layers[0].codes[5 * 2 + 1] == code(*g.layers[0].layer, 1, 5));
        CHECK(g.layers[0].is_matmul == !gemm);
    }
}

TEST_CASE("a bias that folding made for a MatMul is an Add after it") {
    std::string const bytes = matrices({node("MatMul", {"x", "fc.weight"}, "y")});
    onnx::ModelFile const file = onnx::ModelFile::of_bytes(bytes).value();
    onnx::Imported const net = onnx::import_network(file).value();
    nn::Network with_bias = net.network;
    with_bias.replace(*with_bias.graph().module_named("fc"),
                      nn::Linear({.in_features = 72, .out_features = 2}));
    Deployment const d = deployed(with_bias, "fc", true);
    onnx::QuantizedGraph g = onnx::quantized_graph(file, net, d).value();
    CHECK(line(g, 0) == "MatMul(x,fc.weight,)->y added");
    REQUIRE(g.layers[0].bias_add);
    CHECK(g.edit.node(*g.layers[0].bias_add).input ==
          std::vector<std::string_view>{g.edit.node(g.layers[0].node).output[0], ""});
}

TEST_CASE("what a Gemm adds besides a bias stays its input") {
    std::string const bytes = matrices({node("Gemm", {"x", "fc.weight", "other"}, "y",
                                             {onnx::attribute("beta", 0.5f), onnx::attribute("alpha", 2.0f)}),
                                        node("Gemm", {"x", "before.weight"}, "other")});
    onnx::ModelFile const file = onnx::ModelFile::of_bytes(bytes).value();
    onnx::Imported const net = onnx::import_network(file).value();
    Deployment const d = deployed(net.network, "fc", false);
    onnx::QuantizedGraph const g = onnx::quantized_graph(file, net, d).value();
    CHECK(g.layers[0].adds_float);
    CHECK(g.layers[0].bias == "other");
    CHECK(onnx::find_attribute(g.edit.node(g.layers[0].node), "beta")->f.get() == 0.5f);
    CHECK(onnx::find_attribute(g.edit.node(g.layers[0].node), "alpha")->f.get() == 1.0f);  // in the weights
}

TEST_CASE("a transposed convolution's codes are in its groups") {
    nn::Network net;
    nn::NodeId const x = net.input("image", {4, 3, 3});
    net.output(
        net.add("up",
                nn::ConvTranspose2d(
                    {.in_channels = 4, .out_channels = 6, .kernel = {2, 2}, .stride = {2, 2}, .groups = 2}),
                {x}));
    nn::initialize(net, 1);
    std::string const bytes = onnx::export_bytes(net).value();
    onnx::ModelFile const file = onnx::ModelFile::of_bytes(bytes).value();
    onnx::Imported const imported = onnx::import_network(file).value();
    Deployment const d = deployed(imported.network, "up", true);
    onnx::QuantizedGraph const g = onnx::quantized_graph(file, imported, d).value();
    CHECK(g.layers[0].dims == std::vector<std::int64_t>{4, 3, 2, 2});
    CHECK(g.layers[0].axis == 1);
    CHECK(g.layers[0].groups == 2);
    CHECK(g.layers[0].codes[(3 * 3 + 1) * 4 + 2] == code(*g.layers[0].layer, 3 + 1, 4 + 2));
}

TEST_CASE("what distillation has changed besides quantized layers is in the model") {
    QuantizedModel const m(support::every_convolution(), "quant_skip_layers: \"conv_strided\"");
    nn::Network changed = m.deployment.network();
    REQUIRE(m.deployment.layer("conv_strided") == nullptr);
    auto* const norm = changed.module("bn_strided").get_if<nn::BatchNorm2d>();
    norm->weight()[1] = 9;
    norm->running_var()[2] = 3;
    auto* const conv = changed.module("conv_strided").get_if<nn::Conv2d>();
    conv->weight()[7] = 5;
    Deployment const deployment(changed, m.deployment.layers());
    std::string const bytes =
        onnx::quantized_graph(m.file, m.imported, deployment).value().edit.finish().value().model;
    nn::Network back = onnx::import_network(onnx::ModelFile::of_bytes(bytes).value()).value().network;
    CHECK(back.module("bn_strided").get_if<nn::BatchNorm2d>()->weight() == norm->weight());
    CHECK(back.module("bn_strided").get_if<nn::BatchNorm2d>()->bias() == norm->bias());
    CHECK(back.module("bn_strided").get_if<nn::BatchNorm2d>()->running_mean() == norm->running_mean());
    CHECK(back.module("bn_strided").get_if<nn::BatchNorm2d>()->running_var() == norm->running_var());
    CHECK(back.module("conv_strided").get_if<nn::Conv2d>()->weight() == conv->weight());
}

TEST_CASE("a layer that is of another kind in the model is refused, as is what has changed elsewhere") {
    auto const network = [](nn::Module module, const nn::Shape& shape) {
        nn::Network net;
        net.output(net.add("l", std::move(module), {net.input("image", shape)}));
        nn::initialize(net, 1);
        return net;
    };
    auto const said = [](const nn::Network& model, const nn::Network& deployed_one) {
        std::string const bytes = onnx::export_bytes(model).value();
        onnx::ModelFile const file = onnx::ModelFile::of_bytes(bytes, "model.onnx").value();
        onnx::Imported const imported = onnx::import_network(file).value();
        auto const graph = onnx::quantized_graph(file, imported, deployed(deployed_one, "l", false));
        return graph ? std::string("no error") : to_string(graph.diagnostics());
    };
    nn::Network const conv = network(
        nn::Conv2d({.in_channels = 2, .out_channels = 2, .kernel = {1, 1}, .bias = false}), {2, 6, 6});
    nn::Network const up =
        network(nn::ConvTranspose2d({.in_channels = 2, .out_channels = 2, .kernel = {1, 1}, .bias = false}),
                {2, 6, 6});
    nn::Network const linear = network(nn::Linear({.in_features = 2, .out_features = 2, .bias = false}), {2});
    std::string const rest = "; give the model that was quantized";
    CHECK(said(conv, linear) ==
          "model.onnx: error: layer `l`: it is a Conv in the model, but its weights are [2, 2]" + rest);
    CHECK(said(linear, conv) ==
          "model.onnx: error: layer `l`: it is a Gemm in the model, but its weights are [2, 2, 1, 1]" + rest);
    CHECK(said(conv, up) ==
          "model.onnx: error: layer `l`: it is a Conv in the model, but its weights are [2, 2, 1, 1]" + rest);
    CHECK(
        said(up, conv) ==
        "model.onnx: error: layer `l`: it is a ConvTranspose in the model, but its weights are [2, 2, 1, 1]" +
            rest);
    CHECK(said(conv, conv) == "no error");

    QuantizedModel const m(support::every_convolution(), "quant_skip_layers: \"conv_strided\"");
    nn::Network changed = m.deployment.network();
    changed.replace(*changed.graph().module_named("relu_dilated"), nn::Tanh{});
    auto const other = onnx::quantized_graph(m.file, m.imported, Deployment(changed, m.deployment.layers()));
    REQUIRE_FALSE(other);
    CHECK(to_string(other.diagnostics()) ==
          "model.onnx: error: layer `relu_dilated`: it is a ReLU in the model, but a Tanh in the deployment" +
              rest);
}

TEST_CASE("a model whose inputs are other floats is refused, one of integers beside them is not") {
    QuantizedModel const m(support::small_network(), "");
    auto const said = [&](std::int32_t type) {
        onnx::ModelProto proto = m.file.proto();
        proto.graph->input.push_back({.name = std::string_view("untold")});
        proto.graph->input.push_back({.name = std::string_view("sequence"), .type = onnx::TypeProto{}});
        proto.graph->input.push_back({.name = std::string_view("more"), .type = proto.graph->input[0].type});
        proto.graph->input.back().type->tensor_type->elem_type = type;
        std::string const bytes = write_binary(proto);
        auto const file = onnx::ModelFile::of_bytes(bytes, "model.onnx").value();
        auto const graph = onnx::quantized_graph(file, m.imported, m.deployment);
        return graph ? std::string("no error") : to_string(graph.diagnostics());
    };
    CHECK(said(1) == "no error");
    CHECK(said(7) == "no error");
    CHECK(said(10) ==
          "model.onnx: error: its input `more` is not float32, and nor are its activations, which cannot be "
          "quantized then; write the model in float32 first (export --format float)");
}

TEST_CASE("a deployment of another model is refused, with each layer's name") {
    QuantizedModel const m(support::every_convolution(), ""), other(support::small_network(), "");
    auto const g = onnx::quantized_graph(other.file, other.imported, m.deployment);
    REQUIRE_FALSE(g);
    REQUIRE(g.diagnostics().size() == 5);
    CHECK(g.diagnostics()[0].message ==
          "layer `conv_dilated`: the model has no such layer; give the model that was quantized");
    CHECK(g.diagnostics()[0].source == "model.onnx");
    CHECK(g.diagnostics()[4].message ==
          "layer `fc`: it has 225 weights, but the model's `fc.weight` has 60; give the model that was "
          "quantized");
}

}  // namespace onnx_quantized_graph_test
