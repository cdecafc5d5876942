// SPDX-License-Identifier: Apache-2.0
/// Protobuf text format into any aggregate message.
///
///     result<AMCTDistillConfig> config = read<AMCTDistillConfig>(SourceText{"quant.cfg", text});
///     if (!config) std::cerr << to_string(config.diagnostics());
///
/// All errors of meaning are collected; syntax errors stop it. It never throws on any input but for lack of
/// memory.
#pragma once
#include <string_view>

#include "../core/result.hpp"
#include "../core/source_text.hpp"
#include "../reflect/labels.hpp"
#include "reader_options.hpp"

namespace amct_distill {

/// Reads a message. Warnings ride on the value; without a value, every diagnostic is there, in order of text.
template <class M>
result<M> read(const SourceText& source, const ReaderOptions& options = {});
/// The same, of a text at hand.
template <class M>
result<M> read(std::string_view text, const ReaderOptions& options = {});

}  // namespace amct_distill

#ifndef AMCT_DISTILL_COMPILED
#include "reader-inl.hpp"
#endif
