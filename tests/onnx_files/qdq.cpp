// SPDX-License-Identifier: Apache-2.0
// The QuantizeLinear models of tests/golden/onnx, which were made of the original's integers, and ours of the
// same students.
#include <amct_distill/onnx/import.hpp>
#include <amct_distill/onnx/model_file.hpp>
#include <amct_distill/onnx/qdq.hpp>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"
#include "support/original_models.hpp"

namespace onnx_qdq_files_test {

using namespace amct_distill;

namespace {

/// Names of nodes and initializers are the same; activations have the names that the float model gives them.
void check(const std::string& folder, const std::string& name, const support::OriginalModel& original,
           const onnx::QdqOptions& options) {
    INFO(folder << " " << name);
    auto const imported = onnx::import_network(original.source).value();
    auto const bytes = onnx::qdq_bytes(original.source, imported, original.deployment, options).value();
    auto const ours = onnx::ModelFile::of_bytes(bytes.model, "ours").value();
    auto const theirs = onnx::ModelFile::open(support::original_file(folder, name)).value();
    CHECK(ours.opset() == theirs.opset());
    CHECK(ours.proto().ir_version.get() == theirs.proto().ir_version.get());

    std::map<std::string, const onnx::TensorProto*, std::less<>> tensors;
    for (const onnx::TensorProto& t : ours.graph().initializer) tensors.emplace(t.name.get(), &t);
    std::size_t compared = 0;
    for (const onnx::TensorProto& expected : theirs.graph().initializer) {
        std::string const what(expected.name.get());
        if (what.find("sub_module") != what.npos) continue;  // of a layer in float
        INFO(what);
        REQUIRE(tensors.contains(what));
        const onnx::TensorProto& found = *tensors.find(what)->second;
        CHECK(found.data_type.get() == expected.data_type.get());
        auto values = ours.values(found).value().to_vector<double>();
        auto const numbers = theirs.values(expected).value().to_vector<double>();
        if (found.dims != expected.dims) {  // the original turns the matrix of a Gemm
            REQUIRE(found.dims.size() == 2);
            CHECK(found.dims == std::vector<std::int64_t>{expected.dims[1], expected.dims[0]});
            auto const rows = static_cast<std::size_t>(expected.dims[0]),
                       cols = static_cast<std::size_t>(expected.dims[1]);
            std::vector<double> turned(values.size());
            for (std::size_t r = 0; r != rows; ++r)
                for (std::size_t c = 0; c != cols; ++c) turned[r * cols + c] = values[c * rows + r];
            values = std::move(turned);
        }
        CHECK(values == numbers);  // doubles of float32 and of codes: bit for bit
        ++compared;
    }
    CHECK(compared >= 3 * original.deployment.layers().size());

    std::map<std::string, const onnx::NodeProto*, std::less<>> nodes;
    std::map<std::string, int> operators;
    for (const onnx::NodeProto& n : ours.graph().node) {
        nodes.emplace(n.name.get(), &n);
        ++operators[std::string(n.op_type.get())];
    }
    for (const onnx::NodeProto& expected : theirs.graph().node) {
        --operators[std::string(expected.op_type.get())];
        std::string_view const op = expected.op_type.get();
        bool const quantizes =
            op == "QuantizeLinear" || op == "DequantizeLinear" || expected.name.get().ends_with(".x.clip");
        if (!quantizes) continue;
        INFO(expected.name.get());
        REQUIRE(nodes.contains(expected.name.get()));
        const onnx::NodeProto& found = *nodes.find(expected.name.get())->second;
        REQUIRE(found.input.size() == expected.input.size());
        bool const reads_activation = expected.name.get().ends_with(".x.clip") ||
                                      (op == "QuantizeLinear" && !expected.input[0].ends_with(".x_clip"));
        for (std::size_t i = reads_activation ? 1 : 0; i != found.input.size(); ++i)
            CHECK(found.input[i] == expected.input[i]);
        CHECK(found.output == expected.output);
        CHECK(found.attribute.size() == expected.attribute.size());
    }
    // Who reads a dequantized value: as many layers, by their places among the inputs.
    auto const readers = [](const onnx::ModelFile& model) {
        std::map<std::string, std::vector<std::size_t>> out;
        for (const onnx::NodeProto& n : model.graph().node)
            for (std::size_t i = 0; i != n.input.size(); ++i)
                if (n.input[i].ends_with("_dq")) out[std::string(n.input[i])].push_back(i);
        return out;
    };
    CHECK(readers(ours) == readers(theirs));
    for (auto const& [op, more] : operators) {
        INFO(op);
        bool const folded_there = op == "BatchNormalization" && folder == "skip";  // of a skipped layer
        CHECK(more == (folded_there ? 1 : 0));
    }
}

}  // namespace

TEST_CASE("QuantizeLinear models have the golden files' numbers and connections") {
    for (std::string const folder : {"cnn", "dwsep", "mlp", "res", "skip"})
        check(folder, "qdq_int8.onnx", support::original_model(folder), {});
    auto const int4 = support::original_model<Int4>("pool_int4");
    check("pool_int4", "qdq_int4.onnx", int4, {.form = onnx::QdqForm::int4});
    check("pool_int4", "qdq_int4_clip.onnx", int4, {.form = onnx::QdqForm::int4_clip});
}

}  // namespace onnx_qdq_files_test
