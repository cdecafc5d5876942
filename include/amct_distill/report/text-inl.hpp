// SPDX-License-Identifier: Apache-2.0
/// The definitions of text.hpp.
#pragma once
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "../core/inline.hpp"
#include "../core/number.hpp"
#include "../core/table.hpp"
#include "../core/utf8.hpp"
#include "../core/wrap.hpp"
#include "columns.hpp"
#include "text.hpp"

namespace amct_distill {
namespace detail {

inline std::string decibel(double x) {
    return std::isfinite(x) ? concat(number(x, std::chars_format::fixed, 1), " dB")
                            : std::string(x > 0 ? "exact" : "-");
}
inline std::string three_digits(float x) {
    return number(static_cast<double>(x), std::chars_format::general, 3);
}

/// "2.3e-02 .. 4.1e-02"
inline std::string range_of_scales(const LayerReport& l) {
    if (l.weight_scales.empty()) return {};
    auto const [low, high] = std::ranges::minmax(l.weight_scales, {}, &ScaleOffset::scale);
    std::string text = short_number(static_cast<double>(low.scale));
    if (low.scale != high.scale) append(text, concat(" .. ", short_number(static_cast<double>(high.scale))));
    return text;
}

inline std::string weights_table(const std::vector<LayerReport>& layers, std::size_t width) {
    using L = LayerReport;
    return column_table(
        layers, width, Column{{.heading = "layer", .least = 10}, &L::name},
        Column{{.heading = "weights", .least = 31, .keeps_start = true}, &L::weight_algorithm},
        Column{{.heading = "scale", .drop = 2}, range_of_scales},
        Column{{.heading = "SQNR"}, [](const L& l) { return decibel(l.weight_sqnr); }},
        Column{{.heading = "dead channels", .drop = 1},
               [](const L& l) { return concat(l.dead_channels.size(), " of ", l.channels); }});
}

inline std::string data_table(const std::vector<LayerReport>& layers, std::size_t width) {
    using L = LayerReport;
    return column_table(
        layers, width, Column{{.heading = "layer", .least = 10}, &L::name},
        Column{{.heading = "inputs", .least = 17, .keeps_start = true}, &L::data_algorithm},
        Column{{.heading = "scale", .drop = 3}, [](const L& l) { return l.data_scale.scale; }},
        Column{{.heading = "clips", .drop = 1},
               [](const L& l) {
                   return concat(three_digits(l.data_clip.min), " .. ", three_digits(l.data_clip.max));
               }},
        Column{{.heading = "by", .drop = 4}, [](const L& l) { return l.user_clips ? "you" : "IFMR"; }},
        Column{{.heading = "SQNR"}, [](const L& l) { return decibel(l.data_sqnr); }},
        Column{{.heading = "outside", .drop = 2}, [](const L& l) { return percent(l.saturation); }});
}

/// "conv1", or "conv1 .. relu1".
inline std::string block_name(const BlockReport& block, std::size_t width) {
    if (block.names.empty()) return {};
    if (block.names.size() == 1) return shortened(block.names[0], width);
    std::size_t const half = (width - 4) / 2;
    return concat(shortened(block.names.front(), half), " .. ", shortened(block.names.back(), half));
}

inline std::string blocks_table(const std::vector<BlockReport>& blocks, std::size_t width) {
    using B = BlockReport;
    std::size_t const name_width = width < 60 ? 16 : (std::max)(std::size_t{28}, width / 4);
    std::string out = column_table(
        blocks, width, Column{{.heading = "block"}, [&](const B& b) { return &b - blocks.data() + 1; }},
        Column{{.heading = "modules", .least = 14}, [&](const B& b) { return block_name(b, name_width); }},
        Column{{.heading = "error", .drop = 1}, &B::loss_before},
        Column{{.heading = "distilled"}, &B::loss_after},
        Column{{.heading = "best epoch", .drop = 3},
               [](const B& b) { return b.best_epoch == 0 ? "calibrated" : number(b.best_epoch); }},
        Column{
            {.heading = "teacher's input", .drop = 4},
            [](const B& b) { return b.teacher_inputs == 0 ? "never" : concat(b.teacher_inputs, " steps"); }},
        Column{{.heading = "seconds", .drop = 2},
               [](const B& b) { return number(b.seconds, std::chars_format::fixed, 2); }});
    for (std::size_t b = 0; b != blocks.size(); ++b)
        if (!blocks[b].stopped.empty())
            append(out, wrapped(concat("block ", b + 1, " ended early: ", blocks[b].stopped), width));
    for (std::size_t b = 0; b != blocks.size(); ++b)
        for (const std::string& name : blocks[b].shared)
            append(out,
                   wrapped(concat("block ", b + 1, ": ", name, " is a shared module: other nodes use it too"),
                           width));
    return out;
}

/// As many epochs a line as there is room for, at most eight.
inline std::string losses_table(const std::vector<BlockReport>& blocks, std::size_t width) {
    std::size_t const per_line = std::clamp<std::size_t>(width < 19 ? 1 : (width - 7) / 10, 1, 8);
    Table table({{"block"}, {"loss per epoch"}});
    for (std::size_t b = 0; b != blocks.size(); ++b) {
        const std::vector<double>& losses = blocks[b].epoch_losses;
        for (std::size_t first = 0; first < losses.size(); first += per_line) {
            std::string line;
            for (std::size_t e = first; e < losses.size() && e < first + per_line; ++e)
                append(line, concat(e == first ? "" : "  ", short_number(losses[e])));
            table.add({first == 0 ? number(b + 1) : "", std::move(line)});
        }
    }
    return table.empty() ? std::string() : concat('\n', table.text(width));
}

}  // namespace detail

AMCT_DISTILL_INLINE std::string to_table(const DistillReport& report, std::size_t width) {
    std::string out = detail::concat(
        detail::weights_table(report.layers, width), '\n', detail::data_table(report.layers, width), '\n',
        detail::blocks_table(report.blocks, width), detail::losses_table(report.blocks, width), '\n');
    auto const say = [&](std::string_view sentence) { out.append(wrapped(sentence, width)); };
    say(detail::concat(
        "output, mean squared error to the teacher's: ", detail::short_number(report.output_error_calibrated),
        " calibrated, ", detail::short_number(report.output_error_distilled), " distilled"));
    if (report.kept_calibrated)
        say("The outputs did not come 5 % nearer to the teacher's: the calibrated network stays.");
    if (report.resumed_blocks != 0)
        say(detail::concat("Blocks taken from an earlier run: ", report.resumed_blocks));
    if (report.cancelled) say("The distillation was cancelled; what it had reached stays.");
    return out;
}

}  // namespace amct_distill
