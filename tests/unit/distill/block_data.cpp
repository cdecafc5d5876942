// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/distill/block_data.hpp>

#include "support/catch.hpp"
#include "support/small_network.hpp"
#include "support/temporary_directory.hpp"

namespace distill_block_data_test {

using namespace amct_distill;

TEST_CASE(
    "the student's input, unless it is off by more than half of the smaller power: then the teacher's") {
    nn::Network const teacher = support::small_network();
    auto const plan = support::plan_for(teacher, "");
    auto const blocks = blocks_of(teacher, plan, BlockShape::amct);
    auto const batches = support::small_batches(2, 2);
    // A student whose first block outputs the teacher's times a factor: mean((t - s)^2) is (1 - f)^2
    // mean(t^2), and is above half of the smaller power for f < 2 - sqrt(2) = 0.586, and for f > 1.707.
    for (float factor : {0.55f, 0.6f, 1.7f, 1.75f}) {
        nn::Network student = teacher;
        auto* const bn = student.module("bn1").get_if<nn::BatchNorm2d>();
        for (float& v : bn->weight()) v *= factor;
        for (float& v : bn->bias()) v *= factor;
        CacheBudget budget(1 << 20);
        PrefixRunner of_student(student, batches, budget), of_teacher(teacher, batches, budget);
        BlockData data(of_student, of_teacher, budget, batches.size(), blocks[1], nullptr, 1);
        auto const step = data.load(1).value();
        bool const far = factor < 0.586f || factor > 1.708f;
        CHECK(step->from_teacher == far);
        nn::Tape tape;
        (far ? teacher : student).forward(batches[1], tape, nn::Mode::evaluate);
        CHECK(step->inputs.at(0) == tape.output(*teacher.find("relu1")));
        teacher.forward(batches[1], tape, nn::Mode::evaluate);
        CHECK(step->targets.at(0) == tape.output(*teacher.find("relu2")));
        CHECK(data.load(1).value() == step);  // computed once
    }
}

TEST_CASE("steps that have no room are read from a file") {
    support::temporary_directory const dir;
    nn::Network const teacher = support::small_network();
    nn::Network student = teacher;
    for (float& v : student.module("bn1").get_if<nn::BatchNorm2d>()->weight()) v *= 1.1f;
    auto const plan = support::plan_for(teacher, "");
    auto const blocks = blocks_of(teacher, plan, BlockShape::amct);
    auto const batches = support::small_batches(3, 2);
    CacheBudget none(0, dir.path()), enough(1 << 20);
    PrefixRunner of_student(student, batches, enough), of_teacher(teacher, batches, enough),
        student_in_file(student, batches, none), teacher_in_file(teacher, batches, none);
    BlockData expected(of_student, of_teacher, enough, 3, blocks[1], nullptr, 1);
    BlockData found(student_in_file, teacher_in_file, none, 3, blocks[1], nullptr, 1);
    for (int epoch = 0; epoch != 3; ++epoch)
        for (std::size_t i = 0; i != 3; ++i) {
            auto const a = expected.load(i).value(), b = found.load(i).value();
            CHECK(a->inputs == b->inputs);
            CHECK(a->targets == b->targets);
            CHECK(a->from_teacher == b->from_teacher);
        }
    BlockData nowhere(student_in_file, teacher_in_file, none, 3, blocks[1], nullptr, 1);
    std::filesystem::remove_all(dir.path());
    auto const failed = nowhere.load(0);
    REQUIRE_FALSE(failed);
    CHECK(failed.diagnostics()[0].message.find("make room for it, or allow more memory") !=
          std::string::npos);
}

TEST_CASE("a dump that cannot be read is an error") {
    support::temporary_directory const dir;
    nn::Network const teacher = support::small_network();
    auto const plan = support::plan_for(teacher, "");
    auto const batches = support::small_batches(1, 2);
    auto const blocks = blocks_of(teacher, plan, BlockShape::amct);
    auto const dump = TeacherDump::write(teacher, blocks, batches, dir.path()).value();
    std::filesystem::resize_file(dump.directory() / "block0_step0_output.npy", 200);
    CacheBudget budget(1 << 20);
    PrefixRunner of_student(teacher, batches, budget), of_teacher(teacher, batches, budget);
    BlockData data(of_student, of_teacher, budget, batches.size(), blocks[0], &dump, 0);
    auto const step = data.load(0);
    REQUIRE_FALSE(step);
    CHECK(step.diagnostics()[0].message.ends_with("its values are cut off"));
}

TEST_CASE("steps that have no room anywhere are computed again, to the same bits") {
    nn::Network const teacher = support::small_network();
    nn::Network student = teacher;
    for (float& v : student.module("bn1").get_if<nn::BatchNorm2d>()->weight()) v *= 1.75f;
    auto const blocks = blocks_of(teacher, support::plan_for(teacher, ""), BlockShape::amct);
    auto const batches = support::small_batches(2, 2);
    CacheBudget none(0), enough(1 << 20);
    PrefixRunner a(student, batches, none), b(teacher, batches, none), c(student, batches, enough),
        d(teacher, batches, enough);
    BlockData nowhere(a, b, none, 2, blocks[1], nullptr, 1), kept(c, d, enough, 2, blocks[1], nullptr, 1);
    for (std::size_t i : {0u, 1u, 0u}) {
        auto const found = nowhere.load(i).value(), expected = kept.load(i).value();
        CHECK(found->inputs == expected->inputs);
        CHECK(found->targets == expected->targets);
        CHECK(found->from_teacher == expected->from_teacher);
    }
}

TEST_CASE("the teacher's inputs are where the dump has put them") {
    support::temporary_directory const dir;
    nn::Network const teacher = support::small_network();
    auto const blocks = blocks_of(teacher, support::plan_for(teacher, ""), BlockShape::amct);
    auto const batches = support::small_batches(1, 2);
    auto const dump = TeacherDump::write(teacher, blocks, batches, dir.path()).value();
    nn::Network student = teacher;
    for (float& v : student.module("bn1").get_if<nn::BatchNorm2d>()->weight()) v *= 1.1f;
    CacheBudget budget(1 << 20);
    PrefixRunner of_student(student, batches, budget), of_teacher(teacher, batches, budget);
    BlockData data(of_student, of_teacher, budget, 1, blocks[1], &dump, 1, BlockInput::teacher);
    auto const step = data.load(0).value();
    CHECK(step->from_teacher);
    nn::Tape tape;
    teacher.forward(batches[0], tape, nn::Mode::evaluate);
    CHECK(step->inputs.at(0) == tape.output(*teacher.find("relu1")));
    CHECK(step->targets.at(0) == tape.output(*teacher.find("relu2")));
}

}  // namespace distill_block_data_test
