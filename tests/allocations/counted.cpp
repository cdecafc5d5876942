// SPDX-License-Identifier: Apache-2.0
#include "counted.hpp"

#include <cerrno>
#include <cstdlib>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define AMCT_DISTILL_WITH_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define AMCT_DISTILL_WITH_ASAN
#endif
#endif

using namespace counted;

#if defined(AMCT_DISTILL_WITH_ASAN)
// It has a malloc of its own, whose blocks it looks after; Eigen's are not counted.
namespace {
void* made(void* p) { return p != nullptr ? p : throw std::bad_alloc(); }
}  // namespace
void* operator new(std::size_t n) { return made(may_allocate() ? std::malloc(n == 0 ? 1 : n) : nullptr); }
void* operator new(std::size_t n, std::align_val_t a) {
    auto const alignment = static_cast<std::size_t>(a);
    return made(may_allocate() ? std::aligned_alloc(alignment, (n + alignment - 1) / alignment * alignment)
                               : nullptr);
}
void* operator new(std::size_t n, const std::nothrow_t&) noexcept {
    return may_allocate() ? std::malloc(n == 0 ? 1 : n) : nullptr;
}
void* operator new[](std::size_t n) { return ::operator new(n); }
void* operator new[](std::size_t n, const std::nothrow_t& t) noexcept { return ::operator new(n, t); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
#elif defined(__GLIBC__)
// The C library's own, under the names that it keeps for this; operator new and Eigen call malloc.
namespace {
void* made(void* p) {
    if (p == nullptr)
        errno = ENOMEM;
    else
        ++live;
    return p;
}
}  // namespace
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);
void* malloc(std::size_t n) { return made(may_allocate() ? __libc_malloc(n) : nullptr); }
void* calloc(std::size_t n, std::size_t size) {
    return made(may_allocate() ? __libc_calloc(n, size) : nullptr);
}
void* realloc(void* p, std::size_t n) {
    if (p == nullptr) return malloc(n);
    if (n == 0) --live;
    if (may_allocate()) return __libc_realloc(p, n);
    errno = ENOMEM;
    return nullptr;
}
void* memalign(std::size_t alignment, std::size_t n) {
    return made(may_allocate() ? __libc_memalign(alignment, n) : nullptr);
}
void* aligned_alloc(std::size_t alignment, std::size_t n) { return memalign(alignment, n); }
int posix_memalign(void** p, std::size_t alignment, std::size_t n) {
    return (*p = memalign(alignment, n)) == nullptr ? ENOMEM : 0;
}
void free(void* p) {
    if (p != nullptr) --live;
    __libc_free(p);
}
}
#else
#error "this test counts the allocations of glibc or of AddressSanitizer"
#endif
