// SPDX-License-Identifier: Apache-2.0
// The layers of ResNet and MobileNet at the sizes that they have at 224 x 224, batch 8: forward, and forward
// and backward, in ms and GFLOPS (for those that move data, GB/s: what they read and write at the least).
//
//     bench_layers [threads] [rounds] [part of a name]
//
// Beside each stands a copy of as many bytes as its input and output, in the same round. PyTorch's times:
// torch_peer.py layers, which takes turns with this program.
#include <amct_distill/nn/layers/activation.hpp>
#include <amct_distill/nn/layers/batch_norm.hpp>
#include <amct_distill/nn/layers/conv2d.hpp>
#include <amct_distill/nn/layers/pool.hpp>
#include <amct_distill/nn/layers/structure.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace detail = amct_distill::detail;
using namespace amct_distill::nn;

namespace {

double seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Case {
    std::string name;
    Module module;
    std::vector<Shape> inputs;
    double operations = 0;
    Mode mode = Mode::evaluate;
};

Case conv(Index in, Index out, Index kernel, Index stride, Index side, Index groups = 1) {
    Index const to = (side + stride - 1) / stride;
    return {detail::concat(groups > 1 ? "dw " : "conv ", kernel, 'x', kernel, ' ', in, "->", out, " @", side,
                           " s", stride),
            Conv2d({.in_channels = in,
                    .out_channels = out,
                    .kernel = {kernel, kernel},
                    .stride = {stride, stride},
                    .padding = {kernel / 2, kernel / 2},
                    .groups = groups,
                    .bias = false}),
            {{8, in, side, side}},
            16.0 * double(out * (in / groups) * kernel * kernel) * double(to * to)};
}

std::vector<Case> cases() {
    Shape const map{8, 64, 56, 56};
    std::vector<Case> all;
    for (auto const& [in, out, kernel, stride, side, groups] :
         std::vector<std::array<Index, 6>>{{64, 64, 3, 1, 56, 1},
                                           {128, 128, 3, 1, 28, 1},
                                           {256, 256, 3, 1, 14, 1},
                                           {512, 512, 3, 1, 7, 1},
                                           {256, 64, 1, 1, 56, 1},
                                           {1024, 256, 1, 1, 14, 1},
                                           {64, 256, 1, 1, 56, 1},
                                           {960, 160, 1, 1, 7, 1},
                                           {96, 24, 1, 1, 56, 1},
                                           {3, 64, 7, 2, 224, 1},
                                           {32, 32, 3, 1, 112, 32},
                                           {144, 144, 3, 1, 56, 144},
                                           {384, 384, 3, 1, 14, 384},
                                           {960, 960, 3, 1, 7, 960},
                                           {240, 240, 5, 1, 28, 240},
                                           {672, 672, 5, 1, 14, 672},
                                           {96, 96, 3, 2, 112, 96},
                                           {144, 144, 3, 2, 56, 144}})
        all.push_back(conv(in, out, kernel, stride, side, groups));
    all.push_back({"bn 64@56", BatchNorm2d({.num_features = 64}), {map}});
    all.push_back({"bn train 64@56", BatchNorm2d({.num_features = 64}), {map}, 0, Mode::train});
    all.push_back({"relu 64@56", ReLU{}, {map}});
    all.push_back({"add 64@56", Add{}, {map, map}});
    all.push_back({"maxpool 3 2 64@112",
                   MaxPool2d({.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1}}),
                   {{8, 64, 112, 112}}});
    all.push_back({"avgpool 2 64@56", AvgPool2d({.kernel = {2, 2}}), {map}});
    return all;
}

void fill(Tensor& t, float deviation = 1) {
    static std::mt19937 bits(1);
    std::normal_distribution<float> normal(0, deviation);
    for (float& v : t) v = normal(bits);
}

double median(std::vector<double>& times) {
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
}

void measure(Case& c, int threads, int rounds) {
    Executor const executor(threads);
    Scratch scratch;
    scratch.use(&executor);
    std::vector<Tensor> x, gx, gp;
    std::vector<const Tensor*> inputs;
    std::vector<Tensor*> gradients;
    for (const Shape& shape : c.inputs) x.emplace_back(shape), gx.emplace_back(shape);
    for (std::size_t i = 0; i != x.size(); ++i) {
        fill(x[i]);
        inputs.push_back(&x[i]), gradients.push_back(&gx[i]);
    }
    for (const auto& p : c.module.parameters()) {
        gp.emplace_back(Shape(p.shape().begin(), p.shape().end()));
        if (p.role != Role::weight) continue;
        Tensor weight(gp.back().shape());
        fill(weight, 0.05f);
        std::copy(weight.begin(), weight.end(), p.values.begin());
    }
    Tensor y(c.module.output_shape(c.inputs).value()), g(y.shape());
    fill(g);
    auto const bytes = sizeof(float) * (x.size() * x[0].size() + y.size());
    std::vector<char> from(bytes / 2, 1), to(bytes / 2, 2);

    std::vector<double> forward, both, copy;
    for (int round = -1; round != rounds; ++round) {
        double const t0 = seconds();
        std::memcpy(to.data(), from.data(), bytes / 2);
        double const t1 = seconds();
        c.module.forward(inputs, y, scratch, c.mode);
        double const t2 = seconds();
        c.module.backward(inputs, y, g, gradients, gp, scratch, c.mode);
        double const t3 = seconds();
        if (round < 0) continue;
        copy.push_back(t1 - t0), forward.push_back(t2 - t1), both.push_back(t3 - t1);
    }
    double const f = median(forward), b = median(both), m = median(copy);
    double const work = c.operations > 0 ? c.operations : double(bytes);
    double const factor = c.operations > 0 ? 3 : 2.5;
    std::printf("%-24s forward %8.3f ms %6.1f   and backward %8.3f ms %6.1f   copies: %5.2f %6.2f\n",
                c.name.c_str(), f * 1e3, work / f * 1e-9, b * 1e3, factor * work / b * 1e-9, f / m, b / m);
    std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
    int const threads = argc > 1 ? std::atoi(argv[1]) : 1, rounds = argc > 2 ? std::atoi(argv[2]) : 9;
    for (Case& c : cases())
        if (argc < 4 || c.name.find(argv[3]) != std::string::npos) measure(c, threads, rounds);
}
