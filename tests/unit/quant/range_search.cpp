// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/quant/range_search.hpp>

#include <amct_distill/quant/affine.hpp>
#include <cmath>
#include <random>

#include "support/catch.hpp"
#include "support/executions.hpp"

namespace quant_range_search_test {

using namespace amct_distill;

namespace {

RowMajorMatrix weights(Eigen::Index rows, Eigen::Index cols, unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    RowMajorMatrix w(rows, cols);
    for (Eigen::Index i = 0; i != w.size(); ++i) {
        float const v = normal(random);
        w.data()[i] = i % 37 == 5 ? 4 * v : v;  // a few large ones
    }
    return w;
}

/// In double, from the formula: round half to even of w / s, clipped to the codes.
double error_of(const RowMajorMatrix& w, double s, double qmin, double qmax) {
    double sum = 0;
    for (Eigen::Index i = 0; i != w.size(); ++i) {
        double const v = w.data()[i], q = (std::min)(qmax, (std::max)(qmin, std::nearbyint(v / s)));
        sum += (v - q * s) * (v - q * s);
    }
    return sum;
}
double largest_step(const RowMajorMatrix& w, double qmax) {
    double const max = w.maxCoeff(), min = w.minCoeff();
    return -min > max ? -min / (qmax + 1) : max / qmax;
}
/// The least error of the 71 ranges.
double least_error(const RowMajorMatrix& w, double qmin, double qmax) {
    double least = 1e300;
    for (int percent = 30; percent <= 100; ++percent)
        least = (std::min)(least, error_of(w, largest_step(w, qmax) * percent / 100, qmin, qmax));
    return least;
}

template <class B>
void check_against_brute_force() {
    RowMajorMatrix const w = weights(7, 150, 3);
    for (const auto& on : support::executions()) {
        INFO(on.name);
        Scales const by_row = searched_scales<B, ChannelWise>(w, on.how);
        std::vector<float> const ratios = search_ratios<B, ChannelWise>(w, on.how);
        REQUIRE(by_row.size() == 7);
        REQUIRE(ratios.size() == 7);
        for (Eigen::Index r = 0; r != 7; ++r) {
            auto const i = static_cast<std::size_t>(r);
            RowMajorMatrix const one = w.row(r);
            double const found = error_of(one, static_cast<double>(by_row[i].scale), B::qmin, B::qmax);
            CHECK(found == Approx(least_error(one, B::qmin, B::qmax)).epsilon(1e-5));
            CHECK(static_cast<double>(by_row[i].scale) ==
                  Approx(largest_step(one, B::qmax) * static_cast<double>(ratios[i])).epsilon(1e-6));
            CHECK(by_row[i].offset == 0);
        }
        Scales const whole = searched_scales<B, TensorWise>(w, on.how);
        REQUIRE(whole.size() == 1);
        CHECK(error_of(w, static_cast<double>(whole[0].scale), B::qmin, B::qmax) ==
              Approx(least_error(w, B::qmin, B::qmax)).epsilon(1e-5));
    }
}

}  // namespace

TEST_CASE("the searched range is the one of the least squared error in double") {
    check_against_brute_force<Int4>();
    check_against_brute_force<Int8>();
}

TEST_CASE("a searched range has less error than the largest magnitude, and the same bits on any threads") {
    RowMajorMatrix const w = weights(96, 1000, 7);
    Scales const found = searched_scales<Int4, ChannelWise>(w);
    double searched = 0, largest = 0;
    for (Eigen::Index r = 0; r != w.rows(); ++r) {
        RowMajorMatrix const one = w.row(r);
        searched +=
            error_of(one, static_cast<double>(found.of_row(static_cast<std::size_t>(r)).scale), -8, 7);
        largest += error_of(one, largest_step(one, 7), -8, 7);
    }
    CHECK(searched < 0.6 * largest);
    Scales const whole = searched_scales<Int4, TensorWise>(w);
    for (const auto& on : support::executions()) {
        INFO(on.name);
        CHECK(searched_scales<Int4, ChannelWise>(w, on.how) == found);
        CHECK(searched_scales<Int4, TensorWise>(w, on.how) == whole);
    }
}

TEST_CASE("of equal errors the widest range wins, and zeros have a scale") {
    RowMajorMatrix w(3, 4);
    w << 0, 0, 0, 0,  //
        7, 7, -7, 0,  // exact at 1.00
        1e-44f, 0, 0, 0;
    Scales const scales = searched_scales<Int4, ChannelWise>(w);
    CHECK(scales[0] == ScaleOffset{1, 0});
    CHECK(scales[1] == ScaleOffset{1, 0});
    CHECK(scales[2] == ScaleOffset{1, 0});  // too narrow for a scale of its own
    CHECK(search_ratios<Int4, ChannelWise>(w) == std::vector<float>{1, 1, 1});
}

TEST_CASE("a part of a wider matrix is searched as a matrix of its own") {
    RowMajorMatrix const wide = weights(5, 64, 11);
    RowMajorMatrix const part = wide.middleCols(8, 40);
    CHECK(searched_scales<Int4, ChannelWise>(wide.middleCols(8, 40)) ==
          searched_scales<Int4, ChannelWise>(part));
    CHECK(searched_scales<Int4, TensorWise>(wide.middleCols(8, 40)) ==
          searched_scales<Int4, TensorWise>(part));
}

}  // namespace quant_range_search_test
