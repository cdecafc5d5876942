// SPDX-License-Identifier: Apache-2.0
/// The layers that hurt, each with its cause and a remedy to paste into the configuration.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "html_view.hpp"

namespace amct_distill::detail::html {

/// The algorithm of "arq_distill, INT4, channel_wise", and whether each channel has its scale.
struct AlgorithmText {
    explicit AlgorithmText(std::string_view description)
        : name(description.substr(0, description.find(','))),
          channel_wise(description.find(", channel_wise") != description.npos) {}
    std::string_view name;
    bool channel_wise;
};

/// How many times as wide the widest channel is as the narrowest; 1 with one scale.
inline double channel_spread(const LayerReport& r) {
    double low = 0, high = 0;
    for (const ScaleOffset& s : r.weight_scales) {
        auto const x = static_cast<double>(s.scale);
        if (low == 0 || x < low) low = x;
        high = (std::max)(high, x);
    }
    return low == 0 ? 1 : high / low;
}

inline Text cause(const LayerView& l) {
    const LayerReport& r = *l.report;
    auto const w = cat({"INT", r.weight_bits}), d = cat({"INT", r.data_bits});
    Text text;
    if (r.weight_sqnr <= r.data_sqnr - 3)
        text = {cat({"The ", w, " weights make most of its noise"}), cat({"噪声主要来自 ", w, " 权重"})};
    else if (r.data_sqnr <= r.weight_sqnr - 3)
        text = {cat({"The ", d, " inputs make most of its noise"}), cat({"噪声主要来自 ", d, " 数据"})};
    else
        text = {cat({w, " weights and ", d, " inputs share its noise"}),
                cat({w, " 权重与 ", d, " 数据共同造成噪声"})};
    if (double const spread = channel_spread(r); spread >= 4) {
        append(text.en,
               cat({"; the ranges of its ", r.channels, " channels differ ", fixed(spread, 0), "-fold"}));
        append(text.zh, cat({"；", r.channels, " 个通道的范围相差 ", fixed(spread, 0), " 倍"}));
    }
    if (!r.dead_channels.empty()) {
        append(text.en, cat({"; ", r.dead_channels.size(), " of ", r.channels, " channels ",
                             r.dead_channels.size() == 1 ? "is" : "are", " all zeros"}));
        append(text.zh, cat({"；", r.channels, " 个通道中 ", r.dead_channels.size(), " 个全为零"}));
    }
    if (r.saturation >= 0.0005) {
        append(text.en, cat({"; ", percent(r.saturation, 2), "\u00A0% of the inputs lie outside the clips"}));
        append(text.zh, cat({"；", percent(r.saturation, 2), "\u00A0% 的输入在截断范围外"}));
    }
    text.en += '.';
    append(text.zh, "。");
    return text;
}

struct Remedy {
    Text text{};
    std::string config{};  ///< to paste; empty: nothing
};

/// A text in the configuration's quotes.
inline std::string in_quotes(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}
/// An override of the layer, in the configuration's form.
inline std::string override_of(const LayerView& l, int weight_bits, int data_bits, bool channel_wise) {
    AlgorithmText const weights(l.report->weight_algorithm), data(l.report->data_algorithm);
    return cat({"distill_override_layers {\n  layer_name: ", in_quotes(l.layer.name),
                "\n  distill_data_quant_config { ", data.name, " { dst_type: INT", data_bits,
                " } }\n  distill_weight_quant_config {\n    ", weights.name, " { dst_type: INT", weight_bits,
                channel_wise ? " channel_wise: true" : "", " }\n  }\n}"});
}

inline Remedy remedy(const LayerView& l) {
    const LayerReport& r = *l.report;
    AlgorithmText const weights(r.weight_algorithm), data(r.data_algorithm);
    bool const standard =
        (weights.name == "arq_distill" || weights.name == "ulq_distill") && data.name == "ulq_quantize";
    bool const wide_weights = r.weight_bits < 8 && r.weight_sqnr <= r.data_sqnr + 3;
    bool const wide_data = r.data_bits < 8 && r.data_sqnr <= r.weight_sqnr + 3;
    Remedy found;
    if (wide_weights || wide_data) {
        int const w = wide_weights || r.weight_bits == 8 ? 8 : r.weight_bits;
        int const d = wide_data || r.data_bits == 8 ? 8 : r.data_bits;
        Text const what = !wide_data ? Text{"Raise the weights to INT8", "把权重提高到 INT8"}
                          : !wide_weights
                              ? Text{"Raise the inputs to INT8", "把数据提高到 INT8"}
                              : Text{"Raise weights and inputs to INT8", "把权重与数据提高到 INT8"};
        double const more = wide_weights ? static_cast<double>(l.layer.weights) * (8 - r.weight_bits) / 8 : 0;
        found.text = what;
        if (more > 0) {
            append(found.text.en, cat({": +", bytes(more)}));
            append(found.text.zh, cat({"：+", bytes(more)}));
        } else {
            append(found.text.en, ": no bytes more");
            append(found.text.zh, "：不增加体积");
        }
        if (standard) found.config = override_of(l, w, d, weights.channel_wise);
    } else if (!weights.channel_wise && r.weight_sqnr < 30 && standard) {
        found.text = {"Give each channel a scale of its own", "让每个通道使用自己的缩放因子"};
        found.config = override_of(l, r.weight_bits, r.data_bits, true);
    } else if (r.saturation > 0.01 && r.user_clips) {
        found.text = {"Its clips are yours and cut off values: leave them out, and IFMR finds some",
                      "截断范围由配置给定且截去了数值：删去后由 IFMR 求取"};
        return found;
    } else {
        found.text = {"Leave it in float", "保留为浮点"};
        found.config = cat({"quant_skip_layers: ", in_quotes(l.layer.name)});
        return found;
    }
    if (l.layer.from.starts_with("distill_override_layers[")) {
        auto const line = number(l.layer.from_line);
        append(found.text.en, l.layer.from_line == 0 ? std::string(", in place of its override")
                                                     : cat({", in place of its override in line ", line}));
        append(found.text.zh, l.layer.from_line == 0 ? std::string("，替换原有的 override")
                                                     : cat({"，替换第 ", line, " 行的 override"}));
    }
    return found;
}

/// Code with a button to copy it, which the script makes.
inline std::string paste(std::string_view code) {
    return cat({"<div class=\"paste\"><pre tabindex=\"0\"><code>", escaped(code), "</code></pre></div>"});
}

inline std::string hurts(const View& view) {
    Text about;
    if (view.quantized == 0)
        about = {"No layer was quantized.", "没有量化任何层。"};
    else if (view.worst.empty())
        about = {"Nothing stands out: every quantized layer leaves 30 dB or more.",
                 "没有突出的层：每个量化层都保留 30 dB 以上。"};
    else if (view.has_shares)
        about = {
            "Ordered by the share of the noise at the output, each measured with all layers quantized but "
            "this one. Every remedy can be pasted into the configuration.",
            "按占输出噪声的比例排序（除该层外全部量化时测得）。每条措施都可直接粘贴到配置中。"};
    else if (view.has_costs)
        about = {
            "Ordered by what each layer costs at the outputs, quantized alone, before any distillation. "
            "Every "
            "remedy can be pasted into the configuration.",
            "按仅量化该层（未蒸馏）时输出的信噪比排序。每条措施都可直接粘贴到配置中。"};
    else
        about = {
            "Ordered by the noise of the layer’s own rounding, of weights and inputs together: what a "
            "layer costs at the output was not measured. <code>amct-distill analyze</code> measures it. "
            "Every remedy can be pasted into the configuration.",
            "按该层自身的舍入噪声（权重与数据合计）排序：未测量各层对输出的影响，可用 "
            "<code>amct-distill analyze</code> 测量。每条措施都可直接粘贴到配置中。"};
    std::string items;
    for (std::size_t k : view.worst) {
        const LayerView& l = view.layers[k];
        const LayerReport& r = *l.report;
        Remedy const what = remedy(l);
        std::string facts;
        if (!std::isnan(l.share))
            append(facts, cat({"<b>", percent(l.share, 1), "\u00A0%</b> ", both("of the noise", "的噪声"),
                               "<span class=\"share\" style=\"--v:", plain(100 * l.share), "\"></span>"}));
        if (!view.has_shares && view.has_costs)
            append(facts,
                   cat({"<b>", db(l.alone), "</b> ",
                        both("the network’s outputs, this layer alone", "网络输出（仅量化该层）"), "<br>"}));
        append(facts, cat({"<b>", db(r.weight_sqnr), "</b> ", both("weights", "权重"), "<br><b>",
                           db(r.data_sqnr), "</b> ", both("inputs", "数据")}));
        if (!std::isnan(l.output))
            append(facts, cat({"<br><b>", db(l.output), "</b> ",
                               both("output, with all before it", "输出（含之前各层）")}));
        append(items,
               cat({"<li><span class=\"rank\">", l.hurts, "</span><div>", link(l, k), cause(l).element("p"),
                    "</div><div>", facts, "</div><div><p>", what.text.html(), "</p>",
                    what.config.empty() ? std::string() : paste(what.config), "</div></li>\n"}));
    }
    if (!items.empty()) items = cat({"<ol class=\"hurts\">\n", items, "</ol>\n"});
    return cat({section("hurts", {"What hurts", "问题所在"}, about), items, "</section>\n"});
}

}  // namespace amct_distill::detail::html
