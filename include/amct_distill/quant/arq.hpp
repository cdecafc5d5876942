// SPDX-License-Identifier: Apache-2.0
/// ARQ, adaptive range quantization of weights: the largest weight of a row, or of all, sets the scale.
///
///     Arq<Int4, ChannelWise> arq;
///     arq.fake_quantize(w, out);                  // w: one row per output channel
///     result<QuantizedMatrix> q = arq.quantize(w);
///
/// Source: AMCT's ARQ; equal to it bit for bit. Nothing is trained: scales are recomputed from the weights
/// each time. Kept is, with InitialRange::MSE, which part of its range a row has left.
#pragma once
#include <algorithm>
#include <cassert>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "../policy/initial_range.hpp"
#include "../policy/quantizer_names.hpp"
#include "../run/execution.hpp"
#include "affine.hpp"
#include "finite.hpp"
#include "kernels/fake_quantize_rows.hpp"
#include "matrix.hpp"
#include "quantized_matrix.hpp"
#include "range_search.hpp"
#include "scale.hpp"
#include "scales.hpp"

namespace amct_distill {

/// Symmetric: `symmetric_scale` of the range; asymmetric: `asymmetric_scale` of it (scale.hpp).
template <BitWidth B, Granularity G, Symmetry S>
class Arq {
public:
    using bits = B;
    using granularity = G;
    using symmetry = S;

    Arq() = default;
    /// MSE: a row's range, now and later, is as much smaller as the one of the least squared error is in
    /// `initialize` (range_search.hpp).
    explicit Arq(InitialRange initial) requires std::same_as<S, Symmetric> : initial_(initial) {}
    /// From the message of a configuration.
    template <class Message>
    requires requires(const Message& m) { InitialRange(m.initial_range.get()); } && std::same_as<S, Symmetric>
    explicit Arq(const Message& m) : initial_(m.initial_range.get()) {}

    /// Errors: w is empty, has a value that is not finite, or a range so wide that codes would stand for
    /// values that are not. Warning, one for all rows: ranges so narrow that they have no scale, `use_of`;
    /// their weights become 0.
    result<void> initialize(const ConstMatrixRef& w, const Execution& on = {}) {
        auto const found = ranges(w, on);
        if (auto ok = check_weights(w, found, on); !ok) return ok;
        Diagnostics warnings;
        std::size_t narrow = 0;
        for (std::size_t r = 0; r != found.size(); ++r)
            if (ClipRange const range = detail::clips(found[r]); use_of<B, S>(range) == RangeUse::too_narrow)
                if (++narrow == 1) warnings.push_back(detail::too_narrow(name_of(r), range, B::name));
        if (narrow > 1)
            warnings.front().message += detail::concat("; so it is with ", narrow - 1, " more of its rows");
        if constexpr (std::same_as<S, Symmetric>)
            if (initial_ == InitialRange::MSE) ratios_ = search_ratios<B, G>(w, on);
        return result<void>::with_warnings(std::move(warnings));
    }

    /// out = the values w's codes stand for. Preconditions: equal shapes, not empty; out may be w.
    void fake_quantize(const ConstMatrixRef& w, MatrixRef out, const Execution& on = {}) const {
        assert(w.rows() == out.rows() && w.cols() == out.cols());
        if constexpr (std::same_as<G, ChannelWise>) {
            if (!ratios_.empty()) {
                detail::for_each_row(on, w, [&](Eigen::Index r, const Execution& serial) {
                    auto const row = detail::row(w, r);
                    amct_distill::fake_quantize<B>(
                        row, detail::row(out, r),
                        scale_of(detail::range_of(row, serial), static_cast<std::size_t>(r)), serial);
                });
                return;
            }
            auto const stream = w.data() != out.data() &&
                                static_cast<std::size_t>(w.size()) * sizeof(float) > on.streaming_size;
            auto const cols = static_cast<std::size_t>(w.cols());
            auto const from = static_cast<std::size_t>(w.outerStride());
            auto const to = static_cast<std::size_t>(out.outerStride());
            detail::in_parts(on, static_cast<std::size_t>(w.rows()), detail::rows_per_task(w),
                             [&](std::size_t begin, std::size_t end) {
                                 auto const run = [&]<bool Stream>(std::bool_constant<Stream>) {
                                     detail::run_on(on.instructions,
                                                    detail::FakeQuantizeRowsLoop<Stream>{
                                                        w.data() + begin * from, out.data() + begin * to,
                                                        end - begin, cols, from, to, detail::limits_of<B>(),
                                                        std::same_as<S, Symmetric>});
                                 };
                                 stream ? run(std::true_type{}) : run(std::false_type{});
                             });
        } else {
            ScaleOffset const p = scale_of(detail::range_of(w, on), 0);
            detail::for_each_row(on, w, [&](Eigen::Index r, const Execution& serial) {
                amct_distill::fake_quantize<B>(detail::row(w, r), detail::row(out, r), p, serial);
            });
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
    Scales scale_offsets(const ConstMatrixRef& w, const Execution& on = {}) const {
        return scales_of(ranges(w, on));
    }

    /// The integers. Errors as in `initialize`.
    result<QuantizedMatrix> quantize(const ConstMatrixRef& w, const Execution& on = {}) const {
        auto const found = ranges(w, on);
        if (auto ok = check_weights(w, found, on); !ok) return ok.diagnostics();
        return amct_distill::quantize<B>(w, scales_of(found), on);
    }

private:
    using Ranges = std::vector<detail::ValueRange>;

    /// One per row, or one.
    static Ranges ranges(const ConstMatrixRef& w, const Execution& on) {
        if constexpr (!std::same_as<G, ChannelWise>) return {detail::range_of(w, on)};
        Ranges all(static_cast<std::size_t>(w.rows()));
        detail::for_each_row(on, w, [&](Eigen::Index r, const Execution& serial) {
            all[static_cast<std::size_t>(r)] = detail::range_of(detail::row(w, r), serial);
        });
        return all;
    }
    Scales scales_of(const Ranges& all) const {
        std::vector<ScaleOffset> scales;
        scales.reserve(all.size());
        for (const detail::ValueRange& range : all) scales.push_back(scale_of(range, scales.size()));
        return scales;
    }
    static std::string name_of(std::size_t r) {
        return std::same_as<G, ChannelWise> ? detail::concat("weights: row ", r) : "weights";
    }
    static result<void> check_weights(const ConstMatrixRef& w, const Ranges& all, const Execution& on) {
        bool const finite =
            std::all_of(all.begin(), all.end(), [](const detail::ValueRange& r) { return r.finite; });
        if (w.size() == 0 || !finite) return check_finite(w, "weights", on);  // says where
        for (std::size_t r = 0; r != all.size(); ++r)
            if (ClipRange const range = detail::clips(all[r]); use_of<B, S>(range) == RangeUse::too_wide)
                return detail::too_wide(name_of(r), range, B::name);
        return {};
    }

    ScaleOffset scale_of(detail::ValueRange range, [[maybe_unused]] std::size_t r) const {
        if constexpr (std::same_as<S, Symmetric>)
            return symmetric_scale<B>(detail::clips(range), ratios_.empty() ? 1.0f : ratios_[r]);
        else
            return asymmetric_scale<B>(detail::clips(range));
    }

    InitialRange initial_ = InitialRange::MAX;
    std::vector<float> ratios_{};  // one per row, or one, of the ranges; empty: all of them 1
};

}  // namespace amct_distill
