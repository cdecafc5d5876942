// SPDX-License-Identifier: Apache-2.0
/// The escapes of quoted strings.
///
///     detail::unescape(R"(\101\n\u00e9)", out)      // appends "A\n\xc3\xa9"; says what is wrong otherwise
///
/// Usable in constant evaluation.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace amct_distill::detail {

constexpr int hex_value(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/// Appends a code point; `out` takes characters by push_back.
template <class Out>
constexpr void append_utf8(Out& out, std::uint32_t code) {
    auto const put = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
    if (code < 0x80) {
        put(code);
        return;
    }
    if (code < 0x800) {
        put(0xC0u | code >> 6);
    } else {
        if (code < 0x10000) {
            put(0xE0u | code >> 12);
        } else {
            put(0xF0u | code >> 18);
            put(0x80u | (code >> 12 & 0x3Fu));
        }
        put(0x80u | (code >> 6 & 0x3Fu));
    }
    put(0x80u | (code & 0x3Fu));
}

/// What is wrong with an escape, and where in the text it begins; `message` is empty when nothing is.
struct EscapeError {
    std::size_t offset = 0;
    std::string_view message{};
};

/// Appends what a quoted string's inside means. Precondition: it does not end in a lone backslash
/// (`grammar::quoted` sees to that).
template <class Out>
constexpr EscapeError unescape(std::string_view text, Out& out) {
    for (std::size_t i = 0; i < text.size();) {
        if (text[i] != '\\') {
            out.push_back(text[i++]);
            continue;
        }
        std::size_t const start = i++;
        char const c = text[i];
        std::size_t digits = 0;
        auto const number = [&](std::uint32_t base, std::size_t most) {
            std::uint32_t code = 0;
            for (; digits < most && i < text.size(); ++digits, ++i) {
                int const d = hex_value(text[i]);
                if (d < 0 || static_cast<std::uint32_t>(d) >= base) break;
                code = code * base + static_cast<std::uint32_t>(d);
            }
            return code;
        };
        if (c >= '0' && c <= '7') {
            std::uint32_t const code = number(8, 3);
            if (code > 0xFF) return {start, "octal escapes end at `\\377`"};
            out.push_back(static_cast<char>(code));
            continue;
        }
        ++i;
        if (c == 'x') {
            std::uint32_t const code = number(16, 2);
            if (digits == 0) return {start, "expected hexadecimal digits after `\\x`"};
            out.push_back(static_cast<char>(code));
        } else if (c == 'u' || c == 'U') {
            std::size_t const most = c == 'u' ? 4 : 8;
            std::uint32_t const code = number(16, most);
            if (digits != most)
                return {start, c == 'u' ? "expected four hexadecimal digits after `\\u`"
                                        : "expected eight hexadecimal digits after `\\U`"};
            if (code >= 0xD800 && code < 0xE000)
                return {start, "surrogates are no characters; write the character itself"};
            if (code > 0x10FFFF) return {start, "characters end at `\\U0010FFFF`"};
            append_utf8(out, code);
        } else {
            constexpr std::string_view names = "abfnrtv\\'\"?", values = "\a\b\f\n\r\t\v\\'\"?";
            auto const k = names.find(c);
            if (k == names.npos) return {start, "unknown escape; a backslash itself is written `\\\\`"};
            out.push_back(values[k]);
        }
    }
    return {};
}

}  // namespace amct_distill::detail
