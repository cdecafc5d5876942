// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/operators/pooling.hpp>
// The header under test comes first.
#include "one_operator.hpp"
#include "support/catch.hpp"

namespace test_onnx_pooling {

using namespace amct_distill;
using onnx_test::OneOperator;

namespace {
bool contains(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }
}  // namespace

TEST_CASE("onnx pooling: windows and their defaults in one to three dimensions") {
    CHECK(
        OneOperator("MaxPool", {2, 8}).integers("kernel_shape", {3}).layer() ==
        "MaxPool1d { kernel: [3] stride: [1] padding: [0] end_padding: [0] dilation: [1] ceil_mode: false }");
    CHECK(OneOperator("MaxPool", {2, 8, 8})
              .integers("kernel_shape", {3, 2})
              .integers("strides", {2, 1})
              .integers("pads", {1, 0, 0, 1})
              .integers("dilations", {1, 2})
              .integer("ceil_mode", 1)
              .integer("storage_order", 0)
              .layer() ==
          "MaxPool2d { kernel: [3, 2] stride: [2, 1] padding: [1, 0] end_padding: [0, 1] "
          "dilation: [1, 2] ceil_mode: true }");
    CHECK(OneOperator("AveragePool", {2, 8}).integers("kernel_shape", {3}).layer() ==
          "AvgPool1d { kernel: [3] stride: [1] padding: [0] end_padding: [0] dilation: [1] ceil_mode: false "
          "count_include_pad: false }");
    CHECK(contains(OneOperator("AveragePool", {2, 4, 4, 4})
                       .integers("kernel_shape", {2, 2, 2})
                       .integer("count_include_pad", 1)
                       .layer(),
                   "AvgPool3d { kernel: [2, 2, 2] stride: [1, 1, 1]"));
    CHECK(contains(OneOperator("LpPool", {2, 8}).integers("kernel_shape", {3}).integer("p", 3).layer(),
                   "LPPool1d { norm: 3 kernel: [3]"));
    CHECK(contains(OneOperator("LpPool", {2, 8}, 1).integers("kernel_shape", {3}).real("p", 1).layer(),
                   "LPPool1d { norm: 1"));
    CHECK(OneOperator("GlobalAveragePool", {2, 8}).layer() == "AdaptiveAvgPool1d { }");
    CHECK(OneOperator("GlobalMaxPool", {2, 8, 8, 8}).layer() == "AdaptiveMaxPool3d { }");
    CHECK(OneOperator("GlobalLpPool", {2, 8, 8}).layer() == "GlobalLpPool2d { norm: 2 }");
}

TEST_CASE("onnx pooling: auto_pad") {
    auto const paddings = [](std::string_view automatic, std::int64_t size) {
        std::string const all = OneOperator("MaxPool", {1, size})
                                    .integers("kernel_shape", {3})
                                    .integers("strides", {2})
                                    .text("auto_pad", automatic)
                                    .layer();
        std::size_t const begin = all.find("padding: "), end = all.find(" dilation");
        return begin == all.npos ? all : all.substr(begin, end - begin);
    };
    CHECK(paddings("SAME_UPPER", 8) == "padding: [0] end_padding: [1]");
    CHECK(paddings("SAME_LOWER", 8) == "padding: [1] end_padding: [0]");
    CHECK(paddings("SAME_UPPER", 7) == "padding: [1] end_padding: [1]");
    CHECK(paddings("VALID", 8) == "padding: [0] end_padding: [0]");
    CHECK(paddings("NOTSET", 8) == "padding: [0] end_padding: [0]");
    CHECK(contains(paddings("SAME", 8),
                   "auto_pad is `SAME`; expected NOTSET, VALID, SAME_UPPER or SAME_LOWER"));
}

TEST_CASE("onnx pooling: what is refused") {
    CHECK(contains(OneOperator("MaxPool", {2, 8}).layer(), "expected a kernel_shape"));
    CHECK(contains(OneOperator("MaxPool", {2, 8}).integers("kernel_shape", {2}).integers("pads", {1}).layer(),
                   "expected 2 integers of at least 0 as pads"));
    CHECK(contains(OneOperator("MaxPool", {2, 8}).integers("kernel_shape", {0}).layer(),
                   "expected 1 integer of at least 1 as kernel_shape"));
    CHECK(contains(
        OneOperator("MaxPool", {2, 8}).integers("kernel_shape", {2}).integers("strides", {0}).layer(),
        "expected 1 integer of at least 1 as strides"));  // 0 is not the kernel's size here
    CHECK(contains(OneOperator("MaxPool", {2, 2}).integers("kernel_shape", {3}).layer(),
                   "expected an image that holds the kernel 3"));
    CHECK(contains(OneOperator("MaxPool", {8}).integers("kernel_shape", {2}).layer(),
                   "expected an input of one to three dimensions"));
    CHECK(contains(OneOperator("LpPool", {2, 8}, 1).integers("kernel_shape", {3}).real("p", 1.5f).layer(),
                   "expected a whole number"));
    onnx_test::Model m;
    m.graph().input.push_back(onnx_test::declared("x", {1, 4}));
    m.node("MaxPool", {"x"}, {"y", "indices"},
           {onnx_test::attribute("kernel_shape", std::vector<std::int64_t>{2})});
    m.output("y").output("indices");
    auto const read = onnx::import_network(m.file());
    REQUIRE_FALSE(read);
    CHECK(contains(read.diagnostics().front().message, "its output 1 is read, which is not supported"));
}

}  // namespace test_onnx_pooling
