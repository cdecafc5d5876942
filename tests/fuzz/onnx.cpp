// SPDX-License-Identifier: Apache-2.0
// Any bytes as an ONNX model: its tensors are read, its graph is connected, its constants are folded, its
// modules named, and all of it imported and run, with no crash and no more memory than the file justifies; an
// error has a message.
#include <algorithm>
#include <amct_distill/nn/print.hpp>
#include <amct_distill/onnx/constants.hpp>
#include <amct_distill/onnx/import.hpp>
#include <amct_distill/onnx/names.hpp>
#include <amct_distill/wire/reader.hpp>
#include <amct_distill/wire/writer.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "run_network.hpp"

using namespace amct_distill;

namespace {

/// How many models were taken, and of those how many were imported; libFuzzer counts its inputs alone.
struct Count {
    unsigned long long models = 0, imported = 0;
    void print() const { std::fprintf(stderr, "%llu models, %llu of them imported\n", models, imported); }
    ~Count() { print(); }
} count;

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

/// What was imported runs, but of large files.
void import(const onnx::ModelFile& model) {
    auto imported = onnx::import_network(model);
    if (!imported) return check(imported.diagnostics());
    ++count.imported;
    const nn::Network& net = imported->network;
    if (nn::print(net).empty() || net.outputs().size() != model.graph().output.size()) std::abort();
    if (model.size() <= 1 << 16) fuzz::run(net);
}

/// A further operator that reads what is there, mostly as the model's output.
void append_node(onnx::GraphProto& graph, std::string_view op, const std::vector<std::string_view>& names,
                 std::minstd_rand& random) {
    static constexpr std::string_view fresh[]{"t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7"};
    auto const* const name = std::ranges::find_if(
        fresh, [&](std::string_view n) { return std::ranges::find(names, n) == names.end(); });
    if (name == std::end(fresh) || names.empty()) return;
    onnx::NodeProto node{.output = {*name}, .op_type = op};
    if (!graph.output.empty() && random() % 2 == 0) node.input.push_back(graph.output.front().name.get());
    for (std::size_t i = random() % 4; i != 0; --i) node.input.push_back(names[random() % names.size()]);
    graph.node.push_back(std::move(node));
    if (!graph.output.empty() && random() % 4 != 0) graph.output.front() = {.name = *name};
}

/// An input of fixed small sizes becomes a weight, so that what is constant is tried too.
void make_initializer(onnx::GraphProto& graph, std::size_t input, std::minstd_rand& random) {
    const onnx::ValueInfoProto& info = graph.input[input];
    if (!info.type.has_value() || !info.type->tensor_type.has_value() ||
        !info.type->tensor_type->shape.has_value())
        return;
    onnx::TensorProto t{.data_type = info.type->tensor_type->elem_type.get(), .name = info.name.get()};
    std::size_t n = 1;
    for (const auto& dim : info.type->tensor_type->shape->dim) {
        const auto* const d = dim.value.get_if<std::int64_t>();
        if (d == nullptr || *d < 0 || *d > 64 || (n *= static_cast<std::size_t>(*d)) > 64) return;
        t.dims.push_back(*d);
    }
    for (; n != 0; --n) {
        if (t.data_type.get() == 1) t.float_data.push_back(static_cast<float>(random() % 5) - 1);
        if (t.data_type.get() == 6 || t.data_type.get() == 9) t.int32_data.push_back(random() % 2);
        if (t.data_type.get() == 7) t.int64_data.push_back(static_cast<std::int64_t>(random() % 5) - 1);
    }
    graph.input.erase(graph.input.begin() + static_cast<long>(input));
    graph.initializer.push_back(std::move(t));
}

/// Changes one thing of a model: an operator, an attribute, a connection, a size, an element type. What
/// random bytes would hardly find.
void change(onnx::ModelProto& model, std::minstd_rand& random) {
    static constexpr std::string_view operators[]{"Abs",
                                                  "Add",
                                                  "AveragePool",
                                                  "BatchNormalization",
                                                  "Cast",
                                                  "CastLike",
                                                  "Celu",
                                                  "Clip",
                                                  "Concat",
                                                  "Constant",
                                                  "ConstantOfShape",
                                                  "Conv",
                                                  "ConvTranspose",
                                                  "DepthToSpace",
                                                  "Div",
                                                  "Dropout",
                                                  "Einsum",
                                                  "Elu",
                                                  "Equal",
                                                  "Erf",
                                                  "Exp",
                                                  "Expand",
                                                  "Flatten",
                                                  "Gather",
                                                  "Gelu",
                                                  "Gemm",
                                                  "GlobalAveragePool",
                                                  "GlobalLpPool",
                                                  "GlobalMaxPool",
                                                  "GroupNormalization",
                                                  "HardSigmoid",
                                                  "HardSwish",
                                                  "Identity",
                                                  "InstanceNormalization",
                                                  "LayerNormalization",
                                                  "LeakyRelu",
                                                  "Log",
                                                  "LogSoftmax",
                                                  "LpPool",
                                                  "MatMul",
                                                  "Max",
                                                  "MaxPool",
                                                  "Mean",
                                                  "Min",
                                                  "Mish",
                                                  "Mul",
                                                  "Neg",
                                                  "PRelu",
                                                  "Pad",
                                                  "Pow",
                                                  "Range",
                                                  "Reciprocal",
                                                  "ReduceL1",
                                                  "ReduceL2",
                                                  "ReduceLogSumExp",
                                                  "ReduceMax",
                                                  "ReduceMean",
                                                  "ReduceMin",
                                                  "ReduceProd",
                                                  "ReduceSum",
                                                  "Relu",
                                                  "Reshape",
                                                  "Resize",
                                                  "Selu",
                                                  "Shape",
                                                  "Sigmoid",
                                                  "Size",
                                                  "Slice",
                                                  "Softmax",
                                                  "Softplus",
                                                  "Softsign",
                                                  "SpaceToDepth",
                                                  "Split",
                                                  "Sqrt",
                                                  "Squeeze",
                                                  "Sub",
                                                  "Sum",
                                                  "Tanh",
                                                  "Tile",
                                                  "Transpose",
                                                  "Unsqueeze",
                                                  "Upsample",
                                                  "Where"};
    static constexpr std::string_view attributes[]{
        "alpha",       "allowzero",      "auto_pad",     "axes",      "axis",
        "beta",        "blocksize",      "ceil_mode",    "dilations", "epsilon",
        "group",       "keepdims",       "kernel_shape", "mode",      "noop_with_empty_axes",
        "num_outputs", "output_padding", "output_shape", "pads",      "perm",
        "scales",      "shape",          "split",        "starts",    "ends",
        "steps",       "strides",        "to",           "transA",    "transB",
        "value"};
    static constexpr std::int64_t numbers[]{0, 1, -1, 2, 3, -2, 4, 7, 8, 64, 1 << 30, INT64_MAX, INT64_MIN};
    onnx::GraphProto& graph = *model.graph;
    auto const below = [&](std::size_t n) { return n == 0 ? 0 : random() % n; };
    auto const a_number = [&] { return numbers[below(std::size(numbers))]; };
    auto const numbers_in = [&](auto& list) {
        if (below(4) == 0) return list.push_back(static_cast<std::decay_t<decltype(list[0])>>(a_number()));
        if (!list.empty())
            list[below(list.size())] = static_cast<std::decay_t<decltype(list[0])>>(a_number());
    };
    std::vector<std::string_view> names;
    for (const auto& t : graph.initializer) names.push_back(t.name.get());
    for (const auto& v : graph.input) names.push_back(v.name.get());
    for (const auto& n : graph.node) names.insert(names.end(), n.output.begin(), n.output.end());
    std::size_t const what = below(12);
    if (what == 10) return append_node(graph, operators[below(std::size(operators))], names, random);
    if (what == 11 && below(4) == 0 && !model.opset_import.empty()) {
        model.opset_import[0].version = static_cast<std::int64_t>(1 + below(22));
    } else if (what == 11 && graph.input.size() > 1) {
        make_initializer(graph, 1 + below(graph.input.size() - 1), random);
    } else if (what < 6 && !graph.node.empty()) {
        onnx::NodeProto& node = graph.node[below(graph.node.size())];
        if (what == 0) {
            node.op_type = operators[below(std::size(operators))];
        } else if (what == 1 && !names.empty()) {
            if (node.input.empty() || below(4) == 0) node.input.emplace_back();
            node.input[below(node.input.size())] = names[below(names.size())];
        } else if (what == 2) {
            if (!node.input.empty())
                node.input.erase(node.input.begin() + static_cast<long>(below(node.input.size())));
        } else if (what == 3 || node.attribute.empty()) {
            onnx::AttributeProto a{.name = attributes[below(std::size(attributes))]};
            if (below(2) == 0)
                a.i = a_number();
            else
                for (std::size_t i = below(5); i != 0; --i) a.ints.push_back(a_number());
            node.attribute.push_back(std::move(a));
        } else {
            onnx::AttributeProto& a = node.attribute[below(node.attribute.size())];
            if (a.i.has_value()) a.i = a_number();
            if (a.f.has_value()) a.f = static_cast<float>(a_number());
            if (!a.ints.empty()) numbers_in(a.ints);
            if (a.t.has_value()) numbers_in(below(2) == 0 ? a.t->dims : a.t->int64_data);
            if (what == 5) a.name = attributes[below(std::size(attributes))];
        }
    } else if (what < 8 && !graph.initializer.empty()) {
        onnx::TensorProto& t = graph.initializer[below(graph.initializer.size())];
        switch (below(4)) {
            case 0:
                return numbers_in(t.dims);
            case 1:
                return numbers_in(t.int64_data);
            case 2:
                t.data_type = static_cast<std::int32_t>(below(24));
                return;
            default:
                std::swap(t, graph.initializer[below(graph.initializer.size())]);
                return;
        }
    } else if (!graph.input.empty()) {
        onnx::ValueInfoProto& v = graph.input[below(graph.input.size())];
        if (!v.type.has_value() || !v.type->tensor_type.has_value() ||
            !v.type->tensor_type->shape.has_value())
            return;
        auto& dims = v.type->tensor_type->shape->dim;
        if (dims.empty() || below(4) == 0) dims.emplace_back();
        auto& dim = dims[below(dims.size())];
        if (below(3) == 0)
            dim.value.emplace<1>(std::string_view("N"));
        else
            dim.value.emplace<0>(a_number());
    }
}

/// All that is done with bytes that are given as a model.
void take(std::string_view bytes) {
    if (++count.models % 0x100000 == 0) count.print();
    auto const model = onnx::ModelFile::of_bytes(bytes, "x", "/a folder that does not exist");
    if (!model) return check(model.diagnostics());
    for (const auto& t : model->graph().initializer) read(*model, t);
    for (const auto& node : model->graph().node)
        for (const auto& a : node.attribute)
            if (a.t) read(*model, *a.t);
    auto const graph = onnx::GraphView::of(*model);
    if (!graph) return check(graph.diagnostics());
    fold(*graph);
    name(*graph);
    import(*model);
}

}  // namespace

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
    std::minstd_rand random(seed);
    if (random() % 16 != 0) {
        std::string const bytes(reinterpret_cast<const char*>(data), size);
        auto model = read_binary<onnx::ModelProto>(bytes, {.max_depth = 16, .max_expansion = 64});
        if (model && model->graph.has_value()) {
            for (std::size_t i = 1 + random() % 3; i != 0; --i) change(*model, random);
            std::string const out = write_binary(*model);
            if (out.size() <= max_size)
                return static_cast<std::size_t>(std::copy(out.begin(), out.end(), data) - data);
        }
    }
    return LLVMFuzzerMutate(data, size, max_size);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view const bytes(reinterpret_cast<const char*>(data), size);
    take(bytes);
    // FUZZ_MORE=8: so many changed models beside each, without feedback, which costs more than an import.
    // What they are follows from the bytes alone.
    static const int more = std::getenv("FUZZ_MORE") != nullptr ? std::atoi(std::getenv("FUZZ_MORE")) : 0;
    if (more == 0) return 0;
    auto const model = read_binary<onnx::ModelProto>(bytes, {.max_depth = 16, .max_expansion = 64});
    if (!model || !model->graph.has_value()) return 0;
    std::minstd_rand random(static_cast<unsigned>(std::hash<std::string_view>{}(bytes)));
    for (int i = 0; i != more; ++i) {
        onnx::ModelProto changed = *model;
        for (std::size_t k = 1 + random() % 4; k != 0; --k) change(changed, random);
        take(write_binary(changed));
    }
    return 0;
}
