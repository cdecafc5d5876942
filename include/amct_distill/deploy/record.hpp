// SPDX-License-Identifier: Apache-2.0
/// The record of a deployment: the quantization factors that a deployment tool needs, with each BatchNorm
/// folded into the layer before it.
///
///     ScaleOffsetRecord record = make_record(deployment);
///     write_file("record.txt", print(record)).value();
#pragma once
#include "../config/record.hpp"
#include "../core/result.hpp"
#include "deployment.hpp"

namespace amct_distill {

/// One entry per quantized layer, in definition order. The types are named where they are not the schema's
/// default, INT8: `act_type` of the data, `wts_type` of the weights, `dst_type` when both are the same.
ScaleOffsetRecord make_record(const Deployment& deployment);

/// Of what `deploy` makes of the student, recomputed from its final parameters. Errors: those of `deploy`.
template <class Algorithms>
result<ScaleOffsetRecord> make_record(const BasicStudent<Algorithms>& student);

}  // namespace amct_distill

#ifndef AMCT_DISTILL_COMPILED
#include "record-inl.hpp"
#endif
