// SPDX-License-Identifier: Apache-2.0
/// How every module of the library is written as ONNX: a function `write_onnx(module, NodeWriter&)` each.
///
/// A module that is added to nn/save.hpp's list needs one in a header of these; tests/unit/onnx/export.cpp
/// does not compile without.
#pragma once
#include "export_activations.hpp"
#include "export_arithmetic.hpp"
#include "export_normalizations.hpp"
#include "export_pools.hpp"
#include "export_structure.hpp"
#include "export_weighted.hpp"
