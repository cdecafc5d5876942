/// A distillation report as JSON.
///
///     write_file("report.json", print_json(to_json(report))).value();
///
/// Needs Boost.JSON, as json.hpp. Not part of amct_distill.hpp. JSON has no infinities: what is not finite is null.
#pragma once
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cmath>

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
        array scales;
        for (ScaleOffset p : l.weight_scales) scales.emplace_back(static_cast<double>(p.scale));
        layers.push_back(object{{"name", l.name},
                                {"weight_policy", l.weight_policy},
                                {"data_policy", l.data_policy},
                                {"weight_bits", l.weight_bits},
                                {"data_bits", l.data_bits},
                                {"weight_scales", std::move(scales)},
                                {"data_scale", static_cast<double>(l.data_scale.scale)},
                                {"data_offset", l.data_scale.offset},
                                {"data_clip_max", static_cast<double>(l.data_clip.max)},
                                {"data_clip_min", static_cast<double>(l.data_clip.min)},
                                {"user_clips", l.user_clips},
                                {"weight_sqnr", detail::finite_or_null(l.weight_sqnr)},
                                {"data_sqnr", detail::finite_or_null(l.data_sqnr)}});
    }
    array blocks;
    for (const BlockReport& b : report.blocks) {
        array names, losses;
        for (const std::string& name : b.names) names.emplace_back(name);
        for (double loss : b.epoch_losses) losses.push_back(detail::finite_or_null(loss));
        blocks.push_back(object{{"names", std::move(names)},
                                {"loss_before", detail::finite_or_null(b.loss_before)},
                                {"loss_after", detail::finite_or_null(b.loss_after)},
                                {"epoch_losses", std::move(losses)},
                                {"best_epoch", b.best_epoch},
                                {"teacher_inputs", b.teacher_inputs},
                                {"stopped", b.stopped}});
    }
    return object{{"layers", std::move(layers)},
                  {"blocks", std::move(blocks)},
                  {"output_error_calibrated", detail::finite_or_null(report.output_error_calibrated)},
                  {"output_error_distilled", detail::finite_or_null(report.output_error_distilled)},
                  {"kept_calibrated", report.kept_calibrated},
                  {"cancelled", report.cancelled}};
}

}  // namespace amct_distill
