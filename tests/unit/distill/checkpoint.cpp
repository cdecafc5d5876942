// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/distill/checkpoint.hpp>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <amct_distill/distill/distill.hpp>
#include <amct_distill/student/calibrate.hpp>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <optional>
#include <random>

#include "support/catch.hpp"
#include "support/child_process.hpp"
#include "support/small_network.hpp"
#include "support/temporary_directory.hpp"

namespace distill_checkpoint_test {

using namespace amct_distill;

namespace {

std::string const config = detail::concat(support::int4_config, "data_dump: true");

struct Work {
    nn::Network teacher = support::small_network();
    std::vector<nn::Tensor> batches = support::small_batches(6, 8);
    Student student = make_student(teacher, support::plan_for(teacher, config)).value();

    Work() { calibrate(student, std::span(std::as_const(batches))).value(); }
    result<DistillReport> run(const DistillOptions& options, const RunOptions& how = {}) {
        return distill(teacher, student, batches, options, how);
    }
    std::string error(const DistillOptions& options, const RunOptions& how = {}) {
        auto const report = run(options, how);
        return report ? "" : report.diagnostics().back().message;
    }
    nn::Tensor output() const { return student.predict(batches[1]); }
};

bool same_blocks(const DistillReport& a, const DistillReport& b) {
    bool same = a.blocks.size() == b.blocks.size();
    for (std::size_t k = 0; same && k != a.blocks.size(); ++k)
        same = a.blocks[k].names == b.blocks[k].names && a.blocks[k].loss_before == b.blocks[k].loss_before &&
               a.blocks[k].loss_after == b.blocks[k].loss_after &&
               a.blocks[k].epoch_losses == b.blocks[k].epoch_losses &&
               a.blocks[k].best_epoch == b.blocks[k].best_epoch &&
               a.blocks[k].restarts == b.blocks[k].restarts && a.blocks[k].stopped == b.blocks[k].stopped;
    return same && a.output_error_distilled == b.output_error_distilled;
}

/// From here on no file of this process grows beyond `bytes`: as on a full disk.
void limit_files(rlim_t bytes) {
    signal(SIGXFSZ, SIG_IGN);
    rlimit const limit{bytes, bytes};
    setrlimit(RLIMIT_FSIZE, &limit);
}

}  // namespace

TEST_CASE("a run that was cancelled is resumed to the bits of an unbroken one, more than once") {
    support::temporary_directory const dir;
    DistillOptions const options{.epochs = 2};
    RunOptions how{.directory = dir.path() / "run"};
    Work whole;
    auto const expected = whole.run({.epochs = 2}).value();

    Work first;
    how.on_progress = [](const Progress& p) { return p.block == 0 || p.step < 3; };
    CHECK(first.run(options, how).value().cancelled);
    CHECK(std::filesystem::exists(dir.path() / "run" / "block_0.checkpoint"));
    CHECK_FALSE(std::filesystem::exists(dir.path() / "run" / "block_1.checkpoint"));

    how.on_progress = [](const Progress& p) { return p.block != 0; };  // it is not trained again
    CHECK(
        Work{}
            .error(options, how)
            .ends_with(
                "has the checkpoints of an earlier run; set resume to continue it, or remove the directory"));
    how.resume = true;
    for (std::size_t done : {1u, 3u}) {
        Work again;
        auto const report = again.run(options, how).value();
        CHECK(report.resumed_blocks == done);
        CHECK_FALSE(report.cancelled);
        CHECK(same_blocks(report, expected));
        CHECK(again.output() == whole.output());
        CHECK(again.student.quantizers("conv1")->data_clip() ==
              whole.student.quantizers("conv1")->data_clip());
    }
    CHECK_FALSE(std::filesystem::exists(dir.path() / "run" / "dump"));
}

TEST_CASE("a checkpoint of another run is refused with the reason, and the student is as calibrated") {
    support::temporary_directory const dir;
    DistillOptions const options{};
    RunOptions const how{.directory = dir.path(), .resume = true};
    Work{}.run(options, how).value();
    auto const refused = [&](Work work, const DistillOptions& now, std::string_view what) {
        INFO(what);
        nn::Tensor const before = work.output();
        CHECK(work.error(now, how).find(
                  detail::concat(": ", what, " is not that of the run that wrote it")) != std::string::npos);
        CHECK(work.output() == before);
    };
    DistillOptions other = options;
    other.epochs = 3;
    refused(Work{}, other, "the training options");
    other = options;
    other.optimizer = AdamW({.weight_decay = 0.1});
    refused(Work{}, other, "the training options");
    other = options;
    other.slices = 3;
    refused(Work{}, other, "the training options");
    Work work;
    work.batches[5][3] += 0.5f;
    refused(std::move(work), options, "the data");
    Work taught;
    taught.teacher.module("fc").get_if<nn::Linear>()->bias()[0] += 1;
    refused(std::move(taught), options, "the teacher");
    Work configured;
    configured.student = make_student(configured.teacher, support::plan_for(configured.teacher, "")).value();
    calibrate(configured.student, std::span(std::as_const(configured.batches))).value();
    refused(std::move(configured), options, "the configuration");
    Work calibrated;
    calibrated.student =
        make_student(calibrated.teacher, support::plan_for(calibrated.teacher, config)).value();
    calibrate(calibrated.student, std::span(std::as_const(calibrated.batches)).last(1)).value();
    refused(std::move(calibrated), options, "the calibrated student");
}

TEST_CASE("a run directory is one run's at a time") {
    support::temporary_directory const dir;
    RunOptions const how{.directory = dir.path()};
    std::optional<DirectoryLock> other = DirectoryLock::take(dir.path()).value();
    Work work;
    CHECK(work.error({}, how).find(detail::concat(" works in ", dir.path().string(), "; wait for its end")) !=
          std::string::npos);
    CHECK(dir.files() == 1);
    other.reset();
    CHECK(work.run({}, how));

    // Within a run, too: nobody takes what it is working on.
    support::temporary_directory const own;
    std::size_t refused = 0;
    Work{}
        .run({}, {.directory = own.path(),
                  .on_progress =
                      [&](const Progress& p) {
                          if (p.block == 1 && p.step == 0 &&
                              !Work{}.run({}, {.directory = own.path(), .resume = true}))
                              ++refused;
                          return true;
                      }})
        .value();
    CHECK(refused == 1);
}

TEST_CASE("a damaged checkpoint is an error that names it") {
    support::temporary_directory const dir;
    RunOptions const how{.directory = dir.path(), .resume = true};
    Work work;
    work.run({}, how).value();
    std::filesystem::path const path = dir.path() / "block_1.checkpoint";
    std::string const content = read_file(path).value();
    Fingerprint const mark =
        fingerprint(work.teacher, Work{}.student, work.batches, DistillOptions{}).value();
    Work const fresh;
    auto const blocks = blocks_of(fresh.teacher, fresh.student.plan(), BlockShape::amct);
    RunDirectory const run(dir.path(), mark, blocks);
    Student scratch = fresh.student;
    REQUIRE(run.load(1, scratch, content).has_value());

    std::size_t accepted = 0;
    auto const loads = [&](const std::string& damaged) {
        REQUIRE(write_file(path, damaged));
        return run.load(1, scratch, run.read(1).value().value()).has_value();
    };
    for (std::size_t size = 0; size < content.size(); size += 7) accepted += loads(content.substr(0, size));
    for (std::size_t i = 0; i < content.size(); i += 11) {
        std::string damaged = content;
        damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 8)));
        accepted += loads(damaged);
    }
    CHECK(accepted == 0);
    // A hash that fits does not help a text that does not: cut anywhere, or with more after it, it is
    // refused, and what is changed is, or is a number. A student that it is not given to is as before.
    auto const forged = [&](std::string text) {
        detail::BinaryWriter hash;
        hash.put(detail::hash_of(text));
        return text + hash.text;
    };
    std::string const text = content.substr(0, content.size() - 8);
    nn::Tensor const calibrated = fresh.output();
    scratch = fresh.student;
    for (std::size_t size = 0; size < text.size(); size += 3)
        accepted += run.load(1, scratch, forged(text.substr(0, size))).has_value();
    accepted += run.load(1, scratch, forged(text + '\0')).has_value();
    CHECK(accepted == 0);
    CHECK(scratch.predict(fresh.batches[1]) == calibrated);
    std::size_t refused = 0;
    for (std::size_t i = 0; i < text.size(); i += 3) {
        std::string changed = text;
        changed[i] = static_cast<char>(changed[i] ^ 0x41);
        Student student = fresh.student;
        if (run.load(1, student, forged(changed))) continue;
        ++refused;
        CHECK(student.predict(fresh.batches[1]) == calibrated);
    }
    CHECK(refused > 30);

    REQUIRE(write_file(path, content.substr(0, content.size() / 2)));
    nn::Tensor const before = fresh.output();
    Work broken;
    CHECK(broken.error({}, how) ==
          detail::concat("cannot resume from ", path.string(),
                         ": it is damaged or cut off; remove the file, and its block is trained again"));
    CHECK(broken.output() == before);
    std::filesystem::remove(path);
    CHECK(broken.run({}, how).value().resumed_blocks == 1);
    CHECK(broken.output() == work.output());
}

