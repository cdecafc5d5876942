// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/distill/block.hpp>

#include <amct_distill/deploy/deployment.hpp>
#include <amct_distill/distill/distill.hpp>
#include <amct_distill/student/calibrate.hpp>
#include <amct_distill/student/extended.hpp>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "support/catch.hpp"
#include "support/small_network.hpp"
#include "support/temporary_directory.hpp"
#include "support/thread_ranks.hpp"

namespace distill_block_test {

using namespace amct_distill;

namespace {

constexpr std::string_view adaround =
    "group_size: 2\n"
    "distill_weight_quant_config { adaround_distill { } }\n"
    "distill_override_layers { layer_name: 'fc' distill_weight_quant_config { adaround_distill { "
    "channel_wise: true } } }\n";

struct Work {
    nn::Network teacher = support::small_network();
    std::vector<nn::Tensor> batches = support::small_batches(6, 8);
    ExtendedStudent student;

    explicit Work(std::string_view config = adaround)
        : student(
              make_student(teacher, resolve(read<ExtendedConfig>(config).value(), teacher.graph()).value())
                  .value()) {
        calibrate(student, std::span(std::as_const(batches))).value();
    }
    DistillReport run(const DistillOptions& options, const RunOptions& how = {}) {
        return distill(teacher, student, batches, options, how).value();
    }
    std::vector<float> values() const {
        std::vector<float> all;
        for (const auto& m : student.network().modules())
            for (const auto& p : m.module.parameters())
                all.insert(all.end(), p.values.begin(), p.values.end());
        return all;
    }
    nn::Tensor output() const { return student.predict(batches[1]); }
};

/// Multiplies by a number of its own, which it draws towards 2; tells what it was told.
struct Told {
    std::vector<TrainingStep> steps{};
    std::vector<float> factors{};  // before each
    std::size_t ends = 0, runs_after_end = 0;
};
struct Factor : nn::GuidedModule {
    static constexpr std::string_view type_name = "Tanh";  // a type that blocks take
    explicit Factor(std::shared_ptr<Told> told) : told_(std::move(told)) { still_.fill(1); }

    void parameters(std::vector<nn::Parameter>& list) {
        list.push_back({"factor", nn::Role::guided, &factor_});
        list.push_back({"still", nn::Role::frozen, &still_});
    }
    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const { return inputs[0]; }
    void forward(nn::Inputs inputs, nn::Tensor& output, nn::Scratch&, nn::Mode) const {
        if (ended_) ++told_->runs_after_end;
        nn::array(output) = nn::array(*inputs[0]) * (factor_[0] * still_[0]);
    }
    void backward(nn::Inputs inputs, const nn::Tensor&, const nn::Tensor& grad,
                  std::span<nn::Tensor* const> grad_inputs, std::span<nn::Tensor> grad_parameters,
                  nn::Scratch&, nn::Mode) const {
        float const sum = (nn::array(grad) * nn::array(*inputs[0])).sum();
        grad_parameters[0][0] += sum;
        grad_parameters[1][0] += sum + 1;  // it has a gradient, and yet stays
        if (grad_inputs[0] != nullptr) nn::array(*grad_inputs[0]) += nn::array(grad) * factor_[0];
    }

