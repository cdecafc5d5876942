// SPDX-License-Identifier: Apache-2.0
/// Whether the integers compute what was simulated, layer by layer.
///
///     VerifyReport report = verify(deployment, student, batches).value();
///     std::cout << to_table(report);
///     if (!report.agrees()) ...                           // a difference that rounding does not explain
///
/// Every layer is given the input that it has in the simulation, so that each answers for itself.
#pragma once
#include "../core/result.hpp"
#include "../student/data_source.hpp"
#include "../student/run_options.hpp"
#include "deployment.hpp"
#include "verify_report.hpp"

namespace amct_distill {

/// Runs the batches through the simulation (`simulation_network`: folded, float32) and through the integers.
/// Each integer layer takes the simulation's input; its sums are compared with the simulation's output, and
/// what becomes of them on the way to the next quantized layers with the codes those read in the simulation.
/// The sums can differ only by rounding, `explained` says how far; codes then differ where a value lies that
/// close to the middle between two codes. The network's outputs are compared with the simulation's. Errors:
/// no batches, or one that cannot be loaded. Throws std::invalid_argument when a batch does not fit the
/// network's inputs, or an option makes no sense. The result has the same bits with any number of threads.
result<VerifyReport>(verify)(const Deployment& deployment, const DataSource& batches,
                             const RunOptions& run = {});
/// The same, with the network's outputs compared with those of the student, which is not folded. Throws
/// std::invalid_argument when the deployment is not of this student, with the first difference.
template <class Algorithms>
result<VerifyReport>(verify)(const Deployment& deployment, const BasicStudent<Algorithms>& student,
                             const DataSource& batches, const RunOptions& run = {});

}  // namespace amct_distill

#ifndef AMCT_DISTILL_COMPILED
#include "verify-inl.hpp"
#endif
