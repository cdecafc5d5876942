// SPDX-License-Identifier: Apache-2.0
// Every step of a run, built header-only and with the compiled library: both must print the same.
#include <amct_distill/amct_distill.hpp>
#include <cmath>
#include <cstdio>

using namespace amct_distill;

int main() {
    nn::Network teacher;
    nn::NodeId x = teacher.input("image", {1, 8, 8});
    x = teacher.add("conv", nn::Conv2d({.in_channels = 1, .out_channels = 4, .kernel = {3, 3}}), {x});
    x = teacher.add("bn", nn::BatchNorm2d({.num_features = 4}), {x});
    x = teacher.add("relu", nn::ReLU{}, {x});
    x = teacher.add_function("/Flatten", nn::Flatten{}, {x});
    teacher.output(teacher.add("fc", nn::Linear({.in_features = 144, .out_features = 5}), {x}));
    nn::initialize(teacher, 1);
    std::vector<nn::Tensor> batches(4, nn::Tensor({8, 1, 8, 8}));
    float value = 0;
    for (nn::Tensor& batch : batches)
        for (float& v : batch) v = std::sin(value += 0.7f);

    auto const config = read<AMCTDistillConfig>("distill_weight_quant_config { ulq_distill { dst_type: INT4 } }").value();
    DistillPlan const plan = resolve(config, teacher.graph()).value();
    Student student = make_student(teacher, plan).value();
    calibrate(student, batches).value();
    DistillReport const report = distill(teacher, student, batches, {.epochs = 3}, {.threads = 2}).value();
    Deployment const device = deploy(student).value();
    std::printf("%s%s%s%a %a\n", print(config).c_str(), to_table(plan).c_str(), print(make_record(device)).c_str(),
                report.output_error_calibrated, report.output_error_distilled);
    for (float v : student.predict(batches[0])) std::printf("%a ", static_cast<double>(v));
    std::printf("\n%s", (verify)(device, batches).value().agrees() ? "agrees\n" : "differs\n");
}
