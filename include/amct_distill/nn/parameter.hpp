// SPDX-License-Identifier: Apache-2.0
/// A parameter of a module: its name, what it is to the optimizer, its shape, and where its values are.
///
///     for (const Parameter& p : module.parameters()) use(p.name, p.role, p.shape(), p.values);
///     list.push_back({"slope", Role::affine, &slope});          // a tensor of the module
///     list.push_back({"clips", Role::clip, quantizer.parameters()});   // or values that another object owns
///
/// The module owns the values; a parameter is a view, valid until the module changes or moves.
#pragma once
#include <concepts>
#include <cstddef>
#include <span>
#include <string_view>
#include <type_traits>

#include "tensor.hpp"

namespace amct_distill::nn {

/// What a parameter is to the optimizer. Not trained are a statistic (BatchNorm's running mean), which has no
/// gradient either, and what is frozen. Of what is guided the module says the rate (see guided.hpp).
enum class Role { weight, bias, affine, clip, scale, statistic, frozen, guided };

/// `T` is const where the module is.
template <class T>
class BasicParameter {
public:
    std::string_view name{};  ///< "weight", "bias", ...; unique in its module
    Role role = Role::weight;
    std::span<T> values{};  ///< row-major

    BasicParameter() = default;
    template <class Tensor>
    requires std::same_as<std::remove_const_t<Tensor>, BasicTensor<std::remove_const_t<T>>> BasicParameter(
        std::string_view n, Role r, Tensor* tensor)
        : name(n), role(r), values(tensor->span()), shape_(tensor->shape()) {}
    /// A row of values.
    BasicParameter(std::string_view n, Role r, std::span<T> row)
        : name(n), role(r), values(row), length_(static_cast<Index>(row.size())) {}
    template <class U>
    requires(!std::is_const_v<U> && std::same_as<const U, T>) BasicParameter(const BasicParameter<U>& other)
        : name(other.name),
          role(other.role),
          values(other.values),
          shape_(other.shape_),
          length_(other.length_) {}

    /// Valid as long as the parameter.
    std::span<const Index> shape() const { return shape_.empty() ? std::span(&length_, 1) : shape_; }

private:
    template <class>
    friend class BasicParameter;
    std::span<const Index> shape_{};
    Index length_ = 0;
};

using Parameter = BasicParameter<float>;

}  // namespace amct_distill::nn
