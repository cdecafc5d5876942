// SPDX-License-Identifier: Apache-2.0
/// The report page: one HTML file, without a library or a network, in English and Chinese, light and dark.
///
///     write_file("report.html", to_html(page)).value();                        // page.hpp
///     to_html(page, {.language = PageLanguage::chinese, .histograms = 100});
///
/// It follows a reader's questions: did it work, what hurts, where, why, what do bits buy, can I trust it.
/// Everything reads, prints and switches without a script; the script sorts, filters and copies. Every number
/// stands rounded, and in full in an attribute: `data-v` in tables, `value` of `data` elements.
#pragma once
#include <string>
#include <string_view>

#include "html_bars.hpp"
#include "html_blocks.hpp"
#include "html_hurts.hpp"
#include "html_layers.hpp"
#include "html_network.hpp"
#include "html_script.hpp"
#include "html_sensitivity.hpp"
#include "html_style.hpp"
#include "html_trust.hpp"
#include "html_values.hpp"
#include "html_verdict.hpp"
#include "page.hpp"

namespace amct_distill {
namespace detail::html {

inline std::string radio(std::string_view group, std::string_view id, std::string_view label, bool checked) {
    return cat({"<input type=\"radio\" name=\"", group, "\" id=\"", id, "\" value=\"", id, "\"",
                checked ? " checked" : "", "><label for=\"", id, "\">", label, "</label>"});
}

inline std::string top(const ReportPage& page, bool chinese) {
    std::string links;
    auto const entry = [&](std::string_view id, std::string_view en, std::string_view zh) {
        append(links, cat({"<li><a href=\"#", id, "\">", both(en, zh), "</a></li>"}));
    };
    entry("hurts", "What hurts", "问题");
    entry("network", "Network", "网络");
    entry("layers", "Layers", "各层");
    entry("sqnr", "SQNR", "SQNR");
    entry("values", "Values", "数值");
    entry("blocks", "Blocks", "块");
    entry("sensitivity", "Sensitivity", "敏感度");
    entry("integers", "Integers", "整数");
    entry("data", "Data", "数据");
    entry("warnings", "Warnings", "警告");
    entry("reproduce", "Reproduce", "复现");
    return cat({"<a class=\"skip\" href=\"#layers\">", both("To the table of layers", "跳到各层表格"),
                "</a>\n<header class=\"top\"><div><b>", escaped(page.model), "</b>\n<nav><ul>", links,
                "</ul></nav>\n<fieldset class=\"pick\" aria-label=\"Language / 语言\">",
                radio("lang", "en", "EN", !chinese), radio("lang", "zh", "中文", chinese),
                "</fieldset>\n<fieldset class=\"pick\" aria-label=\"Theme / 主题\">",
                radio("theme", "auto", both("Auto", "自动"), true),
                radio("theme", "light", both("Light", "浅色"), false),
                radio("theme", "dark", both("Dark", "深色"), false), "</fieldset></div></header>\n"});
}

}  // namespace detail::html

inline std::string to_html(const ReportPage& page, const HtmlOptions& options = {}) {
    namespace html = detail::html;
    html::View const view(page);
    bool const chinese = options.language == PageLanguage::chinese;
    std::string_view const lang = chinese ? "zh" : "en";
    std::string const choice = options.language == PageLanguage::automatic
                                   ? std::string()
                                   : html::cat({" data-lang=\"", lang, "\""});
    html::Text const end{"Made by amct-distill. No network, no tracking, nothing to install.",
                         "由 amct-distill 生成。无需网络，无跟踪，无需安装。"};
    return html::cat({"<!DOCTYPE html>\n<html lang=\"",
                      lang,
                      "\"",
                      choice,
                      ">\n<head>\n<meta charset=\"utf-8\">\n",
                      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
                      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>",
                      html::escaped(page.model),
                      " – amct-distill</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>\n",
                      html::style,
                      "</style>\n</head>\n<body>\n",
                      html::top(page, chinese),
                      "<main>\n",
                      html::verdict(view),
                      html::hurts(view),
                      html::network(view),
                      html::layers(view),
                      html::bars(view),
                      html::values(view, options.histograms),
                      html::blocks(view),
                      html::sensitivity(view),
                      html::integers(view),
                      html::data(view),
                      html::warnings(view),
                      html::reproduce(view),
                      "</main>\n<footer>",
                      end.element("p"),
                      "</footer>\n<script>\n",
                      html::script,
                      "</script>\n</body>\n</html>\n"});
}

}  // namespace amct_distill
