// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/qdq.hpp>

#include <amct_distill/deploy/integer.hpp>
#include <amct_distill/nn/layers/conv_transpose.hpp>
#include <amct_distill/onnx/float_model.hpp>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/quantized_model.hpp"
#include "support/temporary_directory.hpp"

namespace onnx_qdq_test {

using namespace amct_distill;
using onnx::QdqForm;
using support::QuantizedModel;

namespace {

/// A written model, by its nodes' and initializers' names.
class Written {
public:
    Written(const QuantizedModel& m, const onnx::QdqOptions& options = {})
        : result_(onnx::qdq_bytes(m.file, m.imported, m.deployment, options)),
          file_(onnx::ModelFile::of_bytes(result_.value().model).value()) {}
    const onnx::ModelFile& file() const { return file_; }
    const Diagnostics& warnings() const { return result_.diagnostics(); }
    const onnx::NodeProto& node(std::string_view name) const {
        for (const onnx::NodeProto& n : file_.graph().node)
            if (n.name.get() == name) return n;
        throw std::runtime_error("no node " + std::string(name));
    }
    const onnx::TensorProto& tensor(std::string_view name) const {
        for (const onnx::TensorProto& t : file_.graph().initializer)
            if (t.name.get() == name) return t;
        throw std::runtime_error("no initializer " + std::string(name));
    }
    std::vector<double> values(std::string_view name) const {
        return file_.values(tensor(name)).value().to_vector<double>();
    }
    std::size_t count(std::string_view op) const {
        std::size_t n = 0;
        for (const onnx::NodeProto& node : file_.graph().node) n += node.op_type.get() == op;
        return n;
    }
    int type(std::string_view name) const { return tensor(name).data_type.get(); }

private:
    result<onnx::ModelBytes> result_;
    onnx::ModelFile file_;
};
constexpr int int8 = 3, int32 = 6, int4 = 22;
using Inputs = std::vector<std::string_view>;

std::vector<double> codes_of(const DeployedLayer& layer) {
    std::vector<double> out;
    std::vector<std::int8_t> row(layer.cols());
    for (std::size_t r = 0; r != layer.rows(); ++r) {
        unpack_row(layer.codes, r, row);
        out.insert(out.end(), row.begin(), row.end());
    }
    return out;
}

}  // namespace

TEST_CASE("INT8 is written as QuantizeLinear and DequantizeLinear of opset 13") {
    QuantizedModel const m(support::small_network(), "");
    Written const w(m);
    CHECK(w.file().opset() == 13);
    CHECK(w.file().proto().ir_version.get() == 7);
    CHECK(w.file().proto().producer_name.get() == "amct_distill");
    CHECK(w.count("QuantizeLinear") == 3);
    CHECK(w.count("DequantizeLinear") == 9);
    CHECK(w.count("BatchNormalization") == 0);
    const DeployedLayer& conv = *m.deployment.layer("conv1");
    CHECK(w.node("/conv1/Conv").input == Inputs{"conv1.x_dq", "conv1.w_dq", "conv1.b_dq"});
    CHECK(w.node("conv1.x.quantize").input == Inputs{"image", "conv1.x_scale", "conv1.x_zero"});
    CHECK(w.node("conv1.w.dequantize").attribute.at(0).i.get() == 0);
    CHECK(w.values("conv1.x_scale") == std::vector<double>{double(conv.data.scale)});
    CHECK(w.values("conv1.x_zero") == std::vector<double>{double(conv.data.offset)});
    CHECK(w.values("conv1.w_q") == codes_of(conv));
    CHECK(w.type("conv1.w_q") == int8);
    CHECK(w.type("conv1.b_q") == int32);
    CHECK(w.values("conv1.b_q") == std::vector<double>(conv.bias.begin(), conv.bias.end()));
    for (std::size_t c = 0; c != 4; ++c) {
        CHECK(w.values("conv1.w_scale").at(c) == double(conv.weight_scales.of_row(c).scale));
        CHECK(w.values("conv1.b_scale").at(c) == double(conv.dequantization_scale(c)));
    }
    // A layer's scale and zero point have the same shape: one for the tensor has none.
    CHECK(w.tensor("fc.w_scale").dims == w.tensor("fc.w_zero").dims);
    CHECK(w.file().graph().output.front().name.get() == m.file.graph().output.front().name.get());
}

TEST_CASE("INT4 is written as TensorProto's INT4, or clipped in INT8") {
    QuantizedModel const m(support::small_network(), support::int4_config);
    float const scale = m.deployment.layer("conv2")->data.scale;
    double const low = double(static_cast<float>(-8 - m.deployment.layer("conv2")->data.offset) * scale);
    SECTION("as it is") {
        Written const w(m, {.form = QdqForm::int4});
        CHECK(w.file().opset() == 21);
        CHECK(w.file().proto().ir_version.get() == 10);
        CHECK(w.type("conv2.x_zero") == int4);
        CHECK(w.type("conv2.w_q") == int4);
        CHECK(w.type("conv2.w_zero") == int4);
        CHECK(w.values("conv2.w_q") == codes_of(*m.deployment.layer("conv2")));
        CHECK(w.count("Clip") == 0);
    }
    SECTION("data clipped") {
        Written const w(m, {.form = QdqForm::int4_clip});
        CHECK(w.file().opset() == 21);
        CHECK(w.type("conv2.x_zero") == int8);
        CHECK(w.type("conv2.w_q") == int4);
        CHECK(w.values("conv2.lo") == std::vector<double>{low});
        CHECK(w.node("conv2.x.quantize").input[0] == "conv2.x_clip");
    }
    SECTION("for old runtimes") {
        Written const w(m);
        CHECK(w.file().opset() == 13);
        CHECK(w.type("conv2.x_zero") == int8);
        CHECK(w.type("conv2.w_q") == int8);
        CHECK(w.values("conv2.w_q") == codes_of(*m.deployment.layer("conv2")));
        CHECK(w.count("Clip") == 3);
        CHECK(w.warnings().empty());
    }
    SECTION("where no layer has it") {
        QuantizedModel const eight(support::small_network(), "");
        auto const r = onnx::qdq_bytes(eight.file, eight.imported, eight.deployment, {.form = QdqForm::int4});
        REQUIRE_FALSE(r);
        CHECK(r.diagnostics()[0].message == "no layer is quantized to INT4; write the INT8 form (qdq-int8)");
    }
}

TEST_CASE("layers that quantize a value alike share its codes") {
    nn::Network net;
    nn::NodeId const x = net.input("image", {2, 6, 6});
    nn::NodeId const r = net.add("relu", nn::ReLU{}, {x});
    nn::NodeId const a =
        net.add("a", nn::Conv2d({.in_channels = 2, .out_channels = 2, .kernel = {1, 1}}), {r});
    nn::NodeId const b =
        net.add("b", nn::Conv2d({.in_channels = 2, .out_channels = 2, .kernel = {1, 1}}), {r});
    net.output(net.add_function("/Add", nn::Add{}, {a, b}));
    nn::initialize(net, 1);
    QuantizedModel const m(net, "");
    Written const w(m);
    CHECK(w.count("QuantizeLinear") == 1);
    CHECK(w.node("/b/Conv").input[0] == "a.x_dq");
    std::vector<DeployedLayer> layers = m.deployment.layers();
    layers[1].data.offset += 1;
    Deployment const apart(m.deployment.network(), layers);
    auto const bytes = onnx::qdq_bytes(m.file, m.imported, apart).value();
    CHECK(onnx::ModelFile::of_bytes(bytes.model).value().graph().node.size() ==
          w.file().graph().node.size() + 2);
}

TEST_CASE("a transposed convolution's scales in groups go by rows") {
    nn::Network net;
    nn::NodeId const x = net.input("image", {2, 6, 6});
    nn::NodeId const c =
        net.add("conv", nn::Conv2d({.in_channels = 2, .out_channels = 4, .kernel = {1, 1}}), {x});
    net.output(net.add(
        "up", nn::ConvTranspose2d({.in_channels = 4, .out_channels = 6, .kernel = {2, 2}, .groups = 2}),
        {c}));
    nn::initialize(net, 1);
    QuantizedModel const m(net, "distill_weight_quant_config { arq_distill { channel_wise: true } }");
    REQUIRE(m.deployment.layer("up"));
    REQUIRE(m.deployment.layer("up")->weight_scales.size() == 6);
    Written const w(m);
    CHECK(w.tensor("up.w_q").dims == std::vector<std::int64_t>{6, 8});
    CHECK(w.values("up.w_q") == codes_of(*m.deployment.layer("up")));
    CHECK(w.values("up.w_split") == std::vector<double>{2, 3, 2, 2, 2});
    CHECK(w.values("up.w_shape") == std::vector<double>{4, 3, 2, 2});
    CHECK(w.node("/up/ConvTranspose").input[1] == "up.w.join_out");
}

TEST_CASE("weights beyond 7 bits are warned of, and can be made fewer") {
    QuantizedModel const m(support::small_network(), "");
    Written const w(m);
    REQUIRE(w.warnings().size() == 1);
    CHECK(w.warnings()[0].severity == Severity::warning);
    CHECK(w.warnings()[0].message.find("as in `conv1`, `conv2`, `fc`; for such processors") !=
          std::string::npos);
    Written const narrow(m, {.seven_bit_weights = true});
    CHECK(narrow.warnings().empty());
    for (std::string_view name : {"conv1.w_q", "conv2.w_q", "fc.w_q"})
        for (double code : narrow.values(name)) CHECK(std::abs(code) <= 63);
}

TEST_CASE("a network that was built here is written as well, large ones in two files") {
    support::temporary_directory const dir;
    nn::Network const net = support::small_network();
    onnx::FloatModel const model = onnx::FloatModel::of(net).value();
    Deployment const deployment = deploy(support::calibrated_student(net, "")).value();
    onnx::export_qdq(model, deployment, dir.path() / "net.onnx", {.largest_file = 1'000}).value();
    CHECK(dir.files() == 1);  // no tensor of it is large
    nn::Network wide;
    nn::NodeId const x = wide.input("image", {2, 6, 6});
    nn::NodeId const f = wide.add_function("flatten", nn::Flatten{}, {x});
    wide.output(wide.add("fc", nn::Linear({.in_features = 72, .out_features = 64}), {f}));
    nn::initialize(wide, 1);
    onnx::FloatModel const large = onnx::FloatModel::of(wide).value();
    Deployment const of_large = deploy(support::calibrated_student(wide, "")).value();
    onnx::export_qdq(large, of_large, dir.path() / "wide.onnx", {.largest_file = 1'000}).value();
    CHECK(std::filesystem::file_size(dir.path() / "wide.onnx.data") == 72 * 64);
    onnx::ModelFile const back = onnx::ModelFile::open(dir.path() / "wide.onnx").value();
    for (const onnx::TensorProto& t : back.graph().initializer)
        if (t.name.get() == "fc.w_q")
            CHECK(back.values(t).value().to_vector<double>() == codes_of(of_large.layers()[0]));
}

TEST_CASE("INT4 of the weights alone, or of the data alone, is written as what each is") {
    QuantizedModel const weights(support::small_network(),
                                 "distill_weight_quant_config { arq_distill { dst_type: INT4 } }");
    Written const w(weights, {.form = QdqForm::int4});
    CHECK(w.type("conv2.w_q") == int4);
    CHECK(w.type("conv2.x_zero") == int8);
    QuantizedModel const data(support::small_network(),
                              "distill_data_quant_config { ulq_quantize { dst_type: INT4 } }");
    Written const d(data, {.form = QdqForm::int4});
    CHECK(d.type("conv2.w_q") == int8);
    CHECK(d.type("conv2.x_zero") == int4);
}

TEST_CASE("the bias of a MatMul stays in the Add after it") {
    nn::Network net;
    nn::NodeId const x = net.input("image", {2, 6, 6});
    net.output(net.add("fc", nn::Linear({.in_features = 6, .out_features = 4}), {x}));
    nn::initialize(net, 1);
    QuantizedModel const m(net, "");
    Written const w(m);
    CHECK(w.node("/fc/MatMul").input == Inputs{"fc.x_dq", "fc.w_dq"});
    CHECK(w.node("/fc/Add").input == Inputs{w.node("/fc/MatMul").output.front(), "fc.b_dq"});
}

TEST_CASE("a deployment that does not fit, an operator without a newer form, and a file that is none") {
    QuantizedModel const m(support::small_network(), ""), other(support::every_convolution(), "");
    auto const refused = onnx::qdq_bytes(other.file, other.imported, m.deployment);
    REQUIRE_FALSE(refused);
    CHECK(refused.diagnostics()[0].message ==
          "layer `conv1`: the model has no such layer; give the model that was quantized");
    support::temporary_directory const dir;
    auto const unwritten =
        onnx::export_qdq(other.file, other.imported, m.deployment, dir.path() / "net.onnx");
    REQUIRE_FALSE(unwritten);
    CHECK(unwritten.diagnostics().size() == refused.diagnostics().size());
    CHECK(dir.files() == 0);
    std::filesystem::create_directories(dir.path() / "folder.onnx" / "full");
    CHECK_FALSE(onnx::export_qdq(m.file, m.imported, m.deployment, dir.path() / "folder.onnx"));
    // A node that nothing needs, in a version that has no newer spelling of it.
    onnx::ModelProto proto = m.file.proto();
    proto.opset_import[0].version = 9;
    proto.graph->node.push_back({.input = {"image"},
                                 .output = {"unused"},
                                 .name = std::string_view("cut"),
                                 .op_type = std::string_view("Slice")});
    std::string const bytes = write_binary(proto);
    auto const old = onnx::ModelFile::of_bytes(bytes, "old.onnx").value();
    auto const kept = onnx::qdq_bytes(old, m.imported, m.deployment);
    REQUIRE_FALSE(kept);
    CHECK(to_string(kept.diagnostics()) ==
          "old.onnx: error: node `cut` (Slice) is not converted to opset 10: it has no starts or ends");
    // Weights of a layer that stays in float, whose file is not there.
    onnx::ModelProto apart = m.file.proto();
    apart.graph->initializer.push_back(
        {.dims = {1}, .data_type = 1, .name = std::string_view("far"), .data_location = 1});
    apart.graph->node.push_back({.input = {"far"},
                                 .output = {"seen"},
                                 .name = std::string_view("pass"),
                                 .op_type = std::string_view("Identity")});
    apart.graph->output.push_back({.name = std::string_view("seen")});
    std::string const far = write_binary(apart);
    auto const file = onnx::ModelFile::of_bytes(far, "far.onnx").value();
    CHECK(onnx::qdq_bytes(file, m.imported, m.deployment).diagnostics()[0].message ==
          "tensor `far`: its values are in another file, but external_data has no location");
}

TEST_CASE("a float model that is no file, cannot be imported, or cannot be written") {
    CHECK_FALSE(onnx::FloatModel::open("no such file.onnx"));
    CHECK_FALSE(onnx::FloatModel::of_bytes("no model"));
    nn::Network empty;
    empty.input("x", {1});
    auto const unwritten = onnx::FloatModel::of(empty);
    REQUIRE_FALSE(unwritten);
    CHECK(unwritten.diagnostics()[0].message == "the network has no output");
    onnx::ModelProto proto{.ir_version = 7};
    proto.opset_import.push_back({.version = 13});
    proto.graph.emplace();
    auto const unread = onnx::FloatModel::of_bytes(write_binary(proto));
    REQUIRE_FALSE(unread);
    CHECK_THAT(to_string(unread.diagnostics()), Catch::Contains("the model has no outputs"));
}

TEST_CASE("a quantized model that is imported is refused in one sentence") {
    QuantizedModel const m(support::small_network(), "");
    Written const w(m);
    auto const back = onnx::import_network(w.file());
    REQUIRE_FALSE(back);
    CHECK(back.diagnostics().size() == 1);
    CHECK(back.diagnostics()[0].message ==
          "the model is quantized already (3 QuantizeLinear, the first is node `conv1.x.quantize`); give the "
          "float model that it was made of");
}

}  // namespace onnx_qdq_test
