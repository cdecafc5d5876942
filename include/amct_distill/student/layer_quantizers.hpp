// SPDX-License-Identifier: Apache-2.0
/// The quantizers of one layer of a student: one for its weights, one for its input.
///
///     LayerQuantizers<StandardAlgorithms> q = ...;       // make_student() makes them
///     q.set_clips({6, 0});                                // calibrate() does; not with clips of the user's
///     q.data_clip();  q.weight_scales(w);  q.weight_algorithm();   // "arq_distill, INT4, channel_wise"
///
/// What they train are the quantizers' own values; `constrain()` follows each step of the optimizer.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "../core/concat.hpp"
#include "../nn/module.hpp"
#include "../nn/tensor.hpp"
#include "../plan/common_settings.hpp"
#include "../plan/plan.hpp"
#include "../plan/quantizer_lists.hpp"
#include "../plan/select.hpp"
#include "../quant/act_ulq.hpp"
#include "../quant/adaround.hpp"
#include "../quant/arq.hpp"
#include "../quant/quantizer.hpp"
#include "../quant/ulq.hpp"

namespace amct_distill {
namespace detail {

/// A weight as its quantizer sees it: a row per output channel.
inline nn::MatrixMap<float> weight_matrix(nn::Tensor& w) {
    return nn::matrix(w, w.dim(0), static_cast<nn::Index>(w.size()) / w.dim(0));
}
inline nn::ConstMatrixMap<float> weight_matrix(const nn::Tensor& w) {
    return nn::matrix(w, w.dim(0), static_cast<nn::Index>(w.size()) / w.dim(0));
}

/// The diagnostics of what a layer was given, with its name.
inline Diagnostics of_layer(std::string_view layer, Diagnostics all) {
    for (Diagnostic& d : all) d.message = concat("layer `", layer, "`: ", d.message);
    return all;
}

/// What a quantizer computes, on some threads where it can use them (the concepts do not ask for it).
template <class Q, class In, class Out>
void fake_quantize_on(const Execution& on, const Q& q, const In& in, const Out& out) {
    if constexpr (requires { q.fake_quantize(in, out, on); })
        q.fake_quantize(in, out, on);
    else
        q.fake_quantize(in, out);
}
template <class Q, class In, class Out>
void backward_on(const Execution& on, const Q& q, const In& in, const In& grad_out, const Out& grad_in,
                 std::span<float> grad_parameters) {
    if constexpr (requires { q.backward(in, grad_out, grad_in, grad_parameters, on); })
        q.backward(in, grad_out, grad_in, grad_parameters, on);
    else
        q.backward(in, grad_out, grad_in, grad_parameters);
}

}  // namespace detail

template <class Algorithms>
class InputCalibration;

template <class Algorithms>
class LayerQuantizers {
public:
    /// The quantizers that a plan's layer asks for. Errors: weights or clips that cannot be quantized with.
    /// Warnings: those of the weights' quantizer.
    static result<LayerQuantizers> make(const BasicPlannedLayer<Algorithms>& layer,
                                        const nn::Tensor& weight) {
        LayerQuantizers q;
        q.weight_algorithm_ = describe(layer.weights);
        q.data_algorithm_ = describe(layer.data);
        auto const weights =
            visit_weight_quantizer(layer.weights, [&]<class Q>(std::type_identity<Q>, const auto& settings) {
                static_assert(WeightQuantizer<Q>);
                return q.weights_.template emplace<Q>(made_from<Q>(settings))
                    .initialize(detail::weight_matrix(weight));
            });
        if (!weights) return detail::of_layer(layer.name, weights.diagnostics());
        auto const data = visit_activation_quantizer(
            layer.data, [&]<class Q>(std::type_identity<Q>, const auto& settings) -> result<void> {
                static_assert(ActivationQuantizer<Q>);
                auto& quantizer = q.data_.template emplace<Q>();
                if constexpr (requires { settings.fixed_min.get(); }) q.fixed_min_ = settings.fixed_min.get();
                if constexpr (requires { settings.clip_max_min->clip_max; }) {
                    if (settings.clip_max_min.has_value()) {
                        quantizer =
                            Q(ClipRange{*settings.clip_max_min->clip_max, *settings.clip_max_min->clip_min},
                              q.fixed_min_);
                        if constexpr (requires { quantizer.check_clips(); })
                            if (auto ok = quantizer.check_clips(); !ok) return ok;
                        q.is_calibrated_ = q.has_user_clips_ = true;
                    }
                }
                return {};
            });
        if (!data) return detail::of_layer(layer.name, data.diagnostics());
        return {std::move(q), detail::of_layer(layer.name, weights.diagnostics())};
    }

