// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/quant/checked_affine.hpp>

#include <limits>

#include "support/catch.hpp"
#include "support/executions.hpp"

namespace quant_checked_test {

using namespace amct_distill;

namespace {

template <class R>
std::string error(const R& r) {
    return to_string(r.diagnostics());
}

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

}  // namespace

TEST_CASE("checked functions do what the others do") {
    RowMajorMatrix const w = 3 * RowMajorMatrix::Random(5, 37);
    std::vector<ScaleOffset> const scales{{0.3f, 0}, {0.1f, 1}, {0.2f, -8}, {1.0f, 7}, {0.5f, 0}};
    for (const auto& on : support::executions()) {
        INFO(on.name);
        RowMajorMatrix out(5, 37), back(5, 37), in_place = w;
        REQUIRE(checked_fake_quantize<Int4>(w, out, scales, on.how));
        auto const q = checked_quantize<Int4>(w, scales, on.how).value();
        CHECK(q.codes == quantize<Int4>(w, scales).codes);
        REQUIRE(checked_dequantize<Int4>(q, back, on.how));
        CHECK(back == out);
        REQUIRE(checked_fake_quantize<Int4>(in_place, in_place, scales, on.how));
        CHECK(in_place == out);

        // Views whose rows are apart.
        RowMajorMatrix wide = RowMajorMatrix::Constant(5, 50, 9);
        REQUIRE(checked_fake_quantize<Int4>(w, wide.middleCols(4, 37), scales, on.how));
        CHECK(wide.middleCols(4, 37) == out);
        CHECK((wide.leftCols(4).array() == 9).all());
        CHECK((wide.rightCols(9).array() == 9).all());
    }
}

TEST_CASE("a tensor is seen as channels where they divide it") {
    std::vector<float> const x(24, 1.0f);
    CHECK(as_channels(x, 4)->cols() == 6);
    CHECK(error(as_channels(x, 5)) ==
          "error: weights: 5 channels do not divide 24 values; pass the size of the first dimension");
    CHECK(error(as_channels(x, 0)) ==
          "error: weights: 0 channels do not divide 24 values; pass the size of the first dimension");
    CHECK(error(as_channels({}, 1)) == "error: weights: no values; an empty tensor cannot be quantized");
}

TEST_CASE("on an error nothing is written") {
    RowMajorMatrix w = RowMajorMatrix::Random(600, 300), out = RowMajorMatrix::Constant(600, 300, 5);
    RowMajorMatrix const before = out;
    std::vector<ScaleOffset> const good{{0.1f, 0}};
    std::size_t ran = 0;
    auto const fails = [&](const RowMajorMatrix& in, const std::vector<ScaleOffset>& scales,
                           const std::string& text) {
        for (const auto& on : support::executions()) {
            CHECK(error(checked_fake_quantize<Int8>(in, out, scales, on.how)) == text);
            CHECK(out == before);
            ++ran;
        }
        CHECK(error(checked_quantize<Int8>(in, scales)) == text);
    };
    w(599, 299) = not_a_number;
    fails(w, good,
          "error: weights: value at [599, 299] is nan; only finite values can be quantized: check where they "
          "come from");
    w(2, 0) = -infinity;
    fails(w, good,
          "error: weights: value at [2, 0] is -inf; only finite values can be quantized: check where they "
          "come from");
    w(599, 299) = w(2, 0) = 0;
    fails(w, {{0.1f, 0}, {0.1f, 0}}, "error: scales: 2 scales for 600 rows; pass one, or one per row");
    std::string const remedy = "; a scale is positive and finite: recompute it";
    std::vector<ScaleOffset> scales(600, {0.1f, 0});
    for (auto [bad, text] :
         {std::pair{0.0f, "0"}, {-0.5f, "-0.5"}, {not_a_number, "nan"}, {infinity, "inf"}}) {
        scales[7].scale = bad;
        fails(w, scales, "error: scales: the scale of row 7 is " + std::string(text) + remedy);
    }
    scales[7] = {1.0f, 128};
    fails(w, scales,
          "error: scales: the offset of row 7 is 128, outside -128..127; use the bits it was found with");
    CHECK(ran >= 8);

    RowMajorMatrix small(2, 3);
    CHECK(error(checked_fake_quantize<Int8>(w, small, good)) ==
          "error: output: its shape is 2 x 3, that of the input 600 x 300; pass one of the same shape");
    CHECK(error(checked_quantize<Int8>(RowMajorMatrix(0, 3), good)) ==
          "error: weights: no values (0 x 3); an empty tensor cannot be quantized");
}

TEST_CASE("codes that cannot be dequantized are errors") {
    RowMajorMatrix out = RowMajorMatrix::Constant(2, 2, 5);
    QuantizedMatrix q{2, 2, {1, 2, 3, 8}, {{0.5f, 0}}};
    CHECK(error(checked_dequantize<Int4>(q, out)) ==
          "error: codes: code 8 at [1, 1] is outside -8..7; quantize with INT4");
    q.codes.pop_back();
    CHECK(error(checked_dequantize<Int4>(q, out)) ==
          "error: codes: 3 codes are not a matrix of 2 x 2; pass what was quantized");
    q.codes.push_back(7);
    q.scales = {{-1.0f, 0}};
    CHECK(error(checked_dequantize<Int4>(q, out)) ==
          "error: scales: the scale of row 0 is -1; a scale is positive and finite: recompute it");
    CHECK((out.array() == 5).all());
    RowMajorMatrix other(1, 4);
    CHECK(error(checked_dequantize<Int4>(q, other)) ==
          "error: output: its shape is 1 x 4, that of the input 2 x 2; pass one of the same shape");
}

}  // namespace quant_checked_test
