// SPDX-License-Identifier: Apache-2.0
/// An optional message that lives on the heap: one that may contain itself, or that is large and mostly
/// absent.
///
///     struct Tree { optional<std::int64_t> value{}; boxed<Tree> left{}; boxed<Tree> right{}; };
///     tree.left.emplace().value = 3;
///     Tree copy = tree;    // copies what is in the boxes
#pragma once
#include <memory>
#include <utility>

namespace amct_distill {

template <class T>
class boxed {
public:
    using value_type = T;

    boxed() = default;
    boxed(T value) : value_(std::make_unique<T>(std::move(value))) {}
    boxed(const boxed& other) : value_(other.value_ ? std::make_unique<T>(*other.value_) : nullptr) {}
    boxed(boxed&&) noexcept = default;
    boxed& operator=(const boxed& other) { return *this = boxed(other); }
    boxed& operator=(boxed&&) noexcept = default;
    ~boxed() = default;

    bool has_value() const noexcept { return value_ != nullptr; }
    explicit operator bool() const noexcept { return has_value(); }
    /// Precondition: has_value().
    const T& operator*() const noexcept { return *value_; }
    T& operator*() noexcept { return *value_; }
    const T* operator->() const noexcept { return value_.get(); }
    T* operator->() noexcept { return value_.get(); }
    template <class... A>
    T& emplace(A&&... a) {
        value_ = std::make_unique<T>(std::forward<A>(a)...);
        return *value_;
    }
    void reset() noexcept { value_.reset(); }
    friend bool operator==(const boxed& a, const boxed& b) {
        return a.has_value() && b.has_value() ? *a == *b : a.has_value() == b.has_value();
    }

private:
    std::unique_ptr<T> value_{};
};

namespace detail {
template <class T>
inline constexpr bool is_boxed = false;
template <class T>
inline constexpr bool is_boxed<boxed<T>> = true;
}  // namespace detail

}  // namespace amct_distill
