// SPDX-License-Identifier: Apache-2.0
/// Tensors as NumPy's `.npy` files.
///
///     write_npy("run/block0_step0_input.npy", tensor).value();        // whole or not there
///     nn::Tensor back = read_npy("run/block0_step0_input.npy").value();   // the same bits
#pragma once
#include <filesystem>

#include "../io/npy.hpp"
#include "tensor.hpp"

namespace amct_distill {

/// Error: the file cannot be written.
inline result<void> write_npy(const std::filesystem::path& path, const nn::Tensor& tensor) {
    return write_npy<float>(path, tensor.shape(), tensor.span());
}

/// Errors: the file cannot be read, is cut off, or is not one that write_npy writes for float32.
inline result<nn::Tensor> read_npy(const std::filesystem::path& path) {
    auto const array = read_npy_array(path);
    if (!array) return array.diagnostics();
    return nn::Tensor(array->shape, array->values);
}

}  // namespace amct_distill
