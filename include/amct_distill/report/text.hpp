// SPDX-License-Identifier: Apache-2.0
/// A distillation report as tables of at most 100 columns.
///
///     std::cout << to_table(report);
///
/// Four tables: the weights, the inputs and the blocks of the network, and each block's loss per epoch. Long
/// names keep their end.
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
#include "../core/number.hpp"
#include "../core/table.hpp"
#include "../distill/report.hpp"

namespace amct_distill {
namespace detail {

inline std::string decibel(double x) {
    return std::isfinite(x) ? concat(number(x, std::chars_format::fixed, 1), " dB")
                            : std::string(x > 0 ? "exact" : "-");
}
inline std::string three_digits(float x) {
    return number(static_cast<double>(x), std::chars_format::general, 3);
}

inline std::string weights_table(const std::vector<LayerReport>& layers) {
    std::vector<TableRow> rows{{"layer", "weights", "scale", "SQNR", "dead channels"}};
    for (const LayerReport& l : layers) {
        std::string scale;
        if (!l.weight_scales.empty()) {
            float low = l.weight_scales[0].scale, high = low;
            for (ScaleOffset p : l.weight_scales) {
                low = (std::min)(low, p.scale);
                high = (std::max)(high, p.scale);
            }
            scale = short_number(static_cast<double>(low));
            if (low != high) append(scale, concat(" .. ", short_number(static_cast<double>(high))));
        }
        rows.push_back({shortened(l.name, 18), shortened(l.weight_algorithm, 31), std::move(scale),
                        decibel(l.weight_sqnr), concat(l.dead_channels.size(), " of ", l.channels)});
    }
    return text_table(rows);
}

inline std::string data_table(const std::vector<LayerReport>& layers) {
    std::vector<TableRow> rows{{"layer", "inputs", "scale", "clips", "by", "SQNR", "outside"}};
    for (const LayerReport& l : layers)
        rows.push_back({shortened(l.name, 18), shortened(l.data_algorithm, 18),
                        short_number(static_cast<double>(l.data_scale.scale)),
                        concat(three_digits(l.data_clip.min), " .. ", three_digits(l.data_clip.max)),
                        l.user_clips ? "you" : "IFMR", decibel(l.data_sqnr), percent(l.saturation)});
    return text_table(rows);
}

/// "conv1", or "conv1 .. relu1".
inline std::string block_name(const BlockReport& block) {
    if (block.names.empty()) return {};
    if (block.names.size() == 1) return shortened(block.names[0], 28);
    return concat(shortened(block.names.front(), 12), " .. ", shortened(block.names.back(), 12));
}

inline std::string blocks_table(const std::vector<BlockReport>& blocks) {
    std::vector<TableRow> rows{
        {"block", "modules", "error", "distilled", "best epoch", "teacher's input", "seconds"}};
    for (std::size_t b = 0; b != blocks.size(); ++b) {
        const BlockReport& r = blocks[b];
        rows.push_back({number(b + 1), block_name(r), short_number(r.loss_before), short_number(r.loss_after),
                        r.best_epoch == 0 ? "calibrated" : number(r.best_epoch),
                        r.teacher_inputs == 0 ? "never" : concat(r.teacher_inputs, " steps"),
                        number(r.seconds, std::chars_format::fixed, 2)});
    }
    std::string out = text_table(rows);
    for (std::size_t b = 0; b != blocks.size(); ++b)
        if (!blocks[b].stopped.empty())
            append(out, concat("  block ", b + 1, " ended early: ", blocks[b].stopped, '\n'));
    for (std::size_t b = 0; b != blocks.size(); ++b)
        for (const std::string& name : blocks[b].shared)
            append(out, concat("  block ", b + 1, ": ", shortened(name, 28),
                               " is a shared module; other nodes use it as well\n"));
    return out;
}

/// Eight epochs a line.
inline std::string losses_table(const std::vector<BlockReport>& blocks) {
    constexpr std::size_t per_line = 8;
    std::vector<TableRow> rows{{"block", "loss per epoch"}};
    for (std::size_t b = 0; b != blocks.size(); ++b) {
        const std::vector<double>& losses = blocks[b].epoch_losses;
        for (std::size_t first = 0; first < losses.size(); first += per_line) {
            TableRow& row = rows.emplace_back(TableRow{first == 0 ? number(b + 1) : "", ""});
            for (std::size_t e = first; e < losses.size() && e < first + per_line; ++e)
                append(row[1], concat(e == first ? "" : "  ", short_number(losses[e])));
        }
    }
    return rows.size() == 1 ? std::string() : concat('\n', text_table(rows));
}

}  // namespace detail

inline std::string to_table(const DistillReport& report) {
    std::string out =
        detail::concat(detail::weights_table(report.layers), '\n', detail::data_table(report.layers), '\n',
                       detail::blocks_table(report.blocks), detail::losses_table(report.blocks));
    detail::append(out, detail::concat("\n  output, mean squared error to the teacher's: ",
                                       detail::short_number(report.output_error_calibrated), " calibrated, ",
                                       detail::short_number(report.output_error_distilled), " distilled\n"));
    if (report.kept_calibrated)
        detail::append(
            out, "  The outputs did not come 5 % nearer to the teacher's: the calibrated network stays.\n");
    if (report.resumed_blocks != 0)
        detail::append(out,
                       detail::concat("  Blocks taken from an earlier run: ", report.resumed_blocks, "\n"));
    if (report.cancelled)
        detail::append(out, "  The distillation was cancelled; what it had reached stays.\n");
    return out;
}

}  // namespace amct_distill
