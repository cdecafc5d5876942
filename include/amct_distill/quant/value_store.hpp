// SPDX-License-Identifier: Apache-2.0
/// Values of many batches, one after the other; beyond a number of bytes in a temporary file.
///
///     ValueStore values(64 << 20);                        // at most 64 MB of memory
///     values.append(batch);  ...
///     values.for_each_part([&](std::span<const float> part) { ... });      // in the order of appending
///
/// The file has no name and vanishes with the object. Nothing is ever left out.
#pragma once
#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "../run/execution.hpp"

namespace amct_distill::detail {

class ValueStore {
public:
    /// Half of the bytes hold what was appended last, half are for reading the file; at least 512 KB.
    explicit ValueStore(std::size_t max_bytes)
        : capacity_((std::max)(max_bytes / (2 * sizeof(float)) / task_size, std::size_t{1}) * task_size),
          in_memory_(max_bytes == static_cast<std::size_t>(-1)) {}

    std::size_t size() const { return written_ + recent_.size(); }
    bool uses_file() const { return file_ != nullptr; }

    /// An error when the file cannot be written, and from then on: values are missing.
    result<void> append(std::span<const float> x) {
        if (!complete_) return complete_;
        if (in_memory_) {
            recent_.insert(recent_.end(), x.begin(), x.end());
            return {};
        }
        while (!x.empty()) {
            if (recent_.size() == capacity_)
                if (complete_ = write(); !complete_) return complete_;
            std::size_t const n = (std::min)(x.size(), capacity_ - recent_.size());
            recent_.insert(recent_.end(), x.begin(), x.begin() + static_cast<std::ptrdiff_t>(n));
            x = x.subspan(n);
        }
        return {};
    }

    /// body(part): all parts but the last are multiples of `task_size`. An error when the file cannot be read,
    /// or could not be written.
    template <class Body>
    result<void> for_each_part(const Body& body) const {
        if (!complete_) return complete_;
        if (file_) {
            std::rewind(file_.get());
            std::vector<float> part(capacity_);
            for (std::size_t read = 0; read != written_; read += capacity_) {
                if (std::fread(part.data(), sizeof(float), capacity_, file_.get()) != capacity_)
                    return failed("read");
                body(std::span<const float>(part));
            }
        }
        if (!recent_.empty()) body(std::span<const float>(recent_));
        return {};
    }

private:
    struct close {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };

    result<void> write() {
        if (!file_) file_.reset(std::tmpfile());
        if (!file_ || std::fseek(file_.get(), 0, SEEK_END) != 0 ||
            std::fwrite(recent_.data(), sizeof(float), capacity_, file_.get()) != capacity_)
            return failed("write");
        written_ += capacity_;
        recent_.clear();
        return {};
    }

    [[gnu::cold, gnu::noinline]] static Diagnostic failed(const char* what) {
        return general_error(concat("cannot ", what, " the temporary file of observed values: ",
                                    std::strerror(errno), "; make room for it, or allow more memory"));
    }

    std::size_t capacity_;
    bool in_memory_;
    std::size_t written_ = 0;
    std::unique_ptr<std::FILE, close> file_{};
    std::vector<float> recent_{};
    result<void> complete_{};
};

}  // namespace amct_distill::detail
