// SPDX-License-Identifier: Apache-2.0
/// A layer with weights that quantizes its input and its weights before it computes: a module like any other.
///
///     QuantizedLayer<> layer(module, quantizers);      // module.weighted() is not null
///     layer.layer().weight();   // the float master that training changes
///     layer.quantizers();       // see layer_quantizers.hpp
///
/// forward:  y = layer(Q_data(x), Q_weights(w));  backward: straight through the rounding, as the quantizers
/// say. The float weights are never overwritten, so that updates smaller than half a step add up.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../nn/module.hpp"
#include "../nn/weight_rows.hpp"
#include "drop.hpp"
#include "layer_quantizers.hpp"

namespace amct_distill {

template <class Algorithms = StandardAlgorithms>
class QuantizedLayer : public nn::GuidedModule {
public:
    /// Throws std::invalid_argument when the module has no weights that can be quantized.
    QuantizedLayer(nn::Module module, LayerQuantizers<Algorithms> quantizers)
        : module_(std::move(module)), quantizers_(std::move(quantizers)) {
        if (module_.weighted() == nullptr)
            throw std::invalid_argument(
                detail::concat("QuantizedLayer: a ", module_.type(),
                               " has no weights that can be quantized: see nn/weighted.hpp"));
    }

    std::string_view type() const { return module_.type(); }
    std::string_view operation() const { return module_.operation(); }
    std::string options() const { return module_.options(); }

    /// The float layer.
    const nn::Module& module() const { return module_; }
    const nn::Weighted& layer() const { return *module_.weighted(); }
    nn::Weighted& layer() { return *module_.weighted(); }
    nn::WeightRows rows() const { return nn::WeightRows(layer()); }
    const LayerQuantizers<Algorithms>& quantizers() const { return quantizers_; }
    LayerQuantizers<Algorithms>& quantizers() { return quantizers_; }

    /// Those of the float layer, its weight perhaps frozen, then "scales" (or "rounding") and "clips" where
    /// they are trained.
    void parameters(std::vector<nn::Parameter>& list) {
        std::size_t const first = list.size();
        module_.parameters(list);
        if (quantizers_.freezes_weights()) list[first].role = nn::Role::frozen;
        quantizers_.append_parameters(list);
    }
    result<void> check_parameters() const { return module_.check_parameters(); }
    void constrain() {
        module_.constrain();
        quantizers_.constrain();
    }

    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const {
        return module_.output_shape(inputs);
    }

    /// The quantized weight, which slices of a batch share.
    void prepare(nn::Tensor& out, nn::Scratch& scratch) const { quantize_weight(out, scratch); }

    void forward(nn::Inputs inputs, nn::Tensor& output, nn::Scratch& scratch, nn::Mode) const {
        layer().forward_with(quantized_weight(scratch), input_of(*inputs[0], scratch), output, scratch);
    }

    void backward(nn::Inputs inputs, const nn::Tensor&, const nn::Tensor& grad_output,
                  std::span<nn::Tensor* const> grad_inputs, std::span<nn::Tensor> grad_parameters,
                  nn::Scratch& scratch, nn::Mode) const {
        const nn::Tensor& x = *inputs[0];
        nn::Tensor* const grad_x = grad_inputs[0];
        bool const scales = quantizers_.trains_scales(), clips = quantizers_.trains_clips();
        std::size_t const own = first_of_own(grad_parameters.size());
        nn::Tensor* const grad_bias = layer().bias().empty() ? nullptr : &grad_parameters[1];
        bool const needs_data = clips || grad_x != nullptr;

        const nn::Tensor& weight = quantized_weight(scratch);
        const nn::Tensor& input = input_of(x, scratch);
        // Of the quantized weight; with one that is prepared, the sum of them is carried through the
        // quantizer.
        bool const is_prepared = scratch.prepared() != nullptr;
        nn::Tensor& grad_weight =
            is_prepared ? grad_parameters[0] : zeros(buffer(scratch, weight_gradient), weight.shape());
        nn::Tensor* grad_data = nullptr;
        if (needs_data) grad_data = &zeros(buffer(scratch, data_gradient), x.shape());
        layer().backward_with(weight, input, grad_output, grad_data, &grad_weight, grad_bias, scratch);

        nn::Tensor& through = buffer(scratch, straight_through);
        nn::Tensor& few = buffer(scratch, few_gradients);
        if (!is_prepared) {
            through_weight_quantizer(grad_weight, through, scales ? &grad_parameters[own] : nullptr, scratch);
            rows().add(through, grad_parameters[0]);
        }
        if (!needs_data) return;
        if (clips && drop_probability_ > 0) {
            auto const drop = this->drop(x, scratch);
            nn::Tensor& kept = buffer(scratch, data_quantized);  // whose use is over
            drop.clear(*grad_data, kept, scratch);
            quantizers_.data_backward(x, kept, through, grad_parameters.back(), few, scratch.execution());
            drop.restore(*grad_data, through, scratch);
            grad_data = &through;
        } else if (clips) {
            quantizers_.data_backward(x, *grad_data, through, grad_parameters.back(), few,
                                      scratch.execution());
            grad_data = &through;
        }
        if (grad_x != nullptr) nn::array(*grad_x) += nn::array(*grad_data);
    }

