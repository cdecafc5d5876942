// SPDX-License-Identifier: Apache-2.0
/// A bound on the memory that tensors take while something is made of a file.
///
///     detail::ValueLimit const limit(4 * bytes.size());    // on this thread, until it goes out of scope
///     nn::Conv2d(options);                                 // throws when options ask for more
///
/// A layer's options are a few numbers, its weights their product: a file of some bytes could ask for all
/// memory that there is. One that was saved has the values of its layers, and so bounds them.
#pragma once
#include <cstddef>
#include <limits>
#include <stdexcept>

namespace amct_distill::detail {

class ValueLimit {
public:
    /// No more bytes than these, in all tensors that are made or grow while this one is there.
    explicit ValueLimit(std::size_t bytes) : outer_(left_) { left_ = bytes; }
    ValueLimit(const ValueLimit&) = delete;
    ValueLimit& operator=(const ValueLimit&) = delete;
    ~ValueLimit() { left_ = outer_; }

    /// Of a tensor that grows. Throws std::invalid_argument when they are too many.
    static void take(std::size_t bytes) {
        if (left_ == none) return;
        if (bytes > left_) throw std::invalid_argument("its options ask for more values than the file has");
        left_ -= bytes;
    }

private:
    static constexpr std::size_t none = (std::numeric_limits<std::size_t>::max)();
    static inline thread_local std::size_t left_ = none;
    std::size_t outer_;
};

}  // namespace amct_distill::detail
