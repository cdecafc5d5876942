// SPDX-License-Identifier: Apache-2.0
/// Several files of a directory that are replaced together: all are new, or all are as they were.
///
///     StagedFiles files("out");
///     files.add("weights/conv1.npy", bytes).value();    // in a directory beside; out/weights/ is as it was
///     files.add("record.txt", text).value();
///     files.remove("weights/conv7.npy");                // of an older set
///     files.commit().value();                           // renamed to their places
///
/// What fails, a full disk for instance, fails in `add`, before anything of the old set is touched.
#pragma once
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "file.hpp"

namespace amct_distill {

class StagedFiles {
public:
    explicit StagedFiles(std::filesystem::path directory) : directory_(std::move(directory)) {}
    StagedFiles(const StagedFiles&) = delete;
    StagedFiles& operator=(const StagedFiles&) = delete;
    /// Without a commit nothing is left of what was added.
    ~StagedFiles() { discard(); }

    /// Writes a file that `commit` moves to `name`, a relative path. Error: it cannot be written, or a
    /// directory is in its place.
    result<void> add(const std::filesystem::path& name, std::string_view content) {
        std::error_code error;
        if (std::filesystem::is_directory(directory_ / name, error))
            return detail::file_error("write", directory_ / name, EISDIR);
        if (auto ok = make_staging(); !ok) return ok;
        if (int const code = detail::write_content(staged(changes_.size()), content, Durability::after_exit);
            code != 0)
            return detail::file_error("write", directory_ / name, code);
        changes_.push_back({name, false});
        return {};
    }
    /// Has `commit` remove a file; one that does not exist is no error.
    void remove(const std::filesystem::path& name) { changes_.push_back({name, true}); }

    /// Moves the new files to their places, in the order of the calls. Error: one cannot be moved; then all
    /// are as they were before.
    result<void> commit() {
        if (auto ok = make_staging(); !ok) return ok;
        std::size_t const made_before = made_.size();
        for (std::size_t k = 0; k != changes_.size(); ++k)
            if (int const code = change(k); code != 0) {
                for (std::size_t j = k; j-- != 0;) undo(j);
                remove_directories(made_before);
                return detail::file_error(changes_[k].remove ? "remove" : "write",
                                          directory_ / changes_[k].name, code);
            }
        made_.clear();
        discard();
        return {};
    }

private:
    struct Change {
        std::filesystem::path name{};
        bool remove = false;
        bool saved = false;  // there was an old file, which waits in the staging directory
    };

    std::filesystem::path staged(std::size_t k) const { return staging_ / detail::concat("new", k); }
    std::filesystem::path saved(std::size_t k) const { return staging_ / detail::concat("old", k); }

    /// Makes a directory, and those above it, and remembers which did not exist.
    int make_directories(const std::filesystem::path& directory) {
        std::error_code error;
        if (directory.empty() || std::filesystem::is_directory(directory, error)) return 0;
        if (int const code = make_directories(directory.parent_path()); code != 0) return code;
        if (std::filesystem::create_directory(directory, error)) made_.push_back(directory);
        return error.value();
    }
    void remove_directories(std::size_t keep) {
        std::error_code ignored;  // one that is not empty stays
        for (; made_.size() > keep; made_.pop_back()) std::filesystem::remove(made_.back(), ignored);
    }

    result<void> make_staging() {
        if (!staging_.empty()) return {};
        if (int const code = make_directories(directory_); code != 0)
            return detail::file_error("create", directory_, code);
        for (std::size_t n = 0; staging_.empty(); ++n) {  // a name that no other process has
            std::filesystem::path const path = directory_ / detail::concat(".new-files-", n);
            std::error_code error;
            if (std::filesystem::create_directory(path, error)) staging_ = path;
            if (error && error != std::errc::file_exists)
                return detail::file_error("write to", directory_, error.value());
        }
        return {};
    }
    void discard() {
        std::error_code ignored;
        if (!staging_.empty()) std::filesystem::remove_all(staging_, ignored);
        staging_.clear();
        remove_directories(0);
        changes_.clear();
    }

    int change(std::size_t k) {
        Change& c = changes_[k];
        std::filesystem::path const target = directory_ / c.name;
        if (!c.remove)
            if (int const code = make_directories(target.parent_path()); code != 0) return code;
        std::error_code error;
        std::filesystem::rename(target, saved(k), error);
        c.saved = !error;
        if (error && error != std::errc::no_such_file_or_directory) return error.value();
        if (c.remove) return 0;
        std::filesystem::rename(staged(k), target, error);
        if (!error) return 0;
        int const code = error.value();
        if (c.saved) std::filesystem::rename(saved(k), target, error);
        return code;
    }
    void undo(std::size_t k) {
        const Change& c = changes_[k];
        std::error_code ignored;
        if (c.saved)
            std::filesystem::rename(saved(k), directory_ / c.name, ignored);
        else if (!c.remove)
            std::filesystem::remove(directory_ / c.name, ignored);
    }

    std::filesystem::path directory_;
    std::filesystem::path staging_{};
    std::vector<std::filesystem::path> made_{};  // directories that did not exist before
    std::vector<Change> changes_{};
};

}  // namespace amct_distill
