// SPDX-License-Identifier: Apache-2.0
/// A module's options, an aggregate, as text and back, by reflection.
///
///     detail::options_text(Conv2dOptions{...});   // "in_channels: 1 ... kernel: [3, 3] ... bias: true"
///     detail::read_options<Conv2dOptions>(text);  // error: an unknown option, a value of another kind ...
///
/// An option is a number, a flag, a text, an enumerator (by its number) or a list of those: std::array or
/// std::vector. A module with options of its own needs nothing else to be printed, saved and loaded.
#pragma once
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

#include "../core/concat.hpp"
#include "../core/number.hpp"
#include "../core/result.hpp"
#include "../reflect/fields.hpp"
#include "../text/decimal.hpp"

namespace amct_distill::detail {

template <class V>
concept OptionList = requires(const V& v) {
    v.begin();
    v.size();
    typename V::value_type;
}
&&!std::is_convertible_v<const V&, std::string_view>;

inline void put_text_option(std::string& out, std::string_view text) {
    out += '"';
    for (char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    out += '"';
}
template <class V>
void put_option(std::string& out, const V& value) {
    if constexpr (std::is_convertible_v<const V&, std::string_view>) {
        put_text_option(out, value);
    } else if constexpr (std::is_same_v<V, bool>) {
        out += value ? "true" : "false";
    } else if constexpr (std::is_enum_v<V>) {
        put_option(out, static_cast<std::underlying_type_t<V>>(value));
    } else if constexpr (std::is_arithmetic_v<V>) {
        append(out, number(value));
    } else {
        static_assert(
            OptionList<V>,
            "an option is a number, a flag, a text, an enumerator, or a std::array or std::vector of those");
        out += '[';
        for (std::size_t i = 0; i != value.size(); ++i) {
            if (i != 0) out += ", ";
            put_option(out, value[i]);
        }
        out += ']';
    }
}

template <class O>
std::string options_text(const O& options) {
    std::string out;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        ((out += I == 0 ? "" : " ", out += reflect::field_name<O, I>(), out += ": ",
          put_option(out, reflect::get<I>(options))),
         ...);
    }
    (std::make_index_sequence<reflect::field_count<O>>{});
    return out;
}

/// Takes options from a text, from its beginning on.
class OptionsReader {
public:
    explicit OptionsReader(std::string_view rest) : rest_(rest) {}

    bool at_end() { return skip(), rest_.empty(); }
    /// Whether the next is this text.
    bool take(std::string_view text) {
        skip();
        if (!rest_.starts_with(text)) return false;
        rest_.remove_prefix(text.size());
        return true;
    }
    /// The next word of letters, digits and `_`.
    std::string_view word() {
        skip();
        std::size_t n = 0;
        while (n != rest_.size() &&
               (rest_[n] == '_' || (rest_[n] >= '0' && rest_[n] <= '9') ||
                (rest_[n] >= 'a' && rest_[n] <= 'z') || (rest_[n] >= 'A' && rest_[n] <= 'Z')))
            ++n;
        std::string_view const found = rest_.substr(0, n);
        rest_.remove_prefix(n);
        return found;
    }
    template <class V>
    bool value(V& to) {
        if constexpr (std::is_same_v<V, bool>) {
            if (take("true")) return to = true, true;
            return take("false") && (to = false, true);
        } else if constexpr (std::is_enum_v<V>) {
            std::underlying_type_t<V> number{};
            if (!value(number)) return false;
            to = static_cast<V>(number);
            return true;
        } else if constexpr (std::is_floating_point_v<V>) {
            bool const negative = take("-");
            if (take("inf")) return to = std::numeric_limits<V>::infinity() * (negative ? -1 : 1), true;
            if (take("nan")) return to = std::numeric_limits<V>::quiet_NaN(), true;
            std::size_t const n = decimal_length(rest_);
            if (n == 0) return false;
            to = to_floating<V>(rest_.substr(0, n)) * (negative ? -1 : 1);
            rest_.remove_prefix(n);
            return true;
        } else if constexpr (std::is_arithmetic_v<V>) {
            skip();
            auto const [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), to);
            if (error != std::errc{}) return false;
            rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
            return true;
        } else if constexpr (std::is_same_v<V, std::string>) {
            if (!take("\"")) return false;
            to.clear();
            while (!rest_.empty() && rest_.front() != '"') {
                if (rest_.front() == '\\') rest_.remove_prefix(1);
                if (rest_.empty()) return false;
                to += rest_.front();
                rest_.remove_prefix(1);
            }
            return take("\"");
        } else {
            if (!take("[")) return false;
            std::size_t n = 0;
            if constexpr (requires { to.clear(); }) to.clear();
            while (!take("]")) {
                if (n != 0 && !take(",")) return false;
                if constexpr (requires { to.emplace_back(); }) {
                    if (!value(to.emplace_back())) return false;
                } else {
                    if (n == to.size() || !value(to[n])) return false;
                }
                ++n;
            }
            return n == to.size();
        }
    }
    std::string_view rest() const { return rest_; }

private:
    /// How much of the beginning is a decimal number: digits, a fraction, an exponent that has digits.
    static std::size_t decimal_length(std::string_view text) {
        auto const after_digits = [&](std::size_t at) {
            while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
            return at;
        };
        std::size_t end = after_digits(0);
        if (end == 0) return 0;
        if (end < text.size() && text[end] == '.') end = after_digits(end + 1);
        if (end < text.size() && (text[end] == 'e' || text[end] == 'E')) {
            bool const is_signed = end + 1 < text.size() && (text[end + 1] == '+' || text[end + 1] == '-');
            std::size_t const digits = end + (is_signed ? 2 : 1);
            if (std::size_t const last = after_digits(digits); last != digits) end = last;
        }
        return end;
    }
    void skip() {
        while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t')) rest_.remove_prefix(1);
    }
    std::string_view rest_;
};

/// The options that `options_text` wrote. An option that the text does not name keeps its default; one that
/// the aggregate does not have is an error, as is a value of another kind.
template <class O>
result<O> read_options(std::string_view text) {
    O options{};
    OptionsReader reader(text);
    while (!reader.at_end()) {
        std::string_view const name = reader.word();
        if (name.empty() || !reader.take(":"))
            return general_error(
                concat("expected `option: value`, found `", reader.rest().substr(0, 20), "`"));
        bool known = false, read = false;
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            ((reflect::field_name<O, I>() == name
                  ? (known = true, read = reader.value(reflect::get<I>(options)))
                  : false),
             ...);
        }
        (std::make_index_sequence<reflect::field_count<O>>{});
        if (!known) return general_error(concat("unknown option `", name, "`"));
        if (!read) return general_error(concat("option `", name, "`: its value cannot be read"));
    }
    return options;
}

}  // namespace amct_distill::detail
