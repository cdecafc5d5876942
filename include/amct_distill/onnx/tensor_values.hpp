// SPDX-License-Identifier: Apache-2.0
/// The values of a TensorProto, wherever they are: raw bytes, a typed field, another file.
///
///     result<onnx::TensorValues> t = onnx::tensor_values(initializer, &external);
///     t->shape();  t->type();
///     std::vector<float> weights(t->size());
///     t->copy_to(std::span(weights));          // float16, bfloat16, double and integers are converted
///
/// Shape and size are compared with the bytes that are there before anything is allocated. The values stay
/// where they are until they are copied: the TensorProto, its file and `external` must live until then.
#pragma once
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "element_type.hpp"
#include "external_data.hpp"
#include "messages.hpp"

namespace amct_distill::onnx {

inline constexpr std::size_t max_rank = 32;

class TensorValues {
public:
    /// Little endian bytes, or the values of a typed field.
    using Source = std::variant<std::string_view, std::span<const float>, std::span<const double>,
                                std::span<const std::int32_t>, std::span<const std::int64_t>,
                                std::span<const std::uint64_t>>;

    /// Precondition: the source holds what shape and type say; tensor_values() checks it.
    TensorValues(ElementType type, std::vector<std::size_t> shape, std::size_t size, Source source)
        : type_(type), shape_(std::move(shape)), size_(size), source_(source) {}

    ElementType type() const noexcept { return type_; }
    const std::vector<std::size_t>& shape() const noexcept { return shape_; }
    /// Number of elements.
    std::size_t size() const noexcept { return size_; }
    const Source& source() const noexcept { return source_; }

    /// All values, row-major, as static_cast converts them; a bool is 0 or 1, a float that an integer cannot
    /// hold is the integer nearest to it, NaN is 0. Precondition: out.size() == size().
    template <class T>
    requires std::is_arithmetic_v<T>
    void copy_to(std::span<T> out) const {
        switch (type_) {
            case ElementType::float32:
                return copy<float>(out);
            case ElementType::float64:
                return copy<double>(out);
            case ElementType::float16:
                return copy<std::uint16_t>(out, [](std::uint16_t v) { return from_float16(v); });
            case ElementType::bfloat16:
                return copy<std::uint16_t>(out, [](std::uint16_t v) { return from_bfloat16(v); });
            case ElementType::int8:
                return copy<std::int8_t>(out);
            case ElementType::int16:
                return copy<std::int16_t>(out);
            case ElementType::int32:
                return copy<std::int32_t>(out);
            case ElementType::int64:
                return copy<std::int64_t>(out);
            case ElementType::uint8:
                return copy<std::uint8_t>(out);
            case ElementType::uint16:
                return copy<std::uint16_t>(out);
            case ElementType::uint32:
                return copy<std::uint32_t>(out);
            case ElementType::uint64:
                return copy<std::uint64_t>(out);
            case ElementType::boolean:
                return copy<std::uint8_t>(out, [](std::uint8_t v) { return v != 0 ? 1 : 0; });
            case ElementType::int4:
                return copy_nibbles(out, [](unsigned v) { return static_cast<int>(v ^ 8u) - 8; });
            case ElementType::uint4:
                return copy_nibbles(out, [](unsigned v) { return static_cast<int>(v); });
            default:
                return;  // tensor_values() has refused it
        }
    }
    template <class T>
    std::vector<T> to_vector() const {
        std::vector<T> out(size_);
        copy_to(std::span<T>(out));
        return out;
    }

private:
    struct AsItIs {
        template <class S>
        constexpr S operator()(S v) const {
            return v;
        }
    };
    /// `S`: an element in the bytes; in a typed field it is a wider integer with the same low bits.
    template <class S, class T, class F = AsItIs>
    void copy(std::span<T> out, F&& value = {}) const {
        if (const auto* raw = std::get_if<std::string_view>(&source_)) {
            if constexpr (std::same_as<S, T> && std::same_as<std::remove_cvref_t<F>, AsItIs> &&
                          std::endian::native == std::endian::little) {
                if (!out.empty()) std::memcpy(out.data(), raw->data(), out.size_bytes());
            } else {
                for (std::size_t i = 0; i != out.size(); ++i)
                    out[i] = to<T>(value(load<S>(raw->data() + i * sizeof(S))));
            }
            return;
        }
        std::visit(
            [&]<class V>(const V& values) {
                if constexpr (!std::same_as<V, std::string_view>)
                    for (std::size_t i = 0; i != out.size(); ++i) out[i] = to<T>(value(from<S>(values[i])));
            },
            source_);
    }
    template <class T, class F>
    void copy_nibbles(std::span<T> out, F&& value) const {
        const auto* raw = std::get_if<std::string_view>(&source_);
        const auto* field = std::get_if<std::span<const std::int32_t>>(&source_);
        for (std::size_t i = 0; i != out.size(); ++i) {
            unsigned const byte = raw ? static_cast<unsigned char>((*raw)[i / 2])
                                      : static_cast<unsigned>((*field)[i / 2]) & 0xFFu;
            out[i] = static_cast<T>(value(i % 2 == 0 ? byte & 15u : byte >> 4));
        }
    }
    /// An element of a typed field, which has the type `S` or, wider, its low bits.
    template <class S, class V>
    static S from(V v) {
        if constexpr (std::is_floating_point_v<S> == std::is_floating_point_v<V>)
            return static_cast<S>(v);
        else
            return S{};  // never: typed_field() pairs them
    }
    template <class T, class V>
    static T to(V v) {
        if constexpr (std::integral<T> && std::floating_point<V>) {
            constexpr V least = static_cast<V>((std::numeric_limits<T>::min)());
            constexpr V above = static_cast<V>((std::numeric_limits<T>::max)() / 2 + 1) * 2;  // max + 1
            if (!(v == v)) return T{};
            if (v <= least) return (std::numeric_limits<T>::min)();
            if (v >= above) return (std::numeric_limits<T>::max)();
        }
        return static_cast<T>(v);
    }
    template <class S>
    static S load(const char* at) {
        using U = std::conditional_t<
            sizeof(S) == 1, std::uint8_t,
            std::conditional_t<sizeof(S) == 2, std::uint16_t,
                               std::conditional_t<sizeof(S) == 4, std::uint32_t, std::uint64_t>>>;
        U u = 0;
        for (std::size_t i = 0; i != sizeof(S); ++i)
            u = static_cast<U>(u |
                               static_cast<U>(static_cast<U>(static_cast<unsigned char>(at[i])) << (8 * i)));
        return std::bit_cast<S>(u);
    }

