// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/quant/finite.hpp>

#include <limits>

#include "support/catch.hpp"

namespace quant_finite_test {

using namespace amct_distill;

namespace {
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

std::string error(const result<void>& checked) { return to_string(checked.diagnostics()); }
}  // namespace

TEST_CASE("finite values pass, the largest and the smallest among them") {
    std::vector<float> const x{0.0f, -0.0f, std::numeric_limits<float>::max(),
                               std::numeric_limits<float>::lowest(),
                               std::numeric_limits<float>::denorm_min()};
    CHECK(check_finite(x, "activations"));
    CHECK(check_finite(RowMajorMatrix::Zero(2, 2), "weights"));
}

TEST_CASE("the first value that is not finite is reported") {
    RowMajorMatrix w = RowMajorMatrix::Zero(5, 7);
    w(3, 5) = not_a_number;
    w(4, 0) = infinity;
    CHECK(error(check_finite(w, "conv1: weights")) ==
          "error: conv1: weights: value at [3, 5] is nan; only finite values can be quantized: check where "
          "they "
          "come from");
    // The index is that of the view.
    CHECK(
        error(check_finite(w.bottomRightCorner(2, 3), "weights")) ==
        "error: weights: value at [0, 1] is nan; only finite values can be quantized: check where they come "
        "from");
    CHECK(error(check_finite(std::vector{0.0f, -infinity, not_a_number}, "activations")) ==
          "error: activations: value at [1] is -inf; only finite values can be quantized: check where they "
          "come "
          "from");
    CHECK(
        error(check_finite(std::vector{infinity}, "activations")) ==
        "error: activations: value at [0] is inf; only finite values can be quantized: check where they come "
        "from");
}

TEST_CASE("every place is looked at") {
    std::size_t missed = 0;
    for (std::size_t i = 0; i != 70; ++i) {
        std::vector<float> x(70, 1.0f);
        x[i] = -not_a_number;
        if (error(check_finite(x, "x")).find(detail::concat("[", i, "] is nan;")) == std::string::npos)
            ++missed;
    }
    CHECK(missed == 0);
}

TEST_CASE("empty tensors are errors") {
    CHECK(error(check_finite(std::vector<float>{}, "activations")) ==
          "error: activations: no values; an empty tensor cannot be quantized");
    CHECK(error(check_finite(RowMajorMatrix(0, 4), "weights")) ==
          "error: weights: no values (0 x 4); an empty tensor cannot be quantized");
}

TEST_CASE("numbers are written as short as they can be read back") {
    CHECK(detail::number(0.1f) == "0.1");
    CHECK(detail::number(-3e38f) == "-3e+38");
    CHECK(detail::number(0.1) == "0.1");
    CHECK(detail::number(-not_a_number) == "nan");
}

}  // namespace quant_finite_test
