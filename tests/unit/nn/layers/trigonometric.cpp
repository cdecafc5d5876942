// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/trigonometric.hpp>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_trigonometric_test {

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
}
double square_root_of_square(double x, double sign) { return std::sqrt(x * x + sign); }

}  // namespace

TEST_CASE("trigonometric functions: values and gradients") {
    std::vector<double> const any{-1.2, -0.7, 0.3, 1.4}, below_one{-0.8, -0.1, 0.4};
    check<functions::Sin>(any, [](double x) { return std::cos(x - std::acos(0.0)); });
    check<functions::Cos>(any, [](double x) { return std::sin(x + std::acos(0.0)); });
    check<functions::Tan>(any, [](double x) { return std::sin(x) / std::cos(x); });
    check<functions::Asin>(below_one, [](double x) { return std::atan(x / std::sqrt(1 - x * x)); });
    check<functions::Acos>(below_one, [](double x) { return std::acos(0.0) - std::asin(x); });
    check<functions::Atan>(any, [](double x) { return std::atan2(x, 1.0); });
    check<functions::Sinh>(any, [](double x) { return (std::exp(x) - std::exp(-x)) / 2; });
    check<functions::Cosh>(any, [](double x) { return (std::exp(x) + std::exp(-x)) / 2; });
    check<functions::Asinh>(any, [](double x) { return std::log(x + square_root_of_square(x, 1)); });
    check<functions::Acosh>({1.3, 2, 5}, [](double x) { return std::log(x + square_root_of_square(x, -1)); });
    check<functions::Atanh>(below_one, [](double x) { return std::log((1 + x) / (1 - x)) / 2; });
}

}  // namespace nn_trigonometric_test
