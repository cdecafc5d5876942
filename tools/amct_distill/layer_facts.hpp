// SPDX-License-Identifier: Apache-2.0
/// What is known of each named module of a model before anything is done to it.
///
///     for (const LayerFacts& l : layer_facts(model)) l.products;      // multiplications a sample
#pragma once
#include <amct_distill/nn/network.hpp>
#include <amct_distill/nn/weight_rows.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model.hpp"

namespace tool {

inline std::string hash_text(std::uint64_t hash) {
    constexpr char digits[] = "0123456789abcdef";
    std::string out(16, '0');
    for (std::size_t i = 16; i-- != 0; hash >>= 4) out[i] = digits[hash & 15];
    return out;
}

struct LayerFacts {
    std::string name{}, type{}, options{};
    std::string node{};  ///< as the model calls it
    std::string_view name_from{};
    amct_distill::nn::Shape output{};
    std::uint64_t parameters = 0, products = 0;
    bool weighted = false;
    std::string why_not{};  ///< after the name: why it is not quantized; empty: it can be
};

/// Multiplications of a use of a layer with weights, for one sample.
inline std::uint64_t products_of(const amct_distill::nn::Network& net, amct_distill::NodeId id,
                                 const amct_distill::nn::Weighted& layer) {
    // Each weight meets every position of the output, or of the input where the layer is transposed.
    bool const transposed = layer.output_axis() != 0;
    const auto& node = net.node(id);
    const amct_distill::nn::Shape& shape = transposed ? net.node(node.inputs.at(0)).shape : node.shape;
    std::uint64_t values = 1;
    for (std::size_t d = 0; d != shape.size(); ++d)
        if (d != 0 || shape[0] > 0) values *= static_cast<std::uint64_t>(shape[d]);
    auto const channels =
        static_cast<std::uint64_t>(transposed ? layer.weight().dim(0) : layer.output_channels());
    return static_cast<std::uint64_t>(layer.weight().size()) * (values / (channels == 0 ? 1 : channels));
}

inline std::vector<LayerFacts> layer_facts(const Model& model) {
    std::vector<LayerFacts> out;
    const amct_distill::nn::Network& net = model.network;
    for (std::size_t m = 0; m != net.modules().size(); ++m) {
        const auto& module = net.modules()[m];
        LayerFacts l;
        l.name = module.name;
        l.type = std::string(module.module.type());
        l.options = module.module.options();
        for (const ModelName& n : model.names)
            if (n.module == l.name) {
                l.node = n.node;
                l.name_from = n.source;
            }
        for (const auto& p : module.module.parameters())
            l.parameters += static_cast<std::uint64_t>(p.values.size());
        const auto& uses = net.graph().uses({m});
        if (!uses.empty()) l.output = net.node(uses.front()).shape;
        if (const amct_distill::nn::Weighted* const weighted = module.module.weighted()) {
            l.weighted = true;
            for (amct_distill::NodeId use : uses) l.products += products_of(net, use, *weighted);
        }
        l.why_not = net.graph().why_not_quantized({m});
        out.push_back(std::move(l));
    }
    return out;
}

}  // namespace tool
