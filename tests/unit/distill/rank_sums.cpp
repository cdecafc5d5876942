// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/distill/rank_sums.hpp>

#include <amct_distill/deploy/deployment.hpp>
#include <amct_distill/deploy/verify.hpp>
#include <amct_distill/distill/distill.hpp>
#include <amct_distill/nn/initialize.hpp>
#include <amct_distill/student/calibrate.hpp>

#include <filesystem>
#include <map>
#include <mutex>
#include <random>

#include "support/catch.hpp"
#include "support/small_network.hpp"
#include "support/temporary_directory.hpp"
#include "support/thread_ranks.hpp"

namespace distill_rank_sums_test {

using namespace amct_distill;

TEST_CASE("gradients of ranks are added along the tree of their slices, in parts or at once") {
    for (std::size_t slices : {1u, 2u, 5u, 8u, 11u}) {
        std::mt19937_64 random(slices);
        std::vector<std::vector<nn::Tensor>> gradients;
        for (std::size_t k = 0; k != slices; ++k) {
            gradients.push_back({nn::Tensor({3, 7}), nn::Tensor({10})});
            for (nn::Tensor& t : gradients.back())
                for (float& v : t) v = static_cast<float>(nn::next_uniform(random) * 2 - 1);
        }
        std::vector<float> expected;  // by element, as values of their own
        for (std::size_t p = 0; p != 2; ++p)
            for (std::size_t i = 0; i != gradients[0][p].size(); ++i) {
                std::vector<float> values;
                for (std::size_t k = 0; k != slices; ++k) values.push_back(gradients[k][p][i]);
                expected.push_back(detail::tree_sum(std::span(values)));
            }
        for (std::size_t ranks : {2u, 3u, 5u, 8u})
            for (std::size_t to_part : {std::size_t{0}, detail::RankSums::least_to_part})
                support::run_ranks(ranks, [&](Ranks* r) {
                    detail::RankSums sums(r, to_part);
                    for (int repeat = 0; repeat != 2; ++repeat) {
                        detail::IndexRange const own = detail::own_range(r, slices);
                        std::vector<std::vector<nn::Tensor>> mine(slices);
                        std::vector<double> losses(slices);
                        for (std::size_t k = own.begin; k != own.end; ++k) {
                            mine[k] = gradients[k];
                            losses[k] = static_cast<double>(k) + 0.5;
                        }
                        std::vector<nn::Tensor> found{nn::Tensor({3, 7}), nn::Tensor({10})};
                        sums.add_up(mine, slices, losses, found);
                        for (std::size_t k = 0; k != slices; ++k)
                            if (losses[k] != static_cast<double>(k) + 0.5) throw std::logic_error("losses");
                        std::size_t at = 0;
                        for (const nn::Tensor& t : found)
                            for (float v : t)
                                if (v != expected[at++]) throw std::logic_error("a sum has other bits");
                    }
                });
    }
}

namespace {

/// Everything that a run leaves, of one of its ranks.
struct Outcome {
    std::vector<float> numbers{};
    std::vector<double> figures{};
    friend bool operator==(const Outcome&, const Outcome&) = default;
};

/// Loads parts, and counts the samples that were asked for.
struct Files {
    std::vector<nn::Tensor> batches{};
    std::mutex* mutex = nullptr;
    std::size_t* most = nullptr;

