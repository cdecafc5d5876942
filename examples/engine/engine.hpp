// SPDX-License-Identifier: Apache-2.0
/// An engine for networks that were exported as a header: no heap, no parser, no files.
///
///     #include "digits_model.hpp"                         // amct-distill export DIR --format cpp
///     static engine::Engine<digits_model::network> net;
///     std::copy_n(image, 64, net.input());
///     net.run();
///     net.output()[3];                                    // the same bits as `amct-distill infer DIR`
///
/// A network that it cannot run does not compile, and the compiler names the layer. Which layers it can run
/// says `Loops`; other kernels, such as oneDNN's (examples/onednn_engine), are another second argument.
#pragma once
#include <algorithm>
#include <amct_distill_quant.hpp>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "glue.hpp"
#include "memory.hpp"

namespace engine {

using amct_distill::ActUlq, amct_distill::Arq, amct_distill::ChannelWise, amct_distill::TensorWise;
using amct_distill::Int4, amct_distill::Int8;

/// A quantized layer as a convolution. A Linear is one of images of a pixel.
struct Geometry {
    std::int64_t images, in_channels, height, width, out_channels, out_height, out_width;
    std::array<std::int64_t, 2> kernel{1, 1}, stride{1, 1}, padding{0, 0}, dilation{1, 1};
    std::int64_t groups = 1;

    constexpr std::size_t inputs() const { return std::size_t(images * in_channels * height * width); }
    constexpr std::size_t outputs() const {
        return std::size_t(images * out_channels * out_height * out_width);
    }
};
template <class Network, class L>
constexpr Geometry geometry_of() {
    using O = typename L::options;
    constexpr auto in = Network::values[std::size_t(L::reads[0])],
                   out = Network::values[std::size_t(L::writes[0])];
    if constexpr (L::type == "Linear")
        return {static_cast<std::int64_t>(size_of(in)) / O::in_features,
                O::in_features,
                1,
                1,
                O::out_features,
                1,
                1};
    else
        return {in.shape[0],  O::in_channels, in.shape[2], in.shape[3], O::out_channels, out.shape[2],
                out.shape[3], O::kernel,      O::stride,   O::padding,  O::dilation,     O::groups};
}

/// What one unit of a channel's sum stands for.
template <class L>
constexpr float unit(std::size_t channel) {
    return L::input.scale * L::scales[L::scales.size() == 1 ? 0 : channel];
}

/// Kernels of plain loops: what they are for, and nothing else.
struct Loops {
    using capabilities = amct_distill::supports<Arq<Int8, ChannelWise>, Arq<Int8, TensorWise>,
                                                Arq<Int4, ChannelWise>, ActUlq<Int8>>;
    static constexpr bool has_type(std::string_view type) { return type == "Conv2d" || type == "Linear"; }
    static constexpr Layout layout = Layout::channels_first;

    /// Buffers that the layers of a network share: the codes of an input, minus the offset, so that 0 is 0.
    template <class Network>
    struct Shared {
        static constexpr std::size_t largest() {
            std::size_t size = 0;
            for_each_layer<Network>([&]<class L>(std::size_t) {
                if constexpr (L::quantized) size = (std::max)(size, geometry_of<Network, L>().inputs());
            });
            return size;
        }
        std::array<std::int16_t, largest()> codes;
    };

    template <class Network, class L>
    struct Layer {
        static constexpr Geometry g = geometry_of<Network, L>();

        void prepare(Shared<Network>&) {}
        static void run(const float* x, float* y, Shared<Network>& shared) {
            using bits = typename L::data::bits;
            for (std::size_t i = 0; i != g.inputs(); ++i)
                shared.codes[i] =
                    static_cast<std::int16_t>(amct_distill::quantize<bits>(x[i], L::input) - L::input.offset);
            const std::int16_t* image = shared.codes.data();
            for (std::int64_t n = 0; n != g.images; ++n, image += g.in_channels * g.height * g.width)
                for (std::int64_t channel = 0; channel != g.out_channels; ++channel)
                    for (std::int64_t row = 0; row != g.out_height; ++row)
                        for (std::int64_t column = 0; column != g.out_width; ++column)
                            *y++ = static_cast<float>(sum(image, std::size_t(channel), row, column)) *
                                   unit<L>(std::size_t(channel));
        }

