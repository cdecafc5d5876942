// SPDX-License-Identifier: Apache-2.0
// The reader against protobuf's parser and against counting line ends, on a configuration of 10,000
// overrides; and how much memory reading takes.
#include <benchmark/benchmark.h>
#include <google/protobuf/text_format.h>
#include <malloc.h>
#include <amct_distill/config/messages.hpp>
#include <amct_distill/core/concat.hpp>
#include <amct_distill/text/reader.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>

#include "distill_config.pb.h"

namespace {

std::size_t heap_now = 0, heap_peak = 0;

const std::string& configuration() {
    static const std::string text = [] {
        std::string out = "batch_num: 2\ngroup_size: 1\n";
        for (int i = 0; i != 10'000; ++i)
            out += amct_distill::detail::concat(
                "distill_override_layers {\n  layer_name: \"backbone.layer", i % 100, ".", i, ".conv1\"\n",
                "  distill_data_quant_config {\n    ulq_quantize {\n"
                "      clip_max_min { clip_max: 6.25 clip_min: -0.",
                i,
                " }\n      fixed_min: false\n      dst_type: INT4\n    }\n  }\n"
                "  distill_weight_quant_config { arq_distill { dst_type: INT4 channel_wise: true } }\n}\n");
        return out;
    }();
    return text;
}

void set_speed(benchmark::State& state) {
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(configuration().size()));
}

void read_here(benchmark::State& state) {
    const std::string& text = configuration();
    heap_peak = heap_now;
    std::size_t const before = heap_now;
    for (auto _ : state) {
        auto config = amct_distill::read<amct_distill::AMCTDistillConfig>(text);
        if (!config || config->distill_override_layers.size() != 10'000) std::abort();
        benchmark::DoNotOptimize(config);
    }
    set_speed(state);
    state.counters["peak heap / text"] =
        static_cast<double>(heap_peak - before) / static_cast<double>(text.size());
}

void read_by_protobuf(benchmark::State& state) {
    const std::string& text = configuration();
    heap_peak = heap_now;
    std::size_t const before = heap_now;
    for (auto _ : state) {
        reference::AMCTDistillConfig config;
        if (!google::protobuf::TextFormat::ParseFromString(text, &config)) std::abort();
        benchmark::DoNotOptimize(config);
    }
    set_speed(state);
    state.counters["peak heap / text"] =
        static_cast<double>(heap_peak - before) / static_cast<double>(text.size());
}

void count_lines(benchmark::State& state) {
    const std::string& text = configuration();
    for (auto _ : state) benchmark::DoNotOptimize(std::count(text.begin(), text.end(), '\n'));
    set_speed(state);
}

BENCHMARK(read_here)->Unit(benchmark::kMillisecond);
BENCHMARK(read_by_protobuf)->Unit(benchmark::kMillisecond);
BENCHMARK(count_lines)->Unit(benchmark::kMillisecond);

}  // namespace

// Every allocation of the program is counted.
void* operator new(std::size_t size) {
    void* const p = std::malloc(size);
    if (p == nullptr) throw std::bad_alloc();
    heap_now += malloc_usable_size(p);
    heap_peak = (std::max)(heap_peak, heap_now);
    return p;
}
void operator delete(void* p) noexcept {
    heap_now -= malloc_usable_size(p);
    std::free(p);
}
void operator delete(void* p, std::size_t) noexcept { operator delete(p); }

BENCHMARK_MAIN();
