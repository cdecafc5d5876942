// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/report/png.hpp>

#include <vector>

#include "support/catch.hpp"

namespace report_png_test {

using namespace amct_distill;

TEST_CASE("base64, as in RFC 4648") {
    CHECK(detail::base64("") == "");
    CHECK(detail::base64("f") == "Zg==");
    CHECK(detail::base64("fo") == "Zm8=");
    CHECK(detail::base64("foo") == "Zm9v");
    CHECK(detail::base64("foobar") == "Zm9vYmFy");
    CHECK(detail::base64(std::string("\xff\xfe\x00", 3)) == "//4A");
}

TEST_CASE("the check sum of PNG") {
    CHECK(detail::crc32("123456789") == 0xCBF43926u);
    CHECK(detail::crc32("IEND") == 0xAE426082u);
}

TEST_CASE("a picture of 2 x 1 grey pixels, byte by byte") {
    std::vector<std::uint8_t> const pixels{0, 255};
    std::string const png = detail::png_of(pixels, 2, 1, 1);
    CHECK(png.substr(0, 8) == "\x89PNG\r\n\x1a\n");
    CHECK(png.substr(12, 4) == "IHDR");
    CHECK(png.substr(16, 13) == std::string("\0\0\0\2\0\0\0\1\x08\0\0\0\0", 13));
    // 78 01, the last block, 3 bytes, their complement, no filter, the pixels, Adler-32.
    CHECK(png.substr(41, 14) == std::string("\x78\x01\x01\x03\x00\xfc\xff\x00\x00\xff\x01\x02\x01\x00", 14));
    CHECK(png.substr(png.size() - 8) == std::string("IEND\xae\x42\x60\x82", 8));
    CHECK(detail::png_of(std::vector<std::uint8_t>(300 * 300 * 3, 7), 300, 300, 3).size() > 270000);
}

}  // namespace report_png_test
