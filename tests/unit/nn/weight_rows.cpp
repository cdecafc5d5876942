// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/weight_rows.hpp>

#include <amct_distill/nn/layers/linear.hpp>

#include "support/catch.hpp"

namespace nn_weight_rows_test {

using namespace amct_distill;
using namespace amct_distill::nn;

namespace {

Tensor counted(const Shape& shape) {
    Tensor t(shape);
    for (std::size_t i = 0; i != t.size(); ++i) t[i] = static_cast<float>(i);
    return t;
}

}  // namespace

TEST_CASE("a weight with its outputs in dimension 0 is its matrix") {
    Tensor const weight = counted({4, 2, 3});
    WeightRows const rows(weight.shape(), 0, 1);
    Tensor buffer;
    CHECK(rows.count() == 4);
    CHECK(rows.length() == 6);
    CHECK(rows.in_order());
    CHECK(&rows.gather(weight, buffer) == &weight);
}

TEST_CASE("a transposed convolution's weight of in, out per group, taps has a row per output") {
    // Two groups of two inputs and three outputs each; two taps.
    Tensor const weight = counted({4, 3, 2});
    WeightRows const rows(weight.shape(), 1, 2);
    REQUIRE(rows.count() == 6);
    REQUIRE(rows.length() == 4);
    CHECK_FALSE(rows.in_order());
    Tensor buffer;
    const Tensor& matrix = rows.gather(weight, buffer);
    for (Index group = 0; group != 2; ++group)
        for (Index out = 0; out != 3; ++out)
            for (Index in = 0; in != 2; ++in)
                for (Index tap = 0; tap != 2; ++tap) {
                    auto const in_weight = static_cast<std::size_t>(((group * 2 + in) * 3 + out) * 2 + tap);
                    auto const in_matrix = static_cast<std::size_t>((group * 3 + out) * 4 + in * 2 + tap);
                    CHECK(matrix[in_matrix] == weight[in_weight]);
                }
    Tensor back(weight.shape());
    rows.scatter(matrix, back);
    CHECK(back == weight);
    rows.add(matrix, back);
    for (std::size_t i = 0; i != back.size(); ++i) CHECK(back[i] == 2 * weight[i]);
}

TEST_CASE("a weight that is its own matrix stays where it is") {
    Linear linear({.in_features = 3, .out_features = 2});
    linear.weight() = counted({2, 3});
    Module module(linear);
    WeightRows const rows(*module.weighted());
    Tensor weight = counted({2, 3});
    rows.scatter(weight, weight);
    CHECK(weight == counted({2, 3}));
}

}  // namespace nn_weight_rows_test
