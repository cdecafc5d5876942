// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/report/plan_text.hpp>

#include <amct_distill/config/messages.hpp>
#include <amct_distill/plan/resolve.hpp>
#include <amct_distill/text/reader.hpp>
#include <sstream>

#include "support/catch.hpp"

namespace report_plan_text_test {

using namespace amct_distill;

namespace {

/// conv1, relu1, conv2, and fc, which is skipped.
DistillPlan sample(std::string first = "conv1") {
    Topology t;
    t.modules = {{first, "Conv2d"}, {"relu1", "ReLU"}, {"conv2", "Conv2d"}, {"fc", "Linear"}};
    t.nodes = {{first, "Conv2d", 0, {}},
               {"relu1", "ReLU", 1, {0}},
               {"conv2", "Conv2d", 2, {1}},
               {"fc", "Linear", 3, {2}}};
    t.outputs = {3};
    auto const config = read<AMCTDistillConfig>(detail::concat(
        "batch_num: 2\nquant_skip_layers: 'fc'\ndistill_override_layers {\n  layer_name: '", first,
        "'\n  distill_data_quant_config { ulq_quantize { clip_max_min { clip_max: 1.5 clip_min: -1 } } }\n"
        "  distill_weight_quant_config { arq_distill { dst_type: INT4 } }\n}\n"));
    return resolve(config.value(), t).value();
}

/// The example's algorithm: a setting of its own.
struct Scaled {
    template <class B, class G>
    using quantizer = int;
    optional<DataType, DataType::INT4> dst_type{};
    optional<float> factor{};
};
struct Mine : StandardAlgorithms {
    struct weights {
        ARQDistill arq_distill;
        Scaled scaled;
    };
};

}  // namespace

TEST_CASE("a plan as tables: every setting and where it comes from") {
    CHECK(to_table(sample()) ==
          "  layer  setting       value                            from\n"
          "  conv1  weights       arq_distill, INT4, channel_wise  distill_override_layers[0] at 6:33\n"
          "         channel_wise  true                             default\n"
          "         data          ulq_quantize, INT8               distill_override_layers[0] at 5:31\n"
          "         clips         -1 .. 1.5                        distill_override_layers[0] at 5:46\n"
          "         fixed_min     false                            default\n"
          "         dst_type      INT8                             default\n"
          "  conv2  weights       arq_distill, INT8, channel_wise  default\n"
          "         data          ulq_quantize, INT8               default\n"
          "         clips         by IFMR                          default\n"
          "         fixed_min     true                             default: after ReLU `relu1`\n"
          "  fc     skipped       not quantized, trained in float  quant_skip_layers[0] at 2:1\n"
          "\n"
          "  block  layers       from\n"
          "  1      conv1 relu1  default\n"
          "  2      conv2        default\n"
          "  3      fc           default\n"
          "\n"
          "  setting     value  from\n"
          "  batch_num   2      batch_num at 1:1\n"
          "  group_size  1      default\n"
          "  data_dump   false  default\n");
}

TEST_CASE("the settings of an algorithm of one's own appear by their names") {
    Topology t;
    t.modules = {{"conv1", "Conv2d"}};
    t.nodes = {{"conv1", "Conv2d", 0, {}}};
    t.outputs = {0};
    auto const config = read<BasicConfig<Mine>>("distill_weight_quant_config { scaled { factor: 2.5 } }");
    CHECK_THAT(to_table(resolve(config.value(), t).value()),
               Catch::Contains("         factor     2.5") && Catch::Contains("         dst_type   INT4") &&
                   Catch::Contains("  conv1  weights    scaled, INT4"));
}

TEST_CASE("a plan keeps to its width, as a terminal counts it") {
    std::string name;
    for (int i = 0; i != 12; ++i) name += "\xe5\x8d\xb7\xe7\xa7\xaf";
    for (std::size_t width : {40u, 60u, 80u, 100u, 200u}) {
        std::istringstream lines(to_table(sample(name), width));
        for (std::string line; std::getline(lines, line);) {
            INFO(line);
            CHECK(detail::columns(line) <= width);
        }
    }
    CHECK_THAT(to_table(sample(name), 40), !Catch::Contains("distill_override") &&
                                               Catch::Contains("  weights       arq_distill\n") &&
                                               Catch::Contains("  dst_type      INT4\n"));
}

}  // namespace report_plan_text_test
