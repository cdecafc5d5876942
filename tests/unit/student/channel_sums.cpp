// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/student/channel_sums.hpp>

#include <amct_distill/nn/layers/activation.hpp>
#include <amct_distill/nn/layers/conv2d.hpp>
#include <amct_distill/nn/layers/linear.hpp>
#include <amct_distill/nn/network.hpp>
#include <cmath>
#include <cstdint>
#include <vector>

#include "support/catch.hpp"
#include "support/thread_ranks.hpp"

namespace student_channel_sums_test {

using namespace amct_distill;
using Channels = std::vector<std::uint32_t>;

TEST_CASE("a layer on zeros shows whose bias each output has") {
    nn::Module conv = nn::Conv2d({.in_channels = 1, .out_channels = 3, .kernel = {1, 2}});
    conv.weighted()->weight().fill(2);
    CHECK(detail::channels_of_bias(*conv.weighted(), {nn::any_batch, 1, 1, 3}, {nn::any_batch, 3, 1, 2}) ==
          Channels{0, 0, 1, 1, 2, 2});
    nn::Module const fc = nn::Linear({.in_features = 2, .out_features = 3});
    CHECK(detail::channels_of_bias(*fc.weighted(), {nn::any_batch, 2, 2}, {nn::any_batch, 2, 3}) ==
          Channels{0, 1, 2, 0, 1, 2});
    CHECK(detail::channels_of_planes({nn::any_batch, 3, 1, 2}) == Channels{0, 0, 1, 1, 2, 2});
}

TEST_CASE("means and the deviation are those of all batches, and the same on any number of ranks") {
    nn::Network net;  // as which batches are cut
    net.output(net.add_function("relu", nn::ReLU{}, {net.input("x", {3})}));
    std::vector<float> const values{1, 2, 3, 4, 5, 6, 7, 8, 9};
    for (std::size_t count : {1u, 2u, 5u}) {
        std::vector<std::vector<double>> found(count);
        support::run_ranks(count, [&](Ranks* ranks) {
            nn::Executor const executor(2, best_instructions(), ranks);
            SliceRunner runner(net, &executor, 8);
            SliceSums by_slice(runner);
            detail::ChannelSums sums({0, 1, 1}, 2);
            for (std::vector<float> const& batch : {values, {0, 1, 9}}) {
                auto const samples = static_cast<nn::Index>(batch.size() / 3);
                BatchSlice const part = runner.own_part(samples);
                std::vector<float> const own(batch.begin() + 3 * part.begin, batch.begin() + 3 * part.end);
                sums.add(nn::Tensor({part.size(), 3}, own), by_slice, samples);
            }
            found[ranks == nullptr ? 0 : ranks->rank()] = {sums.mean(0), sums.mean(1), sums.deviation()};
        });
        double mean = 0, squares = 0;
        for (double v : {1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 9}) mean += v / 12, squares += v * v / 12;
        for (const auto& f : found) {
            CHECK(f[0] == (1 + 4 + 7 + 0) / 4.0);
            CHECK(f[1] == (2 + 3 + 5 + 6 + 8 + 9 + 1 + 9) / 8.0);
            CHECK(f[2] == Approx(std::sqrt(squares - mean * mean)));
        }
    }
}

TEST_CASE("the mean of a channel without values is 0, and values that are alike have no deviation") {
    // (A deviation of values that are all alike is 0, also where rounding makes the variance negative.)
    detail::ChannelSums sums({0, 0, 2, 2}, 3);
    nn::Network net;
    net.output(net.add_function("relu", nn::ReLU{}, {net.input("x", {4})}));
    SliceRunner runner(net);
    SliceSums by_slice(runner);
    nn::Tensor const values({2, 4}, {0.1f, 0.1f, 0.1f, 0.1f, 0.1f, 0.1f, 0.1f, 0.1f});
    sums.add(values, by_slice, 2);
    CHECK(sums.mean(0) == Approx(0.1));
    CHECK(sums.mean(1) == 0);
    CHECK(sums.deviation() < 1e-9);
}

}  // namespace student_channel_sums_test
