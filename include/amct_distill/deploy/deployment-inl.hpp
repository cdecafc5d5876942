// SPDX-License-Identifier: Apache-2.0
/// The definitions of deployment.hpp.
#pragma once
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "../core/inline.hpp"
#include "../nn/layers/batch_norm.hpp"
#include "../nn/layers/structure.hpp"
#include "../nn/weight_rows.hpp"
#include "deployment.hpp"
#include "fold.hpp"
#include "fold_codes.hpp"

namespace amct_distill {

AMCT_DISTILL_INLINE Deployment::Deployment(nn::Network network, std::vector<DeployedLayer> layers)
    : network_(std::move(network)), layers_(std::move(layers)) {
    for (const DeployedLayer& layer : layers_) check_layer(layer);
}

AMCT_DISTILL_INLINE const DeployedLayer* Deployment::layer(std::string_view name) const {
    for (const DeployedLayer& l : layers_)
        if (l.name == name) return &l;
    return nullptr;
}

AMCT_DISTILL_INLINE void Deployment::check_layer(const DeployedLayer& layer) const {
    auto const fail = [&](const auto&... what) {
        throw std::invalid_argument(detail::concat("Deployment: layer `", layer.name, "` ", what...));
    };
    if (network_.graph().module_named(layer.name) != layer.module ||
        network_.graph().node_named(layer.name) != layer.node)
        fail("is not one of the network's");
    const nn::Module& module = network_.module(layer.module);
    const nn::Weighted* const weighted = module.weighted();
    if (weighted == nullptr) fail("is a ", module.type(), ", which has no weights that are quantized");
    nn::WeightRows const rows(*weighted);
    if (static_cast<std::size_t>(rows.count()) != layer.rows() ||
        static_cast<std::size_t>(rows.length()) != layer.cols())
        fail("has ", layer.rows(), " x ", layer.cols(), " codes, but a weight ",
             nn::to_string(weighted->weight().shape()));
    if (!layer.weight_scales.fit(layer.rows()))
        fail("has ", layer.weight_scales.size(), " scales for ", layer.rows(), " channels");
    if (!layer.bias.empty() && layer.bias.size() != layer.rows())
        fail("has ", layer.bias.size(), " biases for ", layer.rows(), " channels");
}

namespace detail {

/// The dimension of the layer's output that counts its channels: along which a bias is added. Error: there is
/// none.
inline result<std::size_t> channel_axis(const nn::Weighted& layer, nn::Shape input) {
    nn::Index const channels = layer.output_channels();
    nn::Tensor bias({channels});
    for (nn::Index c = 0; c != channels; ++c) bias[static_cast<std::size_t>(c)] = static_cast<float>(c);
    nn::Module const numbered = layer.with_parameters(nn::Tensor(layer.weight().shape()), bias);
    if (input.at(0) == nn::any_batch) input[0] = 1;
    nn::Tensor const x(input);
    nn::Tensor y(numbered.output_shape(std::span(&input, 1)).value());
    nn::Scratch scratch;
    numbered.forward(std::array{&x}, y, scratch, nn::Mode::evaluate);
    for (std::size_t axis = 1; axis < y.rank(); ++axis) {
        if (y.dim(axis) != channels) continue;
        auto const after = static_cast<std::size_t>(nn::product(y.shape(), axis + 1, y.rank()));
        std::size_t i = 0;
        while (i != y.size() && y[i] == static_cast<float>(i / after % static_cast<std::size_t>(channels)))
            ++i;
        if (i == y.size()) return axis;
    }
    return general_error(concat("its ", channels, " biases do not belong to one dimension of its output ",
                                nn::to_string(y.shape()), "; such a layer is not deployed: skip it"));
}

[[gnu::cold]] inline Diagnostic not_deployed(std::string_view what, std::string_view width) {
    return general_error(
        concat(what, " of ", width, " are not deployed; choose a width that configurations name"));
}

/// What becomes of one layer, whose name, module, node and channel axis are set: its integers, and as the
/// result the layer in float that they stand for. `bn` may be null.
template <class Algorithms>
result<nn::Module> deploy_layer(const QuantizedLayer<Algorithms>& from, const nn::BatchNorm* bn,
                                DeployedLayer& out) {
    const auto& q = from.quantizers();
    const nn::Weighted& layer = from.layer();
    if (!q.is_calibrated()) return general_error("it is not calibrated; call calibrate() first");
    nn::WeightRows const rows = from.rows();
    nn::Tensor buffer;
    const nn::Tensor& matrix = rows.gather(layer.weight(), buffer);
    auto codes = q.weight_codes(matrix);
    if (!codes) return codes.diagnostics();
    out.data = q.data_scale();
    out.quantize_data = [q](const nn::Tensor& x, nn::Tensor& quantized, const Execution& on) {
        q.quantize_data(x, quantized, on);
    };
    result<void> done = q.visit_data_bits([&]<class B>(std::type_identity<B>) -> result<void> {
        if constexpr (!Widths::has<B>)
            return not_deployed("data", B::name);
        else
            out.data_width = B{};
        return {};
    });
    if (!done) return done.diagnostics();
    nn::Tensor meant, bias;
    done = q.visit_weight_bits([&]<class B>(std::type_identity<B>) -> result<void> {
        if constexpr (!Widths::has<B>)
            return not_deployed("weights", B::name);
        else
            return FoldCodes<B>(out, matrix, layer.bias(), bn).run(*std::move(codes), meant, bias);
    });
    if (!done) return done.diagnostics();
    nn::Tensor weight(layer.weight().shape());
    rows.scatter(meant, weight);
    return layer.with_parameters(weight, bias);
}

}  // namespace detail

template <class Algorithms>
result<Deployment> deploy(const BasicStudent<Algorithms>& student) {
    const nn::Network& network = student.network();
    nn::Network folded = network;
    std::vector<DeployedLayer> layers;
    Diagnostics errors;
    for (const auto& planned : student.plan().layers) {
        const auto* const from = student.quantized(planned.module);
        if (from == nullptr) continue;
        DeployedLayer layer{.name = planned.name, .module = planned.module, .node = planned.node};
        auto const fail = [&](const Diagnostics& why) {
            for (Diagnostic& d : detail::of_layer(planned.name, why)) errors.push_back(std::move(d));
        };
        const nn::Shape& input = network.node(network.node(planned.node).inputs.at(0)).shape;
        auto const axis = detail::channel_axis(from->layer(), input);
        if (!axis) {
            fail(axis.diagnostics());
            continue;
        }
        layer.channel_axis = *axis;
        std::optional<ModuleId> bn = batch_norm_after(network, planned.module);
        if (layer.channel_axis != 1) bn.reset();  // a BatchNorm's channels are dimension 1
        const nn::BatchNorm* norm = nullptr;
        if (bn) {
            layer.batch_norm = network.modules()[*bn].name;
            norm = nn::as_batch_norm(network.module(*bn));
        }
        auto made = detail::deploy_layer(*from, norm, layer);
        fail(made.diagnostics());
        if (!made) continue;
        folded.replace(planned.module, *std::move(made));
        if (bn) folded.replace(*bn, nn::Identity{});
        layers.push_back(std::move(layer));
    }
    if (!errors.empty()) return errors;
    return Deployment(std::move(folded), std::move(layers));
}

}  // namespace amct_distill
