// SPDX-License-Identifier: Apache-2.0
/// Text of the report page: escaped, in two languages, and numbers as people read them.
///
///     escaped("<conv> & \"x\"")             // "&lt;conv&gt; &amp; &quot;x&quot;"
///     both("float", "浮点")                 // <span lang="en">float</span><span lang="zh">浮点</span>
///     fixed(-1.25, 1)                        // "−1.3", with a minus sign
///     thousands(14000)                       // "14 000", with narrow no-break spaces
#pragma once
#include <charconv>
#include <cmath>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>

#include "../core/number.hpp"
#include "../core/utf8.hpp"

namespace amct_distill::detail::html {

/// A piece of text, or a whole number, that a longer one is made of. (`concat` of core/ makes a function of
/// every combination of lengths of literals: the page's were a fifth of the compile time of all headers.)
class Part {
public:
    Part(const char* text) : text_(text) {}
    Part(std::string_view text) : text_(text) {}
    Part(const std::string& text) : text_(text) {}
    Part(char c) : own_{c}, size_(1) {}
    Part(int n) { take(number(n)); }
    Part(std::size_t n) { take(number(n)); }
    std::string_view text() const { return size_ == 0 ? text_ : std::string_view(own_, size_); }

private:
    void take(const std::string& digits) { size_ = digits.copy(own_, sizeof own_); }

    std::string_view text_{};
    char own_[24] = {};
    std::size_t size_ = 0;  // of `own_`; 0: `text_`
};
inline std::string cat(std::initializer_list<Part> parts) {
    std::size_t size = 0;
    for (const Part& part : parts) size += part.text().size();
    std::string out;
    out.reserve(size);
    for (const Part& part : parts) out.append(part.text());
    return out;
}
inline void append(std::string& out, std::string_view text) { out.append(text); }

/// For text and for attributes in quotes. What is not UTF-8, and control characters, are U+FFFD.
inline std::string escaped(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        auto const byte = static_cast<unsigned char>(text[0]);
        std::size_t const length = byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
        std::string_view const one = text.substr(0, length);
        bool const valid = length <= text.size() && first_invalid_utf8(one) == one.npos;
        // Marks that turn the direction of all that follows, too.
        bool const turns =
            valid && ((one >= "\u202A" && one <= "\u202E") || (one >= "\u2066" && one <= "\u2069"));
        if (!valid || turns || (byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7F) {
            append(out, "\uFFFD");
            text.remove_prefix(valid ? length : 1);
            continue;
        }
        switch (text[0]) {
            case '<':
                append(out, "&lt;");
                break;
            case '>':
                append(out, "&gt;");
                break;
            case '&':
                append(out, "&amp;");
                break;
            case '"':
                append(out, "&quot;");
                break;
            case '\'':
                append(out, "&#39;");
                break;
            default:
                append(out, one);
        }
        text.remove_prefix(length);
    }
    return out;
}

/// HTML in both languages; once where they are the same.
inline std::string both(std::string_view en, std::string_view zh) {
    if (en == zh) return std::string(en);
    return cat({"<span lang=\"en\">", en, "</span><span lang=\"zh\">", zh, "</span>"});
}
/// A sentence in both languages, before it is put into an element.
struct Text {
    std::string en{}, zh{};
    std::string html() const { return both(en, zh); }
    bool empty() const { return en.empty(); }
    /// An element for each language.
    std::string element(std::string_view tag, std::string_view attributes = "") const {
        std::string_view const space = attributes.empty() ? "" : " ";
        return cat({"<", tag, space, attributes, " lang=\"en\">", en, "</", tag, "><", tag, space, attributes,
                    " lang=\"zh\">", zh, "</", tag, ">"});
    }
    void add(const Text& more) {
        append(en, cat({en.empty() ? "" : " ", more.en}));
        append(zh, more.zh);
    }
};

/// A minus sign in place of the hyphen, and exponents without leading zeros.
inline std::string typeset(std::string_view number) {
    std::string out;
    for (std::size_t i = 0; i != number.size(); ++i) {
        if (number[i] == '-')
            append(out, "−");
        else if (number[i] == '+' ||
                 (number[i] == '0' && i >= 2 && i + 1 != number.size() && number[i - 2] == 'e'))
            continue;
        else
            out += number[i];
    }
    return out;
}
/// "–" for what is not a number, "∞" for what is exact.
inline std::string fixed(double x, int digits) {
    if (std::isnan(x)) return "–";
    if (std::isinf(x)) return x < 0 ? "−∞" : "∞";
    return typeset(number(x, std::chars_format::fixed, digits));
}
/// Three digits: "0.0906", "6.76e−6".
inline std::string digits3(double x) {
    if (std::isnan(x)) return "–";
    if (std::isinf(x)) return x < 0 ? "−∞" : "∞";
    return typeset(number(x, std::chars_format::general, 3));
}
/// Percent of a part of 1, without the sign.
inline std::string percent(double part, int digits) { return fixed(100 * part, digits); }

inline std::string thousands(std::size_t n) {
    std::string const plain = number(n);
    std::string out;
    for (std::size_t i = 0; i != plain.size(); ++i) {
        if (i != 0 && (plain.size() - i) % 3 == 0) append(out, "\u202F");
        out += plain[i];
    }
    return out;
}
/// "10.9 kB", "13.95 MB".
inline std::string bytes(double n) {
    if (n < 1e3) return cat({fixed(n, 0), "\u00A0B"});
    if (n < 1e6) return cat({fixed(n / 1e3, 1), "\u00A0kB"});
    if (n < 1e9) return cat({fixed(n / 1e6, 2), "\u00A0MB"});
    return cat({fixed(n / 1e9, 2), "\u00A0GB"});
}
/// "4.6 k", "301 M".
inline std::string short_count(double n) {
    if (n < 1e3) return fixed(n, 0);
    char const unit = n < 1e6 ? 'k' : n < 1e9 ? 'M' : 'G';
    double const x = n < 1e6 ? n / 1e3 : n < 1e9 ? n / 1e6 : n / 1e9;
    return cat({fixed(x, x < 100 ? 1 : 0), "\u00A0", unit});
}
inline std::string db(double x) { return cat({fixed(x, 1), "\u00A0dB"}); }

/// In full, as JSON has it: for sorting, and to be compared. Empty where JSON has null.
inline std::string value(double x) { return std::isfinite(x) ? number(x) : std::string(); }

/// An attribute for drawing: a plain number of two digits.
inline std::string plain(double x) {
    double const rounded = std::round(100 * x) / 100;
    return number(std::isfinite(rounded) ? rounded + 0.0 : 0.0);
}

/// The heading of a section, with what it is about. `about` may be empty.
inline std::string section(std::string_view id, const Text& heading, const Text& about) {
    return cat({"<section id=\"", id, "\" aria-labelledby=\"", id, "-h\">\n<header><h2 id=\"", id, "-h\">",
                heading.html(), "</h2>", about.empty() ? std::string() : about.element("p"), "</header>\n"});
}

}  // namespace amct_distill::detail::html
