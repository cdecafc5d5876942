// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/softmax.hpp>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_softmax_test {

using namespace amct_distill::nn;

TEST_CASE("Softmax: along its dimension, without overflow") {
    BasicTensor<double> const x({1, 2, 2}, {1000, 0, 1000 + std::log(3.0), 0});
    auto const over_rows = run<double>(BasicSoftmax<double>{}, {x});
    CHECK(over_rows[0] == Approx(0.25));
    CHECK(over_rows[2] == Approx(0.75));
    CHECK(over_rows[1] == 0.5);
    auto const over_columns = run<double>(BasicSoftmax<double>(2), {x});
    CHECK(over_columns[0] == 1);
    CHECK(over_columns[1] == 0);
    auto const over_all = run<double>(BasicSoftmax<double>({.dim = 1, .to_end = true}), {x});
    CHECK(over_all[0] == Approx(0.25));
    CHECK(over_all[1] == 0);
    CHECK(over_all[2] == Approx(0.75));
    auto const over_batch = run<double>(BasicSoftmax<double>(0), {BasicTensor<double>({3, 1}, {0, 0, 0})});
    CHECK(over_batch[1] == Approx(1.0 / 3));
}

TEST_CASE("LogSoftmax: the logarithm of Softmax, also where that is 0") {
    BasicTensor<double> const x({1, 4}, {0, 1, 10000, 10001});
    auto const y = run<double>(BasicLogSoftmax<double>{}, {x});
    double const log_sum = std::log(1 + std::exp(1.0));
    CHECK(y[0] == Approx(-10000 - log_sum));
    CHECK(y[2] == Approx(-log_sum));
    CHECK(y[3] == Approx(1 - log_sum));
}

TEST_CASE("Softmax, LogSoftmax: NaN is passed on") {
    for (const Module& m : {Module(Softmax{}), Module(LogSoftmax{})})
        for (std::size_t i = 0; i != 3; ++i) {
            Tensor x({1, 3});
            x[i] = std::numeric_limits<float>::quiet_NaN();
            for (float y : run<float>(m, {x})) CHECK(std::isnan(y));
        }
}

TEST_CASE("Softmax, LogSoftmax: gradients are those of central differences") {
    Shape const shape{2, 3, 2, 4};
    for (Index dim = 0; dim != 4; ++dim)
        for (bool to_end : {false, true}) {
            INFO(dim << to_end);
            BasicModule<double> soft = BasicSoftmax<double>({.dim = dim, .to_end = to_end});
            BasicModule<double> log = BasicLogSoftmax<double>({.dim = dim, .to_end = to_end});
            CHECK(gradient_error(soft, {shape}) < gradient_tolerance);
            CHECK(gradient_error(log, {shape}) < gradient_tolerance);
        }
}

TEST_CASE("Softmax, LogSoftmax: options and errors of shapes") {
    CHECK(Module(Softmax(2)).options() == "dim: 2 to_end: false");
    CHECK(Softmax(2).dim() == 2);
    CHECK(Module(LogSoftmax{}).type() == "LogSoftmax");
    CHECK(shape_error(Module(Softmax(2)), {{4, 3}}) == "expected one input with a dimension 2, found [4, 3]");
    CHECK(shape_error(Module(Softmax(0)), {{any_batch, 3}}) ==
          "expected an input of a fixed size, because dim 0 is the batch, found [N, 3]");
    CHECK(shape_error(Module(Softmax(0)), {{4, 3}}) == "");
    CHECK_THROWS_WITH(Softmax({.dim = -1}), "Softmax: expected a dim of 0 or more, found -1");
}

}  // namespace nn_softmax_test
