// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/run/together.hpp>

#include <new>
#include <stdexcept>

#include "support/catch.hpp"
#include "support/thread_ranks.hpp"

namespace run_together_test {

using namespace amct_distill;

TEST_CASE("an error of one rank is one of all, and so is an exception") {
    std::vector<std::string> said(3);
    auto const run = [&](auto f) {
        said.assign(3, "");
        support::run_ranks(3, [&](Ranks* ranks) {
            try {
                auto const done = detail::together(ranks, [&]() -> result<int> { return f(*ranks); });
                said[ranks->rank()] = done ? "done" : done.diagnostics()[0].message;
            } catch (const std::exception& e) {
                said[ranks->rank()] = std::string("thrown: ") + e.what();
            }
        });
        return said;
    };
    using Texts = std::vector<std::string>;
    CHECK(run([](Ranks&) -> result<int> { return 1; }) == Texts{"done", "done", "done"});
    // At the end, when the others have nothing left to exchange.
    CHECK(run([](Ranks& ranks) -> result<int> {
              if (ranks.rank() == 2) return general_error("the disk is full");
              return 1;
          }) == Texts{"rank 2: the disk is full", "rank 2: the disk is full", "the disk is full"});
    // Before the others exchange something.
    CHECK(run([](Ranks& ranks) -> result<int> {
              if (ranks.rank() == 0) throw std::invalid_argument("no such option");
              detail::meet(&ranks);
              return 1;
          }) == Texts{"thrown: no such option", "rank 0: no such option", "rank 0: no such option"});
    // All the same.
    CHECK(run([](Ranks&) -> result<int> { return general_error("no batches"); }) ==
          Texts{"no batches", "no batches", "no batches"});
    CHECK(detail::together(nullptr, [] { return result<int>(7); }).value() == 7);
}

}  // namespace run_together_test
