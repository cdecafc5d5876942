// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/depthwise.hpp>

#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_depthwise_test {

using namespace amct_distill;
using namespace amct_distill::nn;

namespace {

struct Case {
    detail::Window window;
    Index images, groups, channels, outputs;

    std::string text() const {
        const auto& w = window;
        return detail::concat(to_string(w.input), " kernel ", to_string(w.kernel), " stride ",
                              to_string(w.stride), " padding ", to_string(w.padding), " dilation ",
                              to_string(w.dilation), ' ', images, ' ', groups, ' ', channels, ' ', outputs);
    }
};

/// Every kind of square, stride, dilation and padding, at sizes on both sides of a vector's; tiles of rows
/// and
/// of columns, batches of planes; several channels and outputs.
std::vector<Case> cases() {
    std::vector<Case> all;
    for (Index side : {1, 3, 7, 8, 15, 17, 31})
        for (Index kernel : {1, 2, 3, 5})
            for (Index stride : {1, 2, 3})
                for (Index dilation : {1, 2}) {
                    Index const padding = kernel / 2 * dilation;
                    detail::Window const w{.input = {side, side + 1},
                                           .kernel = {kernel, kernel},
                                           .stride = {stride, stride},
                                           .padding = {padding, padding},
                                           .dilation = {dilation, dilation}};
                    if (w.positions() > 0) all.push_back({w, 2, 3, 1, 1});
                }
    // Rows and columns each with a kernel and a stride of their own.
    for (Index kernel : {1, 2, 3})
        for (Index width : {1, 3})
            for (Index stride : {1, 2, 3})
                for (Index across : {1, 2})
                    all.push_back({{.input = {7, 6}, .kernel = {kernel, width}, .stride = {stride, across}},
                                   2,
                                   1,
                                   2,
                                   1});
    detail::Window const square{.input = {9, 20}, .kernel = {3, 3}, .padding = {1, 1}};
    for (Index channels : {1, 2})
        for (Index outputs : {1, 2, 3})
            for (Index groups : {1, 3}) all.push_back({square, 3, groups, channels, outputs});
    all.push_back({{.input = {6, 7}, .kernel = {3, 2}, .stride = {2, 1}, .padding = {2, 0}}, 1, 2, 3, 2});
    all.push_back({{.input = {6, 9}, .kernel = {3, 3}}, 2, 40, 1, 1});                        // no padding
    all.push_back({{.input = {5, 4}, .kernel = {3, 3}, .padding = {3, 4}}, 2, 2, 1, 1});      // much of it
    all.push_back({{.input = {150, 130}, .kernel = {3, 3}, .padding = {1, 1}}, 1, 2, 1, 1});  // tiles
    all.push_back({{.input = {101, 90}, .kernel = {5, 3}, .stride = {1, 2}, .padding = {2, 1}}, 1, 2, 1, 2});
    all.push_back({{.input = {3, 2500}, .kernel = {1, 9}, .stride = {1, 2}, .padding = {0, 4}}, 1, 2, 1, 1});
    all.push_back({{.input = {4, 2500}, .kernel = {3, 3}, .padding = {1, 1}}, 1, 1, 1, 1});
    all.push_back(
        {{.input = {12, 13}, .kernel = {4, 7}, .stride = {3, 4}, .padding = {1, 3}, .dilation = {2, 1}},
         9,
         1,
         1,
         3});
    return all;
}

template <class T>
struct Values {
    std::vector<T> y, gx, gw;
    std::vector<T> sum{};  ///< y, and the convolution without a bias once more
    friend bool operator==(const Values&, const Values&) = default;
};

struct Inputs {
    explicit Inputs(const Case& c) {
        auto const fill = [](Index n, std::uint64_t seed) {
            std::vector<double> v(static_cast<std::size_t>(n));
            fill_distinct(v, seed);
            for (double& d : v) d = double(float(d));
            return v;
        };
        Index const planes = c.images * c.groups;
        x = fill(planes * c.channels * c.window.input[0] * c.window.input[1], 1);
        g = fill(planes * c.outputs * c.window.positions(), 2);
        w = fill(c.groups * c.outputs * c.channels * c.window.taps(), 3);
        bias = fill(c.groups * c.outputs, 4);
    }
    std::vector<double> x, g, w, bias;
};

constexpr double before = 0.5;  // what the gradients hold

/// The definition, loop by loop.
Values<double> direct(const Case& c, const Inputs& in) {
    Values<double> v{std::vector<double>(in.g.size()), std::vector<double>(in.x.size(), before),
                     std::vector<double>(in.w.size(), before), std::vector<double>(in.g.size())};
    const auto& w = c.window;
    for (Index plane = 0; plane != c.images * c.groups; ++plane)
        for (Index o = 0; o != c.outputs; ++o)
            for (Index position = 0; position != w.positions(); ++position) {
                Index const out = plane % c.groups * c.outputs + o;
                auto const at = static_cast<std::size_t>((plane * c.outputs + o) * w.positions() + position);
                v.y[at] = in.bias[std::size_t(out)];
                v.sum[at] = -v.y[at];
                for (Index i = 0; i != c.channels; ++i)
                    for (Index k = 0; k != w.taps(); ++k) {
                        Index const row = position / w.output(1) * w.stride[0] + w.offset(0, k / w.kernel[1]);
                        Index const col = position % w.output(1) * w.stride[1] + w.offset(1, k % w.kernel[1]);
                        if (row < 0 || row >= w.input[0] || col < 0 || col >= w.input[1]) continue;
                        auto const pixel = static_cast<std::size_t>(
                            ((plane * c.channels + i) * w.input[0] + row) * w.input[1] + col);
                        auto const weight = static_cast<std::size_t>((out * c.channels + i) * w.taps() + k);
                        v.y[at] += in.w[weight] * in.x[pixel];
                        v.gx[pixel] += in.w[weight] * in.g[at];
                        v.gw[weight] += in.x[pixel] * in.g[at];
                    }
                v.sum[at] += 2 * v.y[at];
            }
    return v;
}

template <class T>
Values<T> run(const Case& c, const Inputs& in, int threads, InstructionSet set) {
    auto const narrow = [](const std::vector<double>& v) { return std::vector<T>(v.begin(), v.end()); };
    auto const x = narrow(in.x), g = narrow(in.g), w = narrow(in.w), bias = narrow(in.bias);
    Values<T> v{std::vector<T>(g.size(), T(7)), std::vector<T>(x.size(), T(before)),
                std::vector<T>(w.size(), T(before))};
    Executor const executor(threads, set);
    BasicScratch<T> scratch;
    scratch.use(&executor);
    // What is in the buffers must not matter.
    scratch.buffer(0, 1 << 16), scratch.buffer(1, 1 << 12);
    scratch.tensor(0).fill(std::numeric_limits<T>::quiet_NaN());
    scratch.tensor(1).fill(std::numeric_limits<T>::quiet_NaN());
    detail::Depthwise<T> const depthwise(c.window, c.images, c.groups, c.channels, c.outputs);
    depthwise.multiply(w.data(), x.data(), {.bias = bias.data()}, v.y.data(), scratch);
    v.sum = v.y;
    depthwise.multiply(w.data(), x.data(), {.add = true}, v.sum.data(), scratch);
    depthwise.add_weight_gradient(x.data(), g.data(), v.gw.data(), scratch);
    depthwise.add_input_gradient(w.data(), g.data(), v.gx.data(), scratch);
    return v;
}

template <class T>
double difference(const Values<T>& a, const Values<double>& b) {
    double worst = 0;
    auto const compare = [&](const std::vector<T>& x, const std::vector<double>& y) {
        for (std::size_t i = 0; i != x.size(); ++i) {
            double const d = std::abs(double(x[i]) - y[i]) / (std::max)(1.0, std::abs(y[i]));
            if (!(d <= worst)) worst = d;  // NaN too
        }
    };
    compare(a.y, b.y), compare(a.sum, b.sum), compare(a.gx, b.gx), compare(a.gw, b.gw);
    return worst;
}

}  // namespace

