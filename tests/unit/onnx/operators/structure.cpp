// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/operators/structure.hpp>
// The header under test comes first.
#include "one_operator.hpp"
#include "support/catch.hpp"

namespace test_onnx_structure {

using namespace amct_distill;
using onnx_test::floats;
using onnx_test::integers;
using onnx_test::OneOperator;

namespace {
inline constexpr std::int32_t int32_type = 6, int64_type = 7, bool_type = 9, double_type = 11;
inline constexpr std::int32_t float16 = 10, bfloat16 = 16;
bool contains(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }
}  // namespace

TEST_CASE("onnx structure: Reshape keeps the batch free, as 0, -1 or a number leave it") {
    auto const to = [](std::vector<std::int64_t> shape) {
        return OneOperator("Reshape", {4, 6}).constant(integers("shape", std::move(shape))).layer();
    };
    CHECK(to({0, -1}) == "Reshape { sample: [24] whole: false }");
    CHECK(to({-1, 8, 3}) == "Reshape { sample: [8, 3] whole: false }");
    CHECK(contains(to({5, -1}), "has no shape [5, -1]"));
    OneOperator fixed("Reshape", {2, 3, 2}, 13, 1, true);
    CHECK(fixed.constant(integers("shape", {3, -1})).layer() == "Reshape { sample: [3, 4] whole: true }");
    CHECK(OneOperator("Reshape", {4}, 4).integers("shape", {0, 2, 2}).layer() ==
          "Reshape { sample: [2, 2] whole: false }");
    CHECK(contains(OneOperator("Reshape", {4}, 4).layer(), "its shape is missing"));
    CHECK(contains(OneOperator("Reshape", {4}).input("shape", {2}, int64_type).layer(),
                   "depends on the network's inputs"));
    // The exporter's batch of 1 in the target.
    OneOperator exported("Reshape", {1, 4, 6}, 13, 1, true);
    CHECK(exported.constant(integers("shape", {1, 24})).layer() == "Reshape { sample: [24] whole: false }");
}

TEST_CASE("onnx structure: Flatten at any axis") {
    CHECK(OneOperator("Flatten", {4, 6}).layer() == "Flatten { start_dim: 1 }");
    CHECK(OneOperator("Flatten", {4, 6}).integer("axis", -2).layer() == "Flatten { start_dim: 1 }");
    auto const fixed = [](std::int64_t axis) {
        return OneOperator("Flatten", {2, 3, 4}, 13, 1, true).integer("axis", axis).layer();
    };
    CHECK(fixed(0) == "Reshape { sample: [1, 24] whole: true }");
    CHECK(fixed(2) == "Reshape { sample: [6, 4] whole: true }");
    CHECK(fixed(3) == "Reshape { sample: [24, 1] whole: true }");
    CHECK(contains(fixed(4), "axis 4 is no place in 3 dimensions"));
}

TEST_CASE("onnx structure: Squeeze and Unsqueeze, axes as an attribute and as an input") {
    CHECK(OneOperator("Squeeze", {1, 4, 1}).constant(integers("axes", {-1, 1})).layer() ==
          "Squeeze { dims: [1, 3] }");
    CHECK(OneOperator("Squeeze", {1, 4, 1}, 11).integers("axes", {1}).layer() == "Squeeze { dims: [1] }");
    CHECK(OneOperator("Squeeze", {1, 4, 1}).layer() == "Squeeze { dims: [1, 3] }");
    CHECK(OneOperator("Squeeze", {3, 4}).layer() == "Identity { }");
    CHECK(contains(OneOperator("Squeeze", {4}).constant(integers("axes", {1})).layer(),
                   "a dimension that is not 1"));
    CHECK(contains(OneOperator("Squeeze", {1}).integers("axes", {1}).layer(),
                   "its axes are an input since opset 13"));
    CHECK(contains(OneOperator("Squeeze", {1}, 11).constant(integers("axes", {1})).layer(),
                   "at most 1 inputs, found 2"));
    CHECK(OneOperator("Unsqueeze", {4}).constant(integers("axes", {-1, 1})).layer() ==
          "Unsqueeze { dims: [1, 3] }");
    CHECK(OneOperator("Unsqueeze", {4}, 11).integers("axes", {2}).layer() == "Unsqueeze { dims: [2] }");
    CHECK(contains(OneOperator("Unsqueeze", {4}, 11).layer(), "its axes are missing"));
    CHECK(contains(OneOperator("Unsqueeze", {4}).constant(integers("axes", {4})).layer(),
                   "axis 4 is not one of"));
    // All of a batch of 1 without axes: the exporter's batch would go too, so the file's stays.
    CHECK(OneOperator("Squeeze", {1, 4}, 13, 1, true).layer() == "Squeeze { dims: [0] }");
}

TEST_CASE("onnx structure: what changes no value passes") {
    CHECK(OneOperator("Identity", {4}).layer() == "Identity { }");
    CHECK(OneOperator("Dropout", {4}).layer() == "Identity { }");
    CHECK(OneOperator("Dropout", {4}, 7).real("ratio", 0.5f).layer() == "Identity { }");
    CHECK(OneOperator("Dropout", {4}, 6).integer("is_test", 1).layer() == "Identity { }");
    onnx::TensorProto yes{.dims = {}, .data_type = bool_type, .name = "training"};
    yes.int32_data = {1};
    CHECK(contains(OneOperator("Dropout", {4}).constant(floats("r", {}, {0.5f})).constant(yes).layer(),
                   "in training mode; export the model in evaluation mode"));
}

TEST_CASE("onnx structure: Cast between floats, and of integers to what holds them") {
    auto const cast = [](std::int32_t from, std::int64_t to) {
        return OneOperator("Cast", {4}, 13, from).integer("to", to).layer();
    };
    CHECK(cast(1, double_type) == "Identity { }");
    CHECK(cast(double_type, 1) == "Identity { }");
    CHECK(cast(int64_type, 1) == "Identity { }");
    CHECK(cast(int32_type, int64_type) == "Identity { }");
    CHECK(cast(1, float16) == "RoundTo { format: 0 }");
    CHECK(cast(bfloat16, 1) == "Identity { }");
    CHECK(contains(cast(1, bfloat16), "to bfloat16, which ONNX's own tests cut"));
    CHECK(contains(cast(1, int64_type), "from float to int64 it changes values"));
    CHECK(contains(cast(int64_type, int32_type), "from int64 to int32 it changes values"));
    CHECK(contains(cast(int32_type, bool_type), "from int32 to bool it changes values"));
    CHECK(contains(cast(1, 8), "to string"));
    CHECK(contains(cast(1, 0), "to undefined"));
    CHECK(OneOperator("CastLike", {4}, 15).constant(floats("like", {1}, {0})).layer() == "Identity { }");
    CHECK(contains(OneOperator("CastLike", {4}, 15).constant(integers("like", {0})).layer(),
                   "from float to int64"));
}

}  // namespace test_onnx_structure
