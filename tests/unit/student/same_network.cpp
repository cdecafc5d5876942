// SPDX-License-Identifier: Apache-2.0
// And what else is asked of arguments before a run: options, parameters, threads.
#include <amct_distill/student/same_network.hpp>

#include <amct_distill/deploy/cpp_text.hpp>
#include <amct_distill/deploy/file_names.hpp>
#include <amct_distill/distill/distill_options.hpp>
#include <amct_distill/run/executor.hpp>
#include <amct_distill/student/check_parameters.hpp>
#include <amct_distill/student/run_options.hpp>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"
#include "support/small_network.hpp"

namespace student_same_network_test {

using namespace amct_distill;

namespace {
template <class F>
std::string thrown(F&& f) {
    try {
        f();
    } catch (const std::invalid_argument& e) {
        return e.what();
    }
    return "nothing";
}
std::string option_error(void (*change)(DistillOptions&)) {
    DistillOptions options;
    change(options);
    return thrown([&] { options.check_options(); });
}
}  // namespace

TEST_CASE("a plan that was changed after it was made no longer fits, and says where") {
    nn::Network const net = support::small_network();
    auto const plan = support::plan_for(net, "");
    CHECK(detail::difference(plan, net).empty());
    std::string const conv1 = "the plan's layer `conv1` is not that module of its graph";
    auto changed = plan;
    changed.layers[0].module = ModuleId{99};
    CHECK(detail::difference(changed, net) == conv1);
    changed = plan;
    changed.layers[0].module = plan.layers[1].module;
    CHECK(detail::difference(changed, net) == conv1);
    changed = plan;
    changed.layers[0].node = plan.layers[1].node;
    CHECK(detail::difference(changed, net) == conv1);
    changed = plan;
    changed.blocks[0].nodes.clear();
    CHECK(detail::difference(changed, net) == "block 0 of the plan has no nodes");
    changed = plan;
    changed.blocks[0].nodes.push_back(nn::NodeId{1000});
    CHECK(detail::difference(changed, net) == "block 0 of the plan has node 1000, which does not exist");
    changed = plan;
    changed.blocks[0].nodes.push_back(changed.blocks[0].nodes.front());
    CHECK(detail::difference(changed, net) == "in block 0 of the plan `conv1` is not in graph order");
}

TEST_CASE("batches that a network cannot run are refused by input, shape and samples") {
    nn::Network net;
    nn::NodeId const a = net.input("a", {2}), b = net.input("b", {2});
    net.output(net.add_function("sum", nn::Add{}, {a, b}));
    auto const said = [&](std::vector<nn::Tensor> batch) {
        return thrown([&] { detail::require_batch(net, batch, "calibrate", 3); });
    };
    CHECK(said({nn::Tensor({4, 2}), nn::Tensor({4, 2})}) == "nothing");
    CHECK(said({nn::Tensor({4, 2})}) ==
          "calibrate: batch 3: expected 2 tensors, one for each input, found 1");
    CHECK(said({nn::Tensor({4, 2}), nn::Tensor({4, 2, 1})}) ==
          "calibrate: batch 3: input \"b\": expected [N, 2], found [4, 2, 1]");
    CHECK(said({nn::Tensor({4, 3}), nn::Tensor({4, 2})}) ==
          "calibrate: batch 3: input \"a\": expected [N, 2], found [4, 3]");
    CHECK(said({nn::Tensor(), nn::Tensor({4, 2})})
              .starts_with("calibrate: batch 3: input \"a\": expected [N, 2]"));
    CHECK(said({nn::Tensor({0, 2}), nn::Tensor({4, 2})}) ==
          "calibrate: batch 3: input \"a\": expected [N, 2], found [0, 2]");
    CHECK(said({nn::Tensor({4, 2}), nn::Tensor({3, 2})}) ==
          "calibrate: batch 3: input \"b\": expected 4 samples as in the first, found 3");
}

TEST_CASE("options of a run that make no sense are named with what was found") {
    auto const threads = [](int n) {
        RunOptions run;
        run.threads = n;
        return thrown([&] { run.check_options("distill"); });
    };
    CHECK(threads(1024) == "nothing");
    CHECK(threads(0) == "distill: threads must be 1 to 1024, found 0");
    CHECK(threads(1025) == "distill: threads must be 1 to 1024, found 1025");
    CHECK(thrown([] { nn::Executor(1025); }) == "Executor: expected 1 to 1024 threads, found 1025");
    using O = DistillOptions;
    CHECK(option_error([](O&) {}) == "nothing");
    CHECK(option_error([](O& o) { o.blocks = BlockShape::residual; }) == "nothing");
    CHECK(option_error([](O& o) { o.blocks = BlockShape::automatic; }) == "nothing");
    CHECK(option_error([](O& o) { o.blocks = static_cast<BlockShape>(9); }) ==
          "distill: blocks must be one of BlockShape's values, found 9");
    CHECK(option_error([](O& o) { o.input = BlockInput::mix; }) == "nothing");
    CHECK(option_error([](O& o) { o.input = static_cast<BlockInput>(9); }) ==
          "distill: input must be one of BlockInput's values, found 9");
    CHECK(option_error([](O& o) { o.drop_probability = 1; }) ==
          "distill: drop_probability must be in [0, 1), found 1");
    CHECK(option_error([](O& o) { o.drop_probability = std::numeric_limits<double>::quiet_NaN(); }) ==
          "distill: drop_probability must be in [0, 1), found nan");
    CHECK(option_error([](O& o) { o.slices = 0; }) == "distill: slices must be 1 to 1024, found 0");
    CHECK(option_error([](O& o) { o.slices = 1025; }) == "distill: slices must be 1 to 1024, found 1025");
    CHECK(option_error([](O& o) { o.learning_rates.clips = std::numeric_limits<double>::infinity(); }) ==
          "distill: learning_rates.clips must be a number that is not negative, found inf");
    CHECK(option_error([](O& o) { o.learning_rates.scales = -1; }) ==
          "distill: learning_rates.scales must be a number that is not negative, found -1");
}

TEST_CASE("parameters that no network can have are found, the first of each tensor") {
    nn::Network net = support::small_network();
    CHECK(detail::check_parameters(net).empty());
    auto* const bn = net.module("bn1").get_if<nn::BatchNorm2d>();
    bn->running_var()[2] = -1;
    bn->running_var()[3] = -2;
    net.module("conv2").weighted()->weight()[10] = std::numeric_limits<float>::infinity();
    auto const errors = detail::check_parameters(net);
    REQUIRE(errors.size() == 2);
    CHECK(errors[0].message ==
          "layer `bn1`: running_var: value at [2] is -1; a variance is above 0, or 0 with an eps above it: "
          "check where it comes from");
    CHECK(errors[1].message ==
          "layer `conv2`: weight: value at [0, 1, 0, 1] is inf; only finite values can be used: check where "
          "they come from");
}

TEST_CASE("names of files and of C++ that a layer's name cannot be") {
    std::vector<std::string> const names{
        "prn.1", "CON", "com0", "lpt9", "com:", "comx", "\xEF\xBB\xBF", "A", "a"};
    auto const files = file_names(names);
    CHECK(files[0].starts_with("prn.1-"));
    CHECK(files[1].starts_with("CON-"));
    CHECK(files[2].starts_with("com0-"));
    CHECK(files[3].starts_with("lpt9-"));
    CHECK(files[5] == "comx");
    CHECK(files[6].find('\xEF') == std::string::npos);
    CHECK(files[7] == "A");
    CHECK(files[8].starts_with("a-"));  // one file where a system takes no notice of the case
    CHECK(detail::cpp_literal("a\n\x7F\"\\") == "\"a\\n\\177\\\"\\\\\"");
    CHECK(detail::is_cpp_identifier("Net_2"));
    for (std::string_view word : {"", "2net", "_net", "{net", "[net", "a__b", "a-b", "a{"})
        CHECK_FALSE(detail::is_cpp_identifier(word));
    CHECK(detail::is_cpp_keyword("xor_eq"));
    CHECK_FALSE(detail::is_cpp_keyword("network"));
}

}  // namespace student_same_network_test
