// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/names.hpp>

#include <filesystem>
#include <map>
#include <set>
#include <string>

#include "models.hpp"
#include "support/catch.hpp"
#include "support/golden.hpp"

namespace onnx_names_test {

using namespace amct_distill;
using onnx::dotted_scope;
using onnx::GraphView;
using onnx::Names;
using onnx::NameSource;
using onnx::none;
using onnx_test::Model;

TEST_CASE("scopes of nodes are paths of modules, whether parts repeat their parent's or not") {
    CHECK(dotted_scope("/layer1/layer1.0/downsample/downsample.0/Conv") == "layer1.0.downsample.0");
    CHECK(dotted_scope("/layer1/0/conv1/Conv") == "layer1.0.conv1");
    CHECK(dotted_scope("/features/features.0/features.0.0/Conv") == "features.0.0");
    CHECK(dotted_scope("/enc/enc.0_1/Conv") == "enc.0_1");
    CHECK(dotted_scope("/head_1/head.0_1/Conv") == "head.0_1");
    CHECK(dotted_scope("/layer1/layer10/Conv") == "layer1.layer10");
    CHECK(dotted_scope("/Relu") == "");
    CHECK(dotted_scope("Conv_0") == "");
    CHECK(dotted_scope("") == "");
}

/// The node that a module's weights belong to, and its parameters.
struct Weighted {
    onnx::NodeId node = none;
    onnx::TensorId weight = none, bias = none;
};
/// What an importer would take for Conv and Linear: by constants, found through a few operators.
std::vector<Weighted> weighted(const GraphView& graph) {
    std::set<onnx::TensorId> constant;
    for (onnx::TensorId t = 0; t != graph.tensors().size(); ++t)
        if (graph.tensor(t).initializer != nullptr) constant.insert(t);
    for (onnx::NodeId n : graph.order()) {
        bool all = true;
        for (onnx::TensorId t : graph.node(n).inputs) all = all && (t == none || constant.contains(t));
        if (all)
            for (onnx::TensorId t : graph.node(n).outputs) constant.insert(t);
    }
    std::vector<Weighted> out;
    for (onnx::NodeId n : graph.order()) {
        const auto& node = graph.node(n);
        if (node.op() == "Conv" || node.op() == "ConvTranspose" || node.op() == "Gemm") {
            if (constant.contains(node.input(1))) out.push_back({n, node.input(1), node.input(2)});
        } else if (node.op() == "MatMul" && constant.contains(node.input(1))) {
            Weighted w{n, node.input(1), none};
            const auto& readers = graph.tensor(node.output(0)).readers;
            if (readers.size() == 1 && graph.node(readers[0].node).op() == "Add") {
                onnx::TensorId const other = graph.node(readers[0].node).input(1 - readers[0].input);
                if (constant.contains(other)) w.bias = other;
            }
            out.push_back(w);
        }
    }
    return out;
}

TEST_CASE("the zoo's modules get the names that PyTorch has for them") {
    std::size_t expected = 0, recovered = 0, models = 0;
    std::filesystem::path const zoo = std::filesystem::path(AMCT_DISTILL_GOLDEN_DIR) / "zoo";
    for (const auto& entry : std::filesystem::directory_iterator(zoo)) {
        std::string const model_name = entry.path().stem().string();
        if (entry.path().extension() != ".onnx" || model_name.starts_with("x_") || model_name == "r_if")
            continue;
        INFO(model_name);
        auto const about = golden::load("zoo/" + model_name + ".json");
        auto const model = onnx::ModelFile::open(entry.path());
        auto const graph = GraphView::of(model.value());
        REQUIRE(graph);
        Names names(*graph);
        std::map<std::string, NameSource> seen;
        for (const Weighted& w : weighted(*graph)) {
            auto const m = names.of(std::vector{w.node}, w.weight, w.bias);
            seen.emplace(m.name, m.source);
        }
        for (const auto& m : about.at("modules").as_array()) {
            if (m.at("recover").as_string() == "none") continue;
            std::string const name(m.at("name").as_string());
            ++expected;
            if (seen.contains(name))
                ++recovered;
            else
                UNSCOPED_INFO("not found: " << name);
            CHECK(seen.contains(name));
        }
        ++models;
    }
    golden::print_count("zoo: names of modules", recovered, expected, std::to_string(models) + " models");
    CHECK(expected > 500);
}

TEST_CASE("names come from the weight, the bias, metadata, the scope, the node, the output") {
    Model m;
    m.input("x");
    for (std::string_view w : {"a.conv.weight", "onnx::Conv_1", "a.fc.bias", "conv2d_0.w_0", "w"})
        m.initializer(onnx_test::floats(w, {1}, {2}));
    m.node("Conv", {"x", "a.conv.weight"}, {"t0"}, {}, "/other/Conv");
    m.node("MatMul", {"t0", "onnx::Conv_1"}, {"t1"}, {}, "/a/fc/MatMul");
    m.node("Conv", {"t1", "conv2d_0.w_0"}, {"t2"}, {}, "p2o.Conv.0");
    m.node("Conv", {"t2", "w"}, {"t3"}, {}, "node_conv2d");
    m.graph().node.back().metadata_props.push_back(
        {.key = std::string_view("pkg.torch.onnx.name_scopes"),
         .value = std::string_view("['', 'b', 'b.conv', 'conv2d_1']")});
    m.node("Conv", {"t3", "onnx::Conv_1"}, {"t4"}, {}, "/c/c.0/Conv");
    m.node("Conv", {"t4", "onnx::Conv_1"}, {"t5"}, {}, "Conv_12");
    m.node("Conv", {"t5", "onnx::Conv_1"}, {"t6"}, {}, "model/conv1/BiasAdd");
    m.node("Conv", {"t6", "onnx::Conv_1"}, {"t7"});
    m.node("Identity", {"a.conv.weight"}, {"i"});
    m.node("Transpose", {"i"}, {"tr"});
    m.node("MatMul", {"t7", "tr"}, {"y"});
    m.output("y");
    auto const graph = GraphView::of(m.file());
    REQUIRE(graph);
    Names const names(*graph);
    auto const name = [&](onnx::NodeId n, onnx::TensorId bias = none) {
        return names.of(std::vector{n}, graph->node(n).input(1), bias);
    };
    CHECK((name(0).name == "a.conv" && name(0).source == NameSource::weight));
    auto const fc = name(1, graph->find("a.fc.bias"));
    CHECK((fc.name == "a.fc" && fc.source == NameSource::bias));
    CHECK(name(2).name == "conv2d_0");
    CHECK((name(3).name == "b.conv" && name(3).source == NameSource::metadata));
    CHECK((name(4).name == "c.0" && name(4).source == NameSource::scope));
    CHECK((name(5).name == "Conv_12" && name(5).source == NameSource::node));
    CHECK((name(6).name == "model/conv1" && name(6).source == NameSource::node));
    CHECK((name(7).name == "t7" && name(7).source == NameSource::output));
    CHECK(name(10).name == "a.conv");  // through Transpose and Identity
}

TEST_CASE("functions called in a module are named after their operator too") {
    Model m;
    m.input("x").initializer(onnx_test::floats("layer1.conv.weight", {1}, {2}));
    m.node("Conv", {"x", "layer1.conv.weight"}, {"a"}, {}, "/layer1/conv/Conv");
    m.node("Relu", {"a"}, {"b"}, {}, "/layer1/relu/Relu");
    m.node("Add", {"b", "x"}, {"c"}, {}, "/layer1/Add");
    m.node("Relu", {"c"}, {"d"}, {}, "/layer1/Relu_1");
    m.node("Relu", {"d"}, {"e"}, {}, "/Relu");
    m.node("Div", {"e", "e"}, {"f"}, {}, "/gelu/Div").node("Erf", {"f"}, {"y"}, {}, "/gelu/Erf");
    m.output("y");
    auto const graph = GraphView::of(m.file());
    REQUIRE(graph);
    Names const names(*graph);
    auto const name = [&](std::vector<onnx::NodeId> nodes) { return names.of(nodes).name; };
    CHECK(name({1}) == "layer1.relu");
    CHECK(name({2}) == "layer1.Add");
    CHECK(name({3}) == "layer1.Relu_1");
    CHECK(name({4}) == "Relu");
    CHECK(name({5}) == "gelu.Div");
    CHECK(name({5, 6}) == "gelu");  // all of what the module does
}

TEST_CASE("names are unique") {
    Model m;
    m.input("x").node("Neg", {"x"}, {"y"}).output("y");
    auto const graph = GraphView::of(m.file());
    Names names(graph.value());
    CHECK(names.unique("relu") == "relu");
    CHECK(names.unique("relu") == "relu_1");
    CHECK(names.unique("relu_2") == "relu_2");
    CHECK(names.unique("relu") == "relu_3");
    CHECK(names.unique("") == "module");
}

TEST_CASE("names that are longer than any program's tell nothing, and are cut") {
    std::string const longer(300, 'a'), dotted = "/" + longer + "/Conv";
    CHECK(onnx::dotted_scope("/" + std::string(200, 'a') + "/Conv") == std::string(200, 'a'));
    CHECK(onnx::dotted_scope(dotted).empty());
    Model m;
    std::string const weight = longer + ".weight";
    m.input("x")
        .initializer(onnx_test::floats(weight, {1}, {1}))
        .node("Mul", {"x", weight}, {"y"}, {}, "n")
        .output("y");
    auto const graph = GraphView::of(m.file());
    Names names(graph.value());
    CHECK(names.of(std::vector<onnx::NodeId>{0}, graph->find(weight)).name == "n");
    CHECK(names.unique(longer) == std::string(256, 'a'));
    CHECK(names.unique(longer) == std::string(256, 'a') + "_1");
}

TEST_CASE("names of nodes that have none, of outputs left out, of chains without end") {
    Model m;
    m.input("x")
        .initializer(onnx_test::floats("weight", {1}, {2}))
        .initializer(onnx_test::floats(".a.weight", {1}, {2}));
    m.node("Neg", {"x"}, {}).node("Split", {"x"}, {"", "b"});
    auto const scoped = [&](std::vector<std::string_view> outputs, std::string_view name) {
        m.node("Conv", {"x", "weight"}, std::move(outputs), {}, name);
        m.graph().node.back().metadata_props.push_back({.key = std::string_view("pkg.torch.onnx.name_scopes"),
                                                        .value = std::string_view("['s', 'own']")});
    };
    scoped({}, "");                                                                 // 2
    scoped({"/s/out"}, "");                                                         // 3
    scoped({"c"}, "plain");                                                         // 4
    scoped({"d"}, "/s/");                                                           // 5
    m.node("Relu", {"x"}, {"/r/Relu_output_0"}).node("Relu", {"x"}, {"/r/again"});  // 6, 7
    m.node("Conv", {"x", "weight"}, {"e"}, {}, "/Conv");                            // 8
    static std::vector<std::string> const chain = [] {
        std::vector<std::string> out;
        for (int k = 0; k != 20; ++k) out.push_back("i" + std::to_string(k));
        return out;
    }();
    m.initializer(onnx_test::floats("far.weight", {1}, {2}))
        .node("Identity", {"far.weight"}, {chain[0]});  // 9
    for (std::size_t k = 1; k != chain.size(); ++k) m.node("Identity", {chain[k - 1]}, {chain[k]});
    m.node("Identity", {""}, {"nothing"}).output("e");
    auto const graph = onnx::GraphView::of(m.file());
    REQUIRE(graph);
    onnx::Names const names(*graph);
    auto const of = [&](onnx::NodeId n) { return names.of(std::vector{n}); };
    CHECK(of(0).name == "Neg_0");
    CHECK(of(0).source == onnx::NameSource::made_up);
    CHECK(of(1).name == "b");
    CHECK(of(1).source == onnx::NameSource::output);
    // Several nodes of one scope: each is called after its operator too, or after its output.
    CHECK(of(2).name == "s.Conv");
    CHECK(of(3).name == "s.out");
    CHECK(of(4).name == "s.plain");
    CHECK(of(5).name == "s.Conv");
    CHECK(of(6).name == "r.Relu");
    CHECK(of(7).name == "r.again");
    CHECK(names.is_function(std::vector<onnx::NodeId>{8}, onnx::none, onnx::none, false));
    CHECK_FALSE(names.is_function(std::vector<onnx::NodeId>{8}, graph->find("weight"), onnx::none, false));
    CHECK(names.is_function(std::vector<onnx::NodeId>{8}, graph->find("x"), onnx::none, false));
    // 16 steps back are looked at, and an Identity of nothing has no owner.
    CHECK(names.of(std::vector<onnx::NodeId>{8}, graph->find(chain[14])).name == "far");
    CHECK(names.of(std::vector<onnx::NodeId>{8}, graph->find(chain[15])).name == "Conv");
    CHECK(names.of(std::vector<onnx::NodeId>{8}, graph->find("nothing")).name == "Conv");
}

}  // namespace onnx_names_test
