// SPDX-License-Identifier: Apache-2.0
/// Signal to noise along the network: a bar for each layer, weights, inputs and outputs below each other.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "html_view.hpp"

namespace amct_distill::detail::html {

/// One panel; values that are not known have no bar. `classes` is "w", "d" or "o".
inline std::string bar_panel(const View& view, std::string_view classes, const Text& name, const Text& about,
                             const std::vector<double>& values) {
    std::vector<std::size_t> known;
    for (std::size_t k = 0; k != values.size(); ++k)
        if (!std::isnan(values[k])) known.push_back(k);
    if (known.empty()) return {};
    std::vector<std::size_t> order = known;
    std::ranges::stable_sort(order, {}, [&](std::size_t k) { return values[k]; });
    double const median = values[order[order.size() / 2]];
    order.resize(std::clamp<std::size_t>(order.size() / 2, 1, 3));
    // With few layers each has its name and value; else the lowest have their value.
    bool const few = known.size() <= 8;
    std::string bars, axis;
    for (std::size_t k : known) {
        bool const worst = std::ranges::find(order, k) != order.end();
        std::string_view const mark = worst ? " class=\"worst\"" : "";
        append(bars, cat({"<a href=\"#l", k, "\" tabindex=\"-1\" title=\"",
                          escaped(view.layers[k].layer.name), " ", db(values[k]), "\"", mark,
                          " style=\"--v:", plain(std::clamp(values[k], 0.0, 60.0)), "\"></a>"}));
        std::string label;
        if (few)
            label = cat({escaped(view.layers[k].layer.name), " ", fixed(values[k], 1)});
        else if (worst)
            label = fixed(values[k], 1);
        append(axis, cat({"<i", mark, ">", label, "</i>"}));
    }
    std::string_view const columns =
        few ? " style=\"grid-auto-columns:minmax(0,9rem);justify-content:start\"" : "";
    return cat({"<div class=\"panel ", classes, "\"><div><h3>", name.html(), "</h3><p class=\"soft\">",
                about.html(), "<br>", both("median", "中位数"), " ", db(median),
                "</p></div><div class=\"bars\" aria-hidden=\"true\"", columns, ">", bars,
                "</div><div class=\"axis\" aria-hidden=\"true\"", columns, ">", axis, "</div></div>\n"});
}

inline std::string bars(const View& view) {
    std::vector<double> weights, data, outputs;
    for (const LayerView& l : view.layers) {
        weights.push_back(l.report == nullptr ? not_known : l.report->weight_sqnr);
        data.push_back(l.report == nullptr ? not_known : l.report->data_sqnr);
        outputs.push_back(l.output);
    }
    return cat({section("sqnr", {"SQNR along the network", "沿网络的 SQNR"},
                        {"One bar for each layer, from input to output, 10 dB a line, at most 60. The lowest "
                         "stand out.",
                         "每层一条，从输入到输出，每条横线 10 dB，最高 60；最低的几条最醒目。"}),
                bar_panel(view, "w", {"Weights", "权重"}, {"the layer’s own", "该层自身"}, weights),
                bar_panel(view, "d", {"Inputs", "数据"}, {"the layer’s own", "该层自身"}, data),
                view.has_outputs
                    ? bar_panel(view, "o", {"Output", "输出"}, {"with all before it", "含之前各层"}, outputs)
                    : Text{"Output: not observed.", "输出：未观测。"}.element("p", "class=\"soft\""),
                "</section>\n"});
}

}  // namespace amct_distill::detail::html
