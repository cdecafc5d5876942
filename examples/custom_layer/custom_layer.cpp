// SPDX-License-Identifier: Apache-2.0
// A layer of one's own with weights: a transposed convolution, which upsamples. It is planned, quantized,
// distilled, deployed and run in integers like the library's own layers. Nothing is registered, and nothing
// derived from.
#include <amct_distill/amct_distill.hpp>
#include <cstdio>
#include <exception>
#include <random>

using namespace amct_distill;

namespace {

struct TransposedConv2dOptions {
    nn::Index in_channels = 0, out_channels = 0;
    nn::Index kernel = 1, stride = 1, groups = 1;
    bool bias = true;
};

/// As torch.nn.ConvTranspose2d: every value of the input is spread over `kernel` x `kernel` values of the
/// output, weighted; the weight is [in, out / groups, kernel, kernel].
class TransposedConv2d {
public:
    static constexpr std::string_view type_name = "ConvTranspose2d";
    static constexpr std::size_t scratch_tensors = 0;  // it needs no buffers

    explicit TransposedConv2d(const TransposedConv2dOptions& options)
        : o_(options),
          weight_({o_.in_channels, o_.out_channels / o_.groups, o_.kernel, o_.kernel}),
          bias_(o_.bias ? nn::Tensor({o_.out_channels}) : nn::Tensor()) {}

    const TransposedConv2dOptions& options() const { return o_; }
    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].size() != 4 || inputs[0][1] != o_.in_channels)
            return general_error("expected one input [N, in_channels, H, W]");
        auto const size = [&](nn::Index n) { return (n - 1) * o_.stride + o_.kernel; };
        return nn::Shape{inputs[0][0], o_.out_channels, size(inputs[0][2]), size(inputs[0][3])};
    }

    // ---- what makes it a layer whose weights can be quantized

    nn::Tensor& weight() { return weight_; }
    const nn::Tensor& weight() const { return weight_; }
    nn::Tensor& bias() { return bias_; }
    const nn::Tensor& bias() const { return bias_; }
    /// Output channels are not dimension 0 of the weight, but 1, in each of the groups.
    std::size_t output_axis() const { return 1; }
    nn::Index weight_groups() const { return o_.groups; }

    TransposedConv2d with_parameters(const nn::Tensor& weight, const nn::Tensor& bias) const {
        TransposedConv2dOptions options = o_;
        options.bias = !bias.empty();
        TransposedConv2d made(options);
        made.weight_ = weight;
        made.bias_ = bias;
        return made;
    }
    void forward_with(const nn::Tensor& weight, const nn::Tensor& x, nn::Tensor& y, nn::Scratch&) const {
        nn::Index const pixels = y.dim(2) * y.dim(3);
        for (nn::Index i = 0; i != y.dim(0) * y.dim(1); ++i)
            std::fill_n(y.data() + i * pixels, pixels, o_.bias ? bias_.data()[i % y.dim(1)] : 0.0f);
        for_each_product(x, y, [&](nn::Index w, nn::Index from, nn::Index to) {
            y.data()[to] += weight.data()[w] * x.data()[from];
        });
    }
    void backward_with(const nn::Tensor& weight, const nn::Tensor& x, const nn::Tensor& grad_y,
                       nn::Tensor* grad_x, nn::Tensor* grad_weight, nn::Tensor* grad_bias,
                       nn::Scratch&) const {
        for_each_product(x, grad_y, [&](nn::Index w, nn::Index from, nn::Index to) {
            if (grad_x) grad_x->data()[from] += weight.data()[w] * grad_y.data()[to];
            if (grad_weight) grad_weight->data()[w] += x.data()[from] * grad_y.data()[to];
        });
        if (!grad_bias) return;
        nn::Index const pixels = grad_y.dim(2) * grad_y.dim(3);
        for (nn::Index i = 0; i != static_cast<nn::Index>(grad_y.size()); ++i)
            grad_bias->data()[i / pixels % grad_y.dim(1)] += grad_y.data()[i];
    }

    // ---- what makes it a module, from the above

    void parameters(std::vector<nn::Parameter>& list) {
        list.push_back({"weight", nn::Role::weight, &weight_});
        if (o_.bias) list.push_back({"bias", nn::Role::bias, &bias_});
    }
    void forward(nn::Inputs inputs, nn::Tensor& y, nn::Scratch& scratch, nn::Mode) const {
        forward_with(weight_, *inputs[0], y, scratch);
    }
    void backward(nn::Inputs inputs, const nn::Tensor&, const nn::Tensor& grad_y,
                  std::span<nn::Tensor* const> grad_inputs, std::span<nn::Tensor> grad_parameters,
                  nn::Scratch& scratch, nn::Mode) const {
        backward_with(weight_, *inputs[0], grad_y, grad_inputs[0], &grad_parameters[0],
                      o_.bias ? &grad_parameters[1] : nullptr, scratch);
    }

