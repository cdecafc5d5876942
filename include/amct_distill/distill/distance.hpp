// SPDX-License-Identifier: Apache-2.0
/// How far what a student computes is from what its teacher does.
///
///     detail::Distance distance;
///     distance.add(of_teacher, of_student);          // of a slice; its sums are those of all
///     if (distance.is_far()) ...
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>

namespace amct_distill::detail {

/// How far the student's values are from the teacher's, in sums over any number of tensors; in double, in
/// order.
struct Distance {
    double error = 0, teacher = 0, student = 0;
    void add(std::span<const float> t, std::span<const float> s) {
        for (std::size_t i = 0; i != t.size(); ++i) {
            double const a = static_cast<double>(t[i]), b = static_cast<double>(s[i]);
            error += (a - b) * (a - b);
            teacher += a * a;
            student += b * b;
        }
    }
    /// By more than half of the smaller power; what is not finite is too far as well.
    bool is_far() const { return !(error <= 0.5 * (std::min)(teacher, student)); }
};

}  // namespace amct_distill::detail
