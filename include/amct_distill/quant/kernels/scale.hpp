// SPDX-License-Identifier: Apache-2.0
/// The formulas from a range to scale and offset, for codes whose limits are numbers; scale.hpp has them for
/// types.
///
///     AffineConstants const p = symmetric_constants(max, min, 1, {-128, 127});
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>

#include "affine.hpp"

namespace amct_distill::detail {

/// The lowest and the highest code.
struct CodeLimits {
    float qmin, qmax;
};

/// A normal, finite float. (The smallest normal float is what scale.hpp calls smallest_scale.)
inline bool is_scale(float scale) {
    return scale >= (std::numeric_limits<float>::min)() && scale <= (std::numeric_limits<float>::max)();
}

/// ratio * max(|max|, |min|) / limit, where limit is qmax, or qmax + 1 when |max| < |min|; whether that is a
/// scale or not.
inline float symmetric_quotient(float max, float min, float ratio, CodeLimits limits) {
    float const above = std::abs(max), below = std::abs(min);
    return ratio * (above < below ? below : above) / (limits.qmax + (above < below ? 1.0f : 0.0f));
}
/// The width of the range extended to hold 0 / (qmax - qmin); whether that is a scale or not.
inline float asymmetric_quotient(float max, float min, CodeLimits limits) {
    return ((std::max)(0.0f, max) - (std::min)(0.0f, min)) / (limits.qmax - limits.qmin);
}

inline AffineConstants symmetric_constants(float max, float min, float ratio, CodeLimits limits) {
    float const scale = symmetric_quotient(max, min, ratio, limits);
    return {is_scale(scale) ? scale : 1.0f, 0.0f, limits.qmin, limits.qmax};
}
/// The offset qmin - round(min / scale) or, learned, round(qmin - min / scale).
inline AffineConstants asymmetric_constants(float max, float min, CodeLimits limits, bool learned = false) {
    float const scale = asymmetric_quotient(max, min, limits);
    if (!is_scale(scale)) return {1.0f, limits.qmin, limits.qmin, limits.qmax};
    float const t = (std::min)(0.0f, min) / scale;
    float offset = learned ? limits.qmin - t : t;
    round_elements(offset);
    return {scale, learned ? offset : limits.qmin - offset, limits.qmin, limits.qmax};
}

}  // namespace amct_distill::detail
