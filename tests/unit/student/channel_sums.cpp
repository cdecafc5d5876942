// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/student/channel_sums.hpp>

#include <amct_distill/nn/layers/conv2d.hpp>
#include <amct_distill/nn/layers/linear.hpp>
#include <cmath>
#include <cstdint>
#include <vector>

#include "support/catch.hpp"

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

TEST_CASE("means and the deviation are those of all batches") {
    nn::Executor const executor(2);
    detail::ChannelSums sums({0, 1, 1}, 2);
    sums.add(nn::Tensor({3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9}), 2, executor);
    sums.add(nn::Tensor({1, 3}, {0, 1, 9}), 1, executor);
    CHECK(sums.mean(0) == Approx((1 + 4 + 7 + 0) / 4.0));
    CHECK(sums.mean(1) == Approx((2 + 3 + 5 + 6 + 8 + 9 + 1 + 9) / 8.0));
    double mean = 0, squares = 0;
    for (double v : {1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 9}) mean += v / 12, squares += v * v / 12;
    CHECK(sums.deviation() == Approx(std::sqrt(squares - mean * mean)));
}

}  // namespace student_channel_sums_test
