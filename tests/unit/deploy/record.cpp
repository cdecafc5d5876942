// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/deploy/record.hpp>

#include <amct_distill/io/file.hpp>
#include <amct_distill/student/calibrate.hpp>
#include <amct_distill/text/printer.hpp>
#include <cstdlib>

#include "support/catch.hpp"
#include "support/small_network.hpp"
#include "support/temporary_directory.hpp"

namespace deploy_record_test {

using namespace amct_distill;

namespace {
Student calibrated(std::string_view config) {
    nn::Network const teacher = support::small_network();
    auto const batches = support::small_batches(2, 4);
    Student student = make_student(teacher, support::plan_for(teacher, config)).value();
    calibrate(student, std::span(batches)).value();
    return student;
}
}  // namespace

TEST_CASE("the record has the factors of every quantized layer, types where they are not INT8") {
    Student const student = calibrated(
        "distill_override_layers { layer_name: 'conv2'\n"
        "  distill_data_quant_config { ulq_quantize { dst_type: INT4 } }\n"
        "  distill_weight_quant_config { arq_distill { dst_type: INT4 channel_wise: false } } }\n"
        "distill_override_layers { layer_name: 'fc'\n"
        "  distill_weight_quant_config { arq_distill { dst_type: INT4 } } }");
    ScaleOffsetRecord const record = make_record(student).value();
    REQUIRE(record.record.size() == 3);
    CHECK(*record.record[0].key == "conv1");
    const auto& conv1 = *record.record[0].value;
    CHECK(conv1.scale_d.get() == student.quantizers("conv1")->data_scale().scale);
    CHECK(conv1.offset_d.get() == student.quantizers("conv1")->data_scale().offset);
    CHECK(conv1.scale_w.size() == 4);
    CHECK_FALSE(conv1.dst_type.has_value());

    const auto& conv2 = *record.record[1].value;
    CHECK(conv2.scale_w ==
          repeated<float>{student.quantizers("conv2")->weight_scales(*student.weight("conv2"))[0].scale});
    CHECK(conv2.offset_w == repeated<std::int32_t>{0});
    CHECK(conv2.dst_type.get() == "INT4");
    CHECK(conv2.act_type.get() == "INT4");
    CHECK(conv2.wts_type.get() == "INT4");

    const auto& fc = *record.record[2].value;  // mixed
    CHECK_FALSE(fc.dst_type.has_value());
    CHECK(fc.act_type.get() == "INT8");
    CHECK(fc.wts_type.get() == "INT4");
    CHECK(read<ScaleOffsetRecord>(print(record)).value() == record);
}

TEST_CASE("a BatchNorm is folded into the weights' scales, per channel, also from one scale of the tensor") {
    for (std::string_view config :
         {"", "distill_weight_quant_config { arq_distill { channel_wise: false } }"}) {
        Student const student = calibrated(config);
        auto const record = make_record(student).value();
        auto const device = deploy(student).value();
        REQUIRE(record.record[0].value->scale_w.size() == 4);
        for (std::size_t c = 0; c != 4; ++c)
            CHECK(record.record[0].value->scale_w[c] == device.layers()[0].weight_scales.of_row(c).scale);
        CHECK(make_record(device) == record);
        CHECK(record.record[0].value->offset_w == repeated<std::int32_t>{0, 0, 0, 0});
    }
}

TEST_CASE("a student that is not calibrated has no record") {
    nn::Network const teacher = support::small_network();
    Student const student = make_student(teacher, support::plan_for(teacher, "")).value();
    auto const record = make_record(student);
    REQUIRE_FALSE(record);
    CHECK(record.diagnostics()[0].message == "layer `conv1`: it is not calibrated; call calibrate() first");
}

TEST_CASE("protoc reads what we print, and we read what protoc prints, to equal records") {
    support::temporary_directory const dir;
    ScaleOffsetRecord record = make_record(calibrated(support::int4_config)).value();
    record.record[0].key = "\xe5\xb1\x82/\"conv\"\n1";  // a name to escape
    auto& conv2 = *record.record[1].value;
    conv2.skip_fusion = true;
    conv2.shift_bit = {0u, 4294967295u};
    conv2.tensor_balance_factor = {1e-45f, 1.17549435e-38f, 3.4028235e38f, -0.0f, 0.1f, 16777216.0f};
    REQUIRE(write_file(dir.path() / "record.txt", print(record)));

    auto const protoc = [&](std::string_view option, std::string_view from, std::string_view to) {
        return std::system(detail::concat(AMCT_DISTILL_PROTOC " ", option, "=ScaleOffsetRecord -I ",
                                          AMCT_DISTILL_GOLDEN_DIR, " record.proto < ",
                                          (dir.path() / from).string(), " > ", (dir.path() / to).string())
                               .c_str());
    };
    REQUIRE(protoc("--encode", "record.txt", "record.bin") == 0);
    REQUIRE(protoc("--decode", "record.bin", "decoded.txt") == 0);
    auto const theirs = read<ScaleOffsetRecord>(read_file(dir.path() / "decoded.txt").value());
    INFO(to_string(theirs.diagnostics()));
    REQUIRE(theirs);
    CHECK(*theirs == record);
}

}  // namespace deploy_record_test
