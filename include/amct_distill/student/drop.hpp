// SPDX-License-Identifier: Apache-2.0
/// QDrop (Wei et al. 2022): during training each element of a quantized input stays float with some
/// probability.
///
///     detail::Drop const drop(step.random, step.drop_probability, scratch.first_sample(), x);
///     drop.restore(x, quantized, scratch);          // element by element: dropped ? x : quantized
///     drop.clear(grad, kept, scratch);              // dropped ? 0 : grad
///
/// Whether an element is dropped is a function of the step, the module and its index in the whole batch.
#pragma once
#include <cstddef>
#include <cstdint>

#include "../nn/scratch.hpp"
#include "../nn/tensor.hpp"
#include "../run/random_bits.hpp"

namespace amct_distill::detail {

class Drop {
public:
    /// `x` has some of the batch's samples along dimension 0, from `first_sample` on.
    Drop(std::uint64_t random, double probability, nn::Index first_sample, const nn::Tensor& x)
        : bits_(random),
          share_(share_of_bits(probability)),
          first_(x.rank() == 0 || x.dim(0) == 0 ? 0
                                                : static_cast<std::uint64_t>(first_sample) *
                                                      (x.size() / static_cast<std::size_t>(x.dim(0)))) {}

    bool is_dropped(std::size_t i) const { return bits_(first_ + i) < share_; }

    /// Of two tensors of x's size: to[i] = dropped ? x[i] : to[i].
    void restore(const nn::Tensor& x, nn::Tensor& to, const nn::Scratch& scratch) const {
        const float* const from = x.data();
        float* const out = to.data();
        scratch.in_parts(x.size(), [&, this](std::size_t begin, std::size_t end) {
            for (std::size_t i = begin; i != end; ++i) out[i] = is_dropped(i) ? from[i] : out[i];
        });
    }
    /// to[i] = dropped ? 0 : x[i].
    void clear(const nn::Tensor& x, nn::Tensor& to, const nn::Scratch& scratch) const {
        const float* const from = x.data();
        float* const out = to.data();
        scratch.in_parts(x.size(), [&, this](std::size_t begin, std::size_t end) {
            for (std::size_t i = begin; i != end; ++i) out[i] = is_dropped(i) ? 0 : from[i];
        });
    }

private:
    RandomBits bits_;
    std::uint64_t share_;
    std::uint64_t first_;
};

}  // namespace amct_distill::detail
