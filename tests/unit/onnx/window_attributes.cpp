// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/window_attributes.hpp>
// The header under test comes first.
#include "operators/one_operator.hpp"
#include "support/catch.hpp"

namespace test_onnx_window_attributes {

using namespace amct_distill;
using onnx_test::OneOperator;
using Sizes = std::vector<nn::Index>;

namespace {
bool contains(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }
OneOperator pool(std::vector<std::int64_t> image) {
    image.insert(image.begin(), 1);
    OneOperator o("MaxPool", image);
    return o;
}
}  // namespace

TEST_CASE("onnx windows: what auto_pad asks for, by formula") {
    int padded = 0;
    for (auto asked : {onnx::detail::AutoPad::upper, onnx::detail::AutoPad::lower})
        for (nn::Index image : {1, 4, 5, 6, 7})
            for (nn::Index kernel : {1, 2, 3, 4})
                for (nn::Index stride : {1, 2, 3})
                    for (nn::Index dilation : {1, 2}) {
                        onnx::detail::WindowAttributes w{{kernel}, {stride}, {dilation}, {0}, {0}, asked};
                        w.pad_as_asked({image});
                        nn::Index const extent = (kernel - 1) * dilation + 1;
                        CHECK(w.extent(0) == extent);
                        // The least padding with which there are ceil(image / stride) positions.
                        nn::Index const positions = (image + stride - 1) / stride;
                        nn::Index total = 0;
                        while (image + total < extent || (image + total - extent) / stride + 1 < positions)
                            ++total;
                        CHECK(w.begin[0] + w.end[0] == total);
                        nn::Index const more = asked == onnx::detail::AutoPad::upper ? w.end[0] : w.begin[0];
                        CHECK(more == (total + 1) / 2);
                        padded += total != 0;
                    }
    CHECK(padded > 100);
    onnx::detail::WindowAttributes none{{3}, {1}, {1}, {1}, {0}};
    none.pad_as_asked({5});
    CHECK(none.begin == Sizes{1});
    CHECK(none.end == Sizes{0});
    none.auto_pad = onnx::detail::AutoPad::valid;
    none.pad_as_asked({5});
    CHECK(none.begin == Sizes{1});
}

TEST_CASE("onnx windows: attributes and their defaults") {
    CHECK(contains(pool({8, 9}).integers("kernel_shape", {3, 2}).layer(),
                   "kernel: [3, 2] stride: [1, 1] padding: [0, 0] end_padding: [0, 0] dilation: [1, 1]"));
    CHECK(contains(pool({8, 9})
                       .integers("kernel_shape", {3, 2})
                       .integers("strides", {2, 1})
                       .integers("dilations", {1, 3})
                       .integers("pads", {1, 0, 2, 1})
                       .layer(),
                   "kernel: [3, 2] stride: [2, 1] padding: [1, 0] end_padding: [2, 1] dilation: [1, 3]"));
    // 8 by 3: 3 positions, 6 + 3 - 8 = 1 value.
    CHECK(contains(pool({8})
                       .integers("kernel_shape", {3})
                       .integers("strides", {3})
                       .text("auto_pad", "SAME_UPPER")
                       .layer(),
                   "padding: [0] end_padding: [1]"));
    CHECK(contains(pool({8})
                       .integers("kernel_shape", {3})
                       .integers("strides", {3})
                       .text("auto_pad", "SAME_LOWER")
                       .layer(),
                   "padding: [1] end_padding: [0]"));
    for (std::string_view same : {"NOTSET", "VALID"})
        CHECK(contains(pool({8}).integers("kernel_shape", {3}).text("auto_pad", same).layer(),
                       "padding: [0] end_padding: [0]"));
}

TEST_CASE("onnx windows: attributes that do not fit are said, with the node and the operator") {
    auto const error = [](auto&& o, std::string_view part) {
        std::string const found = o.layer();
        INFO(found);
        CHECK(contains(found, "MaxPool"));
        CHECK(contains(found, part));
    };
    error(pool({8}), "expected a kernel_shape");
    error(pool({8}).integers("kernel_shape", {3, 3}), "expected 1 integer of at least 1 as kernel_shape");
    error(pool({8}).integers("kernel_shape", {0}), "expected 1 integer of at least 1 as kernel_shape");
    error(pool({8}).integers("kernel_shape", {3}).integers("strides", {0}),
          "expected 1 integer of at least 1 as strides");
    error(pool({8}).integers("kernel_shape", {3}).integers("dilations", {1, 1}),
          "expected 1 integer of at least 1 as dilations");
    error(pool({8}).integers("kernel_shape", {3}).integers("pads", {1}),
          "expected 2 integers of at least 0 as pads");
    error(pool({8}).integers("kernel_shape", {3}).integers("pads", {-1, 0}),
          "expected 2 integers of at least 0 as pads");
    error(pool({8}).integers("kernel_shape", {(std::int64_t{1} << 30) + 1}),
          "expected 1 integer of at least 1 as kernel_shape");
    error(pool({8}).integers("kernel_shape", {3}).text("auto_pad", "SAME"),
          "auto_pad is `SAME`; expected NOTSET, VALID, SAME_UPPER or SAME_LOWER");
    error(pool({8}).integers("kernel_shape", {3}).integers("pads", {1, 1}).text("auto_pad", "VALID"),
          "it has pads and an auto_pad, which contradict each other");
    OneOperator conv("Conv", {1, 8});
    conv.constant(onnx_test::floats("w", {1, 1, 3}, {1, 1, 1})).integers("kernel_shape", {2});
    CHECK(contains(conv.layer(), "its kernel_shape is not that of its weight"));
}

}  // namespace test_onnx_window_attributes
