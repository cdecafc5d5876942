// SPDX-License-Identifier: Apache-2.0
/// oneDNN's INT8 primitives as kernels of the engine (examples/engine): convolutions of codes into INT32, and
/// the scales by a reorder. What lies between runs as it does there.
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

/// A convolution whose operands are in the order that oneDNN chooses, and the reorders to and from ours.
class Convolution {
public:
    /// `unit`: what the sums are multiplied with, one or one per channel; empty: nothing.
    void prepare(const Geometry& g, memory::data_type data, memory::data_type sums, const void* weights,
                 const std::vector<std::int32_t>& bias, const std::vector<float>& float_bias,
                 std::int32_t zero_point, const std::vector<float>& unit, OneDnnShared& shared) {
        using tag = memory::format_tag;
        bool const has_bias = !bias.empty() || !float_bias.empty();
        memory::desc const any_input(input(g), data, tag::any), any_output(output(g), sums, tag::any),
            any_weights(onednn::weights(g), data, tag::any), bias_of(dims{g.out_channels}, sums, tag::a);
        dims const stride{g.stride[0], g.stride[1]}, dilation{g.dilation[0] - 1, g.dilation[1] - 1};
        dims const padding{g.padding[0], g.padding[1]};
        dims const padding_end{end_padding(g, 0), end_padding(g, 1)};
        auto const forward = dnnl::prop_kind::forward_inference;
        auto const direct = dnnl::algorithm::convolution_direct;
        auto const description =
            has_bias ? dnnl::convolution_forward::desc(forward, direct, any_input, any_weights, bias_of,
                                                       any_output, stride, dilation, padding, padding_end)
                     : dnnl::convolution_forward::desc(forward, direct, any_input, any_weights, any_output,
                                                       stride, dilation, padding, padding_end);
        dnnl::primitive_attr attributes;
        if (zero_point != 0) attributes.set_zero_points(DNNL_ARG_SRC, 0, {zero_point});
        dnnl::convolution_forward::primitive_desc const chosen(description, attributes, shared.cpu);
        convolution_ = dnnl::convolution_forward(chosen);

        ours_ = memory({input(g), data, tag::nchw}, shared.cpu);
        source_ = chosen.src_desc() == ours_.get_desc() ? ours_ : memory(chosen.src_desc(), shared.cpu);
        sums_ = memory(chosen.dst_desc(), shared.cpu);
        result_ = memory({output(g), memory::data_type::f32, tag::nchw}, shared.cpu, DNNL_MEMORY_NONE);
        memory given({onednn::weights(g), data, weights_order(g)}, shared.cpu, const_cast<void*>(weights));
        memory stored(chosen.weights_desc(), shared.cpu);
        dnnl::reorder(given, stored).execute(shared.stream, given, stored);
        arguments_ = {{DNNL_ARG_SRC, source_}, {DNNL_ARG_WEIGHTS, stored}, {DNNL_ARG_DST, sums_}};
        if (has_bias) {
            memory const values(bias_of, shared.cpu);
            if (bias.empty())
                std::copy(float_bias.begin(), float_bias.end(),
                          static_cast<float*>(values.get_data_handle()));
            else
                std::copy(bias.begin(), bias.end(), static_cast<std::int32_t*>(values.get_data_handle()));
            arguments_.emplace(DNNL_ARG_BIAS, values);
        }
        in_ = dnnl::reorder(ours_, source_);
        dnnl::primitive_attr scaled;
        if (!unit.empty()) scaled.set_output_scales(unit.size() == 1 ? 0 : 1 << 1, unit);
        out_ = dnnl::reorder(sums_, result_, scaled);
        shared.stream.wait();
    }

    /// Where an input is written, [images, channels, height, width].
    void* input_data() const { return ours_.get_data_handle(); }

    void run(float* y, OneDnnShared& shared) {
        auto const begin = std::chrono::steady_clock::now();
        result_.set_data_handle(y);
        if (source_.get() != ours_.get()) in_.execute(shared.stream, ours_, source_);
        convolution_.execute(shared.stream, arguments_);
        out_.execute(shared.stream, sums_, result_);
        shared.stream.wait();
        shared.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    }

private:
    static std::int64_t end_padding(const Geometry& g, std::size_t d) {
        std::int64_t const in = d == 0 ? g.height : g.width, out = d == 0 ? g.out_height : g.out_width;
        return (out - 1) * g.stride[d] + (g.kernel[d] - 1) * g.dilation[d] + 1 - in - g.padding[d];
    }

    dnnl::convolution_forward convolution_;
    dnnl::reorder in_, out_;
    memory ours_, source_, sums_, result_;
    std::unordered_map<int, memory> arguments_;
};

}  // namespace onednn

struct OneDnn {
    /// Its primitives compute with 8 bits; codes of 4 are among those of 8.
    using capabilities =
        amct_distill::supports<Arq<Int8, ChannelWise>, Arq<Int8, TensorWise>, Arq<Int4, ChannelWise>,
                               Arq<Int4, TensorWise>, ActUlq<Int8>, ActUlq<Int4>>;
    static constexpr bool has_type(std::string_view type) { return type == "Conv2d" || type == "Linear"; }

    template <class Network>
    using Shared = OneDnnShared;

    template <class Network, class L>
    class Layer {
        static constexpr Geometry g = geometry_of<Network, L>();

    public:
        void prepare(OneDnnShared& shared) {
            using codes = decltype(L::codes);
            std::vector<std::int8_t> weights;
            for (std::size_t r = 0; r != codes::rows(); ++r)
                for (std::size_t c = 0; c != codes::cols(); ++c)
                    weights.push_back(static_cast<std::int8_t>(L::codes.at(r, c)));
            std::vector<float> units;
            for (std::size_t k = 0; k != L::scales.size(); ++k) units.push_back(unit<L>(k));
            convolution_.prepare(g, dnnl::memory::data_type::s8, dnnl::memory::data_type::s32, weights.data(),
                                 {L::bias.begin(), L::bias.end()}, {}, L::input.offset, units, shared);
        }
        void run(const float* x, float* y, OneDnnShared& shared) {
            auto* const codes = static_cast<std::int8_t*>(convolution_.input_data());
            amct_distill::quantize<typename L::data::bits>(std::span(x, g.inputs()),
                                                           std::span(codes, g.inputs()), L::input);
            convolution_.run(y, shared);
        }

    private:
        onednn::Convolution convolution_;
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
            convolution_.prepare(g, dnnl::memory::data_type::f32, dnnl::memory::data_type::f32,
                                 weights.data(), {}, bias, 0, {}, shared);
        }
        void run(const float* x, float* y, OneDnnShared& shared) {
            std::copy_n(x, g.inputs(), static_cast<float*>(convolution_.input_data()));
            convolution_.run(y, shared);
        }

    private:
        onednn::Convolution convolution_;
    };
};

}  // namespace engine
