// SPDX-License-Identifier: Apache-2.0
/// What this library has besides AMCT's algorithms, for configurations of its own: AMCT's are among them, and
/// mean the same.
///
///     auto config = read<ExtendedConfig>("distill_weight_quant_config { adaround_distill { } }");
///     using config = static_config<text, ExtendedAlgorithms>;
///     auto student = make_student(teacher, plan);             // a BasicStudent<ExtendedAlgorithms>
///
/// AMCT refuses such a configuration. The numbers that binary files have in the place of names are above
/// 1000, where AMCT has none, except within messages that it does not have.
#pragma once
#include <array>

#include "../policy/initial_range.hpp"
#include "field_numbers.hpp"
#include "messages.hpp"

namespace amct_distill {

namespace detail {

/// A default of a float, which not every compiler takes as a template argument.
struct Fraction {
    int above, below;
    constexpr operator float() const { return static_cast<float>(above) / static_cast<float>(below); }
};

}  // namespace detail

/// AMCT's, with a range of the weights that may be searched: at four bits clipping a few large ones may cost
/// less than a coarse step for all.
struct ExtendedARQDistill {
    template <class Bits, class Granularity>
    using quantizer = Arq<Bits, Granularity>;

    optional<DataType, DataType::INT8> dst_type{};
    optional<bool> channel_wise{};                              ///< as in ARQDistill
    optional<InitialRange, InitialRange::MAX> initial_range{};  ///< MSE: ranges stay as much smaller
    friend bool operator==(const ExtendedARQDistill&, const ExtendedARQDistill&) = default;
};
struct ExtendedULQDistill {
    template <class Bits, class Granularity>
    using quantizer = Ulq<Bits, Granularity>;

    optional<DataType, DataType::INT8> dst_type{};
    optional<bool> channel_wise{};                              ///< as in ARQDistill
    optional<InitialRange, InitialRange::MAX> initial_range{};  ///< of the scales at first
    friend bool operator==(const ExtendedULQDistill&, const ExtendedULQDistill&) = default;
};

/// Weights by learned rounding: see quant/adaround.hpp, and quant/adaround_options.hpp for what the numbers
/// do.
struct AdaRoundDistill {
    template <class Bits, class Granularity>
    using quantizer = AdaRound<Bits, Granularity>;

    optional<DataType, DataType::INT4> dst_type{};
    optional<bool> channel_wise{};              ///< as in ARQDistill
    optional<float, 1> regularization{};        ///< weight of the penalty on what is undecided, at first
    optional<float, 100> regularization_end{};  ///< and at the end
    optional<float, detail::Fraction{1, 5}> warm_up{};  ///< share of the steps without the penalty
    optional<float, 20> beta_start{};                   ///< the penalty's exponent, at first
    optional<float, 2> beta_end{};                      ///< and at the end
    optional<float, detail::Fraction{1, 2}>
        hard_phase{};  ///< share of the steps that compute what is deployed
    optional<float, detail::Fraction{1, 20}> learning_rate{};
    optional<InitialRange, InitialRange::MSE> initial_range{};
    friend bool operator==(const AdaRoundDistill&, const AdaRoundDistill&) = default;
};

/// The first of each list is the default, as in AMCT.
struct ExtendedAlgorithms : StandardAlgorithms {
    struct weights {
        ExtendedARQDistill arq_distill;
        ExtendedULQDistill ulq_distill;
        AdaRoundDistill adaround_distill;
    };
};

using ExtendedConfig = BasicConfig<ExtendedAlgorithms>;

constexpr std::array<FieldNumber, 10> field_numbers(const AdaRoundDistill*) {
    return {{{"dst_type", 1},
             {"channel_wise", 2},
             {"regularization", 3},
             {"regularization_end", 4},
             {"warm_up", 5},
             {"beta_start", 6},
             {"beta_end", 7},
             {"hard_phase", 8},
             {"learning_rate", 9},
             {"initial_range", 10}}};
}
constexpr std::array<FieldNumber, 3> field_numbers(const ExtendedARQDistill*) {
    return {{{"dst_type", 1}, {"channel_wise", 2}, {"initial_range", 1001}}};
}
constexpr std::array<FieldNumber, 3> field_numbers(const ExtendedULQDistill*) {
    return {{{"dst_type", 1}, {"channel_wise", 2}, {"initial_range", 1001}}};
}
constexpr std::array<FieldNumber, 3> field_numbers(const ExtendedAlgorithms::weights*) {
    return {{{"arq_distill", 1}, {"ulq_distill", 2}, {"adaround_distill", 1001}}};
}

}  // namespace amct_distill
