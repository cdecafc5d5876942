#include <amct_distill/quant/range.hpp>

#include "support/catch.hpp"

namespace quant_range_test {

using namespace amct_distill;

TEST_CASE("a symmetric scale covers the longer side") {
    CHECK(symmetric_scale<Int8>({1.0f, -2.0f}) == ScaleOffset{2.0f / 128, 0});
    CHECK(symmetric_scale<Int8>({2.0f, -1.0f}) == ScaleOffset{2.0f / 127, 0});
    CHECK(symmetric_scale<Int8>({2.0f, -2.0f}) == ScaleOffset{2.0f / 127, 0});  // < is strict
    CHECK(symmetric_scale<Int4>({7.0f, 3.0f}) == ScaleOffset{1.0f, 0});
    CHECK(symmetric_scale<Int4>({-1.0f, -8.0f}) == ScaleOffset{1.0f, 0});
    CHECK(symmetric_scale<Int4>({7.0f, 0.0f}, 0.5f) == ScaleOffset{0.5f, 0});
}

TEST_CASE("an asymmetric scale covers the range and zero, and zero has a code") {
    CHECK(asymmetric_scale<Int8>({1.0f, -2.0f}) == ScaleOffset{3.0f / 255, 42});
    CHECK(asymmetric_scale<Int8>({255.0f, 10.0f}) == ScaleOffset{1.0f, -128});
    CHECK(asymmetric_scale<Int8>({-10.0f, -255.0f}) == ScaleOffset{1.0f, 127});
    CHECK(asymmetric_scale_learned<Int8>({1.0f, -2.0f}) == ScaleOffset{3.0f / 255, 42});
    CHECK(asymmetric_scale_learned<Int8>({-10.0f, -255.0f}) == ScaleOffset{1.0f, 127});
}

TEST_CASE("the two asymmetric offsets differ where the subtraction rounds onto a tie") {
    // -min / scale is 0.5 and a little: it rounds to 1, but -128 + 0.5 and a little is -127.5, a tie to -128.
    float const min = -std::nextafter(0.5f, 1.0f);
    ClipRange const range{255.0f + min, min};
    REQUIRE(asymmetric_scale<Int8>(range).scale == 1.0f);
    CHECK(asymmetric_scale<Int8>(range).offset == -127);
    CHECK(asymmetric_scale_learned<Int8>(range).offset == -128);
}

TEST_CASE("a scale below epsilon becomes one") {
    float const at = scale_epsilon * 127, below = std::nextafter(at, 0.0f);
    CHECK(symmetric_scale<Int8>({at, 0.0f}) == ScaleOffset{scale_epsilon, 0});
    CHECK(symmetric_scale<Int8>({below, 0.0f}) == ScaleOffset{1.0f, 0});
    CHECK(symmetric_scale<Int8>({}) == ScaleOffset{1.0f, 0});
    CHECK(asymmetric_scale<Int8>({}) == ScaleOffset{1.0f, -128});
    CHECK(asymmetric_scale_learned<Int4>({}) == ScaleOffset{1.0f, -8});
    CHECK(asymmetric_scale_learned<Int4>({NAN, NAN}) == ScaleOffset{1.0f, -8});
}

TEST_CASE("clip_of is what the codes reach") {
    CHECK(clip_of<Int8>({0.5f, 0}) == ClipRange{63.5f, -64.0f});
    CHECK(clip_of<Int4>({2.0f, -8}) == ClipRange{30.0f, 0.0f});
}

}  // namespace quant_range_test
