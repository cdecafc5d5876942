// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/transpose.hpp>
#include <numeric>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_transpose_test {

using namespace amct_distill::nn;

namespace {
Tensor counted(const Shape& shape) {
    Tensor t(shape);
    std::iota(t.begin(), t.end(), 0.0f);
    return t;
}
}  // namespace

TEST_CASE("Transpose: every permutation of four dimensions") {
    Shape const in{2, 3, 4, 5};
    Tensor const x = counted(in);
    Shape p{0, 1, 2, 3};
    do {
        Tensor const y = run<float>(Transpose(p), {x});
        std::size_t wrong = 0;
        Shape at(4);
        for (at[0] = 0; at[0] != in[0]; ++at[0])
            for (at[1] = 0; at[1] != in[1]; ++at[1])
                for (at[2] = 0; at[2] != in[2]; ++at[2])
                    for (at[3] = 0; at[3] != in[3]; ++at[3]) {
                        Index from = 0, to = 0;
                        for (std::size_t d = 0; d != 4; ++d) {
                            from = from * in[d] + at[d];
                            to = to * y.dim(d) + at[std::size_t(p[d])];
                        }
                        wrong += y[std::size_t(to)] != x[std::size_t(from)];
                    }
        INFO(to_string(p));
        CHECK(wrong == 0);
    } while (std::next_permutation(p.begin(), p.end()));
}

TEST_CASE("blocks of pixels: as PyTorch and ONNX count channels") {
    Tensor const x = counted({1, 8, 1, 1});
    // Channel c of the output, rows of pixels.
    CHECK(run<float>(PixelShuffle({.block = 2}), {x}) == Tensor({1, 2, 2, 2}, {0, 1, 2, 3, 4, 5, 6, 7}));
    CHECK(run<float>(DepthToSpace({.block = 2}), {x}) == Tensor({1, 2, 2, 2}, {0, 2, 4, 6, 1, 3, 5, 7}));
    Tensor const image = counted({2, 3, 4, 6});
    auto const back = [&](const Module& to, const Module& from) { return run(from, {run(to, {image})}); };
    CHECK(back(PixelUnshuffle({.block = 2}), PixelShuffle({.block = 2})) == image);
    CHECK(back(SpaceToDepth({.block = 2}), DepthToSpace({.block = 2})) == image);
    CHECK(run<float>(SpaceToDepth({.block = 2}), {counted({1, 2, 2, 2})}) ==
          Tensor({1, 8, 1, 1}, {0, 4, 1, 5, 2, 6, 3, 7}));
}

TEST_CASE("Transpose and blocks: gradients are those of central differences") {
    using M = BasicModule<double>;
    for (M m : {M(BasicTranspose<double>({0, 2, 3, 1})), M(BasicTranspose<double>({3, 1, 0, 2})),
                M(BasicPixelShuffle<double>({.block = 2})), M(BasicDepthToSpace<double>({.block = 2})),
                M(BasicPixelUnshuffle<double>({.block = 2})), M(BasicSpaceToDepth<double>({.block = 2}))})
        CHECK(gradient_error(m, {{2, 4, 2, 4}}) < gradient_tolerance);
}

TEST_CASE("Transpose and blocks: types, options and errors") {
    Module const m = Transpose({0, 2, 1});
    CHECK(m.options() == "permutation: [0, 2, 1]");
    CHECK(Transpose(TransposeOptions{{1, 0}}).options().permutation == Shape{1, 0});
    CHECK(m.output_shape(std::vector<Shape>{{any_batch, 4, 3}}).value() == Shape{any_batch, 3, 4});
    CHECK(shape_error(m, {{4, 3}}) == "expected one input with 3 dimensions, found [4, 3]");
    CHECK(shape_error(Module(Transpose({1, 0})), {{any_batch, 3}})
              .starts_with("expected a fixed batch for another place of dimension 0"));
    CHECK_THROWS_WITH(Transpose({1, 2}), "Transpose: expected every dimension once, from 0 on");

    CHECK(Module(PixelShuffle({.block = 2})).operation() == "DepthToSpace");
    CHECK(Module(SpaceToDepth({.block = 2})).options() == "block: 2");
    CHECK(shape_error(Module(PixelShuffle({.block = 2})), {{1, 6, 2, 2}}) ==
          "expected one input [N, C, H, W] with a multiple of 4 channels, found [1, 6, 2, 2]");
    CHECK(shape_error(Module(SpaceToDepth({.block = 2})), {{1, 6, 2, 3}}) ==
          "expected one input [N, C, H, W] whose height and width are multiples of 2, found [1, 6, 2, 3]");
    CHECK_THROWS_WITH(SpaceToDepth({.block = 0}), "SpaceToDepth: expected a block from 1 to 1073741824");
}

}  // namespace nn_transpose_test
