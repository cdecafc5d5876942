// SPDX-License-Identifier: Apache-2.0
/// ULQ, universal linear quantization of activations: the clips are trained. For weights see ulq.hpp.
///
///     ActUlq<Int8> ulq(ClipRange{6.0f, -6.0f}, /*fixed_min=*/false);
///     ulq.fake_quantize(x, y);
///     ulq.backward(x, grad_y, grad_x, grad_clips);   // then the optimizer changes ulq.parameters()
///     ulq.constrain();
///
/// Source: AMCT's activation ULQ; forward and grad_x are equal to it bit for bit.
#pragma once
#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

#include "../core/result.hpp"
#include "../policy/quantizer_names.hpp"
#include "../run/execution.hpp"
#include "../run/ordered_sum.hpp"
#include "affine.hpp"
#include "finite.hpp"
#include "ifmr.hpp"
#include "kernels/gradient.hpp"
#include "scale.hpp"

namespace amct_distill {

/// Scale and offset come from the clips: `asymmetric_scale_learned` or, symmetric, `symmetric_scale` of the
/// clips extended to hold 0.
template <BitWidth B, Symmetry S>
class ActUlq {
public:
    using bits = B;
    using symmetry = S;
    using calibrator = Ifmr<B>;

    /// Not calibrated yet: scale 1.
    ActUlq() = default;
    /// The state at the first step.
    ActUlq(ClipRange clip, bool fixed_min) : ActUlq(clip, clip, fixed_min) { constrain(); }
    /// The state between an optimizer step and `constrain`, which comes next: clips as the optimizer left
    /// them, and those of the step before.
    ActUlq(ClipRange clip, ClipRange previous, bool fixed_min)
        : clips_{clip.max, clip.min}, previous_(previous), fixed_min_(fixed_min) {}

    /// {clip_max, clip_min}.
    std::span<float> parameters() { return clips_; }
    std::span<const float> parameters() const { return clips_; }

    ClipRange clip() const { return {clips_[0], clips_[1]}; }
    bool fixed_min() const { return fixed_min_; }
    ScaleOffset scale_offset() const { return scale_of(clip()); }

    /// Whether `constrain` has something sound to fall back to and nothing to repair: clips and previous
    /// clips finite, their width and scale too, and the scale no smaller than `smallest_scale`. (Where they
    /// are not finite, AMCT fails at the next forward.)
    result<void> check_clips() const {
        for (auto [name, range] : {std::pair<std::string_view, ClipRange>{"clip", clip()},
                                   std::pair<std::string_view, ClipRange>{"previous clip", previous_}}) {
            bool const finite = std::isfinite(range.max - range.min);
            RangeUse const use = finite ? use_of<B, S>(range) : RangeUse::too_wide;
            if (use == RangeUse::usable) continue;
            return general_error(detail::concat(
                "activations: the ", name, " range is ", number(range.min), " to ", number(range.max),
                use == RangeUse::too_wide ? "; its ends and its width must be finite: set other clips"
                                          : "; its scale would be no normal float: set wider clips"));
        }
        return {};
    }

    /// What AMCT does to the clips at the start of a forward; here after each change of `parameters()`:
    ///   1. with fixed_min, clip_min = 0;
    ///   2. if clip_max - clip_min == 0, both clips as they were at the previous step; else if clip_max < 0,
    ///      clip_max as it was; else if clip_min > 0, clip_min as it was.
    /// Nothing else is repaired: a clip_max below clip_min does no harm, since the range is extended to hold
    /// 0. Before the two steps, a clip that is not finite is set to its previous value; after them, so are
    /// both if the range is too wide or too narrow for a scale, `use_of`. (AMCT fails in these cases, or goes
    /// on with the scale 1.)
    void constrain() {
        ClipRange now = clip();
        if (!std::isfinite(now.max)) now.max = previous_.max;
        if (!std::isfinite(now.min)) now.min = previous_.min;
        if (fixed_min_) now.min = 0;
        if (now.max - now.min == 0)
            now = previous_;
        else if (now.max < 0)
            now.max = previous_.max;
        else if (now.min > 0)
            now.min = previous_.min;
        if (use_of<B, S>(now) != RangeUse::usable) now = previous_;
        clips_ = {now.max, now.min};
        previous_ = now;
    }

    /// y = the values x's codes stand for. Precondition: equal sizes; y may be x.
    void fake_quantize(std::span<const float> x, std::span<float> y, const Execution& on = {}) const {
        amct_distill::fake_quantize<B>(x, y, scale_offset(), on);
    }

    /// With `up` = x > s * (qmax - o), `dn` = x < s * (qmin - o),
    /// t = (up ? clip_max : dn ? clip_min : x) / s and e = (round(t) - t) / (2^n - 1):
    ///   d clip_max = sum of (e + up) * g,   d clip_min = sum of (dn - e) * g,
    ///   dx = g where neither up nor dn, else 0.
    /// The sums are ordered_sums. Preconditions: equal sizes; grad_clips has two entries. grad_x may be
    /// grad_y.
    void backward(std::span<const float> x, std::span<const float> grad_y, std::span<float> grad_x,
                  std::span<float> grad_clips, const Execution& on = {}) const {
        assert(x.size() == grad_y.size() && x.size() == grad_x.size() && grad_clips.size() == 2);
        constexpr double levels = B::qmax - B::qmin;
        ClipRange const c = clip();
        ScaleOffset const p = scale_offset();
        auto const offset = static_cast<float>(p.offset);
        float const upper = p.scale * (static_cast<float>(B::qmax) - offset);
        float lower = p.scale * (static_cast<float>(B::qmin) - offset);
        if (lower == 0) lower = -0.0f;  // the same, as a bound

        bool const stream = grad_x.data() != grad_y.data() && grad_x.data() != x.data() &&
                            grad_x.size_bytes() > on.streaming_size && detail::is_aligned(grad_x.data());
        auto const sums = [&](auto terms) { return detail::ordered_sums(on, x.size(), terms); };
        auto const [inside, above, below] =
            stream ? sums(detail::ClipGradient<true>{x.data(), grad_y.data(), grad_x.data(), p.scale, upper,
                                                     lower})
                   : sums(detail::ClipGradient<false>{x.data(), grad_y.data(), grad_x.data(), p.scale, upper,
                                                      lower});
        if (stream) detail::streaming_fence();

        // What is clipped has the residual of its clip.
        auto const residual_of = [&](float clip) {
            float const t = clip / p.scale;
            return static_cast<double>(detail::round_half_even(t) - t);
        };
        double const e = (inside + residual_of(c.max) * above + residual_of(c.min) * below) / levels;
        grad_clips[0] = static_cast<float>(above + e);
        grad_clips[1] = static_cast<float>(below - e);
    }

private:
    static ScaleOffset scale_of(ClipRange range) {
        if constexpr (std::same_as<S, Symmetric>)
            return symmetric_scale<B>({(std::max)(0.0f, range.max), (std::min)(0.0f, range.min)});
        else
            return asymmetric_scale_learned<B>(range);
    }

    std::array<float, 2> clips_{};
    ClipRange previous_{};
    bool fixed_min_ = false;
};

}  // namespace amct_distill
