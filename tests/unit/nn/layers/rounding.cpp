// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/rounding.hpp>
#include <amct_distill/onnx/element_type.hpp>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_rounding_test {

using namespace amct_distill::nn;
using amct_distill::detail::round_to;

TEST_CASE("RoundTo: every float16 stays, and between two of them the nearer one, or the even one, is taken") {
    std::size_t wrong = 0;
    for (std::uint16_t h = 0; h < 0x7BFF; ++h) {  // up to the largest but one
        float const a = amct_distill::onnx::from_float16(h),
                    b = amct_distill::onnx::from_float16(static_cast<std::uint16_t>(h + 1));
        float const middle = a + (b - a) / 2;  // exact in a float
        auto const rounded = [](float x) { return round_to(FloatFormat::float16, x); };
        wrong += rounded(a) != a || rounded(-a) != -a;
        wrong += rounded(middle) != (h % 2 == 0 ? a : b);
        wrong += rounded(std::nextafter(middle, 0.0f)) != a;
        wrong += rounded(-std::nextafter(middle, 1e9f)) != -b;
    }
    CHECK(wrong == 0);
    CHECK(round_to(FloatFormat::float16, 65519) == 65504);
    CHECK(std::isinf(round_to(FloatFormat::float16, 65520)));
    CHECK(round_to(FloatFormat::float16, -1e30f) == -std::numeric_limits<float>::infinity());
    CHECK(std::isnan(round_to(FloatFormat::float16, std::numeric_limits<float>::quiet_NaN())));
}

TEST_CASE("RoundTo: bfloat16 has a float's upper half") {
    auto const rounded = [](float x) { return round_to(FloatFormat::bfloat16, x); };
    CHECK(rounded(1 + 0x1p-7f) == 1 + 0x1p-7f);
    CHECK(rounded(1 + 0x1p-8f) == 1);  // a tie goes to even
    CHECK(rounded(1 + 0x1p-7f + 0x1p-8f) == 1 + 0x1p-6f);
    CHECK(rounded(-1 - 0x1p-8f - 0x1p-20f) == -1 - 0x1p-7f);
    CHECK(std::isinf(rounded(std::numeric_limits<float>::max())));
    CHECK(rounded(0x1p-140f) == 0x1p-133f * 0);
    CHECK(rounded(0x1p-133f) == 0x1p-133f);
    CHECK(std::isnan(rounded(std::numeric_limits<float>::quiet_NaN())));
}

TEST_CASE("RoundTo: the module") {
    Module const m = RoundTo({.format = FloatFormat::bfloat16});
    CHECK(run(m, {Tensor({1, 2}, {1.001f, 3})}) == Tensor({1, 2}, {1, 3}));
    CHECK(m.options() == "format: 1");
    CHECK(m.operation() == "Cast");
    CHECK(shape_error(m, {}) == "expected one input, found none");
    CHECK_THROWS_WITH(RoundTo({.format = FloatFormat(2)}), "RoundTo: expected float16 or bfloat16");

    BasicTensor<double> const x({2}, {1.001, 3}), g({2}, {2, 5});
    BasicTensor<double> gx({2}, {1, 1});
    const BasicTensor<double>* const inputs[] = {&x};
    BasicTensor<double>* const grads[] = {&gx};
    BasicScratch<double> scratch;
    BasicRoundTo<double>({}).backward(inputs, x, g, grads, {}, scratch, Mode::train);
    CHECK(gx == BasicTensor<double>({2}, {3, 6}));
}

}  // namespace nn_rounding_test
