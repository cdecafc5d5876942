// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/unary.hpp>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_unary_test {

using namespace amct_distill::nn;
namespace functions = amct_distill::detail::functions;

namespace {

template <class F>
void check(std::vector<double> at, double (*expected)(double)) {
    INFO(F::name);
    BasicModule<double> m = Unary<double, F>{};
    BasicTensor<double> const x({1, static_cast<Index>(at.size())}, at);
    auto const y = run<double>(m, {x});
    for (std::size_t i = 0; i != at.size(); ++i) CHECK(y[i] == Approx(expected(at[i])).margin(1e-12));
    CHECK(gradient_error_at(m, {x}) < 10 * gradient_tolerance);
    CHECK(m.type() == F::name);
    CHECK(std::isnan(run<float>(Unary<float, F>{}, {Tensor({1}, {std::nanf("")})})[0]));
}

}  // namespace

TEST_CASE("unary functions: values and gradients") {
    std::vector<double> const any{-2.2, -0.7, 0.3, 1.6}, positive{0.6, 1.3, 4.0};
    check<functions::Exp>(any, [](double x) { return std::exp(x); });
    check<functions::Log>(positive, [](double x) { return std::log(x); });
    check<functions::Sqrt>(positive, [](double x) { return std::sqrt(x); });
    check<functions::Erf>(any, [](double x) { return 1 - std::erfc(x); });
    check<functions::Abs>(any, [](double x) { return x < 0 ? -x : x; });
    check<functions::Neg>(any, [](double x) { return -x; });
    check<functions::Reciprocal>({-2.2, -0.9, 0.8, 3}, [](double x) { return 1 / x; });
    check<functions::Sign>(any, [](double x) { return x < 0 ? -1.0 : 1.0; });
    check<functions::Floor>(any, [](double x) { return std::floor(x); });
    check<functions::Ceil>(any, [](double x) { return std::ceil(x); });
    check<functions::Round>(any, [](double x) { return std::floor(x + 0.5); });
}

TEST_CASE("unary functions: the special points") {
    CHECK(run<float>(Round{}, {Tensor({5}, {-1.5f, -0.5f, 0.5f, 1.5f, 2.5f})}) ==
          Tensor({5}, {-2, 0, 0, 2, 2}));
    CHECK(run<float>(Sign{}, {Tensor({3}, {-3, 0, 3})}) == Tensor({3}, {-1, 0, 1}));
    Tensor const zero({1}), one({1}, {1});
    Tensor gx({1});
    Scratch scratch;
    const Tensor* const inputs[] = {&zero};
    Tensor* const gradients[] = {&gx};
    Module(Abs{}).backward(inputs, zero, one, gradients, {}, scratch, Mode::evaluate);
    CHECK(gx[0] == 0);
    CHECK(shape_error(Module(Exp{}), {{1}, {2}}) == "expected one input, found [1] and [2]");
}

}  // namespace nn_unary_test