TEST_CASE("a run killed at any point ends, resumed, with the bits of an unbroken one") {
    constexpr std::uint64_t seed = 20;
    constexpr int points = 20;
    DistillOptions const options{.epochs = 3};
    RunOptions how{.resume = true};
    Work whole;
    support::temporary_directory const first;
    how.directory = first.path();
    auto const begin = std::chrono::steady_clock::now();
    auto const expected = whole.run(options, how).value();
    auto const microseconds =
        std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin)
            .count();

    std::mt19937_64 random(seed);
    Work const start;
    int same = 0, inside = 0;
    std::string places;
    for (int k = 0; k != points; ++k) {
        support::temporary_directory const dir;
        how.directory = dir.path();
        auto const delay =
            static_cast<useconds_t>(nn::next_uniform(random) * static_cast<double>(microseconds));
        Work work = start;
        std::fflush(nullptr);
        pid_t const child = fork();
        REQUIRE(child >= 0);
        if (child == 0) _exit(work.run(options, how) ? 0 : 1);
        usleep(delay);
        kill(child, SIGKILL);
        int status = 0;
        REQUIRE(waitpid(child, &status, 0) == child);
        if (WIFSIGNALED(status)) ++inside;

        auto const report = work.run(options, how);
        INFO("seed " << seed << ", point " << k << ", killed after " << delay << " us");
        REQUIRE(report);
        bool const equal = same_blocks(*report, expected) && work.output() == whole.output();
        CHECK(equal);
        CHECK(dir.files() == 3);  // the checkpoints, and nothing of the dump
        if (equal) ++same;
        places += detail::concat(k == 0 ? "" : " ", report->resumed_blocks);
    }
    std::printf(
        "kill tests: %d of %d resumed to the same bits (seed %d, %d killed in the run; blocks finished: "
        "%s)\n",
        same, points, static_cast<int>(seed), inside, places.c_str());
    CHECK(inside > 0);
}

