// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/patterns/expression.hpp>

#include "../models.hpp"
#include "support/catch.hpp"

namespace test_onnx_pattern_expression {

using namespace amct_distill;
using onnx::detail::Polynomial;

TEST_CASE("onnx patterns: a tensor as a polynomial of another") {
    onnx_test::Model m;
    m.input("x")
        .input("z")
        .initializer(onnx_test::floats("2", {}, {2}))
        .initializer(onnx_test::floats("3", {1}, {3}));
    m.initializer(onnx_test::floats("wide", {1, 1, 1}, {3}));
    m.node("Mul", {"x", "x"}, {"square"}).node("Add", {"square", "2"}, {"a"}).node("Sub", {"3", "a"}, {"b"});
    m.node("Div", {"b", "2"}, {"c"})
        .node("Pow", {"x", "3"}, {"cube"})
        .node("Mul", {"square", "square"}, {"fourth"});
    m.node("Add", {"x", "z"}, {"two"}).node("Add", {"x", "wide"}, {"d"}).node("Div", {"2", "x"}, {"e"});
    m.node("Sum", {"c", "cube", "fourth", "two", "d", "e"}, {"y"}).output("y");
    auto const graph = onnx::GraphView::of(m.file()).value();
    onnx::Constants const known(graph);
    onnx::detail::PatternContext const context(graph, known);
    auto const of = [&](std::string_view name) {
        onnx::detail::Expression e(context, graph.find("x"));
        return e.polynomial(graph.find(name));
    };
    CHECK(of("x") == Polynomial{0, 1, 0, 0});
    CHECK(of("2") == Polynomial{2, 0, 0, 0});
    CHECK(of("c") == Polynomial{0.5, 0, -0.5, 0});
    CHECK(of("cube") == Polynomial{0, 0, 0, 1});
    CHECK_FALSE(of("fourth"));
    CHECK_FALSE(of("two"));
    CHECK_FALSE(of("d"));
    CHECK_FALSE(of("e"));
    auto const sources = onnx::detail::sources_of(context, graph.find("c"));
    CHECK(std::find(sources.begin(), sources.end(), graph.find("x")) != sources.end());
}

}  // namespace test_onnx_pattern_expression
