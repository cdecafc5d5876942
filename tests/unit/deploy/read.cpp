// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/deploy/read.hpp>

#include <algorithm>
#include <amct_distill/deploy/integer.hpp>
#include <amct_distill/deploy/verify.hpp>
#include <array>
#include <filesystem>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"
#include "support/deploy_networks.hpp"
#include "support/temporary_directory.hpp"

namespace deploy_read_test {

using namespace amct_distill;
namespace fs = std::filesystem;

namespace {

Deployment mixed() {
    return deploy(support::calibrated_student(
                      support::every_convolution(),
                      "distill_override_layers { layer_name: 'conv_depthwise'\n"
                      "  distill_weight_quant_config { arq_distill { dst_type: INT4 } }\n"
                      "  distill_data_quant_config { ulq_quantize { dst_type: INT4 } } }"))
        .value();
}
nn::Tensor image() {
    nn::Tensor x({3, 2, 6, 6});
    for (std::size_t i = 0; i != x.size(); ++i) x[i] = static_cast<float>(i % 13) / 6.0f - 1.0f;
    return x;
}
/// What reading says after the file was changed.
std::string error_after(const fs::path& directory, const char* file, std::string_view from,
                        std::string_view to) {
    std::string const before = read_file(directory / file).value();
    std::string text = before;
    std::size_t const at = text.find(from);
    REQUIRE(at != text.npos);
    text.replace(at, from.size(), to);
    write_file(directory / file, text).value();
    auto const r = read_deployment(directory);
    write_file(directory / file, before).value();
    INFO(file << ": " << from << " > " << to);
    CHECK_FALSE(r);
    return to_string(r.diagnostics());
}

}  // namespace

TEST_CASE("a deployment that is read computes the same bits as the one that was written") {
    support::temporary_directory const dir;
    Deployment const device = mixed();
    write(device, dir.path(), {.network = true}).value();
    Deployment const back = read_deployment(dir.path()).value();
    REQUIRE(back.layers().size() == device.layers().size());
    for (std::size_t k = 0; k != device.layers().size(); ++k) {
        const DeployedLayer &a = device.layers()[k], &b = back.layers()[k];
        CHECK(a.name == b.name);
        CHECK(a.codes == b.codes);
        CHECK(a.bias == b.bias);
        CHECK(a.weight_scales == b.weight_scales);
        CHECK(a.data == b.data);
        CHECK(name_of(a.data_width) == name_of(b.data_width));
        CHECK(a.channel_axis == b.channel_axis);
        CHECK(a.batch_norm == b.batch_norm);
        CHECK(a.requantized == b.requantized);
    }
    CHECK(integer_network(back).predict(image()) == integer_network(device).predict(image()));
    CHECK(back.network().predict(image()) == device.network().predict(image()));
    CHECK((verify)(back, std::vector{image()}).value().agrees());  // quantized by scale and offset
    CHECK(print(make_record(back)) == print(make_record(device)));

    write(device, dir.path()).value();  // without the network: the old one would be another deployment's
    CHECK_FALSE(fs::exists(dir.path() / "network.npz"));
    CHECK(to_string(read_deployment(dir.path()).diagnostics()).find("there is no network.npz") !=
          std::string::npos);
}

TEST_CASE("what is wrong with a deployment's files is said, with the file") {
    support::temporary_directory const dir;
    write(mixed(), dir.path(), {.network = true}).value();
    auto const has = [](const std::string& text, std::string_view part) {
        INFO(text);
        CHECK(text.find(part) != std::string::npos);
    };
    has(to_string(read_deployment(dir.path() / "none").diagnostics()), "there is no files.txt");
    has(error_after(dir.path(), "files.txt", "conv_dilated", "conv_dilatet"),
        "record.txt: error: there is no entry");
    has(error_after(dir.path(), "files.txt", "weights/conv_dilated.weight", "../conv_dilated.weight"),
        "is no file in weights/");
    has(error_after(dir.path(), "files.txt", "weights/conv_dilated.weight", "weights/conv_none.weight"),
        "cannot open");
    has(error_after(dir.path(), "files.txt", "weights/conv_dilated.weight", "weights/conv_strided.weight"),
        "expected the shape [6, 2, 3, 2], found");
    has(error_after(dir.path(), "record.txt", "scale_d: ", "scale_d: -"), "expected a positive number");
    has(error_after(dir.path(), "record.txt", "offset_w: 0", "offset_w: 3"), "offset_w is 3");
    has(error_after(dir.path(), "record.txt", "offset_w: 0", ""), "offset_w for 6 channels");
    has(error_after(dir.path(), "record.txt", "wts_type: \"INT4\"", "wts_type: \"INT5\""),
        "is not known; INT4 or INT8");
    has(error_after(dir.path(), "record.txt", "offset_d: ", "offset_d: 99"), "which is no code");
    has(error_after(dir.path(), "weights/conv_dilated.bias.npy", "(6, )", "(7, )"),
        "does not fit its 24 bytes");
    has(error_after(dir.path(), "weights/conv_dilated.weight.npy", "|i1", "<i4"),
        "expected row-major values");
    has(error_after(dir.path(), "network.npz", "amct_distill network 1", "amct_distill network 2"),
        "is damaged at");
    has(error_after(dir.path(), "record.txt", "scale_d: ", "shift_n: 0 scale_d: 1e-44 # "),
        "expected a positive number");
    has(error_after(dir.path(), "record.txt", "scale_d: ", "# "), "scale_d or offset_d is missing");
    has(error_after(dir.path(), "record.txt", "offset_d: ", "# "), "scale_d or offset_d is missing");
    has(error_after(dir.path(), "record.txt", "offset_d: ", "offset_d: -99"), "which is no code");
    has(error_after(dir.path(), "record.txt", "act_type: \"INT", "act_type: \"FLOAT"),
        "is not known; INT4 or INT8");
    has(error_after(dir.path(), "record.txt", "scale_w: ", "scale_w: -"), "scale_w is -");
    has(error_after(dir.path(), "record.txt", "scale_w: ", "scale_w: 1e-44 # "), "scale_w is 1e-44");
    has(error_after(dir.path(), "record.txt", "scale_w: ", "# "), "channels");
    has(error_after(dir.path(), "files.txt", "layer: \"conv_dilated\"", "layer: \"conv_strided\""),
        "layer `conv_strided` stands there twice");
    has(error_after(dir.path(), "files.txt", "weight: \"weights/conv_dilated.weight.npy\"", ""),
        "has no file of weights");
    has(error_after(dir.path(), "files.txt", "layer: \"conv_dilated\"",
                    "layer: \"conv_dilated\" requantized: 9999"),
        "there is no channel 9999 to be requantized; it has 6");
    std::string const weights = read_file(dir.path() / "weights" / "conv_dilated.weight.npy").value();
    write_file(dir.path() / "weights" / "conv_dilated.weight.npy", weights.substr(0, weights.size() - 1))
        .value();
    has(to_string(read_deployment(dir.path()).diagnostics()), "its values are cut off");
}

TEST_CASE("a bias of which no sum has room is an error, of either sign") {
    support::temporary_directory const dir;
    write(mixed(), dir.path(), {.network = true}).value();
    fs::path const file = dir.path() / "weights" / "conv_dilated.bias.npy";
    std::string const before = read_file(file).value();
    for (std::int32_t value : {2147483647, -2147483647 - 1, -2147483647}) {
        auto const bits = static_cast<std::uint32_t>(value);
        std::string text = before;
        for (std::size_t k = 0; k != 4; ++k)
            text[text.size() - 4 + k] = static_cast<char>(static_cast<unsigned char>(bits >> (8 * k) & 255u));
        write_file(file, text).value();
        auto const r = read_deployment(dir.path());
        REQUIRE_FALSE(r);
        CHECK_THAT(to_string(r.diagnostics()), Catch::Contains("channel 5: its accumulator can reach 2"));
        CHECK_THAT(to_string(r.diagnostics()), Catch::Contains(", more than INT32 holds"));
    }
    write_file(file, before).value();
    CHECK(read_deployment(dir.path()));
}

TEST_CASE("a layer whose channels are its last dimension is read as one") {
    nn::Network net;
    nn::NodeId const x = net.input("x", {3, 4});
    net.output(net.add("fc", nn::Linear({.in_features = 4, .out_features = 2}), {x}));
    nn::initialize(net, 1);
    nn::Tensor batch({2, 3, 4});
    for (std::size_t i = 0; i != batch.size(); ++i) batch[i] = static_cast<float>(i % 7) - 3;
    Student student = make_student(net, support::plan_for(net, "")).value();
    calibrate(student, std::vector{batch}).value();
    Deployment const device = deploy(student).value();
    REQUIRE(device.layers()[0].channel_axis == 2);
    support::temporary_directory const dir;
    write(device, dir.path(), {.network = true}).value();
    Deployment const back = read_deployment(dir.path()).value();
    CHECK(back.layers()[0].channel_axis == 2);
    CHECK(integer_network(back).predict(batch) == integer_network(device).predict(batch));
}

TEST_CASE("a deployment whose files were changed anywhere is read whole, or is an error") {
    support::temporary_directory const dir;
    Deployment const device = mixed();
    write(device, dir.path(), {.network = true}).value();
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(dir.path()))
        if (entry.is_regular_file()) files.push_back(entry.path());
    std::ranges::sort(files);
    std::mt19937 random(1);
    constexpr std::array<std::string_view, 8> pieces{
        "", "0", "-1", "9", "4294967295", "9223372036854775807", "nan", "}"};
    int read = 0;
    for (int k = 0; k != 200; ++k) {
        const fs::path& file = files[random() % files.size()];
        std::string const before = read_file(file).value();
        std::string text = before;
        std::size_t const at = random() % text.size();
        if (file.extension() == ".txt")
            text.replace(at, random() % 8, pieces[random() % pieces.size()]);
        else
            text[at] = static_cast<char>(random());
        write_file(file, text).value();
        auto const back = read_deployment(dir.path());
        write_file(file, before).value();
        INFO(file.string() << " at " << at);
        if (back) {
            ++read;
            CHECK(integer_network(*back).predict(image()).size() == 9);
            CHECK_FALSE(print(make_record(*back)).empty());
            support::temporary_directory const again;
            CHECK(write(*back, again.path()));
        } else {
            CHECK_FALSE(to_string(back.diagnostics()).empty());
        }
    }
    CHECK(read > 10);
}

