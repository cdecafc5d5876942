// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/report/html.hpp>

#include <amct_distill/config/messages.hpp>
#include <amct_distill/text/reader.hpp>
#include <cmath>
#include <limits>

#include "support/catch.hpp"
#include "support/html_check.hpp"

namespace report_html_test {

using namespace amct_distill;
namespace html = amct_distill::detail::html;

namespace {

const char* const nasty = "<script>alert(1)</script>\"'&卷积";

LayerReport layer(std::string name, int bits, double weights, double data) {
    return {.name = std::move(name),
            .weight_algorithm = detail::concat("arq_distill, INT", bits, ", channel_wise"),
            .data_algorithm = "ulq_quantize, INT8",
            .weight_bits = bits,
            .data_bits = 8,
            .weight_scales = {{0.1f, 0}, {0.7f, 0}},
            .data_scale = {0.0078125f, -128},
            .data_clip = {1.9921875f, 0},
            .weight_sqnr = weights,
            .data_sqnr = data,
            .saturation = 0.0125,
            .channels = 2,
            .dead_channels = {1}};
}

ReportPage full_page() {
    ReportPage page{.model = nasty};
    page.report.layers = {layer(nasty, 4, 14.0625, 36.5), layer("b", 4, 22.75, 21.0),
                          layer("c", 8, 45.5, 41.0)};
    page.report.blocks = {{.names = {nasty, "relu"},
                           .loss_before = 0.5,
                           .loss_after = 0.125,
                           .epoch_losses = {30, std::nan(""), 0.2, 0.125},
                           .best_epoch = 4,
                           .restarts = 2,
                           .teacher_inputs = 3,
                           .seconds = 1.5,
                           .stopped = "<b>"}};
    page.report.output_error_calibrated = 0.75;
    page.report.output_error_distilled = 0.375;
    for (const char* name : {nasty, "b", "c", "float"})
        page.network.layers.push_back({.name = name,
                                       .type = "Conv2d",
                                       .shape = "3×3 2→2",
                                       .weights = 36,
                                       .channels = 2,
                                       .multiplications = 1296,
                                       .quantized = true,
                                       .from = "distill_weight_quant_config at 2:3",
                                       .from_line = 2});
    page.network.nodes = {{.label = nasty},
                          {.label = nasty, .layer = 0, .inputs = {0}, .block = 0},
                          {.label = "b", .layer = 1, .inputs = {1}},
                          {.label = "Add", .inputs = {2, 1}},
                          {.label = "c", .layer = 2, .inputs = {3}},
                          {.label = "float", .layer = 3, .inputs = {4}}};
    ObservedValues seen{.output_sqnr = 20.5, .samples = 32};
    for (const char* name : {nasty, "b", "c", "float"}) {
        LayerValues values{.name = name, .output_sqnr = 18.25};
        std::vector<float> const some{-1, 0, 0.5f, 3};
        values.weights.add(some);
        if (name != std::string_view("c")) values.data.add(some);
        seen.layers.push_back(values);
    }
    seen.layers[3].output_sqnr = std::numeric_limits<double>::infinity();
    page.observed = seen;
    page.verified = VerifyReport{
        .layers = {{.name = nasty, .outputs = 1000, .different = 2, .largest = 1, .explained = 3}}};
    page.test = {.samples = 397, .networks = {{"FP32", 0.99, 0}, {"distilled", 0.98, 0.09}}};
    page.sensitivity = {{.name = nasty, .weights_int4 = 12, .weights_int8 = 40}};
    page.data = {{.input = nasty,
                  .batches = 1,
                  .samples = 2,
                  .shape = "[N, 1, 2, 2]",
                  .channels = {{nasty, 0, 1, 0.5, 0.25}},
                  .thumbnails = {{2, 2, "AAAA", nasty}}}};
    page.warnings = {{.severity = Severity::warning, .where = {2, 1}, .path = nasty, .message = nasty},
                     {.severity = Severity::warning, .message = "no place"}};
    page.run = {.date = nasty,
                .command = nasty,
                .config_name = nasty,
                .config_text = "batch_num: 1  # \"<why>\"\n\nquant_skip_layers: 'a#b\\'#' # x\r\n",
                .facts = {{nasty, nasty}},
                .phases = {{nasty, 1.5}}};
    return page;
}

const std::string& attribute(const support::Html::Element& e, const std::string& name) {
    return e.attributes.at(name);
}

}  // namespace

TEST_CASE("the page is well formed, whatever names are, and a user's text is text") {
    std::string const page = to_html(full_page());
    support::Html const parsed(page);
    CHECK(parsed.error == "");
    CHECK(parsed.all("script").size() == 1);
    CHECK(parsed.all("style").size() == 1);
    CHECK(parsed.all("b").size() < 60);
    CHECK(page.find("<script>alert") == page.npos);
    CHECK(page.find("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;卷积") != page.npos);
    for (const auto& e : parsed.elements)
        for (const auto& [name, value] : e.attributes) {
            INFO(e.tag << ' ' << name << '=' << value);
            if (name == "d" || name == "style" || name == "x" || name == "y" || name == "viewBox") {
                CHECK(value.find("nan") == value.npos);
                CHECK(value.find("inf") == value.npos);
            }
            CHECK(name.substr(0, 2) != "on");
            if (name == "href" || name == "src")
                CHECK((value.starts_with('#') || value.starts_with("data:")));  // no network
        }
}

TEST_CASE("a page of almost nothing is well formed too") {
    CHECK(support::Html(to_html({})).error == "");
    ReportPage page;
    page.report.layers = {layer("a", 4, std::numeric_limits<double>::infinity(), std::nan(""))};
    page.report.cancelled = true;
    page.report.blocks = {{.names = {}, .loss_before = 0, .loss_after = 0}};
    CHECK(support::Html(to_html(page)).error == "");
    page = full_page();
    page.network = {};
    CHECK(support::Html(to_html(page)).error == "");
    page = full_page();
    page.observed.reset();
    page.run.config_text.clear();
    page.test = {};
    CHECK(support::Html(to_html(page)).error == "");
}

TEST_CASE("the numbers are the report's, in full") {
    ReportPage const page = full_page();
    support::Html const parsed(to_html(page));
    // The row of the first layer: the cells after its heading.
    std::vector<std::string> values;
    bool in_row = false;
    for (const auto& e : parsed.elements) {
        if (e.tag == "tr") in_row = e.attributes.contains("id") && attribute(e, "id") == "l0";
        if (in_row && e.tag == "td" && e.attributes.contains("data-v"))
            values.push_back(attribute(e, "data-v"));
    }
    REQUIRE(values.size() == 11);
    CHECK(values[0] == "1");
    CHECK(values[1] == "18.25");
    CHECK(values[2] == "14.0625");
    CHECK(values[3] == "36.5");
    CHECK(values[4] == "0.0125");
    CHECK(values[5] == "1");
    CHECK(values[6] == number(static_cast<double>(0.7f)));
    CHECK(values[7] == "0.0078125");
    CHECK(values[8] == "1.9921875");
    CHECK(values[9] == "36");
    CHECK(values[10] == "1296");
    std::vector<std::string> data;
    for (const auto* e : parsed.all("data")) data.push_back(attribute(*e, "value"));
    CHECK(data == std::vector<std::string>{"0.99", "0.98", "0", "0.09", "0.5", "0.125"});
}

TEST_CASE("the verdict says what came of it") {
    auto const headline = [](const ReportPage& page) {
        support::Html const parsed(to_html(page));
        return parsed.all("h1").at(0)->text;
    };
    ReportPage page = full_page();
    CHECK_THAT(headline(page), Catch::Contains("Accuracy falls from 99.00 to 98.00\u00A0%"));
    CHECK_THAT(headline(page), Catch::Contains("准确率由 99.00\u00A0% 降至 98.00\u00A0%"));
    page.test.networks[1].accuracy = 0.99;
    CHECK_THAT(headline(page), Catch::Contains("Accuracy stays at 99.00\u00A0%"));
    page.test = {};
    CHECK_THAT(headline(page), Catch::Contains("signal is 20.5\u00A0dB above their noise"));
    page.observed.reset();
    CHECK_THAT(headline(page), Catch::Contains("error from 0.75 to 0.375"));
    page.verified->layers[0].largest = 4;
    CHECK_THAT(headline(page), Catch::Contains("The integers do not compute what was simulated."));
    page.report.cancelled = true;
    CHECK_THAT(headline(page), Catch::Contains("cancelled"));
}

TEST_CASE("layers with the most noise come first, and those as good as float are not named") {
    ReportPage page = full_page();
    html::View const view(page);
    CHECK(view.worst == std::vector<std::size_t>{0, 1});
    CHECK(view.layers[0].hurts == 1);
    CHECK(view.layers[2].hurts == 0);
    CHECK(html::both_noises(20, 20) == Approx(16.9897));
    page.sensitivity = {{.name = "c", .noise_share = 0.7}, {.name = "b", .noise_share = 0.2}};
    CHECK(html::View(page).worst == std::vector<std::size_t>{2, 1});
}

TEST_CASE("what a layer costs is shown apart, and what it makes of the noise where that was measured") {
    ReportPage page = full_page();
    double const exact = std::numeric_limits<double>::infinity();
    page.sensitivity = {
        {.name = "b", .weights_int4 = 12.5, .weights_int8 = 40, .data_int4 = 20, .data_int8 = exact}};
    std::string const alone = to_html(page);
    CHECK(alone.find(
              "<td class=\"num\" data-v=\"12.5\">12.5</td><td class=\"num\" data-v=\"40\">40.0</td>"
              "<td class=\"num\" data-v=\"20\">20.0</td><td class=\"num\" data-v=\"\">∞</td><td style") !=
          alone.npos);
    CHECK(alone.find("Of the noise, %") == alone.npos);
    page.sensitivity[0].all_but_this = 18.25;
    page.sensitivity[0].noise_share = 0.625;
    std::string const both = to_html(page);
    CHECK(both.find("<td class=\"num\" data-v=\"18.25\">18.2</td><td class=\"num\" data-v=\"0.625\">62.5</td>"
                    "<td style") != both.npos);
    CHECK(both.find("Of the noise, %") != both.npos);
}

TEST_CASE("a remedy is a configuration that is read, and says what it promised") {
    ReportPage page = full_page();
    page.report.layers[0].name = page.network.layers[0].name = "a\"b\\c";
    html::View const view(page);
    html::Remedy const first = html::remedy(view.layers[0]);
    CHECK_THAT(first.text.en, Catch::Contains("Raise the weights to INT8: +18"));
    auto const config = read<AMCTDistillConfig>(first.config);
    REQUIRE(config);
    REQUIRE(config->distill_override_layers.size() == 1);
    CHECK(*config->distill_override_layers[0].layer_name == "a\"b\\c");
    // INT8 of the weights alone, and nothing else where all is wide already.
    page.report.layers[1].weight_bits = 8;
    page.report.layers[1].weight_sqnr = 25;
    page.report.layers[1].weight_algorithm = "arq_distill, INT8";
    html::Remedy const second = html::remedy(html::View(page).layers[1]);
    CHECK_THAT(second.config, Catch::Contains("channel_wise: true"));
    CHECK(read<AMCTDistillConfig>(second.config));
    page.report.layers[1].weight_algorithm = "arq_distill, INT8, channel_wise";
    html::Remedy const third = html::remedy(html::View(page).layers[1]);
    CHECK(third.config == "quant_skip_layers: \"b\"");
    page.report.layers[0].weight_algorithm = "my_own, INT4, channel_wise";
    CHECK(html::remedy(html::View(page).layers[0]).config.empty());
    page.network.layers[0].from = "distill_override_layers[2] at 9:1";
    page.network.layers[0].from_line = 9;
    CHECK_THAT(html::remedy(html::View(page).layers[0]).text.en, Catch::Contains("override in line 9"));
}

TEST_CASE("the language that is asked for, and as many histograms") {
    support::Html const chinese(to_html(full_page(), {.language = PageLanguage::chinese}));
    CHECK(attribute(*chinese.all("html")[0], "lang") == "zh");
    for (const auto* e : chinese.all("input"))
        if (e->attributes.contains("name") && attribute(*e, "name") == "lang")
            CHECK(e->attributes.contains("checked") == (attribute(*e, "id") == "zh"));
    CHECK_FALSE(support::Html(to_html(full_page())).all("html")[0]->attributes.contains("data-lang"));
    auto const histograms = [](const HtmlOptions& options) {
        std::size_t count = 0;
        support::Html const parsed(to_html(full_page(), options));
        for (const auto* e : parsed.all("path"))
            count += e->attributes.contains("class") && attribute(*e, "class") == "h hw" ? 1u : 0u;
        return count;
    };
    CHECK(histograms({}) == 4);
    CHECK(histograms({.histograms = 3}) == 3);
}

TEST_CASE("the configuration has a line for each of its lines, comments apart") {
    std::string const lines = html::config_lines("a: 1 # <b>\n\nc: 'x#\\'#y' # z\r\nd");
    CHECK(lines ==
          "<span id=\"c1\">a: 1 <em># &lt;b&gt;</em></span><span id=\"c2\"></span>"
          "<span id=\"c3\">c: &#39;x#\\&#39;#y&#39; <em># z</em></span><span id=\"c4\">d</span>");
}

}  // namespace report_html_test
