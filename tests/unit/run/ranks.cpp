// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/run/ranks.hpp>

#include <numeric>

#include "support/catch.hpp"
#include "support/thread_ranks.hpp"

namespace run_ranks_test {

using namespace amct_distill;

TEST_CASE("things are dealt to ranks in ranges that cover them") {
    for (std::size_t ranks : {1u, 2u, 3u, 5u, 8u})
        for (std::size_t count : {0u, 1u, 7u, 8u, 100u}) {
            std::size_t next = 0;
            for (std::size_t r = 0; r != ranks; ++r) {
                detail::IndexRange const own = detail::range_of_rank(count, r, ranks);
                CHECK(own.begin == next);
                CHECK(own.size() <= (count + ranks - 1) / ranks);
                next = own.end;
            }
            CHECK(next == count);
        }
    CHECK(detail::own_range(nullptr, 5).size() == 5);
}

TEST_CASE("ranks gather ranges and texts, and hear the first one") {
    for (std::size_t count : {1u, 2u, 3u, 5u})
        support::run_ranks(count, [&](Ranks* ranks) {
            std::size_t const rank = ranks == nullptr ? 0 : ranks->rank();
            std::vector<int> values(14, -1);  // two each of seven things
            detail::IndexRange const own = detail::own_range(ranks, 7);
            for (std::size_t k = 2 * own.begin; k != 2 * own.end; ++k) values[k] = static_cast<int>(k);
            detail::Exchange exchange;
            detail::gather_ranges(ranks, std::span(values), 7, exchange);
            std::vector<int> expected(14);
            std::iota(expected.begin(), expected.end(), 0);
            if (values != expected) throw std::logic_error("gather_ranges");
            auto const texts = detail::gather_texts(ranks, std::string(rank, 'x'));
            for (std::size_t r = 0; r != count; ++r)
                if (texts.size() != count || texts[r] != std::string(r, 'x'))
                    throw std::logic_error("gather_texts");
            if (detail::first_text(ranks, rank == 0 ? "first" : "other") != "first")
                throw std::logic_error("first_text");
            for (bool says : {false, true})
                if (detail::first_says(ranks, rank == 0 ? says : !says) != says)
                    throw std::logic_error("first_says");
            detail::meet(ranks);
        });
}

TEST_CASE("a rank that cannot go on ends the exchange of the others, with what it says") {
    std::vector<std::string> heard(3);
    support::run_ranks(3, [&](Ranks* ranks) {
        if (ranks->rank() == 1) return ranks->fail("no more paper");
        try {
            detail::meet(ranks);
        } catch (const RankFailure& failure) {
            heard[ranks->rank()] = failure.what();
            if (failure.rank() != 1) throw std::logic_error("which rank failed");
        }
    });
    CHECK(heard == std::vector<std::string>{"rank 1: no more paper", "", "rank 1: no more paper"});
}

}  // namespace run_ranks_test
