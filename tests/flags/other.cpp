// SPDX-License-Identifier: Apache-2.0
// Compiled with the instruction set that the program's name tells.
#include "other.hpp"

#include <utility>

namespace flags_test {

Held make(amct_distill::nn::Index n) {
    return {amct_distill::nn::Tensor({n}), std::make_unique<amct_distill::nn::Executor>(2)};
}
void drop(Held held) { Held const last = std::move(held); }

}  // namespace flags_test
