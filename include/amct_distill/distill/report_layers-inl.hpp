// SPDX-License-Identifier: Apache-2.0
/// The definitions of report_layers.hpp.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "../run/instructions.hpp"
#include "../run/vectors.hpp"
#include "../student/slice_sums.hpp"
#include "../student/slices.hpp"
#include "noise.hpp"
#include "prefix_cache.hpp"
#include "report_layers.hpp"

namespace amct_distill {
namespace detail {

struct ClippedLoop {
    const float* x;
    std::size_t n;
    float low, high;

    template <int Bytes>
    [[gnu::always_inline]] std::size_t run() const {
        using F = typename Vectors<Bytes>::floats;
        using I = typename Vectors<Bytes>::ints;
        constexpr std::size_t count = Vectors<Bytes>::count, block = std::size_t{1} << 20;
        F const highest = F{} + high, lowest = F{} + low;
        std::size_t clipped = 0, i = 0;
        while (i + count <= n) {
            I sums{};
            for (std::size_t const end = (std::min)(n - n % count, i + block); i != end; i += count) {
                F v;
                load(x + i, v);
                I const one = I{} + 1;
                sums += (v > highest ? one : I{}) + (v < lowest ? one : I{});
            }
            std::int32_t each[count];
            std::memcpy(each, &sums, sizeof sums);
            for (std::int32_t k : each) clipped += static_cast<std::size_t>(k);
        }
        for (; i != n; ++i) clipped += static_cast<std::size_t>(x[i] > high || x[i] < low);
        return clipped;
    }
};

/// The values outside of the clips, which always hold 0.
inline std::size_t clipped_values(std::span<const float> x, ClipRange clip) {
    float const high = (std::max)(clip.max, 0.0f), low = (std::min)(clip.min, 0.0f);
    return run_on(best_instructions(), ClippedLoop{x.data(), x.size(), low, high});
}

/// The rows of a quantized weight that are all 0.
inline std::vector<std::size_t> zero_rows(const nn::Tensor& weight) {
    std::vector<std::size_t> rows;
    auto const count = static_cast<std::size_t>(weight.dim(0)), cols = weight.size() / count;
    for (std::size_t r = 0; r != count; ++r)
        if (std::ranges::all_of(weight.span().subspan(r * cols, cols), [](float v) { return v == 0; }))
            rows.push_back(r);
    return rows;
}

/// What the layers' report says of data, from the runs of the network: of each layer and batch once.
template <class Algorithms>
class LayerMeasure final : public ValueWatcher {
public:
    /// The runner is that of the student's network; both outlive it.
    LayerMeasure(const BasicStudent<Algorithms>& student, SliceRunner& runner)
        : student_(student), sums_(runner), quantized_(runner.tapes().size()) {
        for (const auto& layer : student.plan().layers)
            if (student.quantizers(layer.name) != nullptr)
                layers_.push_back({.node = layer.node,
                                   .input = student.network().node(layer.node).inputs.at(0),
                                   .module = layer.module,
                                   .name = layer.name});
    }

    bool begin(std::size_t i, nn::Index samples, std::span<const nn::NodeId> nodes) override {
        now_.clear();
        for (std::size_t k = 0; k != layers_.size(); ++k)
            if (i == layers_[k].batches && std::ranges::binary_search(nodes, layers_[k].node))
                now_.push_back(k);
        for (std::size_t k : now_) layers_[k].quantizers = student_.quantizers(layers_[k].name);
        if (!now_.empty()) sums_.begin(samples, 4 * now_.size());
        return !now_.empty();
    }
    void add(std::size_t k, nn::Tape& tape, std::size_t worker) override {
        double* to = sums_.of(k).data();
        for (std::size_t layer : now_) {
            const Layer& l = layers_[layer];
            const nn::Tensor& x = student_.network().value(l.input, tape);
            l.quantizers->quantize_data(x, quantized_[worker]);
            Noise noise;
            noise.add(x.span(), quantized_[worker].span());
            to[0] = noise.signal, to[1] = noise.error;
            to[2] = static_cast<double>(clipped_values(x.span(), l.quantizers->data_clip()));
            to[3] = static_cast<double>(x.size());
            to += 4;
        }
    }
    void end() override {
        auto const found = sums_.finish();
        for (std::size_t k = 0; k != now_.size(); ++k) {
            Layer& l = layers_[now_[k]];
            ++l.batches;
            for (std::size_t s = 0; s != 4; ++s) l.sums[s] += found[4 * k + s];
        }
    }

    /// In definition order, the layers as they are.
    std::vector<LayerReport> finish() const {
        std::vector<LayerReport> reports;
        nn::Tensor in_rows, quantized;
        for (const Layer& layer : layers_) {
            const auto& q = *student_.quantizers(layer.name);
            const auto& from = *student_.quantized(layer.module);
            nn::WeightRows const rows = from.rows();
            const nn::Tensor& weight = rows.gather(from.layer().weight(), in_rows);
            LayerReport& r = reports.emplace_back();
            r.name = layer.name;
            r.weight_algorithm = q.weight_algorithm();
            r.data_algorithm = q.data_algorithm();
            r.weight_bits = q.weight_bits();
            r.data_bits = q.data_bits();
            r.weight_scales = q.weight_scales(weight).values();
            r.data_scale = q.data_scale();
            r.data_clip = q.data_clip();
            r.user_clips = q.has_user_clips();
            q.quantize_weight(weight, quantized);
            Noise n;
            n.add(weight.span(), quantized.span());
            r.weight_sqnr = n.sqnr();
            r.channels = static_cast<std::size_t>(weight.dim(0));
            r.dead_channels = zero_rows(quantized);
            const double* const of = layer.sums;
            r.data_sqnr = Noise{of[0], of[1]}.sqnr();
            r.saturation = of[3] == 0 ? 0 : of[2] / of[3];
        }
        return reports;
    }

private:
    struct Layer {
        nn::NodeId node, input;
        ModuleId module;
        std::string name{};
        const LayerQuantizers<Algorithms>* quantizers = nullptr;  // as they are while it is watched
        std::size_t batches = 0;                                  // that are measured
        double sums[4] = {};  // signal, noise, values outside of the clips, all values
    };

    const BasicStudent<Algorithms>& student_;
    SliceSums sums_;
    std::vector<nn::Tensor> quantized_;  // by worker
    std::vector<Layer> layers_{};
    std::vector<std::size_t> now_{};  // layers of the run that is watched
};

}  // namespace detail

template <class Algorithms>
result<std::vector<LayerReport>> report_layers(const BasicStudent<Algorithms>& student, DataSource batches,
                                               const nn::Executor* executor) {
    CacheBudget nothing(0);
    PrefixRunner runner(student.network(), batches, nothing, executor, default_slices, "report_layers");
    detail::LayerMeasure<Algorithms> measure(student, runner.runner());
    runner.tell(&measure);
    for (std::size_t i = 0; i != batches.size(); ++i)
        if (auto ok = runner.advance_to_end(i); !ok) return ok.diagnostics();
    return measure.finish();
}

}  // namespace amct_distill
