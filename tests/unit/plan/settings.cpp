// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/plan/settings.hpp>

#include <amct_distill/config/messages.hpp>
#include <cmath>
#include <limits>

#include "support/catch.hpp"

namespace plan_settings_test {

using namespace amct_distill;

namespace {

using data = StandardAlgorithms::data;
using weights = StandardAlgorithms::weights;

detail::ResolvedAlgorithm<weights> settle_weights(const oneof<weights>& algorithm, bool is_conv) {
    return detail::settle(
        detail::RuleSection<weights>{
            &algorithm, "distill_weight_quant_config", {}, "distill_weight_quant_config"},
        {.is_conv = is_conv});
}
detail::ResolvedAlgorithm<data> settle_data(const oneof<data>& algorithm, const std::string& relu) {
    return detail::settle(
        detail::RuleSection<data>{&algorithm, "distill_data_quant_config", {}, "distill_data_quant_config"},
        {.relu_before = relu});
}
}  // namespace

TEST_CASE("a section that says nothing gives the first algorithm of the list, in INT8") {
    auto const w = detail::settle(detail::RuleSection<weights>{}, {.is_conv = true});
    CHECK(w.algorithm == oneof<weights>{ARQDistill{.dst_type = DataType::INT8, .channel_wise = true}});
    CHECK(w.from.algo == Provenance{});
    CHECK(w.from["dst_type"] == Provenance{});
    auto const d = detail::settle(detail::RuleSection<data>{}, {});
    CHECK(d.algorithm == oneof<data>{ActULQquantize{.fixed_min = false, .dst_type = DataType::INT8}});
}

TEST_CASE("channel_wise unset: true for Conv2d, false for Linear") {
    auto const conv = settle_weights(WtsULQDistill{}, true), linear = settle_weights(WtsULQDistill{}, false);
    CHECK(*conv.algorithm.get_if<WtsULQDistill>()->channel_wise);
    CHECK_FALSE(*linear.algorithm.get_if<WtsULQDistill>()->channel_wise);
    CHECK(conv.from["channel_wise"].text == "default");
    CHECK_FALSE(*settle_weights(ARQDistill{.channel_wise = false}, true)
                     .algorithm.get_if<ARQDistill>()
                     ->channel_wise);
}

TEST_CASE("divergence 8: fixed_min unset is true after a ReLU") {
    auto const after = settle_data(ActULQquantize{}, "relu1"), not_behind = settle_data(ActULQquantize{}, "");
    CHECK(*after.algorithm.get_if<ActULQquantize>()->fixed_min);
    CHECK(after.from["fixed_min"] == Provenance{"default: after ReLU `relu1`", false, {}});
    CHECK_FALSE(*not_behind.algorithm.get_if<ActULQquantize>()->fixed_min);
    CHECK(not_behind.from["fixed_min"] == Provenance{});
    auto const source = settle_data(ActULQquantize{.fixed_min = false}, "relu1");
    CHECK_FALSE(*source.algorithm.get_if<ActULQquantize>()->fixed_min);
    CHECK(source.from["fixed_min"] == Provenance{"distill_data_quant_config", true, {}});
}

TEST_CASE("the clips stay unset unless the user gave them") {
    CHECK_FALSE(
        settle_data(ActULQquantize{}, "").algorithm.get_if<ActULQquantize>()->clip_max_min.has_value());
    auto const given =
        settle_data(ActULQquantize{.clip_max_min = ClipMaxMin{.clip_max = 6.0f, .clip_min = -6.0f}}, "");
    CHECK(*given.algorithm.get_if<ActULQquantize>()->clip_max_min->clip_max == 6.0f);
    CHECK(given.from["clip_max_min"].by_user);
}

TEST_CASE("a setting's place is the field's own, else that of what it stands in") {
    ARQDistill message{.dst_type = DataType::INT4, .channel_wise = true};
    message.dst_type.set_position({12, 5});
    oneof<weights> algorithm{message};
    algorithm.set_position({12, 3});
    auto const settled =
        detail::settle(detail::RuleSection<weights>{&algorithm, "distill_override_layers[1]", {11, 1}, "x"},
                       {.is_conv = true});
    CHECK(settled.from.algo == Provenance{"distill_override_layers[1] at 12:3", true, {12, 3}});
    CHECK(settled.from["dst_type"].text == "distill_override_layers[1] at 12:5");
    CHECK(settled.from["channel_wise"].text == "distill_override_layers[1] at 12:3");
}

TEST_CASE("algorithms differ by name and by setting") {
    oneof<weights> const arq{ARQDistill{}}, arq4{ARQDistill{.dst_type = DataType::INT4}},
        ulq{WtsULQDistill{}};
    CHECK_FALSE(detail::differ(arq, arq));
    CHECK(detail::differ(arq, arq4));
    CHECK(detail::differ(arq, ulq));
}

}  // namespace plan_settings_test
