// SPDX-License-Identifier: Apache-2.0
// The test's digits, recognized by a network that is a part of the program: digits_model.hpp. How it is made:
//
//     digits_model examples/data/digits.csv digits
//     amct-distill distill digits/digits.onnx --config engine.cfg --data digits/train.npy --out digits/result
//     amct-distill export digits/result --format cpp --out digits_model.hpp
#include "engine.hpp"

#include <cstdio>

#include "digits_model.hpp"
#include "test_digits.hpp"

namespace {
engine::Engine<digits_model::network> network;
}

int main() {
    std::printf("%zu bytes of memory; ", network.bytes());
    engine::report([&](const float* image) {
        std::copy_n(image, 64, network.input());
        network.run();
        const float* const logits = network.output();
        return static_cast<int>(std::max_element(logits, logits + network.output_size()) - logits);
    });
}
