// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/operators/normalization.hpp>
// The header under test comes first.
#include <cmath>

#include "one_operator.hpp"
#include "support/catch.hpp"

namespace test_onnx_normalization {

using namespace amct_distill;
using onnx_test::floats;
using onnx_test::OneOperator;

namespace {
bool contains(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }
/// Values of no pattern, the same each time.
nn::Tensor wild(nn::Shape shape) {
    nn::Tensor x(std::move(shape));
    for (std::size_t i = 0; i != x.size(); ++i) {
        auto const k = static_cast<float>(i);
        x[i] = 2 * std::sin(1.7f * k + 0.3f * k * k) + 0.1f * k;
    }
    return x;
}
onnx::TensorProto values(std::string_view name, std::vector<float> v) {
    auto const n = static_cast<std::int64_t>(v.size());
    return floats(name, {n}, std::move(v));
}
nn::Shape with_batch(nn::Index batch, const std::vector<std::int64_t>& sample) {
    nn::Shape shape(sample.begin(), sample.end());
    shape.insert(shape.begin(), batch);
    return shape;
}
/// In double: each part of the values, `part(i)` its number, to mean 0 and variance 1, times scale(i), plus
/// bias(i).
template <class Part, class Of>
void check_normalized(const nn::Tensor& x, const nn::Tensor& y, double eps, Part part, Of scale, Of bias) {
    REQUIRE(x.shape() == y.shape());
    std::vector<double> sums(x.size()), squares(x.size()), counts(x.size());
    for (std::size_t i = 0; i != x.size(); ++i) sums[part(i)] += double(x[i]), counts[part(i)] += 1;
    for (std::size_t i = 0; i != x.size(); ++i)
        squares[part(i)] += std::pow(double(x[i]) - sums[part(i)] / counts[part(i)], 2);
    for (std::size_t i = 0; i != x.size(); ++i) {
        std::size_t const p = part(i);
        double const expected =
            (double(x[i]) - sums[p] / counts[p]) / std::sqrt(squares[p] / counts[p] + eps) * scale[i] +
            bias[i];
        CHECK(double(y[i]) == Approx(expected).epsilon(2e-5).margin(2e-5));
    }
}
std::vector<double> of_channels(const nn::Tensor& x, const std::vector<float>& each) {
    auto const channels = static_cast<std::size_t>(x.dim(1)),
               pixels = x.size() / channels / static_cast<std::size_t>(x.dim(0));
    std::vector<double> out(x.size());
    for (std::size_t i = 0; i != out.size(); ++i)
        out[i] = double(each[i / pixels % channels / (channels / each.size())]);
    return out;
}
}  // namespace

TEST_CASE("onnx normalization: BatchNormalization of two to five dimensions, by formula") {
    std::vector<float> const gamma{1.5f, -0.5f, 2}, beta{0.25f, 0, -1}, mean{0.5f, -1, 0}, var{1, 4, 0.25f};
    for (const std::vector<std::int64_t>& sample :
         {std::vector<std::int64_t>{3}, std::vector<std::int64_t>{3, 4}, std::vector<std::int64_t>{3, 2, 2},
          std::vector<std::int64_t>{3, 2, 1, 2}})
        for (bool given : {false, true}) {
            OneOperator o("BatchNormalization", sample);
            o.constant(values("g", gamma)).constant(values("b", beta));
            o.constant(values("m", mean)).constant(values("v", var));
            if (given) o.real("epsilon", 0.5f).real("momentum", 0.7f);
            std::string const text = o.layer();
            INFO(text);
            std::string const dims = sample.size() <= 2 ? "1d" : sample.size() == 3 ? "2d" : "3d";
            CHECK(contains(text, "BatchNorm" + dims + " { num_features: 3 eps: " + (given ? "0.5" : "1e-05") +
                                     " momentum: " + (given ? "0.3" : "0.1")));
            nn::Tensor const x = wild(with_batch(2, sample)), y = o.run(x);
            REQUIRE(y.shape() == x.shape());
            std::size_t const pixels = x.size() / 6;
            for (std::size_t i = 0; i != x.size(); ++i) {
                std::size_t const c = i / pixels % 3;
                double const d = std::sqrt(double(var[c]) + (given ? 0.5 : 1e-5));
                CHECK(double(y[i]) ==
                      Approx((double(x[i]) - double(mean[c])) / d * double(gamma[c]) + double(beta[c]))
                          .epsilon(1e-5)
                          .margin(1e-5));
            }
        }
}

TEST_CASE("onnx normalization: BatchNormalization in training mode and of pixels is refused") {
    auto const bn = [](std::int64_t opset, std::size_t n = 3) {
        OneOperator o("BatchNormalization", {3, 2}, opset);
        for (std::string_view name : {"g", "b", "m", "v"}) o.constant(values(name, std::vector<float>(n, 1)));
        return o;
    };
    CHECK(contains(bn(15).layer(), "BatchNorm1d"));
    CHECK(contains(bn(15).integer("training_mode", 0).layer(), "BatchNorm1d"));
    CHECK(contains(bn(15).integer("training_mode", 1).layer(),
                   "it is in training mode; export the model after model.eval()"));
    CHECK(
        contains(bn(13).integer("training_mode", 0).layer(), "training_mode"));  // not known before opset 14
    CHECK(contains(bn(6).integer("is_test", 1).layer(), "BatchNorm1d"));
    CHECK(contains(bn(6).layer(), "it is in training mode"));
    CHECK(contains(bn(8).integer("spatial", 1).layer(), "BatchNorm1d"));
    CHECK(contains(bn(8).integer("spatial", 0).layer(), "spatial is 0"));
    CHECK(contains(bn(13, 2).layer(), "input 1: expected 3 values, found [2]"));
    CHECK(contains(bn(13, 2).layer(), "BatchNormalization"));
    OneOperator unknown("BatchNormalization", {3});
    unknown.input("g", {3});
    for (std::string_view name : {"b", "m", "v"}) unknown.constant(values(name, {1, 1, 1}));
    CHECK(contains(unknown.layer(), "depends on the network's inputs; expected a constant"));
}

TEST_CASE("onnx normalization: InstanceNormalization, by formula") {
    for (const std::vector<std::int64_t>& sample :
         {std::vector<std::int64_t>{2, 5}, std::vector<std::int64_t>{2, 3, 2},
          std::vector<std::int64_t>{2, 2, 2, 2}})
        for (bool given : {false, true}) {
            INFO(sample.size() << " dimensions, " << (given ? "epsilon 0.25" : "defaults"));
            std::vector<float> const scale{given ? 2.0f : 1.0f, given ? -0.5f : 1.0f},
                bias{0, given ? 3.0f : 0.0f};
            OneOperator o("InstanceNormalization", sample);
            o.constant(values("s", scale)).constant(values("b", bias));
            if (given) o.real("epsilon", 0.25f);
            CHECK(contains(o.layer(), given ? "affine: true" : "affine: false"));
            nn::Tensor const x = wild(with_batch(2, sample)), y = o.run(x);
            std::size_t const pixels = x.size() / 4;
            check_normalized(
                x, y, given ? 0.25 : 1e-5, [&](std::size_t i) { return i / pixels; }, of_channels(x, scale),
                of_channels(x, bias));
        }
    OneOperator flat("InstanceNormalization", {2});
    CHECK(contains(flat.constant(values("s", {1, 1})).constant(values("b", {0, 0})).layer(),
                   "expected images, [N, C, ...]"));
}

TEST_CASE(
    "onnx normalization: GroupNormalization has a scale for each group, since opset 21 for each channel") {
    std::vector<float> const of_group{2, -0.5f}, of_channel{2, 1, 0.5f, -1, 3, 0.25f};
    for (std::int64_t opset : {18, 20, 21, 22})
        for (const std::vector<std::int64_t>& sample :
             {std::vector<std::int64_t>{6}, std::vector<std::int64_t>{6, 4},
              std::vector<std::int64_t>{6, 2, 3}})
            for (bool given : {false, true}) {
                INFO("opset " << opset << ", " << sample.size() + 1 << " dimensions");
                const std::vector<float>& scale = opset < 21 ? of_group : of_channel;
                std::vector<float> bias = scale;
                for (float& b : bias) b = 1 - b;
                OneOperator o("GroupNormalization", sample, opset);
                o.constant(values("s", scale)).constant(values("b", bias)).integer("num_groups", 2);
                if (given) o.real("epsilon", 0.125f);
                CHECK(contains(o.layer(), "GroupNorm { num_groups: 2 num_channels: 6"));
                nn::Tensor const x = wild(with_batch(2, sample)), y = o.run(x);
                std::size_t const part = x.size() / 4;
                check_normalized(
                    x, y, given ? 0.125 : 1e-5, [&](std::size_t i) { return i / part; },
                    of_channels(x, scale), of_channels(x, bias));
            }
    auto const error = [](std::int64_t opset, std::int64_t groups, std::size_t n, std::string_view part) {
        OneOperator o("GroupNormalization", {6, 2}, opset);
        o.constant(values("s", std::vector<float>(n, 1))).constant(values("b", std::vector<float>(n, 0)));
        if (groups != 0) o.integer("num_groups", groups);
        std::string const found = o.layer();
        INFO(found);
        CHECK(contains(found, "GroupNormalization"));
        CHECK(contains(found, part));
    };
    error(18, 2, 6, "input 1: expected 2 values, found [6]");
    error(21, 2, 2, "input 1: expected 6 values, found [2]");
    error(21, 4, 6, "4 groups do not divide its 6 channels");
    error(21, 0, 6, "0 groups do not divide its 6 channels");
    error(21, 12, 6, "12 groups do not divide its 6 channels");
}

TEST_CASE("onnx normalization: LayerNormalization over the last dimensions, by formula") {
    // Of [N, 2, 3, 4]: from axis 1, 2 or 3 on.
    for (std::int64_t axis : {-1, 3, 2, -2, 1})
        for (bool has_bias : {false, true})
            for (bool given : {false, true}) {
                INFO("axis " << axis << (has_bias ? ", with bias" : ""));
                std::size_t const first = static_cast<std::size_t>(axis < 0 ? axis + 4 : axis);
                std::vector<std::int64_t> const all{2, 3, 4};
                std::vector<std::int64_t> const dims(all.begin() + static_cast<std::ptrdiff_t>(first) - 1,
                                                     all.end());
                std::size_t width = 1;
                for (std::int64_t d : dims) width *= static_cast<std::size_t>(d);
                std::vector<float> scale(width), bias(width);
                for (std::size_t i = 0; i != width; ++i) {
                    scale[i] = 0.5f + 0.25f * static_cast<float>(i);
                    bias[i] = has_bias ? 1 - 0.5f * static_cast<float>(i) : 0.0f;
                }
                OneOperator o("LayerNormalization", {2, 3, 4}, 17);
                o.constant(floats("s", dims, scale));
                if (has_bias) o.constant(floats("b", dims, bias));
                if (axis != -1) o.integer("axis", axis);
                if (given) o.real("epsilon", 0.75f);
                CHECK(contains(o.layer(), "LayerNorm { normalized_shape: ["));
                nn::Tensor const x = wild({2, 2, 3, 4}), y = o.run(x);
                std::vector<double> scales(x.size()), biases(x.size());
                for (std::size_t i = 0; i != x.size(); ++i)
                    scales[i] = double(scale[i % width]), biases[i] = double(bias[i % width]);
                check_normalized(
                    x, y, given ? 0.75 : 1e-5, [&](std::size_t i) { return i / width; }, scales, biases);
            }
    auto const error = [](std::int64_t axis, std::vector<std::int64_t> dims, std::string_view part) {
        OneOperator o("LayerNormalization", {2, 3}, 17);
        std::size_t n = 1;
        for (std::int64_t d : dims) n *= static_cast<std::size_t>(d);
        o.constant(floats("s", std::move(dims), std::vector<float>(n, 1))).integer("axis", axis);
        std::string const found = o.layer();
        INFO(found);
        CHECK(contains(found, "LayerNormalization"));
        CHECK(contains(found, part));
    };
    error(0, {3}, "it normalizes over the batch; give the inputs' shapes with a number in the batch's place");
    error(-1, {2}, "input 1: expected values for [3], found [2]");
    error(1, {2, 2}, "input 1: expected values for [2, 3], found [2, 2]");
    error(3, {3}, "axis 3 is not one of the 3 dimensions");
}

TEST_CASE("onnx normalization: LayerNormalization's scale and bias broadcast to what is normalized") {
    struct Case {
        std::vector<std::int64_t> dims;
        std::vector<std::size_t> strides;  // of the dimensions of [2, 2, 3]
    };
    nn::Tensor const x = wild({2, 2, 2, 3});
    for (const Case& c : {Case{{2, 1, 3}, {3, 0, 1}}, Case{{2, 2, 1}, {2, 1, 0}}, Case{{1, 2, 3}, {0, 3, 1}},
                          Case{{2, 1, 1}, {1, 0, 0}}, Case{{2, 3}, {0, 3, 1}}, Case{{2, 1}, {0, 1, 0}},
                          Case{{3}, {0, 0, 1}}, Case{{1}, {0, 0, 0}}, Case{{}, {0, 0, 0}}}) {
        std::size_t n = 1;
        for (std::int64_t d : c.dims) n *= static_cast<std::size_t>(d);
        std::vector<float> scale(n), bias(n);
        for (std::size_t i = 0; i != n; ++i) {
            scale[i] = 0.5f + static_cast<float>(i);
            bias[i] = 10 * static_cast<float>(i) - 3;
        }
        OneOperator o("LayerNormalization", {2, 2, 3}, 17);
        o.constant(floats("s", c.dims, scale)).constant(floats("b", c.dims, bias)).integer("axis", 1);
        std::vector<double> scales(x.size()), biases(x.size());
        for (std::size_t i = 0; i != x.size(); ++i) {
            std::size_t const at = i / 6 % 2 * c.strides[0] + i / 3 % 2 * c.strides[1] + i % 3 * c.strides[2];
            scales[i] = double(scale[at]), biases[i] = double(bias[at]);
        }
        check_normalized(
            x, o.run(x), 1e-5, [](std::size_t i) { return i / 12; }, scales, biases);
    }
}

TEST_CASE("onnx normalization: a LayerNorm is named after its scale, or else its bias") {
    auto const name = [](std::string_view scale, std::string_view bias) {
        onnx_test::Model m(17);
        m.graph().input.push_back(onnx_test::declared("x", {2}));
        m.initializer(floats(scale, {2}, {1, 2}));
        if (!bias.empty()) m.initializer(floats(bias, {2}, {3, 4}));
        std::vector<std::string_view> reads{"x", scale};
        if (!bias.empty()) reads.push_back(bias);
        m.node("LayerNormalization", reads, {"y"}, {}, "/a/b/LayerNormalization").output("y");
        auto const read = onnx::import_network(m.file());
        REQUIRE(read);
        return read->names.at(0).module;
    };
    CHECK(name("enc.norm.weight", "enc.norm.bias") == "enc.norm");
    CHECK(name("enc.norm.weight", "other.bias") == "enc.norm");
    CHECK(name("enc.norm.weight", "") == "enc.norm");
    CHECK(name("onnx::scale_1", "enc.norm.bias") == "enc.norm");
}

TEST_CASE("onnx normalization: LayerNormalization's mean and inverse deviation") {
    onnx_test::Model m(17);
    m.graph().input.push_back(onnx_test::declared("x", {4}));
    m.initializer(floats("s", {4}, {1, 2, 3, 4}));
    m.node("LayerNormalization", {"x", "s"}, {"y", "mean", "deviation"}, {onnx_test::real("epsilon", 0.5f)});
    m.output("mean").output("deviation").output("y");
    auto const read = onnx::import_network(m.file());
    REQUIRE(read);
    nn::Tensor const x({1, 4}, {1, 2, 4, 9});  // mean 4, variance (9 + 4 + 0 + 25) / 4 = 9.5
    nn::Tape tape;
    std::vector<const nn::Tensor*> const inputs{&x};
    read->network.forward(inputs, tape, nn::Mode::evaluate);
    auto const out = [&](std::size_t i) { return read->network.value(read->network.outputs()[i], tape); };
    CHECK(out(0).shape() == nn::Shape{1, 1});
    CHECK(out(0)[0] == 4);
    CHECK(out(1)[0] == Approx(1 / std::sqrt(10.0)).epsilon(1e-6));
    CHECK(out(2)[3] == Approx(20 / std::sqrt(10.0)).epsilon(1e-6));
}

}  // namespace test_onnx_normalization
