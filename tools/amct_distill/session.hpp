// SPDX-License-Identifier: Apache-2.0
/// How a verb runs: threads, memory, and the folder that it writes to.
///
///     RunOptions run = run_options(options);
///     OutputFolder out(options.out, options.resume, options.force);      // refuses what is another run's
///     out.make();                                                         // when the input has been read
#pragma once
#include <amct_distill/io/directory_lock.hpp>
#include <amct_distill/student/run_options.hpp>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>

#include "program.hpp"

namespace tool {

int thread_count(const Options& options);
/// The folder that an analysis is left in: a new one, a run's, or another analysis'. Throws that it is none
/// of these.
void check_analysis_folder(const std::filesystem::path& path);
/// "4G", "512M", or bytes; without it a quarter of the machine's memory.
std::size_t memory_bound(const Options& options);
std::string bytes_text(std::size_t bytes);

class OutputFolder {
public:
    /// Nothing is written yet but the lock of a folder that exists. Throws what is wrong with the folder:
    /// another process works in it, it is another run's, or no run's.
    OutputFolder(std::filesystem::path path, bool resume, bool force);
    OutputFolder(const OutputFolder&) = delete;
    OutputFolder& operator=(const OutputFolder&) = delete;
    /// A folder that was made and has nothing but a log is removed again, unless it was kept.
    ~OutputFolder();

    void make();
    void keep() { kept_ = true; }
    const std::filesystem::path& path() const { return path_; }
    static constexpr const char* run_name = "run";
    std::filesystem::path run() const { return path_ / run_name; }
    /// Blocks that are finished in run/.
    std::size_t finished_blocks() const;

private:
    std::filesystem::path path_;
    std::unique_ptr<amct_distill::DirectoryLock> lock_{};
    bool made_ = false, kept_ = false, restart_ = false;
};

}  // namespace tool
