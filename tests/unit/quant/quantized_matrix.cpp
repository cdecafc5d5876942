// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/quant/quantized_matrix.hpp>

#include "support/catch.hpp"
#include "support/executions.hpp"

namespace quant_quantized_matrix_test {

using namespace amct_distill;

TEST_CASE("a matrix is quantized with one scale, or one per row") {
    RowMajorMatrix w(2, 3);
    w << 1, -2, 3, 4, 5, -6;
    auto const by_row = quantize<Int4>(w, {{1.0f, 0}, {2.0f, 0}});
    CHECK(by_row.rows == 2);
    CHECK(by_row.cols == 3);
    CHECK(by_row.codes == std::vector<std::int8_t>{1, -2, 3, 2, 2, -3});
    CHECK(by_row.scales == Scales{{1.0f, 0}, {2.0f, 0}});
    CHECK(quantize<Int4>(w, {{2.0f, 0}}).codes == std::vector<std::int8_t>{0, -1, 2, 2, 2, -3});

    // A view of two columns: rows are not contiguous.
    CHECK(quantize<Int4>(w.leftCols(2), {{1.0f, 0}}).codes == std::vector<std::int8_t>{1, -2, 4, 5});
}

TEST_CASE("codes do not depend on how they are computed") {
    RowMajorMatrix const w = 3 * RowMajorMatrix::Random(700, 301);
    std::vector<ScaleOffset> scales;
    for (int r = 0; r != 700; ++r) scales.push_back({0.01f * static_cast<float>(r + 1), r % 5 - 2});
    auto const expected = quantize<Int8>(w, scales).codes;
    for (const auto& on : support::executions()) {
        INFO(on.name);
        CHECK(quantize<Int8>(w, scales, on.how).codes == expected);
    }
}

}  // namespace quant_quantized_matrix_test
