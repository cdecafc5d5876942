// SPDX-License-Identifier: Apache-2.0
/// The nearest of some names to a misspelled one, for messages that end in "did you mean ...?".
///
///     detail::nearest("clip_maks", names)           // "clip_max", or "" when none is near
///
/// Usable in constant evaluation.
#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace amct_distill::detail {

/// Edits (insert, delete, replace, swap of neighbours) from `a` to `b`, in bytes; optimal string alignment.
/// Not counted on where they are `enough`: then `enough`.
constexpr std::size_t edit_distance(std::string_view a, std::string_view b,
                                    std::size_t enough = static_cast<std::size_t>(-1)) {
    enough = (std::min)(enough, (std::max)(a.size(), b.size()));  // there are never more
    std::vector<std::size_t> rows;  // three rows of the table; only pushed to, see reader.hpp
    std::size_t const width = b.size() + 1;
    for (std::size_t i = 0; i != 3 * width; ++i) rows.push_back((std::min)(i % width, enough));
    std::size_t now = 0, last = 0, last_but_one = 0;  // where a row begins
    std::size_t least = 0, least_before = 0;          // of the last two rows; a swap leads over one
    for (std::size_t i = 1; i <= a.size(); ++i) {
        last_but_one = last;
        last = now;
        now = i % 3 * width;
        // A cell that is `enough` columns off the diagonal has taken as many edits at least.
        std::size_t const first = i < enough ? 1 : i - enough + 1, end = (std::min)(width, i + enough);
        least_before = least;
        least = rows[now + first - 1] = (std::min)(i, enough);
        for (std::size_t j = first; j < end; ++j) {
            std::size_t edits = rows[last + j - 1] + (a[i - 1] != b[j - 1] ? 1u : 0u);
            edits = (std::min)({edits, rows[last + j] + 1, rows[now + j - 1] + 1, enough});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                edits = (std::min)(edits, rows[last_but_one + j - 2] + 1);
            rows[now + j] = edits;
            least = (std::min)(least, edits);
        }
        if (end < width) rows[now + end] = enough;
        if (least >= enough && least_before + 1 >= enough) return enough;
    }
    return rows[now + b.size()];
}

/// Which bytes a word has, of 64 kinds; one edit brings or takes one kind at most.
constexpr std::uint64_t kinds_of_bytes(std::string_view word) {
    std::uint64_t kinds = 0;
    for (char c : word) kinds |= std::uint64_t{1} << (static_cast<unsigned char>(c) % 64);
    return kinds;
}

/// The first of the names with the fewest edits: at most a third of the word's length, one at least, but not
/// all of it; empty when there is none, or when the word is too long to be a name.
template <class Names>
constexpr std::string_view nearest(std::string_view word, const Names& names) {
    constexpr std::size_t longest = 256;
    std::string_view best;
    if (word.empty() || word.size() > longest) return best;
    std::size_t least = (std::min)((std::max<std::size_t>)(word.size() / 3, 1) + 1, word.size());
    std::uint64_t const kinds = kinds_of_bytes(word);
    for (std::string_view name : names) {
        std::size_t const apart =
            name.size() > word.size() ? name.size() - word.size() : word.size() - name.size();
        if (apart >= least) continue;
        std::uint64_t const others = kinds_of_bytes(name);
        if (static_cast<std::size_t>(std::popcount(kinds & ~others)) >= least ||
            static_cast<std::size_t>(std::popcount(others & ~kinds)) >= least)
            continue;
        if (std::size_t const d = edit_distance(word, name, least); d < least) {
            least = d;
            best = name;
        }
    }
    return best;
}

}  // namespace amct_distill::detail
