// SPDX-License-Identifier: Apache-2.0
// The library that amct_distill::compiled links: see include/amct_distill/compiled.hpp.
#define AMCT_DISTILL_IMPLEMENTATION
#include <amct_distill/definitions.hpp>