namespace {

/// A Linear whose outputs stand in the order of other channels.
struct Reversed : nn::Linear {
    static constexpr std::string_view type_name = "Reversed";
    explicit Reversed(const nn::LinearOptions& options) : nn::Linear(options) {}
    explicit Reversed(nn::Linear linear) : nn::Linear(std::move(linear)) {}
    Reversed with_parameters(const nn::Tensor& weight, const nn::Tensor& bias) const {
        return Reversed(nn::Linear::with_parameters(weight, bias));
    }
    void forward_with(const nn::Tensor& weight, const nn::Tensor& x, nn::Tensor& y,
                      nn::Scratch& scratch) const {
        nn::Linear::forward_with(weight, x, y, scratch);
        std::ranges::reverse(y);
    }
    void forward(nn::Inputs inputs, nn::Tensor& y, nn::Scratch& scratch, nn::Mode) const {
        forward_with(weight(), *inputs[0], y, scratch);
    }
};
template <class Layer>
nn::Network one_layer(Layer layer) {
    nn::Network net;
    net.output(net.add("fc", std::move(layer), {net.input("x", {4})}));
    nn::initialize(net, 1);
    return net;
}
Deployment one_layer_deployed() {
    nn::Network const net = one_layer(nn::Linear({.in_features = 4, .out_features = 3}));
    Student student = make_student(net, support::plan_for(net, "batch_num: 1")).value();
    calibrate(student, std::vector{nn::Tensor({1, 4}, {1, -2, 3, 0.5f})}).value();
    return deploy(student).value();
}

}  // namespace

