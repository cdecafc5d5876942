// SPDX-License-Identifier: Apache-2.0
/// The bytes of a model's message.
///
///     result<onnx::ModelBytes> bytes = onnx::to_bytes(proto, {.data_file = "net.onnx.data"});
///
/// protobuf reads no message of 2 GiB. Above `largest` the tensors of 1 KiB and more go to the other file,
/// each at a multiple of 64 bytes, as ONNX's external data.
#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "../wire/writer.hpp"
#include "messages.hpp"
#include "model_bytes.hpp"

namespace amct_distill::onnx {

/// ONNX's table of versions: the least ir_version, of 7 on, that may name an opset.
constexpr std::int64_t ir_version_of(std::int64_t opset) {
    return opset <= 14 ? 7 : opset <= 18 ? 8 : opset <= 20 ? 9 : 10;
}

/// Only raw_data is moved. Error: the model is too large without it as well.
inline result<ModelBytes> to_bytes(ModelProto proto, const BytesOptions& options = {}) {
    constexpr std::size_t least = 1024, step = 64, protobuf = (std::size_t{1} << 31) - 1;
    ModelBytes out;
    if (binary_size(proto) > options.largest && proto.graph) {
        out.data_file = options.data_file;
        std::deque<std::string> texts;
        for (TensorProto& t : proto.graph->initializer) {
            std::string_view const raw = t.raw_data.get();
            if (raw.size() < least) continue;
            out.data.resize((out.data.size() + step - 1) / step * step);
            std::string_view const offset = texts.emplace_back(amct_distill::detail::concat(out.data.size()));
            std::string_view const length = texts.emplace_back(amct_distill::detail::concat(raw.size()));
            out.data.append(raw);
            t.raw_data = {};
            t.data_location = 1;
            t.external_data = {
                {.key = std::string_view("location"), .value = std::string_view(out.data_file)},
                {.key = std::string_view("offset"), .value = offset},
                {.key = std::string_view("length"), .value = length}};
        }
        if (out.data.empty()) out.data_file.clear();
        if (std::size_t const size = binary_size(proto); size > protobuf)
            return general_error(amct_distill::detail::concat(
                "the model takes ", size,
                " bytes without its weights; protobuf's files have less than 2 GiB"));
        out.model = write_binary(proto);
        return out;
    }
    out.model = write_binary(proto);
    return out;
}

}  // namespace amct_distill::onnx
