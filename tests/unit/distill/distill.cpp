#include <amct_distill/distill/distill.hpp>

#include <cmath>

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

TEST_CASE("the same run gives the same bits, dumped or not") {
    support::temporary_directory const dir;
    Run const plain = run(support::int4_config, {.epochs = 2});
    Run const again = run(support::int4_config, {.epochs = 2});
    Run const dumped = run(detail::concat(support::int4_config, "data_dump: true"),
                           {.epochs = 2, .dump_directory = dir.path()});
    CHECK(plain.output == again.output);
    CHECK(plain.output == dumped.output);
    CHECK(plain.report.output_error_distilled == dumped.report.output_error_distilled);
    CHECK(std::filesystem::is_empty(dir.path()));
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

TEST_CASE("a block that diverges stops, keeps its best and says so") {
    Run const r = run(support::int4_config, {.epochs = 3, .learning_rates = {.parameters = 1e38}});
    CHECK_FALSE(r.report.blocks[0].stopped.empty());
    for (const BlockReport& b : r.report.blocks) CHECK(b.loss_after <= b.loss_before);
    CHECK(r.report.output_error_distilled <= r.report.output_error_calibrated);
    for (float v : r.output) CHECK(std::isfinite(v));
}

TEST_CASE("a student whose input is too far off is fed the teacher's, which is counted") {
    // Clips this narrow leave next to nothing of conv1's input, and so of conv2's.
    Run const r =
        run("distill_override_layers { layer_name: 'conv2' distill_data_quant_config {\n"
            "  ulq_quantize { clip_max_min { clip_max: 1e-6 clip_min: -1e-6 } fixed_min: false } } }",
            {.epochs = 1});
    CHECK(r.report.blocks[1].teacher_inputs == 0);
    CHECK(r.report.blocks[2].teacher_inputs + r.report.blocks[2].epoch_losses.size() > 0);
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
}

}  // namespace distill_distill_test
