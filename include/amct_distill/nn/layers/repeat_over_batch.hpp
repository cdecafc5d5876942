// SPDX-License-Identifier: Apache-2.0
/// A constant repeated for every sample of the batch: [1, ...] and any input [N, ...] -> [N, ...].
///
///     NodeId token = net.constant("class_token", Tensor({1, 1, 64}, values));
///     NodeId all = net.add_function("/Expand", RepeatOverBatch{}, {token, x});      // [N, 1, 64]
///     x = net.add_function("/Concat", Concat(1), {all, x});
///
/// Of the second input only the batch's size is read.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>

#include "../module.hpp"

namespace amct_distill::nn {

template <class T>
class BasicRepeatOverBatch {
public:
    static constexpr std::string_view type_name = "RepeatOverBatch";
    static constexpr std::string_view operation = "Expand";

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 2 || inputs[0].empty() || inputs[0][0] != 1 || inputs[1].empty())
            return detail::unexpected_inputs("one input [1, ...] and one with the batch", inputs);
        Shape out = inputs[0];
        out[0] = inputs[1][0];
        return out;
    }
    void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>&, Mode) const {
        for (auto to = output.begin(); to != output.end();)
            to = std::copy(inputs[0]->begin(), inputs[0]->end(), to);
    }
    void backward(BasicInputs<T> inputs, const BasicTensor<T>&, const BasicTensor<T>& grad_output,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>>, BasicScratch<T>&,
                  Mode) const {
        if (!grad_inputs[0]) return;
        std::size_t const n = inputs[0]->size();
        for (std::size_t i = 0; i != grad_output.size(); ++i) (*grad_inputs[0])[i % n] += grad_output[i];
    }
};

using RepeatOverBatch = BasicRepeatOverBatch<float>;

}  // namespace amct_distill::nn
