// SPDX-License-Identifier: Apache-2.0
/// A model of one operator, and what it becomes: what the tests of operators share.
///
///     OneOperator("Clip", {2}, 6).real("min", 0).real("max", 6).layer() == "ReLU6 { }"
#pragma once
#include <amct_distill/nn/network.hpp>
#include <amct_distill/onnx/import.hpp>
#include <amct_distill/onnx/model_file.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../models.hpp"

namespace onnx_test {

/// `dims` with the batch before them, unless it is fixed.
inline onnx::ValueInfoProto declared(std::string_view name, const std::vector<std::int64_t>& dims,
                                     std::int32_t type = 1, bool fixed = false) {
    onnx::ValueInfoProto info{.name = name};
    info.type.emplace().tensor_type.emplace(onnx::TypeProto::Tensor{.elem_type = type});
    auto& shape = info.type->tensor_type->shape.emplace(onnx::TensorShapeProto{}).dim;
    if (!fixed) shape.emplace_back().value.emplace<1>(std::string_view("batch"));
    for (std::int64_t d : dims) shape.emplace_back().value.emplace<0>(d);
    return info;
}
inline onnx::AttributeProto real(std::string_view name, float value) {
    return {.name = name, .f = value, .type = 1};
}

class OneOperator {
public:
    /// Its first input has samples of this shape, or, `fixed`, this shape; of type 1, float, or another.
    explicit OneOperator(std::string_view op, const std::vector<std::int64_t>& dims, std::int64_t opset = 13,
                         std::int32_t type = 1, bool fixed = false)
        : op_(op), model_(opset) {
        model_.graph().input.push_back(declared("x", dims, type, fixed));
    }
    OneOperator& input(std::string_view name, const std::vector<std::int64_t>& dims, std::int32_t type = 1) {
        model_.graph().input.push_back(declared(name, dims, type));
        inputs_.push_back(name);
        return *this;
    }
    OneOperator& constant(onnx::TensorProto t) {
        inputs_.push_back(t.name.get());
        model_.initializer(std::move(t));
        return *this;
    }
    OneOperator& absent() { return inputs_.push_back(""), *this; }
    OneOperator& real(std::string_view name, float value) {
        return attributes_.push_back(onnx_test::real(name, value)), *this;
    }
    OneOperator& integer(std::string_view name, std::int64_t value) {
        return attributes_.push_back(attribute(name, value)), *this;
    }
    OneOperator& integers(std::string_view name, std::vector<std::int64_t> values) {
        return attributes_.push_back(attribute(name, std::move(values))), *this;
    }
    OneOperator& text(std::string_view name, std::string_view value) {
        return attributes_.push_back({.name = name, .s = value, .type = 3}), *this;
    }
    /// The modules of the network, "ReLU { } Add { }", or the first error.
    std::string layer() {
        auto const read = import();
        if (!read) return read.diagnostics().front().message;
        std::string out;
        for (std::size_t i = 0; i != read->network.graph().size(); ++i) {
            if (read->network.node({i}).kind != NodeKind::operation) continue;
            const nn::Module& m = read->network.operation({i});
            out += (out.empty() ? "" : " ") + std::string(m.type()) + " { " + m.options() +
                   (m.options().empty() ? "}" : " }");
        }
        return out;
    }
    nn::Tensor run(const nn::Tensor& x) { return import().value().network.predict(x); }

private:
    result<onnx::Imported> import() {
        if (!made_) model_.node(op_, inputs_, {"y"}, attributes_).output("y");
        made_ = true;
        return onnx::import_network(model_.file());
    }

    std::string_view op_;
    Model model_;
    std::vector<std::string_view> inputs_{"x"};
    std::vector<onnx::AttributeProto> attributes_{};
    bool made_ = false;
};

}  // namespace onnx_test
