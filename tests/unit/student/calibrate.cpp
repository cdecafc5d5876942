// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/student/calibrate.hpp>

#include <cmath>
#include <filesystem>
#include <functional>
#include <optional>

#include "support/catch.hpp"
#include "support/failing_files.hpp"
#include "support/golden.hpp"
#include "support/small_network.hpp"
#include "support/temporary_directory.hpp"

namespace distill_calibrate_test {

using namespace amct_distill;

TEST_CASE("each layer's input is observed over batch_num batches, each once") {
    nn::Network const teacher = support::small_network();
    auto const batches = support::small_batches(4, 4);
    Student student = make_student(teacher, support::plan_for(teacher, "batch_num: 3")).value();
    auto const report = calibrate(student, batches);
    REQUIRE(report);
    CHECK(report->batches == 3);
    CHECK(report.diagnostics().empty());

    Ifmr<Int8> ifmr;  // what conv1 sees is the data itself
    for (std::size_t i : {0u, 1u, 2u}) ifmr.observe(batches[i].span()).value();
    CHECK(student.quantizers("conv1")->data_clip() == ifmr.finish()->clip);
    CHECK(student.quantizers("conv2")->fixed_min());  // after a ReLU
    CHECK(student.quantizers("conv2")->data_clip().min == 0.0f);

    // Fewer than batch_num: a warning, and the clips of those.
    Student fewer = make_student(teacher, support::plan_for(teacher, "batch_num: 1000000")).value();
    auto const warned = calibrate(fewer, std::span(batches).first(3));
    REQUIRE(warned);
    CHECK(warned->batches == 3);
    CHECK(to_string(warned.diagnostics()) ==
          "warning: calibrate: batch_num is 1000000, and 3 batches were given; each counts once");
    for (const char* name : {"conv1", "conv2", "fc"})
        CHECK(fewer.quantizers(name)->data_clip() == student.quantizers(name)->data_clip());
}

TEST_CASE(
    "inputs pass unquantized until all clips are found, while clips of the user's hold from the start") {
    nn::Network const teacher = support::small_network();
    auto const batches = support::small_batches(1, 4);
    std::string_view const clips =
        "distill_override_layers { layer_name: 'conv1' distill_data_quant_config {\n"
        "  ulq_quantize { clip_max_min { clip_max: 0.25 clip_min: -0.25 } } } }";
    Student plain = make_student(teacher, support::plan_for(teacher, "")).value();
    Student user = make_student(teacher, support::plan_for(teacher, clips)).value();
    REQUIRE(calibrate(plain, std::span(batches)));
    REQUIRE(calibrate(user, std::span(batches)));
    CHECK(user.quantizers("conv1")->data_clip() == ClipRange{0.25f, -0.25f});
    CHECK(user.quantizers("conv2")->data_clip() != plain.quantizers("conv2")->data_clip());
}

TEST_CASE("bad data is refused with the layer that meets it") {
    nn::Network const teacher = support::small_network();
    Student student = make_student(teacher, support::plan_for(teacher, "")).value();
    CHECK(calibrate(student, {}).diagnostics().at(0).message == "calibrate: no batches; give at least one");
    auto batches = support::small_batches(1, 4);
    batches[0][7] = std::nanf("");
    auto const bad = calibrate(student, batches);
    REQUIRE_FALSE(bad);
    CHECK(bad.diagnostics()[0].message.starts_with("layer `conv1`: activations: value at [7] is nan;"));
    nn::Tensor const wrong({1, 3, 6, 6});
    CHECK_THROWS_WITH(calibrate(student, std::span(&wrong, 1)),
                      "calibrate: batch 0: input \"image\": expected [N, 2, 6, 6], found [1, 3, 6, 6]");
    CHECK_THROWS_WITH(calibrate(student, std::vector<Batch>{{wrong, wrong}}),
                      "calibrate: batch 0: expected 1 tensor, one for each input, found 2");
    CHECK_THROWS_WITH(calibrate(student, std::vector{nn::Tensor({0, 2, 6, 6})}),
                      "calibrate: batch 0: input \"image\": expected [N, 2, 6, 6], found [0, 2, 6, 6]");
    CHECK_FALSE(student.quantizers("conv1")->is_calibrated());
}

namespace {
bool same_clips(const Student& a, const Student& b) {
    bool same = true;
    for (const char* name : {"conv1", "conv2", "fc"})
        same = same && a.quantizers(name)->data_clip() == b.quantizers(name)->data_clip() &&
               a.quantizers(name)->is_calibrated() == b.quantizers(name)->is_calibrated();
    return same;
}
}  // namespace

TEST_CASE("a calibration that fails leaves nothing behind, and another one starts anew") {
    nn::Network const teacher = support::small_network();
    auto const good = support::small_batches(2, 4), other = support::small_batches(2, 4, 9);
    auto nan = good, wrong = good;
    for (float& v : nan[0]) v *= 100;  // the first would count
    nan[1][5] = std::nanf("");
    wrong[0] = nan[0];
    wrong[1] = nn::Tensor({1, 3, 6, 6});
    auto const plan = support::plan_for(teacher, "batch_num: 2");
    Student const made = make_student(teacher, plan).value();
    Student fresh = made, twice = made;
    calibrate(fresh, good).value();
    calibrate(twice, other).value();
    CHECK_FALSE(same_clips(twice, fresh));

    for (const Student& start : {made, twice}) {
        Student student = start;
        CHECK_FALSE(calibrate(student, nan));
        CHECK(same_clips(student, start));
        CHECK(student.predict(good[0]) == start.predict(good[0]));
        CHECK_THROWS(calibrate(student, wrong));
        CHECK(same_clips(student, start));
        calibrate(student, good).value();
        CHECK(same_clips(student, fresh));
        CHECK(student.predict(good[0]) == fresh.predict(good[0]));
    }
}

TEST_CASE("the clips are the same within any memory, on any threads, from any source") {
    nn::Network const teacher = support::small_network();
    auto const tensors = support::small_batches(3, 40);
    auto const plan = support::plan_for(teacher, "batch_num: 3");
    Student const made = make_student(teacher, plan).value();
    Student plain = made;
    calibrate(plain, tensors).value();
    for (const RunOptions& run :
         {RunOptions{.memory_bytes = 0}, {.threads = 3}, {.threads = 2, .memory_bytes = 1000}}) {
        Student other = made;
        calibrate(other, tensors, run).value();
        CHECK(same_clips(other, plain));
    }
    support::temporary_directory const dir;
    Student in_folder = made;
    calibrate(in_folder, tensors, {.memory_bytes = 0, .directory = dir.path() / "run"}).value();
    CHECK(same_clips(in_folder, plain));
    CHECK(std::filesystem::is_empty(dir.path() / "run"));

    struct Source {
        const std::vector<nn::Tensor>& tensors;
        std::size_t fails_at;
        std::size_t size() const { return tensors.size(); }
        result<Batch> load(std::size_t i) const {
            if (i == fails_at) return general_error("cannot load it");
            return Batch{tensors[i]};
        }
    };
    Student streamed = made;
    calibrate(streamed, Source{tensors, 3}).value();
    CHECK(same_clips(streamed, plain));
    Student failed = made;
    CHECK(calibrate(failed, Source{tensors, 1}).diagnostics().at(0).message == "cannot load it");
    CHECK(same_clips(failed, made));

    std::vector<Batch> batches;
    for (const nn::Tensor& t : tensors) batches.push_back({t});
    Student from_batches = made;
    calibrate(from_batches, batches).value();
    CHECK(same_clips(from_batches, plain));
}

TEST_CASE("IFMR takes its options from the caller, and bad options are refused before work") {
    nn::Network const teacher = support::small_network();
    auto const batches = support::small_batches(1, 4);
    Student const made = make_student(teacher, support::plan_for(teacher, "")).value();
    Student student = made;
    calibrate(student, batches, {}, {.ifmr = {.max_percentile = 0.9, .min_percentile = 0.9}}).value();
    Ifmr<Int8> ifmr(IfmrOptions{.max_percentile = 0.9, .min_percentile = 0.9});
    ifmr.observe(batches[0].span()).value();
    CHECK(student.quantizers("conv1")->data_clip() == ifmr.finish()->clip);

    CHECK_THROWS_WITH(calibrate(student, batches, {}, {.ifmr = {.max_percentile = std::nan("")}}),
                      Catch::Contains("calibrate: ifmr: IFMR: the percentile nan is not in (0, 1]"));
    CHECK_THROWS_WITH(calibrate(student, batches, {}, {.ifmr = {.search_step = 0}}),
                      Catch::Contains("IFMR: the search"));
    CHECK_THROWS_WITH(calibrate(student, batches, {.threads = 0}),
                      "calibrate: threads must be 1 to 1024, found 0");
    CHECK_THROWS_WITH(calibrate(student, batches, {.resume = true}),
                      Catch::Contains("calibrate: resume needs"));
}

TEST_CASE("a network of two inputs is calibrated on batches of two tensors") {
    nn::Network net;
    nn::NodeId const a = net.input("a", {4}), b = net.input("b", {4});
    nn::NodeId x = net.add("left", nn::Linear({.in_features = 4, .out_features = 4}), {a});
    nn::NodeId y = net.add("right", nn::Linear({.in_features = 4, .out_features = 4}), {b});
    net.output(net.add_function("sum", nn::Add{}, {x, y}));
    nn::initialize(net, 1);
    Batch batch{nn::Tensor({8, 4}), nn::Tensor({8, 4})};
    for (std::size_t i = 0; i != 32; ++i) {
        batch[0][i] = static_cast<float>(i) / 32;
        batch[1][i] = -static_cast<float>(i);
    }
    Student student = make_student(net, support::plan_for(net, "")).value();
    calibrate(student, std::vector<Batch>{batch}).value();
    CHECK(student.quantizers("left")->data_clip().max == Approx(1).epsilon(0.4));
    CHECK(student.quantizers("right")->data_clip().min == Approx(-31).epsilon(0.4));
    batch[1] = nn::Tensor({7, 4});
    CHECK_THROWS_WITH(calibrate(student, std::vector<Batch>{batch}),
                      "calibrate: batch 0: input \"b\": expected 8 samples as in the first, found 7");
}

TEST_CASE("a directory that cannot be made, or has no room for what layers read, is an error") {
    nn::Network net;
    net.output(net.add("fc", nn::Linear({.in_features = 64, .out_features = 2}), {net.input("x", {64})}));
    nn::initialize(net, 1);
    struct Source {
        std::vector<nn::Tensor> batches = std::vector<nn::Tensor>(2, nn::Tensor({1100, 64}));
        std::function<void()> before_the_second = [] {};
        std::size_t size() const { return 2; }
        result<Batch> load(std::size_t i) const {
            if (i == 1) before_the_second();
            return Batch{batches[i]};
        }
    };
    Source source;
    for (std::size_t i = 0; i != source.batches[0].size(); ++i)
        source.batches[0][i] = source.batches[1][i] = static_cast<float>(i % 255) - 100;
    support::temporary_directory const dir;
    Student student = make_student(net, support::plan_for(net, "batch_num: 2")).value();
    RunOptions run{.memory_bytes = 0, .directory = dir.path() / "run", .load_ahead = false};
    {
        std::optional<support::FileSizeLimit> limit;
        source.before_the_second = [&] { limit.emplace(1000); };
        auto const full = calibrate(student, source, run);
        limit.reset();
        REQUIRE_FALSE(full);
        CHECK(full.diagnostics()[0].message ==
              "layer `fc`: cannot write the temporary file of observed values: File too large; make room for "
              "it, or allow more memory");
    }
    CHECK_FALSE(student.quantizers("fc")->is_calibrated());
    source.before_the_second = [] {};
    run.load_ahead = true;
    auto const report = calibrate(student, source, run);
    REQUIRE(report);
    CHECK(report.diagnostics().empty());
    CHECK(student.quantizers("fc")->data_clip().max > 100);
    CHECK(dir.files() == 0);
    REQUIRE(write_file(dir.path() / "file", "f"));
    run.directory = dir.path() / "file" / "run";
    CHECK(calibrate(student, source, run).diagnostics().at(0).message ==
          detail::concat("cannot create ", run.directory.string(), ": Not a directory"));
    auto const one = calibrate(student, std::span(source.batches).first(1));
    CHECK(to_string(one.diagnostics()) ==
          "warning: calibrate: batch_num is 2, and 1 batch was given; each counts once");
}

TEST_CASE("values for which there are no clips are an error that names the layer") {
    nn::Network net;
    net.output(net.add("fc", nn::Linear({.in_features = 4, .out_features = 2}), {net.input("x", {4})}));
    nn::initialize(net, 1);
    Student student = make_student(net, support::plan_for(net, "")).value();
    auto const wide = calibrate(student, std::vector{nn::Tensor({1, 4}, {3e38f, -3e38f, 0, 1})});
    REQUIRE_FALSE(wide);
    CHECK(wide.diagnostics()[0].message.starts_with("layer `fc`: activations: "));
    CHECK_FALSE(student.quantizers("fc")->is_calibrated());
}

}  // namespace distill_calibrate_test
