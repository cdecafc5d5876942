// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/report/page_network.hpp>

#include <algorithm>
#include <amct_distill/nn/layers/concat.hpp>
#include <amct_distill/nn/layers/conv_transpose.hpp>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/small_network.hpp"

namespace report_page_network_test {

using namespace amct_distill;

TEST_CASE("layers with their shapes, weights, multiplications, and where their settings came from") {
    nn::Network const net = support::small_network();
    PageNetwork const page = page_network(net, support::plan_for(net, "quant_skip_layers: 'fc'\n"));
    REQUIRE(page.layers.size() == 3);
    CHECK(page.layers[0].shape == "3×3 2→4");
    CHECK(page.layers[0].weights == 72);
    CHECK(page.layers[0].channels == 4);
    CHECK(page.layers[0].multiplications == 72 * 36);
    CHECK(page.layers[0].quantized);
    CHECK(page.layers[1].shape == "3×3 /2 4→5");
    CHECK(page.layers[1].multiplications == 4 * 9 * 5 * 4);
    CHECK(page.layers[2].shape == "20→3");
    CHECK_FALSE(page.layers[2].quantized);
    CHECK(page.layers[2].from_line == 1);
    CHECK_THROWS_AS(page_network(nn::Network{}, support::plan_for(net, "")), std::invalid_argument);
}

TEST_CASE("operations without weights are not drawn, and paths meet where they meet") {
    nn::Network net;
    nn::NodeId x = net.input("image", {4, 6, 6});
    nn::NodeId a = net.add(
        "a",
        nn::Conv2d({.in_channels = 4, .out_channels = 4, .kernel = {3, 3}, .padding = {1, 1}, .groups = 4}),
        {x});
    a = net.add("relu", nn::ReLU{}, {a});
    nn::NodeId const sum = net.add_function("sum", nn::Add{}, {a, x});
    net.output(net.add("b", nn::Conv2d({.in_channels = 4, .out_channels = 8, .kernel = {1, 1}, .groups = 2}),
                       {sum}));
    PageNetwork const page = page_network(net, support::plan_for(net, ""));
    REQUIRE(page.nodes.size() == 4);
    CHECK(page.nodes[0].label == "image");
    CHECK(page.nodes[1].layer == 0u);
    CHECK(page.nodes[1].inputs == std::vector<std::size_t>{0});
    CHECK(page.nodes[2].label == "Add");
    std::vector<std::size_t> inputs = page.nodes[2].inputs;
    std::ranges::sort(inputs);
    CHECK(inputs == std::vector<std::size_t>{0, 1});
    CHECK(page.nodes[3].inputs == std::vector<std::size_t>{2});
    CHECK(page.nodes[1].block != page.nodes[3].block);
    CHECK(page.layers[0].shape == "dw 3×3 4");
    CHECK(page.layers[1].shape == "1×1 4→8 ÷2");
}

TEST_CASE("shapes of layers that are none of a convolution's, and of those with options of two numbers") {
    nn::Network net;
    nn::NodeId const tokens = net.input("tokens", {6, 4});
    nn::NodeId const image = net.input("image", {4, 7, 6});
    nn::NodeId const a = net.add(
        "a",
        nn::Conv2d({.in_channels = 4, .out_channels = 8, .kernel = {3, 1}, .stride = {2, 1}, .groups = 4}),
        {image});
    nn::NodeId const up = net.add(
        "up", nn::ConvTranspose2d({.in_channels = 8, .out_channels = 4, .kernel = {2, 2}, .stride = {2, 2}}),
        {a});
    nn::NodeId const fc = net.add("fc", nn::Linear({.in_features = 4, .out_features = 3}), {tokens});
    nn::NodeId const twice = net.add_function("twice", nn::Add{}, {fc, fc});
    net.output(up);
    net.output(twice);
    PageNetwork const page = page_network(net, support::plan_for(net, ""));
    REQUIRE(page.layers.size() == 3);
    CHECK(page.layers[0].shape == "3×1 /2×1 4→8 ÷4");
    CHECK(page.layers[0].multiplications == 3 * 8 * 3 * 6);
    CHECK(page.layers[1].shape == "2×2 /2 8→4");
    CHECK(page.layers[1].multiplications == 8 * 3 * 6 * 4 * 4);  // each value that is read, 4 * 2 * 2 times
    CHECK(page.layers[2].shape == "4→3");
    CHECK(page.layers[2].multiplications == 6 * 4 * 3);
    REQUIRE(page.nodes.size() == 5);  // the sum of a value and itself is no place where paths meet
    CHECK(page.nodes[4].label == "fc");
    CHECK(detail::option_numbers("", "stride").empty());
    CHECK(detail::option_numbers("mystride: 3", "stride").empty());
    CHECK(detail::option_numbers("stride: 3 x: 1", "stride") == std::vector<std::string>{"3"});
    CHECK(detail::option_numbers("a: 1 stride: [3, 4]", "stride") == std::vector<std::string>{"3", "4"});
    CHECK(detail::times({"3", "4"}, true) == "3×4");
    CHECK(detail::times({}, true).empty());
}

TEST_CASE(
    "constants are not drawn, parts of a value are their whole, and weights of no plan have their names") {
    nn::Network net;
    nn::NodeId const x = net.input("x", {4});
    nn::NodeId const shared = net.add("shared", nn::Linear({.in_features = 4, .out_features = 4}), {x});
    nn::NodeId const again = net.apply("again", "shared", {shared});
    nn::NodeId const table = net.constant("table", nn::Tensor({4}, {1, 2, 3, 4}));
    nn::NodeId const shifted = net.add_function("shift", nn::Add{}, {again, table});
    nn::NodeId const parts = net.add_function("parts", nn::Split({.dim = 1, .sizes = {2, 2}}), {shifted});
    nn::NodeId const sum = net.add_function("sum", nn::Add{}, {parts, net.outputs_of(parts)[1]});
    net.add_function("cut", nn::Split({.dim = 1, .sizes = {1, 3}}),
                     {net.constant("row", nn::Tensor({1, 4}))});
    nn::NodeId const of_table = net.add_function("of_table", nn::ReLU{}, {table});
    net.output(net.add("fc", nn::Linear({.in_features = 2, .out_features = 3}), {sum}));
    net.output(of_table);
    nn::NodeId const image = net.input("image", {1, 5, 5});
    net.output(net.add("conv", nn::Conv2d({.in_channels = 1, .out_channels = 1, .kernel = {3, 3}}), {image}));
    PageNetwork const page = page_network(net, support::plan_for(net, ""));
    std::vector<std::string> labels;
    for (const auto& node : page.nodes) labels.push_back(node.label);
    CHECK(labels == std::vector<std::string>{"x", "shared", "shared", "fc", "image", "conv"});
    CHECK_FALSE(page.nodes[1].layer);
    CHECK(page.nodes[2].inputs == std::vector<std::size_t>{1});
    CHECK(page.nodes[3].inputs == std::vector<std::size_t>{2});
    REQUIRE(page.layers.size() == 2);
    CHECK(page.layers[1].shape == "3×3 1→1");  // one channel is not depthwise
}

}  // namespace report_page_network_test
