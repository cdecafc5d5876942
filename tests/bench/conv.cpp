// SPDX-License-Identifier: Apache-2.0
// A convolution's step, 8 x 64 x 56 x 56 with a 3 x 3 kernel to 64 channels, beside two other ways to do it:
// columns and Eigen's product (im2col), and a product of Eigen's per tap of an image with its channels last
// (shift-GEMM; without the transpositions that it would need here).
//
//     bench_conv_plain [rounds]
//
// In turns, medians, in ms and GFLOPS. PyTorch's time: torch_peer.py, on the same machine at the same load.
// Seen with AVX2, ms of one thread, forward and backward; PyTorch (oneDNN) 80:
//
//                                      the layer    im2col, Eigen    shift-GEMM, Eigen
//     g++ -O2                                 86              203                  188
//     clang++ -O2                             86              210                  199
//     g++ -O3 -march=native                   84              104                   96
//     clang++ -O3 -march=native               86               77                   71
#include <amct_distill/nn/layers/conv2d.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <vector>

using namespace amct_distill;
using namespace amct_distill::nn;

namespace {

constexpr Index images = 8, channels = 64, side = 56, pixels = side * side, taps = 9 * channels;
constexpr double forward_operations = 2.0 * images * channels * taps * pixels;

double seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Case {
    std::string name;
    double operations;
    std::function<void()> run;
};

void measure(const std::vector<Case>& cases, int rounds) {
    std::vector<std::vector<double>> times(cases.size());
    for (int round = -1; round != rounds; ++round)
        for (std::size_t k = 0; k != cases.size(); ++k) {
            double const begin = seconds();
            cases[k].run();
            if (round >= 0) times[k].push_back(seconds() - begin);
        }
    for (std::size_t k = 0; k != cases.size(); ++k) {
        std::sort(times[k].begin(), times[k].end());
        double const median = times[k][times[k].size() / 2];
        std::printf("%-44s %8.2f ms %8.1f GFLOPS\n", cases[k].name.c_str(), median * 1e3,
                    cases[k].operations / median * 1e-9);
    }
}

Tensor random_tensor(const Shape& shape, float deviation = 1) {
    static std::mt19937 bits(1);
    std::normal_distribution<float> normal(0, deviation);
    Tensor t(shape);
    for (float& v : t) v = normal(bits);
    return t;
}

/// The layer as it is, on some threads.
struct Layer {
    explicit Layer(int threads)
        : executor(threads),
          conv({.in_channels = channels, .out_channels = channels, .kernel = {3, 3}, .padding = {1, 1}}) {
        scratch.use(&executor);
        conv.weight() = random_tensor(conv.weight().shape(), 0.05f);
    }
    void forward() { conv.forward_with(conv.weight(), x, y, scratch); }
    void backward() {
        gw.fill(0), gx.fill(0), gb.fill(0);
        conv.backward_with(conv.weight(), x, g, &gx, &gw, &gb, scratch);
    }

    Executor executor;
    Scratch scratch{};
    Conv2d conv;
    Tensor x = random_tensor({images, channels, side, side}), g = x, y = x, gx = x;
    Tensor gw{conv.weight().shape()}, gb{{channels}};
};

/// Columns of an image, and Eigen's products.
struct Columns {
    Tensor columns{{taps, pixels}};
    detail::Window window{{side, side}, {3, 3}, {1, 1}, {1, 1}, {1, 1}};

    void lay_out(const float* image) {
        for (Index t = 0; t != taps; ++t)
            detail::read_tap(image + t / 9 * pixels, window, t % 9 / 3, t % 3, 0, pixels,
                             columns.data() + t * pixels);
    }
    void forward(Layer& l) {
        for (Index i = 0; i != images; ++i) {
            lay_out(l.x.data() + i * channels * pixels);
            MatrixMap<float>(l.y.data() + i * channels * pixels, channels, pixels).noalias() =
                matrix(l.conv.weight(), channels, taps) * matrix(columns, taps, pixels);
        }
    }
    void backward(Layer& l) {
        l.gw.fill(0), l.gx.fill(0);
        for (Index i = 0; i != images; ++i) {
            ConstMatrixMap<float> const g(l.g.data() + i * channels * pixels, channels, pixels);
            lay_out(l.x.data() + i * channels * pixels);
            matrix(l.gw, channels, taps).noalias() += g * matrix(columns, taps, pixels).transpose();
            matrix(columns, taps, pixels).noalias() = matrix(l.conv.weight(), channels, taps).transpose() * g;
            for (Index t = 0; t != taps; ++t)
                detail::add_tap(columns.data() + t * pixels, window, t % 9 / 3, t % 3, 0, pixels,
                                l.gx.data() + (i * channels + t / 9) * pixels);
        }
    }
};

/// Images with their channels last, padded: each tap is a product with the rows that lie further on.
struct Shifts {
    static constexpr Index width = side + 2, rows = side * width, all = (side + 2) * width + 4;
    Tensor x = random_tensor({images, all, channels}), y = x, g = x,
           w = random_tensor({9, channels, channels});
    Tensor gw{{9, channels, channels}};

    template <class T>
    static auto part(T& t, Index image, Index row, Index n) {
        using Map = std::conditional_t<std::is_const_v<T>, ConstMatrixMap<float>, MatrixMap<float>>;
        return Map(t.data() + (image * all + row) * channels, n, channels);
    }
    template <class F>
    void each(F f) {
        for (Index i = 0; i != images; ++i)
            for (Index row = 0; row < rows; row += 4 * width)
                for (Index k = 0; k != 9; ++k) f(i, row, (std::min)(4 * width, rows - row), k);
    }
    void forward() {
        each([&](Index i, Index row, Index n, Index k) {
            auto out = part(y, i, row, n);
            if (k == 0) out.setZero();
            out.noalias() += part(x, i, row + k / 3 * width + k % 3, n) *
                             MatrixMap<float>(w.data() + k * channels * channels, channels, channels);
        });
    }
    void backward() {
        gw.fill(0);
        each([&](Index i, Index row, Index n, Index k) {
            auto const shifted = row + k / 3 * width + k % 3;
            MatrixMap<float>(gw.data() + k * channels * channels, channels, channels).noalias() +=
                part(x, i, shifted, n).transpose() * part(g, i, row, n);
            auto out = part(y, i, row, n);
            if (k == 0) out.setZero();
            out.noalias() +=
                part(g, i, shifted, n) *
                MatrixMap<float>(w.data() + (8 - k) * channels * channels, channels, channels).transpose();
        });
    }
};

}  // namespace

int main(int argc, char** argv) {
    int const rounds = argc > 1 ? std::atoi(argv[1]) : 9;
    Layer one(1), two(2);
    Columns columns;
    Shifts shifts;
    double const f = forward_operations;
    std::printf("%s\n", std::string(name(best_instructions())).c_str());
    measure({{"forward", f, [&] { one.forward(); }},
             {"backward", 2 * f, [&] { one.backward(); }},
             {"forward and backward", 3 * f, [&] { one.forward(), one.backward(); }},
             {"forward and backward, two threads", 3 * f, [&] { two.forward(), two.backward(); }},
             {"im2col and Eigen, forward and backward", 3 * f,
              [&] { columns.forward(one), columns.backward(one); }},
             {"shift-GEMM with Eigen, forward and backward", 3 * f,
              [&] { shifts.forward(), shifts.backward(); }}},
            rounds);
}
