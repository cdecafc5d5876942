// SPDX-License-Identifier: Apache-2.0
/// A file's bytes as memory, read-only: the system reads what is touched, nothing is copied.
///
///     result<MappedFile> file = MappedFile::open("model.onnx");
///     std::string_view bytes = file->bytes();      // valid as long as the object, wherever it moves
///
/// Where there is no mmap (and for files that cannot be mapped) the whole file is read instead. A file that
/// another process cuts short while it is mapped ends this process with a bus error; replace files by
/// renaming, as write_file() does.
#pragma once
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <memory>
#include <string_view>
#include <utility>

#if __has_include( \
    <sys/mman.h>) && __has_include(<sys/stat.h>) && __has_include(<fcntl.h>) && __has_include(<unistd.h>)
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#define AMCT_DISTILL_HAS_MMAP 1
#endif

#include "../core/result.hpp"
#include "file.hpp"

namespace amct_distill {

class MappedFile {
public:
    /// Whether a last component that is a symbolic link is followed (what it leads to must be a regular
    /// file).
    enum class Links { followed, refused };

    /// No file: empty bytes.
    MappedFile() = default;
    MappedFile(MappedFile&& other) noexcept { swap(other); }
    MappedFile& operator=(MappedFile&& other) noexcept {
        MappedFile(std::move(other)).swap(*this);
        return *this;
    }
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;
    ~MappedFile() {
#ifdef AMCT_DISTILL_HAS_MMAP
        if (mapped_) ::munmap(const_cast<char*>(data_), size_);
#endif
    }

    /// Error: it cannot be opened, is no regular file, or cannot be read.
    static result<MappedFile> open(const std::filesystem::path& path, Links links = Links::followed) {
#ifdef AMCT_DISTILL_HAS_MMAP
        // Without O_NONBLOCK a pipe would be waited for.
        int const file = ::open(
            path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | (links == Links::refused ? O_NOFOLLOW : 0));
        if (file < 0 && errno == ELOOP && links == Links::refused)
            return general_error(
                detail::concat(path.string(), " is a symbolic link; links are not followed here"));
        if (file < 0) return detail::file_error("open", path, errno);
        struct stat about {};
        int error = ::fstat(file, &about) == 0 ? 0 : errno;
        bool const regular = S_ISREG(about.st_mode);
        auto const size = static_cast<std::uint64_t>(about.st_size);
        void* at = nullptr;
        bool mapped = false;
        if (error == 0 && regular && size != 0 && size <= (std::numeric_limits<std::size_t>::max)()) {
            at = ::mmap(nullptr, static_cast<std::size_t>(size), PROT_READ, MAP_PRIVATE, file, 0);
            mapped = at != MAP_FAILED;
        }
        ::close(file);
        if (error != 0) return detail::file_error("open", path, error);
        if (!regular)
            return general_error(detail::concat("cannot open ", path.string(), ": it is not a regular file"));
        if (size == 0) return MappedFile();
        if (!mapped) return read_whole(path);
        MappedFile out;
        out.data_ = static_cast<const char*>(at);
        out.size_ = static_cast<std::size_t>(size);
        out.mapped_ = true;
        return out;
#else
        std::error_code ignored;
        if (links == Links::refused && std::filesystem::is_symlink(path, ignored))
            return general_error(
                detail::concat(path.string(), " is a symbolic link; links are not followed here"));
        return read_whole(path);
#endif
    }
    /// Reads the file into memory of its own, as open() does where files cannot be mapped.
    static result<MappedFile> read_whole(const std::filesystem::path& path) {
        std::error_code error;
        bool const regular = std::filesystem::is_regular_file(path, error);
        if (!error && !regular)
            return general_error(detail::concat("cannot open ", path.string(), ": it is not a regular file"));
        std::uintmax_t const size = error ? 0 : std::filesystem::file_size(path, error);
        if (error) return detail::file_error("open", path, error.value());
        detail::file_handle const file(std::fopen(path.c_str(), "rb"));
        if (!file) return detail::file_error("open", path, errno);
        MappedFile out;
        out.size_ = static_cast<std::size_t>(size);
        out.owned_.reset(new char[out.size_]);
        out.data_ = out.owned_.get();
        if (std::fread(out.owned_.get(), 1, out.size_, file.get()) != out.size_)
            return detail::file_error("read", path, std::ferror(file.get()) ? errno : EIO);
        return out;
    }

    std::string_view bytes() const noexcept { return {data_, size_}; }
    /// False: the bytes are a copy of their own.
    bool is_mapped() const noexcept { return mapped_; }
    /// The process holds no memory for what was touched until it is touched again. The bytes stay valid.
    void forget() const noexcept {
#ifdef AMCT_DISTILL_HAS_MMAP
        if (mapped_) (void)::madvise(const_cast<char*>(data_), size_, MADV_DONTNEED);
#endif
    }

private:
    void swap(MappedFile& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        std::swap(mapped_, other.mapped_);
        std::swap(owned_, other.owned_);
    }

    const char* data_ = "";
    std::size_t size_ = 0;
    bool mapped_ = false;
    std::unique_ptr<char[]> owned_{};
};

}  // namespace amct_distill

#ifdef AMCT_DISTILL_HAS_MMAP
#undef AMCT_DISTILL_HAS_MMAP
#endif
