// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/distill/distill.hpp>
#include <amct_distill/student/calibrate.hpp>

#include <array>
#include <cmath>
#include <optional>
#include <random>
#include <stdexcept>

#include "support/catch.hpp"
#include "support/failing_files.hpp"
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
Run run(std::string_view config, const DistillOptions& options, const RunOptions& how = {}) {
    nn::Network const teacher = support::small_network();
    auto const batches = support::small_batches(6, 8);
    Student student = make_student(teacher, support::plan_for(teacher, config)).value();
    calibrate(student, std::span(batches)).value();
    auto report = distill(teacher, student, std::span(batches), options, how).value();
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
    auto const same_as_plain = [&](std::string_view config, const RunOptions& how) {
        Run const other = run(config, {.epochs = 2}, how);
        CHECK(plain.output == other.output);
        CHECK(plain.report.output_error_distilled == other.report.output_error_distilled);
        REQUIRE(plain.report.blocks.size() == other.report.blocks.size());
        for (std::size_t b = 0; b != plain.report.blocks.size(); ++b)
            CHECK(plain.report.blocks[b].epoch_losses == other.report.blocks[b].epoch_losses);
    };
    std::string const dumping = detail::concat(support::int4_config, "data_dump: true");
    same_as_plain(support::int4_config, {});
    same_as_plain(dumping, {});
    same_as_plain(dumping, {.memory_bytes = 0, .directory = dir.path() / "run"});
    CHECK(dir.files() == 3);  // the checkpoints, and nothing of the dump or the lock
    for (std::size_t bytes : {0u, 5000u, 60000u})
        same_as_plain(support::int4_config, {.memory_bytes = bytes});
    for (std::size_t bytes : {0u, 5000u})  // the rest in a file
        same_as_plain(support::int4_config,
                      {.memory_bytes = bytes, .directory = dir.path() / detail::concat("spilled", bytes)});
    for (int threads : {2, 3, 8, 12})  // fewer than the slices, as many, more
        same_as_plain(support::int4_config, {.threads = threads});
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
    // The block reads what its own module outputs at an earlier node.
    TrainedBlock const block = detail::block_of_nodes(teacher, {{4}}, true);
    auto const train = [&](std::size_t bytes) {
        nn::Network student = teacher;
        for (float& v : student.module("second").get_if<nn::Linear>()->weight()) v *= 0.9f;
        CacheBudget budget(bytes);
        PrefixRunner a(student, batches, budget), b(teacher, batches, budget);
        bool cancelled = false;
        {
            BlockData data(a, b, budget, batches.size(), block, nullptr, 0);
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
    Run const r = run(support::int4_config,
                      {.epochs = 2, .learning_rates = {.parameters = 3e-4, .clips = 0.01, .scales = 1e-3}},
                      {.on_progress = [&](const Progress& p) {
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
    CHECK(after.data_clip().min == 0);  // after a ReLU
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
    auto const report =
        distill<MeanAbsoluteError, Sgd>(
            teacher, student, std::span(batches),
            {.epochs = 3,
             .learning_rates = {.parameters = 0.02, .clips = 0.02, .scales = 1e-4},
             .schedule = Schedule::constant,
             .search = {.evaluations_per_epoch = 3, .rate_after_failure = 1, .average_decay = 0},
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
    PrefixRunner of_student(student.network(), batches, budget), of_teacher(teacher, batches, budget);
    BlockReport report;
    auto const blocks = blocks_of(teacher, student.plan(), BlockShape::amct);
    bool cancelled = false;
    for (std::size_t b = 0; b != 3; ++b) {
        BlockData data(of_student, of_teacher, budget, batches.size(), blocks[b], nullptr, b);
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
    Run const all = run(support::int4_config, {.epochs = 2}, {.on_progress = [&](const Progress& p) {
                            CHECK(p.blocks == 3);
                            CHECK(p.steps == 6);
                            ++calls;
                            return true;
                        }});
    CHECK(calls == 3 * 2 * 6);
    CHECK_FALSE(all.report.cancelled);

    Run const cut = run(support::int4_config, {.epochs = 2},
                        {.on_progress = [&](const Progress& p) { return p.block == 0 || p.step < 2; }});
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
                      "distill: epochs must not be negative, found -1");
    // Nothing is half done when the callback throws.
    nn::Tensor const before = student.predict(batches[0]);
    CHECK_THROWS_AS(distill(teacher, student, std::span(batches), {.epochs = 2},
                            {.on_progress = [](const Progress& p) -> bool {
                                return p.block == 0 ? true : throw std::runtime_error("stop");
                            }}),
                    std::runtime_error);
    CHECK(student.predict(batches[0]) == before);
}

TEST_CASE("a teacher of another network, and batches that do not fit, are misuse") {
    auto const net = [](nn::Index outputs, nn::Index hidden, bool leaky, bool two) {
        nn::Network n;
        nn::NodeId x = n.input("x", {6});
        x = n.add("first", nn::Linear({.in_features = 6, .out_features = hidden}), {x});
        x = leaky ? n.add("relu", nn::LeakyReLU(0.25), {x}) : n.add("relu", nn::ReLU{}, {x});
        nn::NodeId const y = x;
        x = n.add("last", nn::Linear({.in_features = hidden, .out_features = outputs}), {x});
        n.output(x);
        if (two) n.output(y);
        nn::initialize(n, 1);
        return n;
    };
    nn::Network const teacher = net(3, 4, false, false);
    std::vector<nn::Tensor> const batches(2, nn::Tensor({4, 6}, std::vector<float>(24, 0.5f)));
    Student student = make_student(teacher, support::plan_for(teacher, "")).value();
    calibrate(student, batches).value();
    auto const refused = [&](const nn::Network& other) -> std::string {
        try {
            return distill(other, student, batches) ? "done" : "error";
        } catch (const std::invalid_argument& e) {
            return e.what();
        }
    };
    std::string const begin = "distill: the student is not one of this teacher: ",
                      end = "; make it from this teacher by make_student()";
    CHECK(refused(teacher) == "done");
    CHECK(refused(net(2, 4, false, false)) ==
          begin + "node `last` has the shape [N, 2] in the teacher, and [N, 3] in the student" + end);
    CHECK(refused(net(3, 5, false, false)) ==
          begin + "node `first` has the shape [N, 5] in the teacher, and [N, 4] in the student" + end);
    CHECK(refused(net(3, 4, true, false)) ==
          begin + "module 1 is `relu` (LeakyReLU) in the teacher, and `relu` (ReLU) in the student" + end);
    CHECK(refused(net(3, 4, false, true)) ==
          begin + "the outputs of the teacher are other nodes than those of the student" + end);
    CHECK(
        refused(support::small_network()).starts_with(begin + "module 0 is `conv1` (Conv2d) in the teacher"));

    nn::Tensor const before = student.predict(batches[0]);
    auto wrong = batches;
    wrong[1] = nn::Tensor({4, 5});
    CHECK_THROWS_WITH(distill(teacher, student, wrong),
                      "distill: batch 1: input \"x\": expected [N, 6], found [4, 5]");
    CHECK(student.predict(batches[0]) == before);
}

TEST_CASE("all options are checked before work, each with its name") {
    nn::Network const teacher = support::small_network();
    auto const batches = support::small_batches(1, 2);
    Student student = make_student(teacher, support::plan_for(teacher, support::int4_config)).value();
    calibrate(student, batches).value();
    auto const error = [&](const DistillOptions& options, const RunOptions& run = {}) -> std::string {
        try {
            return distill(teacher, student, batches, options, run) ? "done" : "error";
        } catch (const std::invalid_argument& e) {
            return e.what();
        }
    };
    double const nan = std::nan(""), inf = HUGE_VAL;
    for (double bad : {-1e-3, nan, inf, -inf}) {
        std::string const rest =
            detail::concat(" must be a number that is not negative, found ", number(bad));
        CHECK(error({.learning_rates = {.parameters = bad}}) == "distill: learning_rates.parameters" + rest);
        CHECK(error({.learning_rates = {.clips = bad}}) == "distill: learning_rates.clips" + rest);
        CHECK(error({.learning_rates = {.scales = bad}}) == "distill: learning_rates.scales" + rest);
        CHECK(
            error({.optimizer = AdamW({.weight_decay = bad})}) ==
            detail::concat("AdamW: weight_decay must be a number that is not negative, found ", number(bad)));
    }
    for (double bad : {1.0, 2.0, -0.1, nan}) {
        CHECK(error({.optimizer = AdamW({.beta1 = bad})}) ==
              detail::concat("AdamW: beta1 must be in [0, 1), found ", number(bad)));
        CHECK(error({.optimizer = AdamW({.beta2 = bad})}) ==
              detail::concat("AdamW: beta2 must be in [0, 1), found ", number(bad)));
        CHECK(error({.search = {.average_decay = bad}})
                  .starts_with("distill: search.average_decay must be in [0, 1)"));
    }
    for (double bad : {0.0, -1e-8, nan, inf, 1e-60})
        CHECK(error({.optimizer = AdamW({.epsilon = bad})}).starts_with("AdamW: epsilon must"));
    for (double bad : {0.0, -1.0, 1.5, nan})
        CHECK(error({.search = {.rate_after_failure = bad}})
                  .starts_with("distill: search.rate_after_failure must be in (0, 1]"));
    CHECK(error({.search = {.evaluations_per_epoch = 0}}) ==
          "distill: search.evaluations_per_epoch must be at least 1, found 0");
    CHECK(error({.schedule = static_cast<Schedule>(7)}) ==
          "distill: schedule must be one of Schedule's values, found 7");
    CHECK(error({.loss_weights = static_cast<LossWeights>(2)}) ==
          "distill: loss_weights must be one of LossWeights's values, found 2");
    CHECK(error({}, {.threads = 0}) == "distill: threads must be 1 to 1024, found 0");
    CHECK(error({}, {.resume = true}).starts_with("distill: resume needs the directory"));
    CHECK(error({.learning_rates = {.parameters = 0, .clips = 0, .scales = 0}}) == "done");
}

namespace {
struct CheckedLoss : MeanSquaredError {
    double weight = 1;
    void check_options() const {
        if (!(weight > 0)) throw std::invalid_argument("CheckedLoss: weight must be above 0");
    }
};
}  // namespace

TEST_CASE("the ends of what options may be are among it") {
    CHECK_NOTHROW(DistillOptions{.slices = 1}.check_options());
    CHECK_NOTHROW(DistillOptions{.slices = 1024}.check_options());
    CHECK_THROWS_WITH(DistillOptions{.slices = 0}.check_options(),
                      "distill: slices must be 1 to 1024, found 0");
    CHECK_THROWS_WITH(DistillOptions{.slices = 1025}.check_options(),
                      "distill: slices must be 1 to 1024, found 1025");
    CHECK_NOTHROW(DistillOptions{.drop_probability = 0}.check_options());
    CHECK_THROWS_WITH(DistillOptions{.drop_probability = 1}.check_options(),
                      "distill: drop_probability must be in [0, 1), found 1");
    CHECK_NOTHROW(DistillOptions{.search = {.rate_after_failure = 1}}.check_options());
    CHECK_NOTHROW(DistillOptions{.epochs = 0}.check_options());
    CHECK_THROWS_WITH(DistillOptions{.epochs = -1}.check_options(),
                      "distill: epochs must not be negative, found -1");
    CHECK_NOTHROW(DistillOptions{.loss_weights = LossWeights::fisher}.check_options());
    struct Unweighted {
        double operator()(const nn::Tensor&, const nn::Tensor&) const { return 0; }
        void gradient(const nn::Tensor&, const nn::Tensor&, nn::Tensor&) const {}
    };
    CHECK_NOTHROW(BasicDistillOptions<Unweighted>{}.check_options());
    CHECK_THROWS_WITH((BasicDistillOptions<Unweighted>{.loss_weights = LossWeights::fisher}.check_options()),
                      "distill: loss_weights must be none: the loss takes no weights (see loss.hpp)");
}

TEST_CASE("a layer of more values than one part of a sum has is trained in all of them") {
    nn::Index const features = 300;  // 90 000 weights, in parts of 65 536
    nn::Network teacher;
    nn::NodeId const x = teacher.input("x", {features});
    teacher.output(teacher.add("fc", nn::Linear({.in_features = features, .out_features = features}), {x}));
    nn::initialize(teacher, 1);
    std::vector<nn::Tensor> batches(1, nn::Tensor({8, features}));
    for (std::size_t i = 0; i != batches[0].size(); ++i)
        batches[0][i] = std::sin(static_cast<float>(i * i % 1013));
    Student student = make_student(teacher, support::plan_for(teacher, support::int4_config)).value();
    calibrate(student, batches).value();
    Student const calibrated = student;
    auto const report = distill(teacher, student, batches,
                                DistillOptions{.epochs = 3, .optimizer = AdamW({.weight_decay = 0})}, {});
    REQUIRE(report);
    REQUIRE_FALSE(report->kept_calibrated);
    const nn::Tensor &before = *calibrated.weight("fc"), &after = *student.weight("fc");
    std::size_t first = 0, rest = 0;
    for (std::size_t i = 0; i != before.size(); ++i) (i < 65536 ? first : rest) += before[i] != after[i];
    CHECK(first > 60000);
    CHECK(rest > 20000);
}

TEST_CASE("a loss of one's own checks its options, too") {
    nn::Network const teacher = support::small_network();
    auto const batches = support::small_batches(1, 2);
    Student student = make_student(teacher, support::plan_for(teacher, "")).value();
    calibrate(student, batches).value();
    BasicDistillOptions<CheckedLoss> options;
    CHECK(distill(teacher, student, batches, options));
    options.loss.weight = 0;
    CHECK_THROWS_WITH(distill(teacher, student, batches, options), "CheckedLoss: weight must be above 0");
}

TEST_CASE("batches that are loaded one at a time give the same bits, and one that fails changes nothing") {
    struct Source {
        std::vector<nn::Tensor> tensors = support::small_batches(6, 8);
        std::size_t* loads;
        std::size_t last = static_cast<std::size_t>(-1);  // of the loads that succeed
        std::size_t size() const { return tensors.size(); }
        result<Batch> load(std::size_t i) const {
            if (*loads == last) return general_error("cannot load it");
            ++*loads;
            return Batch{tensors[i]};
        }
    };
    nn::Network const teacher = support::small_network();
    Student const made = make_student(teacher, support::plan_for(teacher, support::int4_config)).value();
    Run const plain = run(support::int4_config, {.epochs = 2});
    std::size_t loads = 0;
    Source source{.loads = &loads};
    Student student = made;
    calibrate(student, source).value();
    Student const calibrated = student;
    std::size_t const begin = loads;
    auto const report = distill(teacher, student, source, {.epochs = 2}).value();
    CHECK(student.predict(source.tensors[0]) == plain.output);
    CHECK(report.output_error_distilled == plain.report.output_error_distilled);
    std::size_t const end = loads;
    nn::Tensor const before = calibrated.predict(source.tensors[0]);
    for (std::size_t at = begin; at < end; at += 5) {  // at every stage of the run
        student = calibrated;
        loads = begin;
        source.last = at;
        auto const failed = distill(teacher, student, source, {.epochs = 2});
        REQUIRE_FALSE(failed);
        CHECK(failed.diagnostics()[0].message.starts_with("cannot load it"));
        CHECK(student.predict(source.tensors[0]) == before);
    }
}

TEST_CASE("a network of two inputs and two outputs is distilled, and the guard sees both outputs") {
    nn::Network net;
    nn::NodeId const a = net.input("a", {4}), b = net.input("b", {4});
    nn::NodeId x = net.add("left", nn::Linear({.in_features = 4, .out_features = 4}), {a});
    nn::NodeId y = net.add("right", nn::Linear({.in_features = 4, .out_features = 4}), {b});
    x = net.add_function("sum", nn::Add{}, {x, y});
    x = net.add("top", nn::Linear({.in_features = 4, .out_features = 3}), {x});
    net.output(x);
    net.output(y);
    nn::initialize(net, 1);
    std::mt19937_64 random(3);
    std::vector<Batch> batches(4, Batch{nn::Tensor({8, 4}), nn::Tensor({8, 4})});
    for (Batch& batch : batches)
        for (nn::Tensor& t : batch)
            for (float& v : t) v = static_cast<float>(2 * nn::next_uniform(random) - 1);
    Student student = make_student(net, support::plan_for(net, support::int4_config)).value();
    calibrate(student, batches).value();
    double error = 0, values = 0;
    for (const Batch& batch : batches) {
        nn::Tape of_teacher, of_student;
        std::array<const nn::Tensor*, 2> const inputs{&batch[0], &batch[1]};
        net.forward(inputs, of_teacher, nn::Mode::evaluate);
        student.network().forward(inputs, of_student, nn::Mode::evaluate);
        for (nn::NodeId id : net.outputs())
            for (std::size_t i = 0; i != of_teacher.output(id).size(); ++i, ++values) {
                double const d = static_cast<double>(of_teacher.output(id)[i]) -
                                 static_cast<double>(of_student.output(id)[i]);
                error += d * d;
            }
    }
    auto const report =
        distill(net, student, batches, {.epochs = 20, .learning_rates = {.clips = 0.01, .scales = 1e-3}})
            .value();
    CHECK(report.output_error_calibrated == Approx(error / values));
    CHECK(report.output_error_distilled < report.output_error_calibrated);
    CHECK(report.blocks.size() == 3);
}

TEST_CASE("a report names the modules of a block that other nodes use as well") {
    nn::Network net;
    nn::NodeId x = net.input("x", {6});
    x = net.add("first", nn::Linear({.in_features = 6, .out_features = 6}), {x});
    x = net.add("act", nn::ReLU{}, {x});
    x = net.add("second", nn::Linear({.in_features = 6, .out_features = 6}), {x});
    net.output(net.apply("again", "act", {x}));
    nn::initialize(net, 3);
    std::vector<nn::Tensor> const batches(2, nn::Tensor({4, 6}, std::vector<float>(24, 0.5f)));
    Student student = make_student(net, support::plan_for(net, "")).value();
    calibrate(student, batches).value();
    auto const report = distill(net, student, batches).value();
    REQUIRE(report.blocks.size() == 2);
    for (const BlockReport& block : report.blocks) CHECK(block.shared == std::vector<std::string>{"act"});
    Run const none = run("", {.epochs = 0});
    for (const BlockReport& block : none.report.blocks) CHECK(block.shared.empty());
}

TEST_CASE("files that are cut or have no room end a run, at whichever step that is") {
    nn::Network const teacher = support::small_network();
    auto const batches = support::small_batches(3, 4);
    Student calibrated = make_student(teacher, support::plan_for(teacher, support::int4_config)).value();
    calibrate(calibrated, batches).value();
    nn::Tensor const before = calibrated.predict(batches[0]);
    support::temporary_directory const dir;
    std::size_t failed = 0, runs = 0;
    for (bool cut : {true, false})
        for (auto weights : {LossWeights::none, LossWeights::fisher})
            for (std::size_t at = 0; at != 18; at += 2) {
                RunOptions run{.memory_bytes = 0, .directory = dir.path() / detail::number(runs++)};
                std::optional<support::FileSizeLimit> limit;
                std::size_t step = 0;
                run.on_progress = [&](const Progress&) {
                    if (step++ != at) return true;
                    if (cut)
                        support::empty_files_below(run.directory);
                    else
                        limit.emplace(100);
                    return true;
                };
                Student student = calibrated;
                auto const done =
                    distill(teacher, student, batches, {.epochs = 2, .loss_weights = weights}, run);
                limit.reset();
                if (done) {
                    CHECK(cut);  // the last block's last steps need no file any more
                    continue;
                }
                ++failed;
                INFO("step " << at);
                CHECK_THAT(done.diagnostics()[0].message, Catch::Contains(run.directory.string()));
                CHECK(done.diagnostics()[0].message.starts_with(cut ? "cannot read " : "cannot write "));
                CHECK(student.predict(batches[0]) == before);
            }
    CHECK(failed > 30);
}

}  // namespace distill_distill_test
