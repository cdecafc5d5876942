// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/plan/check_clips.hpp>

#include <cmath>
#include <limits>

#include "amct_distill/plan/resolve.hpp"
#include "amct_distill/text/reader.hpp"
#include "support/catch.hpp"
#include "support/topologies.hpp"

namespace plan_check_clips_test {

using namespace amct_distill;

namespace {

std::string clip_errors(float clip_max, float clip_min, optional<bool> fixed_min = {},
                        DataType dst_type = DataType::INT8) {
    oneof<StandardAlgorithms::data> const algorithm{
        ActULQquantize{.clip_max_min = ClipMaxMin{.clip_max = clip_max, .clip_min = clip_min},
                       .fixed_min = fixed_min,
                       .dst_type = dst_type}};
    detail::DiagnosticList found({});
    detail::check_clips(detail::RuleSection<StandardAlgorithms::data>{&algorithm, "x", {}, "x"}, found);
    return to_string(found.errors());
}
constexpr float smallest = std::numeric_limits<float>::min(), largest = std::numeric_limits<float>::max();

}  // namespace

TEST_CASE("clip_max is above 0, clip_min below, both finite") {
    constexpr float inf = std::numeric_limits<float>::infinity();
    CHECK(clip_errors(0.1f, -0.3f).empty());
    CHECK(clip_errors(-1.0f, -2.0f) ==
          "error: x.clip_max_min.clip_max: clip_max must be above 0 and finite, and is -1; leave "
          "clip_max_min out, and IFMR computes the clips");
    CHECK(clip_errors(1.0f, 0.5f) ==
          "error: x.clip_max_min.clip_min: clip_min must be below 0 and finite, and is 0.5; leave "
          "clip_max_min out, and IFMR computes the clips");
    CHECK_THAT(clip_errors(0.0f, -1.0f), Catch::Contains("clip_max must be above 0 and finite, and is 0;"));
    CHECK_THAT(clip_errors(1.0f, 0.0f), Catch::Contains("clip_min must be below 0 and finite, and is 0;"));
    CHECK_FALSE(clip_errors(inf, -1.0f).empty());
    CHECK_FALSE(clip_errors(1.0f, -inf).empty());
    CHECK(clip_errors(std::nanf(""), inf) ==
          "error: x.clip_max_min.clip_max: clip_max must be above 0 and finite, and is nan; leave "
          "clip_max_min out, and IFMR computes the clips\n"
          "error: x.clip_max_min.clip_min: clip_min must be below 0 and finite, and is inf; leave "
          "clip_max_min out, and IFMR computes the clips");
}

TEST_CASE("a range wider than float32 is an error, unless its lower end is fixed to 0") {
    CHECK(clip_errors(3e38f, -3e38f) ==
          "error: x.clip_max_min: the range from -3e+38 to 3e+38 is wider than the largest float32; leave "
          "clip_max_min out, and IFMR computes the clips");
    CHECK_FALSE(clip_errors(largest, -1e32f).empty());
    CHECK(clip_errors(1.7e38f, -1.7e38f).empty());
    CHECK(clip_errors(3e38f, -3e38f, true).empty());
    CHECK_FALSE(clip_errors(3e38f, -3e38f, false).empty());
}

TEST_CASE("a range whose scale float32 cannot hold is an error, to the last bit") {
    CHECK(clip_errors(1e-7f, -1e-7f).empty());
    CHECK(clip_errors(1e-38f, -1e-38f) ==
          "error: x.clip_max_min: the range from 0 to 1e-38 is too narrow: float32 has no normal number for "
          "the "
          "scale; leave clip_max_min out, and IFMR computes the clips");
    CHECK(clip_errors(255 * smallest, -1.0f).empty());
    CHECK_FALSE(clip_errors(254 * smallest, -1.0f).empty());   // after a ReLU, from 0
    CHECK(clip_errors(254 * smallest, -1.0f, false).empty());  // from -1
    CHECK_FALSE(clip_errors(254 * smallest, -1.0f, true).empty());
    CHECK_FALSE(clip_errors(127 * smallest, -127 * smallest, false).empty());
    CHECK(clip_errors(15 * smallest, -1.0f, {}, DataType::INT4).empty());
    CHECK_FALSE(clip_errors(14 * smallest, -1.0f, {}, DataType::INT4).empty());
}

TEST_CASE("resolve() refuses such clips at their place in the text, wherever a rule gives them") {
    std::string const text =
        "distill_override_layers { layer_name: 'conv1'\n"
        "  distill_data_quant_config { ulq_quantize { clip_max_min { clip_max: 3e38 clip_min: -3e38 } } } }\n"
        "distill_data_quant_config { ulq_quantize { clip_max_min: { clip_max: 1e-44, clip_min: -1e-44 } } "
        "}\n";
    auto const plan = resolve(read<AMCTDistillConfig>(text).value(), example(), target::generic,
                              {.source = {"quant.cfg", text}});
    REQUIRE_FALSE(plan);
    REQUIRE(plan.diagnostics().size() == 2);
    CHECK(to_string(plan.diagnostics()[0])
              .starts_with(
                  "quant.cfg:2:46: error: "
                  "distill_override_layers[0].distill_data_quant_config.ulq_quantize.clip_max_min: the "
                  "range from -3e+38 to 3e+38 is wider"));
    CHECK(to_string(plan.diagnostics()[1])
              .starts_with("quant.cfg:3:44: error: distill_data_quant_config.ulq_quantize.clip_max_min: the "
                           "range from 0 to 1e-44 is "
                           "too narrow"));
}

}  // namespace plan_check_clips_test
