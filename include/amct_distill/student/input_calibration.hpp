// SPDX-License-Identifier: Apache-2.0
/// Finds the first clips of one layer's input; until they are taken the input passes unquantized.
///
///     InputCalibration calibration(quantizers, IfmrOptions{}, /*memory=*/1 << 20);
///     calibration.observe(x, execution);  ...          // every batch of the layer's inputs
///     calibration.finish(execution);
///     calibration.take();                              // without it, the quantizers are as they were before
#pragma once
#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "../core/result.hpp"
#include "../quant/calibrator.hpp"
#include "../quant/ifmr.hpp"
#include "../run/execution.hpp"
#include "layer_quantizers.hpp"

namespace amct_distill {
namespace detail {

/// The calibrator of a quantizer, with options where it takes them.
template <class Q>
struct CalibratorOf {
    typename Q::calibrator calibrator;
    explicit CalibratorOf(const IfmrOptions& options) : calibrator(make(options)) {}

private:
    static typename Q::calibrator make([[maybe_unused]] const IfmrOptions& options) {
        if constexpr (std::is_constructible_v<typename Q::calibrator, const IfmrOptions&>)
            return typename Q::calibrator(options);
        else
            return {};
    }
};
template <class>
struct with_calibrators;
template <class... Q>
struct with_calibrators<std::variant<Q...>> {
    using type = std::variant<std::monostate, CalibratorOf<Q>...>;
};

}  // namespace detail

template <class Algorithms>
class InputCalibration {
public:
    /// Of what was observed it keeps `memory` bytes, where the calibrator can be told so; the rest goes to a
    /// file in the directory (empty: among the system's temporary files).
    InputCalibration(LayerQuantizers<Algorithms>& quantizers, const IfmrOptions& options,
                     std::size_t memory = static_cast<std::size_t>(-1), const std::string& directory = {})
        : quantizers_(quantizers), was_calibrated_(quantizers.is_calibrated_) {
        std::visit(
            [&]<class Q>(const Q&) {
                auto& made = calibrator_.template emplace<detail::CalibratorOf<Q>>(options);
                detail::limit_memory_of(made.calibrator, (std::min)(memory, options.max_bytes), directory);
            },
            quantizers.data_);
        quantizers.is_calibrated_ = false;
    }
    InputCalibration(const InputCalibration&) = delete;
    InputCalibration& operator=(const InputCalibration&) = delete;
    ~InputCalibration() {
        if (!taken_) quantizers_.is_calibrated_ = was_calibrated_;
    }

    /// Errors: the batch is empty or not finite; a temporary file cannot be written.
    result<void> observe(std::span<const float> x, const Execution& on = {}) {
        return with_calibrator([&](auto& calibrator) { return detail::observe_on(on, calibrator, x); });
    }
    /// Errors: nothing was observed; no clips suit what was.
    result<void> finish(const Execution& on = {}) {
        return with_calibrator([&](auto& calibrator) -> result<void> {
            auto const found = detail::finish_on(on, calibrator);
            if (!found) return found.diagnostics();
            clip_ = found->clip;
            warnings_ = found.diagnostics();
            return {};
        });
    }
    /// Of `finish`.
    const Diagnostics& warnings() const { return warnings_; }
    ClipRange clip() const { return clip_.value(); }
    /// What another's `finish` found, instead of it.
    void set_found(ClipRange clip, Diagnostics warnings) {
        clip_ = clip;
        warnings_ = std::move(warnings);
    }
    /// After `finish`, or `set_found`.
    void take() {
        quantizers_.set_clips(clip_.value());
        taken_ = true;
    }

private:
    template <class F>
    result<void> with_calibrator(const F& f) {
        return std::visit(
            [&]<class C>(C& held) -> result<void> {
                if constexpr (std::is_same_v<C, std::monostate>)
                    return {};  // never: the constructor makes one
                else
                    return f(held.calibrator);
            },
            calibrator_);
    }

    LayerQuantizers<Algorithms>& quantizers_;
    typename detail::with_calibrators<activation_quantizer_variant<Algorithms>>::type calibrator_{};
    std::optional<ClipRange> clip_{};
    Diagnostics warnings_{};
    bool was_calibrated_, taken_ = false;
};

}  // namespace amct_distill