    /// The gradient of the quantized weight becomes that of the weight, and of the scales.
    void finish_gradients(std::span<nn::Tensor> grad_parameters, nn::Scratch& scratch) const {
        bool const scales = quantizers_.trains_scales();
        std::size_t const own = first_of_own(grad_parameters.size());
        nn::Tensor& through = buffer(scratch, straight_through);
        through_weight_quantizer(grad_parameters[0], through, scales ? &grad_parameters[own] : nullptr,
                                 scratch);
        grad_parameters[0].fill(0);
        rows().add(through, grad_parameters[0]);
    }

    // ---- guided

    void begin_step(const TrainingStep& at) override {
        quantizers_.begin_step(at);
        random_ = at.random;
        drop_probability_ = at.drop_probability;
    }
    void end_steps() override {
        quantizers_.end_steps();
        drop_probability_ = 0;
    }
    bool has_phases() const override { return quantizers_.has_phases(); }
    bool is_settled() const override { return quantizers_.is_settled(); }
    double learning_rate() const override { return quantizers_.learning_rate(); }
    std::size_t regularized() const override {
        return quantizers_.is_regularized() ? layer().weight().size() : 0;
    }
    double regularize(double factor, std::span<nn::Tensor> grad_parameters,
                      nn::Scratch& scratch) const override {
        nn::Tensor* const own =
            quantizers_.trains_scales() ? &grad_parameters[first_of_own(grad_parameters.size())] : nullptr;
        nn::WeightRows const rows = this->rows();
        const nn::Tensor& master = rows.gather(layer().weight(), buffer(scratch, weight_in_rows));
        nn::Tensor& gradient = zeros(buffer(scratch, straight_through), master.shape());
        double const sum = quantizers_.regularize(master, factor, gradient, own, scratch.execution());
        rows.add(gradient, grad_parameters[0]);
        return sum;
    }

private:
    // Buffers of the node that come after the layer's own.
    enum Buffer : std::size_t {
        weight_quantized,
        data_quantized,
        weight_gradient,
        data_gradient,
        straight_through,
        few_gradients,
        weight_in_rows,
        gradient_in_rows,
        rows_quantized,
    };
    nn::Tensor& buffer(nn::Scratch& scratch, Buffer which) const {
        return scratch.tensor(layer().scratch_tensors() + which);
    }

    static nn::Tensor& zeros(nn::Tensor& t, const nn::Shape& shape) {
        t.resize(shape);
        t.fill(0);
        return t;
    }
    const nn::Tensor& quantized_weight(nn::Scratch& scratch) const {
        if (scratch.prepared() != nullptr) return *scratch.prepared();
        nn::Tensor& out = buffer(scratch, weight_quantized);
        quantize_weight(out, scratch);
        return out;
    }
    void quantize_weight(nn::Tensor& out, nn::Scratch& scratch) const {
        const nn::Tensor& w = layer().weight();
        nn::WeightRows const rows = this->rows();
        if (rows.in_order()) return quantizers_.quantize_weight(w, out, scratch.execution());
        nn::Tensor& quantized = buffer(scratch, rows_quantized);
        quantizers_.quantize_weight(rows.gather(w, buffer(scratch, weight_in_rows)), quantized,
                                    scratch.execution());
        out.resize(w.shape());
        rows.scatter(quantized, out);
    }
    /// `through` is written, a row per output channel; grad_scales is added to.
    void through_weight_quantizer(const nn::Tensor& grad_weight, nn::Tensor& through, nn::Tensor* grad_scales,
                                  nn::Scratch& scratch) const {
        nn::WeightRows const rows = this->rows();
        const nn::Tensor& master = rows.gather(layer().weight(), buffer(scratch, weight_in_rows));
        const nn::Tensor& grad_rows = rows.gather(grad_weight, buffer(scratch, gradient_in_rows));
        quantizers_.weight_backward(master, grad_rows, through, grad_scales, buffer(scratch, few_gradients),
                                    scratch.execution());
    }
    const nn::Tensor& input_of(const nn::Tensor& x, nn::Scratch& scratch) const {
        if (!quantizers_.is_calibrated()) return x;
        nn::Tensor& out = buffer(scratch, data_quantized);
        quantizers_.quantize_data(x, out, scratch.execution());
        if (drop_probability_ > 0) drop(x, scratch).restore(x, out, scratch);
        return out;
    }
    detail::Drop drop(const nn::Tensor& x, const nn::Scratch& scratch) const {
        return {random_, drop_probability_, scratch.first_sample(), x};
    }
    /// The parameters are the layer's, its weight and bias where they stand, then scales and clips.
    std::size_t first_of_own(std::size_t parameters) const {
        return parameters - (quantizers_.trains_scales() ? 1 : 0) - (quantizers_.trains_clips() ? 1 : 0);
    }

    nn::Module module_;
    LayerQuantizers<Algorithms> quantizers_;
    std::uint64_t random_ = 0;
    double drop_probability_ = 0;  // 0 but in a step
};

}  // namespace amct_distill