    // ---- calibration of the input

    /// Whether the input is quantized: after calibration, or from the start with clips of the user's.
    bool is_calibrated() const { return is_calibrated_; }
    bool has_user_clips() const { return has_user_clips_; }
    /// The first clips: from now on the input is quantized.
    void set_clips(ClipRange clip) {
        std::visit([&]<class Q>(Q& q) { q = Q(clip, fixed_min_); }, data_);
        is_calibrated_ = true;
    }

    // ---- what a layer computes

    void quantize_weight(const nn::Tensor& w, nn::Tensor& out, const Execution& on = {}) const {
        out.resize(w.shape());
        std::visit(
            [&](const auto& q) {
                detail::fake_quantize_on(on, q, detail::weight_matrix(w), detail::weight_matrix(out));
            },
            weights_);
    }
    void quantize_data(const nn::Tensor& x, nn::Tensor& out, const Execution& on = {}) const {
        out.resize(x.shape());
        std::visit([&](const auto& q) { detail::fake_quantize_on(on, q, x.span(), out.span()); }, data_);
    }
    /// From the gradient of the quantized weight: grad_w is written, grad_scales added to.
    void weight_backward(const nn::Tensor& w, const nn::Tensor& grad_out, nn::Tensor& grad_w,
                         nn::Tensor* grad_scales, nn::Tensor& buffer, const Execution& on = {}) const {
        grad_w.resize(w.shape());
        std::visit(
            [&](const auto& q) {
                buffer.resize({static_cast<nn::Index>(q.parameters().size())});
                detail::backward_on(on, q, detail::weight_matrix(w), detail::weight_matrix(grad_out),
                                    detail::weight_matrix(grad_w), buffer.span());
            },
            weights_);
        for (std::size_t i = 0; i != buffer.size(); ++i) (*grad_scales)[i] += buffer[i];
    }
    /// From the gradient of the quantized input: grad_x is written, grad_clips added to.
    void data_backward(const nn::Tensor& x, const nn::Tensor& grad_out, nn::Tensor& grad_x,
                       nn::Tensor& grad_clips, nn::Tensor& buffer, const Execution& on = {}) const {
        grad_x.resize(x.shape());
        std::visit(
            [&](const auto& q) {
                buffer.resize({static_cast<nn::Index>(q.parameters().size())});
                detail::backward_on(on, q, x.span(), grad_out.span(), grad_x.span(), buffer.span());
            },
            data_);
        for (std::size_t i = 0; i != buffer.size(); ++i) grad_clips[i] += buffer[i];
    }

    // ---- what is trained

    /// "scales" of the weights, or "rounding" where the quantizer says their rate, and "clips" of the input
    /// (once calibrated), when there are any to train: the quantizers' own values.
    void append_parameters(std::vector<nn::BasicParameter<float>>& out) {
        if (trains_scales())
            out.push_back(has_learning_rate()
                              ? nn::Parameter{"rounding", nn::Role::guided, parameters_of(weights_)}
                              : nn::Parameter{"scales", nn::Role::scale, parameters_of(weights_)});
        if (trains_clips()) out.push_back({"clips", nn::Role::clip, parameters_of(data_)});
    }
    bool trains_scales() const { return !parameters_of(weights_).empty(); }
    bool trains_clips() const { return is_calibrated_ && !parameters_of(data_).empty(); }

    /// After a change of the parameters: the quantizers repair them.
    void constrain() {
        std::visit([](auto& q) { q.constrain(); }, weights_);
        if (is_calibrated_) std::visit([](auto& q) { q.constrain(); }, data_);
    }

    // ---- what a weight quantizer may have besides (see quantizer.hpp)

