// SPDX-License-Identifier: Apache-2.0
/// Whether the clips that a user gave make a range that can be quantized.
///
///     detail::check_clips(rule.data, found);
///     // quant.cfg:3:20: error: ...clip_max_min: the range from -3e+38 to 3e+38 is wider than ...
#pragma once
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "../core/concat.hpp"
#include "../core/diagnostic_list.hpp"
#include "../core/number.hpp"
#include "formats.hpp"
#include "settings.hpp"

namespace amct_distill::detail {

/// How many steps a message's codes make: 255 of INT8.
template <class M>
float steps_of(const M& message) {
    return visit_type(data_formats{}, data_format(message),
                      []<class B>(std::type_identity<B>) { return static_cast<float>(B::qmax - B::qmin); });
}

/// Why a range of clips cannot be quantized, when it cannot: its width overflows, or the scale of its codes
/// is no normal float32. `fixed_min` as the user set it, or not: then both ranges have to be usable.
template <class M>
std::string unusable_range(const M& message, float max, float min) {
    std::optional<bool> fixed;
    if constexpr (requires { message.fixed_min.has_value(); })
        if (message.fixed_min.has_value()) fixed = *message.fixed_min;
    bool const from_min = fixed != true, from_zero = fixed != false;
    if (from_min && !std::isfinite(max - min))
        return concat("the range from ", number(min), " to ", number(max),
                      " is wider than the largest float32");
    float const least = from_zero ? max : max - min;
    if (least / steps_of(message) < (std::numeric_limits<float>::min)())
        return concat("the range from ", from_zero ? std::string("0") : number(min), " to ", number(max),
                      " is too narrow: float32 has no normal number for the scale");
    return {};
}

/// clip_max > 0, clip_min < 0, both finite, and a range between them that can be quantized.
template <class Alternatives>
void check_clips(const RuleSection<Alternatives>& source, DiagnosticList& found) {
    if (source.choice == nullptr) return;
    std::visit(
        [&](const auto& message) {
            if constexpr (requires {
                              message.clip_max_min->clip_max.position();
                              message.clip_max_min->clip_min.position();
                          }) {
                if (!message.clip_max_min.has_value()) return;
                constexpr std::string_view remedy = "; leave clip_max_min out, and IFMR computes the clips";
                bool sound = true;
                auto const check_one = [&](const required<float>& clip, std::string_view name, bool ok,
                                           std::string_view rule) {
                    if (ok && std::isfinite(*clip)) return;
                    sound = false;
                    found.error(
                        either(clip.position(), source.where), concat(source.path, ".clip_max_min.", name),
                        concat(name, " must be ", rule, " and finite, and is ", number(*clip), remedy));
                };
                const auto& clips = *message.clip_max_min;
                check_one(clips.clip_max, "clip_max", *clips.clip_max > 0, "above 0");
                check_one(clips.clip_min, "clip_min", *clips.clip_min < 0, "below 0");
                if (!sound) return;
                std::string const reason = unusable_range(message, *clips.clip_max, *clips.clip_min);
                if (!reason.empty())
                    found.error(either(message.clip_max_min.position(), source.where),
                                concat(source.path, ".clip_max_min"), concat(reason, remedy));
            }
        },
        source.choice->value());
}

}  // namespace amct_distill::detail
