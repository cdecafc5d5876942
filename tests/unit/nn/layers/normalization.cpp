// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/normalization.hpp>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_normalization_test {

using namespace amct_distill::nn;

namespace {

struct Case {
    BasicModule<double> module;
    Shape input;
    Index together = 1;  ///< how many values, which lie together, are normalized together
    Index run = 1;       ///< how many of them have one weight
};

std::vector<Case> cases() {
    std::vector<Case> all{
        {BasicInstanceNorm1d<double>({.num_features = 2}), {3, 2, 4}, 4, 4},
        {BasicInstanceNorm2d<double>({.num_features = 3, .eps = 0.1, .affine = true}), {2, 3, 2, 3}, 6, 6},
        {BasicInstanceNorm3d<double>({.num_features = 2, .affine = true}), {2, 2, 2, 1, 3}, 6, 6},
        {BasicGroupNorm<double>({.num_groups = 2, .num_channels = 6}), {2, 6, 2, 2}, 12, 4},
        {BasicGroupNorm<double>({.num_groups = 1, .num_channels = 4, .affine = false}), {3, 4, 2}, 8, 2},
        {BasicGroupNorm<double>({.num_groups = 2, .num_channels = 6, .eps = 0.5}), {3, 6}, 3, 1},
        {BasicLayerNorm<double>({.normalized_shape = {5}}), {3, 2, 5}, 5},
        {BasicLayerNorm<double>({.normalized_shape = {4, 10}, .eps = 0.25}), {2, 4, 10}, 40},
        {BasicLayerNorm<double>({.normalized_shape = {6}, .bias = false}), {4, 6}, 6},
        {BasicLayerNorm<double>({.normalized_shape = {3, 2}, .elementwise_affine = false}), {2, 3, 2}, 6},
        {BasicLayerNorm<double>({.normalized_shape = {2, 3}}), {2, 3}, 6},
    };
    for (Case& c : all) fill_parameters(c.module);
    return all;
}

double eps_of(const BasicModule<double>& m) {
    std::string const options = m.options();
    return std::stod(options.substr(options.find("eps: ") + 5));
}

}  // namespace

TEST_CASE("normalizations: forward is the definition") {
    for (Case& c : cases()) {
        INFO(c.module.type() << ' ' << c.module.options());
        BasicTensor<double> x(c.input);
        fill_distinct(x, 3);
        auto const y = run<double>(c.module, {x});
        auto const parameters = c.module.parameters();
        auto const parameter = [&](std::string_view name, std::size_t i, double otherwise) {
            for (const auto& p : parameters)
                if (p.name == name) return p.values[i / std::size_t(c.run) % p.values.size()];
            return otherwise;
        };
        double worst = 0;
        for (std::size_t first = 0; first != x.size(); first += std::size_t(c.together)) {
            ConstArrayMap<double> const values(x.data() + first, c.together);
            double const mean = values.mean(), variance = (values - mean).square().mean();
            for (std::size_t i = first; i != first + std::size_t(c.together); ++i) {
                double const expected =
                    (x[i] - mean) / std::sqrt(variance + eps_of(c.module)) * parameter("weight", i, 1) +
                    parameter("bias", i, 0);
                worst = (std::max)(worst, std::abs(y[i] - expected));
            }
        }
        CHECK(worst < 1e-14);
        CHECK(run<double>(c.module, {x}, Mode::train) == y);
    }
}

TEST_CASE("normalizations: gradients are those of central differences") {
    for (Case& c : cases()) {
        INFO(c.module.type() << ' ' << c.module.options());
        CHECK(gradient_error(c.module, {c.input}) < gradient_tolerance);
    }
}

TEST_CASE("normalizations: more channels than are summed at a time") {
    BasicModule<double> module = BasicLayerNorm<double>({.normalized_shape = {70}});
    fill_parameters(module);
    CHECK(gradient_error(module, {{3, 70}}) < gradient_tolerance);
    BasicModule<double> group = BasicGroupNorm<double>({.num_groups = 5, .num_channels = 35});
    fill_parameters(group);
    CHECK(gradient_error(group, {{2, 35, 2}}) < gradient_tolerance);
}

TEST_CASE("normalizations: values far from 0 lose no digits but their own") {
    LayerNorm const norm({.normalized_shape = {4}, .eps = 0});
    auto const y = run<float>(Module(norm), {Tensor({1, 4}, {16777200, 16777201, 16777202, 16777203})});
    double const deviation = std::sqrt(1.25);
    for (std::size_t i = 0; i != 4; ++i) CHECK(y[i] == Approx((double(i) - 1.5) / deviation).epsilon(1e-6));
}

TEST_CASE("normalizations: parameters, options and errors") {
    Module const instance = InstanceNorm2d({.num_features = 3, .affine = true});
    CHECK(instance.type() == "InstanceNorm2d");
    CHECK(instance.operation() == "InstanceNormalization");
    CHECK(instance.options() == "num_features: 3 eps: 1e-05 affine: true");
    REQUIRE(instance.parameters().size() == 2);
    CHECK(instance.parameters()[0].role == Role::affine);
    CHECK(std::ranges::equal(instance.parameters()[0].values, std::vector<float>{1, 1, 1}));
    CHECK(std::ranges::equal(instance.parameters()[1].values, std::vector<float>{0, 0, 0}));
    CHECK(Module(InstanceNorm2d({.num_features = 3})).parameters().empty());
    CHECK(shape_error(instance, {{2, 3, 4}}) == "expected one input [N, 3, H, W], found [2, 3, 4]");
    CHECK(shape_error(Module(InstanceNorm1d({.num_features = 3})), {{2, 4, 4}}) ==
          "expected one input [N, 3, L], found [2, 4, 4]");
    CHECK(shape_error(Module(InstanceNorm3d({.num_features = 3})), {{any_batch, 3, 4, 4, 4}}).empty());
    CHECK_THROWS_WITH(InstanceNorm2d({}), "InstanceNorm2d: num_features must be at least 1");

    Module const group = GroupNorm({.num_groups = 2, .num_channels = 4});
    CHECK(group.type() == "GroupNorm");
    CHECK(shape_error(group, {{2, 3}}) == "expected one input [N, 4, ...], found [2, 3]");
    CHECK_THROWS_WITH(GroupNorm({.num_groups = 2, .num_channels = 3}),
                      "GroupNorm: 2 groups must divide the 3 channels");

    Module const layer = LayerNorm({.normalized_shape = {3, 4}, .bias = false});
    CHECK(layer.type() == "LayerNorm");
    CHECK(layer.options() == "normalized_shape: [3, 4] eps: 1e-05 elementwise_affine: true bias: false");
    REQUIRE(layer.parameters().size() == 1);
    CHECK(std::ranges::equal(layer.parameters()[0].shape(), Shape{3, 4}));
    CHECK(shape_error(layer, {{any_batch, 3, 4}}).empty());
    CHECK(shape_error(layer, {{2, 4, 3}}) ==
          "expected one input whose last dimensions are [3, 4], found [2, 4, 3]");
    CHECK(shape_error(layer, {{4}}) == "expected one input whose last dimensions are [3, 4], found [4]");
    CHECK_THROWS_WITH(LayerNorm({}), "LayerNorm: normalized_shape needs dimensions of at least 1");

    LayerNorm damaged({.normalized_shape = {3}});
    damaged.weight().resize({2});
    CHECK(damaged.check_parameters().diagnostics()[0].message == "weight: expected [3], found [2]");
}

}  // namespace nn_normalization_test
