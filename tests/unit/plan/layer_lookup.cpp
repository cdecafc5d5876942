// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/plan/layer_lookup.hpp>

#include "support/catch.hpp"
#include "support/topologies.hpp"

namespace plan_names_test {

using namespace amct_distill;

namespace {
struct fixture {
    Topology topology = example();
    Graph graph{topology};
    detail::DiagnosticList found{{}};
    detail::LayerLookup names{graph, found};
    std::string errors() const { return to_string(found.errors()); }
};
}  // namespace

TEST_CASE_METHOD(fixture, "a layer is found by its name") {
    CHECK(names.layer("conv2", {}, "x") == 3u);
    CHECK(names.quantizable() == std::vector<ModuleId>{{0}, {3}, {6}, {9}});
    CHECK_FALSE(found.failed());
}

TEST_CASE_METHOD(fixture, "an unknown layer suggests the nearest, or lists what there is") {
    CHECK_FALSE(names.layer("conv22", {}, "quant_skip_layers[0]"));
    CHECK_FALSE(names.layer("nope", {}, "quant_skip_layers[1]"));
    CHECK(errors() ==
          "error: quant_skip_layers[0]: no layer is named `conv22`; did you mean `conv2`?\n"
          "error: quant_skip_layers[1]: no layer is named `nope`; the layers that can be quantized: `conv1`, "
          "`conv2`, `conv3` and `fc`");
}

TEST_CASE_METHOD(fixture, "a layer that cannot be quantized has a message of its own") {
    CHECK_FALSE(names.layer("bn1", {}, "quant_skip_layers[0]"));
    CHECK(errors() ==
          "error: quant_skip_layers[0]: `bn1` is a BatchNorm2d; only Conv2d and Linear layers are quantized: "
          "remove it here");
}

TEST_CASE_METHOD(fixture, "layers are found by their type") {
    CHECK(names.layers_of_type("Conv2d", {}, "x") == std::vector<ModuleId>{{0}, {3}, {6}});
    CHECK_FALSE(found.failed());
}

TEST_CASE_METHOD(fixture, "an unknown type suggests the nearest, or lists what there is") {
    CHECK(names.layers_of_type("Conv3d", {}, "a").empty());
    CHECK(names.layers_of_type("LSTM", {}, "b").empty());
    CHECK(errors() ==
          "error: a: no layer is of type `Conv3d`; did you mean `Conv2d`?\n"
          "error: b: no layer is of type `LSTM`; the types that can be quantized: `Conv2d` and `Linear`");
}

TEST_CASE_METHOD(fixture, "a type that is not quantized has a message of its own") {
    CHECK(names.layers_of_type("ReLU", {}, "a").empty());
    CHECK(errors() == "error: a: a ReLU is not quantized; only Conv2d and Linear layers are: remove it here");
}

TEST_CASE("a type that the network does not have matches nothing") {
    Topology t = mlp();
    t.modules.push_back({"unused", "Linear"});
    Graph const g(t);
    detail::DiagnosticList found({});
    detail::LayerLookup const names(g, found);
    CHECK(names.layers_of_type("Conv2d", {}, "a").empty());
    CHECK(to_string(found.errors()) == "error: a: the network has no Conv2d: remove it here");

    Topology only_shared = chain({{"fc", "Linear"}});
    only_shared.nodes.push_back({"again", "Linear", 0, {0}});
    Graph const shared(only_shared);
    detail::DiagnosticList of_shared({});
    CHECK(detail::LayerLookup(shared, of_shared).layers_of_type("Linear", {}, "a").empty());
    CHECK(to_string(of_shared.errors()) ==
          "error: a: the network has no Linear that can be quantized: remove it here");
}

TEST_CASE_METHOD(fixture, "a group may name any layer that is used") {
    CHECK(names.used_module("bn1", {}, "x") == 1u);
    CHECK_FALSE(names.used_module("relu4", {}, "a"));
    CHECK(errors() == "error: a: no layer is named `relu4`; did you mean `relu1`?");
}

TEST_CASE("a group cannot name a layer that the graph does not have") {
    Topology t = mlp();
    t.modules.push_back({"unused", "Linear"});
    Graph const g(t);
    detail::DiagnosticList found({});
    CHECK_FALSE(detail::LayerLookup(g, found).used_module("unused", {}, "a"));
    CHECK(to_string(found.errors()) ==
          "error: a: `unused` is not in the network's graph; name a layer that is");
}

TEST_CASE("a name that differs in an invisible character is shown with it") {
    auto const net = chain({{"conv1", "Conv2d"}});
    Graph const g(net);
    detail::DiagnosticList found({});
    CHECK_FALSE(detail::LayerLookup(g, found).layer("conv1\xe2\x80\x8b", {}, "quant_skip_layers[0]"));
    CHECK(to_string(found.errors()) ==
          "error: quant_skip_layers[0]: no layer is named `conv1<U+200B>`; did you mean `conv1`?");
}

TEST_CASE("a name is a pattern where patterns are taken and no layer has it") {
    Topology t = mlp();
    t.modules[0].name = "fc*";
    t.nodes[0].name = "fc*";
    Graph const g(t);
    detail::DiagnosticList found({});
    detail::LayerLookup const names(g, found), patterns(g, found, true);
    CHECK_FALSE(names.names_many("f*"));
    CHECK(patterns.names_many("f*"));
    CHECK_FALSE(patterns.names_many("fc*"));
    CHECK(patterns.layers("fc*", {}, "a") == std::vector<ModuleId>{{0}});
    CHECK(patterns.layers("f*", {}, "a") == std::vector<ModuleId>{{0}, {2}, {4}});
    CHECK_FALSE(names.layer("x*", {}, "a"));
    CHECK_FALSE(patterns.layer("x*", {}, "b"));
    CHECK(to_string(found.errors()) ==
          "error: a: no layer is named `x*`; patterns are taken with ResolveOptions::patterns\n"
          "error: b: no layer is named `x*`; the layers that can be quantized: `fc*`, `fc2` and `fc3`");
}

TEST_CASE("where no layer can be quantized none is suggested") {
    Graph const g(chain({{"relu", "ReLU"}}));
    detail::DiagnosticList found({});
    CHECK_FALSE(detail::LayerLookup(g, found).layer("conv", {}, "a"));
    CHECK(to_string(found.errors()) == "error: a: no layer is named `conv`");
}

}  // namespace plan_names_test
