// SPDX-License-Identifier: Apache-2.0
/// The teacher's inputs and outputs of every block and step, on disk: computed once, read at every epoch.
///
///     auto dump = TeacherDump::write(teacher, blocks, batches, "/tmp");   // a new directory in there
///     dump->load(block, step, inputs, outputs).value();                        // the same bits
///
/// Of several ranks each has a dump of its own samples.
///
/// The directory is the run's own and is removed with the object. When something fails, it stays, for looking
/// into, and the diagnostics say where.
#pragma once
#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "../core/number.hpp"
#include "../io/file.hpp"
#include "../nn/network.hpp"
#include "../nn/npy.hpp"
#include "../student/data_source.hpp"
#include "../student/own_batches.hpp"
#include "../student/slices.hpp"
#include "blocks.hpp"

namespace amct_distill {

class TeacherDump {
public:
    /// Runs the teacher over all batches. Errors: a batch cannot be loaded; a directory or file cannot be
    /// written (a full disk, ...).
    static result<TeacherDump> write(const nn::Network& teacher, std::span<const TrainedBlock> blocks,
                                     DataSource batches, const std::filesystem::path& parent,
                                     const nn::Executor* executor = nullptr,
                                     std::size_t slices = default_slices) {
        auto directory = make_directory(parent);
        if (!directory) return directory.diagnostics();
        TeacherDump dump(*std::move(directory));
        SliceRunner runner(teacher, executor, slices);
        std::vector<nn::NodeId> nodes;  // what some block reads or is taught, each once
        for (const TrainedBlock& block : blocks)
            for (const auto* all : {&block.inputs, &block.outputs})
                nodes.insert(nodes.end(), all->begin(), all->end());
        std::ranges::sort(nodes);
        nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
        std::vector<nn::Tensor> values(nodes.size());
        auto const value = [&](nn::NodeId id) -> const nn::Tensor& {
            return values[static_cast<std::size_t>(std::ranges::lower_bound(nodes, id) - nodes.begin())];
        };
        OwnBatches own(batches, teacher, executor, slices, "distill");
        Batch buffer;
        for (std::size_t i = 0; i != own.size(); ++i) {
            auto const batch = own.load(i, buffer);
            if (!batch) return dump.failed(batch.diagnostics());
            runner.run_batch(batch->tensors, nodes, values, batch->samples);
            for (std::size_t b = 0; b != blocks.size(); ++b)
                for (auto [what, all] :
                     {std::pair{"input", &blocks[b].inputs}, {"output", &blocks[b].outputs}})
                    for (std::size_t k = 0; k != all->size(); ++k)
                        if (auto ok = write_npy(dump.file(b, i, what, k), value((*all)[k])); !ok)
                            return dump.failed(ok.diagnostics());
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

    /// Fills the tensors of a block and batch. Error: the files cannot be read.
    result<void> load(std::size_t block, std::size_t step, std::span<nn::Tensor> inputs,
                      std::span<nn::Tensor> outputs) const {
        for (auto [what, all] : {std::pair{"input", inputs}, {"output", outputs}})
            for (std::size_t k = 0; k != all.size(); ++k) {
                auto tensor = read_npy(file(block, step, what, k));
                if (!tensor) return tensor.diagnostics();
                all[k] = *std::move(tensor);
            }
        return {};
    }

private:
    explicit TeacherDump(std::filesystem::path directory) : directory_(std::move(directory)) {}

    /// "block0_step3_input.npy", and with a number where a block has several. Names of layers are not in it.
    std::filesystem::path file(std::size_t block, std::size_t step, std::string_view what,
                               std::size_t k) const {
        return directory_ / detail::concat("block", block, "_step", step, '_', what,
                                           k == 0 ? std::string() : number(k), ".npy");
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
