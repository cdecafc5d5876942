// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/activation.hpp>
#include <amct_distill/nn/layers/arithmetic.hpp>
#include <amct_distill/nn/layers/batch_norm.hpp>
#include <amct_distill/nn/layers/conv2d.hpp>
#include <amct_distill/nn/layers/linear.hpp>
#include <amct_distill/nn/layers/structure.hpp>
#include <amct_distill/nn/module_graph.hpp>
#include <amct_distill/nn/network.hpp>

#include "support/catch.hpp"

namespace nn_module_graph_test {

using namespace amct_distill;
using namespace amct_distill::nn;

namespace {

/// Cuts the last dimension in two halves.
struct Halves {
    static constexpr std::string_view type_name = "Halves";
    result<std::vector<Shape>> output_shapes(std::span<const Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].back() % 2 != 0)
            return detail::unexpected_inputs("one input of an even width", inputs);
        Shape half = inputs[0];
        half.back() /= 2;
        return std::vector<Shape>{half, half};
    }
    void forward(BasicInputs<double> inputs, std::span<BasicTensor<double>* const> outputs,
                 BasicScratch<double>&, Mode) const {
        each(*outputs[0], [&](std::size_t half, std::size_t i, std::size_t from) {
            (*outputs[half])[i] = (*inputs[0])[from];
        });
    }
    void backward(BasicInputs<double>, BasicInputs<double> outputs, BasicInputs<double> grad_outputs,
                  std::span<BasicTensor<double>* const> grad_inputs, std::span<BasicTensor<double>>,
                  BasicScratch<double>&, Mode) const {
        if (!grad_inputs[0]) return;
        each(*outputs[0], [&](std::size_t half, std::size_t i, std::size_t from) {
            (*grad_inputs[0])[from] += (*grad_outputs[half])[i];
        });
    }

private:
    template <class F>
    static void each(const BasicTensor<double>& output, F f) {
        auto const width = static_cast<std::size_t>(output.shape().back());
        for (std::size_t half : {0u, 1u})
            for (std::size_t i = 0; i != output.size(); ++i)
                f(half, i, (i / width * 2 + half) * width + i % width);
    }
};
static_assert(MultiModuleOf<Halves, double> && !ModuleOf<Halves, double>);

Network two_layers() {
    Network net;
    NodeId x = net.input("x", {2, 4, 4});
    x = net.add("conv", Conv2d({.in_channels = 2, .out_channels = 3, .kernel = {3, 3}}), {x});
    x = net.add("bn", BatchNorm2d({.num_features = 3}), {x});
    x = net.add("fc", Linear({.in_features = 12, .out_features = 2}),
                {net.add_function("/Flatten", Flatten{}, {x})});
    net.output(x);
    return net;
}

}  // namespace

TEST_CASE("a module with several outputs is a node, with a port for each further one") {
    BasicNetwork<double> net;
    NodeId const x = net.input("x", {4});
    NodeId const split = net.add_function("/Split", Halves{}, {x});
    std::vector<NodeId> const both = net.outputs_of(split);
    REQUIRE(both.size() == 2);
    CHECK(net.name(both[1]) == "/Split:1");
    CHECK(net.graph().kind(both[1]) == NodeKind::port);
    CHECK(net.operations().size() == 1);
    // y = 2 a + 3 b of the halves a, b, through layers of one weight each.
    auto const scaled = [&](const char* name, NodeId from, double factor) {
        BasicLinear<double> fc({.in_features = 2, .out_features = 2, .bias = false});
        fc.weight() = BasicTensor<double>({2, 2}, {factor, 0, 0, factor});
        return net.add(name, fc, {from});
    };
    net.output(
        net.add_function("/Add", BasicAdd<double>{}, {scaled("a", both[0], 2), scaled("b", both[1], 3)}));
    net.output(both[1]);

    BasicTape<double> tape;
    tape.input_gradients = true;
    BasicTensor<double> const in({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8});
    CHECK(net.forward(in, tape, Mode::evaluate) == BasicTensor<double>({2, 2}, {11, 16, 31, 36}));
    CHECK(net.value(both[1], tape) == BasicTensor<double>({2, 2}, {3, 4, 7, 8}));
    CHECK(net.predict(std::vector<BasicTensor<double>>{in})[1] == BasicTensor<double>({2, 2}, {3, 4, 7, 8}));
    BasicTensor<double> const g0({2, 2}, {1, 1, 1, 1}), g1({2, 2}, {10, 10, 10, 10});
    net.backward(std::array{&g0, &g1}, tape, Mode::evaluate);
    CHECK(tape.gradient(x) == BasicTensor<double>({2, 4}, {2, 2, 13, 13, 2, 2, 13, 13}));
}

TEST_CASE("a constant is a node without a batch, which is read and has no gradient") {
    Network net;
    NodeId const x = net.fixed_input("x", {2, 3});
    NodeId const c = net.constant("c", Tensor({2, 3}, {1, 2, 3, 4, 5, 6}));
    net.output(net.add_function("/Add", Add{}, {x, c}));
    CHECK(net.graph().kind(c) == NodeKind::constant);
    Tape tape;
    CHECK(net.forward(Tensor({2, 3}), tape, Mode::evaluate) == net.node(c).constant);
    net.backward(Tensor({2, 3}, {1, 1, 1, 1, 1, 1}), tape, Mode::evaluate);
    CHECK_THROWS_WITH(net.predict(Tensor({1, 3})), "input \"x\": expected [2, 3], found [1, 3]");
    CHECK_THROWS_WITH(net.constant("c", Tensor({1})), "layer \"c\": the name is empty or taken");
    CHECK_THROWS(net.constant("empty", Tensor()));
}

