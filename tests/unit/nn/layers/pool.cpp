// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/pool.hpp>

#include <amct_distill/nn/network.hpp>
#include <array>
#include <cmath>
#include <vector>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_pool_test {

using namespace amct_distill::nn;

namespace {
const Tensor& image() {
    static const Tensor x({1, 1, 3, 3}, {1, 2, 3, 4, 9, 6, 7, 8, 5});
    return x;
}
}  // namespace

TEST_CASE("MaxPool2d: a window far wider than the image takes no memory for its padding") {
    Index const wide = Index(1) << 30;
    Network net;
    MaxPool2d const pool({.kernel = {1, wide}, .stride = {1, 1}, .padding = {0, wide / 2}});
    net.output(net.add("pool", pool, {net.input("x", {1, 1, 3})}));
    Tensor const y = net.predict(Tensor({1, 1, 1, 3}, {1, 5, 2}));
    CHECK(y.shape() == Shape{1, 1, 1, 4});
    for (std::size_t i = 0; i != y.size(); ++i) CHECK(y[i] == 5);
    Tensor const x({1, 1, 1, 3}, {1, 5, 2}), grad({1, 1, 1, 4}, {1, 2, 3, 4});
    Tensor grad_x({1, 1, 1, 3});
    std::array<const Tensor*, 1> const in{&x};
    std::array<Tensor*, 1> const out{&grad_x};
    Scratch scratch;
    pool.backward(in, y, grad, out, {}, scratch, Mode::train);
    CHECK(grad_x[0] == 0);
    CHECK(grad_x[1] == 10);
    CHECK(grad_x[2] == 0);
}

TEST_CASE("pools: kernels of more taps than an integer holds") {
    Index const wide = Index(1) << 30;
    // One window each, which counts its padding; the pixel is its last tap.
    AvgPool2d const plane({.kernel = {wide, wide}, .padding = {wide - 1, wide - 1}});
    CHECK(run<float>(plane, {Tensor({2, 8, 1, 1}, std::vector<float>(16, 3))}) ==
          Tensor({2, 8, 1, 1}, std::vector<float>(16, std::ldexp(3.0f, -60))));
    AvgPool3d const volume({.kernel = {wide, wide, wide}, .padding = {wide - 1, wide - 1, wide - 1}});
    CHECK(run<float>(volume, {Tensor({1, 1, 1, 1, 1}, {3})}) ==
          Tensor({1, 1, 1, 1, 1}, {std::ldexp(3.0f, -90)}));
    MaxPool3d const largest({.kernel = {wide, wide, wide}, .padding = {wide - 1, wide - 1, wide - 1}});
    CHECK(run<float>(largest, {Tensor({1, 1, 1, 1, 2}, {3, 5})}) == Tensor({1, 1, 1, 1, 2}, {3, 5}));
}

TEST_CASE("pools: forward") {
    CHECK(run<float>(MaxPool2d({.kernel = {2, 2}, .stride = {1, 1}}), {image()}) ==
          Tensor({1, 1, 2, 2}, {9, 9, 9, 9}));
    CHECK(run<float>(MaxPool2d({.kernel = {2, 2}}), {image()}) == Tensor({1, 1, 1, 1}, {9}));
    CHECK(run<float>(AvgPool2d({.kernel = {2, 2}, .stride = {1, 1}}), {image()}) ==
          Tensor({1, 1, 2, 2}, {4, 5, 7, 7}));
}

TEST_CASE("pools: padding is no maximum, and counts as zeros in an average") {
    Tensor const negative({1, 1, 2, 2}, {-1, -2, -3, -4});
    PoolOptions const options{.kernel = {2, 2}, .padding = {1, 1}};
    CHECK(run<float>(MaxPool2d(options), {negative}) == negative);
    CHECK(run<float>(AvgPool2d(options), {negative}) == Tensor({1, 1, 2, 2}, {-0.25f, -0.5f, -0.75f, -1}));
}

TEST_CASE("MaxPool2d: the first of equals takes the gradient, and NaN is the maximum") {
    Tensor const x({1, 1, 2, 2}, {3, 5, 5, 1}), g({1, 1, 1, 1}, {2});
    Tensor gx(x.shape());
    Tensor* const grad_inputs[] = {&gx};
    const Tensor* const inputs[] = {&x};
    Scratch scratch;
    MaxPool2d({.kernel = {2, 2}}).backward(inputs, g, g, grad_inputs, {}, scratch, Mode::evaluate);
    CHECK(gx == Tensor({1, 1, 2, 2}, {0, 2, 0, 0}));

    Tensor const with_nan({1, 1, 1, 3}, {1, std::numeric_limits<float>::quiet_NaN(), 2});
    CHECK(std::isnan(run<float>(MaxPool2d({.kernel = {1, 3}}), {with_nan})[0]));
}

