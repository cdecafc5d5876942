// SPDX-License-Identifier: Apache-2.0
// The time and the memory of whole runs: ResNet-18 and MobileNetV2, as they are on ImageNet, and a small
// convolutional network of 16 x 16 images, INT8, calibrated and distilled.
//
//     bench_distill resnet18|mobilenetv2|small [side=224] [batch=8] [steps=3] [epochs=1] [threads=1]
//                   [memory in MB=512] [directory] [slices=8]
//
// Prints the seconds of both, the most memory that the process ever had, and the run in its own yardsticks:
// the float network's forward and backward of the same steps, slice by slice, once.
#include <amct_distill/amct_distill.hpp>
#include <amct_distill/nn/layers/global_pool.hpp>
#include <amct_distill/student/slices.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <sys/resource.h>
#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

namespace {

using namespace amct_distill;

/// Seconds on the clock, and of the processor on all threads: on a busy machine the latter tell more.
struct Seconds {
    double wall = std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    double processor = double(std::clock()) / CLOCKS_PER_SEC;
    Seconds since(const Seconds& begin) const {
        return {.wall = wall - begin.wall, .processor = processor - begin.processor};
    }
};

/// Layers one after the other, with BatchNorms whose statistics are near 0 and 1.
class Builder {
public:
    explicit Builder(nn::Shape image) : at_(net_.input("image", image)), channels_(image[0]) {}

    Builder& conv(nn::Index out, nn::Index kernel, nn::Index stride, nn::Index groups = 1) {
        std::string const name = "conv" + std::to_string(++count_);
        at_ = net_.add(name,
                       nn::Conv2d({.in_channels = channels_,
                                   .out_channels = out,
                                   .kernel = {kernel, kernel},
                                   .stride = {stride, stride},
                                   .padding = {kernel / 2, kernel / 2},
                                   .groups = groups,
                                   .bias = false}),
                       {at_});
        at_ = net_.add(name + ".bn", nn::BatchNorm2d({.num_features = out}), {at_});
        channels_ = out;
        return *this;
    }
    Builder& relu() { return function(nn::ReLU{}, {at_}); }
    Builder& add(nn::NodeId other) { return function(nn::Add{}, {at_, other}); }
    template <class M>
    Builder& function(M module, std::vector<nn::NodeId> inputs) {
        at_ = net_.add_function("f" + std::to_string(++count_), std::move(module), std::move(inputs));
        return *this;
    }
    Builder& go_to(nn::NodeId node, nn::Index channels) {
        at_ = node;
        channels_ = channels;
        return *this;
    }
    nn::NodeId at() const { return at_; }
    nn::Index channels() const { return channels_; }
    nn::Network classify(nn::Index inputs, nn::Index classes) {
        function(nn::Flatten{}, {at_});
        net_.output(net_.add("fc", nn::Linear({.in_features = inputs, .out_features = classes}), {at_}));
        nn::initialize(net_, 1);
        std::mt19937 random(2);
        auto const noise = [&](float low, float high, nn::Tensor& t) {
            for (float& v : t) v = std::uniform_real_distribution<float>(low, high)(random);
        };
        for (std::size_t m = 0; m != net_.modules().size(); ++m)
            if (auto* const conv = net_.module({m}).get_if<nn::Conv2d>()) {
                nn::Tensor& w = conv->weight();
                float const bound = std::sqrt(6 * float(w.dim(0)) / float(w.size()));
                noise(-bound, bound, w);
            } else if (auto* const bn = net_.module({m}).get_if<nn::BatchNorm2d>()) {
                noise(0.8f, 1.2f, bn->weight());
                noise(-0.1f, 0.1f, bn->bias());
                noise(-0.1f, 0.1f, bn->running_mean());
                noise(0.8f, 1.2f, bn->running_var());
            }
        return std::move(net_);
    }

private:
    nn::Network net_{};
    nn::NodeId at_;
    nn::Index channels_;
    int count_ = 0;
};

nn::Network resnet18(nn::Index side) {
    Builder b({3, side, side});
    b.conv(64, 7, 2).relu();
    b.function(nn::MaxPool2d({.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1}}), {b.at()});
    for (nn::Index stage = 0; stage != 4; ++stage)
        for (nn::Index unit = 0; unit != 2; ++unit) {
            nn::Index const in = b.channels(), out = 64 << stage, stride = stage != 0 && unit == 0 ? 2 : 1;
            nn::NodeId const begin = b.at();
            nn::NodeId shortcut = begin;
            if (in != out) shortcut = b.conv(out, 1, stride).at();
            b.go_to(begin, in).conv(out, 3, stride).relu().conv(out, 3, 1).add(shortcut).relu();
        }
    b.function(nn::GlobalAveragePool{}, {b.at()});
    return b.classify(512, 1000);
}

