// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/operators/activations.hpp>
// The header under test comes first.
#include <amct_distill/nn/print.hpp>
#include <amct_distill/onnx/import.hpp>

#include "one_operator.hpp"
#include "support/catch.hpp"

namespace test_onnx_activations {

using namespace amct_distill;
using onnx_test::floats;
using onnx_test::OneOperator;
using onnx_test::real;

TEST_CASE("onnx activations: Clip, its bounds, before and since opset 11") {
    CHECK(OneOperator("Clip", {2}, 6).real("min", 0).real("max", 6).layer() == "ReLU6 { }");
    CHECK(OneOperator("Clip", {2}, 6).real("max", 3).layer() == "Hardtanh { min_val: -inf max_val: 3 }");
    CHECK(OneOperator("Clip", {2}).constant(floats("0", {}, {0})).constant(floats("6", {1}, {6})).layer() ==
          "ReLU6 { }");
    CHECK(OneOperator("Clip", {2}).absent().constant(floats("2", {}, {2})).layer() ==
          "Hardtanh { min_val: -inf max_val: 2 }");
    CHECK(OneOperator("Clip", {2}).layer() == "Hardtanh { min_val: -inf max_val: inf }");
    CHECK(OneOperator("Clip", {2}).input("low", {2}).absent().layer() == "Max { }");
    CHECK(OneOperator("Clip", {2}).input("low", {2}).input("high", {2}).layer() == "Max { } Min { }");
    CHECK(OneOperator("Clip", {2}).constant(floats("0", {2}, {0, 1})).layer().find("bounds of one number") !=
          std::string::npos);
}

TEST_CASE("onnx activations: Softmax before and since opset 13") {
    CHECK(OneOperator("Softmax", {3, 4}).layer() == "Softmax { dim: 2 to_end: false }");
    CHECK(OneOperator("Softmax", {3, 4}, 11).layer() == "Softmax { dim: 1 to_end: true }");
    CHECK(OneOperator("LogSoftmax", {3, 1}, 11).layer() == "LogSoftmax { dim: 1 to_end: false }");
    CHECK(OneOperator("Softmax", {3, 4}, 11).integer("axis", -1).layer() ==
          "Softmax { dim: 2 to_end: false }");
    CHECK(OneOperator("Softmax", {3}).integer("axis", 0).layer().find("dim 0 is the batch") !=
          std::string::npos);
    CHECK(OneOperator("Softmax", {3}).integer("axis", 2).layer().find("axis 2 is not one of") !=
          std::string::npos);
}

TEST_CASE("onnx activations: PRelu of one slope, of each channel, and of any other shape") {
    auto const slope = [](std::vector<std::int64_t> dims, std::vector<float> values) {
        return floats("act.weight", std::move(dims), std::move(values));
    };
    CHECK(OneOperator("PRelu", {2, 3}).constant(slope({1}, {0.1f})).layer() == "PReLU { num_parameters: 1 }");
    CHECK(OneOperator("PRelu", {2, 3}).constant(slope({2, 1}, {1, 2})).layer() ==
          "PReLU { num_parameters: 2 }");
    CHECK(OneOperator("PRelu", {2}).constant(slope({2}, {1, 2})).layer() == "PReLU { num_parameters: 2 }");
    CHECK(OneOperator("PRelu", {2, 3}).constant(slope({1, 2, 1}, {1, 2})).layer() ==
          "PReLU { num_parameters: 2 }");
    CHECK(OneOperator("PRelu", {2, 3}, 6).constant(slope({2}, {1, 2})).layer() ==
          "PReLU { num_parameters: 2 }");
    CHECK(OneOperator("PRelu", {2, 3}).constant(slope({3}, {1, 2, 3})).layer() ==
          "ReLU { } Hardtanh { min_val: -inf max_val: 0 } Mul { } Add { }");
    OneOperator columns("PRelu", {2, 2});
    columns.constant(slope({1, 2}, {10, 100}));
    CHECK(columns.run(nn::Tensor({1, 2, 2}, {-1, -2, 3, -4})) == nn::Tensor({1, 2, 2}, {-10, -200, 3, -400}));
}

TEST_CASE("onnx activations: options and their defaults") {
    CHECK(OneOperator("Elu", {2}).layer() == "ELU { alpha: 1 }");
    CHECK(OneOperator("Elu", {2}).real("alpha", 0.5f).layer() == "ELU { alpha: 0.5 }");
    CHECK(OneOperator("Celu", {2}).real("alpha", 0).layer().find("other than 0") != std::string::npos);
    CHECK(OneOperator("HardSigmoid", {2}).real("alpha", 0.25f).layer() ==
          "Hardsigmoid { alpha: 0.25 beta: 0.5 }");
    CHECK(OneOperator("ThresholdedRelu", {2}).layer() == "Threshold { threshold: 1 value: 0 }");
    CHECK(OneOperator("Shrink", {2}).layer() == "Shrink { lambd: 0.5 bias: 0 }");
    CHECK(OneOperator("Gelu", {2}, 20).layer() == "GELU { approximate: \"none\" }");
    CHECK(OneOperator("Gelu", {2}, 20).text("approximate", "tanh").layer() ==
          "GELU { approximate: \"tanh\" }");
    CHECK(OneOperator("Gelu", {2}, 20).text("approximate", "erf").layer().find("found `erf`") !=
          std::string::npos);
    CHECK(OneOperator("Selu", {2}).layer().starts_with("SELU { alpha: 1.67326"));
    CHECK(OneOperator("LeakyRelu", {2}).real("alpha", 0.25f).layer() == "LeakyReLU { negative_slope: 0.25 }");
    for (std::string_view op : {"Relu", "Sigmoid", "Tanh", "Softsign", "HardSwish", "Mish"})
        CHECK(OneOperator(op, {2}, 18).layer().find(" { }") != std::string::npos);
}

}  // namespace test_onnx_activations
