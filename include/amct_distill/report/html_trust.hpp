// SPDX-License-Identifier: Apache-2.0
/// The end of the report page: data, warnings, and how to do it again.
#pragma once
#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include "../core/version.hpp"
#include "html_hurts.hpp"
#include "html_sensitivity.hpp"
#include "html_view.hpp"

namespace amct_distill::detail::html {

inline std::string data_of_input(const DataSummary& d) {
    std::string rows, pictures;
    for (const ChannelSummary& c : d.channels)
        append(rows,
               cat({"<tr><th scope=\"row\">", escaped(c.name), "</th>", number_cell(c.min, digits3(c.min)),
                    number_cell(c.max, digits3(c.max)), number_cell(c.mean, digits3(c.mean)),
                    number_cell(c.deviation, digits3(c.deviation)), "</tr>\n"}));
    for (const Thumbnail& t : d.thumbnails) {
        std::size_t const longer = (std::max)({t.width, t.height, std::size_t{1}}),
                          shorter = (std::max)((std::min)(t.width, t.height), std::size_t{1});
        std::size_t const side = longer > 2 * shorter ? 240 : 72;
        append(pictures,
               cat({"<figure><img src=\"data:image/png;base64,", t.png, "\" width=\"",
                    t.width * side / longer, "\" height=\"", t.height * side / longer, "\" alt=\"",
                    escaped(t.caption), "\"><figcaption>", escaped(t.caption), "</figcaption></figure>"}));
    }
    if (!pictures.empty())
        pictures = cat({"<h3 class=\"above\">",
                        both("The first ones, as the network sees them", "网络所见的前几个样本"),
                        "</h3><div class=\"thumbs\">", pictures, "</div>"});
    return cat({"<div class=\"two\"><div><dl class=\"kv\"><dt>",
                both("Input", "输入"),
                "</dt><dd><code>",
                escaped(d.input),
                "</code></dd><dt>",
                both("Samples", "样本"),
                "</dt><dd>",
                thousands(d.samples),
                both(cat({", in ", thousands(d.batches), " batches of "}),
                     cat({"，", thousands(d.batches), " 个批次，形状 "})),
                escaped(d.shape),
                "</dd></dl>",
                pictures,
                "</div><div class=\"scroll\"><table><thead><tr><th scope=\"col\">",
                both("Channel", "通道"),
                "</th><th scope=\"col\" class=\"num\">",
                both("min", "最小"),
                "</th><th scope=\"col\" class=\"num\">",
                both("max", "最大"),
                "</th><th scope=\"col\" class=\"num\">",
                both("mean", "均值"),
                "</th><th scope=\"col\" class=\"num\">",
                both("std", "标准差"),
                "</th></tr></thead><tbody>\n",
                rows,
                "</tbody></table></div></div>\n"});
}
inline std::string data(const View& view) {
    std::string out = section("data", {"Data", "数据"}, {});
    for (const DataSummary& d : view.page.data) append(out, data_of_input(d));
    if (view.page.data.empty()) append(out, Text{"Not recorded.", "未记录。"}.element("p", "class=\"soft\""));
    return cat({out, "</section>\n"});
}

inline std::string warnings(const View& view) {
    constexpr std::size_t shown = 6;  // many others are a click away
    std::string items, rest;
    for (std::size_t k = 0; k != view.page.warnings.size(); ++k) {
        const Diagnostic& d = view.page.warnings[k];
        std::string place = escaped(d.source);
        if (d.where.line != 0)
            place =
                view.page.run.config_text.empty()
                    ? both(cat({"line ", d.where.line}), cat({"第 ", d.where.line, " 行"}))
                    : cat({"<a href=\"#c", d.where.line, "\">",
                           both(cat({"line ", d.where.line}), cat({"第 ", d.where.line, " 行"})), "</a>"});
        if (place.empty()) place = both("run", "运行");
        append(k < shown ? items : rest,
               cat({"<li><b>", place, "</b><div>", escaped(d.path), d.path.empty() ? "" : ": ",
                    escaped(d.message), "</div></li>\n"}));
    }
    if (items.empty())
        items = Text{"None.", "无。"}.element("p", "class=\"soft\"");
    else
        items = cat({"<ul class=\"warn\">\n", items, "</ul>\n"});
    if (!rest.empty()) {
        std::size_t const others = view.page.warnings.size() - shown;
        append(items,
               cat({"<details><summary>",
                    both(cat({others, others == 1 ? " other" : " others"}), cat({"其余 ", others, " 条"})),
                    "</summary><ul class=\"warn\">\n", rest, "</ul></details>\n"}));
    }
    return cat({section("warnings", {"Warnings", "警告"}, {}), items, "</section>\n"});
}

/// The configuration, a line with a number each, to be led to.
inline std::string config_lines(std::string_view text) {
    std::string out;
    std::size_t line = 0;
    while (!text.empty()) {
        std::size_t const end = (std::min)(text.find('\n'), text.size());
        std::string_view row = text.substr(0, end);
        if (row.ends_with('\r')) row.remove_suffix(1);
        // A comment, where no quote is open: "name: 'a#b'  # why".
        std::size_t comment = row.size();
        char quote = 0;
        for (std::size_t i = 0; i != row.size() && comment == row.size(); ++i) {
            if (quote != 0) {
                if (row[i] == '\\')
                    ++i;
                else if (row[i] == quote)
                    quote = 0;
                if (i >= row.size()) break;
            } else if (row[i] == '"' || row[i] == '\'') {
                quote = row[i];
            } else if (row[i] == '#') {
                comment = i;
            }
        }
        append(out, cat({"<span id=\"c", ++line, "\">", escaped(row.substr(0, comment))}));
        if (comment != row.size()) append(out, cat({"<em>", escaped(row.substr(comment)), "</em>"}));
        append(out, "</span>");
        text.remove_prefix((std::min)(end + 1, text.size()));
    }
    return out;
}

/// "amct-distill 0.2.0, g++ 12.2"
inline std::string program_version() {
#if defined(__clang__)
    std::string const compiler = cat({"clang ", __clang_major__, ".", __clang_minor__});
#elif defined(__GNUC__)
    std::string const compiler = cat({"g++ ", __GNUC__, ".", __GNUC_MINOR__});
#else
    std::string const compiler = "another compiler";
#endif
    return cat({"amct-distill ", AMCT_DISTILL_VERSION_MAJOR, ".", AMCT_DISTILL_VERSION_MINOR, ".",
                AMCT_DISTILL_VERSION_PATCH, ", ", compiler});
}

inline std::string reproduce(const View& view) {
    const PageRun& run = view.page.run;
    std::string left, right = cat({"<dt>", both("Program", "程序"), "</dt><dd>", program_version(), "</dd>"});
    if (!run.command.empty()) append(left, paste(run.command));
    if (!run.config_text.empty())
        append(left, cat({"<h3 class=\"above\"><code>", escaped(run.config_name),
                          "</code></h3><div class=\"paste\"><pre class=\"cfg\" tabindex=\"0\">",
                          config_lines(run.config_text), "</pre></div>"}));
    for (const PageFact& f : run.facts)
        append(right, cat({"<dt>", escaped(f.name), "</dt><dd>", escaped(f.value), "</dd>"}));
    for (const PagePhase& p : run.phases)
        append(right, cat({"<dt>", escaped(p.name), "</dt><dd>", fixed(p.seconds, 2), "\u00A0s</dd>"}));
    double seconds = 0;
    for (const BlockReport& b : view.page.report.blocks) seconds += b.seconds;
    append(right, cat({"<dt>", both("Training of the blocks", "各块训练"), "</dt><dd>", fixed(seconds, 2),
                       "\u00A0s</dd>"}));
    return cat({section("reproduce", {"Reproduce", "复现"}, {}), "<div class=\"two\"><div>", left,
                "</div><dl class=\"kv\">", right, "</dl></div>\n</section>\n"});
}

}  // namespace amct_distill::detail::html
