// SPDX-License-Identifier: Apache-2.0
/// How shapes, moves of values, and what joins tensors are written as ONNX.
///
/// A free batch stays free: a Reshape's target has a 0, "as the input", in its place.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "../nn/layers/concat.hpp"
#include "../nn/layers/embedding.hpp"
#include "../nn/layers/expand.hpp"
#include "../nn/layers/pad.hpp"
#include "../nn/layers/repeat_over_batch.hpp"
#include "../nn/layers/reshape.hpp"
#include "../nn/layers/rounding.hpp"
#include "../nn/layers/slice.hpp"
#include "../nn/layers/structure.hpp"
#include "../nn/layers/transpose.hpp"
#include "node_writer.hpp"

namespace amct_distill::onnx {

namespace detail {

inline std::vector<std::int64_t> integers(const nn::Shape& shape) { return {shape.begin(), shape.end()}; }
/// A Reshape's target; dimension 0 is that of what it reads.
inline std::vector<std::int64_t> target(const nn::Shape& shape) {
    std::vector<std::int64_t> out = integers(shape);
    if (shape[0] == nn::any_batch) out[0] = 0;
    return out;
}
/// [N, 1, 1 ...] of this rank, as an Expand's shape: N is that of an input.
inline std::string_view batch_shape(NodeWriter& w, std::size_t of, std::size_t rank) {
    std::string_view const batch =
        w.step("Gather", {w.step("Shape", {w.input(of)}), w.integers("batch", {0})}, {attribute("axis", 0)});
    std::vector<std::int64_t> ones(rank - 1, 1);
    return ones.empty()
               ? batch
               : w.step("Concat", {batch, w.integers("ones", std::move(ones))}, {attribute("axis", 0)});
}

}  // namespace detail

inline void write_onnx(const nn::Identity&, NodeWriter& w) { w.last("Identity", {w.input(0)}); }
inline void write_onnx(const nn::Dropout&, NodeWriter& w) { w.last("Dropout", {w.input(0)}); }
inline void write_onnx(const nn::RoundTo& m, NodeWriter& w) {
    auto const to = [](ElementType type) { return attribute("to", static_cast<std::int64_t>(type)); };
    bool const half = m.options().format == nn::FloatFormat::float16;
    std::string_view const narrow =
        w.step("Cast", {w.input(0)}, {to(half ? ElementType::float16 : ElementType::bfloat16)});
    w.last("Cast", {narrow}, {to(ElementType::float32)});
}

/// An input that is the same for every sample is repeated for each first: ONNX does not broadcast here.
inline void write_onnx(const nn::Concat& m, NodeWriter& w) {
    std::vector<std::string_view> reads = w.all_inputs();
    if (w.output_shape()[0] == nn::any_batch) {
        std::size_t like = 0;
        while (w.shape(like)[0] != nn::any_batch) ++like;
        for (std::size_t i = 0; i != reads.size(); ++i)
            if (w.shape(i)[0] != nn::any_batch)
                reads[i] = w.step("Expand", {reads[i], detail::batch_shape(w, like, w.shape(i).size())});
    }
    w.last("Concat", std::move(reads), {attribute("axis", static_cast<std::int64_t>(m.dim()))});
}
inline void write_onnx(const nn::Split& m, NodeWriter& w) {
    w.last("Split", {w.input(0), w.integers("sizes", detail::integers(m.options().sizes))},
           {attribute("axis", m.options().dim)});
}

inline void write_onnx(const nn::Flatten& m, NodeWriter& w) {
    if (m.start_dim() == 1 || w.output_shape().size() == 2)
        return w.last("Flatten", {w.input(0)}, {attribute("axis", static_cast<std::int64_t>(m.start_dim()))});
    w.last("Reshape", {w.input(0), w.integers("shape", detail::target(w.output_shape()))});
}
inline void write_onnx(const nn::Reshape& m, NodeWriter& w) {
    std::vector<std::int64_t> shape = detail::integers(m.options().sample);
    if (!m.options().whole) shape.insert(shape.begin(), 0);
    w.last("Reshape", {w.input(0), w.integers("shape", std::move(shape))});
}
inline void write_onnx(const nn::Squeeze& m, NodeWriter& w) {
    std::size_t const rank = w.shape(0).size() - m.options().dims.size();
    w.last_of_rank(rank, "Squeeze", {w.input(0), w.integers("axes", detail::integers(m.options().dims))});
}
inline void write_onnx(const nn::Unsqueeze& m, NodeWriter& w) {
    w.last("Unsqueeze", {w.input(0), w.integers("axes", detail::integers(m.options().dims))});
}

inline void write_onnx(const nn::Transpose& m, NodeWriter& w) {
    w.last("Transpose", {w.input(0)}, {attribute("perm", detail::integers(m.options().permutation))});
}
inline void write_onnx(const nn::DepthToSpace& m, NodeWriter& w) {
    w.last("DepthToSpace", {w.input(0)},
           {attribute("blocksize", m.options().block), attribute("mode", "DCR")});
}
inline void write_onnx(const nn::PixelShuffle& m, NodeWriter& w) {
    w.last("DepthToSpace", {w.input(0)},
           {attribute("blocksize", m.options().block), attribute("mode", "CRD")});
}
inline void write_onnx(const nn::SpaceToDepth& m, NodeWriter& w) {
    w.last("SpaceToDepth", {w.input(0)}, {attribute("blocksize", m.options().block)});
}
/// ONNX has no operator for this order of the channels; so PyTorch writes it.
inline void write_onnx(const nn::PixelUnshuffle& m, NodeWriter& w) {
    const nn::Shape &in = w.shape(0), &out = w.output_shape();
    nn::Index const b = m.options().block;
    nn::Shape const cut{in[0], in[1], out[2], b, out[3], b};
    std::string_view const blocks =
        w.step("Reshape", {w.input(0), w.integers("blocks", detail::target(cut))});
    std::string_view const turned = w.step("Transpose", {blocks}, {attribute("perm", {0, 1, 3, 5, 2, 4})});
    w.last("Reshape", {turned, w.integers("shape", detail::target(out))});
}

inline void write_onnx(const nn::Slice& m, NodeWriter& w) {
    const nn::SliceOptions& o = m.options();
    w.last("Slice",
           {w.input(0), w.integers("starts", detail::integers(o.starts)),
            w.integers("ends", detail::integers(o.ends)), w.integers("axes", detail::integers(o.dims)),
            w.integers("steps", detail::integers(o.steps))});
}
inline void write_onnx(const nn::Gather& m, NodeWriter& w) {
    const nn::GatherOptions& o = m.options();
    w.last_of_rank(
        w.shape(0).size() - 1 + o.shape.size(), "Gather",
        {w.input(0), w.integers("indices", detail::integers(o.indices), detail::integers(o.shape))},
        {attribute("axis", o.dim)});
}
/// Its indices are floats in the network. An input that only such modules read is one of integers in the
/// model.
inline void write_onnx(const nn::Embedding&, NodeWriter& w) {
    std::string_view const indices =
        w.reads_integers(0)
            ? w.input(0)
            : w.step("Cast", {w.input(0)}, {attribute("to", static_cast<std::int64_t>(ElementType::int64))});
    w.last("Gather", {w.parameter("weight"), indices}, {attribute("axis", 0)});
}

inline void write_onnx(const nn::Expand& m, NodeWriter& w) {
    w.last("Expand", {w.input(0), w.integers("shape", detail::integers(m.options().shape))});
}
inline void write_onnx(const nn::Tile& m, NodeWriter& w) {
    w.last("Tile", {w.input(0), w.integers("repeats", detail::integers(m.options().repeats))});
}
inline void write_onnx(const nn::RepeatOverBatch&, NodeWriter& w) {
    w.last("Expand", {w.input(0), detail::batch_shape(w, 1, w.output_shape().size())});
}

inline void write_onnx(const nn::Pad& m, NodeWriter& w) {
    const nn::PadOptions& o = m.options();
    std::vector<std::int64_t> pads = detail::integers(o.begin);
    pads.insert(pads.end(), o.end.begin(), o.end.end());
    std::vector<std::string_view> reads{w.input(0), w.integers("pads", std::move(pads))};
    if (o.mode == nn::PadMode::constant) reads.push_back(w.scalar("value", double(o.value)));
    w.last("Pad", std::move(reads),
           {attribute("mode", o.mode == nn::PadMode::constant  ? "constant"
                              : o.mode == nn::PadMode::reflect ? "reflect"
                                                               : "edge")});
}

}  // namespace amct_distill::onnx
