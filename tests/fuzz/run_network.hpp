// SPDX-License-Identifier: Apache-2.0
/// A network that a fuzzer has made runs, but where it asks for long computations, which is its right.
///
///     fuzz::run(network);                 // aborts where it has another number of outputs than it says
#pragma once
#include <algorithm>
#include <amct_distill/nn/network.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <vector>

namespace fuzz {

namespace nn = amct_distill::nn;

inline std::size_t elements(const nn::Shape& shape) {
    std::size_t n = 1;
    for (nn::Index d : shape)
        if (__builtin_mul_overflow(n, static_cast<std::size_t>(d == nn::any_batch ? 2 : d), &n))
            return SIZE_MAX;
    return n;
}

inline void run(const nn::Network& net) {
    std::size_t work = 0;
    for (std::size_t i = 0; i != net.graph().size(); ++i) {
        std::size_t const n = elements(net.node({i}).shape);
        if (n > 4096 || (work += n) > 1 << 14) return;
    }
    // An index of Embedding is a number of the inputs: 0 is one of any table.
    bool const looks_up = std::ranges::any_of(
        net.modules(), [](const nn::NamedModule& m) { return m.module.type() == "Embedding"; });
    std::vector<nn::Tensor> inputs;
    for (nn::NodeId id : net.inputs()) {
        nn::Shape shape = net.node(id).shape;
        if (shape[0] == nn::any_batch) shape[0] = 2;
        inputs.emplace_back(shape);
        inputs.back().fill(looks_up ? 0.0f : 0.5f);
    }
    try {
        if (net.predict(inputs).size() != net.outputs().size()) std::abort();
    } catch (const std::invalid_argument&) {  // an index that was computed may be one of no row
        if (!looks_up) throw;
    }
}

}  // namespace fuzz
