// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/run/function_ref.hpp>

#include <string>
#include <type_traits>

#include "support/catch.hpp"

namespace function_ref_test {

using amct_distill::detail::function_ref;

int apply(function_ref<int(int)> f, int x) { return f(x); }
std::string text(function_ref<std::string(const std::string&, char)> f) { return f("ab", 'c'); }

struct Counter {
    int calls = 0;
    int operator()(int x) { return ++calls, x; }
};

TEST_CASE("a function_ref calls what it refers to, changing or not") {
    Counter counter;
    CHECK(apply(counter, 3) == 3);
    CHECK(apply(counter, 4) == 4);
    CHECK(counter.calls == 2);
    int const k = 10;
    auto const add = [&](int x) { return x + k; };
    CHECK(apply(add, 1) == 11);
    CHECK(apply([](int x) { return -x; }, 1) == -1);
    CHECK(text([](const std::string& s, char c) { return s + c; }) == "abc");
}

TEST_CASE("a copy refers to the same, and what does not fit does not convert") {
    Counter counter;
    function_ref<int(int)> const one(counter), two = one;
    CHECK(one(1) + two(2) == 3);
    CHECK(counter.calls == 2);
    STATIC_REQUIRE_FALSE(std::is_convertible_v<int, function_ref<int(int)>>);
    auto const wants_text = [](const std::string&) { return 0; };
    STATIC_REQUIRE_FALSE(std::is_convertible_v<decltype(wants_text), function_ref<int(int)>>);
}

}  // namespace function_ref_test
