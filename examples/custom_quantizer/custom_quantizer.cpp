// SPDX-License-Identifier: Apache-2.0
// Two algorithms of one's own, for weights and for activations, all the way: text, compiler, plan, JSON,
// training, record.
#include <amct_distill/adapters/json.hpp>
#include <amct_distill/adapters/json_reader.hpp>
#include <amct_distill/definitions.hpp>
#include <cmath>
#include <cstdio>
#include <random>
#include <type_traits>
#include <vector>

#include "power_of_two_data.hpp"

using namespace amct_distill;
using namespace mine;

namespace {

constexpr char text[] = R"(batch_num: 2
group_size: 2
distill_data_quant_config {
  pow2_quantize {
    fixed_min: false
  }
}
distill_weight_quant_config {
  pow2_distill {
    dst_type: INT4
  }
}
distill_override_layers {
  layer_name: "fc"
  distill_weight_quant_config {
    arq_distill {
    }
  }
}
)";
using Config = BasicConfig<all_power_of_two>;

// The compiler reads it, too, and finds the quantizers' types; it also says whether they have all that is
// needed.
using config = static_config<text, all_power_of_two>;
static_assert(std::is_same_v<weight_quantizer_for<config::value, "conv", "Conv2d">, Pow2<Int4, ChannelWise>>);
static_assert(std::is_same_v<activation_quantizer_for<config::value, "conv", "Conv2d">, ActPow2<Int8>>);
static_assert(
    RunsOn<config::value, supports<Pow2<Int4, ChannelWise>, Pow2<Int4, TensorWise>, Arq<Int8, ChannelWise>,
                                   Arq<Int8, TensorWise>, ActPow2<Int8>, ActUlq<Int8>>>);
static_assert(check_weight_quantizer<Pow2<Int4, ChannelWise>>() &&
              check_activation_quantizer<ActPow2<Int8>>());

nn::Network make_network() {
    nn::Network net;
    nn::NodeId x = net.input("image", {1, 6, 6});
    x = net.add("conv", nn::Conv2d({.in_channels = 1, .out_channels = 4, .kernel = {3, 3}}), {x});
    x = net.add("relu", nn::ReLU{}, {x});
    x = net.add_function("flatten", nn::Flatten{}, {x});
    x = net.add("fc", nn::Linear({.in_features = 64, .out_features = 3}), {x});
    net.output(x);
    nn::initialize(net, 1);
    return net;
}

std::vector<nn::Tensor> make_batches() {
    std::mt19937_64 random(1);
    std::vector<nn::Tensor> batches(4, nn::Tensor({8, 1, 6, 6}));
    for (nn::Tensor& batch : batches)
        for (float& x : batch) x = static_cast<float>(nn::next_uniform(random));
    return batches;
}

void print_scales(const char* what, const Scales& scales) {
    std::printf("  %s:", what);
    for (ScaleOffset one : scales) std::printf(" 2^%g", std::log2(static_cast<double>(one.scale)));
    std::printf("\n");
}

}  // namespace

int main() {
    Config const read_config = read<Config>(text).value();
    std::printf("printed as it was read: %s\n", print(read_config) == text ? "yes" : "no");
    std::printf(
        "misspelled:\n%s\n",
        to_string(read<Config>("distill_weight_quant_config { pow_distill { } }").diagnostics()).c_str());

    nn::Network const teacher = make_network();
    Topology const topology = teacher.topology();
    auto const plan =
        resolve(read_config, topology, target::generic, {.source = {{}, std::string(text)}}).value();
    for (const auto& layer : plan.layers) {
        std::printf("%s: %s; %s (%s)\n", layer.name.c_str(), describe(layer.weights).c_str(),
                    describe(layer.data).c_str(), layer.weights_from.algo.text.c_str());
    }

    std::string const json = print_json(to_json(plan));
    auto const again = plan_from_json<all_power_of_two>(json, topology).value();
    std::printf("%s\nthe plan comes back from it: %s\n", json.c_str(),
                print_json(to_json(again)) == json ? "yes" : "no");

    std::vector<nn::Tensor> const batches = make_batches();
    auto student = make_student(teacher, plan).value();
    calibrate(student, batches).value();
    DistillReport const report = distill(teacher, student, batches, {.epochs = 3}).value();
    for (const BlockReport& block : report.blocks)
        std::printf("block %s: no worse than calibrated: %s\n", block.names[0].c_str(),
                    block.loss_after <= block.loss_before ? "yes" : "no");
    print_scales("conv's weights", student.quantizers("conv")->weight_scales(*student.weight("conv")));
    print_scales("conv's input", {student.quantizers("conv")->data_scale()});

    ScaleOffsetRecord record = make_record(student).value();
    record.record.resize(1);  // conv's
    std::printf("%s", print(record).c_str());
}