TEST_CASE("what a killed run has dumped is removed, however many blocks it had finished") {
    DistillOptions const options{};
    for (std::size_t finished = 0; finished != 4; ++finished) {
        INFO(finished << " of 3 blocks");
        support::temporary_directory const dir;
        RunOptions const how{.directory = dir.path(), .resume = true};
        REQUIRE(Work{}.run(options, how));
        for (std::size_t b = finished; b != 3; ++b)
            REQUIRE(std::filesystem::remove(dir.path() / detail::concat("block_", b, ".checkpoint")));
        REQUIRE(
            write_file(dir.path() / "dump" / "amct_distill_dump_0" / "block_0_step_0_input_0.npy", "cut"));
        CHECK(Work{}.run(options, how).value().resumed_blocks == finished);
        CHECK(dir.files() == 3);
        CHECK_FALSE(std::filesystem::exists(dir.path() / "dump"));
    }
}

TEST_CASE("a full disk is an error that names the file, and nothing is lost") {
    support::temporary_directory const dir;
    Work whole;
    whole.run({.epochs = 2}).value();
    DistillOptions const options{.epochs = 2};
    RunOptions const how{.directory = dir.path() / "run", .resume = true};
    std::string const unchanged = "; student as calibrated";
    auto const on_full_disk = [&](Work work, rlim_t bytes) {
        return child_process::run([&] {
            limit_files(bytes);
            nn::Tensor const before = work.output();
            return detail::concat(work.error(options, how), work.output() == before ? unchanged : "");
        });
    };

    // A run directory that cannot be made is found out before the training.
    REQUIRE(write_file(dir.path() / "file", ""));
    std::size_t steps = 0;
    CHECK(Work{}.error({}, {.directory = dir.path() / "file" / "run",
                            .on_progress = [&](const Progress&) { return ++steps != 0; }}) ==
          detail::concat("cannot create ", (dir.path() / "file" / "run").string(), ": Not a directory"));
    CHECK(steps == 0);

    // The teacher's dump: an input of a block has 8 * 2 * 6 * 6 floats.
    std::string const dumping = on_full_disk(Work{}, 2000);
    std::string const place = (dir.path() / "run" / "dump" / "amct_distill_dump_0").string();
    CHECK(dumping == detail::concat("cannot write ", place,
                                    "/block0_step0_input.npy: File too large; the teacher's dump is kept in ",
                                    place, unchanged));

    // A checkpoint, when the dump has fit: the larger files are the dump's, so here is none.
    Work work;
    work.student = make_student(work.teacher, support::plan_for(work.teacher, support::int4_config)).value();
    calibrate(work.student, std::span(std::as_const(work.batches))).value();
    CHECK(on_full_disk(work, 400) == detail::concat("cannot write ",
                                                    (dir.path() / "run" / "block_0.checkpoint").string(),
                                                    ": File too large", unchanged));

    CHECK(work.run(options, how).value().resumed_blocks == 0);
    CHECK(work.output() == whole.output());
}

