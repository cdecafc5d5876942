// SPDX-License-Identifier: Apache-2.0
// engine_infer SAMPLES.npy OUT.bin: what `amct-distill infer` computes, by examples/engine and a header that
// ENGINE_MODEL names, its namespace being `model`; the outputs, float32, one after the other.
#include "engine/engine.hpp"

#include <cstdio>
#include <cstring>

#include ENGINE_MODEL

namespace {

engine::Engine<model::network> network;

/// Behind the header of an .npy of version 1.
bool skip_header(std::FILE* file) {
    unsigned char head[10];
    if (std::fread(head, 1, sizeof head, file) != sizeof head || std::memcmp(head, "\x93NUMPY\1", 7) != 0)
        return false;
    return std::fseek(file, head[8] + 256 * head[9], SEEK_CUR) == 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    std::FILE* const samples = std::fopen(argv[1], "rb");
    std::FILE* const out = std::fopen(argv[2], "wb");
    if (samples == nullptr || out == nullptr || !skip_header(samples)) return 2;
    constexpr std::size_t size =
        engine::size_of(model::network::values[std::size_t(model::network::inputs[0])]);
    int count = 0;
    for (; std::fread(network.input(), sizeof(float), size, samples) == size; ++count) {
        network.run();
        std::fwrite(network.output(), sizeof(float), network.output_size(), out);
    }
    std::printf("%d samples\n", count);
    return std::fclose(out) == 0 ? 0 : 1;
}
