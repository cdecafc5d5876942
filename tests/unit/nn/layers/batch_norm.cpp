// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/batch_norm.hpp>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_batch_norm_test {

using namespace amct_distill::nn;

namespace {

BasicModule<double> filled(Index features) {
    BasicBatchNorm2d<double> bn({.num_features = features});
    fill_distinct(bn.weight(), 1);
    fill_distinct(bn.bias(), 2);
    fill_distinct(bn.running_mean(), 3);
    for (std::size_t c = 0; c != bn.running_var().size(); ++c) bn.running_var()[c] = 0.5 + 0.25 * double(c);
    return bn;
}

}  // namespace

TEST_CASE("BatchNorm2d: evaluate takes the running statistics") {
    BasicBatchNorm2d<double> bn({.num_features = 2, .eps = 0});
    bn.weight() = {{2}, {2, 3}};
    bn.bias() = {{2}, {1, 0}};
    bn.running_mean() = {{2}, {1, 10}};
    bn.running_var() = {{2}, {4, 0.25}};
    BasicTensor<double> const x({1, 2, 1, 2}, {3, 5, 10, 11});
    CHECK(run<double>(bn, {x}) == BasicTensor<double>({1, 2, 1, 2}, {3, 5, 0, 6}));
}

TEST_CASE("BatchNorm2d: train takes the batch's, and moves the running ones towards them") {
    BasicBatchNorm2d<double> bn({.num_features = 1, .eps = 0});
    BasicTensor<double> const x({2, 1, 1, 2}, {1, 3, 5, 7});  // mean 4, variance 5, unbiased 20 / 3
    auto const y = run<double>(bn, {x}, Mode::train);
    CHECK(y[0] == Approx(-3 / std::sqrt(5.0)));
    CHECK(y[3] == Approx(3 / std::sqrt(5.0)));
    CHECK(bn.running_mean()[0] == 0);  // forward is pure

    const BasicTensor<double>* const inputs[] = {&x};
    bn.update_statistics(inputs);
    CHECK(bn.running_mean()[0] == Approx(0.4));
    CHECK(bn.running_var()[0] == Approx(0.9 + 0.1 * 20 / 3));
}

TEST_CASE("BatchNorm2d: gradients are those of central differences, in both modes") {
    for (const Shape& shape : {Shape{4, 3, 2, 3}, Shape{3, 2, 1, 1}, Shape{1, 1, 3, 5}})
        for (Mode mode : {Mode::evaluate, Mode::train}) {
            INFO(to_string(shape) << (mode == Mode::train ? " train" : " evaluate"));
            BasicModule<double> module = filled(shape[1]);
            CHECK(gradient_error(module, {shape}, mode) < gradient_tolerance);
        }
}

TEST_CASE("BatchNorm1d and 3d: the same of other ranks") {
    BasicBatchNorm2d<double> const two = *filled(3).get_if<BasicBatchNorm2d<double>>();
    auto const same = [&](auto bn, const Shape& shape, Mode mode) {
        bn.weight() = two.weight();
        bn.bias() = two.bias();
        bn.running_mean() = two.running_mean();
        bn.running_var() = two.running_var();
        BasicTensor<double> x(shape);
        fill_distinct(x, 4);
        auto y = run<double>(bn, {x}, mode);
        BasicModule<double> module = bn;
        CHECK(as_batch_norm(module) != nullptr);
        CHECK(gradient_error(module, {shape}, mode) < gradient_tolerance);
        Shape const image{shape[0], 3, 1, product(shape, 2, shape.size())};
        x.resize(image);
        y.resize(image);
        return run<double>(two, {x}, mode) == y;
    };
    for (Mode mode : {Mode::evaluate, Mode::train}) {
        CHECK(same(BasicBatchNorm1d<double>({.num_features = 3}), {4, 3}, mode));
        CHECK(same(BasicBatchNorm1d<double>({.num_features = 3}), {2, 3, 5}, mode));
        CHECK(same(BasicBatchNorm3d<double>({.num_features = 3}), {2, 3, 2, 1, 3}, mode));
    }
    CHECK(Module(BatchNorm1d({.num_features = 3})).type() == "BatchNorm1d");
    CHECK(Module(BatchNorm3d({.num_features = 3})).operation() == "BatchNormalization");
    CHECK(as_batch_norm(Module(BatchNorm2d({.num_features = 3}))) != nullptr);
    CHECK(shape_error(Module(BatchNorm1d({.num_features = 3})), {{4, 3, 2, 2}}) ==
          "expected one input [N, 3] or [N, 3, L], found [4, 3, 2, 2]");
    CHECK(shape_error(Module(BatchNorm3d({.num_features = 3})), {{4, 3, 2, 2}}) ==
          "expected one input [N, 3, D, H, W], found [4, 3, 2, 2]");
    CHECK_THROWS_WITH(BatchNorm1d({}), "BatchNorm1d: num_features must be at least 1");
}

TEST_CASE("BatchNorm2d: parameters") {
    Module bn = BatchNorm2d({.num_features = 3});
    auto const p = bn.parameters();
    REQUIRE(p.size() == 4);
    CHECK(p[0].name == "weight");
    CHECK(p[0].role == Role::affine);
    CHECK(std::vector<float>(p[0].values.begin(), p[0].values.end()) == std::vector<float>{1, 1, 1});
    CHECK(p[1].name == "bias");
    CHECK(p[1].role == Role::affine);
    CHECK(p[2].name == "running_mean");
    CHECK(p[2].role == Role::statistic);
    CHECK(p[3].name == "running_var");
    CHECK(std::vector<float>(p[3].values.begin(), p[3].values.end()) == std::vector<float>{1, 1, 1});
}

TEST_CASE("BatchNorm2d: errors of shapes, options and batches") {
    Module const bn = BatchNorm2d({.num_features = 3});
    CHECK(shape_error(bn, {{4, 3, 2, 2}}).empty());
    CHECK(shape_error(bn, {{4, 2, 2, 2}}) == "expected one input [N, 3, H, W], found [4, 2, 2, 2]");
    CHECK(shape_error(bn, {{4, 3}}) == "expected one input [N, 3, H, W], found [4, 3]");
    CHECK_THROWS_WITH(BatchNorm2d({}), "BatchNorm2d: num_features must be at least 1");
    CHECK_THROWS_WITH(
        run<float>(bn, {Tensor({1, 3, 1, 1})}, Mode::train),
        "BatchNorm2d: Mode::train needs more than one value per channel, found an input [1, 3, 1, 1]");
    CHECK_NOTHROW(run<float>(bn, {Tensor({1, 3, 1, 1})}));
}

TEST_CASE("BatchNorm: what has no channels is refused") {
    Module const norm = BatchNorm1d({.num_features = 3});
    for (const Shape& shape : {Shape{any_batch}, Shape{any_batch, 4}, Shape{any_batch, 3, 2, 2}})
        CHECK(shape_error(norm, {shape}).starts_with("expected one input [N, 3] or [N, 3, L], found "));
    CHECK(shape_error(norm, {{any_batch, 3}}).empty());
}

}  // namespace nn_batch_norm_test