nn::Network mobilenet_v2(nn::Index side) {
    struct Stage {
        nn::Index expand, channels, units, stride;
    };
    Builder b({3, side, side});
    b.conv(32, 3, 2).relu();
    for (Stage const s : {Stage{1, 16, 1, 1},
                          {6, 24, 2, 2},
                          {6, 32, 3, 2},
                          {6, 64, 4, 2},
                          {6, 96, 3, 1},
                          {6, 160, 3, 2},
                          {6, 320, 1, 1}})
        for (nn::Index unit = 0; unit != s.units; ++unit) {
            nn::Index const in = b.channels(), wide = in * s.expand, stride = unit == 0 ? s.stride : 1;
            nn::NodeId const begin = b.at();
            if (s.expand != 1) b.conv(wide, 1, 1).relu();
            b.conv(wide, 3, stride, wide).relu().conv(s.channels, 1, 1);
            if (stride == 1 && in == s.channels) b.add(begin);
        }
    b.conv(1280, 1, 1).relu();
    b.function(nn::GlobalAveragePool{}, {b.at()});
    return b.classify(1280, 1000);
}

nn::Network small(nn::Index side) {
    Builder b({1, side, side});
    b.conv(16, 3, 1).relu().conv(32, 3, 2).relu().conv(48, 3, 2).relu();
    return b.classify(48 * (side / 4) * (side / 4), 10);
}

/// Forward and backward of the float network, on slices as a run cuts them.
Seconds yardstick(const nn::Network& net, const std::vector<nn::Tensor>& batches, int threads,
                  std::size_t slices) {
    nn::Executor const executor(threads);
    SliceRunner runner(net, &executor, slices);
    Seconds spent;
    for (int round = 0; round != 2; ++round) {  // the first one makes the workspaces
        Seconds const begin;
        for (const nn::Tensor& batch : batches)
            runner.for_each(batch.dim(0), [&](std::size_t, BatchSlice slice, nn::Tape& tape, std::size_t) {
                detail::take_slice(batch, net.node(net.inputs()[0]).shape, slice,
                                   tape.output(net.inputs()[0]));
                net.forward_nodes(net.operations(), tape, nn::Mode::evaluate);
                net.zero_gradients(tape);
                nn::Tensor const gradient = tape.output(net.outputs()[0]);
                net.backward(gradient, tape, nn::Mode::evaluate);
            });
        spent = Seconds().since(begin);
    }
    return spent;
}

double peak_mb() {
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    return double(used.ru_maxrss) / 1024;
}

}  // namespace

int main(int argc, char** argv) {
#ifdef M_MMAP_THRESHOLD
    // As the program does: by itself glibc keeps freed tensors, here half as much memory again as is in use.
    mallopt(M_MMAP_THRESHOLD, 1 << 15);
    mallopt(M_TRIM_THRESHOLD, 1 << 20);
#endif
    auto const number = [&](int k, int otherwise) { return argc > k ? std::atoi(argv[k]) : otherwise; };
    std::string_view const name = argc > 1 ? argv[1] : "";
    bool const is_small = name == "small";
    nn::Index const side = number(2, is_small ? 16 : 224), batch = number(3, is_small ? 64 : 8);
    int const steps = number(4, 3), epochs = number(5, 1), threads = number(6, 1);
    RunOptions run{.threads = threads, .memory_bytes = std::size_t(number(7, 512)) << 20};
    if (argc > 8) run.directory = argv[8];
    std::size_t const slices = std::size_t(number(9, int(default_slices)));
    if (name != "resnet18" && name != "mobilenetv2" && !is_small)
        return std::fprintf(stderr, "usage: %s resnet18|mobilenetv2|small ...\n", argv[0]), 2;
    nn::Network const teacher = is_small             ? small(side)
                                : name == "resnet18" ? resnet18(side)
                                                     : mobilenet_v2(side);
    std::mt19937 random(3);
    std::vector<nn::Tensor> batches;
    for (int i = 0; i != steps; ++i) {
        nn::Tensor& x = batches.emplace_back(nn::Shape{batch, is_small ? 1 : 3, side, side});
        for (float& v : x) v = std::normal_distribution<float>()(random);
    }
    auto const plan = resolve(read<AMCTDistillConfig>("batch_num: 1").value(), teacher.graph()).value();
    Student student = make_student(teacher, plan).value();
    Seconds const begin;
    calibrate(student, batches, run).value();
    Seconds const calibrated;
    auto const report = distill(teacher, student, batches, {.epochs = epochs, .slices = slices}, run).value();
    Seconds const all = Seconds().since(calibrated);
    double const peak = peak_mb();
    Seconds const unit = yardstick(teacher, batches, threads, slices);
    std::printf(
        "%s %d, batch %d, %d steps, %d epochs, %d threads: %.0f MB; seconds of the clock, the processor\n",
        argv[1], int(side), int(batch), steps, epochs, threads, peak);
    std::printf("  calibrate %.2f, %.2f; distill %.2f, %.2f; a yardstick %.2f, %.2f\n",
                calibrated.since(begin).wall, calibrated.since(begin).processor, all.wall, all.processor,
                unit.wall, unit.processor);
    std::printf("  yardsticks %.2f, %.2f; share of the steps %.0f %%; output error %.4g to %.4g%s\n",
                all.wall / unit.wall, all.processor / unit.processor,
                100 * epochs * unit.processor / all.processor, report.output_error_calibrated,
                report.output_error_distilled, report.kept_calibrated ? " (stays as calibrated)" : "");
}
