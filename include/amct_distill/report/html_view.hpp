// SPDX-License-Identifier: Apache-2.0
/// What the sections of the report page share: each layer with all that is known of it, and which hurt.
///
///     View const view(page);
///     for (std::size_t k : view.worst) use(view.layers[k]);
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "html_text.hpp"
#include "page.hpp"

namespace amct_distill::detail::html {

inline constexpr double not_known = std::numeric_limits<double>::quiet_NaN();

/// Signal to noise, dB, of two noises that add up.
inline double both_noises(double a, double b) {
    return -10 * std::log10(std::pow(10, -a / 10) + std::pow(10, -b / 10));
}

struct LayerView {
    PageLayer layer{};
    const LayerReport* report = nullptr;     ///< null: it stays in float
    const LayerValues* values = nullptr;     ///< null: not observed
    const LayerSensitivity* cost = nullptr;  ///< null: not measured
    double own = not_known;                  ///< of its weights' and its data's noise together, dB
    double output = not_known;               ///< at its output, dB
    double alone = not_known;                ///< at the network's output, this layer alone quantized, dB
    double share = not_known;                ///< of the noise at the network's output, 0 to 1
    std::size_t hurts = 0;                   ///< its rank, from 1; 0: it is not among the worst

    /// What the picture of the network is coloured by.
    double shown(bool outputs) const { return outputs ? output : own; }
    int bits() const { return report == nullptr ? 32 : report->weight_bits; }
};

/// No block was trained for an epoch.
inline bool only_calibrated(const DistillReport& report) {
    return std::ranges::all_of(report.blocks, [](const BlockReport& b) { return b.epoch_losses.empty(); });
}

/// "q0", the worst, to "q4"; empty: not known.
inline std::string_view shade(double db) {
    return std::isnan(db) ? "" : db < 12 ? "q0" : db < 15 ? "q1" : db < 20 ? "q2" : db < 30 ? "q3" : "q4";
}
inline std::string link(const LayerView& view, std::size_t k) {
    return cat({"<a class=\"name\" href=\"#l", k, "\">", escaped(view.layer.name), "</a>"});
}

struct View {
    explicit View(const ReportPage& of) : page(of), has_outputs(of.observed.has_value()) {
        for (const PageLayer& l : page.network.layers) layers.push_back({.layer = l});
        if (layers.empty())
            for (const LayerReport& r : page.report.layers)
                layers.push_back({.layer = {.name = r.name, .channels = r.channels, .quantized = true}});
        for (LayerView& l : layers) fill(l);
        has_shares = std::ranges::any_of(layers, [](const LayerView& l) { return !std::isnan(l.share); });
        has_costs = std::ranges::any_of(layers, [](const LayerView& l) { return !std::isnan(l.alone); });
        rank();
        for (const LayerView& l : layers) {
            knows_sizes = knows_sizes || l.layer.weights != 0;
            weights += l.layer.weights;
            quantized += l.report != nullptr ? 1u : 0u;
        }
    }

    explicit View(ReportPage&&) = delete;  // it refers to the page

    /// What the layers are ranked by where their shares of the noise are not known, dB.
    double noise_of(const LayerView& l) const { return has_costs ? l.alone : l.own; }
    /// Of weights, biases and scales, with a bias for each channel.
    static double float_bytes(const LayerView& l) {
        return 4 * static_cast<double>(l.layer.weights + l.layer.channels);
    }
    static double deployed_bytes(const LayerView& l) {
        if (l.report == nullptr) return float_bytes(l);
        auto const scales = static_cast<double>(l.report->weight_scales.size());
        return std::ceil(static_cast<double>(l.layer.weights) * l.bits() / 8) +
               4 * (static_cast<double>(l.layer.channels) + scales) + 8;
    }
    template <class F>
    double sum(F of_layer) const {
        double total = 0;
        for (const LayerView& l : layers) total += of_layer(l);
        return total;
    }

    const ReportPage& page;
    std::vector<LayerView> layers{};   ///< in definition order
    std::vector<std::size_t> worst{};  ///< at most five, the worst first
    std::size_t weights = 0, quantized = 0;
    bool has_outputs = false, has_shares = false, has_costs = false, knows_sizes = false;

private:
    template <class T>
    static const T* named(const std::vector<T>& list, std::string_view name) {
        for (const T& item : list)
            if (item.name == name) return &item;
        return nullptr;
    }
    void fill(LayerView& l) const {
        l.report = named(page.report.layers, l.layer.name);
        l.cost = named(page.sensitivity, l.layer.name);
        if (page.observed) l.values = named(page.observed->layers, l.layer.name);
        if (l.report != nullptr) l.own = both_noises(l.report->weight_sqnr, l.report->data_sqnr);
        if (l.values != nullptr) l.output = l.values->output_sqnr;
        if (l.cost == nullptr) return;
        l.share = l.cost->noise_share;
        auto const at = [](int bits, double int4, double int8) {
            return bits == 4 ? int4 : bits == 8 ? int8 : not_known;
        };
        if (l.report != nullptr)
            l.alone = both_noises(at(l.report->weight_bits, l.cost->weights_int4, l.cost->weights_int8),
                                  at(l.report->data_bits, l.cost->data_int4, l.cost->data_int8));
    }
    /// The five with the greatest share of the noise, or that cost most alone, or with the most noise of
    /// their own; no layer that is as good as float.
    void rank() {
        for (std::size_t k = 0; k != layers.size(); ++k) {
            const LayerView& l = layers[k];
            if (l.report != nullptr && (has_shares ? l.share >= 0.01 : noise_of(l) < 30)) worst.push_back(k);
        }
        std::ranges::stable_sort(
            worst, {}, [&](std::size_t k) { return has_shares ? -layers[k].share : noise_of(layers[k]); });
        if (worst.size() > 5) worst.resize(5);
        for (std::size_t r = 0; r != worst.size(); ++r) layers[worst[r]].hurts = r + 1;
    }
};

}  // namespace amct_distill::detail::html
