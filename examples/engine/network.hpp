// SPDX-License-Identifier: Apache-2.0
/// What the engine runs: conv1 - relu - conv2 - fc on 8x8 images, its layers' types from a configuration that
/// the compiler has read. One that the engine cannot run does not compile.
///
///     static Network<config::value> const network;      // config: a static_config
///     int digit = network.recognize(image);
#pragma once
#include <algorithm>
#include <amct_distill/config/static_config.hpp>
#include <amct_distill/plan/static_select.hpp>
#include <array>
#include <cstddef>
#include <type_traits>

#include "layer.hpp"
#include "model.hpp"

namespace engine {

using amct_distill::ActUlq, amct_distill::Arq, amct_distill::ChannelWise, amct_distill::TensorWise;
using amct_distill::fixed_string, amct_distill::Int4, amct_distill::Int8;

/// What it has kernels for, and nothing else.
using capabilities = amct_distill::supports<Arq<Int8, ChannelWise>, Arq<Int8, TensorWise>,
                                            Arq<Int4, ChannelWise>, ActUlq<Int8>>;

inline constexpr Shape conv1{1, 8, 4, 3, 1, 1}, conv2{4, 8, 8, 3, 2, 1}, fc{8, 4, 10, 4, 1, 0};

/// The digit that an image [8, 8], pixels in 0..1, shows, by three layers with a `run`.
template <class Conv1, class Conv2, class Fc>
int recognize(const float* image, const Conv1& first, const Conv2& second, const Fc& last) {
    std::array<float, static_cast<std::size_t>(conv1.outputs())> a;
    std::array<float, static_cast<std::size_t>(conv2.outputs())> b;
    std::array<float, static_cast<std::size_t>(fc.outputs())> logits;
    first.run(image, a.data());
    for (float& x : a) x = (std::max)(x, 0.0f);
    second.run(a.data(), b.data());
    last.run(b.data(), logits.data());
    return static_cast<int>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

template <const auto& Config>
requires amct_distill::RunsOn<Config, capabilities>
class Network {
public:
    int recognize(const float* image) const { return engine::recognize(image, conv1_, conv2_, fc_); }
    static constexpr std::size_t bytes() {
        return decltype(conv1_)::bytes() + decltype(conv2_)::bytes() + decltype(fc_)::bytes();
    }

private:
    template <Shape S, fixed_string Name, fixed_string Type>
    struct made {
        using weights = amct_distill::weight_quantizer_for<Config, Name, Type>;
        using data = amct_distill::activation_quantizer_for<Config, Name, Type>;
        static_assert(!std::is_void_v<data>,
                      "this engine has no float layers: take the layer out of quant_skip_layers");
        using type = Layer<S, weights, data>;

        static type from(const float* weight, const float* bias) {
            constexpr auto settings = amct_distill::activation_settings_for<Config, Name, Type>;
            static_assert(settings.clip_max_min.has_value(),
                          "this engine calibrates nothing: give every layer clip_max_min");
            constexpr auto clip = *settings.clip_max_min;
            return type(weight, bias, data({*clip.clip_max, *clip.clip_min}, settings.fixed_min.get()));
        }
    };
    using Conv1 = made<conv1, "conv1", "Conv2d">;
    using Conv2 = made<conv2, "conv2", "Conv2d">;
    using Fc = made<fc, "fc", "Linear">;

    typename Conv1::type conv1_ = Conv1::from(model::conv1_weight, model::conv1_bias);
    typename Conv2::type conv2_ = Conv2::from(model::conv2_weight, model::conv2_bias);
    typename Fc::type fc_ = Fc::from(model::fc_weight, model::fc_bias);
};

}  // namespace engine
