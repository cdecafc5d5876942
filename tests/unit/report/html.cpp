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

TEST_CASE("the verdict names who makes the noise, or that nobody does") {
    auto const headline = [](const ReportPage& page) {
        support::Html const parsed(to_html(page));
        return parsed.all("h1").at(0)->text;
    };
    auto const why = [](const ReportPage& page) { return html::explanation(html::View(page)).en; };
    ReportPage page = full_page();
    page.network.layers[0].name = page.report.layers[0].name = "a";
    page.test.networks[1].accuracy = 0.995;
    CHECK_THAT(headline(page), Catch::Contains("Accuracy rises from 99.00 to 99.50\u00A0%"));
    CHECK_THAT(headline(page), Catch::Contains("准确率由 99.00\u00A0% 升至 99.50\u00A0%"));
    CHECK_THAT(headline(page), Catch::Contains("; a and b carry the most noise."));
    CHECK_THAT(why(page), Catch::Contains("its own rounding leaves 14.0\u00A0dB."));
    CHECK_THAT(why(page), Catch::Contains("On 397 samples one is 0.25 points."));
    page.test.samples = 2000;
    CHECK_THAT(why(page), !Catch::Contains("samples one is"));
    page.sensitivity = {
        {.name = "a", .weights_int4 = 12.5, .data_int8 = std::numeric_limits<double>::infinity()}};
    CHECK_THAT(why(page), Catch::Contains("alone it leaves the outputs 12.5\u00A0dB."));
    page.sensitivity = {{.name = "a", .noise_share = 0.7}, {.name = "b", .noise_share = 0.2}};
    CHECK_THAT(headline(page), Catch::Contains("; 2 layers cause 90\u00A0% of the noise."));
    CHECK_THAT(headline(page), Catch::Contains("；90\u00A0% 的噪声来自 2 个层。"));
    CHECK_THAT(why(page), Catch::Contains("it makes 70\u00A0% of the noise."));
    page.sensitivity.pop_back();
    CHECK_THAT(headline(page), Catch::Contains("; a carries the most noise."));
    page.sensitivity.clear();
    for (LayerReport& l : page.report.layers) l.weight_sqnr = l.data_sqnr = 50;
    CHECK_THAT(headline(page), Catch::Contains("; no layer stands out."));
    CHECK_THAT(to_html(page),
               Catch::Contains("Nothing stands out: every quantized layer leaves 30 dB or more."));
    CHECK_THAT(why(page), Catch::StartsWith("Distillation brought"));
    page.report.kept_calibrated = true;
    CHECK_THAT(why(page), Catch::StartsWith("The outputs did not come 5"));
    page.report.blocks[0].epoch_losses.clear();
    CHECK_THAT(why(page), Catch::StartsWith("Nothing was trained: the network is calibrated only."));
    page.report.layers.clear();
    CHECK_THAT(headline(page), Catch::Contains("No layer was quantized."));
    CHECK_THAT(html::hurts(html::View(page)), Catch::Contains("没有量化任何层。"));
}

TEST_CASE("each cause of noise is told: weights, inputs, channels, zeros, clips") {
    ReportPage page = full_page();
    auto const cause = [&](double weights, double data) {
        page.report.layers[0].weight_sqnr = weights;
        page.report.layers[0].data_sqnr = data;
        return html::cause(html::View(page).layers[0]).en;
    };
    CHECK(cause(20, 40) ==
          "The INT4 weights make most of its noise; the ranges of its 2 channels differ 7-fold; 1 of 2 "
          "channels is all zeros; 1.25\u00A0% of the inputs lie outside the clips.");
    page.report.layers[0].dead_channels = {0, 1};
    page.report.layers[0].saturation = 0.0004;
    page.report.layers[0].weight_scales = {{0.5f, 0}, {0.25f, 0}, {0.75f, 0}};
    CHECK(cause(40, 20) == "The INT8 inputs make most of its noise; 2 of 2 channels are all zeros.");
    page.report.layers[0].dead_channels.clear();
    CHECK(cause(20, 20) == "INT4 weights and INT8 inputs share its noise.");
    page.report.layers[0].weight_scales.clear();
    CHECK(cause(20, 22) == "INT4 weights and INT8 inputs share its noise.");
}

