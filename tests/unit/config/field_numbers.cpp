// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/config/field_numbers.hpp>

#include <amct_distill/config/extended.hpp>
#include <array>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"

namespace config_field_numbers_test {

using namespace amct_distill;

namespace {

using Numbers = std::map<std::string, std::uint32_t>;

/// What the schemas say: for each message, its fields with their numbers. Those of a oneof are told under the
/// name of the oneof, as ours are.
std::map<std::string, Numbers> schema(const std::string& name) {
    std::ifstream file(std::string(AMCT_DISTILL_SOURCE_DIR) + "/tests/" + name);
    std::vector<std::string> words;
    for (std::string line; std::getline(file, line);) {
        std::string word;
        auto const end_word = [&] {
            if (!word.empty()) words.push_back(word);
            word.clear();
        };
        for (char c : line.substr(0, line.find("//"))) {
            if (std::string_view("{}=;[] ").find(c) == std::string_view::npos) {
                word += c;
                continue;
            }
            end_word();
            if (c != ' ') words.emplace_back(1, c);
        }
        end_word();
    }
    std::map<std::string, Numbers> out;
    std::vector<std::string> open;  // the messages and oneofs around; an enumeration is ""
    for (std::size_t i = 0; i != words.size(); ++i) {
        if (words[i] == "{") {
            bool const is_enum = words[i - 2] == "enum";
            open.push_back(is_enum ? "" : words[i - 1]);
            if (!is_enum) out[words[i - 1]];
        } else if (words[i] == "}") {
            open.pop_back();
        } else if (words[i] == "=" && !open.empty() && !open.back().empty() && words[i - 1] != "default") {
            if (words[i - 2] == "[" || words[i - 2] == "default") continue;
            out[open.back()][words[i - 1]] = static_cast<std::uint32_t>(std::stoul(words[i + 1]));
        }
    }
    return out;
}

template <class M>
Numbers ours() {
    Numbers out;
    for (const FieldNumber& f : field_numbers(static_cast<const M*>(nullptr))) {
        CHECK(f.packing == Packing::unpacked);  // proto2's default
        CHECK(f.coding == IntegerCoding::varint);
        CHECK(out.emplace(f.name, f.number).second);
    }
    return out;
}

}  // namespace

TEST_CASE("the field numbers of the configuration are those of its schema") {
    auto expected = schema("conformance/distill_config.proto");
    CHECK(expected.size() == 12);  // ten messages and two oneofs
    CHECK(ours<AMCTDistillConfig>() == expected.at("AMCTDistillConfig"));
    CHECK(ours<AMCTDistillConfig>().size() == 10);
    CHECK(ours<DistillGroup>() == expected.at("DistillGroup"));
    CHECK(ours<ActULQquantize>() == expected.at("ActULQquantize"));
    CHECK(ours<ClipMaxMin>() == expected.at("ClipMaxMin"));
    CHECK(ours<ARQDistill>() == expected.at("ARQDistill"));
    CHECK(ours<WtsULQDistill>() == expected.at("WtsULQDistill"));
    CHECK(ours<DistillOverrideLayer>() == expected.at("DistillOverrideLayer"));
    CHECK(ours<DistillOverrideLayerType>() == expected.at("DistillOverrideLayerType"));
    CHECK(ours<DistillDataQuantConfig>() == expected.at("DistillDataQuantConfig"));
    CHECK(ours<DistillWeightQuantConfig>() == expected.at("DistillWeightQuantConfig"));
    CHECK(ours<StandardAlgorithms::data>() == expected.at("data_quant_algo"));
    CHECK(ours<StandardAlgorithms::weights>() == expected.at("weights_quant_algo"));
}

TEST_CASE("the field numbers of the record are those of its schema") {
    auto expected = schema("golden/record.proto");
    CHECK(expected.size() == 7);
    CHECK(ours<SingleLayerRecord>() == expected.at("SingleLayerRecord"));
    CHECK(ours<SingleLayerRecord>().size() == 15);
    CHECK(ours<SingleLayerKVCacheRecord>() == expected.at("SingleLayerKVCacheRecord"));
    CHECK(ours<MapFiledEntry>() == expected.at("MapFiledEntry"));
    CHECK(ours<AttrProto>() == expected.at("AttrProto"));
    CHECK(ours<PruneNode>() == expected.at("PruneNode"));
    CHECK(ours<PruneRecord>() == expected.at("PruneRecord"));
    CHECK(ours<ScaleOffsetRecord>() == expected.at("ScaleOffsetRecord"));
}

TEST_CASE("the fields that we add have numbers that no later field of AMCT will take") {
    CHECK(ours<ExtendedARQDistill>() ==
          Numbers{{"dst_type", 1}, {"channel_wise", 2}, {"initial_range", 1001}});
    CHECK(ours<ExtendedULQDistill>() ==
          Numbers{{"dst_type", 1}, {"channel_wise", 2}, {"initial_range", 1001}});
    CHECK(ours<ExtendedAlgorithms::weights>() ==
          Numbers{{"arq_distill", 1}, {"ulq_distill", 2}, {"adaround_distill", 1001}});
    CHECK(ours<AdaRoundDistill>() == Numbers{{"dst_type", 1},
                                             {"channel_wise", 2},
                                             {"regularization", 3},
                                             {"regularization_end", 4},
                                             {"warm_up", 5},
                                             {"beta_start", 6},
                                             {"beta_end", 7},
                                             {"hard_phase", 8},
                                             {"learning_rate", 9},
                                             {"initial_range", 10}});
}

}  // namespace config_field_numbers_test
