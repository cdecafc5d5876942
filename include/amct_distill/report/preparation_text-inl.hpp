// SPDX-License-Identifier: Apache-2.0
/// The definitions of preparation_text.hpp.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "../core/concat.hpp"
#include "../core/inline.hpp"
#include "../core/number.hpp"
#include "../core/wrap.hpp"
#include "preparation_text.hpp"

namespace amct_distill {
namespace detail {

/// "`a`: why; `b`: why.", at most some of them.
template <class Others>
std::string others_text(std::string_view these, const Others& others, std::size_t width) {
    if (others.empty()) return {};
    constexpr std::size_t most = 5;
    std::string text(these);
    for (std::size_t k = 0; k != others.size() && k != most; ++k)
        text += concat(k == 0 ? " `" : "; `", others[k].layer, "`: ", others[k].why);
    if (others.size() > most) text += concat("; and ", others.size() - most, " more");
    return wrapped(text + '.', width);
}

}  // namespace detail

AMCT_DISTILL_INLINE std::string to_table(const EqualizeReport& report, std::size_t width) {
    using detail::short_number;
    std::string out;
    if (!report.pairs.empty()) {
        Table table({{.heading = "outputs of", .least = 10},
                     {.heading = "read by", .least = 10},
                     {.heading = "channels", .drop = 1},
                     {"narrowest"},
                     {"now"},
                     {"widest"},
                     {"now"}});
        for (const EqualizedPair& p : report.pairs)
            table.add({p.first, p.second, number(p.channels), short_number(p.narrowest_before),
                       short_number(p.narrowest_after), short_number(p.widest_before),
                       short_number(p.widest_after)});
        out = table.text(width);
    }
    return out + detail::others_text("Not equalized:", report.others, width);
}

AMCT_DISTILL_INLINE std::string to_table(const BiasReport& report, std::size_t width) {
    using detail::short_number;
    std::string out;
    if (!report.layers.empty()) {
        Table table({{.heading = "layer", .least = 10},
                     {.heading = "bias of", .least = 10, .drop = 1},
                     {"shift"},
                     {"deviation"}});
        for (const CorrectedBias& l : report.layers)
            table.add({l.layer, l.into, short_number(l.shift), short_number(l.deviation)});
        out = table.text(width);
    }
    return out + detail::others_text("Not corrected:", report.others, width);
}

}  // namespace amct_distill
