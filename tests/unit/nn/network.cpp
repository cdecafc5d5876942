// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/network.hpp>

#include <amct_distill/nn/initialize.hpp>
#include <amct_distill/nn/layers/activation.hpp>
#include <amct_distill/nn/layers/arithmetic.hpp>
#include <amct_distill/nn/layers/batch_norm.hpp>
#include <amct_distill/nn/layers/conv2d.hpp>
#include <amct_distill/nn/layers/linear.hpp>
#include <amct_distill/nn/layers/pool.hpp>
#include <amct_distill/nn/layers/softmax.hpp>
#include <amct_distill/nn/layers/structure.hpp>

#include "support/catch.hpp"
#include "support/gradient_check.hpp"

namespace nn_network_test {

using namespace amct_distill;
using namespace amct_distill::nn;

namespace {

/// A residual network of all that there is: fan-out, a shared activation, functional operations.
template <class T>
BasicNetwork<T> residual() {
    BasicNetwork<T> net;
    NodeId x = net.input("image", {2, 6, 6});
    x = net.add("stem",
                BasicConv2d<T>({.in_channels = 2, .out_channels = 3, .kernel = {3, 3}, .padding = {1, 1}}),
                {x});
    x = net.add("bn", BasicBatchNorm2d<T>({.num_features = 3}), {x});
    NodeId const trunk = net.add("tanh", BasicTanh<T>{}, {x});
    x = net.add(
        "conv",
        BasicConv2d<T>(
            {.in_channels = 3, .out_channels = 3, .kernel = {3, 3}, .padding = {1, 1}, .bias = false}),
        {trunk});
    x = net.add_function("/Add", BasicAdd<T>{}, {x, trunk});
    x = net.apply("tanh_1", "tanh", {x});
    x = net.add_function("/Concat", BasicConcat<T>{}, {x, trunk});
    x = net.add_function("/Pool", BasicAvgPool2d<T>({.kernel = {2, 2}}), {x});
    x = net.add_function("/Flatten", BasicFlatten<T>{}, {x});
    x = net.add("fc", BasicLinear<T>({.in_features = 54, .out_features = 4}), {x});
    net.output(x);
    return net;
}

template <class T>
BasicTensor<T> images(Index batch, const Shape& sample, std::uint64_t seed) {
    Shape shape = sample;
    shape.insert(shape.begin(), batch);
    BasicTensor<double> distinct(shape);
    fill_distinct(distinct, seed);
    return BasicTensor<T>(shape, std::vector<T>(distinct.begin(), distinct.end()));
}

double dot(const BasicTensor<double>& a, const BasicTensor<double>& b) {
    return matrix(a, 1, Index(a.size())).row(0).dot(matrix(b, 1, Index(b.size())).row(0));
}

/// The largest difference between a gradient and the central difference of the loss.
template <class Loss>
double difference(std::span<double> value, const BasicTensor<double>& gradient, const Loss& loss) {
    double worst = 0;
    for (std::size_t i = 0; i != value.size(); ++i) {
        double const at = value[i];
        value[i] = at + gradient_step;
        double const above = loss();
        value[i] = at - gradient_step;
        double const below = loss();
        value[i] = at;
        worst = (std::max)(worst, std::abs((above - below) / (2 * gradient_step) - gradient[i]));
    }
    return worst;
}

/// A module that takes the batch apart, which none may.
struct Transposed : BasicIdentity<float> {
    result<Shape> output_shape(std::span<const Shape> inputs) const {
        return Shape(inputs[0].rbegin(), inputs[0].rend());
    }
};

}  // namespace

TEST_CASE("network: nodes, modules and names") {
    Network net = residual<float>();
    CHECK(net.inputs().size() == 1);
    CHECK(net.operations().size() == 10);
    NodeId const again = net.find("tanh_1").value();
    CHECK(net.node(again).module == net.node(net.find("tanh").value()).module);
    CHECK(net.node(again).shape == Shape{any_batch, 3, 6, 6});
    CHECK(net.node(net.find("/Add").value()).inputs.size() == 2);
    CHECK_FALSE(net.node(net.find("/Add").value()).module);
    CHECK(net.node(net.inputs()[0]).is_input());
    CHECK_FALSE(net.find("nowhere"));
    CHECK(net.modules().size() == 5);
    CHECK(net.modules()[1].name == "bn");
    CHECK(net.module("stem").type() == "Conv2d");
    CHECK(std::as_const(net).module("fc").get_if<Linear>()->options().out_features == 4);
}

TEST_CASE("network: its topology") {
    Topology const t = residual<float>().topology();
    REQUIRE(t.modules.size() == 5);
    CHECK(t.modules[0].name == "stem");
    CHECK(t.modules[0].type == "Conv2d");
    CHECK(t.modules[0].zero_padding);
    CHECK(t.modules[2].type == "Tanh");

    std::string text;
    for (const TopologyNode& n : t.nodes) {
        text += detail::concat(n.name, ' ', n.type, ' ', n.module ? std::to_string(*n.module) : "-");
        for (std::size_t i : n.inputs) text += detail::concat(' ', i);
        text += '\n';
    }
    CHECK(
        text ==
        "image Input -\nstem Conv2d 0 0\nbn BatchNorm2d 1 1\ntanh Tanh 2 2\nconv Conv2d 3 3\n/Add Add - 4 3\n"
        "tanh_1 Tanh 2 5\n/Concat Concat - 6 3\n/Pool AveragePool - 7\n/Flatten Flatten - 8\n"
        "fc Linear 4 9\n");
    CHECK(t.outputs == std::vector<std::size_t>{10});
}

TEST_CASE("network: gradients of the whole are those of central differences") {
    for (Mode mode : {Mode::evaluate, Mode::train}) {
        BasicNetwork<double> net = residual<double>();
        initialize(net, 3);
        BasicTensor<double> x = images<double>(3, {2, 6, 6}, 1);
        BasicTensor<double> const weights = images<double>(3, {4}, 2);
        BasicTape<double> tape;
        tape.input_gradients = true;
        auto const loss = [&] { return dot(weights, net.forward(x, tape, mode)); };
        (void)loss();
        net.zero_gradients(tape);
        net.backward(weights, tape, mode);

        CHECK(difference(x.span(), tape.gradient(net.inputs()[0]), loss) < gradient_tolerance);
        auto const parameters = net.parameters(tape);
        std::string names;
        for (const auto& p : parameters) {
            names += p.name + ' ';
            INFO(p.name);
            if (p.role != Role::statistic)
                CHECK(difference(p.values, *p.gradient, loss) < gradient_tolerance);
        }
        CHECK(names ==
              "stem.weight stem.bias bn.weight bn.bias bn.running_mean bn.running_var conv.weight fc.weight "
              "fc.bias ");
        CHECK(net.modules()[parameters.back().module].name == "fc");
    }
}

TEST_CASE("network: gradients of a block's mean squared error are those of central differences") {
    BasicNetwork<double> net;
    NodeId const image = net.input("image", {2, 5, 5});
    std::vector<NodeId> block;
    auto const add = [&](const char* name, BasicModule<double> module, NodeId from) {
        block.push_back(net.add(name, std::move(module), {from}));
        return block.back();
    };
    NodeId x = net.add("before", BasicTanh<double>{}, {image});
    x = add("conv",
            BasicConv2d<double>(
                {.in_channels = 2, .out_channels = 4, .kernel = {3, 3}, .padding = {1, 1}, .groups = 2}),
            x);
    x = add("bn", BasicBatchNorm2d<double>({.num_features = 4}), x);
    x = add("leaky", BasicLeakyReLU<double>{}, x);
    x = add("pool", BasicMaxPool2d<double>({.kernel = {2, 2}}), x);
    x = add("flatten", BasicFlatten<double>{}, x);
    x = add("fc", BasicLinear<double>({.in_features = 16, .out_features = 3}), x);
    net.output(net.add("after", BasicSoftmax<double>{}, {x}));
    initialize(net, 5);

    BasicTape<double> tape;
    tape.input_gradients = true;
    BasicTensor<double> const target = images<double>(3, {3}, 2);
    NodeId const feed = *net.find("before");
    tape.output(feed) = images<double>(3, {2, 5, 5}, 1);
    auto const loss = [&] {
        net.forward_nodes(block, tape, Mode::evaluate);
        return (array(tape.output(x)) - array(target)).square().mean();
    };
    (void)loss();
    BasicTensor<double> gradient(target.shape());
    array(gradient) = (array(tape.output(x)) - array(target)) * (2.0 / double(target.size()));
    net.zero_gradients(tape);
    net.backward_nodes(block, gradient, tape, Mode::evaluate);

    CHECK(difference(tape.output(feed).span(), tape.gradient(feed), loss) < gradient_tolerance);
    for (const auto& p : net.parameters(tape)) {
        INFO(p.name);
        if (p.role == Role::statistic) continue;
        CHECK(array(*p.gradient).abs().maxCoeff() > 1e-4);
        CHECK(difference(p.values, *p.gradient, loss) < gradient_tolerance);
    }
}

TEST_CASE("network: a shared module and a repeated backward sum their gradients") {
    BasicNetwork<double> net;
    NodeId x = net.input("x", {2});
    x = net.add("fc", BasicLinear<double>({.in_features = 2, .out_features = 2, .bias = false}), {x});
    x = net.apply("fc_again", "fc", {x});
    x = net.add_function("/Add", BasicAdd<double>{}, {x, x});
    net.output(x);
    net.module("fc").get_if<BasicLinear<double>>()->weight() = {{2, 2}, {1, 2, 3, 4}};

    BasicTape<double> tape;
    CHECK(net.forward({{1, 2}, {1, 0}}, tape, Mode::train) == BasicTensor<double>({1, 2}, {14, 30}));
    net.zero_gradients(tape);
    // y = 2 W W x: with g at y, the second use takes 2 g (W x)^T, the first (W^T 2 g) x^T.
    net.backward({{1, 2}, {1, 0}}, tape, Mode::train);
    BasicTensor<double> const once({2, 2}, {2 + 2, 6, 4, 0});
    REQUIRE(net.parameters(tape).size() == 1);
    CHECK(*net.parameters(tape)[0].gradient == once);
    net.backward({{1, 2}, {1, 0}}, tape, Mode::train);
    CHECK(tape.parameter_gradients({0})[0][0] == 8);
    net.zero_gradients(tape);
    CHECK(tape.parameter_gradients({0})[0] == BasicTensor<double>({2, 2}));
}

TEST_CASE("network: several inputs and outputs") {
    BasicNetwork<double> net;
    NodeId const a = net.input("a", {2}), b = net.input("b", {2});
    NodeId const sum = net.add("add", BasicAdd<double>{}, {a, b});
    NodeId const top = net.add("tanh", BasicTanh<double>{}, {sum});
    net.output(top);
    net.output(sum);
    BasicTensor<double> const u({1, 2}, {0.5, 1}), v({1, 2}, {-0.5, 1});
    BasicTape<double> tape;
    tape.input_gradients = true;
    std::array const inputs{&u, &v};
    CHECK(net.forward(inputs, tape, Mode::evaluate)[0] == 0);
    CHECK(tape.output(sum) == BasicTensor<double>({1, 2}, {0, 2}));
    std::array const gradients{&u, &v};
    net.backward(gradients, tape, Mode::evaluate);
    CHECK(tape.gradient(a) == tape.gradient(b));
    CHECK(tape.gradient(a)[0] == 0.5 - 0.5);
}

TEST_CASE("network: a block runs on its own, from a tensor set in the tape") {
    BasicNetwork<double> net = residual<double>();
    initialize(net, 5);
    BasicTensor<double> const x = images<double>(2, {2, 6, 6}, 1);
    BasicTape<double> whole;
    net.forward(x, whole, Mode::evaluate);

    NodeId const start = net.find("tanh").value(), conv = net.find("conv").value();
    std::vector<NodeId> const block{conv, net.find("/Add").value(), net.find("tanh_1").value()};
    BasicTape<double> tape;
    tape.output(start) = whole.output(start);
    net.forward_nodes(block, tape, Mode::evaluate);
    CHECK(tape.output(block.back()) == whole.output(block.back()));

    BasicTensor<double> const g = images<double>(2, {3, 6, 6}, 4);
    net.backward_nodes(block, g, tape, Mode::evaluate);
    CHECK(tape.gradient(start).empty());  // nobody asked for it
    CHECK(tape.parameter_gradients(*net.node(conv).module)[0].size() == 81);
    CHECK(tape.parameter_gradients(*net.node(net.find("stem").value()).module).empty());
    tape.input_gradients = true;
    net.backward_nodes(block, g, tape, Mode::evaluate);
    CHECK(tape.gradient(start).shape() == tape.output(start).shape());

    // The same by single steps.
    BasicTape<double> steps;
    steps.output(start) = whole.output(start);
    steps.input_gradients = true;
    for (NodeId id : block) net.forward_node(id, steps, Mode::evaluate);
    net.begin_backward(block, steps);
    steps.gradient(block.back()) = g;
    for (std::size_t i = block.size(); i-- != 0;) net.backward_node(block[i], steps, Mode::evaluate);
    CHECK(steps.gradient(start) == tape.gradient(start));
}

TEST_CASE("network: only the first step allocates, whatever the batch sizes after it") {
    Network net = residual<float>();
    initialize(net, 1);
    Tape tape;
    tape.input_gradients = true;
    auto const step = [&](Index batch) {
        Tensor const x = images<float>(batch, {2, 6, 6}, 1), g = images<float>(batch, {4}, 2);
        net.forward(x, tape, Mode::train);
        net.zero_gradients(tape);
        net.backward(g, tape, Mode::train);
    };
    auto const places = [&] {
        std::vector<const float*> all;
        for (std::size_t i = 0; i != net.operations().size() + net.inputs().size(); ++i)
            all.insert(all.end(), {tape.output({i}).data(), tape.gradient({i}).data()});
        for (const auto& p : net.parameters(tape)) all.push_back(p.gradient->data());
        return all;
    };
    step(4);
    auto const first = places();
    for (Index batch : {4, 1, 3, 4}) {
        step(batch);
        CHECK(places() == first);
    }
    CHECK(tape.output(net.outputs()[0]).shape() == Shape{4, 4});
}

TEST_CASE("network: a step on a used tape gives the bits of a fresh one") {
    Network net = residual<float>();
    initialize(net, 1);
    Tensor const x = images<float>(3, {2, 6, 6}, 1), other = images<float>(5, {2, 6, 6}, 9);
    Tape used, fresh;
    net.forward(other, used, Mode::train);
    net.backward(images<float>(5, {4}, 2), used, Mode::train);
    net.zero_gradients(used);
    for (Tape* tape : {&used, &fresh}) {
        net.forward(x, *tape, Mode::train);
        net.backward(images<float>(3, {4}, 2), *tape, Mode::train);
    }
    CHECK(used.output(net.outputs()[0]) == fresh.output(net.outputs()[0]));
    auto const a = net.parameters(used), b = net.parameters(fresh);
    for (std::size_t i = 0; i != a.size(); ++i) CHECK(*a[i].gradient == *b[i].gradient);
    CHECK(net.predict(x) == net.predict(x));
}

TEST_CASE("network: a copy is independent, and a module can be replaced by one of the same shape") {
    Network const teacher = [] {
        Network net = residual<float>();
        initialize(net, 1);
        return net;
    }();
    Network student = teacher;
    student.module("fc").get_if<Linear>()->bias().fill(7);
    CHECK_FALSE(teacher.module("fc").get_if<Linear>()->bias()[0] == 7);

    student.replace("tanh", Sigmoid{});
    CHECK(student.module("tanh").type() == "Sigmoid");
    Tensor const x = images<float>(1, {2, 6, 6}, 1);
    Tape tape;
    student.forward(x, tape, Mode::evaluate);
    for (char const* use : {"tanh", "tanh_1"})
        CHECK(array(tape.output(student.find(use).value())).minCoeff() > 0);

    CHECK_THROWS_WITH(student.replace("fc", Linear({.in_features = 54, .out_features = 5})),
                      "layer \"fc\": its replacement (Linear) must have an output [N, 4], found [N, 5]");
    CHECK_THROWS_WITH(student.replace("fc", Linear({.in_features = 53, .out_features = 4})),
                      "layer \"fc\" (Linear): expected one input [N, ..., 53], found [N, 54]");
    CHECK_THROWS_WITH(student.replace("gone", ReLU{}), "the network has no module \"gone\"");
}

TEST_CASE("network: running statistics are updated on request") {
    Network net = residual<float>();
    initialize(net, 1);
    Tape tape;
    net.forward(images<float>(4, {2, 6, 6}, 1), tape, Mode::train);
    const Tensor& mean = net.module("bn").get_if<BatchNorm2d>()->running_mean();
    CHECK(mean == Tensor({3}));
    net.update_statistics(tape);
    CHECK_FALSE(mean == Tensor({3}));
    net.constrain();  // nothing here has constraints
}

TEST_CASE("network: errors while it is built") {
    Network net;
    CHECK_THROWS_WITH(net.input("image", {1, 0}),
                      "input \"image\": expected the shape of a sample, each dimension "
                      "at least 1, found [1, 0]");
    NodeId const x = net.input("image", {1, 8, 8});
    Conv2d const conv({.in_channels = 3, .out_channels = 4, .kernel = {3, 3}});
    CHECK_THROWS_AS(net.add("conv1", conv, {x}), std::invalid_argument);
    CHECK_THROWS_WITH(net.add("conv1", conv, {x}),
                      "layer \"conv1\" (Conv2d): expected one input [N, 3, H, W], found [N, 1, 8, 8]");
    net.add("relu", ReLU{}, {x});
    CHECK_THROWS_WITH(net.add("relu", ReLU{}, {x}), "layer \"relu\": the name is empty or taken");
    CHECK_THROWS_WITH(net.add_function("image", ReLU{}, {x}), "layer \"image\": the name is empty or taken");
    CHECK_THROWS_WITH(net.add("", ReLU{}, {x}), "layer \"\": the name is empty or taken");
    CHECK_THROWS_WITH(net.add("relu2", ReLU{}, {NodeId{7}}), "node 7: the network has 2 nodes");
    CHECK_THROWS_WITH(net.apply("again", "relu9", {x}), "the network has no module \"relu9\"");
    CHECK_THROWS_WITH(net.add_function("conv", Conv2d({.in_channels = 1, .out_channels = 1}), {x}),
                      "function \"conv\" (Conv2d): it has parameters; use add()");
    CHECK_THROWS_WITH(net.output(x), "output \"image\": it is an input or an output already");
    CHECK_THROWS_WITH(
        net.add("t", Transposed{}, {x}),
        "layer \"t\" (Identity): expected inputs, and an output that keeps the batch as dimension 0, "
        "found 1 inputs and an output [8, 8, 1, -1]");
    CHECK(net.modules().size() == 1);  // what failed left nothing behind
    CHECK(net.operations().size() == 1);
}

TEST_CASE("network: errors while it runs") {
    Network net;
    NodeId const x = net.input("image", {1, 4, 4});
    NodeId const relu = net.add("relu", ReLU{}, {x});
    NodeId const sum = net.add("add", Add{}, {x, relu});
    Tape tape;
    CHECK_THROWS_WITH(net.predict(Tensor({2, 1, 4, 4})), "the network has no output");
    net.output(sum);
    CHECK_THROWS_WITH(net.predict(Tensor({2, 1, 4, 5})),
                      "input \"image\": expected [N, 1, 4, 4], found [2, 1, 4, 5]");
    CHECK_THROWS_WITH(net.predict(Tensor({0, 1, 4, 4})),
                      "input \"image\": expected [N, 1, 4, 4], found [0, 1, 4, 4]");
    CHECK_THROWS_WITH(net.forward(Inputs{}, tape, Mode::evaluate), "expected 1 inputs, found 0");
    CHECK_THROWS_WITH(net.forward_node(sum, tape, Mode::evaluate),
                      "layer \"add\": it reads \"image\", which has no output in the tape");
    tape.output(x) = Tensor({2, 1, 4, 4});
    tape.output(relu) = Tensor({3, 1, 4, 4});
    CHECK_THROWS_WITH(net.forward_node(sum, tape, Mode::evaluate),
                      "layer \"add\": expected inputs of one batch size, found 2 and 3");
    tape.output(relu) = Tensor({2, 4, 4});
    CHECK_THROWS_WITH(net.forward_node(sum, tape, Mode::evaluate),
                      "layer \"add\": it reads \"relu\", expected [N, 1, 4, 4], found [2, 4, 4]");
    net.forward(Tensor({2, 1, 4, 4}), tape, Mode::evaluate);
    CHECK_THROWS_WITH(net.backward(Tensor({2, 1, 4, 5}), tape, Mode::evaluate),
                      "gradient of \"add\": expected [2, 1, 4, 4], found [2, 1, 4, 5]");
    CHECK_THROWS_WITH(net.backward(Inputs{}, tape, Mode::evaluate),
                      "expected the gradients of 1 outputs, found 0");
    CHECK_THROWS_WITH(net.backward_nodes({}, Tensor{}, tape, Mode::evaluate),
                      "backward_nodes: expected at least one node");
    tape.gradient(sum).resize({1});
    CHECK_THROWS_WITH(
        net.backward_node(sum, tape, Mode::evaluate),
        "layer \"add\": expected an output [N, 1, 4, 4] and a gradient like it, found [2, 1, 4, 4] "
        "and [1]");
}

TEST_CASE("an input computes nothing, and what has not been run has no gradient") {
    Network net;
    NodeId const x = net.input("x", {2});
    NodeId const y = net.add_function("y", ReLU{}, {x});
    net.output(y);
    Tape tape;
    net.forward_node(x, tape, Mode::evaluate);
    net.backward_node(x, tape, Mode::evaluate);
    tape.output(x) = Tensor({1, 2}, {1, -1});
    CHECK_THROWS_WITH(net.backward_node(y, tape, Mode::evaluate),
                      "layer \"y\": expected an output [N, 2] and a gradient like it, found [] and []");
    net.forward_node(y, tape, Mode::evaluate);
    CHECK(tape.output(y) == Tensor({1, 2}, {1, 0}));
}

}  // namespace nn_network_test
