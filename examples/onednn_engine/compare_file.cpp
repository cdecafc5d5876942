// SPDX-License-Identifier: Apache-2.0
// compare_file SAMPLES.npy: any exported network on oneDNN, on samples from a file. ENGINE_MODEL is the
// header, whose namespace is `model`:
//
//     amct-distill export DIR --format cpp --out model.hpp          (the namespace is the file's name)
//     g++ -std=c++20 -O3 -I single_include -I examples -DENGINE_MODEL='"model.hpp"'
//         examples/onednn_engine/compare_file.cpp -ldnnl
#include "../engine/configured.hpp"
#include "compare.hpp"

#include ENGINE_MODEL

#include <cstring>

using config = amct_distill::static_config<model::configuration>;
static_assert(amct_distill::RunsOn<config::value, engine::OneDnn::capabilities>);

int main(int argc, char** argv) {
    std::FILE* const file = argc == 2 ? std::fopen(argv[1], "rb") : nullptr;
    unsigned char head[10];
    if (file == nullptr || std::fread(head, 1, 10, file) != 10 || std::memcmp(head, "\x93NUMPY\1", 7) != 0 ||
        std::fseek(file, head[8] + 256 * head[9], SEEK_CUR) != 0)
        return std::fprintf(stderr, "usage: compare_file SAMPLES.npy, in float32\n"), 2;
    constexpr std::size_t size =
        engine::size_of(model::network::values[std::size_t(model::network::inputs[0])]);
    std::vector<float> samples;
    for (std::vector<float> one(size); std::fread(one.data(), sizeof(float), size, file) == size;)
        samples.insert(samples.end(), one.begin(), one.end());
    std::fclose(file);
    if (samples.empty()) return std::fprintf(stderr, "%s has no sample\n", argv[1]), 2;
    return engine::compare<engine::Configured<config::value, model::network>>(
        samples.size() / size,
        [&](std::size_t k, float* to) { std::copy_n(samples.data() + k * size, size, to); });
}
