// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/config/extended.hpp>

#include <amct_distill/config/static_config.hpp>
#include <amct_distill/plan/common_settings.hpp>
#include <amct_distill/text/printer.hpp>
#include <amct_distill/text/reader.hpp>
#include <amct_distill/wire/reader.hpp>
#include <amct_distill/wire/writer.hpp>

#include "support/catch.hpp"

namespace config_extended_test {

using namespace amct_distill;

namespace {

constexpr char text[] = R"(batch_num: 2
distill_weight_quant_config {
  adaround_distill {
    dst_type: INT4
    channel_wise: true
    regularization: 0.5
    regularization_end: 50
    warm_up: 0.25
    beta_start: 10
    beta_end: 3
    hard_phase: 0.75
    learning_rate: 0.125
    initial_range: MAX
  }
}
distill_override_layers {
  layer_name: "fc"
  distill_weight_quant_config {
    arq_distill {
    }
  }
}
)";

}  // namespace

TEST_CASE("learned rounding is a message like the others") {
    auto const config = read<ExtendedConfig>(text).value();
    CHECK(print(config) == text);
    const auto& weights = config.distill_weight_quant_config->weights_quant_algo;
    CHECK(weights.name() == "adaround_distill");
    CHECK(describe(weights) == "adaround_distill, INT4, channel_wise");

    CHECK(static_config<text, ExtendedAlgorithms>::value.distill_weight_quant_config->weights_quant_algo
              .name() == "adaround_distill");
    auto const bytes = write_binary(config);
    CHECK(read_binary<ExtendedConfig>(bytes).value() == config);

    // What it says when it says nothing.
    AdaRoundDistill const none{};
    CHECK(none.dst_type.get() == DataType::INT4);
    CHECK(none.regularization.get() == 1);
    CHECK(none.regularization_end.get() == 100);
    CHECK(none.warm_up.get() == 0.2f);
    CHECK(none.beta_start.get() == 20);
    CHECK(none.beta_end.get() == 2);
    CHECK(none.hard_phase.get() == 0.5f);
    CHECK(none.learning_rate.get() == 0.05f);
    CHECK(none.initial_range.get() == InitialRange::MSE);

    // ARQ and ULQ have a range of their own choice here, AMCT's unless they say so.
    CHECK(ExtendedARQDistill{}.initial_range.get() == InitialRange::MAX);
    CHECK(ExtendedULQDistill{}.initial_range.get() == InitialRange::MAX);
    for (std::string_view name : {"arq_distill", "ulq_distill"}) {
        auto const searched = detail::concat("distill_weight_quant_config { ", name,
                                             " { dst_type: INT4 initial_range: MSE } }");
        auto const read_back =
            read_binary<ExtendedConfig>(write_binary(read<ExtendedConfig>(searched).value()));
        CHECK(read_back.value() == read<ExtendedConfig>(searched).value());
        CHECK_FALSE(read<AMCTDistillConfig>(searched));
    }

    // AMCT's configurations do not have it, and theirs are the same bytes in both.
    CHECK_FALSE(read<AMCTDistillConfig>(text));
    std::string_view const theirs = "distill_weight_quant_config { ulq_distill { dst_type: INT4 } }";
    CHECK(write_binary(read<ExtendedConfig>(theirs).value()) ==
          write_binary(read<AMCTDistillConfig>(theirs).value()));
}

}  // namespace config_extended_test
