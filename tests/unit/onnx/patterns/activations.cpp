// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/patterns/activations.hpp>
// The header under test comes first.
#include <amct_distill/onnx/import.hpp>

#include "../models.hpp"
#include "support/catch.hpp"

namespace test_onnx_pattern_activations {

using namespace amct_distill;

namespace {

/// A model with the input x, [N, 4], the output y, and numbers.
struct Graph {
    explicit Graph(std::int64_t opset = 13) : model(std::make_shared<onnx_test::Model>(opset)) {
        onnx::ValueInfoProto info{.name = "x"};
        info.type.emplace().tensor_type.emplace(onnx::TypeProto::Tensor{.elem_type = 1});
        auto& dims = info.type->tensor_type->shape.emplace(onnx::TensorShapeProto{}).dim;
        dims.emplace_back().value.emplace<1>(std::string_view("batch"));
        dims.emplace_back().value.emplace<0>(4);
        model->graph().input.push_back(info);
        model->output("y");
    }
    Graph& number(std::string_view name, double value) {
        model->initializer(onnx_test::floats(name, {}, {float(value)}));
        return *this;
    }
    Graph& op(std::string_view type, std::vector<std::string_view> inputs, std::string_view to,
              std::vector<onnx::AttributeProto> attributes = {}) {
        model->node(type, std::move(inputs), {to}, std::move(attributes));
        return *this;
    }
    /// The types of what the network computes, one after another; or the errors.
    std::string types() {
        auto const read = onnx::import_network(model->file());
        if (!read) return to_string(read.diagnostics());
        std::string out;
        const nn::Network& net = read->network;
        for (std::size_t i = 0; i != net.graph().size(); ++i)
            if (net.node({i}).kind == NodeKind::operation)
                out += (out.empty() ? "" : " ") + std::string(net.graph().type({i}));
        nn::Tensor const x({1, 4}, {-4, -1, 0.5f, 2});
        y = net.predict(x);
        return out;
    }
    std::shared_ptr<onnx_test::Model> model;
    nn::Tensor y{};
};
onnx::AttributeProto real(std::string_view name, float value) {
    return {.name = name, .f = value, .type = 1};
}
double gelu(double x) { return x * std::erfc(-x / std::sqrt(2.0)) / 2; }
double const sqrt2 = std::sqrt(2.0);

}  // namespace

TEST_CASE("onnx patterns: SiLU, in both orders") {
    CHECK(Graph().op("Sigmoid", {"x"}, "s").op("Mul", {"x", "s"}, "y").types() == "SiLU");
    Graph other;
    CHECK(other.op("Sigmoid", {"x"}, "s").op("Mul", {"s", "x"}, "y").types() == "SiLU");
    CHECK(other.y[3] == Approx(2 / (1 + std::exp(-2.0))));
    // Not: another tensor, a gate that is read elsewhere.
    CHECK(Graph().op("Relu", {"x"}, "r").op("Sigmoid", {"x"}, "s").op("Mul", {"r", "s"}, "y").types() ==
          "ReLU Sigmoid Mul");
    Graph read;
    read.op("Sigmoid", {"x"}, "s").op("Mul", {"x", "s"}, "y").model->output("s");
    CHECK(read.types() == "Sigmoid Mul");
}

TEST_CASE("onnx patterns: Mish") {
    Graph mish;
    CHECK(mish.op("Softplus", {"x"}, "p").op("Tanh", {"p"}, "t").op("Mul", {"x", "t"}, "y").types() ==
          "Mish");
    CHECK(mish.y[3] == Approx(2 * std::tanh(std::log(1 + std::exp(2.0)))));
    Graph spelled;
    spelled.number("1", 1).op("Exp", {"x"}, "e").op("Add", {"1", "e"}, "a").op("Log", {"a"}, "l");
    CHECK(spelled.op("Tanh", {"l"}, "t").op("Mul", {"t", "x"}, "y").types() == "Mish");
    CHECK(Graph().op("Softplus", {"x"}, "p").op("Tanh", {"p"}, "t").op("Mul", {"p", "t"}, "y").types() ==
          "Softplus Tanh Mul");
}

TEST_CASE("onnx patterns: Softsign") {
    auto const begun = [] { return Graph().number("1", 1).op("Abs", {"x"}, "a").op("Add", {"a", "1"}, "s"); };
    Graph g = begun();
    CHECK(g.op("Div", {"x", "s"}, "y").types() == "Softsign");
    CHECK(g.y[3] == Approx(2.0 / 3));
    CHECK(begun().op("Div", {"s", "x"}, "y").types() == "Abs Add Div");
}

TEST_CASE("onnx patterns: Hardswish, in its orders") {
    auto const begun = [](std::int64_t opset = 13) {
        Graph g(opset);
        g.number("3", 3).number("6", 6).number("0", 0).number("sixth", 1.0 / 6).op("Add", {"x", "3"}, "a");
        return opset < 11 ? g.op("Clip", {"a"}, "c", {real("min", 0), real("max", 6)})
                          : g.op("Clip", {"a", "0", "6"}, "c");
    };
    Graph g = begun();
    CHECK(g.op("Mul", {"x", "c"}, "m").op("Div", {"m", "6"}, "y").types() == "Hardswish");
    CHECK(g.y == nn::Tensor({1, 4}, {0, -1.0f / 3, 1.75f / 6, 10.0f / 6}));
    CHECK(begun().op("Div", {"c", "6"}, "d").op("Mul", {"x", "d"}, "y").types() == "Hardswish");
    CHECK(begun().op("Mul", {"c", "sixth"}, "d").op("Mul", {"d", "x"}, "y").types() == "Hardswish");
    CHECK(begun().op("Mul", {"c", "x"}, "d").op("Mul", {"sixth", "d"}, "y").types() == "Hardswish");
    CHECK(begun().op("Mul", {"x", "sixth"}, "h").op("Mul", {"c", "h"}, "y").types() == "Hardswish");
    CHECK(begun(9).op("Mul", {"x", "c"}, "m").op("Div", {"m", "6"}, "y").types() == "Hardswish");
    Graph relu;
    relu.number("3", 3).number("6", 6).op("Add", {"3", "x"}, "a").op("Relu", {"a"}, "r");
    CHECK(relu.op("Min", {"r", "6"}, "c").op("Mul", {"x", "c"}, "m").op("Div", {"m", "6"}, "y").types() ==
          "Hardswish");
    // Not: without the 6, other bounds, another shift.
    CHECK(begun().op("Mul", {"x", "c"}, "y").types() == "Add ReLU6 Mul");
    CHECK(begun().op("Mul", {"x", "c"}, "m").op("Div", {"6", "m"}, "y").types() == "Add ReLU6 Mul Div");
    Graph shift;
    shift.number("2", 2).number("6", 6).number("0", 0).op("Add", {"x", "2"}, "a");
    shift.op("Clip", {"a", "0", "6"}, "c").op("Mul", {"x", "c"}, "m").op("Div", {"m", "6"}, "y");
    CHECK(shift.types() == "Add ReLU6 Mul Div");
}

TEST_CASE("onnx patterns: Hardswish by HardSigmoid") {
    auto const gate = [](float alpha) {
        Graph g;
        g.op("HardSigmoid", {"x"}, "h", {real("alpha", alpha)}).op("Mul", {"x", "h"}, "y");
        return g.types();
    };
    CHECK(gate(1.0f / 6) == "Hardswish");
    CHECK(gate(0.2f) == "Hardsigmoid Mul");
}

TEST_CASE("onnx patterns: GELU by erf, in its orders") {
    auto const begun = [](bool divides) {
        Graph g;
        g.number("root", sqrt2)
            .number("inverse", 1 / sqrt2)
            .number("1", 1)
            .number("half", 0.5)
            .number("2", 2);
        g.op(divides ? "Div" : "Mul", {"x", divides ? "root" : "inverse"}, "d").op("Erf", {"d"}, "e");
        return g.op("Add", {"e", "1"}, "a");
    };
    Graph g = begun(true);
    CHECK(g.op("Mul", {"x", "a"}, "m").op("Mul", {"m", "half"}, "y").types() == "GELU");
    for (std::size_t i = 0; i != 4; ++i)
        CHECK(g.y[i] == Approx(gelu(std::vector{-4.0, -1.0, 0.5, 2.0}[i])).margin(1e-6));
    CHECK(begun(false).op("Mul", {"half", "a"}, "h").op("Mul", {"h", "x"}, "y").types() == "GELU");
    CHECK(begun(true).op("Mul", {"x", "half"}, "h").op("Mul", {"h", "a"}, "y").types() == "GELU");
    CHECK(begun(true).op("Div", {"x", "2"}, "h").op("Mul", {"a", "h"}, "y").types() == "GELU");
    CHECK(begun(true).op("Mul", {"x", "a"}, "y").types() == "Div Erf Add Mul");
    CHECK(begun(true).op("Mul", {"x", "a"}, "m").op("Mul", {"m", "2"}, "y").types() == "Div Erf Add Mul Mul");
}

TEST_CASE("onnx patterns: GELU by tanh, in its orders") {
    double const k = std::sqrt(2 / std::acos(-1.0));
    auto const begun = [&] {
        Graph g;
        return g.number("k", k).number("c", 0.044715).number("1", 1).number("half", 0.5).number("3", 3);
    };
    auto const ended = [](Graph& g) {
        return g.op("Tanh", {"i"}, "t")
            .op("Add", {"1", "t"}, "a")
            .op("Mul", {"half", "x"}, "h")
            .op("Mul", {"h", "a"}, "y");
    };
    Graph power = begun();
    power.op("Pow", {"x", "3"}, "p")
        .op("Mul", {"c", "p"}, "q")
        .op("Add", {"x", "q"}, "s")
        .op("Mul", {"k", "s"}, "i");
    Graph a = ended(power);
    CHECK(a.types() == "GELU");
    CHECK(a.y[3] == Approx(1 + std::tanh(k * (2 + 0.044715 * 8))));
    Graph product = begun();
    product.op("Mul", {"x", "x"}, "xx").op("Mul", {"xx", "x"}, "p").op("Mul", {"p", "c"}, "q");
    product.op("Add", {"q", "x"}, "s").op("Mul", {"s", "k"}, "i");
    CHECK(ended(product).types() == "GELU");
    Graph fast = begun();
    fast.op("Mul", {"x", "k"}, "kx").op("Mul", {"x", "c"}, "cx").op("Mul", {"cx", "x"}, "cxx");
    fast.op("Add", {"cxx", "1"}, "s").op("Mul", {"kx", "s"}, "i");
    CHECK(ended(fast).types() == "GELU");
    Graph other = begun();
    other.op("Mul", {"x", "k"}, "i");
    CHECK(ended(other).types() == "Mul Tanh Add Mul Mul");
}

}  // namespace test_onnx_pattern_activations
