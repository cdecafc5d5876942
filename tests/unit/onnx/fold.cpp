// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/fold.hpp>

#include <amct_distill/core/concat.hpp>
#include <amct_distill/core/number.hpp>
#include <amct_distill/onnx/constants.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models.hpp"
#include "support/catch.hpp"

namespace onnx_fold_test {

using namespace amct_distill;
using onnx::ElementType;
using onnx::TensorProto;
using onnx_test::attribute;
using Integers = std::vector<std::int64_t>;
using Floats = std::vector<float>;
using Attributes = std::vector<onnx::AttributeProto>;
/// An input: a tensor, or one that is left out.
using Given = std::optional<TensorProto>;

constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr float inf = std::numeric_limits<float>::infinity();
constexpr std::int64_t least = (std::numeric_limits<std::int64_t>::min)();

TensorProto f(Integers dims, Floats values) {
    return {.dims = std::move(dims), .data_type = 1, .float_data = std::move(values)};
}
TensorProto i(Integers dims, Integers values) {
    return {.dims = std::move(dims), .data_type = 7, .int64_data = std::move(values)};
}
TensorProto b(Integers dims, std::vector<std::int32_t> values) {
    return {.dims = std::move(dims), .data_type = 9, .int32_data = std::move(values)};
}
TensorProto one(std::int64_t value) { return i({}, {value}); }
onnx::AttributeProto real(std::string_view name, float value) {
    return {.name = name, .f = value, .type = 1};
}
onnx::AttributeProto reals(std::string_view name, Floats values) {
    return {.name = name, .floats = std::move(values), .type = 6};
}
onnx::AttributeProto tensor(std::string_view name, TensorProto value) {
    return {.name = name, .t = std::move(value), .type = 4};
}

std::string text(const onnx::Value& v) {
    std::string out = detail::concat(onnx::name_of(v.type()), ' ', to_string(v.shape()));
    if (v.is_floating()) {
        Floats const values = v.floats().value();
        for (float x : values) out += detail::concat(' ', detail::number(x));
    } else {
        std::vector<onnx::Size> const values = v.sizes().value();
        for (onnx::Size s : values) out += ' ' + to_string(s);
    }
    return out;
}
/// What a node of known inputs becomes, or what is wrong with it.
std::string fold(std::string_view op, std::vector<Given> inputs, Attributes attributes = {},
                 std::int64_t opset = 13) {
    static constexpr std::string_view names[] = {"a", "b", "c", "d", "e"};
    onnx_test::Model model(opset);
    std::vector<std::string_view> read;
    for (std::size_t k = 0; k != inputs.size(); ++k) {
        read.push_back(inputs[k] ? names[k] : "");
        if (!inputs[k]) continue;
        inputs[k]->name = names[k];
        model.initializer(*inputs[k]);
    }
    model.node(op, read, {"y"}, std::move(attributes)).output("y");
    auto graph = onnx::GraphView::of(model.file());
    REQUIRE(graph);
    onnx::Constants known(*graph);
    result<bool> const folded = known.fold(graph->order()[0]);
    if (!folded) {
        std::string const said = folded.diagnostics()[0].message;
        std::string_view const place = "which makes `y`: ";
        REQUIRE(said.find(place) != std::string::npos);
        return said.substr(said.find(place) + place.size());
    }
    return *folded ? text(*known.find(graph->find("y"))) : "not folded";
}

TEST_CASE("folded arithmetic: floats, integers, broadcasting") {
    Given const row = f({1, 2}, {1, -2}), column = f({2, 1}, {10, 4});
    CHECK(fold("Add", {row, column}) == "float [2, 2] 11 8 5 2");
    CHECK(fold("Sub", {row, column}) == "float [2, 2] -9 -12 -3 -6");
    CHECK(fold("Mul", {row, column}) == "float [2, 2] 10 -20 4 -8");
    CHECK(fold("Div", {row, column}) == "float [2, 2] 0.1 -0.2 0.25 -0.5");
    CHECK(fold("Max", {row, column, f({}, {5})}) == "float [2, 2] 10 10 5 5");
    CHECK(fold("Min", {row, column}) == "float [2, 2] 1 -2 1 -2");
    CHECK(fold("Min", {row}) == "float [1, 2] 1 -2");
    CHECK(fold("Mod", {f({2}, {5.5f, -5.5f}), f({}, {2})}, {attribute("fmod", 1)}) == "float [2] 1.5 -1.5");
    Given const numbers = i({4}, {7, -7, 6, 0}), three = one(3);
    CHECK(fold("Add", {numbers, three}) == "int64 [4] 10 -4 9 3");
    CHECK(fold("Sub", {numbers, three}) == "int64 [4] 4 -10 3 -3");
    CHECK(fold("Mul", {numbers, three}) == "int64 [4] 21 -21 18 0");
    CHECK(fold("Div", {i({2}, {6, 0}), three}) == "int64 [2] 2 0");
    CHECK(fold("Mod", {numbers, three}) == "int64 [4] 1 2 0 0");
    CHECK(fold("Mod", {numbers, one(-3)}) == "int64 [4] -2 -1 0 0");
    CHECK(fold("Mod", {numbers, one(-1)}) == "int64 [4] 0 0 0 0");
    CHECK(fold("Mod", {numbers, three}, {attribute("fmod", 1)}) == "int64 [4] 1 -1 0 0");
    CHECK(fold("Mod", {i({}, {least}), one(-1)}, {attribute("fmod", 1)}) == "int64 [] 0");
    CHECK(fold("Pow", {numbers, three}) == "int64 [4] 343 -343 216 0");
    CHECK(fold("Pow", {f({2}, {2, 9}), f({}, {0.5f})}) == "float [2] 1.4142135 3");
    CHECK(fold("Pow", {f({2}, {2, 9}), one(2)}) == "float [2] 4 81");
    CHECK(fold("Pow", {i({2}, {4, 9}), f({}, {0.5f})}) == "int64 [2] 2 3");
    CHECK(fold("Max", {numbers, three}) == "int64 [4] 7 3 6 3");
    CHECK(fold("Min", {numbers, three}) == "int64 [4] 3 -7 3 0");
    CHECK(fold("Neg", {numbers}) == "int64 [4] -7 7 -6 0");
    CHECK(fold("Abs", {numbers}) == "int64 [4] 7 7 6 0");
    CHECK(fold("Neg", {row}) == "float [1, 2] -1 2");
    CHECK(fold("Abs", {row}) == "float [1, 2] 1 2");
    CHECK(fold("Sqrt", {column}) == "float [2, 1] 3.1622777 2");
    CHECK(fold("Reciprocal", {column}) == "float [2, 1] 0.1 0.25");
    CHECK(fold("Exp", {f({2}, {0, 1})}) == "float [2] 1 2.7182817");
    CHECK(fold("Log", {f({2}, {1, 8})}) == "float [2] 0 2.0794415");
    CHECK(fold("Floor", {f({2}, {1.5f, -1.5f})}) == "float [2] 1 -2");
    CHECK(fold("Ceil", {f({2}, {1.5f, -1.5f})}) == "float [2] 2 -1");
}

TEST_CASE("folded comparisons and truth values") {
    Given const a = f({3}, {1, 2, 3}), two = f({}, {2}), n = i({3}, {1, 2, 3}), t = b({2}, {1, 0}),
                u = b({2, 1}, {1, 0});
    for (auto const& [x, y] : {std::pair(a, two), std::pair(n, Given(one(2)))}) {
        CHECK(fold("Equal", {x, y}) == "bool [3] 0 1 0");
        CHECK(fold("Less", {x, y}) == "bool [3] 1 0 0");
        CHECK(fold("LessOrEqual", {x, y}) == "bool [3] 1 1 0");
        CHECK(fold("Greater", {x, y}) == "bool [3] 0 0 1");
        CHECK(fold("GreaterOrEqual", {x, y}) == "bool [3] 0 1 1");
    }
    CHECK(fold("And", {t, u}) == "bool [2, 2] 1 0 0 0");
    CHECK(fold("Or", {t, u}) == "bool [2, 2] 1 1 1 0");
    CHECK(fold("Not", {t}) == "bool [2] 0 1");
    CHECK(fold("Where", {t, f({2, 1}, {1, 2}), f({}, {9})}) == "float [2, 2] 1 9 2 9");
    CHECK(fold("Where", {t, n, n}) == "its inputs do not broadcast");
    CHECK(fold("Where", {t, i({2}, {3, 4}), i({2}, {5, 6})}) == "int64 [2] 3 6");
    CHECK(fold("Where", {t, two, one(2)}) == "its inputs do not broadcast");
    CHECK(fold("Where", {two, two, two}) == "its condition is not a truth value");
    CHECK(fold("Not", {a}) == "its input is not a truth value");
}

TEST_CASE("folded moves: axes from the end, steps, repeats") {
    Given const m = f({2, 3}, {1, 2, 3, 4, 5, 6}), n = i({2, 3}, {1, 2, 3, 4, 5, 6});
    CHECK(fold("Transpose", {m}) == "float [3, 2] 1 4 2 5 3 6");
    CHECK(fold("Transpose", {n}, {attribute("perm", Integers{1, 0})}) == "int64 [3, 2] 1 4 2 5 3 6");
    CHECK(fold("Concat", {m, m}, {attribute("axis", -1)}) == "float [2, 6] 1 2 3 1 2 3 4 5 6 4 5 6");
    CHECK(fold("Concat", {n, n}, {attribute("axis", 0)}) == "int64 [4, 3] 1 2 3 4 5 6 1 2 3 4 5 6");
    CHECK(fold("Gather", {m, i({2}, {-1, 0})}, {attribute("axis", 1)}) == "float [2, 2] 3 1 6 4");
    CHECK(fold("Gather", {n, one(1)}) == "int64 [3] 4 5 6");
    CHECK(fold("Slice", {m, i({1}, {-1}), i({1}, {-10}), i({1}, {1}), i({1}, {-2})}) ==
          "float [2, 2] 3 1 6 4");
    CHECK(fold("Slice", {n, i({2}, {0, 1}), i({2}, {1, 99})}) == "int64 [1, 2] 2 3");
    CHECK(fold("Expand", {f({2, 1}, {1, 2}), i({3}, {2, 1, 2})}) == "float [2, 2, 2] 1 1 2 2 1 1 2 2");
    CHECK(fold("Tile", {n, i({2}, {1, 2})}) == "int64 [2, 6] 1 2 3 1 2 3 4 5 6 4 5 6");
    CHECK(fold("Tile", {f({2}, {1, 2}), i({1}, {3})}) == "float [6] 1 2 1 2 1 2");
    CHECK(fold("Tile", {f({2}, {1, 2}), i({1}, {0})}) == "float [0]");
    CHECK(fold("Reshape", {m, i({2}, {0, -1})}) == "float [2, 3] 1 2 3 4 5 6");
    CHECK(fold("Reshape", {n, i({1}, {6})}) == "int64 [6] 1 2 3 4 5 6");
    CHECK(fold("Flatten", {f({1, 2, 2}, {1, 2, 3, 4})}, {attribute("axis", 2)}) == "float [2, 2] 1 2 3 4");
    CHECK(fold("Squeeze", {f({1, 2, 1}, {1, 2})}) == "float [2] 1 2");
    CHECK(fold("Squeeze", {i({1, 2, 1}, {1, 2}), i({1}, {-1})}) == "int64 [1, 2] 1 2");
    CHECK(fold("Unsqueeze", {f({2}, {1, 2}), i({2}, {-1, 0})}) == "float [1, 2, 1] 1 2");
    CHECK(fold("Size", {m}) == "int64 [] 6");
    CHECK(fold("Range", {one(3), one(9), one(2)}) == "int64 [3] 3 5 7");
    CHECK(fold("Range", {one(9), one(3), one(-2)}) == "int64 [3] 9 7 5");
    CHECK(fold("Range", {one(9), one(3), one(2)}) == "int64 [0]");
    CHECK(fold("Range", {f({}, {0}), f({}, {1}), f({}, {0.25f})}) == "float [4] 0 0.25 0.5 0.75");
    CHECK(fold("Range", {f({}, {1}), f({}, {0}), f({}, {0.25f})}) == "float [0]");
}

TEST_CASE("folded reductions: axes as attribute and as input, none, and empty ones") {
    Given const m = f({2, 3}, {1, 2, 3, 4, 5, 6}), n = i({2, 3}, {1, 2, 3, 4, 5, 6});
    Attributes const rows{attribute("axes", Integers{-1})};
    CHECK(fold("ReduceSum", {m, i({1}, {0})}) == "float [1, 3] 5 7 9");
    CHECK(fold("ReduceSum", {n}) == "int64 [1, 1] 21");
    CHECK(fold("ReduceSum", {n, i({0}, {})}) == "int64 [1, 1] 21");
    CHECK(fold("ReduceSum", {n, i({0}, {})}, {attribute("noop_with_empty_axes", 1)}) ==
          "int64 [2, 3] 1 2 3 4 5 6");
    CHECK(fold("ReduceProd", {m}, {attribute("axes", Integers{-1}), attribute("keepdims", 0)}) ==
          "float [2] 6 120");
    CHECK(fold("ReduceProd", {n}, rows) == "int64 [2, 1] 6 120");
    CHECK(fold("ReduceMax", {m}, rows) == "float [2, 1] 3 6");
    CHECK(fold("ReduceMin", {n}, rows) == "int64 [2, 1] 1 4");
    CHECK(fold("ReduceMax", {f({2, 0}, {})}, rows) == "reduces an axis without elements");
    CHECK(fold("ReduceSum", {m, i({2}, {0, -2})}) == "an axis is named twice");
    CHECK(fold("ReduceSum", {m, i({1}, {2})}).find("axis 2") != std::string::npos);
    CHECK(fold("ReduceSum", {m, f({1}, {0})}).find("its result is not known for every batch") == 0);
    CHECK(fold("ReduceProd", {i({2}, {std::int64_t{1} << 40, std::int64_t{1} << 40})})
              .find("its result is not known for every batch (or too large)") == 0);
}

TEST_CASE("folded constants and casts") {
    CHECK(fold("Constant", {}, {real("value_float", 1.5f)}) == "float [] 1.5");
    CHECK(fold("Constant", {}, {attribute("value_int", 7)}) == "int64 [] 7");
    CHECK(fold("Constant", {}, {reals("value_floats", {1, 2})}) == "float [2] 1 2");
    CHECK(fold("Constant", {}, {attribute("value_ints", Integers{3, 4})}) == "int64 [2] 3 4");
    CHECK(fold("Constant", {}, {tensor("value", i({2}, {5, 6}))}) == "int64 [2] 5 6");
    CHECK(fold("Constant", {}).find("a constant without a value that is supported") == 0);
    CHECK(fold("Constant", {}, {tensor("value", i({2}, {5}))}).find("it has 1 values") != std::string::npos);
    CHECK(fold("ConstantOfShape", {i({2}, {1, 2})}) == "float [1, 2] 0 0");
    CHECK(fold("ConstantOfShape", {i({1}, {2})}, {tensor("value", i({1}, {7}))}) == "int64 [2] 7 7");
    CHECK(fold("ConstantOfShape", {i({0}, {})}) == "float [1] 0");
    CHECK(fold("ConstantOfShape", {i({1}, {2})}, {tensor("value", i({2}, {7, 8}))}) ==
          "its value is not one number");
    CHECK(fold("ConstantOfShape", {i({1}, {2})}, {tensor("value", i({2}, {7}))}).find("1 values") !=
          std::string::npos);
    CHECK(fold("ConstantOfShape", {f({1}, {2})}) == "its shape is not a list of integers");
    CHECK(fold("ConstantOfShape", {i({1}, {-2})}) == "a negative size");
    auto const cast = [](TensorProto from, std::int64_t to) {
        return fold("Cast", {from}, {attribute("to", to)});
    };
    TensorProto const x = f({5}, {2.7f, -2.7f, nan, inf, -inf});
    CHECK(cast(x, 7) == "int64 [5] 2 -2 0 9223372036854775807 -9223372036854775808");
    CHECK(cast(x, 9) == "bool [5] 1 1 1 1 1");
    TensorProto const n = i({4}, {200, -1, 70000, 0});
    CHECK(cast(n, 1) == "float [4] 200 -1 70000 0");
    CHECK(cast(n, 2) == "uint8 [4] 200 255 112 0");
    CHECK(cast(n, 3) == "int8 [4] -56 -1 112 0");
    CHECK(cast(n, 4) == "uint16 [4] 200 65535 4464 0");
    CHECK(cast(n, 5) == "int16 [4] 200 -1 4464 0");
    CHECK(cast(n, 6) == "int32 [4] 200 -1 70000 0");
    CHECK(cast(n, 9) == "bool [4] 1 1 1 0");
    CHECK(cast(f({1}, {0.1f}), 10) == "float16 [1] 0.099975586");
    CHECK(cast(n, 8).find("a cast to ") == 0);
    CHECK(fold("Identity", {f({1}, {3})}) == "float [1] 3");
    CHECK(fold("Dropout", {f({1}, {3}), f({}, {0.5f}), b({}, {0})}) == "float [1] 3");
}

TEST_CASE("folded inputs that are missing, types of four bits, lists that are too long") {
    Given const none{}, m = f({2, 3}, {1, 2, 3, 4, 5, 6}), n = i({3}, {1, 2, 3});
    Attributes const first{attribute("axis", 0)};
    for (std::string_view op : {"ConstantOfShape", "Flatten", "Expand", "Gather", "Reshape", "Squeeze",
                                "Unsqueeze", "Equal", "Range", "Where", "Slice"}) {
        INFO(op);
        CHECK(fold(op, {none, n, n}) == "input 0 is missing");
    }
    CHECK(fold("Range", {one(1), none, one(1)}) == "input 1 is missing");
    CHECK(fold("Concat", {none, m}, first) == "input 0 is missing");
    CHECK(fold("Cast", {i({4}, {7, 8, -9, 16})}, {attribute("to", 22)}) == "int4 [4] 7 -8 7 0");
    CHECK(fold("Cast", {f({5}, {7.9f, 8, -8.9f, -300, 300})}, {attribute("to", 22)}) ==
          "int4 [5] 7 7 -8 -8 7");
    CHECK(fold("Cast", {f({4}, {15.9f, 16, -1, 300})}, {attribute("to", 21)}) == "uint4 [4] 15 15 0 15");
    CHECK(fold("Cast", {f({4}, {127.9f, 300, -129, 1e30f})}, {attribute("to", 3)}) ==
          "int8 [4] 127 44 127 -1");
    CHECK(fold("Cast", {f({3}, {255.5f, 256, -1})}, {attribute("to", 2)}) == "uint8 [3] 255 0 255");
    CHECK(fold("Cast", {f({3}, {0, -0.0f, 0.5f})}, {attribute("to", 9)}) == "bool [3] 0 0 1");
    CHECK(fold("ReduceSum", {m, i({65}, Integers(65, 0))}) == "it has more axes than any tensor");
    CHECK(fold("Where", {b({2}, {1, 0}), f({2}, {1, 2}), f({3}, {1, 2, 3})}) ==
          "its inputs do not broadcast");
    CHECK(fold("Reshape", {f({}, {1})}, {attribute("shape", Integers(40, 1))}, 4) ==
          "it makes a tensor of too many dimensions");
    CHECK(fold("Constant", {}, {{.name = std::string_view("value"), .type = 4}}) ==
          "a constant without a value that is supported: a tensor, integers or floats");
    Integers const many(20, 1);
    CHECK(fold("Gather", {f(many, {5}), i(many, {0})}) == "it makes a tensor of too many dimensions");
}

TEST_CASE("what cannot be folded says why: missing inputs, types, shapes, sizes") {
    Given const none{}, m = f({2, 3}, {1, 2, 3, 4, 5, 6}), n = i({3}, {1, 2, 3}), two = i({2}, {1, 2});
    for (std::string_view op : {"Identity", "Cast", "Transpose", "Not", "Neg", "Sqrt", "ReduceSum", "Tile"}) {
        INFO(op);
        CHECK(fold(op, {none}, op == "Cast" ? Attributes{attribute("to", 1)} : Attributes{}) ==
              "input 0 is missing");
    }
    for (std::string_view op : {"Add", "Equal", "Reshape", "Gather", "Expand", "Tile", "Where", "Mod"}) {
        INFO(op);
        CHECK(fold(op, {m, none, none}) == "input 1 is missing");
    }
    CHECK(fold("Mod", {n, none}, {attribute("fmod", 1)}) == "input 1 is missing");
    CHECK(fold("Where", {n, n, none}) == "input 2 is missing");
    CHECK(fold("Range", {one(1), one(2), none}) == "input 2 is missing");
    CHECK(fold("Concat", {m, none}, {attribute("axis", 0)}) == "input 1 is missing");
    CHECK(fold("Concat", {none}, {attribute("axis", 0)}) == "input 0 is missing");

    for (std::string_view op : {"Add", "Equal"}) {
        CHECK(fold(op, {m, n}) == "its inputs do not broadcast, or are of different types");
        CHECK(fold(op, {n, two}) == "its inputs do not broadcast, or are of different types");
    }
    CHECK(fold("Pow", {n, f({2}, {1, 2})}) == "its inputs do not broadcast");
    std::string const on_batch =
        "its result is not known for every batch (or too large); give the batch as a "
        "number in the shapes";
    CHECK(fold("Mod", {n, one(0)}) == on_batch);
    CHECK(fold("Mod", {n, one(0)}, {attribute("fmod", 1)}) == on_batch);
    CHECK(fold("Pow", {n, one(-1)}) == on_batch);
    CHECK(fold("Pow", {n, one(65)}) == on_batch);
    CHECK(fold("Pow", {one(1 << 20), one(5)}) == on_batch);
    CHECK(fold("Sqrt", {n}) == on_batch);
    CHECK(fold("Neg", {i({}, {least})}) == on_batch);

    CHECK(fold("Concat", {m, n}, {attribute("axis", 0)}) ==
          "its inputs differ in type or in a size other than that of its axis");
    CHECK(fold("Concat", {m, i({2, 3}, {1, 2, 3, 4, 5, 6})}, {attribute("axis", 0)}) ==
          "its inputs differ in type or in a size other than that of its axis");
    CHECK(fold("Concat", {m, f({3, 2}, {1, 2, 3, 4, 5, 6})}, {attribute("axis", 0)}) ==
          "its inputs differ in type or in a size other than that of its axis");
    CHECK(fold("Concat", {m}, {attribute("axis", 2)}).find("axis 2") != std::string::npos);
    CHECK(fold("Gather", {m, i({1}, {-3})}) == "index -3 of an axis of size 2");
    CHECK(fold("Gather", {m, two}, {attribute("axis", -3)}).find("axis -3") != std::string::npos);
    CHECK(fold("Slice", {m, n, two}) == "its starts, ends, axes and steps differ in length");
    CHECK(fold("Slice", {m, two, two, n}) == "its starts, ends, axes and steps differ in length");
    CHECK(fold("Slice", {m, two, two, two, n}) == "its starts, ends, axes and steps differ in length");
    CHECK(fold("Slice", {m, two, none}) == "its starts, ends, axes and steps differ in length");
    CHECK(fold("Slice", {m, none, two}) == "its starts, ends, axes and steps differ in length");
    CHECK(fold("Slice", {m, two, two, none, i({2}, {1, 0})}) == "a step of 0");
    CHECK(fold("Slice", {m, two, two, i({2}, {0, 5})}).find("axis 5") != std::string::npos);
    CHECK(fold("Slice", {m, f({1}, {0}), two}) == on_batch);
    CHECK(fold("Expand", {m, i({2}, {2, 4})}) == "it does not broadcast to that shape");
    CHECK(fold("Expand", {m, f({2}, {2, 4})}) == "its shape is not a list of integers");
    CHECK(fold("Tile", {m, i({1}, {2})}) == "a number of repeats for each axis is needed");
    CHECK(fold("Tile", {m, f({2}, {2, 2})}) == "its shape is not a list of integers");
    CHECK(fold("Tile", {m, i({2}, {2, -2})}) == "a bad number of repeats");
    CHECK(fold("Tile", {m, i({2}, {2, std::int64_t{1} << 62})}) == "a bad number of repeats");
    CHECK(fold("Range", {one(1), two, one(1)}) == "its limits are not single numbers");
    CHECK(fold("Range", {one(1), one(2), one(0)}) == "a step of 0");
    CHECK(fold("Range", {one(1), f({}, {2}), one(1)}) == on_batch);
    CHECK(fold("Range", {f({}, {0}), f({}, {1}), f({}, {0})}) == "it has no end");
    CHECK(fold("Range", {f({}, {0}), f({}, {nan}), f({}, {1})}) == "it has no end");
    CHECK(fold("Range", {one(least), one(5), one(1)}) == on_batch);
    CHECK(fold("Range", {one(5), one(4), one(least)}) == on_batch);
    CHECK(fold("Transpose", {m}, {attribute("perm", Integers{0})}) ==
          "its permutation has another rank than its input");
    CHECK(fold("Transpose", {m}, {attribute("perm", Integers{0, 0})}) ==
          "its permutation names an axis twice");
    CHECK(fold("Transpose", {m}, {attribute("perm", Integers{0, 2})}).find("axis 2") != std::string::npos);

    // More values than a file of some hundred bytes may ask for.
    TensorProto const large = i({3}, {1 << 20, 1 << 20, 1});
    CHECK(fold("Expand", {f({1}, {1}), large}).find("would make a constant of 1099511627776 values") == 0);
    CHECK(fold("Tile", {f({1, 1, 1}, {1}), large}).find("would make a constant of 1099511627776 values") ==
          0);
    CHECK(fold("Range", {f({}, {0}), f({}, {0x1p39f}), f({}, {1})})
              .find("would make a constant of 549755813888") == 0);
}

}  // namespace onnx_fold_test
