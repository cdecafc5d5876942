// SPDX-License-Identifier: Apache-2.0
/// The definitions of tensor.hpp.
#pragma once
#include <cstddef>
#include <string>

#include "../core/inline.hpp"
#include "../core/number.hpp"
#include "tensor.hpp"

namespace amct_distill::nn {

AMCT_DISTILL_INLINE std::string to_string(const Shape& shape) {
    std::string out = "[";
    for (std::size_t i = 0; i != shape.size(); ++i) {
        if (i != 0) out += ", ";
        out += i == 0 && shape[0] == any_batch ? "N" : number(shape[i]);
    }
    return out + ']';
}

}  // namespace amct_distill::nn
