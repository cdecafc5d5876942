// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/size.hpp>

#include <limits>

#include "support/catch.hpp"

namespace onnx_size_test {

using namespace amct_distill;
using onnx::Shape;
using onnx::Size;
constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max(), least = -most - 1;

Shape resolved(Shape from, Shape target, std::optional<std::int64_t> exported = {}) {
    return onnx::reshape(from, target, false, exported).value();
}
std::string error_of(Shape from, Shape target, bool allow_zero = false,
                     std::optional<std::int64_t> exported = {}) {
    auto const r = onnx::reshape(from, target, allow_zero, exported);
    return r ? "no error" : to_string(r.diagnostics());
}

TEST_CASE("sizes that depend on the batch are added, multiplied and divided") {
    constexpr Size n = Size::of_batch();
    STATIC_REQUIRE(*onnx::add(n, 3) == Size(3, 1));
    STATIC_REQUIRE(*onnx::multiply(n, 12) == Size(0, 12));
    STATIC_REQUIRE(*onnx::multiply(-1, Size(2, 3)) == Size(-2, -3));
    STATIC_REQUIRE(*onnx::subtract(n, n) == Size(0));
    STATIC_REQUIRE(*onnx::divide(Size(0, 12), 4) == Size(0, 3));
    STATIC_REQUIRE(*onnx::divide(Size(0, 12), Size(0, 4)) == Size(3));
    STATIC_REQUIRE(*onnx::divide(7, 2) == Size(3));
    STATIC_REQUIRE(*onnx::divide(-7, 2) == Size(-3));
    STATIC_REQUIRE_FALSE(onnx::divide(Size(0, 12), 5));
    STATIC_REQUIRE_FALSE(onnx::divide(Size(1, 12), 4));
    STATIC_REQUIRE_FALSE(onnx::divide(3, 0));
    STATIC_REQUIRE_FALSE(onnx::divide(3, n));
    STATIC_REQUIRE_FALSE(onnx::multiply(n, n));
    STATIC_REQUIRE(Size(1, 3).at(4) == 13);
}

TEST_CASE("nothing overflows") {
    CHECK_FALSE(onnx::add(most, 1));
    CHECK_FALSE(onnx::multiply(most, 2));
    CHECK_FALSE(onnx::multiply(2, Size(0, most)));
    CHECK_FALSE(onnx::subtract(least, 1));
    CHECK_FALSE(onnx::divide(least, -1));
    CHECK(*onnx::divide(least, 1) == Size(least));
    CHECK_FALSE(onnx::less(most, -2));
    CHECK_FALSE(onnx::equal(Size(most, 1), 0));
    CHECK_FALSE(onnx::product(Shape{most, 2}));
    CHECK_FALSE(onnx::product(Shape{Size::of_batch(), Size::of_batch()}));
}

TEST_CASE("what is true for every batch is decided") {
    constexpr Size n = Size::of_batch();
    STATIC_REQUIRE(*onnx::equal(n, n));
    STATIC_REQUIRE_FALSE(*onnx::equal(n, -1));  // N >= 1
    STATIC_REQUIRE_FALSE(*onnx::equal(n, 0));
    STATIC_REQUIRE_FALSE(onnx::equal(n, 1).has_value());
    STATIC_REQUIRE_FALSE(onnx::equal(n, 5).has_value());
    STATIC_REQUIRE_FALSE(*onnx::equal(Size(1, 1), 1));
    STATIC_REQUIRE(*onnx::less(0, n));
    STATIC_REQUIRE_FALSE(*onnx::less(n, 1));
    STATIC_REQUIRE_FALSE(onnx::less(n, 2).has_value());
    STATIC_REQUIRE(*onnx::less(2, 3));
    for (std::int64_t fixed = -4; fixed <= 4; ++fixed)  // against trying batches
        for (std::int64_t batch = -2; batch <= 2; ++batch)
            for (std::int64_t other = -4; other <= 4; ++other) {
                Size const s(fixed, batch);
                auto const l = onnx::less(s, other), e = onnx::equal(s, other);
                for (std::int64_t samples = 1; samples != 20; ++samples) {
                    if (l && *l != (s.at(samples) < other)) FAIL(to_string(s) << " < " << other);
                    if (e && *e != (s.at(samples) == other)) FAIL(to_string(s) << " == " << other);
                }
            }
}

TEST_CASE("sizes and shapes are printed") {
    CHECK(to_string(Size(3)) == "3");
    CHECK(to_string(Size::of_batch()) == "N");
    CHECK(to_string(Size(0, -1)) == "-N");
    CHECK(to_string(Size(1, 3)) == "3N + 1");
    CHECK(to_string(Size(-1, 3)) == "3N - 1");
    CHECK(to_string(Shape{Size::of_batch(), 3, 8}) == "[N, 3, 8]");
    CHECK(to_string(Shape{}) == "[]");
}

TEST_CASE("Reshape finds its sizes with a free batch") {
    Size const n = Size::of_batch();
    CHECK(resolved({n, 64, 4, 4}, {0, -1}) == Shape{n, 1024});
    CHECK(resolved({n, 64, 4, 4}, {n, 1024}) == Shape{n, 1024});
    CHECK(resolved({n, 64, 4, 4}, {-1, 1024}) == Shape{n, 1024});
    CHECK(resolved({n, 64, 4, 4}, {-1, 16}) == Shape{Size(0, 64), 16});
    CHECK(resolved({Size(0, 12), 8}, {n, 12, -1}) == Shape{n, 12, 8});
    CHECK(resolved({2, 6}, {3, -1}) == Shape{3, 4});
    CHECK(resolved({}, {1, 1}) == Shape{1, 1});
    CHECK(resolved({0, 3}, {0, 7}) == Shape{0, 7});
}

TEST_CASE("the batch that an exporter saw becomes free where the rest fits") {
    Size const n = Size::of_batch();
    CHECK(resolved({n, 64, 4, 4}, {1, 1024}, 1) == Shape{n, 1024});
    CHECK(resolved({n, 64, 4, 4}, {1, -1}, 1) == Shape{n, 1024});
    CHECK(resolved({n, 8, 16}, {2, 8, 4, 4}, 2) == Shape{n, 8, 4, 4});
}

TEST_CASE("what has no such shape says why") {
    Size const n = Size::of_batch();
    CHECK(error_of({2, 6}, {5, -1}) ==
          "error: a tensor [2, 6] has no shape [5, -1]: the number of elements differs");
    CHECK_THAT(error_of({2, 6}, {-1, -1}), Catch::Contains("more than one -1"));
    CHECK_THAT(error_of({2, 6}, {2, 6, 0}),
               Catch::Contains("a 0 that keeps a dimension which the tensor does not"));
    CHECK_THAT(error_of({2, 6}, {-2, 6}), Catch::Contains("a negative size"));
    CHECK_THAT(error_of({2, 6}, {0, 6}, true), Catch::Contains("differs"));
    CHECK_THAT(error_of({n, 6}, {n, n}), Catch::Contains("the square of the batch"));
    CHECK_THAT(error_of({n, 6}, {1, 6}), Catch::Contains("differs"));
    CHECK_THAT(error_of({n, 6}, {3, 6}, false, 1), Catch::Contains("differs"));
}

TEST_CASE("the least integer divided by -1 is no size") {
    CHECK_FALSE(onnx::divide(least, -1));
    CHECK_FALSE(onnx::divide(Size(0, least), Size(0, -1)));
    CHECK(onnx::divide(Size(0, 12), Size(0, -1)) == Size(-12));
    CHECK(onnx::divide(Size(-24, 12), Size(2, -1)) == Size(-12));
    CHECK_FALSE(onnx::divide(Size(1, 12), Size(0, -1)));
}

}  // namespace onnx_size_test
