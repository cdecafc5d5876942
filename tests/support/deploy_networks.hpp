// SPDX-License-Identifier: Apache-2.0
/// A network of every kind of layer that deploys, and students of it.
#pragma once
#include <amct_distill/nn/layers/pool.hpp>
#include <amct_distill/student/calibrate.hpp>
#include <amct_distill/student/student.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "support/small_network.hpp"

namespace support {

/// Strides, padding, dilation, groups, depthwise, pointwise; with BatchNorm and without, bias and none.
inline amct_distill::nn::Network every_convolution() {
    namespace nn = amct_distill::nn;
    nn::Network net;
    nn::NodeId x = net.input("image", {2, 6, 6});
    auto const block = [&](const std::string& name, const nn::Conv2dOptions& options, bool bn) {
        x = net.add("conv_" + name, nn::Conv2d(options), {x});
        if (bn) x = net.add("bn_" + name, nn::BatchNorm2d({.num_features = options.out_channels}), {x});
        x = bn ? net.add("relu_" + name, nn::ReLU{}, {x}) : net.add("relu_" + name, nn::LeakyReLU(0.25), {x});
    };
    block("dilated",
          {.in_channels = 2, .out_channels = 6, .kernel = {3, 2}, .padding = {2, 1}, .dilation = {2, 2}},
          true);
    block(
        "strided",
        {.in_channels = 6, .out_channels = 6, .kernel = {3, 3}, .stride = {2, 1}, .groups = 2, .bias = false},
        true);
    block("depthwise",
          {.in_channels = 6,
           .out_channels = 6,
           .kernel = {2, 2},
           .padding = {1, 1},
           .groups = 6,
           .bias = false},
          false);
    block("pointwise", {.in_channels = 6, .out_channels = 5}, false);
    x = net.add_function("flatten", nn::Flatten{}, {x});
    auto const features = net.node(x).shape[1];
    x = net.add("fc", nn::Linear({.in_features = features, .out_features = 3}), {x});
    net.output(x);
    nn::initialize(net, 11);
    for (const char* name : {"bn_dilated", "bn_strided"}) {
        auto* bn = net.module(name).get_if<nn::BatchNorm2d>();
        for (std::size_t c = 0; c != 6; ++c) {
            auto const k = static_cast<float>(c);
            bn->weight()[c] = c == 4 ? 0.0f : c % 2 == 1 ? -1.5f : 1.0f + 0.25f * k;
            bn->bias()[c] = 0.1f * k - 0.2f;
            bn->running_mean()[c] = 0.05f * k;
            bn->running_var()[c] = 0.5f + 0.5f * k;
        }
    }
    return net;
}

inline amct_distill::Student calibrated_student(const amct_distill::nn::Network& teacher,
                                                std::string_view config) {
    auto const batches = small_batches(2, 4);
    amct_distill::Student student = amct_distill::make_student(teacher, plan_for(teacher, config)).value();
    amct_distill::calibrate(student, std::span(batches)).value();
    return student;
}

/// Bits and granularity in all their combinations that matter to a deployment.
inline const std::vector<std::string>& deployed_configs() {
    static const std::vector<std::string> all{
        "", std::string(int4_config),
        "distill_weight_quant_config { arq_distill { channel_wise: false } }\n"
        "distill_data_quant_config { ulq_quantize { clip_max_min { clip_max: 2 clip_min: -0.7 }\n"
        "  fixed_min: false } }",
        "distill_weight_quant_config { arq_distill { dst_type: INT4 } }"};
    return all;
}

}  // namespace support
