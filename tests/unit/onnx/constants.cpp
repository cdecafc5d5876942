// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/constants.hpp>

#include <string>
#include <vector>

#include "models.hpp"
#include "support/catch.hpp"

namespace onnx_constants_test {

using namespace amct_distill;
using onnx::Constants;
using onnx::ElementType;
using onnx::Extents;
using onnx::GraphView;
using onnx::Shape;
using onnx::Size;
using onnx_test::attribute;
using onnx_test::floats;
using onnx_test::integers;
using onnx_test::Model;
using Integers = std::vector<std::int64_t>;
using Floats = std::vector<float>;

/// The graph of a model whose input `x` is [N, 3, 8, 10], everything folded that can be.
class Folded {
public:
    explicit Folded(Model& model) : graph_(GraphView::of(model.file()).value()), known_(graph_) {
        for (onnx::TensorId t : graph_.inputs()) known_.set_shape(t, {Size::of_batch(), 3, 8, 10});
        for (onnx::NodeId n : graph_.order()) {
            result<bool> const folded = known_.fold(n);
            if (!folded) errors += to_string(folded.diagnostics());
            if (folded && !*folded) left += std::string(graph_.node(n).op()) + " ";
        }
    }
    const onnx::Value* find(std::string_view name) const { return known_.find(graph_.find(name)); }
    std::vector<Size> sizes(std::string_view name) const { return find(name)->sizes().value(); }

