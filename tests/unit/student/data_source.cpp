// SPDX-License-Identifier: Apache-2.0
// And what everyone who loads batches says when one cannot be loaded, whichever of the loads that is.
#include <amct_distill/student/data_source.hpp>

#include <amct_distill/deploy/verify.hpp>
#include <amct_distill/distill/distill.hpp>
#include <amct_distill/distill/observe_layers.hpp>
#include <amct_distill/distill/report_layers.hpp>
#include <amct_distill/report/make_page.hpp>
#include <amct_distill/student/bias_correction.hpp>
#include <amct_distill/student/calibrate.hpp>
#include <amct_distill/student/equalize.hpp>
#include <atomic>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"
#include "support/small_network.hpp"
#include "support/temporary_directory.hpp"
#include "support/thread_ranks.hpp"

namespace student_data_source_test {

using namespace amct_distill;

namespace {

/// Fails at one of the loads, and at no other. (They are asked for by one thread at a time.)
class Failing {
public:
    Failing(const std::vector<nn::Tensor>& batches, std::size_t at) : batches_(batches), at_(at) {}
    std::size_t size() const { return batches_.size(); }
    result<Batch> load(std::size_t i) const {
        std::size_t const n = asked_.fetch_add(1);
        if (n == at_) return general_error(detail::concat("load ", n, " fails"));
        return Batch{batches_[i]};
    }
    std::size_t asked() const { return asked_; }

private:
    const std::vector<nn::Tensor>& batches_;
    std::size_t at_;
    mutable std::atomic<std::size_t> asked_{0};
};

/// Runs with a source that fails at its first load, at its second, and so on, until there are no more loads:
/// so many. Each run but the last says which load failed.
template <class Run>
std::size_t loads_of(const std::vector<nn::Tensor>& batches, const Run& run) {
    for (std::size_t n = 0;; ++n) {
        Failing const source(batches, n);
        auto const done = run(DataSource(source));
        if (done && source.asked() <= n) return n;
        INFO("load " << n);
        REQUIRE_FALSE(done);
        REQUIRE(done.diagnostics().size() == 1);
        CHECK(done.diagnostics()[0].message.starts_with(detail::concat("load ", n, " fails")));
        REQUIRE(n < 500);
    }
}

std::vector<float> values_of(const nn::Network& net) {
    std::vector<float> all;
    for (const auto& m : net.modules())
        for (const auto& p : m.module.parameters()) all.insert(all.end(), p.values.begin(), p.values.end());
    return all;
}

/// The first layer is used again at the end, so that it changes what its block reads.
nn::Network shared_network() {
    nn::Network net;
    nn::NodeId x = net.input("x", {6});
    x = net.add("first", nn::Linear({.in_features = 6, .out_features = 6}), {x});
    x = net.add("relu", nn::ReLU{}, {x});
    x = net.add("second", nn::Linear({.in_features = 6, .out_features = 6}), {x});
    net.output(net.apply("again", "first", {x}));
    nn::initialize(net, 3);
    return net;
}
std::vector<nn::Tensor> shared_batches() {
    std::vector<nn::Tensor> batches(2, nn::Tensor({4, 6}));
    std::mt19937_64 random(5);
    for (nn::Tensor& t : batches)
        for (float& v : t) v = static_cast<float>(2 * nn::next_uniform(random) - 1);
    return batches;
}

}  // namespace

TEST_CASE("a batch that cannot be loaded ends what reads each batch once") {
    nn::Network const teacher = support::small_network();
    auto const batches = support::small_batches(3, 2);
    Student const made = make_student(teacher, support::plan_for(teacher, "batch_num: 3")).value();
    Student calibrated = made;
    calibrate(calibrated, batches).value();
    Deployment const device = deploy(calibrated).value();
    for (bool ahead : {false, true}) {
        RunOptions const run{.load_ahead = ahead};
        CHECK(loads_of(batches, [&](DataSource source) {
                  Student student = made;
                  auto done = calibrate(student, source, run);
                  CHECK(student.quantizers("conv1")->is_calibrated() == done.has_value());
                  return done;
              }) == 3);
        CHECK(loads_of(batches, [&](DataSource source) { return (verify)(device, source, run); }) == 3);
        CHECK(loads_of(batches,
                       [&](DataSource source) { return (verify)(device, calibrated, source, run); }) == 3);
    }
    CHECK(loads_of(batches, [&](DataSource source) {
              nn::Network net = teacher;
              auto done = equalize(net, source, {}, {.into = EqualizeInto::convolutions});
              CHECK((values_of(net) == values_of(teacher)) == !done);
              return done;
          }) == 3);
    CHECK(loads_of(batches, [&](DataSource source) { return observe_layers(teacher, calibrated, source); }) ==
          3);
    CHECK(loads_of(batches, [&](DataSource source) { return report_layers(calibrated, source); }) == 3);
    CHECK(loads_of(batches, [&](DataSource source) { return summarize_data(teacher, source); }) == 3);
    CHECK(loads_of(batches, [&](DataSource source) {
              return make_page("model", teacher, calibrated, source, {});
          }) == 6);  // what layers have, and what the data look like
}

TEST_CASE("biases are as they were, whichever load of their correction fails") {
    nn::Network const teacher = support::small_network();
    auto const batches = support::small_batches(2, 3);
    Student calibrated = make_student(teacher, support::plan_for(teacher, "batch_num: 2")).value();
    calibrate(calibrated, batches).value();
    auto const loads = [&](std::size_t memory) {
        return loads_of(batches, [&](DataSource source) {
            Student student = calibrated;
            auto done = correct_biases(teacher, student, source, {.memory_bytes = memory});
            CHECK((values_of(student.network()) == values_of(calibrated.network())) == !done);
            return done;
        });
    };
    // The first batch tells how many samples there are. Then each of the networks is at its inputs for the
    // first of three layers and on the way to the second; without memory it always is.
    CHECK(loads(1 << 20) == 1 + 2 * 2 * 2);
    CHECK(loads(0) == 1 + 2 * 2 * 3);
}

TEST_CASE(
    "a distillation leaves the student as calibrated, whichever load fails, and where it learns nothing") {
    auto const check = [](const nn::Network& teacher, const std::vector<nn::Tensor>& batches,
                          std::string_view config, const DistillOptions& options, RunOptions run,
                          bool directory) {
        Student calibrated = make_student(teacher, support::plan_for(teacher, config)).value();
        calibrate(calibrated, batches).value();
        support::temporary_directory const dir;
        std::size_t runs = 0;
        return loads_of(batches, [&](DataSource source) {
            if (directory) run.directory = dir.path() / detail::number(runs++);
            Student student = calibrated;
            auto done = distill(teacher, student, source, options, run);
            CHECK(values_of(student.network()) == values_of(calibrated.network()));
            return done;
        });
    };
    auto const batches = support::small_batches(2, 2);
    nn::Network const net = support::small_network();
    // Nothing is learned, so the calibrated student stays, and its layers are measured.
    LearningRates const none{.parameters = 0, .clips = 0, .scales = 0};
    DistillOptions const still{.learning_rates = none},
        fisher{.learning_rates = none, .loss_weights = LossWeights::fisher};
    for (bool ahead : {false, true}) {
        // For both networks at once, for the calibrated one, for its layers; the rest waits in files.
        RunOptions const run{.memory_bytes = 0, .load_ahead = ahead};
        CHECK(check(net, batches, "", still, run, false) == 2 * 3);
        CHECK(check(net, batches, "", fisher, run, false) == 2 * 3);
        // For the directory's mark, for the dump, for the student, for both others, for the layers.
        CHECK(check(net, batches, "data_dump: true", still, run, true) == 2 * 5);
    }
}

TEST_CASE("a block whose inputs follow its training says which load failed, in a step or in between") {
    nn::Network const teacher = shared_network();
    auto const batches = shared_batches();
    TrainedBlock const block = detail::block_of_nodes(teacher, {*teacher.find("again")}, true);
    for (double decay : {0.0, 0.9}) {
        DistillOptions options{.epochs = 2, .drop_probability = 0.5};
        options.search.average_decay = decay;
        options.search.evaluations_per_epoch = 2;
        CHECK(loads_of(batches, [&](DataSource source) {
                  nn::Network student = teacher;
                  for (float& v : student.module("second").get_if<nn::Linear>()->weight()) v *= 0.9f;
                  CacheBudget budget(0);
                  PrefixRunner of_student(student, source, budget), of_teacher(teacher, source, budget);
                  BlockData data(of_student, of_teacher, budget, source.size(), block, nullptr, 0);
                  bool cancelled = false;
                  return BlockTrainer<>(student, data).train(options, {}, cancelled);
              }) >= 2 * (2 + 2 * 2 + 2 * 2));  // before the training, for each step, after each epoch
    }
}

TEST_CASE("a rank whose part of a batch cannot be loaded tells the others") {
    struct Parts {
        std::vector<nn::Tensor> batches = support::small_batches(2, 4);
        std::size_t bad = 99;  // of this batch more is loaded than was asked for
        std::size_t failing = 99;
        std::size_t size() const { return batches.size(); }
        std::size_t samples(std::size_t) const { return 4; }
        result<Batch> load(std::size_t i) const { return Batch{batches[i]}; }
        result<Batch> load(std::size_t i, BatchSlice part) const {
            if (i == failing && part.begin != 0) return general_error("the disk is gone");
            if (i == bad && part.begin != 0) return Batch{batches[i]};
            nn::Tensor of;
            detail::take_slice(batches[i], {nn::any_batch, 2, 6, 6}, part, of);
            return Batch{of};
        }
    };
    nn::Network const teacher = support::small_network();
    Student const made = make_student(teacher, support::plan_for(teacher, "batch_num: 2")).value();
    auto const said = [&](const Parts& source) {
        std::vector<std::string> all(2);
        support::run_ranks(2, [&](Ranks* ranks) {
            Student student = made;
            all[ranks->rank()] = to_string(calibrate(student, source, {.ranks = ranks}).diagnostics());
        });
        return all;
    };
    CHECK(said({}) == std::vector<std::string>{"", ""});
    CHECK(said({.failing = 1}) ==
          std::vector<std::string>{"error: rank 1: the disk is gone", "error: the disk is gone"});
    std::string const more = "calibrate: batch 0: samples 2 to 4 were asked for, and 4 loaded";
    CHECK(said({.bad = 0}) == std::vector<std::string>{"error: rank 1: " + more, "error: " + more});
}

}  // namespace student_data_source_test
