// SPDX-License-Identifier: Apache-2.0
/// ONNX's Resize of all opsets, and Upsample, which was its name until opset 9.
#pragma once
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "../../nn/layers/upsample.hpp"
#include "../operation.hpp"

namespace amct_distill::onnx::detail {

/// Scales for the axes that an attribute names, or for all.
inline void read_scales(Operation& o, std::vector<float> given,
                        const std::optional<std::vector<std::int64_t>>& axes, nn::UpsampleOptions& options) {
    std::size_t const rank = o.model_shape(0).size();
    if (given.size() != (axes ? axes->size() : rank))
        return o.fail(
            amct_distill::detail::concat("expected a scale for each dimension, found ", given.size()));
    options.scales.assign(rank, 1.0f);
    for (std::size_t i = 0; i != given.size() && !o.failed(); ++i)
        options.scales[axes ? o.axis((*axes)[i], 0) : i] = given[i];
}

inline void read_sizes(Operation& o, const std::vector<Size>& given,
                       const std::optional<std::vector<std::int64_t>>& axes, nn::UpsampleOptions& options) {
    Shape const from = o.model_shape(0);
    if (given.size() != (axes ? axes->size() : from.size()))
        return o.fail(
            amct_distill::detail::concat("expected a size for each dimension, found ", given.size()));
    options.sizes.assign(from.size(), 0);
    for (std::size_t i = 0; i != given.size() && !o.failed(); ++i) {
        std::size_t const d = axes ? o.axis((*axes)[i], 0) : i;
        // The batch, or the number that it had when the model was exported.
        bool const stays = given[i] == from[d] || (!from[d].is_fixed() && o.exported_batch() &&
                                                   given[i] == Size(*o.exported_batch()));
        if (!stays && !given[i].is_fixed()) o.fail("a size depends on the batch");
        if (!stays) options.sizes[d] = static_cast<nn::Index>(given[i].fixed);
    }
}

/// An input that is there and not empty, as exporters leave out roi and scales.
inline bool has_values(Operation& o, std::size_t i) {
    return o.has(i) && !(o.is_constant(i) && o.model_shape(i) == Shape{Size(0)});
}

template <class Value, std::size_t N>
std::optional<Value> value_named(Operation& o, std::string_view attribute, std::string_view name,
                                 const std::array<std::pair<std::string_view, Value>, N>& values) {
    for (const auto& [text, value] : values)
        if (text == name) return value;
    o.fail(amct_distill::detail::concat(attribute, " `", name, "` is not supported"));
    return std::nullopt;
}
inline nn::ResizeMode resize_mode(Operation& o) {
    static constexpr std::array<std::pair<std::string_view, nn::ResizeMode>, 3> modes{
        {{"nearest", nn::ResizeMode::nearest},
         {"linear", nn::ResizeMode::linear},
         {"cubic", nn::ResizeMode::cubic}}};
    std::string_view const name = o.attributes().text("mode", "nearest");
    return value_named(o, "mode", name == "bilinear" ? "linear" : name, modes).value_or(nn::ResizeMode{});
}

/// Upsample, and Resize of opset 10: pixels lie at j / scale. What is nearest there ONNX does not say; it is
/// as ONNX Runtime has it.
inline void convert_upsample(Operation& o) {
    nn::UpsampleOptions options;
    options.mode = resize_mode(o);
    options.coordinates = nn::ResizeCoordinates::asymmetric;
    options.nearest = nn::ResizeNearest::floor;
    bool const as_attribute = o.opset() < 9;
    o.at_most(as_attribute ? 1 : 2);
    std::optional<std::vector<float>> scales;
    if (as_attribute) {
        scales = o.attributes().reals("scales");
        if (!scales) return o.fail("its scales are missing; of an opset before 7 export the model anew");
    } else {
        nn::Tensor const given = o.constant(1);
        scales.emplace(given.begin(), given.end());
    }
    if (o.failed()) return;
    read_scales(o, *std::move(scales), std::nullopt, options);
    bool smaller = false, larger = false;
    for (float s : options.scales) smaller = smaller || s < 1, larger = larger || s > 1;
    if (smaller && options.mode == nn::ResizeMode::nearest) {
        if (larger) return o.fail("it makes one dimension larger and another smaller");
        options.nearest = nn::ResizeNearest::ceil;
    }
    if (!o.failed()) o.function(nn::Upsample(std::move(options)), {0});
}

inline void convert_resize(Operation& o) {
    if (o.opset() < 11) return convert_upsample(o);
    static constexpr std::array<std::pair<std::string_view, nn::ResizeCoordinates>, 6> coordinates{
        {{"half_pixel", nn::ResizeCoordinates::half_pixel},
         {"asymmetric", nn::ResizeCoordinates::asymmetric},
         {"align_corners", nn::ResizeCoordinates::align_corners},
         {"pytorch_half_pixel", nn::ResizeCoordinates::pytorch_half_pixel},
         {"tf_half_pixel_for_nn", nn::ResizeCoordinates::tf_half_pixel_for_nn},
         {"half_pixel_symmetric", nn::ResizeCoordinates::half_pixel_symmetric}}};
    static constexpr std::array<std::pair<std::string_view, nn::ResizeNearest>, 4> nearest{
        {{"round_prefer_floor", nn::ResizeNearest::round_prefer_floor},
         {"round_prefer_ceil", nn::ResizeNearest::round_prefer_ceil},
         {"floor", nn::ResizeNearest::floor},
         {"ceil", nn::ResizeNearest::ceil}}};
    o.at_most(4);
    Attributes& a = o.attributes();
    nn::UpsampleOptions options;
    options.mode = resize_mode(o);
    std::string_view const how = a.text("coordinate_transformation_mode", "half_pixel");
    options.coordinates =
        value_named(o, "coordinate_transformation_mode", how, coordinates).value_or(nn::ResizeCoordinates{});
    options.nearest = value_named(o, "nearest_mode", a.text("nearest_mode", "round_prefer_floor"), nearest)
                          .value_or(nn::ResizeNearest{});
    options.cubic_coefficient = a.real("cubic_coeff_a", -0.75f);
    options.exclude_outside = a.integer("exclude_outside", 0) != 0;
    if (options.exclude_outside && options.mode != nn::ResizeMode::cubic)
        o.fail("exclude_outside is supported for mode cubic alone");
    a.ignore("extrapolation_value");  // of tf_crop_and_resize
    if (a.integer("antialias", 0) != 0) o.fail("antialias is not supported");
    if (std::string_view const policy = a.text("keep_aspect_ratio_policy", "stretch"); policy != "stretch")
        o.fail(amct_distill::detail::concat("keep_aspect_ratio_policy `", policy, "` is not supported"));
    std::optional<std::vector<std::int64_t>> const axes = a.integers("axes");
    if (o.failed()) return;
    if (has_values(o, 3)) {
        read_sizes(o, o.sizes(3), axes, options);
    } else {
        nn::Tensor const scales = o.constant(2);
        if (o.failed()) return;
        read_scales(o, {scales.begin(), scales.end()}, axes, options);
        // ONNX and its runtimes disagree where the last corner lies, if the size is not whole.
        nn::Shape const shape = o.shape(0);
        for (std::size_t d = 0; d != options.scales.size() && !o.failed(); ++d)
            if (options.coordinates == nn::ResizeCoordinates::align_corners && options.scales[d] != 1)
                if (float const size = options.scales[d] * static_cast<float>(shape[d]);
                    size != std::floor(size))
                    o.fail("align_corners with a scale that gives no whole size; export it with sizes");
    }
    if (!o.failed()) o.function(nn::Upsample(std::move(options)), {0});
}

inline constexpr std::array resize_rules{
    OperatorRule{"Resize", convert_resize},
    OperatorRule{"Upsample", convert_upsample},
};

}  // namespace amct_distill::onnx::detail
