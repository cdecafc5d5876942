// SPDX-License-Identifier: Apache-2.0
/// Plan and student of a configuration with the extended algorithms.
///
///     ExtendedPlan const plan = resolve(read<ExtendedConfig>(text).value(), teacher.graph()).value();
///     ExtendedStudent student = make_student(teacher, plan).value();
#pragma once
#include "../config/extended.hpp"
#include "../plan/plan.hpp"
#include "student.hpp"

namespace amct_distill {

using ExtendedPlan = BasicDistillPlan<ExtendedAlgorithms>;
using ExtendedStudent = BasicStudent<ExtendedAlgorithms>;

}  // namespace amct_distill
