// SPDX-License-Identifier: Apache-2.0
/// How the first scale of a weight is found.
///
///     adaround_distill { initial_range: MSE }
#pragma once
#include <array>
#include <string_view>
#include <utility>

namespace amct_distill {

/// MAX: of the largest magnitude, as ARQ has it. MSE: of the shrunk range whose codes have the least squared
/// error.
enum class InitialRange { MAX = 0, MSE = 1 };

constexpr std::array<std::pair<std::string_view, InitialRange>, 2> enumerators(InitialRange) {
    return {{{"MAX", InitialRange::MAX}, {"MSE", InitialRange::MSE}}};
}

}  // namespace amct_distill
