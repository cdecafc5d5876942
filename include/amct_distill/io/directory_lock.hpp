// SPDX-License-Identifier: Apache-2.0
/// A directory that one process at a time works in.
///
///     result<DirectoryLock> lock = DirectoryLock::take("out/run");
///     // error: "process 4711 works in out/run ..."
///
/// A file `lock` in the directory, locked by flock(2): the system lets go of it when the process ends,
/// however it ends. The file is removed with the object; one that a killed process left behind is taken over.
#pragma once
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#if __has_include(<sys/file.h>)
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

#include "../core/concat.hpp"
#include "../core/number.hpp"
#include "../core/result.hpp"
#include "file.hpp"

namespace amct_distill {

class DirectoryLock {
public:
    /// The directory exists. Errors: another process, or another run of this one, has it; the file cannot be
    /// made. Where the system or the file system has no such locks, the result holds a warning and a lock
    /// that locks nothing.
    static result<DirectoryLock> take(const std::filesystem::path& directory);

    DirectoryLock(DirectoryLock&& other) noexcept
        : path_(std::exchange(other.path_, {})), file_(std::exchange(other.file_, -1)) {}
    DirectoryLock& operator=(DirectoryLock&& other) noexcept {
        std::swap(path_, other.path_);
        std::swap(file_, other.file_);
        return *this;
    }
    ~DirectoryLock() {
        std::error_code ignored;
        if (!path_.empty()) std::filesystem::remove(path_, ignored);  // while others cannot lock it
#if __has_include(<sys/file.h>)
        if (file_ >= 0) ::close(file_);
#endif
    }

private:
    DirectoryLock(std::filesystem::path path, int file) : path_(std::move(path)), file_(file) {}

    std::filesystem::path path_;  // to remove
    int file_;
};

namespace detail {

inline Diagnostic cannot_lock(const std::filesystem::path& directory) {
    return general_warning(concat("files in ", directory.string(),
                                  " cannot be locked: let no other process work there meanwhile"));
}

#if __has_include(<sys/file.h>)
/// Whose process has locked the file, which says so.
inline Diagnostic locked_by_other(const std::filesystem::path& directory, int file) {
    char text[32] = {};
    auto const n = ::pread(file, text, sizeof text - 1, 0);
    std::string_view pid(text, n > 0 ? static_cast<std::size_t>(n) : 0);
    pid = pid.substr(0, pid.find('\n'));
    std::string who = pid.empty() ? std::string("another process") : concat("process ", pid);
    if (pid == number(::getpid())) who += " (this one)";
    return general_error(
        concat(who, " works in ", directory.string(), "; wait for its end, or use another directory"));
}

/// Its owner may remove a file between our open and our lock: then the name is no file's, or another one's.
inline bool is_still_at(const std::filesystem::path& path, int file) {
    struct stat opened {};
    struct stat named {};
    return ::fstat(file, &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
           opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}
#endif

}  // namespace detail

inline result<DirectoryLock> DirectoryLock::take(const std::filesystem::path& directory) {
#if __has_include(<sys/file.h>)
    std::filesystem::path const path = directory / "lock";
    for (;;) {
        int const file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (file < 0) return detail::file_error("create", path, errno);
        DirectoryLock lock({}, file);
        if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
            if (errno == EWOULDBLOCK) return detail::locked_by_other(directory, file);
            return {std::move(lock), {detail::cannot_lock(directory)}};
        }
        if (!detail::is_still_at(path, file)) continue;
        lock.path_ = path;
        std::string const pid = detail::concat(::getpid(), '\n');
        if (::ftruncate(file, 0) != 0 ||
            ::pwrite(file, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size()))
            return detail::file_error("write", path, errno);
        return lock;
    }
#else
    return {DirectoryLock({}, -1), {detail::cannot_lock(directory)}};
#endif
}

}  // namespace amct_distill
