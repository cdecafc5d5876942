// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/operators/resize.hpp>
// The header under test comes first.
#include "one_operator.hpp"
#include "support/catch.hpp"

namespace test_onnx_resize {

using namespace amct_distill;
using onnx_test::floats;
using onnx_test::integers;
using onnx_test::OneOperator;

namespace {
bool contains(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }
onnx::TensorProto scales(const std::vector<float>& values) {
    return floats("scales", {static_cast<std::int64_t>(values.size())}, values);
}
/// "mode coordinates nearest" of the layer's options, by their numbers.
std::string kinds(OneOperator& o) {
    std::string const all = o.layer();
    std::size_t const begin = all.find("mode: ");
    return begin == all.npos ? all : all.substr(begin, all.find(" cubic") - begin);
}
}  // namespace

TEST_CASE("onnx Resize: scales and sizes, of all dimensions or some") {
    CHECK(OneOperator("Resize", {3, 4}).absent().constant(scales({1, 1, 2})).layer() ==
          "Upsample { scales: [1, 1, 2] sizes: [] mode: 0 coordinates: 0 nearest: 0 cubic_coefficient: -0.75 "
          "exclude_outside: false }");
    CHECK(
        contains(OneOperator("Resize", {3, 4}).absent().absent().constant(integers("s", {-1, 3, 8})).layer(),
                 "expected scales above 0, or sizes"));
    OneOperator exported("Resize", {1, 3, 4}, 13, 1, true);  // the exporter's batch among the sizes
    CHECK(contains(exported.absent().absent().constant(integers("s", {1, 3, 8})).layer(),
                   "scales: [] sizes: [0, 0, 8]"));
    CHECK(contains(OneOperator("Resize", {3, 4}, 18)
                       .absent()
                       .absent()
                       .constant(integers("s", {8}))
                       .integers("axes", {-1})
                       .layer(),
                   "sizes: [0, 0, 8]"));
    CHECK(contains(
        OneOperator("Resize", {3, 4}, 18).absent().constant(scales({2})).integers("axes", {2}).layer(),
        "scales: [1, 1, 2]"));
    CHECK(contains(OneOperator("Resize", {3, 4}).absent().constant(scales({1, 2})).layer(),
                   "expected a scale for each dimension, found 2"));
    CHECK(contains(OneOperator("Resize", {3, 4}).absent().constant(scales({2, 1, 1})).layer(),
                   "expected a fixed batch for another size of dimension 0"));
    // Empty scales stand beside sizes in opset 11.
    OneOperator both("Resize", {1, 3, 4}, 11, 1, true);
    both.constant(floats("roi", {0}, {}))
        .constant(floats("none", {0}, {}))
        .constant(integers("s", {1, 3, 2}));
    CHECK(contains(both.layer(), "sizes: [0, 0, 2]"));
}

TEST_CASE("onnx Resize: modes, and what older opsets mean") {
    OneOperator all("Resize", {3, 4});
    all.absent().constant(scales({1, 1, 2})).text("mode", "cubic").text("nearest_mode", "ceil");
    all.text("coordinate_transformation_mode", "align_corners").real("cubic_coeff_a", -0.5f);
    CHECK(kinds(all) == "mode: 2 coordinates: 2 nearest: 3");
    OneOperator old("Resize", {3, 4}, 10);
    CHECK(kinds(old.constant(scales({1, 1, 2})).text("mode", "linear")) ==
          "mode: 1 coordinates: 1 nearest: 2");
    OneOperator smaller("Resize", {3, 4}, 10);
    CHECK(kinds(smaller.constant(scales({1, 1, 0.5f}))) == "mode: 0 coordinates: 1 nearest: 3");
    OneOperator both("Resize", {3, 4}, 10);
    CHECK(contains(both.constant(scales({1, 2, 0.5f})).layer(), "one dimension larger and another smaller"));
    OneOperator nine("Upsample", {3, 4}, 9);
    CHECK(kinds(nine.constant(scales({1, 1, 2}))) == "mode: 0 coordinates: 1 nearest: 2");
    CHECK(contains(OneOperator("Upsample", {3, 4}, 7).layer(), "its scales are missing"));
}

TEST_CASE("onnx Resize: what is refused") {
    auto const refused = [](std::string_view name, std::string_view value) {
        return OneOperator("Resize", {3, 4}, 18)
            .absent()
            .constant(scales({1, 1, 2}))
            .text(name, value)
            .layer();
    };
    CHECK(contains(refused("mode", "area"), "mode `area` is not supported"));
    CHECK(contains(refused("coordinate_transformation_mode", "tf_crop_and_resize"),
                   "`tf_crop_and_resize` is not supported"));
    CHECK(contains(refused("nearest_mode", "x"), "nearest_mode `x` is not supported"));
    CHECK(contains(refused("keep_aspect_ratio_policy", "not_larger"), "`not_larger` is not supported"));
    auto const flag = [](std::string_view name) {
        return OneOperator("Resize", {3, 4}, 18)
            .absent()
            .constant(scales({1, 1, 2}))
            .integer(name, 1)
            .layer();
    };
    CHECK(contains(flag("antialias"), "antialias is not supported"));
    CHECK(contains(flag("exclude_outside"), "supported for mode cubic alone"));
    OneOperator corners("Resize", {3, 4});
    corners.absent().constant(scales({1, 1, 0.6f})).text("coordinate_transformation_mode", "align_corners");
    CHECK(contains(corners.layer(), "align_corners with a scale that gives no whole size"));
    CHECK(contains(OneOperator("Resize", {3, 4}).layer(), "input 2 is missing"));
}

}  // namespace test_onnx_resize