private:
    /// f(index of the weight, of the input value, of the output value) for every product.
    template <class F>
    void for_each_product(const nn::Tensor& x, const nn::Tensor& y, F f) const {
        nn::Index const ins = o_.in_channels / o_.groups, outs = o_.out_channels / o_.groups, k = o_.kernel;
        for (nn::Index n = 0; n != x.dim(0); ++n)
            for (nn::Index c = 0; c != o_.in_channels; ++c)
                for (nn::Index out = 0; out != outs; ++out)
                    for (nn::Index row = 0; row != x.dim(2); ++row)
                        for (nn::Index col = 0; col != x.dim(3); ++col)
                            for (nn::Index tap = 0; tap != k * k; ++tap) {
                                nn::Index const channel = n * o_.out_channels + c / ins * outs + out;
                                nn::Index const to_row = row * o_.stride + tap / k;
                                nn::Index const to_col = col * o_.stride + tap % k;
                                f((c * outs + out) * k * k + tap,
                                  ((n * o_.in_channels + c) * x.dim(2) + row) * x.dim(3) + col,
                                  (channel * y.dim(2) + to_row) * y.dim(3) + to_col);
                            }
    }

    TransposedConv2dOptions o_;
    nn::Tensor weight_, bias_;
};
static_assert(nn::WeightedModuleOf<TransposedConv2d, float>);

/// Images to a quarter of their size, and back.
nn::Network make_teacher() {
    nn::Network net;
    nn::NodeId x = net.input("image", {3, 16, 16});
    x = net.add("down", nn::Conv2d({.in_channels = 3, .out_channels = 8, .kernel = {2, 2}, .stride = {2, 2}}),
                {x});
    x = net.add("relu1", nn::ReLU{}, {x});
    x = net.add(
        "up", TransposedConv2d({.in_channels = 8, .out_channels = 6, .kernel = 2, .stride = 2, .groups = 2}),
        {x});
    x = net.add("bn", nn::BatchNorm2d({.num_features = 6}), {x});
    x = net.add("relu2", nn::ReLU{}, {x});
    x = net.add("image_again", nn::Conv2d({.in_channels = 6, .out_channels = 3, .kernel = {1, 1}}), {x});
    net.output(x);
    nn::initialize(net, 1);
    std::mt19937_64 bits(2);  // the library initializes the layers that it knows
    for (float& w : net.module("up").weighted()->weight())
        w = static_cast<float>(nn::next_uniform(bits) - 0.5);
    auto& bn = *net.module("bn").get_if<nn::BatchNorm2d>();
    bn.weight() = nn::Tensor({6}, {1.5f, -0.5f, 1.0f, 2.0f, -1.0f, 0.75f});
    return net;
}

}  // namespace

int main() try {
    nn::Network const teacher = make_teacher();
    std::vector<nn::Tensor> batches(4, nn::Tensor({8, 3, 16, 16}));
    std::mt19937_64 bits(3);
    for (nn::Tensor& batch : batches)
        for (float& v : batch) v = static_cast<float>(2 * nn::next_uniform(bits) - 1);

    auto const config = read<AMCTDistillConfig>(R"(
        distill_data_quant_config { ulq_quantize { dst_type: INT8 } }
        distill_override_layer_types {
            layer_type: "ConvTranspose2d"
            distill_weight_quant_config { ulq_distill { dst_type: INT4 channel_wise: true } } })")
                            .value();
    DistillPlan const plan = resolve(config, teacher.graph()).value();
    for (const PlannedLayer& layer : plan.layers)
        std::printf("%-12s %-16s %s\n", layer.name.c_str(), layer.type.c_str(),
                    describe(layer.weights).c_str());
    Student student = make_student(teacher, plan).value();
    calibrate(student, batches).value();
    DistillReport const report = distill(teacher, student, batches, {.epochs = 5}).value();
    std::printf("Mean squared error of the outputs: %.3g calibrated, %.3g distilled\n",
                report.output_error_calibrated, report.output_error_distilled);

    Deployment const device = deploy(student).value();
    const DeployedLayer& up = *device.layer("up");
    std::printf("up: %zu x %zu codes of %s, %s folded in\n", up.rows(), up.cols(),
                std::string(name_of(up.codes)).c_str(), up.batch_norm.c_str());
    VerifyReport const verified = verify(device, student, batches).value();
    std::fputs(to_table(verified).c_str(), stdout);
    return verified.agrees() && report.output_error_distilled < report.output_error_calibrated ? 0 : 1;
} catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
}
