// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/reduce_functions.hpp>

#include "support/catch.hpp"

namespace nn_reduce_functions_test {

namespace reductions = amct_distill::detail::reductions;

TEST_CASE("reduce functions: states and tallies") {
    reductions::Mean::State mean;
    mean.add(1);
    mean.add(3);
    CHECK(mean.value(2) == 2);
    reductions::LogSumExp::State log;
    log.add(700);
    log.add(800);
    log.add(800);
    CHECK(log.value(3) == Approx(800 + std::log(2.0)));
    reductions::Prod::Tally tally;
    for (double x : {2.0, 0.0, 5.0}) tally.add(x, 0);
    CHECK(reductions::Prod::slope(0, 0, 3, tally) == 10);
    CHECK(reductions::Prod::slope(2, 0, 3, tally) == 0);
    reductions::Max::Tally equal;
    for (double x : {4.0, 1.0, 4.0}) equal.add(x, 4);
    CHECK(reductions::Max::slope(4, 4, 3, equal) == 0.5);
    CHECK(reductions::Max::slope(1, 4, 3, equal) == 0);
}

TEST_CASE("a product of several zeros has no slope, and of one only there") {
    using P = reductions::Prod;
    for (int zeros : {1, 2, 3, 4}) {
        P::Tally t;
        for (double x : {2.0, 3.0}) t.add(x, 0);
        for (int k = 0; k != zeros; ++k) t.add(0, 0);
        CHECK(P::slope(0, 0, 0, t) == (zeros == 1 ? 6 : 0));
        CHECK(P::slope(2, 0, 0, t) == 0);
    }
}

}  // namespace nn_reduce_functions_test
