// SPDX-License-Identifier: Apache-2.0
/// The definitions of equalize.hpp.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "../core/inline.hpp"
#include "../nn/layers/batch_norm.hpp"
#include "../nn/weight_rows.hpp"
#include "../nn/weighted.hpp"
#include "../run/executor.hpp"
#include "../run/together.hpp"
#include "check_parameters.hpp"
#include "equalize.hpp"
#include "own_batches.hpp"
#include "slices.hpp"

namespace amct_distill {
namespace detail {

/// What is asked of a layer that reads a value channel by channel, as a convolution does.
struct ChannelReader {
    nn::Index channels = 0, groups = 0;
    bool is_depthwise() const { return groups == channels; }
};
inline std::optional<ChannelReader> channel_reader(const nn::Weighted* layer) {
    if (layer == nullptr || layer->input_groups() == 0 || layer->output_axis() != 0) return std::nullopt;
    return ChannelReader{layer->weight().dim(1) * layer->input_groups(), layer->input_groups()};
}

/// Before such a layer the one whose outputs can be scaled, or why there is none.
struct ScalableLayer {
    std::optional<nn::NodeId> node{};
    std::string why{};
};
inline ScalableLayer layer_to_scale(const nn::Network& network, nn::NodeId reader) {
    const Graph& graph = network.graph();
    for (nn::NodeId at = reader;;) {
        nn::NodeId const from = network.node(at).inputs[0];
        auto const named = [&](auto... pieces) { return ScalableLayer{{}, concat(pieces...)}; };
        if (graph.is_output(from))
            return named("what it reads, `", graph.name(from), "`, is an output of the network");
        if (!graph.only_consumer(from))  // `at` is one
            return named("what it reads, `", graph.name(from), "`, is read by others too");
        if (graph.kind(from) != NodeKind::operation)
            return named("what it reads, `", graph.name(from), "`, is no output of a layer");
        const nn::Module& operation = network.operation(from);
        std::string_view const type = operation.type();
        const nn::Weighted* const layer = operation.weighted();
        bool const is_norm = nn::as_batch_norm(operation) != nullptr;
        if ((layer != nullptr || is_norm) && graph.has_module(from)) {
            if (graph.is_shared(from))
                return named("the layer before it, `", graph.name(from), "`, is shared");
            if (is_norm || layer->input_groups() != 0) return {from, {}};
            return named("the layer before it, `", graph.name(from), "`, is a ", type);
        }
        if (!operation.is_homogeneous() || network.node(from).inputs.size() != 1)
            return named("`", graph.name(from), "` (", type,
                         ") stands before it, through which channels cannot be scaled");
        at = from;
    }
}

/// The largest and the smallest value of each channel, 0 among them.
struct ChannelRanges {
    std::vector<float> above{}, below{};  ///< both at least 0: the largest value, minus the smallest
};
inline bool add_channel_ranges(const nn::Tensor& x, ChannelRanges& to, const nn::Executor& executor) {
    auto const samples = x.dim(0), channels = x.dim(1);
    auto const pixels = static_cast<std::size_t>(nn::product(x.shape(), 2, x.rank()));
    to.above.resize(static_cast<std::size_t>(channels));
    to.below.resize(static_cast<std::size_t>(channels));
    std::vector<char> finite(static_cast<std::size_t>(channels), 1);
    executor.parallel_for(static_cast<std::size_t>(channels), [&](std::size_t c) {
        for (nn::Index n = 0; n != samples; ++n) {
            auto const first = (static_cast<std::size_t>(n * channels) + c) * pixels;
            ValueRange const r = range_of(x.span().subspan(first, pixels));
            to.above[c] = (std::max)(to.above[c], r.max);
            to.below[c] = (std::max)(to.below[c], -r.min);
            if (!r.finite) finite[c] = 0;
        }
    });
    return std::ranges::all_of(finite, [](char f) { return f != 0; });
}

/// The ranges of all ranks' samples.
inline void join_channel_ranges(Ranks* ranks, ChannelRanges& ranges) {
    if (!are_several(ranks)) return;
    for (std::vector<float>* const side : {&ranges.above, &ranges.below}) {
        std::size_t const channels = side->size();
        std::vector<float> all(channels * ranks->size());
        std::ranges::copy(*side, all.begin() + static_cast<std::ptrdiff_t>(channels * ranks->rank()));
        Exchange exchange;
        gather_ranges(ranks, std::span(all), ranks->size(), exchange);
        for (std::size_t i = 0; i != all.size(); ++i)
            (*side)[i % channels] = (std::max)((*side)[i % channels], all[i]);
    }
}

/// What divides each channel. `weights[c]`: the sum of squares of what the channel is multiplied by.
///
/// A scale that all channels share is as wide as the widest, [-low, high], and an error of it goes on through
/// a channel's weights, divided as the channel is widened. So channels are widened until they touch an end
/// of the range, and how much of the range is below 0 is chosen for the least sum of those errors' squares.
inline std::vector<double> channel_factors(const ChannelRanges& ranges, std::span<const double> weights,
                                           double largest_factor) {
    std::size_t const channels = ranges.above.size();
    double high = 0, low = 0;
    for (std::size_t c = 0; c != channels; ++c) {
        high = (std::max)(high, double(ranges.above[c]));
        low = (std::max)(low, double(ranges.below[c]));
    }
    double const width = high + low;
    std::vector<double> best(channels, 1.0), factors(channels);
    double least = std::numeric_limits<double>::infinity();
    constexpr int parts = 64;
    for (int k = 0; k <= parts; ++k) {
        double const below = double(k) / parts;
        if ((k == 0 && low > 0) || (k == parts && high > 0)) continue;
        double sum = 0, largest = 0;
        for (std::size_t c = 0; c != channels; ++c) {
            double const up = ranges.above[c] > 0 ? double(ranges.above[c]) / ((1 - below) * width) : 0;
            double const down = ranges.below[c] > 0 ? double(ranges.below[c]) / (below * width) : 0;
            factors[c] = (std::max)(up, down);
            largest = (std::max)(largest, factors[c]);
            sum += weights[c] * factors[c] * factors[c];
        }
        if (!(sum < least)) continue;
        least = sum;
        for (std::size_t c = 0; c != channels; ++c)
            best[c] = factors[c] > 0 ? (std::max)(factors[c], largest / largest_factor) : 1.0;
    }
    return best;
}

/// f(weight, channel) for each weight of a layer and the channel of its input that it multiplies.
template <class F>
void for_each_input_weight(nn::Tensor& weight, const ChannelReader& reader, F f) {
    auto const rows = static_cast<std::size_t>(weight.dim(0)),
               columns = static_cast<std::size_t>(weight.dim(1));
    std::size_t const taps = weight.size() / (rows * columns);
    auto const groups = static_cast<std::size_t>(reader.groups);
    for (std::size_t i = 0; i != weight.size(); ++i) {
        std::size_t const row = i / (columns * taps), column = i / taps % columns;
        f(weight[i], row * groups / rows * columns + column);
    }
}

/// Divides the outputs of a layer, a factor for each channel.
inline void divide_outputs(nn::Module& module, std::span<const double> factors) {
    auto const divide = [](float& v, double factor) { v = static_cast<float>(double(v) / factor); };
    if (nn::Weighted* const layer = module.weighted()) {
        nn::WeightRows const rows(*layer);
        nn::Tensor buffer, changed = rows.gather(layer->weight(), buffer);
        std::size_t const length = changed.size() / factors.size();
        for (std::size_t i = 0; i != changed.size(); ++i) divide(changed[i], factors[i / length]);
        if (rows.in_order())
            layer->weight() = std::move(changed);
        else
            rows.scatter(changed, layer->weight());
        for (std::size_t c = 0; c != layer->bias().size(); ++c) divide(layer->bias()[c], factors[c]);
        return;
    }
    for (const nn::Parameter& p : module.parameters())  // of a BatchNorm
        if (p.name == "weight" || p.name == "bias")
            for (std::size_t c = 0; c != p.values.size(); ++c) divide(p.values[c], factors[c]);
}

/// `equalize`, when the arguments make sense.
inline result<EqualizeReport> equalize_together(nn::Network& network, DataSource batches,
                                                const RunOptions& run, const EqualizeOptions& options) {
    const Graph& graph = network.graph();
    EqualizeReport report;
    struct Pair {
        nn::NodeId first, second;
        ChannelReader reader;
        ChannelRanges ranges{};
    };
    std::vector<Pair> pairs;
    for (nn::NodeId id : network.operations()) {
        if (!graph.has_module(id)) continue;
        auto const reader = channel_reader(network.operation(id).weighted());
        if (!reader || (options.into == EqualizeInto::depthwise && !reader->is_depthwise())) continue;
        if (graph.is_shared(id)) {
            report.others.push_back({graph.name(id), "it is used more than once"});
            continue;
        }
        ScalableLayer const before = layer_to_scale(network, id);
        if (before.node)
            pairs.push_back({*before.node, id, *reader});
        else
            report.others.push_back({graph.name(id), before.why});
    }
    if (pairs.empty()) return report;

    nn::Executor const executor(run.threads, best_instructions(), run.ranks);
    SliceRunner runner(network, &executor);
    std::vector<nn::NodeId> nodes;  // each is read by one layer alone
    for (const Pair& p : pairs) nodes.push_back(network.node(p.second).inputs[0]);
    std::vector<nn::Tensor> values(nodes.size());
    OwnBatches own(batches, network, &executor, default_slices, "equalize");
    Batch buffer;
    std::size_t const count =
        options.batch_num == 0 ? batches.size() : (std::min)(options.batch_num, batches.size());
    for (std::size_t i = 0; i != count; ++i) {
        auto const batch = own.load(i, buffer);
        if (!batch) return batch.diagnostics();
        runner.run_batch(batch->tensors, nodes, values, batch->samples);
        for (std::size_t k = 0; k != pairs.size(); ++k)
            if (!add_channel_ranges(values[k], pairs[k].ranges, executor))
                return general_error(concat("equalize: layer `", graph.name(pairs[k].second),
                                            "`: a value that it reads is not finite; only finite "
                                            "values can be equalized: check where it comes from"));
    }

    for (Pair& p : pairs) join_channel_ranges(runner.ranks(), p.ranges);

    nn::Network changed = network;
    for (const Pair& p : pairs) {
        nn::Tensor& weight = changed.module(*graph.module_of(p.second)).weighted()->weight();
        std::size_t const channels = p.ranges.above.size();
        std::vector<double> squares(channels), largest(channels);
        for_each_input_weight(weight, p.reader, [&](float w, std::size_t c) {
            squares[c] += double(w) * double(w);
            largest[c] = (std::max)(largest[c], std::abs(double(w)));
        });
        std::vector<double> factors;
        if (p.reader.is_depthwise()) {
            factors = channel_factors(p.ranges, squares, options.largest_factor);
        } else {
            // Equal ranges of both cannot be had: the root shares the difference between them.
            double widest = 0;
            factors.assign(channels, 1.0);
            for (std::size_t c = 0; c != channels; ++c)
                if (double const r = double((std::max)(p.ranges.above[c], p.ranges.below[c]));
                    r > 0 && largest[c] > 0)
                    widest = (std::max)(widest, factors[c] = std::sqrt(r / largest[c]));
            for (double& f : factors)
                if (widest > 0) f = (std::max)(f / widest, 1 / options.largest_factor);
        }
        divide_outputs(changed.module(*graph.module_of(p.first)), factors);
        for_each_input_weight(weight, p.reader, [&](float& w, std::size_t c) {
            w = static_cast<float>(double(w) * factors[c]);
        });

        EqualizedPair& told = report.pairs.emplace_back();
        told.first = graph.name(p.first);
        told.second = graph.name(p.second);
        told.channels = channels;
        for (std::size_t c = 0; c != channels; ++c) {
            double const before = double((std::max)(p.ranges.above[c], p.ranges.below[c]));
            if (before == 0) continue;
            double const after = before / factors[c];
            bool const is_first = told.widest_before == 0;
            told.narrowest_before = is_first ? before : (std::min)(told.narrowest_before, before);
            told.narrowest_after = is_first ? after : (std::min)(told.narrowest_after, after);
            told.widest_before = (std::max)(told.widest_before, before);
            told.widest_after = (std::max)(told.widest_after, after);
        }
    }
    if (Diagnostics errors = check_parameters(changed); !errors.empty()) return errors;
    network = std::move(changed);
    return report;
}

}  // namespace detail

AMCT_DISTILL_INLINE void EqualizeOptions::check_options() const {
    if (!(largest_factor >= 1) || !std::isfinite(largest_factor))
        throw std::invalid_argument(detail::concat("equalize: largest_factor must be at least 1, found ",
                                                   detail::number(largest_factor)));
}

AMCT_DISTILL_INLINE result<EqualizeReport> equalize(nn::Network& network, DataSource batches,
                                                    const RunOptions& run, const EqualizeOptions& options) {
    run.check_options("equalize");
    options.check_options();
    if (batches.empty()) return general_error("equalize: no batches; give at least one");
    if (Diagnostics errors = detail::check_parameters(network); !errors.empty()) return errors;
    return detail::together(run.ranks,
                            [&] { return detail::equalize_together(network, batches, run, options); });
}

}  // namespace amct_distill
