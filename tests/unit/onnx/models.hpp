// SPDX-License-Identifier: Apache-2.0
/// Small ONNX models, written in a line: what the tests of graphs share.
#pragma once
#include <amct_distill/onnx/graph_view.hpp>
#include <amct_distill/wire/writer.hpp>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace onnx_test {

using namespace amct_distill;

inline onnx::TensorProto integers(std::string_view name, std::vector<std::int64_t> values) {
    return {.dims = {static_cast<std::int64_t>(values.size())},
            .data_type = 7,
            .int64_data = std::move(values),
            .name = name};
}
inline onnx::TensorProto floats(std::string_view name, std::vector<std::int64_t> dims,
                                std::vector<float> values) {
    return {.dims = std::move(dims), .data_type = 1, .float_data = std::move(values), .name = name};
}
inline onnx::AttributeProto attribute(std::string_view name, std::int64_t value) {
    return {.name = name, .i = value, .type = 2};
}
inline onnx::AttributeProto attribute(std::string_view name, std::vector<std::int64_t> values) {
    return {.name = name, .ints = std::move(values), .type = 7};
}

/// A model under construction; every name must live as long as it, as literals do.
class Model {
public:
    explicit Model(std::int64_t opset = 13) {
        proto_.opset_import.push_back({.version = opset});
        proto_.graph.emplace();
    }
    Model& input(std::string_view name) { return graph().input.push_back({.name = name}), *this; }
    Model& output(std::string_view name) { return graph().output.push_back({.name = name}), *this; }
    Model& initializer(onnx::TensorProto t) { return graph().initializer.push_back(std::move(t)), *this; }
    Model& node(std::string_view op, std::vector<std::string_view> inputs,
                std::vector<std::string_view> outputs, std::vector<onnx::AttributeProto> attributes = {},
                std::string_view name = {}) {
        onnx::NodeProto node{.input = std::move(inputs), .output = std::move(outputs), .op_type = op};
        node.attribute = std::move(attributes);
        if (!name.empty()) node.name = name;
        graph().node.push_back(std::move(node));
        return *this;
    }
    onnx::GraphProto& graph() { return *proto_.graph; }

    /// The model as a file. Its bytes live as long as this.
    const onnx::ModelFile& file() {
        bytes_.push_back(write_binary(proto_));
        files_.push_back(onnx::ModelFile::of_bytes(bytes_.back(), "test.onnx").value());
        return files_.back();
    }

private:
    onnx::ModelProto proto_{.ir_version = 7};
    std::list<std::string> bytes_{};
    std::list<onnx::ModelFile> files_{};
};

}  // namespace onnx_test
