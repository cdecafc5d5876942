// SPDX-License-Identifier: Apache-2.0
/// Histograms of each layer's weights and inputs, with the clips and the codes between them.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "html_view.hpp"

namespace amct_distill::detail::html {

/// What the codes of a tensor can stand for, and how far apart they are.
struct CodeRangeText {
    double low = 0, high = 0, step = 0;
    int bits = 0;
};
/// Of the channel with the greatest step.
inline CodeRangeText weight_range(const LayerReport& r) {
    double step = 0;
    for (const ScaleOffset& s : r.weight_scales) step = (std::max)(step, static_cast<double>(s.scale));
    double const half = std::ldexp(1.0, r.weight_bits - 1);
    return {-half * step, (half - 1) * step, step, r.weight_bits};
}
inline CodeRangeText data_range(const LayerReport& r) {
    return {static_cast<double>(r.data_clip.min), static_cast<double>(r.data_clip.max),
            static_cast<double>(r.data_scale.scale), r.data_bits};
}

/// One histogram, 100 wide and 66 high, counts on a log scale; `codes` may be null.
inline std::string histogram(const ValueHistogram& h, std::string_view classes, const CodeRangeText* codes) {
    constexpr double top = 54, base = 56;
    double least = h.least, greatest = h.greatest;
    if (codes != nullptr) {
        least = (std::min)(least, codes->low);
        greatest = (std::max)(greatest, codes->high);
    }
    if (!(greatest > least)) {
        least -= 0.5;
        greatest += 0.5;
    }
    double const margin = 0.02 * (greatest - least);
    auto const x = [&](double v) { return 100 * (v - least + margin) / (greatest - least + 2 * margin); };
    // Neighbours together, so that a bin has enough values for its height to mean something.
    std::vector<std::size_t> counts((h.counts.size() + 1) / 2, 0);
    for (std::size_t i = 0; i != h.counts.size(); ++i) counts[i / 2] += h.counts[i];
    std::size_t const most = counts.empty() ? 1 : *std::ranges::max_element(counts);
    double const tall = std::log1p(static_cast<double>(most));
    double const width = h.width == 0 ? (greatest - least) / 32 : 2 * h.width;
    std::string bars;
    for (std::size_t i = 0; i != counts.size(); ++i) {
        if (counts[i] == 0) continue;
        double const from = h.low + static_cast<double>(i) * width;
        double const y = base - top * std::log1p(static_cast<double>(counts[i])) / tall;
        double const a = x((std::max)(from, h.least - width / 4)),
                     b = x((std::min)(from + width, h.greatest + width / 4));
        append(bars,
               cat({"M", plain(a), " ", plain(base), "V", plain(y), "H", plain(b), "V", plain(base), "z"}));
    }
    std::string out = cat({"<svg viewBox=\"0 0 100 66\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"});
    if (codes != nullptr) {  // what is cut off
        double const a = x(codes->low), b = x(codes->high);
        if (h.least < codes->low) append(out, cat({"<path class=\"out\" d=\"M0 2H", plain(a), "V56H0z\"/>"}));
        if (h.greatest > codes->high)
            append(out, cat({"<path class=\"out\" d=\"M", plain(b), " 2H100V56H", plain(b), "z\"/>"}));
    }
    append(out,
           cat({"<path class=\"h ", classes, "\" d=\"", bars, "\"/><path class=\"base\" d=\"M0 56H100\"/>"}));
    if (codes != nullptr) {
        double const a = x(codes->low), b = x(codes->high);
        append(out, cat({"<path class=\"clip\" d=\"M", plain(a), " 2V62M", plain(b), " 2V62\"/>"}));
        std::string ticks;  // each code, where they can be told apart; else a band
        double const step = x(least + codes->step) - x(least);
        if (step > 1.2)
            for (double at = a; at <= b + step / 2; at += step) append(ticks, cat({"M", plain(at), " 59v5"}));
        append(out, step > 1.2 ? cat({"<path class=\"clip\" d=\"", ticks, "\"/>"})
                               : cat({"<path class=\"band\" d=\"M", plain(a), " 60H", plain(b), "V64H",
                                      plain(a), "z\"/>"}));
    }
    return cat({out, "</svg>"});
}

/// As little room as there is below a histogram.
inline std::string digits2(double x) { return typeset(number(x, std::chars_format::general, 2)); }

inline std::string histogram_pair(const View& view, std::size_t k) {
    const LayerView& l = view.layers[k];
    CodeRangeText weights, data;
    if (l.report != nullptr) {
        weights = weight_range(*l.report);
        data = data_range(*l.report);
    }
    auto const ends = [](const ValueHistogram& h, const std::string& middle) {
        return cat({"<span>", digits2(h.least), "</span><span>", middle, "</span><span>", digits2(h.greatest),
                    "</span>"});
    };
    std::string const step = l.report == nullptr ? std::string() : cat({"Δ ", digits2(weights.step)});
    std::string outside;
    if (l.report != nullptr)
        outside = cat({l.report->saturation > 0.01 ? "<span class=\"bad\">" : "<span>",
                       percent(l.report->saturation, 2), "\u00A0%</span>"});
    return cat({"<figure><h3>", link(l, k), "</h3><div class=\"pair\"><div>",
                histogram(l.values->weights, "hw", l.report == nullptr ? nullptr : &weights),
                "<div class=\"ends\">", ends(l.values->weights, step), "</div></div><div>",
                histogram(l.values->data, "hd", l.report == nullptr ? nullptr : &data),
                "<div class=\"ends\">", ends(l.values->data, outside), "</div></div></div></figure>\n"});
}

inline std::string values(const View& view, std::size_t most) {
    Text const heading{"Values and codes", "数值与编码"};
    if (!view.has_outputs)
        return cat({section("values", heading, {}),
                    Text{"Histograms: not observed.", "直方图：未观测。"}.element("p", "class=\"soft\""),
                    "</section>\n"});
    Text about{
        "Left weights, right inputs before they are clipped; counts on a log scale, so that the tails show. "
        "Vertical lines: what the codes reach. Shaded: values beyond them, which are clipped. Ticks or band "
        "below: the codes. Δ: the step between two codes, in the channel where it is greatest; %: share "
        "of the inputs outside.",
        "左为权重，右为截断前的输入数据；计数为对数坐标，以便看清尾部。竖线：编码所及范围；阴影：被截断的值；"
        "下方刻度或色带：各编码。Δ：最大通道的编码步长；%：范围外数据的占比。"};
    about.add({cat({"From ", thousands(view.page.observed->samples), " samples."}),
               cat({"取自 ", thousands(view.page.observed->samples), " 个样本。"})});
    // Those that hurt are open; the others, the most noise first as far as the limit goes, in network order.
    std::vector<std::size_t> rest;
    for (std::size_t k = 0; k != view.layers.size(); ++k)
        if (view.layers[k].hurts == 0 && view.layers[k].values != nullptr) rest.push_back(k);
    std::size_t const all = rest.size();
    most = most > view.worst.size() ? most - view.worst.size() : 0;
    if (rest.size() > most) {
        std::ranges::stable_sort(rest, [&](std::size_t a, std::size_t b) {
            double const x = view.layers[a].own, y = view.layers[b].own;
            return std::isnan(y) ? !std::isnan(x) : x < y;
        });
        rest.resize(most);
        std::ranges::sort(rest);
    }
    std::string out = section("values", heading, about), pairs;
    for (std::size_t k : view.worst)
        if (view.layers[k].values != nullptr) append(pairs, histogram_pair(view, k));
    if (!pairs.empty())
        append(out, cat({"<details open><summary>", both("The layers that hurt", "问题层"),
                         "</summary><div class=\"multi\">\n", pairs, "</div></details>\n"}));
    for (std::size_t first = 0; first < rest.size(); first += 12) {
        std::size_t const last = (std::min)(first + 12, rest.size());
        bool const only = last - first == rest.size() && rest.size() == all;
        Text summary{cat({"Layers ", rest[first] + 1, " – ", rest[last - 1] + 1}),
                     cat({"第 ", rest[first] + 1, " – ", rest[last - 1] + 1, " 层"})};
        if (only) summary = pairs.empty() ? Text{"All layers", "所有层"} : Text{"The other layers", "其他层"};
        append(out, cat({"<details", pairs.empty() && first == 0 ? " open" : "", "><summary>", summary.html(),
                         "</summary><div class=\"multi\">\n"}));
        for (std::size_t i = first; i != last; ++i) append(out, histogram_pair(view, rest[i]));
        append(out, "</div></details>\n");
    }
    if (rest.size() != all)
        append(out, Text{cat({"Left out: ", all - rest.size(), " layers with less noise of their own."}),
                         cat({"省略了自身噪声较小的 ", all - rest.size(), " 层。"})}
                        .element("p", "class=\"soft\""));
    return cat({out, "</section>\n"});
}

}  // namespace amct_distill::detail::html
