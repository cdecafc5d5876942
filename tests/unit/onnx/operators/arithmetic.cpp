// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/operators/arithmetic.hpp>
// The header under test comes first.
#include "one_operator.hpp"
#include "support/catch.hpp"

namespace test_onnx_arithmetic {

using namespace amct_distill;
using onnx_test::floats;
using onnx_test::OneOperator;

namespace {
inline constexpr std::int32_t uint8_type = 2, int32_type = 6, int64_type = 7;
bool contains(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }
}  // namespace

TEST_CASE("onnx arithmetic: of activations and constants, of any number of inputs") {
    CHECK(OneOperator("Add", {2}).input("z", {2}).layer() == "Add { }");
    CHECK(OneOperator("Sub", {2, 3}).constant(floats("c", {3}, {1, 2, 3})).layer() == "Sub { }");
    CHECK(OneOperator("Sum", {2}).layer() == "Sum { }");
    CHECK(OneOperator("Mean", {2}).input("z", {2}).input("v", {2}).layer() == "Mean { }");
    CHECK(OneOperator("Max", {2}).input("z", {1}).layer() == "Max { }");
    CHECK(OneOperator("Round", {2}).layer() == "Round { }");
    OneOperator pow("Pow", {2});
    CHECK(pow.constant(floats("two", {}, {2})).run(nn::Tensor({1, 2}, {-3, 2})) ==
          nn::Tensor({1, 2}, {9, 4}));
    CHECK(OneOperator("Pow", {2}).constant(onnx_test::integers("two", {2})).layer() == "Pow { }");
}

TEST_CASE("onnx arithmetic: broadcasting as it was before opset 7") {
    auto const channels = [] { return floats("c", {2}, {10, 20}); };
    OneOperator add("Add", {2, 2}, 6);
    add.constant(channels()).integer("broadcast", 1).integer("axis", 1);
    CHECK(add.run(nn::Tensor({1, 2, 2}, {1, 2, 3, 4})) == nn::Tensor({1, 2, 2}, {11, 12, 23, 24}));
    OneOperator last("Mul", {2, 2}, 6);
    last.constant(channels()).integer("broadcast", 1);
    CHECK(last.run(nn::Tensor({1, 2, 2}, {1, 2, 3, 4})) == nn::Tensor({1, 2, 2}, {10, 40, 30, 80}));
    CHECK(contains(OneOperator("Add", {2, 2}, 6).constant(channels()).layer(), "`broadcast` is not set"));
    CHECK(contains(OneOperator("Add", {2}).input("z", {2}).input("v", {2}).layer(),
                   "expected two inputs, found 3"));
    CHECK(contains(OneOperator("Neg", {2}).input("z", {2}).layer(), "expected one input, found 2"));
    CHECK(contains(OneOperator("Add", {2, 2}).constant(channels()).integer("broadcast", 1).layer(),
                   "unknown attribute `broadcast`"));
}

TEST_CASE("onnx arithmetic: shapes that do not fit, and types whose arithmetic is another") {
    CHECK(contains(OneOperator("Add", {2}).input("z", {3}).layer(), "expected inputs that broadcast"));
    CHECK(contains(OneOperator("Mul", {4, 2}).input("z", {2}).layer(), "batches lie in the same dimension"));
    CHECK(OneOperator("Add", {2}, 13, int64_type).input("z", {2}, int64_type).layer() == "Add { }");
    CHECK(OneOperator("Max", {2}, 13, uint8_type).input("z", {2}, uint8_type).layer() == "Max { }");
    CHECK(contains(OneOperator("Mul", {2}, 14, uint8_type).input("z", {2}, uint8_type).layer(), "uint8"));
    CHECK(contains(OneOperator("Div", {2}, 13, int32_type).input("z", {2}, int32_type).layer(), "int32"));
    CHECK(contains(OneOperator("Pow", {2}, 13, int32_type).constant(floats("2", {}, {2})).layer(),
                   "its base is of integers"));
}

TEST_CASE("onnx arithmetic: operands that broadcast of themselves need no constant, also before opset 7") {
    // Of the same rank; from the axis to the end; a scalar.
    CHECK(OneOperator("Add", {2, 3}, 6).input("z", {2, 3}).integer("broadcast", 1).layer() == "Add { }");
    CHECK(
        OneOperator("Add", {2, 3}, 6).input("z", {1, 3}).integer("broadcast", 1).integer("axis", 0).layer() ==
        "Add { }");
    OneOperator scalar("Sub", {2, 3}, 6);
    scalar.constant(floats("c", {1}, {3})).integer("broadcast", 1).integer("axis", 1);
    CHECK(scalar.run(nn::Tensor({1, 2, 3}, {1, 2, 3, 4, 5, 6})) ==
          nn::Tensor({1, 2, 3}, {-2, -1, 0, 1, 2, 3}));
    CHECK(contains(
        OneOperator("Add", {3, 2}, 6).input("z", {3}).integer("broadcast", 1).integer("axis", 0).layer(),
        "its second operand is broadcast along `axis`, and is no constant; convert the model to opset "
        "7 or later"));
    CHECK(contains(OneOperator("Add", {2}, 6)
                       .constant(floats("c", {2, 2}, {1, 2, 3, 4}))
                       .integer("broadcast", 1)
                       .integer("axis", 1)
                       .layer(),
                   "its `axis` does not fit the operands"));
}

TEST_CASE("onnx arithmetic: which inputs an operator may overwrite is of no interest") {
    for (std::string_view op : {"Sum", "Mean", "Max", "Min", "Add", "Mul"})
        CHECK(OneOperator(op, {2}, 5).input("z", {2}).integers("consumed_inputs", {0, 0}).layer() ==
              std::string(op) + " { }");
}

}  // namespace test_onnx_arithmetic