    std::size_t size() const { return batches.size(); }
    std::size_t samples(std::size_t i) const { return static_cast<std::size_t>(batches[i].dim(0)); }
    result<Batch> load(std::size_t i) const { return load(i, {0, batches[i].dim(0)}); }
    result<Batch> load(std::size_t i, BatchSlice part) const {
        if (mutex != nullptr) {
            std::lock_guard const lock(*mutex);
            *most = (std::max)(*most, static_cast<std::size_t>(part.size()));
        }
        nn::Tensor t;
        detail::take_slice(batches[i], {nn::any_batch, 2, 6, 6}, part, t);
        return Batch{t};
    }
};

Files files() {
    Files out;
    for (int samples : {8, 9, 3, 1, 16})  // fewer than the ranks, as many, more
        out.batches.push_back(support::small_batches(1, samples, static_cast<std::uint64_t>(samples))[0]);
    return out;
}

Outcome work(const DataSource& data, std::string_view config, const RunOptions& run,
             const nn::Network& teacher = support::small_network()) {
    Student student = make_student(teacher, support::plan_for(teacher, config)).value();
    calibrate(student, data, run).value();
    DistillReport const report = distill(teacher, student, data, {.epochs = 2}, run).value();
    VerifyReport const verified = (verify)(deploy(student).value(), student, data, run).value();
    Outcome out;
    for (const auto& m : student.network().modules())
        for (const auto& p : m.module.parameters())
            out.numbers.insert(out.numbers.end(), p.values.begin(), p.values.end());
    out.figures = {report.output_error_calibrated, report.output_error_distilled, verified.output_error,
                   verified.output_square, verified.output_largest};
    for (const BlockReport& b : report.blocks) {
        out.figures.insert(out.figures.end(), {b.loss_before, b.loss_after, static_cast<double>(b.best_epoch),
                                               static_cast<double>(b.teacher_inputs)});
        out.figures.insert(out.figures.end(), b.epoch_losses.begin(), b.epoch_losses.end());
    }
    for (const LayerReport& l : report.layers)
        out.figures.insert(out.figures.end(),
                           {l.weight_sqnr, l.data_sqnr, l.saturation, static_cast<double>(l.data_clip.max)});
    for (const VerifiedLayer& l : verified.layers)
        out.figures.insert(out.figures.end(),
                           {static_cast<double>(l.outputs), static_cast<double>(l.different),
                            static_cast<double>(l.largest), static_cast<double>(l.inputs_different)});
    return out;
}

/// On every rank alike, or it throws.
Outcome work_on(std::size_t ranks, const DataSource& data, std::string_view config, const RunOptions& run,
                const nn::Network& teacher = support::small_network()) {
    std::vector<Outcome> outcomes(ranks);
    support::run_ranks(ranks, [&](Ranks* r) {
        RunOptions own = run;
        own.ranks = r;
        outcomes[r == nullptr ? 0 : r->rank()] = work(data, config, own, teacher);
    });
    for (const Outcome& o : outcomes)
        if (!(o == outcomes[0])) throw std::logic_error("the ranks do not agree");
    return outcomes[0];
}

}  // namespace

TEST_CASE("a run has the same bits on any number of ranks and threads, whatever is kept where") {
    support::temporary_directory const dir;
    Files const data = files();
    Outcome const alone = work(data, support::int4_config, {});
    std::string const dumping = detail::concat(support::int4_config, "data_dump: true");
    int run = 0;
    for (std::size_t ranks : {1u, 2u, 3u, 5u, 8u}) {
        INFO(ranks << " ranks");
        // Some of it has room on one rank and not on another: then it is computed again, or files hold it.
        std::size_t const memory = ranks == 3 ? 5000 : std::size_t{1} << 20;
        int const threads = ranks == 2 ? 3 : 1;
        CHECK(work_on(ranks, data, support::int4_config, {.threads = threads, .memory_bytes = memory}) ==
              alone);
        auto const place = dir.path() / detail::concat(run++);
        CHECK(work_on(ranks, data, dumping, {.memory_bytes = 3000, .directory = place}) == alone);
        std::size_t left = 0;
        for ([[maybe_unused]] const auto& file : std::filesystem::recursive_directory_iterator(place)) ++left;
        CHECK(left == 3);  // the checkpoints
    }
    // In memory, a batch is cut here.
    CHECK(work_on(3, std::span(data.batches), support::int4_config, {}) == alone);
}

TEST_CASE("a rank loads its own samples and no others") {
    Files data = files();
    std::mutex mutex;
    std::size_t most = 0;
    data.mutex = &mutex;
    data.most = &most;
    work_on(1, data, support::int4_config, {});
    CHECK(most == 16);
    most = 0;
    work_on(2, data, support::int4_config, {});
    CHECK(most == 8);
    most = 0;
    work_on(8, data, support::int4_config, {});
    CHECK(most == 2);
}

TEST_CASE("a network whose samples cannot be told apart runs on every rank, with the same bits") {
    nn::Network teacher;
    nn::NodeId const x = teacher.fixed_input("x", {4, 6});
    teacher.output(teacher.add("fc", nn::Linear({.in_features = 6, .out_features = 3}), {x}));
    nn::initialize(teacher, 1);
    std::vector<nn::Tensor> batches(3, nn::Tensor({4, 6}));
    std::mt19937_64 random(3);
    for (nn::Tensor& t : batches)
        for (float& v : t) v = static_cast<float>(2 * nn::next_uniform(random) - 1);
    Outcome const alone = work(std::span(batches), support::int4_config, {}, teacher);
    CHECK(work_on(3, std::span(batches), support::int4_config, {.threads = 2}, teacher) == alone);
}

TEST_CASE("a checkpoint of some ranks is continued by others, and a failure leaves what was finished") {
    support::temporary_directory const dir;
    Files const data = files();
    Outcome const alone = work(data, support::int4_config, {});
    int run = 0;
    for (auto [before, after] : {std::pair{1u, 3u}, {3u, 1u}, {2u, 5u}}) {
        auto const place = dir.path() / detail::concat(run++);
        RunOptions how{.directory = place};
        how.on_progress = [](const Progress& p) -> bool {
            if (p.block == 1 && p.epoch == 1) throw std::runtime_error("the power went out");
            return true;
        };
        CHECK_THROWS_WITH(work_on(before, data, support::int4_config, how),
                          Catch::Contains("the power went out"));
        CHECK(std::filesystem::exists(place / "block_0.checkpoint"));
        CHECK_FALSE(std::filesystem::exists(place / "block_1.checkpoint"));
        CHECK(work_on(after, data, support::int4_config, {.directory = place, .resume = true}) == alone);
    }
}

TEST_CASE("a batch that one rank cannot load is an error of all, which names the rank") {
    struct Broken {
        Files files{};
        std::size_t size() const { return files.size(); }
        std::size_t samples(std::size_t i) const { return files.samples(i); }
        result<Batch> load(std::size_t i) const { return files.load(i); }
        result<Batch> load(std::size_t i, BatchSlice part) const {
            if (i == 1 && part.begin == 2) return general_error("sample 4 is not a number");
            return files.load(i, part);
        }
    } const data{files()};
    nn::Network const teacher = support::small_network();
    std::vector<std::string> said(3);
    support::run_ranks(3, [&](Ranks* ranks) {
        Student student = make_student(teacher, support::plan_for(teacher, support::int4_config)).value();
        auto const done = calibrate(student, data, {.ranks = ranks});
        said[ranks->rank()] = done ? "done" : done.diagnostics()[0].message;
    });
    CHECK(said == std::vector<std::string>{"done", "done", "done"});  // batch_num is 1
    support::run_ranks(3, [&](Ranks* ranks) {
        Student student = make_student(teacher, support::plan_for(teacher, support::int4_config)).value();
        calibrate(student, std::span(data.files.batches), {.ranks = ranks}).value();
        auto const done = distill(teacher, student, data, {}, {.ranks = ranks});
        said[ranks->rank()] = done ? "done" : done.diagnostics()[0].message;
    });
    CHECK(said == std::vector<std::string>{"rank 1: sample 4 is not a number", "sample 4 is not a number",
                                           "rank 1: sample 4 is not a number"});
}

TEST_CASE("more ranks than slices are an error that says what to set") {
    nn::Network const teacher = support::small_network();
    auto const batches = support::small_batches(1, 8);
    support::run_ranks(3, [&](Ranks* ranks) {
        Student student = make_student(teacher, support::plan_for(teacher, support::int4_config)).value();
        calibrate(student, std::span(batches), {.ranks = ranks}).value();
        auto const done = distill(teacher, student, std::span(batches), {.slices = 2}, {.ranks = ranks});
        if (done ||
            done.diagnostics()[0].message !=
                "distill: there are 3 ranks, and a batch is cut into 2 slices; set slices to 3 or more")
            throw std::logic_error("slices");
    });
}

}  // namespace distill_rank_sums_test
