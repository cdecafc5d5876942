// SPDX-License-Identifier: Apache-2.0
/// The quantization of each layer of a student, measured on data.
///
///     for (const LayerReport& l : report_layers(student, batches).value()) std::cout << l.data_sqnr;
#pragma once
#include <vector>

#include "../core/result.hpp"
#include "../student/data_source.hpp"
#include "../student/student.hpp"
#include "report.hpp"

namespace amct_distill {

/// Of every quantized layer, in definition order; `batches` are what the figures of its data are measured on.
/// Error: a batch cannot be loaded. Throws std::invalid_argument when one does not fit the network's inputs.
template <class Algorithms>
result<std::vector<LayerReport>> report_layers(const BasicStudent<Algorithms>& student, DataSource batches,
                                               const nn::Executor* executor = nullptr);

}  // namespace amct_distill

#ifndef AMCT_DISTILL_COMPILED
#include "report_layers-inl.hpp"
#endif
