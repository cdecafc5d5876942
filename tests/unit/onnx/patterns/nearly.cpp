// SPDX-License-Identifier: Apache-2.0
// What nearly is a pattern: one operator, number or reader is another, and it stays what it is.
#include <amct_distill/onnx/patterns/layer_norm.hpp>

#include <amct_distill/onnx/import.hpp>
#include <amct_distill/onnx/pattern.hpp>
#include <amct_distill/onnx/patterns/activations.hpp>
#include <amct_distill/onnx/patterns/expression.hpp>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../models.hpp"
#include "../operators/one_operator.hpp"
#include "support/catch.hpp"

namespace test_onnx_pattern_nearly {

using namespace amct_distill;
using onnx_test::attribute;
using onnx_test::floats;
using onnx_test::real;

namespace {

/// A model with the input x, [N, 4] or as given, the output y, and numbers.
class Graph {
public:
    explicit Graph(std::int64_t opset = 13, const std::vector<std::int64_t>& sample = {4}) : model_(opset) {
        model_.graph().input.push_back(onnx_test::declared("x", sample));
        model_.output("y");
    }
    Graph& number(std::string_view name, double value) { return constant(name, {}, {float(value)}); }
    Graph& constant(std::string_view name, std::vector<std::int64_t> dims, std::vector<float> values) {
        model_.initializer(floats(name, std::move(dims), std::move(values)));
        return *this;
    }
    Graph& op(std::string_view type, std::vector<std::string_view> inputs, std::string_view to,
              std::vector<onnx::AttributeProto> attributes = {}) {
        model_.node(type, std::move(inputs), {to}, std::move(attributes));
        return *this;
    }
    Graph& output(std::string_view name) { return model_.output(name), *this; }
    /// The types of what the network computes, one after another; or the first error.
    std::string types() {
        auto const read = onnx::import_network(model_.file());
        if (!read) return read.diagnostics().front().message;
        std::string out;
        const nn::Network& net = read->network;
        for (std::size_t i = 0; i != net.graph().size(); ++i)
            if (net.node({i}).kind == NodeKind::operation)
                out += (out.empty() ? "" : " ") + std::string(net.graph().type({i}));
        return out;
    }

private:
    onnx_test::Model model_;
};

/// (x - mean) / sqrt(mean of (x - mean)^2 + eps), each part of which can be another.
struct Norm {
    std::vector<std::int64_t> axes{-1}, second_axes{-1};
    std::int64_t keepdims = 1;
    std::string_view minuend = "x", subtrahend = "m", squared = "c", divided = "c", divisor = "r", by = "2";
    std::string_view square = "Pow", mean = "ReduceMean", add = "Add", root = "Sqrt", divide = "Div";
    std::string_view epsilon = "eps", reader{};
    std::string types(std::int64_t opset = 13) const {
        Graph g(opset);
        g.number("eps", 1e-5).number("2", 2).number("3", 3).constant("two", {2}, {1, 1});
        g.op("ReduceMean", {"x"}, "m", {attribute("axes", axes), attribute("keepdims", keepdims)});
        g.op("Sub", {minuend, subtrahend}, "c");
        g.op(square, {squared, square == "Mul" ? "c" : by}, "q");
        std::vector<onnx::AttributeProto> over;
        if (mean == "ReduceMean" || mean == "ReduceMax") over.push_back(attribute("axes", second_axes));
        g.op(mean, {"q"}, "v", over).op(add, {"v", epsilon}, "s").op(root, {"s"}, "r");
        if (!reader.empty()) g.op("Neg", {reader}, "n").output("n");
        return g.op(divide, {divided, divisor}, "y").types();
    }
};

}  // namespace

TEST_CASE("onnx patterns: operators with an input too many are no part of any") {
    CHECK_THAT(Graph()
                   .op("ReduceMean", {"x"}, "m", {attribute("axes", std::vector<std::int64_t>{-1})})
                   .op("Sub", {"x", "x", "m"}, "y")
                   .types(),
               Catch::Contains("expected two inputs, found 3"));
    Graph norm;
    norm.number("eps", 1e-5)
        .number("2", 2)
        .op("ReduceMean", {"x"}, "m", {attribute("axes", std::vector<std::int64_t>{-1})});
    norm.op("Sub", {"x", "m"}, "c").op("Pow", {"c", "2"}, "q");
    norm.op("ReduceMean", {"q"}, "v", {attribute("axes", std::vector<std::int64_t>{-1})})
        .op("Add", {"v", "eps"}, "s");
    norm.op("Sqrt", {"s"}, "r").op("Div", {"c", "x", "r"}, "y");
    CHECK_THAT(norm.types(), Catch::Contains("expected two inputs, found 3"));
    CHECK_THAT(Graph()
                   .number("1", 1)
                   .op("Abs", {"x"}, "a")
                   .op("Add", {"a", "1"}, "s")
                   .op("Div", {"x", "x", "s"}, "y")
                   .types(),
               Catch::Contains("expected two inputs, found 3"));
    CHECK_THAT(Graph()
                   .number("0", 0)
                   .number("6", 6)
                   .op("Add", {"x", ""}, "a")
                   .op("Clip", {"a", "0", "6"}, "y")
                   .types(),
               Catch::Contains("input 1 is missing"));
    CHECK(Norm{.epsilon = "v"}.types() == "ReduceMean Sub Pow ReduceMean Add Sqrt Div");
}

TEST_CASE("onnx patterns: a LayerNorm's weight is a constant, and its bias may be none") {
    auto const weighted = [](std::string_view weight, std::string_view then) {
        Graph g;
        g.number("eps", 1e-5).number("2", 2).constant("w", {4}, {1, 2, 3, 4});
        std::vector<onnx::AttributeProto> const last{attribute("axes", std::vector<std::int64_t>{-1})};
        g.op("ReduceMean", {"x"}, "m", last).op("Sub", {"x", "m"}, "c").op("Pow", {"c", "2"}, "q");
        g.op("ReduceMean", {"q"}, "v", last).op("Add", {"v", "eps"}, "s").op("Sqrt", {"s"}, "r");
        return g.op("Div", {"c", "r"}, "d").op("Mul", {"d", weight}, "k").op(then, {"k"}, "y").types();
    };
    CHECK(weighted("w", "Relu") == "LayerNorm ReLU");
    CHECK(weighted("x", "Relu") == "LayerNorm Mul ReLU");
}

TEST_CASE("onnx patterns: what nearly is a Linear with a bias") {
    auto const linear = [](std::vector<std::int64_t> of_weight, std::vector<std::int64_t> of_bias) {
        std::size_t n = 1, m = 1;
        for (std::int64_t d : of_weight) n *= static_cast<std::size_t>(d);
        for (std::int64_t d : of_bias) m *= static_cast<std::size_t>(d);
        Graph g;
        g.constant("w", std::move(of_weight), std::vector<float>(n, 1));
        g.constant("b", std::move(of_bias), std::vector<float>(m, 1));
        return g.op("MatMul", {"x", "w"}, "p").op("Add", {"p", "b"}, "y").types();
    };
    CHECK(linear({4, 2}, {2}) == "Linear");
    CHECK(linear({4, 2}, {1, 2}) == "Linear");
    CHECK(linear({4, 2}, {}) == "Linear Add");
    CHECK(linear({4, 1}, {}) == "Linear Add");
    CHECK(linear({4, 2}, {1}) == "Linear Add");
    CHECK_THAT(linear({4, 2}, {2, 1}), Catch::Contains("found [N, 2] and [2, 1]"));
    CHECK(linear({4}, {1}) == "MatMul Add");
    CHECK_THAT(linear({4, 2}, {1, 1, 2}), Catch::Contains("found [N, 2] and [1, 1, 2]"));
    CHECK(Graph().op("MatMul", {"x", "x"}, "p").number("1", 1).op("Add", {"p", "1"}, "y").types() !=
          "Linear");
    CHECK(Graph(13, {4, 4}).op("MatMul", {"x", "x"}, "p").number("1", 1).op("Add", {"p", "1"}, "y").types() ==
          "MatMul Add");
    CHECK(Graph()
              .constant("w", {4, 4}, std::vector<float>(16, 1))
              .op("MatMul", {"x", "w"}, "p")
              .op("Add", {"p", "x"}, "y")
              .types() == "Linear Add");
    // An input whose dimensions the user tells, and not the file.
    onnx_test::Model m;
    m.input("x")
        .initializer(floats("w", {4, 2}, std::vector<float>(8, 1)))
        .initializer(floats("b", {1, 2}, {1, 2}));
    m.node("MatMul", {"x", "w"}, {"p"}).node("Add", {"p", "b"}, {"y"}).output("y");
    auto const read = onnx::import_network(m.file(), {.shapes = {{"x", {-1, 4}}}});
    REQUIRE(read);
    CHECK(read->network.predict(nn::Tensor({1, 4}, {1, 2, 3, 4})) == nn::Tensor({1, 2}, {11, 12}));
    // A bias that is repeated over the batch is none of the layer's.
    onnx_test::Model batch;
    batch.graph().input.push_back(onnx_test::declared("x", {4}));
    batch.initializer(floats("w", {4, 2}, std::vector<float>(8, 1))).initializer(floats("b", {1, 2}, {1, 2}));
    batch.initializer(onnx_test::integers("0", {0}))
        .initializer(onnx_test::integers("1", {1}))
        .initializer(onnx_test::integers("2", {2}));
    batch.node("Shape", {"x"}, {"s"}).node("Slice", {"s", "0", "1"}, {"n"});
    batch.node("Concat", {"n", "2"}, {"to"}, {attribute("axis", 0)}).node("Expand", {"b", "to"}, {"e"});
    batch.node("MatMul", {"x", "w"}, {"p"}).node("Add", {"p", "e"}, {"y"}).output("y");
    auto const apart = onnx::import_network(batch.file());
    REQUIRE(apart);
    CHECK(apart->network.predict(nn::Tensor({1, 4}, {1, 2, 3, 4})) == nn::Tensor({1, 2}, {11, 12}));
    // Weights that are damaged are told so, not left aside.
    onnx_test::Model damaged;
    damaged.graph().input.push_back(onnx_test::declared("x", {4}));
    damaged.initializer({.dims = {4, 2}, .data_type = 1, .float_data = {1}, .name = "w"})
        .initializer(floats("b", {2}, {1, 2}));
    damaged.node("MatMul", {"x", "w"}, {"p"}).node("Add", {"p", "b"}, {"y"}).output("y");
    CHECK_THAT(to_string(onnx::import_network(damaged.file()).diagnostics()),
               Catch::Contains("tensor `w`: it has 1 values, but its shape and type need 8"));
    onnx_test::Model second;  // an output 0 that nobody reads
    second.graph().input.push_back(onnx_test::declared("x", {4}));
    second.node("Sigmoid", {"x"}, {"unread", "y"}).output("y");
    CHECK_THAT(to_string(onnx::import_network(second.file()).diagnostics()),
               Catch::Contains("its output 1 is read"));
}

TEST_CASE("onnx patterns: what nearly is a LayerNorm") {
    std::string const spelled = "ReduceMean Sub Pow ReduceMean Add Sqrt Div";
    CHECK(Norm{}.types() == "LayerNorm");
    CHECK(Norm{.axes = {1}, .second_axes = {1}}.types() == "LayerNorm");
    CHECK(Norm{.square = "Mul"}.types() == "LayerNorm");
    CHECK(Norm{.axes = {}, .second_axes = {-1}}.types() != "LayerNorm");
    CHECK(Norm{.axes = {0}}.types() != "LayerNorm");
    CHECK(Norm{.second_axes = {-1, -2}}.types() != "LayerNorm");
    CHECK(Norm{.minuend = "m", .subtrahend = "x"}.types() == spelled);
    CHECK(Norm{.minuend = "m", .subtrahend = "m"}.types() == spelled);
    CHECK(Norm{.minuend = "x", .subtrahend = "x"}.types() != "LayerNorm");
    CHECK(Norm{.squared = "x"}.types() == spelled);
    CHECK(Norm{.squared = "2", .by = "c"}.types() == spelled);
    CHECK(Norm{.by = "3"}.types() == spelled);
    CHECK(Norm{.divided = "r", .divisor = "c"}.types() == spelled);
    CHECK(Norm{.divided = "x"}.types() == spelled);
    CHECK(Norm{.divisor = "s"}.types() != "LayerNorm");
    CHECK(Norm{.mean = "Neg"}.types() == "ReduceMean Sub Pow Neg Add Sqrt Div");
    CHECK(Norm{.mean = "ReduceMax"}.types() == "ReduceMean Sub Pow ReduceMax Add Sqrt Div");
    CHECK(Norm{.add = "Sub"}.types() == "ReduceMean Sub Pow ReduceMean Sub Sqrt Div");
    CHECK(Norm{.root = "Exp"}.types() == "ReduceMean Sub Pow ReduceMean Add Exp Div");
    CHECK(Norm{.divide = "Mul"}.types() == "ReduceMean Sub Pow ReduceMean Add Sqrt Mul");
    CHECK(Norm{.epsilon = "x"}.types() == spelled);
    CHECK(Norm{.reader = "m"}.types() != "LayerNorm");
    CHECK(Norm{.reader = "c"}.types() == "ReduceMean Sub Pow ReduceMean Add Sqrt Neg Div");
    CHECK(Norm{.reader = "r"}.types() == "ReduceMean Sub Pow ReduceMean Add Sqrt Neg Div");
    CHECK(Norm{.reader = "q"}.types() == "ReduceMean Sub Pow ReduceMean Add Sqrt Neg Div");
    CHECK_THAT(Norm{}.types(6), Catch::Contains("`broadcast` is not set"));  // before opset 7 it is none

    // Its weight and bias: of the last dimensions, or something that is multiplied and added.
    auto const with = [](std::vector<std::int64_t> weight, std::vector<std::int64_t> bias) {
        auto const values = [](const std::vector<std::int64_t>& dims) {
            std::size_t n = 1;
            for (std::int64_t d : dims) n *= static_cast<std::size_t>(d);
            return std::vector<float>(n, 2);
        };
        Graph g;
        g.number("eps", 1e-5)
            .number("2", 2)
            .constant("w", weight, values(weight))
            .constant("b", bias, values(bias));
        g.op("ReduceMean", {"x"}, "m", {attribute("axes", std::vector<std::int64_t>{-1})});
        g.op("Sub", {"x", "m"}, "c").op("Pow", {"c", "2"}, "q");
        g.op("ReduceMean", {"q"}, "v", {attribute("axes", std::vector<std::int64_t>{-1})});
        g.op("Add", {"v", "eps"}, "s").op("Sqrt", {"s"}, "r").op("Div", {"c", "r"}, "d");
        return g.op("Mul", {"d", "w"}, "e").op("Add", {"e", "b"}, "y").types();
    };
    CHECK(with({4}, {4}) == "LayerNorm");
    CHECK(with({4}, {}) == "LayerNorm Add");
    CHECK(with({}, {4}) == "LayerNorm Mul Add");
    CHECK(with({1, 4}, {4}) == "LayerNorm Mul Add");
    CHECK(with({4}, {1, 4}) == "LayerNorm Add");
}

TEST_CASE("onnx patterns: what nearly is an activation") {
    // Mish: Log of another sum, of no Exp.
    CHECK(Graph().op("Log", {"x"}, "l").op("Tanh", {"l"}, "t").op("Mul", {"x", "t"}, "y").types() ==
          "Log Tanh Mul");
    Graph sub;
    sub.number("1", 1).op("Exp", {"x"}, "e").op("Sub", {"e", "1"}, "a").op("Log", {"a"}, "l");
    CHECK(sub.op("Tanh", {"l"}, "t").op("Mul", {"x", "t"}, "y").types() == "Exp Sub Log Tanh Mul");
    Graph neg;
    neg.number("1", 1).op("Neg", {"x"}, "e").op("Add", {"e", "1"}, "a").op("Log", {"a"}, "l");
    CHECK(neg.op("Tanh", {"l"}, "t").op("Mul", {"x", "t"}, "y").types() == "Neg Add Log Tanh Mul");
    // Softsign: another number, another operator, the wrong way round.
    auto const softsign = [](double number, std::string_view last, std::string_view a, std::string_view b) {
        Graph g;
        g.number("1", number).op("Abs", {"x"}, "a").op("Add", {"a", "1"}, "s");
        return g.op(last, {a, b}, "y").types();
    };
    CHECK(softsign(1, "Div", "x", "s") == "Softsign");
    CHECK(softsign(2, "Div", "x", "s") == "Abs Add Div");
    CHECK(softsign(1, "Mul", "x", "s") == "Abs Add Mul");
    CHECK(softsign(1, "Div", "s", "x") == "Abs Add Div");
    CHECK(softsign(1, "Div", "s", "s") == "Abs Add Div");
    CHECK(Graph()
              .number("1", 1)
              .op("Abs", {"x"}, "a")
              .op("Add", {"a", "a"}, "s")
              .op("Div", {"x", "s"}, "y")
              .types() == "Abs Add Div");
    // Hardswish: clipped elsewhere, divided by another number, of another slope.
    auto const hardswish = [](double low, double high, double shift, double by, std::int64_t opset = 13) {
        Graph g(opset);
        g.number("low", low).number("high", high).number("shift", shift).number("by", by);
        g.op("Add", {"x", "shift"}, "a");
        if (opset < 11)
            g.op("Clip", {"a"}, "c", {real("min", float(low)), real("max", float(high))});
        else
            g.op("Clip", {"a", "low", "high"}, "c");
        return g.op("Mul", {"x", "c"}, "m").op("Div", {"m", "by"}, "y").types();
    };
    CHECK(hardswish(0, 6, 3, 6) == "Hardswish");
    CHECK(hardswish(0, 6, 3, 6, 9) == "Hardswish");
    CHECK(hardswish(0, 5, 3, 6, 9) == "Add Hardtanh Mul Div");
    CHECK(hardswish(1, 6, 3, 6, 9) == "Add Hardtanh Mul Div");
    CHECK(hardswish(0, 6, 2, 6) == "Add ReLU6 Mul Div");
    CHECK(hardswish(0, 6, 3, 5) == "Add ReLU6 Mul Div");
    CHECK(Graph(9)
              .number("3", 3)
              .number("6", 6)
              .op("Add", {"x", "3"}, "a")
              .op("Clip", {"a"}, "c", {real("min", 0)})
              .op("Mul", {"x", "c"}, "m")
              .op("Div", {"m", "6"}, "y")
              .types() == "Add Hardtanh Mul Div");
    auto const by_min = [](double highest, std::string_view inner) {
        Graph g;
        g.number("3", 3).number("6", 6).number("h", highest).op("Add", {"x", "3"}, "a").op(inner, {"a"}, "r");
        return g.op("Min", {"r", "h"}, "c").op("Mul", {"x", "c"}, "m").op("Div", {"m", "6"}, "y").types();
    };
    CHECK(by_min(6, "Relu") == "Hardswish");
    CHECK(by_min(5, "Relu") == "Add ReLU Min Mul Div");
    CHECK(by_min(6, "Abs") == "Add Abs Min Mul Div");
    CHECK(Graph().op("Min", {"x"}, "c").op("Mul", {"x", "c"}, "y").types() == "Min Mul");
    auto const hard_sigmoid = [](float alpha, float beta) {
        return Graph()
            .op("HardSigmoid", {"x"}, "h", {real("alpha", alpha), real("beta", beta)})
            .op("Mul", {"h", "x"}, "y")
            .types();
    };
    CHECK(hard_sigmoid(1.0f / 6, 0.5f) == "Hardswish");
    CHECK(hard_sigmoid(0.2f, 0.5f) == "Hardsigmoid Mul");
    CHECK(hard_sigmoid(1.0f / 6, 0.25f) == "Hardsigmoid Mul");
    // GELU: 2 in place of 1, of another number within.
    auto const gelu = [](double inner, double one, double half) {
        Graph g;
        g.number("k", inner)
            .number("1", one)
            .number("half", half)
            .op("Mul", {"x", "k"}, "a")
            .op("Erf", {"a"}, "e");
        return g.op("Add", {"e", "1"}, "b").op("Mul", {"x", "b"}, "m").op("Mul", {"m", "half"}, "y").types();
    };
    CHECK(gelu(std::sqrt(0.5), 1, 0.5) == "GELU");
    CHECK(gelu(std::sqrt(0.5), 2, 0.5) == "Mul Erf Add Mul Mul");
    CHECK(gelu(0.7, 1, 0.5) == "Mul Erf Add Mul Mul");
    CHECK(gelu(std::sqrt(0.5), 1, 0.25) == "Mul Erf Add Mul Mul");
}

TEST_CASE("onnx patterns: polynomials that are none, products that never end") {
    onnx_test::Model m;
    m.input("x")
        .initializer(floats("2", {}, {2}))
        .initializer(floats("4", {}, {4}))
        .initializer(floats("3", {}, {3}));
    m.node("Pow", {"x", "2"}, {"square"})
        .node("Pow", {"x", "3"}, {"cube"})
        .node("Pow", {"x", "4"}, {"fourth"});
    m.node("Pow", {"square", "2"}, {"square of square"}).node("Pow", {"square", "3"}, {"cube of square"});
    m.node("Div", {"2", "square"}, {"by square"}).node("Div", {"2", "cube"}, {"by cube"});
    m.node("Max", {"x", "2"}, {"max"}).node("Add", {"fourth", "2"}, {"after"});
    // Sums of sums: more operators than are followed.
    static std::vector<std::string> const names = [] {
        std::vector<std::string> out{"x"};
        for (int i = 0; i != 20; ++i) out.push_back("sum" + std::to_string(i));
        return out;
    }();
    for (std::size_t i = 1; i != names.size(); ++i) m.node("Add", {names[i - 1], "2"}, {names[i]});
    // A gate that is multiplied again and again.
    m.node("Sigmoid", {"x"}, {"g0"}).node("Mul", {"g0", "2"}, {"g1"}).node("Mul", {"g1", "2"}, {"g2"});
    m.node("Mul", {"g2", "2"}, {"g3"}).node("Mul", {"g3", "2"}, {"g4"}).node("Mul", {"g4", "x"}, {"g5"});
    m.node("Sigmoid", {"x"}, {"h0"}).node("Mul", {"h0", "square"}, {"h1"});
    m.node("Sigmoid", {"x"}, {"i0"}).node("Mul", {"i0", "cube"}, {"i1"});
    m.node("Sigmoid", {"x"}, {"j0"}).node("Mul", {"j0", "x"}, {"j1"}).node("Mul", {"j1", "x"}, {"j2"});
    m.node("Sigmoid", {"x"}, {"k0"}).node("Add", {"k0", "2"}, {"k1"});
    m.node("Sigmoid", {"x"}, {"l0"}).node("Div", {"2", "l0"}, {"l1"});
    m.node("Sigmoid", {"x"}, {"o0"}).node("Mul", {"o0", "o0"}, {"o1"});
    m.node("Sum",
           {"g5", "h1", "i1", "j2", "k1", "l1", "o1", "cube of square", "square of square", "by square",
            "by cube", "max", "after", names.back()},
           {"y"});
    m.output("y");
    auto const graph = onnx::GraphView::of(m.file()).value();
    onnx::Constants const known(graph);
    onnx::detail::PatternContext const context(graph, known);
    auto const is_polynomial = [&](std::string_view name) {
        onnx::detail::Expression e(context, graph.find("x"));
        return e.polynomial(graph.find(name)).has_value();
    };
    CHECK(is_polynomial("square"));
    CHECK(is_polynomial("cube"));
    CHECK(is_polynomial("sum10"));
    for (std::string_view name :
         {"fourth", "square of square", "cube of square", "by square", "by cube", "max", "after", "sum19"}) {
        INFO(name);
        CHECK_FALSE(is_polynomial(name));
    }
    auto const product = [&](std::string_view gate, double factor) {
        onnx::detail::Expression e(context, graph.find("x"));
        return e.product(graph.find(gate), factor) != onnx::none;
    };
    CHECK(product("g1", 16 / 2.0));
    CHECK_FALSE(product("g0", 16));  // one step too many
    CHECK_FALSE(product("h0", 1));
    CHECK_FALSE(product("i0", 1));
    CHECK(product("j0", 1));
    CHECK_FALSE(product("j0", 2));
    CHECK_FALSE(product("k0", 1));
    CHECK_FALSE(product("l0", 1));
    CHECK_FALSE(product("o0", 1));  // by itself
    CHECK_FALSE(product("y", 1));
    CHECK(onnx::detail::sources_of(context, graph.find("sum19")).size() == 8);
    // What a context says of what is not there.
    CHECK(context.only_reader(onnx::none) == onnx::none);
    CHECK(context.only_reader(graph.find("x")) == onnx::none);
    CHECK(context.producer(onnx::none) == onnx::none);
    CHECK_FALSE(context.rank(onnx::none));
    CHECK_FALSE(context.rank(graph.find("g0")));
    CHECK_FALSE(context.extents(onnx::none));
    CHECK_FALSE(context.number(graph.find("x")));
    CHECK(context.rank(graph.find("2")) == 0u);
}

}  // namespace test_onnx_pattern_nearly
