// SPDX-License-Identifier: Apache-2.0
// The steps of training after the first allocate nothing: every allocation of this program is counted.
#include <amct_distill/definitions.hpp>
#include <amct_distill/distill/adamw.hpp>
#include <amct_distill/distill/block.hpp>
#include <amct_distill/nn/layers/clamp.hpp>
#include <amct_distill/nn/layers/extremes.hpp>
#include <amct_distill/nn/layers/pool.hpp>
#include <amct_distill/nn/layers/prelu.hpp>
#include <amct_distill/nn/layers/reduce.hpp>
#include <amct_distill/nn/layers/smooth_activation.hpp>
#include <amct_distill/nn/layers/softmax.hpp>
#include <amct_distill/student/calibrate.hpp>
#include <amct_distill/student/extended.hpp>
#include <amct_distill/student/student.hpp>

#include "counted.hpp"
#include "support/catch.hpp"
#include "support/small_network.hpp"

using counted::allocations;
using namespace amct_distill;

namespace {

/// Conv-bn-relu-pool and a linear layer; as a whole, and as a block from the middle of a tape.
struct Step {
    nn::Network network;
    nn::Executor executor;
    nn::Tape tape;
    nn::Tensor images, gradient;
    AdamW optimizer{};

    Step(nn::Network net, int threads, const nn::Tensor& batch)
        : network(std::move(net)), executor(threads), tape(&executor), images(batch) {
        run_forward();
        gradient = tape.output(network.outputs()[0]);
        run_backward();
        for (auto& p : network.parameters(tape))
            if (p.role != nn::Role::statistic) optimizer.add(p.values, p.gradient->span(), 1e-4);
        run();
    }
    void run_forward() { network.forward(images, tape, nn::Mode::evaluate); }
    void run_backward() {
        network.zero_gradients(tape);
        network.backward(gradient, tape, nn::Mode::evaluate);
    }
    void run() {
        run_forward();
        run_backward();
        optimizer.step();
        network.constrain();
    }
};

nn::Tensor batch_of(nn::Index n) {
    nn::Tensor images({n, 2, 40, 40});
    for (std::size_t i = 0; i != images.size(); ++i) images[i] = static_cast<float>(i % 61) / 61 - 0.4f;
    return images;
}

/// Large enough that every module shares out its work, and that the quantizers do.
nn::Network large_network() {
    nn::Network net;
    nn::NodeId x = net.input("image", {2, 40, 40});
    x = net.add("conv1", nn::Conv2d({.in_channels = 2, .out_channels = 24, .kernel = {3, 3}}), {x});
    x = net.add("bn1", nn::BatchNorm2d({.num_features = 24}), {x});
    x = net.add("relu1", nn::ReLU{}, {x});
    x = net.add("conv2",
                nn::Conv2d({.in_channels = 24, .out_channels = 24, .kernel = {3, 3}, .padding = {1, 1}}),
                {x});
    x = net.add("pool", nn::MaxPool2d({.kernel = {2, 2}}), {x});
    x = net.add("global", nn::GlobalAveragePool{}, {x});
    x = net.add_function("/Flatten", nn::Flatten{}, {x});
    x = net.add("fc", nn::Linear({.in_features = 24, .out_features = 300}), {x});
    net.output(x);
    nn::initialize(net, 5);
    return net;
}

constexpr std::string_view ulq_config = R"(
    batch_num: 1
    distill_data_quant_config { ulq_quantize { } }
    distill_weight_quant_config { ulq_distill { dst_type: INT4 channel_wise: false } })";

}  // namespace

TEST_CASE("the counter counts") {
    long const before = allocations;
    int* volatile one = new int;  // volatile, or the compiler leaves the pair out
    delete one;
    Eigen::aligned_allocator<float> eigen;
    float* volatile ten = eigen.allocate(10);
    eigen.deallocate(ten, 10);
    long const after = allocations;
    CHECK(after == before + 2);
}

TEST_CASE("steps after the first allocate nothing: float and quantized, one thread and three") {
    nn::Tensor const images = batch_of(4);
    for (bool quantized : {false, true})
        for (std::string_view config : {std::string_view(support::int4_config), ulq_config})
            for (int threads : {1, 3}) {
                if (!quantized && config == ulq_config) continue;
                nn::Network net = large_network();
                if (quantized) {
                    Student student = make_student(net, support::plan_for(net, config)).value();
                    calibrate(student, std::vector{images}).value();
                    net = student.network();
                }
                Step step(net, threads, images);
                std::size_t const bytes = step.tape.bytes();
                long const before = allocations;
                for (int i = 0; i != 3; ++i) step.run();
                long const after = allocations;
                INFO("quantized " << quantized << ", threads " << threads);
                CHECK(after - before == 0);
                CHECK(step.tape.bytes() == bytes);
            }
}

