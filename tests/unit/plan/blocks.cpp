// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/plan/blocks.hpp>

#include "support/catch.hpp"
#include "support/topologies.hpp"

namespace plan_blocks_test {

using namespace amct_distill;

namespace {

using block_names = std::vector<std::vector<std::string>>;

detail::PlannedBlocks blocks_of(const Topology& topology, std::uint32_t group_size = 1,
                                const std::vector<std::vector<std::size_t>>& groups = {}) {
    Graph const g(topology);
    std::vector<PlannedBlock> user;
    for (const auto& nodes : groups) {
        user.push_back({{}, {}, {"group", true, {}}});
        for (std::size_t n : nodes) {
            user.back().nodes.push_back({n});
            user.back().names.push_back(g.name({n}));
        }
    }
    std::vector<NodeId> layers;
    for (NodeId n; n != g.size(); ++n.index)
        if (g.has_module(n) && g.why_not_quantized(*g.module_of(n)).empty()) layers.push_back(n);
    return detail::plan_blocks(g, layers, user, group_size);
}
block_names names_of(const detail::PlannedBlocks& planned) {
    block_names out;
    for (const auto& block : planned.blocks) out.push_back(block.names);
    return out;
}

}  // namespace

TEST_CASE("a unit is a layer with a following BatchNorm2d and a following activation") {
    CHECK(names_of(blocks_of(example())) ==
          block_names{{"conv1", "bn1", "relu1"}, {"conv2", "bn2", "relu2"}, {"conv3", "relu3"}, {"fc"}});
    for (const char* type : {"ReLU", "LeakyReLU", "Sigmoid", "Tanh", "Softmax"})
        CHECK(names_of(blocks_of(chain({{"c", "Conv2d"}, {"b", "BatchNorm2d"}, {"a", type}}))) ==
              block_names{{"c", "b", "a"}});
    for (const char* type : {"ReLU6", "ELU", "MaxPool2d"})
        CHECK(names_of(blocks_of(chain({{"c", "Conv2d"}, {"b", "BatchNorm2d"}, {"a", type}}))) ==
              block_names{{"c", "b"}});
}

TEST_CASE("an activation before the BatchNorm closes the unit") {
    CHECK(names_of(blocks_of(chain({{"c", "Conv2d"}, {"a", "ReLU"}, {"b", "BatchNorm2d"}}))) ==
          block_names{{"c", "a"}});
}

TEST_CASE("what is not the only consumer is not in the unit") {
    network n;
    auto const c = n.layer("c", "Conv2d", {});
    auto const b = n.layer("b", "BatchNorm2d", {c});
    n.operation("Add", {b, c});
    CHECK(names_of(blocks_of(n.topology)) == block_names{{"c"}});

    network output;  // the layer's output is also the network's
    output.layer("b", "BatchNorm2d", {output.layer("c", "Conv2d", {})});
    output.topology.outputs = {0, 1};
    CHECK(names_of(blocks_of(output.topology)) == block_names{{"c"}});
}

TEST_CASE("a shared activation may close a unit") {
    network n;
    auto const relu = n.layer("relu", "ReLU", {n.layer("c1", "Conv2d", {})});
    n.use("relu", {n.layer("c2", "Conv2d", {relu})});
    CHECK(names_of(blocks_of(n.topology)) == block_names{{"c1", "relu"}, {"c2", "relu"}});
    CHECK(names_of(blocks_of(n.topology, 2)) == block_names{{"c1", "relu", "c2", "relu"}});
}

TEST_CASE("divergence 3: a functional activation is left out of the unit") {
    network n;
    auto const relu = n.operation("Relu", {n.layer("c1", "Conv2d", {})});
    n.layer("c2", "Conv2d", {relu});
    CHECK(names_of(blocks_of(n.topology)) == block_names{{"c1"}, {"c2"}});
    CHECK(names_of(blocks_of(n.topology, 2)) == block_names{{"c1"}, {"c2"}});
}

TEST_CASE("divergence 5: a layer before a BatchNorm1d or a shared BatchNorm is in no block") {
    auto const one_d = blocks_of(chain({{"a", "Linear"}, {"b", "BatchNorm1d"}, {"c", "Linear"}}));
    CHECK(names_of(one_d) == block_names{{"c"}});
    CHECK(one_d.left_out == std::vector<NodeId>{{0}});

    network n;
    auto const bn = n.layer("bn", "BatchNorm2d", {n.layer("a", "Conv2d", {})});
    n.use("bn", {n.layer("b", "Conv2d", {bn})});
    auto const shared = blocks_of(n.topology);
    CHECK(shared.blocks.empty());
    CHECK(shared.left_out == std::vector<NodeId>{{0}, {2}});
}

TEST_CASE("neighbouring units are joined group_size at a time") {
    CHECK(names_of(blocks_of(mlp(), 2)) == block_names{{"fc1", "r1", "fc2", "r2"}, {"fc3"}});
    CHECK(names_of(blocks_of(mlp(), 3)) == block_names{{"fc1", "r1", "fc2", "r2", "fc3"}});
    CHECK(names_of(blocks_of(mlp(), 4294967295u)) == block_names{{"fc1", "r1", "fc2", "r2", "fc3"}});
}

TEST_CASE("joining stops at what is in no unit") {
    CHECK(names_of(blocks_of(example(), 3)) ==
          block_names{{"conv1", "bn1", "relu1", "conv2", "bn2", "relu2", "conv3", "relu3"}, {"fc"}});
    for (const char* type : {"MaxPool2d", "Flatten", "ELU", "BatchNorm2d"}) {
        INFO(type);
        CHECK(names_of(blocks_of(chain({{"a", "Conv2d"}, {"r", "ReLU"}, {"x", type}, {"b", "Conv2d"}}), 2)) ==
              block_names{{"a", "r"}, {"b"}});
    }
}

TEST_CASE("joining stops at an add and at a fan-out") {
    network n;
    auto const a = n.layer("a", "Conv2d", {});
    auto const b = n.layer("b", "Conv2d", {a}), c = n.layer("c", "Conv2d", {a});
    n.layer("d", "Conv2d", {n.operation("Add", {b, c})});
    CHECK(names_of(blocks_of(n.topology, 9)) == block_names{{"a"}, {"b"}, {"c"}, {"d"}});
}

TEST_CASE("the user's groups come first, what is left forms units, all in graph order") {
    auto const planned = blocks_of(example(), 1, {{6, 7}, {0, 1, 2}});
    CHECK(names_of(planned) ==
          block_names{{"conv1", "bn1", "relu1"}, {"conv2", "bn2", "relu2"}, {"conv3", "relu3"}, {"fc"}});
    CHECK(planned.blocks[0].from.text == "group");
    CHECK(planned.blocks[1].from.text == "default");
}

TEST_CASE("joining does not run into a user's group") {
    CHECK(names_of(blocks_of(mlp(), 3, {{2, 3}})) == block_names{{"fc1", "r1"}, {"fc2", "r2"}, {"fc3"}});
}

TEST_CASE("what follows a group that ends inside a unit is in no block") {
    CHECK(names_of(blocks_of(example(), 1, {{0, 1, 2, 3}})) ==
          block_names{{"conv1", "bn1", "relu1", "conv2"}, {"conv3", "relu3"}, {"fc"}});
}

TEST_CASE("divergence 4: a group that starts inside a unit stands, the rest of the unit is one of its own") {
    CHECK(names_of(blocks_of(example(), 1, {{2, 3}})) ==
          block_names{{"conv1", "bn1"}, {"relu1", "conv2"}, {"conv3", "relu3"}, {"fc"}});
    CHECK(names_of(blocks_of(example(), 1, {{1, 2, 3, 4, 5}})) ==
          block_names{{"conv1"}, {"bn1", "relu1", "conv2", "bn2", "relu2"}, {"conv3", "relu3"}, {"fc"}});
}

}  // namespace plan_blocks_test
