// SPDX-License-Identifier: Apache-2.0
// What Ascend's compiler would refuse, and what is written where it would not.
#include <amct_distill/onnx/import.hpp>
// The import has a namespace `fold`; what writes models calls a function of that name, in any order.
#include <amct_distill/deploy/integer.hpp>
#include <amct_distill/nn/layers/conv_transpose.hpp>
#include <amct_distill/onnx/amct_models.hpp>
#include <amct_distill/onnx/ascend.hpp>
#include <amct_distill/onnx/export.hpp>
#include <amct_distill/onnx/model_bytes.hpp>
#include <amct_distill/onnx/model_file.hpp>
#include <amct_distill/onnx/quantized_graph.hpp>
#include <amct_distill/plan/target.hpp>
#include <amct_distill/wire/writer.hpp>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/deploy_networks.hpp"
#include "support/onnx_graphs.hpp"
#include "support/original_models.hpp"
#include "support/temporary_directory.hpp"

namespace onnx_ascend_test {

using namespace amct_distill;

namespace {

/// A network of ours as a file, and a deployment of it.
struct Deployed {
    explicit Deployed(std::string_view config, const nn::Network& network = support::every_convolution())
        : bytes(onnx::export_bytes(network, {.outputs = {"y"}}).value()),
          file(onnx::ModelFile::of_bytes(bytes, "net.onnx").value()),
          imported(onnx::import_network(file).value()),
          deployment(deploy(support::calibrated_student(imported.network, config)).value()) {}

    /// What is said of the model after a change of its messages; a warning begins with "(".
    template <class Change>
    std::vector<std::string> said(Change change) const {
        onnx::ModelProto proto = file.proto();
        change(proto);
        std::string const changed = write_binary(proto);
        auto const model = onnx::ModelFile::of_bytes(changed, "net.onnx").value();
        auto const made = onnx::deploy_bytes(model, imported, deployment);
        std::vector<std::string> out;
        for (const Diagnostic& d : made.diagnostics()) {
            CHECK(d.source == "net.onnx");
            out.push_back(d.severity == Severity::warning ? "(" + d.message + ")" : d.message);
        }
        CHECK(bool(made) == (out.empty() || out.front().front() == '('));
        return out;
    }
    std::vector<std::string> said() const {
        return said([](onnx::ModelProto& p) { p.opset_import[0].version = 11; });
    }