    ElementType type_;
    std::vector<std::size_t> shape_;
    std::size_t size_;
    Source source_;
};

namespace detail {

/// The number of elements, or an error: a negative dimension, a product beyond what memory can address.
inline result<std::size_t> element_count(std::span<const std::int64_t> dims, unsigned bits) {
    std::uint64_t const most =
        (std::numeric_limits<std::size_t>::max)() / 8;  // also in bytes of the widest type
    std::uint64_t count = 1;
    bool overflow = false, zero = false;
    for (std::int64_t d : dims) {
        if (d < 0) return general_error(amct_distill::detail::concat("a dimension is ", d));
        auto const n = static_cast<std::uint64_t>(d);
        zero = zero || n == 0;
        overflow = overflow || (n != 0 && count > most / n);
        count = overflow || n == 0 ? 1 : count * n;
    }
    if (zero) return std::size_t{0};
    if (overflow || count > most / (bits > 8 ? bits / 8 : 1))
        return general_error("the product of its dimensions is larger than any memory");
    return static_cast<std::size_t>(count);
}

/// The typed field for a type.
inline TensorValues::Source typed_field(const TensorProto& t, ElementType type) {
    switch (type) {
        case ElementType::float32:
            return std::span(t.float_data);
        case ElementType::float64:
            return std::span(t.double_data);
        case ElementType::int64:
            return std::span(t.int64_data);
        case ElementType::uint32:
        case ElementType::uint64:
            return std::span(t.uint64_data);
        default:
            return std::span(t.int32_data);
    }
}

}  // namespace detail

/// Errors name the tensor: a type whose values are not read here, a bad shape, too few or too many bytes,
/// values in two places, external data that is refused. `external` may be null: then external data is
/// refused.
inline result<TensorValues> tensor_values(const TensorProto& t, ExternalData* external = nullptr) {
    auto const error = [&](const auto&... pieces) {
        return general_error(amct_distill::detail::concat("tensor `", t.name.get(), "`: ", pieces...));
    };
    auto const type = static_cast<ElementType>(t.data_type.get());
    unsigned const bits = bits_of(type);
    if (bits == 0)
        return error("values of type ", name_of(type), " (", t.data_type.get(), ") are not supported");
    if (t.dims.size() > max_rank)
        return error("it has ", t.dims.size(), " dimensions, more than the ", max_rank,
                     " that are supported");
    result<std::size_t> const count = detail::element_count(t.dims, bits);
    if (!count) return error(count.diagnostics().front().message);
    std::uint64_t const needed = bits == 4 ? *count / 2 + *count % 2 : std::uint64_t{*count} * (bits / 8);
    std::size_t const typed = t.float_data.size() + t.int32_data.size() + t.int64_data.size() +
                              t.double_data.size() + t.uint64_data.size() + t.string_data.size();

    TensorValues::Source source{};
    if (t.data_location.get() == 1) {
        if (typed != 0 || t.raw_data.has_value())
            return error("its values are in the model and in another file");
        if (external == nullptr) return error("its values are in another file; read the model by its path");
        result<std::string_view> const bytes = external->bytes(t, needed);
        if (!bytes) return bytes.diagnostics();
        source = *bytes;
    } else if (t.raw_data.has_value()) {
        if (typed != 0) return error("it has raw_data and values in a typed field; which of them counts?");
        if (t.raw_data->size() != needed)
            return error("raw_data has ", t.raw_data->size(), " bytes, but its shape and type need ", needed);
        source = *t.raw_data;
    } else {
        source = detail::typed_field(t, type);
        std::size_t const entries = std::visit([](const auto& values) { return values.size(); }, source);
        std::uint64_t const wanted = bits == 4 ? needed : *count;
        if (entries != typed) return error("values in a field that is not the one of type ", name_of(type));
        if (entries != wanted)
            return error("it has ", entries, " values, but its shape and type need ", wanted);
    }
    std::vector<std::size_t> shape(t.dims.begin(), t.dims.end());
    return TensorValues(type, std::move(shape), *count, source);
}

}  // namespace amct_distill::onnx