TEST_CASE("pools: gradients are those of central differences") {
    struct Case {
        PoolOptions options;
        Shape shape;
    };
    for (const Case& c : {Case{{.kernel = {2, 2}}, {2, 2, 4, 4}}, Case{{.kernel = {2, 2}}, {2, 1, 5, 7}},
                          Case{{.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1}}, {1, 2, 5, 6}},
                          Case{{.kernel = {3, 2}, .stride = {1, 3}, .padding = {1, 0}}, {2, 3, 4, 5}},
                          Case{{.kernel = {1, 1}, .stride = {2, 2}}, {1, 1, 3, 3}}}) {
        INFO(to_string(c.shape));
        BasicModule<double> max = BasicMaxPool2d<double>(c.options);
        BasicModule<double> average = BasicAvgPool2d<double>(c.options);
        CHECK(gradient_error(max, {c.shape}) < gradient_tolerance);
        CHECK(gradient_error(average, {c.shape}) < gradient_tolerance);
    }
}

TEST_CASE("pools: types, options and errors of shapes") {
    Module const max = MaxPool2d({.kernel = {3, 2}});
    CHECK(max.get_if<MaxPool2d>()->options().stride == std::array<Index, 2>{3, 2});
    CHECK(max.type() == "MaxPool2d");
    CHECK(max.operation() == "MaxPool");
    CHECK(max.output_shape(std::vector<Shape>{{any_batch, 4, 9, 9}}).value() == Shape{any_batch, 4, 3, 4});
    CHECK(shape_error(max, {{4, 10}}) == "expected one input [N, C, H, W], found [4, 10]");
    CHECK(shape_error(max, {{4, 1, 2, 5}}) ==
          "expected an image that holds the kernel 3x2 (padding 0x0), found [4, 1, 2, 5]");
    CHECK_THROWS_WITH(AvgPool2d({.kernel = {3, 3}, .padding = {3, 2}}),
                      "pooling: padding 3x2 must be smaller than the kernel 3x3");
    CHECK_THROWS_WITH(MaxPool2d({.kernel = {0, 1}}),
                      "pooling: kernel, stride and dilation must be at least 1, padding at least 0");
    CHECK_THROWS_WITH(LPPool1d({.norm = 0, .kernel = {2}}), "pooling: norm must be at least 1");

    CHECK(max.options() ==
          "kernel: [3, 2] stride: [3, 2] padding: [0, 0] end_padding: [0, 0] dilation: [1, 1] "
          "ceil_mode: false");
    CHECK(Module(AvgPool1d({.kernel = {3}})).options() ==
          "kernel: [3] stride: [3] padding: [0] end_padding: [0] dilation: [1] ceil_mode: false "
          "count_include_pad: true");
    CHECK(Module(LPPool3d({.norm = 1, .kernel = {1, 2, 3}})).options() ==
          "norm: 1 kernel: [1, 2, 3] stride: [1, 2, 3] padding: [0, 0, 0] end_padding: [0, 0, 0] "
          "dilation: [1, 1, 1] ceil_mode: false");
    CHECK(Module(AvgPool3d({})).type() == "AvgPool3d");
    CHECK(Module(LPPool2d({})).operation() == "LpPool");
    CHECK(shape_error(Module(MaxPool1d({.kernel = {2}})), {{4, 10}}) ==
          "expected one input [N, C, L], found [4, 10]");
}

TEST_CASE("pools: a window on the padding alone is refused") {
    // Positions -1, 1 and 3 of an image of 2 pixels with an end padding of 2: the last has only padding.
    Module const ends = MaxPool1d({.kernel = {3}, .stride = {2}, .padding = {1}, .end_padding = {2}});
    CHECK(shape_error(ends, {{1, 1, 2}}) == "");
    Module const beyond = MaxPool1d({.kernel = {3}, .stride = {3}, .padding = {0}, .end_padding = {2}});
    CHECK(shape_error(beyond, {{1, 1, 4}}) == "");
    CHECK(shape_error(beyond, {{1, 1, 3}}) == "");
    Module const last = MaxPool1d({.kernel = {3}, .stride = {1}, .padding = {0}, .end_padding = {2}});
    CHECK(shape_error(last, {{1, 1, 1}}) == "");
    // Taps at -1 and 1 of an image of one pixel.
    Module const astride = MaxPool1d({.kernel = {2}, .padding = {1}, .dilation = {2}});
    CHECK(shape_error(astride, {{1, 1, 1}}) ==
          "expected an image of which every window covers something, found [1, 1, 1]");
}

