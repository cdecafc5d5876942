// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/graph/graph.hpp>

#include "support/catch.hpp"
#include "support/topologies.hpp"

namespace plan_graph_test {

using namespace amct_distill;
using graph = Graph;

TEST_CASE("a graph knows who reads a node") {
    network n;
    auto const a = n.layer("a", "Conv2d", {});
    auto const b = n.layer("b", "ReLU", {a});
    auto const c = n.layer("c", "ReLU", {a});
    auto const sum = n.operation("Add", {b, b});
    n.topology.outputs = {c};
    graph const g(n.topology);
    CHECK(g.consumers(a) == std::vector<NodeId>{b, c});
    CHECK_FALSE(g.only_consumer(a));
    CHECK(g.only_consumer(b) == sum);  // read twice by one node
    CHECK(g.name(sum) == "/Add");
}

TEST_CASE("a node whose output leaves the network has no only consumer") {
    network n;
    auto const a = n.layer("a", "Conv2d", {});
    n.layer("b", "ReLU", {a});
    n.topology.outputs = {a};
    CHECK_FALSE(graph(n.topology).only_consumer(a));
}

TEST_CASE("Conv2d with zero padding and Linear can be quantized, when they are used once") {
    network n;
    auto const conv = n.layer("conv", "Conv2d", {});
    auto const fc = n.layer("fc", "Linear", {conv});
    auto const relu = n.layer("relu", "ReLU", {fc});
    auto const circular = n.layer("circular", "Conv2d", {relu});
    n.topology.modules[3].zero_padding = false;
    n.use("relu", {n.layer("twice", "Linear", {n.use("relu", {circular})})});
    n.use("twice", {});
    n.topology.modules.push_back({"unused", "Linear"});
    graph const g(n.topology);
    CHECK(g.why_not_quantized({0}).empty());
    CHECK(g.why_not_quantized({1}).empty());
    CHECK(g.why_not_quantized({2}) == "is a ReLU; only Conv2d and Linear layers are quantized");
    CHECK(g.why_not_quantized({3}) ==
          "is a Conv2d that does not pad with zeros; only those that do are quantized");
    CHECK(g.why_not_quantized({4}) == "is used 2 times; a shared layer is not quantized");
    CHECK(g.why_not_quantized({5}) == "is never used; only layers that are used once are quantized");
    CHECK(g.is_shared(relu));
    CHECK_FALSE(g.is_shared(conv));
}

TEST_CASE("a ReLU is seen through operations that keep the sign, and through no others") {
    for (const char* type :
         {"MaxPool2d", "AvgPool2d", "AdaptiveAvgPool2d", "Flatten", "Dropout", "Dropout2d", "Identity",
          "MaxPool", "AveragePool", "GlobalAveragePool", "ReduceMean", "Reshape"}) {
        INFO(type);
        network n;
        auto const relu = n.layer("relu", "ReLU", {});
        auto const between = n.operation(type, {n.operation(type, {relu})});
        auto const fc = n.layer("fc", "Linear", {between});
        CHECK(graph(n.topology).relu_before(fc) == relu);
    }
    for (const char* type : {"BatchNorm2d", "Add", "Sigmoid", "LeakyReLU", "Conv2d", "AlphaDropout"}) {
        INFO(type);
        network n;
        auto const between = n.operation(type, {n.layer("relu", "ReLU", {})});
        auto const fc = n.layer("fc", "Linear", {between});
        CHECK_FALSE(graph(n.topology).relu_before(fc));
    }
}

TEST_CASE("a functional ReLU is a ReLU, and the network's input is none") {
    network n;
    auto const first = n.layer("first", "Conv2d", {});
    auto const relu = n.operation("Relu", {first});
    auto const second = n.layer("second", "Conv2d", {relu});
    graph const g(n.topology);
    CHECK_FALSE(g.relu_before(first));
    CHECK(g.relu_before(second) == relu);
    CHECK(g.name(relu) == "/Relu");
}

TEST_CASE("a topology that contradicts itself is misuse") {
    Topology t;
    t.modules = {{"a", "Conv2d"}, {"a", "ReLU"}};
    CHECK_THROWS_WITH(graph(t), "Topology: two modules are named `a`");
    t.modules = {{"a", "Conv2d"}};
    t.nodes = {{"a", "Conv2d", 1, {}}};
    CHECK_THROWS_WITH(graph(t), "Topology: node `a` is of a module that does not exist");
    t.nodes = {{"a", "Conv2d", 0, {0}}};
    CHECK_THROWS_WITH(graph(t), "Topology: node `a` stands before a node that it reads");
    t.nodes = {{"a", "Conv2d", 0, {}}};
    t.outputs = {1};
    CHECK_THROWS_WITH(graph(t), "Topology: an output is a node that does not exist");
}

TEST_CASE("two graphs are compared, and the first difference is named") {
    Graph const a = chain({{"conv", "Conv2d"}, {"bn", "BatchNorm2d"}, {"relu", "ReLU"}});
    CHECK(difference(a, a, "the plan", "the network").empty());
    CHECK(difference(a, chain({{"conv", "Conv2d"}, {"relu", "ReLU"}}), "the plan", "the network") ==
          "module 1 is `bn` (BatchNorm2d) in the plan, and `relu` (ReLU) in the network");
    CHECK(difference(a, chain({{"conv", "Conv2d"}, {"bn", "BatchNorm2d"}}), "the plan", "the network") ==
          "the plan has 3 modules, the network 2");
    CHECK(difference(a, chain({{"conv", "Linear"}, {"bn", "BatchNorm2d"}, {"relu", "ReLU"}}), "the plan",
                     "the network") ==
          "module 0 is `conv` (Conv2d) in the plan, and `conv` (Linear) in the network");
    Topology other = a.topology();
    other.nodes[2].inputs = {0};
    CHECK(difference(a, other, "the plan", "the network") ==
          "node `relu` reads other nodes in the plan than in the network");
    for (std::size_t n = 0; n != 3; ++n) {
        other = a.topology();
        other.nodes[n].name += "'";
        std::string const name = other.nodes[n].name, was = a.topology().nodes[n].name,
                          type = other.nodes[n].type;
        CHECK(difference(a, other, "the plan", "the network") ==
              "node " + std::to_string(n) + " is `" + was + "` (" + type + ") in the plan, and `" + name +
                  "` (" + type + ") in the network");
    }
    other = a.topology();
    other.outputs = {1};
    CHECK(difference(a, other, "the plan", "the network") ==
          "the outputs of the plan are other nodes than those of the network");
    other = a.topology();
    other.nodes.push_back({"/Flatten", "Flatten", {}, {2}});
    CHECK(difference(a, other, "the plan", "the network") == "the plan has 3 nodes, the network 4");
}

TEST_CASE("a layer of another type is quantizable when the network says that it has weights") {
    Topology t = chain({{"local", "LocallyConnected"}, {"relu", "ReLU"}});
    CHECK(Graph(t).why_not_quantized({0}) ==
          "is a LocallyConnected; only Conv2d and Linear layers are quantized");
    t.modules[0].weighted = true;
    CHECK(Graph(t).why_not_quantized({0}).empty());
}

TEST_CASE("a module that takes another's place changes its type and all of its nodes'") {
    Topology t = chain({{"local", "LocallyConnected"}, {"relu", "ReLU"}});
    Graph g(t);
    g.set_type({0}, "Conv2d", true);
    CHECK(g.topology().modules[0].type == "Conv2d");
    CHECK(g.topology().modules[0].weighted);
    CHECK(g.topology().modules[1].type == "ReLU");
    CHECK(g.topology().nodes[0].type == "Conv2d");
}

TEST_CASE("a ReLU is found through a part of what has several outputs, and not through what splits") {
    network n;
    auto const relu = n.layer("relu", "ReLU", {});
    auto const before = n.operation("Flatten", {relu});
    n.topology.nodes.push_back({"part", "Flatten", {}, {before}, NodeKind::port});
    auto const fc = n.layer("fc", "Linear", {NodeId{n.topology.nodes.size() - 1}});
    CHECK(graph(n.topology).relu_before(fc) == relu);
    n.topology.nodes[before].type = "Split";
    CHECK_FALSE(graph(n.topology).relu_before(fc));
    n.topology.nodes[before].type = "Unflatten";
    CHECK(graph(n.topology).relu_before(fc) == relu);
}

TEST_CASE("nodes of one name that differ in their type, kind or module are told apart") {
    network n;
    auto const a = n.layer("a", "Linear", {}), b = n.layer("b", "Linear", {a});
    n.operation("Relu", {b});
    Topology const t = n.topology;
    auto const said = [&](const Topology& other) { return difference(t, other, "the plan", "the network"); };
    Topology other = t;
    other.nodes.pop_back();
    CHECK(said(other) == "the plan has 3 nodes, the network 2");
    other = t;
    other.nodes[2].type = "Tanh";
    CHECK(said(other) == "node 2 is `/Relu` (Relu) in the plan, and `/Relu` (Tanh) in the network");
    other = t;
    other.nodes[2].kind = NodeKind::port;
    CHECK(said(other) == "node 2 is `/Relu` (Relu) in the plan, and `/Relu` (Relu) in the network");
    other = t;
    other.nodes[1].module = 0;
    CHECK(said(other) == "node `b` is a use of one module in the plan, and of another one in the network");
}

}  // namespace plan_graph_test
