// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/io/binary.hpp>

#include "support/catch.hpp"

namespace io_binary_test {

using namespace amct_distill;

namespace {
struct Inner {
    std::string text{};
    bool flag = false;
    friend bool operator==(const Inner&, const Inner&) = default;
};
struct Outer {
    int number = 0;
    std::vector<Inner> list{};
    std::vector<double> values{};
    Inner inner{};
    friend bool operator==(const Outer&, const Outer&) = default;
};
}  // namespace

TEST_CASE("numbers, texts, lists and aggregates are read as they were written") {
    Outer const written{-3, {{"a", true}, {std::string("\0b", 2), false}}, {0.5, -1e300}, {"end", true}};
    std::vector<float> const weights{1, 2, 3};
    detail::BinaryWriter out;
    out.put(std::uint64_t{7});
    out.put("conv1");
    out.put(written);
    out.put_values(weights);

    detail::BinaryReader in(out.text);
    std::uint64_t number = 0;
    std::string name;
    Outer read{.list = {{"old", true}}};
    std::vector<float> values(3);
    REQUIRE(in.get(number));
    REQUIRE(in.get(name));
    REQUIRE(in.get(read));
    REQUIRE(in.get_values(values));
    CHECK(in.at_end());
    CHECK(number == 7);
    CHECK(name == "conv1");
    CHECK(read == written);
    CHECK(values == weights);
}

TEST_CASE("what is cut off anywhere, or says that it is longer than it is, is refused") {
    detail::BinaryWriter out;
    out.put(Outer{-3, {{"a", true}}, {0.5}, {"end", true}});
    for (std::size_t length = 0; length != out.text.size(); ++length) {
        detail::BinaryReader in(std::string_view(out.text).substr(0, length));
        Outer read;
        CHECK_FALSE(in.get(read));
    }
    detail::BinaryWriter long_list;
    long_list.put(~std::uint64_t{0});
    std::vector<double> values;
    CHECK_FALSE(detail::BinaryReader(long_list.text).get(values));
    CHECK(values.empty());
    std::vector<float> four(4);
    detail::BinaryWriter three;
    three.put_values(std::vector<float>{1, 2, 3});
    CHECK_FALSE(detail::BinaryReader(three.text).get_values(four));
}

TEST_CASE("lists and texts without anything are read too, and what ends too early is refused") {
    detail::BinaryWriter out;
    out.put_values({});
    out.put("");
    out.put(std::vector<double>{});
    detail::BinaryReader in(out.text);
    std::string text = "old";
    std::vector<double> list{1};
    CHECK(in.get_values({}));
    CHECK(in.get(text));
    CHECK(in.get(list));
    CHECK(in.at_end());
    CHECK(text.empty());
    CHECK(list.empty());
    CHECK_FALSE(in.get_values({}));  // even the number of none takes bytes
    detail::BinaryWriter one;
    one.put_values(std::vector<float>{1});
    std::vector<float> values(1);
    CHECK_FALSE(detail::BinaryReader(std::string_view(one.text).substr(0, 11)).get_values(values));
}

}  // namespace io_binary_test