TEST_CASE("a block with functions, and with a module that is used twice, is resumed") {
    nn::Network teacher;
    nn::NodeId const x = teacher.input("x", {6});
    nn::NodeId const a = teacher.add("a", nn::Linear({.in_features = 6, .out_features = 6}), {x});
    nn::NodeId const relu = teacher.add("relu", nn::ReLU{}, {a});
    nn::NodeId const b = teacher.add("b", nn::Linear({.in_features = 6, .out_features = 6}), {relu});
    nn::NodeId const again = teacher.apply("again", "relu", {b});
    nn::NodeId const sum = teacher.add_function("sum", nn::Add{}, {again, x});
    teacher.output(teacher.add("last", nn::Linear({.in_features = 6, .out_features = 3}), {sum}));
    nn::initialize(teacher, 3);
    std::vector<nn::Tensor> batches(2, nn::Tensor({8, 6}));
    float v = 0;
    for (nn::Tensor& t : batches)
        for (float& value : t) value = std::sin(v += 1.0f);
    Student const calibrated = [&] {
        Student student = make_student(teacher, support::plan_for(teacher, support::int4_config)).value();
        calibrate(student, batches).value();
        return student;
    }();
    DistillOptions const options{.epochs = 2, .blocks = BlockShape::residual};
    Student whole = calibrated, broken = calibrated, resumed = calibrated;
    auto const expected = distill(teacher, whole, batches, options).value();
    CHECK(expected.blocks.front().names == std::vector<std::string>{"a", "relu", "b", "relu"});
    support::temporary_directory const dir;
    RunOptions how{.directory = dir.path() / "run"};
    how.on_progress = [](const Progress& p) { return p.block == 0; };
    CHECK(distill(teacher, broken, batches, options, how).value().cancelled);
    how.on_progress = {};
    how.resume = true;
    auto const report = distill(teacher, resumed, batches, options, how).value();
    CHECK(report.resumed_blocks == 1);
    CHECK(same_blocks(report, expected));
    CHECK(resumed.predict(batches[0]) == whole.predict(batches[0]));
    std::filesystem::remove(how.directory / "block_1.checkpoint");
    std::filesystem::create_directory(how.directory / "block_1.checkpoint");
    Student refused = calibrated;
    auto const unreadable = distill(teacher, refused, batches, options, how);
    REQUIRE_FALSE(unreadable);
    CHECK_THAT(unreadable.diagnostics()[0].message, Catch::Contains("block_1.checkpoint"));
    CHECK(refused.predict(batches[0]) == calibrated.predict(batches[0]));
}

}  // namespace distill_checkpoint_test
