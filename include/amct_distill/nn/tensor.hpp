// SPDX-License-Identifier: Apache-2.0
/// A row-major tensor that owns its values, and Eigen's view of it as a matrix. The batch is always dimension
/// 0.
///
///     Tensor images({8, 1, 28, 28});                       // zeros
///     Tensor row({2, 3}, {1, 2, 3, 4, 5, 6});
///     matrix(row, 2, 3).row(1).sum();                      // 15
///     images.resize({4, 1, 28, 28});                       // no allocation: it fits
///     to_string(images.shape());                           // "[4, 1, 28, 28]"
#pragma once
#include <Eigen/Core>
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "../run/aligned_allocator.hpp"
#include "value_limit.hpp"

namespace amct_distill::nn {

using Index = Eigen::Index;
using Shape = std::vector<Index>;

/// Dimension 0 of a shape that holds for every batch size; printed as `N`.
inline constexpr Index any_batch = -1;

/// "[8, 1, 28, 28]"; "[N, 1, 28, 28]" for any batch size.
std::string to_string(const Shape& shape);

/// The product of the dimensions [first, last).
inline Index product(const Shape& shape, std::size_t first, std::size_t last) {
    Index n = 1;
    for (std::size_t i = first; i < last; ++i) n *= shape[i];
    return n;
}

/// The largest dimension, and size of a layer's options: what a file says may be anything, and products of
/// two of these can still be counted.
inline constexpr Index largest_size = Index{1} << 30;

/// A dimension above that, or more values, of a sample or without a batch, than `most`; no machine holds as
/// many as the default.
inline bool is_too_large(const Shape& shape, Index most = Index{1} << 40) {
    Index n = 1;
    for (Index d : shape) {
        if (d > largest_size || (d > 1 && n > most / d)) return true;
        if (d > 1) n *= d;
    }
    return false;
}

}  // namespace amct_distill::nn

namespace amct_distill::detail {

/// The arrays do not overlap. (std::ranges::copy of g++ 12 takes values one by one.)
template <class T>
void copy_values(std::span<const T> from, T* to) {
    if (!from.empty()) std::memcpy(to, from.data(), from.size() * sizeof(T));
}
inline void copy_values(std::span<const float> from, float* to) { copy_values<float>(from, to); }

}  // namespace amct_distill::detail

namespace amct_distill::nn {

template <class T>
class BasicTensor {
public:
    using value_type = T;

    /// Rank 0 and no values; what `resize` has yet to give a shape.
    BasicTensor() = default;
    /// Zeros. Throws std::invalid_argument, as `resize` does, when a dimension is negative, or there are more
    /// values than can be counted.
    explicit BasicTensor(const Shape& shape) { resize(shape); }
    /// The values in row-major order; throws std::invalid_argument when their number is not the shape's.
    BasicTensor(const Shape& shape, std::span<const T> values) : BasicTensor(shape) {
        if (values.size() != size())
            throw std::invalid_argument(detail::concat("Tensor: shape ", to_string(shape), " needs ", size(),
                                                       " values, found ", values.size()));
        detail::copy_values(values, data());
    }
    BasicTensor(const Shape& shape, const std::vector<T>& values)
        : BasicTensor(shape, std::span<const T>(values)) {}
    // A vector with an allocator of its own is copied value by value.
    BasicTensor(const BasicTensor& other) : shape_(other.shape_) {
        values_.resize(other.size());
        detail::copy_values(other.span(), data());
    }
    BasicTensor(BasicTensor&&) noexcept = default;
    BasicTensor& operator=(const BasicTensor& other) {
        if (this == &other) return *this;
        values_.clear();  // nothing to carry over
        values_.resize(other.size());
        shape_ = other.shape_;
        detail::copy_values(other.span(), data());
        return *this;
    }
    BasicTensor& operator=(BasicTensor&&) noexcept = default;
    ~BasicTensor() = default;

    const Shape& shape() const { return shape_; }
    std::size_t rank() const { return shape_.size(); }
    Index dim(std::size_t i) const { return shape_.at(i); }
    std::size_t size() const { return values_.size(); }
    bool empty() const { return values_.empty(); }
    /// The number of values that it has room for.
    std::size_t capacity() const { return values_.capacity(); }

    T* data() { return values_.data(); }
    const T* data() const { return values_.data(); }
    std::span<T> span() { return values_; }
    std::span<const T> span() const { return values_; }
    T& operator[](std::size_t i) { return values_[i]; }
    const T& operator[](std::size_t i) const { return values_[i]; }
    auto begin() { return values_.begin(); }
    auto begin() const { return values_.begin(); }
    auto end() { return values_.end(); }
    auto end() const { return values_.end(); }

    /// Gives it a shape. Does not allocate when it has held as many values before; which values it holds
    /// then is unspecified, unless the number of values stays the same: then they stay too.
    void resize(const Shape& shape) { resize(shape, true); }
    /// resize({8, 3}), without a Shape that would be allocated for it.
    void resize(std::initializer_list<Index> shape) {
        resize_values(count({shape.begin(), shape.size()}));
        shape_.assign(shape);
    }
    /// resize(shape), with the batch's size where dimension 0 is `any_batch`.
    void resize_batch(const Shape& shape, Index batch) { resize_batch(shape, batch, true); }
    /// The same where all values are written next: without zeros in new memory, whose pages are then taken by
    /// whoever writes them.
    void resize_to_write(const Shape& shape) { resize(shape, false); }
    void resize_batch_to_write(const Shape& shape, Index batch) { resize_batch(shape, batch, false); }
    void fill(T value) { std::fill(values_.begin(), values_.end(), value); }

