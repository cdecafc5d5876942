// SPDX-License-Identifier: Apache-2.0
/// The messages of onnx.proto, as far as networks need them, as plain aggregates.
///
///     result<MappedFile> file = MappedFile::open("model.onnx");
///     auto model = read_binary<onnx::ModelProto>(file->bytes(), {.source = "model.onnx", .max_depth = 16});
///     for (const onnx::NodeProto& node : model->graph->node) std::cout << node.op_type.get() << '\n';
///
/// Names and numbers are those of onnx.proto. All strings and raw_data are views of the file's bytes, which
/// must outlive the message (model_file.hpp keeps the two together). What is left out is passed over on
/// reading: texts of documentation, training, functions, types that are not tensors.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "../reflect/boxed.hpp"
#include "../reflect/field_number.hpp"
#include "../reflect/labels.hpp"

namespace amct_distill::onnx {

struct StringStringEntryProto {
    optional<std::string_view> key{};
    optional<std::string_view> value{};
};
constexpr std::array<FieldNumber, 2> field_numbers(const StringStringEntryProto*) {
    return {{{"key", 1}, {"value", 2}}};
}

struct OperatorSetIdProto {
    optional<std::string_view> domain{};  ///< "" or "ai.onnx": ONNX's own operators
    optional<std::int64_t> version{};
};
constexpr std::array<FieldNumber, 2> field_numbers(const OperatorSetIdProto*) {
    return {{{"domain", 1}, {"version", 2}}};
}

/// What a tensor's elements are: TensorProto::data_type and elem_type of a type.
enum class ElementType : std::int32_t {
    undefined = 0,
    float32 = 1,
    uint8 = 2,
    int8 = 3,
    uint16 = 4,
    int16 = 5,
    int32 = 6,
    int64 = 7,
    string = 8,
    boolean = 9,
    float16 = 10,
    float64 = 11,
    uint32 = 12,
    uint64 = 13,
    complex64 = 14,
    complex128 = 15,
    bfloat16 = 16,
    float8e4m3fn = 17,
    float8e4m3fnuz = 18,
    float8e5m2 = 19,
    float8e5m2fnuz = 20,
    uint4 = 21,
    int4 = 22,
    float4e2m1 = 23
};

/// Values, in exactly one of the `_data` fields, or in another file.
struct TensorProto {
    std::vector<std::int64_t> dims{};
    optional<std::int32_t> data_type{};  ///< an ElementType
    std::vector<float> float_data{};
    std::vector<std::int32_t> int32_data{};  ///< and all narrower types, float16 and bfloat16 as their bits
    std::vector<std::string_view> string_data{};
    std::vector<std::int64_t> int64_data{};
    optional<std::string_view> name{};
    optional<std::string_view> raw_data{};  ///< little endian, row-major
    std::vector<double> double_data{};
    std::vector<std::uint64_t> uint64_data{};
    std::vector<StringStringEntryProto> external_data{};
    optional<std::int32_t> data_location{};  ///< 1: in another file
};
constexpr std::array<FieldNumber, 12> field_numbers(const TensorProto*) {
    return {{{"dims", 1},
             {"data_type", 2},
             {"float_data", 4, Packing::packed},
             {"int32_data", 5, Packing::packed},
             {"string_data", 6},
             {"int64_data", 7, Packing::packed},
             {"name", 8},
             {"raw_data", 9},
             {"double_data", 10, Packing::packed},
             {"uint64_data", 11, Packing::packed},
             {"external_data", 13},
             {"data_location", 14}}};
}

struct SparseTensorProto {
    boxed<TensorProto> values{};
    boxed<TensorProto> indices{};
    std::vector<std::int64_t> dims{};
};
constexpr std::array<FieldNumber, 3> field_numbers(const SparseTensorProto*) {
    return {{{"values", 1}, {"indices", 2}, {"dims", 3}}};
}

struct GraphProto;

/// What an AttributeProto holds: its field `type`.
enum class AttributeType : std::int32_t {
    undefined = 0,
    real = 1,
    integer = 2,
    string = 3,
    tensor = 4,
    graph = 5,
    reals = 6,
    integers = 7,
    strings = 8
};

struct AttributeProto {
    optional<std::string_view> name{};
    optional<float> f{};
    optional<std::int64_t> i{};
    optional<std::string_view> s{};
    boxed<TensorProto> t{};
    boxed<GraphProto> g{};
    std::vector<float> floats{};
    std::vector<std::int64_t> ints{};
    std::vector<std::string_view> strings{};
    optional<std::int32_t> type{};  ///< an AttributeType, or one of those that are left out here
};
constexpr std::array<FieldNumber, 10> field_numbers(const AttributeProto*) {
    return {{{"name", 1},
             {"f", 2},
             {"i", 3},
             {"s", 4},
             {"t", 5},
             {"g", 6},
             {"floats", 7},
             {"ints", 8},
             {"strings", 9},
             {"type", 20}}};
}

struct NodeProto {
    std::vector<std::string_view> input{};  ///< "": an optional input that is left out
    std::vector<std::string_view> output{};
    optional<std::string_view> name{};
    optional<std::string_view> op_type{};
    std::vector<AttributeProto> attribute{};
    optional<std::string_view> domain{};
    std::vector<StringStringEntryProto> metadata_props{};
};
constexpr std::array<FieldNumber, 7> field_numbers(const NodeProto*) {
    return {{{"input", 1},
             {"output", 2},
             {"name", 3},
             {"op_type", 4},
             {"attribute", 5},
             {"domain", 7},
             {"metadata_props", 9}}};
}

struct TensorShapeProto {
    struct DimensionValue {
        std::int64_t dim_value;
        std::string_view dim_param;  ///< the name of a size that is not fixed
    };
    struct Dimension {
        oneof<DimensionValue> value{};
    };
    std::vector<Dimension> dim{};
};
constexpr std::array<FieldNumber, 2> field_numbers(const TensorShapeProto::DimensionValue*) {
    return {{{"dim_value", 1}, {"dim_param", 2}}};
}
constexpr std::array<FieldNumber, 0> field_numbers(const TensorShapeProto::Dimension*) {
    return {};  // a oneof alone
}
constexpr std::array<FieldNumber, 1> field_numbers(const TensorShapeProto*) { return {{{"dim", 1}}}; }

struct TypeProto {
    struct Tensor {
        optional<std::int32_t> elem_type{};  ///< an ElementType
        optional<TensorShapeProto> shape{};  ///< absent: of unknown rank
    };
    optional<Tensor> tensor_type{};  ///< absent: a sequence, a map, ...
};
constexpr std::array<FieldNumber, 2> field_numbers(const TypeProto::Tensor*) {
    return {{{"elem_type", 1}, {"shape", 2}}};
}
constexpr std::array<FieldNumber, 1> field_numbers(const TypeProto*) { return {{{"tensor_type", 1}}}; }

struct ValueInfoProto {
    optional<std::string_view> name{};
    optional<TypeProto> type{};
};
constexpr std::array<FieldNumber, 2> field_numbers(const ValueInfoProto*) {
    return {{{"name", 1}, {"type", 2}}};
}

struct GraphProto {
    std::vector<NodeProto> node{};  ///< in an order in which they can be computed
    optional<std::string_view> name{};
    std::vector<TensorProto> initializer{};
    std::vector<ValueInfoProto> input{};  ///< up to ir version 3 the initializers too
    std::vector<ValueInfoProto> output{};
    std::vector<ValueInfoProto> value_info{};
    std::vector<SparseTensorProto> sparse_initializer{};
};
constexpr std::array<FieldNumber, 7> field_numbers(const GraphProto*) {
    return {{{"node", 1},
             {"name", 2},
             {"initializer", 5},
             {"input", 11},
             {"output", 12},
             {"value_info", 13},
             {"sparse_initializer", 15}}};
}

struct ModelProto {
    optional<std::int64_t> ir_version{};
    optional<std::string_view> producer_name{};
    optional<std::string_view> producer_version{};
    boxed<GraphProto> graph{};
    std::vector<OperatorSetIdProto> opset_import{};
    std::vector<StringStringEntryProto> metadata_props{};
};
constexpr std::array<FieldNumber, 6> field_numbers(const ModelProto*) {
    return {{{"ir_version", 1},
             {"producer_name", 2},
             {"producer_version", 3},
             {"graph", 7},
             {"opset_import", 8},
             {"metadata_props", 14}}};
}

}  // namespace amct_distill::onnx
