// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/report/page_network.hpp>

#include <algorithm>

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

}  // namespace report_page_network_test
