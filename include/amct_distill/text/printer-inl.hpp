// SPDX-License-Identifier: Apache-2.0
/// The definitions of printer.hpp.
#pragma once
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "../core/number.hpp"
#include "printer.hpp"

namespace amct_distill {
namespace detail {

class TextPrinter {
public:
    explicit TextPrinter(std::string& out) : out_(out) {}

    template <class M>
    void fields_of(const M& m) {
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            (member(reflect::field_name<M, I>(), reflect::get<I>(m)), ...);
        }
        (std::make_index_sequence<reflect::field_count<M>>{});
    }

private:
    template <class F>
    void member(std::string_view name, const F& f) {
        if constexpr (std::is_same_v<F, UnknownFields>) {
            for (std::string_view rest = f.text(); !rest.empty(); rest.remove_prefix(rest.find('\n') + 1)) {
                out_.append(2 * depth_, ' ');
                out_ += rest.substr(0, rest.find('\n') + 1);
            }
        } else if constexpr (is_required<F>) {
            field(name, *f);
        } else if constexpr (is_optional<F>) {
            if (f.has_value()) field(name, *f);
        } else if constexpr (is_oneof<F>) {
            std::visit(
                [&]<class T>(const T& alternative) {
                    if constexpr (!std::is_same_v<T, std::monostate>) field(f.name(), alternative);
                },
                f.value());
        } else {
            for (const auto& element : f) field(name, element);
        }
    }
    template <class T>
    void field(std::string_view name, const T& value) {
        out_.append(2 * depth_, ' ');
        out_ += name;
        if constexpr (MessageType<T>) {
            out_ += " {\n";
            ++depth_;
            fields_of(value);
            --depth_;
            out_.append(2 * depth_, ' ');
            out_ += "}\n";
        } else {
            out_ += ": ";
            scalar(value);
            out_ += '\n';
        }
    }

    void scalar(bool v) { out_ += v ? "true" : "false"; }
    template <class T>
    requires((std::integral<T> && !std::same_as<T, bool>) || std::floating_point<T>) void scalar(T v) {
        out_ += number(v);
    }
    template <class E>
    requires std::is_enum_v<E>
    void scalar(E v) {
        for (auto const& [name, value] : enumerators(E{}))
            if (value == v) {
                out_ += name;
                return;
            }
        scalar(static_cast<std::underlying_type_t<E>>(v));
    }
    void scalar(std::string_view s) {
        out_ += '"';
        for (char c : s) {
            auto const byte = static_cast<unsigned char>(c);
            constexpr std::string_view plain = "\n\r\t\"'\\", escaped = "nrt\"'\\";
            if (auto const k = plain.find(c); k != plain.npos) {
                out_ += '\\';
                out_ += escaped[k];
            } else if (byte < 0x20 || byte >= 0x7F) {
                out_ += '\\';
                for (int shift : {6, 3, 0}) out_ += static_cast<char>('0' + (byte >> shift & 7));
            } else {
                out_ += c;
            }
        }
        out_ += '"';
    }

    std::string& out_;
    std::size_t depth_ = 0;
};

}  // namespace detail

template <class M>
requires detail::MessageType<M> std::string print(const M& message) {
    std::string out;
    detail::TextPrinter(out).fields_of(message);
    return out;
}

}  // namespace amct_distill
