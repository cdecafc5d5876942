// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/quant/int4.hpp>

#include <random>

#include "support/catch.hpp"
#include "support/executions.hpp"

namespace quant_int4_test {

using namespace amct_distill;

TEST_CASE("two codes a byte, the low nibble first, rows padded") {
    std::vector<std::int8_t> const codes{1, -1, 7, -8, 0, 5};
    CHECK(pack_int4(codes, 1, 6).value() == std::vector<std::uint8_t>{0xF1, 0x87, 0x50});
    CHECK(pack_int4(codes, 2, 3).value() == std::vector<std::uint8_t>{0xF1, 0x07, 0x08, 0x05});
    CHECK(pack_int4(codes, 6, 1).value() == std::vector<std::uint8_t>{0x01, 0x0F, 0x07, 0x08, 0x00, 0x05});
    CHECK(packed_row_bytes(5) == 3);
    STATIC_REQUIRE(packed_row_bytes(4) == 2);
}

TEST_CASE("unpacking is the inverse of packing for all pairs of codes, and packing that of unpacking") {
    std::vector<std::int8_t> codes;
    for (int a = -8; a != 8; ++a)
        for (int b = -8; b != 8; ++b)
            codes.insert(codes.end(), {static_cast<std::int8_t>(a), static_cast<std::int8_t>(b)});
    auto const bytes = pack_int4(codes, 1, codes.size()).value();
    CHECK(bytes.size() == 256);
    CHECK(unpack_int4(bytes, 1, codes.size()).value() == codes);

    std::vector<std::uint8_t> all(256);
    for (std::size_t i = 0; i != all.size(); ++i) all[i] = static_cast<std::uint8_t>(i);
    CHECK(pack_int4(unpack_int4(all, 1, 512).value(), 1, 512).value() == all);
}

TEST_CASE("odd rows, single values and empty matrices are packed and unpacked") {
    std::mt19937 random(1);
    std::uniform_int_distribution<int> code(-8, 7);
    for (std::size_t rows : {0u, 1u, 2u, 3u, 5u}) {
        for (std::size_t cols : {0u, 1u, 2u, 3u, 7u, 8u, 9u}) {
            std::vector<std::int8_t> codes(rows * cols);
            for (auto& c : codes) c = static_cast<std::int8_t>(code(random));
            auto const bytes = pack_int4(codes, rows, cols).value();
            CHECK(bytes.size() == rows * packed_row_bytes(cols));
            CHECK(unpack_int4(bytes, rows, cols).value() == codes);
        }
    }
    CHECK(unpack_int4(std::vector<std::uint8_t>{0xA3}, 1, 1).value() == std::vector<std::int8_t>{3});
}

TEST_CASE("what cannot be packed or unpacked is an error") {
    auto const error = [](const auto& r) { return to_string(r.diagnostics()); };
    std::vector<std::int8_t> const codes{0, 7, -8, 8};
    CHECK(error(pack_int4(std::vector<std::int8_t>{0, 1, 2, -9}, 2, 2)) ==
          "error: pack_int4: code -9 at [1, 1] is outside -8..7; quantize with Int4");
    CHECK(error(pack_int4(codes, 2, 2)) ==
          "error: pack_int4: code 8 at [1, 1] is outside -8..7; quantize with Int4");
    CHECK(error(pack_int4(codes, 2, 3)) ==
          "error: pack_int4: 4 codes are not a 2 x 3 matrix; pass the rows and columns they were quantized "
          "with");
    CHECK(
        error(unpack_int4(std::vector<std::uint8_t>(3), 2, 3)) ==
        "error: unpack_int4: a 2 x 3 matrix takes 4 bytes, found 3; pass the rows and columns it was packed "
        "with");
}

TEST_CASE("loops of packing give the same with every instruction set") {
    std::mt19937 random(2);
    std::uniform_int_distribution<int> code(-8, 7);
    std::size_t wrong = 0;
    for (InstructionSet set : all_instruction_sets) {
        if (!available(set)) continue;
        for (std::size_t n = 0; n != 140; ++n) {
            std::vector<std::int8_t> codes(n), back(n);
            for (auto& c : codes) c = static_cast<std::int8_t>(code(random));
            std::vector<std::uint8_t> bytes(packed_row_bytes(n));
            if (!detail::run_on(set, detail::PackInt4Loop{codes.data(), bytes.data(), n})) ++wrong;
            if (bytes != pack_int4(codes, 1, n).value()) ++wrong;
            detail::run_on(set, detail::UnpackInt4Loop{bytes.data(), back.data(), n});
            if (back != codes) ++wrong;
            for (int bad : {-9, 8, 127, -128}) {
                if (n == 0) break;
                auto with = codes;
                with[n * 7 / 8] = static_cast<std::int8_t>(bad);
                if (detail::run_on(set, detail::PackInt4Loop{with.data(), bytes.data(), n})) ++wrong;
            }
        }
    }
    CHECK(wrong == 0);
}

}  // namespace quant_int4_test