TEST_CASE("pools: ceil_mode clips the last window as PyTorch does") {
    Module const m = MaxPool1d({.kernel = {2}, .stride = {2}, .padding = {1}, .ceil_mode = true});
    // 3 pixels and paddings: windows at -1, 1; one at 3 would begin in the padding.
    CHECK(m.output_shape(std::vector<Shape>{{1, 1, 3}}).value() == Shape{1, 1, 2});
    CHECK(m.output_shape(std::vector<Shape>{{1, 1, 4}}).value() == Shape{1, 1, 3});
    Tensor const x({1, 1, 5}, {1, 2, 3, 4, 5});
    // The last window of three covers one pixel and one of padding: PyTorch divides by what lies within.
    AvgPoolOptions<1> options{.kernel = {3}, .stride = {2}, .padding = {1}, .ceil_mode = true};
    CHECK(run<float>(AvgPool1d(options), {x}) == Tensor({1, 1, 3}, {1, 3, 3}));
    options.padding = {0};
    options.stride = {3};
    CHECK(run<float>(AvgPool1d(options), {x}) == Tensor({1, 1, 2}, {2, 4.5f}));
    options.end_padding = {1};
    options.stride = {4};
    CHECK(run<float>(AvgPool1d(options), {x}) == Tensor({1, 1, 2}, {2, 2.5f}));
    options.count_include_pad = false;
    CHECK(run<float>(AvgPool1d(options), {x}) == Tensor({1, 1, 2}, {2, 5}));
}

namespace {
// Every combination of options against loops over taps in three dimensions.
template <class Visit>
void for_each_window(const MaxPoolOptions<3>& o, const Shape& in, const Shape& out, Visit visit) {
    for (Index plane = 0; plane != in[0] * in[1]; ++plane)
        for (Index z = 0; z != out[2]; ++z)
            for (Index y = 0; y != out[3]; ++y)
                for (Index x = 0; x != out[4]; ++x) {
                    std::vector<std::size_t> pixels;
                    Index counted = 0;
                    Index const at[] = {z, y, x};
                    for (Index k = 0; k != o.kernel[0] * o.kernel[1] * o.kernel[2]; ++k) {
                        Index const tap[] = {k / (o.kernel[1] * o.kernel[2]), k / o.kernel[2] % o.kernel[1],
                                             k % o.kernel[2]};
                        Index from = plane;
                        bool image = true, padded = true;
                        for (std::size_t d = 0; d != 3; ++d) {
                            Index const p = at[d] * o.stride[d] - o.padding[d] + tap[d] * o.dilation[d];
                            image = image && p >= 0 && p < in[d + 2];
                            padded = padded && p < in[d + 2] + o.end_padding[d];
                            from = from * in[d + 2] + p;
                        }
                        counted += padded;
                        if (image) pixels.push_back(static_cast<std::size_t>(from));
                    }
                    visit(pixels, counted);
                }
}
}  // namespace

