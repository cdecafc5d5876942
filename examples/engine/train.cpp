// SPDX-License-Identifier: Apache-2.0
// Trains the engine's network and writes it to the file that is named: examples/engine/model.hpp was made so.
#include <amct_distill/amct_distill.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "../digits.hpp"

using namespace amct_distill;

namespace {

nn::Network make_network() {
    nn::Network net;
    nn::NodeId x = net.input("image", {1, 8, 8});
    x = net.add("conv1",
                nn::Conv2d({.in_channels = 1, .out_channels = 4, .kernel = {3, 3}, .padding = {1, 1}}), {x});
    x = net.add("relu", nn::ReLU{}, {x});
    x = net.add(
        "conv2",
        nn::Conv2d(
            {.in_channels = 4, .out_channels = 8, .kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1}}),
        {x});
    x = net.add_function("flatten", nn::Flatten{}, {x});
    x = net.add("fc", nn::Linear({.in_features = 128, .out_features = 10}), {x});
    net.output(x);
    nn::initialize(net, 1);
    return net;
}

std::string number(double x) {
    char text[32];
    std::snprintf(text, sizeof text, "%#.4g", x);
    return text;
}

std::string array(const std::string& name, const nn::Tensor& values) {
    std::string text = detail::concat("inline constexpr float ", name, "[", values.size(), "] = {");
    for (float x : values) text += number(static_cast<double>(x)) + "f, ";
    return text + "};\n";
}

template <class Layer>
std::string arrays(const nn::Network& net, const std::string& name) {
    const Layer& layer = *net.module(name).get_if<Layer>();
    return array(name + "_weight", layer.weight()) + array(name + "_bias", layer.bias());
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) return std::fprintf(stderr, "usage: engine_train digits.csv model.hpp\n"), 2;
    auto const data = digits::load(argv[1]).value();
    nn::Network net = make_network();
    digits::train(net, data.train, 1);

    nn::Tape tape;
    net.forward(data.train.images, tape, nn::Mode::evaluate);
    std::string text = detail::concat(
        "/// A network that was trained on examples/data/digits.csv by engine/train.cpp; in float32 it ",
        "recognizes\n/// ", number(100 * digits::accuracy(net.predict(data.test.images), data.test)),
        " % of the test digits. IFMR at INT8 finds these ranges of the layers' inputs:\n");
    for (const char* name : {"conv1", "conv2", "fc"}) {
        const nn::Tensor& x = tape.output(net.node(*net.find(name)).inputs[0]);
        Ifmr<Int8> ifmr;
        ifmr.observe({x.data(), x.size()}).value();
        auto const clip = ifmr.finish().value().clip;
        text += detail::concat("///   ", name, ": ", number(static_cast<double>(clip.min)), " .. ",
                               number(static_cast<double>(clip.max)), "\n");
    }
    text += "#pragma once\n\nnamespace engine::model {\n\n";
    text +=
        arrays<nn::Conv2d>(net, "conv1") + arrays<nn::Conv2d>(net, "conv2") + arrays<nn::Linear>(net, "fc");
    text += "\n}  // namespace engine::model\n";
    write_file(argv[2], text).value();
}
