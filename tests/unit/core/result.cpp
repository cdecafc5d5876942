// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/core/result.hpp>

#include "support/catch.hpp"

namespace core_result_test {

using namespace amct_distill;

TEST_CASE("a result holds a value, and maybe warnings") {
    result<int> const plain = 3;
    CHECK(plain);
    CHECK(*plain == 3);
    CHECK(plain.diagnostics().empty());

    result<std::string> const warned{"x", {general_warning("odd")}};
    CHECK(warned.value() == "x");
    CHECK(warned->size() == 1);
    CHECK(warned.diagnostics().size() == 1);
}

TEST_CASE("a result without a value throws its diagnostics") {
    result<int> const bad = Diagnostics{general_error("one"), general_error("two")};
    CHECK_FALSE(bad);
    CHECK_THROWS_AS(bad.value(), ConfigError);
    try {
        (void)bad.value();
    } catch (const ConfigError& e) {
        CHECK(std::string(e.what()) == "error: one\nerror: two");
        CHECK(e.diagnostics() == bad.diagnostics());
    }
}

TEST_CASE("result<void> is success or diagnostics") {
    CHECK(result<void>{});
    CHECK_NOTHROW(result<void>{}.value());
    result<void> const bad = general_error("no");
    CHECK_FALSE(bad);
    CHECK_THROWS_AS(bad.value(), ConfigError);
}

}  // namespace core_result_test
