// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/report/data_summary.hpp>

#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "support/small_network.hpp"

namespace report_data_summary_test {

using namespace amct_distill;

TEST_CASE("ranges of each channel over all batches, and pictures of the first samples") {
    nn::Network net;
    nn::NodeId const x = net.input("image", {3, 4, 4});
    net.output(net.add("relu", nn::ReLU{}, {x}));
    std::vector<nn::Tensor> batches(2, nn::Tensor({2, 3, 4, 4}));
    for (std::size_t i = 0; i != batches[0].size(); ++i) {
        auto const channel = i / 16 % 3;
        batches[0][i] = static_cast<float>(channel);
        batches[1][i] = channel == 2 ? (i % 2 == 0 ? 1.0f : 3.0f) : static_cast<float>(channel);
    }
    auto const all = summarize_data(net, std::span(batches), {"a", "b"}).value();
    REQUIRE(all.size() == 1);
    const DataSummary& d = all[0];
    CHECK(d.input == "image");
    CHECK(d.shape == "[N, 3, 4, 4]");
    CHECK(d.samples == 4);
    CHECK(d.batches == 2);
    REQUIRE(d.channels.size() == 3);
    CHECK(d.channels[1].mean == 1);
    CHECK(d.channels[1].deviation == 0);
    CHECK(d.channels[2].min == 1);
    CHECK(d.channels[2].max == 3);
    CHECK(d.channels[2].mean == 2);
    CHECK(d.channels[2].deviation == Approx(std::sqrt(0.5)));
    REQUIRE(d.thumbnails.size() == 4);
    CHECK(d.thumbnails[0].width == 4);
    CHECK(d.thumbnails[0].caption == "a");
    CHECK(d.thumbnails[2].caption == "");
    CHECK(d.thumbnails[0].png.starts_with("iVBORw0KGgo"));
    CHECK_FALSE(summarize_data(net, {}));
}

TEST_CASE("no pictures of what is none") {
    nn::Network const net = support::small_network();
    auto const batches = support::small_batches(1, 2);
    auto const all = summarize_data(net, std::span(batches)).value();
    CHECK(all[0].thumbnails.empty());
    CHECK(all[0].channels.size() == 2);
}

TEST_CASE("many channels are one together, vectors too, and values that are none count nothing") {
    nn::Network net;
    net.output(net.add("relu", nn::ReLU{}, {net.input("wide", {17, 2})}));
    net.output(net.add("relu2", nn::ReLU{}, {net.input("row", {3})}));
    float const nan = std::numeric_limits<float>::quiet_NaN();
    nn::Tensor wide({1, 17, 2}), row({1, 3}, {1, nan, 4});
    wide[33] = -2;
    std::vector<Batch> const batches{{wide, row}};
    auto const all = summarize_data(net, batches).value();
    REQUIRE(all.size() == 2);
    REQUIRE(all[0].channels.size() == 1);
    CHECK(all[0].channels[0].name == "all");
    CHECK(all[0].channels[0].min == -2);
    CHECK(all[0].channels[0].max == 0);
    REQUIRE(all[1].channels.size() == 1);
    CHECK(all[1].channels[0].min == 1);
    CHECK(all[1].channels[0].max == 4);
    CHECK(all[1].channels[0].mean == 2.5);
    CHECK(all[1].thumbnails.empty());
}

TEST_CASE("at most eight pictures, of lines of text as wide as is read, and of one grey") {
    nn::Network net;
    net.output(net.add("relu", nn::ReLU{}, {net.input("line", {1, 8, 480})}));
    std::vector<nn::Tensor> const batches(10, nn::Tensor({1, 1, 8, 480}));
    auto const all = summarize_data(net, std::span(batches)).value();
    REQUIRE(all[0].thumbnails.size() == 8);
    CHECK(all[0].thumbnails[0].width == 240);
    CHECK(all[0].thumbnails[0].height == 4);
    nn::Network square;
    square.output(square.add("relu", nn::ReLU{}, {square.input("image", {1, 144, 100})}));
    std::vector<nn::Tensor> const images(1, nn::Tensor({9, 1, 144, 100}));
    auto const pictures = summarize_data(square, std::span(images)).value();
    REQUIRE(pictures[0].thumbnails.size() == 8);
    CHECK(pictures[0].thumbnails[0].width == 50);
    CHECK(pictures[0].thumbnails[0].height == 72);
}

}  // namespace report_data_summary_test
