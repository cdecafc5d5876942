// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/student/layer_quantizers.hpp>

#include <amct_distill/student/input_calibration.hpp>

#include <cmath>

#include <algorithm>
#include <array>

#include "support/catch.hpp"
#include "support/small_network.hpp"

namespace distill_layer_quantizers_test {

using namespace amct_distill;
using Quantizers = LayerQuantizers<StandardAlgorithms>;

namespace {
nn::Tensor const weight({2, 3}, {1.0f, -0.5f, 0.25f, 4.0f, 2.0f, -8.0f});
result<Quantizers> quantizers_for(std::string_view config) {
    auto const plan = support::plan_for(support::small_network(), config);
    return Quantizers::make(plan.layers.at(0), weight);
}
}  // namespace

TEST_CASE("the plan's settings choose the quantizers") {
    auto q = quantizers_for(support::int4_config).value();
    CHECK(q.weight_algorithm() == "ulq_distill, INT4, channel_wise");
    CHECK(q.data_algorithm() == "ulq_quantize, INT4");
    CHECK(q.weight_bits() == 4);
    CHECK(q.data_bits() == 4);
    CHECK_FALSE(q.is_calibrated());
    CHECK(q.trains_scales());

    auto const arq =
        quantizers_for("distill_weight_quant_config { arq_distill { channel_wise: false } }").value();
    CHECK(arq.weight_algorithm() == "arq_distill, INT8, tensor_wise");
    CHECK_FALSE(arq.trains_scales());
    CHECK(arq.weight_scales(weight).size() == 1);
}

TEST_CASE("weights that are not finite are refused, with the layer's name") {
    nn::Tensor bad = weight;
    bad[4] = std::nanf("");
    auto const plan = support::plan_for(support::small_network(), "");
    auto const q = Quantizers::make(plan.layers.at(1), bad);
    REQUIRE_FALSE(q);
    CHECK(q.diagnostics()[0].message ==
          "layer `conv2`: weights: value at [1, 1] is nan; only finite values can be quantized: check where "
          "they "
          "come from");
}

TEST_CASE("clips come from IFMR, or from the user") {
    auto q = quantizers_for("").value();
    std::vector<float> const x{-1.0f, 0.5f, 2.0f, 1.0f};
    {
        InputCalibration dropped(q, {});
        REQUIRE(dropped.observe(x));
        REQUIRE(dropped.finish());
    }
    CHECK_FALSE(q.is_calibrated());
    {
        InputCalibration calibration(q, {});
        REQUIRE(calibration.observe(x));
        REQUIRE(calibration.finish());
        calibration.take();
    }
    CHECK(q.is_calibrated());
    CHECK(q.data_clip().max > 1.3f);
    CHECK(q.data_clip().max < 2.7f);

    auto const user =
        quantizers_for(
            "distill_data_quant_config { ulq_quantize { clip_max_min { clip_max: 3 clip_min: -2 } } }")
            .value();
    CHECK(user.is_calibrated());
    CHECK(user.has_user_clips());
    CHECK(user.data_clip() == ClipRange{3.0f, -2.0f});
}

TEST_CASE("what the optimizer does to the parameters is taken over, and repaired") {
    auto q = quantizers_for(
                 "distill_data_quant_config { ulq_quantize { clip_max_min { clip_max: 3 clip_min: -2 } } }\n"
                 "distill_weight_quant_config { ulq_distill { } }")
                 .value();
    std::vector<nn::BasicParameter<float>> parameters;
    q.append_parameters(parameters);
    REQUIRE(parameters.size() == 2);
    CHECK(parameters[0].name == "scales");
    CHECK(parameters[0].role == nn::Role::scale);
    CHECK(parameters[1].name == "clips");
    CHECK(parameters[1].role == nn::Role::clip);
    float const scale = parameters[0].values[1];
    std::ranges::copy(std::array{0.5f, -1.0f}, parameters[0].values.begin());  // the second is no scale
    std::ranges::copy(std::array{2.5f, -1.5f}, parameters[1].values.begin());
    q.constrain();
    CHECK(q.weight_scales(weight) == std::vector<ScaleOffset>{{0.5f, 0}, {scale, 0}});
    CHECK(parameters[0].values[1] == scale);
    CHECK(q.data_clip() == ClipRange{2.5f, -1.5f});
}

TEST_CASE("clips of a plan that was changed are checked again") {
    auto plan = support::plan_for(support::small_network(), "");
    plan.layers.at(0).data =
        ActULQquantize{.clip_max_min = ClipMaxMin{.clip_max = 3e38f, .clip_min = -3e38f}};
    auto const q = Quantizers::make(plan.layers.at(0), weight);
    REQUIRE_FALSE(q);
    CHECK(q.diagnostics()[0].message.starts_with("layer `conv1`: "));
    CHECK_THAT(q.diagnostics()[0].message, Catch::Contains("-3e+38"));
}

}  // namespace distill_layer_quantizers_test
