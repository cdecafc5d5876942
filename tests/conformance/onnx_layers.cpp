// SPDX-License-Identifier: Apache-2.0
// Every module of the library through the export and the import: what is read back has the same names, the
// same options and computes the same.
//
//     conformance_onnx_layers [TEXT] [--tasks DIRECTORY] [-v]
//
// With --tasks the models are left in a folder, with inputs and outputs for ONNX Runtime: see
// tests/models.sh.
#include <algorithm>
#include <amct_distill/nn/print.hpp>
#include <amct_distill/nn/save.hpp>
#include <amct_distill/onnx/export.hpp>
#include <amct_distill/onnx/import.hpp>
#include <amct_distill/onnx/model_file.hpp>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/onnx_data.hpp"
#include "support/onnx_tasks.hpp"

namespace {

using namespace amct_distill;
using nn::any_batch;

/// What is read back.
enum class Back {
    equal,       ///< the same network
    other_form,  ///< another one that computes the same: see docs/limitations.md
    not_read     ///< the import does not know one of its operators
};

struct Case {
    std::string name;
    nn::Module module;
    std::vector<nn::Shape> inputs;  ///< any_batch as dimension 0: the batch
    float low = -2, high = 2;       ///< of the input values
    Back back = Back::equal;
    double tolerance = 0;  ///< of the largest output, where ONNX computes it in other steps
};

constexpr nn::Index N = any_batch;

/// Whether torch.nn has the type: it is a named module; else a function.
bool is_named(const nn::Module& m) {
    static const std::set<std::string_view> functions{
        "Add",       "Sum",          "Mean",         "Sub",
        "Mul",       "Div",          "Pow",          "Max",
        "Min",       "Exp",          "Log",          "Sqrt",
        "Erf",       "Abs",          "Neg",          "Reciprocal",
        "Sign",      "Floor",        "Ceil",         "Round",
        "Sin",       "Cos",          "Tan",          "Asin",
        "Acos",      "Atan",         "Sinh",         "Cosh",
        "Asinh",     "Acosh",        "Atanh",        "Concat",
        "Reshape",   "Pad",          "Transpose",    "Squeeze",
        "Unsqueeze", "Split",        "Slice",        "Gather",
        "Expand",    "Tile",         "MatMul",       "RepeatOverBatch",
        "Flatten",   "DepthToSpace", "SpaceToDepth", "PixelShuffle",
        "Upsample",  "RoundTo"};
    return !functions.contains(m.type()) && !m.type().starts_with("Reduce") &&
           !m.type().starts_with("Functional");
}

std::vector<Case> cases() {
    using namespace nn;
    nn::Shape const image{N, 4, 6, 6}, row{N, 6}, lines{N, 4, 6};
    std::vector<Case> out{
        // with weights
        {"Conv2d",
         Conv2d({.in_channels = 4,
                 .out_channels = 6,
                 .kernel = {3, 2},
                 .stride = {2, 1},
                 .padding = {1, 0},
                 .dilation = {1, 2},
                 .groups = 2}),
         {image}},
        {"Conv2d without bias", Conv2d({.in_channels = 4, .out_channels = 6, .bias = false}), {image}},
        {"Conv1d",
         Conv1d({.in_channels = 4,
                 .out_channels = 2,
                 .kernel = 3,
                 .stride = 2,
                 .padding = 1,
                 .dilation = 1,
                 .groups = 2}),
         {lines}},
        {"ConvTranspose1d",
         ConvTranspose1d({.in_channels = 4,
                          .out_channels = 2,
                          .kernel = 3,
                          .stride = 2,
                          .padding = 1,
                          .output_padding = 1}),
         {lines}},
        {"ConvTranspose2d",
         ConvTranspose2d({.in_channels = 4,
                          .out_channels = 6,
                          .kernel = {3, 2},
                          .stride = {2, 2},
                          .padding = {1, 0},
                          .output_padding = {1, 0},
                          .groups = 2}),
         {image}},
        {"ConvTranspose2d without its last row",
         ConvTranspose2d({.in_channels = 4,
                          .out_channels = 2,
                          .kernel = {3, 3},
                          .stride = {2, 2},
                          .output_padding = {-1, 0},
                          .bias = false}),
         {image}},
        {"FunctionalConv1d",
         FunctionalConv1d({.in_channels = 4, .out_channels = 2, .kernel = 3, .bias = false}),
         {lines, {2, 4, 3}},
         -2,
         2,
         Back::other_form},
        {"FunctionalConv2d",
         FunctionalConv2d({.in_channels = 4, .out_channels = 6, .kernel = {3, 2}, .bias = false}),
         {image, {6, 4, 3, 2}},
         -2,
         2,
         Back::other_form},
        {"FunctionalConvTranspose1d",
         FunctionalConvTranspose1d({.in_channels = 4, .out_channels = 2, .kernel = 3, .bias = false}),
         {lines, {4, 2, 3}},
         -2,
         2,
         Back::other_form},
        {"FunctionalConvTranspose2d",
         FunctionalConvTranspose2d({.in_channels = 4, .out_channels = 2, .kernel = {3, 2}, .bias = false}),
         {image, {4, 2, 3, 2}},
         -2,
         2,
         Back::other_form},
        {"Concat with a constant", Concat(1), {lines, {1, 2, 6}}, -2, 2, Back::other_form},
        {"Linear", Linear({.in_features = 6, .out_features = 3}), {row}},
        {"Linear without bias", Linear({.in_features = 6, .out_features = 3, .bias = false}), {row}},
        {"Linear of three dimensions", Linear({.in_features = 6, .out_features = 3}), {lines}},
        {"Linear of four, without bias",
         Linear({.in_features = 6, .out_features = 3, .bias = false}),
         {image}},
        {"MatMul", MatMul{}, {{N, 3, 4}, {N, 4, 5}}},
        {"MatMul of rows", MatMul{}, {{4}, {4}}},
        {"Embedding", Embedding({.num_embeddings = 5, .embedding_dim = 3}), {{N, 4}}, 0, 4},
        // norms
        {"BatchNorm1d", BatchNorm1d({.num_features = 6}), {row}},
        {"BatchNorm1d of lines", BatchNorm1d({.num_features = 4}), {lines}},
        {"BatchNorm2d", BatchNorm2d({.num_features = 4, .eps = 1e-3}), {image}},
        {"BatchNorm3d", BatchNorm3d({.num_features = 2}), {{N, 2, 3, 4, 5}}},
        {"InstanceNorm1d", InstanceNorm1d({.num_features = 4, .affine = true}), {lines}},
        {"InstanceNorm2d", InstanceNorm2d({.num_features = 4, .affine = true}), {image}},
        {"InstanceNorm2d without parameters", InstanceNorm2d({.num_features = 4}), {image}},
        {"InstanceNorm3d", InstanceNorm3d({.num_features = 2, .affine = true}), {{N, 2, 3, 4, 5}}},
        {"GroupNorm", GroupNorm({.num_groups = 2, .num_channels = 4}), {image}},
        {"GroupNorm without parameters",
         GroupNorm({.num_groups = 2, .num_channels = 4, .affine = false}),
         {lines},
         -2,
         2,
         Back::other_form},
        {"LayerNorm", LayerNorm({.normalized_shape = {6}}), {lines}},
        {"LayerNorm of two dimensions",
         LayerNorm({.normalized_shape = {4, 6}, .eps = 1e-3, .bias = false}),
         {lines}},
        {"LayerNorm without parameters",
         LayerNorm({.normalized_shape = {6}, .elementwise_affine = false}),
         {lines},
         -2,
         2,
         Back::other_form},
        // activations
        {"ReLU", ReLU{}, {image}},
        {"LeakyReLU", LeakyReLU({.negative_slope = 0.1}), {image}},
        {"PReLU", PReLU({.num_parameters = 4}), {image}},
        {"PReLU of one slope", PReLU(PReLUOptions{}), {lines}},
        {"PReLU of a row", PReLU({.num_parameters = 6}), {row}},
        {"Sigmoid", Sigmoid{}, {row}},
        {"Tanh", Tanh{}, {row}},
        {"Softmax", Softmax({.dim = 1}), {lines}},
        {"Softmax to the end", Softmax({.dim = 1, .to_end = true}), {lines}, -2, 2, Back::other_form},
        {"LogSoftmax", LogSoftmax({.dim = 2}), {lines}},
        {"Hardtanh", Hardtanh({.min_val = -0.5, .max_val = 1.25}), {row}},
        {"ReLU6", ReLU6{}, {row}, -4, 8},
        {"Hardsigmoid", Hardsigmoid(HardsigmoidOptions{}), {row}, -4, 4},
        {"Hardsigmoid of other slopes", Hardsigmoid({.alpha = 0.25, .beta = 0.25}), {row}, -4, 4},
        {"Hardswish", Hardswish{}, {row}, -4, 4},
        {"Threshold", Threshold({.threshold = 0.5}), {row}},
        {"Threshold with a value", Threshold({.threshold = 0.5, .value = 7}), {row}, -2, 2, Back::not_read},
        {"Shrink", Shrink({.lambd = 0.75, .bias = 0.25}), {row}},
        {"SiLU", SiLU{}, {row}},
        {"Mish", Mish{}, {row}},
        {"GELU", GELU(GELUOptions{}), {row}},
        {"GELU by tanh", GELU({.approximate = "tanh"}), {row}},
        {"ELU", ELU({.alpha = 0.5}), {row}},
        {"SELU", SELU(SELUOptions{}), {row}},
        {"CELU", CELU({.alpha = 0.5}), {row}},
        {"Softplus", Softplus(SoftplusOptions{}), {row}},
        {"Softplus of another beta", Softplus({.beta = 2}), {row}, -2, 2, Back::other_form, 1e-6},
        {"Softsign", Softsign{}, {row}},
        // arithmetic
        {"Add", Add{}, {image, image}},
        {"Add, broadcast", Add{}, {image, {N, 4, 1, 1}}},
        {"Add of three", Add{}, {row, row, row}, -2, 2, Back::other_form},
        {"Sum", Sum{}, {row, row, row}},
        {"Mean", Mean{}, {row, row, row}},
        {"Sub", Sub{}, {row, row}},
        {"Mul", Mul{}, {image, {N, 1, 6, 6}}},
        {"Div", Div{}, {row, row}, 0.5f, 2},
        {"Pow", Pow{}, {row, row}, 0.5f, 2},
        {"Max", Max{}, {row, row}},
        {"Min", Min{}, {row, row, row}},
        {"Exp", Exp{}, {row}},
        {"Log", Log{}, {row}, 0.5f, 2},
        {"Sqrt", Sqrt{}, {row}, 0.5f, 2},
        {"Erf", Erf{}, {row}},
        {"Abs", Abs{}, {row}},
        {"Neg", Neg{}, {row}},
        {"Reciprocal", Reciprocal{}, {row}, 0.5f, 2},
        {"Sign", Sign{}, {row}},
        {"Floor", Floor{}, {row}},
        {"Ceil", Ceil{}, {row}},
        {"Round", Round{}, {row}},
        {"Sin", Sin{}, {row}},
        {"Cos", Cos{}, {row}},
        {"Tan", Tan{}, {row}, -1, 1},
        {"Asin", Asin{}, {row}, -0.9f, 0.9f},
        {"Acos", Acos{}, {row}, -0.9f, 0.9f},
        {"Atan", Atan{}, {row}},
        {"Sinh", Sinh{}, {row}},
        {"Cosh", Cosh{}, {row}},
        {"Asinh", Asinh{}, {row}},
        {"Acosh", Acosh{}, {row}, 1.5f, 3},
        {"Atanh", Atanh{}, {row}, -0.9f, 0.9f},
        {"ReduceSum", ReduceSum({.axes = {2, 3}}), {image}},
        {"ReduceMean", ReduceMean({.axes = {2, 3}, .keepdims = false}), {image}},
        {"ReduceMax", ReduceMax({.axes = {1}}), {image}},
        {"ReduceMin", ReduceMin({.axes = {1}}), {image}},
        {"ReduceProd", ReduceProd({.axes = {2}}), {image}},
        {"ReduceL1", ReduceL1({.axes = {2}}), {image}},
        {"ReduceL2", ReduceL2({.axes = {2}}), {image}},
        {"ReduceLogSum", ReduceLogSum({.axes = {2}}), {image}, 0.5f, 2},
        {"ReduceLogSumExp", ReduceLogSumExp({.axes = {2}}), {image}},
        {"ReduceSumSquare", ReduceSumSquare({.axes = {2}}), {image}},
        {"ReduceMean of all", ReduceMean({.axes = {0, 1}, .keepdims = false}), {{2, 6}}},
        // shapes and moves
        {"Concat", Concat(1), {lines, {N, 2, 6}}},
        {"Split", Split({.dim = 1, .sizes = {1, 3}}), {lines}},
        {"Flatten", Flatten{}, {image}},
        {"Flatten from dimension 2", Flatten(2), {image}, -2, 2, Back::other_form},
        {"Reshape", Reshape({2, 72}), {image}},
        {"Reshape of all dimensions", Reshape::whole({6, 4}), {{2, 3, 4}}},
        {"Squeeze", Squeeze({2, 3}), {{N, 4, 1, 1}}},
        {"Unsqueeze", Unsqueeze({1}), {row}},
        {"Transpose", Transpose({0, 2, 3, 1}), {image}},
        {"DepthToSpace", DepthToSpace({.block = 2}), {image}},
        {"PixelShuffle", PixelShuffle({.block = 2}), {image}},
        {"SpaceToDepth", SpaceToDepth({.block = 2}), {image}},
        {"PixelUnshuffle", PixelUnshuffle({.block = 2}), {image}, -2, 2, Back::other_form},
        {"Slice", Slice({.dims = {2, 3}, .starts = {1, -1}, .ends = {5, 0}, .steps = {2, -1}}), {image}},
        {"Gather", Gather({.dim = 1, .indices = {2, 0, 2}, .shape = {3}}), {image}},
        {"Gather of one", Gather({.dim = 1, .indices = {-1}}), {image}},
        {"Expand", Expand({1, 4, 6}), {{N, 1, 6}}},
        {"Tile", Tile({1, 2, 3}), {lines}},
        {"RepeatOverBatch", RepeatOverBatch{}, {{1, 2, 3}, {N, 5}}, -2, 2, Back::other_form},
        {"Pad", Pad({.begin = {0, 0, 1, 0}, .end = {0, 0, 2, 1}, .value = 0.5f}), {image}},
        {"Pad, reflected", Pad({.begin = {0, 0, 2}, .end = {0, 0, 1}, .mode = PadMode::reflect}), {lines}},
        {"Pad by the edge", Pad({.begin = {0, 1, 2}, .end = {0, 0, 1}, .mode = PadMode::edge}), {lines}},
        {"RoundTo", RoundTo({.format = FloatFormat::float16}), {row}},
        {"Identity", Identity{}, {row}, -2, 2, Back::other_form},
        {"Dropout", Dropout{}, {row}, -2, 2, Back::other_form},
        // pools
        {"MaxPool2d", MaxPool2d({.kernel = {3, 2}, .stride = {2, 1}, .padding = {1, 0}}), {image}},
        {"AvgPool2d", AvgPool2d({.kernel = {3, 2}, .stride = {2, 1}, .padding = {1, 0}}), {image}},
        {"MaxPool1d",
         MaxPool1d({.kernel = {3}, .stride = {2}, .padding = {1}, .end_padding = {0}, .ceil_mode = true}),
         {lines}},
        {"MaxPool2d with dilation",
         MaxPool2d({.kernel = {2, 2}, .stride = {1, 1}, .dilation = {2, 1}}),
         {image}},
        {"MaxPool3d", MaxPool3d({.kernel = {2, 2, 2}}), {{N, 2, 4, 4, 4}}},
        {"AvgPool1d",
         AvgPool1d({.kernel = {3}, .stride = {2}, .padding = {1}, .count_include_pad = false}),
         {lines}},
        {"AvgPool2d with dilation",
         AvgPool2d({.kernel = {2, 2}, .stride = {1, 1}, .dilation = {2, 1}}),
         {image}},
        {"AvgPool3d",
         AvgPool3d({.kernel = {2, 2, 2}, .stride = {1, 2, 2}, .ceil_mode = true}),
         {{N, 2, 4, 5, 4}}},
        {"LPPool1d", LPPool1d({.kernel = {3}, .stride = {2}}), {lines}},
        {"LPPool2d", LPPool2d({.norm = 3, .kernel = {3, 2}, .stride = {2, 1}, .padding = {1, 0}}), {image}},
        {"LPPool3d", LPPool3d({.kernel = {2, 2, 2}}), {{N, 2, 4, 4, 4}}},
        {"GlobalAveragePool1d", GlobalAveragePool1d{}, {lines}},
        {"GlobalAveragePool3d", GlobalAveragePool3d{}, {{N, 2, 3, 4, 5}}},
        {"GlobalMaxPool", GlobalMaxPool{}, {image}},
        {"GlobalMaxPool1d", GlobalMaxPool1d{}, {lines}},
        {"GlobalMaxPool3d", GlobalMaxPool3d{}, {{N, 2, 3, 4, 5}}},
        {"GlobalLpPool1d", GlobalLpPool1d({.norm = 1}), {lines}},
        {"GlobalLpPool2d", GlobalLpPool2d({.norm = 3}), {image}},
        {"GlobalLpPool3d", GlobalLpPool3d(GlobalLpPoolOptions{}), {{N, 2, 3, 4, 5}}},
        {"Upsample", Upsample({.scales = {1, 1, 2, 2}}), {image}},
        {"Upsample to a size", Upsample({.sizes = {0, 0, 9, 4}, .mode = ResizeMode::linear}), {image}},
        {"Upsample by corners",
         Upsample({.sizes = {0, 0, 11},
                   .mode = ResizeMode::linear,
                   .coordinates = ResizeCoordinates::align_corners}),
         {lines}},
        {"Upsample, cubic",
         Upsample({.scales = {1, 1, 1.5f, 2},
                   .mode = ResizeMode::cubic,
                   .coordinates = ResizeCoordinates::pytorch_half_pixel,
                   .cubic_coefficient = -0.5f,
                   .exclude_outside = true}),
         {image}},
        {"Upsample, asymmetric",
         Upsample({.scales = {1, 1, 2, 0.5f},
                   .coordinates = ResizeCoordinates::asymmetric,
                   .nearest = ResizeNearest::floor}),
         {image}},
        {"Upsample by tf_half_pixel_for_nn",
         Upsample({.scales = {1, 1, 2, 2},
                   .coordinates = ResizeCoordinates::tf_half_pixel_for_nn,
                   .nearest = ResizeNearest::ceil}),
         {image}},
        {"Upsample of the middle",
         Upsample({.scales = {1, 1, 1.5f, 2},
                   .mode = ResizeMode::linear,
                   .coordinates = ResizeCoordinates::half_pixel_symmetric}),
         {image}},
        {"GlobalAveragePool", GlobalAveragePool{}, {image}},
    };
    return out;
}

/// The types of which there is no case.
template <class... M>
std::vector<std::string_view> missing(detail::ModuleList<M...>, const std::vector<Case>& all) {
    std::vector<std::string_view> out;
    auto const look = [&](std::string_view type) {
        if (std::ranges::none_of(all, [&](const Case& c) { return c.module.type() == type; }))
            out.push_back(type);
    };
    (look(M::type_name), ...);
    return out;
}

float noise(std::size_t i) { return static_cast<float>(std::fmod(double(i) * 0.6180339887498949 + 0.3, 1)); }

nn::Network network_of(const Case& c) {
    nn::Network net;
    std::vector<nn::NodeId> reads;
    for (std::size_t i = 0; i != c.inputs.size(); ++i) {
        std::string const name = "x" + std::to_string(i);
        const nn::Shape& shape = c.inputs[i];
        bool const constant = (c.module.type() == "RepeatOverBatch" && i == 0) ||
                              (c.module.type().starts_with("Functional") && i == 1) ||
                              (c.module.type() == "Concat" && shape[0] != N);
        if (constant) {
            nn::Tensor value(shape);
            for (std::size_t k = 0; k != value.size(); ++k) value[k] = noise(k);
            reads.push_back(net.constant(name, std::move(value)));
        } else if (shape[0] == any_batch) {
            reads.push_back(net.input(name, {shape.begin() + 1, shape.end()}));
        } else {
            reads.push_back(net.fixed_input(name, shape));
        }
    }
    nn::Module module = c.module;
    for (auto& p : module.parameters())
        for (std::size_t i = 0; i != p.values.size(); ++i) {
            float const v = 2 * noise(i + p.name.size()) - 1;
            p.values[i] = p.name == "running_var" ? v * v + 0.5f : v;
        }
    nn::NodeId y = is_named(module)
                       ? net.add("block.m", module, reads)
                       : net.add_function("/block/" + std::string(module.operation()), module, reads);
    // An output is made by something.
    if (module.type() == "Identity" || module.type() == "Dropout") y = net.add("relu", nn::ReLU{}, {y});
    for (nn::NodeId port : net.outputs_of(y)) net.output(port);
    return net;
}

std::vector<nn::Tensor> inputs_of(const Case& c, const nn::Network& net) {
    std::vector<nn::Tensor> out;
    for (nn::NodeId id : net.inputs()) {
        nn::Shape shape = net.node(id).shape;
        if (shape[0] == any_batch) shape[0] = 3;
        nn::Tensor x(shape);
        for (std::size_t i = 0; i != x.size(); ++i) {
            x[i] = c.low + (c.high - c.low) * noise(i * (out.size() + 1) + out.size());
            if (c.module.type() == "Embedding") x[i] = std::round(x[i]);
        }
        out.push_back(std::move(x));
    }
    return out;
}

std::vector<std::string> names(const nn::Network& net, std::span<const nn::NodeId> nodes) {
    std::vector<std::string> out;
    for (nn::NodeId id : nodes) out.push_back(net.name(id));
    return out;
}
std::vector<onnx_tasks::NamedTensor> named(const std::vector<std::string>& names,
                                           const std::vector<nn::Tensor>& tensors, bool integers = false) {
    std::vector<onnx_tasks::NamedTensor> out;
    for (std::size_t i = 0; i != names.size(); ++i) out.push_back({names[i], tensors[i], integers});
    return out;
}

/// What is wrong; empty: nothing.
std::string check(const Case& c, onnx_tasks::Tasks* tasks) {
    nn::Network const net = network_of(c);
    std::vector<nn::Tensor> const inputs = inputs_of(c, net), expected = net.predict(inputs);
    result<std::string> const bytes = onnx::export_bytes(net);
    if (!bytes) return "export: " + to_string(bytes.diagnostics());
    if (tasks != nullptr) {
        std::string file = c.name + ".onnx";
        std::ranges::replace(file, ' ', '_');
        write_file(tasks->directory() / file, *bytes).value();
        tasks->add(tasks->directory() / file,
                   named(names(net, net.inputs()), inputs, c.module.type() == "Embedding"),
                   named(names(net, net.outputs()), expected), 1e-5);
    }
    auto const import = [](const std::string& from) {
        return onnx::import_network(onnx::ModelFile::of_bytes(from, "exported.onnx").value());
    };
    result<onnx::Imported> const back = import(*bytes);
    if (c.back == Back::not_read) return back ? "it is imported, though it is listed as not read" : "";
    if (!back) return "import: " + to_string(back.diagnostics());
    std::vector<nn::Tensor> const found = back->network.predict(inputs);
    for (std::size_t k = 0; k != expected.size(); ++k) {
        std::vector<double> const values(expected[k].begin(), expected[k].end());
        onnx_data::Difference const d = onnx_data::compare(found.at(k), values);
        if (found[k].shape() != expected[k].shape())
            return "an output is " + nn::to_string(found[k].shape()) + ", it was " +
                   nn::to_string(expected[k].shape());
        if (c.tolerance == 0 ? found[k] != expected[k] : !(d.relative <= c.tolerance))
            return "an output differs by " + std::to_string(d.largest) + " of " +
                   std::to_string(d.largest_expected);
    }
    std::string const before = nn::print(net), after = nn::print(back->network);
    if (c.back == Back::equal && before != after) return "it was\n" + before + "and is now\n" + after;
    if (c.back == Back::other_form && before == after) return "it is the same network after all";
    // What has been read once stays as it is.
    result<std::string> const again = onnx::export_bytes(back->network);
    if (!again) return "export of what was imported: " + to_string(again.diagnostics());
    result<onnx::Imported> const twice = import(*again);
    if (!twice) return "import of what was imported: " + to_string(twice.diagnostics());
    if (nn::print(twice->network) != after)
        return "the second time it is\n" + nn::print(twice->network) + "and the first it was\n" + after;
    if (twice->network.predict(inputs) != found) return "the second time it computes other bits";
    return {};
}

}  // namespace

