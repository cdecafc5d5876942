// SPDX-License-Identifier: Apache-2.0
/// The samples that the user names, as batches of a network.
///
///     Dataset data = open_data(options.data, model);       // throws with every reason why not
///     data.size();                                          // batches
///     data.load(0);                                         // result<Batch>: streamed, nothing is kept
///     DataFacts facts = look_at(data, console);             // all of it once: count, ranges, NaN
///
/// A batch is read anew whenever it is loaded, and has the same values each time.
#pragma once
#include <algorithm>
#include <amct_distill/core/result.hpp>
#include <amct_distill/student/data_source.hpp>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "console.hpp"
#include "model.hpp"
#include "options.hpp"

namespace tool {

/// The samples of one input.
class Samples {
public:
    Samples() = default;
    Samples(const Samples&) = delete;
    Samples& operator=(const Samples&) = delete;
    virtual ~Samples() = default;
    virtual std::size_t count() const = 0;
    /// Fills a sample, which has as many values as the model's. Error: it cannot be read.
    virtual amct_distill::result<void> read(std::size_t k, std::span<float> sample) const = 0;
    /// Where a sample comes from: "digits.npy, sample 12", "cat.jpg".
    virtual std::string place(std::size_t k) const = 0;
    /// The pixels of a sample, where it is a picture.
    virtual std::string picture(std::size_t) const { return {}; }
};

/// What an input of the model takes.
struct InputFacts {
    std::string name{};  ///< as the model calls it
    amct_distill::nn::Shape shape{};
    bool free_batch = false;
    amct_distill::nn::Shape sample{};  ///< without the batch; the whole shape where that is fixed
};
std::vector<InputFacts> inputs_of(const Model& model);

class Dataset {
public:
    std::size_t samples() const { return limit_; }
    std::size_t size() const { return (limit_ + batch_ - 1) / batch_; }
    std::size_t batch_size() const { return batch_; }
    amct_distill::result<amct_distill::Batch> load(std::size_t i) const { return load(i, {0, samples(i)}); }
    /// The samples of batch i, and some of them.
    std::int64_t samples(std::size_t i) const {
        return static_cast<std::int64_t>((std::min)(batch_, limit_ - i * batch_));
    }
    amct_distill::result<amct_distill::Batch> load(std::size_t i, amct_distill::BatchSlice part) const;

    const std::vector<InputFacts>& inputs() const { return inputs_; }
    const Samples& samples_of(std::size_t input) const { return *sources_[input]; }
    /// Sample k in the order of the batches.
    std::size_t source_index(std::size_t k) const { return order_.empty() ? k : order_[k]; }
    /// Class numbers in the order of the batches; empty: none were given.
    const std::vector<std::int64_t>& labels() const { return labels_; }
    const std::vector<std::string>& paths() const { return paths_; }

private:
    friend Dataset open_data(const DataOptions& options, const Model& model);
    std::vector<InputFacts> inputs_{};
    std::vector<std::unique_ptr<Samples>> sources_{};
    std::vector<std::string> paths_{};
    std::vector<std::size_t> order_{};
    std::vector<std::int64_t> labels_{};
    std::size_t limit_ = 0, batch_ = 1;
};

/// Errors: what is named cannot be read or does not fit the model; labels that are not one per sample.
Dataset open_data(const DataOptions& options, const Model& model);

/// Of one input, over all samples.
struct InputRange {
    std::string name{};
    std::string path{};
    std::vector<std::int64_t> shape{};                    ///< of the first batch
    double min = 0, max = 0, mean = 0, std = 0;           ///< of all samples
    double first_min = 0, first_max = 0, first_mean = 0;  ///< of the first batch
};
struct DataFacts {
    std::size_t samples = 0, batches = 0;
    std::vector<InputRange> inputs{};
    std::uint64_t hash = 0;  ///< of all values
    std::vector<std::string> warnings{};
};

/// Reads all samples once and prints what they are. Errors, with the place: a sample that cannot be read, or
/// is not finite.
DataFacts look_at(const Dataset& data, Console& console);

}  // namespace tool
