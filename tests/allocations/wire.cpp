// SPDX-License-Identifier: Apache-2.0
// The memory that binary messages take is at most what the reader promises, on bytes made to take much; a
// model's weights take none. Every byte of the heap of this program is counted.
#include <amct_distill/onnx/model_file.hpp>
#include <amct_distill/wire/reader.hpp>
#include <amct_distill/wire/writer.hpp>

#include <cstdlib>
#include <filesystem>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/temporary_directory.hpp"
#include "unit/wire/messages.hpp"

namespace {

std::size_t heap_now = 0, heap_peak = 0;

}  // namespace

void* operator new(std::size_t size) {
    auto* const p = static_cast<std::size_t*>(std::malloc(size + 16));
    if (p == nullptr) throw std::bad_alloc();
    *p = size;
    heap_now += size;
    if (heap_now > heap_peak) heap_peak = heap_now;
    return p + 2;
}
void operator delete(void* p) noexcept {
    if (p == nullptr) return;
    heap_now -= static_cast<std::size_t*>(p)[-2];
    std::free(static_cast<std::size_t*>(p) - 2);
}
void operator delete(void* p, std::size_t) noexcept { operator delete(p); }

namespace {

using namespace amct_distill;
using wire_test::of;

/// The most heap that a call takes.
template <class F>
std::size_t taken(F&& call) {
    std::size_t const before = heap_peak = heap_now;
    call();
    return heap_peak - before;
}
std::string wrap(std::string_view tag, std::string_view inside) {
    std::string out(tag);
    std::size_t n = inside.size();
    for (; n >= 128; n >>= 7) out += static_cast<char>((n & 127) | 128);
    out += static_cast<char>(n);
    return out += inside;
}
std::string times(std::size_t n, const std::string& piece) {
    std::string out;
    for (std::size_t i = 0; i != n; ++i) out += piece;
    return out;
}

TEST_CASE("bytes made to take much memory take no more than the promised factor") {
    constexpr std::size_t n = 200000;
    std::pair<std::string, std::string> const hostile[] = {
        {"empty nodes", wrap(of({0x3A}), times(n, of({0x0A, 0})))},
        {"empty initializers", wrap(of({0x3A}), times(n, of({0x2A, 0})))},
        {"empty attributes", wrap(of({0x3A}), wrap(of({0x0A}), times(n, of({0x2A, 0}))))},
        {"attributes with an empty tensor",
         wrap(of({0x3A}), wrap(of({0x0A}), times(n, of({0x2A, 2, 0x2A, 0}))))},
        {"empty inputs of a node", wrap(of({0x3A}), wrap(of({0x0A}), times(n, of({0x0A, 0}))))},
        {"dims, unpacked", wrap(of({0x3A}), wrap(of({0x2A}), times(n, of({8, 1}))))},
        {"integers, packed", wrap(of({0x3A}), wrap(of({0x2A}), wrap(of({0x3A}), times(n, of({1})))))},
        {"graphs that merge", times(n, of({0x3A, 2, 0x0A, 0}))},
        {"operator sets", times(n, of({0x42, 0}))},
    };
    std::size_t refused = 0;
    for (auto const& one : hostile) {
        INFO(one.first);
        std::string const& bytes = one.second;  // clang 14 does not capture a structured binding
        bool ok = false;
        std::size_t const heap = taken([&] {
            auto const model = read_binary<onnx::ModelProto>(
                bytes, {.max_depth = onnx::max_depth, .max_expansion = onnx::max_expansion});
            ok = model.has_value();
        });
        CHECK(heap <= onnx::max_expansion * bytes.size() + (1 << 16) + 4096);  // and a few words of an error
        refused += ok ? 0 : 1;
    }
    CHECK(refused >= 4);  // of nodes, initializers, attributes
}

TEST_CASE("real models stay far below the factor") {
    std::size_t most = 0;
    for (const auto& entry :
         std::filesystem::directory_iterator(std::filesystem::path(AMCT_DISTILL_GOLDEN_DIR) / "zoo")) {
        if (entry.path().extension() != ".onnx" || entry.path().stem() == "x_truncated") continue;
        std::string const bytes = golden::read_file("zoo/" + entry.path().filename().string());
        std::size_t const heap = taken([&] { REQUIRE(read_binary<onnx::ModelProto>(bytes)); });
        most = (std::max)(most, heap / bytes.size());
    }
    CHECK(most <= onnx::max_expansion / 4);
}

TEST_CASE("a model of 100 MB is opened without memory for its weights") {
    support::temporary_directory dir;
    {
        std::string const weights(50'000'000, 'w');
        onnx::ModelProto model{.ir_version = 7};
        onnx::GraphProto& graph = model.graph.emplace();
        for (std::string_view name : {"a", "b"})
            graph.initializer.push_back(
                {.dims = {12'500'000}, .data_type = 1, .name = name, .raw_data = std::string_view(weights)});
        REQUIRE(write_file(dir.path() / "large.onnx", write_binary(model)));
    }
    std::size_t const heap = taken([&] {
        auto const model = onnx::ModelFile::open(dir.path() / "large.onnx");
        REQUIRE(model);
        for (const onnx::TensorProto& t : model->graph().initializer)
            REQUIRE(model->values(t).value().size() == 12'500'000);
    });
    CHECK(heap < 8192);
}

}  // namespace
