// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/distill/blocks.hpp>

#include <amct_distill/distill/distill.hpp>
#include <amct_distill/nn/layers/smooth_activation.hpp>

#include "support/catch.hpp"
#include "support/small_network.hpp"

namespace distill_blocks_test {

using namespace amct_distill;

namespace {

/// stem, two residual units (the second with a convolution on its shortcut), a head.
nn::Network residual_network() {
    nn::Network net;
    auto const conv = [&](const std::string& name, nn::NodeId x, nn::Index in, nn::Index out) {
        return net.add(
            name, nn::Conv2d({.in_channels = in, .out_channels = out, .kernel = {3, 3}, .padding = {1, 1}}),
            {x});
    };
    nn::NodeId x = net.input("image", {2, 6, 6});
    x = net.add("relu0", nn::ReLU{}, {conv("stem", x, 2, 4)});
    nn::NodeId y = net.add("relu1", nn::ReLU{}, {conv("a1", x, 4, 4)});
    y = conv("a2", y, 4, 4);
    x = net.add_function("add_a", nn::Add{}, {y, x});
    x = net.add("relu_a", nn::ReLU{}, {x});
    y = net.add("relu2", nn::ReLU{}, {conv("b1", x, 4, 6)});
    y = conv("b2", y, 6, 6);
    nn::NodeId const shortcut = conv("b3", x, 4, 6);
    x = net.add_function("add_b", nn::Add{}, {y, shortcut});
    x = net.add_function("flatten", nn::Flatten{}, {x});
    net.output(net.add("fc", nn::Linear({.in_features = 216, .out_features = 3}), {x}));
    nn::initialize(net, 3);
    return net;
}

std::string names(const nn::Network& net, const std::vector<NodeId>& nodes) {
    std::string text;
    for (NodeId id : nodes) text += (text.empty() ? "" : " ") + net.name(id);
    return text;
}
std::string text(const nn::Network& net, const std::vector<TrainedBlock>& blocks) {
    std::string all;
    for (const TrainedBlock& b : blocks)
        all += names(net, b.inputs) + " -> " + names(net, b.nodes) + " -> " + names(net, b.outputs) + "\n";
    return all;
}

}  // namespace

TEST_CASE("AMCT's blocks are chains, a residual unit has its shortcut and the activation after it") {
    nn::Network const net = residual_network();
    auto const plan = support::plan_for(net, "");
    CHECK(text(net, blocks_of(net, plan, BlockShape::amct)) ==
          "image -> stem relu0 -> relu0\n"
          "relu0 -> a1 relu1 -> relu1\n"
          "relu1 -> a2 -> a2\n"
          "relu_a -> b1 relu2 -> relu2\n"
          "relu2 -> b2 -> b2\n"
          "relu_a -> b3 -> b3\n"
          "flatten -> fc -> fc\n");
    std::string const units =
        "image -> stem relu0 -> relu0\n"
        "relu0 -> a1 relu1 a2 add_a relu_a -> relu_a\n"
        "relu_a -> b1 relu2 b2 b3 add_b -> add_b\n"
        "flatten -> fc -> fc\n";
    CHECK(text(net, blocks_of(net, plan, BlockShape::residual)) == units);
    CHECK(text(net, blocks_of(net, plan, BlockShape::automatic)) == units);
}

TEST_CASE("a residual unit ends with any activation, and an addition of a constant is no end of one") {
    nn::Network net;
    nn::NodeId x = net.input("image", {2, 6, 6});
    nn::NodeId y = net.add(
        "conv", nn::Conv2d({.in_channels = 2, .out_channels = 2, .kernel = {3, 3}, .padding = {1, 1}}), {x});
    y = net.add_function("shift", nn::Add{}, {y, net.constant("one", nn::Tensor({1}, {1}))});
    y = net.add("gelu", nn::GELU{}, {net.add_function("add", nn::Add{}, {y, x})});
    y = net.add_function("flatten", nn::Flatten{}, {y});
    net.output(net.add("fc", nn::Linear({.in_features = 72, .out_features = 3}), {y}));
    nn::initialize(net, 3);
    CHECK(text(net, blocks_of(net, support::plan_for(net, ""), BlockShape::residual)) ==
          "image -> conv shift add gelu -> gelu\n"
          "flatten -> fc -> fc\n");
}

TEST_CASE("a user's group stands, and a network without units says so when they are asked for") {
    nn::Network const net = residual_network();
    auto const plan = support::plan_for(net, "distill_group { start_layer_name: 'a1' end_layer_name: 'a2' }");
    CHECK(text(net, blocks_of(net, plan, BlockShape::automatic)) ==
          "image -> stem relu0 -> relu0\n"
          "relu0 -> a1 relu1 a2 -> a2\n"
          "relu_a -> b1 relu2 b2 b3 add_b -> add_b\n"
          "flatten -> fc -> fc\n");
    nn::Network const chain = support::small_network();
    auto const chains = support::plan_for(chain, "");
    CHECK(blocks_of(chain, chains, BlockShape::automatic).size() == 3);
    CHECK_THROWS_WITH(blocks_of(chain, chains, BlockShape::residual),
                      Catch::Contains("the network has no residual unit"));
}

TEST_CASE("a user's group may be a residual unit where the plan's reader and the distillation are told so") {
    nn::Network const net = residual_network();
    auto const resolved = [&](std::string_view start, std::string_view end) {
        auto const config = read<AMCTDistillConfig>(detail::concat("distill_group { start_layer_name: '",
                                                                   start, "' end_layer_name: '", end, "' }"))
                                .value();
        return resolve(config, net.graph(), target::generic, {.group_parts = true});
    };
    auto const plan = resolved("a1", "relu_a").value();
    CHECK(text(net, blocks_of(net, plan, BlockShape::automatic)) ==
          "image -> stem relu0 -> relu0\n"
          "relu0 -> a1 relu1 a2 add_a relu_a -> relu_a\n"
          "relu_a -> b1 relu2 b2 b3 add_b -> add_b\n"
          "flatten -> fc -> fc\n");
    CHECK_THROWS_WITH(blocks_of(net, plan, BlockShape::amct), Catch::Contains("is not a chain"));

    CHECK(resolved("relu1", "relu_a").value().blocks.size() == 7);
    CHECK(resolved("stem", "a2").diagnostics().at(0).message ==
          "`relu0` inside of the group is read by `add_a`, outside of it: a group has one value that others "
          "read, "
          "its last");
    CHECK(resolved("fc", "stem").diagnostics().at(0).message.starts_with("`stem` comes before `fc`"));
}

TEST_CASE("a value inside that is read elsewhere keeps a unit from being one") {
    nn::Network net;
    nn::NodeId const x = net.input("x", {4});
    nn::NodeId const y = net.add("a", nn::Linear({.in_features = 4, .out_features = 4}), {x});
    nn::NodeId const z = net.add("b", nn::Linear({.in_features = 4, .out_features = 4}), {y});
    nn::NodeId const sum = net.add_function("add", nn::Add{}, {z, x});
    net.output(net.add_function("again", nn::Add{}, {sum, y}));
    nn::initialize(net, 1);
    auto const plan = support::plan_for(net, "");
    // `a` is read after `add`, so the first unit is that of `again`, which has both additions.
    CHECK(text(net, blocks_of(net, plan, BlockShape::automatic)) == "x -> a b add again -> again\n");
}

TEST_CASE("residual units are trained whole, with the same bits on any threads, dumped or not") {
    nn::Network const teacher = residual_network();
    auto const batches = support::small_batches(4, 9);
    auto const run = [&](std::string_view more, BlockShape shape, const RunOptions& how) {
        Student student =
            make_student(teacher, support::plan_for(teacher, detail::concat(support::int4_config, more)))
                .value();
        calibrate(student, batches).value();
        auto const report =
            distill(teacher, student, batches,
                    {.epochs = 6, .learning_rates = {.clips = 0.01, .scales = 1e-3}, .blocks = shape}, how)
                .value();
        return std::pair(report, student.predict(batches[0]));
    };
    auto const [report, output] = run("", BlockShape::automatic, {});
    REQUIRE(report.blocks.size() == 4);
    CHECK(report.blocks[2].names == std::vector<std::string>{"b1", "relu2", "b2", "b3"});
    for (const BlockReport& b : report.blocks) {
        CHECK(b.stopped.empty());
        CHECK(b.loss_after <= b.loss_before);
    }
    CHECK(report.blocks[1].loss_after < 0.9 * report.blocks[1].loss_before);
    CHECK_FALSE(report.kept_calibrated);
    CHECK(run("", BlockShape::automatic, {.threads = 3}).second == output);
    CHECK(run("", BlockShape::automatic, {.memory_bytes = 0}).second == output);
    CHECK(run("data_dump: true", BlockShape::automatic, {.memory_bytes = 20000}).second == output);
    CHECK(run("", BlockShape::amct, {}).second != output);
}

TEST_CASE("what ends a residual unit, and what is none") {
    auto const units = [](auto build) {
        nn::Network net;
        nn::NodeId const x = net.input("x", {4});
        build(net, x);
        std::string all;
        for (const auto& unit : detail::ResidualUnits(net).find()) all += names(net, unit) + "\n";
        return all;
    };
    auto const linear = [](nn::Network& net, const char* name, nn::NodeId x) {
        return net.add(name, nn::Linear({.in_features = 4, .out_features = 4}), {x});
    };
    auto const sum = [](nn::Network& net, nn::NodeId a, nn::NodeId b) {
        return net.add_function("add", nn::Add{}, {a, b});
    };
    CHECK(units([&](nn::Network& net, nn::NodeId x) {  // a function of ONNX
              net.output(net.add_function("relu", nn::ReLU{}, {sum(net, linear(net, "a", x), x)}));
          }) == "a add relu\n");
    CHECK(units([&](nn::Network& net, nn::NodeId x) {  // nothing to train in it
              net.output(sum(net, net.add("relu", nn::ReLU{}, {x}), x));
          })
              .empty());
    CHECK(units([&](nn::Network& net, nn::NodeId x) {  // two read the sum
              nn::NodeId const y = sum(net, linear(net, "a", x), x);
              net.output(net.add("relu", nn::ReLU{}, {y}));
              net.output(net.add("tanh", nn::Tanh{}, {y}));
          }) == "a add\n");
    CHECK(units([&](nn::Network& net, nn::NodeId x) {  // another operation stands between
              nn::NodeId const y = sum(net, linear(net, "a", x), x);
              net.output(net.add("tanh", nn::Tanh{}, {x}));
              net.output(net.add("relu", nn::ReLU{}, {y}));
          }) == "a add\n");
    CHECK(units([&](nn::Network& net, nn::NodeId x) {  // what reads it has another input
              nn::NodeId const y = sum(net, linear(net, "a", x), x);
              net.output(net.add_function("times", nn::Mul{}, {y, x}));
          }) == "a add\n");
    CHECK(units([&](nn::Network& net, nn::NodeId x) {  // a value inside leaves the network
              nn::NodeId const y = linear(net, "a", x);
              net.output(y);
              net.output(sum(net, y, x));
          })
              .empty());
    CHECK(units([&](nn::Network& net, nn::NodeId x) {  // of two values from outside
              net.output(sum(net, linear(net, "a", x), net.input("z", {4})));
          })
              .empty());
}

TEST_CASE(
    "a chain reads the node before it, and constants; a block reads nothing that comes after its first") {
    nn::Network net;
    nn::NodeId const x = net.input("x", {4});
    nn::NodeId const table = net.constant("table", nn::Tensor({4}, {1, 2, 3, 4}));
    nn::NodeId const a = net.add("a", nn::Linear({.in_features = 4, .out_features = 4}), {x});
    nn::NodeId const shift = net.add_function("shift", nn::Add{}, {a, table});
    nn::NodeId const of_table = net.add_function("of_table", nn::ReLU{}, {table});
    nn::NodeId const late = net.input("late", {4});
    nn::NodeId const b = net.add("b", nn::Linear({.in_features = 4, .out_features = 4}), {late});
    net.output(net.add_function("sum", nn::Add{}, {shift, b}));
    CHECK(detail::is_chain(net, {a, shift}));
    CHECK_FALSE(detail::is_chain(net, {a, of_table}));
    CHECK_FALSE(detail::is_chain(net, {a, b}));
    CHECK(detail::operation_of(net, late) == late);
    CHECK(detail::operation_of(net, x) == x);
    CHECK(detail::operation_of(net, b) == b);
    TrainedBlock const block = detail::block_of_nodes(net, {a, shift}, false);
    CHECK(block.inputs == std::vector<NodeId>{x});
    CHECK(block.outputs == std::vector<NodeId>{shift});
    CHECK_THROWS_WITH(detail::block_of_nodes(net, {shift, b}, false),
                      "distill: the block at `shift` reads `late`, which is computed after its first node");
}

}  // namespace distill_blocks_test
