// SPDX-License-Identifier: Apache-2.0
/// `ScaleOffsetRecord`: the quantization factors of every layer, as a deployment tool reads them (proto2).
///
///     ScaleOffsetRecord r;
///     r.record.push_back({.key = "conv1", .value = SingleLayerRecord{.scale_d = .02f, .offset_d = -3}});
///     std::string text = print(r);   // record { key: "conv1" value { scale_d: 0.02 offset_d: -3 } } ...
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "../core/fixed_string.hpp"
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

/// One layer: `d` its data (activations), `w` its weights; real value = (code - offset) * scale.
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
    friend bool operator==(const SingleLayerRecord&, const SingleLayerRecord&) = default;
};

/// An entry of the record: the layer's name and its factors. (Spelled so in the schema.)
struct MapFiledEntry {
    optional<std::string> key{};
    optional<SingleLayerRecord> value{};
    friend bool operator==(const MapFiledEntry&, const MapFiledEntry&) = default;
};

struct ScaleOffsetRecord {
    repeated<MapFiledEntry> record{};
    friend bool operator==(const ScaleOffsetRecord&, const ScaleOffsetRecord&) = default;
};

}  // namespace amct_distill
