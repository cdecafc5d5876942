// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/deploy/cpp_text.hpp>

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"

namespace deploy_cpp_text_test {

using namespace amct_distill;
using detail::cpp_literal;

namespace {

constexpr std::string_view lower = "abcdefghijklmnopqrstuvwxyz", upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                           digits = "0123456789";

bool is_any_of(char c, std::initializer_list<std::string_view> lists) {
    return std::ranges::any_of(lists, [c](std::string_view l) { return l.find(c) != l.npos; });
}
std::vector<char> all_bytes() {
    std::vector<char> out;
    for (int i = 0; i != 256; ++i) out.push_back(static_cast<char>(static_cast<unsigned char>(i)));
    return out;
}

}  // namespace

TEST_CASE("every byte of a text is spelled so that C++ reads it again") {
    for (char c : all_bytes()) {
        auto const byte = static_cast<unsigned char>(c);
        INFO(static_cast<int>(byte));
        std::string const found = cpp_literal(std::string_view(&c, 1));
        REQUIRE(found.size() >= 3);
        CHECK(found.front() == '"');
        CHECK(found.back() == '"');
        std::string const inside = found.substr(1, found.size() - 2);
        if (c == '\n') {
            CHECK(inside == "\\n");
        } else if (byte < 32 || byte == 127) {  // three digits, which no digit after them makes longer
            REQUIRE(inside.size() == 4);
            CHECK(inside[0] == '\\');
            CHECK(std::stoi(inside.substr(1), nullptr, 8) == byte);
        } else if (c == '"' || c == '\\') {
            CHECK(inside == std::string("\\") + c);
        } else {
            CHECK(inside == std::string(1, c));
        }
    }
    CHECK(cpp_literal("") == "\"\"");
}

TEST_CASE("numbers are spelled with their type") {
    CHECK(cpp_literal(-5) == "-5");
    CHECK(cpp_literal(std::numeric_limits<std::int64_t>::min()) == "-9223372036854775808");
    CHECK(cpp_literal(std::numeric_limits<float>::infinity()) == "std::numeric_limits<float>::infinity()");
    CHECK(cpp_literal(-std::numeric_limits<float>::infinity()) == "-std::numeric_limits<float>::infinity()");
    CHECK(cpp_literal(std::numeric_limits<double>::quiet_NaN()) ==
          "std::numeric_limits<double>::quiet_NaN()");
    CHECK(cpp_literal(0.0f) == "0.0f");
    CHECK(cpp_literal(-0.0f) == "-0.0f");
    CHECK(cpp_literal(1e30) == "1e+30");
    CHECK(cpp_literal(3.0) == "3.0");
}

TEST_CASE("an identifier has letters, digits and underscores, and a letter in front") {
    for (char c : all_bytes()) {
        INFO(static_cast<int>(c));
        std::string const first{c}, later{'a', c};
        CHECK(detail::is_cpp_identifier(first) == is_any_of(c, {lower, upper}));
        CHECK(detail::is_cpp_identifier(later) == is_any_of(c, {lower, upper, digits, "_"}));
        // The name of a layer becomes one.
        detail::CppNames names;
        bool const letter = is_any_of(c, {lower, upper}), digit = is_any_of(c, {digits});
        CHECK(names.add(first) == (letter ? first : digit ? "layer_" + first : "layer"));
        CHECK(detail::CppNames{}.add("x" + first + "y") == (letter || digit ? "x" + first + "y" : "x_y"));
    }
    CHECK_FALSE(detail::is_cpp_identifier(""));
    CHECK_FALSE(detail::is_cpp_identifier("a__b"));
    CHECK(detail::is_cpp_identifier("a_b_"));
    for (std::string_view word : {"alignas", "int", "xor_eq", "co_yield", "while"})
        CHECK(detail::is_cpp_keyword(word));
    for (std::string_view word : {"", "Int", "in", "ints", "xor_e"})
        CHECK_FALSE(detail::is_cpp_keyword(word));
}

TEST_CASE("names that are alike get numbers, from 2") {
    detail::CppNames names;
    CHECK(names.add("a.b") == "a_b");
    CHECK(names.add("a/b") == "a_b_2");
    CHECK(names.add("a b") == "a_b_3");
    CHECK(names.add("a_b_2") == "a_b_2_2");
    CHECK(names.add("int") == "layer_int");
    CHECK(names.add("layer_int") == "layer_int_2");
    CHECK(names.add("...") == "layer");
}

TEST_CASE("a list stands in one line of at most 110 columns, or in lines of its own, each of at most 110") {
    for (std::size_t n = 0; n != 80; ++n)
        for (int value : {7, 10, 100, 1000}) {
            std::vector<int> const items(n, value);
            std::string const text = detail::cpp_array("int", "name", items);
            INFO(text);
            std::string one = "    static constexpr std::array<int, " + std::to_string(n) + "> name{";
            for (std::size_t i = 0; i != n; ++i) one += (i == 0 ? "" : ", ") + std::to_string(value);
            one += "};\n";
            // Two columns are left free: a line of 109 is the longest.
            if (one.size() - 1 < 107 + 3) {
                CHECK(text == one);
                continue;
            }
            std::vector<std::string> lines(1);
            for (char c : text)
                if (c == '\n')
                    lines.emplace_back();
                else
                    lines.back() += c;
            REQUIRE(lines.size() >= 4);
            CHECK(lines.front() == one.substr(0, one.find('{') + 1));
            CHECK(lines[lines.size() - 2] == "    };");
            CHECK(lines.back().empty());
            std::size_t const width = std::to_string(value).size();
            std::size_t left = n;
            for (std::size_t l = 1; l != lines.size() - 2; ++l) {
                CHECK(lines[l].starts_with("        " + std::to_string(value) + ","));
                auto const count = static_cast<std::size_t>(std::ranges::count(lines[l], ','));
                CHECK(lines[l].size() == 8 + count * (width + 2) - 1);
                // As many as there is room for, with the comma.
                CHECK(lines[l].size() <= 110);
                if (count != left) CHECK(lines[l].size() + width + 2 > 110);
                left -= count;
            }
            CHECK(left == 0);
        }
}

}  // namespace deploy_cpp_text_test
