// SPDX-License-Identifier: Apache-2.0
/// The quantizers' names, declared: enough for a message to name its quantizer, without Eigen.
///
///     template <class B, class G> using quantizer = Arq<B, G>;   // in the message ARQDistill
///
/// Their definitions are in quant/arq.hpp, quant/ulq.hpp, quant/adaround.hpp, quant/act_ulq.hpp and
/// quant/ifmr.hpp.
#pragma once
#include "bits.hpp"
#include "granularity.hpp"
#include "symmetry.hpp"

namespace amct_distill {

template <BitWidth B, Granularity G, Symmetry S = Symmetric>
class Arq;
template <BitWidth B, Granularity G>
class Ulq;
template <BitWidth B, Granularity G>
class AdaRound;
template <BitWidth B, Symmetry S = Asymmetric>
class ActUlq;
template <BitWidth B, Symmetry S = Symmetric>
class Ifmr;

}  // namespace amct_distill