TEST_CASE("files of a deployment that contradict each other, or its network, are an error that says which") {
    support::temporary_directory const dir;
    write(mixed(), dir.path(), {.network = true}).value();
    auto const change = [&](const char* file, std::string_view from, std::string_view to) {
        std::string text = read_file(dir.path() / file).value();
        std::size_t const at = text.find(from);
        REQUIRE(at != text.npos);
        write_file(dir.path() / file, text.replace(at, from.size(), to)).value();
    };
    auto const said = [&] { return to_string(read_deployment(dir.path()).diagnostics()); };
    auto const in = [&](const char* file, std::string_view what) {
        return detail::concat((dir.path() / file).string(), ": error: ", what);
    };
    CHECK(error_after(dir.path(), "files.txt", "weights/conv_dilated.bias", "weights/conv_pointwise.bias") ==
          in("weights/conv_pointwise.bias.npy", "expected 6 values, one for each channel, found 5"));
    CHECK(error_after(dir.path(), "record.txt", "offset_w: 0", "offset_w: 0 offset_w: 0 scale_w: 1") ==
          in("record.txt", "layer `conv_dilated`: has 7 scale_w and 7 offset_w for 6 channels"));
    std::string const record = read_file(dir.path() / "record.txt").value();
    change("record.txt", "scale_d: ", "scale_d: 1e-30 # ");
    change("record.txt", "scale_w: ", "scale_w: 1e-15 # ");
    CHECK(said() == in("record.txt", "layer `conv_dilated`: scale_w is 1e-15; expected a positive number"));
    // A width for both, which AMCT's older records have.
    write_file(dir.path() / "record.txt", record).value();
    change("record.txt", "scale_d: ", "dst_type: \"INT8\" scale_d: ");
    Deployment const older = read_deployment(dir.path()).value();
    CHECK(name_of(older.layers()[0].data_width) == "INT8");
    CHECK(print(make_record(older)) == record);
    std::string const unknown =
        in("record.txt", "layer `conv_dilated`: its dst_type `INT9` is not known; INT4 or INT8");
    change("record.txt", "\"INT8\"", "\"INT9\"");
    CHECK(said() == unknown);
    change("record.txt", "dst_type: ", "act_type: \"INT8\" dst_type: ");  // is left to the weights
    CHECK(said() == unknown);
    write_file(dir.path() / "record.txt", record).value();
    change("record.txt", "scale_d: ", "act_type: \"INT5\" scale_d: ");
    CHECK(said() == in("record.txt", "layer `conv_dilated`: its act_type `INT5` is not known; INT4 or INT8"));
    write_file(dir.path() / "record.txt", record).value();
    for (auto [name, why] :
         {std::pair{"conv_other", "the network has no layer `conv_other`"},
          {"relu_dilated", "layer `relu_dilated` is a ReLU, which has no weights that are quantized"}}) {
        std::string const files = read_file(dir.path() / "files.txt").value();
        change("files.txt", "layer: \"conv_dilated\"", detail::concat("layer: \"", name, '"'));
        change("record.txt", "\"conv_dilated\"", detail::concat('"', name, '"'));
        CHECK(said() == in("files.txt", why));
        write_file(dir.path() / "files.txt", files).value();
        write_file(dir.path() / "record.txt", record).value();
    }
    CHECK(read_deployment(dir.path()));
}