    private:
        static std::int32_t sum(const std::int16_t* image, std::size_t channel, std::int64_t row,
                                std::int64_t column) {
            constexpr std::int64_t group_in = g.in_channels / g.groups, group_out = g.out_channels / g.groups;
            std::int32_t total = 0;
            if constexpr (L::bias.size() != 0) total = L::bias[channel];
            std::size_t weight = 0;
            const std::int16_t* plane =
                image + static_cast<std::int64_t>(channel) / group_out * group_in * g.height * g.width;
            for (std::int64_t in = 0; in != group_in; ++in, plane += g.height * g.width)
                for (std::int64_t i = 0; i != g.kernel[0]; ++i)
                    for (std::int64_t j = 0; j != g.kernel[1]; ++j, ++weight) {
                        std::int64_t const r = row * g.stride[0] + i * g.dilation[0] - g.padding[0];
                        std::int64_t const c = column * g.stride[1] + j * g.dilation[1] - g.padding[1];
                        if (r < 0 || r >= g.height || c < 0 || c >= g.width) continue;
                        total += plane[r * g.width + c] * L::codes.at(channel, weight);
                    }
            return total;
        }
    };
};

/// Compiles where the kernels can run the layer, and else says which, as it is a part of this type's name.
template <class Layer, class Kernels>
struct Runs {
    static constexpr bool known = Layer::quantized ? Kernels::has_type(Layer::type) : has_glue(Layer::type);
    static_assert(known,
                  "the engine has no kernel for layers of this type: see the layer in Runs<LAYER, ...>; "
                  "in float it has those of glue.hpp, so a layer that is skipped may be one, too");
    static constexpr bool check() {
        if constexpr (Layer::quantized) {
            static_assert(Kernels::capabilities::template has<typename Layer::weights>,
                          "the engine has no kernel for weights of these bits and this granularity: see the "
                          "layer in Runs<LAYER, ...>, and choose others for it in the configuration");
            static_assert(Kernels::capabilities::template has<typename Layer::data>,
                          "the engine has no kernel for inputs of these bits: see the layer in Runs<LAYER, "
                          "...>, and choose others for it in the configuration");
        }
        return known;
    }
    static constexpr bool value = check();
};

template <class Network, class Kernels = Loops>
class Engine {
    static constexpr auto places = place_values<Network, Kernels::layout>();
    template <class L>
    static constexpr bool runs = Runs<L, Kernels>::value;

    /// What the kernels keep of a layer; nothing of one in float.
    template <class L>
    struct State {};
    template <class L>
    requires(L::quantized&& runs<L>) struct State<L> {
        [[no_unique_address]] typename Kernels::template Layer<Network, L> layer;
    };
    template <class Layers>
    struct States;
    template <class... L>
    struct States<std::tuple<L...>> : State<L>... {};

    static constexpr auto constants = [] {
        std::array<const float*, Network::values.size()> at{};
        for_each_layer<Network>([&]<class L>(std::size_t) {
            if constexpr (L::type == "Constant") at[std::size_t(L::writes[0])] = L::parameters::value.data();
        });
        return at;
    }();

public:
    Engine() {
        for_each_layer<Network>([&]<class L>(std::size_t) {
            if constexpr (L::quantized && runs<L>) layer<L>().prepare(shared_);
        });
    }

    /// Where an input is written, for one sample, as the kernels have it lie in memory; to be written again
    /// before each run.
    float* input(std::size_t k = 0) { return arena_.data() + places.first[std::size_t(Network::inputs[k])]; }
    /// The same from an input as the network has it.
    void set_input(const float* x, std::size_t k = 0) {
        auto const& value = Network::values[std::size_t(Network::inputs[k])];
        for (std::size_t i = 0; i != size_of(value); ++i)
            input(k)[position<Kernels::layout>(value, i)] = x[i];
    }
    /// Valid until the next run.
    const float* output(std::size_t k = 0) const {
        return arena_.data() + places.first[std::size_t(Network::outputs[k])];
    }
    static constexpr std::size_t output_size(std::size_t k = 0) {
        return size_of(Network::values[std::size_t(Network::outputs[k])]);
    }

    void run() {
        run([](auto, const float*) {});
    }
    /// seen(std::type_identity<Layer>{}, what the layer wrote) after each.
    template <class Seen>
    void run(Seen seen) {
        for_each_layer<Network>([&, this]<class L>(std::size_t) {
            if constexpr (runs<L> && !passes_on<Network, L, Kernels::layout>() && L::type != "Constant") {
                float* const y = arena_.data() + places.first[std::size_t(L::writes[0])];
                if constexpr (L::quantized)
                    layer<L>().run(read(L::reads[0]), y, shared_);
                else
                    [&]<std::size_t... K>(std::index_sequence<K...>) {
                        run_glue<Network, L, Kernels::layout>({read(L::reads[K])...}, y);
                    }
                (std::make_index_sequence<L::reads.size()>{});
                seen(std::type_identity<L>{}, static_cast<const float*>(y));
            }
        });
    }

    /// What it holds besides the network's constants.
    static constexpr std::size_t bytes() { return sizeof(Engine); }
    const auto& shared() const { return shared_; }

private:
    /// A value: in the arena, or a constant.
    const float* read(int value) const {
        const float* const constant = constants[places.root[std::size_t(value)]];
        return constant != nullptr ? constant : arena_.data() + places.first[std::size_t(value)];
    }
    template <class L>
    auto& layer() {
        return static_cast<State<L>&>(states_).layer;
    }

    alignas(64) std::array<float, places.size> arena_{};
    [[no_unique_address]] typename Kernels::template Shared<Network> shared_{};
    [[no_unique_address]] States<typename Network::layers> states_{};
};

}  // namespace engine
