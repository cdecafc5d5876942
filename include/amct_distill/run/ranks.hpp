// SPDX-License-Identifier: Apache-2.0
/// The processes that share one run, each with memory of its own: on one machine, or on many.
///
///     RunOptions run{.threads = 4, .ranks = &ranks};      // of adapters/mpi.hpp; null: this process alone
///     distill(teacher, student, batches, {}, run);        // called by every rank, with the same arguments
///
/// Each rank takes a range of the slices of a batch. What it tells the others goes through `exchange`; what
/// they then add up, they add in an order that the slices alone determine: the same bits on any number of
/// ranks. A rank that cannot go on calls `fail`, and the `exchange` of the others throws what it says.
#pragma once
#include <cstddef>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "../core/concat.hpp"

namespace amct_distill {

/// Another rank cannot go on; the text is what it said.
class RankFailure : public std::runtime_error {
public:
    RankFailure(std::size_t rank, std::string_view why)
        : std::runtime_error(detail::concat("rank ", rank, ": ", why)), rank_(rank) {}
    std::size_t rank() const { return rank_; }

private:
    std::size_t rank_;
};

class Ranks {
public:
    Ranks() = default;
    Ranks(const Ranks&) = delete;
    Ranks& operator=(const Ranks&) = delete;
    virtual ~Ranks() = default;

    virtual std::size_t rank() const = 0;
    virtual std::size_t size() const = 0;
    /// to[r] is for rank r; from[r] becomes what rank r has for this one, in the size that both know. What is
    /// for itself is not looked at. All ranks call it, from the thread that began the run, and it returns
    /// when all that was given and asked for is through. Throws RankFailure.
    virtual void exchange(std::span<const std::span<const std::byte>> to,
                          std::span<const std::span<std::byte>> from) = 0;
    /// Nothing is exchanged after it: the others' exchanges throw.
    virtual void fail(std::string_view why) noexcept = 0;
};

namespace detail {

/// i in begin..end.
struct IndexRange {
    std::size_t begin = 0, end = 0;
    std::size_t size() const { return end - begin; }
};

/// Which of `count` things rank `rank` of `size` has.
constexpr IndexRange range_of_rank(std::size_t count, std::size_t rank, std::size_t size) {
    return {count * rank / size, count * (rank + 1) / size};
}
inline IndexRange own_range(const Ranks* ranks, std::size_t count) {
    return ranks == nullptr ? IndexRange{0, count} : range_of_rank(count, ranks->rank(), ranks->size());
}

/// The rank that writes files and tells of progress.
inline bool is_first(const Ranks* ranks) { return ranks == nullptr || ranks->rank() == 0; }
inline bool are_several(const Ranks* ranks) { return ranks != nullptr && ranks->size() > 1; }

/// What an exchange needs, kept from one to the next.
class Exchange {
public:
    /// Of a rank, before `run`: null ranks are one.
    void begin(const Ranks* ranks) {
        to_.assign(ranks == nullptr ? 1 : ranks->size(), {});
        from_.assign(to_.size(), {});
    }
    template <class T>
    void send(std::size_t rank, std::span<const T> values) {
        static_assert(std::is_trivially_copyable_v<T>);
        to_[rank] = std::as_bytes(values);
    }
    template <class T>
    void receive(std::size_t rank, std::span<T> values) {
        static_assert(std::is_trivially_copyable_v<T>);
        from_[rank] = std::as_writable_bytes(values);
    }
    void run(Ranks* ranks) {
        if (are_several(ranks)) ranks->exchange(to_, from_);
    }

private:
    std::vector<std::span<const std::byte>> to_{};
    std::vector<std::span<std::byte>> from_{};
};

/// `values` are `count` things of one size, in order. This rank has its range of them; then it has all.
template <class T>
void gather_ranges(Ranks* ranks, std::span<T> values, std::size_t count, Exchange& exchange) {
    if (!are_several(ranks) || count == 0) return;
    std::size_t const each = values.size() / count;
    auto const of = [&](std::size_t r) {
        IndexRange const range = range_of_rank(count, r, ranks->size());
        return values.subspan(range.begin * each, range.size() * each);
    };
    exchange.begin(ranks);
    for (std::size_t r = 0; r != ranks->size(); ++r) {
        exchange.send(r, std::span<const T>(of(ranks->rank())));
        exchange.receive(r, of(r));
    }
    exchange.run(ranks);
}

/// What every rank says, in the order of the ranks.
inline std::vector<std::string> gather_texts(Ranks* ranks, std::string text) {
    if (!are_several(ranks)) return {std::move(text)};
    std::size_t const n = ranks->size(), own = ranks->rank();
    std::vector<std::size_t> sizes(n);
    sizes[own] = text.size();
    Exchange exchange;
    gather_ranges(ranks, std::span(sizes), n, exchange);
    std::vector<std::string> texts(n);
    texts[own] = std::move(text);
    exchange.begin(ranks);
    for (std::size_t r = 0; r != n; ++r) {
        if (r != own) texts[r].resize(sizes[r]);
        exchange.send(r, std::span<const char>(texts[own]));
        exchange.receive(r, std::span<char>(texts[r]));
    }
    exchange.run(ranks);
    return texts;
}

/// The first rank's; the others' does not matter.
inline std::string first_text(Ranks* ranks, std::string text) {
    if (!are_several(ranks)) return text;
    return std::move(gather_texts(ranks, is_first(ranks) ? std::move(text) : std::string())[0]);
}
inline bool first_says(Ranks* ranks, bool value) {
    if (!are_several(ranks)) return value;
    Exchange exchange;
    unsigned char byte = value ? 1 : 0;
    exchange.begin(ranks);
    if (ranks->rank() == 0)
        for (std::size_t r = 1; r != ranks->size(); ++r)
            exchange.send(r, std::span<const unsigned char>(&byte, 1));
    else
        exchange.receive(0, std::span<unsigned char>(&byte, 1));
    exchange.run(ranks);
    return byte != 0;
}

/// Returns when all ranks have come here.
inline void meet(Ranks* ranks) {
    if (!are_several(ranks)) return;
    std::vector<unsigned char> here(ranks->size());
    Exchange exchange;
    gather_ranges(ranks, std::span(here), here.size(), exchange);
}

}  // namespace detail
}  // namespace amct_distill
