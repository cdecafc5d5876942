/// The record of a student: the quantization factors that a deployment tool needs, recomputed from its final
/// parameters, with each BatchNorm folded into the convolution before it.
///
///     ScaleOffsetRecord record = make_record(student).value();
///     write_file("record.txt", print(record)).value();
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "../config/record.hpp"
#include "../distill/student.hpp"
#include "fold.hpp"

namespace amct_distill {
namespace detail {

/// The scales of a layer's weights behind which a BatchNorm stands: scale * |factor|, per channel, also where
/// one scale served the tensor. A negative factor turns code qmin into qmax + 1, which there is not; a channel
/// that has that code gets the scale that makes it qmax, as ARQ would find it for the folded weights.
inline std::vector<ScaleOffset> fold_scales(const QuantizedMatrix& codes, const std::vector<float>& factors,
                                            int bits) {
    int const qmin = -(1 << (bits - 1)), qmax = -qmin - 1;
    std::vector<ScaleOffset> folded;
    for (std::size_t r = 0; r != codes.rows; ++r) {
        float scale = codes.scales[codes.scales.size() == 1 ? 0 : r].scale * std::fabs(factors[r]);
        auto const row = codes.codes.begin() + static_cast<std::ptrdiff_t>(r * codes.cols);
        if (factors[r] < 0 && std::find(row, row + static_cast<std::ptrdiff_t>(codes.cols), qmin) !=
                                  row + static_cast<std::ptrdiff_t>(codes.cols))
            scale = scale * static_cast<float>(-qmin) / static_cast<float>(qmax);
        folded.push_back({scale, 0});
    }
    return folded;
}

inline std::string data_type_name(int bits) { return concat("INT", bits); }

}  // namespace detail

/// One entry per quantized layer, in definition order. The types are named where they are not the schema's
/// default, INT8: `act_type` of the data, `wts_type` of the weights, `dst_type` when both are the same. Errors:
/// a layer is not calibrated, or its weights are not finite.
template <class Algorithms>
result<ScaleOffsetRecord> make_record(const BasicStudent<Algorithms>& student) {
    ScaleOffsetRecord record;
    for (const auto& layer : student.plan().layers) {
        const auto* const q = student.quantizers(layer.name);
        if (q == nullptr) continue;
        auto const fail = [&](std::string_view why) {
            return general_error(detail::concat("make_record: layer `", layer.name, "`", why));
        };
        if (!q->is_calibrated()) return fail(" is not calibrated; call calibrate() first");
        auto const codes = q->weight_codes(*student.weight(layer.name));
        if (!codes) return fail(detail::concat(": ", codes.diagnostics()[0].message));

        std::vector<ScaleOffset> scales = codes->scales;
        if (const auto* bn = batch_norm_behind(student.network(), layer.name))
            scales = detail::fold_scales(*codes, fold_factors(*bn), q->weight_bits());

        SingleLayerRecord one;
        one.scale_d = q->data_scale().scale;
        one.offset_d = q->data_scale().offset;
        for (ScaleOffset p : scales) {
            one.scale_w.push_back(p.scale);
            one.offset_w.push_back(p.offset);
        }
        if (q->data_bits() == q->weight_bits() && q->data_bits() != 8)
            one.dst_type = detail::data_type_name(q->data_bits());
        if (q->data_bits() != 8) one.act_type = detail::data_type_name(q->data_bits());
        if (q->weight_bits() != 8) one.wts_type = detail::data_type_name(q->weight_bits());
        record.record.push_back({.key = layer.name, .value = std::move(one)});
    }
    return record;
}

}  // namespace amct_distill
