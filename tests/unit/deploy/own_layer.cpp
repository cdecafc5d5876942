// SPDX-License-Identifier: Apache-2.0
// A layer that the library does not know, deployed: with output channels that are the weight's last
// dimension, in groups, and the last dimension of the output.
#include <amct_distill/deploy/deployment.hpp>

#include <amct_distill/deploy/verify.hpp>
#include <amct_distill/deploy/write.hpp>
#include <cstring>

#include "support/catch.hpp"
#include "support/deploy_networks.hpp"
#include "support/temporary_directory.hpp"
#include "support/transposed_linear.hpp"

namespace deploy_own_layer_test {

using namespace amct_distill;
using support::TransposedLinear;

namespace {

/// Of sequences [N, 5, 6].
nn::Network sequence_network() {
    nn::Network net;
    nn::NodeId x = net.input("x", {5, 6});
    x = net.add("own", TransposedLinear({.in = 3, .out = 4, .groups = 2}), {x});
    x = net.add("relu", nn::ReLU{}, {x});
    x = net.add("linear", nn::Linear({.in_features = 8, .out_features = 3}), {x});
    net.output(x);
    nn::initialize(net, 5);
    auto& own = *net.module("own").weighted();
    for (std::size_t i = 0; i != own.weight().size(); ++i)
        own.weight()[i] = std::sin(static_cast<float>(7 * i + 1));
    for (std::size_t i = 0; i != own.bias().size(); ++i) own.bias()[i] = 0.1f * static_cast<float>(i) - 0.3f;
    return net;
}
std::vector<nn::Tensor> sequences(std::size_t count) {
    std::vector<nn::Tensor> batches(count, nn::Tensor({4, 5, 6}));
    for (std::size_t b = 0; b != count; ++b)
        for (std::size_t i = 0; i != batches[b].size(); ++i)
            batches[b][i] = std::cos(static_cast<float>(3 * i + 11 * b));
    return batches;
}
Student student_of(const nn::Network& teacher, std::string_view config) {
    auto const plan = resolve(read<AMCTDistillConfig>(config).value(), teacher.graph()).value();
    Student student = make_student(teacher, plan).value();
    auto const batches = sequences(1);
    calibrate(student, batches).value();
    return student;
}

}  // namespace

TEST_CASE("the codes of a layer of one's own are a row per output channel, its sums those of the formula") {
    nn::Network const teacher = sequence_network();
    for (std::string_view config :
         {"", "distill_weight_quant_config { arq_distill { dst_type: INT4 channel_wise: true } }"}) {
        INFO(config);
        Student const student = student_of(teacher, config);
        Deployment const device = deploy(student).value();
        REQUIRE(device.layers().size() == 2);
        const DeployedLayer& d = device.layers()[0];
        CHECK(d.rows() == 8);
        CHECK(d.cols() == 3);
        CHECK(d.channel_axis == 2);
        CHECK(device.layers()[1].channel_axis == 2);

        auto const codes = unpack(d.codes);
        const nn::Tensor& w = teacher.module("own").weighted()->weight();  // [2 * 3, 4]
        for (std::size_t r = 0; r != 8; ++r)
            for (std::size_t c = 0; c != 3; ++c) {
                float const scale = d.weight_scales.of_row(r).scale;
                float const meant = static_cast<float>(codes[r * 3 + c]) * scale;
                // The nearest code, or the largest one, which rounding can ask to be one more.
                bool const is_largest = codes[r * 3 + c] == (name_of(d.codes) == "INT4" ? 7 : 127);
                CHECK(std::fabs(meant - w[(r / 4 * 3 + c) * 4 + r % 4]) <=
                      (is_largest ? 1.0f : 0.5001f) * scale);
            }

        nn::Tensor const x = sequences(2)[1];
        IntegerTensor sums;
        IntegerLayer(device, "own").accumulate(x, sums);
        REQUIRE(sums.shape() == nn::Shape{4, 5, 8});
        bool equal = true;
        for (std::size_t i = 0; i != sums.size(); ++i) {
            std::size_t const r = i % 8;
            std::int64_t sum = d.bias[r];
            for (std::size_t c = 0; c != 3; ++c) {
                int const code = std::visit(
                    [&]<class B>(B) { return int{quantize<B>(x[i / 8 * 6 + r / 4 * 3 + c], d.data)}; },
                    d.data_width);
                sum += std::int64_t{codes[r * 3 + c]} * (code - d.data.offset);
            }
            equal = equal && sums[i] == sum;
        }
        CHECK(equal);
        CHECK(verify(device, student, sequences(3)).value().agrees());
    }
}

TEST_CASE("its weight is written in the order of the layer, packed codes a row per output channel") {
    support::temporary_directory const dir;
    nn::Network const teacher = sequence_network();
    auto const file_end = [&](const Deployment& device) {
        write(device, dir.path()).value();
        std::string const file = read_file(dir.path() / "weights" / "own.weight.npy").value();
        return file.substr(10 + static_cast<unsigned char>(file[8]));
    };
    Deployment const eight = deploy(student_of(teacher, "")).value();
    std::string const bytes = file_end(eight);
    REQUIRE(bytes.size() == 24);
    auto const codes = unpack(eight.layers()[0].codes);
    for (std::size_t r = 0; r != 8; ++r)
        for (std::size_t c = 0; c != 3; ++c)
            CHECK(static_cast<std::int8_t>(bytes[(r / 4 * 3 + c) * 4 + r % 4]) == codes[r * 3 + c]);

    Deployment const four =
        deploy(
            student_of(teacher,
                       "distill_weight_quant_config { arq_distill { dst_type: INT4 channel_wise: true } }"))
            .value();
    auto const packed = std::get<Codes<Int4>>(four.layers()[0].codes).bytes();
    std::string const packed_bytes = file_end(four);
    REQUIRE(packed_bytes.size() == 16);
    CHECK(std::memcmp(packed_bytes.data(), packed.data(), 16) == 0);
}

TEST_CASE("a BatchNorm folds where its channels are those of the layer, and only there") {
    // Images whose last dimension is as long as the number of channels that the BatchNorm has.
    nn::Network net;
    nn::NodeId x = net.input("x", {8, 2, 6});
    x = net.add("own", TransposedLinear({.in = 3, .out = 4, .groups = 2}), {x});  // [N, 8, 2, 8]
    x = net.add("bn", nn::BatchNorm2d({.num_features = 8}), {x});
    net.output(x);
    for (float& w : net.module("own").weighted()->weight()) w = 0.25f;
    net.module("bn").get_if<nn::BatchNorm2d>()->weight()[3] = -2.0f;
    auto const plan = resolve(AMCTDistillConfig{}, net.graph()).value();
    Student student = make_student(net, plan).value();
    nn::Tensor batch({2, 8, 2, 6});
    for (std::size_t i = 0; i != batch.size(); ++i) batch[i] = std::sin(static_cast<float>(i));
    std::vector<nn::Tensor> const batches{batch};
    calibrate(student, batches).value();
    Deployment const device = deploy(student).value();
    CHECK(device.layers()[0].channel_axis == 3);
    CHECK(device.layers()[0].batch_norm.empty());
    CHECK(verify(device, student, batches).value().agrees());
}

}  // namespace deploy_own_layer_test
