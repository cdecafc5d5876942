// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/export.hpp>

#include <amct_distill/nn/initialize.hpp>
#include <amct_distill/nn/print.hpp>
#include <amct_distill/onnx/export-inl.hpp>  // modules of one's own
#include <amct_distill/onnx/import.hpp>
#include <amct_distill/onnx/input_shapes.hpp>
#include <amct_distill/onnx/model_file.hpp>

#include <filesystem>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"

namespace onnx_export_test {

using namespace amct_distill;
using nn::NodeId;

/// A module of one's own, which is written as Mul.
struct Square {
    static constexpr std::string_view type_name = "Square";
    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const { return inputs[0]; }
    void forward(nn::Inputs inputs, nn::Tensor& output, nn::Scratch&, nn::Mode) const {
        nn::array(output) = nn::array(*inputs[0]).square();
    }
    void backward(nn::Inputs, const nn::Tensor&, const nn::Tensor&, std::span<nn::Tensor* const>,
                  std::span<nn::Tensor>, nn::Scratch&, nn::Mode) const {}
};
inline void write_onnx(const Square&, onnx::NodeWriter& w) { w.last("Mul", {w.input(0), w.input(0)}); }

nn::Network residual_block() {
    nn::Network net;
    NodeId const x = net.input("image", {2, 4, 4});
    NodeId y =
        net.add("layer1.0.conv1",
                nn::Conv2d({.in_channels = 2, .out_channels = 2, .kernel = {3, 3}, .padding = {1, 1}}), {x});
    y = net.add("layer1.0.relu", nn::ReLU{}, {y});
    y = net.add_function("/layer1/layer1.0/Add", nn::Add{}, {y, x});
    y = net.add_function("/Flatten", nn::Flatten{}, {y});
    net.output(net.add("fc", nn::Linear({.in_features = 32, .out_features = 3}), {y}));
    nn::initialize(net, 1);
    return net;
}

onnx::ModelFile model_of(const std::string& bytes) {
    return onnx::ModelFile::of_bytes(bytes, "exported.onnx").value();
}
std::vector<std::string> node_names(const onnx::ModelFile& model) {
    std::vector<std::string> out;
    for (const onnx::NodeProto& n : model.graph().node) out.emplace_back(n.name.get());
    return out;
}
std::vector<std::string> initializers(const onnx::ModelFile& model) {
    std::vector<std::string> out;
    for (const onnx::TensorProto& t : model.graph().initializer) out.emplace_back(t.name.get());
    return out;
}
std::string error(const result<std::string>& r) {
    return r ? std::string("no error") : r.diagnostics().front().message;
}

TEST_CASE("onnx export: names are PyTorch's, opset 13, a free batch") {
    std::string const bytes = onnx::export_bytes(residual_block()).value();
    onnx::ModelFile const model = model_of(bytes);
    CHECK(model.opset() == 13);
    CHECK(model.proto().ir_version.get() == 7);
    CHECK(model.proto().producer_name.get() == "amct_distill");
    CHECK(node_names(model) == std::vector<std::string>{"/layer1/0/conv1/Conv", "/layer1/0/relu/Relu",
                                                        "/layer1/layer1.0/Add", "/Flatten", "/fc/Gemm"});
    CHECK(initializers(model) ==
          std::vector<std::string>{"layer1.0.conv1.weight", "layer1.0.conv1.bias", "fc.weight", "fc.bias"});
    REQUIRE(model.graph().input.size() == 1);
    CHECK(model.graph().input[0].name.get() == "image");
    auto const shape = onnx::declared_shape(model.graph().input[0]).value();
    CHECK(shape.at(0).name == "N");
    CHECK(shape.at(1).value == 2);
    CHECK(model.graph().output.at(0).name.get() == "fc");
    CHECK(model.graph().value_info.size() == 4);
}

TEST_CASE("onnx export: what is read back is the network, bit for bit") {
    nn::Network const net = residual_block();
    std::string const bytes = onnx::export_bytes(net).value();
    onnx::Imported const back = onnx::import_network(model_of(bytes)).value();
    CHECK(nn::print(back.network) == nn::print(net));
    nn::Tensor x({3, 2, 4, 4});
    for (std::size_t i = 0; i != x.size(); ++i) x[i] = float(i % 7) - 3;
    CHECK(back.network.predict(x) == net.predict(x));
    CHECK(onnx::export_bytes(back.network).value() == bytes);
}

TEST_CASE("onnx export: inputs, outputs and the batch are called as one likes") {
    nn::Network const net = residual_block();
    std::string const bytes =
        onnx::export_bytes(net, {.inputs = {"x"}, .outputs = {"y"}, .batch = "batch"}).value();
    onnx::ModelFile const model = model_of(bytes);
    CHECK(model.graph().input.at(0).name.get() == "x");
    CHECK(model.graph().output.at(0).name.get() == "y");
    CHECK(onnx::declared_shape(model.graph().input[0]).value().at(0).name == "batch");
    CHECK(error(onnx::export_bytes(net, {.inputs = {"x", "z"}})) ==
          "the network has 1 inputs, but 2 names are given for them");
    CHECK(error(onnx::export_bytes(net, {.inputs = {"x"}, .outputs = {"x"}})) ==
          "two inputs or outputs are called \"x\"");
}

TEST_CASE("onnx export: a module that is used twice has its weights once") {
    nn::Network net;
    NodeId const a = net.input("a", {4}), b = net.input("b", {2, 4});
    NodeId const first = net.add("fc", nn::Linear({.in_features = 4, .out_features = 4}), {a});
    NodeId const second = net.apply("fc_again", "fc", {first});
    net.output(second);
    net.output(net.apply("fc_of_lines", "fc", {b}));
    nn::initialize(net, 1);
    std::string const bytes = onnx::export_bytes(net).value();
    onnx::ModelFile const model = model_of(bytes);
    CHECK(initializers(model) == std::vector<std::string>{"fc.weight", "fc.bias"});
    CHECK(node_names(model) == std::vector<std::string>{"/fc/Gemm", "/fc_again/Gemm",
                                                        "/fc_of_lines/Transpose", "/fc_of_lines/MatMul",
                                                        "/fc_of_lines/Add"});
}

TEST_CASE("onnx export: a constant that is an output, a fixed input, an integer input") {
    nn::Network net;
    NodeId const ids = net.input("ids", {5});
    NodeId const table = net.constant("table", nn::Tensor({1, 2}, {1, 2}));
    net.output(net.add("tokens", nn::Embedding({.num_embeddings = 7, .embedding_dim = 2}), {ids}));
    net.output(table);
    std::string const bytes = onnx::export_bytes(net).value();
    onnx::ModelFile const model = model_of(bytes);
    CHECK(model.graph().input.at(0).type->tensor_type->elem_type.get() == 7);
    CHECK(node_names(model) == std::vector<std::string>{"table/Identity", "/tokens/Gather"});
    CHECK(initializers(model).at(0) == "table_1");
}

TEST_CASE("onnx export: an operator that opset 13 has not raises it, and all is written for that") {
    nn::Network net;
    NodeId x = net.input("x", {4, 4});
    x = net.add_function("/ReduceMean", nn::ReduceMean({.axes = {2}}), {x});
    nn::Network small = net;
    small.output(x);
    std::string const old_bytes = onnx::export_bytes(small).value();
    onnx::ModelFile const old = model_of(old_bytes);
    CHECK(old.opset() == 13);
    CHECK(old.graph().node.at(0).attribute.size() == 2);  // axes are an attribute
    net.output(net.add("mish", nn::Mish{}, {x}));
    std::string const bytes = onnx::export_bytes(net).value();
    onnx::ModelFile const model = model_of(bytes);
    CHECK(model.opset() == 18);
    CHECK(model.proto().ir_version.get() == 8);
    CHECK(model.graph().node.at(0).input.size() == 2);  // and an input from 18 on
    CHECK(error(onnx::export_bytes(net, {.opset = 30})) == "opset 30 is not written; the newest is 21");
}

TEST_CASE("onnx export: a module of one's own needs a function, and all that cannot be written is told") {
    nn::Network net;
    NodeId x = net.input("x", {4});
    x = net.add("square", Square{}, {x});
    x = net.add("soft", nn::Softplus({.threshold = 1}), {x});
    net.output(x);
    auto const refused = onnx::export_bytes(net);
    REQUIRE_FALSE(refused);
    REQUIRE(refused.diagnostics().size() == 2);
    CHECK(refused.diagnostics()[0].message ==
          "cannot write the layer \"square\" (Square) as ONNX: it is no module of the library; write `void "
          "write_onnx(const YourModule&, onnx::NodeWriter&)` in the module's namespace, and name the type: "
          "onnx::export_network<YourModule>(...)");
    CHECK(refused.diagnostics()[1].message ==
          "cannot write the layer \"soft\" (Softplus) as ONNX: ONNX's Softplus has no threshold; give it one "
          "of 15 or more, as torch.nn's 20");
    CHECK(onnx::export_bytes<Square>(net).diagnostics().size() == 1);
}

TEST_CASE("onnx export: a file is written whole, or stays as it was") {
    support::temporary_directory const directory;
    std::filesystem::path const path = directory.path() / "net.onnx";
    REQUIRE(onnx::export_network(residual_block(), path));
    std::string const before = read_file(path).value();
    CHECK(before == onnx::export_bytes(residual_block()).value());
    nn::Network empty;
    empty.input("x", {1});
    CHECK_FALSE(onnx::export_network(empty, path));
    CHECK(read_file(path).value() == before);
    CHECK_FALSE(onnx::export_network(residual_block(), directory.path()));  // a directory is in its place
}

/// Every module of the library has a writer: what has none would fail at run time.
template <class M>
constexpr bool is_written = requires(const M& m, onnx::NodeWriter& w) {
    write_onnx(m, w);
};
template <class... M>
constexpr bool all_are_written(detail::ModuleList<M...>) {
    return (is_written<M> && ...);
}
TEST_CASE("onnx export: every module of the library can be written") {
    STATIC_REQUIRE(all_are_written(detail::standard_modules{}));
}

}  // namespace onnx_export_test
