// SPDX-License-Identifier: Apache-2.0
// sample DIR: a small run, with names that a page must escape; writes report.html and report.json.
#include <amct_distill/adapters/report_json.hpp>
#include <amct_distill/definitions.hpp>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <limits>

#include "support/small_network.hpp"

using namespace amct_distill;

namespace {

nn::Network network() {
    nn::Network net;
    nn::NodeId x = net.input("<image> & \"x\"", {3, 8, 8});
    auto const conv = [&](const char* name, nn::NodeId in, int channels, int out, int kernel) {
        return net.add(name,
                       nn::Conv2d({.in_channels = channels,
                                   .out_channels = out,
                                   .kernel = {kernel, kernel},
                                   .padding = {kernel / 2, kernel / 2}}),
                       {in});
    };
    x = net.add("relu", nn::ReLU{}, {conv("卷积<1>", x, 3, 8, 3)});
    nn::NodeId y = net.add("relu \"2\"", nn::ReLU{}, {conv("</script><b>'2'", x, 8, 8, 3)});
    y = conv("a&amp;b", y, 8, 8, 1);
    x = net.add_function("sum", nn::Add{}, {x, y});
    x = net.add_function("flatten", nn::Flatten{}, {x});
    net.output(net.add("fc", nn::Linear({.in_features = 512, .out_features = 4}), {x}));
    nn::initialize(net, 3);
    return net;
}

void run(const std::filesystem::path& directory) {
    nn::Network const teacher = network();
    std::mt19937_64 random(1);
    std::vector<nn::Tensor> batches(2, nn::Tensor({6, 3, 8, 8}));
    for (nn::Tensor& batch : batches)
        for (float& v : batch) v = static_cast<float>(2 * nn::next_uniform(random) - 1);
    SourceText const source{"<sample>.cfg",
                            "# <b>four bits</b> & more\n"
                            "batch_num: 2\n"
                            "quant_skip_layers: \"fc\"\n"
                            "distill_data_quant_config { ulq_quantize { dst_type: INT8 } }\n"
                            "distill_weight_quant_config { ulq_distill { dst_type: INT4 } }\n"};
    auto const config = read<AMCTDistillConfig>(source).value();
    auto const plan = resolve(config, teacher.topology(), target::generic, {.source = source}).value();
    Student student = make_student(teacher, plan).value();
    calibrate(student, batches).value();
    DistillReport const report = distill(teacher, student, batches, {.epochs = 2}).value();
    ReportPage page = make_page("<model> 模型", teacher, student, batches, report).value();
    page.verified = verify(deploy(student).value(), student, batches).value();
    page.test = {.samples = 12, .networks = {{"FP32", 0.75, 0}, {"distilled", 0.5, 0.125}}};
    double const exact = std::numeric_limits<double>::infinity();
    for (double db = 31.25; const PageLayer& l : page.network.layers)
        page.sensitivity.push_back(
            {.name = l.name,
             .weights_int4 = db -= 5.125,
             .weights_int8 = db + 24.0625,
             .data_int4 = db + 1,
             .data_int8 = db == 15.875 ? exact : db + 30,
             .all_but_this = db + 2,
             .noise_share = l.quantized ? db / 100 : std::numeric_limits<double>::quiet_NaN()});
    page.warnings.push_back(
        {.severity = Severity::warning, .where = {3, 1}, .message = "<i>watch</i> \"out\""});
    page.run = {.command = "sample 'a b' <x>", .config_name = source.name, .config_text = source.text};
    std::filesystem::create_directories(directory);
    write_file(directory / "report.json", print_json(fields_to_json(page))).value();
    write_file(directory / "report.html", to_html(page)).value();
    write_file(directory / "plan.dot", to_dot(teacher, plan)).value();
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc != 2) return 2;
    run(argv[1]);
    return 0;
} catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
}
