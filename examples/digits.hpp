// SPDX-License-Identifier: Apache-2.0
/// The digits, and a small network that reads them.
#pragma once
#include <amct_distill/amct_distill.hpp>
#include <amct_distill/report/page.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace digits {

/// Images [N, 1, 8, 8], pixels in 0..1, and their digits.
struct Samples {
    amct_distill::nn::Tensor images{};
    std::vector<int> labels{};
    std::size_t size() const { return labels.size(); }
};
struct Split {
    Samples train{}, test{};
};

/// Reads `digits.csv` (64 pixels in 0..16 and the digit, per row) and splits it: 1400 rows to train on, 397
/// to test with, always the same.
amct_distill::result<Split> load(const std::string& path);

/// conv1-bn1-relu1, a residual branch, conv2-bn2-relu2, conv3-bn3-relu3, fc.
amct_distill::nn::Network make_network(std::uint64_t seed);

/// Trains by cross-entropy, in seconds.
void train(amct_distill::nn::Network& network, const Samples& samples, std::uint64_t seed);

/// The part of the images that are recognized.
double accuracy(const amct_distill::nn::Tensor& logits, const Samples& samples);

/// Networks on the same samples: how many they recognize, and how far their logits are from the first one's.
class Comparison {
public:
    Comparison(const Samples& samples, amct_distill::nn::Tensor teacher_logits);
    void add(std::string network, const amct_distill::nn::Tensor& logits);
    /// As a table.
    std::string text(std::size_t width) const;

    amct_distill::PageTest results{};

private:
    const Samples& samples_;
    amct_distill::nn::Tensor teacher_;
};

/// The samples in order, `size` images at a time; the last batch has the rest.
std::vector<amct_distill::nn::Tensor> batches(const Samples& samples, std::size_t size);

}  // namespace digits
