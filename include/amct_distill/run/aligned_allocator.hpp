// SPDX-License-Identifier: Apache-2.0
/// Memory at multiples of 64 bytes, for vectors of any width, whatever flags a file is compiled with.
///
///     std::vector<float, AlignedAllocator<float>> values(1000);
///     is_aligned(values.data());                               // true: 64 bytes
///
/// Eigen's own allocator allocates in one way with -mavx and in another without; memory that crosses from a
/// file with one set of flags to a file with another is then freed as it was not allocated. This one always
/// asks operator new for 64 bytes. Values that nothing is said of are not zeroed: what is written anyway
/// would be written twice, and the pages of new memory taken by one thread.
#pragma once
#include <cstddef>
#include <new>
#include <utility>

namespace amct_distill::detail {

template <class T>
struct AlignedAllocator {
    static constexpr std::size_t alignment = 64;
    static_assert(alignof(T) <= alignment);
    using value_type = T;

    AlignedAllocator() = default;
    template <class U>
    constexpr AlignedAllocator(const AlignedAllocator<U>&) noexcept {}

    /// Precondition, which containers check: n is at most their max_size().
    [[nodiscard]] T* allocate(std::size_t n) {
        return static_cast<T*>(::operator new (n * sizeof(T), std::align_val_t{alignment}));
    }
    void deallocate(T* p, std::size_t) noexcept { ::operator delete (p, std::align_val_t{alignment}); }

    template <class U, class... Args>
    void construct(U* p, Args&&... args) {
        if constexpr (sizeof...(Args) == 0)
            ::new (static_cast<void*>(p)) U;
        else
            ::new (static_cast<void*>(p)) U(std::forward<Args>(args)...);
    }

    template <class U>
    friend constexpr bool operator==(const AlignedAllocator&, const AlignedAllocator<U>&) noexcept {
        return true;
    }
};

}  // namespace amct_distill::detail
