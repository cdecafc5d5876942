// SPDX-License-Identifier: Apache-2.0
/// Files that this process has open, and what can happen to them while it does.
///
///     support::empty_files_below(directory);      // reads of those that are open find nothing there
///     support::FileSizeLimit const limit(1000);   // writes beyond it fail, until the object goes
#pragma once
#include <sys/resource.h>

#include <csignal>
#include <cstddef>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>

namespace support {

/// Returns how many were open; files that have no name any more among them.
inline std::size_t empty_files_below(const std::filesystem::path& directory) {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code none;
        std::string const name = std::filesystem::read_symlink(entry.path(), none).string();
        if (none || !name.starts_with((directory / "").string())) continue;
        std::filesystem::resize_file(entry.path(), 0, none);
        if (!none) ++count;
    }
    return count;
}

class FileSizeLimit {
public:
    explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
        if (getrlimit(RLIMIT_FSIZE, &before_) != 0) throw std::runtime_error("no limit to read");
        rlimit const now{bytes, before_.rlim_max};
        if (setrlimit(RLIMIT_FSIZE, &now) != 0) throw std::runtime_error("no limit to set");
    }
    FileSizeLimit(const FileSizeLimit&) = delete;
    FileSizeLimit& operator=(const FileSizeLimit&) = delete;
    ~FileSizeLimit() {
        setrlimit(RLIMIT_FSIZE, &before_);
        std::signal(SIGXFSZ, handler_);
    }

private:
    void (*handler_)(int);
    rlimit before_{};
};

}  // namespace support
