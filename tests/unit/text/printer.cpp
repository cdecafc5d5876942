// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/text/printer.hpp>

#include <amct_distill/config/messages.hpp>
#include <amct_distill/config/record.hpp>
#include <amct_distill/text/reader.hpp>
#include <limits>

#include "support/catch.hpp"
#include "support/golden.hpp"

namespace text_printer_test {

using namespace amct_distill;

TEST_CASE("a message is printed in protobuf's canonical form") {
    AMCTDistillConfig c{.batch_num = 2u, .data_dump = true};
    c.distill_group.push_back({.start_layer_name = "a", .end_layer_name = "b\n\"\xe5\xb1\x82"});
    c.distill_weight_quant_config = DistillWeightQuantConfig{WtsULQDistill{.dst_type = DataType::INT4}};
    c.quant_skip_layers = {"x", "y"};
    CHECK(print(c) ==
          "batch_num: 2\n"
          "data_dump: true\n"
          "distill_group {\n"
          "  start_layer_name: \"a\"\n"
          "  end_layer_name: \"b\\n\\\"\\345\\261\\202\"\n"
          "}\n"
          "distill_weight_quant_config {\n"
          "  ulq_distill {\n"
          "    dst_type: INT4\n"
          "  }\n"
          "}\n"
          "quant_skip_layers: \"x\"\n"
          "quant_skip_layers: \"y\"\n");
    CHECK(read<AMCTDistillConfig>(print(c)).value() == c);
    CHECK(print(AMCTDistillConfig{}).empty());
}

TEST_CASE("each byte of a string is printed as it is, or so that it is read again") {
    for (int i = 0; i != 128; ++i) {
        char const c = static_cast<char>(i);
        std::string const text =
            print(DistillGroup{.start_layer_name = std::string{c}, .end_layer_name = "e"});
        INFO(text);
        std::size_t const begin = text.find('"') + 1;
        std::string const inside = text.substr(begin, text.find("\"\n") - begin);
        bool const plain = i >= 32 && i < 127 && c != '"' && c != '\'' && c != '\\';
        CHECK((inside == std::string{c}) == plain);
        CHECK((inside.size() == 1) == plain);
        CHECK(*read<DistillGroup>(text).value().start_layer_name == std::string{c});
    }
}

TEST_CASE("floats are printed as the shortest text that reads back") {
    SingleLayerRecord r;
    for (float f : {0.018055594f, 6.0f, 1e30f, -0.0f, 1.17549435e-38f, 1.4e-45f, 16777216.0f, 0.1f,
                    std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()})
        r.scale_w.push_back(f);
    CHECK(print(r) ==
          "scale_w: 0.018055594\nscale_w: 6\nscale_w: 1e+30\nscale_w: -0\nscale_w: 1.1754944e-38\nscale_w: "
          "1e-45\n"
          "scale_w: 16777216\nscale_w: 0.1\nscale_w: inf\nscale_w: -inf\n");
    CHECK(read<SingleLayerRecord>(print(r)).value() == r);
    SingleLayerRecord nan;
    nan.scale_d = -std::numeric_limits<float>::quiet_NaN();
    CHECK(print(nan) == "scale_d: nan\n");
}

TEST_CASE("what was read prints back to an equal message") {
    auto const r = read<AMCTDistillConfig>(golden::read_file("documentation_example.cfg"));
    REQUIRE(r);
    CHECK(read<AMCTDistillConfig>(print(*r)).value() == *r);
}

}  // namespace text_printer_test