    void begin_step(const TrainingStep& at) override {
        now_ = at;
        ended_ = false;
        told_->steps.push_back(at);
        told_->factors.push_back(factor_[0] * still_[0]);
    }
    void end_steps() override {
        ended_ = true;
        ++told_->ends;
    }
    bool has_phases() const override { return true; }
    bool is_settled() const override { return ended_ || now_.progress() >= 0.5; }
    double learning_rate() const override { return now_.progress() < 0.25 ? 0 : 0.01; }
    std::size_t regularized() const override { return 1; }
    double regularize(double factor, std::span<nn::Tensor> grad_parameters, nn::Scratch&) const override {
        double const off = static_cast<double>(factor_[0]) - 2;
        grad_parameters[0][0] += static_cast<float>(factor * 1e6 * 2 * off);
        return 1e6 * off * off;
    }

private:
    nn::Tensor factor_ = nn::Tensor({1}, std::vector<float>{1.0f}), still_{{1}};
    std::shared_ptr<Told> told_;
    TrainingStep now_{};
    bool ended_ = true;
};

}  // namespace

TEST_CASE("learned rounding trains up or down, and leaves weights and scales as they are") {
    Work work;
    auto const calibrated = work.student;
    DistillReport const report = work.run({.epochs = 10});
    CHECK(report.output_error_distilled < 0.8 * report.output_error_calibrated);
    CHECK_FALSE(report.kept_calibrated);
    std::size_t changed = 0;
    Deployment const device = deploy(work.student).value();
    for (const std::string name : {"conv1", "conv2", "fc"}) {
        const nn::Tensor &w = *work.student.weight(name), &before = *calibrated.weight(name);
        CHECK(std::ranges::equal(w.span(), before.span()));
        CHECK(work.student.quantizers(name)->weight_scales(w) ==
              calibrated.quantizers(name)->weight_scales(before));
        // What is deployed is what the guards saw.
        QuantizedMatrix const codes = work.student.quantizers(name)->weight_codes(w).value(),
                              nearest = calibrated.quantizers(name)->weight_codes(before).value();
        nn::Tensor seen;
        work.student.quantizers(name)->quantize_weight(w, seen);
        for (std::size_t k = 0; k != codes.codes.size(); ++k) {
            CHECK(seen[k] == dequantize(codes.codes[k], codes.scales.of_row(k / codes.cols)));
            int const step = codes.codes[k] - nearest.codes[k];
            CHECK(std::abs(step) <= 1);
            changed += step != 0;
        }
    }
    CHECK(changed > 10);
    CHECK(device.layers().size() == 3);
}

TEST_CASE("learned rounding and dropped quantization give the same bits on any threads, resumed or not") {
    DistillOptions const options{.epochs = 3, .drop_probability = 0.5, .seed = 5};
    Work one;
    one.run(options);
    auto const expected = one.values();
    for (int threads : {2, 3}) {
        Work more;
        more.run(options, {.threads = threads});
        CHECK(more.values() == expected);
    }
    support::temporary_directory const dir;
    Work first;
    first.run(options,
              {.directory = dir.path(), .on_progress = [](const Progress& p) { return p.block < 1; }});
    CHECK(first.values() != expected);
    Work second;
    auto const report = second.run(options, {.threads = 2, .directory = dir.path(), .resume = true});
    CHECK(report.resumed_blocks == 1);
    CHECK(second.values() == expected);
    for (const DistillOptions& other :
         {DistillOptions{.epochs = 3, .drop_probability = 0.4, .seed = 5},
          DistillOptions{.epochs = 3, .drop_probability = 0.5, .seed = 6},
          DistillOptions{.epochs = 3, .input = BlockInput::mix, .drop_probability = 0.5, .seed = 5}}) {
        Work third;
        auto const refused = distill(third.teacher, third.student, third.batches, other,
                                     {.directory = dir.path(), .resume = true});
        REQUIRE_FALSE(refused);
        CHECK(refused.diagnostics()[0].message.find("the training options") != std::string::npos);
    }
    Work other, none;
    other.run({.epochs = 3, .drop_probability = 0.5, .seed = 6});
    CHECK(other.values() != expected);
    none.run({.epochs = 3});
    CHECK(none.values() != expected);
}

TEST_CASE("learned rounding and dropped quantization have the same bits on any number of ranks") {
    DistillOptions const options{.epochs = 2, .drop_probability = 0.5};
    auto const values_on = [&](std::size_t count) {
        std::vector<std::vector<float>> values(count);
        support::run_ranks(count, [&](Ranks* ranks) {
            Work work;
            work.run(options, {.ranks = ranks});
            values[ranks == nullptr ? 0 : ranks->rank()] = work.values();
        });
        for (const auto& v : values)
            if (v != values[0]) throw std::logic_error("the ranks do not agree");
        return values[0];
    };
    std::vector<float> const alone = values_on(1);
    for (std::size_t count : {2u, 3u, 5u}) CHECK(values_on(count) == alone);
    Work other;
    DistillOptions others = options;
    others.seed = 2;
    other.run(others);
    CHECK(other.values() != alone);  // what is dropped does matter
}

TEST_CASE("AMCT's algorithms among the extended ones give the same bits") {
    std::string const config(support::int4_config);
    Work extended(config);
    Student student = make_student(extended.teacher, support::plan_for(extended.teacher, config)).value();
    calibrate(student, std::span(std::as_const(extended.batches))).value();
    distill(extended.teacher, student, extended.batches, DistillOptions{.epochs = 2}).value();
    extended.run({.epochs = 2});
    nn::Tensor const a = student.predict(extended.batches[0]),
                     b = extended.student.predict(extended.batches[0]);
    CHECK(std::ranges::equal(a.span(), b.span()));
}

TEST_CASE("blocks may be trained on the teacher's inputs, all or every other batch") {
    for (auto [input, steps] : {std::pair{BlockInput::student, std::size_t{0}},
                                {BlockInput::mix, std::size_t{6}},
                                {BlockInput::teacher, std::size_t{12}}}) {
        Work work(support::int4_config);
        DistillReport const report = work.run({.epochs = 2, .input = input});
        for (const BlockReport& block : report.blocks) CHECK(block.teacher_inputs == steps);
    }
}

namespace {
/// A ReLU that counts the samples that it has seen.
struct CountedReLU : nn::ReLU {
    explicit CountedReLU(std::shared_ptr<std::atomic<nn::Index>> count) : seen(std::move(count)) {}
    void forward(nn::Inputs inputs, nn::Tensor& output, nn::Scratch& scratch, nn::Mode mode) const {
        *seen += output.dim(0);
        nn::ReLU::forward(inputs, output, scratch, mode);
    }
    std::shared_ptr<std::atomic<nn::Index>> seen;
};
}  // namespace

TEST_CASE("what is known is not computed again: the passes over the data are counted") {
    auto const seen = std::make_shared<std::atomic<nn::Index>>(0);
    nn::Network teacher;
    nn::NodeId x = teacher.input("x", {6});
    for (std::string const name : {"a", "b", "c"}) {
        x = teacher.add("fc_" + name, nn::Linear({.in_features = 6, .out_features = 6}), {x});
        x = teacher.add("relu_" + name, CountedReLU(seen), {x});
    }
    teacher.output(x);
    nn::initialize(teacher, 3);
    std::vector<nn::Tensor> batches(5, nn::Tensor({8, 6}));
    for (std::size_t b = 0; b != batches.size(); ++b)
        for (std::size_t i = 0; i != batches[b].size(); ++i)
            batches[b][i] = std::sin(static_cast<float>(i * (b + 2)));
    Student const calibrated = [&] {
        Student student = make_student(teacher, support::plan_for(teacher, support::int4_config)).value();
        calibrate(student, batches).value();
        return student;
    }();
    auto const passes = [&](int epochs, const RunOptions& how = {}) {
        Student student = calibrated;
        *seen = 0;
        auto const report = distill(teacher, student, batches, DistillOptions{.epochs = epochs}, how).value();
        CHECK(report.kept_calibrated == (epochs == 0));
        return static_cast<double>(*seen) / (3 * 5 * 8);
    };
    // The teacher, the student as calibrated, the student from block to block, each block's first loss, and
    // the report of the layers as calibrated, which are what stays.
    CHECK(passes(0) == 5);
    // Without the last, but with two epochs' steps and four evaluations, or twice as many.
    double const trained = passes(2);
    CHECK(trained > 4 + 2);
    CHECK(trained <= 4 + 2 + 8);
    CHECK(passes(2, {.memory_bytes = 0}) == trained);  // what has no room is in a file
    support::temporary_directory const dir;
    // For the run's fingerprint the teacher runs one batch of the five.
    CHECK(passes(2, {.memory_bytes = 0, .directory = dir.path() / "run"}) == Approx(trained + 0.2));
}

TEST_CASE("a module is told the steps of its training, and judged when it is settled") {
    auto const told = std::make_shared<Told>();
    nn::Network teacher;
    nn::NodeId x = teacher.input("x", {4});
    x = teacher.add("fc", nn::Linear({.in_features = 4, .out_features = 3}), {x});
    teacher.output(teacher.add("factor", Factor(told), {x}));
    nn::initialize(teacher, 3);
    for (auto& p : teacher.module("factor").parameters()) p.values[0] = 1;
    std::vector<nn::Tensor> batches(5, nn::Tensor({4, 4}));
    for (nn::Tensor& batch : batches)
        for (std::size_t i = 0; i != batch.size(); ++i) batch[i] = std::sin(static_cast<float>(i));
    Student student = make_student(teacher, support::plan_for(teacher, "")).value();
    calibrate(student, batches).value();
    *told = {};
    DistillReport const report = distill(teacher, student, batches, DistillOptions{.epochs = 4}).value();
    REQUIRE(report.blocks.size() == 1);
    REQUIRE(told->steps.size() == 20);
    std::set<std::uint64_t> random;
    for (std::size_t i = 0; i != 20; ++i) {
        CHECK(told->steps[i].step == i);
        CHECK(told->steps[i].steps == 20);
        CHECK(told->steps[i].drop_probability == 0);
        random.insert(told->steps[i].random);
        // Drawn towards 2, at its own rate, and not before that is above 0: Adam's steps are of that size.
        CHECK(static_cast<double>(told->factors[i]) ==
              Approx(i <= 5 ? 1.0 : 1 + 0.01 * static_cast<double>(i - 5)).margin(5e-3));
    }
    CHECK(random.size() == 20);
    CHECK(told->ends == 4);  // two evaluations an epoch, in the settled half
    CHECK(report.blocks[0].restarts == 0);
    for (const auto& p : student.network().module("factor").parameters())
        if (p.role == nn::Role::frozen) CHECK(p.values[0] == 1);
}

TEST_CASE("learned rounding of a block whose targets are all alike has a loss of its own size") {
    nn::Network net;
    net.output(net.add("fc", nn::Linear({.in_features = 4, .out_features = 1}), {net.input("x", {4})}));
    nn::initialize(net, 1);
    std::vector<nn::Tensor> const batches(2, nn::Tensor({2, 4}));  // zeros: the outputs are the bias
    auto student =
        make_student(
            net, resolve(read<ExtendedConfig>("distill_weight_quant_config { adaround_distill { } }").value(),
                         net.graph())
                     .value())
            .value();
    calibrate(student, batches).value();
    auto const report = distill(net, student, batches, {.epochs = 3}).value();
    REQUIRE(report.blocks.size() == 1);
    CHECK(report.blocks[0].stopped.empty());
    CHECK(report.blocks[0].loss_before == 0);
    CHECK(report.blocks[0].loss_after == 0);
    for (double loss : report.blocks[0].epoch_losses) CHECK(std::isfinite(loss));
}

}  // namespace distill_block_test
