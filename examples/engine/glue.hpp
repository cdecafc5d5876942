// SPDX-License-Identifier: Apache-2.0
/// The layers between the quantized ones, in float, each as the library computes it: the same bits.
///
///     static_assert(has_glue("ReLU"));
///     run_glue<digits_model::network, digits_model::layers::relu1, Layout::channels_first>(inputs, output);
///
/// (What contracts a * b + c to one rounding gives other bits: -ffp-contract=off where the processor has it.)
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "memory.hpp"

namespace engine {

constexpr bool has_glue(std::string_view type) {
    if (has_only_shape(type)) return true;
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

/// Whether a value is a constant, which lies as the network says in any layout.
template <class Network>
constexpr bool is_constant(int value) {
    bool found = false;
    for_each_layer<Network>([&]<class L>(std::size_t) {
        if constexpr (L::type == "Constant")
            found = found || L::writes[0] == value;
        else if constexpr (has_only_shape(L::type))
            found = found || (L::writes[0] == value && is_constant<Network>(L::reads[0]));
    });
    return found;
}

using Steps = std::array<std::int64_t, 16>;
/// What a step along each of the dimensions of an output, in the order in which they lie, is in an operand
/// that is broadcast to it.
template <class Network, Layout Order>
constexpr Steps steps_of(int operand, int output) {
    auto const from = Network::values[std::size_t(operand)], to = Network::values[std::size_t(output)];
    bool const moved = !is_constant<Network>(operand) && from.rank == 4;
    auto const lies = moved ? stored<Order>(from) : from;
    Steps own{}, out{};
    std::int64_t step = 1;
    for (int d = from.rank; d-- != 0; step *= lies.shape[std::size_t(d)]) own[std::size_t(d)] = step;
    for (int d = 0; d != from.rank; ++d) {
        auto const at = moved ? stored_dim<Order>(from, std::size_t(d)) : std::size_t(d);
        if (from.shape[std::size_t(d)] != 1)
            out[stored_dim<Order>(to, std::size_t(to.rank - from.rank + d))] = own[at];
    }
    return out;
}

/// y = op(x, z), broadcast as NumPy does it.
template <class Network, Layout Order, int X, int Z, int Y, class Op>
void broadcast(const float* x, const float* z, float* y, Op op) {
    constexpr auto out = stored<Order>(Network::values[std::size_t(Y)]);
    constexpr std::size_t size = size_of(out), last = std::size_t(out.rank - 1);
    constexpr Steps x_steps = steps_of<Network, Order>(X, Y), z_steps = steps_of<Network, Order>(Z, Y);
    if constexpr (x_steps == steps_of<Network, Order>(Y, Y) && z_steps == x_steps) {
        for (std::size_t i = 0; i != size; ++i) y[i] = op(x[i], z[i]);
    } else {
        Steps at{};
        for (float* const end = y + size; y != end;) {
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

/// Windows over planes: f(index of the output, each), and each(g) calls g for the pixels of the window on the
/// image and gives how many of it are image or padding.
template <class Network, class L, Layout Order, class F>
void for_each_window(const float* x, F f) {
    using O = typename L::options;
    constexpr auto in = Network::values[std::size_t(L::reads[0])],
                   out = Network::values[std::size_t(L::writes[0])];
    constexpr std::int64_t height = in.shape[2], width = in.shape[3], channels = in.shape[1];
    constexpr bool last = Order == Layout::channels_last;
    constexpr std::int64_t step = last ? channels : 1;
    std::size_t i = 0;
    for (std::int64_t plane = 0; plane != in.shape[0] * channels; ++plane) {
        const float* const image = last ? x + plane / channels * height * width * channels + plane % channels
                                        : x + plane * height * width;
        for (std::int64_t r = 0; r != out.shape[2]; ++r)
            for (std::int64_t c = 0; c != out.shape[3]; ++c)
                f(position<Order>(out, i++), [&](auto pixel) {
                    std::int64_t counted = 0;
                    for (std::int64_t k = 0; k != O::kernel[0]; ++k)
                        for (std::int64_t l = 0; l != O::kernel[1]; ++l) {
                            std::int64_t const y = r * O::stride[0] - O::padding[0] + k * O::dilation[0];
                            std::int64_t const z = c * O::stride[1] - O::padding[1] + l * O::dilation[1];
                            if (y < height + O::end_padding[0] && z < width + O::end_padding[1]) ++counted;
                            if (y >= 0 && y < height && z >= 0 && z < width)
                                pixel(image[(y * width + z) * step]);
                        }
                    return counted;
                });
    }
}

template <class Network, class L, Layout Order>
constexpr bool constants_have_one_order() {
    for (int v : L::reads)
        if (Order != Layout::channels_first && is_constant<Network>(v) &&
            !has_one_order(Network::values[std::size_t(v)]))
            return false;
    return true;
}

/// `x` is what the layer reads, `y` what it writes.
template <class Network, class L, Layout Order>
void run_glue(const std::array<const float*, L::reads.size()>& x, float* y) {
    constexpr auto in_at = [](std::size_t k) { return Network::values[std::size_t(L::reads[k])]; };
    constexpr auto own = Network::values[std::size_t(L::writes[0])];
    constexpr auto out = stored<Order>(own);
    if constexpr (has_only_shape(L::type)) {
        constexpr auto in = in_at(0);
        for (std::size_t i = 0; i != size_of(out); ++i)
            y[position<Order>(own, i)] = x[0][position<Order>(in, i)];
    } else if constexpr (L::type == "Add" || L::type == "Sub" || L::type == "Mul" || L::type == "Div") {
        constexpr int to = L::writes[0];
        broadcast<Network, Order, L::reads[0], L::reads[1], to>(x[0], x[1], y, arithmetic<L>);
        [&]<std::size_t... K>(std::index_sequence<K...>) {
            (broadcast<Network, Order, to, L::reads[K + 2], to>(y, x[K + 2], y, arithmetic<L>), ...);
        }
        (std::make_index_sequence<L::reads.size() - 2>{});
    } else if constexpr (L::type == "Concat") {
        constexpr std::size_t dim = stored_dim<Order>(own, std::size_t(L::options::dim));
        static_assert(constants_have_one_order<Network, L, Order>(),
                      "images that are constants are not joined with others with the channels last");
        std::int64_t outer = 1;
        for (std::size_t d = 0; d != dim; ++d) outer *= out.shape[d];
        for (std::int64_t o = 0; o != outer; ++o)
            for (std::size_t k = 0; k != x.size(); ++k) {
                auto const line = static_cast<std::int64_t>(size_of(in_at(k))) / outer;
                y = std::copy_n(x[k] + o * line, line, y);
            }
    } else if constexpr (L::type == "MaxPool2d") {
        for_each_window<Network, L, Order>(x[0], [&](std::size_t at, auto each) {
            bool first = true;
            float best = 0;
            each([&](float v) {
                if (first || v > best || (std::isnan(v) && !std::isnan(best))) best = v;
                first = false;
            });
            y[at] = best;
        });
    } else if constexpr (L::type == "AvgPool2d") {
        for_each_window<Network, L, Order>(x[0], [&](std::size_t at, auto each) {
            float sum = 0;
            std::int64_t pixels = 0;
            std::int64_t const counted = each([&](float v) { sum += v, ++pixels; });
            y[at] = sum / static_cast<float>(L::options::count_include_pad ? counted : pixels);
        });
    } else if constexpr (L::type == "AdaptiveAvgPool2d") {
        constexpr std::size_t n = size_of(in_at(0)) / size_of(out), channels = std::size_t(in_at(0).shape[1]);
        constexpr std::size_t step = Order == Layout::channels_last ? channels : 1;
        for (std::size_t i = 0; i != size_of(out); ++i) {
            const float* const p =
                step == 1 ? x[0] + i * n : x[0] + i / channels * n * channels + i % channels;
            double lanes[8] = {};  // the library's order
            for (std::size_t k = 0; k != n; ++k)
                lanes[k < n / 8 * 8 ? k % 8 : 0] += static_cast<double>(p[k * step]);
            double const sum = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
                               ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
            y[i] = static_cast<float>(sum / static_cast<double>(n));
        }
    } else if constexpr (L::type == "Softmax") {
        static_assert(Order == Layout::channels_first || own.rank != 4 || !L::options::to_end,
                      "a Softmax along several dimensions of images is not there with the channels last");
        constexpr std::size_t dim = stored_dim<Order>(own, std::size_t(L::options::dim));
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
