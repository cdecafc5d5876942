// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/sliding_pool.hpp>

#include <amct_distill/nn/layers/pool.hpp>
#include <array>
#include <vector>

#include "support/catch.hpp"

namespace nn_sliding_pool_test {

using namespace amct_distill;
using detail::PoolAxis;
using detail::PoolTaps;

TEST_CASE("a pool's positions and taps are those of windows laid out one by one") {
    int cases = 0, ceiled = 0;
    for (nn::Index input : {1, 2, 5, 8})
        for (nn::Index kernel : {1, 2, 3})
            for (nn::Index stride : {1, 2, 3, 4})
                for (nn::Index dilation : {1, 2, 3})
                    for (nn::Index begin : {0, 1, 2})
                        for (nn::Index end : {0, 1, 3})
                            for (bool ceil_mode : {false, true}) {
                                PoolAxis const axis{input, kernel, stride, begin, end, dilation, ceil_mode};
                                INFO(input << " by " << kernel << " stride " << stride << " dilation "
                                           << dilation << " padding " << begin << ", " << end << " ceil "
                                           << ceil_mode);
                                nn::Index const last = dilation * (kernel - 1);
                                if (begin > last || end > last) continue;  // no pool has such a padding
                                // Windows that lie on the image and its padding; with ceil_mode one more may
                                // reach beyond, if it begins on the image or the padding before it.
                                std::vector<nn::Index> starts;
                                for (nn::Index at = -begin; at + last < input + end; at += stride)
                                    starts.push_back(at);
                                if (ceil_mode && !starts.empty()) {
                                    nn::Index const next = starts.back() + stride;
                                    if (starts.back() + last != input + end - 1 && next < input) {
                                        starts.push_back(next);
                                        ++ceiled;
                                    }
                                }
                                REQUIRE(axis.output() == static_cast<nn::Index>(starts.size()));
                                bool all = true;
                                for (std::size_t o = 0; o != starts.size(); ++o) {
                                    PoolTaps expected;
                                    for (nn::Index k = 0; k != kernel; ++k) {
                                        nn::Index const at = starts[o] + k * dilation;
                                        if (at < input + end) ++expected.counted;
                                        if (at < 0 || at >= input) continue;
                                        if (expected.count++ == 0) expected.first = at;
                                    }
                                    all = all && expected.count != 0;
                                    PoolTaps const found = axis.taps(static_cast<nn::Index>(o));
                                    CHECK(found.count == expected.count);
                                    CHECK(found.counted == expected.counted);
                                    if (expected.count != 0) CHECK(found.first == expected.first);
                                }
                                if (!starts.empty()) CHECK(axis.all_read() == all);  // asked of windows only
                                ++cases;
                            }
    CHECK(cases == 1472);
    CHECK(ceiled == 136);
}

TEST_CASE("a patch visits its pixels row by row") {
    detail::PoolPatch const patch{
        .taps = {{{0, 1, 1}, {1, 2, 3}, {0, 3, 3}}}, .step = {30, 20, 2}, .first = 5};
    std::vector<nn::Index> seen;
    patch.for_each_pixel([&](nn::Index i) { seen.push_back(i); });
    CHECK(seen == std::vector<nn::Index>{5, 7, 9, 25, 27, 29});
    CHECK(patch.pixels() == 6);
    CHECK(patch.counted() == 9);
}

TEST_CASE("a pool fills in its stride and its padding at the end") {
    nn::MaxPool2d const pool({.kernel = {3, 2}, .padding = {1, 0}});
    CHECK(pool.options().stride == std::array<nn::Index, 2>{3, 2});
    CHECK(pool.options().end_padding == std::array<nn::Index, 2>{1, 0});
    nn::AvgPool1d const other({.kernel = {4}, .stride = {1}, .padding = {2}, .end_padding = {0}});
    CHECK(other.options().stride == std::array<nn::Index, 1>{1});
    CHECK(other.options().end_padding == std::array<nn::Index, 1>{0});
}

TEST_CASE("pools that make no sense, and images that they do not fit") {
    char const* const least = "pooling: kernel, stride and dilation must be at least 1, padding at least 0";
    CHECK_THROWS_WITH(nn::MaxPool2d({.kernel = {0, 2}}), least);
    CHECK_THROWS_WITH(nn::AvgPool1d({.kernel = {2}, .stride = {-1}}), least);
    CHECK_THROWS_WITH(nn::MaxPool1d({.kernel = {2}, .dilation = {0}}), least);
    CHECK_THROWS_WITH(nn::MaxPool1d({.kernel = {2}, .padding = {-1}}), least);
    CHECK_THROWS_WITH(nn::MaxPool2d({.kernel = {2, 3}, .padding = {2, 0}}),
                      "pooling: padding 2x0 must be smaller than the kernel 2x3");
    CHECK_NOTHROW(nn::MaxPool1d({.kernel = {2}, .padding = {2}, .dilation = {2}}));  // it spans 3

    auto const wrong = [](const nn::Module& pool, const nn::Shape& shape) {
        auto const out = pool.output_shape(std::array{shape});
        return out ? nn::to_string(*out) : out.diagnostics().front().message;
    };
    CHECK(wrong(nn::MaxPool2d({.kernel = {3, 2}}), {nn::any_batch, 2, 7, 5}) == "[N, 2, 2, 2]");
    CHECK(wrong(nn::MaxPool2d({.kernel = {3, 2}}), {nn::any_batch, 2, 7}).find("one input [N, C, H, W]") !=
          std::string::npos);
    CHECK(wrong(nn::AvgPool3d({.kernel = {1, 1, 1}}), {1, 2, 3}).find("one input [N, C, D, H, W]") !=
          std::string::npos);
    CHECK(wrong(nn::MaxPool1d({.kernel = {5}, .padding = {1}}), {1, 2, 2})
              .find("an image that holds the kernel 5 (padding 1)") != std::string::npos);
    CHECK(wrong(nn::MaxPool1d({.kernel = {2}, .padding = {3}, .dilation = {4}}), {1, 1, 1})
              .find("an image of which every window covers something") != std::string::npos);
}

}  // namespace nn_sliding_pool_test
