// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/options_text.hpp>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"

namespace nn_options_text_test {

using namespace amct_distill;

namespace {

enum class Padding { zeros, reflect };
struct Options {
    std::int64_t channels = 0;
    std::array<std::int64_t, 2> kernel{1, 1};
    std::vector<std::int64_t> sample{};
    double eps = 1e-5;
    float slope = 0.1f;
    bool bias = true;
    std::string mode = "nearest";
    Padding padding = Padding::zeros;
    friend bool operator==(const Options&, const Options&) = default;
};

std::string error_of(std::string_view text) {
    auto const read = detail::read_options<Options>(text);
    return read ? "" : read.diagnostics()[0].message;
}

}  // namespace

TEST_CASE("options are written by name and read back, every kind of them") {
    Options o{-3, {3, 5}, {16, -1}, 1e-5, 0.1f, false, "a \"b\" \\ }", Padding::reflect};
    std::string const text = detail::options_text(o);
    CHECK(text ==
          "channels: -3 kernel: [3, 5] sample: [16, -1] eps: 1e-05 slope: 0.1 bias: false mode: \"a "
          "\\\"b\\\" \\\\ }\" "
          "padding: 1");
    CHECK(detail::read_options<Options>(text).value() == o);
    o.sample.clear();
    o.eps = std::numeric_limits<double>::infinity();
    o.slope = -3.4028235e38f;
    CHECK(detail::read_options<Options>(detail::options_text(o)).value() == o);
}

TEST_CASE("options that the text leaves out keep their defaults") {
    CHECK(detail::read_options<Options>("").value() == Options{});
    CHECK(detail::read_options<Options>("eps: 2").value().eps == 2);
}

TEST_CASE("options that cannot be read are errors") {
    CHECK(error_of("chanels: 3") == "unknown option `chanels`");
    CHECK(error_of("channels 3") == "expected `option: value`, found `3`");
    CHECK(error_of("channels: x") == "option `channels`: its value cannot be read");
    CHECK(error_of("channels: 99999999999999999999") == "option `channels`: its value cannot be read");
    CHECK(error_of("kernel: [3]") == "option `kernel`: its value cannot be read");
    CHECK(error_of("kernel: [3, 3, 3]") == "option `kernel`: its value cannot be read");
    CHECK(error_of("bias: 1") == "option `bias`: its value cannot be read");
    CHECK(error_of("mode: \"open") == "option `mode`: its value cannot be read");
    CHECK(error_of("eps: -") == "option `eps`: its value cannot be read");
    CHECK(error_of("= 3") == "expected `option: value`, found `= 3`");
}

TEST_CASE("a number with a point or an exponent ends where it is none") {
    auto const eps = [](std::string_view text) { return detail::read_options<Options>(text).value().eps; };
    CHECK(eps("eps: 1.") == 1);
    CHECK(eps("eps: 12.5e+1") == 125);
    CHECK(eps("eps: 5E-1 bias: true") == 0.5);
    CHECK(eps("eps: -2e0") == -2);
    // The fuzzer found the first two: the digits of the exponent were read beyond the text's end.
    CHECK(error_of("eps: 1e") == "expected `option: value`, found ``");
    CHECK(error_of("slope: 3e+") == "expected `option: value`, found `+`");
    CHECK(error_of("eps: 1enel: [3, 3]") == "unknown option `enel`");
    CHECK(error_of("eps: 1.2.3") == "expected `option: value`, found `.3`");
    CHECK(error_of("eps: 1-2") == "expected `option: value`, found `-2`");
    CHECK(error_of("eps: 1e5e3") == "expected `option: value`, found ``");
    CHECK(error_of("eps: .5") == "option `eps`: its value cannot be read");
    CHECK(error_of("eps: e5") == "option `eps`: its value cannot be read");
}

TEST_CASE("numbers that are none, and texts that are cut after a backslash") {
    CHECK(std::isnan(detail::read_options<Options>("eps: nan").value().eps));
    CHECK(detail::read_options<Options>("eps: -inf").value().eps == -std::numeric_limits<double>::infinity());
    CHECK(error_of("eps: /") == "option `eps`: its value cannot be read");
    CHECK(error_of("eps: x") == "option `eps`: its value cannot be read");
    CHECK(error_of("mode: \"a\\") == "option `mode`: its value cannot be read");
    CHECK(detail::read_options<Options>("bias:\tfalse").value().bias == false);
}

}  // namespace nn_options_text_test
