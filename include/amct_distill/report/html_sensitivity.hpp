// SPDX-License-Identifier: Apache-2.0
/// What else was measured: how sensitive each layer is, and whether the integers compute what was simulated.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "html_view.hpp"

namespace amct_distill::detail::html {

inline std::string number_cell(double x, std::string_view text) {
    return cat({"<td class=\"num\" data-v=\"", value(x), "\">", text, "</td>"});
}

inline std::string sensitivity(const View& view) {
    Text const heading{"Sensitivity", "敏感度"};
    if (view.page.sensitivity.empty())
        return cat({section("sensitivity", heading, {}),
                    Text{"Not measured. <code>amct-distill analyze</code> measures it.",
                         "未测量。可用 <code>amct-distill analyze</code> 测量。"}
                        .element("p", "class=\"soft\""),
                    "</section>\n"});
    auto const worst_of = [](const LayerSensitivity& s) {
        double least = 1e9;
        for (double x : {s.weights_int4, s.weights_int8, s.data_int4, s.data_int8})
            if (x < least) least = x;
        return least;
    };
    std::vector<std::size_t> order;
    for (std::size_t k = 0; k != view.page.sensitivity.size(); ++k) order.push_back(k);
    std::ranges::stable_sort(order, {}, [&](std::size_t k) { return worst_of(view.page.sensitivity[k]); });
    bool const without = std::ranges::any_of(
        view.page.sensitivity, [](const LayerSensitivity& s) { return !std::isnan(s.noise_share); });
    std::vector<std::string> all;
    for (std::size_t k : order) {
        const LayerSensitivity& s = view.page.sensitivity[k];
        std::string& rows = all.emplace_back();
        auto const row =
            std::ranges::find(view.layers, s.name, [](const LayerView& l) { return l.layer.name; });
        append(rows, "<tr><th scope=\"row\">");
        append(rows, row == view.layers.end()
                         ? escaped(s.name)
                         : link(*row, static_cast<std::size_t>(row - view.layers.begin())));
        append(rows, "</th>");
        for (double x : {s.weights_int4, s.weights_int8, s.data_int4, s.data_int8})
            append(rows, number_cell(x, fixed(x, 1)));
        if (without)
            append(rows, cat({number_cell(s.all_but_this, fixed(s.all_but_this, 1)),
                              number_cell(s.noise_share, percent(s.noise_share, 1))}));
        // From 0 to 60 dB: INT4 at the left, INT8 at the right.
        double const a = std::clamp(s.weights_int4 / 0.6, 2.0, 98.0),
                     b = std::clamp(s.weights_int8 / 0.6, 2.0, 98.0);
        append(rows, cat({"<td style=\"--a:", plain((std::min)(a, b)), ";--b:", plain((std::max)(a, b)),
                          "\"></td></tr>\n"}));
    }
    auto const head = [](const Text& text, std::string_view classes) {
        return cat({"<th scope=\"col\"", classes, ">", text.html(), "</th>"});
    };
    auto const table = [&](std::size_t first, std::size_t last) {
        std::string rows;
        for (std::size_t k = first; k != last; ++k) append(rows, all[k]);
        return cat({"<div class=\"scroll\" tabindex=\"0\"><table class=\"bells\"><thead><tr>",
                    head({"Layer", "层"}, ""), head({"Weights INT4", "权重 INT4"}, " class=\"num\""),
                    head({"INT8", "INT8"}, " class=\"num\""),
                    head({"Inputs INT4", "数据 INT4"}, " class=\"num\""),
                    head({"INT8", "INT8"}, " class=\"num\""),
                    without ? cat({head({"All but this", "除该层外"}, " class=\"num\""),
                                   head({"Of the noise, %", "噪声占比 %"}, " class=\"num\"")})
                            : std::string(),
                    head({"0 to 60 dB: weights at INT4 ◯, at INT8 ●", "0 至 60 dB：权重 INT4 ◯，INT8 ●"}, ""),
                    "</tr></thead><tbody>\n", rows, "</tbody></table></div>\n"});
    };
    // The most sensitive are shown; many others are a click away.
    std::size_t const shown = all.size() > 15 ? 12 : all.size();
    std::string rest;
    if (shown != all.size())
        rest = cat({"<details><summary>",
                    both(cat({"The other ", all.size() - shown, " layers"}),
                         cat({"其余 ", all.size() - shown, " 层"})),
                    "</summary>", table(shown, all.size()), "</details>\n"});
    Text about{
        "The outputs’ signal to noise, dB, when this layer alone is quantized, the most sensitive first.",
        "仅量化该层时输出的信噪比（dB），最敏感的在前。"};
    if (without)
        about.add(
            {"All but this: when all layers are quantized, as planned and calibrated, but this one, and how "
             "much of the noise goes away then.",
             "除该层外：按计划量化并校准除该层外的所有层时的信噪比，以及由此减少的噪声。"});
    return cat({section("sensitivity", heading, about), table(0, shown), rest, "</section>\n"});
}

inline std::string integers(const View& view) {
    Text const heading{"Integers", "整数推理"};
    if (!view.page.verified)
        return cat(
            {section("integers", heading, {}),
             Text{"The integers were not compared with the simulation.", "未将整数推理与仿真比较。"}.element(
                 "p", "class=\"soft\""),
             "</section>\n"});
    const VerifyReport& v = *view.page.verified;
    Text about = v.agrees()
                     ? Text{"They compute what was simulated: no sum differs by more than rounding explains.",
                            "与仿真一致：没有累加和的差超出舍入可解释的范围。"}
                     : Text{
                           "They do NOT compute what was simulated: marked layers differ by more than "
                           "rounding explains.",
                           "与仿真不一致：标出的层的差超出舍入可解释的范围。"};
    about.add({cat({"Of the outputs, the mean squared difference is ", digits3(v.output_error), " (of ",
                    digits3(v.output_square), "), the largest ", digits3(v.output_largest), "."}),
               cat({"输出的均方差为 ", digits3(v.output_error), "（均方 ", digits3(v.output_square),
                    "），最大差 ", digits3(v.output_largest), "。"})});
    std::string rows;
    for (const VerifiedLayer& l : v.layers) {
        append(rows, cat({"<tr", l.largest > l.explained ? " class=\"hit\"" : "", "><th scope=\"row\">",
                          escaped(l.name), "</th>"}));
        auto const count = [&](auto n) {
            append(rows, number_cell(static_cast<double>(n), thousands(static_cast<std::size_t>(n))));
        };
        count(l.outputs);
        count(l.different);
        count(l.largest);
        count(l.explained);
        count(l.inputs);
        count(l.inputs_different);
        count(l.inputs_largest);
        count(l.requantized_channels);
        append(rows, "</tr>\n");
    }
    std::string head;
    for (const Text& name :
         {Text{"Sums", "累加和"}, Text{"differ", "不同"}, Text{"at most", "最大差"},
          Text{"explained", "可解释"}, Text{"Codes in", "输入编码"}, Text{"differ", "不同"},
          Text{"at most", "最大差"}, Text{"New codes, channels", "重新量化的通道"}})
        append(head, cat({"<th scope=\"col\" class=\"num\">", name.html(), "</th>"}));
    return cat({section("integers", heading, about), "<details", v.agrees() ? "" : " open", "><summary>",
                both("Layer by layer", "逐层"),
                "</summary><div class=\"scroll\" tabindex=\"0\"><table><thead><tr><th scope=\"col\">",
                both("Layer", "层"), "</th>", head, "</tr></thead><tbody>\n", rows,
                "</tbody></table></div></details>\n</section>\n"});
}

}  // namespace amct_distill::detail::html
