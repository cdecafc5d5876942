// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/operators/convolution.hpp>
// The header under test comes first.
#include "one_operator.hpp"
#include "support/catch.hpp"

namespace test_onnx_convolution {

using namespace amct_distill;
using onnx_test::OneOperator;

namespace {

bool contains(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }
onnx::TensorProto weight(std::string_view name, std::vector<std::int64_t> dims) {
    std::size_t n = 1;
    for (std::int64_t d : dims) n *= static_cast<std::size_t>(d);
    return onnx_test::floats(name, std::move(dims), std::vector<float>(n, 1));
}
OneOperator conv(std::vector<std::int64_t> dims, std::vector<std::int64_t> of_weight) {
    OneOperator o("Conv", dims);
    o.constant(weight("w", std::move(of_weight)));
    return o;
}
OneOperator transposed(std::vector<std::int64_t> dims, std::vector<std::int64_t> of_weight) {
    OneOperator o("ConvTranspose", dims);
    o.constant(weight("w", std::move(of_weight)));
    return o;
}

}  // namespace

TEST_CASE("onnx convolution: paddings, given and asked for") {
    CHECK(contains(conv({2, 5, 6}, {4, 2, 3, 3}).integers("pads", {1, 0, 1, 0}).layer(),
                   "Conv2d { in_channels: 2 out_channels: 4 kernel: [3, 3] stride: [1, 1] padding: [1, 0]"));
    CHECK(contains(
        conv({2, 5}, {4, 1, 3}).integer("group", 2).integers("dilations", {2}).layer(),
        "Conv1d { in_channels: 2 out_channels: 4 kernel: 3 stride: 1 padding: 0 dilation: 2 groups: 2"));
    // 6 values by 2 are 3 positions: 2 * 2 + 3 - 6 = 1 value of padding.
    CHECK(contains(
        conv({2, 6, 6}, {4, 2, 3, 3}).text("auto_pad", "SAME_UPPER").integers("strides", {2, 2}).layer(),
        "Pad { begin: [0, 0, 0, 0] end: [0, 0, 1, 1]"));
    CHECK(contains(
        conv({2, 6, 6}, {4, 2, 3, 3}).text("auto_pad", "SAME_LOWER").integers("strides", {2, 2}).layer(),
        "Pad { begin: [0, 0, 1, 1] end: [0, 0, 0, 0]"));
    CHECK(contains(conv({2, 6, 6}, {4, 2, 3, 3}).text("auto_pad", "SAME_LOWER").layer(), "padding: [1, 1]"));
    CHECK(contains(conv({2, 6, 6}, {4, 2, 3, 3}).text("auto_pad", "VALID").layer(), "padding: [0, 0]"));
    OneOperator asymmetric = conv({1, 3}, {1, 1, 2});
    asymmetric.integers("pads", {2, 0});
    CHECK(asymmetric.run(nn::Tensor({1, 1, 3}, {1, 2, 3})) == nn::Tensor({1, 1, 4}, {0, 1, 3, 5}));
}

TEST_CASE("onnx convolution: transposed, with output_padding, output_shape and paddings that differ") {
    CHECK(
        contains(transposed({4, 3, 3}, {4, 3, 2, 2}).integer("group", 2).integers("strides", {2, 2}).layer(),
                 "ConvTranspose2d { in_channels: 4 out_channels: 6 kernel: [2, 2] stride: [2, 2]"));
    CHECK(contains(
        transposed({1, 3}, {1, 1, 3}).integers("output_padding", {1}).integers("strides", {2}).layer(),
        "padding: 0 output_padding: 1"));
    CHECK(
        contains(transposed({1, 3}, {1, 1, 3}).integers("output_shape", {8}).integers("strides", {2}).layer(),
                 "padding: 0 output_padding: 1"));
    CHECK(contains(transposed({1, 3}, {1, 1, 3}).integers("pads", {0, 1}).layer(),
                   "padding: 0 output_padding: -1"));
    OneOperator cut = transposed({1, 2}, {1, 1, 3});
    cut.integers("pads", {1, 0});
    CHECK(cut.run(nn::Tensor({1, 1, 2}, {1, 2})) == nn::Tensor({1, 1, 3}, {3, 3, 2}));
    // An odd padding is larger at the beginning, but with SAME_UPPER.
    CHECK(contains(transposed({1, 3}, {1, 1, 4}).text("auto_pad", "SAME_UPPER").layer(),
                   "padding: 1 output_padding: -1"));
    CHECK(contains(transposed({1, 3}, {1, 1, 4}).text("auto_pad", "SAME_LOWER").layer(),
                   "padding: 2 output_padding: 1"));
}

TEST_CASE("onnx convolution: what does not fit, and what is not supported") {
    CHECK(contains(conv({2, 4, 4, 4}, {4, 2, 3, 3, 3}).layer(),
                   "its images have 3 dimensions; convolutions of one and two are supported"));
    CHECK(contains(conv({3, 5, 5}, {4, 2, 3, 3}).layer(), "expected a weight for 3 channels in 1 groups"));
    CHECK(contains(conv({2, 5, 5}, {4, 2, 3, 3}).integer("group", 1 << 30).layer(),
                   "groups, found [4, 2, 3, 3]"));
    CHECK(contains(conv({2, 5, 5}, {4, 2, 3, 3}).constant(weight("b", {3})).layer(),
                   "expected a bias of 4 values, found [3]"));
    CHECK(contains(conv({2, 5, 5}, {4, 2, 3, 3}).integers("kernel_shape", {3, 2}).layer(),
                   "its kernel_shape is not that of its weight"));
    CHECK(contains(conv({2, 5, 5}, {4, 2, 3, 3}).integers("pads", {-1, 0, 0, 0}).layer(),
                   "expected 4 integers of at least 0 as pads"));
    CHECK(contains(conv({2, 5, 5}, {4, 2, 3, 3}).integers("strides", {std::int64_t{1} << 40, 1}).layer(),
                   "expected 2 integers of at least 1 as strides"));
    CHECK(contains(conv({2, 5, 5}, {4, 2, 3, 3}).text("auto_pad", "SAME").layer(), "auto_pad is `SAME`"));
    CHECK(contains(OneOperator("Conv", {2, 5, 5}).input("w", {2, 3, 3}).layer(), "expected a constant"));
}

}  // namespace test_onnx_convolution
