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
template <class Engine>
void tell_time(const char* name, Engine& net, const std::vector<std::vector<float>>& inputs) {
    std::size_t const samples = inputs.size();
    std::size_t const runs = samples < 20 ? 20 : samples;
    double best = 1e9, best_layers = 1e9;
    for (int round = 0; round != 3; ++round) {
        double const before = net.shared().seconds;
        auto const begin = std::chrono::steady_clock::now();
        for (std::size_t i = 0; i != runs; ++i) {
            net.set_input(inputs[i % samples].data());
            net.run();
        }
        double const all = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        best = all < best ? all : best;
        best_layers = (std::min)(best_layers, net.shared().seconds - before);
    }
    std::printf("%s: %.4f ms a sample, %.4f ms of it in the quantized layers\n", name,
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
    std::vector<std::vector<float>> expected, inputs;
    for (std::size_t k = 0; k != samples; ++k) {
        expected.clear();
        image(k, inputs.emplace_back(size_of(Network::values[std::size_t(Network::inputs[0])])).data());
        plain->set_input(inputs[k].data());
        plain->run([&]<class L>(std::type_identity<L>, const float* y) {
            if constexpr (!has_only_shape(L::type))
                expected.emplace_back(y, y + size_of(Network::values[std::size_t(L::writes[0])]));
        });
        std::size_t layer = 0;
        integers->set_input(inputs[k].data());
        integers->run([&]<class L>(std::type_identity<L>, const float* y) {
            if constexpr (has_only_shape(L::type)) return;
            constexpr auto value = Network::values[std::size_t(L::writes[0])];
            std::size_t differ = 0;
            for (std::size_t i = 0; i != size_of(value); ++i)
                differ += expected[layer][i] != y[position<OneDnn::layout>(value, i)];
            if (differ != 0)
                std::printf("sample %zu, %.*s: %zu values differ\n", k, int(L::name.size()), L::name.data(),
                            differ);
            apart += differ;
            values += expected[layer++].size();
        });
    }
    std::printf("%s: %zu of %zu values of all layers differ from plain integers, %zu samples\n",
                Network::name.data(), apart, values, samples);
    tell_time("oneDNN INT8 ", *integers, inputs);
    tell_time("oneDNN float", *floats, inputs);
    return apart == 0 ? 0 : 1;
}

}  // namespace engine
