// SPDX-License-Identifier: Apache-2.0
/// ULQ, universal linear quantization of weights: the scales are trained. For activations see act_ulq.hpp.
///
///     Ulq<Int4, ChannelWise> ulq;
///     ulq.initialize(w).value();                       // begins with ARQ's scales
///     ulq.fake_quantize(w, out);
///     ulq.backward(w, grad_out, grad_w, grad_scales);  // then the optimizer changes ulq.parameters()
///     ulq.constrain();
///
/// Source: AMCT's weight ULQ; the forward is equal to it bit for bit.
#pragma once
#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "../core/result.hpp"
#include "../policy/initial_range.hpp"
#include "../policy/quantizer_names.hpp"
#include "../run/execution.hpp"
#include "../run/ordered_sum.hpp"
#include "affine.hpp"
#include "arq.hpp"
#include "finite.hpp"
#include "kernels/gradient.hpp"
#include "matrix.hpp"
#include "quantized_matrix.hpp"
#include "scale.hpp"
#include "scales.hpp"

namespace amct_distill {

/// Symmetric, offset 0. `initialize` comes first; every w after it has the same number of rows.
template <BitWidth B, Granularity G>
class Ulq {
public:
    using bits = B;
    using granularity = G;
    using symmetry = Symmetric;

    Ulq() = default;
    explicit Ulq(InitialRange initial) : initial_(initial) {}
    /// From the message of a configuration.
    template <class Message>
    requires requires(const Message& m) { InitialRange(m.initial_range.get()); }
    explicit Ulq(const Message& m) : initial_(m.initial_range.get()) {}

    /// Takes ARQ's scales of w, of the range that it was made with. Errors and warnings are those of ARQ;
    /// after an error all is as before.
    result<void> initialize(const ConstMatrixRef& w, const Execution& on = {}) {
        Arq<B, G> arq(initial_);
        auto checked = arq.initialize(w, on);
        if (!checked) return checked;
        std::vector<float> scales;
        for (ScaleOffset p : arq.scale_offsets(w, on)) scales.push_back(p.scale);
        auto last_good = scales;
        scales_ = std::move(scales);
        last_good_ = std::move(last_good);
        return checked;
    }

    /// out = the values w's codes stand for. Precondition: equal shapes; out may be w.
    void fake_quantize(const ConstMatrixRef& w, MatrixRef out, const Execution& on = {}) const {
        assert(w.rows() == out.rows() && w.cols() == out.cols());
        detail::for_each_row(on, w, [&](Eigen::Index r, const Execution& serial) {
            amct_distill::fake_quantize<B>(detail::row(w, r), detail::row(out, r), {scale_of_row(w, r), 0},
                                           serial);
        });
    }

    /// Straight through for the weights: grad_w = grad_out, outside the range too. For a scale s, with
    /// t = w / s and K the row length (also when the scale is of the whole tensor):
    /// ds = sum of grad_out * (qmax where w > s * qmax; qmin where w < s * qmin; else round(t) - t), divided
    /// by sqrt(K * qmax). A row's sum is ordered_sums; rows are added from the first to the last.
    void backward(const ConstMatrixRef& w, const ConstMatrixRef& grad_out, MatrixRef grad_w,
                  std::span<float> grad_scales, const Execution& on = {}) const {
        assert(grad_scales.size() == scales_.size());
        double const divisor = std::sqrt(static_cast<double>(w.cols()) * B::qmax);
        std::array<double, 256> sums;  // of some rows, on the stack
        double whole = 0;
        auto const step = static_cast<Eigen::Index>(sums.size());
        for (Eigen::Index first = 0; first < w.rows(); first += step) {
            Eigen::Index const rows = (std::min)(step, w.rows() - first);
            detail::for_each_row(on, w.middleRows(first, rows), [&](Eigen::Index i, const Execution& serial) {
                Eigen::Index const r = first + i;
                sums[static_cast<std::size_t>(i)] =
                    scale_gradient(detail::row(w, r), detail::row(grad_out, r), scale_of_row(w, r), serial);
            });
            for (Eigen::Index i = 0; i != rows; ++i) {
                double const sum = sums[static_cast<std::size_t>(i)];
                if constexpr (std::same_as<G, ChannelWise>)
                    grad_scales[static_cast<std::size_t>(first + i)] = static_cast<float>(sum / divisor);
                else
                    whole += sum;
            }
        }
        if constexpr (!std::same_as<G, ChannelWise>) grad_scales[0] = static_cast<float>(whole / divisor);
        grad_w = grad_out;
    }

    /// The scales: one per row, or one.
    std::span<float> parameters() { return scales_; }
    std::span<const float> parameters() const { return scales_; }

    /// A scale that is not usable (`is_usable`: not positive, below the smallest normal float, so large that
    /// codes stand for infinities) falls back to its last good value. (AMCT has no guard here and divides by
    /// it.)
    void constrain() {
        for (std::size_t i = 0; i != scales_.size(); ++i) {
            if (is_usable<B>({scales_[i], 0}))
                last_good_[i] = scales_[i];
            else
                scales_[i] = last_good_[i];
        }
    }

    /// One per row, or one.
    Scales scale_offsets(const ConstMatrixRef&) const {
        std::vector<ScaleOffset> all;
        all.reserve(scales_.size());
        for (float scale : scales_) all.push_back({scale, 0});
        return all;
    }

    /// The integers. An error when w is empty or has a value that is not finite.
    result<QuantizedMatrix> quantize(const ConstMatrixRef& w, const Execution& on = {}) const {
        if (auto ok = check_finite(w, "weights", on); !ok) return ok.diagnostics();
        return amct_distill::quantize<B>(w, scale_offsets(w), on);
    }

private:
    float scale_of_row([[maybe_unused]] const ConstMatrixRef& w, Eigen::Index r) const {
        if constexpr (std::same_as<G, ChannelWise>) {
            assert(scales_.size() == static_cast<std::size_t>(w.rows()));
            return scales_[static_cast<std::size_t>(r)];
        } else {
            assert(scales_.size() == 1);
            return scales_[0];
        }
    }

    static double scale_gradient(std::span<const float> w, std::span<const float> g, float scale,
                                 const Execution& on) {
        constexpr auto qmax = static_cast<float>(B::qmax), qmin = static_cast<float>(B::qmin);
        return detail::ordered_sums(
            on, w.size(),
            detail::ScaleGradient{w.data(), g.data(), scale, qmax, qmin, scale * qmax, scale * qmin})[0];
    }

    InitialRange initial_ = InitialRange::MAX;
    std::vector<float> scales_{};
    std::vector<float> last_good_{};
};

}  // namespace amct_distill
