// SPDX-License-Identifier: Apache-2.0
#include "compare.hpp"

#include <algorithm>
#include <amct_distill/definitions.hpp>
#include <cmath>
#include <deque>

#include "interrupt.hpp"

namespace tool {

namespace ad = amct_distill;
using ad::detail::concat;

namespace {

/// The class of sample i.
std::size_t class_of(const ad::nn::Tensor& logits, std::size_t i) {
    std::size_t const classes = logits.size() / static_cast<std::size_t>(logits.dim(0));
    const float* const row = logits.data() + i * classes;
    return static_cast<std::size_t>(std::max_element(row, row + classes) - row);
}

bool has_classes(const ad::nn::Shape& output) { return output.size() == 2 && output[1] > 1; }

}  // namespace

void check_labels(const Dataset& data, const ad::nn::Network& teacher) {
    const ad::nn::Shape& first = teacher.node(teacher.outputs()[0]).shape;
    if (!data.labels().empty() && !has_classes(first))
        bad_input("--labels: the first output of the model is ", ad::nn::to_string(first),
                  "; labels need one of [N, classes]");
    for (std::int64_t label : data.labels())
        if (label >= first[1])
            bad_input("--labels: there is a label ", label, ", and the model has ", first[1],
                      " classes, counted from 0");
}

std::vector<NetworkResult> compare(
    const Dataset& data, const ad::nn::Network& teacher,
    const std::vector<std::pair<std::string, const ad::nn::Network*>>& networks, int threads,
    Console& console, std::string name_of_teacher) {
    ad::nn::Executor const executor(threads);
    std::vector<NetworkResult> out{{.network = std::move(name_of_teacher)}};
    std::deque<ad::SliceRunner> runners;
    runners.emplace_back(teacher, &executor);
    for (auto const& [name, network] : networks) {
        out.push_back({.network = name});
        runners.emplace_back(*network, &executor);
    }
    const ad::nn::Shape& first = teacher.node(teacher.outputs()[0]).shape;
    bool const classes = has_classes(first);
    check_labels(data, teacher);
    std::vector<std::vector<ad::nn::Tensor>> values(runners.size(),
                                                    std::vector<ad::nn::Tensor>(teacher.outputs().size()));
    double count = 0;
    std::size_t sample = 0;
    for (std::size_t i = 0; i != data.size(); ++i) {
        auto const batch = data.load(i);
        const ad::Batch& tensors = batch.value();
        for (std::size_t k = 0; k != runners.size(); ++k)
            runners[k].run_batch(tensors, k == 0 ? teacher.outputs() : networks[k - 1].second->outputs(),
                                 values[k]);
        for (std::size_t o = 0; o != values[0].size(); ++o) {
            const ad::nn::Tensor& of_teacher = values[0][o];
            count += static_cast<double>(of_teacher.size());
            for (float v : of_teacher) out[0].signal += static_cast<double>(v) * static_cast<double>(v);
            for (std::size_t k = 1; k != runners.size(); ++k)
                for (std::size_t v = 0; v != of_teacher.size(); ++v) {
                    double const d =
                        static_cast<double>(values[k][o][v]) - static_cast<double>(of_teacher[v]);
                    out[k].error += d * d;
                }
        }
        if (classes)
            for (std::size_t s = 0; s != static_cast<std::size_t>(values[0][0].dim(0)); ++s, ++sample)
                for (std::size_t k = 0; k != runners.size(); ++k) {
                    std::size_t const found = class_of(values[k][0], s);
                    out[k].agreement += found == class_of(values[0][0], s);
                    if (!data.labels().empty()) {
                        if (out[k].accuracy < 0) out[k].accuracy = 0;
                        out[k].accuracy += found == static_cast<std::size_t>(data.labels()[sample]);
                    }
                }
        if (data.size() > 1)
            console.progress("comparing", concat("batch ", i + 1, " of ", data.size()),
                             static_cast<double>(i + 1) / static_cast<double>(data.size()));
    }
    console.finish();
    for (NetworkResult& r : out) {
        r.error /= count;
        r.signal = &r == &out[0] ? r.signal / count : out[0].signal;
        r.classes = classes;
        if (classes) r.agreement /= static_cast<double>(sample);
        if (r.accuracy >= 0) r.accuracy /= static_cast<double>(sample);
    }
    return out;
}

std::string to_table(const std::vector<NetworkResult>& results, std::size_t width) {
    bool const classes = results[0].classes, labels = results[0].accuracy >= 0;
    std::vector<ad::TableColumn> columns{{"network"}};
    if (labels) columns.push_back({"accuracy"});
    if (classes) columns.push_back({.heading = "same class", .drop = 2});
    columns.push_back({.heading = "mean squared error", .drop = 1});
    columns.push_back({"SQNR"});
    ad::Table table(std::move(columns));
    for (const NetworkResult& r : results) {
        std::vector<std::string> row{r.network};
        if (labels) row.push_back(ad::detail::percent(r.accuracy));
        if (classes) row.push_back(ad::detail::percent(r.agreement));
        row.push_back(r.error == 0 ? "0" : ad::detail::short_number(r.error));
        row.push_back(r.error == 0 ? "exact"
                                   : concat(ad::number(10 * std::log10(r.signal / r.error),
                                                       std::chars_format::fixed, 1),
                                            " dB"));
        table.add(std::move(row));
    }
    return table.text(width);
}

}  // namespace tool
