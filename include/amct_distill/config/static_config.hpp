// SPDX-License-Identifier: Apache-2.0
/// A configuration that the compiler reads: a wrong one does not compile.
///
///     using config = static_config<R"(distill_weight_quant_config { arq_distill { dst_type: INT4 } })">;
///     static_assert(config::value.distill_weight_quant_config.has_value());
///     static_config<"batch_nun: 1">::value;     // does not compile:
///     // invalid_configuration<... "1:1: unknown field `batch_nun`; did you mean `batch_num`?"...>
///
/// `value` is a constexpr aggregate of string_view and static_list. The grammar and the messages are those of
/// read(). g++ shows a message as a string, clang as a list of characters (`'1', ':', '1'`, ...), and every
/// compiler with static_assert messages of C++26 as what static_assert says.
///
/// Under the default limits of constant evaluation a text of 16 kB compiles everywhere (clang 14 and 19: 16
/// kB but not 24 kB; g++ 12: 32 kB but not 64 kB), in about 6 s; -fconstexpr-steps (clang) and
/// -fconstexpr-ops-limit (g++) lift it. An algorithm of one's own may have scalar settings here, but no
/// std::string and no lists: they cannot outlive constant evaluation.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "../core/fixed_string.hpp"
#include "../text/text_reader.hpp"
#include "messages.hpp"

namespace amct_distill {

/// Elements that stand somewhere in static storage.
template <class T>
class static_list : public std::span<const T> {
public:
    constexpr static_list() = default;
    template <std::size_t N>
    constexpr static_list(const std::array<T, N>& elements) : std::span<const T>(elements) {}
    friend constexpr bool operator==(const static_list& a, const static_list& b) {
        return std::equal(a.begin(), a.end(), b.begin(), b.end());
    }
};

/// Storage of a configuration that came out of constant evaluation.
struct StaticStorage {
    using string = std::string_view;
    template <class T>
    using list = static_list<T>;
};

namespace detail {

/// Storage of a configuration in the middle of constant evaluation.
struct TransientStorage {
    using string = std::string_view;
    template <class T>
    using list = std::vector<T>;
};

/// The same value, its message with another storage.
template <class To, class From>
constexpr To with_storage(const From& from) {
    if constexpr (std::is_same_v<To, From>) {
        return from;
    } else {
        return [&]<std::size_t... I>(std::index_sequence<I...>) { return To{reflect::get<I>(from)...}; }
        (std::make_index_sequence<reflect::field_count<From>>{});
    }
}

/// A text, and the messages that constant evaluation reads it into and keeps.
template <fixed_string Text, class Algorithms>
struct StaticSource {
    static constexpr std::string_view text = Text.view();
    using transient = BasicConfig<Algorithms, TransientStorage>;
    using frozen = BasicConfig<Algorithms, StaticStorage>;
    static constexpr std::size_t fields = reflect::field_count<transient>;
    using indices = std::make_index_sequence<fields>;
    template <std::size_t I>
    static constexpr bool is_list = ListField<reflect::field_type<transient, I>>;
};

/// What is allocated in constant evaluation cannot leave it, so the first reading counts for the others.
template <class Source>
struct StaticSurvey {
    bool ok = false;
    std::array<std::size_t, Source::fields> sizes{};  // of the lists
    std::size_t arena = 0;
    std::size_t errors = 0;
    std::size_t message_characters = 0;
};

inline constexpr ReaderOptions static_options{};

constexpr TextBuffer note_text(std::string_view text, const ReaderNote& note) {
    Position const where = position_of(text, note.offset);
    return say(where.line, ':', where.column, ": ", note.path, note.path.empty() ? "" : ": ", note.message);
}

template <class Source>
constexpr StaticSurvey<Source> make_survey() {
    StaticSurvey<Source> s;
    StringArena arena;
    TextReader reader(Source::text, static_options, arena);
    auto m = blank_message<typename Source::transient>();
    s.ok = reader.read(m);
    s.arena = arena.chars.size();
    s.errors = reader.notes().size();
    for (const ReaderNote& note : reader.notes())
        s.message_characters += note_text(Source::text, note).view().size();
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        auto const count = [&]<std::size_t K>(std::integral_constant<std::size_t, K>) {
            if constexpr (Source::template is_list<K>) s.sizes[K] = reflect::get<K>(m).size();
        };
        (count(std::integral_constant<std::size_t, I>{}), ...);
    }
    (typename Source::indices{});
    return s;
}
template <class Source>
inline constexpr StaticSurvey<Source> surveyed = make_survey<Source>();

// ---- a good text

template <class Source>
constexpr auto make_static_chars() {
    std::array<char, surveyed<Source>.arena + 1> out{};
    if constexpr (surveyed<Source>.arena != 0) {
        StringArena arena;
        auto m = blank_message<typename Source::transient>();
        TextReader(Source::text, static_options, arena).read(m);
        for (std::size_t i = 0; i != surveyed<Source>.arena; ++i) out[i] = arena.chars[i];
    }
    return out;
}
template <class Source>
inline constexpr auto static_chars = make_static_chars<Source>();

/// A list as an array, anything else as it is.
template <class Source, std::size_t I>
constexpr auto static_part(const typename Source::transient& m) {
    if constexpr (Source::template is_list<I>) {
        using element = typename reflect::field_type<typename Source::frozen, I>::value_type;
        return [&]<std::size_t... K>(std::index_sequence<K...>) {
            return std::array<element, sizeof...(K)>{with_storage<element>(reflect::get<I>(m)[K])...};
        }
        (std::make_index_sequence<surveyed<Source>.sizes[I]>{});
    } else {
        return reflect::get<I>(m);
    }
}
template <class Source>
constexpr auto make_static_parts() {
    StringArena arena;
    arena.placed = static_chars<Source>.data();
    auto m = blank_message<typename Source::transient>();
    TextReader(Source::text, static_options, arena).read(m);
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
        return std::tuple(static_part<Source, I>(m)...);
    }
    (typename Source::indices{});
}
template <class Source>
inline constexpr auto static_parts = make_static_parts<Source>();

