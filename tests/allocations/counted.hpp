// SPDX-License-Identifier: Apache-2.0
/// Every allocation of the program: counted, and made to fail.
///
///     long const before = allocations;
///     ...                                     // allocations - before: how many there were
///     fail_from(7, true);                     // the 8th from now on fails, and all after it
///     fail_never();
#pragma once
#include <atomic>

namespace counted {

inline std::atomic<long> allocations{0};
inline std::atomic<long> live{0};  ///< blocks that were allocated and not freed
inline std::atomic<long> until_failure{-1};
inline std::atomic<bool> fails_on{false};

inline void fail_from(long n, bool on) {
    fails_on = on;
    until_failure = n;
}
inline void fail_never() { until_failure = -1; }

/// Counts one; false where it shall fail.
inline bool may_allocate() {
    ++allocations;
    if (until_failure < 0) return true;
    if (until_failure > 0) return --until_failure, true;
    if (!fails_on) until_failure = -1;
    return false;
}

}  // namespace counted