TEST_CASE("remedies: which bits, at what price, in whose place") {
    ReportPage page = full_page();
    LayerReport& l = page.report.layers[1];
    auto const remedy = [&] { return html::remedy(html::View(page).layers[1]); };
    l.weight_bits = l.data_bits = 4;
    l.weight_sqnr = l.data_sqnr = 15;
    CHECK(remedy().text.en == "Raise weights and inputs to INT8: +18\u00A0B");
    CHECK(remedy().text.zh == "把权重与数据提高到 INT8：+18\u00A0B");
    CHECK_THAT(remedy().config, Catch::Contains("ulq_quantize { dst_type: INT8 }"));
    l.data_sqnr = 10;
    CHECK(remedy().text.en == "Raise the inputs to INT8: no bytes more");
    CHECK_THAT(remedy().config, Catch::Contains("arq_distill { dst_type: INT4 channel_wise: true }"));
    page.network.layers[1].from = "distill_override_layers[0]";
    page.network.layers[1].from_line = 0;
    CHECK(remedy().text.en == "Raise the inputs to INT8: no bytes more, in place of its override");
    CHECK(remedy().text.zh == "把数据提高到 INT8：不增加体积，替换原有的 override");
    l.weight_bits = l.data_bits = 8;
    l.saturation = 0.02;
    l.user_clips = true;
    CHECK_THAT(remedy().text.en, Catch::StartsWith("Its clips are yours and cut off values"));
    CHECK(remedy().config.empty());
    l.weight_algorithm = "ulq_distill, INT8";
    l.weight_sqnr = 29;
    CHECK_THAT(remedy().text.en, Catch::StartsWith("Give each channel a scale of its own"));
    l.data_algorithm = "my_own, INT8";  // which is not known to take that
    CHECK_THAT(remedy().text.en, Catch::StartsWith("Its clips are yours"));
    l.user_clips = false;
    CHECK(remedy().config == "quant_skip_layers: \"b\"");
    l.weight_bits = 4;
    l.weight_sqnr = 10;
    CHECK(remedy().text.en == "Raise the weights to INT8: +18\u00A0B, in place of its override");
    CHECK(remedy().config.empty());  // nobody knows its configuration
}

TEST_CASE("the figures on top: samples, stages, sizes and bits") {
    ReportPage page = full_page();
    page.test = {.samples = 100,
                 .networks = {{"FP32 teacher", 0.5, 0},
                              {"calibrated", 0.5, 0.5},
                              {"in integers", 0.51, std::nan("")},
                              {"<mine>", 0.51, 0.25}}};
    std::string const points = html::accuracy_figure(html::View(page));
    CHECK_THAT(points, Catch::Contains("+1.00 <small>") && Catch::Contains("points, 1 sample<"));
    CHECK_THAT(points, Catch::Contains("整数推理") && Catch::Contains("&lt;mine&gt;"));
    page.test.samples = 0;
    page.test.networks[3].accuracy = 0.5;
    std::string const same = html::accuracy_figure(html::View(page));
    CHECK_THAT(same, Catch::Contains("±0 <small>") && !Catch::Contains("test samples"));
    page.test.networks[3].accuracy = std::nan("");  // not all are known: the error is drawn
    CHECK_THAT(to_html(page), Catch::Contains("Error of the outputs to the teacher’s"));
    page.test.networks = {
        {"FP32", std::nan(""), 0}, {"calibrated", std::nan(""), 0.5}, {"x", std::nan(""), 0.25}};
    CHECK_THAT(html::error_figure(html::View(page)),
               Catch::Contains("<data value=\"0.5\">0.5</data>") && Catch::Contains("× 0.50 <small>"));
    page.report.output_error_calibrated = 0;
    page.report.blocks.clear();
    CHECK_THAT(html::error_figure(html::View(page)),
               Catch::Contains("– <small>") && Catch::Contains("nothing was trained"));

    page.report.layers[0].weight_bits = 2;
    std::string const bits = html::bits_figure(html::View(page));
    CHECK_THAT(bits, Catch::Contains("1 layer at INT2, 1 layer at INT4, 1 layer at INT8, 1 layer in float"));
    CHECK_THAT(bits, Catch::Contains("INT2 25\u00A0%"));
    page.network.layers[1].weights = 4000;
    CHECK_THAT(html::bits_figure(html::View(page)), !Catch::Contains("INT2 1"));
    CHECK_THAT(html::size_figure(html::View(page)), Catch::Contains("b alone: 2.0\u00A0kB, 8"));
    page.network.layers.resize(2);  // one layer is all there is, and so says nothing
    page.network.layers.erase(page.network.layers.begin());
    CHECK_THAT(html::size_figure(html::View(page)), !Catch::Contains(" alone: "));
}

