// SPDX-License-Identifier: Apache-2.0
// A module of one's own in a network that is quantized and distilled: a LeakyReLU whose slopes for negative
// values are learned, one for each channel. Nothing is registered or derived from; the concept ModuleOf says
// what a module has.
#include <amct_distill/amct_distill.hpp>
#include <cstdio>
#include <string>

using namespace amct_distill;

namespace {

struct LearnedLeakyReLU {
    /// What configurations and plans know it by. As an activation it is trained together with the layer
    /// before it; a module of a type that AMCT has not would stand between the blocks, and stay as it is.
    static constexpr std::string_view type_name = "LeakyReLU";

    nn::Tensor slope;  // [channels]
    explicit LearnedLeakyReLU(nn::Index channels, float start = 0.25f) : slope({channels}) {
        slope.fill(start);
    }

    /// An optional hook: what is trained. The optimizer takes the learning rate of the role.
    void parameters(std::vector<nn::Parameter>& list) { list.push_back({"slope", nn::Role::affine, &slope}); }

    /// The shape of its output, or what it expected instead.
    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].size() != 4 || inputs[0][1] != slope.dim(0))
            return general_error("expected one input [N, " + std::to_string(slope.dim(0)) + ", H, W]");
        return inputs[0];
    }

    void forward(nn::Inputs inputs, nn::Tensor& output, nn::Scratch& scratch, nn::Mode) const {
        const nn::Tensor& x = *inputs[0];
        nn::Index const pixels = x.dim(2) * x.dim(3);
        // On the threads of the run: planes have nothing to do with each other.
        scratch.parallel_for(x.dim(0) * x.dim(1), double(x.size()), [&](nn::Index plane, nn::Index) {
            float const a = slope.data()[plane % slope.dim(0)];
            nn::ConstArrayMap<float> const in(x.data() + plane * pixels, pixels);
            nn::ArrayMap<float>(output.data() + plane * pixels, pixels) = in.max(0.0f) + a * in.min(0.0f);
        });
    }

    /// Adds to the gradients; that of the input only if it is wanted.
    void backward(nn::Inputs inputs, const nn::Tensor&, const nn::Tensor& grad_output,
                  std::span<nn::Tensor* const> grad_inputs, std::span<nn::Tensor> grad_parameters,
                  nn::Scratch& scratch, nn::Mode) const {
        const nn::Tensor& x = *inputs[0];
        nn::Index const pixels = x.dim(2) * x.dim(3), channels = slope.dim(0);
        // A channel's sum over the batch is one thread's, in order: the same bits on any number of them.
        scratch.parallel_for(channels, double(x.size()), [&](nn::Index channel, nn::Index) {
            float const a = slope.data()[channel];
            for (nn::Index plane = channel; plane < x.dim(0) * channels; plane += channels) {
                nn::ConstArrayMap<float> const in(x.data() + plane * pixels, pixels);
                nn::ConstArrayMap<float> const g(grad_output.data() + plane * pixels, pixels);
                grad_parameters[0].data()[channel] += (g * in.min(0.0f)).sum();
                if (grad_inputs[0])
                    nn::ArrayMap<float>(grad_inputs[0]->data() + plane * pixels, pixels) +=
                        (in > 0.0f).select(g, a * g);
            }
        });
    }
};
static_assert(nn::ModuleOf<LearnedLeakyReLU, float>);

nn::Network make_teacher() {
    nn::Network net;
    nn::NodeId x = net.input("image", {3, 8, 8});
    x = net.add("conv1", nn::Conv2d({.in_channels = 3, .out_channels = 8, .kernel = {3, 3}}), {x});
    x = net.add("leaky1", LearnedLeakyReLU(8), {x});
    x = net.add("conv2", nn::Conv2d({.in_channels = 8, .out_channels = 8, .kernel = {3, 3}}), {x});
    x = net.add("leaky2", LearnedLeakyReLU(8), {x});
    x = net.add_function("/Flatten", nn::Flatten{}, {x});
    x = net.add("fc", nn::Linear({.in_features = 128, .out_features = 10}), {x});
    net.output(x);
    nn::initialize(net, 1);
    return net;
}

std::string slopes(const nn::Network& net, std::string_view layer) {
    std::string text;
    for (float a : net.module(layer).get_if<LearnedLeakyReLU>()->slope) {
        char number[16];
        std::snprintf(number, sizeof number, " %5.3f", static_cast<double>(a));
        text += number;
    }
    return text;
}

}  // namespace

int main() try {
    nn::Network const teacher = make_teacher();
    std::vector<nn::Tensor> batches;
    std::mt19937_64 bits(2);
    for (int i = 0; i != 4; ++i) {
        nn::Tensor& batch = batches.emplace_back(nn::Shape{16, 3, 8, 8});
        for (float& v : batch) v = static_cast<float>(2 * nn::next_uniform(bits) - 1);
    }

    auto const config = read<AMCTDistillConfig>(R"(
        distill_data_quant_config { ulq_quantize { dst_type: INT4 } }
        distill_weight_quant_config { ulq_distill { dst_type: INT4 } })")
                            .value();
    Student student = make_student(teacher, resolve(config, teacher.topology()).value()).value();
    calibrate(student, batches).value();
    auto const report = distill(teacher, student, batches, {.epochs = 20}).value();

    for (const char* layer : {"leaky1", "leaky2"}) {
        std::printf("%s, a %s: the slopes\n", layer, std::string(teacher.module(layer).type()).c_str());
        std::printf("  of the teacher  %s\n", slopes(teacher, layer).c_str());
        std::printf("  of the student  %s\n", slopes(student.network(), layer).c_str());
    }
    std::printf("Mean squared error of the outputs: %.3g calibrated, %.3g distilled\n",
                report.output_error_calibrated, report.output_error_distilled);

    bool const learned = slopes(teacher, "leaky1") != slopes(student.network(), "leaky1");
    bool const closer = report.output_error_distilled < report.output_error_calibrated;
    if (learned && closer)
        std::puts("The student has learned slopes of its own, and is closer to the teacher.");
    return learned && closer ? 0 : 1;
} catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
}
