// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/graph_view.hpp>

#include <filesystem>
#include <string>
#include <vector>

#include "models.hpp"
#include "support/catch.hpp"
#include "support/golden.hpp"

namespace onnx_graph_view_test {

using namespace amct_distill;
using onnx::GraphView;
using onnx::none;
using onnx_test::Model;

std::string error_of(Model& model) {
    auto const graph = GraphView::of(model.file());
    return graph ? "no error" : to_string(graph.diagnostics());
}

TEST_CASE("nodes are connected by their tensors") {
    Model m;
    m.input("x").initializer(onnx_test::floats("w", {1}, {2}));
    m.node("Mul", {"x", "w"}, {"a"}, {}, "first")
        .node("Clip", {"a", "", "w"}, {"b"})
        .node("Add", {"a", "b"}, {"y"});
    m.output("y");
    auto const graph = GraphView::of(m.file());
    REQUIRE(graph);
    CHECK(graph->inputs() == std::vector{graph->find("x")});
    CHECK(graph->outputs() == std::vector{graph->find("y")});
    auto const& a = graph->tensor(graph->find("a"));
    CHECK(a.producer == 0);
    REQUIRE(a.readers.size() == 2);
    CHECK((a.readers[1].node == 2 && a.readers[1].input == 0));
    CHECK(graph->node(1).inputs == std::vector{graph->find("a"), none, graph->find("w")});
    CHECK(graph->node(1).input(7) == none);
    CHECK(graph->tensor(graph->find("w")).initializer != nullptr);
    CHECK(graph->order() == std::vector<onnx::NodeId>{0, 1, 2});
    CHECK(graph->find("nothing") == none);
    CHECK(graph->label(0) == "node `first` (Mul)");
    CHECK(graph->label(1) == "node 1 (Clip), which makes `b`");
    CHECK(to_string(graph->error(0, "no")) == "test.onnx: error: node `first` (Mul): no");
}

TEST_CASE(
    "initializers among the inputs are initializers, nodes without use are left out, order does not matter") {
    Model m;
    m.input("x")
        .input("w")
        .initializer(onnx_test::floats("w", {1}, {2}))
        .initializer(onnx_test::floats("unused", {1}, {2}));
    m.node("Add", {"a", "w"}, {"y"}).node("Neg", {"x"}, {"dead"}).node("Mul", {"x", "w"}, {"a"}).output("y");
    auto const graph = GraphView::of(m.file());
    REQUIRE(graph);
    CHECK(graph->inputs() == std::vector{graph->find("x")});
    CHECK(graph->order() == std::vector<onnx::NodeId>{2, 0});
}

TEST_CASE("what cannot be connected is told at once") {
    Model m;
    m.input("x").input("x").initializer(onnx_test::floats("w", {1}, {2}));
    m.node("Add", {"x", "no_such"}, {"a"}).node("Mul", {"x", "x"}, {"a"}).node("Neg", {"x"}, {"w"});
    m.output("y");
    CHECK(error_of(m) ==
          "test.onnx: error: two inputs are called `x`\n"
          "test.onnx: error: node 1 (Mul), which makes `a` makes `a`, which node 0 (Add), which makes `a` "
          "makes too\n"
          "test.onnx: error: node 2 (Neg), which makes `w` makes `w`, which is an initializer\n"
          "test.onnx: error: node 0 (Add), which makes `a` reads `no_such`, which no node, input or "
          "initializer "
          "makes; is the model whole?\n"
          "test.onnx: error: the output `y` is made by no node, input or initializer");
    Model circle;
    circle.input("x").node("Add", {"x", "b"}, {"a"}).node("Neg", {"a"}, {"b"}).output("b");
    CHECK_THAT(error_of(circle), Catch::Contains("is part of a circle"));
    Model empty;
    CHECK_THAT(error_of(empty), Catch::Contains("the model has no outputs"));
    Model self;
    self.input("x").node("Add", {"x", "y"}, {"y"}).output("y");
    CHECK_THAT(error_of(self), Catch::Contains("is part of a circle"));
}

TEST_CASE("what a model says of values that it has, and of those that it has not") {
    Model m;
    m.input("x").node("Relu", {"x"}, {"y"}).output("y");
    m.graph().input[0].type.emplace();
    for (std::string_view name : {"x", "y", "unknown"}) {
        m.graph().value_info.push_back({.name = name});
        m.graph().value_info.back().type.emplace().tensor_type.emplace(onnx::TypeProto::Tensor{});
    }
    auto const graph = GraphView::of(m.file()).value();
    CHECK(graph.find("unknown") == onnx::none);
    CHECK_FALSE(graph.tensor(graph.find("x")).info->type->tensor_type.has_value());  // the input's own word
    CHECK(graph.tensor(graph.find("y")).info->type->tensor_type.has_value());
}

TEST_CASE("a chain of a hundred thousand nodes needs no deep stack") {
    Model m;
    std::list<std::string> names{"x"};
    m.input("x");
    for (int i = 0; i != 100000; ++i) {
        std::string_view const before = names.back();
        names.push_back("t" + std::to_string(i));
        m.node("Neg", {before}, {names.back()});
    }
    m.output(names.back());
    CHECK(GraphView::of(m.file()).value().order().size() == 100000);
}

TEST_CASE("the zoo's graphs are connected, and the one that reads what nothing makes is refused") {
    std::size_t connected = 0;
    std::filesystem::path const zoo = std::filesystem::path(AMCT_DISTILL_GOLDEN_DIR) / "zoo";
    for (const auto& entry : std::filesystem::directory_iterator(zoo)) {
        std::string const name = entry.path().stem().string();
        if (entry.path().extension() != ".onnx" || name.starts_with("x_")) continue;
        auto const model = onnx::ModelFile::open(entry.path());
        auto const graph = GraphView::of(model.value());
        INFO(name);
        REQUIRE(graph);
        auto const about = golden::load("zoo/" + name + ".json");
        CHECK(graph->inputs().size() == about.at("inputs").as_object().size());
        CHECK(graph->outputs().size() == about.at("outputs").as_array().size());
        ++connected;
    }
    CHECK(connected == 92);
    auto const dangling = onnx::ModelFile::open(zoo / "x_dangling.onnx");
    auto const graph = GraphView::of(dangling.value());
    REQUIRE_FALSE(graph);
    CHECK_THAT(to_string(graph.diagnostics()),
               Catch::Contains("reads `no_such_tensor`, which no node, input or initializer makes"));
}

}  // namespace onnx_graph_view_test
