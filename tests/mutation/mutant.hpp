// SPDX-License-Identifier: Apache-2.0
// Included first in all that is compiled with mutants: each asks whether it is the one of this run.
#pragma once

namespace amct_mutation {

constexpr int most = 4096;
inline int active = -1;                // the mutant of this run, from AMCT_MUTANT
inline unsigned char reached[most]{};  // by the test that runs

// A symbol for each mutant: nm tells which are in the program, and not only evaluated by the compiler.
template <int number>
__attribute__((noinline)) bool on() noexcept {
    static_assert(number < most);
    reached[number] = 1;
    return active == number;
}

}  // namespace amct_mutation
