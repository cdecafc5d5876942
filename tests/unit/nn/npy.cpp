// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/npy.hpp>

#include <cmath>
#include <limits>

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

}  // namespace distill_npy_test
