// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/graph_edit.hpp>

#include <string>
#include <vector>

#include "models.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"

namespace onnx_graph_edit_test {

using namespace amct_distill;
using onnx::GraphEdit;
using onnx_test::Model;

namespace {

/// x -> Conv -> c -> Relu -> r -> Add(r, c) -> y
Model residual() {
    Model m;
    m.input("x").output("y").initializer(onnx_test::floats("w", {1, 1, 1, 1}, {2}));
    m.node("Conv", {"x", "w"}, {"c"}, {onnx_test::attribute("group", 1)}, "conv");
    m.node("Relu", {"c"}, {"r"}, {}, "relu");
    m.node("Add", {"r", "c"}, {"y"}, {}, "add");
    return m;
}
onnx::ModelFile written(const GraphEdit& edit, std::string& bytes) {
    bytes = edit.finish().value().model;
    return onnx::ModelFile::of_bytes(bytes, "edited.onnx").value();
}
/// "Conv(x,w)->c", in the order of the file.
std::vector<std::string> lines(const onnx::ModelFile& model) {
    std::vector<std::string> out;
    for (const onnx::NodeProto& n : model.graph().node) {
        std::string line(n.op_type.get());
        for (std::size_t i = 0; i != n.input.size(); ++i)
            line += (i == 0 ? "(" : ",") + std::string(n.input[i]);
        line += ")->" + std::string(n.output.front());
        out.push_back(std::move(line));
    }
    return out;
}
using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("a model that is not changed is written as it was") {
    Model m = residual();
    GraphEdit const edit(m.file());
    std::string bytes;
    onnx::ModelFile const out = written(edit, bytes);
    CHECK(bytes == write_binary(m.file().proto()));
    CHECK(lines(out) == Lines{"Conv(x,w)->c", "Relu(c)->r", "Add(r,c)->y"});
}

TEST_CASE("an edited graph: values made twice, read as outputs, of a node that is none") {
    Model m;
    m.input("x").node("Split", {"x"}, {"a", "b", ""}).node("Relu", {"a"}, {"r"}).node("Neg", {"r"}, {"n"});
    m.node("Add", {"b", "n"}, {"y"}).output("y").output("r");
    GraphEdit edit(m.file());
    CHECK_FALSE(edit.has(4));
    CHECK(edit.readers("r").size() == 1);
    CHECK_FALSE(edit.only_reader("r"));  // an output of the model
    CHECK(edit.only_reader("n") == GraphEdit::Node{3});
    // Who makes a value last is the one that makes it.
    edit.set_output(2, 0, "a");
    CHECK(edit.producer("a") == GraphEdit::Node{2});
    CHECK_FALSE(edit.producer("n"));
    edit.set_output(0, 0, "part");
    CHECK(edit.producer("a") == GraphEdit::Node{2});
    edit.set_output(2, 0, "n");
    CHECK_FALSE(edit.producer("a"));
    edit.set_output(0, 0, "a");
    edit.set_output(2, 0, "part");  // and nobody makes `n`, which the Add reads
    edit.set_input(3, 1, "r");
    edit.set_output(1, 0, "b");  // as the Split does too
    edit.set_output(1, 0, "r");
    std::string bytes;
    CHECK(lines(written(edit, bytes)) == Lines{"Split(x)->a", "Relu(a)->r", "Add(b,r)->y"});
}

TEST_CASE("an edited graph: versions of other domains, and data that is in no file") {
    Model m;
    m.input("x").node("Relu", {"x"}, {"y"}).output("y");
    std::string const bytes = write_binary(m.file().proto());
    onnx::ModelProto proto = m.file().proto();
    proto.opset_import.insert(proto.opset_import.begin(),
                              {.domain = std::string_view("my.own"), .version = 3});
    std::string const two = write_binary(proto);
    proto.opset_import.pop_back();
    std::string const none = write_binary(proto);
    for (const std::string& model : {two, none}) {
        onnx::ModelFile const file = onnx::ModelFile::of_bytes(model, "two.onnx").value();
        GraphEdit edit(file);
        edit.set_opset(17, 8);
        std::string made;
        onnx::ModelFile const out = written(edit, made);
        CHECK(out.opset() == 17);
        REQUIRE(out.proto().opset_import.size() == 2);
        CHECK(out.proto().opset_import[0].domain.get() == "my.own");
        CHECK(out.proto().opset_import[0].version.get() == 3);
    }
    auto const missing = [](bool in_node) {
        onnx::TensorProto t{.dims = {1}, .data_type = 1, .name = std::string_view("w"), .data_location = 1};
        Model n;
        n.input("x").output("y");
        if (in_node) {
            onnx::AttributeProto value{.name = std::string_view("value"), .type = 4};
            value.t = boxed<onnx::TensorProto>(std::move(t));
            n.node("Constant", {}, {"w"}, {std::move(value)});
        } else {
            n.initializer(std::move(t));
        }
        n.node("Add", {"x", "w"}, {"y"});
        auto const written = GraphEdit(n.file()).finish();
        return written ? std::string("written") : written.diagnostics()[0].message;
    };
    for (bool in_node : {false, true})
        CHECK(missing(in_node) ==
              "tensor `w`: its values are in another file, but external_data has no location");
}

TEST_CASE("the edited graph knows who makes a value and who reads it") {
    Model m = residual();
    GraphEdit edit(m.file());
    GraphEdit::Node const conv = edit.producer("c").value(), relu = edit.producer("r").value();
    CHECK(edit.op(conv) == "Conv");
    CHECK(edit.readers("c").size() == 2);
    CHECK_FALSE(edit.only_reader("c"));
    CHECK(edit.only_reader("r") == edit.producer("y"));
    CHECK_FALSE(edit.producer("x"));
    CHECK(edit.is_output("y"));
    CHECK(edit.initializer("w") != nullptr);
    CHECK(edit.initializer("x") == nullptr);
    CHECK(edit.input(relu, 1).empty());
    edit.remove(relu);
    CHECK_FALSE(edit.producer("r"));
    CHECK_FALSE(edit.has(relu));
    CHECK(edit.readers("c") == std::vector<GraphEdit::Reader>{{*edit.producer("y"), 1}});
}

TEST_CASE("nodes are put before and after others, in the order of the file") {
    Model m = residual();
    GraphEdit edit(m.file());
    GraphEdit::Node const conv = *edit.producer("c"), relu = *edit.producer("r");
    std::string_view const scale = edit.floats("scale", {}, {0.5f});
    std::string_view const q = edit.insert_before(conv, "q", "QuantizeLinear", {"x", scale}, "x_q");
    std::string_view const dq = edit.insert_before(conv, "dq", "DequantizeLinear", {q, scale}, "x_dq");
    edit.set_input(conv, 0, dq);
    std::string_view const scaled = edit.insert_after(conv, "scale", "Mul", {"c", scale}, "scaled");
    edit.redirect("c", scaled, edit.producer(scaled));
    edit.set_op(relu, "Elu");
    edit.set_attribute(relu, onnx::attribute("alpha", 0.5f));
    std::string bytes;
    onnx::ModelFile const out = written(edit, bytes);
    CHECK(lines(out) == Lines{"QuantizeLinear(x,scale)->x_q", "DequantizeLinear(x_q,scale)->x_dq",
                              "Conv(x_dq,w)->c", "Mul(c,scale)->scaled", "Elu(scaled)->r",
                              "Add(r,scaled)->y"});
    CHECK(out.graph().initializer.size() == 2);
    CHECK(out.values(out.graph().initializer[1])->shape().empty());
}

TEST_CASE("a node whose result is an output of the model leaves it its name") {
    Model m;
    m.input("x").output("y");
    m.node("Relu", {"x"}, {"a"}).node("Identity", {"a"}, {"y"}).node("Neg", {"a"}, {"unused"});
    SECTION("when it is taken out") {
        GraphEdit edit(m.file());
        edit.bypass(*edit.producer("y"));
        std::string bytes;
        CHECK(lines(written(edit, bytes)) == Lines{"Relu(x)->y"});
    }
    SECTION("when something comes after it") {
        GraphEdit edit(m.file());
        GraphEdit::Node const identity = *edit.producer("y");
        std::string_view const before = edit.new_value("y_before");
        edit.set_output(identity, 0, before);
        edit.insert_maker_of("y", identity, "neg", "Neg", {before});
        std::string bytes;
        CHECK(lines(written(edit, bytes)) ==
              Lines{"Relu(x)->a", "Identity(a)->y_before", "Neg(y_before)->y"});
    }
}

TEST_CASE("names that are taken get a number") {
    Model m = residual();
    GraphEdit edit(m.file());
    CHECK(edit.new_value("w") == "w_1");
    CHECK(edit.new_value("w") == "w_2");
    CHECK(edit.new_value("c") == "c_1");
    CHECK(edit.new_value("free") == "free");
    CHECK(edit.new_node_name("conv") == "conv_1");
    CHECK(edit.floats("w", {1}, {1}) == "w_3");
}

TEST_CASE("ai.onnx is another word for the domain without a name, which new nodes have") {
    Model m;
    m.input("x").output("y").node("Relu", {"x"}, {"y"});
    m.graph().node[0].domain = std::string_view("ai.onnx");
    onnx::ModelProto proto = m.file().proto();
    proto.opset_import[0].domain = std::string_view("ai.onnx");
    std::string const source = write_binary(proto);
    onnx::ModelFile const file = onnx::ModelFile::of_bytes(source).value();
    GraphEdit const edit(file);
    CHECK(edit.opset() == 13);
    std::string bytes;
    onnx::ModelFile const out = written(edit, bytes);
    CHECK(out.graph().node[0].domain.get().empty());
    CHECK(out.proto().opset_import[0].domain.get().empty());
    CHECK(out.opset() == 13);
}

TEST_CASE("what nobody needs is left out, and initializers are no inputs") {
    Model m = residual();
    m.initializer(onnx_test::floats("unused", {1}, {1})).input("w");
    m.graph().value_info.push_back({.name = std::string_view("gone")});
    m.graph().value_info.push_back({.name = std::string_view("c")});
    GraphEdit const edit(m.file());
    std::string bytes;
    onnx::ModelFile const out = written(edit, bytes);
    CHECK(out.graph().initializer.size() == 1);
    CHECK(out.graph().input.size() == 1);
    REQUIRE(out.graph().value_info.size() == 1);
    CHECK(out.graph().value_info[0].name.get() == "c");
}

TEST_CASE("nodes that depend on each other in a circle are an error of the edited graph") {
    Model m = residual();
    GraphEdit edit(m.file());
    edit.set_input(*edit.producer("r"), 0, "y");
    auto const out = edit.finish();
    REQUIRE_FALSE(out);
    CHECK(out.diagnostics()[0].message == "the model's nodes depend on each other in a circle");
}

TEST_CASE("codes of 4 bits are two in a byte, the lower half first") {
    CHECK(onnx::raw_int4(std::vector<std::int8_t>{1, -1, -8}) == std::string("\xF1\x08", 2));
    Model m = residual();
    GraphEdit edit(m.file());
    edit.set_input(*edit.producer("c"), 1, edit.int4s("codes", {3, 1, 1, 1}, {1, -1, -8}));
    std::string bytes;
    onnx::ModelFile const out = written(edit, bytes);
    REQUIRE(out.graph().initializer.size() == 1);
    std::vector<int> codes(3);
    out.values(out.graph().initializer[0]).value().copy_to(std::span(codes));
    CHECK(codes == std::vector<int>{1, -1, -8});
}

TEST_CASE("weights of a model that is too large for one file go to a file beside it") {
    support::temporary_directory const dir;
    Model m = residual();
    GraphEdit edit(m.file());
    std::vector<float> values(600);
    for (std::size_t i = 0; i != values.size(); ++i) values[i] = static_cast<float>(i);
    std::string_view const a = edit.floats("a", {600}, values), b = edit.floats("b", {600}, values);
    edit.set_input(*edit.producer("y"), 1, a);
    edit.set_input(*edit.producer("r"), 0, b);
    auto const small = edit.finish({.largest = 10'000}).value();
    CHECK(small.data.empty());
    CHECK(small.data_file.empty());
    auto const large = edit.finish({.data_file = "net.onnx.data", .largest = 3'000}).value();
    CHECK(large.data.size() == 2432 + 2400);  // at a multiple of 64
    CHECK(large.model.size() < 1'000);
    onnx::write_model(large, dir.path() / "net.onnx").value();
    onnx::ModelFile const out = onnx::ModelFile::open(dir.path() / "net.onnx").value();
    std::vector<float> found(600);
    for (const onnx::TensorProto& t : out.graph().initializer) {
        out.values(t).value().copy_to(std::span(found));
        CHECK(found == values);
    }
    // Its values are taken in again.
    GraphEdit const again(out);
    CHECK(again.finish().value().model.size() > 4'800);
}

}  // namespace onnx_graph_edit_test
