// SPDX-License-Identifier: Apache-2.0
/// Tensors that have no room in memory, in a file of the run's directory.
///
///     SpillFile file("out/run");
///     SpillFile::Place place;
///     file.write(tensor, place).value();           // again: over what was there, where it fits
///     file.read(place, tensor).value();            // the same bits
///
/// The file is made by the first write, and vanishes with the object; where the system allows it, it has no
/// name meanwhile, so that not even a process that is killed leaves it.
#pragma once
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <ios>
#include <system_error>
#include <utility>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "../io/file.hpp"
#include "../nn/tensor.hpp"

namespace amct_distill {

class SpillFile {
public:
    /// Where a tensor is in the file.
    struct Place {
        std::size_t at = 0, room = 0;  // bytes
        nn::Shape shape{};
    };

    /// Where the file will be. Empty: there is none, and nothing may be written.
    explicit SpillFile(std::filesystem::path directory) : directory_(std::move(directory)) {}
    SpillFile(const SpillFile&) = delete;
    SpillFile& operator=(const SpillFile&) = delete;
    ~SpillFile() {
        file_.close();
        std::error_code ignored;
        if (!path_.empty()) std::filesystem::remove(path_, ignored);
    }

    bool is_usable() const { return !directory_.empty(); }

    /// Error: the file cannot be made or written (a full disk, ...).
    result<void> write(const nn::Tensor& tensor, Place& place) {
        if (auto ok = open(); !ok) return ok;
        std::size_t const bytes = tensor.size() * sizeof(float);
        if (bytes > place.room) {
            place.at = std::exchange(end_, end_ + bytes);
            place.room = bytes;
        }
        place.shape = tensor.shape();
        errno = 0;
        if (!seek(place.at) ||
            file_.sputn(reinterpret_cast<const char*>(tensor.data()), static_cast<std::streamsize>(bytes)) !=
                static_cast<std::streamsize>(bytes))
            return failed("write");
        return {};
    }
    /// Error: the file cannot be read.
    result<void> read(const Place& place, nn::Tensor& tensor) {
        tensor.resize(place.shape);
        auto const bytes = static_cast<std::streamsize>(tensor.size() * sizeof(float));
        errno = 0;
        if (!seek(place.at) || file_.sgetn(reinterpret_cast<char*>(tensor.data()), bytes) != bytes)
            return failed("read");
        return {};
    }

private:
    result<void> open() {
        if (file_.is_open()) return {};
        std::error_code error;
        errno = 0;
        for (int i = 0; path_.empty(); ++i) {  // one that was not there before, also between processes
            path_ = directory_ / detail::concat("values_", i);
            if (std::FILE* const made = std::fopen(path_.string().c_str(), "wbx"))
                std::fclose(made);
            else if (errno == EEXIST)
                path_.clear();
            else
                break;
        }
        file_.pubsetbuf(nullptr, 0);
        if (!file_.open(path_, std::ios::in | std::ios::out | std::ios::binary)) {
            path_.clear();
            return failed("make");
        }
        if (std::filesystem::remove(path_, error)) path_.clear();
        return {};
    }
    bool seek(std::size_t at) {
        return file_.pubseekpos(static_cast<std::streamoff>(at)) != std::streampos(std::streamoff(-1));
    }
    [[gnu::cold, gnu::noinline]] Diagnostic failed(const char* verb) const {
        Diagnostic why = detail::file_error(detail::concat(verb, " the file of blocks' values in"),
                                            directory_, errno == 0 ? EIO : errno);
        why.message += "; make room for it, or allow more memory";
        return why;
    }

    std::filesystem::path directory_, path_{};
    std::filebuf file_{};
    std::size_t end_ = 0;
};

}  // namespace amct_distill