TEST_CASE("Depthwise: forward and gradients are the definition, on every instruction set") {
    for (const Case& c : cases()) {
        INFO(c.text());
        Inputs const in(c);
        Values<double> const expected = direct(c, in);
        for (InstructionSet set : all_instruction_sets) {
            if (!available(set)) continue;
            INFO(name(set));
            // Sums of at most 20000 products below 1, in another order.
            CHECK(difference(run<double>(c, in, 1, set), expected) < 1e-11);
        }
        CHECK(difference(run<float>(c, in, 1, best_instructions()), expected) < 1e-3);
    }
}

TEST_CASE("Depthwise: the same bits for any number of threads and any width of vectors") {
    for (const Case& c : cases()) {
        Inputs const in(c);
        for (InstructionSet set : all_instruction_sets) {
            if (!available(set)) continue;
            INFO(c.text() << ' ' << name(set));
            Values<float> const one = run<float>(c, in, 1, set);
            CHECK(run<float>(c, in, 2, set) == one);
            CHECK(run<float>(c, in, 3, set) == one);
            if (set == InstructionSet::vectors) CHECK(run<float>(c, in, 1, InstructionSet::scalar) == one);
            if (set == InstructionSet::avx512) CHECK(run<float>(c, in, 1, InstructionSet::avx2) == one);
        }
    }
    // Large enough for threads to share it.
    Case const large{{.input = {40, 41}, .kernel = {3, 3}, .padding = {1, 1}}, 4, 64, 1, 1};
    Inputs const in(large);
    Values<float> const one = run<float>(large, in, 1, best_instructions());
    CHECK(run<float>(large, in, 2, best_instructions()) == one);
    CHECK(run<float>(large, in, 3, best_instructions()) == one);
}

}  // namespace nn_depthwise_test
