// SPDX-License-Identifier: Apache-2.0
// A network whose channels were equalized after it was imported is written as it is now.
#include <amct_distill/deploy/integer.hpp>
#include <amct_distill/onnx/amct_models.hpp>
#include <amct_distill/onnx/import.hpp>
#include <amct_distill/onnx/model_bytes.hpp>
#include <amct_distill/onnx/model_file.hpp>
#include <amct_distill/student/equalize.hpp>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/deploy_networks.hpp"
#include "support/golden.hpp"
#include "support/original_models.hpp"
#include "support/small_network.hpp"

namespace onnx_equalized_test {

using namespace amct_distill;

TEST_CASE("amct models: an equalized network is written with the channels that it has now") {
    auto const source = onnx::ModelFile::open(support::original_file("cnn", "fp32.onnx")).value();
    auto const imported = onnx::import_network(source).value();
    auto const io = golden::load("onnx/cnn/io.json");
    std::vector<nn::Tensor> const batches{support::golden_tensor(io.at("calibration"))};
    nn::Tensor const test = support::golden_tensor(io.at("test"));
    // All in integers; and the convolution whose outputs are scaled in float.
    for (const char* config : {"", "quant_skip_layers: 'conv1'"}) {
        INFO(config);
        nn::Network teacher = imported.network;
        auto const equalized =
            equalize(teacher, std::span(batches), {}, {.into = EqualizeInto::convolutions}).value();
        REQUIRE(!equalized.pairs.empty());
        REQUIRE(teacher.predict(test) != imported.network.predict(test));  // but for rounding the same
        auto student = make_student(teacher, support::plan_for(teacher, config)).value();
        calibrate(student, std::span(batches)).value();
        Deployment const device = deploy(student).value();
        auto const bytes = onnx::fake_quant_bytes(source, imported, device).value();
        auto const file = onnx::ModelFile::of_bytes(bytes.model, "fake quant").value();
        nn::Tensor const found = onnx::import_network(file).value().network.predict(test),
                         expected = integer_network(device).predict(test);
        REQUIRE(found.size() == expected.size());
        for (std::size_t i = 0; i != found.size(); ++i) CHECK(found[i] == Approx(expected[i]).epsilon(1e-5));
    }
}

}  // namespace onnx_equalized_test
