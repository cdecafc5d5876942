// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/core/suggest.hpp>

#include <array>

#include "support/catch.hpp"

namespace core_suggest_test {

using namespace amct_distill::detail;

namespace {
constexpr std::array<std::string_view, 4> names{"clip_max", "clip_min", "fixed_min", "dst_type"};
}

TEST_CASE("edit distance counts inserted, deleted, replaced and swapped characters") {
    STATIC_REQUIRE(edit_distance("", "") == 0);
    STATIC_REQUIRE(edit_distance("", "abc") == 3);
    STATIC_REQUIRE(edit_distance("abc", "") == 3);
    STATIC_REQUIRE(edit_distance("kitten", "sitting") == 3);
    STATIC_REQUIRE(edit_distance("ab", "ba") == 1);
    CHECK(edit_distance("kitten", "sitting") == 3);
    CHECK(edit_distance("ab", "ba") == 1);
}

TEST_CASE("the nearest name is suggested when it is near") {
    STATIC_REQUIRE(nearest("clip_maks", names) == "clip_max");
    STATIC_REQUIRE(nearest("fixedmin", names) == "fixed_min");
    STATIC_REQUIRE(nearest("batch_num", names).empty());
    STATIC_REQUIRE(nearest("", names).empty());
    CHECK(nearest("clip_mxa", names) == "clip_max");
    CHECK(nearest("x", std::array<std::string_view, 1>{"f"}).empty());
    CHECK(nearest("fc", std::array<std::string_view, 1>{"fc1"}) == "fc1");
    CHECK(nearest(std::string(10000, 'x'), names).empty());
}

}  // namespace core_suggest_test
