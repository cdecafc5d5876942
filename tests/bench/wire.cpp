// SPDX-License-Identifier: Apache-2.0
// Opening an ONNX model of 100 MB against reading its bytes once, and so for a model of many small messages.
#include <benchmark/benchmark.h>
#include <amct_distill/core/concat.hpp>
#include <amct_distill/io/file.hpp>
#include <amct_distill/onnx/model_file.hpp>
#include <amct_distill/wire/writer.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <list>
#include <numeric>
#include <string>
#include <vector>

namespace {

using namespace amct_distill;
namespace fs = std::filesystem;

/// 100 tensors of 1 MB, or 100,000 nodes of a convolution's size.
fs::path file(bool weights) {
    fs::path const path = fs::temp_directory_path() /
                          (weights ? "amct_distill_bench_weights.onnx" : "amct_distill_bench_nodes.onnx");
    if (fs::exists(path)) return path;
    std::string const values(1'000'000, 'w');
    std::list<std::string> names;
    auto const name = [&](std::string_view kind, int i) -> std::string_view {
        return names.emplace_back(detail::concat("/features/features.", i, "/", kind));
    };
    onnx::ModelProto model{.ir_version = 7};
    onnx::GraphProto& graph = model.graph.emplace();
    if (weights)
        for (int i = 0; i != 100; ++i)
            graph.initializer.push_back({.dims = {500, 500},
                                         .data_type = 1,
                                         .name = name("weight", i),
                                         .raw_data = std::string_view(values)});
    else
        for (int i = 0; i != 100'000; ++i) {
            onnx::NodeProto node{.input = {name("in", i), name("weight", i), name("bias", i)},
                                 .output = {name("out", i)},
                                 .name = name("Conv", i),
                                 .op_type = std::string_view("Conv")};
            for (std::string_view attribute : {"dilations", "kernel_shape", "pads", "strides"})
                node.attribute.push_back({.name = attribute, .ints = {1, 1, 1, 1}, .type = 7});
            graph.node.push_back(std::move(node));
        }
    if (!write_file(path, write_binary(model))) std::abort();
    return path;
}

void open_model(benchmark::State& state) {
    fs::path const path = file(state.range(0) != 0);
    for (auto _ : state) {
        auto model = onnx::ModelFile::open(path);
        if (!model) std::abort();
        benchmark::DoNotOptimize(model);
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(fs::file_size(path)));
}
/// And all weights copied to floats, as layers do it.
void open_and_copy(benchmark::State& state) {
    fs::path const path = file(true);
    for (auto _ : state) {
        auto model = onnx::ModelFile::open(path);
        if (!model) std::abort();
        for (const auto& t : model->graph().initializer)
            benchmark::DoNotOptimize(model->values(t).value().to_vector<float>());
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(fs::file_size(path)));
}
void read_bytes(benchmark::State& state) {
    fs::path const path = file(state.range(0) != 0);
    std::vector<char> buffer(static_cast<std::size_t>(fs::file_size(path)));
    for (auto _ : state) {
        std::FILE* const f = std::fopen(path.c_str(), "rb");
        if (std::fread(buffer.data(), 1, buffer.size(), f) != buffer.size()) std::abort();
        std::fclose(f);
        benchmark::DoNotOptimize(buffer.data());
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(buffer.size()));
}

BENCHMARK(read_bytes)->Arg(1)->Arg(0)->ArgName("weights")->Unit(benchmark::kMillisecond);
BENCHMARK(open_model)->Arg(1)->Arg(0)->ArgName("weights")->Unit(benchmark::kMillisecond);
BENCHMARK(open_and_copy)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
