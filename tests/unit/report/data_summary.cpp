// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/report/data_summary.hpp>

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

}  // namespace report_data_summary_test
