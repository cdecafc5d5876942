// SPDX-License-Identifier: Apache-2.0
#include "digits.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <random>
#include <string_view>
#include <utility>

using namespace amct_distill;

namespace digits {
namespace {

constexpr std::size_t pixels = 64, train_rows = 1400, rows = 1797;

/// Fisher and Yates; std::shuffle is not the same in every standard library.
std::vector<std::size_t> shuffled(std::size_t n, std::mt19937_64& random) {
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), std::size_t{0});
    for (std::size_t i = n; i > 1; --i) std::swap(order[i - 1], order[random() % i]);
    return order;
}

nn::Tensor image_batch(const nn::Tensor& images, const std::size_t* first, std::size_t n) {
    nn::Tensor batch({static_cast<nn::Index>(n), 1, 8, 8});
    for (std::size_t i = 0; i != n; ++i)
        std::copy_n(images.data() + first[i] * pixels, pixels, batch.data() + i * pixels);
    return batch;
}

}  // namespace

result<Split> load(const std::string& path) {
    auto const text = read_file(path);
    if (!text) return text.diagnostics();
    std::vector<std::vector<int>> table(1);
    const char *at = text->data(), *const end = at + text->size();
    while (at != end) {
        int value = 0;
        auto const [next, error] = std::from_chars(at, end, value);
        bool const last = next != end && (*next == '\n' || *next == '\r');
        if (error != std::errc{} || (!last && (next == end || *next != ',')))
            return general_error(detail::concat(path, ": line ", table.size(),
                                                ": expected 64 pixels and a digit, separated by commas"));
        table.back().push_back(value);
        at = next + 1;
        if (last) {
            while (at != end && (*at == '\n' || *at == '\r')) ++at;
            if (table.back().size() != pixels + 1)
                return general_error(detail::concat(path, ": line ", table.size(),
                                                    ": expected 65 numbers, found ", table.back().size()));
            if (at != end) table.emplace_back();
        }
    }
    if (table.size() != rows)
        return general_error(detail::concat(path, ": expected ", rows, " lines, found ", table.size()));

    std::mt19937_64 random(0);
    auto const order = shuffled(rows, random);
    auto const take = [&](std::size_t first, std::size_t n) {
        Samples s{nn::Tensor({static_cast<nn::Index>(n), 1, 8, 8}), {}};
        for (std::size_t i = 0; i != n; ++i) {
            const auto& row = table[order[first + i]];
            for (std::size_t p = 0; p != pixels; ++p)
                s.images[i * pixels + p] = static_cast<float>(row[p]) / 16.0f;
            s.labels.push_back(row[pixels]);
        }
        return s;
    };
    return Split{take(0, train_rows), take(train_rows, rows - train_rows)};
}

nn::Network make_network(std::uint64_t seed) {
    nn::Network net;
    auto const conv_bn = [&](std::string conv, std::string bn, nn::Conv2dOptions options, nn::NodeId x) {
        options.kernel = {3, 3};
        options.padding = {1, 1};
        x = net.add(std::move(conv), nn::Conv2d(options), {x});
        return net.add(std::move(bn), nn::BatchNorm2d({.num_features = options.out_channels}), {x});
    };
    nn::NodeId x = net.input("image", {1, 8, 8});
    x = conv_bn("conv1", "bn1", {.in_channels = 1, .out_channels = 8}, x);
    x = net.add("relu1", nn::ReLU{}, {x});
    nn::NodeId const branch = conv_bn("branch", "branch_bn", {.in_channels = 8, .out_channels = 8}, x);
    x = net.add_function("add", nn::Add{}, {x, branch});
    x = net.add("relu_add", nn::ReLU{}, {x});
    x = conv_bn("conv2", "bn2", {.in_channels = 8, .out_channels = 16, .stride = {2, 2}}, x);
    x = net.add("relu2", nn::ReLU{}, {x});
    x = conv_bn("conv3", "bn3", {.in_channels = 16, .out_channels = 32, .stride = {2, 2}}, x);
    x = net.add("relu3", nn::ReLU{}, {x});
    x = net.add_function("flatten", nn::Flatten{}, {x});
    x = net.add("fc", nn::Linear({.in_features = 128, .out_features = 10}), {x});
    net.output(x);
    nn::initialize(net, seed);
    return net;
}

