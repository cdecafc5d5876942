// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/plan/user_blocks.hpp>

#include "support/catch.hpp"
#include "support/topologies.hpp"

namespace plan_groups_test {

using namespace amct_distill;

namespace {

using group_names = std::vector<std::vector<std::string>>;

struct outcome {
    group_names groups;
    std::string errors;
};
outcome groups_of(const Topology& topology, const repeated<DistillGroup>& groups, bool parts = false) {
    Graph const g(topology);
    detail::DiagnosticList found({});
    detail::LayerLookup const names(g, found);
    outcome out;
    for (const auto& block : detail::user_blocks(groups, g, names, found, parts))
        out.groups.push_back(block.names);
    out.errors = to_string(found.errors());
    return out;
}
DistillGroup group(const char* start, const char* end) {
    return {.start_layer_name = start, .end_layer_name = end};
}

/// stem -> act, then a -> b and c in parallel, added, then relu.
Topology forked() {
    network n;
    auto const act = n.layer("act", "ReLU", {n.layer("stem", "Conv2d", {})});
    auto const b = n.layer("b", "Conv2d", {n.layer("a", "Conv2d", {act})});
    auto const c = n.layer("c", "Conv2d", {act});
    auto const sum = n.operation("Add", {b, c});
    n.topology.outputs = {n.layer("relu", "ReLU", {sum})};
    return n.topology;
}

/// c1 relu c2 relu c3, with one relu.
Topology shared_relu() {
    network n;
    auto const relu = n.layer("relu", "ReLU", {n.layer("c1", "Conv2d", {})});
    n.layer("c3", "Conv2d", {n.use("relu", {n.layer("c2", "Conv2d", {relu})})});
    return n.topology;
}

}  // namespace

TEST_CASE("a group is the path from its start to its end") {
    auto const [groups, errors] = groups_of(example(), {group("conv1", "relu2"), group("fc", "fc")});
    CHECK(errors.empty());
    CHECK(groups == group_names{{"conv1", "bn1", "relu1", "conv2", "bn2", "relu2"}, {"fc"}});
}

TEST_CASE("a group's path may branch off to nodes outside") {
    CHECK(groups_of(forked(), {group("act", "b")}).groups == group_names{{"act", "a", "b"}});
}

TEST_CASE("a part of a network has what leads to its end, and nothing that only stands between") {
    network n;
    auto const act = n.layer("act", "ReLU", {n.layer("stem", "Conv2d", {})});
    auto const a = n.layer("a", "Conv2d", {act});
    auto const c = n.layer("c", "Conv2d", {act});  // stands between a and b
    auto const b = n.layer("b", "Conv2d", {a});
    n.topology.outputs = {n.layer("relu", "ReLU", {n.operation("Add", {b, c})})};
    for (bool parts : {false, true}) {
        auto const found = groups_of(n.topology, {group("a", "b")}, parts);
        CHECK(found.errors == "");
        CHECK(found.groups == group_names{{"a", "b"}});
    }
}

TEST_CASE("all unknown names of groups are reported") {
    auto const [groups, errors] =
        groups_of(example(), {group("conv11", "relu2"), group("conv3", "rely3"), group("x", "y")});
    CHECK(groups.empty());
    CHECK(
        errors ==
        "error: distill_group[0].start_layer_name: no layer is named `conv11`; did you mean `conv1`?\n"
        "error: distill_group[1].end_layer_name: no layer is named `rely3`; did you mean `relu3`?\n"
        "error: distill_group[2].start_layer_name: no layer is named `x`; the layers of the network: "
        "`conv1`, "
        "`bn1`, `relu1`, `conv2`, `bn2`, `relu2`, `conv3`, `relu3`, `flatten` and `fc`\n"
        "error: distill_group[2].end_layer_name: no layer is named `y`; the layers of the network: `conv1`, "
        "`bn1`, `relu1`, `conv2`, `bn2`, `relu2`, `conv3`, `relu3`, `flatten` and `fc`");
}

TEST_CASE("a reversed group is an error") {
    CHECK(groups_of(example(), {group("conv2", "conv1")}).errors ==
          "error: distill_group[0]: `conv1` comes before `conv2`: exchange start_layer_name and "
          "end_layer_name");
}

TEST_CASE("a group without a path is an error") {
    CHECK(
        groups_of(forked(), {group("a", "c")}).errors ==
        "error: distill_group[0]: no path leads from `a` to `c`: a group is one path of layers, each reading "
        "the one before");
}

TEST_CASE("a group of several Paths is an error") {
    CHECK(groups_of(forked(), {group("stem", "relu")}).errors ==
          "error: distill_group[0]: several paths lead from `stem` to `relu`, and a group is one path: start "
          "it "
          "after the fork, or end it before");
}

TEST_CASE("a group that runs through other operations or modules is an error") {
    CHECK(groups_of(forked(), {group("b", "relu")}).errors ==
          "error: distill_group[0]: `/Add` (Add) is on the path from `b` to `relu`, and a group is made of "
          "Conv2d, "
          "Linear, BatchNorm2d, ReLU, LeakyReLU, Sigmoid, Tanh and Softmax modules only: end it at `b`");
    CHECK(groups_of(example(), {group("flatten", "fc")}).errors ==
          "error: distill_group[0]: `flatten` (Flatten) is on the path from `flatten` to `fc`, and a group "
          "is made "
          "of Conv2d, Linear, BatchNorm2d, ReLU, LeakyReLU, Sigmoid, Tanh and Softmax modules only: start it "
          "after "
          "that");

    network functional;
    auto const relu = functional.operation("Relu", {functional.layer("a", "Conv2d", {})});
    functional.layer("b", "Conv2d", {relu});
    CHECK(groups_of(functional.topology, {group("a", "b")}).groups.empty());
}

TEST_CASE("a group takes the five activations and no others") {
    for (const char* type : {"ReLU", "LeakyReLU", "Sigmoid", "Tanh", "Softmax", "BatchNorm2d", "Linear"})
        CHECK(groups_of(chain({{"a", "Conv2d"}, {"b", type}}), {group("a", "b")}).groups.size() == 1);
    for (const char* type : {"ReLU6", "ELU", "BatchNorm1d", "MaxPool2d"})
        CHECK(groups_of(chain({{"a", "Conv2d"}, {"b", type}}), {group("a", "b")}).groups.empty());
}

TEST_CASE("a group cannot start at a shared layer, but can pass and end there, at the first use") {
    CHECK(groups_of(shared_relu(), {group("relu", "c3")}).errors ==
          "error: distill_group[0]: `relu` is used 2 times, and a group cannot start at a shared layer: "
          "start it "
          "at a layer that is used once");
    CHECK(groups_of(shared_relu(), {group("c1", "c3")}).groups ==
          group_names{{"c1", "relu", "c2", "relu", "c3"}});
    CHECK(groups_of(shared_relu(), {group("c1", "relu"), group("c2", "relu")}).groups ==
          group_names{{"c1", "relu"}, {"c2", "relu"}});
}

TEST_CASE("groups may not intersect") {
    auto const [groups, errors] =
        groups_of(example(), {group("conv1", "conv2"), group("conv2", "conv3"), group("conv3", "relu3")});
    CHECK(groups == group_names{{"conv1", "bn1", "relu1", "conv2"}, {"conv3", "relu3"}});
    CHECK(errors ==
          "error: distill_group[1]: `conv2` is already in distill_group[0], and a layer is in one group "
          "only: end "
          "one before the other starts");
}

TEST_CASE("Paths are counted in a net of forks without walking each of them") {
    network n;
    auto node = n.layer("first", "Conv2d", {});
    for (int i = 0; i != 100; ++i) {  // 2^100 paths
        auto const name = std::to_string(i);
        auto const left = n.layer("left" + name, "ReLU", {node}),
                   right = n.layer("right" + name, "ReLU", {node});
        node = n.operation("Add", {left, right});
    }
    n.layer("last", "Conv2d", {node});
    Graph const g(n.topology);
    NodeId const end{g.size() - 1};
    CHECK(detail::paths_between(g, {0}, [&](NodeId i) { return i == end; }).count == 2);
}

TEST_CASE("a BatchNorm that is used twice cannot be in a group, which would train it in two places") {
    // k1 norm act k2 norm act, with one norm.
    network n;
    auto const act = n.layer("act", "ReLU", {n.layer("norm", "BatchNorm2d", {n.layer("k1", "Conv2d", {})})});
    auto const again = n.use("norm", {n.layer("k2", "Conv2d", {act})});
    n.topology.outputs = {n.layer("act2", "ReLU", {again})};
    CHECK_FALSE(groups_of(n.topology, {group("k1", "norm")}).errors.empty());
    CHECK(groups_of(n.topology, {group("k1", "act")}).errors ==
          "error: distill_group[0]: `norm` (BatchNorm2d) is used more than once, and in a group it would be "
          "trained in "
          "two places: end the group before it, or start it after");
    CHECK_FALSE(groups_of(n.topology, {group("k2", "act2")}).errors.empty());
    CHECK(groups_of(n.topology, {group("k1", "k1"), group("k2", "k2")}).errors.empty());
}

TEST_CASE("a part of a network that is none says why") {
    auto const only = [](const Topology& topology, const DistillGroup& one) {
        auto const [groups, errors] = groups_of(topology, {one}, true);
        CHECK(groups.empty());
        return errors;
    };
    CHECK(only(example(), group("conv2", "conv1")) ==
          "error: distill_group[0]: `conv1` comes before `conv2`: exchange start_layer_name and "
          "end_layer_name");
    CHECK(only(forked(), group("a", "c")) == "error: distill_group[0]: no path leads from `a` to `c`");
    Topology leaves = example();
    leaves.outputs.push_back(1);
    CHECK(only(leaves, group("conv1", "relu1")) ==
          "error: distill_group[0]: `bn1` inside of the group leaves the network: a group has one value that "
          "others read, its last");
    CHECK(only(forked(), group("stem", "b")) ==
          "error: distill_group[0]: `act` inside of the group is read by `c`, outside of it: a group has one "
          "value that others read, its last");
    network late;  // b reads a before the group's last node, and does not lead to it
    auto const a = late.layer("a", "Conv2d", {});
    auto const b = late.layer("b", "Conv2d", {a});
    auto const c = late.layer("c", "Conv2d", {a});
    late.topology.outputs = {b, c};
    CHECK(only(late.topology, group("a", "c")) ==
          "error: distill_group[0]: `a` inside of the group is read by `b`, outside of it: a group has one "
          "value that others read, its last");
    network twice;
    auto const act =
        twice.layer("act", "ReLU", {twice.layer("norm", "BatchNorm2d", {twice.layer("k", "Conv2d", {})})});
    twice.topology.outputs = {twice.use("norm", {act})};
    CHECK(only(twice.topology, group("k", "act")) ==
          "error: distill_group[0]: `norm` (BatchNorm2d) is used more than once, and in a group it would be "
          "trained in two places: end the group before it, or start it after");
}

TEST_CASE("constants, inputs and further outputs lead to a part's end, and are not of it") {
    network n;
    auto const add = [&](const char* name, const char* type, std::vector<std::size_t> inputs,
                         NodeKind kind) -> NodeId {
        n.topology.nodes.push_back({name, type, {}, std::move(inputs), kind});
        return {n.topology.nodes.size() - 1};
    };
    auto const a = n.layer("a", "Conv2d", {add("image", "Input", {}, NodeKind::input)});
    auto const split = add("split", "Split", {a}, NodeKind::operation);
    auto const part = add("split:1", "Split", {split}, NodeKind::port);
    auto const table = add("table", "Constant", {}, NodeKind::constant);
    auto const other = add("other", "Input", {}, NodeKind::input);
    auto const sum = add("sum", "Sum", {split, part, table, other}, NodeKind::operation);
    n.topology.outputs = {n.layer("b", "Conv2d", {sum})};
    auto const found = groups_of(n.topology, {group("a", "b")}, true);
    CHECK(found.errors.empty());
    CHECK(found.groups == group_names{{"a", "split", "sum", "b"}});
}

}  // namespace plan_groups_test
