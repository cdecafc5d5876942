// SPDX-License-Identifier: Apache-2.0
/// How far what a student computes is from what its teacher does.
///
///     double const sum = detail::squared_error(of_student, of_teacher);
///
///     detail::Distance distance;
///     distance.add(of_teacher, of_student);          // of a slice; its sums are those of all
///     if (distance.is_far()) ...
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>

namespace amct_distill::detail {

/// A sum in double, in eight lanes: value i is added to lane i % 8, and the lanes at the end. One lane would
/// wait for the last addition at every value.
struct LaneSum {
    static constexpr std::size_t lanes = 8;
    double lane[lanes] = {};

    double total() const {
        return ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
    }
};

/// Calls f(i, lane) for all i below n.
template <class F>
void for_each_in_lanes(std::size_t n, F&& f) {
    std::size_t i = 0;
    for (; i + LaneSum::lanes <= n; i += LaneSum::lanes)
        for (std::size_t k = 0; k != LaneSum::lanes; ++k) f(i + k, k);
    for (std::size_t k = 0; i != n; ++i, ++k) f(i, k);
}

/// sum((x - y)^2).
inline double squared_error(std::span<const float> x, std::span<const float> y) {
    LaneSum sum;
    for_each_in_lanes(x.size(), [&](std::size_t i, std::size_t lane) {
        double const d = static_cast<double>(x[i]) - static_cast<double>(y[i]);
        sum.lane[lane] += d * d;
    });
    return sum.total();
}

/// How far the student's values are from the teacher's, in sums over any number of tensors.
struct Distance {
    double error = 0, teacher = 0, student = 0;
    void add(std::span<const float> t, std::span<const float> s) {
        LaneSum errors, teachers, students;
        for_each_in_lanes(t.size(), [&](std::size_t i, std::size_t lane) {
            double const a = static_cast<double>(t[i]), b = static_cast<double>(s[i]);
            errors.lane[lane] += (a - b) * (a - b);
            teachers.lane[lane] += a * a;
            students.lane[lane] += b * b;
        });
        error += errors.total();
        teacher += teachers.total();
        student += students.total();
    }
    /// By more than half of the smaller power; what is not finite is too far as well.
    bool is_far() const { return !(error <= 0.5 * (std::min)(teacher, student)); }
};

}  // namespace amct_distill::detail
