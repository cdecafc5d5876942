// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/student/layer_owners.hpp>

#include <string>

#include "support/catch.hpp"

namespace student_layer_owners_test {

using namespace amct_distill;

TEST_CASE("diagnostics come to another rank as they were") {
    Diagnostics all;
    for (Severity severity : {Severity::warning, Severity::error, Severity::warning}) {
        Diagnostic d;
        d.severity = severity;
        d.source = "a.cfg";
        d.path = "x[" + std::to_string(all.size()) + "]";
        d.message = std::string("why\0not", 7);
        all.push_back(d);
    }
    detail::BinaryWriter out;
    detail::put(out, all);
    detail::BinaryReader in(out.text);
    Diagnostics found;
    REQUIRE(detail::get(in, found));
    CHECK(in.at_end());
    REQUIRE(found.size() == all.size());
    for (std::size_t k = 0; k != all.size(); ++k) {
        CHECK(found[k].severity == all[k].severity);
        CHECK(found[k].source == all[k].source);
        CHECK(found[k].path == all[k].path);
        CHECK(found[k].message == all[k].message);
    }
    for (std::size_t size = 0; size != out.text.size(); ++size) {
        detail::BinaryReader cut(std::string_view(out.text).substr(0, size));
        Diagnostics some;
        CHECK_FALSE(detail::get(cut, some));
    }
}

}  // namespace student_layer_owners_test
