// SPDX-License-Identifier: Apache-2.0
/// One string from pieces: texts, characters and numbers.
///
///     detail::concat("expected ", 3, " channels, found ", n)
///
/// (`std::string + "..."` would do, but g++ 12 at -O2 answers it with false -Wrestrict and -Warray-bounds
/// warnings, GCC bugs 105329 and 105651.) Every call makes an array of pieces for one function that joins them:
/// most calls are of diagnostics, and would be a tenth of a program's code if they were inlined.
#pragma once
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>

#include "number.hpp"

namespace amct_distill::detail {

/// A text of somebody else's, or a short one of its own.
class Piece {
public:
    template <class Text>
    requires std::convertible_to<const Text&, std::string_view> Piece(const Text& text) {
        std::string_view const view = text;
        data_ = view.data();
        size_ = view.size();
    }
    Piece(char c) : size_(1) { own_[0] = c; }
    template <std::integral N>
    requires(!std::same_as<N, char> && !std::same_as<N, bool>) Piece(N n) {
        if constexpr (std::signed_integral<N>)
            take(static_cast<long long>(n));
        else
            take(static_cast<unsigned long long>(n));
    }
    Piece(float x) { take(x); }
    Piece(double x) { take(x); }

    std::string_view text() const { return {data_ == nullptr ? own_ : data_, size_}; }

private:
    template <class N>
    [[gnu::cold, gnu::noinline]] void take(N n) {
        std::string const text = number(n);
        size_ = text.copy(own_, sizeof own_);
    }

    const char* data_ = nullptr;  // null: own_
    std::size_t size_ = 0;
    char own_[32];  // the longest number has 24
};

inline void append(std::string& out, const Piece& piece) { out.append(piece.text()); }

[[gnu::cold, gnu::noinline]] inline std::string join(std::initializer_list<Piece> pieces) {
    std::string out;
    for (const Piece& piece : pieces) append(out, piece);
    return out;
}

template <class... Pieces>
std::string concat(const Pieces&... pieces) {
    return join({Piece(pieces)...});
}

}  // namespace amct_distill::detail
