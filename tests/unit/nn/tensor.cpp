// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/tensor.hpp>

#include <cstdint>

#include "support/catch.hpp"

namespace nn_tensor_test {

using namespace amct_distill::nn;

TEST_CASE("a tensor is a shape and row-major values") {
    Tensor t({2, 3}, {1, 2, 3, 4, 5, 6});
    CHECK(t.rank() == 2);
    CHECK(t.dim(1) == 3);
    CHECK(t.size() == 6);
    CHECK(t[4] == 5);
    CHECK(t.span().back() == 6);
    CHECK(t == Tensor({2, 3}, {1, 2, 3, 4, 5, 6}));
    CHECK_FALSE(t == Tensor({3, 2}, {1, 2, 3, 4, 5, 6}));
    CHECK(Tensor({2, 2}) == Tensor({2, 2}, {0, 0, 0, 0}));
    CHECK(Tensor{}.empty());
    CHECK(Tensor({0, 4}).empty());
}

TEST_CASE("a shape prints, with N for any batch size") {
    CHECK(to_string(Shape{8, 1, 28, 28}) == "[8, 1, 28, 28]");
    CHECK(to_string(Shape{any_batch, 10}) == "[N, 10]");
    CHECK(to_string(Shape{}) == "[]");
}

TEST_CASE("a tensor that shrinks and grows back does not allocate") {
    Tensor t({4, 8});
    const float* const before = t.data();
    t.resize({2, 8});
    CHECK(t.shape() == Shape{2, 8});
    t.resize({8, 4});
    CHECK(t.data() == before);
    t = Tensor({2, 2}, {1, 2, 3, 4});
    Tensor const other({3, 3});
    Tensor copy({4, 4});
    const float* const place = copy.data();
    copy = other;
    CHECK(copy.data() == place);
}

TEST_CASE("a tensor begins where Eigen's vectors begin, so that its sums do not depend on its address") {
    for (Index n = 1; n != 20; ++n)
        CHECK(reinterpret_cast<std::uintptr_t>(Tensor({n}).data()) % EIGEN_DEFAULT_ALIGN_BYTES == 0);
}

TEST_CASE("a tensor is a matrix of as many values") {
    Tensor t({2, 3, 1}, {1, 2, 3, 4, 5, 6});
    CHECK(matrix(t, 2, 3).row(1).sum() == 15);
    matrix(t, 3, 2)(2, 0) = 9;
    CHECK(t[4] == 9);
    CHECK(array(t).maxCoeff() == 9);
    CHECK_THROWS_WITH(matrix(t, 2, 2), "a tensor [2, 3, 1] is no 2 x 2 matrix");
    CHECK_THROWS_WITH(matrix(t, -2, -3), "a tensor [2, 3, 1] is no -2 x -3 matrix");
}

TEST_CASE("values that do not fill the shape are refused") {
    CHECK_THROWS_WITH(Tensor({2, 3}, {1, 2}), "Tensor: shape [2, 3] needs 6 values, found 2");
    CHECK_THROWS_WITH(Tensor({2, -3}), "Tensor: shape [2, -3] has a negative dimension");
}

TEST_CASE("a sum in lanes is the sum") {
    for (Index n : {0, 1, 8, 1001}) {
        std::vector<float> x(static_cast<std::size_t>(n), 0.1f);
        CHECK(amct_distill::detail::sum_of(x.data(), n) == Approx(0.1 * double(n)));
    }
}

TEST_CASE("a tensor that is assigned to itself stays") {
    Tensor t({2}, {1, 2});
    const Tensor& same = t;
    t = same;
    CHECK(t == Tensor({2}, {1, 2}));
}

TEST_CASE("a matrix has no rows below 0, and a tensor without dimensions no values") {
    Tensor const t({2, 3});
    CHECK_THROWS_WITH(matrix(t, 2, -3), "a tensor [2, 3] is no 2 x -3 matrix");
    CHECK_THROWS_WITH(matrix(t, -2, 3), "a tensor [2, 3] is no -2 x 3 matrix");
    CHECK_THROWS_WITH(matrix(t, 2, 2), "a tensor [2, 3] is no 2 x 2 matrix");
    CHECK(matrix(t, 3, 2).cols() == 2);
    Tensor none(Shape{});
    CHECK(none.size() == 0);
    none.resize({});
    CHECK(none.rank() == 0);
}

}  // namespace nn_tensor_test