    friend bool operator==(const BasicTensor&, const BasicTensor&) = default;

private:
    void resize(const Shape& shape, bool zeros) {
        resize_values(count(shape), zeros);
        shape_ = shape;
    }
    void resize_batch(const Shape& shape, Index batch, bool zeros) {
        if (shape[0] != any_batch) return resize(shape, zeros);
        resize_values(count(std::span(shape).subspan(1), batch), zeros);
        shape_.assign(shape.begin(), shape.end());
        shape_[0] = batch;
    }
    void resize_values(std::size_t n, bool zeros = true) {
        if (n > values_.capacity()) detail::ValueLimit::take(n * sizeof(T));
        if (!zeros) values_.clear();  // nothing to carry over
        std::size_t const before = values_.size();
        values_.resize(n);  // see AlignedAllocator: without zeros
        if (zeros && n > before) std::fill(values_.begin() + std::ptrdiff_t(before), values_.end(), T(0));
    }
    static std::size_t count(std::span<const Index> shape) {
        return shape.empty() ? 0 : count(shape.subspan(1), shape[0]);
    }
    static std::size_t count(std::span<const Index> rest, Index first) {
        constexpr Index most = (std::numeric_limits<Index>::max)() / static_cast<Index>(sizeof(T));
        // Without the zeros, so that the product of any part can be counted.
        Index n = first == 0 ? 1 : first;
        bool negative = first < 0, zero = first == 0;
        bool overflow = n > most;
        for (Index d : rest) {
            negative |= d < 0;
            zero |= d == 0;
            overflow |= __builtin_mul_overflow(n, d == 0 ? 1 : d, &n) || n > most;
        }
        if (negative || overflow) [[unlikely]]
            wrong_shape(rest, first, negative);
        return zero ? 0 : static_cast<std::size_t>(n);
    }
    [[noreturn, gnu::cold]] static void wrong_shape(std::span<const Index> rest, Index first, bool negative) {
        Shape shape{first};
        shape.insert(shape.end(), rest.begin(), rest.end());
        throw std::invalid_argument(
            detail::concat("Tensor: shape ", to_string(shape),
                           negative ? " has a negative dimension" : " has more values than can be counted"));
    }

    Shape shape_{};
    // Aligned for vectors of any width, because where Eigen's vectors begin decides in which order it adds:
    // the bits must not depend on the address that an allocation happens to have.
    std::vector<T, detail::AlignedAllocator<T>> values_{};
};

using Tensor = BasicTensor<float>;

template <class T>
using MatrixMap = Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;
template <class T>
using ConstMatrixMap = Eigen::Map<const Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;
template <class T>
using ArrayMap = Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>;
template <class T>
using ConstArrayMap = Eigen::Map<const Eigen::Array<T, Eigen::Dynamic, 1>>;

}  // namespace amct_distill::nn

namespace amct_distill::detail {

template <class T>
void require_matrix(const nn::BasicTensor<T>& tensor, nn::Index rows, nn::Index cols) {
    auto const size = static_cast<nn::Index>(tensor.size());
    if (rows < 0 || cols < 0 || rows * cols != size)
        throw std::invalid_argument(
            concat("a tensor ", nn::to_string(tensor.shape()), " is no ", rows, " x ", cols, " matrix"));
}

/// The sum in double, in eight lanes that are added in the end.
template <class T>
double sum_of(const T* x, nn::Index n) {
    double lanes[8] = {};
    nn::Index i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k != 8; ++k) lanes[k] += double(x[i + k]);
    for (; i != n; ++i) lanes[0] += double(x[i]);
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

}  // namespace amct_distill::detail

namespace amct_distill::nn {

/// The tensor's values as a row-major matrix; throws std::invalid_argument when rows * cols is not their
/// number.
template <class T>
MatrixMap<T> matrix(BasicTensor<T>& tensor, Index rows, Index cols) {
    detail::require_matrix(tensor, rows, cols);
    return {tensor.data(), rows, cols};
}
template <class T>
ConstMatrixMap<T> matrix(const BasicTensor<T>& tensor, Index rows, Index cols) {
    detail::require_matrix(tensor, rows, cols);
    return {tensor.data(), rows, cols};
}

/// The tensor's values in a row, for element-wise arithmetic.
template <class T>
ArrayMap<T> array(BasicTensor<T>& tensor) {
    return {tensor.data(), static_cast<Index>(tensor.size())};
}
template <class T>
ConstArrayMap<T> array(const BasicTensor<T>& tensor) {
    return {tensor.data(), static_cast<Index>(tensor.size())};
}

}  // namespace amct_distill::nn

#ifndef AMCT_DISTILL_COMPILED
#include "tensor-inl.hpp"
#endif
