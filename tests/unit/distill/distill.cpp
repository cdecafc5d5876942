// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/distill/distill.hpp>

#include <cmath>
#include <random>
#include <stdexcept>

#include "support/catch.hpp"
#include "support/small_network.hpp"
#include "support/temporary_directory.hpp"

namespace distill_distill_test {

using namespace amct_distill;

namespace {
struct Run {
    Student student;
    DistillReport report;
    nn::Tensor output;
};
Run run(std::string_view config, const DistillOptions& options) {
    nn::Network const teacher = support::small_network();
    auto const batches = support::small_batches(6, 8);
    Student student = make_student(teacher, support::plan_for(teacher, config)).value();
    calibrate(student, std::span(batches)).value();
    auto report = distill(teacher, student, std::span(batches), options).value();
    nn::Tensor output = student.predict(batches[0]);
    return {std::move(student), std::move(report), std::move(output)};
}
}  // namespace

TEST_CASE("no block ends above its start, and the whole ends nearer to the teacher") {
    for (std::string_view weights : {"arq_distill", "ulq_distill"})
        for (std::string_view bits : {"INT4", "INT8"}) {
            std::string const config =
                detail::concat("distill_data_quant_config { ulq_quantize { dst_type: ", bits,
                               " } } distill_weight_quant_config { ", weights, " { dst_type: ", bits, " } }");
            Run const r = run(config, {.epochs = 4});
            INFO(config);
            REQUIRE(r.report.blocks.size() == 3);
            for (const BlockReport& b : r.report.blocks) {
                CHECK(b.loss_after <= b.loss_before);
                CHECK(b.epoch_losses.size() == 4);
                CHECK(b.stopped.empty());
            }
            CHECK(r.report.output_error_distilled <= r.report.output_error_calibrated);
            if (bits == "INT4")
                CHECK(r.report.output_error_distilled < 0.8 * r.report.output_error_calibrated);
            REQUIRE(r.report.layers.size() == 3);
            CHECK(r.report.layers[0].weight_sqnr > (bits == "INT4" ? 12 : 35));
            CHECK(r.report.layers[0].data_sqnr > (bits == "INT4" ? 12 : 35));
        }
}

TEST_CASE("the same run gives the same bits: dumped, cached in part or not at all, on more threads") {
    support::temporary_directory const dir;
    Run const plain = run(support::int4_config, {.epochs = 2});
    auto const same_as_plain = [&](std::string_view config, const DistillOptions& options) {
        Run const other = run(config, options);
        CHECK(plain.output == other.output);
        CHECK(plain.report.output_error_distilled == other.report.output_error_distilled);
        REQUIRE(plain.report.blocks.size() == other.report.blocks.size());
        for (std::size_t b = 0; b != plain.report.blocks.size(); ++b)
            CHECK(plain.report.blocks[b].epoch_losses == other.report.blocks[b].epoch_losses);
    };
    std::string const dumping = detail::concat(support::int4_config, "data_dump: true");
    same_as_plain(support::int4_config, {.epochs = 2});
    same_as_plain(dumping, {.epochs = 2, .dump_directory = dir.path()});
    same_as_plain(dumping, {.epochs = 2, .dump_directory = dir.path(), .cache_bytes = 0});
    CHECK(std::filesystem::is_empty(dir.path()));
    for (std::size_t bytes : {0u, 5000u, 60000u})
        same_as_plain(support::int4_config, {.epochs = 2, .cache_bytes = bytes});
    same_as_plain(support::int4_config, {.epochs = 2, .threads = 2});
}

TEST_CASE("blocks by group_size and by user groups, batch_num over fewer batches than it asks for") {
    Run const pairs = run(detail::concat(support::int4_config, "group_size: 2 batch_num: 9"), {});
    REQUIRE(pairs.report.blocks.size() == 2);
    CHECK(pairs.report.blocks[0].names ==
          std::vector<std::string>{"conv1", "bn1", "relu1", "conv2", "relu2"});
    Run const group =
        run(detail::concat(support::int4_config,
                           "distill_group { start_layer_name: 'relu1' end_layer_name: 'relu2' }"),
            {.epochs = 2});
    bool found = false;
    for (const BlockReport& b : group.report.blocks) {
        found = found || b.names == std::vector<std::string>{"relu1", "conv2", "relu2"};
        CHECK(b.loss_after <= b.loss_before);
    }
    CHECK(found);
}

TEST_CASE("a module that a block shares with an earlier node is trained on inputs that follow it") {
    nn::Network teacher;
    nn::NodeId x = teacher.input("x", {6});
    x = teacher.add("first", nn::Linear({.in_features = 6, .out_features = 6}), {x});
    x = teacher.add("relu", nn::ReLU{}, {x});
    x = teacher.add("second", nn::Linear({.in_features = 6, .out_features = 6}), {x});
    x = teacher.apply("again", "first", {x});
    teacher.output(x);
    nn::initialize(teacher, 3);
    std::vector<nn::Tensor> batches(3, nn::Tensor({8, 6}));
    std::mt19937_64 random(5);
    for (nn::Tensor& t : batches)
        for (float& v : t) v = static_cast<float>(nn::next_uniform(random));
    // The block reads what its own module puts out at an earlier node.
    PlannedBlock const block{.nodes = {{4}}, .names = {"first"}};
    auto const train = [&](std::size_t bytes) {
        nn::Network student = teacher;
        for (float& v : student.module("second").get_if<nn::Linear>()->weight()) v *= 0.9f;
        CacheBudget budget(bytes);
        Frontier a(student, budget), b(teacher, budget);
        bool cancelled = false;
        {
            BlockData data(a, b, budget, batches, block, nullptr, 0);
            BlockTrainer<>(student, data).train({.epochs = 3}, {}, cancelled).value();
        }
        CHECK(budget.free() <= bytes);
        return student.predict(batches[0]);
    };
    CHECK(train(0) == train(1 << 20));
}

TEST_CASE("the teacher is not changed, and without epochs the student is as calibrated") {
    Run const r = run(support::int4_config, {.epochs = 0});
    nn::Network const teacher = support::small_network();
    Student student = make_student(teacher, support::plan_for(teacher, support::int4_config)).value();
    auto const batches = support::small_batches(6, 8);
    calibrate(student, std::span(batches)).value();
    CHECK(student.predict(batches[0]) == r.output);
    nn::Tensor const before = teacher.predict(batches[0]);
    distill(teacher, student, std::span(batches), {.epochs = 1}).value();
    CHECK(teacher.predict(batches[0]) == before);
}

TEST_CASE("skipped layers are trained in float") {
    nn::Network const teacher = support::small_network();
    Run const r = run(detail::concat(support::int4_config, "quant_skip_layers: 'fc'"),
                      {.epochs = 6, .learning_rates = {.parameters = 3e-4, .clips = 0.01, .scales = 1e-3}});
    for (const BlockReport& b : r.report.blocks) REQUIRE(b.best_epoch > 0);
    CHECK(r.student.quantizers("fc") == nullptr);
    CHECK(r.student.network().module("fc").get_if<nn::Linear>()->weight() !=
          teacher.module("fc").get_if<nn::Linear>()->weight());
    // BatchNorm keeps its statistics, its affine part learns.
    const auto& bn = *r.student.network().module("bn1").get_if<nn::BatchNorm2d>();
    const auto& original = *teacher.module("bn1").get_if<nn::BatchNorm2d>();
    CHECK(bn.running_mean() == original.running_mean());
    CHECK(bn.weight() != original.weight());
}

TEST_CASE(
    "the losses of an epoch are the mean over its steps, trained are weights, clips and weight scales") {
    std::vector<double> sums(3, 0);
    Run const r =
        run(support::int4_config, {.epochs = 2,
                                   .learning_rates = {.parameters = 3e-4, .clips = 0.01, .scales = 1e-3},
                                   .on_progress = [&](const Progress& p) {
                                       if (p.epoch == 1) sums[p.block] += p.loss;
                                       return true;
                                   }});
    for (std::size_t b = 0; b != 3; ++b) {
        CHECK(r.report.blocks[b].epoch_losses.at(1) == sums[b] / 6);
        CHECK(r.report.blocks[b].best_epoch > 0);
        CHECK(r.report.blocks[b].seconds > 0);
    }
    CHECK_FALSE(r.report.kept_calibrated);
    Run const start = run(support::int4_config, {.epochs = 0});
    const auto &before = *start.student.quantizers("conv2"), &after = *r.student.quantizers("conv2");
    const nn::Tensor &master = *start.student.weight("conv2"), &trained = *r.student.weight("conv2");
    CHECK(trained != master);
    CHECK(after.weight_scales(trained) != before.weight_scales(master));
    CHECK(after.data_clip().max != before.data_clip().max);
    CHECK(after.data_clip().min == 0);  // behind a ReLU
    LearningRates const rates;
    CHECK(rates.of(nn::Role::weight) == 1e-3);
    CHECK(rates.of(nn::Role::bias) == 1e-3);
    CHECK(rates.of(nn::Role::affine) == 1e-3);
    CHECK(rates.of(nn::Role::clip) == 0.1);
    CHECK(rates.of(nn::Role::scale) == 1e-4);
}

TEST_CASE("the last guard: a network that is not clearly nearer to the teacher stays as calibrated") {
    Run const r = run(support::int4_config,
                      {.epochs = 1, .learning_rates = {.parameters = 1e-6, .clips = 1e-6, .scales = 1e-9}});
    CHECK(r.report.kept_calibrated);
    CHECK(r.report.output_error_distilled == r.report.output_error_calibrated);
    CHECK(r.output == run(support::int4_config, {.epochs = 0}).output);
}

TEST_CASE("a block that diverges stops, keeps its best and says so") {
    Run const r = run(support::int4_config, {.epochs = 3, .learning_rates = {.parameters = 1e38}});
    CHECK(r.report.blocks[0].stopped.ends_with("is not finite"));
    for (const BlockReport& b : r.report.blocks) CHECK(b.loss_after <= b.loss_before);
    CHECK(r.report.output_error_distilled <= r.report.output_error_calibrated);
    for (float v : r.output) CHECK(std::isfinite(v));
}

TEST_CASE("a student whose input is too far off is fed the teacher's, which is counted") {
    // Clips this narrow leave next to nothing of conv1's input; its bias alone is not half of its output.
    Run const r =
        run("distill_override_layers { layer_name: 'conv1' distill_data_quant_config {\n"
            "  ulq_quantize { clip_max_min { clip_max: 1e-6 clip_min: -1e-6 } fixed_min: false } } }",
            {.epochs = 2, .learning_rates = {.parameters = 1e-9, .clips = 1e-9}});
    CHECK(r.report.blocks[0].teacher_inputs == 0);
    CHECK(r.report.blocks[1].teacher_inputs == 2 * 6);
}

namespace {
/// Mean absolute error, by its sign.
struct MeanAbsoluteError {
    double operator()(const nn::Tensor& output, const nn::Tensor& target) const {
        double sum = 0;
        for (std::size_t i = 0; i != output.size(); ++i)
            sum += std::fabs(static_cast<double>(output[i]) - static_cast<double>(target[i]));
        return sum / static_cast<double>(output.size());
    }
    void gradient(const nn::Tensor& output, const nn::Tensor& target, nn::Tensor& gradient) const {
        float const one = 1.0f / static_cast<float>(output.size());
        for (std::size_t i = 0; i != output.size(); ++i)
            gradient[i] = output[i] > target[i] ? one : output[i] < target[i] ? -one : 0;
    }
};

/// Gradient descent with momentum.
class Sgd {
public:
    explicit Sgd(float momentum = 0.9f) : momentum_(momentum) {}
    void add(std::span<float> values, std::span<const float> gradient, double rate) {
        entries_.push_back({values, gradient, rate, std::vector<float>(values.size())});
    }
    void set_learning_rate_factor(double factor) { factor_ = factor; }
    void step() {
        for (Entry& e : entries_)
            for (std::size_t i = 0; i != e.velocity.size(); ++i) {
                e.velocity[i] = momentum_ * e.velocity[i] + e.gradient[i];
                e.values[i] -= static_cast<float>(e.rate * factor_) * e.velocity[i];
            }
    }

private:
    struct Entry {
        std::span<float> values;
        std::span<const float> gradient;
        double rate;
        std::vector<float> velocity;
    };
    float momentum_;
    double factor_ = 1;
    std::vector<Entry> entries_{};
};
}  // namespace

TEST_CASE("loss and optimizer can be replaced") {
    nn::Network const teacher = support::small_network();
    auto const batches = support::small_batches(6, 8);
    Student student = make_student(teacher, support::plan_for(teacher, support::int4_config)).value();
    calibrate(student, std::span(batches)).value();
    auto const report = distill<MeanAbsoluteError, Sgd>(
                            teacher, student, std::span(batches),
                            {.epochs = 3,
                             .learning_rates = {.parameters = 0.02, .clips = 0.02, .scales = 1e-4},
                             .schedule = Schedule::constant,
                             .search = {.looks_per_epoch = 3, .rate_after_failure = 1, .average_decay = 0},
                             .optimizer = Sgd(0.5f)})
                            .value();
    bool trained = false;
    for (const BlockReport& b : report.blocks) {
        CHECK(b.loss_after <= b.loss_before);
        trained = trained || b.best_epoch > 0;
        CHECK(b.restarts == 0);
    }
    CHECK(trained);
}

namespace {
enum class Where { loss, gradient };
/// Mean squared error with one value that is not finite.
template <Where where>
struct PoisonedLoss : MeanSquaredError {
    double operator()(const nn::Tensor& output, const nn::Tensor& target) const {
        return where == Where::loss ? std::nan("") : MeanSquaredError::operator()(output, target);
    }
    void gradient(const nn::Tensor& output, const nn::Tensor& target, nn::Tensor& gradient) const {
        MeanSquaredError::gradient(output, target, gradient);
        if (where == Where::gradient) gradient[0] = HUGE_VALF;
    }
};
struct PoisonedOptimizer : Sgd {
    PoisonedOptimizer() : Sgd(0.9f) {}
    void add(std::span<float> values, std::span<const float> gradient, double rate) {
        Sgd::add(values, gradient, rate);
        last = values;
    }
    void step() {
        Sgd::step();
        last[0] = std::nanf("");
    }
    std::span<float> last{};
};
/// Trains all blocks of the small network, each of which must end as it began; what the last one says.
template <class Loss, class Optimizer>
std::string poisoned() {
    nn::Network const teacher = support::small_network();
    auto const batches = support::small_batches(2, 4);
    Student student = make_student(teacher, support::plan_for(teacher, support::int4_config)).value();
    calibrate(student, std::span(batches)).value();
    nn::Tensor const before = student.predict(batches[0]);
    CacheBudget budget(1 << 20);
    Frontier of_student(student.network(), budget), of_teacher(teacher, budget);
    BlockReport report;
    bool cancelled = false;
    for (std::size_t b = 0; b != 3; ++b) {
        BlockData data(of_student, of_teacher, budget, batches, student.plan().blocks[b], nullptr, b);
        BlockTrainer<Loss, Optimizer> trainer(student.network(), data);
        report = trainer.train({.epochs = 3}, {.block = b, .blocks = 3}, cancelled).value();
        CHECK(student.predict(batches[0]) == before);
    }
    return report.stopped;
}
}  // namespace

TEST_CASE("NaN or Inf in loss, gradient or parameter is contained in every block, and reported") {
    CHECK(poisoned<PoisonedLoss<Where::loss>, Sgd>() == "the loss is not finite before training");
    CHECK(poisoned<PoisonedLoss<Where::gradient>, Sgd>() == "a gradient is not finite");
    CHECK(poisoned<MeanSquaredError, PoisonedOptimizer>() == "a parameter is not finite");
}

TEST_CASE("rates that are too high are lowered from the best parameters on, or stay") {
    DistillOptions options{.epochs = 4, .learning_rates = {.parameters = 0.3, .clips = 1, .scales = 0.1}};
    Run const searched = run(support::int4_config, options);
    options.search.rate_after_failure = 1;
    options.schedule = Schedule::constant;
    Run const blind = run(support::int4_config, options);
    CHECK(searched.report.blocks[0].restarts > 0);
    CHECK(blind.report.blocks[0].restarts == 0);
    CHECK(searched.report.blocks[0].loss_after < blind.report.blocks[0].loss_after);
    CHECK(schedule_factor(Schedule::constant, 7, 8) == 1);
    CHECK(schedule_factor(Schedule::cosine, 0, 8) == 1);
    CHECK(schedule_factor(Schedule::cosine, 4, 8) == Approx(0.5));
}

TEST_CASE("the callback sees every step, and can end the training") {
    std::size_t calls = 0;
    Run const all = run(support::int4_config, {.epochs = 2, .on_progress = [&](const Progress& p) {
                                                   CHECK(p.blocks == 3);
                                                   CHECK(p.steps == 6);
                                                   ++calls;
                                                   return true;
                                               }});
    CHECK(calls == 3 * 2 * 6);
    CHECK_FALSE(all.report.cancelled);

    Run const cut =
        run(support::int4_config,
            {.epochs = 2, .on_progress = [&](const Progress& p) { return p.block == 0 || p.step < 2; }});
    CHECK(cut.report.cancelled);
    CHECK(cut.report.blocks[0].epoch_losses.size() == 2);
    CHECK(cut.report.blocks[2].epoch_losses.empty());
    CHECK(cut.report.output_error_distilled <= cut.report.output_error_calibrated);
}

TEST_CASE("what cannot be distilled is refused") {
    nn::Network const teacher = support::small_network();
    auto const batches = support::small_batches(1, 2);
    Student student = make_student(teacher, support::plan_for(teacher, "")).value();
    CHECK(distill(teacher, student, {}).diagnostics().at(0).message ==
          "distill: no batches; give at least one");
    CHECK(distill(teacher, student, std::span(batches)).diagnostics().at(0).message ==
          "distill: layer `conv1` is not calibrated; call calibrate() first");
    calibrate(student, std::span(batches)).value();
    CHECK_THROWS_WITH(distill(teacher, student, std::span(batches), {.epochs = -1}),
                      "distill: epochs must not be negative");
    // Nothing is half done when the callback throws.
    nn::Tensor const before = student.predict(batches[0]);
    CHECK_THROWS_AS(distill(teacher, student, std::span(batches),
                            {.epochs = 2,
                             .on_progress = [](const Progress& p) -> bool {
                                 return p.block == 0 ? true : throw std::runtime_error("stop");
                             }}),
                    std::runtime_error);
    CHECK(student.predict(batches[0]) == before);
}

}  // namespace distill_distill_test
