// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/operators/reduce.hpp>
// The header under test comes first.
#include "one_operator.hpp"
#include "support/catch.hpp"

namespace test_onnx_reduce {

using namespace amct_distill;
using onnx_test::integers;
using onnx_test::OneOperator;

namespace {
bool contains(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }
}  // namespace

TEST_CASE("onnx reductions: axes as an attribute, as an input, from the end, or none") {
    CHECK(OneOperator("ReduceMean", {3, 4}).integers("axes", {-1, 1}).layer() ==
          "ReduceMean { axes: [1, 2] keepdims: true }");
    CHECK(OneOperator("ReduceSum", {3, 4}).constant(integers("axes", {2})).integer("keepdims", 0).layer() ==
          "ReduceSum { axes: [2] keepdims: false }");
    CHECK(OneOperator("ReduceMax", {3, 4}, 18).constant(integers("axes", {-2})).layer() ==
          "ReduceMax { axes: [1] keepdims: true }");
    CHECK(OneOperator("ReduceMin", {2, 3}, 13, 1, true).layer() ==
          "ReduceMin { axes: [0, 1] keepdims: true }");
    OneOperator all("ReduceSum", {2, 2}, 13, 1, true);
    CHECK(all.integer("keepdims", 0).run(nn::Tensor({2, 2}, {1, 2, 3, 4})) == nn::Tensor({1}, {10}));
    CHECK(OneOperator("ReduceSum", {3}).integer("noop_with_empty_axes", 1).layer() == "Identity { }");
}

TEST_CASE("onnx reductions: what is refused") {
    CHECK(contains(OneOperator("ReduceSum", {3, 4}).layer(), "is the batch"));
    CHECK(
        contains(OneOperator("ReduceMean", {3}).integers("axes", {1, -1}).layer(), "an axis is there twice"));
    CHECK(contains(OneOperator("ReduceMean", {3}).integers("axes", {2}).layer(), "axis 2 is not one of"));
    CHECK(contains(OneOperator("ReduceL1", {3}, 18).integer("noop_with_empty_axes", 1).layer(),
                   "not the same everywhere"));
    CHECK(contains(OneOperator("ReduceSum", {3}).input("axes", {1}, 7).layer(), "expected a constant"));
    CHECK(contains(OneOperator("ReduceMean", {3}, 13, 6).integers("axes", {1}).layer(), "int32"));
}

}  // namespace test_onnx_reduce
