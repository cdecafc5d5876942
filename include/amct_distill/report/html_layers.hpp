// SPDX-License-Identifier: Apache-2.0
/// The table of all layers. Each cell has its number in full as `data-v`, which the script sorts by.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>

#include "html_hurts.hpp"
#include "html_view.hpp"

namespace amct_distill::detail::html {

/// The place of a setting: a link to the configuration's line where the page has it.
inline std::string origin(const View& view, const PageLayer& layer) {
    if (layer.from_line == 0) return escaped(layer.from);
    std::string_view const from = layer.from;
    std::size_t const at = from.rfind(" at ");
    std::string const place = escaped(at == from.npos ? from : from.substr(at + 4));
    if (view.page.run.config_text.empty()) return place;
    return cat({"<a href=\"#c", layer.from_line, "\" title=\"", escaped(from), "\">", place, "</a>"});
}

class LayerTable {
public:
    LayerTable(const View& view, bool one_data) : view_(view), one_data_(one_data) {}

    std::string html() {
        std::string body;
        for (std::size_t k = 0; k != view_.layers.size(); ++k) append(body, row(k));
        return cat({"<table><thead><tr>", head(), "</tr></thead><tbody>\n", body, "</tbody></table>"});
    }

private:
    /// `first`: what a click on it puts on top, "up" the least, "down" the greatest, "text" the alphabet.
    static std::string column(std::string_view first, const Text& name, std::string_view classes = "num") {
        return cat({"<th scope=\"col\" class=\"", classes, "\"",
                    first.empty() ? std::string() : cat({" data-first=\"", first, "\""}), ">", name.html(),
                    "</th>"});
    }
    std::string head() const {
        std::string out = cat({column("up", {"#", "#"}), column("text", {"Layer", "层"}, "stick"),
                               column("text", {"Shape", "形状"}, "l")});
        if (view_.has_outputs) append(out, column("up", {"Output dB", "输出 dB"}));
        if (view_.has_shares) append(out, column("down", {"Noise %", "噪声 %"}));
        append(out, cat({column("up", {"Weights dB", "权重 dB"}), column("up", {"Inputs dB", "数据 dB"}),
                         column("down", {"Outside %", "范围外 %"}), column("down", {"Dead", "失效通道"}),
                         column("text", {"Weights", "权重"}, "l")}));
        if (!one_data_) append(out, column("text", {"Inputs", "数据"}, "l"));
        append(out, cat({column("down", {"Scale", "缩放因子"}),
                         column("down", {"Inputs: scale, offset", "数据缩放、偏移"}),
                         column("down", {"Clips", "截断范围"})}));
        if (view_.knows_sizes)
            append(out, cat({column("down", {"Params", "参数量"}), column("down", {"Mult.", "乘法"})}));
        append(out, column("text", {"From", "来源"}, "l"));
        return out;
    }

    static std::string cell(double sorted_by, std::string_view text, std::string_view attributes = "") {
        return cat({"<td data-v=\"", value(sorted_by), "\"", attributes, ">", text, "</td>"});
    }
    static std::string text_cell(std::string_view text) {
        return cat({"<td class=\"l\">", text.empty() ? std::string_view("–") : text, "</td>"});
    }
    /// With a bar below it, 2 % of the width for a decibel.
    static std::string db_cell(std::string_view which, double x) {
        double const bar = std::isnan(x) ? 0 : std::clamp(x, 0.0, 50.0);
        return cat({"<td class=\"", which, "\" data-v=\"", value(x), "\" style=\"--v:", plain(bar), "\">",
                    fixed(x, 1), "</td>"});
    }
    static std::string chip(double x) {
        return std::isnan(x) ? fixed(x, 1)
                             : cat({"<span class=\"chip ", shade(x), "\">", fixed(x, 1), "</span>"});
    }
    static std::string scales(const LayerReport& r, double& greatest) {
        if (r.weight_scales.empty()) return "–";
        auto const [low, high] = std::ranges::minmax(r.weight_scales, {}, &ScaleOffset::scale);
        greatest = static_cast<double>(high.scale);
        auto const text = digits3(static_cast<double>(low.scale));
        return low.scale == high.scale ? text : cat({text, " … ", digits3(greatest)});
    }
    /// "ulq INT4": the algorithm without what all of them end in.
    static std::string algorithm(std::string_view description, int bits) {
        std::string_view name = AlgorithmText(description).name;
        for (std::string_view end : {"_distill", "_quantize"})
            if (name.ends_with(end)) name.remove_suffix(end.size());
        return cat({"<span title=\"", escaped(description), "\">", escaped(name), " INT", bits, "</span>"});
    }

