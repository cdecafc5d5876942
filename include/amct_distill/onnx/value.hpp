// SPDX-License-Identifier: Apache-2.0
/// A tensor whose values are known before the network runs: a weight, an index, a shape.
///
///     const onnx::Value* w = constants.find(tensor);
///     w->shape();                    // [64, 3, 7, 7]
///     std::vector<float> const values = w->floats();
///     std::optional<std::vector<std::int64_t>> const axes = w->integers();
///
/// A value that was read stays in the file until it is asked for. Integers may depend on the batch (Size); so
/// may a size of the shape where a constant was expanded over the batch: then the values are those of one
/// sample.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "dense.hpp"
#include "element_type.hpp"
#include "size.hpp"
#include "tensor_values.hpp"

namespace amct_distill::onnx {

class Value {
public:
    explicit Value(TensorValues values)
        : type_(values.type()), extents_(values.shape()), values_(std::move(values)) {
        shape_.assign(extents_.begin(), extents_.end());
    }
    Value(ElementType type, Dense<float> values)
        : type_(type), extents_(std::move(values.shape)), values_(std::move(values.data)) {
        shape_.assign(extents_.begin(), extents_.end());
    }
    Value(ElementType type, Dense<Size> values)
        : type_(type), extents_(std::move(values.shape)), values_(std::move(values.data)) {
        shape_.assign(extents_.begin(), extents_.end());
    }
    /// The same values, repeated over the batch along axes of extent 1. Precondition: `shape` differs there
    /// only.
    Value over_batch(Shape shape) && {
        shape_ = std::move(shape);
        return std::move(*this);
    }

    ElementType type() const noexcept { return type_; }
    bool is_floating() const noexcept { return onnx::is_floating(type_); }
    const Shape& shape() const noexcept { return shape_; }
    /// The shape of the values that are there: 1 where shape() depends on the batch.
    const Extents& extents() const noexcept { return extents_; }
    bool is_over_batch() const {
        for (Size s : shape_)
            if (!s.is_fixed()) return true;
        return false;
    }
    /// The number of values that are there.
    std::size_t count() const { return count_of(extents_); }

    /// All values; integers are converted. Nothing when one depends on the batch.
    std::optional<std::vector<float>> floats() const {
        if (const auto* f = std::get_if<std::vector<float>>(&values_)) return *f;
        if (const auto* t = std::get_if<TensorValues>(&values_)) return t->to_vector<float>();
        std::vector<float> out;
        for (Size s : std::get<std::vector<Size>>(values_)) {
            if (!s.is_fixed()) return std::nullopt;
            out.push_back(static_cast<float>(s.fixed));
        }
        return out;
    }
    /// Whether every number of it is one as a float: of a double it may be too large.
    bool fits_floats() const {
        const auto* const t = std::get_if<TensorValues>(&values_);
        if (t == nullptr || type_ != ElementType::float64) return true;
        for (double v : t->to_vector<double>())
            if (std::isfinite(v) && std::abs(v) > double((std::numeric_limits<float>::max)())) return false;
        return true;
    }
    /// Nothing for floats, and when a value depends on the batch.
    std::optional<std::vector<std::int64_t>> integers() const {
        if (is_floating()) return std::nullopt;
        if (const auto* t = std::get_if<TensorValues>(&values_)) return t->to_vector<std::int64_t>();
        std::vector<std::int64_t> out;
        for (Size s : std::get<std::vector<Size>>(values_)) {
            if (!s.is_fixed()) return std::nullopt;
            out.push_back(s.fixed);
        }
        return out;
    }
    /// Nothing for floats.
    std::optional<std::vector<Size>> sizes() const {
        if (is_floating()) return std::nullopt;
        if (const auto* s = std::get_if<std::vector<Size>>(&values_)) return *s;
        std::vector<std::int64_t> const all = std::get<TensorValues>(values_).to_vector<std::int64_t>();
        return std::vector<Size>(all.begin(), all.end());
    }

private:
    ElementType type_;
    Shape shape_{};
    Extents extents_{};
    std::variant<TensorValues, std::vector<float>, std::vector<Size>> values_;
};

}  // namespace amct_distill::onnx
