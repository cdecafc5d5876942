// SPDX-License-Identifier: Apache-2.0
/// Where the values of an exported network lie while it runs: computed by the compiler, so that the engine
/// needs no heap, and not more memory than the values that are needed at a time.
///
///     constexpr auto places = place_values<digits_model::network>();
///     float arena[places.size];
///     arena + places.first[3];                   // of the network's value 3
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <tuple>
#include <utility>

namespace engine {

/// How many numbers a value has.
template <class Value>
constexpr std::size_t size_of(const Value& value) {
    std::int64_t size = 1;
    for (int d = 0; d != value.rank; ++d) size *= value.shape[static_cast<std::size_t>(d)];
    return static_cast<std::size_t>(size);
}

/// How the values of images lie in memory: as the network says, [N, C, H, W], or the channels last.
enum class Layout { channels_first, channels_last };

/// The value with its dimensions in the order in which they lie.
template <Layout Order, class Value>
constexpr Value stored(Value value) {
    if (Order == Layout::channels_last && value.rank == 4) {
        std::int64_t const channels = value.shape[1];
        value.shape[1] = value.shape[2];
        value.shape[2] = value.shape[3];
        value.shape[3] = channels;
    }
    return value;
}
/// Where the dimension is then.
template <Layout Order, class Value>
constexpr std::size_t stored_dim(const Value& value, std::size_t dim) {
    if (Order == Layout::channels_first || value.rank != 4 || dim == 0) return dim;
    return dim == 1 ? 3 : dim - 1;
}
/// Whether the two orders are one.
template <class Value>
constexpr bool has_one_order(const Value& v) {
    return v.rank != 4 || v.shape[1] == 1 || v.shape[2] * v.shape[3] == 1;
}
/// Where the i-th number of a value, as the network counts, lies.
template <Layout Order, class Value>
constexpr std::size_t position(const Value& v, std::size_t i) {
    if (Order == Layout::channels_first || has_one_order(v)) return i;
    auto const channels = std::size_t(v.shape[1]), pixels = std::size_t(v.shape[2] * v.shape[3]);
    std::size_t const pixel = i % pixels, channel = i / pixels % channels;
    return (i / pixels / channels * pixels + pixel) * channels + channel;
}

/// Layers that compute nothing: the numbers that they write are those that they read.
constexpr bool has_only_shape(std::string_view type) {
    for (std::string_view t :
         {"Identity", "Dropout", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "RepeatOverBatch"})
        if (t == type) return true;
    return false;
}
/// Whether what they write can lie where it is read.
template <class Network, class L, Layout Order>
constexpr bool passes_on() {
    if constexpr (!has_only_shape(L::type)) {
        return false;
    } else {
        constexpr auto in = Network::values[std::size_t(L::reads[0])],
                       out = Network::values[std::size_t(L::writes[0])];
        return Order == Layout::channels_first || (has_one_order(in) && has_one_order(out)) ||
               (in.rank == out.rank && in.shape == out.shape);
    }
}

template <std::size_t Values>
struct Places {
    std::array<std::size_t, Values> first{};
    std::array<std::size_t, Values> root{};  ///< the value that it is the same as: itself, or an earlier one
    std::size_t size = 0;
};

/// f.template operator()<Layer>(index) for each of the network's layers.
template <class Network, class F>
constexpr void for_each_layer(F f) {
    using Layers = typename Network::layers;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        (f.template operator()<std::tuple_element_t<I, Layers>>(I), ...);
    }
    (std::make_index_sequence<std::tuple_size_v<Layers>>{});
}

/// A value lives from the layer that writes it to the last that reads it, and takes the lowest place that no
/// other has meanwhile. (A constant takes none: it lies where the compiler has put it.)
template <class Network, Layout Order = Layout::channels_first>
constexpr auto place_values() {
    constexpr std::size_t count = Network::values.size(),
                          end = std::tuple_size_v<typename Network::layers> + 1;
    struct Life {
        std::size_t from = 0, to = 0, same_as = count, size = 0;  // in layers, which count from 1
    };
    std::array<Life, count> lives{};
    auto const root = [&](std::size_t v) {
        while (lives[v].same_as != count) v = lives[v].same_as;
        return v;
    };
    for (int v : Network::inputs) lives[std::size_t(v)].size = size_of(Network::values[std::size_t(v)]);
    for_each_layer<Network>([&]<class L>(std::size_t i) {
        for (int v : L::reads) {
            std::size_t const r = root(std::size_t(v));
            lives[r].to = (std::max)(lives[r].to, i + 1);
        }
        for (int v : L::writes) {
            Life& life = lives[std::size_t(v)];
            life.from = life.to = i + 1;
            if (passes_on<Network, L, Order>())
                life.same_as = root(std::size_t(L::reads[0]));
            else if (L::type != std::string_view("Constant"))
                life.size = size_of(Network::values[std::size_t(v)]);
        }
    });
    for (int v : Network::outputs) lives[root(std::size_t(v))].to = end;

    Places<count> places;
    for (std::size_t v = 0; v != count; ++v) {
        if (lives[v].size == 0) continue;
        std::size_t& first = places.first[v];
        for (bool moved = true; moved;) {
            moved = false;
            for (std::size_t o = 0; o != v; ++o) {
                bool const both = lives[o].from <= lives[v].to && lives[v].from <= lives[o].to;
                if (lives[o].size == 0 || !both || places.first[o] >= first + lives[v].size ||
                    first >= places.first[o] + lives[o].size)
                    continue;
                first = places.first[o] + lives[o].size;
                moved = true;
            }
        }
        places.size = (std::max)(places.size, first + lives[v].size);
    }
    for (std::size_t v = 0; v != count; ++v) {
        places.root[v] = root(v);
        places.first[v] = places.first[root(v)];
    }
    return places;
}

}  // namespace engine