TEST_CASE("many layers: bars without names, tables and lists that open") {
    ReportPage page;
    page.observed = ObservedValues{.output_sqnr = 20, .samples = 4};
    for (int k = 0; k != 20; ++k) {
        std::string const name = detail::concat("layer", k);
        page.report.layers.push_back(layer(name, 8, 40.0 + k, 35.0 - k));
        page.sensitivity.push_back({.name = name, .weights_int8 = 10.0 + k});
        page.warnings.push_back({.severity = Severity::warning, .message = name});
        LayerValues values{.name = name, .output_sqnr = 30.0 - k};
        values.weights.add(std::vector<float>{0, 1});
        page.observed->layers.push_back(values);
    }
    page.sensitivity.push_back({.name = "nobody"});
    std::string const text = to_html(page);
    CHECK(support::Html(text).error == "");
    CHECK_THAT(text, Catch::Contains("The other 9 layers") && Catch::Contains("其余 9 层"));
    CHECK_THAT(text, Catch::Contains("<th scope=\"row\">nobody</th>"));  // no link: no such row
    CHECK_THAT(text, Catch::Contains("14 others") && Catch::Contains("其余 14 条"));
    CHECK_THAT(text, Catch::Contains("<b><span lang=\"en\">run</span>"));
    CHECK_THAT(html::bars(html::View(page)), !Catch::Contains("<i>layer0 "));
    CHECK_THAT(html::bars(html::View(page)), Catch::Contains("<i class=\"worst\">40.0</i>"));
    // Five hurt; of the 15 others seven are shown.
    std::string const values = html::values(html::View(page), 12);
    CHECK_THAT(values, Catch::Contains("Left out: 8 layers with less noise of their own."));
    CHECK_THAT(html::values(html::View(page), 3), Catch::Contains("Left out: 15 layers"));
    CHECK_THAT(html::values(html::View(page), 100),
               Catch::Contains("Layers 1 – 12") && Catch::Contains("Layers 13 – 15"));
    page.warnings.resize(7);
    CHECK_THAT(to_html(page), Catch::Contains("1 other<"));
    page.warnings[0].where = {3, 1};
    CHECK_THAT(to_html(page), Catch::Contains("<b><span lang=\"en\">line 3</span>"));
    page.warnings[0] = {.severity = Severity::warning, .source = "<f>", .message = "m"};
    CHECK_THAT(to_html(page), Catch::Contains("<b>&lt;f&gt;</b>"));
}

TEST_CASE("blocks: how they ended, what was taken over, and losses off the scale") {
    ReportPage page = full_page();
    BlockReport& b = page.report.blocks[0];
    b.shared = {"<emb>"};
    CHECK_THAT(html::blocks(html::View(page)),
               Catch::Contains("ended early</span><span lang=\"zh\">提前结束</span></span>: &lt;b&gt;") &&
                   Catch::Contains("&lt;emb&gt; <span lang=\"en\">is shared with other nodes"));
    CHECK_THAT(html::blocks(html::View(page)), Catch::Contains("What lies above ten times is drawn there."));
    CHECK_THAT(html::blocks(html::View(page)), Catch::Contains(", 3 ⇤"));
    b = {.names = {"a"}, .loss_before = 1, .loss_after = 0.9, .epoch_losses = {0.9, 0}, .seconds = 2};
    page.report.resumed_blocks = 3;
    std::string const text = html::blocks(html::View(page));
    CHECK_THAT(text, Catch::Contains("<b class=\"bad\">× 0.90</b> <span lang=\"en\">as calibrated"));
    CHECK_THAT(text, Catch::Contains("3 blocks were taken from an earlier run."));
    CHECK_THAT(text, !Catch::Contains("What lies above") && !Catch::Contains("⇤"));
    b.epoch_losses.clear();
    CHECK_THAT(html::blocks(html::View(page)), Catch::Contains("Each block’s error, as calibrated"));
    page.report.blocks.clear();
    CHECK_THAT(html::blocks(html::View(page)), Catch::Contains("Nothing was distilled."));
}

