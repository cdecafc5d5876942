// SPDX-License-Identifier: Apache-2.0
// Every configuration of tests/golden/config, resolved under the original's rules, against what the original
// made of it.
#include <algorithm>
#include <amct_distill/adapters/json.hpp>
#include <amct_distill/adapters/json_reader.hpp>
#include <amct_distill/plan/resolve.hpp>
#include <amct_distill/text/reader.hpp>
#include <boost/json/parse.hpp>
#include <iterator>

#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/golden_topology.hpp"

namespace adapters_golden_plans_test {

using namespace amct_distill;

namespace {

namespace json = boost::json;

/// Cases in which we leave the original, on purpose.
struct Divergence {
    std::string_view file;
    std::string_view name;
    enum Kind {
        repeated,         // a second value: an error; the golden with Duplicates::last_wins
        functional,       // a functional activation is left out: the golden's groups without `null`
        starts_in_a_unit  // the user's group stands, and what was before it in its unit is a unit: `groups`
    } kind;
    std::string_view groups{};
};
constexpr Divergence divergences[] = {
    {"chain", "twice_scalar", Divergence::repeated},
    {"chain", "ulq_then_arq", Divergence::repeated},
    {"chain", "ulq_oneof", Divergence::repeated},
    {"chain", "group_start_bn", Divergence::starts_in_a_unit,
     R"([["conv1"],["bn1","relu1","conv2","bn2","relu2"],["conv3","relu3"],["fc"]])"},
    {"chain", "group_start_relu", Divergence::starts_in_a_unit,
     R"([["conv1","bn1"],["relu1","conv2"],["conv3","relu3"],["fc"]])"},
    {"mlp", "group_mid", Divergence::starts_in_a_unit, R"([["fc1"],["r1","fc2","r2","fc3"]])"},
    {"special", "default", Divergence::functional},
    {"special", "empty", Divergence::functional},
    {"special", "gs1", Divergence::functional},
    {"special", "gs2", Divergence::functional},
    {"special", "gs3", Divergence::functional},
    {"special", "gs100", Divergence::functional},
    {"special", "int4", Divergence::functional},
    {"special", "data_dump", Divergence::functional},
    {"special", "skip_lin3", Divergence::functional},
};
const Divergence* divergence_of(std::string_view file, std::string_view name) {
    for (const Divergence& d : divergences)
        if (d.file == file && d.name == name) return &d;
    return nullptr;
}

json::value without_null(const json::value& groups) {
    json::array out;
    for (const auto& group : groups.as_array()) {
        json::array names;
        for (const auto& name : group.as_array())
            if (!name.is_null()) names.push_back(name);
        out.push_back(names);
    }
    return out;
}

result<DistillPlan> plan_of(const json::value& text, const Topology& topology, Duplicates on_duplicate) {
    if (text.is_null()) return resolve(AMCTDistillConfig{}, topology, target::ascend);
    std::string const cfg(text.as_string());
    auto const config = read<AMCTDistillConfig>(cfg, {.on_duplicate = on_duplicate});
    if (!config) return config.diagnostics();
    return resolve(*config, topology, target::ascend, {.source = {{}, std::string(cfg)}});
}

/// Whether two plans say the same; where each setting came from aside.
bool same_settings(const DistillPlan& a, const DistillPlan& b) {
    auto const same_layer = [](const PlannedLayer& x, const PlannedLayer& y) {
        return x.name == y.name && x.type == y.type && x.module == y.module && x.node == y.node &&
               x.quant_enable == y.quant_enable && x.data == y.data && x.weights == y.weights &&
               x.block == y.block;
    };
    auto const same_block = [](const PlannedBlock& x, const PlannedBlock& y) {
        return x.nodes == y.nodes && x.names == y.names;
    };
    return a.batch_num.value == b.batch_num.value && a.group_size.value == b.group_size.value &&
           a.data_dump.value == b.data_dump.value && std::ranges::equal(a.layers, b.layers, same_layer) &&
           std::ranges::equal(a.blocks, b.blocks, same_block);
}

/// The JSON texts of a file, read.
void check_parse_cases(const std::string& file) {
    json::value const golden_file = golden::load("config/" + file + ".json");
    Topology const topology = golden::topology(golden_file.at("graph"));
    // What the original takes and we do not.
    constexpr std::string_view stricter[] = {"batch_true", "extra_layer_key", "group_wrong_order",
                                             "groups_overlap"};
    const auto& cases = golden_file.at("parse_cases").as_array();
    std::size_t ran = 0, diverging = 0;
    for (const auto& c : cases) {
        std::string_view const name = c.at("name").as_string();
        auto const plan = plan_from_json(c.at("text").as_string(), topology, target::ascend);
        INFO(file << ": " << name << '\n' << to_string(plan.diagnostics()));
        ++ran;
        if (std::ranges::find(stricter, name) != std::end(stricter)) {
            CHECK(c.as_object().contains("parsed"));
            CHECK_FALSE(plan);
            ++diverging;
        } else if (c.as_object().contains("raises")) {
            CHECK_FALSE(plan);
        } else {
            REQUIRE(plan);
            CHECK(to_json(*plan) == c.at("parsed"));
        }
    }
    golden::print_count("config/" + file + ".json parse_cases", ran, cases.size(),
                        detail::concat(diverging, " diverge as listed"));
    CHECK(ran == 34);
    CHECK(diverging == std::size(stricter));
}

void check_file(const std::string& file) {
    json::value const golden_file = golden::load("config/" + file + ".json");
    Topology const topology = golden::topology(golden_file.at("graph"));
    const auto& cases = golden_file.at("cases").as_array();
    std::size_t ran = 0, texts = 0, diverging = 0;
    for (const auto& c : cases) {
        std::string const name(c.at("name").as_string());
        INFO(file << ": " << name << ":\n" << c.at("cfg"));
        const Divergence* const diverges = divergence_of(file, name);
        auto plan = plan_of(c.at("cfg"), topology, Duplicates::error);
        INFO(to_string(plan.diagnostics()));
        ++ran;
        if (diverges) ++diverging;
        if (diverges && diverges->kind == Divergence::repeated) {
            CHECK_FALSE(plan);
            plan = plan_of(c.at("cfg"), topology, Duplicates::last_wins);
        }
        if (c.as_object().contains("raises")) {
            CHECK_FALSE(plan);
            continue;
        }
        REQUIRE(plan);
        json::value expected = c.at("json");
        if (diverges && diverges->kind == Divergence::functional)
            expected.at("distill_group") = without_null(expected.at("distill_group"));
        if (diverges && diverges->kind == Divergence::starts_in_a_unit)
            expected.at("distill_group") = json::parse(diverges->groups);
        json::value const ours = to_json(*plan);
        CHECK(ours == expected);
        CHECK(print_json(ours) == print_json(expected));  // the order of the keys, too
        auto const again = plan_from_json(print_json(ours), topology, target::ascend);
        INFO(to_string(again.diagnostics()));
        REQUIRE(again);
        CHECK(same_settings(*again, *plan));
        CHECK(print_json(to_json(*again)) == print_json(ours));
        const auto* text = c.as_object().if_contains("json_text");
        if (text && text->is_string() && !diverges) {
            CHECK(print_json(ours) == std::string_view(text->as_string()));
            ++texts;
        }
    }
    golden::print_count("config/" + file + ".json", ran, cases.size(),
                        detail::concat(texts, " compared as text, ", diverging, " diverge as listed"));
    CHECK(ran == cases.size());
    CHECK(diverging ==
          static_cast<std::size_t>(std::count_if(std::begin(divergences), std::end(divergences),
                                                 [&](const Divergence& d) { return d.file == file; })));
}

}  // namespace

TEST_CASE("configurations resolve as in the original: a chain") { check_file("chain"); }
TEST_CASE("configurations resolve as in the original: linear layers") { check_file("mlp"); }
TEST_CASE("configurations resolve as in the original: a residual") { check_file("residual"); }
TEST_CASE("configurations resolve as in the original: activations") { check_file("acts"); }
TEST_CASE("configurations resolve as in the original: pooling") { check_file("convpool"); }
TEST_CASE("configurations resolve as in the original: depthwise") { check_file("depthwise"); }
TEST_CASE("configurations resolve as in the original: nested modules") { check_file("nested"); }
TEST_CASE("configurations resolve as in the original: a shared ReLU") { check_file("shared_relu"); }
TEST_CASE("configurations resolve as in the original: special layers") { check_file("special"); }
TEST_CASE("the plan's JSON is read as the original reads it: a chain") { check_parse_cases("chain"); }
TEST_CASE("the plan's JSON is read as the original reads it: linear layers") { check_parse_cases("mlp"); }

}  // namespace adapters_golden_plans_test
