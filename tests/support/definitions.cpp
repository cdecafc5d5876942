// SPDX-License-Identifier: Apache-2.0
// The first file of a unit that is compiled as one and links the compiled library: all definitions, and
// before them what of those the library has.
#include <amct_distill/definitions.hpp>
