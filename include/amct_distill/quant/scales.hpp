// SPDX-License-Identifier: Apache-2.0
/// The scales of a weight: one for all of its rows, or one per row.
///
///     Scales const one{{0.5f, 0}}, by_row{{0.5f, 0}, {0.25f, 0}};
///     one.of_row(7);       // {0.5, 0}: the one there is
///     by_row.of_row(1);    // {0.25, 0}
///     for (ScaleOffset p : by_row) ...                       // as they are kept: by_row.size() of them
#pragma once
#include <cassert>
#include <cstddef>
#include <initializer_list>
#include <utility>
#include <vector>

#include "affine.hpp"

namespace amct_distill {

class Scales {
public:
    /// None yet.
    Scales() = default;
    Scales(std::vector<ScaleOffset> all) : all_(std::move(all)) {}
    Scales(std::initializer_list<ScaleOffset> all) : all_(all) {}

    /// Of row r. Precondition: there is one for all, or one for r.
    ScaleOffset of_row(std::size_t r) const {
        std::size_t const i = all_.size() == 1 ? 0 : r;
        assert(i < all_.size());
        return all_[i];
    }
    /// Whether a matrix of so many rows can have them.
    bool fit(std::size_t rows) const { return all_.size() == 1 || all_.size() == rows; }

    // As they are kept.
    std::size_t size() const { return all_.size(); }
    bool empty() const { return all_.empty(); }
    const ScaleOffset& operator[](std::size_t i) const { return all_[i]; }
    ScaleOffset& operator[](std::size_t i) { return all_[i]; }
    auto begin() const { return all_.begin(); }
    auto end() const { return all_.end(); }
    auto begin() { return all_.begin(); }
    auto end() { return all_.end(); }
    const std::vector<ScaleOffset>& values() const { return all_; }

    friend bool operator==(const Scales&, const Scales&) = default;

private:
    std::vector<ScaleOffset> all_{};
};

}  // namespace amct_distill
