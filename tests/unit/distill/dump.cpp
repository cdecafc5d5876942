// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/distill/dump.hpp>

#include <algorithm>
#include <vector>

#include "support/catch.hpp"
#include "support/failing_files.hpp"
#include "support/small_network.hpp"
#include "support/temporary_directory.hpp"

namespace distill_dump_test {

using namespace amct_distill;

TEST_CASE("the dump holds what the teacher computes, bit for bit, and goes with the object") {
    support::temporary_directory const dir;
    nn::Network const teacher = support::small_network();
    auto const plan = support::plan_for(teacher, "");
    auto const batches = support::small_batches(3, 2);
    {
        auto const dump =
            TeacherDump::write(teacher, blocks_of(teacher, plan, BlockShape::amct), batches, dir.path())
                .value();
        CHECK(dir.files() == 2 * 3 * plan.blocks.size());
        nn::Tape tape;
        teacher.forward(batches[2], tape, nn::Mode::evaluate);
        std::vector<nn::Tensor> input(1), output(1);
        dump.load(1, 2, input, output).value();
        CHECK(input[0] == tape.output(*teacher.find("relu1")));
        CHECK(output[0] == tape.output(*teacher.find("relu2")));

        // A second run at the same time has a directory of its own.
        auto const other =
            TeacherDump::write(teacher, blocks_of(teacher, plan, BlockShape::amct), batches, dir.path())
                .value();
        CHECK(other.directory() != dump.directory());
    }
    CHECK(std::filesystem::is_empty(dir.path()));
}

TEST_CASE("blocks may stand in any order, and read and give what others do") {
    support::temporary_directory const dir;
    nn::Network const teacher = support::small_network();
    auto const batches = support::small_batches(2, 2);
    auto blocks = blocks_of(teacher, support::plan_for(teacher, ""), BlockShape::amct);
    std::ranges::reverse(blocks);
    blocks.push_back(blocks.front());
    auto const dump = TeacherDump::write(teacher, blocks, batches, dir.path()).value();
    for (std::size_t i = 0; i != batches.size(); ++i) {
        nn::Tape tape;
        teacher.forward(batches[i], tape, nn::Mode::evaluate);
        for (std::size_t b = 0; b != blocks.size(); ++b) {
            std::vector<nn::Tensor> inputs(blocks[b].inputs.size()), outputs(blocks[b].outputs.size());
            dump.load(b, i, inputs, outputs).value();
            for (std::size_t k = 0; k != inputs.size(); ++k)
                CHECK(inputs[k] == teacher.value(blocks[b].inputs[k], tape));
            for (std::size_t k = 0; k != outputs.size(); ++k)
                CHECK(outputs[k] == teacher.value(blocks[b].outputs[k], tape));
        }
    }
}

TEST_CASE("after a failure the dump is kept, and the diagnostics name it and the file") {
    support::temporary_directory const dir;
    nn::Network const teacher = support::small_network();
    auto const plan = support::plan_for(teacher, "");
    auto const batches = support::small_batches(1, 2);
    auto dump =
        TeacherDump::write(teacher, blocks_of(teacher, plan, BlockShape::amct), batches, dir.path()).value();
    std::vector<nn::Tensor> input(1), output(1);
    auto const missing = dump.load(0, 1, input, output);
    REQUIRE_FALSE(missing);
    CHECK(missing.diagnostics()[0].message.ends_with("block0_step1_input.npy: No such file or directory"));
    std::string const directory = dump.directory().string();
    CHECK(dump.failed(missing.diagnostics())
              .back()
              .message.ends_with(detail::concat("; the teacher's dump is kept in ", directory)));
    { TeacherDump const gone = std::move(dump); }
    CHECK(dir.files() != 0);
}

TEST_CASE("a place that cannot be written to is an error that names it") {
    support::temporary_directory const dir;
    REQUIRE(write_file(dir.path() / "file", "x"));
    nn::Network const teacher = support::small_network();
    auto const plan = support::plan_for(teacher, "");
    auto const batches = support::small_batches(1, 2);
    auto const dump =
        TeacherDump::write(teacher, blocks_of(teacher, plan, BlockShape::amct), batches, dir.path() / "file");
    REQUIRE_FALSE(dump);
    CHECK(dump.diagnostics()[0].message.find((dir.path() / "file").string()) != std::string::npos);
}

TEST_CASE("a block of several values is dumped whole, and what fails in the middle leaves the dump") {
    nn::Network net;
    nn::NodeId const x = net.input("x", {3}), z = net.input("z", {3});
    nn::NodeId const sum = net.add_function("sum", nn::Add{}, {x, z});
    net.output(net.add("fc", nn::Linear({.in_features = 3, .out_features = 2}), {sum}));
    nn::initialize(net, 1);
    std::vector<TrainedBlock> const blocks{detail::block_of_nodes(net, {sum}, false)};
    std::vector<Batch> const batches{{nn::Tensor({1, 3}, {1, 2, 3}), nn::Tensor({1, 3}, {4, 4, 4})}};
    support::temporary_directory const dir;
    {
        auto const dump = TeacherDump::write(net, blocks, batches, dir.path()).value();
        CHECK(dir.files() == 3);
        std::vector<nn::Tensor> inputs(2), outputs(1);
        dump.load(0, 0, inputs, outputs).value();
        CHECK(inputs[1] == batches[0][1]);
        CHECK(outputs[0] == nn::Tensor({1, 3}, {5, 6, 7}));
    }
    support::FileSizeLimit const limit(10);
    auto const full = TeacherDump::write(net, blocks, batches, dir.path());
    REQUIRE_FALSE(full);
    std::string const kept = (dir.path() / "amct_distill_dump_0").string();
    CHECK(full.diagnostics()[0].message.starts_with(
        detail::concat("cannot write ", kept, "/block0_step0_input.npy: File too large")));
    CHECK(full.diagnostics()[0].message.ends_with("; the teacher's dump is kept in " + kept));
}

TEST_CASE("a file that has the dump's name is an error") {
    support::temporary_directory const dir;
    REQUIRE(write_file(dir.path() / "amct_distill_dump_0", "x"));
    nn::Network const teacher = support::small_network();
    auto const dump = TeacherDump::write(teacher, {}, support::small_batches(1, 1), dir.path());
    REQUIRE_FALSE(dump);
    CHECK(dump.diagnostics()[0].message ==
          detail::concat("cannot create ", (dir.path() / "amct_distill_dump_0").string(), ": File exists"));
}

}  // namespace distill_dump_test
