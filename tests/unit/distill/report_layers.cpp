// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/distill/report_layers.hpp>

#include <amct_distill/student/calibrate.hpp>

#include "support/catch.hpp"
#include "support/small_network.hpp"

namespace distill_report_layers_test {

using namespace amct_distill;

TEST_CASE("the report of a layer: clips, the share outside of them, dead channels, scales, SQNR") {
    nn::Network teacher = support::small_network();
    auto& weight = teacher.module("conv2").get_if<nn::Conv2d>()->weight();
    for (std::size_t k = 36; k != 72; ++k) weight[k] = 0;  // channel 1
    auto const batches = support::small_batches(2, 3);
    Student student =
        make_student(teacher,
                     support::plan_for(teacher,
                                       "distill_override_layers { layer_name: 'conv1'\n"
                                       "  distill_data_quant_config { ulq_quantize { clip_max_min {\n"
                                       "    clip_max: 0.5 clip_min: -0.25 } fixed_min: false } } }"))
            .value();
    calibrate(student, std::span(batches)).value();
    auto const layers = report_layers(student, std::span(batches)).value();
    REQUIRE(layers.size() == 3);

    std::size_t outside = 0, values = 0;
    for (const nn::Tensor& batch : batches)
        for (float v : batch) {
            ++values;
            if (v > 0.5f || v < -0.25f) ++outside;
        }
    CHECK(outside > values / 3);
    CHECK(layers[0].saturation == static_cast<double>(outside) / static_cast<double>(values));
    CHECK(layers[0].user_clips);
    CHECK(layers[0].data_clip == ClipRange{0.5f, -0.25f});
    CHECK(layers[0].data_sqnr < 15);
    CHECK(layers[0].dead_channels.empty());
    CHECK(layers[0].channels == 4);
    CHECK(layers[0].weight_scales.size() == 4);
    CHECK(layers[0].data_scale == student.quantizers("conv1")->data_scale());
    CHECK(layers[0].data_scale.scale == asymmetric_scale<Int8>({0.5f, -0.25f}).scale);
    for (const LayerReport& l : layers) {
        auto const& q = *student.quantizers(l.name);
        CHECK(l.data_scale == q.data_scale());
        CHECK(l.data_clip == q.data_clip());
        CHECK(l.user_clips == q.has_user_clips());
        CHECK(l.weight_bits == q.weight_bits());
        CHECK(l.data_bits == q.data_bits());
        CHECK(l.weight_scales == q.weight_scales(*student.weight(l.name)).values());
    }

    CHECK(layers[1].dead_channels == std::vector<std::size_t>{1});
    CHECK(layers[1].channels == 5);
    CHECK(layers[1].saturation < 0.01);
    CHECK(layers[1].weight_sqnr > 35);
    CHECK(layers[2].weight_scales.size() == 1);
}

TEST_CASE("without data the figures of the data say so") {
    nn::Network const teacher = support::small_network();
    Student const student = make_student(teacher, support::plan_for(teacher, "")).value();
    auto const layers = report_layers(student, {}).value();
    CHECK(layers.at(0).saturation == 0);
    CHECK(layers.at(0).weight_sqnr > 35);
}

}  // namespace distill_report_layers_test
