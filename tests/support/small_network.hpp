// SPDX-License-Identifier: Apache-2.0
/// A small network with everything a student meets, and data for it: conv-bn-relu, conv-relu, flatten,
/// linear.
#pragma once
#include <amct_distill/nn/initialize.hpp>
#include <amct_distill/nn/layers/activation.hpp>
#include <amct_distill/nn/layers/arithmetic.hpp>
#include <amct_distill/nn/layers/batch_norm.hpp>
#include <amct_distill/nn/layers/conv2d.hpp>
#include <amct_distill/nn/layers/linear.hpp>
#include <amct_distill/nn/layers/structure.hpp>
#include <amct_distill/nn/network.hpp>
#include <amct_distill/plan/resolve.hpp>
#include <amct_distill/text/reader.hpp>
#include <cstddef>
#include <random>
#include <string_view>
#include <vector>

namespace support {

inline amct_distill::nn::Network small_network() {
    namespace nn = amct_distill::nn;
    nn::Network net;
    nn::NodeId x = net.input("image", {2, 6, 6});
    x = net.add("conv1",
                nn::Conv2d({.in_channels = 2, .out_channels = 4, .kernel = {3, 3}, .padding = {1, 1}}), {x});
    x = net.add("bn1", nn::BatchNorm2d({.num_features = 4}), {x});
    x = net.add("relu1", nn::ReLU{}, {x});
    x = net.add("conv2",
                nn::Conv2d({.in_channels = 4, .out_channels = 5, .kernel = {3, 3}, .stride = {2, 2}}), {x});
    x = net.add("relu2", nn::ReLU{}, {x});
    x = net.add_function("flatten", nn::Flatten{}, {x});
    x = net.add("fc", nn::Linear({.in_features = 20, .out_features = 3}), {x});
    net.output(x);
    nn::initialize(net, 7);
    // Statistics that a trained network would have, one negative gamma among them.
    auto* bn = net.module("bn1").get_if<nn::BatchNorm2d>();
    for (std::size_t c = 0; c != 4; ++c) {
        bn->weight()[c] = c == 1 ? -1.5f : 1.0f + 0.25f * static_cast<float>(c);
        bn->bias()[c] = 0.1f * static_cast<float>(c);
        bn->running_mean()[c] = 0.05f * static_cast<float>(c);
        bn->running_var()[c] = 0.5f + 0.5f * static_cast<float>(c);
    }
    return net;
}

/// `count` batches of `size` images, values about -1..1.
inline std::vector<amct_distill::nn::Tensor> small_batches(std::size_t count, int size,
                                                           std::uint64_t seed = 1) {
    std::mt19937_64 random(seed);
    std::vector<amct_distill::nn::Tensor> batches;
    for (std::size_t i = 0; i != count; ++i) {
        amct_distill::nn::Tensor t({size, 2, 6, 6});
        for (float& v : t) v = static_cast<float>(2 * amct_distill::nn::next_uniform(random) - 1);
        batches.push_back(std::move(t));
    }
    return batches;
}

inline amct_distill::DistillPlan plan_for(const amct_distill::nn::Network& net, std::string_view config) {
    return amct_distill::resolve(amct_distill::read<amct_distill::AMCTDistillConfig>(config).value(),
                                 net.topology())
        .value();
}

inline constexpr std::string_view int4_config =
    "distill_data_quant_config { ulq_quantize { dst_type: INT4 } }\n"
    "distill_weight_quant_config { ulq_distill { dst_type: INT4 } }\n";

}  // namespace support
