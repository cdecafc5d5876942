// SPDX-License-Identifier: Apache-2.0
/// The record of a student: the quantization factors that a deployment tool needs, recomputed from its final
/// parameters, with each BatchNorm folded into the convolution before it.
///
///     ScaleOffsetRecord record = make_record(student).value();
///     write_file("record.txt", print(record)).value();
#pragma once
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "../config/record.hpp"
#include "deployment.hpp"

namespace amct_distill {

/// One entry per quantized layer, in definition order. The types are named where they are not the schema's
/// default, INT8: `act_type` of the data, `wts_type` of the weights, `dst_type` when both are the same.
inline ScaleOffsetRecord make_record(std::span<const DeployedLayer> layers) {
    ScaleOffsetRecord record;
    auto const type_name = [](int bits) { return detail::concat("INT", bits); };
    for (const DeployedLayer& layer : layers) {
        SingleLayerRecord one;
        one.scale_d = layer.data.scale;
        one.offset_d = layer.data.offset;
        for (float scale : layer.weight_scales) {
            one.scale_w.push_back(scale);
            one.offset_w.push_back(0);
        }
        if (layer.data_bits == layer.weight_bits && layer.data_bits != 8)
            one.dst_type = type_name(layer.data_bits);
        if (layer.data_bits != 8) one.act_type = type_name(layer.data_bits);
        if (layer.weight_bits != 8) one.wts_type = type_name(layer.weight_bits);
        record.record.push_back({.key = layer.name, .value = std::move(one)});
    }
    return record;
}

/// Errors: those of `deploy`.
template <class Algorithms>
result<ScaleOffsetRecord> make_record(const BasicStudent<Algorithms>& student) {
    auto const layers = deploy(student);
    if (!layers) return layers.diagnostics();
    return make_record(std::span<const DeployedLayer>(*layers));
}

}  // namespace amct_distill
