// SPDX-License-Identifier: Apache-2.0
/// The definitions of record.hpp.
#pragma once
#include <string>
#include <string_view>
#include <utility>

#include "../core/inline.hpp"
#include "record.hpp"

namespace amct_distill {

AMCT_DISTILL_INLINE ScaleOffsetRecord make_record(const Deployment& deployment) {
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

template <class Algorithms>
result<ScaleOffsetRecord> make_record(const BasicStudent<Algorithms>& student) {
    auto const deployment = deploy(student);
    if (!deployment) return deployment.diagnostics();
    return make_record(*deployment);
}

}  // namespace amct_distill
