// SPDX-License-Identifier: Apache-2.0
/// The layers between the quantized ones, in float, each as the library computes it: the same bits.
///
///     static_assert(has_glue("ReLU"));
///     run_glue<digits_model::network, digits_model::layers::relu1>(inputs, output);
///
/// (What contracts a * b + c to one rounding gives other bits: -ffp-contract=off where the processor has it.)
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "memory.hpp"

namespace engine {

constexpr bool has_glue(std::string_view type) {
    if (passes_on(type)) return true;
    for (std::string_view t : {"Constant", "ReLU", "ReLU6", "Hardtanh", "LeakyReLU", "Sigmoid", "Tanh",
                               "SiLU", "Hardsigmoid", "Hardswish", "Add", "Sub", "Mul", "Div", "Concat",
                               "MaxPool2d", "AvgPool2d", "AdaptiveAvgPool2d", "Softmax"})
        if (t == type) return true;
    return false;
}

/// min(max(x, low), high); NaN passes, and -0 becomes 0.
inline float clamp(float x, float low, float high) {
    x = x <= low ? low : x;
    return (x >= high ? high : x) + 0.0f;
}

/// What is computed number by number.
template <class L>
float activation(float x) {
    if constexpr (L::type == "ReLU") {
        return (x <= 0.0f ? 0.0f : x) + 0.0f;
    } else if constexpr (L::type == "ReLU6") {
        return clamp(x, 0, 6);
    } else if constexpr (L::type == "Hardtanh") {
        return clamp(x, static_cast<float>(L::options::min_val), static_cast<float>(L::options::max_val));
    } else if constexpr (L::type == "LeakyReLU") {
        float const slope = static_cast<float>(L::options::negative_slope);
        return (std::max)(x, 0.0f) + (std::min)(x, 0.0f) * slope + 0.0f;
    } else if constexpr (L::type == "Sigmoid") {
        return 1.0f / (1.0f + std::exp(-x));
    } else if constexpr (L::type == "SiLU") {
        return x / (1.0f + std::exp(-x));
    } else if constexpr (L::type == "Tanh") {
        return std::tanh(x);
    } else if constexpr (L::type == "Hardsigmoid") {
        return clamp(x * static_cast<float>(L::options::alpha) + static_cast<float>(L::options::beta), 0, 1);
    } else {
        static_assert(L::type == "Hardswish");
        return x * (std::min)((std::max)(x + 3.0f, 0.0f), 6.0f) / 6.0f;
    }
}

/// y = op(a, b), broadcast as NumPy does it.
template <class Value, class Op>
void broadcast(const Value& a, const float* x, const Value& b, const float* z, const Value& out, float* y,
               Op op) {
    std::array<std::int64_t, 16> at{}, x_steps{}, z_steps{};
    auto const steps = [&](const Value& from, auto& to) {
        std::int64_t step = 1;
        for (int d = 1; d <= from.rank; ++d) {
            auto const size = from.shape[static_cast<std::size_t>(from.rank - d)];
            to[static_cast<std::size_t>(out.rank - d)] = size == 1 ? 0 : step;
            step *= size;
        }
    };
    steps(a, x_steps), steps(b, z_steps);
    auto const last = static_cast<std::size_t>(out.rank - 1);
    float* const end = y + size_of(out);
    while (y != end) {
        for (std::int64_t i = 0; i != out.shape[last]; ++i)
            *y++ = op(x[i * x_steps[last]], z[i * z_steps[last]]);
        for (std::size_t d = last; d-- != 0;) {
            x += x_steps[d], z += z_steps[d];
            if (++at[d] != out.shape[d]) break;
            x -= x_steps[d] * at[d], z -= z_steps[d] * at[d];
            at[d] = 0;
        }
    }
}
template <class L>
float arithmetic(float a, float b) {
    if constexpr (L::type == "Add")
        return a + b;
    else if constexpr (L::type == "Sub")
        return a - b;
    else if constexpr (L::type == "Mul")
        return a * b;
    else
        return a / b;
}

/// Windows over planes: f(pixels of a window on the image, how many of it are image or padding).
template <class L, class Value, class F>
void for_each_window(const Value& in, const Value& out, const float* x, F f) {
    using O = typename L::options;
    std::int64_t const height = in.shape[2], width = in.shape[3];
    for (std::int64_t plane = 0; plane != in.shape[0] * in.shape[1]; ++plane, x += height * width)
        for (std::int64_t r = 0; r != out.shape[2]; ++r)
            for (std::int64_t c = 0; c != out.shape[3]; ++c) {
                auto const each = [&](auto pixel) {
                    std::int64_t counted = 0;
                    for (std::int64_t i = 0; i != O::kernel[0]; ++i)
                        for (std::int64_t j = 0; j != O::kernel[1]; ++j) {
                            std::int64_t const y = r * O::stride[0] - O::padding[0] + i * O::dilation[0];
                            std::int64_t const z = c * O::stride[1] - O::padding[1] + j * O::dilation[1];
                            if (y < height + O::end_padding[0] && z < width + O::end_padding[1]) ++counted;
                            if (y >= 0 && y < height && z >= 0 && z < width) pixel(x[y * width + z]);
                        }
                    return counted;
                };
                f(each);
            }
}

/// `in` and `out` are values of the network, `x` what the layer reads, `y` what it writes.
template <class Network, class L>
void run_glue(const std::array<const float*, L::reads.size()>& x, float* y) {
    constexpr auto in_at = [](std::size_t k) { return Network::values[std::size_t(L::reads[k])]; };
    constexpr const auto& out = Network::values[std::size_t(L::writes[0])];
    if constexpr (L::type == "Add" || L::type == "Sub" || L::type == "Mul" || L::type == "Div") {
        broadcast(in_at(0), x[0], in_at(1), x[1], out, y, arithmetic<L>);
        for (std::size_t k = 2; k < x.size(); ++k) broadcast(out, y, in_at(k), x[k], out, y, arithmetic<L>);
    } else if constexpr (L::type == "Concat") {
        constexpr std::size_t dim = std::size_t(L::options::dim);
        std::int64_t outer = 1;
        for (std::size_t d = 0; d != dim; ++d) outer *= out.shape[d];
        for (std::int64_t o = 0; o != outer; ++o)
            for (std::size_t k = 0; k != x.size(); ++k) {
                auto const line = static_cast<std::int64_t>(size_of(in_at(k))) / outer;
                y = std::copy_n(x[k] + o * line, line, y);
            }
    } else if constexpr (L::type == "MaxPool2d") {
        for_each_window<L>(in_at(0), out, x[0], [&](auto each) {
            bool first = true;
            float best = 0;
            each([&](float v) {
                if (first || v > best || (std::isnan(v) && !std::isnan(best))) best = v;
                first = false;
            });
            *y++ = best;
        });
    } else if constexpr (L::type == "AvgPool2d") {
        for_each_window<L>(in_at(0), out, x[0], [&](auto each) {
            float sum = 0;
            std::int64_t pixels = 0;
            std::int64_t const counted = each([&](float v) { sum += v, ++pixels; });
            *y++ = sum / static_cast<float>(L::options::count_include_pad ? counted : pixels);
        });
    } else if constexpr (L::type == "AdaptiveAvgPool2d") {
        constexpr std::size_t n = size_of(in_at(0)) / size_of(out);
        const float* p = x[0];
        for (std::size_t i = 0; i != size_of(out); ++i, p += n) {
            double lanes[8] = {};  // the library's order
            for (std::size_t k = 0; k != n; ++k)
                lanes[k < n / 8 * 8 ? k % 8 : 0] += static_cast<double>(p[k]);
            double const sum = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
                               ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
            y[i] = static_cast<float>(sum / static_cast<double>(n));
        }
    } else if constexpr (L::type == "Softmax") {
        constexpr std::size_t dim = std::size_t(L::options::dim);
        std::size_t step = 1;
        if (!L::options::to_end)
            for (std::size_t d = dim + 1; d != std::size_t(out.rank); ++d) step *= std::size_t(out.shape[d]);
        std::size_t outer = 1;
        for (std::size_t d = 0; d != dim; ++d) outer *= std::size_t(out.shape[d]);
        std::size_t const line = size_of(out) / outer;
        for (std::size_t first = 0; first != size_of(out); ++first) {
            if (first % line >= step) continue;
            std::size_t const end = first / line * line + line;
            float largest = x[0][first];
            for (std::size_t i = first; i < end; i += step) largest = (std::max)(largest, x[0][i]);
            double sum = 0;
            for (std::size_t i = first; i < end; i += step)
                sum += static_cast<double>(y[i] = std::exp(x[0][i] - largest));
            for (std::size_t i = first; i < end; i += step) y[i] /= static_cast<float>(sum);
        }
    } else {
        for (std::size_t i = 0; i != size_of(out); ++i) y[i] = activation<L>(x[0][i]);
    }
}

}  // namespace engine
