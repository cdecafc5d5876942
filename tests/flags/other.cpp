// SPDX-License-Identifier: Apache-2.0
// Compiled with the instruction set that the program's name tells.
#include "other.hpp"

#include <utility>

namespace flags_test {

Held make(std::size_t n) { return Held(n); }
void drop(Held held) { Held const last = std::move(held); }

}  // namespace flags_test
