// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/config/record.hpp>

#include <amct_distill/text/printer.hpp>
#include <amct_distill/text/reader.hpp>

#include "support/catch.hpp"

namespace config_record_test {

using namespace amct_distill;

TEST_CASE("a record reads and prints as the original writes it") {
    std::string const text =
        "record {\n  key: \"fc1\"\n  value {\n    scale_d: 0.018055594\n    offset_d: 8\n    scale_w: "
        "0.0028818357\n"
        "    offset_w: 0\n  }\n}\n";
    auto const r = read<ScaleOffsetRecord>(text);
    REQUIRE(r);
    CHECK(*r->record.at(0).key == "fc1");
    CHECK(*r->record.at(0).value->offset_d == 8);
    CHECK(r->record.at(0).value->dst_type.get() == "INT8");
    CHECK_FALSE(r->record.at(0).value->skip_fusion.get());
    CHECK(print(*r) == text);
}

}  // namespace config_record_test
