// SPDX-License-Identifier: Apache-2.0
/// Rounds to the values of a narrower float: float16 or bfloat16, to nearest, ties to even, as a Cast does.
///
///     net.add_function("/Cast", RoundTo({.format = FloatFormat::bfloat16}), {x});
///     detail::round_to(FloatFormat::float16, 1e6f);            // infinity
///
/// The gradient passes as it is, as PyTorch's does.
#pragma once
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <stdexcept>
#include <string_view>

#include "../module.hpp"

namespace amct_distill::nn {

enum class FloatFormat { float16, bfloat16 };

}  // namespace amct_distill::nn

namespace amct_distill::detail {

inline float round_to(nn::FloatFormat format, float x) {
    if (!std::isfinite(x)) return x;
    bool const half = format == nn::FloatFormat::float16;
    // Below its smallest normal number float16 has multiples of 2^-24.
    if (half && std::abs(x) < 0x1p-14f) return std::nearbyint(x * 0x1p24f) * 0x1p-24f;
    unsigned const dropped = half ? 13 : 16;
    auto bits = std::bit_cast<std::uint32_t>(x);
    bits +=
        (1u << (dropped - 1)) - 1 + (bits >> dropped & 1u);  // up, unless it is less than half, or to even
    float const rounded = std::bit_cast<float>(bits >> dropped << dropped);
    if (half && std::abs(rounded) > 65504) return std::copysign(std::numeric_limits<float>::infinity(), x);
    return rounded;
}

}  // namespace amct_distill::detail

namespace amct_distill::nn {

struct RoundToOptions {
    FloatFormat format = FloatFormat::float16;
    friend bool operator==(const RoundToOptions&, const RoundToOptions&) = default;
};

template <class T>
class BasicRoundTo {
public:
    static constexpr std::string_view type_name = "RoundTo";
    static constexpr std::string_view operation = "Cast";

    /// Throws std::invalid_argument when the format is none.
    explicit BasicRoundTo(const RoundToOptions& options) : options_(options) {
        if (options.format != FloatFormat::float16 && options.format != FloatFormat::bfloat16)
            throw std::invalid_argument("RoundTo: expected float16 or bfloat16");
    }
    const RoundToOptions& options() const { return options_; }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1) return detail::unexpected_inputs("one input", inputs);
        return inputs[0];
    }
    void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>& scratch, Mode) const {
        const BasicTensor<T>& x = *inputs[0];
        scratch.in_parts(x.size(), [&](std::size_t begin, std::size_t end) {
            for (std::size_t i = begin; i != end; ++i)
                output[i] = T(detail::round_to(options_.format, static_cast<float>(x[i])));
        });
    }
    void backward(BasicInputs<T>, const BasicTensor<T>&, const BasicTensor<T>& grad_output,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>>, BasicScratch<T>&,
                  Mode) const {
        if (grad_inputs[0]) array(*grad_inputs[0]) += array(grad_output);
    }

private:
    RoundToOptions options_;
};

using RoundTo = BasicRoundTo<float>;

}  // namespace amct_distill::nn
