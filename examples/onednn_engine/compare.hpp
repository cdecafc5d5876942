// SPDX-License-Identifier: Apache-2.0
/// A network on oneDNN's INT8 primitives beside plain integers, value by value, and beside oneDNN's float.
///
///     return engine::compare<Configured<config::value, digits_model::network>>(397, image);  // exit code
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <vector>

#include "onednn.hpp"

namespace engine {

inline constexpr int exit_skipped = 77;

/// Milliseconds for a sample, of all and of the quantized layers alone.
template <class Engine, class Image>
void tell_time(const char* name, Engine& net, std::size_t samples, Image image) {
    std::size_t const runs = samples < 20 ? 20 : samples;
    double best = 1e9, best_layers = 1e9;
    for (int round = 0; round != 3; ++round) {
        double const before = net.shared().seconds;
        auto const begin = std::chrono::steady_clock::now();
        for (std::size_t i = 0; i != runs; ++i) {
            image(i % samples, net.input());
            net.run();
        }
        double const all = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        best = all < best ? all : best;
        best_layers = (std::min)(best_layers, net.shared().seconds - before);
    }
    std::printf("%s: %.4f ms a sample, %.4f ms of it in the quantized layers' primitives\n", name,
                1e3 * best / double(runs), 1e3 * best_layers / double(runs));
}

/// image(k, to) writes the k-th sample. 0: all values are the same.
template <class Network, class Image>
int compare(std::size_t samples, Image image) {
    if (!sums_are_exact()) {
        std::puts("skipped: this processor has no VNNI, on which oneDNN's INT8 sums are exact");
        return exit_skipped;
    }
    auto const plain = std::make_unique<Engine<Network>>();
    auto const integers = std::make_unique<Engine<Network, OneDnn>>();
    auto const floats = std::make_unique<Engine<Network, OneDnnFloat>>();
    std::size_t values = 0, apart = 0;
    std::vector<std::vector<float>> expected;
    for (std::size_t k = 0; k != samples; ++k) {
        expected.clear();
        image(k, plain->input());
        plain->run([&]<class L>(std::type_identity<L>, const float* y) {
            expected.emplace_back(y, y + size_of(Network::values[std::size_t(L::writes[0])]));
        });
        std::size_t layer = 0;
        image(k, integers->input());
        integers->run([&]<class L>(std::type_identity<L>, const float* y) {
            std::size_t differ = 0;
            for (float v : expected[layer]) differ += v != *y++;
            if (differ != 0)
                std::printf("sample %zu, %.*s: %zu values differ\n", k, int(L::name.size()), L::name.data(),
                            differ);
            apart += differ;
            values += expected[layer++].size();
        });
    }
    std::printf("%s: %zu of %zu values of all layers differ from plain integers, %zu samples\n",
                Network::name.data(), apart, values, samples);
    tell_time("oneDNN INT8 ", *integers, samples, image);
    tell_time("oneDNN float", *floats, samples, image);
    return apart == 0 ? 0 : 1;
}

}  // namespace engine
