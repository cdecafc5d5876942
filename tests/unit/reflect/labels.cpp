// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/reflect/labels.hpp>

#include "support/catch.hpp"

namespace reflect_labels_test {

using namespace amct_distill;

namespace {
struct Polite {
    optional<std::uint32_t, 2u> bows{};
    friend bool operator==(const Polite&, const Polite&) = default;
};
struct Rude {
    friend bool operator==(const Rude&, const Rude&) = default;
};
struct Tone {
    Polite polite;
    Rude rude;
};
struct Greeting {
    required<std::string> name;
    optional<std::uint32_t, 1u> times{};
    oneof<Tone> tone{};
    repeated<std::string> languages{};
    friend bool operator==(const Greeting&, const Greeting&) = default;
};
template <class M>
concept default_constructible_by_evaluation = requires {
    typename std::integral_constant<int, (M{}, 0)>;
};
}  // namespace

TEST_CASE("a message is spelled as in the schema, and knows its defaults") {
    Greeting const g{.name = "Ada", .tone = Polite{}};
    CHECK(*g.name == "Ada");
    CHECK(g.name->size() == 3);
    CHECK_FALSE(g.times.has_value());
    CHECK(g.times.get() == 1);
    CHECK(g.tone.name() == "polite");
    CHECK(g.tone.get_if<Polite>()->bows.get() == 2);
    CHECK(g.tone.get_if<Rude>() == nullptr);

    Greeting h = g;
    h.times = 3u;
    CHECK(h.times.get() == 3);
    CHECK(g != h);
    h.times.reset();
    CHECK(g == h);
    h.tone.emplace<1>();
    CHECK(h.tone.name() == "rude");
    CHECK(oneof<Tone>{}.name().empty());
    h.tone.emplace<0>().bows = 5u;
    CHECK(h.tone.get_if<Polite>()->bows.get() == 5);
}

TEST_CASE("alternatives are set by the compiler too") {
    constexpr auto set = [] {
        oneof<Tone> tone{};
        tone.emplace<1>();
        tone.emplace<0>().bows = 3u;
        return tone;
    };
    STATIC_REQUIRE(set().name() == "polite");
    STATIC_REQUIRE(set().get_if<Polite>()->bows.get() == 3);
}

TEST_CASE("a required field cannot be left out") {
    STATIC_REQUIRE_FALSE(default_constructible_by_evaluation<required<int>>);
    STATIC_REQUIRE_FALSE(default_constructible_by_evaluation<Greeting>);
    // What is being read begins with its required fields blank.
    CHECK(detail::blank_message<Greeting>().name->empty());
}

TEST_CASE("an optional bool does not convert to bool: it would ask the wrong question") {
    STATIC_REQUIRE_FALSE(std::is_constructible_v<bool, optional<bool>>);
    STATIC_REQUIRE(std::is_constructible_v<bool, optional<float>>);
}

TEST_CASE("places are remembered and do not count for equality") {
    optional<float> a = 1.0f, b = 1.0f;
    a.set_position({3, 4});
    CHECK(a == b);
    CHECK(a.position() == Position{3, 4});
    CHECK(b.position() == Position{});

    repeated<std::string> list{"x"};
    CHECK(list.position(0) == Position{});
    list.push_back("y");
    list.note_position({7, 1});
    CHECK(list.position(1) == Position{7, 1});
    CHECK(list == repeated<std::string>{"x", "y"});
    list.erase(list.begin());  // whose place is whose is not known any more
    CHECK(list.position(0) == Position{});
}

TEST_CASE("the fields of a text are the members, a oneof replaced by its alternatives") {
    constexpr auto& fields = detail::text_fields<Greeting>;
    STATIC_REQUIRE(fields.size() == 5);
    STATIC_REQUIRE(fields[0].name == "name");
    STATIC_REQUIRE(fields[3].name == "rude");
    STATIC_REQUIRE(fields[3].member == 2);
    STATIC_REQUIRE(fields[3].alternative == 1);
    STATIC_REQUIRE(fields[4].name == "languages");
}

}  // namespace reflect_labels_test
