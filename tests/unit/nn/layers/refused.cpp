// SPDX-License-Identifier: Apache-2.0
// What every layer refuses: a number of inputs, ranks and sizes that are not its own, options of no layer.
#include <amct_distill/nn/module.hpp>

#include <amct_distill/nn/layers/activation.hpp>
#include <amct_distill/nn/layers/batch_norm.hpp>
#include <amct_distill/nn/layers/concat.hpp>
#include <amct_distill/nn/layers/conv2d.hpp>
#include <amct_distill/nn/layers/embedding.hpp>
#include <amct_distill/nn/layers/expand.hpp>
#include <amct_distill/nn/layers/global_pool.hpp>
#include <amct_distill/nn/layers/linear.hpp>
#include <amct_distill/nn/layers/matmul.hpp>
#include <amct_distill/nn/layers/normalization.hpp>
#include <amct_distill/nn/layers/pad.hpp>
#include <amct_distill/nn/layers/prelu.hpp>
#include <amct_distill/nn/layers/reduce.hpp>
#include <amct_distill/nn/layers/repeat_over_batch.hpp>
#include <amct_distill/nn/layers/reshape.hpp>
#include <amct_distill/nn/layers/slice.hpp>
#include <amct_distill/nn/layers/transpose.hpp>
#include <amct_distill/nn/layers/upsample.hpp>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

