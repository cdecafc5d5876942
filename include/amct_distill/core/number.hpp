// SPDX-License-Identifier: Apache-2.0
/// Numbers as text. Every number in every output comes from here: with a decimal point and without grouping,
/// whatever the process's locale is.
///
///     number(0.1f)                                     // "0.1": the shortest that reads back; "nan", "-inf"
///     number(1234567)                                    // "1234567"
///     number(0.00125, std::chars_format::scientific, 2)  // "1.25e-03"
///     number(48.93, std::chars_format::fixed, 1)         // "48.9"
#pragma once
#include <charconv>
#include <cmath>
#include <concepts>
#include <limits>
#include <string>

namespace amct_distill {

template <std::integral N>
requires(!std::same_as<N, bool>) std::string number(N value) {
    char text[std::numeric_limits<N>::digits10 + 3];
    return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

/// The shortest text that reads back as the same number.
template <std::floating_point T>
std::string number(T value) {
    if (std::isnan(value)) return "nan";  // whatever its sign
    char text[64];
    return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

/// The shortest text in that format that reads back as the same number.
template <std::floating_point T>
std::string number(T value, std::chars_format format) {
    if (std::isnan(value)) return "nan";
    char text[std::numeric_limits<T>::max_exponent10 + std::numeric_limits<T>::max_digits10 + 16];
    return {text, std::to_chars(text, text + sizeof text, value, format).ptr};
}

/// As printf's `%.2e`, `%.2f` or `%.2g` for 2 digits, in the C locale.
template <std::floating_point T>
std::string number(T value, std::chars_format format, int digits) {
    if (std::isnan(value)) return "nan";
    std::string text(static_cast<std::size_t>(std::numeric_limits<T>::max_exponent10 + digits + 16), '\0');
    text.resize(static_cast<std::size_t>(
        std::to_chars(text.data(), text.data() + text.size(), value, format, digits).ptr - text.data()));
    return text;
}

namespace detail {

using amct_distill::number;

/// Three digits: "1.25e-03".
inline std::string short_number(double x) { return number(x, std::chars_format::scientific, 2); }
inline std::string percent(double part) { return number(100 * part, std::chars_format::fixed, 2) + " %"; }

}  // namespace detail
}  // namespace amct_distill
