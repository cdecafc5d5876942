// SPDX-License-Identifier: Apache-2.0
/// The top of the report page: one sentence on what came of it, and three figures.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "../core/version.hpp"
#include "html_figures.hpp"
#include "html_view.hpp"

namespace amct_distill::detail::html {

/// "accuracy stays at 98.99 %": the first half of the verdict.
inline Text outcome(const View& view) {
    const ReportPage& page = view.page;
    if (has_accuracy(view)) {
        auto const now = percent(page.test.networks.back().accuracy, 2),
                   before = percent(page.test.networks.front().accuracy, 2);
        double const gained = page.test.networks.back().accuracy - page.test.networks.front().accuracy;
        if (gained == 0)
            return {cat({"Accuracy stays at ", now, "\u00A0%"}), cat({"准确率保持 ", now, "\u00A0%"})};
        return {cat({"Accuracy ", gained < 0 ? "falls" : "rises", " from ", before, " to ", now, "\u00A0%"}),
                cat({"准确率由 ", before, "\u00A0% ", gained < 0 ? "降至 " : "升至 ", now, "\u00A0%"})};
    }
    if (page.observed)
        return {cat({"The outputs’ signal is ", db(page.observed->output_sqnr), " above their noise"}),
                cat({"输出信噪比为 ", db(page.observed->output_sqnr)})};
    auto const a = digits3(page.report.output_error_calibrated),
               b = digits3(page.report.output_error_distilled);
    return {cat({"Distillation brought the outputs’ error from ", a, " to ", b}),
            cat({"蒸馏使输出误差从 ", a, " 降到 ", b})};
}
inline Text culprits(const View& view) {
    if (view.worst.empty()) return {"no layer stands out", "没有突出的层"};
    auto const name = [&](std::size_t r) { return escaped(view.layers[view.worst[r]].layer.name); };
    if (view.worst.size() == 1)
        return {cat({name(0), " carries the most noise"}), cat({"噪声主要来自 ", name(0)})};
    if (view.has_shares) {
        double share = 0;
        for (std::size_t k : view.worst) share += view.layers[k].share;
        return {cat({view.worst.size(), " layers cause ", percent((std::min)(share, 1.0), 0),
                     "\u00A0% of the noise"}),
                cat({percent((std::min)(share, 1.0), 0), "\u00A0% 的噪声来自 ", view.worst.size(), " 个层"})};
    }
    return {cat({name(0), " and ", name(1), " carry the most noise"}),
            cat({"噪声主要来自 ", name(0), " 与 ", name(1)})};
}

inline std::string headline(const View& view) {
    Text text;
    if (view.page.verified && !view.page.verified->agrees())
        text = {"The integers do not compute what was simulated.", "整数推理与仿真不一致。"};
    if (view.page.report.cancelled) text.add({"The distillation was cancelled.", "蒸馏已取消。"});
    Text what = outcome(view);
    if (view.knows_sizes && view.quantized != 0) {
        double const part = view.sum(View::deployed_bytes) / view.sum(View::float_bytes);
        append(what.en, cat({", at ", percent(part, 0), "\u00A0% of the size"}));
        append(what.zh, cat({"，体积为原来的 ", percent(part, 0), "\u00A0%"}));
    }
    if (view.quantized != 0) {
        Text const who = culprits(view);
        append(what.en, cat({"; ", who.en, "."}));
        append(what.zh, cat({"；", who.zh, "。"}));
    } else {
        what = {"No layer was quantized.", "没有量化任何层。"};
    }
    text.add(what);
    return text.html();
}

/// The sentences after the headline.
inline Text explanation(const View& view) {
    const ReportPage& page = view.page;
    Text text;
    if (!view.worst.empty()) {
        std::size_t const k = view.worst[0];
        const LayerView& l = view.layers[k];
        std::string const at = link(l, k);
        if (view.has_shares)
            text.add({cat({"Start with ", at, ": it makes ", percent(l.share, 0), "\u00A0% of the noise."}),
                      cat({"先看 ", at, "：仅此一层就占噪声的 ", percent(l.share, 0), "\u00A0%。"})});
        else if (view.has_costs)
            text.add({cat({"Start with ", at, ": alone it leaves the outputs ", db(l.alone), "."}),
                      cat({"先看 ", at, "：仅量化该层时输出信噪比为 ", db(l.alone), "。"})});
        else
            text.add({cat({"Start with ", at, ": its own rounding leaves ", db(l.own), "."}),
                      cat({"先看 ", at, "：其自身舍入后只剩 ", db(l.own), "。"})});
    }
    if (!page.report.blocks.empty() && only_calibrated(page.report))
        text.add({"Nothing was trained: the network is calibrated only.", "未训练：仅校准。"});
    else if (page.report.kept_calibrated)
        text.add(
            {"The outputs did not come 5\u00A0% nearer to the teacher’s, so the calibrated network stays.",
             "输出与教师网络的误差未能缩小 5\u00A0%，因此保留校准后的网络。"});
    else if (!page.report.blocks.empty())
        text.add({cat({"Distillation brought the outputs’ mean squared error to the teacher’s from ",
                       digits3(page.report.output_error_calibrated), " to ",
                       digits3(page.report.output_error_distilled), " on the training data."}),
                  cat({"在训练数据上，蒸馏使输出与教师网络的均方误差从 ",
                       digits3(page.report.output_error_calibrated), " 降到 ",
                       digits3(page.report.output_error_distilled), "。"})});
    if (page.verified && page.verified->agrees()) {
        std::size_t sums = 0;
        for (const VerifiedLayer& l : page.verified->layers) sums += l.outputs;
        text.add({cat({"Integers and simulation agree in all ", thousands(sums), " sums, but for rounding."}),
                  cat({"整数推理与仿真的 ", thousands(sums), " 个累加和全部一致（仅差舍入）。"})});
    }
    if (has_accuracy(view) && page.test.samples != 0 && page.test.samples < 2000) {
        auto const one = fixed(100 / static_cast<double>(page.test.samples), 2);
        text.add({cat({"On ", thousands(page.test.samples), " samples one is ", one, " points."}),
                  cat({thousands(page.test.samples), " 个样本中一个即 ", one, " 个百分点。"})});
    }
    return text;
}

inline std::string verdict(const View& view) {
    const ReportPage& page = view.page;
    std::string meta = cat(
        {"<code>", escaped(page.model), "</code> · ",
         both(cat({view.quantized, " quantized layers, ", view.layers.size() - view.quantized, " in float"}),
              cat({view.quantized, " 个量化层，", view.layers.size() - view.quantized, " 个浮点层"}))});
    if (view.knows_sizes) {
        double const all =
            view.sum([](const LayerView& l) { return static_cast<double>(l.layer.multiplications); });
        append(meta, cat({" · ", thousands(view.weights), " ", both("weights", "个权重"), " · ",
                          short_count(all), both(" multiplications", " 次乘法")}));
    }
    append(meta, cat({" · amct-distill ", AMCT_DISTILL_VERSION_MAJOR, ".", AMCT_DISTILL_VERSION_MINOR, ".",
                      AMCT_DISTILL_VERSION_PATCH}));
    if (!page.run.date.empty()) append(meta, cat({" · ", escaped(page.run.date)}));
    Text const why = explanation(view);
    return cat({"<section id=\"verdict\" aria-labelledby=\"v\">\n<p class=\"meta\">", meta,
                "</p>\n<h1 id=\"v\">", headline(view), "</h1>\n", why.empty() ? "" : why.element("p"),
                "\n<div class=\"three\"><div>",
                has_accuracy(view) ? accuracy_figure(view) : error_figure(view), "</div>\n<div>",
                view.knows_sizes ? size_figure(view) : std::string(), "</div>\n<div>",
                view.knows_sizes ? bits_figure(view) : std::string(), "</div></div></section>\n"});
}

}  // namespace amct_distill::detail::html
