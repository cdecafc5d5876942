// SPDX-License-Identifier: Apache-2.0
/// A distillation report as JSON, and a verification's.
///
///     boost::json::object json = to_json(report).as_object();
///     json["verify"] = to_json(verify(student, batches).value());
///     write_file("report.json", print_json(json)).value();
///
/// Needs Boost.JSON, as json.hpp. Not part of amct_distill.hpp. JSON has no infinities: what is not finite is null.
#pragma once
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>

#include "../deploy/verify.hpp"
#include "../distill/report.hpp"
#include "json.hpp"

namespace amct_distill {
namespace detail {
inline boost::json::value finite_or_null(double x) {
    return std::isfinite(x) ? boost::json::value(x) : boost::json::value(nullptr);
}
}  // namespace detail

/// One object per layer and block, with the names of report.hpp; scales and clips widened to double.
inline boost::json::value to_json(const DistillReport& report) {
    using boost::json::array;
    using boost::json::object;
    array layers;
    for (const LayerReport& l : report.layers) {
        array scales, dead;
        for (std::size_t channel : l.dead_channels) dead.emplace_back(channel);
        for (ScaleOffset p : l.weight_scales) scales.emplace_back(static_cast<double>(p.scale));
        layers.push_back(object{{"name", l.name},
                                {"weight_algorithm", l.weight_algorithm},
                                {"data_algorithm", l.data_algorithm},
                                {"weight_bits", l.weight_bits},
                                {"data_bits", l.data_bits},
                                {"weight_scales", std::move(scales)},
                                {"data_scale", static_cast<double>(l.data_scale.scale)},
                                {"data_offset", l.data_scale.offset},
                                {"data_clip_max", static_cast<double>(l.data_clip.max)},
                                {"data_clip_min", static_cast<double>(l.data_clip.min)},
                                {"user_clips", l.user_clips},
                                {"weight_sqnr", detail::finite_or_null(l.weight_sqnr)},
                                {"data_sqnr", detail::finite_or_null(l.data_sqnr)},
                                {"saturation", l.saturation},
                                {"channels", l.channels},
                                {"dead_channels", std::move(dead)}});
    }
    array blocks;
    for (const BlockReport& b : report.blocks) {
        array names, shared, losses;
        for (const std::string& name : b.names) names.emplace_back(name);
        for (const std::string& name : b.shared) shared.emplace_back(name);
        for (double loss : b.epoch_losses) losses.push_back(detail::finite_or_null(loss));
        blocks.push_back(object{{"names", std::move(names)},
                                {"shared", std::move(shared)},
                                {"loss_before", detail::finite_or_null(b.loss_before)},
                                {"loss_after", detail::finite_or_null(b.loss_after)},
                                {"epoch_losses", std::move(losses)},
                                {"best_epoch", b.best_epoch},
                                {"restarts", b.restarts},
                                {"teacher_inputs", b.teacher_inputs},
                                {"seconds", b.seconds},
                                {"stopped", b.stopped}});
    }
    return object{{"layers", std::move(layers)},
                  {"blocks", std::move(blocks)},
                  {"output_error_calibrated", detail::finite_or_null(report.output_error_calibrated)},
                  {"output_error_distilled", detail::finite_or_null(report.output_error_distilled)},
                  {"kept_calibrated", report.kept_calibrated},
                  {"cancelled", report.cancelled},
                  {"resumed_blocks", report.resumed_blocks}};
}

/// One object per layer, with the names of verify.hpp, and `agrees`.
inline boost::json::value to_json(const VerifyReport& report) {
    using boost::json::object;
    boost::json::array layers;
    for (const VerifiedLayer& l : report.layers)
        layers.push_back(object{{"name", l.name},
                                {"outputs", l.outputs},
                                {"different", l.different},
                                {"largest", l.largest},
                                {"explained", l.explained},
                                {"inputs", l.inputs},
                                {"inputs_different", l.inputs_different},
                                {"inputs_largest", l.inputs_largest},
                                {"requantized_channels", l.requantized_channels}});
    return object{{"layers", std::move(layers)},
                  {"output_error", detail::finite_or_null(report.output_error)},
                  {"output_largest", detail::finite_or_null(report.output_largest)},
                  {"output_square", detail::finite_or_null(report.output_square)},
                  {"agrees", report.agrees()}};
}

}  // namespace amct_distill