    void begin_step(const TrainingStep& at) {
        std::visit(
            [&]<class Q>(Q& q) {
                if constexpr (SteppedQuantizer<Q>) q.begin_step(at);
            },
            weights_);
    }
    void end_steps() {
        std::visit(
            []<class Q>(Q& q) {
                if constexpr (SteppedQuantizer<Q>) q.end_steps();
            },
            weights_);
    }
    bool has_phases() const {
        return std::visit([]<class Q>(const Q&) { return SteppedQuantizer<Q>; }, weights_);
    }
    bool is_settled() const {
        return std::visit(
            []<class Q>(const Q& q) {
                if constexpr (requires { bool(q.is_settled()); })
                    return bool(q.is_settled());
                else
                    return true;
            },
            weights_);
    }
    bool has_learning_rate() const {
        return std::visit([]<class Q>(const Q&) { return HasLearningRate<Q>; }, weights_);
    }
    double learning_rate() const {
        return std::visit(
            []<class Q>(const Q& q) {
                if constexpr (HasLearningRate<Q>)
                    return double(q.learning_rate());
                else
                    return 0.0;
            },
            weights_);
    }
    bool freezes_weights() const {
        return std::visit([]<class Q>(const Q&) { return FreezesWeights<Q>; }, weights_);
    }
    bool is_regularized() const {
        return std::visit([]<class Q>(const Q&) { return RegularizedQuantizer<Q>; }, weights_);
    }
    /// Gradients are added to; grad_rounding is null where nothing of the quantizer is trained.
    double regularize(const nn::Tensor& w, double factor, nn::Tensor& grad_w, nn::Tensor* grad_rounding,
                      const Execution& on = {}) const {
        return std::visit(
            [&]<class Q>(const Q& q) {
                std::span<float> const own = grad_rounding ? grad_rounding->span() : std::span<float>{};
                auto const weights = detail::weight_matrix(w);
                auto const grad_weights = detail::weight_matrix(grad_w);
                if constexpr (!RegularizedQuantizer<Q>)
                    return 0.0;
                else if constexpr (requires { q.regularize(weights, factor, grad_weights, own, on); })
                    return double(q.regularize(weights, factor, grad_weights, own, on));
                else
                    return double(q.regularize(weights, factor, grad_weights, own));
            },
            weights_);
    }

    // ---- what there is to report

    /// "arq_distill, INT4, channel_wise".
    const std::string& weight_algorithm() const { return weight_algorithm_; }
    /// "ulq_quantize, INT8".
    const std::string& data_algorithm() const { return data_algorithm_; }
    int weight_bits() const {
        return std::visit([]<class Q>(const Q&) { return Q::bits::width; }, weights_);
    }
    int data_bits() const {
        return std::visit([]<class Q>(const Q&) { return Q::bits::width; }, data_);
    }
    /// f(std::type_identity<Bits>{}) for the width of the weights, and of the data.
    template <class F>
    auto visit_weight_bits(F f) const {
        return std::visit([&]<class Q>(const Q&) { return f(std::type_identity<typename Q::bits>{}); },
                          weights_);
    }
    template <class F>
    auto visit_data_bits(F f) const {
        return std::visit([&]<class Q>(const Q&) { return f(std::type_identity<typename Q::bits>{}); },
                          data_);
    }
    Scales weight_scales(const nn::Tensor& w) const {
        return std::visit([&](const auto& q) -> Scales { return q.scale_offsets(detail::weight_matrix(w)); },
                          weights_);
    }
    result<QuantizedMatrix> weight_codes(const nn::Tensor& w) const {
        return std::visit([&](const auto& q) { return q.quantize(detail::weight_matrix(w)); }, weights_);
    }
    ClipRange data_clip() const {
        return std::visit([](const auto& q) { return q.clip(); }, data_);
    }
    ScaleOffset data_scale() const {
        return std::visit([](const auto& q) { return q.scale_offset(); }, data_);
    }
    bool fixed_min() const { return fixed_min_; }

private:
    friend class InputCalibration<Algorithms>;
    LayerQuantizers() = default;

    /// A quantizer may take its settings from its message; most have none of their own.
    template <class Q, class Message>
    static Q made_from([[maybe_unused]] const Message& settings) {
        if constexpr (std::is_constructible_v<Q, const Message&>)
            return Q(settings);
        else
            return Q{};
    }
    template <class Quantizers>
    static auto parameters_of(Quantizers& quantizers) {
        return std::visit([](auto& q) { return q.parameters(); }, quantizers);
    }

    weight_quantizer_variant<Algorithms> weights_{};
    activation_quantizer_variant<Algorithms> data_{};
    std::string weight_algorithm_{}, data_algorithm_{};
    bool fixed_min_ = false, is_calibrated_ = false, has_user_clips_ = false;
};

}  // namespace amct_distill
