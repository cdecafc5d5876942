// SPDX-License-Identifier: Apache-2.0
/// Start values of weights and biases as PyTorch's defaults: uniform in [-b, b), b = 1 / sqrt(fan_in)
/// (Kaiming's uniform initialization with a = sqrt(5)); the same seed gives the same values everywhere.
///
///     initialize(net, 42);
///
/// Affine parameters and statistics keep what their module gave them.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>

#include "network.hpp"

namespace amct_distill::nn {

/// The next number in [0, 1), a multiple of 2^-53. (std::uniform_real_distribution is not the same in every
/// standard library; the bits of std::mt19937_64 are.)
inline double next_uniform(std::mt19937_64& bits) {
    return std::ldexp(static_cast<double>(bits() >> 11), -53);
}

/// Fills the module's parameters of the roles weight and bias, in their order. fan_in is the number of
/// values that one output of its first weight reads.
template <class T>
void initialize(BasicModule<T>& module, std::mt19937_64& bits) {
    double bound = 0;
    for (const auto& p : module.parameters()) {
        if (p.role == Role::weight && bound == 0)
            bound = 1 / std::sqrt(static_cast<double>(p.values.size()) / static_cast<double>(p.shape()[0]));
        if (p.role == Role::weight || p.role == Role::bias)
            for (T& value : p.values) value = static_cast<T>((2 * next_uniform(bits) - 1) * bound);
    }
}

/// Fills the weights and biases of all modules, in definition order.
template <class T>
void initialize(BasicNetwork<T>& network, std::uint64_t seed) {
    std::mt19937_64 bits(seed);
    for (const auto& m : network.modules()) initialize(network.module(m.name), bits);
}

}  // namespace amct_distill::nn
