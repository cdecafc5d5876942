// SPDX-License-Identifier: Apache-2.0
/// The field numbers of AMCT's configuration and of its record: what their binary files need beside the
/// messages.
///
///     result<AMCTDistillConfig> config = read_binary<AMCTDistillConfig>(bytes);     // wire/reader.hpp
///     std::string record = write_binary(make_record(...));                          // wire/writer.hpp
///
/// A message of one's own among the algorithms tells its numbers in the same way, and so does the list of
/// alternatives that names it.
#pragma once
#include <array>

#include "../reflect/field_number.hpp"
#include "messages.hpp"
#include "record.hpp"

namespace amct_distill {

constexpr std::array<FieldNumber, 2> field_numbers(const ClipMaxMin*) {
    return {{{"clip_max", 1}, {"clip_min", 2}}};
}
constexpr std::array<FieldNumber, 3> field_numbers(const ActULQquantize*) {
    return {{{"clip_max_min", 1}, {"fixed_min", 2}, {"dst_type", 3}}};
}
constexpr std::array<FieldNumber, 2> field_numbers(const ARQDistill*) {
    return {{{"dst_type", 1}, {"channel_wise", 2}}};
}
constexpr std::array<FieldNumber, 2> field_numbers(const WtsULQDistill*) {
    return {{{"dst_type", 1}, {"channel_wise", 2}}};
}
constexpr std::array<FieldNumber, 1> field_numbers(const StandardAlgorithms::data*) {
    return {{{"ulq_quantize", 1}}};
}
constexpr std::array<FieldNumber, 2> field_numbers(const StandardAlgorithms::weights*) {
    return {{{"arq_distill", 1}, {"ulq_distill", 2}}};
}
template <class Algorithms>
constexpr std::array<FieldNumber, 0> field_numbers(const BasicDataQuantConfig<Algorithms>*) {
    return {};  // a oneof alone
}
template <class Algorithms>
constexpr std::array<FieldNumber, 0> field_numbers(const BasicWeightQuantConfig<Algorithms>*) {
    return {};
}
template <class Storage>
constexpr std::array<FieldNumber, 2> field_numbers(const BasicDistillGroup<Storage>*) {
    return {{{"start_layer_name", 1}, {"end_layer_name", 2}}};
}
template <class Algorithms, class Storage>
constexpr std::array<FieldNumber, 3> field_numbers(const BasicOverrideLayer<Algorithms, Storage>*) {
    return {{{"layer_name", 1}, {"distill_data_quant_config", 10}, {"distill_weight_quant_config", 11}}};
}
template <class Algorithms, class Storage>
constexpr std::array<FieldNumber, 3> field_numbers(const BasicOverrideLayerType<Algorithms, Storage>*) {
    return {{{"layer_type", 1}, {"distill_data_quant_config", 10}, {"distill_weight_quant_config", 11}}};
}
template <class Algorithms, class Storage>
constexpr std::array<FieldNumber, 10> field_numbers(const BasicConfig<Algorithms, Storage>*) {
    return {{{"batch_num", 1},
             {"group_size", 2},
             {"data_dump", 3},
             {"distill_group", 10},
             {"distill_data_quant_config", 11},
             {"distill_weight_quant_config", 12},
             {"distill_override_layers", 110},
             {"distill_override_layer_types", 111},
             {"quant_skip_layers", 120},
             {"quant_skip_layer_types", 121}}};
}

constexpr std::array<FieldNumber, 15> field_numbers(const SingleLayerRecord*) {
    return {{{"scale_d", 1},
             {"offset_d", 2},
             {"scale_w", 3},
             {"offset_w", 4},
             {"shift_bit", 5},
             {"tensor_balance_factor", 6},
             {"skip_fusion", 9},
             {"dst_type", 10},
             {"act_type", 11},
             {"wts_type", 12},
             {"fakequant_precision_mode", 13},
             {"scale_h", 21},
             {"offset_h", 22},
             {"scale_r", 23},
             {"offset_r", 24}}};
}
constexpr std::array<FieldNumber, 2> field_numbers(const SingleLayerKVCacheRecord*) {
    return {{{"scale", 1}, {"offset", 2}}};
}
constexpr std::array<FieldNumber, 3> field_numbers(const MapFiledEntry*) {
    return {{{"key", 1}, {"value", 2}, {"kv_cache_value", 3}}};
}
constexpr std::array<FieldNumber, 8> field_numbers(const AttrProto*) {
    return {
        {{"name", 1}, {"type", 2}, {"f", 3}, {"i", 4}, {"s", 5}, {"floats", 6}, {"ints", 7}, {"strings", 8}}};
}
constexpr std::array<FieldNumber, 2> field_numbers(const PruneNode*) { return {{{"name", 1}, {"attr", 2}}}; }
constexpr std::array<FieldNumber, 3> field_numbers(const PruneRecord*) {
    return {{{"producer", 1}, {"consumer", 2}, {"selective_prune", 3}}};
}
constexpr std::array<FieldNumber, 2> field_numbers(const ScaleOffsetRecord*) {
    return {{{"record", 1}, {"prune_record", 2}}};
}

}  // namespace amct_distill
