// SPDX-License-Identifier: Apache-2.0
/// Files that are whole or not there: written to a temporary name beside the target, then renamed.
///
///     result<void> ok = write_file("out/record.txt", text);   // makes out/; an old file stays until then
///     result<std::string> text = read_file("quant.cfg");
#pragma once
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

#if __has_include(<unistd.h>)
#include <unistd.h>
#endif

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "../core/source_text.hpp"

namespace amct_distill {

/// What a file that was written survives: the end of the process, or also a loss of power (slower: it waits
/// for the disk; on POSIX systems).
enum class Durability { after_exit, after_power_loss };

namespace detail {

struct CloseFile {
    void operator()(std::FILE* f) const { std::fclose(f); }
};
using file_handle = std::unique_ptr<std::FILE, CloseFile>;

inline Diagnostic file_error(std::string_view verb, const std::filesystem::path& path, int error) {
    return general_error(concat("cannot ", verb, " ", path.string(), ": ", std::strerror(error)));
}

/// Waits until the disk has it; the error's number, or 0.
inline int synchronize([[maybe_unused]] std::FILE* file) {
    if (std::fflush(file) != 0) return errno;
#if __has_include(<unistd.h>)
    if (::fsync(::fileno(file)) != 0) return errno;
#endif
    return 0;
}

}  // namespace detail

/// The whole file. Error: it cannot be opened or read.
inline result<std::string> read_file(const std::filesystem::path& path) {
    detail::file_handle const file(std::fopen(path.c_str(), "rb"));
    if (!file) return detail::file_error("open", path, errno);
    std::string text;
    char buffer[1 << 16];
    while (std::size_t const n = std::fread(buffer, 1, sizeof buffer, file.get())) text.append(buffer, n);
    if (std::ferror(file.get())) return detail::file_error("read", path, errno);
    return text;
}

inline result<SourceText> SourceText::file(const std::string& path) {
    auto text = read_file(path);
    if (!text) return text.diagnostics();
    return SourceText{path, *std::move(text)};
}

namespace detail {

/// Writes a file of exactly this content; the error's number, or 0. After an error the file is gone.
inline int write_content(const std::filesystem::path& path, std::string_view content, Durability durability) {
    file_handle file(std::fopen(path.c_str(), "wb"));
    if (!file) return errno;
    int code = 0;
    if (std::fwrite(content.data(), 1, content.size(), file.get()) != content.size()) code = errno;
    if (code == 0 && durability == Durability::after_power_loss) code = synchronize(file.get());
    // The last bytes may not fit the disk.
    if (std::fclose(file.release()) != 0 && code == 0) code = errno;
    std::error_code ignored;
    if (code != 0) std::filesystem::remove(path, ignored);
    return code;
}

}  // namespace detail

/// Replaces the file as a whole. Error: a directory or the file cannot be written (a full disk, ...); then
/// the temporary file is removed, and a file that was there before is as it was.
inline result<void> write_file(const std::filesystem::path& path, std::string_view content,
                               Durability durability = Durability::after_exit) {
    std::error_code error;
    if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
    if (error) return detail::file_error("create", path.parent_path(), error.value());
    std::filesystem::path temporary = path;
    temporary += ".tmp";
    if (int const code = detail::write_content(temporary, content, durability); code != 0)
        return detail::file_error("write", path, code);
    std::filesystem::rename(temporary, path, error);
    if (!error) return {};
    int const code = error.value();
    std::filesystem::remove(temporary, error);
    return detail::file_error("write", path, code);
}

}  // namespace amct_distill
