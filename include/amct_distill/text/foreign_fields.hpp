// SPDX-License-Identifier: Apache-2.0
/// Fields of related formats that people give to a message's reader: what they belong to, what to write
/// instead.
///
///     constexpr ForeignFields foreign_fields(const MyMessage*);     // beside the message, found by its type
///
///    // quant.cfg:1:1: error: this looks like a configuration for AMCT's calibration: this library reads ...
///     // quant.cfg:1:1: error: unknown field `skip_layers`; write `quant_skip_layers`
///
/// A message without that function has none. Usable in constant evaluation.
#pragma once
#include <cstddef>
#include <span>
#include <string_view>

#include "notes.hpp"

namespace amct_distill {

struct ForeignField {
    std::string_view name{};
    unsigned origins = 0;         ///< the formats that have it: bit k stands for ForeignFields::origins[k]
    bool has_counterpart = true;  ///< the message has something that means the same
    std::string_view advice{};    ///< "write `quant_skip_layers`"
};

struct ForeignFields {
    std::span<const ForeignField> fields{};
    std::span<const std::string_view> origins{};  ///< what each format is for: "calibration"
    std::span<const std::string_view> shared{};   ///< fields of the message that other formats have as well
    std::string_view family{};                    ///< "AMCT's"
    std::string_view here{};                      ///< "this library reads distillation configurations"
    std::string_view json{};                      ///< what to do with a text that is JSON

    constexpr const ForeignField* find(std::string_view name) const {
        for (const ForeignField& f : fields)
            if (f.name == name) return &f;
        return nullptr;
    }
    /// Whether a field of the message is its alone: `shared` lists those that other formats have too.
    constexpr bool owns(std::string_view name) const {
        for (std::string_view s : shared)
            if (s == name) return false;
        return true;
    }
};

namespace detail {

/// The foreign fields of the message that a text is read into.
template <class M>
constexpr ForeignFields foreign_fields_of() {
    if constexpr (requires { foreign_fields(static_cast<const M*>(nullptr)); })
        return foreign_fields(static_cast<const M*>(nullptr));
    else
        return {};
}

/// Which formats a text seems to be written for: the ones that alone have one of its fields, or else any that
/// has all of them.
class ForeignOrigins {
public:
    constexpr void add(unsigned origins) {
        any_ |= origins;
        all_ &= origins;
        if ((origins & (origins - 1)) == 0) alone_ |= origins;
    }
    constexpr unsigned seen() const { return alone_ != 0 ? alone_ : all_ != 0 ? all_ : any_; }
    /// Whether each of them is meant, not one of them.
    constexpr bool each() const { return alone_ != 0; }

private:
    unsigned any_ = 0;
    unsigned all_ = ~0u;
    unsigned alone_ = 0;
};

/// "calibration or retraining"
constexpr TextBuffer names_of(const ForeignOrigins& seen, const ForeignFields& foreign) {
    TextBuffer names;
    std::size_t left = 0;
    for (std::size_t k = 0; k != foreign.origins.size(); ++k) left += seen.seen() >> k & 1u;
    for (std::size_t k = 0; k != foreign.origins.size(); ++k) {
        if ((seen.seen() >> k & 1u) == 0) continue;
        std::string_view const last = seen.each() ? " and " : " or ";
        names.append(say(names.empty() ? "" : left == 1 ? last : ", ", foreign.origins[k]));
        --left;
    }
    return names;
}

}  // namespace detail
}  // namespace amct_distill
