// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/messages.hpp>

#include <amct_distill/wire/reader.hpp>
#include <amct_distill/wire/writer.hpp>
#include <string>
#include <utility>

#include "support/catch.hpp"

namespace onnx_messages_test {

using namespace amct_distill;

TEST_CASE("a model is built, written and read") {
    onnx::ModelProto model{.ir_version = 7, .producer_name = std::string_view("amct_distill")};
    model.opset_import.push_back({.domain = std::string_view(""), .version = 13});
    onnx::GraphProto& graph = model.graph.emplace();
    onnx::NodeProto node{.input = {"x", "", "w"}, .output = {"y"}, .op_type = std::string_view("Conv")};
    node.attribute.push_back({.name = std::string_view("strides"), .ints = {2, 2}, .type = 7});
    node.attribute.push_back({.name = std::string_view("value")});
    node.attribute.back().t.emplace().dims = {1};
    graph.node.push_back(std::move(node));
    onnx::TypeProto::Tensor type{.elem_type = 1, .shape = onnx::TensorShapeProto{}};
    type.shape->dim.resize(2);
    type.shape->dim[0].value.emplace<1>("N");
    type.shape->dim[1].value.emplace<0>(3);
    graph.input.push_back({.name = std::string_view("x"), .type = onnx::TypeProto{.tensor_type = type}});

    std::string const bytes = write_binary(model);
    auto const again = read_binary<onnx::ModelProto>(bytes);
    REQUIRE(again);
    CHECK(write_binary(*again) == bytes);
    CHECK(again->graph->node.at(0).input == std::vector<std::string_view>{"x", "", "w"});
    CHECK(again->graph->node[0].attribute.at(0).ints == std::vector<std::int64_t>{2, 2});
    CHECK(again->graph->node[0].attribute[1].t->dims == std::vector<std::int64_t>{1});
    auto const& dims = again->graph->input.at(0).type->tensor_type->shape->dim;
    CHECK(*dims.at(0).value.get_if<std::string_view>() == "N");
    CHECK(*dims.at(1).value.get_if<std::int64_t>() == 3);
}

TEST_CASE("messages stay small: two bytes of a file can ask for one") {
    CHECK(sizeof(onnx::TensorProto) <= 288);
    CHECK(sizeof(onnx::AttributeProto) <= 208);
    CHECK(sizeof(onnx::NodeProto) <= 192);
}

namespace {

/// A message's fields as "name number", with "*" where a list is packed.
template <class M>
std::string numbers() {
    std::string out;
    for (const FieldNumber& f : field_numbers(static_cast<const M*>(nullptr))) {
        CHECK(f.coding == IntegerCoding::varint);
        out += std::string(f.name) + " " + std::to_string(f.number) +
               (f.packing == Packing::packed ? "* " : " ");
    }
    return out;
}

}  // namespace

TEST_CASE("the field numbers of the messages are those of onnx.proto") {
    CHECK(numbers<onnx::StringStringEntryProto>() == "key 1 value 2 ");
    CHECK(numbers<onnx::OperatorSetIdProto>() == "domain 1 version 2 ");
    CHECK(numbers<onnx::TensorProto>() ==
          "dims 1 data_type 2 float_data 4* int32_data 5* string_data 6 int64_data 7* name 8 raw_data 9 "
          "double_data 10* uint64_data 11* external_data 13 data_location 14 ");
    CHECK(numbers<onnx::SparseTensorProto>() == "values 1 indices 2 dims 3 ");
    CHECK(numbers<onnx::AttributeProto>() == "name 1 f 2 i 3 s 4 t 5 g 6 floats 7 ints 8 strings 9 type 20 ");
    CHECK(numbers<onnx::NodeProto>() ==
          "input 1 output 2 name 3 op_type 4 attribute 5 domain 7 metadata_props 9 ");
    CHECK(numbers<onnx::TensorShapeProto::DimensionValue>() == "dim_value 1 dim_param 2 ");
    CHECK(numbers<onnx::TensorShapeProto::Dimension>().empty());
    CHECK(numbers<onnx::TensorShapeProto>() == "dim 1 ");
    CHECK(numbers<onnx::TypeProto::Tensor>() == "elem_type 1 shape 2 ");
    CHECK(numbers<onnx::TypeProto>() == "tensor_type 1 ");
    CHECK(numbers<onnx::ValueInfoProto>() == "name 1 type 2 ");
    CHECK(numbers<onnx::GraphProto>() ==
          "node 1 name 2 initializer 5 input 11 output 12 value_info 13 sparse_initializer 15 ");
    CHECK(numbers<onnx::ModelProto>() ==
          "ir_version 1 producer_name 2 producer_version 3 graph 7 opset_import 8 metadata_props 14 ");
}

}  // namespace onnx_messages_test
