// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/quant/codes.hpp>

#include <random>

#include "support/catch.hpp"
#include "support/executions.hpp"

namespace quant_codes_test {

using namespace amct_distill;

namespace {

struct Int3 : bits<3> {
    static constexpr std::string_view name = "INT3";
};
struct Int6 : bits<6> {
    static constexpr std::string_view name = "INT6";
};

template <class R>
std::string error(const R& r) {
    return to_string(r.diagnostics());
}

template <BitWidth B>
void check_round_trips() {
    std::mt19937 random(1);
    std::uniform_int_distribution<int> code(B::qmin, B::qmax);
    for (std::size_t rows : {0u, 1u, 3u, 70u})
        for (std::size_t cols : {0u, 1u, 2u, 7u, 64u, 131u}) {
            std::vector<std::int8_t> values(rows * cols);
            for (auto& c : values) c = static_cast<std::int8_t>(code(random));
            auto const codes = Codes<B>::pack(values, rows, cols).value();
            REQUIRE(codes.unpack() == values);
            REQUIRE(codes.bytes().size() == rows * codes.row_bytes());
            auto const bytes = codes.bytes();
            REQUIRE(Codes<B>::from_bytes({bytes.begin(), bytes.end()}, rows, cols).value() == codes);
            Codes<B> by_hand(rows, cols);
            for (std::size_t r = 0; r != rows; ++r)
                for (std::size_t c = 0; c != cols; ++c) {
                    REQUIRE(codes.at(r, c) == values[r * cols + c]);
                    by_hand.set(r, c, values[r * cols + c]);
                }
            REQUIRE(by_hand == codes);
            for (const auto& on : support::executions()) {
                REQUIRE(codes.unpack(on.how) == values);
                REQUIRE(Codes<B>::pack(values, rows, cols, on.how).value() == codes);
            }
        }
}

}  // namespace

TEST_CASE("codes of a few bits are two in a byte, of more a byte each") {
    std::vector<std::int8_t> const values{1, -1, 3, -4, 0, 2};
    auto const packed = Codes<Int4>::pack(values, 2, 3).value();
    CHECK(std::vector<std::uint8_t>(packed.bytes().begin(), packed.bytes().end()) ==
          std::vector<std::uint8_t>{0xF1, 0x03, 0x0C, 0x02});
    auto const whole = Codes<Int8>::pack(values, 2, 3).value();
    CHECK(std::vector<std::int8_t>(whole.bytes().begin(), whole.bytes().end()) == values);
    STATIC_REQUIRE(std::same_as<Codes<Int3>::byte_type, std::uint8_t>);
    STATIC_REQUIRE(std::same_as<Codes<Int6>::byte_type, std::int8_t>);
}

TEST_CASE("codes are packed and unpacked without loss, of every width and shape") {
    check_round_trips<Int3>();
    check_round_trips<Int4>();
    check_round_trips<Int6>();
    check_round_trips<Int8>();
}

TEST_CASE("what is no matrix of codes is an error") {
    std::vector<std::int8_t> const values{0, 7, -8, 8};
    CHECK(error(Codes<Int4>::pack(values, 2, 2)) ==
          "error: codes: code 8 at [1, 1] is outside -8..7; quantize with INT4");
    CHECK(error(Codes<Int3>::pack(values, 2, 2)) ==
          "error: codes: code 7 at [0, 1] is outside -4..3; quantize with INT3");
    CHECK(error(Codes<Int8>::pack(values, 2, 3)) ==
          "error: codes: 4 codes are not a 2 x 3 matrix; pass the rows and columns of the weight");
    CHECK(error(Codes<Int4>::from_bytes(std::vector<std::uint8_t>(3), 2, 3)) ==
          "error: codes: a 2 x 3 matrix of INT4 takes 4 bytes, found 3; pass the rows and columns it was "
          "stored with");
    CHECK(error(Codes<Int4>::pack(std::vector<std::int8_t>{0, -9}, 1, 2)) ==
          "error: codes: code -9 at [0, 1] is outside -8..7; quantize with INT4");
    CHECK(Codes<Int4>(2, 2) != Codes<Int4>(1, 2));
    CHECK(error(Codes<Int3>::from_bytes({0x20, 0x07}, 2, 2)) ==
          "error: codes: code 7 at [1, 0] is outside -4..3; quantize with INT3");
}

TEST_CASE("padding does not count when codes are compared") {
    CHECK(Codes<Int4>::from_bytes({0xA3}, 1, 1).value() == Codes<Int4>::from_bytes({0x03}, 1, 1).value());
    CHECK(Codes<Int4>::from_bytes({0xA3}, 1, 1).value() != Codes<Int4>::from_bytes({0xA4}, 1, 1).value());
    CHECK(Codes<Int4>::from_bytes({0x03}, 1, 1).value() != Codes<Int4>::from_bytes({0x03}, 1, 2).value());
}

TEST_CASE("floats become codes without a byte for each in between") {
    for (Eigen::Index cols : {1, 2, 31, 32, 33, 64, 65, 131, 3000}) {
        RowMajorMatrix const w = 4 * RowMajorMatrix::Random(70, cols);
        std::vector<ScaleOffset> scales;
        for (int r = 0; r != 70; ++r) scales.push_back({0.2f + 0.01f * static_cast<float>(r), r % 3});
        auto const q = quantize<Int4>(w, scales);
        RowMajorMatrix expected(70, cols), out(70, cols);
        for (Eigen::Index r = 0; r != 70; ++r)
            dequantize(std::span(q.codes).subspan(static_cast<std::size_t>(r * cols),
                                                  static_cast<std::size_t>(cols)),
                       {expected.data() + r * cols, static_cast<std::size_t>(cols)},
                       scales[static_cast<std::size_t>(r)]);
        auto const packed = pack<Int4>(q).value();
        CHECK(packed.scales == q.scales);
        for (const auto& on : support::executions()) {
            REQUIRE(Codes<Int4>::quantize(w, scales, on.how) == packed.codes);
            REQUIRE(Codes<Int8>::quantize(w, scales, on.how).unpack() == quantize<Int8>(w, scales).codes);
            REQUIRE(Codes<Int3>::quantize(w, scales, on.how).unpack() == quantize<Int3>(w, scales).codes);
            dequantize(packed, out, on.how);
            REQUIRE(out == expected);
        }
    }
}

}  // namespace quant_codes_test