    std::string bytes;
    onnx::ModelFile file;
    onnx::Imported imported;
    Deployment deployment;
};

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("ascend: versions and domains") {
    Deployed const net("");
    auto const with_opset = [&](std::int64_t version) {
        return net.said([version](onnx::ModelProto& p) { p.opset_import[0].version = version; });
    };
    CHECK(with_opset(9) == Lines());
    CHECK(with_opset(12) == Lines());
    CHECK(with_opset(13) ==
          Lines{"(the model is of opset 13: ATC's plugins of today read 8 to 22, older ones up "
                "to 13, the oldest 9 to 12)"});
    CHECK(with_opset(22).size() == 1);
    CHECK(with_opset(7) ==
          Lines{"the model is of opset 7, and ATC reads 8 to 22; export it with opset 11 or 13"});
    CHECK(with_opset(23).front().starts_with("the model is of opset 23, and ATC reads 8 to 22"));
    CHECK(net.said([](onnx::ModelProto& p) {
        p.opset_import[0].version = 11;
        p.graph->node[2].domain = std::string_view("com.microsoft");
        p.graph->node[2].name = std::string_view("a");
    }) == Lines{"node `a`: " + std::string(net.file.graph().node[2].op_type.get()) +
                " is of the domain `com.microsoft`, and ATC knows the operators of ONNX; export the model "
                "without it"});
}

TEST_CASE("ascend: widths and scales of layers, all at once") {
    Lines const mixed = Deployed("distill_weight_quant_config { arq_distill { dst_type: INT4 } }").said();
    Lines of_conv;
    for (const std::string& line : mixed)
        if (line.starts_with("layer `conv_depthwise`")) of_conv.push_back(line);
    CHECK(of_conv ==
          Lines{"layer `conv_depthwise`: activations are INT8, weights INT4, and target ascend wants "
                "both of one width; set both dst_type to the same",
                "layer `conv_depthwise`: INT4 weights are stored in pairs of input channels, and it "
                "has 1 in each group; quantize it in INT8 (an override), or skip it"});
    CHECK(mixed.size() > 5);  // of the other layers too

    CHECK(
        Deployed("distill_weight_quant_config { arq_distill { channel_wise: true } }").said() ==
        Lines{
            "layer `fc`: a Linear has one weight scale on target ascend; set channel_wise to false for it"});
    // conv_strided has 6 channels in 2 groups.
    CHECK(
        Deployed(support::int4_config).said() ==
        Lines{
            "layer `conv_strided`: INT4 weights are stored in pairs of input channels, and it has 3 in each "
            "group; quantize it in INT8 (an override), or skip it",
            "layer `conv_depthwise`: INT4 weights are stored in pairs of input channels, and it has 1 in "
            "each group; quantize it in INT8 (an override), or skip it",
            "layer `fc`: INT4 weights are stored in pairs of input channels, and it has 75; quantize it in "
            "INT8 (an override), or skip it"});
}

TEST_CASE(
    "ascend: the oldest version, transposed convolutions, matrices that are turned or add activations") {
    Deployed const net("");
    CHECK(net.said([](onnx::ModelProto& p) { p.opset_import[0].version = 8; })
              .front()
              .starts_with("(the model is of opset 8: ATC's plugins of today read 8 to 22"));
    CHECK(net.said([](onnx::ModelProto& p) {
        p.opset_import[0].version = 11;
        p.graph->node[2].domain = std::string_view("ai.onnx");
    }) == Lines());

    nn::Network up;
    up.output(up.add("up", nn::ConvTranspose2d({.in_channels = 2, .out_channels = 4, .kernel = {2, 2}}),
                     {up.input("image", {2, 6, 6})}));
    nn::initialize(up, 1);
    CHECK(
        Deployed(support::int4_config, up).said() ==
        Lines{
            "layer `up`: a ConvTranspose of INT4 is not known to be read; quantize it in INT8 (an override), "
            "or skip it"});
    CHECK(Deployed("", up).said() == Lines());

    auto const graph = [](const Deployed& d) {
        return onnx::quantized_graph(d.file, d.imported, d.deployment).value();
    };
    Target every = target::ascend;
    every.mixed_widths = every.channel_wise_linear = true;
    Deployed const mixed("distill_weight_quant_config { arq_distill { dst_type: INT4 channel_wise: true } }");
    for (const Diagnostic& d : onnx::check_ascend(graph(mixed), every)) {
        CHECK(d.message.find("want both of one width") == std::string::npos);
        CHECK(d.message.find("has one weight scale") == std::string::npos);
    }

    nn::Network matrix;
    nn::NodeId const x = matrix.add_function("/Flatten", nn::Flatten{}, {matrix.input("image", {2, 6, 6})});
    matrix.output(matrix.add("fc", nn::Linear({.in_features = 72, .out_features = 2, .bias = false}), {x}));
    nn::initialize(matrix, 1);
    Deployed const fc("", matrix);
    CHECK(fc.said() == Lines());
    CHECK(fc.said([](onnx::ModelProto& p) {
        p.opset_import[0].version = 11;
        for (onnx::NodeProto& n : p.graph->node)
            if (n.op_type.get() == "Gemm") {
                n.input.resize(3);
                n.input[2] = n.input[0];
                n.attribute.push_back({.name = std::string_view("transA"), .i = 1, .type = 2});
            }
    }) == Lines{"layer `fc`: its Gemm adds an activation to integers; write it as MatMul and Add",
                "layer `fc`: its Gemm turns the activation (transA); put a Transpose before it"});
}

TEST_CASE("amct models: the bias of a MatMul of INT4 is added after it, in float") {
    nn::Network lines;
    lines.output(lines.add("fc", nn::Linear({.in_features = 6, .out_features = 4}),
                           {lines.input("image", {2, 6, 6})}));
    nn::initialize(lines, 1);
    Deployed const net(support::int4_config, lines);
    auto const made = onnx::deploy_bytes(net.file, net.imported, net.deployment).value();
    auto const file = onnx::ModelFile::of_bytes(made.model, "deploy").value();
    std::string operators;
    for (const onnx::NodeProto& n : file.graph().node) operators += std::string(n.op_type.get()) + " ";
    CHECK(operators == "AscendQuant MatMul AscendDequant Add ");
    const DeployedLayer& layer = *net.deployment.layer("fc");
    REQUIRE(layer.bias.size() == 4);
    const onnx::NodeProto& add = file.graph().node.back();
    CHECK(add.input == std::vector<std::string_view>{file.graph().node[2].output[0], "fc.sub_module.bias"});
    for (const onnx::TensorProto& t : file.graph().initializer)
        if (t.name.get() == "fc.sub_module.bias") {
            auto const values = file.values(t).value().to_vector<float>();
            for (std::size_t c = 0; c != 4; ++c)
                CHECK(values[c] == static_cast<float>(layer.bias[c]) * layer.dequantization_scale(c));
        }
}

TEST_CASE("amct models: what cannot be written says why, and writes nothing") {
    Deployed const net(""), other("", support::small_network());
    support::temporary_directory const folder;
    std::string const no_layer =
        "layer `conv_dilated`: the model has no such layer; give the model that was quantized";
    auto const deployed = onnx::deploy_bytes(other.file, other.imported, net.deployment);
    REQUIRE_FALSE(deployed);
    CHECK(deployed.diagnostics().front().message == no_layer);
    auto const fake = onnx::fake_quant_bytes(other.file, other.imported, net.deployment);
    REQUIRE_FALSE(fake);
    CHECK(fake.diagnostics().front().message == no_layer);
    CHECK_FALSE(
        onnx::export_deploy_model(other.file, other.imported, net.deployment, folder.path() / "d.onnx"));
    CHECK_FALSE(
        onnx::export_fake_quant_model(other.file, other.imported, net.deployment, folder.path() / "f.onnx"));
    CHECK(folder.files() == 0);
    std::filesystem::create_directories(folder.path() / "full.onnx" / "x");
    CHECK_FALSE(
        onnx::export_fake_quant_model(net.file, net.imported, net.deployment, folder.path() / "full.onnx"));

    // Before opset 11 there is no Round: the model becomes one of opset 11, if each node has a form there.
    auto const of_opset_9 = [&](bool with_slice) {
        onnx::ModelProto proto = net.file.proto();
        proto.opset_import[0].version = 9;
        if (with_slice)
            proto.graph->node.push_back({.input = {"image"},
                                         .output = {"unused"},
                                         .name = std::string_view("cut"),
                                         .op_type = std::string_view("Slice")});
        std::string const bytes = write_binary(proto);
        auto const model = onnx::ModelFile::of_bytes(bytes, "net.onnx").value();
        auto const made = onnx::fake_quant_bytes(model, net.imported, net.deployment);
        if (!made) return to_string(made.diagnostics());
        return detail::concat(onnx::ModelFile::of_bytes(made->model, "fake").value().opset());
    };
    CHECK(of_opset_9(false) == "11");
    CHECK(of_opset_9(true) ==
          "net.onnx: error: node `cut` (Slice) is not converted to opset 10: it has no starts or ends");
}

TEST_CASE("ascend: a scale whose inverse is no normal number is refused") {
    Deployed net("");
    auto const with_scale = [&](float scale) {
        std::vector<DeployedLayer> layers(net.deployment.layers().begin(), net.deployment.layers().end());
        for (DeployedLayer& l : layers)
            if (l.name == "fc") l.data.scale = scale;
        net.deployment = Deployment(net.deployment.network(), std::move(layers));
        return net.said();
    };
    CHECK(with_scale(0x1p126f) == Lines());
    CHECK(with_scale(0x1p127f) ==
          Lines{"layer `fc`: AscendQuant multiplies by 1 / scale_d, and scale_d is " +
                detail::number(0x1p127f) + "; calibrate with other data, or skip the layer"});
}

TEST_CASE("amct models: a BatchNorm after a layer in float is folded into it, if it alone reads it") {
    Deployed const net("quant_skip_layers: 'conv_strided'");
    std::size_t const conv = [&] {
        for (std::size_t i = 0; i != net.file.graph().node.size(); ++i)
            if (std::string_view(net.file.graph().node[i].name.get()).find("conv_strided") !=
                std::string::npos)
                return i;
        return net.file.graph().node.size();
    }();
    REQUIRE(conv != net.file.graph().node.size());
    auto const norms = [&](bool read_twice) {
        onnx::ModelProto proto = net.file.proto();
        proto.opset_import[0].version = 11;
        if (read_twice)
            proto.graph->node.push_back({.input = {proto.graph->node[conv].output.front()},
                                         .output = {"unread"},
                                         .name = std::string_view("unread"),
                                         .op_type = std::string_view("Relu")});
        std::string const changed = write_binary(proto);
        auto const model = onnx::ModelFile::of_bytes(changed, "net.onnx").value();
        auto const made = onnx::deploy_bytes(model, net.imported, net.deployment);
        REQUIRE(made);
        std::string const bytes = made->model;
        auto const read = onnx::ModelFile::of_bytes(bytes, "made.onnx").value();
        std::size_t found = 0;
        for (const onnx::NodeProto& n : read.graph().node) found += n.op_type.get() == "BatchNormalization";
        return found;
    };
    CHECK(norms(false) == 0);
    CHECK(norms(true) == 1);
}

TEST_CASE("amct models: large weights are in a file beside") {
    nn::Network wide;
    nn::NodeId const x = wide.add_function("/Flatten", nn::Flatten{}, {wide.input("image", {2, 6, 6})});
    wide.output(wide.add("fc", nn::Linear({.in_features = 72, .out_features = 16}), {x}));
    nn::initialize(wide, 1);
    Deployed const net("", wide);
    support::temporary_directory const folder;
    auto const one = onnx::fake_quant_bytes(net.file, net.imported, net.deployment).value();
    auto const two =
        onnx::fake_quant_bytes(net.file, net.imported, net.deployment, {.largest_file = 1000}).value();
    CHECK(one.data.empty());
    REQUIRE(!two.data.empty());
    onnx::write_model(two, folder.path() / "net.onnx").value();
    auto const a = onnx::ModelFile::of_bytes(one.model, "one").value();
    auto const b = onnx::ModelFile::open(folder.path() / "net.onnx").value();
    CHECK(onnx_graphs::differences(a, b) == Lines());
}

TEST_CASE("amct models: our import reads the fake-quant model, and computes the integers") {
    for (const char* folder : {"mlp", "cnn", "res", "dwsep", "pool_int4", "skip"}) {
        INFO(folder);
        auto const model = support::original_model(folder);
        auto const made = onnx::fake_quant_bytes(model.source, model.imported, model.deployment).value();
        auto const file = onnx::ModelFile::of_bytes(made.model, "fake quant").value();
        nn::Network const network = onnx::import_network(file).value().network;
        auto const io = golden::load(std::string("onnx/") + folder + "/io.json");
        nn::Tensor const found = network.predict(support::golden_tensor(io.at("test")));
        nn::Tensor const integers =
            integer_network(model.deployment).predict(support::golden_tensor(io.at("test")));
        CHECK(found == integers);
        auto const theirs = golden::floats(io.at("fake_quant_out"));
        for (std::size_t i = 0; i != theirs.size(); ++i) {
            if (std::string_view(folder) == "skip")  // a float Linear, whose sums are in another order there
                CHECK(found[i] == Approx(theirs[i]).epsilon(1e-5));
            else
                CHECK(golden::same_bits(found[i], theirs[i]));
        }

        auto const deploy_model = onnx::deploy_bytes(model.source, model.imported, model.deployment).value();
        auto const refused =
            onnx::import_network(onnx::ModelFile::of_bytes(deploy_model.model, "deploy").value());
        REQUIRE(!refused);
        CHECK(refused.diagnostics().front().message.find("the model is quantized already") !=
              std::string::npos);
    }
}

}  // namespace onnx_ascend_test
