// SPDX-License-Identifier: Apache-2.0
/// Where a setting of a plan came from: a place in the configuration, or a default.
///
///     layer.weights_from["dst_type"].text;        // "distill_override_layers[1] at 41:9"
///     layer.data_from["fixed_min"].text;          // "default: after ReLU `relu1`"
///     plan.batch_num.from.by_user;                // false: not set in the configuration
#pragma once
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "../core/diagnostic.hpp"

namespace amct_distill {

/// Where a setting came from.
struct Provenance {
    /// For people: "default", "default: after ReLU `relu1`", "distill_weight_quant_config at 12:3"; without
    /// " at ..." when the configuration was built in C++.
    std::string text = "default";
    bool by_user = false;  ///< the configuration says so
    Position where{};      ///< of the field in the configuration's text
    friend bool operator==(const Provenance&, const Provenance&) = default;
};

template <class T>
struct PlannedValue {
    T value{};
    Provenance from{};
    friend bool operator==(const PlannedValue&, const PlannedValue&) = default;
};

/// Where the settings of a layer's algorithm came from: the algorithm itself, and each field of its message.
struct AlgorithmProvenance {
    Provenance algo{};
    std::vector<std::pair<std::string_view, Provenance>> settings{};  ///< in the message's order

    /// Throws std::invalid_argument when the algorithm has no such setting.
    const Provenance& operator[](std::string_view name) const {
        for (const auto& [setting, from] : settings)
            if (setting == name) return from;
        throw std::invalid_argument(detail::concat("AlgorithmProvenance: the algorithm has no setting `",
                                                   name, "`; ask for a field of its message"));
    }
    friend bool operator==(const AlgorithmProvenance&, const AlgorithmProvenance&) = default;
};

namespace detail {

/// The first position that is one.
constexpr Position either(Position exact, Position fallback) { return exact.line != 0 ? exact : fallback; }

/// "distill_group[0] at 3:1"
inline Provenance provenance_of(std::string_view what, Position where) {
    if (where.line == 0) return {std::string(what), true, where};
    return {concat(what, " at ", where.line, ':', where.column), true, where};
}

/// An element of a repeated field: what messages call it, and where it was read.
inline std::string element(std::string_view list, std::size_t i) { return concat(list, '[', i, ']'); }
template <class List>
Position position_in(const List& list, std::size_t i) {
    if constexpr (requires { list.position(i); })
        return list.position(i);
    else
        return {};
}

}  // namespace detail
}  // namespace amct_distill
