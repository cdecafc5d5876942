// SPDX-License-Identifier: Apache-2.0
/// Rows of a table, chosen by the input: Embedding, as in torch.nn.
///
///     x = net.add("tokens", Embedding({.num_embeddings = 1000, .embedding_dim = 64}), {ids});
///     // [N, 12] -> [N, 12, 64]
///
/// The indices are whole numbers in a tensor of floats, exact up to 2^24; negative ones count from the end.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "../module.hpp"

namespace amct_distill::nn {

struct EmbeddingOptions {
    Index num_embeddings = 1;
    Index embedding_dim = 1;
    friend bool operator==(const EmbeddingOptions&, const EmbeddingOptions&) = default;
};

template <class T>
class BasicEmbedding {
public:
    static constexpr std::string_view type_name = "Embedding";
    static constexpr std::string_view operation = "Gather";

    /// The weights are 0; throws std::invalid_argument when a number is smaller than 1.
    explicit BasicEmbedding(const EmbeddingOptions& options) : options_(options) {
        if (options.num_embeddings < 1 || options.embedding_dim < 1)
            throw std::invalid_argument("Embedding: num_embeddings and embedding_dim must be at least 1");
        weight_.resize({options.num_embeddings, options.embedding_dim});
    }
    const EmbeddingOptions& options() const { return options_; }
    BasicTensor<T>& weight() { return weight_; }  ///< [num_embeddings, embedding_dim]
    const BasicTensor<T>& weight() const { return weight_; }

    void parameters(std::vector<BasicParameter<T>>& list) {
        list.push_back({"weight", Role::weight, &weight_});
    }
    result<void> check_parameters() const {
        std::array const expected{options_.num_embeddings, options_.embedding_dim};
        return detail::check_shape("weight", weight_, expected);
    }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1) return detail::unexpected_inputs("one input of indices", inputs);
        Shape shape = inputs[0];
        shape.push_back(options_.embedding_dim);
        return shape;
    }
    /// Throws std::invalid_argument for what is no index of the table.
    void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>&, Mode) const {
        T* to = output.data();
        for (T index : *inputs[0]) to = std::copy_n(weight_.data() + row(index), options_.embedding_dim, to);
    }
    void backward(BasicInputs<T> inputs, const BasicTensor<T>&, const BasicTensor<T>& grad_output,
                  std::span<BasicTensor<T>* const>, std::span<BasicTensor<T>> grad_parameters,
                  BasicScratch<T>&, Mode) const {
        const T* from = grad_output.data();
        for (T index : *inputs[0]) {
            T* const to = grad_parameters[0].data() + row(index);
            for (Index i = 0; i != options_.embedding_dim; ++i) to[i] += *from++;
        }
    }

private:
    /// Where the row of an index begins.
    Index row(T index) const {
        Index const n = options_.num_embeddings;
        if (!(index >= T(-n) && index < T(n)) || index != std::trunc(index))
            throw std::invalid_argument(detail::concat("Embedding: expected an index from ", -n, " to ",
                                                       n - 1, ", found ", number(index)));
        return (static_cast<Index>(index) + (index < 0 ? n : 0)) * options_.embedding_dim;
    }

    EmbeddingOptions options_;
    BasicTensor<T> weight_{};
};

using Embedding = BasicEmbedding<float>;

}  // namespace amct_distill::nn
