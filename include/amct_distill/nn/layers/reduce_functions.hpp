// SPDX-License-Identifier: Apache-2.0
/// What reduce.hpp folds with: a state to which values are added one by one, and the slope at each.
///
///     reductions::Mean::State s;  s.add(1);  s.add(3);
///     s.value(2);                                          // of 2 terms: 2
///     reductions::Mean::slope(x, y, terms, tally);  // of y at x; a tally is what a pass over the terms
///                                                          // counted, where slopes depend on all of them
#pragma once
#include <cmath>
#include <limits>
#include <string_view>

namespace amct_distill::detail::reductions {

struct NoTally {};

// What is folded of one value alone is that value where `keeps_one_value` is there.

/// A sum of f(x), or what follows from it.
struct SumState {
    double sum = 0;
    void add(double x) { sum += x; }
    double value(double) const { return sum; }
};

struct Sum {
    static constexpr std::string_view name = "ReduceSum";
    using is_sum = void;  // of the values themselves
    static constexpr bool keeps_one_value = true;
    using State = SumState;
    using Tally = NoTally;
    static double slope(double, double, double, NoTally) { return 1; }
};

struct Mean {
    static constexpr std::string_view name = "ReduceMean";
    using is_sum = void;  // of the values themselves
    static constexpr bool keeps_one_value = true;
    struct State : SumState {
        double value(double terms) const { return sum / terms; }
    };
    using Tally = NoTally;
    static double slope(double, double, double terms, NoTally) { return 1 / terms; }
};

/// How many are equal to the result.
struct EqualTally {
    double count = 0;
    void add(double x, double y) { count += x == y ? 1 : 0; }
    double share(double x, double y) const { return x == y ? 1 / count : 0; }
};

struct Max {
    static constexpr std::string_view name = "ReduceMax";
    static constexpr bool keeps_one_value = true;
    struct State {
        double largest = -std::numeric_limits<double>::infinity();
        void add(double x) { largest = largest >= x || std::isnan(largest) ? largest : x; }
        double value(double) const { return largest; }
    };
    using Tally = EqualTally;
    static double slope(double x, double y, double, const Tally& equal) { return equal.share(x, y); }
};

struct Min {
    static constexpr std::string_view name = "ReduceMin";
    static constexpr bool keeps_one_value = true;
    struct State {
        double smallest = std::numeric_limits<double>::infinity();
        void add(double x) { smallest = smallest <= x || std::isnan(smallest) ? smallest : x; }
        double value(double) const { return smallest; }
    };
    using Tally = EqualTally;
    static double slope(double x, double y, double, const Tally& equal) { return equal.share(x, y); }
};

struct Prod {
    static constexpr std::string_view name = "ReduceProd";
    static constexpr bool keeps_one_value = true;
    struct State {
        double product = 1;
        void add(double x) { product *= x; }
        double value(double) const { return product; }
    };
    struct Tally {
        double product = 1;  ///< of all but the zeros
        int zeros = 0;
        void add(double x, double) { x == 0 ? void(zeros += zeros < 2 ? 1 : 0) : void(product *= x); }
    };
    static double slope(double x, double, double, const Tally& t) {
        return t.zeros == 0 ? t.product / x : t.zeros == 1 && x == 0 ? t.product : 0;
    }
};

struct L1 {
    static constexpr std::string_view name = "ReduceL1";
    struct State : SumState {
        void add(double x) { sum += std::abs(x); }
    };
    using Tally = NoTally;
    static double slope(double x, double, double, NoTally) { return x > 0 ? 1 : x < 0 ? -1 : x; }
};

struct L2 {
    static constexpr std::string_view name = "ReduceL2";
    struct State : SumState {
        void add(double x) { sum += x * x; }
        double value(double) const { return std::sqrt(sum); }
    };
    using Tally = NoTally;
    static double slope(double x, double y, double, NoTally) { return y == 0 ? 0 : x / y; }
};

struct LogSum {
    static constexpr std::string_view name = "ReduceLogSum";
    using is_sum = void;  // of the values themselves
    struct State : SumState {
        double value(double) const { return std::log(sum); }
    };
    using Tally = NoTally;
    static double slope(double, double y, double, NoTally) { return std::exp(-y); }
};

/// Relative to the largest so far, so that nothing overflows.
struct LogSumExp {
    static constexpr std::string_view name = "ReduceLogSumExp";
    struct State {
        double largest = -std::numeric_limits<double>::infinity(), sum = 0;
        void add(double x) {
            if (x > largest) {
                sum = sum * std::exp(largest - x) + 1;
                largest = x;
            } else {
                sum += x == largest ? 1 : std::exp(x - largest);
            }
        }
        double value(double) const { return largest + std::log(sum); }
    };
    using Tally = NoTally;
    static double slope(double x, double y, double, NoTally) { return std::exp(x - y); }
};

struct SumSquare {
    static constexpr std::string_view name = "ReduceSumSquare";
    struct State : SumState {
        void add(double x) { sum += x * x; }
    };
    using Tally = NoTally;
    static double slope(double x, double, double, NoTally) { return 2 * x; }
};

}  // namespace amct_distill::detail::reductions
