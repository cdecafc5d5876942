// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/quant/matrix.hpp>

#include <type_traits>

#include "support/catch.hpp"
#include "support/executions.hpp"

namespace quant_matrix_test {

using namespace amct_distill;

TEST_CASE("a matrix of doubles is no view of a weight") {
    STATIC_REQUIRE(!std::is_convertible_v<Eigen::MatrixXd, ConstMatrixRef>);
    STATIC_REQUIRE(std::is_convertible_v<RowMajorMatrix&, ConstMatrixRef>);
}

TEST_CASE("a block of columns is a view, a column-major matrix a copy") {
    RowMajorMatrix w(2, 3);
    w << 1, 2, 3, 4, 5, 6;
    ConstMatrixRef const block = w.rightCols(2);
    CHECK(detail::row(block, 1).data() == w.data() + 4);
    CHECK(detail::row(block, 1).size() == 2);
    Eigen::MatrixXf const other = w;
    ConstMatrixRef const copy = other;
    CHECK(copy.data() != other.data());
    CHECK(detail::row(copy, 1)[2] == 6);
}

TEST_CASE("every row is visited once, with an execution of one thread") {
    RowMajorMatrix const w = RowMajorMatrix::Zero(3000, 70);
    for (const auto& on : support::executions()) {
        INFO(on.name);
        std::vector<std::atomic<int>> visits(3000);
        std::atomic<bool> serial = true;
        detail::for_each_row(on.how, w, [&](Eigen::Index r, const Execution& here) {
            ++visits[static_cast<std::size_t>(r)];
            if (here.parallel_for || here.instructions != on.how.instructions) serial = false;
        });
        CHECK(std::all_of(visits.begin(), visits.end(), [](const auto& n) { return n == 1; }));
        CHECK(serial);
    }
}

}  // namespace quant_matrix_test
