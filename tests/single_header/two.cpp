// SPDX-License-Identifier: Apache-2.0
#include "amct_distill_quant.hpp"
// and then
#include "amct_distill.hpp"
// and then
#include "two.hpp"

Answers answers_of_two() { return answers(); }