namespace nn_refused_test {

using namespace amct_distill;
using Catch::Contains;
using nn::Shape;

namespace {
/// The shape, or the error.
std::string shape_of(const nn::Module& module, const std::vector<Shape>& inputs) {
    auto const shape = module.output_shape(inputs);
    return shape ? nn::to_string(*shape) : shape.diagnostics()[0].message;
}
template <class F>
std::string thrown(F&& make) {
    try {
        make();
    } catch (const std::invalid_argument& e) {
        return e.what();
    }
    return "nothing";
}
}  // namespace

TEST_CASE("layers of one input refuse two, none, and those of other dimensions") {
    nn::Index const n = nn::any_batch;
    struct Case {
        nn::Module module;
        Shape fits, rank;  // what it takes, and of a rank that it does not take
        std::string expected;
    };
    std::vector<Case> const cases{
        {nn::Module(nn::Linear({.in_features = 3, .out_features = 2})), {n, 3}, {3}, "one input"},
        {nn::Module(nn::Embedding({4, 2})), {n, 3}, {}, ""},
        {nn::Module(nn::Expand(Shape{2, 3})), {n, 2, 1}, {}, "one input"},
        {nn::Module(nn::GlobalAveragePool{}), {n, 3, 4, 4}, {n}, "one input"},
        {nn::Module(nn::GlobalMaxPool{}), {n, 3, 4, 4}, {n}, "one input"},
        {nn::Module(nn::InstanceNorm1d({.num_features = 3})), {n, 3, 4}, {n, 3}, "one input [N, 3, L]"},
        {nn::Module(nn::GroupNorm({.num_groups = 1, .num_channels = 3})),
         {n, 3},
         {n},
         "one input [N, 3, ...]"},
        {nn::Module(nn::LayerNorm({.normalized_shape = {3}})),
         {n, 3},
         {n},
         "one input whose last dimensions are [3]"},
        {nn::Module(nn::Pad({.begin = {0, 1}, .end = {0, 1}})), {n, 3}, {n}, "one input with 2 dimensions"},
        {nn::Module(nn::PReLU({.num_parameters = 3})), {n, 3}, {n}, "one input"},
        {nn::Module(nn::ReduceSum({.axes = {1}})), {n, 3}, {}, "one input"},
        {nn::Module(nn::Reshape(Shape{3})), {n, 3}, {}, "one input"},
        {nn::Module(nn::Flatten{}), {n, 3, 4}, {}, "one input"},
        {nn::Module(nn::Squeeze(Shape{1})), {n, 1}, {n}, "one input"},
        {nn::Module(nn::Unsqueeze(Shape{1})), {n, 3}, {}, "one input"},
        {nn::Module(nn::Slice({.dims = {1}, .starts = {0}, .ends = {2}})), {n, 3}, {n}, "one input"},
        {nn::Module(nn::Gather({.dim = 1, .indices = {0}, .shape = {1}})),
         {n, 3},
         {n},
         "one input with a dimension 1"},
        {nn::Module(nn::Split({.dim = 1, .sizes = {1, 2}})), {n, 3}, {n}, "one input whose dimension 1 is 3"},
        {nn::Module(nn::Transpose(Shape{0, 2, 1})), {n, 3, 4}, {n, 3}, "one input"},
        {nn::Module(nn::DepthToSpace({2})), {n, 4, 1, 1}, {n, 4, 1}, "one input"},
        {nn::Module(nn::SpaceToDepth({2})), {n, 1, 2, 2}, {n, 1, 2}, "one input"},
        {nn::Module(nn::Upsample({.scales = {1, 1, 2}})), {n, 1, 2}, {n, 1}, "one input"},
    };
    for (const Case& c : cases) {
        INFO(c.module.type());
        CHECK(c.module.output_shapes(std::vector<Shape>{c.fits}));
        for (const std::vector<Shape>& inputs :
             {std::vector<Shape>{}, std::vector<Shape>{c.fits, c.fits}, std::vector<Shape>{c.rank}}) {
            if (inputs.size() == 1 && c.expected.empty()) continue;  // it takes any rank
            auto const refused = c.module.output_shapes(inputs);
            REQUIRE_FALSE(refused);
            CHECK_THAT(refused.diagnostics()[0].message, Contains("expected") && Contains(c.expected));
        }
    }
}

TEST_CASE("layers of several inputs refuse those that do not belong together") {
    nn::Index const n = nn::any_batch;
    nn::Module const repeat(nn::RepeatOverBatch{}), concat(nn::Concat{}), product(nn::MatMul{});
    CHECK(shape_of(repeat, {{1, 3}, {n, 2}}) == "[N, 3]");
    for (const std::vector<Shape>& inputs :
         {std::vector<Shape>{{1, 3}}, std::vector<Shape>{{}, {n, 2}}, std::vector<Shape>{{2, 3}, {n, 2}},
          std::vector<Shape>{{1, 3}, {}}})
        CHECK_THAT(shape_of(repeat, inputs), Contains("one input [1, ...] and one with the batch"));
    CHECK(shape_of(concat, {{n, 3}, {n, 4}}) == "[N, 7]");
    for (const std::vector<Shape>& inputs :
         {std::vector<Shape>{}, std::vector<Shape>{{n, 3}, {n, 3, 1}}, std::vector<Shape>{{n}, {n}},
          std::vector<Shape>{{n, 3, 1}, {n, 3, 2}}, std::vector<Shape>{{}, {n, 3}}})
        CHECK_THAT(shape_of(concat, inputs), Contains("inputs whose shapes differ in dimension 1 at most"));
    for (const std::vector<Shape>& inputs :
         {std::vector<Shape>{{n, 3}}, std::vector<Shape>{{}, {3}}, std::vector<Shape>{{3}, {}}})
        CHECK_THAT(shape_of(product, inputs), Contains("expected"));
    nn::Module const split(nn::Split({.dim = 0, .sizes = {1, 2}}));
    CHECK(split.output_shapes(std::vector<Shape>{{3, 2}}));
    CHECK_THAT(split.output_shapes(std::vector<Shape>{{n, 2}}).diagnostics()[0].message,
               Contains("fixed batch"));
    CHECK_FALSE(split.output_shapes(std::vector<Shape>{{}}));
    CHECK_FALSE(split.output_shapes(std::vector<Shape>{{3}, {3}}));
    nn::Module const reflect(nn::Pad({.begin = {0, 0}, .end = {0, 3}, .mode = nn::PadMode::reflect}));
    CHECK_THAT(shape_of(reflect, {{n, 3}}), Contains("larger than its reflected padding"));
    CHECK_THAT(shape_of(nn::Module(nn::ReduceSum({.axes = {1}})), {{2, 0}}),
               Contains("one input with values to reduce"));
}

TEST_CASE("a shape without dimensions is refused by layers of none") {
    CHECK_THAT(shape_of(nn::Module(nn::Tile(Shape{})), {{}}), Contains("one input with 0 dimensions"));
    CHECK_THAT(shape_of(nn::Module(nn::Transpose(Shape{})), {{}}), Contains("one input with 0 dimensions"));
}

TEST_CASE("options of no layer are refused when it is made") {
    CHECK_THAT(thrown([] { nn::Split({.dim = -1, .sizes = {1}}); }),
               Contains("Split: expected a dimension from 0 on"));
    CHECK_THAT(thrown([] { nn::Split({.dim = 1, .sizes = {}}); }), Contains("parts of at least 1"));
    CHECK_THAT(thrown([] { nn::Split({.dim = 1, .sizes = {0}}); }), Contains("parts of at least 1"));
    CHECK_THAT(thrown([] { nn::Embedding({4, 0}); }), Contains("Embedding"));
    CHECK_THAT(thrown([] { nn::GroupNorm({.num_groups = 0, .num_channels = 3}); }),
               Contains("GroupNorm: 0 groups must divide the 3 channels"));
    CHECK_THAT(thrown([] { nn::GroupNorm({.num_groups = 1, .num_channels = 0}); }),
               Contains("GroupNorm: 1 groups must divide the 0 channels"));
    CHECK_THAT(thrown([] { nn::LayerNorm({.normalized_shape = {0}}); }),
               Contains("dimensions of at least 1"));
    CHECK_THAT(thrown([] { nn::LayerNorm({.normalized_shape = {}}); }), Contains("dimensions of at least 1"));
    CHECK_THAT(thrown([] { nn::Pad({.begin = {}, .end = {}}); }),
               Contains("Pad: expected a beginning and an end"));
    CHECK_THAT(thrown([] { nn::Pad({.begin = {1}, .end = {1}, .mode = static_cast<nn::PadMode>(9)}); }),
               Contains("and a mode"));
    CHECK_THAT(thrown([] { nn::Pad({.begin = {1}, .end = {1}, .mode = static_cast<nn::PadMode>(-1)}); }),
               Contains("and a mode"));
    CHECK_THAT(thrown([] { nn::Slice({.dims = {1}, .starts = {1}, .ends = {}}); }),
               Contains("Slice: expected different dimensions from 0 on"));
    CHECK_THAT(thrown([] {
                   nn::Slice({.dims = {1}, .starts = {1}, .ends = {2}, .steps = {1, 1}});
               }),
               Contains("Slice: expected different dimensions from 0 on"));
    CHECK_THAT(thrown([] { nn::Gather({.dim = 1, .indices = {}, .shape = {}}); }),
               Contains("Gather: expected"));
    CHECK_THAT(thrown([] { nn::Gather({.dim = 1, .indices = {0}, .shape = {0}}); }),
               Contains("Gather: expected"));
    CHECK_THAT(thrown([] { nn::Gather({.dim = 1, .indices = {0}, .shape = {2}}); }),
               Contains("Gather: expected"));
    CHECK_THAT(thrown([] {
                   nn::Conv2d({.in_channels = 1, .out_channels = 1, .kernel = {std::int64_t{1} << 40, 1}});
               }),
               Contains("Conv2d"));
}

}  // namespace nn_refused_test
