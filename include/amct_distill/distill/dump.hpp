// SPDX-License-Identifier: Apache-2.0
/// The teacher's inputs and outputs of every block and step, on disk: computed once, read at every epoch.
///
///     auto dump = TeacherDump::write(teacher, plan.blocks, batches, "/tmp");   // a new directory in there
///     dump->load(block, step)->output;                                         // the same bits
///
/// The directory is the run's own and is removed with the object. When something fails, it stays, for looking
/// into, and the diagnostics say where.
#pragma once
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "../io/file.hpp"
#include "../nn/network.hpp"
#include "../nn/npy.hpp"
#include "../plan/plan.hpp"
#include "../student/data_source.hpp"
#include "../student/same_network.hpp"

namespace amct_distill {

class TeacherDump {
public:
    struct Step {
        nn::Tensor input{}, output{};
    };

    /// Runs the teacher over all batches. Errors: a batch cannot be loaded; a directory or file cannot be
    /// written (a full disk, ...).
    static result<TeacherDump> write(const nn::Network& teacher, std::span<const PlannedBlock> blocks,
                                     DataSource batches, const std::filesystem::path& parent,
                                     const nn::Executor* executor = nullptr) {
        auto directory = make_directory(parent);
        if (!directory) return directory.diagnostics();
        TeacherDump dump(*std::move(directory));
        nn::Tape tape(executor);
        Batch buffer;
        std::vector<const nn::Tensor*> inputs;
        for (std::size_t i = 0; i != batches.size(); ++i) {
            auto const batch = batches.load(i, buffer);
            if (!batch) return dump.failed(batch.diagnostics());
            detail::require_batch(teacher, *batch, "distill", i);
            inputs.clear();
            for (const nn::Tensor& t : *batch) inputs.push_back(&t);
            teacher.forward(inputs, tape, nn::Mode::evaluate);
            for (std::size_t b = 0; b != blocks.size(); ++b) {
                nn::NodeId const first = blocks[b].nodes.front();
                nn::NodeId const last = blocks[b].nodes.back();
                auto written =
                    write_npy(dump.file(b, i, "input"), tape.output(teacher.node(first).inputs.at(0)));
                if (written) written = write_npy(dump.file(b, i, "output"), tape.output(last));
                if (!written) return dump.failed(written.diagnostics());
            }
        }
        return dump;
    }

    TeacherDump(TeacherDump&& other) noexcept : directory_(std::exchange(other.directory_, {})) {}
    TeacherDump& operator=(TeacherDump&& other) noexcept {
        std::swap(directory_, other.directory_);
        return *this;
    }
    ~TeacherDump() {
        std::error_code ignored;
        if (!directory_.empty()) std::filesystem::remove_all(directory_, ignored);
    }

    const std::filesystem::path& directory() const { return directory_; }

    /// Leaves the directory where it is, and says so in the last of the diagnostics.
    Diagnostics failed(Diagnostics why) {
        why.back().message += detail::concat("; the teacher's dump is kept in ", directory_.string());
        directory_.clear();
        return why;
    }

    /// Error: the files cannot be read.
    result<Step> load(std::size_t block, std::size_t step) const {
        auto input = read_npy(file(block, step, "input"));
        if (!input) return input.diagnostics();
        auto output = read_npy(file(block, step, "output"));
        if (!output) return output.diagnostics();
        return Step{*std::move(input), *std::move(output)};
    }

private:
    explicit TeacherDump(std::filesystem::path directory) : directory_(std::move(directory)) {}

    std::filesystem::path file(std::size_t block, std::size_t step, std::string_view what) const {
        return directory_ / detail::concat("block", block, "_step", step, '_', what, ".npy");
    }

    /// A directory that was not there before: create_directory says so, also between processes.
    static result<std::filesystem::path> make_directory(const std::filesystem::path& parent) {
        std::error_code error;
        std::filesystem::create_directories(parent, error);
        if (error) return detail::file_error("create", parent, error.value());
        for (int i = 0;; ++i) {
            std::filesystem::path directory = parent / detail::concat("amct_distill_dump_", i);
            if (std::filesystem::create_directory(directory, error)) return directory;
            if (error) return detail::file_error("create", directory, error.value());
        }
    }

    std::filesystem::path directory_;
};

}  // namespace amct_distill