TEST_CASE(
    "a deployment's network in which its layer is used twice, or has its biases elsewhere, is refused") {
    support::temporary_directory const dir;
    write(one_layer_deployed(), dir.path(), {.network = true}).value();
    auto const said = [&](const nn::Network& net) {
        nn::save(net, dir.path() / "network.npz").value();
        return to_string(read_deployment<Reversed>(dir.path()).diagnostics());
    };
    nn::Network twice = one_layer(nn::Linear({.in_features = 4, .out_features = 3}));
    CHECK(said(twice).empty());
    twice.output(twice.apply("again", "fc", {*twice.find("x")}));
    CHECK(said(twice) ==
          detail::concat((dir.path() / "files.txt").string(), ": error: layer `fc` is not used once"));
    std::string const why =
        "its 3 biases do not belong to one dimension of its output [1, 3]; such a layer is not deployed: "
        "skip "
        "it";
    nn::Network const reversed = one_layer(Reversed({.in_features = 4, .out_features = 3}));
    CHECK(said(reversed) == "error: layer `fc`: " + why);
    Student student = make_student(reversed, resolve(AMCTDistillConfig{}, reversed.graph()).value()).value();
    calibrate(student, std::vector{nn::Tensor({1, 4}, {1, -2, 3, 0.5f})}).value();
    CHECK(to_string(deploy(student).diagnostics()) == "error: layer `fc`: " + why);
}

}  // namespace deploy_read_test
