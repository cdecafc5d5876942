// SPDX-License-Identifier: Apache-2.0
/// What the README's code leaves to its reader.
#pragma once
#include <amct_distill/amct_distill.hpp>
#include <amct_distill/onnx/import.hpp>
#include <cmath>
#include <concepts>
#include <iostream>
#include <span>
#include <string>
#include <vector>

using namespace amct_distill;

extern const std::string text;
extern const nn::Network teacher;
extern const std::vector<nn::Tensor> batches;
extern const RowMajorMatrix weights;
extern const std::vector<float> batch;
