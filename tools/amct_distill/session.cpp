// SPDX-License-Identifier: Apache-2.0
#include "session.hpp"

#include <unistd.h>

#include <algorithm>
#include <amct_distill/core/number.hpp>
#include <charconv>
#include <thread>

#include "ranks.hpp"
#include "sensitivity_file.hpp"

namespace tool {

namespace ad = amct_distill;
namespace fs = std::filesystem;

int thread_count(const Options& options) {
    if (options.threads != 0) return options.threads;
    std::size_t const here = std::thread::hardware_concurrency() / ranks_here();
    return static_cast<int>(std::clamp(here, std::size_t{1}, std::size_t{64}));
}

std::size_t memory_bound(const Options& options) {
    const std::string& text = options.memory;
    if (text.empty()) {
        long const pages = ::sysconf(_SC_PHYS_PAGES), size = ::sysconf(_SC_PAGE_SIZE);
        if (pages <= 0 || size <= 0) return std::size_t{1} << 30;
        return static_cast<std::size_t>(pages) / (4 * ranks_here()) * static_cast<std::size_t>(size);
    }
    double value = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    std::string unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
    if (unit.ends_with("iB"))
        unit.resize(unit.size() - 2);
    else if (unit.size() == 2 && unit.ends_with("B"))
        unit.pop_back();
    double const factor = unit.empty() || unit == "B"  ? 1
                          : unit == "K" || unit == "k" ? 0x1p10
                          : unit == "M"                ? 0x1p20
                          : unit == "G"                ? 0x1p30
                          : unit == "T"                ? 0x1p40
                                                       : 0;
    if (error != std::errc{} || factor == 0 || !(value * factor >= 0x1p20) || value * factor > 0x1p50)
        bad_command_line("--memory: expected 512M, 4G, ..., at least 1M, found `", text, "`");
    return static_cast<std::size_t>(value * factor);
}

void check_analysis_folder(const fs::path& path) {
    std::error_code error;
    auto const status = fs::status(path, error);
    if (!fs::exists(status)) return;
    if (!fs::is_directory(status)) bad_input(path.string(), " is no folder");
    for (const char* ours : {"report.json", "run", sensitivity_name})
        if (fs::exists(path / ours, error)) return;
    fs::directory_iterator const any(path, error);
    if (error) throw ad::ConfigError({ad::detail::file_error("read", path, error.value())});
    if (any != fs::directory_iterator{})
        bad_input(path.string(), " has files that are no run's; choose another folder");
}

std::string bytes_text(std::size_t bytes) {
    double const b = static_cast<double>(bytes);
    auto const text = [&](double unit, const char* name) {
        double const v = b / unit;
        return ad::detail::concat(ad::number(v, std::chars_format::fixed, v < 10 ? 1 : 0), " ", name);
    };
    if (b < 0x1p10) return ad::detail::concat(bytes, " bytes");
    if (b < 0x1p20) return text(0x1p10, "KiB");
    if (b < 0x1p30) return text(0x1p20, "MiB");
    return text(0x1p30, "GiB");
}

OutputFolder::OutputFolder(fs::path path, bool resume, bool force) : path_(std::move(path)) {
    std::error_code error;
    auto const status = fs::status(path_, error);
    if (!fs::exists(status)) return;
    if (!fs::is_directory(status)) bad_input(path_.string(), " is no folder");
    lock_ = std::make_unique<ad::DirectoryLock>(ad::DirectoryLock::take(path_).value());
    bool any = false;
    for (fs::directory_iterator it(path_, error), end; !error && it != end; it.increment(error))
        any = any || (it->path().filename() != "lock" && it->path().filename() != sensitivity_name);
    if (error) throw ad::ConfigError({ad::detail::file_error("read", path_, error.value())});
    if (!any) return;
    std::string const where = path_.string();
    if (force) {
        restart_ = !resume;
        return;
    }
    if (fs::exists(run(), error)) {
        if (resume) return;
        bad_input(where, " has an interrupted run: --resume continues it, --force begins anew");
    }
    if (fs::exists(path_ / "report.json", error))
        bad_input(
            where,
            " has the results of a run that is finished; --force replaces them, or choose another folder");
    bad_input(where, " has files that are no run's; choose another folder, or --force");
}

OutputFolder::~OutputFolder() {
    lock_.reset();
    if (!made_ || kept_) return;
    std::error_code ignored;
    for (const char* part : {"run", "log.txt"})
        if (fs::path const p = path_ / part; !fs::is_directory(p, ignored) || fs::is_empty(p, ignored))
            fs::remove(p, ignored);
    fs::remove(path_, ignored);  // one that is not empty stays
}

void OutputFolder::make() {
    std::error_code error;
    if (!fs::exists(path_, error)) {
        fs::create_directories(path_, error);
        if (error) throw ad::ConfigError({ad::detail::file_error("create", path_, error.value())});
        made_ = true;
    }
    if (!lock_) lock_ = std::make_unique<ad::DirectoryLock>(ad::DirectoryLock::take(path_).value());
    if (restart_) {
        fs::remove_all(run(), error);
        fs::remove(path_ / "log.txt", error);
    }
}

std::size_t OutputFolder::finished_blocks() const {
    std::size_t n = 0;
    std::error_code error;
    for (fs::directory_iterator it(run(), error), end; !error && it != end; it.increment(error))
        n += it->path().extension() == ".checkpoint";
    return n;
}

}  // namespace tool