TEST_CASE("histograms: codes as ticks or as a band, and what the clips cut off") {
    ValueHistogram values;
    values.add(std::vector<float>{-2, -1, 0, 1, 2});
    html::CodeRangeText codes{.low = -1, .high = 1, .step = 0.25, .bits = 4};
    std::string const cut = html::histogram(values, "hw", &codes);
    support::Html const parsed("<body>" + cut + "</body>");
    auto const count = [&](std::string_view which) {
        std::size_t n = 0;
        for (const auto* e : parsed.all("path")) n += attribute(*e, "class") == which ? 1u : 0u;
        return n;
    };
    CHECK(count("out") == 2);
    CHECK(count("clip") == 2);  // the ends, and the ticks
    CHECK(count("band") == 0);
    codes.step = 1.0 / 128;
    CHECK_THAT(html::histogram(values, "hw", &codes), Catch::Contains("class=\"band\""));
    codes = {.low = -3, .high = 3, .step = 1};
    CHECK_THAT(html::histogram(values, "hw", &codes), !Catch::Contains("class=\"out\""));
    CHECK_THAT(html::histogram(values, "hw", nullptr), !Catch::Contains("class=\"clip\""));
    ValueHistogram same;
    same.add(std::vector<float>{3, 3, std::numeric_limits<float>::infinity()});
    CHECK_THAT(html::histogram(same, "hw", nullptr), Catch::Contains("d=\"M"));
    CHECK_THAT(html::histogram({}, "hw", nullptr), Catch::Contains("<path class=\"h hw\" d=\"\"/>"));
}

TEST_CASE("the table of layers: places without a line, algorithms of one's own, one scale") {
    ReportPage page = full_page();
    page.network.layers[0].from = "the default";
    page.network.layers[0].from_line = 0;
    page.network.layers[1].from = "line";  // without its place
    page.report.layers[1].weight_scales = {{0.5f, 0}};
    page.report.layers[1].user_clips = true;
    page.report.layers[2].data_algorithm = "my_own, INT8";
    page.report.layers[2].weight_scales.clear();
    std::string const text = html::layers(html::View(page));
    CHECK_THAT(text, Catch::Contains("<td class=\"l\">the default</td>"));
    CHECK_THAT(text, Catch::Contains("<a href=\"#c2\" title=\"line\">line</a>"));
    CHECK_THAT(text, Catch::Contains("data-v=\"0.5\">0.5</td>"));
    CHECK_THAT(text, Catch::Contains("my_own INT8</span>") && Catch::Contains("ulq INT8</span>"));
    CHECK_THAT(text, Catch::Contains(" … 1.99*</td>") && Catch::Contains("*: the first clips were yours"));
    CHECK_THAT(text, !Catch::Contains("Inputs of all quantized layers"));
    page.run.config_text.clear();
    CHECK_THAT(html::layers(html::View(page)), Catch::Contains("<td class=\"l\">2:3</td>"));
    page.report.layers.clear();
    CHECK_THAT(html::layers(html::View(page)), Catch::Contains("<td class=\"l\"><span lang=\"en\">float"));
}

TEST_CASE("data and integers: lines of text, pictures of a point, sums that differ") {
    ReportPage page = full_page();
    page.data[0].thumbnails = {{100, 10, "AAAA", "wide"}, {0, 0, "BBBB", "none"}};
    std::string const text = html::data(html::View(page));
    CHECK_THAT(text, Catch::Contains("width=\"240\" height=\"24\" alt=\"wide\""));
    CHECK_THAT(text, Catch::Contains("width=\"0\" height=\"0\" alt=\"none\""));
    page.data[0].thumbnails.clear();
    CHECK_THAT(html::data(html::View(page)), !Catch::Contains("The first ones, as the network sees them"));
    page.data.clear();
    CHECK_THAT(html::data(html::View(page)), Catch::Contains("Not recorded."));
    CHECK_THAT(html::integers(html::View(page)), Catch::Contains("<details><summary>"));
    page.verified->layers[0].largest = 4;
    CHECK_THAT(html::integers(html::View(page)), Catch::Contains("They do NOT compute what was simulated") &&
                                                     Catch::Contains("<details open>") &&
                                                     Catch::Contains("<tr class=\"hit\">"));
    page.verified.reset();
    CHECK_THAT(html::integers(html::View(page)),
               Catch::Contains("The integers were not compared with the simulation."));
    CHECK(html::config_lines("a: 'x\\").ends_with("a: &#39;x\\</span>"));
}

}  // namespace report_html_test