TEST_CASE("pools: all options in three dimensions, against loops over the taps") {
    Shape const in{2, 2, 5, 4, 7};
    BasicTensor<double> x(in);
    fill_distinct(x.span(), 5);
    using Size = std::array<Index, 3>;
    for (Size kernel : {Size{1, 2, 3}, Size{2, 3, 2}})
        for (Size stride : {Size{1, 1, 1}, Size{2, 1, 3}})
            for (Size begin : {Size{0, 0, 0}, Size{0, 1, 1}})
                for (Size end : {Size{0, 0, 0}, Size{0, 1, 0}})
                    for (Size dilation : {Size{1, 1, 1}, Size{2, 1, 2}})
                        for (bool ceil : {false, true}) {
                            MaxPoolOptions<3> const o{kernel, stride, begin, end, dilation, ceil};
                            auto const max = run<double>(BasicMaxPool<double, 3>(o), {x});
                            auto const mean = run<double>(BasicAvgPool<double, 3>(o), {x});
                            auto const of_pixels =
                                run<double>(BasicAvgPool<double, 3>(AvgPoolOptions<3>{
                                                kernel, stride, begin, end, dilation, ceil, false}),
                                            {x});
                            auto const norm = run<double>(
                                BasicLPPool<double, 3>({3, kernel, stride, begin, end, dilation, ceil}), {x});
                            std::size_t at = 0, wrong = 0;
                            for_each_window(
                                o, in, max.shape(),
                                [&](const std::vector<std::size_t>& pixels, Index counted) {
                                    double most = -9, sum = 0, cubes = 0;
                                    for (std::size_t p : pixels) {
                                        most = (std::max)(most, x[p]);
                                        sum += x[p];
                                        cubes += std::pow(std::abs(x[p]), 3);
                                    }
                                    wrong += max[at] != most;
                                    wrong += std::abs(mean[at] - sum / double(counted)) > 1e-15;
                                    wrong += std::abs(of_pixels[at] - sum / double(pixels.size())) > 1e-15;
                                    wrong += std::abs(norm[at] - std::cbrt(cubes)) > 1e-14;
                                    ++at;
                                });
                            CHECK(at == max.size());
                            CHECK(wrong == 0);
                        }
}

TEST_CASE("pools: gradients of one and three dimensions, with all options") {
    using M = BasicModule<double>;
    for (bool ceil : {false, true})
        for (Index dilation : {1, 2}) {
            MaxPoolOptions<1> const one{{3}, {2}, {1}, {0}, {dilation}, ceil};
            for (M m :
                 {M(BasicMaxPool<double, 1>(one)), M(BasicAvgPool<double, 1>(one)),
                  M(BasicAvgPool<double, 1>(AvgPoolOptions<1>{{3}, {2}, {1}, {0}, {dilation}, ceil, false})),
                  M(BasicLPPool<double, 1>({1, {3}, {2}, {1}, {0}, {dilation}, ceil})),
                  M(BasicLPPool<double, 1>({2, {3}, {2}, {1}, {0}, {dilation}, ceil})),
                  M(BasicLPPool<double, 1>({3, {3}, {2}, {1}, {0}, {dilation}, ceil}))})
                CHECK(gradient_error(m, {{2, 2, 8}}) < 20 * gradient_tolerance);  // norms bend near 0
            MaxPoolOptions<3> const three{{2, 1, 3}, {1, 2, 2}, {1, 0, 1}, {0, 0, 2}, {dilation, 1, 1}, ceil};
            for (M m : {M(BasicMaxPool<double, 3>(three)), M(BasicAvgPool<double, 3>(three))})
                CHECK(gradient_error(m, {{1, 2, 3, 2, 5}}) < gradient_tolerance);
        }
}

TEST_CASE("pools: whether every window reads a pixel is known without looking at all of them") {
    using amct_distill::detail::PoolAxis;
    auto const by_looking = [](const PoolAxis& a) {
        for (Index o = 0; o != a.output(); ++o)
            if (a.taps(o).count == 0) return false;
        return true;
    };
    std::size_t cases = 0, unread = 0;
    for (Index input = 1; input != 6; ++input)
        for (Index kernel = 1; kernel != 5; ++kernel)
            for (Index stride = 1; stride != 5; ++stride)
                for (Index dilation = 1; dilation != 5; ++dilation)
                    for (Index begin = 0; begin < dilation * (kernel - 1) + 1; ++begin)
                        for (Index end = 0; end < dilation * (kernel - 1) + 1; ++end)
                            for (bool ceil_mode : {false, true}) {
                                PoolAxis const a{input, kernel, stride, begin, end, dilation, ceil_mode};
                                if (a.output() == 0) continue;
                                ++cases;
                                unread += !by_looking(a);
                                if (a.all_read() != by_looking(a))
                                    FAIL(input << ' ' << kernel << ' ' << stride << ' ' << dilation << ' '
                                               << begin << ' ' << end << ' ' << ceil_mode);
                            }
    CHECK(cases > 5000);
    CHECK(unread > 50);
    constexpr Index most = Index(1) << 30;
    CHECK(PoolAxis{most, 1, 1, 0, 0, 1, false}.all_read());
    CHECK(PoolAxis{most, 3, 1, 1, 1, most / 2, false}.all_read());
    CHECK(PoolAxis{1, 3, 1, most, most, most, false}.all_read());
    CHECK_FALSE(PoolAxis{1, 2, 1, most, most, most, false}.all_read());
}

}  // namespace nn_pool_test
