// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/student/quantized_layer.hpp>

#include <array>

#include "support/catch.hpp"
#include "support/small_network.hpp"

namespace distill_quantized_layer_test {

using namespace amct_distill;

namespace {
struct Parts {
    QuantizedLayer<> layer;
    nn::Conv2d conv;
    nn::Tensor x, grad_y;
};
Parts make_parts(bool calibrated) {
    nn::Network const net = support::small_network();
    nn::Conv2d const conv = *net.module("conv1").get_if<nn::Conv2d>();
    auto const plan = support::plan_for(net, support::int4_config);
    auto quantizers = LayerQuantizers<StandardAlgorithms>::make(plan.layers.at(0), conv.weight()).value();
    nn::Tensor const x = support::small_batches(1, 3)[0];
    if (calibrated) {
        quantizers.set_clips({0.9f, -0.8f});
    }
    nn::Tensor grad_y({3, 4, 6, 6});
    for (std::size_t i = 0; i != grad_y.size(); ++i) grad_y[i] = 0.01f * static_cast<float>(i % 17) - 0.08f;
    return {{conv, quantizers}, conv, x, grad_y};
}
}  // namespace

TEST_CASE("forward is the layer of the quantized input and the quantized weight") {
    for (bool calibrated : {false, true}) {
        Parts p = make_parts(calibrated);
        nn::Scratch scratch, other;
        nn::Tensor y({3, 4, 6, 6}), expected({3, 4, 6, 6}), weight, input = p.x;
        p.layer.forward(std::array<const nn::Tensor*, 1>{&p.x}, y, scratch, nn::Mode::evaluate);

        p.layer.quantizers().quantize_weight(p.conv.weight(), weight);
        if (calibrated) p.layer.quantizers().quantize_data(p.x, input);
        CHECK(weight != p.conv.weight());
        CHECK((input != p.x) == calibrated);
        p.conv.forward_with(weight, input, expected, other);
        CHECK(y == expected);
        CHECK(p.layer.layer().weight() == p.conv.weight());  // the master is as it was
    }
}

TEST_CASE("backward is straight through: the layer's gradients, passed on by the quantizers, added") {
    Parts p = make_parts(true);
    nn::Scratch scratch, other;
    nn::Tensor y({3, 4, 6, 6}), grad_x(p.x.shape());
    std::array<const nn::Tensor*, 1> const inputs{&p.x};
    p.layer.forward(inputs, y, scratch, nn::Mode::evaluate);
    std::vector<nn::Parameter> parameters;
    p.layer.parameters(parameters);
    REQUIRE(parameters.size() == 4);
    std::vector<nn::Tensor> gradients;
    for (const auto& q : parameters) gradients.emplace_back(nn::Shape(q.shape().begin(), q.shape().end()));
    std::array<nn::Tensor*, 1> const grad_inputs{&grad_x};
    for (int twice = 0; twice != 2; ++twice)
        p.layer.backward(inputs, y, p.grad_y, grad_inputs, gradients, scratch, nn::Mode::evaluate);

    nn::Tensor weight, input, grad_weight(p.conv.weight().shape()), grad_bias({4}), grad_data(p.x.shape());
    const auto& q = p.layer.quantizers();
    q.quantize_weight(p.conv.weight(), weight);
    q.quantize_data(p.x, input);
    p.conv.backward_with(weight, input, p.grad_y, &grad_data, &grad_weight, &grad_bias, other);
    nn::Tensor through, scales({4}), clips({2}), buffer;
    q.weight_backward(p.conv.weight(), grad_weight, through, &scales, buffer);
    for (std::size_t i = 0; i != through.size(); ++i) CHECK(gradients[0][i] == through[i] + through[i]);
    for (std::size_t i = 0; i != 4; ++i) CHECK(gradients[1][i] == Approx(2 * grad_bias[i]));
    for (std::size_t i = 0; i != 4; ++i) CHECK(gradients[2][i] == scales[i] + scales[i]);
    q.data_backward(p.x, grad_data, through, clips, buffer);
    for (std::size_t i = 0; i != 2; ++i) CHECK(gradients[3][i] == clips[i] + clips[i]);
    for (std::size_t i = 0; i != grad_x.size(); ++i) CHECK(grad_x[i] == through[i] + through[i]);
}

TEST_CASE("the clips are trained also where nobody wants the gradient of the input") {
    Parts p = make_parts(true);
    nn::Scratch scratch;
    nn::Tensor y({3, 4, 6, 6});
    std::array<const nn::Tensor*, 1> const inputs{&p.x};
    p.layer.forward(inputs, y, scratch, nn::Mode::evaluate);
    std::vector<nn::Parameter> parameters;
    p.layer.parameters(parameters);
    std::vector<nn::Tensor> gradients;
    for (const auto& q : parameters) gradients.emplace_back(nn::Shape(q.shape().begin(), q.shape().end()));
    std::array<nn::Tensor*, 1> const nobody{nullptr};
    p.layer.backward(inputs, y, p.grad_y, nobody, gradients, scratch, nn::Mode::evaluate);
    CHECK(gradients[3] != nn::Tensor({2}));
}

TEST_CASE("runs that share a prepared weight compute the same, and their gradients are finished on the sum") {
    Parts p = make_parts(true);
    nn::Scratch alone, shared;
    nn::Tensor y({3, 4, 6, 6}), same_y({3, 4, 6, 6}), prepared, grad_x(p.x.shape()), same_x(p.x.shape());
    std::array<const nn::Tensor*, 1> const inputs{&p.x};
    p.layer.prepare(prepared, shared);
    shared.use_prepared(&prepared);
    p.layer.forward(inputs, y, alone, nn::Mode::evaluate);
    p.layer.forward(inputs, same_y, shared, nn::Mode::evaluate);
    CHECK(y == same_y);

    std::vector<nn::Parameter> parameters;
    p.layer.parameters(parameters);
    std::vector<nn::Tensor> expected, gradients;
    for (const auto& q : parameters) expected.emplace_back(nn::Shape(q.shape().begin(), q.shape().end()));
    gradients = expected;
    std::array<nn::Tensor*, 1> const grad_inputs{&grad_x}, same_inputs{&same_x};
    for (int twice = 0; twice != 2; ++twice) {
        p.layer.backward(inputs, y, p.grad_y, grad_inputs, expected, alone, nn::Mode::evaluate);
        p.layer.backward(inputs, y, p.grad_y, same_inputs, gradients, shared, nn::Mode::evaluate);
    }
    p.layer.finish_gradients(gradients, alone);
    CHECK(grad_x == same_x);
    for (std::size_t k = 0; k != gradients.size(); ++k)
        for (std::size_t i = 0; i != gradients[k].size(); ++i)
            CHECK(gradients[k][i] == Approx(expected[k][i]).epsilon(1e-4).margin(1e-6));
}

TEST_CASE("what has no weights is no quantized layer") {
    Parts p = make_parts(true);
    auto const quantizers = p.layer.quantizers();
    CHECK_THROWS_WITH(QuantizedLayer<>(nn::Module(nn::ReLU{}), quantizers),
                      "QuantizedLayer: a ReLU has no weights that can be quantized: see nn/weighted.hpp");
}

TEST_CASE("before calibration only the weight has a gradient of its own, and the input's passes as it is") {
    for (bool bias : {true, false})
        for (bool wanted : {true, false}) {
            nn::Network const net = support::small_network();
            nn::Conv2d conv(
                {.in_channels = 2, .out_channels = 4, .kernel = {3, 3}, .padding = {1, 1}, .bias = bias});
            conv.weight() = net.module("conv1").get_if<nn::Conv2d>()->weight();
            auto const plan = support::plan_for(net, "");  // whose weights' scales are not trained
            QuantizedLayer<> layer(
                conv, LayerQuantizers<StandardAlgorithms>::make(plan.layers.at(0), conv.weight()).value());
            CHECK(layer.regularized() == 0);
            std::vector<nn::Parameter> parameters;
            layer.parameters(parameters);
            REQUIRE(parameters.size() == (bias ? 2 : 1));
            nn::Tensor const x = support::small_batches(1, 3)[0];
            nn::Tensor y({3, 4, 6, 6}), grad_y({3, 4, 6, 6}), grad_x(x.shape());
            for (std::size_t i = 0; i != grad_y.size(); ++i) grad_y[i] = static_cast<float>(i % 5) - 2;
            nn::Scratch scratch, other;
            std::array<const nn::Tensor*, 1> const inputs{&x};
            layer.forward(inputs, y, scratch, nn::Mode::evaluate);
            std::vector<nn::Tensor> gradients;
            for (const auto& q : parameters)
                gradients.emplace_back(nn::Shape(q.shape().begin(), q.shape().end()));
            std::array<nn::Tensor*, 1> const grad_inputs{wanted ? &grad_x : nullptr};
            layer.backward(inputs, y, grad_y, grad_inputs, gradients, scratch, nn::Mode::evaluate);

            nn::Tensor weight, grad_weight(conv.weight().shape()), grad_bias({4}), expected(x.shape());
            layer.quantizers().quantize_weight(conv.weight(), weight);
            conv.backward_with(weight, x, grad_y, &expected, &grad_weight, bias ? &grad_bias : nullptr,
                               other);
            CHECK(gradients[0] == grad_weight);  // all of them are within the range
            if (bias) CHECK(gradients[1] == grad_bias);
            CHECK(grad_x == (wanted ? expected : nn::Tensor(x.shape())));
            CHECK(layer.regularize(1, gradients, scratch) == 0);
            CHECK(gradients[0] == grad_weight);
        }
}

}  // namespace distill_quantized_layer_test