// ---- a bad one

template <class Source>
struct StaticMessages {
    std::array<std::size_t, surveyed<Source>.errors + 1> ends{};
    std::array<char, surveyed<Source>.message_characters> chars{};
};
template <class Source>
constexpr auto make_static_messages() {
    StaticMessages<Source> out;
    StringArena arena;
    TextReader reader(Source::text, static_options, arena);
    auto m = blank_message<typename Source::transient>();
    reader.read(m);
    std::size_t n = 0, end = 0;
    for (const ReaderNote& note : reader.notes()) {
        TextBuffer const text = note_text(Source::text, note);
        for (char c : text.view()) out.chars[end++] = c;
        out.ends[++n] = end;
    }
    return out;
}
template <class Source>
inline constexpr auto all_messages = make_static_messages<Source>();

template <class Source, std::size_t I>
constexpr auto static_message() {
    constexpr std::size_t start = all_messages<Source>.ends[I],
                          size = all_messages<Source>.ends[I + 1] - start;
    fixed_string<size + 1> out;
    for (std::size_t i = 0; i != size; ++i) out.text[i] = all_messages<Source>.chars[start + i];
    return out;
}

#if defined(__cpp_static_assert) && __cpp_static_assert >= 202306L
template <fixed_string Message>
struct invalid_configuration {
    static_assert(Message.view().empty(), Message.view());
};
template <fixed_string Message>
using report_invalid = invalid_configuration<Message>;
#elif defined(__clang__)
template <char... Message>  // clang abbreviates strings in its messages, but no lists of characters
struct invalid_configuration {
    static_assert(sizeof...(Message) == 0,
                  "the configuration is wrong: see invalid_configuration<'line:column: what'>");
};
template <fixed_string Message, std::size_t... I>
invalid_configuration<Message.text[I]...> spelled(std::index_sequence<I...>);
template <fixed_string Message>
using report_invalid = decltype(spelled<Message>(std::make_index_sequence<Message.view().size()>{}));
#else
template <fixed_string Message>
struct invalid_configuration {
    static_assert(Message.view().empty(),
                  "the configuration is wrong: see invalid_configuration<\"line:column: what\">");
};
template <fixed_string Message>
using report_invalid = invalid_configuration<Message>;
#endif

/// Does not compile when the text is bad: each of its bases then says what is wrong.
template <class Source, class = std::make_index_sequence<surveyed<Source>.errors>>
struct valid_configuration;
template <class Source, std::size_t... I>
struct valid_configuration<Source, std::index_sequence<I...>>
    : report_invalid<static_message<Source, I>()>... {};

template <class Source>
constexpr typename Source::frozen static_value() {
    if constexpr (surveyed<Source>.ok) {
        return []<std::size_t... I>(std::index_sequence<I...>) {
            return typename Source::frozen{std::get<I>(static_parts<Source>)...};
        }
        (typename Source::indices{});
    } else {
        return {};
    }
}

}  // namespace detail

/// A configuration read by the compiler.
template <fixed_string Text, class Algorithms = StandardAlgorithms>
struct static_config : private detail::valid_configuration<detail::StaticSource<Text, Algorithms>> {
    static constexpr BasicConfig<Algorithms, StaticStorage> value =
        detail::static_value<detail::StaticSource<Text, Algorithms>>();
};

}  // namespace amct_distill
