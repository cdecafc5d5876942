#include <amct_distill/nn/matrix_product.hpp>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_matrix_product_test {

using namespace amct_distill::nn;
namespace detail = amct_distill::detail;

TEST_CASE("the three products add what the definition says, for sizes on all of Eigen's paths") {
    struct Sizes {
        Index rows, depth, cols;
    };
    for (Sizes s : {Sizes{1, 1, 1}, Sizes{3, 4, 5}, Sizes{1, 40, 30}, Sizes{30, 40, 1}, Sizes{31, 7, 33},
                    Sizes{32, 64, 8}, Sizes{33, 300, 17}, Sizes{70, 9, 65}}) {
        INFO(s.rows << ' ' << s.depth << ' ' << s.cols);
        BasicTensor<double> a({s.rows, s.depth}), b({s.depth, s.cols}), start({s.rows, s.cols});
        BasicTensor<double> a_transposed({s.depth, s.rows}), b_transposed({s.cols, s.depth});
        fill_distinct(a, 1);
        fill_distinct(b, 2);
        fill_distinct(start, 3);
        auto const A = matrix(a, s.rows, s.depth), B = matrix(b, s.depth, s.cols);
        auto At = matrix(a_transposed, s.depth, s.rows), Bt = matrix(b_transposed, s.cols, s.depth);
        for (Index i = 0; i != s.rows; ++i)
            for (Index k = 0; k != s.depth; ++k) At(k, i) = A(i, k);
        for (Index k = 0; k != s.depth; ++k)
            for (Index j = 0; j != s.cols; ++j) Bt(j, k) = B(k, j);

        auto plain = start, with_b_transposed = start, with_a_transposed = start;
        auto const view = [&](auto& t, Index rows, Index cols) {
            return matrix(std::as_const(t), rows, cols);
        };
        detail::add_product<double>(matrix(plain, s.rows, s.cols), view(a, s.rows, s.depth),
                                    view(b, s.depth, s.cols));
        detail::add_product_transposed<double>(matrix(with_b_transposed, s.rows, s.cols),
                                               view(a, s.rows, s.depth), view(b_transposed, s.cols, s.depth));
        detail::add_transposed_product<double>(matrix(with_a_transposed, s.rows, s.cols),
                                               view(a_transposed, s.depth, s.rows), view(b, s.depth, s.cols));

        double worst = 0;
        std::size_t at = 0;
        for (Index i = 0; i != s.rows; ++i)
            for (Index j = 0; j != s.cols; ++j, ++at) {
                double expected = start[at];
                for (Index k = 0; k != s.depth; ++k) expected += A(i, k) * B(k, j);
                for (const auto* c : {&plain, &with_b_transposed, &with_a_transposed})
                    worst = (std::max)(worst, std::abs((*c)[at] - expected));
            }
        CHECK(worst < 1e-12);  // at most 300 products below 1, in another order
    }
}

}  // namespace nn_matrix_product_test
