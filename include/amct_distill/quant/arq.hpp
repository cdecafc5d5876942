/// ARQ, adaptive range quantization of weights: the largest weight of a row, or of all, sets the scale.
///
///     Arq<Int4, ChannelWise> arq;
///     arq.fake_quantize(w, out);                  // w: one row per output channel
///     result<QuantizedMatrix> q = arq.quantize(w);
///
/// Source: AMCT's ARQ; equal to it bit for bit. Nothing is trained and nothing is kept: scales are recomputed
/// from the weights each time.
#pragma once
#include <algorithm>
#include <cassert>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <span>
#include <vector>

#include "../core/result.hpp"
#include "../policy/forward.hpp"
#include "affine.hpp"
#include "finite.hpp"
#include "range.hpp"

namespace amct_distill {

namespace detail {

/// Largest and smallest value; a NaN is passed over. Lanes make it a loop of vector instructions.
inline ClipRange range_of(std::span<const float> x) {
    constexpr std::size_t lanes = 16;
    assert(!x.empty());
    float max[lanes], min[lanes];
    for (std::size_t lane = 0; lane != lanes; ++lane) max[lane] = min[lane] = x[0];
    std::size_t i = 0;
    for (; i + lanes <= x.size(); i += lanes) {
        for (std::size_t lane = 0; lane != lanes; ++lane) {
            float const v = x[i + lane];
            max[lane] = v > max[lane] ? v : max[lane];
            min[lane] = v < min[lane] ? v : min[lane];
        }
    }
    for (; i != x.size(); ++i) {
        max[0] = (std::max)(max[0], x[i]);
        min[0] = (std::min)(min[0], x[i]);
    }
    for (std::size_t lane = 1; lane != lanes; ++lane) {
        max[0] = (std::max)(max[0], max[lane]);
        min[0] = (std::min)(min[0], min[lane]);
    }
    return {max[0], min[0]};
}

inline ClipRange range_of(const ConstMatrixRef& w) {
    ClipRange all = range_of(row(w, 0));
    for (Eigen::Index r = 1; r != w.rows(); ++r) {
        ClipRange const one = range_of(row(w, r));
        all = {(std::max)(all.max, one.max), (std::min)(all.min, one.min)};
    }
    return all;
}

}  // namespace detail

/// Symmetric: `symmetric_scale` of the range; asymmetric: `asymmetric_scale` of it (range.hpp).
template <BitWidth B, Granularity G, Symmetry S>
class Arq {
public:
    using bits = B;
    using granularity = G;
    using symmetry = S;

    /// An error when w is empty, has a value that is not finite, or, asymmetric, is wider than a float holds.
    result<void> initialize(const ConstMatrixRef& w) { return check(w); }

    /// out = the values w's codes stand for. Preconditions: equal shapes, not empty; out may be w.
    void fake_quantize(const ConstMatrixRef& w, MatrixRef out) const {
        assert(w.rows() == out.rows() && w.cols() == out.cols());
        if constexpr (std::same_as<G, ChannelWise>) {
            for (Eigen::Index r = 0; r != w.rows(); ++r) {
                auto const x = detail::row(w, r);
                amct_distill::fake_quantize<B>(x, detail::row(out, r), scale_of(detail::range_of(x)));
            }
        } else {
            ScaleOffset const p = scale_of(detail::range_of(w));
            for (Eigen::Index r = 0; r != w.rows(); ++r)
                amct_distill::fake_quantize<B>(detail::row(w, r), detail::row(out, r), p);
        }
    }

    /// Straight through: grad_w = grad_out. `grad_parameters` is empty.
    void backward(const ConstMatrixRef&, const ConstMatrixRef& grad_out, MatrixRef grad_w,
                  [[maybe_unused]] std::span<float> grad_parameters) const {
        assert(grad_parameters.empty());
        grad_w = grad_out;
    }

    /// Nothing is trained.
    std::span<float> parameters() { return {}; }
    std::span<const float> parameters() const { return {}; }
    void constrain() {}

    /// One per row, or one.
    std::vector<ScaleOffset> scale_offsets(const ConstMatrixRef& w) const {
        if constexpr (std::same_as<G, ChannelWise>) {
            std::vector<ScaleOffset> scales;
            scales.reserve(static_cast<std::size_t>(w.rows()));
            for (Eigen::Index r = 0; r != w.rows(); ++r)
                scales.push_back(scale_of(detail::range_of(detail::row(w, r))));
            return scales;
        } else {
            return {scale_of(detail::range_of(w))};
        }
    }

    /// The integers. Errors as in `initialize`.
    result<QuantizedMatrix> quantize(const ConstMatrixRef& w) const {
        if (auto ok = check(w); !ok) return ok.diagnostics();
        return amct_distill::quantize<B>(w, scale_offsets(w));
    }

private:
    static result<void> check(const ConstMatrixRef& w) {
        if (auto ok = check_finite(w, "weights"); !ok) return ok;
        if constexpr (std::same_as<S, Asymmetric>) {
            ClipRange const range = detail::range_of(w);
            if (!std::isfinite(range.max - range.min))
                return general_error(detail::concat("weights: the range ", detail::number(range.min), " to ",
                                                    detail::number(range.max),
                                                    " is wider than the largest float; use Symmetric"));
        }
        return {};
    }

    static ScaleOffset scale_of(ClipRange range) {
        if constexpr (std::same_as<S, Symmetric>)
            return symmetric_scale<B>(range);
        else
            return asymmetric_scale<B>(range);
    }
};

}  // namespace amct_distill
