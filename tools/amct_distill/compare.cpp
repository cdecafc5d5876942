// SPDX-License-Identifier: Apache-2.0
#include "compare.hpp"

#include <algorithm>
#include <amct_distill/definitions.hpp>
#include <amct_distill/student/own_batches.hpp>
#include <amct_distill/student/slice_sums.hpp>
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
    const std::vector<std::pair<std::string, const ad::nn::Network*>>& networks, const ad::RunOptions& run,
    Console& console, std::string name_of_teacher) {
    ad::nn::Executor const executor(run.threads, ad::best_instructions(), run.ranks);
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
    bool const labels = classes && !data.labels().empty();
    if (labels)
        for (NetworkResult& r : out) r.accuracy = 0;
    double count = 0;
    std::size_t sample = 0;
    ad::OwnBatches own(data, teacher, &executor, ad::default_slices, "compare");
    ad::SliceSums sums(runners[0]);
    ad::Batch buffer;
    for (std::size_t i = 0; i != own.size(); ++i) {
        auto const loaded = own.load(i, buffer);
        const ad::OwnBatches::Loaded& batch = loaded.value();
        for (std::size_t k = 0; k != runners.size(); ++k)
            runners[k].run_batch(batch.tensors,
                                 k == 0 ? teacher.outputs() : networks[k - 1].second->outputs(), values[k],
                                 batch.samples);
        // The number of values, and of each network its error (the first one's: its signal), how often it
        // says the same class, and the label's.
        sums.begin(batch.samples, 1 + 3 * runners.size());
        sums.for_each([&](ad::BatchSlice slice, std::span<double> to) {
            for (std::size_t o = 0; o != values[0].size(); ++o) {
                auto const of_teacher = sums.values(values[0][o], slice);
                to[0] += static_cast<double>(of_teacher.size());
                for (std::size_t k = 0; k != runners.size(); ++k) {
                    auto const found = sums.values(values[k][o], slice);
                    for (std::size_t v = 0; v != found.size(); ++v) {
                        double const d =
                            static_cast<double>(found[v]) - (k == 0 ? 0 : static_cast<double>(of_teacher[v]));
                        to[1 + 3 * k] += d * d;
                    }
                }
            }
            for (ad::nn::Index s = slice.begin; classes && s != slice.end; ++s)
                for (std::size_t k = 0; k != runners.size(); ++k) {
                    auto const at = static_cast<std::size_t>(s);
                    std::size_t const found = class_of(values[k][0], at);
                    to[2 + 3 * k] += found == class_of(values[0][0], at);
                    std::size_t const in_batch = static_cast<std::size_t>(slice.first + s - slice.begin);
                    if (labels)
                        to[3 + 3 * k] += found == static_cast<std::size_t>(data.labels()[sample + in_batch]);
                }
        });
        auto const of_batch = sums.finish();
        count += of_batch[0];
        for (std::size_t k = 0; k != runners.size(); ++k) {
            (k == 0 ? out[0].signal : out[k].error) += of_batch[1 + 3 * k];
            out[k].agreement += of_batch[2 + 3 * k];
            if (labels) out[k].accuracy += of_batch[3 + 3 * k];
        }
        sample += static_cast<std::size_t>(batch.samples);
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
