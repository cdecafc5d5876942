// SPDX-License-Identifier: Apache-2.0
/// The folders of tests/golden/onnx: the network before, and what the original deployed of it.
///
///     support::OriginalModel model = support::original_model("cnn");
///     model.deployment;                      // from student.json, as the original's passes read it
///     model.source, model.written("deploy_model.onnx");
#pragma once
#include <amct_distill/config/record.hpp>
#include <amct_distill/deploy/deployment-inl.hpp>
#include <amct_distill/nn/initialize.hpp>
#include <amct_distill/nn/layers/batch_norm.hpp>
#include <amct_distill/nn/layers/structure.hpp>
#include <amct_distill/nn/weight_rows.hpp>
#include <amct_distill/onnx/export.hpp>
#include <amct_distill/onnx/import.hpp>
#include <amct_distill/onnx/model_file.hpp>
#include <amct_distill/plan/resolve.hpp>
#include <amct_distill/student/calibrate.hpp>
#include <amct_distill/student/student.hpp>
#include <amct_distill/text/reader.hpp>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/golden.hpp"

namespace support {

/// A file of tests/golden/onnx.
inline std::filesystem::path original_file(const std::string& folder, const std::string& name) {
    return std::filesystem::path(AMCT_DISTILL_GOLDEN_DIR) / "onnx" / folder / name;
}
inline amct_distill::nn::Tensor golden_tensor(const golden::json::value& v) {
    amct_distill::nn::Shape shape;
    for (std::size_t d : golden::shape(v)) shape.push_back(static_cast<amct_distill::nn::Index>(d));
    return {shape, golden::floats(v)};
}

struct OriginalModel {
    amct_distill::onnx::ModelFile source;
    amct_distill::onnx::Imported imported;
    amct_distill::Deployment deployment;
};

/// Sets what is trained of every module, and the statistics, from a file's `module.what`.
inline void set_state(amct_distill::nn::Network& network, const golden::json::object& state) {
    namespace nn = amct_distill::nn;
    for (const auto& info : network.modules()) {
        nn::Module& module = network.module(info.name);
        auto const value = [&](std::string_view what) {
            return state.if_contains(amct_distill::detail::concat(info.name, ".", what));
        };
        for (auto& p : module.parameters())
            if (const auto* const v = value(p.name)) {
                auto const numbers = golden::floats(*v);
                std::copy(numbers.begin(), numbers.end(), p.values.begin());
            }
        if (auto* const bn = module.get_if<nn::BatchNorm2d>()) {
            bn->running_mean() = golden_tensor(*value("running_mean"));
            bn->running_var() = golden_tensor(*value("running_var"));
        }
    }
}

/// The layers of a student with these parameters and factors, folded as deploy() does it. `B`: what its
/// weights and inputs are stored as.
template <class B>
amct_distill::Deployment deployment_of(const amct_distill::nn::Network& student,
                                       const golden::json::object& state) {
    using namespace amct_distill;
    nn::Network folded = student;
    std::vector<DeployedLayer> layers;
    for (std::size_t m = 0; m != student.modules().size(); ++m) {
        std::string const& name = student.modules()[ModuleId{m}].name;
        const auto* const scale_d = state.if_contains(name + ".acts_scale");
        if (scale_d == nullptr) continue;
        const nn::Weighted& layer = *student.module(ModuleId{m}).weighted();
        DeployedLayer out{.name = name, .module = ModuleId{m}};
        out.node = student.graph().uses(out.module).front();
        out.data_width = B{};
        out.data = {golden::floats(*scale_d)[0], golden::integers(state.at(name + ".acts_offset_deploy"))[0]};
        out.channel_axis = *detail::channel_axis(layer, student.node(student.node(out.node).inputs[0]).shape);
        auto const bn = batch_norm_after(student, out.module);
        const nn::BatchNorm* const norm = bn ? nn::as_batch_norm(student.module(*bn)) : nullptr;
        if (bn) out.batch_norm = student.modules()[*bn].name;
        nn::WeightRows const rows(layer);
        nn::Tensor buffer;
        const nn::Tensor& matrix = rows.gather(layer.weight(), buffer);
        std::vector<ScaleOffset> scales;
        for (float s : golden::floats(state.at(name + ".wts_scales"))) scales.push_back({s, 0});
        Eigen::Map<const RowMajorMatrix> const w(matrix.data(), rows.count(), rows.length());
        nn::Tensor meant, bias, weight(layer.weight().shape());
        detail::FoldCodes<B>(out, matrix, layer.bias(), norm)
            .run(quantize<B>(w, Scales(std::move(scales))), meant, bias)
            .value();
        rows.scatter(meant, weight);
        folded.replace(out.module, layer.with_parameters(weight, bias));
        if (bn) folded.replace(*bn, nn::Identity{});
        layers.push_back(std::move(out));
    }
    return Deployment(std::move(folded), std::move(layers));
}

template <class B = amct_distill::Int8>
OriginalModel original_model(const std::string& folder) {
    auto source = amct_distill::onnx::ModelFile::open(original_file(folder, "fp32.onnx")).value();
    auto const state = golden::load("onnx/" + folder + "/student.json").as_object();
    auto imported = amct_distill::onnx::import_network(source).value();
    amct_distill::nn::Network network = imported.network;
    set_state(network, state);
    return {std::move(source), std::move(imported), deployment_of<B>(network, state)};
}

/// The student of fp32.onnx, calibrated on the original's data with the original's settings.
inline amct_distill::Student calibrated_as_original(const std::string& folder,
                                                    const amct_distill::nn::Network& network) {
    using namespace amct_distill;
    auto const config = read<AMCTDistillConfig>(
                            "batch_num: 1\ndistill_data_quant_config { ulq_quantize { fixed_min: false } }")
                            .value();
    Student student = make_student(network, resolve(config, network.graph()).value()).value();
    auto const io = golden::load("onnx/" + folder + "/io.json");
    nn::Tensor const data = golden_tensor(io.at("calibration"));
    auto const size = io.at("batch").to_number<std::size_t>();
    nn::Shape shape = data.shape();
    shape[0] = static_cast<nn::Index>(size);
    std::size_t const each = data.size() / static_cast<std::size_t>(data.dim(0));
    std::vector<nn::Tensor> batches;
    for (std::size_t first = 0; first + size <= static_cast<std::size_t>(data.dim(0)); first += size)
        batches.emplace_back(
            shape, std::vector<float>(data.begin() + static_cast<std::ptrdiff_t>(first * each),
                                      data.begin() + static_cast<std::ptrdiff_t>((first + size) * each)));
    calibrate(student, std::span(batches)).value();
    return student;
}

/// A model of ours, and a deployment of its network with the integers of a file that the original wrote.
struct WrittenModel {
    std::unique_ptr<std::string> bytes;
    std::unique_ptr<amct_distill::onnx::ModelFile> source;
    amct_distill::onnx::Imported imported;
    amct_distill::Deployment deployment;
};
/// `file` has codes in a byte each. `build(network)` gives the output, which is called `output`.
template <class B, class Build>
WrittenModel written_model(const std::string& folder, const std::string& file, const std::string& record_file,
                           Build build, const std::string& output) {
    using namespace amct_distill;
    nn::Network network;
    network.output(build(network));
    nn::initialize(network, 1);
    auto bytes = std::make_unique<std::string>(
        amct_distill::onnx::export_bytes(network, {.outputs = {output}}).value());
    auto source = std::make_unique<onnx::ModelFile>(onnx::ModelFile::of_bytes(*bytes, "ours").value());
    auto const model = onnx::ModelFile::open(original_file(folder, file)).value();
    auto const record =
        read<ScaleOffsetRecord>(golden::read_file("onnx/" + folder + "/" + record_file)).value();
    auto const integers = [&](std::string_view name) {
        for (const onnx::TensorProto& t : model.graph().initializer)
            if (t.name.get() == name) return model.values(t).value().template to_vector<std::int32_t>();
        return std::vector<std::int32_t>();
    };
    std::vector<DeployedLayer> layers;
    for (const auto& entry : record.record) {
        const SingleLayerRecord& factors = *entry.value;
        DeployedLayer out{.name = entry.key.get()};
        out.module = network.graph().module_named(out.name).value();
        out.node = network.graph().uses(out.module).front();
        out.data_width = B{};
        out.data = {*factors.scale_d, *factors.offset_d};
        std::vector<ScaleOffset> scales;
        for (float s : factors.scale_w) scales.push_back({s, 0});
        out.weight_scales = Scales(std::move(scales));
        std::string_view weight_name;
        for (const onnx::NodeProto& n : model.graph().node)
            if (n.name.get() == out.name) weight_name = n.input[1];
        std::vector<std::int32_t> const file_codes = integers(weight_name);
        nn::WeightRows const rows(*network.module(out.module).weighted());
        auto const channels = static_cast<std::size_t>(rows.count());
        auto const length = static_cast<std::size_t>(rows.length());
        bool const matrix = network.module(out.module).weighted()->weight().rank() == 2;
        std::vector<std::int8_t> codes(file_codes.size());
        for (std::size_t r = 0; r != channels; ++r)
            for (std::size_t k = 0; k != length; ++k)
                codes[r * length + k] =
                    static_cast<std::int8_t>(file_codes[matrix ? k * channels + r : r * length + k]);
        out.codes = Codes<B>::pack(codes, channels, length).value();
        out.bias = integers(out.name + ".sub_module.bias");
        layers.push_back(std::move(out));
    }
    Deployment deployment(network, std::move(layers));
    auto imported = amct_distill::onnx::import_network(*source).value();
    return {std::move(bytes), std::move(source), std::move(imported), std::move(deployment)};
}

}  // namespace support
