// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/distill/observe_layers.hpp>

#include <algorithm>
#include <amct_distill/student/calibrate.hpp>
#include <numeric>

#include "support/catch.hpp"
#include "support/small_network.hpp"

namespace distill_observe_layers_test {

using namespace amct_distill;

namespace {
std::size_t total(const ValueHistogram& h) {
    return std::accumulate(h.counts.begin(), h.counts.end(), std::size_t{0});
}
}  // namespace

TEST_CASE("a histogram has every value in its bin, however its range grew") {
    std::vector<float> const values{0.5f, 0.25f, -3.0f, 100.0f, 0.5f, -0.001f, 12.0f, 99.5f};
    ValueHistogram h;
    for (float v : values) h.add(std::span(&v, 1));
    CHECK(h.least == -3);
    CHECK(h.greatest == 100);
    REQUIRE(h.counts.size() == ValueHistogram::bins);
    CHECK(total(h) == values.size());
    std::vector<std::size_t> expected(ValueHistogram::bins, 0);
    for (float v : values) ++expected[static_cast<std::size_t>((static_cast<double>(v) - h.low) / h.width)];
    CHECK(h.counts == expected);
    CHECK(std::ranges::count_if(h.counts, [](std::size_t n) { return n != 0; }) > 3);
}

TEST_CASE("a histogram of one value, of none, and of values that are not finite") {
    ValueHistogram h;
    CHECK(h.counts.empty());
    std::vector<float> const same(3, 2.0f);
    h.add(same);
    CHECK(h.width == 0);
    CHECK(total(h) == 3);
    CHECK(h.least == 2);
    std::vector<float> const odd{1.0f, INFINITY, NAN};
    h.add(odd);
    CHECK(total(h) == 4);
    CHECK(h.greatest == 2);
    CHECK(h.width > 0);
}

TEST_CASE("every layer is looked at, whether it is quantized or not, and noise is the teacher's difference") {
    nn::Network const teacher = support::small_network();
    auto const batches = support::small_batches(2, 3);
    Student student =
        make_student(teacher, support::plan_for(teacher, "quant_skip_layers: 'conv1'\n")).value();
    calibrate(student, std::span(batches)).value();
    ObservedValues const seen = observe_layers(teacher, student, std::span(batches)).value();
    REQUIRE(seen.layers.size() == 3);
    CHECK(seen.samples == 6);
    CHECK(seen.layers[0].name == "conv1");
    CHECK(std::isinf(seen.layers[0].output_sqnr));  // nothing before it is quantized
    CHECK(seen.layers[1].output_sqnr > 20);
    CHECK(seen.layers[1].output_sqnr < 60);

    double signal = 0, noise = 0;
    for (const nn::Tensor& batch : batches) {
        nn::Tensor const a = teacher.predict(batch), b = student.predict(batch);
        for (std::size_t i = 0; i != a.size(); ++i) {
            double const x = static_cast<double>(a[i]), d = x - static_cast<double>(b[i]);
            signal += x * x;
            noise += d * d;
        }
    }
    CHECK(seen.output_sqnr == Approx(10 * std::log10(signal / noise)));

    std::size_t values = 0;
    for (const nn::Tensor& batch : batches) values += batch.size();
    CHECK(total(seen.layers[0].data) == values);
    CHECK(total(seen.layers[0].weights) == teacher.module("conv1").weighted()->weight().size());
}

TEST_CASE("as many samples as are asked for, and the same bits on several threads") {
    nn::Network const teacher = support::small_network();
    auto const batches = support::small_batches(3, 12);
    Student student = make_student(teacher, support::plan_for(teacher, "")).value();
    calibrate(student, std::span(batches)).value();
    ObservedValues const one = observe_layers(teacher, student, std::span(batches), {}, 13).value();
    ObservedValues const four =
        observe_layers(teacher, student, std::span(batches), {.threads = 4}, 13).value();
    CHECK(one.samples == 13);
    for (std::size_t k = 0; k != one.layers.size(); ++k) {
        CHECK(one.layers[k].output_sqnr == four.layers[k].output_sqnr);
        CHECK(one.layers[k].data.counts == four.layers[k].data.counts);
    }
    // No batch is loaded for the samples that are not asked for.
    struct Source {
        std::vector<nn::Tensor> tensors;
        std::size_t size() const { return tensors.size(); }
        result<Batch> load(std::size_t i) const {
            if (i == 2) return general_error("it is not to be loaded");
            return Batch{tensors[i]};
        }
    };
    CHECK(observe_layers(teacher, student, Source{batches}, {}, 24).value().samples == 24);
    CHECK_FALSE(observe_layers(teacher, student, Source{batches}, {}, 25));
    CHECK_FALSE(observe_layers(teacher, student, {}));
    CHECK_THROWS_AS(observe_layers(nn::Network{}, student, std::span(batches)), std::invalid_argument);
}

TEST_CASE("samples that cannot be told apart are looked at together, weights or none") {
    nn::Network net;
    nn::NodeId const x = net.fixed_input("x", {12, 4});
    net.output(net.add("fc", nn::Linear({.in_features = 4, .out_features = 2}), {x}));
    nn::initialize(net, 2);
    nn::Tensor batch({12, 4});
    for (std::size_t i = 0; i != batch.size(); ++i) batch[i] = static_cast<float>(i % 7) - 3;
    Student student = make_student(net, support::plan_for(net, "batch_num: 1")).value();
    calibrate(student, std::vector{batch}).value();
    auto const seen = observe_layers(net, student, std::vector{batch, batch}, {}, 3).value();
    CHECK(seen.samples == 12);  // of the first batch, all of them
    REQUIRE(seen.layers.size() == 1);
    CHECK(seen.layers[0].output_sqnr == seen.output_sqnr);
    CHECK(seen.output_sqnr > 20);
}

}  // namespace distill_observe_layers_test
