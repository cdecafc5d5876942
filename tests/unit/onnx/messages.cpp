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

}  // namespace onnx_messages_test