int main(int argc, char** argv) try {
    std::string only;
    std::optional<onnx_tasks::Tasks> tasks;
    bool verbose = false;
    for (int i = 1; i < argc; ++i)
        if (std::string_view(argv[i]) == "--tasks" && i + 1 < argc)
            tasks.emplace(argv[++i]);
        else if (std::string_view(argv[i]) == "-v")
            verbose = true;
        else
            only = argv[i];
    std::vector<Case> const all = cases();
    std::size_t good = 0, tried = 0;
    for (std::string_view type : missing(detail::standard_modules{}, all)) {
        ++tried;
        std::printf("%.*s: the module has no case here\n", static_cast<int>(type.size()), type.data());
    }
    for (const Case& c : all) {
        if (c.name.find(only) == std::string::npos) continue;
        ++tried;
        std::string wrong;
        try {
            wrong = check(c, tasks ? &*tasks : nullptr);
        } catch (const std::exception& e) {
            wrong = std::string("threw: ") + e.what();
        }
        good += wrong.empty();
        if (!wrong.empty() || verbose)
            std::printf("%s: %s\n", c.name.c_str(), wrong.empty() ? "as expected" : wrong.c_str());
    }
    if (tasks) tasks->write();
    std::printf("conformance: layers as ONNX: %zu of %zu cases are written and read back as expected\n", good,
                tried);
    return good == tried && tried != 0 ? 0 : 1;
} catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
}
