// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/elementwise.hpp>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_elementwise_test {

using namespace amct_distill::nn;

namespace {
template <class T>
struct Square : amct_distill::detail::Elementwise<Square<T>, T> {
    static constexpr std::string_view type_name = "Square";
    static T value(T x) { return x * x; }
    static T slope_times(T x, T, T g) { return 2 * x * g; }
};
}  // namespace

TEST_CASE("elementwise: a value and a slope make a module") {
    CHECK(run<float>(Square<float>{}, {Tensor({1, 3}, {-2, 0, 3})}) == Tensor({1, 3}, {4, 0, 9}));
    BasicModule<double> square = Square<double>{};
    CHECK(gradient_error(square, {{3, 4}}) < gradient_tolerance);
    CHECK(shape_error(Module(Square<float>{}), {}) == "expected one input, found none");
}

}  // namespace nn_elementwise_test
