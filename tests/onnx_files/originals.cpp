// SPDX-License-Identifier: Apache-2.0
// The files that the original writes, from the students that it wrote them of: tests/golden/onnx.
#include <amct_distill/deploy/record.hpp>
#include <amct_distill/nn/layers/activation.hpp>
#include <amct_distill/nn/layers/conv2d.hpp>
#include <amct_distill/nn/layers/linear.hpp>
#include <amct_distill/onnx/amct_models.hpp>
#include <amct_distill/onnx/import.hpp>
#include <amct_distill/onnx/model_bytes.hpp>
#include <amct_distill/onnx/model_file.hpp>
#include <amct_distill/text/reader.hpp>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"
#include "support/onnx_graphs.hpp"
#include "support/original_models.hpp"

namespace onnx_originals_test {

using namespace amct_distill;

namespace {

/// By name, of a file that the original wrote.
const onnx::TensorProto* initializer(const onnx::ModelFile& model, const std::string& name) {
    for (const onnx::TensorProto& t : model.graph().initializer)
        if (t.name.get() == name) return &t;
    return nullptr;
}
const onnx::NodeProto* node(const onnx::ModelFile& model, const std::string& name) {
    for (const onnx::NodeProto& n : model.graph().node)
        if (n.name.get() == name) return &n;
    return nullptr;
}
/// The exporter calls the weight of a MatMul onnx::MatMul_12, by a count of its own.
std::map<std::string, std::string> exporters_names(const onnx::ModelFile& theirs) {
    std::map<std::string, std::string> out;
    for (const onnx::NodeProto& n : theirs.graph().node)
        if (n.op_type.get() == "MatMul")
            out.emplace(std::string(n.name.get()) + ".sub_module.weight", std::string(n.input[1]));
    return out;
}
/// `exported`: the source was written by us, whose opset and attributes are not PyTorch's.
void check(const std::string& folder, const std::string& name, const result<onnx::ModelBytes>& bytes,
           bool exported = false) {
    INFO(folder << " " << name);
    if (!bytes) FAIL(to_string(bytes.diagnostics()));
    auto const ours = onnx::ModelFile::of_bytes(bytes->model, "ours").value();
    auto const theirs = onnx::ModelFile::open(support::original_file(folder, name)).value();
    std::vector<std::string> found = onnx_graphs::differences(ours, theirs, exporters_names(theirs));
    if (exported)
        std::erase_if(
            found, [](const std::string& d) { return d.starts_with("opset ") || d == "another ir_version"; });
    CHECK(found == std::vector<std::string>());
}
float real(const onnx::NodeProto& n, std::string_view name) {
    for (const auto& a : n.attribute)
        if (a.name.get() == name) return a.f.get();
    FAIL("no attribute");
    return 0;
}

}  // namespace

TEST_CASE("originals: the numbers of the deploy models, from the students") {
    std::size_t codes = 0, biases = 0, scales = 0, units = 0;
    for (const char* folder : {"mlp", "cnn", "res", "dwsep", "pool_int4", "skip"}) {
        INFO(folder);
        auto const model = support::original_model(folder);
        auto const theirs =
            onnx::ModelFile::open(support::original_file(folder, "deploy_model.onnx")).value();
        auto const record =
            read<ScaleOffsetRecord>(golden::read_file(std::string("onnx/") + folder + "/record.txt")).value();
        REQUIRE(make_record(model.deployment) == record);
        for (const DeployedLayer& layer : model.deployment.layers()) {
            INFO(layer.name);
            if (const auto* const quant = node(theirs, layer.name + ".quant")) {
                CHECK(golden::same_bits(real(*quant, "scale"), 1 / layer.data.scale));
                CHECK(real(*quant, "offset") == static_cast<float>(layer.data.offset));
                ++scales;
            }
            const auto* const unit = initializer(theirs, layer.name + ".dequant.param");
            REQUIRE(unit != nullptr);
            REQUIRE(unit->uint64_data.size() == layer.weight_scales.size());
            for (std::size_t c = 0; c != layer.weight_scales.size(); ++c, ++units)
                CHECK(unit->uint64_data[c] == std::bit_cast<std::uint32_t>(layer.dequantization_scale(c)));
            const onnx::NodeProto& n = *node(theirs, layer.name);
            const auto& weight = *initializer(theirs, std::string(n.input[1]));
            auto const bytes = theirs.values(weight).value().to_vector<std::int8_t>();
            auto const ours = unpack(layer.codes);
            REQUIRE(bytes.size() == ours.size());
            bool const turned = n.op_type.get() != "Conv";
            bool equal = true;
            for (std::size_t r = 0; r != layer.rows(); ++r)
                for (std::size_t k = 0; k != layer.cols(); ++k, ++codes)
                    equal = equal && ours[r * layer.cols() + k] ==
                                         bytes[turned ? k * layer.rows() + r : r * layer.cols() + k];
            CHECK(equal);
            CHECK((n.input.size() > 2) == !layer.bias.empty());
            if (n.input.size() > 2)
                CHECK(initializer(theirs, std::string(n.input[2]))->int32_data == layer.bias);
            biases += layer.bias.size();
        }
    }
    golden::print_count("onnx", 6, 6,
                        detail::concat(codes, " codes, ", biases, " biases, ", scales, " scales, ", units,
                                       " factors of sums equal in bits"));
}

TEST_CASE("originals: the deploy and fake-quant models, from the students") {
    for (const char* folder : {"mlp", "cnn", "res", "dwsep", "pool_int4", "skip"}) {
        auto const model = support::original_model(folder);
        check(folder, "deploy_model.onnx",
              onnx::deploy_bytes(model.source, model.imported, model.deployment));
        check(folder, "fake_quant_model.onnx",
              onnx::fake_quant_bytes(model.source, model.imported, model.deployment));
    }
}

// Without fp32.onnx: the network is built here, and its integers are those of the files.
TEST_CASE("originals: INT4 in pairs of input channels") {
    auto const model = support::written_model<Int4>(
        "int4_record", "deploy_as_saved.onnx", "record_act_wts.txt",
        [](nn::Network& net) {
            nn::NodeId x = net.fixed_input("in_data.1", {1, 2, 4, 4});
            x = net.add(
                "conv",
                nn::Conv2d({.in_channels = 2, .out_channels = 4, .kernel = {3, 3}, .padding = {1, 1}}), {x});
            x = net.add("relu", nn::ReLU{}, {x});
            x = net.add_function("/Flatten", nn::Flatten{}, {x});
            return net.add("fc", nn::Linear({.in_features = 64, .out_features = 3}), {x});
        },
        "11");
    check("int4_record", "deploy_act_wts.onnx",
          onnx::deploy_bytes(*model.source, model.imported, model.deployment), true);
    check("int4_record", "fake_quant_act_wts.onnx",
          onnx::fake_quant_bytes(*model.source, model.imported, model.deployment), true);
    CHECK(onnx::amct_record(model.deployment) ==
          read<ScaleOffsetRecord>(golden::read_file("onnx/int4_record/record_act_wts.txt")).value());
}

TEST_CASE("originals: the bias of a MatMul in integers") {
    auto const model = support::written_model<Int8>(
        "matmul_bias_second", "deploy_model.onnx", "record.txt",
        [](nn::Network& net) {
            nn::NodeId x = net.input("input", {5, 4});
            x = net.add("proj", nn::Linear({.in_features = 4, .out_features = 6}), {x});
            x = net.add("act", nn::ReLU{}, {x});
            return net.add("out", nn::Linear({.in_features = 6, .out_features = 3}), {x});
        },
        "output");
    check("matmul_bias_second", "deploy_model.onnx",
          onnx::deploy_bytes(*model.source, model.imported, model.deployment), true);
    check("matmul_bias_second", "fake_quant_model.onnx",
          onnx::fake_quant_bytes(*model.source, model.imported, model.deployment), true);
}

TEST_CASE("originals: INT4 that Ascend does not take, and its fake-quant model") {
    auto const model = support::original_model<Int4>("pool_int4");
    auto const refused = onnx::deploy_bytes(model.source, model.imported, model.deployment);
    REQUIRE(!refused);
    std::string all;
    for (const Diagnostic& d : refused.diagnostics()) all += d.message + "\n";
    CHECK(all ==
          "layer `conv1`: INT4 weights are stored in pairs of input channels, and it has 1; quantize it "
          "in INT8 (an override), or skip it\n"
          "layer `conv2`: INT4 weights are stored in pairs of input channels, and it has 3; quantize it "
          "in INT8 (an override), or skip it\n");
    // The original clips INT4's data to the codes of INT8.
    auto const bytes = onnx::fake_quant_bytes(model.source, model.imported, model.deployment).value().model;
    auto const ours = onnx::ModelFile::of_bytes(bytes, "ours").value();
    auto const theirs =
        onnx::ModelFile::open(support::original_file("pool_int4", "fake_quant_model.onnx")).value();
    std::vector<std::string> expected;
    for (const char* layer : {"conv1", "conv2", "fc"})
        for (const char* limit : {"max_val", "min_val"})
            expected.push_back(detail::concat(layer, ".quant.fakequant.", limit, ": other values"));
    CHECK(onnx_graphs::differences(ours, theirs) == expected);
}

TEST_CASE("originals: from the float models, calibrated here") {
    for (const char* folder : {"mlp", "res"}) {
        INFO(folder);
        auto const source = onnx::ModelFile::open(support::original_file(folder, "fp32.onnx")).value();
        auto const imported = onnx::import_network(source).value();
        Student const student = support::calibrated_as_original(folder, imported.network);
        Deployment const device = deploy(student).value();
        auto const record =
            read<ScaleOffsetRecord>(golden::read_file(std::string("onnx/") + folder + "/record.txt")).value();
        for (const MapFiledEntry& entry : record.record) {
            INFO(entry.key.get());
            const DeployedLayer& ours = *device.layer(entry.key.get());
            CHECK(ours.data.scale ==
                  Approx(*entry.value->scale_d).epsilon(1e-6));  // IFMR's search, to some ulp
            CHECK(ours.data.offset == *entry.value->offset_d);
            REQUIRE(ours.weight_scales.size() == entry.value->scale_w.size());
            for (std::size_t c = 0; c != ours.weight_scales.size(); ++c)
                CHECK(golden::same_bits(ours.weight_scales.of_row(c).scale, entry.value->scale_w[c]));
        }
        // The graphs, who shares an AscendQuant, and all codes are the same; what is computed of scale_d is
        // off as it is.
        auto const bytes = onnx::deploy_bytes(source, imported, device).value().model;
        auto const ours = onnx::ModelFile::of_bytes(bytes, "ours").value();
        auto const theirs =
            onnx::ModelFile::open(support::original_file(folder, "deploy_model.onnx")).value();
        auto found = onnx_graphs::differences(ours, theirs);
        std::erase_if(found, [](const std::string& d) {
            return d.ends_with(".quant: another scale") || d.ends_with(".dequant.param: other values") ||
                   d.ends_with(".sub_module.bias: other values");
        });
        CHECK(found == std::vector<std::string>());
        for (const DeployedLayer& layer : device.layers()) {
            const auto& bias = *initializer(theirs, layer.name + ".sub_module.bias");
            REQUIRE(bias.int32_data.size() == layer.bias.size());
            for (std::size_t c = 0; c != layer.bias.size(); ++c)
                CHECK(std::abs(bias.int32_data[c] - layer.bias[c]) <= 1);
        }
    }
}

}  // namespace onnx_originals_test
