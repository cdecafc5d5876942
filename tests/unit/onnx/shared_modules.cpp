// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/shared_modules.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models.hpp"
#include "support/catch.hpp"

namespace onnx_shared_modules_test {

using namespace amct_distill;
using onnx::NameSource;
using onnx_test::Model;

namespace {

/// A module whose weight is `value`.
nn::Module linear(float value, bool bias = false) {
    nn::Linear module({.in_features = 1, .out_features = 1, .bias = bias});
    module.weight()[0] = value;
    return module;
}

}  // namespace

TEST_CASE("modules of one tensor are told apart by their names, and by what they are") {
    // The exporter has written one tensor for two that are equal: `a` and `b` are Identities of it.
    Model m;
    m.input("x").initializer(onnx_test::floats("w", {1, 1}, {2}));
    m.node("Identity", {"w"}, {"a"})
        .node("Identity", {"w"}, {"b"})
        .node("Add", {"a", "b"}, {"y"})
        .output("y");
    auto const graph = onnx::GraphView::of(m.file()).value();
    onnx::TensorId const a = graph.find("a"), b = graph.find("b");
    nn::Network network;
    network.output(network.add("cell_1", linear(2), {network.input("x", {1})}));
    ModuleId const first = *network.graph().module_named("cell_1");
    onnx::detail::SharedModules shared(graph);
    CHECK_FALSE(shared.has(a));
    shared.add(a, first);
    shared.add(onnx::none, first);
    CHECK(shared.has(a));
    CHECK_FALSE(shared.has(b));  // which has the same holder
    CHECK_FALSE(shared.has(onnx::none));

    auto const is_use = [&](std::string name, NameSource source) {
        return shared.find(network, linear(2), b, {std::move(name), source}) == std::optional(first);
    };
    CHECK(is_use("cell_1", NameSource::scope));
    CHECK(is_use("cell_12", NameSource::scope));
    CHECK_FALSE(is_use("cell_2", NameSource::scope));
    CHECK_FALSE(is_use("cell", NameSource::scope));
    CHECK_FALSE(is_use("other", NameSource::scope));
    for (NameSource source : {NameSource::weight, NameSource::bias, NameSource::metadata}) {
        CHECK(is_use("cell_1", source));
        CHECK_FALSE(is_use("cell_12", source));
    }
    for (NameSource source : {NameSource::node, NameSource::output, NameSource::made_up})
        CHECK(is_use("other", source));

    onnx::ModuleName const node{"n", NameSource::node};
    CHECK_FALSE(shared.find(network, linear(3), a, node));
    CHECK_FALSE(shared.find(network, linear(2, true), a, node));
    CHECK_FALSE(shared.find(network, nn::ReLU{}, a, node));
    CHECK(shared.find(network, linear(2), a, node) == std::optional(first));
    CHECK_FALSE(shared.find(network, linear(2), onnx::none, node));
    CHECK_FALSE(shared.find(network, linear(2), graph.find("x"), node));
}

TEST_CASE("modules of one tensor: Identities are followed for sixteen steps, and to none") {
    std::vector<std::string> names;
    for (int k = 0; k != 40; ++k) names.push_back("i" + std::to_string(k));
    Model m;
    m.input("x").initializer(onnx_test::floats("w", {1, 1}, {2})).node("Identity", {"w"}, {names[0]});
    for (std::size_t k = 1; k != names.size(); ++k) m.node("Identity", {names[k - 1]}, {names[k]});
    m.node("Identity", {""}, {"nothing"}).output(names.back());
    auto const graph = onnx::GraphView::of(m.file()).value();
    nn::Network network;
    network.output(network.add("l", linear(2), {network.input("x", {1})}));
    ModuleId const first = *network.graph().module_named("l");
    onnx::detail::SharedModules shared(graph);
    shared.add(graph.find("w"), first);
    auto const is_use = [&](std::string_view tensor) {
        return shared.find(network, linear(2), graph.find(tensor), {"n", NameSource::node}).has_value();
    };
    CHECK(is_use("i15"));
    CHECK_FALSE(is_use("i16"));
    CHECK_FALSE(is_use("nothing"));
}

}  // namespace onnx_shared_modules_test