TEST_CASE("parameters of another shape are refused where a module joins, and where it runs") {
    Conv2d conv({.in_channels = 2, .out_channels = 3, .kernel = {3, 3}});
    conv.weight() = Tensor({2, 2, 3, 3});
    Network net;
    NodeId const x = net.input("x", {2, 4, 4});
    CHECK_THROWS_WITH(net.add("conv", conv, {x}),
                      "layer \"conv\" (Conv2d): weight: expected [3, 2, 3, 3], found [2, 2, 3, 3]");
    CHECK(net.graph().size() == 1);  // as it was
    CHECK(net.modules().empty());

    auto const after = [](auto change) {
        Network changed = two_layers();
        change(changed);
        return [changed] { (void)changed.predict(Tensor({1, 2, 4, 4})); };
    };
    CHECK_THROWS_WITH(after([](Network& n) {
                          n.module("conv").get_if<Conv2d>()->weight() = Tensor({2, 1, 3, 3});
                      })(),
                      "layer \"conv\" (Conv2d): weight: expected [3, 2, 3, 3], found [2, 1, 3, 3]");
    CHECK_THROWS_WITH(after([](Network& n) { n.module("conv").get_if<Conv2d>()->bias() = Tensor(); })(),
                      "layer \"conv\" (Conv2d): bias: expected [3], found []");
    CHECK_THROWS_WITH(after([](Network& n) { n.module("bn").get_if<BatchNorm2d>()->weight() = Tensor(); })(),
                      "layer \"bn\" (BatchNorm2d): weight: expected [3], found []");
    CHECK_THROWS_WITH(
        after([](Network& n) { n.module("bn").get_if<BatchNorm2d>()->running_var() = Tensor({4}); })(),
        "layer \"bn\" (BatchNorm2d): running_var: expected [3], found [4]");
    CHECK_THROWS_WITH(after([](Network& n) {
                          n.module("fc").get_if<Linear>()->weight() = Tensor({12, 2});
                      })(),
                      "layer \"fc\" (Linear): weight: expected [2, 12], found [12, 2]");
    Linear without({.in_features = 12, .out_features = 2, .bias = false});
    without.bias() = Tensor({2});
    Network replaced = two_layers();
    CHECK_THROWS_WITH(
        replaced.replace("fc", without),
        "layer \"fc\" (Linear): bias: the options say that there is none; set their `bias` to true, or "
        "leave it empty");
    CHECK(replaced.module("fc").parameters().size() == 2);  // as it was
}

TEST_CASE("a module says whether it has weights that can be quantized") {
    Network const net = two_layers();
    REQUIRE(net.module("conv").weighted() != nullptr);
    CHECK(net.module("conv").weighted()->output_channels() == 3);
    CHECK(net.module("bn").weighted() == nullptr);
    CHECK(net.graph().module(*net.graph().module_named("fc")).weighted);
    Module copy = net.module("fc");
    copy.weighted()->weight()[0] = 7;
    CHECK(copy.get_if<Linear>()->weight()[0] == 7);
    CHECK(net.module("fc").weighted()->weight()[0] == 0);
    Module const other = copy.weighted()->with_parameters(Tensor({2, 12}), Tensor());
    CHECK(other.get_if<Linear>()->options().bias == false);
}

namespace {
/// A module whose outputs have the shapes that it is given, whatever it reads.
struct Given {
    static constexpr std::string_view type_name = "Given";
    std::vector<Shape> shapes;
    result<std::vector<Shape>> output_shapes(std::span<const Shape>) const { return shapes; }
    void forward(Inputs, std::span<Tensor* const>, Scratch&, Mode) const {}
    void backward(Inputs, Inputs, Inputs, std::span<Tensor* const>, std::span<Tensor>, Scratch&, Mode) const {
    }
};
}  // namespace

TEST_CASE("a layer has inputs, outputs of some dimension, and keeps their number when it is replaced") {
    Network net;
    NodeId const x = net.input("x", {4});
    std::string const expected =
        "layer \"a\" (Given): expected inputs, and an output that keeps the batch as dimension 0, found ";
    CHECK_THROWS_WITH(net.add("a", Given{{{any_batch, 2}}}, {}), expected + "0 inputs and an output [N, 2]");
    CHECK_THROWS_WITH(net.add("a", Given{{{}}}, {x}), expected + "1 inputs and an output []");
    CHECK_THROWS_WITH(net.add("a", Given{{{any_batch}, {2}}}, {x}), expected + "1 inputs and an output [2]");
    CHECK_THROWS_WITH(net.add("a", Given{}, {x}), "layer \"a\" (Given): it has no output");
    NodeId const a = net.add("a", Given{{{any_batch, 2}, {any_batch, 3}}}, {x});
    CHECK(net.outputs_of(a).size() == 2);
    CHECK_THROWS_WITH(net.add("a", ReLU{}, {x}), "layer \"a\": the name is empty or taken");
    CHECK_THROWS_WITH(net.replace("a", Given{{{any_batch, 2}}}),
                      "layer \"a\": its replacement (Given) has 1 outputs, expected 2");
}

}  // namespace nn_module_graph_test
