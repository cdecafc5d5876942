// SPDX-License-Identifier: Apache-2.0
/// oneDNN's INT8 primitives as kernels of the engine (examples/engine): convolutions of codes, whose sums it
/// scales too where float holds them exactly. What lies between runs as it does there, the channels last.
///
///     static engine::Engine<cls::network, engine::OneDnn> net;       // run(), as with the engine's own
///     static engine::Engine<cls::network, engine::OneDnnFloat> as_float;      // the same network in float32
///
/// Sums of INT8 products are exact on processors with VNNI (`sums_are_exact()`); on others oneDNN adds pairs
/// of them in 16 bits, which may saturate.
#pragma once
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <oneapi/dnnl/dnnl.hpp>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "../engine/engine.hpp"

namespace engine {

inline bool sums_are_exact() {
    auto const isa = dnnl::get_effective_cpu_isa();
    return isa == dnnl::cpu_isa::avx2_vnni || isa >= dnnl::cpu_isa::avx512_core_vnni;
}

/// What the layers share: the processor, and the time that they have taken.
struct OneDnnShared {
    dnnl::engine cpu{dnnl::engine::kind::cpu, 0};
    dnnl::stream stream{cpu};
    double seconds = 0;
};

namespace onednn {

using dnnl::memory;
using dims = memory::dims;

/// A Linear is a convolution of images of a pixel; groups are a dimension of the weights.
inline dims input(const Geometry& g) { return {g.images, g.in_channels, g.height, g.width}; }
inline dims output(const Geometry& g) { return {g.images, g.out_channels, g.out_height, g.out_width}; }
inline dims weights(const Geometry& g) {
    dims shape{g.out_channels, g.in_channels / g.groups, g.kernel[0], g.kernel[1]};
    if (g.groups != 1) {
        shape[0] /= g.groups;
        shape.insert(shape.begin(), g.groups);
    }
    return shape;
}
inline memory::format_tag weights_order(const Geometry& g) {
    return g.groups == 1 ? memory::format_tag::oihw : memory::format_tag::goihw;
}

/// What a convolution computes with.
struct Operands {
    memory::data_type data, bias_type, result;
    const void* weights = nullptr;
    const void* bias = nullptr;  ///< null: none
    std::int32_t zero_point = 0;
    std::vector<float> scales{};  ///< of the results: one, or one per channel; empty: 1
};

/// A convolution of images whose channels lie last: what oneDNN likes best.
class Convolution {
public:
    void prepare(const Geometry& g, const Operands& with, OneDnnShared& shared) {
        using tag = memory::format_tag;
        memory::desc const source(input(g), with.data, tag::nhwc), result(output(g), with.result, tag::nhwc),
            any_weights(onednn::weights(g), with.data, tag::any),
            bias(dims{g.out_channels}, with.bias_type, tag::a);
        dims const stride{g.stride[0], g.stride[1]}, dilation{g.dilation[0] - 1, g.dilation[1] - 1};
        dims const padding{g.padding[0], g.padding[1]}, at_end{end_padding(g, 0), end_padding(g, 1)};
        auto const forward = dnnl::prop_kind::forward_inference;
        auto const direct = dnnl::algorithm::convolution_direct;
        using description = dnnl::convolution_forward::desc;
        dnnl::primitive_attr attributes;
        if (with.zero_point != 0) attributes.set_zero_points(DNNL_ARG_SRC, 0, {with.zero_point});
        if (!with.scales.empty())
            attributes.set_output_scales(with.scales.size() == 1 ? 0 : 1 << 1, with.scales);
        dnnl::convolution_forward::primitive_desc const chosen(
            with.bias != nullptr ? description(forward, direct, source, any_weights, bias, result, stride,
                                               dilation, padding, at_end)
                                 : description(forward, direct, source, any_weights, result, stride, dilation,
                                               padding, at_end),
            attributes, shared.cpu);
        convolution_ = dnnl::convolution_forward(chosen);

        source_ = memory(source, shared.cpu, DNNL_MEMORY_NONE);
        result_ = memory(result, shared.cpu, DNNL_MEMORY_NONE);
        memory given({onednn::weights(g), with.data, weights_order(g)}, shared.cpu,
                     const_cast<void*>(with.weights));
        memory stored(chosen.weights_desc(), shared.cpu);
        dnnl::reorder(given, stored).execute(shared.stream, given, stored);
        shared.stream.wait();
        arguments_ = {{DNNL_ARG_SRC, source_}, {DNNL_ARG_WEIGHTS, stored}, {DNNL_ARG_DST, result_}};
        if (with.bias == nullptr) return;
        memory const values(bias, shared.cpu);
        std::memcpy(values.get_data_handle(), with.bias, bias.get_size());
        arguments_.emplace(DNNL_ARG_BIAS, values);
    }

    void run(const void* x, void* y, OneDnnShared& shared) {
        source_.set_data_handle(const_cast<void*>(x));
        result_.set_data_handle(y);
        convolution_.execute(shared.stream, arguments_);
        shared.stream.wait();
    }

private:
    static std::int64_t end_padding(const Geometry& g, std::size_t d) {
        std::int64_t const in = d == 0 ? g.height : g.width, out = d == 0 ? g.out_height : g.out_width;
        return (out - 1) * g.stride[d] + (g.kernel[d] - 1) * g.dilation[d] + 1 - in - g.padding[d];
    }