    std::string row(std::size_t k) const {
        const LayerView& l = view_.layers[k];
        const LayerReport* const r = l.report;
        double const none = not_known;
        auto const of = [&](auto f) { return r == nullptr ? none : static_cast<double>(f(*r)); };
        std::string out = cat({"<tr id=\"l", k, "\"", l.hurts != 0 ? " class=\"hit\"" : "", ">",
                               cell(static_cast<double>(k + 1), number(k + 1)), "<th scope=\"row\">",
                               escaped(l.layer.name), "</th>", text_cell(escaped(l.layer.shape))});
        if (view_.has_outputs) append(out, cell(l.output, chip(l.output)));
        if (view_.has_shares) append(out, cell(l.share, percent(l.share, 1)));
        append(out, db_cell("w", of([](const auto& x) { return x.weight_sqnr; })));
        append(out, db_cell("d", of([](const auto& x) { return x.data_sqnr; })));
        double const outside = of([](const auto& x) { return x.saturation; });
        append(out, cell(outside, percent(outside, 2), outside > 0.01 ? " class=\"bad\"" : ""));
        double const dead = of([](const auto& x) { return x.dead_channels.size(); });
        append(out, cell(dead, fixed(dead, 0), dead > 0 ? " class=\"bad\"" : ""));
        if (r == nullptr) {
            append(out, text_cell(both("float", "浮点")));
            if (!one_data_) append(out, text_cell(both("float", "浮点")));
            for (int column = 0; column != 3; ++column) append(out, cell(none, "–"));
        } else {
            double greatest = none;
            auto const scale = scales(*r, greatest);
            append(out, text_cell(algorithm(r->weight_algorithm, r->weight_bits)));
            if (!one_data_) append(out, text_cell(algorithm(r->data_algorithm, r->data_bits)));
            append(out, cell(greatest, scale));
            auto const s = static_cast<double>(r->data_scale.scale);
            append(out, cell(s, cat({digits3(s), ", ", typeset(number(r->data_scale.offset))})));
            auto const low = static_cast<double>(r->data_clip.min),
                       high = static_cast<double>(r->data_clip.max);
            append(out, cell(high, cat({digits3(low), " … ", digits3(high), r->user_clips ? "*" : ""})));
        }
        if (view_.knows_sizes) {
            append(out, cell(static_cast<double>(l.layer.weights), thousands(l.layer.weights)));
            auto const count = static_cast<double>(l.layer.multiplications);
            append(out, cell(count, short_count(count)));
        }
        return cat({out, text_cell(origin(view_, l.layer)), "</tr>\n"});
    }

    const View& view_;
    bool one_data_;  // all inputs are quantized alike: the note below says how
};

inline std::string layers(const View& view) {
    Text about{
        "SQNR: signal to quantization noise; 6 dB are about one bit. Weights and inputs: the layer’s own "
        "rounding.",
        "SQNR：信号与量化噪声之比，6 dB 约等于 1 位。权重与数据：该层自身的舍入。"};
    if (view.has_outputs)
        about.add({"Output: against the teacher’s, with the noise of all layers before it.",
                   "输出：相对教师网络，含之前各层的噪声。"});
    Text note{"▲ marks the layers that hurt. Scale: least … greatest channel. –: in float, or not measured.",
              "▲ 为问题层。缩放因子：各通道最小 … 最大。–：浮点或未测量。"};
    if (std::ranges::any_of(view.page.report.layers, &LayerReport::user_clips))
        note.add({"*: the first clips were yours, not IFMR’s.", "*：初始截断范围由配置给定，而非 IFMR。"});
    const auto& quantized = view.page.report.layers;
    bool const one_data = !quantized.empty() && std::ranges::all_of(quantized, [&](const LayerReport& r) {
        return r.data_algorithm == quantized[0].data_algorithm;
    });
    if (one_data) {
        std::string const how = escaped(quantized[0].data_algorithm);
        note.add(
            {cat({"Inputs of all quantized layers: ", how, "."}), cat({"所有量化层的数据：", how, "。"})});
    }
    return cat({section("layers", {"Layers", "各层"}, about), "<form class=\"tools\" hidden><label>",
                both("Find", "查找"),
                " <input type=\"search\" id=\"find\" size=\"18\"></label><output id=\"count\" ",
                "class=\"soft\"></output></form>\n",
                "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"layers-h\">",
                LayerTable(view, one_data).html(), "</div>\n", note.element("p", "class=\"soft\""),
                "\n</section>\n"});
}

}  // namespace amct_distill::detail::html