void train(nn::Network& network, const Samples& samples, std::uint64_t seed) {
    constexpr int epochs = 16;
    constexpr std::size_t batch_size = 16;
    constexpr double peak = 1e-2;  // of the learning rate, from where it falls to 0 along a cosine
    std::mt19937_64 random(seed);
    nn::Tape tape;
    nn::Tensor gradient;
    AdamW optimizer;
    for (auto& p : network.parameters(tape))
        if (p.role != nn::Role::statistic) optimizer.add(p.values, p.gradient->span(), peak);

    std::size_t const steps = samples.size() / batch_size;
    for (int epoch = 0; epoch != epochs; ++epoch) {
        auto const order = shuffled(samples.size(), random);
        for (std::size_t s = 0; s != steps; ++s) {
            double const progress = (epoch + static_cast<double>(s) / static_cast<double>(steps)) / epochs;
            optimizer.set_learning_rate_factor(0.5 * (1 + std::cos(3.14159265358979 * progress)));
            const std::size_t* const rows_of_batch = order.data() + s * batch_size;
            nn::Tensor const images = image_batch(samples.images, rows_of_batch, batch_size);
            const nn::Tensor& logits = network.forward(images, tape, nn::Mode::train);

            // The gradient of the mean cross-entropy: softmax minus one at the true digit.
            gradient = logits;
            for (std::size_t i = 0; i != batch_size; ++i) {
                float* const row = gradient.data() + i * 10;
                float const most = *std::max_element(row, row + 10);
                float sum = 0;
                for (int k = 0; k != 10; ++k) sum += row[k] = std::exp(row[k] - most);
                for (int k = 0; k != 10; ++k)
                    row[k] =
                        (row[k] / sum - (k == samples.labels[rows_of_batch[i]] ? 1.0f : 0.0f)) / batch_size;
            }
            network.zero_gradients(tape);
            network.backward(gradient, tape, nn::Mode::train);
            network.update_statistics(tape);
            optimizer.step();
        }
    }
}

double accuracy(const nn::Tensor& logits, const Samples& samples) {
    std::size_t right = 0;
    for (std::size_t i = 0; i != samples.size(); ++i) {
        const float* const row = logits.data() + i * 10;
        if (std::max_element(row, row + 10) - row == samples.labels[i]) ++right;
    }
    return static_cast<double>(right) / static_cast<double>(samples.size());
}

std::vector<nn::Tensor> batches(const Samples& samples, std::size_t size) {
    std::vector<std::size_t> order(samples.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::vector<nn::Tensor> out;
    for (std::size_t i = 0; i < samples.size(); i += size)
        out.push_back(image_batch(samples.images, order.data() + i, (std::min)(size, samples.size() - i)));
    return out;
}

Comparison::Comparison(const Samples& samples, amct_distill::nn::Tensor teacher_logits)
    : samples_(samples), teacher_(std::move(teacher_logits)) {
    results.samples = samples.size();
    add("FP32 teacher", teacher_);
}
void Comparison::add(std::string network, const amct_distill::nn::Tensor& logits) {
    double error = 0;
    for (std::size_t i = 0; i != logits.size(); ++i) {
        double const d = static_cast<double>(logits[i]) - static_cast<double>(teacher_[i]);
        error += d * d;
    }
    results.networks.push_back(
        {std::move(network), accuracy(logits, samples_), error / static_cast<double>(logits.size())});
}
std::string Comparison::text(std::size_t width) const {
    amct_distill::Table table({{""}, {"accuracy"}, {"mean squared error of the logits"}});
    for (const auto& r : results.networks)
        table.add({r.network, amct_distill::number(100 * r.accuracy, std::chars_format::fixed, 2) + " %",
                   r.error == 0 ? "0" : amct_distill::number(r.error, std::chars_format::scientific, 2)});
    return table.text(width);
}

}  // namespace digits
