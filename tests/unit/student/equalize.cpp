// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/student/equalize.hpp>

#include <algorithm>
#include <amct_distill/nn/layers/conv_transpose.hpp>
#include <amct_distill/nn/layers/pool.hpp>
#include <amct_distill/nn/layers/smooth_activation.hpp>
#include <amct_distill/nn/layers/structure.hpp>
#include <amct_distill/student/calibrate.hpp>
#include <cmath>
#include <limits>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "support/catch.hpp"
#include "support/small_network.hpp"
#include "support/thread_ranks.hpp"

namespace student_equalize_test {

using namespace amct_distill;

namespace {

/// [N, 2, 6, 6] through a layer of 4 channels of very different ranges, then what `between` adds, then a
/// depthwise convolution with two outputs a channel.
template <class Before, class Between>
nn::Network network(Before before, Between between) {
    nn::Network net;
    nn::NodeId x = net.input("image", {2, 6, 6});
    x = before(net, x);
    x = between(net, x);
    x = net.add(
        "depthwise",
        nn::Conv2d({.in_channels = 4, .out_channels = 8, .kernel = {3, 3}, .padding = {1, 1}, .groups = 4}),
        {x});
    net.output(net.add("last", nn::Conv2d({.in_channels = 8, .out_channels = 3}), {x}));
    nn::initialize(net, 3);
    return net;
}
nn::NodeId convolution(nn::Network& net, nn::NodeId x) {
    return net.add("conv", nn::Conv2d({.in_channels = 2, .out_channels = 4, .kernel = {3, 3}}), {x});
}
nn::NodeId nothing(nn::Network&, nn::NodeId x) { return x; }
nn::NodeId relu(nn::Network& net, nn::NodeId x) { return net.add("relu", nn::ReLU{}, {x}); }

/// Channel c of the layer's outputs becomes factors[c] times as large.
void spread(nn::Network& net, const char* name, std::size_t axis_length) {
    constexpr float factors[] = {0.2f, 1, 20, 0.5f};
    for (const nn::Parameter& p : net.module(name).parameters())
        if (p.name == "weight" || p.name == "bias") {
            std::size_t const each = p.values.size() / axis_length;
            for (std::size_t i = 0; i != p.values.size(); ++i) p.values[i] *= factors[i / each % 4];
        }
}

struct Ranges {
    std::vector<double> above = std::vector<double>(4), below = std::vector<double>(4);
};
Ranges ranges_of(const nn::Network& net, std::span<const nn::Tensor> batches, nn::NodeId node) {
    Ranges out;
    for (const nn::Tensor& x : batches) {
        nn::Tape tape;
        net.forward(x, tape, nn::Mode::evaluate);
        const nn::Tensor& y = tape.output(node);
        std::size_t const pixels = y.size() / static_cast<std::size_t>(y.dim(0) * 4);
        for (std::size_t i = 0; i != y.size(); ++i) {
            std::size_t const c = i / pixels % 4;
            out.above[c] = (std::max)(out.above[c], static_cast<double>(y[i]));
            out.below[c] = (std::max)(out.below[c], -static_cast<double>(y[i]));
        }
    }
    return out;
}

/// The outputs are those of before, but for rounding.
void check_same_outputs(const nn::Network& a, const nn::Network& b, std::span<const nn::Tensor> batches) {
    for (const nn::Tensor& x : batches) {
        nn::Tensor const y = a.predict(x), z = b.predict(x);
        float largest = 0;
        for (float v : y) largest = (std::max)(largest, std::abs(v));
        for (std::size_t i = 0; i != y.size(); ++i) CHECK(std::abs(y[i] - z[i]) <= 2e-6f * largest);
    }
}

}  // namespace

TEST_CASE("equalized channels touch the ends of one range, and the network computes what it did") {
    auto const batches = support::small_batches(2, 3);
    struct Case {
        const char* first;
        std::size_t axis;
        nn::Network net;
        bool positive;
    };
    auto const batch_norm = [](nn::Network& net, nn::NodeId x) {
        x = net.add("conv", nn::Conv2d({.in_channels = 2, .out_channels = 4, .bias = false}), {x});
        return net.add("bn", nn::BatchNorm2d({.num_features = 4}), {x});
    };
    auto const transposed = [](nn::Network& net, nn::NodeId x) {
        return net.add(
            "up", nn::ConvTranspose2d({.in_channels = 2, .out_channels = 4, .kernel = {2, 2}, .groups = 2}),
            {x});
    };
    auto const pools = [](nn::Network& net, nn::NodeId x) {
        x = net.add_function("leaky", nn::LeakyReLU(0.1f), {x});
        return net.add_function("pool", nn::MaxPool2d({.kernel = {2, 2}}), {x});
    };
    for (Case c :
         {Case{"conv", 4, network(convolution, nothing), false},
          Case{"conv", 4, network(convolution, relu), true}, Case{"bn", 4, network(batch_norm, relu), true},
          Case{"up", 2, network(transposed, nothing), false},
          Case{"conv", 4, network(convolution, pools), false}}) {
        INFO(c.first);
        if (std::string_view(c.first) != "up") spread(c.net, c.first, c.axis);
        nn::Network net = c.net;
        auto const report = equalize(net, batches);
        REQUIRE(report);
        REQUIRE(report->pairs.size() == 1);
        const EqualizedPair& told = report->pairs[0];
        CHECK(told.first == c.first);
        CHECK(told.second == "depthwise");
        CHECK(told.channels == 4);
        CHECK(report->others.empty());
        check_same_outputs(c.net, net, batches);

        nn::NodeId const value = net.node(*net.find("depthwise")).inputs[0];
        Ranges const before = ranges_of(c.net, batches, value), after = ranges_of(net, batches, value);
        double high = 0, low = 0;
        for (std::size_t k = 0; k != 4; ++k)
            high = (std::max)(high, after.above[k]), low = (std::max)(low, after.below[k]);
        double narrowest_before = 1e9, widest_before = 0;
        for (std::size_t k = 0; k != 4; ++k) {
            INFO("channel " << k);
            double const was = (std::max)(before.above[k], before.below[k]);
            narrowest_before = (std::min)(narrowest_before, was);
            widest_before = (std::max)(widest_before, was);
            bool const touches = after.above[k] == Approx(high).epsilon(1e-5) ||
                                 (low > 0 && after.below[k] == Approx(low).epsilon(1e-5));
            CHECK(touches);
        }
        CHECK(told.narrowest_before == Approx(narrowest_before).epsilon(1e-6));
        CHECK(told.widest_before == Approx(widest_before).epsilon(1e-6));
        if (c.positive) {
            CHECK(told.narrowest_after == Approx(high).epsilon(1e-5));
            CHECK(told.widest_after == Approx(high).epsilon(1e-5));
        }
    }
}

TEST_CASE("an equalized network loses less to the quantization of its inputs") {
    auto const batches = support::small_batches(2, 8);
    nn::Network net = network(convolution, nothing);
    spread(net, "conv", 4);
    for (std::size_t i = 0; i != 8; ++i)  // the small channels count
        for (std::size_t k = 0; k != 9; ++k)
            net.module("depthwise").weighted()->weight()[i * 9 + k] *= i < 2              ? 50.0f
                                                                       : i == 4 || i == 5 ? 0.03f
                                                                                          : 1;
    nn::Network equalized = net;
    equalize(equalized, batches).value();
    auto const error_of = [&](const nn::Network& teacher) {
        Student student =
            make_student(teacher,
                         support::plan_for(teacher, "quant_skip_layers: 'conv' quant_skip_layers: 'last'"))
                .value();
        calibrate(student, batches).value();
        nn::Tensor const y = net.predict(batches[0]), z = student.predict(batches[0]);
        double sum = 0;
        for (std::size_t i = 0; i != y.size(); ++i) sum += std::pow(static_cast<double>(y[i] - z[i]), 2);
        return sum;
    };
    CHECK(error_of(equalized) < 0.05 * error_of(net));
}

TEST_CASE("a channel is widened by no more than the largest factor, and a dead one not at all") {
    auto const batches = support::small_batches(2, 3);
    nn::Network net = network(convolution, relu);
    spread(net, "conv", 4);
    nn::Weighted& conv = *net.module("conv").weighted();
    for (std::size_t i = 3 * 18; i != 4 * 18; ++i) conv.weight()[i] = 0;
    conv.bias()[3] = -1;
    nn::Network const before = net;
    auto const report = equalize(net, batches, {}, {.largest_factor = 10});
    REQUIRE(report);
    const EqualizedPair& told = report->pairs.at(0);
    CHECK(told.narrowest_after == Approx(10 * told.narrowest_before).epsilon(1e-5));
    CHECK(net.module("conv").weighted()->bias()[3] == -1);
    check_same_outputs(before, net, batches);
    CHECK_THROWS_WITH(equalize(net, batches, {.threads = 0}), "equalize: threads must be 1 to 1024, found 0");
    CHECK_THROWS_WITH(equalize(net, batches, {}, {.largest_factor = 0.5}),
                      "equalize: largest_factor must be at least 1, found 0.5");
}

TEST_CASE("into other convolutions ranges and weights share the difference") {
    auto const batches = support::small_batches(2, 3);
    nn::Network net = support::small_network();
    nn::Network const before = net;
    CHECK(equalize(net, batches)->pairs.empty());  // none is depthwise
    auto const report = equalize(net, batches, {}, {.into = EqualizeInto::convolutions});
    REQUIRE(report);
    REQUIRE(report->pairs.size() == 1);
    CHECK(report->pairs[0].first == "bn1");
    CHECK(report->pairs[0].second == "conv2");
    REQUIRE(report->others.size() == 1);
    CHECK(report->others[0].layer == "conv1");
    CHECK(report->others[0].why == "what it reads, `image`, is no output of a layer");
    check_same_outputs(before, net, batches);
    // Of each channel, range / largest weight is the same afterwards.
    Ranges const after = ranges_of(net, batches, *net.find("relu1"));
    const nn::Tensor& w = net.module("conv2").weighted()->weight();
    double quotient[4];
    for (std::size_t c = 0; c != 4; ++c) {
        double largest = 0;
        for (std::size_t i = 0; i != w.size(); ++i)
            if (i / 9 % 4 == c) largest = (std::max)(largest, std::abs(static_cast<double>(w[i])));
        quotient[c] = after.above[c] / largest;
        CHECK(quotient[c] == Approx(quotient[0]).epsilon(1e-4));
    }
}

/// A layer of a user's own: each channel times a weight, [channels, 1], plus a bias.
struct ChannelScaleOptions {
    nn::Index channels = 0;
};
class ChannelScale {
public:
    static constexpr std::string_view type_name = "ChannelScale";
    static constexpr std::size_t scratch_tensors = 0;