TEST_CASE("steps of broadcast arithmetic, activations and reductions allocate nothing after the first") {
    int const threads = GENERATE(1, 3);
    nn::Network net;
    nn::NodeId const image = net.input("image", {2, 40, 40});
    nn::NodeId x = net.add("prelu", nn::PReLU({.num_parameters = 2}), {image});
    nn::NodeId const gate = net.add_function("gate", nn::ReduceMean({.axes = {2, 3}}), {x});
    x = net.add_function("mul", nn::Mul{}, {x, net.add("gate2", nn::Hardsigmoid{}, {gate})});
    x = net.add_function("max", nn::Max{}, {x, gate, net.constant("zero", nn::Tensor({1}))});
    x = net.add("gelu", nn::GELU{}, {net.add_function("sub", nn::Sub{}, {x, gate})});
    x = net.add("softmax", nn::Softmax(3), {net.add_function("sum", nn::Sum{}, {x, gate, image})});
    net.output(net.add_function("l2", nn::ReduceL2({.axes = {1, 3}, .keepdims = false}), {x}));
    Step step(net, threads, batch_of(4));
    long const before = allocations;
    for (int i = 0; i != 3; ++i) step.run();
    CHECK(allocations - before == 0);
}

TEST_CASE("the memory of a step is what the tape says it is") {
    // Of a convolution and a linear layer, in values; see tape.hpp.
    for (int threads : {1, 3}) {
        nn::Network net;
        nn::NodeId x = net.input("image", {2, 40, 40});
        x = net.add("conv", nn::Conv2d({.in_channels = 2, .out_channels = 24, .kernel = {3, 3}}), {x});
        net.output(x);
        nn::initialize(net, 5);
        nn::Tape tape;
        nn::Executor const executor(threads);
        tape.use(&executor);
        auto const in = std::size_t{4 * 2 * 40 * 40}, out = std::size_t{4 * 24 * 38 * 38};
        auto const weights = std::size_t{24 * 2 * 9}, t = static_cast<std::size_t>(threads);
        detail::TapLines<float> const lines({{40, 40}, {3, 3}, {1, 1}, {0, 0}, {1, 1}}, 4, 2 * 40 * 40);
        auto const l = static_cast<std::size_t>(lines.buffer());
        nn::Tensor const g = net.forward(batch_of(4), tape, nn::Mode::evaluate);
        CHECK(tape.bytes() == sizeof(float) * (in + out + t * (33024 + l)));
        net.backward(g, tape, nn::Mode::evaluate);
        CHECK(tape.bytes() <=
              sizeof(float) * (in + 2 * out + weights + 24 + 8 * weights + t * (139520 + 2 * l)));
    }
}

namespace {
/// Trains the blocks of a student of the small network one after another.
template <class AnyStudent>
void check_no_allocation(const nn::Network& teacher, AnyStudent& student, const DistillOptions& options,
                         int threads) {
    auto const batches = support::small_batches(6, 8);
    calibrate(student, std::span(batches)).value();
    CacheBudget budget(1 << 20);
    PrefixRunner of_student(student.network(), batches, budget), of_teacher(teacher, batches, budget);
    auto const blocks = blocks_of(teacher, student.plan(), BlockShape::amct);
    FisherOptions const fisher{.seed = 3};
    for (std::size_t b = 0; b != 3; ++b) {
        nn::Executor const executor(threads);
        BlockData data(of_student, of_teacher, budget, batches.size(), blocks[b], nullptr, b, options.input,
                       options.loss_weights == LossWeights::fisher ? &fisher : nullptr);
        BlockTrainer<> trainer(student.network(), data, &executor);
        long at[6] = {};
        bool cancelled = false;
        trainer
            .train(options, {}, cancelled,
                   [&](const Progress& p) {
                       at[p.step] = allocations;
                       return true;
                   })
            .value();
        CHECK(at[5] == at[0]);
    }
}
}  // namespace

TEST_CASE("training a block allocates nothing from its second step to its next evaluation") {
    int const threads = GENERATE(1, 3, 12);
    nn::Network const teacher = support::small_network();
    Student student = make_student(teacher, support::plan_for(teacher, support::int4_config)).value();
    check_no_allocation(teacher, student, {.search = {.evaluations_per_epoch = 1}}, threads);
}

TEST_CASE("nor do learned rounding, dropped quantization and a weighted loss") {
    int const threads = GENERATE(1, 3);
    nn::Network const teacher = support::small_network();
    auto const config = read<ExtendedConfig>("distill_weight_quant_config { adaround_distill { } }").value();
    ExtendedStudent student = make_student(teacher, resolve(config, teacher.graph()).value()).value();
    check_no_allocation(teacher, student,
                        {.search = {.evaluations_per_epoch = 1},
                         .drop_probability = 0.5,
                         .loss_weights = LossWeights::fisher},
                        threads);
}
