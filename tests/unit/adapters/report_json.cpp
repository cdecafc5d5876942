// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/adapters/report_json.hpp>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "support/catch.hpp"

namespace adapters_report_json_test {

using namespace amct_distill;

TEST_CASE("a distillation report as JSON has every figure, and null for what is not finite") {
    DistillReport r;
    r.layers.push_back({.name = "conv1",
                        .weight_algorithm = "arq_distill, INT4, channel_wise",
                        .data_algorithm = "ulq_quantize, INT8",
                        .weight_bits = 4,
                        .data_bits = 8,
                        .weight_scales = {{0.5f, 0}, {0.25f, 0}},
                        .data_scale = {0.0078125f, -128},
                        .data_clip = {2.0f, -1.0f},
                        .user_clips = true,
                        .weight_sqnr = 18.75,
                        .data_sqnr = std::numeric_limits<double>::infinity(),
                        .saturation = 0.125,
                        .channels = 2,
                        .dead_channels = {1}});
    r.blocks.push_back({.names = {"conv1", "relu1"},
                        .loss_before = 0.5,
                        .loss_after = 0.25,
                        .epoch_losses = {0.5, std::numeric_limits<double>::quiet_NaN()},
                        .best_epoch = 1,
                        .teacher_inputs = 3,
                        .seconds = 1.5,
                        .stopped = "NaN"});
    r.output_error_calibrated = 0.75;
    r.output_error_distilled = 0.5;
    CHECK(boost::json::serialize(to_json(r)) ==
          R"({"layers":[{"name":"conv1","weight_algorithm":"arq_distill, INT4, channel_wise",)"
          R"("data_algorithm":"ulq_quantize, INT8","weight_bits":4,"data_bits":8,"weight_scales":[)"
          R"({"scale":5E-1,"offset":0},{"scale":2.5E-1,"offset":0}],)"
          R"("data_scale":{"scale":7.8125E-3,"offset":-128},"data_clip":{"max":2E0,"min":-1E0},)"
          R"("user_clips":true,"weight_sqnr":1.875E1,"data_sqnr":null,"saturation":1.25E-1,"channels":2,)"
          R"("dead_channels":[1]}],"blocks":[{"names":["conv1","relu1"],"shared":[],"loss_before":5E-1,)"
          R"("loss_after":2.5E-1,"epoch_losses":[5E-1,null],"best_epoch":1,"restarts":0,"teacher_inputs":3,)"
          R"("seconds":1.5E0,"stopped":"NaN"}],"output_error_calibrated":7.5E-1,)"
          R"("output_error_distilled":5E-1,"kept_calibrated":false,"cancelled":false,)"
          R"("resumed_blocks":0})");
}

TEST_CASE("a verification as JSON") {
    VerifyReport const r{.layers = {{.name = "fc",
                                     .outputs = 6,
                                     .different = 2,
                                     .largest = 9,
                                     .explained = 5,
                                     .inputs = 20,
                                     .inputs_different = 1,
                                     .inputs_largest = 3,
                                     .requantized_channels = 4}},
                         .output_error = 0.5,
                         .output_largest = 1,
                         .output_square = 2};
    CHECK(boost::json::serialize(to_json(r)) ==
          R"({"layers":[{"name":"fc","outputs":6,"different":2,"largest":9,"explained":5,"inputs":20,)"
          R"("inputs_different":1,"inputs_largest":3,"requantized_channels":4}],"output_error":5E-1,)"
          R"("output_largest":1E0,"output_square":2E0,"agrees":false})");
}

namespace {
struct Inner {
    std::string text{};
    std::optional<int> number{};
};
struct Outer {
    bool flag = false;
    std::vector<std::vector<Inner>> inner{};
    float not_a_number = std::numeric_limits<float>::quiet_NaN();
    std::uint64_t large = (std::numeric_limits<std::uint64_t>::max)();
    Severity severity = Severity::warning;
};
}  // namespace

TEST_CASE("an aggregate of one's own as JSON: lists, aggregates, optionals, enumerators within each other") {
    Outer const mine{.flag = true, .inner = {{{"a\"b", 3}}, {}, {{"", std::nullopt}}}};
    CHECK(boost::json::serialize(fields_to_json(mine)) ==
          R"({"flag":true,"inner":[[{"text":"a\"b","number":3}],[],[{"text":"","number":null}]],)"
          R"("not_a_number":null,"large":18446744073709551615,"severity":1})");
}

}  // namespace adapters_report_json_test
