// SPDX-License-Identifier: Apache-2.0
// Folding at its limits: sizes that depend on the batch, numbers that overflow, constants beyond the bound.
#include <amct_distill/onnx/fold.hpp>

#include <amct_distill/core/concat.hpp>
#include <amct_distill/onnx/constants.hpp>
#include <amct_distill/onnx/size.hpp>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models.hpp"
#include "support/catch.hpp"

namespace onnx_fold_limits_test {

using namespace amct_distill;
using Catch::Contains;
using onnx::Size;
using onnx_test::attribute;
using onnx_test::floats;
using onnx_test::integers;
using onnx_test::Model;
using Integers = std::vector<std::int64_t>;

namespace {

constexpr std::int64_t least = (std::numeric_limits<std::int64_t>::min)(),
                       greatest = (std::numeric_limits<std::int64_t>::max)();
std::string const on_batch =
    "its result is not known for every batch (or too large); give the batch as a number in the shapes";

/// A model whose input `x` is [N, 3, 8, 10]; `s` is its shape, `n` the batch, as a list of one.
class OfShape {
public:
    OfShape() {
        model_.input("x").initializer(integers("at0", {0})).initializer(integers("at1", {1}));
        model_.node("Shape", {"x"}, {"s"}).node("Slice", {"s", "at0", "at1"}, {"n"});
    }
    OfShape& constant(onnx::TensorProto t) { return model_.initializer(std::move(t)), *this; }
    OfShape& node(std::string_view op, std::vector<std::string_view> inputs, std::string_view output,
                  std::vector<onnx::AttributeProto> attributes = {}) {
        model_.node(op, std::move(inputs), {output}, std::move(attributes));
        return *this;
    }
    /// The value `y`, "int64 [1] N", or what is wrong with the first node that is, or "not folded".
    std::string text() {
        model_.output("y");
        auto const graph = onnx::GraphView::of(model_.file());
        REQUIRE(graph);
        onnx::Constants known(*graph);
        known.set_shape(graph->inputs()[0], {Size::of_batch(), 3, 8, 10});
        for (onnx::NodeId n : graph->order()) {
            result<bool> const folded = known.fold(n);
            if (!folded) {
                std::string const said = folded.diagnostics()[0].message;
                return said.substr(said.find(": ", said.find("which makes")) + 2);
            }
        }
        const onnx::Value* const y = known.find(graph->find("y"));
        if (y == nullptr) return "not folded";
        std::string out = detail::concat(onnx::name_of(y->type()), ' ', to_string(y->shape()));
        if (auto const sizes = y->sizes())
            for (Size s : *sizes) out += ' ' + to_string(s);
        return out;
    }

private:
    Model model_{};
};
std::string binary(std::string_view op, Integers other, bool batch_first = true) {
    OfShape m;
    m.constant(integers("c", std::move(other)));
    m.node(op,
           batch_first ? std::vector<std::string_view>{"n", "c"} : std::vector<std::string_view>{"c", "n"},
           "y");
    return m.text();
}

}  // namespace

TEST_CASE("folded arithmetic with the batch: what is known for every one, and what is not") {
    CHECK(binary("Add", {5}) == "int64 [1] N + 5");
    CHECK(binary("Sub", {5}) == "int64 [1] N - 5");
    CHECK(binary("Sub", {5}, false) == "int64 [1] -N + 5");
    CHECK(binary("Mul", {2}) == "int64 [1] 2N");
    CHECK(binary("Div", {1}) == "int64 [1] N");
    CHECK(binary("Div", {2}) == on_batch);
    CHECK(binary("Div", {0}, false) == "int64 [1] 0");
    CHECK(binary("Div", {3}, false) == on_batch);
    CHECK(binary("Mod", {2}) == on_batch);
    CHECK(binary("Mod", {2}, false) == on_batch);
    CHECK(binary("Pow", {2}) == on_batch);
    CHECK(binary("Pow", {2}, false) == on_batch);
    CHECK(binary("Max", {1}) == "int64 [1] N");
    CHECK(binary("Max", {0}) == "int64 [1] N");
    CHECK(binary("Max", {2}) == on_batch);
    CHECK(binary("Min", {0}) == "int64 [1] 0");
    CHECK(binary("Min", {2}) == on_batch);
    CHECK(binary("Equal", {0}) == "bool [1] 0");
    CHECK(binary("Equal", {2}) == on_batch);
    CHECK(binary("Less", {1}) == "bool [1] 0");
    CHECK(binary("Less", {2}) == on_batch);
    CHECK(binary("Greater", {0}) == "bool [1] 1");
    CHECK(binary("Greater", {2}) == on_batch);
    CHECK(binary("LessOrEqual", {0}) == "bool [1] 0");
    CHECK(binary("LessOrEqual", {2}) == on_batch);
    CHECK(binary("GreaterOrEqual", {1}) == "bool [1] 1");
    CHECK(binary("GreaterOrEqual", {2}) == on_batch);
    CHECK(binary("Mul", {greatest}) == "int64 [1] 9223372036854775807N");
    auto const unary = [](std::string_view op, std::vector<onnx::AttributeProto> attributes = {}) {
        return OfShape().node(op, {"n"}, "y", std::move(attributes)).text();
    };
    CHECK(unary("Neg") == "int64 [1] -N");
    CHECK(unary("Abs") == "int64 [1] N");
    CHECK(unary("Cast", {attribute("to", 1)}) == on_batch);
    CHECK(unary("Cast", {attribute("to", 6)}) == "int32 [1] N");
    CHECK(unary("Cast", {attribute("to", 9)}) == "bool [1] 1");
    CHECK(unary("ReduceProd") == "int64 [1] N");
    CHECK(OfShape().node("ReduceProd", {"s"}, "y").text() == "int64 [1] 240N");
    CHECK(OfShape().node("Mul", {"n", "n"}, "y").text() == on_batch);
    CHECK(OfShape().node("Sub", {"n", "n"}, "y").text() == "int64 [1] 0");
    CHECK(OfShape().node("Div", {"n", "n"}, "y").text() == "int64 [1] 1");
    CHECK(OfShape()
              .constant(integers("one", {1}))
              .node("Sub", {"n", "one"}, "m")
              .node("Cast", {"m"}, "y", {attribute("to", 9)})
              .text() == on_batch);
}

TEST_CASE("folded truth of truths: numbers other than 0 are true, and those of the batch are not known") {
    auto const truth = [](std::string_view op, Integers a, Integers b) {
        return OfShape()
            .constant(integers("a", std::move(a)))
            .constant(integers("b", std::move(b)))
            .node(op, {"a", "b"}, "y")
            .text();
    };
    CHECK(truth("And", {0, 0, 3, 3}, {0, 2, 0, 2}) == "bool [4] 0 0 0 1");
    CHECK(truth("Or", {0, 0, 3, 3}, {0, 2, 0, 2}) == "bool [4] 0 1 1 1");
    auto const reals = [](std::string_view op) {
        return OfShape()
            .constant(floats("a", {4}, {0, 0, 3, 3}))
            .constant(floats("b", {4}, {0, 2, 0, 2}))
            .node(op, {"a", "b"}, "y")
            .text();
    };
    CHECK(reals("And") == "bool [4] 0 0 0 1");
    CHECK(reals("Or") == "bool [4] 0 1 1 1");
}

TEST_CASE(
    "folded shapes of the batch: reshaped, cut and filled where it is known how many values there are") {
    CHECK(OfShape().node("ConstantOfShape", {"s"}, "y").text() == "float [N, 3, 8, 10]");
    CHECK(OfShape().constant(integers("at", {0})).node("Gather", {"s", "at"}, "y").text() == "int64 [1] N");
    CHECK(OfShape()
              .constant(floats("c", {2}, {1, 2}))
              .node("Reshape", {"c", "n"}, "y")
              .text()
              .find("has no shape [N]") != std::string::npos);
    CHECK(OfShape().constant(floats("c", {1}, {1})).node("Expand", {"c", "n"}, "y").text() == "float [N]");
    CHECK(OfShape().constant(floats("c", {2}, {1, 2})).node("Expand", {"c", "n"}, "y").text() ==
          "it does not broadcast to a batch");
    CHECK(OfShape()
              .constant(floats("c", {1}, {1}))
              .constant(integers("bad", {-1}))
              .node("Expand", {"c", "bad"}, "y")
              .text() == "a negative size");
    // What was expanded over the batch: only what means the same on one sample is folded further.
    auto const further = [](std::string_view op, std::vector<onnx::AttributeProto> attributes = {}) {
        return OfShape()
            .constant(floats("c", {1}, {1}))
            .node("Expand", {"c", "n"}, "e")
            .node(op, {"e"}, "y", std::move(attributes))
            .text();
    };
    CHECK(further("Identity") == "float [N]");
    CHECK(further("Cast", {attribute("to", 7)}).starts_with("int64 [N]"));
    CHECK(further("Neg") == "not folded");
    CHECK(further("Size") == "int64 [] N");
    CHECK(further("Shape") == "int64 [1] N");
    Integers const many(66, 1);
    CHECK(OfShape()
              .constant(floats("c", {}, {1}))
              .constant(integers("to", many))
              .node("Expand", {"c", "to"}, "y")
              .text() == "it makes a tensor of too many dimensions");
    CHECK(OfShape()
              .constant(floats("c", {}, {1}))
              .constant(integers("to", Integers(40, 1)))
              .node("Reshape", {"c", "to"}, "y")
              .text() == "it makes a tensor of too many dimensions");
    CHECK(OfShape()
              .constant(floats("c", {}, {1}))
              .constant(integers("axes", Integers(65, 0)))
              .node("Unsqueeze", {"c", "axes"}, "y")
              .text() == "it makes a tensor of too many dimensions");
    CHECK_THAT(OfShape()
                   .constant(floats("c", {}, {1}))
                   .constant(integers("axes", {0, 0}))
                   .node("Unsqueeze", {"c", "axes"}, "y")
                   .text(),
               Contains("an axis is named twice"));
    CHECK_THAT(OfShape()
                   .constant(floats("c", {}, {1}))
                   .constant(integers("axes", {5}))
                   .node("Unsqueeze", {"c", "axes"}, "y")
                   .text(),
               Contains("axis 5"));
    CHECK(OfShape()
              .constant(floats("c", {2, 1}, {1, 2}))
              .constant(integers("axes", {0}))
              .node("Squeeze", {"c", "axes"}, "y")
              .text() == "squeezes an axis whose size is not 1");
    CHECK_THAT(OfShape()
                   .constant(floats("c", {2}, {1, 2}))
                   .node("Flatten", {"c"}, "y", {attribute("axis", 3)})
                   .text(),
               Contains("axis 3 of a tensor of rank 1"));
    CHECK_THAT(OfShape()
                   .constant(floats("c", {2}, {1, 2}))
                   .node("Flatten", {"c"}, "y", {attribute("axis", -3)})
                   .text(),
               Contains("of a tensor of rank 1"));
    CHECK(OfShape()
              .constant(floats("c", {2}, {1, 2}))
              .node("Reshape", {"c"}, "y", {attribute("shape", Integers{2, 1})})
              .text() == "float [2, 1]");
    CHECK_THAT(OfShape()
                   .constant(floats("c", {2}, {1, 2}))
                   .constant(integers("to", {3}))
                   .node("Reshape", {"c", "to"}, "y")
                   .text(),
               Contains("has no shape [3]"));
    CHECK(OfShape().node("Shape", {"s"}, "y", {attribute("start", 0), attribute("end", 1)}).text() ==
          "int64 [1] 4");
    CHECK_THAT(OfShape().node("Shape", {"x"}, "y", {attribute("begin", 1)}).text(),
               Contains("unknown attribute `begin`"));
}

TEST_CASE("folded numbers of the batch where a number is needed") {
    auto const remainder = [](std::string_view a, std::string_view b) {
        OfShape m;
        return m.constant(integers("two", {2})).node("Mod", {a, b}, "y", {attribute("fmod", 1)}).text();
    };
    CHECK(remainder("n", "two") == on_batch);
    CHECK(remainder("two", "n") == on_batch);
    CHECK(remainder("n", "n") == on_batch);
    auto const range = [](std::string_view start, std::string_view limit, std::string_view delta) {
        OfShape m;
        return m.constant(integers("one", {1})).node("Range", {start, limit, delta}, "y").text();
    };
    CHECK(range("n", "one", "one") == on_batch);
    CHECK(range("one", "n", "one") == on_batch);
    CHECK(range("one", "one", "n") == on_batch);
    OfShape less;
    less.constant(integers("five", {5})).node("Sub", {"n", "five"}, "d");
    CHECK(less.node("Abs", {"d"}, "y").text() == on_batch);
    // [N, 0] has as many values as [0]: none.
    OfShape empty;
    empty.constant(floats("c", {0}, {})).constant(integers("zero", {0}));
    empty.node("Concat", {"n", "zero"}, "to", {attribute("axis", 0)});
    CHECK(empty.node("Reshape", {"c", "to"}, "y", {attribute("allowzero", 1)}).text() == on_batch);
}

TEST_CASE("many constants of a small file are refused by each operator that would make them") {
    // A bound of four million values and 8 for each byte of the file: two of these are too many.
    auto const twice = [](std::string_view op, bool two, std::vector<onnx::AttributeProto> attributes = {}) {
        OfShape m;
        m.constant(floats("c", {1}, {1}))
            .constant(integers("to", {1500000}))
            .constant(integers("back", {1, 1500000}));
        m.node("Expand", {"c", "to"}, "e").node("Identity", {"e"}, "f");
        m.node(op, two ? std::vector<std::string_view>{"f", "e"} : std::vector<std::string_view>{"f"}, "g",
               attributes);
        m.node(op, two ? std::vector<std::string_view>{"g", "e"} : std::vector<std::string_view>{"g"}, "h",
               attributes);
        return m.node("Identity", {"h"}, "y").text();
    };
    std::string const refused = "would make a constant of 1500000 values, more than such a file may ask for";
    CHECK(twice("Neg", false) == refused);
    CHECK(twice("Add", true) == refused);
    CHECK(twice("Pow", true) == refused);
    CHECK(twice("Cast", false, {attribute("to", 1)}) == refused);
    CHECK(twice("Transpose", false) == refused);
    CHECK(twice("Concat", false, {attribute("axis", 0)}) == refused);
    CHECK(twice("Squeeze", false) == refused);
    CHECK(twice("Flatten", false, {attribute("axis", 0)}) == refused);
}

TEST_CASE("a constant too many is refused by operators of integers and truth values") {
    // The first Expand makes 1.5 million values, `op` and what it reads as integers the others.
    auto const large = [](std::string_view op, std::vector<std::string_view> inputs, bool floating,
                          std::vector<onnx::AttributeProto> attributes = {}) {
        OfShape m;
        m.constant(floating ? floats("c", {1}, {1}) : integers("c", {0})).constant(integers("to", {1500000}));
        m.constant(integers("zero", {0}))
            .constant(integers("end", {1500000}))
            .constant(floats("f", {1}, {1}));
        m.node("Expand", {"c", "to"}, "e").node("Identity", {"e"}, "i");
        return m.node(op, std::move(inputs), "y", std::move(attributes)).text();
    };
    std::string const refused = "would make a constant of 1500000 values, more than such a file may ask for";
    CHECK(large("Not", {"i"}, false) == refused);
    CHECK(large("Identity", {"i"}, true) == refused);
    CHECK(large("Slice", {"i", "zero", "end"}, true) == refused);
    CHECK(large("Pow", {"i", "zero"}, true) == refused);
    CHECK(large("Equal", {"i", "zero"}, false) == refused);
    CHECK(large("ReduceSum", {"i"}, true) == refused);
    CHECK(large("Where", {"i", "f", "f"}, false) == refused);
    CHECK(large("Gather", {"f", "i"}, false) == refused);  // its indices
    OfShape gathered;                                      // its indices have room, what they pick has none
    gathered.constant(integers("c", {0})).constant(integers("to", {1500000})).constant(floats("f", {1}, {1}));
    CHECK(gathered.node("Expand", {"c", "to"}, "e").node("Gather", {"f", "e"}, "y").text() == refused);
}

TEST_CASE("sizes: overflow is nothing, and so is what depends on the batch") {
    Size const n = Size::of_batch(), large(0, greatest), most(greatest);
    CHECK_FALSE(onnx::add(large, n));
    CHECK_FALSE(onnx::add(most, Size(1)));
    CHECK(*onnx::add(n, Size(2, 3)) == Size(2, 4));
    CHECK_FALSE(onnx::multiply(n, n));
    CHECK_FALSE(onnx::multiply(large, Size(2)));
    CHECK_FALSE(onnx::multiply(most, Size(2)));
    CHECK_FALSE(onnx::subtract(n, Size(0, least)));
    CHECK_FALSE(onnx::divide(n, Size(0)));
    CHECK(*onnx::divide(Size(0), n) == Size(0));
    CHECK(*onnx::divide(Size(0, 12), Size(0, 4)) == Size(3));
    CHECK_FALSE(onnx::divide(Size(1, 12), Size(0, 4)));
    CHECK(*onnx::divide(Size(0, 5), Size(0, -1)) == Size(-5));
    CHECK_FALSE(onnx::divide(Size(0, least), Size(0, -1)));
    CHECK_FALSE(onnx::divide(Size(0, least), Size(greatest, 1)));
    CHECK_FALSE(onnx::divide(Size(least), Size(-1)));
    CHECK_FALSE(onnx::divide(Size(3, 2), Size(2)));
    CHECK_FALSE(onnx::divide(Size(2, 3), Size(2)));
    CHECK(*onnx::divide(Size(2, 4), Size(2)) == Size(1, 2));
    CHECK_FALSE(onnx::equal(Size(0, least), n));
    CHECK_FALSE(onnx::equal(Size(greatest, 1), Size(0)));
    CHECK(*onnx::equal(Size(1, 1), Size(0)) == false);
    CHECK(*onnx::equal(Size(-1, -1), Size(0)) == false);
    CHECK_FALSE(onnx::equal(Size(-2, 1), Size(0)));
    CHECK_FALSE(onnx::less(Size(0, least), n));
    CHECK_FALSE(onnx::less(Size(greatest, 1), Size(0)));
    CHECK(*onnx::less(Size(0), n) == true);
    CHECK(*onnx::less(n, Size(1)) == false);
    CHECK_FALSE(onnx::less(n, Size(2)));
    CHECK(to_string(Size(-3, -2)) == "-2N - 3");
    CHECK_FALSE(onnx::product(std::vector<Size>{most, Size(2)}));
}

TEST_CASE("reshapes that have no answer say why") {
    auto const said = [](std::vector<Size> from, std::vector<Size> to, bool allow_zero = false,
                         std::optional<std::int64_t> exported = {}) {
        auto const shape = onnx::reshape(from, to, allow_zero, exported);
        return shape ? to_string(*shape) : shape.diagnostics()[0].message;
    };
    Size const n = Size::of_batch();
    CHECK(said({n, 4}, {-1, 2}) == "[2N, 2]");
    CHECK(said({n, 4}, {-1, -1}) == "a tensor [N, 4] has no shape [-1, -1]: more than one -1");
    CHECK_THAT(said({n}, {0, 0}), Contains("a 0 that keeps a dimension which the tensor does not have"));
    CHECK_THAT(said({n, 4}, {n, -2}), Contains("a negative size"));
    CHECK_THAT(said({n, 4}, {n, n}), Contains("a size that is too large, or the square of the batch"));
    CHECK_THAT(said({n, n}, {4}), Contains("the tensor's size is too large, or the square of the batch"));
    CHECK_THAT(said({n, 4}, {3, 4}), Contains("the number of elements differs"));
    CHECK_THAT(said({4}, {0, -1}, true), Contains("the number of elements differs"));
    CHECK(said({0, 4}, {0}, true) == "[0]");
    CHECK(said({n, 4}, {1, 2, 2}, false, 1) == "[N, 2, 2]");
    CHECK_THAT(said({n, 4}, {1, 3}, false, 1), Contains("has no shape [1, 3]"));
    CHECK(said({1, 4}, {1, 2, 2}, false, 1) == "[1, 2, 2]");
    CHECK_THAT(said({}, {1, 2}, false, 1), Contains("the number of elements differs"));
    CHECK(said({}, {}, false, 1) == "[]");
}

}  // namespace onnx_fold_limits_test
