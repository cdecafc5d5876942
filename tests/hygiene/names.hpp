// SPDX-License-Identifier: Apache-2.0
/// A program's worth of instantiations, each name qualified: a template's calls are looked up when it is
/// used.
#pragma once
inline int everything_is_found() {
    namespace ad = amct_distill;
    ad::nn::Network teacher;
    ad::nn::NodeId x = teacher.input("image", {1, 8, 8});
    x = teacher.add("conv", ad::nn::Conv2d({.in_channels = 1, .out_channels = 4, .kernel = {3, 3}}), {x});
    x = teacher.add("norm", ad::nn::BatchNorm2d({.num_features = 4}), {x});
    x = teacher.add("relu", ad::nn::ReLU{}, {x});
    x = teacher.add("pool", ad::nn::MaxPool2d({.kernel = {2, 2}}), {x});
    x = teacher.add("flat", ad::nn::Flatten{}, {x});
    teacher.output(teacher.add("fc", ad::nn::Linear({.in_features = 36, .out_features = 2}), {x}));
    ad::nn::initialize(teacher, 1);
    std::vector<ad::nn::Tensor> batches(1, ad::nn::Tensor({8, 1, 8, 8}));
    auto config = ad::read<ad::AMCTDistillConfig>("batch_num: 1").value();
    auto plan = ad::resolve(config, teacher.topology()).value();
    auto student = ad::make_student(teacher, plan).value();
    ad::calibrate(student, batches).value();
    auto report = ad::distill(teacher, student, batches, {.epochs = 1}).value();
    auto device = ad::deploy(student).value();
    (ad::verify)(device, student, batches).value();  // in parentheses, a macro is not seen
    return static_cast<int>(ad::print(ad::make_record(device)).size() + ad::to_table(report).size());
}
