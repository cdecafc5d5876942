// SPDX-License-Identifier: Apache-2.0
/// Which parts of a network are trained together.
///
///     distill(teacher, student, batches, {.blocks = BlockShape::automatic});     // residual units whole
#pragma once

namespace amct_distill {

/// The plan's blocks, as AMCT makes them; residual units in place of those that lie in one, and an error
/// without any; residual units where there are some. A user's distill_group always stands.
enum class BlockShape { amct, residual, automatic };

}  // namespace amct_distill
