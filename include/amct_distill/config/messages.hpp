// SPDX-License-Identifier: Apache-2.0
/// AMCT's distillation configuration, `AMCTDistillConfig` and its messages, as plain aggregates.
///
///     AMCTDistillConfig c{.batch_num = 2u};
///     c.distill_weight_quant_config = DistillWeightQuantConfig{ARQDistill{.dst_type = DataType::INT4}};
///     c.quant_skip_layers = {"fc"};
///
/// Names, order and defaults are those of the schema (proto2, "distill_config_pytorch.proto"). The
/// algorithms that may be chosen are a template parameter:
///
///     struct mine : StandardAlgorithms {
///         struct weights { ARQDistill arq_distill; WtsULQDistill ulq_distill; MyPow2 my_pow2; };
///     };
///     using MyConfig = BasicConfig<mine>;
///
/// where a message names its quantizer by a member template, `template <class Bits, class Granularity>
/// using quantizer = ...`.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "../policy/quantizer_names.hpp"
#include "../reflect/labels.hpp"
#include "foreign_fields.hpp"

namespace amct_distill {

enum class DataType { INT4 = 0, INT8 = 1 };

/// Names and numbers of an enum, found by argument-dependent lookup: names in a schema need not be C++ names.
constexpr std::array<std::pair<std::string_view, DataType>, 2> enumerators(DataType) {
    return {{{"INT4", DataType::INT4}, {"INT8", DataType::INT8}}};
}

/// Initial clip range of an activation; clip_max > 0, clip_min < 0, both finite.
struct ClipMaxMin {
    required<float> clip_max;
    required<float> clip_min;
    friend bool operator==(const ClipMaxMin&, const ClipMaxMin&) = default;
};

/// Activations by universal linear quantization.
struct ActULQquantize {
    template <class Bits>
    using quantizer = ActUlq<Bits>;

    optional<ClipMaxMin> clip_max_min{};  ///< without it IFMR computes the initial clips
    optional<bool> fixed_min{};           ///< lower clip 0, not learned; unset: true after a ReLU
    optional<DataType, DataType::INT8> dst_type{};
    friend bool operator==(const ActULQquantize&, const ActULQquantize&) = default;
};

/// Weights by adaptive range quantization.
struct ARQDistill {
    template <class Bits, class Granularity>
    using quantizer = Arq<Bits, Granularity>;

    optional<DataType, DataType::INT8> dst_type{};
    optional<bool>
        channel_wise{};  ///< one scale per output channel; unset: true for Conv2d, false for Linear
    friend bool operator==(const ARQDistill&, const ARQDistill&) = default;
};

/// Weights by universal linear quantization.
struct WtsULQDistill {
    template <class Bits, class Granularity>
    using quantizer = Ulq<Bits, Granularity>;

    optional<DataType, DataType::INT8> dst_type{};
    optional<bool> channel_wise{};  ///< as in ARQDistill
    friend bool operator==(const WtsULQDistill&, const WtsULQDistill&) = default;
};

/// The algorithms a configuration can name; the first of each list is the default.
struct StandardAlgorithms {
    struct data {
        ActULQquantize ulq_quantize;
    };
    struct weights {
        ARQDistill arq_distill;
        WtsULQDistill ulq_distill;
    };
};

/// Where strings and repeated fields live.
struct HeapStorage {
    using string = std::string;
    template <class T>
    using list = repeated<T>;
};

template <class Algorithms>
struct BasicDataQuantConfig {
    oneof<typename Algorithms::data> data_quant_algo{};
    friend bool operator==(const BasicDataQuantConfig&, const BasicDataQuantConfig&) = default;
};

template <class Algorithms>
struct BasicWeightQuantConfig {
    oneof<typename Algorithms::weights> weights_quant_algo{};
    friend bool operator==(const BasicWeightQuantConfig&, const BasicWeightQuantConfig&) = default;
};

/// A block given by the user: its first and its last layer.
template <class Storage>
struct BasicDistillGroup {
    required<typename Storage::string> start_layer_name;
    required<typename Storage::string> end_layer_name;
    friend bool operator==(const BasicDistillGroup&, const BasicDistillGroup&) = default;
};

/// Other settings for one layer.
template <class Algorithms, class Storage>
struct BasicOverrideLayer {
    required<typename Storage::string> layer_name;
    optional<BasicDataQuantConfig<Algorithms>> distill_data_quant_config{};
    optional<BasicWeightQuantConfig<Algorithms>> distill_weight_quant_config{};
    friend bool operator==(const BasicOverrideLayer&, const BasicOverrideLayer&) = default;
};

/// Other settings for one type of layer.
template <class Algorithms, class Storage>
struct BasicOverrideLayerType {
    required<typename Storage::string> layer_type;
    optional<BasicDataQuantConfig<Algorithms>> distill_data_quant_config{};
    optional<BasicWeightQuantConfig<Algorithms>> distill_weight_quant_config{};
    friend bool operator==(const BasicOverrideLayerType&, const BasicOverrideLayerType&) = default;
};

template <class Algorithms = StandardAlgorithms, class Storage = HeapStorage>
struct BasicConfig {
    using algorithms = Algorithms;
    using storage = Storage;
    using string = typename Storage::string;
    template <class T>
    using list = typename Storage::template list<T>;

    optional<std::uint32_t, 1u> batch_num{};   ///< batches that IFMR sees before it computes clips; >= 1
    optional<std::uint32_t, 1u> group_size{};  ///< units that make one block; >= 1
    optional<bool, false> data_dump{};         ///< dump the teacher's block inputs and outputs once
    list<BasicDistillGroup<Storage>> distill_group{};
    optional<BasicDataQuantConfig<Algorithms>> distill_data_quant_config{};
    optional<BasicWeightQuantConfig<Algorithms>> distill_weight_quant_config{};
    list<BasicOverrideLayer<Algorithms, Storage>> distill_override_layers{};
    list<BasicOverrideLayerType<Algorithms, Storage>> distill_override_layer_types{};
    list<string> quant_skip_layers{};       ///< not quantized, but still distilled
    list<string> quant_skip_layer_types{};  ///< the same, by type
    friend bool operator==(const BasicConfig&, const BasicConfig&) = default;
};

/// What the reader says of fields that belong to AMCT's other configurations.
template <class Algorithms, class Storage>
constexpr ForeignFields foreign_fields(const BasicConfig<Algorithms, Storage>*) {
    return detail::amct::foreign;
}

using AMCTDistillConfig = BasicConfig<>;
using DistillGroup = BasicDistillGroup<HeapStorage>;
using DistillDataQuantConfig = BasicDataQuantConfig<StandardAlgorithms>;
using DistillWeightQuantConfig = BasicWeightQuantConfig<StandardAlgorithms>;
using DistillOverrideLayer = BasicOverrideLayer<StandardAlgorithms, HeapStorage>;
using DistillOverrideLayerType = BasicOverrideLayerType<StandardAlgorithms, HeapStorage>;

}  // namespace amct_distill
