// SPDX-License-Identifier: Apache-2.0
// Two files of one program, compiled with different instruction sets: what one makes, the other frees.
#pragma once
#include <amct_distill/nn/tensor.hpp>
#include <amct_distill/run/executor.hpp>
#include <memory>

namespace flags_test {

struct Held {
    amct_distill::nn::Tensor values;
    std::unique_ptr<amct_distill::nn::Executor> executor;
};

Held make(amct_distill::nn::Index n);
void drop(Held held);

}  // namespace flags_test
