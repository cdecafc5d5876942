// SPDX-License-Identifier: Apache-2.0
// Any bytes as an ONNX model: its tensors are read, its graph is connected, its constants are folded, its
// modules named, and all of it imported and run, with no crash and no more memory than the file justifies; an
// error has a message.
#include <amct_distill/nn/print.hpp>
#include <amct_distill/onnx/constants.hpp>
#include <amct_distill/onnx/import.hpp>
#include <amct_distill/onnx/names.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

using namespace amct_distill;

namespace {

void check(const Diagnostics& errors) {
    if (to_string(errors).empty()) std::abort();
}

void read(const onnx::ModelFile& model, const onnx::TensorProto& t) {
    auto const values = model.values(t);
    if (!values) return check(values.diagnostics());
    if (values->to_vector<float>().size() != values->size()) std::abort();
    (void)values->to_vector<std::int64_t>();
}

void fold(const onnx::GraphView& graph) {
    onnx::Constants known(graph);
    for (onnx::TensorId t : graph.inputs()) known.set_shape(t, {onnx::Size::of_batch(), 3, 8, 8});
    for (onnx::NodeId n : graph.order()) {
        auto const folded = known.fold(n);
        if (!folded) {
            check(folded.diagnostics());
            continue;
        }
        // What is not folded has a shape all the same, so that later nodes may ask for it.
        if (!*folded)
            for (onnx::TensorId t : graph.node(n).outputs)
                if (t != onnx::none) known.set_shape(t, {onnx::Size::of_batch(), 4});
    }
    for (onnx::TensorId t : graph.outputs())
        if (const onnx::Value* const v = known.find(t)) {
            auto const floats = v->floats();
            if (floats && floats->size() != v->count()) std::abort();
        }
}

void name(const onnx::GraphView& graph) {
    onnx::Names names(graph);
    for (onnx::NodeId n : graph.order()) {
        auto const module = names.of(std::vector{n}, graph.node(n).input(1), graph.node(n).input(2));
        if (names.unique(module.name).empty() || graph.label(n).empty()) std::abort();
    }
}

std::size_t elements(const nn::Shape& shape) {
    std::size_t n = 1;
    for (nn::Index d : shape)
        if (__builtin_mul_overflow(n, static_cast<std::size_t>(d == nn::any_batch ? 2 : d), &n))
            return SIZE_MAX;
    return n;
}

/// What was imported runs; not where the model asks for long computations, which is its right.
void import(const onnx::ModelFile& model) {
    auto imported = onnx::import_network(model);
    if (!imported) return check(imported.diagnostics());
    const nn::Network& net = imported->network;
    if (nn::print(net).empty() || net.outputs().size() != model.graph().output.size()) std::abort();
    std::size_t work = 0;
    for (std::size_t i = 0; i != net.graph().size(); ++i) {
        std::size_t const n = elements(net.node({i}).shape);
        if (n > 4096) return;
        work += n;
    }
    if (work > 1 << 14 || model.size() > 1 << 16) return;
    std::vector<nn::Tensor> inputs;
    for (NodeId id : net.inputs()) {
        nn::Shape shape = net.node(id).shape;
        if (shape[0] == nn::any_batch) shape[0] = 2;
        inputs.emplace_back(shape);
        inputs.back().fill(0.5f);
    }
    if (net.predict(inputs).size() != net.outputs().size()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view const bytes(reinterpret_cast<const char*>(data), size);
    auto const model = onnx::ModelFile::of_bytes(bytes, "x", "/a folder that does not exist");
    if (!model) return check(model.diagnostics()), 0;
    for (const auto& t : model->graph().initializer) read(*model, t);
    for (const auto& node : model->graph().node)
        for (const auto& a : node.attribute)
            if (a.t) read(*model, *a.t);
    auto const graph = onnx::GraphView::of(*model);
    if (!graph) return check(graph.diagnostics()), 0;
    fold(*graph);
    name(*graph);
    import(*model);
    return 0;
}