    dnnl::convolution_forward convolution_;
    memory source_, result_;
    std::unordered_map<int, memory> arguments_;
};

/// Adds the time that it lives.
class Stopwatch {
public:
    explicit Stopwatch(double& seconds) : seconds_(seconds) {}
    ~Stopwatch() {
        seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    }
    Stopwatch(const Stopwatch&) = delete;
    Stopwatch& operator=(const Stopwatch&) = delete;

private:
    double& seconds_;
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace onednn

struct OneDnn {
    /// Its primitives compute with 8 bits; codes of 4 are among those of 8.
    using capabilities =
        amct_distill::supports<Arq<Int8, ChannelWise>, Arq<Int8, TensorWise>, Arq<Int4, ChannelWise>,
                               Arq<Int4, TensorWise>, ActUlq<Int8>, ActUlq<Int4>>;
    static constexpr bool has_type(std::string_view type) { return type == "Conv2d" || type == "Linear"; }

    static constexpr Layout layout = Layout::channels_last;
    template <class Network>
    using Shared = OneDnnShared;

    template <class Network, class L>
    class Layer {
        static constexpr Geometry g = geometry_of<Network, L>();
        static_assert(L::type != "Linear" || Network::values[std::size_t(L::reads[0])].rank != 4,
                      "a Linear of images is not there with the channels last");

    public:
        void prepare(OneDnnShared& shared) {
            using codes = decltype(L::codes);
            std::vector<std::int8_t> weights;
            std::int64_t largest = 0;
            for (std::size_t r = 0; r != codes::rows(); ++r) {
                std::int64_t sum = 0;
                for (std::size_t c = 0; c != codes::cols(); ++c) {
                    weights.push_back(static_cast<std::int8_t>(L::codes.at(r, c)));
                    sum += std::abs(L::codes.at(r, c));
                }
                using bits = typename L::data::bits;
                sum *= (std::max)(bits::qmax - L::input.offset, L::input.offset - bits::qmin);
                if constexpr (L::bias.size() != 0) sum += std::abs(L::bias[r]);
                largest = (std::max)(largest, sum);
            }
            for (std::size_t k = 0; k != L::scales.size(); ++k) units_.push_back(unit<L>(k));
            // oneDNN adds the bias in float: with sums that float holds exactly, that changes nothing.
            bool const direct = largest <= 1 << 24;
            codes_.resize(g.inputs());
            if (!direct) sums_.resize(g.outputs());
            using type = dnnl::memory::data_type;
            convolution_.prepare(g,
                                 {.data = type::s8,
                                  .bias_type = type::s32,
                                  .result = direct ? type::f32 : type::s32,
                                  .weights = weights.data(),
                                  .bias = L::bias.size() == 0 ? nullptr : L::bias.data(),
                                  .zero_point = L::input.offset,
                                  .scales = direct ? units_ : std::vector<float>{}},
                                 shared);
        }
        void run(const float* x, float* y, OneDnnShared& shared) {
            onednn::Stopwatch const watch(shared.seconds);
            amct_distill::quantize<typename L::data::bits>(std::span(x, g.inputs()), std::span(codes_),
                                                           L::input);
            if (sums_.empty()) return convolution_.run(codes_.data(), y, shared);
            convolution_.run(codes_.data(), sums_.data(), shared);
            constexpr auto channels = std::size_t(g.out_channels);
            for (std::size_t i = 0; i != sums_.size(); i += channels)
                for (std::size_t c = 0; c != channels; ++c)
                    y[i + c] = static_cast<float>(sums_[i + c]) * units_[L::scales.size() == 1 ? 0 : c];
        }

    private:
        onednn::Convolution convolution_;
        std::vector<std::int8_t> codes_;
        std::vector<std::int32_t> sums_;
        std::vector<float> units_;
    };
};

/// The weights that the codes stand for, in float32, and an input that is not quantized.
struct OneDnnFloat : OneDnn {
    template <class Network, class L>
    class Layer {
        static constexpr Geometry g = geometry_of<Network, L>();

    public:
        void prepare(OneDnnShared& shared) {
            using codes = decltype(L::codes);
            std::vector<float> weights, bias;
            for (std::size_t r = 0; r != codes::rows(); ++r)
                for (std::size_t c = 0; c != codes::cols(); ++c)
                    weights.push_back(static_cast<float>(L::codes.at(r, c)) *
                                      L::scales[L::scales.size() == 1 ? 0 : r]);
            for (std::size_t k = 0; k != L::bias.size(); ++k)
                bias.push_back(static_cast<float>(L::bias[k]) * unit<L>(k));
            using type = dnnl::memory::data_type;
            convolution_.prepare(g,
                                 {.data = type::f32,
                                  .bias_type = type::f32,
                                  .result = type::f32,
                                  .weights = weights.data(),
                                  .bias = bias.empty() ? nullptr : bias.data()},
                                 shared);
        }
        void run(const float* x, float* y, OneDnnShared& shared) {
            onednn::Stopwatch const watch(shared.seconds);
            convolution_.run(x, y, shared);
        }

    private:
        onednn::Convolution convolution_;
    };
};

}  // namespace engine
