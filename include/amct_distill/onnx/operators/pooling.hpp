// SPDX-License-Identifier: Apache-2.0
/// ONNX's pools as the modules of nn/layers/pool.hpp and global_pool.hpp.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../../nn/layers/pool.hpp"
#include "../window_attributes.hpp"

namespace amct_distill::onnx::detail {

/// f(std::integral_constant<std::size_t, D>) for an image of D dimensions.
template <class F>
void for_dimensions(Operation& o, F f) {
    o.at_most(1);
    std::size_t const rank = o.rank(0);
    if (o.failed()) return;
    if (rank == 3) return f(std::integral_constant<std::size_t, 1>{});
    if (rank == 4) return f(std::integral_constant<std::size_t, 2>{});
    if (rank == 5) return f(std::integral_constant<std::size_t, 3>{});
    o.fail("expected an input of one to three dimensions besides the batch and the channels");
}

/// Fills kernel, stride, paddings, dilation and ceil_mode of a pool's options.
template <std::size_t D, class Options>
void fill_window(Operation& o, Options& options) {
    WindowAttributes w = read_window(o, D);
    options.ceil_mode = o.attributes().integer("ceil_mode", 0) != 0;
    nn::Shape const shape = o.shape(0);
    if (o.failed()) return;
    w.pad_as_asked({shape.begin() + 2, shape.end()});
    std::ranges::copy(w.kernel, options.kernel.begin());
    std::ranges::copy(w.stride, options.stride.begin());
    std::ranges::copy(w.dilation, options.dilation.begin());
    std::ranges::copy(w.begin, options.padding.begin());
    std::ranges::copy(w.end, options.end_padding.begin());
}

inline void convert_max_pool(Operation& o) {
    o.attributes().ignore("storage_order");  // of the indices, which are refused
    for_dimensions(o, [&](auto d) {
        nn::MaxPoolOptions<d()> options;
        fill_window<d()>(o, options);
        if (!o.failed()) o.add(nn::BasicMaxPool<float, d()>(options), {0});
    });
}
inline void convert_average_pool(Operation& o) {
    for_dimensions(o, [&](auto d) {
        nn::AvgPoolOptions<d()> options;
        fill_window<d()>(o, options);
        options.count_include_pad = o.attributes().integer("count_include_pad", 0) != 0;
        if (!o.failed()) o.add(nn::BasicAvgPool<float, d()>(options), {0});
    });
}

/// The attribute p, a float in opset 1.
inline nn::Index given_norm(Operation& o) {
    if (o.opset() >= 2) return o.attributes().integer("p", 2);
    float const p = o.attributes().real("p", 2);
    if (!(p >= 1 && p < 1e6f && p == static_cast<float>(static_cast<nn::Index>(p))))
        return o.fail("p: expected a whole number from 1 on"), nn::Index(2);
    return static_cast<nn::Index>(p);
}
inline void convert_lp_pool(Operation& o) {
    for_dimensions(o, [&](auto d) {
        nn::LPPoolOptions<d()> options;
        options.norm = given_norm(o);
        fill_window<d()>(o, options);
        if (!o.failed()) o.add(nn::BasicLPPool<float, d()>(options), {0});
    });
}

inline void convert_global_average_pool(Operation& o) {
    for_dimensions(o, [&](auto d) { o.add(nn::BasicGlobalAveragePool<float, d()>{}, {0}); });
}
inline void convert_global_max_pool(Operation& o) {
    for_dimensions(o, [&](auto d) { o.add(nn::BasicGlobalMaxPool<float, d()>{}, {0}); });
}
inline void convert_global_lp_pool(Operation& o) {
    nn::GlobalLpPoolOptions const options{given_norm(o)};
    for_dimensions(o, [&](auto d) { o.add(nn::BasicGlobalLpPool<float, d()>(options), {0}); });
}

inline constexpr std::array pooling_rules{
    OperatorRule{"AveragePool", convert_average_pool},
    OperatorRule{"GlobalAveragePool", convert_global_average_pool},
    OperatorRule{"GlobalLpPool", convert_global_lp_pool},
    OperatorRule{"GlobalMaxPool", convert_global_max_pool, Accepts::everything},
    OperatorRule{"LpPool", convert_lp_pool},
    OperatorRule{"MaxPool", convert_max_pool, Accepts::everything},
};

}  // namespace amct_distill::onnx::detail
