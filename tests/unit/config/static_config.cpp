// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/config/static_config.hpp>

#include <amct_distill/text/printer.hpp>
#include <amct_distill/text/reader.hpp>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "support/catch.hpp"

namespace config_static_config_test {

using namespace amct_distill;

namespace {

inline constexpr fixed_string everything_text = R"(# all there is
batch_num: 0x2, group_size: 010; data_dump: t
distill_group: < start_layer_name: "a" 'b', end_layer_name: "\344\270\200\u4e8c"; >
distill_data_quant_config { ulq_quantize {
    clip_max_min: { clip_max: 3.1415927f clip_min: -1e-3 } fixed_min: True } }
distill_weight_quant_config: { ulq_distill { dst_type: 0 channel_wise: 1 } }
distill_override_layers [ { layer_name: "x" },
    { layer_name: "\"y\"" distill_weight_quant_config { arq_distill { } } } ]
distill_override_layer_types { layer_type: "Conv2d" distill_data_quant_config { } }
quant_skip_layers: ["层一", 'z'] quant_skip_layers: "" quant_skip_layers: []
)";
using everything = static_config<everything_text>;

/// The same texts by the compiler and at run time.
template <fixed_string... Texts>
void check_texts() {
    auto const check = []<fixed_string Text>() {
        INFO(Text.view());
        constexpr const auto& by_compiler = static_config<Text>::value;
        auto const at_run_time = read<AMCTDistillConfig>(Text.view());
        REQUIRE(at_run_time);
        CHECK(print(by_compiler) == print(*at_run_time));
    };
    (check.template operator()<Texts>(), ...);
}

}  // namespace

TEST_CASE("the compiler reads every field") {
    constexpr const auto& c = everything::value;
    STATIC_REQUIRE(*c.batch_num == 2);
    STATIC_REQUIRE(*c.group_size == 8);
    STATIC_REQUIRE(*c.data_dump);
    STATIC_REQUIRE(c.distill_group.size() == 1);
    STATIC_REQUIRE(*c.distill_group[0].start_layer_name == "ab");
    STATIC_REQUIRE(*c.distill_group[0].end_layer_name == "一二");
    STATIC_REQUIRE(
        *c.distill_data_quant_config->data_quant_algo.get_if<ActULQquantize>()->clip_max_min->clip_max ==
        3.1415927f);
    STATIC_REQUIRE(
        c.distill_weight_quant_config->weights_quant_algo.get_if<WtsULQDistill>()->dst_type.get() ==
        DataType::INT4);
    STATIC_REQUIRE(*c.distill_override_layers[1].layer_name == "\"y\"");
    STATIC_REQUIRE(c.quant_skip_layers.size() == 3);
    STATIC_REQUIRE(c.quant_skip_layers[0] == "层一");
    STATIC_REQUIRE(c == c);
    STATIC_REQUIRE(static_config<"">::value == BasicConfig<StandardAlgorithms, StaticStorage>{});
}

TEST_CASE("a text means the same to the compiler and at run time") {
    check_texts<
        "", " # nothing\n", "batch_num: 4294967295", "data_dump: False", "quant_skip_layers: '\\0'",
        "distill_group { start_layer_name: '\\x41\\t' end_layer_name: '\"\\'' }",
        "distill_data_quant_config { ulq_quantize { clip_max_min { clip_max: 16777217 clip_min: -0.1 } } }",
        "distill_data_quant_config { ulq_quantize { clip_max_min { clip_max: 1e99 clip_min: -infinity } } }",
        "distill_data_quant_config { ulq_quantize { clip_max_min { clip_max: "
        "1.000000059604644775390625867361738 clip_min: -1.4e-45 } } }",
        "distill_data_quant_config { ulq_quantize { clip_max_min { clip_max: nan clip_min: - .5e-3F } } }">();
    check_texts<everything_text>();
}

// The compiler evaluates the same functions, out of sight of a debugger and of the coverage.
TEST_CASE("what the compiler reads comes out of its functions at run time too") {
    using Source = detail::StaticSource<everything_text, StandardAlgorithms>;
    auto const survey = detail::make_survey<Source>();
    CHECK(survey.ok);
    CHECK(survey.errors == 0);
    CHECK(survey.sizes == detail::surveyed<Source>.sizes);
    CHECK(survey.sizes == std::array<std::size_t, 10>{0, 0, 0, 1, 0, 0, 2, 1, 3, 0});
    CHECK(survey.arena == detail::surveyed<Source>.arena);
    auto const chars = detail::make_static_chars<Source>();
    CHECK(chars == detail::static_chars<Source>);
    CHECK(std::string_view(chars.data()).starts_with("ab一二"));
    CHECK(detail::make_static_parts<Source>() == detail::static_parts<Source>);
    CHECK(detail::static_value<Source>() == everything::value);
    using Empty = detail::StaticSource<"", StandardAlgorithms>;
    CHECK(detail::make_static_chars<Empty>() == std::array<char, 1>{'\0'});
}

TEST_CASE("a wrong text's messages, each with its place, as the compiler shows them") {
    using Source = detail::StaticSource<"batch_nun: 1\ndata_dump: maybe", StandardAlgorithms>;
    auto const survey = detail::make_survey<Source>();
    CHECK_FALSE(survey.ok);
    REQUIRE(survey.errors == 2);
    STATIC_REQUIRE(detail::surveyed<Source>.errors == 2);
    std::string const first = "1:1: unknown field `batch_nun`; did you mean `batch_num`?";
    CHECK(detail::static_message<Source, 0>().view() == first);
    std::string const second(detail::static_message<Source, 1>().view());
    CHECK(second.starts_with("2:12: data_dump: "));
    auto const all = detail::make_static_messages<Source>();
    CHECK(std::string(all.chars.begin(), all.chars.end()) == first + second);
    CHECK(all.ends == std::array<std::size_t, 3>{0, first.size(), first.size() + second.size()});
    CHECK(survey.message_characters == first.size() + second.size());
    auto const at_run_time = read<AMCTDistillConfig>(Source::text);
    REQUIRE(at_run_time.diagnostics().size() == 2);
    CHECK(second.ends_with(at_run_time.diagnostics()[1].message));
    CHECK_FALSE(detail::static_value<Source>().batch_num.has_value());
}

}  // namespace config_static_config_test
