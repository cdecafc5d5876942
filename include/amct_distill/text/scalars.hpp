// SPDX-License-Identifier: Apache-2.0
/// The scalar values of protobuf's text format: numbers, bool, enums, strings.
#pragma once
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "../reflect/bytes.hpp"
#include "decimal.hpp"
#include "skipping.hpp"

namespace amct_distill::detail {

template <std::integral T>
requires(!std::same_as<T, bool>) constexpr std::string_view integer_name() {
    if constexpr (std::signed_integral<T>)
        return sizeof(T) == 4 ? "int32 (-2147483648 to 2147483647)"
                              : "int64 (-9223372036854775808 to 9223372036854775807)";
    else
        return sizeof(T) == 4 ? "uint32 (0 to 4294967295)" : "uint64 (0 to 18446744073709551615)";
}

/// Characters of strings that are not one piece of the text, for messages of string_view.
struct StringArena {
    std::vector<char> chars{};
    const char* placed = nullptr;  // where they will stand; null: not known yet, and no string points to them
};

/// Reads one scalar into a variable of its type. False: an error of syntax, reading stops.
class ScalarReader : public ValueSkipper {
protected:
    using ValueSkipper::ValueSkipper;

    enum class Base { none, decimal, octal, hex };
    static constexpr Base base_of(std::string_view number) {
        const char *const b = number.data(), *const e = b + number.size();
        if (grammar::match_all(grammar::whole, b, e)) return Base::decimal;
        if (grammar::match_all(grammar::octal, b, e)) return Base::octal;
        return grammar::match_all(grammar::hex, b, e) ? Base::hex : Base::none;
    }
    /// The value of a whole number; saturates far above any range.
    struct WholeNumber {
        std::uint64_t value = 0;
        bool fits = true;
    };
    static constexpr WholeNumber to_whole(std::string_view number, Base b) {
        std::uint64_t const radix = b == Base::hex ? 16 : b == Base::octal ? 8 : 10;
        number.remove_prefix(b == Base::hex ? 2 : 0);
        WholeNumber n;
        for (char c : number) {
            auto const d = static_cast<std::uint64_t>(hex_value(c));
            if (n.value > ((std::numeric_limits<std::uint64_t>::max)() - d) / radix) n.fits = false;
            n.value = n.value * radix + d;
        }
        return n;
    }
    template <std::integral T>
    requires(!std::same_as<T, bool>) constexpr bool scalar(T& v) {
        const char* const where = at_;
        constexpr std::string_view wanted = std::signed_integral<T> ? "an integer" : "an unsigned integer";
        if (std::unsigned_integral<T> && peek('-')) return wrong_type(wanted);
        bool const negative = std::signed_integral<T> && take('-');
        const char* const number_at = at_;
        std::string_view const number = token(grammar::number);
        if (number.empty()) return wrong_type(wanted);
        Base const b = base_of(number);
        if (b == Base::none) return error(number_at, say("expected ", wanted, ", found `", number, "`"));
        WholeNumber const n = to_whole(number, b);
        std::uint64_t const most =
            static_cast<std::uint64_t>((std::numeric_limits<T>::max)()) + (negative ? 1u : 0u);
        if (!n.fits || n.value > most)
            return error(where,
                         say("`", negative ? "-" : "", number, "` is out of range for ", integer_name<T>()));
        v = static_cast<T>(negative ? std::uint64_t{0} - n.value : n.value);
        return true;
    }
    constexpr bool scalar(bool& v) {
        const char* const where = at_;
        constexpr std::string_view wanted = "true or false";
        if (std::string_view const number = token(grammar::number); !number.empty()) {
            Base const b = base_of(number);
            WholeNumber const n = b == Base::none ? WholeNumber{2, false} : to_whole(number, b);
            if (!n.fits || n.value > 1)
                return error(where, say("expected ", wanted, ", found `", number, "`"));
            v = n.value == 1;
            return true;
        }
        std::string_view const word = token(grammar::identifier);
        if (word.empty()) return wrong_type(wanted);
        if (sees_foreign()) return stop(at_, say("expected ", wanted, ", found ", found()));
        v = word == "true" || word == "True" || word == "t";
        return v || word == "false" || word == "False" || word == "f" ||
               error(where, say("expected ", wanted, ", found `", word, "`"));
    }
    template <std::floating_point T>
    constexpr bool scalar(T& v) {
        constexpr std::string_view wanted = "a number";
        const char* const where = at_;
        bool const negative = take('-');
        const char* const number_at = at_;
        if (std::string_view number = token(grammar::number); !number.empty()) {
            const char *const b = number.data(), *const e = b + number.size();
            if (!grammar::match_all(grammar::decimal, b, e))
                return error(number_at, say("expected a decimal number, found `", number, "`"));
            if (number.back() == 'f' || number.back() == 'F') number.remove_suffix(1);
            v = to_floating<T>(number);
        } else if (std::string_view const word = token(grammar::identifier); !word.empty()) {
            if (sees_foreign()) return stop(at_, say("expected ", wanted, ", found ", found()));
            if (is_infinity(word))
                v = std::numeric_limits<T>::infinity();
            else if (is_nan(word))
                v = std::numeric_limits<T>::quiet_NaN();
            else
                return error(number_at, say("expected ", wanted, ", found `", word, "`"));
        } else {
            if (negative) return stop(number_at, say("expected a number after `-`, found ", found()));
            at_ = where;
            return wrong_type(wanted);
        }
        if (negative) v = -v;
        return true;
    }
    template <class E>
    requires std::is_enum_v<E>
    constexpr bool scalar(E& v) {
        const char* const where = at_;
        constexpr auto all = enumerators(E{});
        std::array<std::string_view, all.size()> names{};
        for (std::size_t i = 0; i != all.size(); ++i) names[i] = all[i].first;
        auto const wanted = [&] {
            TextBuffer list;
            for (std::size_t i = 0; i != names.size(); ++i)
                list.append(say(i == 0 ? "" : i + 1 == names.size() ? " or " : ", ", "`", names[i], "`"));
            return list;
        };
        auto const unknown = [&](std::string_view seen) {
            return error(where, say("expected ", wanted(), ", found `", seen, "`", suggestion(seen, names)));
        };
        if (std::string_view const word = token(grammar::identifier); !word.empty()) {
            for (auto const& [name, value] : all)
                if (name == word) return v = value, true;
            if (sees_foreign()) return stop(at_, say("expected ", wanted(), ", found ", found()));
            return unknown(word);
        }
        bool const negative = take('-');
        if (std::string_view const number = token(grammar::number); !number.empty()) {
            Base const b = base_of(number);
            if (b == Base::none) return unknown(number);
            WholeNumber const n = to_whole(number, b);
            for (auto const& [name, value] : all) {
                auto const known = static_cast<std::int64_t>(value);
                std::uint64_t const size = static_cast<std::uint64_t>(known < 0 ? -known : known);
                if (n.fits && size == n.value && (known < 0) == (negative && n.value != 0))
                    return v = value, true;
            }
            return unknown(
                std::string_view(where, static_cast<std::size_t>(number.data() + number.size() - where)));
        }
        if (negative) return stop(at_, say("expected a number after `-`, found ", found()));
        return wrong_type(wanted().view());
    }
    static constexpr std::string_view a_string = "a string in quotes";

