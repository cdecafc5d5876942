// SPDX-License-Identifier: Apache-2.0
/// A weight as quantizers see it: a matrix with a row per output channel.
///
///     WeightRows rows(*layer);                          // or (shape, output_axis, groups)
///     rows.count(), rows.length();
///     const Tensor& matrix = rows.gather(weight, buffer);       // `weight` itself where nothing has to move
///     rows.scatter(matrix, weight);                     // the inverse
#pragma once
#include <algorithm>
#include <cstddef>

#include "weighted.hpp"

namespace amct_distill::nn {

class WeightRows {
public:
    /// Of a weight of this shape; see `WeightedModuleOf` for the other two.
    WeightRows(const Shape& weight, std::size_t output_axis, Index groups)
        : axis_(weight.at(output_axis)),
          groups_(output_axis == 0 ? 1 : groups),
          before_(product(weight, 0, output_axis) / groups_),
          after_(product(weight, output_axis + 1, weight.size())) {}
    template <class T>
    explicit WeightRows(const BasicWeighted<T>& layer)
        : WeightRows(layer.weight().shape(), layer.output_axis(), layer.weight_groups()) {}

    Index count() const { return groups_ * axis_; }
    Index length() const { return before_ * after_; }
    /// Whether the weight's own order is that of the matrix.
    bool in_order() const { return before_ == 1; }

    /// The matrix [count, length]: the weight itself, or `buffer`, filled from it.
    template <class T>
    const BasicTensor<T>& gather(const BasicTensor<T>& weight, BasicTensor<T>& buffer) const {
        if (in_order()) return weight;
        buffer.resize({count(), length()});
        move<T>([&](Index in_matrix, Index in_weight) {
            std::copy_n(weight.data() + in_weight, after_, buffer.data() + in_matrix);
        });
        return buffer;
    }
    /// Writes a matrix back into the weight's order; nothing where both are the same tensor.
    template <class T>
    void scatter(const BasicTensor<T>& matrix, BasicTensor<T>& weight) const {
        if (&matrix == &weight) return;
        move<T>([&](Index in_matrix, Index in_weight) {
            std::copy_n(matrix.data() + in_matrix, after_, weight.data() + in_weight);
        });
    }

    /// Adds a matrix to a tensor in the weight's order.
    template <class T>
    void add(const BasicTensor<T>& matrix, BasicTensor<T>& weight) const {
        move<T>([&](Index in_matrix, Index in_weight) {
            ArrayMap<T>(weight.data() + in_weight, after_) +=
                ConstArrayMap<T>(matrix.data() + in_matrix, after_);
        });
    }

private:
    template <class T, class F>
    void move(F f) const {
        for (Index g = 0; g != groups_; ++g)
            for (Index k = 0; k != axis_; ++k)
                for (Index b = 0; b != before_; ++b)
                    f(((g * axis_ + k) * before_ + b) * after_, ((g * before_ + b) * axis_ + k) * after_);
    }

    Index axis_, groups_, before_, after_;
};

}  // namespace amct_distill::nn
