// SPDX-License-Identifier: Apache-2.0
/// What finds the first clips of a layer's input, from the values of some batches: Ifmr, or one of your own.
///
///     MyCalibrator c;
///     c.observe(batch).value();  ...          // each batch once
///     ClipRange clip = c.finish()->clip;
///
/// A calibration makes a calibrator for each input and drops it in the end: one that fails has changed
/// nothing. `observe` checks before it changes anything: after an error the calibrator is what it was before.
#pragma once
#include <concepts>
#include <cstddef>
#include <span>
#include <string>

#include "../core/result.hpp"
#include "../run/execution.hpp"
#include "scale.hpp"

namespace amct_distill {

/// Required. Optional, and used where they are there:
///   - `observe(x, on)` and `finish(on)`, which compute on the threads of an Execution;
///   - `limit_memory(bytes)` or `limit_memory(bytes, directory)`, before the first batch: how much of what it
///     observed it may keep in memory, and where a file for the rest may be (empty: anywhere).
template <class C>
concept Calibrator = std::default_initializable<C> && requires(C c, const C& done, std::span<const float> x) {
    { c.observe(x) } -> std::same_as<result<void>>;
    { done.finish()->clip } -> std::convertible_to<ClipRange>;
    { done.finish().has_value() } -> std::same_as<bool>;
};

namespace detail {

template <Calibrator C>
result<void> observe_on(const Execution& on, C& c, std::span<const float> x) {
    if constexpr (requires { c.observe(x, on); })
        return c.observe(x, on);
    else
        return c.observe(x);
}
template <Calibrator C>
auto finish_on(const Execution& on, const C& c) {
    if constexpr (requires { c.finish(on); })
        return c.finish(on);
    else
        return c.finish();
}
template <Calibrator C>
void limit_memory_of([[maybe_unused]] C& c, [[maybe_unused]] std::size_t bytes,
                     [[maybe_unused]] const std::string& directory = {}) {
    if constexpr (requires { c.limit_memory(bytes, directory); })
        c.limit_memory(bytes, directory);
    else if constexpr (requires { c.limit_memory(bytes); })
        c.limit_memory(bytes);
}

}  // namespace detail
}  // namespace amct_distill
