// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/npy.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"

namespace distill_npy_test {

using namespace amct_distill;

TEST_CASE("a tensor comes back with the same bits") {
    support::temporary_directory const dir;
    nn::Tensor const t({2, 1, 3},
                       {1.5f, -0.0f, 1e-45f, std::numeric_limits<float>::infinity(), -3e38f, 0.1f});
    REQUIRE(write_npy(dir.path() / "t.npy", t));
    nn::Tensor const back = read_npy(dir.path() / "t.npy").value();
    CHECK(back == t);
    CHECK(std::signbit(back[1]));

    std::string const bytes = read_file(dir.path() / "t.npy").value();
    CHECK(bytes.size() == 128 + 24);  // the header is padded to 64 bytes
    CHECK(bytes.substr(10, 60) == "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1, 3, ");
    CHECK(bytes[127] == '\n');
}

TEST_CASE("a file that is not one of ours says what is wrong with it") {
    support::temporary_directory const dir;
    auto const path = dir.path() / "t.npy";
    auto const error = [&](std::string_view content) {
        REQUIRE(write_file(path, content));
        auto const t = read_npy(path);
        REQUIRE_FALSE(t);
        std::string const& message = t.diagnostics()[0].message;
        return message.substr(message.find(": ") + 2);
    };
    REQUIRE(write_npy(path, nn::Tensor({2, 2}, {1, 2, 3, 4})));
    std::string const good = read_file(path).value();
    CHECK(error("hello") == "it is no .npy file of version 1.0");
    CHECK(error(std::string_view(good).substr(0, 40)) == "its header is cut off");
    CHECK(error(std::string_view(good).substr(0, good.size() - 1)) ==
          "its shape [2, 2] does not fit its 15 bytes");
    std::string other = good;
    other.replace(other.find("<f4"), 3, "<f8");
    CHECK(error(other) == "expected float32, row-major values");
    other = good;
    other.replace(other.find("(2, 2"), 5, "(2, x");
    CHECK(error(other) == "its shape cannot be read");
    other = good;
    other.replace(other.find("(2, 2"), 5, "(9, 9");
    CHECK(error(other) == "its values are cut off");
    CHECK_FALSE(read_npy(dir.path() / "missing.npy"));
}

TEST_CASE("shapes that are empty, negative, endless or beyond all memory") {
    auto const parsed = [](std::string_view shape, std::string_view values = {}, bool closed = true) {
        std::string header = detail::npy_begin<float>() + std::string(shape);
        if (closed) header += "), }";
        std::string bytes(detail::npy_magic);
        bytes.push_back(static_cast<char>(header.size()));
        bytes.push_back('\0');
        auto const array = parse_npy(bytes + header + std::string(values), "a.npy");
        return array ? detail::concat(detail::npy_shape(array->shape), " of ", array->values.size())
                     : array.diagnostics()[0].message;
    };
    CHECK(parsed("2, 3, ", std::string(24, 'x')) == "[2, 3] of 6");
    CHECK(parsed("2, 0, ") == "[2, 0] of 0");
    CHECK(parsed("2, 0, ", "abcd") == "cannot read a.npy: its shape [2, 0] does not fit its 4 bytes");
    CHECK(parsed("", "abcd") == "cannot read a.npy: its shape [] does not fit its 4 bytes");
    CHECK(parsed("-2, ") == "cannot read a.npy: its shape cannot be read");
    CHECK(parsed("1", "abcd", false) == "[1] of 1");  // the header ends with the shape
    CHECK(parsed("99999999999999999999, ") == "cannot read a.npy: its shape cannot be read");
    CHECK(parsed("4294967296, 4294967296, ") == "cannot read a.npy: its values are cut off");
    CHECK(parsed("0, 9223372036854775807, ") == "cannot read a.npy: its values are cut off");
    auto const cut = parse_npy(std::string_view("\x93NUMPY\x01\x00\x10", 9), "a.npy");
    REQUIRE_FALSE(cut);
    CHECK(cut.diagnostics()[0].message == "cannot read a.npy: it is no .npy file of version 1.0");
}

TEST_CASE("arrays of integers keep their type, and none is read as another") {
    std::vector<std::int8_t> const codes{-128, 0, 127};
    std::string const bytes = detail::npy_content<std::int8_t>({3}, codes);
    auto const back = parse_npy_of<std::int8_t>(bytes, "codes.npy");
    REQUIRE(back);
    CHECK(back->shape == NpyShape{3});
    CHECK(back->values == codes);
    auto const other = parse_npy_of<std::uint8_t>(bytes, "codes.npy");
    REQUIRE_FALSE(other);
    CHECK(other.diagnostics()[0].message ==
          "cannot read codes.npy: expected row-major values of the type |u1");
    CHECK(parse_npy_of<std::int32_t>(detail::npy_content<std::int32_t>({0}, {}), "none")->values.empty());
}

}  // namespace distill_npy_test
