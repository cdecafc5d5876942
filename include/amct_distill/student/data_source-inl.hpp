// SPDX-License-Identifier: Apache-2.0
/// The definitions of data_source.hpp.
#pragma once
#include <cstddef>
#include <span>
#include <utility>

#include "../core/inline.hpp"
#include "data_source.hpp"

namespace amct_distill {

AMCT_DISTILL_INLINE result<std::span<const nn::Tensor>> DataSource::load(std::size_t i, Batch& buffer) const {
    if (view_ != nullptr) return view_(source_, i);
    if (load_ != nullptr) {
        auto loaded = load_(source_, i);
        if (!loaded) return loaded.diagnostics();
        buffer = *std::move(loaded);
        return std::span<const nn::Tensor>(buffer);
    }
    if (!batches_.empty()) return std::span<const nn::Tensor>(batches_[i]);
    return tensors_.subspan(i, 1);
}

}  // namespace amct_distill
