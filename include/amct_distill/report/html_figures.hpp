// SPDX-License-Identifier: Apache-2.0
/// The three figures at the top of the report page: accuracy or error, size, bits.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "html_view.hpp"

namespace amct_distill::detail::html {

/// "integers", as the page's readers call it.
inline Text stage_name(const std::string& name) {
    if (name == "FP32" || name == "FP32 teacher") return {"FP32", "FP32"};
    if (name == "calibrated") return {"calibrated", "校准后"};
    if (name == "distilled") return {"distilled", "蒸馏后"};
    if (name == "integers" || name == "in integers") return {"integers", "整数推理"};
    return {escaped(name), escaped(name)};
}

inline bool has_accuracy(const View& view) {
    const auto& stages = view.page.test.networks;
    return stages.size() > 1 &&
           std::ranges::all_of(stages, [](const TestedNetwork& s) { return std::isfinite(s.accuracy); });
}
/// Of the last stage to the first, in samples that are right.
inline double samples_gained(const View& view) {
    const auto& stages = view.page.test.networks;
    return std::round((stages.back().accuracy - stages.front().accuracy) *
                      static_cast<double>(view.page.test.samples));
}

/// Dots from left to right, a line through them, and what each is. `heights` run from 0 to 100.
inline std::string steps(const std::vector<TestedNetwork>& stages, const std::vector<double>& heights,
                         const std::vector<std::string>& labels) {
    auto const count = static_cast<double>(stages.size());
    std::string path, dots, names;
    for (std::size_t k = 0; k != stages.size(); ++k) {
        double const x = 400 * (static_cast<double>(k) + 0.5) / count;
        append(path, cat({k == 0 ? "M" : "L", plain(x), " ", plain(100 - heights[k])}));
        append(dots, cat({"<li", heights[k] > 50 ? " class=\"low\"" : "", " style=\"--v:", plain(heights[k]),
                          "\"><b>", labels[k], "</b></li>"}));
        append(names, cat({"<span>", stage_name(stages[k].network).html()}));
        if (std::isfinite(stages[k].error) && std::isfinite(stages[k].accuracy))
            append(names, cat({"<br><small>MSE <data value=\"", value(stages[k].error), "\">",
                               digits3(stages[k].error), "</data></small>"}));
        append(names, "</span>");
    }
    std::string const columns = cat({" style=\"grid-template-columns:repeat(", stages.size(), ",1fr)\""});
    return cat(
        {"<div class=\"steps\"><svg viewBox=\"0 0 400 100\" preserveAspectRatio=\"none\" "
         "aria-hidden=\"true\"><path d=\"",
         path,
         "\" fill=\"none\" stroke=\"var(--output)\" stroke-width=\"2\" "
         "vector-effect=\"non-scaling-stroke\"/></svg><ol",
         columns, ">", dots, "</ol></div><div class=\"stages\"", columns, ">", names, "</div>"});
}
inline std::vector<double> heights_of(const std::vector<double>& values) {
    auto const [low, high] = std::ranges::minmax(values);
    std::vector<double> heights;
    for (double v : values) heights.push_back(high == low ? 50 : 31.6 + 42.3 * (v - low) / (high - low));
    return heights;
}

inline std::string accuracy_figure(const View& view) {
    const PageTest& test = view.page.test;
    std::vector<double> values;
    std::vector<std::string> labels;
    for (const TestedNetwork& s : test.networks) {
        values.push_back(s.accuracy);
        labels.push_back(
            cat({"<data value=\"", value(s.accuracy), "\">", percent(s.accuracy, 2), "</data>"}));
    }
    double const points = 100 * (test.networks.back().accuracy - test.networks.front().accuracy);
    Text caption{"Accuracy", "准确率"};
    Text unit{"points", "个百分点"};
    if (test.samples != 0) {
        double const gained = samples_gained(view);
        append(caption.en, cat({", ", thousands(test.samples), " test samples"}));
        append(caption.zh, cat({"，", thousands(test.samples), " 个测试样本"}));
        append(unit.en,
               cat({", ", fixed(std::abs(gained), 0), std::abs(gained) == 1 ? " sample" : " samples"}));
        append(unit.zh, cat({"，", fixed(std::abs(gained), 0), " 个样本"}));
    }
    return cat({"<p class=\"soft\">", caption.html(), "</p><p class=\"big\">", points > 0 ? "+" : "",
                points == 0 ? "±0" : fixed(points, 2), " <small>", unit.html(), "</small></p>\n",
                steps(test.networks, heights_of(values), labels)});
}
/// Where there are no labels: how far the outputs are from the teacher's, of each network that was tested.
inline std::string error_figure(const View& view) {
    const DistillReport& report = view.page.report;
    std::vector<TestedNetwork> stages{{.network = "calibrated", .error = report.output_error_calibrated},
                                      {.network = "distilled", .error = report.output_error_distilled}};
    const auto& tested = view.page.test.networks;
    if (tested.size() > 1 &&
        std::ranges::all_of(tested, [](const TestedNetwork& s) { return std::isfinite(s.error); }))
        stages.assign(tested.begin() + 1, tested.end());  // the first is the teacher itself
    std::vector<double> values;
    std::vector<std::string> labels;
    for (const TestedNetwork& s : stages) {
        values.push_back(std::log10((std::max)(s.error, 1e-300)));
        labels.push_back(cat({"<data value=\"", value(s.error), "\">", digits3(s.error), "</data>"}));
    }
    double const ratio = report.output_error_distilled / report.output_error_calibrated;
    std::string const big = std::isfinite(ratio) ? cat({"× ", fixed(ratio, 2)}) : std::string("–");
    return cat(
        {"<p class=\"soft\">",
         both("Error of the outputs to the teacher’s, mean squared", "输出与教师网络的均方误差"),
         "</p><p class=\"big\">", big, " <small>",
         only_calibrated(report) ? both("nothing was trained", "未训练") : both("after distilling", "蒸馏后"),
         "</small></p>\n", steps(stages, heights_of(values), labels)});
}

inline std::string size_figure(const View& view) {
    double const before = view.sum(View::float_bytes), after = view.sum(View::deployed_bytes);
    double const part = before == 0 ? 1 : (std::min)(after / before, 1.0);
    const LayerView* largest = nullptr;
    for (const LayerView& l : view.layers)
        if (largest == nullptr || View::deployed_bytes(l) > View::deployed_bytes(*largest)) largest = &l;
    Text note;
    if (largest != nullptr && View::deployed_bytes(*largest) > after / 4 && view.layers.size() > 1) {
        auto const name = escaped(largest->layer.name), size = bytes(View::deployed_bytes(*largest)),
                   share = percent(View::deployed_bytes(*largest) / after, 0);
        note = {cat({name, " alone: ", size, ", ", share, "\u00A0% of it"}),
                cat({"仅 ", name, " 就占 ", size, "（", share, "\u00A0%）"})};
    }
    return cat(
        {"<p class=\"soft\">", both("Size of weights, scales, biases", "权重、缩放因子与偏置的大小"),
         "</p><p class=\"big\">", bytes(after), " <small>",
         both(cat({fixed(before / after, 1), " × smaller"}), cat({"缩小为 1/", fixed(before / after, 1)})),
         "</small></p><div class=\"meter\"><i style=\"--v:1\">FP32 ", bytes(before),
         "</i></div><div class=\"meter\"><i style=\"--v:", plain(part),
         ";--c:var(--weights)\"></i><i style=\"--v:", plain(1 - part),
         ";--c:transparent;--t:var(--ink);text-align:left\">&ensp;", bytes(after), "</i></div>",
         note.empty() ? std::string() : note.element("p", "class=\"soft\"")});
}

inline std::string bits_figure(const View& view) {
    struct Class {
        int bits;
        std::size_t layers, weights;
    };
    std::vector<Class> classes;
    double mean = 0;
    for (const LayerView& l : view.layers) {
        auto found = std::ranges::find(classes, l.bits(), &Class::bits);
        if (found == classes.end()) found = classes.insert(classes.end(), Class{l.bits(), 0, 0});
        ++found->layers;
        found->weights += l.layer.weights;
        mean += static_cast<double>(l.bits()) * static_cast<double>(l.layer.weights);
    }
    std::ranges::sort(classes, {}, &Class::bits);
    auto const all = static_cast<double>((std::max)(view.weights, std::size_t{1}));
    std::string meter;
    Text note;
    for (const Class& c : classes) {
        double const part = static_cast<double>(c.weights) / all;
        auto const name = c.bits == 32 ? std::string("FP32") : cat({"INT", c.bits});
        append(meter,
               cat({"<i style=\"--v:", plain((std::max)(part, 0.005)), ";--c:var(--",
                    c.bits <= 4   ? "weights"
                    : c.bits < 32 ? "data"
                                  : "soft",
                    ")\">", part < 0.13 ? std::string() : cat({name, " ", percent(part, 0), "\u00A0%"}),
                    "</i>"}));
        append(note.en, cat({note.en.empty() ? "" : ", ", c.layers, c.layers == 1 ? " layer" : " layers",
                             c.bits == 32 ? " in float" : cat({" at ", name})}));
        append(note.zh, cat({note.zh.empty() ? "" : "，", c.layers, " 层",
                             c.bits == 32 ? std::string("浮点") : cat({" ", name})}));
    }
    return cat({"<p class=\"soft\">", both("Bits per weight, mean", "每个权重的平均位数"),
                "</p><p class=\"big\">", fixed(mean / all, 2), " <small>", both("bits", "位"),
                "</small></p><div class=\"meter\">", meter, "</div>", note.element("p", "class=\"soft\"")});
}

}  // namespace amct_distill::detail::html
