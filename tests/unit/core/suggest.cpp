// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/core/suggest.hpp>

#include <algorithm>
#include <array>
#include <random>
#include <string>

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

TEST_CASE("an edit distance is counted no further than it is asked for") {
    STATIC_REQUIRE(edit_distance("kitten", "sitting", 3) == 3);
    STATIC_REQUIRE(edit_distance("kitten", "sitting", 2) == 2);
    std::mt19937 random(1);
    for (int k = 0; k != 2000; ++k) {
        std::string a(random() % 7, 'a'), b(random() % 7, 'a');
        for (std::string* s : {&a, &b})
            for (char& c : *s) c = static_cast<char>('a' + random() % 3);
        INFO(a << ' ' << b);
        for (std::size_t enough = 0; enough != 9; ++enough)
            CHECK(edit_distance(a, b, enough) == std::min(edit_distance(a, b), enough));
    }
}

TEST_CASE("the nearest name is the first that has the fewest edits") {
    std::mt19937 random(2);
    auto const any_word = [&](std::size_t most) {
        std::string s(1 + random() % most, 'a');
        for (char& c : s) c = static_cast<char>('a' + random() % 12);
        return s;
    };
    int found = 0;
    for (int k = 0; k != 3000; ++k) {
        std::string const word = any_word(9);
        std::array<std::string, 5> list;
        std::size_t least = std::min(std::max<std::size_t>(word.size() / 3, 1) + 1, word.size());
        std::string_view expected;
        for (std::string& name : list) {
            name = any_word(9);
            if (random() % 2 == 0) (name = word)[random() % word.size()] = 'z';
            if (std::size_t const d = edit_distance(word, name); d < least) least = d, expected = name;
        }
        INFO(word);
        CHECK(nearest(word, list) == expected);
        found += !expected.empty();
    }
    CHECK(found > 1000);
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
