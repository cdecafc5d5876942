// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/matrix_product.hpp>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_matrix_product_test {

using namespace amct_distill;
using namespace amct_distill::nn;

namespace {

struct Sizes {
    Index rows, depth, cols;
};
// Every height of a tile, whole and narrow tiles, one block of the depth and several.
constexpr Sizes all_sizes[] = {{1, 1, 1},   {3, 4, 5},     {1, 40, 30},   {30, 40, 1},   {31, 7, 33},
                               {32, 64, 8}, {33, 300, 17}, {64, 128, 64}, {15, 129, 256}};

template <class T>
BasicTensor<T> product(InstructionSet set, Sizes s, bool add, bool computed) {
    BasicTensor<double> wide_a({s.rows, s.depth}), wide_b({s.depth, s.cols}), wide_c({s.rows, s.cols});
    fill_distinct(wide_a, 1), fill_distinct(wide_b, 2), fill_distinct(wide_c, 3);
    auto const narrow = [](const BasicTensor<double>& from) {
        BasicTensor<T> to(from.shape());
        for (std::size_t i = 0; i != to.size(); ++i) to[i] = static_cast<T>(from[i]);
        return to;
    };
    BasicTensor<T> a = narrow(wide_a), b = narrow(wide_b), c = narrow(wide_c),
                   buffer({detail::product_buffer});
    auto const row_of_b = [&](Index k, T* line) {
        T* const row = b.data() + k * s.cols;
        return computed ? (std::copy(row, row + s.cols, line), line) : row;
    };
    detail::multiply<T>(set,
                        {.c = c.data(),
                         .c_stride = s.cols,
                         .a = a.data(),
                         .a_stride = s.depth,
                         .rows = s.rows,
                         .depth = s.depth,
                         .cols = s.cols,
                         .add = add},
                        row_of_b, buffer.data());
    return c;
}

}  // namespace

TEST_CASE("a product is what the definition says, on every instruction set") {
    for (InstructionSet set : all_instruction_sets) {
        if (!available(set)) continue;
        for (Sizes s : all_sizes)
            for (bool add : {false, true}) {
                INFO(name(set) << ": " << s.rows << ' ' << s.depth << ' ' << s.cols << ' ' << add);
                BasicTensor<double> a({s.rows, s.depth}), b({s.depth, s.cols}), start({s.rows, s.cols});
                fill_distinct(a, 1), fill_distinct(b, 2), fill_distinct(start, 3);
                auto const c = product<double>(set, s, add, true);
                double worst = 0;
                std::size_t at = 0;
                for (Index i = 0; i != s.rows; ++i)
                    for (Index j = 0; j != s.cols; ++j, ++at) {
                        double expected = add ? start[at] : 0;
                        for (Index k = 0; k != s.depth; ++k)
                            expected += a[std::size_t(i * s.depth + k)] * b[std::size_t(k * s.cols + j)];
                        worst = (std::max)(worst, std::abs(c[at] - expected));
                    }
                CHECK(worst < 1e-12);  // at most 300 products below 1, in another order
                CHECK(product<double>(set, s, add, false) == c);
            }
    }
}

TEST_CASE("a product's bits depend neither on the width of vectors nor on how it is cut") {
    InstructionSet const best = best_instructions();
    Sizes const s{64, 300, 200};
    Tensor const whole = product<float>(best, s, false, false);
    if (available(InstructionSet::avx2))
        CHECK(product<float>(InstructionSet::avx2, s, false, false) == whole);

    // The same by parts of rows and columns that no tile fits.
    BasicTensor<double> wide_a({s.rows, s.depth}), wide_b({s.depth, s.cols});
    fill_distinct(wide_a, 1), fill_distinct(wide_b, 2);
    Tensor a(wide_a.shape()), b(wide_b.shape()), c(whole.shape()), buffer({detail::product_buffer});
    std::copy(wide_a.begin(), wide_a.end(), a.begin());
    std::copy(wide_b.begin(), wide_b.end(), b.begin());
    for (Index row = 0; row < s.rows; row += 11)
        for (Index col = 0; col < s.cols; col += 37)
            detail::multiply<float>(
                best,
                {.c = c.data() + row * s.cols + col,
                 .c_stride = s.cols,
                 .a = a.data() + row * s.depth,
                 .a_stride = s.depth,
                 .rows = (std::min)(Index(11), s.rows - row),
                 .depth = s.depth,
                 .cols = (std::min)(Index(37), s.cols - col),
                 .add = false},
                [&](Index k, float*) { return b.data() + k * s.cols + col; }, buffer.data());
    CHECK(c == whole);
}

TEST_CASE("a transpose, of sizes that its blocks divide or not") {
    for (Index rows : {1, 8, 19})
        for (Index cols : {1, 16, 21}) {
            std::vector<float> from(static_cast<std::size_t>(rows * (cols + 2))), to(from.size() * 2, -1);
            for (std::size_t i = 0; i != from.size(); ++i) from[i] = static_cast<float>(i);
            detail::transpose(from.data(), cols + 2, rows, cols, to.data(), rows + 1);
            for (Index r = 0; r != rows; ++r)
                for (Index c = 0; c != cols; ++c)
                    if (to[std::size_t(c * (rows + 1) + r)] != from[std::size_t(r * (cols + 2) + c)])
                        FAIL(rows << " x " << cols << ": " << r << ", " << c);
            CHECK(to[static_cast<std::size_t>(rows)] == -1);  // between the columns
        }
}

}  // namespace nn_matrix_product_test
