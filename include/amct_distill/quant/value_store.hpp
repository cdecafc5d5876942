// SPDX-License-Identifier: Apache-2.0
/// Values of many batches, one after the other; beyond a number of bytes in a temporary file.
///
///     ValueStore values(64 << 20);                        // at most 64 MB of memory
///     values.append(batch);  ...
///     values.for_each_part([&](std::span<const float> part) { ... });      // in the order of appending
///
/// The file has no name and vanishes with the object; `limit` says where it is. Nothing is ever left out.
#pragma once
#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "../run/execution.hpp"

namespace amct_distill::detail {

class ValueStore {
public:
    explicit ValueStore(std::size_t max_bytes) { limit(max_bytes); }

    /// Half of the bytes hold what was appended last, half are for reading the file; at least 512 KB.
    /// `directory`, which exists: where the file will be; empty: where the system's temporary files are.
    /// Precondition: empty.
    void limit(std::size_t max_bytes, std::string directory = {}) {
        directory_ = std::move(directory);
        assert(size() == 0);
        capacity_ = (std::max)(max_bytes / (2 * sizeof(float)) / task_size, std::size_t{1}) * task_size;
        in_memory_ = max_bytes == static_cast<std::size_t>(-1);
    }

    std::size_t size() const { return written_ + recent_.size(); }
    bool uses_file() const { return file_ != nullptr; }

    /// An error when the file cannot be written; the store then holds what it held before.
    result<void> append(std::span<const float> x) {
        std::size_t const before = recent_.size(), room = in_memory_ ? x.size() : capacity_ - before;
        std::span<const float> rest = x.subspan((std::min)(room, x.size()));
        if (std::size_t const needed = before + x.size() - rest.size();
            !in_memory_ && needed > recent_.capacity())  // not beyond the limit, as a vector grows
            recent_.reserve((std::min)(capacity_, (std::max)(needed, 2 * recent_.capacity())));
        recent_.insert(recent_.end(), x.begin(), x.end() - static_cast<std::ptrdiff_t>(rest.size()));
        if (rest.empty()) return {};
        // What is written counts in the end only: until then, it lies beyond what the file holds.
        std::size_t end = written_;
        auto done = write(recent_, end);
        for (; done && rest.size() > capacity_; rest = rest.subspan(capacity_))
            done = write(rest.first(capacity_), end);
        if (!done) {
            recent_.resize(before);
            return done;
        }
        written_ = end;
        recent_.assign(rest.begin(), rest.end());
        return {};
    }

    /// body(part): all parts but the last are multiples of `task_size`. An error when the file cannot be
    /// read.
    template <class Body>
    result<void> for_each_part(const Body& body) const {
        if (written_ != 0) {
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
    struct Close {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };

    /// It has no name, or loses it at once. Null: it cannot be made.
    std::FILE* make_file() const {
#if __has_include(<unistd.h>)  // a file that is open can be removed
        if (!directory_.empty()) {
            for (int i = 0;; ++i) {
                std::string const path = concat(directory_, "/observed_", i);
                std::FILE* const file = std::fopen(path.c_str(), "w+bx");
                if (file == nullptr && errno == EEXIST) continue;
                if (file != nullptr) std::remove(path.c_str());
                return file;
            }
        }
#endif
        return std::tmpfile();
    }

    /// `capacity_` values as those from `end` on, which moves after them.
    result<void> write(std::span<const float> x, std::size_t& end) {
        if (!file_) file_.reset(make_file());
        if (!file_ || std::fseek(file_.get(), static_cast<long>(end * sizeof(float)), SEEK_SET) != 0 ||
            std::fwrite(x.data(), sizeof(float), x.size(), file_.get()) != x.size() ||
            std::fflush(file_.get()) != 0)
            return failed("write");
        end += x.size();
        return {};
    }

    [[gnu::cold, gnu::noinline]] static Diagnostic failed(const char* what) {
        return general_error(concat("cannot ", what, " the temporary file of observed values: ",
                                    std::strerror(errno), "; make room for it, or allow more memory"));
    }

    std::size_t capacity_ = 0;
    bool in_memory_ = false;
    std::string directory_{};
    std::size_t written_ = 0;  // to the file: a multiple of capacity_
    std::unique_ptr<std::FILE, Close> file_{};
    std::vector<float> recent_{};
};

}  // namespace amct_distill::detail
