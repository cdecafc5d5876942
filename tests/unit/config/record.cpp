// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/config/record.hpp>

#include <amct_distill/text/printer.hpp>
#include <amct_distill/text/reader.hpp>

#include "amct_distill/config/field_numbers.hpp"
#include "amct_distill/wire/reader.hpp"
#include "amct_distill/wire/writer.hpp"
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

TEST_CASE("recurrent layers, caches and pruned layers have their fields") {
    std::string const text =
        "record { key: 'lstm' value { scale_d: 0.01 scale_w: 0.02 offset_w: 0 scale_h: 0.5 offset_h: -3\n"
        "  scale_r: [0.25, 0.125] offset_r: [0, 0] fakequant_precision_mode: 'FORCE_FP16_QUANT' } }\n"
        "record { key: 'kv' kv_cache_value { scale: 0.5 offset: 0 } }\n"
        "prune_record { producer { name: 'conv1' attr { name: 'type' type: INTS ints: [1, 2] s: '\\377' } }\n"
        "  consumer { name: 'conv2' } selective_prune { name: 'fc' } }\n";
    auto const r = read<ScaleOffsetRecord>(text);
    INFO(to_string(r.diagnostics()));
    REQUIRE(r);
    CHECK(r.diagnostics().empty());
    const SingleLayerRecord& lstm = *r->record.at(0).value;
    CHECK(*lstm.scale_h == 0.5f);
    CHECK(*lstm.offset_h == -3);
    CHECK(lstm.scale_r == repeated<float>{0.25f, 0.125f});
    CHECK(lstm.fakequant_precision_mode.get() == "FORCE_FP16_QUANT");
    CHECK(r->record.at(1).kv_cache_value->scale.at(0) == 0.5f);
    CHECK_FALSE(r->record.at(1).value.has_value());
    CHECK(*r->prune_record.at(0).producer.at(0).attr.at(0).type == AttrType::INTS);
    CHECK(*r->prune_record.at(0).selective_prune->name == "fc");
    CHECK(read<ScaleOffsetRecord>(print(*r)).value() == *r);
    CHECK(read_binary<ScaleOffsetRecord>(write_binary(*r)).value() == *r);
    CHECK(SingleLayerRecord{}.fakequant_precision_mode.get() == "DEFAULT");
}

TEST_CASE("fields of a later schema are kept, with a warning, and printed again") {
    std::string const text =
        "record {\n  key: \"x\"\n  value {\n    scale_d: 1\n    future {\n      a: 1\n      a: -2\n      b: "
        "'x' "
        "\"y\"\n      c {\n        d {\n        }\n      }\n      e {\n        f: 1\n      }\n      e {\n    "
        "  }\n   "
        "   12: 3\n    }\n    scale_q: nan\n    99: \"z\"\n  }\n}\nlater: INT8\n";
    auto const r = read<ScaleOffsetRecord>(
        "later: INT8 record { key: 'x' value { future { a: [1, - 2] b: 'x' \"y\" # why\n c < d: { }; > "
        "e: [{ f: 1 }, < >], g: [] 12: 3 } scale_q: nan, scale_d: 1; 99: \"z\" } }");
    REQUIRE(r);
    CHECK(print(*r) == text);
    REQUIRE(r.diagnostics().size() == 4);
    CHECK(to_string(r.diagnostics()[2])
              .find(": warning: record[0].value: unknown field `scale_q`, which is kept as it stands; "
                    "did you mean "
                    "`scale_d`?") != std::string::npos);
    CHECK(print(read<ScaleOffsetRecord>("later { [a.b]: 1 [x/y.Z] { c: 2 } }").value()) ==
          "later {\n  [a.b]: 1\n  [x/y.Z] {\n    c: 2\n  }\n}\n");
    // Once more, the same; and they count when records are compared.
    auto const again = read<ScaleOffsetRecord>(text);
    REQUIRE(again);
    CHECK(*again == *r);
    CHECK(print(*again) == text);
    CHECK_FALSE(*again == read<ScaleOffsetRecord>("record { key: 'x' value { scale_d: 1 } }").value());
}

TEST_CASE("what is no text format is an error within kept fields, too") {
    CHECK_FALSE(read<ScaleOffsetRecord>("later { a: }"));
    CHECK_FALSE(read<ScaleOffsetRecord>("later { a: 1"));
    CHECK_FALSE(read<ScaleOffsetRecord>("later: [1, ]"));
    CHECK_FALSE(read<ScaleOffsetRecord>("record { value { scale_d: 'x' } }"));
    CHECK_FALSE(read<ScaleOffsetRecord>("prune_record { producer { } }"));  // its name is required
}

}  // namespace config_record_test
