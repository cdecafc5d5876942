// SPDX-License-Identifier: Apache-2.0
// What distillation makes of a trained digits network (64-64-ReLU-32-ReLU-10) with the default settings: mean
// squared error of the logits and accuracy on the test images, calibrated and after some epochs.
//
//     bench_e2e mlp_fp32.json split.json digits.csv
#include <algorithm>
#include <amct_distill/amct_distill.hpp>
#include <amct_distill/distill/distance.hpp>
#include <boost/json/src.hpp>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

namespace {

using namespace amct_distill;
namespace json = boost::json;

json::value load(const char* path) { return json::parse(read_file(path).value()); }

nn::Tensor tensor(const json::value& v) {
    nn::Shape shape;
    for (const auto& d : v.at("shape").as_array()) shape.push_back(d.to_number<nn::Index>());
    nn::Tensor t(shape);
    for (std::size_t i = 0; i != t.size(); ++i)
        t[i] = static_cast<float>(v.at("data").at(i).to_number<double>());
    return t;
}

nn::Network network(const json::value& state) {
    nn::Network net;
    nn::NodeId x = net.input("x", {64});
    for (int k : {1, 2, 3}) {
        std::string const name = detail::concat("fc", k);
        nn::Tensor const weight = tensor(state.at(name + ".weight"));
        nn::Linear linear({.in_features = weight.dim(1), .out_features = weight.dim(0)});
        linear.weight() = weight;
        linear.bias() = tensor(state.at(name + ".bias"));
        x = net.add(name, linear, {x});
        if (k != 3) x = net.add(detail::concat("relu", k), nn::ReLU{}, {x});
    }
    net.output(x);
    return net;
}

struct Samples {
    nn::Tensor images{};
    std::vector<int> digits{};
};
Samples samples(const std::vector<std::vector<int>>& rows, const json::array& which) {
    Samples s{nn::Tensor({static_cast<nn::Index>(which.size()), 64}), {}};
    float* at = s.images.data();
    for (const auto& index : which) {
        const auto& row = rows.at(index.to_number<std::size_t>());
        for (std::size_t p = 0; p != 64; ++p) *at++ = static_cast<float>(row.at(p)) / 16.0f;
        s.digits.push_back(row.at(64));
    }
    return s;
}
std::vector<std::vector<int>> read_rows(const char* path) {
    std::string const text = read_file(path).value();
    std::vector<std::vector<int>> rows(1);
    for (const char *at = text.data(), *const end = at + text.size(); at < end;) {
        int value = 0;
        at = std::from_chars(at, end, value).ptr;
        rows.back().push_back(value);
        if (at < end && *at == '\r') ++at;
        if (at < end && *at == '\n') rows.emplace_back();
        ++at;
    }
    return rows;
}

double accuracy(const nn::Tensor& logits, const std::vector<int>& digits) {
    std::size_t right = 0;
    for (std::size_t i = 0; i != digits.size(); ++i) {
        const float* const row = logits.data() + i * 10;
        if (std::max_element(row, row + 10) - row == digits[i]) ++right;
    }
    return static_cast<double>(right) / static_cast<double>(digits.size());
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) return std::fprintf(stderr, "usage: %s mlp_fp32.json split.json digits.csv\n", argv[0]), 2;
    nn::Network const teacher = network(load(argv[1]).at("state"));
    json::value const split = load(argv[2]);
    auto const rows = read_rows(argv[3]);
    Samples const train = samples(rows, split.at("train").as_array());
    Samples const test = samples(rows, split.at("test").as_array());
    std::vector<nn::Tensor> batches;
    for (nn::Index i = 0; i < train.images.dim(0); i += 64) {
        nn::Tensor batch({(std::min)(nn::Index{64}, train.images.dim(0) - i), 64});
        std::copy_n(train.images.data() + i * 64, batch.size(), batch.data());
        batches.push_back(std::move(batch));
    }
    nn::Tensor const reference = teacher.predict(test.images);
    std::printf("FP32 accuracy %.4f\n%-30s %18s %18s %18s %18s %9s\n", accuracy(reference, test.digits),
                "mean squared error / accuracy", "calibrated", "1 epoch", "5 epochs", "20 epochs", "seconds");
    for (std::string_view bits : {"INT8", "INT4"})
        for (std::string_view weights : {"arq_distill", "ulq_distill"})
            for (int group_size : {1, 2}) {
                std::string const config = detail::concat(
                    "group_size: ", group_size,
                    " distill_data_quant_config { ulq_quantize { dst_type: ", bits,
                    " } } distill_weight_quant_config { ", weights, " { dst_type: ", bits, " } }");
                auto const plan =
                    resolve(read<AMCTDistillConfig>(config).value(), teacher.topology()).value();
                std::printf("%s %s, group_size %d", bits.data(), weights.data(), group_size);
                Student const calibrated = [&] {
                    Student s = make_student(teacher, plan).value();
                    calibrate(s, std::span(std::as_const(batches))).value();
                    return s;
                }();
                auto const print = [&](const Student& s) {
                    nn::Tensor const logits = s.predict(test.images);
                    double const error = detail::squared_error(logits.span(), reference.span());
                    std::printf("  %8.5f / %.4f", error / double(logits.size()),
                                accuracy(logits, test.digits));
                };
                print(calibrated);
                auto const begin = std::chrono::steady_clock::now();
                for (int epochs : {1, 5, 20}) {
                    Student student = calibrated;
                    distill(teacher, student, std::span(std::as_const(batches)), {.epochs = epochs}).value();
                    print(student);
                }
                std::chrono::duration<double> const spent = std::chrono::steady_clock::now() - begin;
                std::printf(" %9.2f\n", spent.count());
            }
}
