// SPDX-License-Identifier: Apache-2.0
/// The record of a deployment: the quantization factors that a deployment tool needs, with each BatchNorm
/// folded into the layer before it.
///
///     ScaleOffsetRecord record = make_record(deployment);
///     write_file("record.txt", print(record)).value();
#pragma once
#include <string>
#include <string_view>
#include <utility>

#include "../config/record.hpp"
#include "deployment.hpp"

namespace amct_distill {

/// One entry per quantized layer, in definition order. The types are named where they are not the schema's
/// default, INT8: `act_type` of the data, `wts_type` of the weights, `dst_type` when both are the same.
inline ScaleOffsetRecord make_record(const Deployment& deployment) {
    ScaleOffsetRecord record;
    for (const DeployedLayer& layer : deployment.layers()) {
        SingleLayerRecord one;
        one.scale_d = layer.data.scale;
        one.offset_d = layer.data.offset;
        for (ScaleOffset p : layer.weight_scales) {
            one.scale_w.push_back(p.scale);
            one.offset_w.push_back(p.offset);
        }
        std::string_view const data = name_of(layer.data_width), weights = name_of(layer.codes);
        if (data == weights && data != one.dst_type.get()) one.dst_type = std::string(data);
        if (data != one.act_type.get()) one.act_type = std::string(data);
        if (weights != one.wts_type.get()) one.wts_type = std::string(weights);
        record.record.push_back({.key = layer.name, .value = std::move(one)});
    }
    return record;
}

/// Of what `deploy` makes of the student, recomputed from its final parameters. Errors: those of `deploy`.
template <class Algorithms>
result<ScaleOffsetRecord> make_record(const BasicStudent<Algorithms>& student) {
    auto const deployment = deploy(student);
    if (!deployment) return deployment.diagnostics();
    return make_record(*deployment);
}

}  // namespace amct_distill