    /// Appends what the quoted pieces here mean.
    template <class Out>
    constexpr bool pieces(Out& out, bool must_be_utf8) {
        const char* const where = at_;
        std::size_t const start = out.size();
        bool escapes = false;
        std::string_view piece = token(grammar::quoted);
        if (piece.empty()) return wrong_type(a_string);
        for (; !piece.empty(); piece = token(grammar::quoted)) {
            piece = piece.substr(1, piece.size() - 2);
            if (piece.find('\\') == piece.npos) {
                out.insert(out.end(), piece.begin(), piece.end());
                continue;
            }
            escapes = true;
            if (auto const bad = unescape(piece, out); !bad.message.empty()) {
                error(piece.data() + bad.offset, say(bad.message));
                while (!token(grammar::quoted).empty()) {}
                return true;
            }
        }
        // Raw bytes were checked with the whole text; escapes can spell bytes that are no UTF-8.
        if (must_be_utf8 && escapes &&
            first_invalid_utf8({out.data() + start, out.size() - start}) != std::string_view::npos)
            error(where, say("the escapes of this string do not spell valid UTF-8"));
        return true;
    }
    constexpr bool scalar(std::string& v) {
        v.clear();
        return pieces(v, true);
    }
    constexpr bool scalar(bytes& v) {
        v.clear();
        return pieces(v, false);
    }
    /// For constant evaluation: a part of the text where the string is one piece without escapes, else of the
    /// arena.
    constexpr bool scalar(std::string_view& v) {
        const char* probe = at_;
        if (arena_ == nullptr || !grammar::match(grammar::quoted, probe, end_)) return wrong_type(a_string);
        std::string_view const piece(at_ + 1, static_cast<std::size_t>(probe - at_ - 2));
        grammar::match(grammar::skipped, probe, end_);
        if (piece.find('\\') == piece.npos && (probe == end_ || (*probe != '"' && *probe != '\''))) {
            v = piece;
            at_ = probe;
            return true;
        }
        std::size_t const start = arena_->chars.size();
        if (!pieces(arena_->chars, true)) return false;
        if (arena_->placed != nullptr) v = {arena_->placed + start, arena_->chars.size() - start};
        return true;
    }
    StringArena* arena_ = nullptr;
};

}  // namespace amct_distill::detail
