// SPDX-License-Identifier: Apache-2.0
// Any bytes through the binary reader: no crash, no more memory than it promises, and what is read is written
// to bytes that read as the same; an error has a message. The number of bytes says of which message they are:
// of one each, so that a long run has more of them.
#include <amct_distill/config/field_numbers.hpp>
#include <amct_distill/onnx/model_file.hpp>
#include <amct_distill/wire/reader.hpp>
#include <amct_distill/wire/writer.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#if __has_feature(address_sanitizer)
#include <sanitizer/allocator_interface.h>
#endif

#include "unit/wire/messages.hpp"

using namespace amct_distill;

namespace {

/// Bytes of the heap since begin(), as AddressSanitizer sees every allocation; without it, none.
struct Heap {
    std::size_t now = 0, peak = 0, start = 0;
    void begin() { peak = start = now; }
    std::size_t taken() const { return peak - start; }
} heap;
#if __has_feature(address_sanitizer)
int const installed = __sanitizer_install_malloc_and_free_hooks(
    [](const volatile void*, std::size_t size) {
        heap.now += size;
        if (heap.now > heap.peak) heap.peak = heap.now;
    },
    [](const volatile void* p) { heap.now -= __sanitizer_get_allocated_size(p); });
#endif

template <class M>
void check(std::string_view bytes, const BinaryOptions& options) {
    heap.begin();
    auto const message = read_binary<M>(bytes, options);
    // Errors are not part of the promise; they are few and short for such inputs.
    if (message && heap.taken() > options.max_expansion * bytes.size() + (1 << 16) + sizeof(M)) std::abort();
    if (!message) {
        if (to_string(message.diagnostics()).empty()) std::abort();
        return;
    }
    std::string const written = write_binary(*message);
    auto const again = read_binary<M>(written, options);
    // Shorter bytes may allow less memory.
    if (!again && to_string(again.diagnostics()).find("more memory") == std::string::npos) std::abort();
    if (again && write_binary(*again) != written) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view const bytes(reinterpret_cast<const char*>(data), size);
    switch (size % 4) {
        case 0:
            check<AMCTDistillConfig>(bytes, {});
            break;
        case 1:
            check<ScaleOffsetRecord>(bytes, {});
            break;
        case 2:
            check<wire_test::Everything>(bytes, {.source = "x", .max_depth = 20, .max_expansion = 32});
            break;
        default:
            check<onnx::ModelProto>(bytes,
                                    {.max_depth = onnx::max_depth, .max_expansion = onnx::max_expansion});
    }
    return 0;
}
