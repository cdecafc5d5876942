// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/export.hpp>

#include <amct_distill/nn/initialize.hpp>
#include <amct_distill/nn/print.hpp>
#include <amct_distill/onnx/export-inl.hpp>  // modules of one's own
#include <amct_distill/onnx/import.hpp>
#include <amct_distill/onnx/input_shapes.hpp>
#include <amct_distill/onnx/make_attribute.hpp>
#include <amct_distill/onnx/model_file.hpp>
#include <amct_distill/onnx/to_bytes.hpp>
#include <amct_distill/wire/writer.hpp>

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

/// Modules of one's own that read what they have not, or share what others make.
struct Asking : Square {
    static constexpr std::string_view type_name = "Asking";
};
inline void write_onnx(const Asking&, onnx::NodeWriter& w) {
    w.last("Mul", {w.input(0), w.parameter("none")});
}
struct Sharing : Square {
    static constexpr std::string_view type_name = "Sharing";
};
inline void write_onnx(const Sharing&, onnx::NodeWriter& w) {
    std::string_view const one = w.shared_step("Neg", {w.input(0)}),
                           other = w.shared_step("Neg", {w.input(0)});
    w.last("Mul", {one, other});
}

TEST_CASE("onnx export: layers of an input of a fixed size, and the rarer of their options") {
    // The operators, each with its texts; the import computes what the network does.
    auto const written = [](const nn::Network& net, std::int64_t opset = 13) {
        std::string const bytes = onnx::export_bytes(net, {.opset = opset}).value();
        onnx::ModelFile const model = model_of(bytes);
        std::string out;
        for (const onnx::NodeProto& n : model.graph().node) {
            out += (out.empty() ? "" : " ") + std::string(n.op_type.get());
            for (const onnx::AttributeProto& a : n.attribute)
                if (a.s.has_value()) out += ":" + std::string(a.s.get());
        }
        nn::Tensor x(net.node(net.inputs()[0]).shape);
        for (std::size_t i = 0; i != x.size(); ++i) x[i] = float(i % 7) / 4 - 0.5f;
        nn::Tensor const ours = net.predict(x),
                         theirs = onnx::import_network(model).value().network.predict(x);
        REQUIRE(ours.shape() == theirs.shape());
        for (std::size_t i = 0; i != ours.size(); ++i) CHECK(ours[i] == Approx(theirs[i]).margin(1e-6));
        return out;
    };
    auto const of = [&](nn::Module module, const nn::Shape& shape, std::int64_t opset = 13) {
        nn::Network net;
        net.output(net.add_function("f", std::move(module), {net.fixed_input("x", shape)}));
        return written(net, opset);
    };
    CHECK(of(nn::GELU({.approximate = "tanh"}), {2, 3}, 20) == "Gelu:tanh");
    CHECK(of(nn::GELU(), {2, 3}, 20) == "Gelu:none");
    CHECK(of(nn::Softmax({.dim = 1, .to_end = true}), {2, 3}) == "Softmax");
    CHECK(of(nn::Softmax({.dim = 1, .to_end = true}), {2, 3, 2}) == "Reshape Softmax Reshape");
    CHECK(of(nn::ReduceMean(nn::ReduceOptions{}), {2, 3}) == "Identity");
    CHECK(of(nn::Flatten(2), {2, 3, 2, 2}) == "Reshape");
    CHECK(of(nn::Upsample({.sizes = {0, 0, 3, 5}, .mode = nn::ResizeMode::cubic}), {1, 1, 2, 2}) ==
          "Resize:half_pixel:cubic");
    CHECK(of(nn::Slice({.dims = {1}, .starts = {1}, .ends = {3}}), {2, 3}) == "Slice");
    nn::Network product;  // a row and a matrix
    product.output(product.add_function(
        "f", nn::MatMul{},
        {product.fixed_input("x", {3}), product.constant("c", nn::Tensor({3, 2}, {1, 2, 3, 4, 5, 6}))}));
    CHECK(written(product) == "MatMul");
    nn::Network repeated;  // [N] of one number
    NodeId const images = repeated.input("x", {2});
    NodeId const one = repeated.constant("one", nn::Tensor({1}, {5}));
    repeated.output(repeated.add_function("r", nn::RepeatOverBatch{}, {one, images}));
    std::string const bytes = onnx::export_bytes(repeated).value();
    CHECK(node_names(model_of(bytes)) == std::vector<std::string>{"r/Shape", "r/Gather", "r"});

    nn::Network ids;  // which another layer reads as the floats that they are
    NodeId const x = ids.input("ids", {5});
    ids.output(ids.add("/tokens", nn::Embedding({.num_embeddings = 7, .embedding_dim = 2}), {x}));
    ids.output(ids.add_function("again", nn::Neg{}, {x}));
    std::string const both = onnx::export_bytes(ids).value();
    CHECK(model_of(both).graph().input.at(0).type->tensor_type->elem_type.get() == 1);
    CHECK(node_names(model_of(both)) == std::vector<std::string>{"/tokens/Cast", "/tokens/Gather", "again"});

    nn::Network narrow;
    narrow.output(
        narrow.add_function("n", nn::RoundTo({nn::FloatFormat::bfloat16}), {narrow.input("x", {2})}));
    std::string const cast = onnx::export_bytes(narrow).value();
    REQUIRE(model_of(cast).graph().node.size() == 2);
    CHECK(onnx::integer_attribute(model_of(cast).graph().node[0], "to", 0) == 16);
    CHECK(onnx::integer_attribute(model_of(cast).graph().node[0], "none", 5) == 5);
}

TEST_CASE("onnx export: names without letters, parameters that are none, paddings that ONNX has not") {
    CHECK(error(onnx::export_bytes(residual_block(), {.outputs = {""}})) ==
          "two inputs or outputs are called \"\"");
    nn::Network own;
    NodeId const x = own.input("x", {4});
    own.output(own.add_function("shared", Sharing{}, {x}));
    std::string const bytes = onnx::export_bytes<Sharing>(own).value();
    CHECK(node_names(model_of(bytes)) == std::vector<std::string>{"shared/Neg", "shared"});
    own.output(own.add("ask", Asking{}, {x}));
    CHECK(error(onnx::export_bytes<Sharing, Asking>(own)) ==
          "cannot write the layer \"ask\" (Asking) as ONNX: it has no parameter `none`");
    nn::Network up;
    up.output(up.add(
        "up", nn::ConvTranspose1d({.in_channels = 1, .out_channels = 1, .kernel = 2, .output_padding = 1}),
        {up.input("x", {1, 4})}));
    CHECK(error(onnx::export_bytes(up)) ==
          "cannot write the layer \"up\" (ConvTranspose1d) as ONNX: its output_padding is not below the "
          "stride or "
          "the dilation, which ONNX asks for");
    // A message without a graph has no weights to put beside it.
    onnx::ModelBytes const empty = onnx::to_bytes({.ir_version = 7}, {.largest = 0}).value();
    CHECK(empty.data_file.empty());
    CHECK(empty.model == write_binary(onnx::ModelProto{.ir_version = 7}));
    onnx::NodeProto untold;
    untold.attribute.push_back({.name = std::string_view("axis")});
    CHECK(onnx::integer_attribute(untold, "axis", 3) == 3);
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
