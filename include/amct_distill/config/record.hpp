// SPDX-License-Identifier: Apache-2.0
/// `ScaleOffsetRecord`: the quantization factors of every layer, as a deployment tool reads them (proto2).
///
///     ScaleOffsetRecord r;
///     r.record.push_back({.key = "conv1", .value = SingleLayerRecord{.scale_d = .02f, .offset_d = -3}});
///     std::string text = print(r);   // record { key: "conv1" value { scale_d: 0.02 offset_d: -3 } } ...
///
/// Names and numbers are those of the schema of today, "scale_offset_record_pytorch.proto" and
/// "basic_info.proto"; this library fills in what distillation needs. Fields of a later schema are read, kept
/// and printed again.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "../core/fixed_string.hpp"
#include "../reflect/bytes.hpp"
#include "../reflect/labels.hpp"

namespace amct_distill {

namespace detail {
/// A string default of a schema as a template argument.
template <std::size_t N>
struct StringDefault : fixed_string<N> {
    consteval StringDefault(const char (&literal)[N]) : fixed_string<N>(literal) {}
    operator std::string() const { return std::string(this->view()); }
};
}  // namespace detail

/// One layer: `d` its data (activations), `w` its weights; real value = (code - offset) * scale. Of a
/// recurrent layer also `h` the hidden state and `r` the recurrent weights.
struct SingleLayerRecord {
    optional<float> scale_d{};
    optional<std::int32_t> offset_d{};
    repeated<float> scale_w{};          ///< one per output channel, or one for the tensor
    repeated<std::int32_t> offset_w{};  ///< likewise; always 0
    repeated<std::uint32_t> shift_bit{};
    repeated<float> tensor_balance_factor{};
    optional<bool, false> skip_fusion{};
    optional<std::string, detail::StringDefault{"INT8"}> dst_type{};
    optional<std::string, detail::StringDefault{"INT8"}> act_type{};
    optional<std::string, detail::StringDefault{"INT8"}> wts_type{};
    optional<std::string, detail::StringDefault{"DEFAULT"}> fakequant_precision_mode{};
    optional<float> scale_h{};
    optional<std::int32_t> offset_h{};
    repeated<float> scale_r{};
    repeated<std::int32_t> offset_r{};
    UnknownFields unknown_fields{};
    friend bool operator==(const SingleLayerRecord&, const SingleLayerRecord&) = default;
};

/// Of a layer whose keys and values are cached.
struct SingleLayerKVCacheRecord {
    repeated<float> scale{};
    repeated<std::int32_t> offset{};
    UnknownFields unknown_fields{};
    friend bool operator==(const SingleLayerKVCacheRecord&, const SingleLayerKVCacheRecord&) = default;
};

/// An entry of the record: the layer's name and its factors. (Spelled so in the schema.)
struct MapFiledEntry {
    optional<std::string> key{};
    optional<SingleLayerRecord> value{};
    optional<SingleLayerKVCacheRecord> kv_cache_value{};
    UnknownFields unknown_fields{};
    friend bool operator==(const MapFiledEntry&, const MapFiledEntry&) = default;
};

enum class AttrType { UNDEFINED = 0, FLOAT = 1, INT = 2, STRING = 3, FLOATS = 4, INTS = 5, STRINGS = 6 };
constexpr std::array<std::pair<std::string_view, AttrType>, 7> enumerators(AttrType) {
    return {{{"UNDEFINED", AttrType::UNDEFINED},
             {"FLOAT", AttrType::FLOAT},
             {"INT", AttrType::INT},
             {"STRING", AttrType::STRING},
             {"FLOATS", AttrType::FLOATS},
             {"INTS", AttrType::INTS},
             {"STRINGS", AttrType::STRINGS}}};
}

/// A setting of a layer that was pruned.
struct AttrProto {
    optional<std::string> name{};
    optional<AttrType, AttrType::UNDEFINED> type{};
    optional<float> f{};
    optional<std::int64_t> i{};
    optional<bytes> s{};
    repeated<float> floats{};
    repeated<std::int64_t> ints{};
    repeated<bytes> strings{};
    UnknownFields unknown_fields{};
    friend bool operator==(const AttrProto&, const AttrProto&) = default;
};

struct PruneNode {
    required<std::string> name;
    repeated<AttrProto> attr{};
    UnknownFields unknown_fields{};
    friend bool operator==(const PruneNode&, const PruneNode&) = default;
};

/// Layers that are pruned together.
struct PruneRecord {
    repeated<PruneNode> producer{};
    repeated<PruneNode> consumer{};
    optional<PruneNode> selective_prune{};
    UnknownFields unknown_fields{};
    friend bool operator==(const PruneRecord&, const PruneRecord&) = default;
};

struct ScaleOffsetRecord {
    repeated<MapFiledEntry> record{};
    repeated<PruneRecord> prune_record{};
    UnknownFields unknown_fields{};
    friend bool operator==(const ScaleOffsetRecord&, const ScaleOffsetRecord&) = default;
};

}  // namespace amct_distill
