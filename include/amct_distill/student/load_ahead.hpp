// SPDX-License-Identifier: Apache-2.0
/// Loads the batches of a source ahead: while one is worked on, another thread loads the next.
///
///     LoadAhead ahead(batches, batches.size(), [&](std::size_t bytes) { return budget.take(bytes); });
///     DataSource const source = ahead.source();       // the same batches; in order, each is loaded once
///     auto const batch = source.load(0, buffer);      // batch 1 is being loaded from here on
///
/// The source is asked for one batch at a time. What it throws or returns as an error comes when that batch
/// is asked for. Of batches in memory there is nothing to load, and the source is the same.
#pragma once
#include <cstddef>
#include <functional>
#include <future>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include "../core/result.hpp"
#include "batch_slice.hpp"
#include "data_source.hpp"

namespace amct_distill {

class LoadAhead {
public:
    /// Whether so many bytes may be kept besides; asked before a batch is loaded that is larger than those
    /// before. Where they may not, and after the first `count` batches, nothing is loaded ahead.
    using Room = std::function<bool(std::size_t bytes)>;

    explicit LoadAhead(DataSource batches, std::size_t count, Room room = {})
        : batches_(batches), count_(count), room_(std::move(room)) {}
    LoadAhead(const LoadAhead&) = delete;
    LoadAhead& operator=(const LoadAhead&) = delete;
    /// Waits for the batch that is being loaded.
    ~LoadAhead() = default;

    /// Whether there are batches to load ahead.
    bool is_active() const { return batches_.load_ != nullptr && count_ > 1; }
    /// Is outlived by this; not for several threads at a time.
    DataSource source() {
        DataSource ahead = batches_;
        if (batches_.load_ == nullptr) return ahead;
        ahead.source_ = this;
        ahead.load_ = nullptr;
        ahead.view_ = [](const void* from, std::size_t i) { return of(from).load(i); };
        if (!batches_.loads_parts()) return ahead;
        ahead.samples_ = [](const void* from, std::size_t i) { return of(from).batches_.samples(i); };
        ahead.load_part_ = [](const void* from, std::size_t i, BatchSlice part) {
            return of(from).load_part(i, part);
        };
        return ahead;
    }

private:
    /// Valid until another is asked for.
    result<std::span<const nn::Tensor>> load(std::size_t i) {
        if (now_ != i) {
            now_.reset();
            auto batch = take({i, {}});
            if (!batch) return batch.diagnostics();
            batch_ = *std::move(batch);
            now_ = i;
            begin({i + 1, {}}, batch_);
        }
        return std::span<const nn::Tensor>(batch_);
    }
    result<Batch> load_part(std::size_t i, BatchSlice part) {
        auto batch = take({i, part});
        // The next part is not known, but where the batches are alike.
        if (batch && i + 1 < count_ && batches_.samples(i + 1) == batches_.samples(i))
            begin({i + 1, part}, *batch);
        return batch;
    }

    struct Asked {
        std::size_t batch = 0;
        std::optional<BatchSlice> part{};
        bool is(const Asked& other) const {
            return batch == other.batch && part.has_value() == other.part.has_value() &&
                   (!part || (part->begin == other.part->begin && part->end == other.part->end));
        }
    };

    static LoadAhead& of(const void* source) {
        return *static_cast<LoadAhead*>(const_cast<void*>(source));  // which source() was called for
    }
    result<Batch> load_now(const Asked& asked) const {
        return asked.part ? batches_.load_part(asked.batch, *asked.part)
                          : batches_.load_(batches_.source_, asked.batch);
    }
    result<Batch> take(const Asked& asked) {
        if (next_.valid() && next_asked_.is(asked)) return next_.get();
        next_ = {};  // waits for it
        return load_now(asked);
    }
    void begin(const Asked& asked, const Batch& like) {
        if (asked.batch >= count_ || asked.batch >= batches_.size()) return;
        std::size_t bytes = 0;
        for (const nn::Tensor& t : like) bytes += t.size() * sizeof(float);
        if (bytes > taken_) {
            if (room_ && !room_(bytes - taken_)) return;
            taken_ = bytes;
        }
        try {
            next_ = std::async(std::launch::async, [this, asked] { return load_now(asked); });
            next_asked_ = asked;
        } catch (const std::system_error&) {  // no thread for it: it is loaded when it is asked for
        }
    }

    DataSource batches_;
    std::size_t count_;
    Room room_;
    Batch batch_{};
    std::optional<std::size_t> now_{};  // which one it is
    std::size_t taken_ = 0;             // of the room
    Asked next_asked_{};
    std::future<result<Batch>> next_{};  // the last member: it is waited for first
};

}  // namespace amct_distill
