// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/quant/scales.hpp>

#include "support/catch.hpp"

namespace quant_scales_test {

using namespace amct_distill;

TEST_CASE("one scale is that of every row") {
    Scales const one{{0.5f, 3}};
    CHECK(one.of_row(0) == ScaleOffset{0.5f, 3});
    CHECK(one.of_row(99) == ScaleOffset{0.5f, 3});
    CHECK(one.fit(1));
    CHECK(one.fit(100));
}

TEST_CASE("more than one are a scale per row") {
    Scales const scales{{1.0f, 0}, {2.0f, 0}, {4.0f, 0}};
    CHECK(scales.of_row(2).scale == 4.0f);
    CHECK(scales.fit(3));
    CHECK_FALSE(scales.fit(2));
    CHECK_FALSE(scales.fit(1));
    CHECK_FALSE(Scales{}.fit(3));
    CHECK(Scales{}.empty());
}

TEST_CASE("scales are seen, changed and compared as they are kept") {
    Scales scales = std::vector<ScaleOffset>{{1.0f, 0}, {2.0f, 0}};
    for (ScaleOffset& p : scales) p.scale *= 2;
    scales[1].offset = -1;
    CHECK(scales == Scales{{2.0f, 0}, {4.0f, -1}});
    CHECK(scales != Scales{{2.0f, 0}});
    CHECK(scales.values().size() == scales.size());
}

}  // namespace quant_scales_test