    explicit ChannelScale(const ChannelScaleOptions& options)
        : o_(options), weight_({o_.channels, 1}), bias_({o_.channels}) {
        std::ranges::fill(weight_.span(), 0.75f);
        std::ranges::fill(bias_.span(), 0.25f);
    }
    const ChannelScaleOptions& options() const { return o_; }
    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const { return inputs[0]; }
    nn::Tensor& weight() { return weight_; }
    const nn::Tensor& weight() const { return weight_; }
    nn::Tensor& bias() { return bias_; }
    const nn::Tensor& bias() const { return bias_; }
    nn::Index input_groups() const { return o_.channels; }
    ChannelScale with_parameters(const nn::Tensor& weight, const nn::Tensor& bias) const {
        ChannelScale made(o_);
        made.weight_ = weight;
        made.bias_ = bias;
        return made;
    }
    void forward_with(const nn::Tensor& weight, const nn::Tensor& x, nn::Tensor& y, nn::Scratch&) const {
        for (std::size_t i = 0; i != x.size(); ++i)
            y[i] = weight[channel(x, i)] * x[i] + bias_[channel(x, i)];
    }
    void backward_with(const nn::Tensor&, const nn::Tensor&, const nn::Tensor&, nn::Tensor*, nn::Tensor*,
                       nn::Tensor*, nn::Scratch&) const {}
    void parameters(std::vector<nn::Parameter>& list) {
        list.push_back({"weight", nn::Role::weight, &weight_});
        list.push_back({"bias", nn::Role::bias, &bias_});
    }
    void forward(nn::Inputs inputs, nn::Tensor& y, nn::Scratch& scratch, nn::Mode) const {
        forward_with(weight_, *inputs[0], y, scratch);
    }
    void backward(nn::Inputs, const nn::Tensor&, const nn::Tensor&, std::span<nn::Tensor* const>,
                  std::span<nn::Tensor>, nn::Scratch&, nn::Mode) const {}

private:
    static std::size_t channel(const nn::Tensor& x, std::size_t i) {
        auto const pixels = static_cast<std::size_t>(x.dim(2) * x.dim(3));
        return i / pixels % static_cast<std::size_t>(x.dim(1));
    }
    ChannelScaleOptions o_;
    nn::Tensor weight_, bias_;
};

TEST_CASE("a layer of one's own that tells its input's groups is equalized into, and equalized") {
    nn::Network net;
    nn::NodeId x = convolution(net, net.input("image", {2, 6, 6}));
    x = net.add("own", ChannelScale({.channels = 4}), {relu(net, x)});
    net.output(net.add(
        "depthwise", nn::Conv2d({.in_channels = 4, .out_channels = 4, .kernel = {3, 3}, .groups = 4}), {x}));
    nn::initialize(net, 3);
    spread(net, "conv", 4);
    auto const batches = support::small_batches(2, 3);
    nn::Tensor const before = net.predict(batches[0]);
    auto const report = equalize(net, batches);
    REQUIRE(report);
    CHECK(report->others.empty());
    REQUIRE(report->pairs.size() == 2);
    CHECK(report->pairs[0].first == "conv");
    CHECK(report->pairs[0].second == "own");
    CHECK(report->pairs[0].narrowest_after > 2 * report->pairs[0].narrowest_before);
    CHECK(report->pairs[1].first == "own");
    CHECK(report->pairs[1].second == "depthwise");
    nn::Tensor const after = net.predict(batches[0]);
    for (std::size_t i = 0; i != after.size(); ++i)
        CHECK(double(after[i]) == Approx(double(before[i])).epsilon(1e-4).margin(1e-4));
}

/// Functions of a user's own: a ReLU that says that it scales with its channels, and one that does not.
struct OwnReLU : nn::ReLU {
    static constexpr std::string_view type_name = "OwnReLU", operation = "OwnReLU";
};
struct OwnAdd : nn::Add {
    static constexpr std::string_view type_name = "OwnAdd", operation = "OwnAdd";
    static constexpr bool is_homogeneous = true;
};
struct ModestReLU : nn::ReLU {
    static constexpr std::string_view type_name = "ModestReLU", operation = "ModestReLU";
    static constexpr bool is_homogeneous = false;
};

TEST_CASE("channels are scaled through a function of one's own that says that they can be") {
    auto const equalized = [](auto function) {
        nn::Network net;
        nn::NodeId x = convolution(net, net.input("image", {2, 6, 6}));
        constexpr bool two = std::is_same_v<decltype(function), OwnAdd>;
        x = net.add_function("own", function, two ? std::vector{x, x} : std::vector{x});
        net.output(net.add(
            "next", nn::Conv2d({.in_channels = 4, .out_channels = 4, .kernel = {3, 3}, .groups = 4}), {x}));
        nn::initialize(net, 3);
        spread(net, "conv", 4);
        return equalize(net, support::small_batches(2, 3)).value();
    };
    auto const own = equalized(OwnReLU{});
    REQUIRE(own.pairs.size() == 1);
    CHECK(own.pairs[0].first == "conv");
    CHECK(own.pairs[0].second == "next");
    auto const of_two = equalized(OwnAdd{});
    CHECK(of_two.pairs.empty());
    CHECK(of_two.others.at(0).why ==
          "`own` (OwnAdd) stands before it, through which channels cannot be scaled");
    auto const modest = equalized(ModestReLU{});
    CHECK(modest.pairs.empty());
    REQUIRE(modest.others.size() == 1);
    CHECK(modest.others[0].why ==
          "`own` (ModestReLU) stands before it, through which channels cannot be scaled");
}

TEST_CASE("what cannot be equalized is told with its reason") {
    auto const batches = support::small_batches(1, 3);
    auto const why = [&](nn::Network net) {
        nn::Network const before = net;
        auto const report = equalize(net, batches);
        REQUIRE(report);
        CHECK(report->pairs.empty());
        REQUIRE(report->others.size() == 1);
        CHECK(report->others[0].layer == "depthwise");
        CHECK(net.predict(batches[0]) == before.predict(batches[0]));
        return report->others[0].why;
    };
    CHECK(why(network(convolution, [](nn::Network& net, nn::NodeId x) {
              return net.add("act", nn::SiLU{}, {x});
          })) == "`act` (SiLU) stands before it, through which channels cannot be scaled");
    nn::Network read = network(convolution, relu);
    read.add("more", nn::ReLU{}, {*read.find("relu")});
    CHECK(why(read) == "what it reads, `relu`, is read by others too");
    nn::Network leaves = network(convolution, relu);
    leaves.output(*leaves.find("conv"));
    CHECK(why(leaves) == "what it reads, `conv`, is an output of the network");
    nn::Network shared = network(convolution, relu);
    shared.output(shared.apply("conv_again", "conv", {*shared.find("image")}));
    CHECK(why(shared) == "the layer before it, `conv`, is shared");
    nn::Network again = network(convolution, relu);
    again.output(again.apply("depthwise_again", "depthwise", {*again.find("relu")}));
    auto const report = equalize(again, batches);
    REQUIRE(report->others.size() == 2);
    CHECK(report->others[0].why == "it is used more than once");
}

TEST_CASE(
    "a failed equalization leaves the network as it was, and threads and ranks do not change its bits") {
    auto batches = support::small_batches(2, 5);
    nn::Network one = network(convolution, nothing);
    spread(one, "conv", 4);
    nn::Network const before = one;
    nn::Network three = one, first = one, only = one;
    equalize(one, batches).value();
    equalize(three, batches, {.threads = 3}).value();
    for (const auto& m : one.modules()) {
        auto const a = m.module.parameters();
        auto const b = std::as_const(three).module(m.name).parameters();
        for (std::size_t k = 0; k != a.size(); ++k) CHECK(std::ranges::equal(a[k].values, b[k].values));
    }
    for (std::size_t count : {2u, 3u, 8u})
        support::run_ranks(count, [&](Ranks* ranks) {
            nn::Network of_rank = before;
            equalize(of_rank, batches, {.ranks = ranks}).value();
            for (const auto& m : one.modules()) {
                auto const a = m.module.parameters();
                auto const b = std::as_const(of_rank).module(m.name).parameters();
                for (std::size_t k = 0; k != a.size(); ++k)
                    if (!std::ranges::equal(a[k].values, b[k].values)) throw std::logic_error("other bits");
            }
        });
    equalize(first, batches, {}, {.batch_num = 1}).value();
    equalize(only, std::span(batches).first(1)).value();
    CHECK(first.module("conv").weighted()->weight() == only.module("conv").weighted()->weight());

    CHECK(equalize(one, {}).diagnostics().at(0).message == "equalize: no batches; give at least one");
    batches[1][7] = std::numeric_limits<float>::quiet_NaN();
    nn::Network failed = before;
    auto const bad = equalize(failed, batches);
    REQUIRE_FALSE(bad);
    CHECK_THAT(bad.diagnostics()[0].message,
               Catch::Contains("equalize: layer `depthwise`: a value that it reads"));
    CHECK(failed.module("conv").weighted()->weight() == before.module("conv").weighted()->weight());

    // Sample 0 is the first rank's.
    std::vector<std::string> said(3);
    support::run_ranks(3, [&](Ranks* ranks) {
        nn::Network of_rank = before;
        said[ranks->rank()] = equalize(of_rank, batches, {.ranks = ranks}).diagnostics().at(0).message;
    });
    CHECK(said[0].starts_with("equalize: layer `depthwise`: a value that it reads"));
    CHECK(said[2].starts_with("rank 0: equalize: layer `depthwise`: a value that it reads"));
}

TEST_CASE("the outputs of any layer are divided, each channel by its factor") {
    std::vector<double> const factors{2, 0.5, 4, 1};
    auto const check = [&](auto layer) {
        nn::Network net;
        net.output(net.add("layer", std::move(layer), {net.input("x", {4, 3, 3})}));
        nn::initialize(net, 5);
        for (const nn::Parameter& p : net.module("layer").parameters())
            for (std::size_t i = 0; i != p.values.size(); ++i)
                p.values[i] += 0.01f * static_cast<float>(i % 11 + 1);
        nn::Tensor x({2, 4, 3, 3});
        for (std::size_t i = 0; i != x.size(); ++i) x[i] = static_cast<float>(i % 7) - 3;
        nn::Tensor const before = net.predict(x);
        detail::divide_outputs(net.module("layer"), factors);
        nn::Tensor const after = net.predict(x);
        REQUIRE(after.shape() == before.shape());
        std::size_t const pixels = after.size() / 8;
        for (std::size_t i = 0; i != after.size(); ++i)
            CHECK(static_cast<double>(after[i]) ==
                  Approx(static_cast<double>(before[i]) / factors[i / pixels % 4]).margin(1e-5));
    };
    check(nn::Conv2d({.in_channels = 4, .out_channels = 4, .kernel = {2, 2}}));
    check(nn::Conv2d({.in_channels = 4, .out_channels = 4, .groups = 2, .bias = false}));
    check(nn::ConvTranspose2d({.in_channels = 4, .out_channels = 4, .kernel = {2, 3}}));
    check(nn::ConvTranspose2d({.in_channels = 4, .out_channels = 4, .kernel = {2, 2}, .groups = 2}));
    check(nn::BatchNorm2d({.num_features = 4}));
}

TEST_CASE("channels are scaled through a mean and through what changes nothing, and not through a sum") {
    auto const batches = support::small_batches(1, 3);
    auto const equalized = [&](auto between) {
        nn::Network net = network(convolution, between);
        spread(net, "conv", 4);
        return equalize(net, batches).value();
    };
    auto const pairs = [&](auto module) {
        auto const report = equalized(
            [&](nn::Network& net, nn::NodeId x) { return net.add_function("between", module, {x}); });
        return report.pairs.size();
    };
    CHECK(pairs(nn::AvgPool2d({.kernel = {2, 2}})) == 1);
    CHECK(pairs(nn::Identity{}) == 1);
    auto const sum = equalized([](nn::Network& net, nn::NodeId x) {
        return net.add_function("sum", nn::Add{},
                                {x, net.constant("one", nn::Tensor({4, 1, 1}, {1, 1, 1, 1}))});
    });
    CHECK(sum.pairs.empty());
    CHECK(sum.others.at(0).why == "`sum` (Add) stands before it, through which channels cannot be scaled");
}

TEST_CASE("a layer whose inputs are no channels is not scaled, and one that comes of a constant neither") {
    nn::Network net;
    nn::NodeId x = net.input("x", {4});
    x = net.add("fc", nn::Linear({.in_features = 4, .out_features = 16}), {x});
    x = net.add_function("image", nn::Reshape(nn::Shape{4, 2, 2}), {x});
    net.output(net.add("depthwise", nn::Conv2d({.in_channels = 4, .out_channels = 4, .groups = 4}), {x}));
    nn::initialize(net, 3);
    std::vector<nn::Tensor> const batches{nn::Tensor({1, 4}, {1, -1, 2, 0.5f})};
    auto const report = equalize(net, batches).value();
    CHECK(report.pairs.empty());
    REQUIRE(report.others.size() == 1);
    CHECK(report.others[0].why ==
          "`image` (Reshape) stands before it, through which channels cannot be scaled");
    nn::Network rows;  // a Linear of the last dimension
    x = rows.add("fc", nn::Linear({.in_features = 3, .out_features = 3}), {rows.input("x", {4, 3, 3})});
    rows.output(rows.add("depthwise", nn::Conv2d({.in_channels = 4, .out_channels = 4, .groups = 4}), {x}));
    CHECK(equalize(rows, std::vector{nn::Tensor({1, 4, 3, 3})})->others.at(0).why ==
          "the layer before it, `fc`, is a Linear");
}

TEST_CASE("of channels that are always 0, or that no weight reads, nothing is changed") {
    auto const batches = support::small_batches(1, 3);
    for (bool all : {false, true}) {
        nn::Network net = network(convolution, relu);
        nn::Weighted& conv = *net.module("conv").weighted();
        for (std::size_t i = all ? 0 : 3 * 18; i != 4 * 18; ++i) conv.weight()[i] = 0;
        for (std::size_t c = all ? 0 : 3; c != 4; ++c) conv.bias()[c] = -1;
        for (auto into : {EqualizeInto::depthwise, EqualizeInto::convolutions}) {
            nn::Network changed = net;
            auto const report = equalize(changed, batches, {}, {.into = into}).value();
            REQUIRE(report.pairs.size() == (into == EqualizeInto::depthwise ? 1 : 2));
            CHECK((report.pairs[0].widest_before == 0) == all);
            CHECK(changed.module("conv").weighted()->bias()[3] == -1);
            check_same_outputs(net, changed, batches);
        }
    }
    nn::Network unread = network(convolution, relu);
    nn::Weighted& last = *unread.module("last").weighted();
    for (std::size_t i = 0; i != last.weight().size(); ++i)
        if (i % 8 == 5) last.weight()[i] = 0;
    nn::Network const before = unread;
    CHECK(equalize(unread, batches, {}, {.into = EqualizeInto::convolutions})->pairs.size() == 2);
    check_same_outputs(before, unread, batches);
    for (std::size_t dead : {1u, 4u}) {  // channels that conv2 reads
        nn::Network small = support::small_network();
        auto* const bn = small.module("bn1").get_if<nn::BatchNorm2d>();
        for (std::size_t c = 0; c != dead; ++c) bn->weight()[c] = 0, bn->bias()[c] = -1;
        nn::Network const was = small;
        auto const report = equalize(small, batches, {}, {.into = EqualizeInto::convolutions}).value();
        REQUIRE(report.pairs.size() == 1);
        CHECK((report.pairs[0].widest_before == 0) == (dead == 4));
        CHECK(small.module("bn1").get_if<nn::BatchNorm2d>()->bias()[0] <= -1);
        check_same_outputs(was, small, batches);
    }
}

TEST_CASE("equalize: parameters that are not finite, before or afterwards, and an infinite factor") {
    auto const batches = support::small_batches(1, 3);
    nn::Network net = network(convolution, relu);
    float const infinity = std::numeric_limits<float>::infinity();
    CHECK_THROWS_WITH(equalize(net, batches, {}, {.largest_factor = double(infinity)}),
                      "equalize: largest_factor must be at least 1, found inf");
    nn::Network bad = net;
    bad.module("conv").weighted()->bias()[1] = infinity;
    CHECK(equalize(bad, batches).diagnostics().at(0).message ==
          "layer `conv`: bias: value at [1] is inf; only finite values can be used: check where they come "
          "from");
    // A weight that overflows when its channel's outputs are widened.
    nn::Weighted& conv = *net.module("conv").weighted();
    for (std::size_t i = 0; i != 18; ++i) conv.weight()[i] = 0;
    conv.bias()[0] = 1e-30f;
    conv.weight()[0] = 3e38f;
    std::vector<nn::Tensor> zeros(1, nn::Tensor({1, 2, 6, 6}));
    nn::Network const before = net;
    auto const failed = equalize(net, zeros, {}, {.largest_factor = 1e30});
    REQUIRE_FALSE(failed);
    CHECK_THAT(failed.diagnostics().at(0).message, Catch::Contains("layer `conv`: weight: value at [0, 0, "));
    CHECK(net.module("conv").weighted()->weight() == before.module("conv").weighted()->weight());
}

}  // namespace student_equalize_test
