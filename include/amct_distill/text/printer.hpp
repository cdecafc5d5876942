// SPDX-License-Identifier: Apache-2.0
/// Any aggregate message as protobuf text format.
///
///     std::string text = print(config);
///     read<AMCTDistillConfig>(text).value() == config
///
/// The canonical form of protobuf's TextFormat: two spaces of indentation, one field a line, fields in schema
/// order, `message {`, strings escaped to 7 bits, floats as the shortest text that reads back.
#pragma once
#include <string>

#include "../reflect/labels.hpp"

namespace amct_distill {

template <class M>
requires detail::MessageType<M> std::string print(const M& message);

}  // namespace amct_distill

#ifndef AMCT_DISTILL_COMPILED
#include "printer-inl.hpp"
#endif