    std::string errors{}, left{};

private:
    GraphView graph_;
    Constants known_;
};

TEST_CASE("shape arithmetic disappears and the batch stays free") {
    Model m;  // x.view(x.size(0), -1, 4) and torch.chunk's arithmetic, as PyTorch exports them
    m.input("x").initializer(integers("minus", {-1})).initializer(integers("four", {4}));
    m.initializer({.dims = {}, .data_type = 7, .int64_data = {0}, .name = std::string_view("zero")});
    m.initializer({.dims = {}, .data_type = 7, .int64_data = {3}, .name = std::string_view("three")});
    m.initializer({.dims = {}, .data_type = 7, .int64_data = {2}, .name = std::string_view("two")});
    m.initializer(integers("axis0", {0}));
    m.node("Shape", {"x"}, {"s"});
    m.node("Gather", {"s", "zero"}, {"n"}, {attribute("axis", 0)});
    m.node("Unsqueeze", {"n", "axis0"}, {"n1"});
    m.node("Concat", {"n1", "minus", "four"}, {"target"}, {attribute("axis", 0)});
    m.node("Reshape", {"x", "target"}, {"y"});
    m.node("Gather", {"s", "three"}, {"width"});
    m.node("Add", {"width", "zero"}, {"w1"})
        .node("Div", {"w1", "two"}, {"half"})
        .node("Mul", {"half", "two"}, {"end"});
    m.node("Cast", {"end"}, {"as_float"}, {attribute("to", 1)});
    m.node("Size", {"x"}, {"count"}).node("Div", {"count", "n"}, {"per_sample"});
    for (std::string_view out : {"y", "as_float", "per_sample"}) m.output(out);
    Folded const f(m);
    CHECK(f.errors.empty());
    CHECK(f.left == "Reshape ");
    CHECK(f.sizes("s") == std::vector<Size>{Size::of_batch(), 3, 8, 10});
    CHECK(f.sizes("target") == std::vector<Size>{Size::of_batch(), -1, 4});
    CHECK(f.sizes("end") == std::vector<Size>{10});
    CHECK(*f.find("as_float")->floats() == Floats{10});
    CHECK(f.sizes("per_sample") == std::vector<Size>{240});
}

TEST_CASE("PyTorch's expand over the batch: Equal, Where, ConstantOfShape, Expand") {
    Model m;  // token.expand(n, -1, -1)
    m.input("x").initializer(floats("token", {1, 1, 2}, {5, 6})).initializer(integers("axis0", {0}));
    m.initializer({.dims = {}, .data_type = 7, .int64_data = {0}, .name = std::string_view("zero")});
    m.initializer({.dims = {}, .data_type = 7, .int64_data = {-1}, .name = std::string_view("keep")});
    m.initializer(integers("minus", {-1})).initializer(integers("rank", {3}));
    m.node("Shape", {"x"}, {"s"})
        .node("Gather", {"s", "zero"}, {"n"})
        .node("Unsqueeze", {"n", "axis0"}, {"n1"});
    m.node("Concat", {"n1", "minus", "minus"}, {"wanted"}, {attribute("axis", 0)});
    m.node(
        "ConstantOfShape", {"rank"}, {"ones"},
        {{.name = std::string_view("value"), .t = boxed<onnx::TensorProto>(integers("v", {1})), .type = 4}});
    m.node("Mul", {"ones", "keep"}, {"minus_ones"}).node("Equal", {"wanted", "minus_ones"}, {"open"});
    m.node("Where", {"open", "ones", "wanted"}, {"target"}).node("Expand", {"token", "target"}, {"y"});
    m.node("Concat", {"y", "x"}, {"z"}, {attribute("axis", 1)}).output("z");
    Folded const f(m);
    CHECK(f.errors.empty());
    CHECK(f.left == "Concat ");
    const onnx::Value* const y = f.find("y");
    REQUIRE(y != nullptr);
    CHECK(y->shape() == Shape{Size::of_batch(), 1, 2});
    CHECK(y->is_over_batch());
    CHECK(y->extents() == Extents{1, 1, 2});
    CHECK(*y->floats() == Floats{5, 6});
}

TEST_CASE("Tile over the batch and in numbers") {
    Model m;
    m.input("x").initializer(floats("t", {1, 2}, {5, 6})).initializer(integers("r", {2, 3}));
    m.initializer(integers("axis0", {0})).initializer(integers("ones", {1}));
    m.initializer({.dims = {}, .data_type = 7, .int64_data = {0}, .name = std::string_view("zero")});
    m.node("Tile", {"t", "r"}, {"y"});
    m.node("Shape", {"x"}, {"s"}).node("Gather", {"s", "axis0"}, {"n"});
    m.node("Concat", {"n", "ones"}, {"nr"}, {attribute("axis", 0)}).node("Tile", {"t", "nr"}, {"z"});
    m.output("y").output("z");
    Folded const f(m);
    CHECK(f.errors.empty());
    CHECK(f.find("y")->extents() == Extents{2, 6});
    CHECK(*f.find("y")->floats() == Floats{5, 6, 5, 6, 5, 6, 5, 6, 5, 6, 5, 6});
    CHECK(f.find("z")->shape() == Shape{Size::of_batch(), 2});
    CHECK(*f.find("z")->floats() == Floats{5, 6});
}

TEST_CASE("weights after Identity, Transpose, Reshape, Cast and arithmetic are values") {
    Model m;
    m.input("x")
        .initializer(floats("w", {2, 3}, {1, 2, 3, 4, 5, 6}))
        .initializer(floats("g", {2, 1}, {10, 100}));
    m.initializer(integers("shape", {3, 2, 1}));
    m.initializer(
        {.dims = {2}, .data_type = 10, .int32_data = {0x3C00, 0x4000}, .name = std::string_view("half")});
    m.node("Identity", {"w"}, {"i"}).node("Mul", {"i", "g"}, {"scaled"});
    m.node("Transpose", {"scaled"}, {"t"}, {attribute("perm", Integers{1, 0})});
    m.node("Reshape", {"t", "shape"}, {"y"});
    m.node("Cast", {"half"}, {"full"}, {attribute("to", 1)});
    m.node("MatMul", {"x", "w"}, {"z"});
    for (std::string_view out : {"y", "full", "z"}) m.output(out);
    Folded const f(m);
    CHECK(f.errors.empty());
    CHECK(f.left == "MatMul ");
    CHECK(f.find("y")->extents() == Extents{3, 2, 1});
    CHECK(*f.find("y")->floats() == Floats{10, 400, 20, 500, 30, 600});
    CHECK(*f.find("full")->floats() == Floats{1, 2});
    CHECK(f.find("full")->type() == ElementType::float32);
    CHECK(f.find("w") != nullptr);
}

TEST_CASE("attributes and inputs of old and new versions") {
    Model old(9);
    old.input("x").initializer(floats("w", {1, 4}, {1, 2, 3, 4}));
    old.node(
        "Slice", {"w"}, {"s"},
        {attribute("starts", Integers{1}), attribute("ends", Integers{-1}), attribute("axes", Integers{1})});
    old.node("Squeeze", {"s"}, {"q"}, {attribute("axes", Integers{0})});
    old.node("Unsqueeze", {"q"}, {"y"}, {attribute("axes", Integers{0, 2})}).output("y");
    Folded const f(old);
    CHECK(f.errors.empty());
    CHECK(f.find("y")->extents() == Extents{1, 2, 1});
    CHECK(*f.find("y")->floats() == Floats{2, 3});
    Model part(15);
    part.input("x").node("Shape", {"x"}, {"y"}, {attribute("start", 1), attribute("end", -1)}).output("y");
    CHECK(Folded(part).sizes("y") == std::vector<Size>{3, 8});
}

TEST_CASE("what is wrong, or depends on the batch in another way, names its node") {
    auto const error = [](Model& m) { return Folded(m).errors; };
    Model index;
    index.initializer(integers("v", {1, 2}))
        .initializer(integers("i", {2}))
        .node("Gather", {"v", "i"}, {"y"})
        .output("y");
    CHECK(error(index) == "test.onnx: error: node 0 (Gather), which makes `y`: index 2 of an axis of size 2");
    Model unknown;
    unknown.initializer(integers("v", {1, 2})).node("Neg", {"v"}, {"y"}, {attribute("odd", 1)}).output("y");
    CHECK_THAT(error(unknown), Catch::Contains("unknown attribute `odd`"));
    Model batch;
    batch.input("x").initializer(integers("five", {5}));
    batch.node("Shape", {"x"}, {"s"}).node("Div", {"s", "five"}, {"y"}).output("y");
    CHECK_THAT(error(batch), Catch::Contains("its result is not known for every batch"));
    Model training;
    training.initializer(floats("v", {1}, {1})).initializer(floats("r", {}, {0.5f}));
    training.initializer({.dims = {}, .data_type = 9, .int32_data = {1}, .name = std::string_view("on")});
    training.node("Dropout", {"v", "r", "on"}, {"y"}).output("y");
    CHECK_THAT(error(training), Catch::Contains("it is in training mode"));
    Model damaged;
    damaged.initializer({.dims = {2}, .data_type = 1, .float_data = {1}, .name = std::string_view("v")});
    damaged.node("Neg", {"v"}, {"y"}).output("y");
    CHECK_THAT(error(damaged), Catch::Contains("tensor `v`: it has 1 values, but its shape and type need 2"));
}

TEST_CASE("outputs that an operator has not, that are left out, and shapes that are not known") {
    auto const text = [](std::string_view op, std::vector<std::string_view> inputs,
                         std::vector<std::string_view> outputs) {
        Model m;
        m.input("x").initializer(floats("v", {2}, {1, 2}));
        m.initializer({.dims = {2}, .data_type = 1, .float_data = {1}, .name = std::string_view("damaged")});
        m.node(op, std::move(inputs), std::move(outputs)).output("y");
        Folded const f(m);
        std::string_view const place = "which makes `y`: ";
        std::size_t const at = f.errors.find(place);
        return (at == f.errors.npos ? f.errors : f.errors.substr(at + place.size())) + f.left;
    };
    CHECK(text("Identity", {"v"}, {"y", "z"}) == "it has more outputs than its operator");
    CHECK(text("Identity", {"v"}, {"y", ""}) == "");
    CHECK(text("Shape", {"v"}, {"y", "z"}) == "it has more outputs than its operator");
    CHECK(text("Shape", {"damaged"}, {"y"}) ==
          "test.onnx: error: tensor `damaged`: it has 1 values, but its shape and type need 2");
    CHECK(text("Shape", {""}, {"y"}) == "Shape ");
    Model m;  // nobody has said what shape the input has
    m.input("x").input("w").node("Shape", {"x"}, {"y"}).node("Size", {"w"}, {"n"}).output("y").output("n");
    GraphView const graph = GraphView::of(m.file()).value();
    Constants known(graph);
    CHECK(known.shape(graph.find("x")) == nullptr);
    CHECK(known.shape(onnx::none) == nullptr);
    CHECK_FALSE(known.fold(graph.order()[0]).value());
    known.set_shape(graph.find("w"), {Size::of_batch(), Size::of_batch()});
    CHECK_THAT(to_string(known.fold(graph.order()[1]).diagnostics()),
               Catch::Contains("the number of elements is too large, or the square of the batch"));
}

TEST_CASE("a constant has 32 dimensions at most") {
    for (std::size_t rank : {1u, 31u, 32u, 33u}) {
        Model m;
        m.initializer(floats("v", {1}, {5})).initializer(integers("shape", Integers(rank, 1)));
        m.node("Reshape", {"v", "shape"}, {"r"}).node("Neg", {"r"}, {"y"}).output("y");
        Folded const folded(m);
        INFO(rank);
        if (rank == 33) {
            CHECK_THAT(folded.errors, Catch::Contains("of too many dimensions"));
            continue;
        }
        REQUIRE(folded.errors == "");
        CHECK(folded.find("y")->extents() == Extents(rank, 1));
        CHECK(folded.find("y")->floats() == Floats{-5});
    }
}

TEST_CASE("a few bytes cannot ask for any number of values") {
    Model fill;
    fill.initializer(integers("shape", {1000000, 1000000}))
        .node("ConstantOfShape", {"shape"}, {"y"})
        .output("y");
    CHECK_THAT(Folded(fill).errors, Catch::Contains("would make a constant of 1000000000000 values"));
    Model range;
    range.initializer({.dims = {}, .data_type = 7, .int64_data = {0}, .name = std::string_view("a")});
    range.initializer({.dims = {}, .data_type = 7, .int64_data = {1LL << 60}, .name = std::string_view("b")});
    range.initializer({.dims = {}, .data_type = 7, .int64_data = {1}, .name = std::string_view("c")});
    range.node("Range", {"a", "b", "c"}, {"y"}).output("y");
    CHECK_THAT(Folded(range).errors, Catch::Contains("would make a constant of"));
    Model doubling;  // 2^40 by 40 nodes
    std::list<std::string> names{"v"};
    doubling.initializer(floats("v", {1}, {1}));
    for (int i = 0; i != 40; ++i) {
        std::string_view const before = names.back();
        names.push_back("t" + std::to_string(i));
        doubling.node("Concat", {before, before}, {names.back()}, {attribute("axis", 0)});
    }
    doubling.output(names.back());
    CHECK_THAT(Folded(doubling).errors, Catch::Contains("more than such a file may ask for"));
}

}  // namespace onnx_constants_test
