// SPDX-License-Identifier: Apache-2.0
// What Ascend's compiler would refuse, and what is written where it would not.
#include <amct_distill/onnx/import.hpp>
// The import has a namespace `fold`; what writes models calls a function of that name, in any order of headers.
#include <amct_distill/deploy/integer.hpp>
#include <amct_distill/onnx/amct_models.hpp>
#include <amct_distill/onnx/export.hpp>
#include <amct_distill/onnx/model_bytes.hpp>
#include <amct_distill/onnx/model_file.hpp>
#include <amct_distill/wire/writer.hpp>
#include <cstdint>
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
