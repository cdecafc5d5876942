// SPDX-License-Identifier: Apache-2.0
// Whatever the locale of the process is, every text is the same, and the same texts are read.
#include <amct_distill/adapters/json.hpp>
#include <amct_distill/adapters/json_reader.hpp>
#include <amct_distill/adapters/report_json.hpp>
#include <amct_distill/config/messages.hpp>
#include <amct_distill/config/record.hpp>
#include <amct_distill/plan/resolve.hpp>
#include <amct_distill/report/text.hpp>
#include <amct_distill/report/verify_text.hpp>
#include <amct_distill/text/printer.hpp>
#include <amct_distill/text/reader.hpp>

#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <locale>
#include <sstream>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"

namespace adapters_locale_test {

using namespace amct_distill;

namespace {

std::vector<std::string> texts() {
    std::vector<std::string> out;
    Topology t;
    t.modules = {{"conv1", "Conv2d"}, {"relu1", "ReLU"}};
    t.nodes = {{"conv1", "Conv2d", 0, {}}, {"relu1", "ReLU", 1, {0}}};
    t.outputs = {1};
    auto const config = read<AMCTDistillConfig>(
        "batch_num: 12345 distill_data_quant_config { "
        "ulq_quantize { clip_max_min { clip_max: 1.5 clip_min: -1234.0625 } } }");
    out.push_back(print(config.value()));
    auto const plan = resolve(*config, t).value();
    out.push_back(print_json(to_json(plan)));
    auto const again = plan_from_json(out.back(), t);
    out.push_back(print_json(to_json(again.value())));
    for (std::string_view wrong : {"clip_max: -6.5 clip_min: -1", "clip_max: 1,5 clip_min: -1"}) {
        auto const text =
            detail::concat("distill_data_quant_config { ulq_quantize { clip_max_min { ", wrong, " } } }");
        auto const bad = read<AMCTDistillConfig>(text);
        out.push_back(bad ? to_string(resolve(*bad, t).diagnostics()) : to_string(bad.diagnostics()));
    }
    DistillReport r;
    r.layers.push_back({.name = "conv1", .weight_sqnr = 18.75, .saturation = 0.0125});
    r.layers.back().data_clip = {1.5f, -1234.5f};
    r.blocks.push_back({.names = {"conv1"}, .loss_before = 0.5, .loss_after = 0.125, .seconds = 1234.5});
    r.output_error_calibrated = 12345.5;
    out.push_back(to_table(r));
    out.push_back(print_json(to_json(r)));
    VerifyReport const v{.layers = {{.name = "fc", .outputs = 1234567}}, .output_error = 0.5};
    out.push_back(to_table(v));
    auto const record = read<ScaleOffsetRecord>(
        "record { key: 'fc' value { scale_d: 0.0625 offset_d: -128 scale_w: 1.5e-3 } }");
    out.push_back(print(record.value()));
    out.push_back(print(read<ScaleOffsetRecord>(out.back()).value()));
    return out;
}

struct DecimalComma : std::numpunct<char> {
    char do_decimal_point() const override { return ','; }
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\3"; }
};

/// The C library's locale, as the environment's is, and C++'s, until the end of the scope.
struct German {
    German() {
        support::temporary_directory const directory;
        if (std::setlocale(LC_ALL, "de_DE.UTF-8") == nullptr) {  // make one, where the sources of locales are
            std::string const path = (directory.path() / "de_DE.UTF-8").string();
            if (std::system(("localedef -i de_DE -f UTF-8 " + path + " >/dev/null 2>&1").c_str()) == 0) {
                setenv("LOCPATH", directory.path().c_str(), 1);
                std::setlocale(LC_ALL, "de_DE.UTF-8");
                unsetenv("LOCPATH");
            }
        }
        before = std::locale::global(std::locale(std::locale::classic(), new DecimalComma));
    }
    ~German() {
        std::locale::global(before);
        std::setlocale(LC_ALL, "C");
    }
    std::locale before{};
};

}  // namespace

TEST_CASE("a decimal comma in the locale changes no text and nothing that is read") {
    std::vector<std::string> const expected = texts();
    std::vector<std::string> found;
    std::string cxx;
    char c[16];
    {
        German const german;
        std::ostringstream stream;
        stream << 1234.5;
        cxx = stream.str();
        std::snprintf(c, sizeof c, "%g", 1.5);
        found = texts();
    }
    CHECK(cxx == "1.234,5");  // the locales are what they should be
    if (std::string_view(c) != "1,5") WARN("no German locale here (Debian: apt install locales)");
    REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i != found.size(); ++i) CHECK(found[i] == expected[i]);
    CHECK_THAT(expected[1], Catch::Contains("1.5") && Catch::Contains("-1234.0625"));
    CHECK_THAT(expected[3], Catch::Contains("-6.5"));
}

}  // namespace adapters_locale_test
