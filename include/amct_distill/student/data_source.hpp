// SPDX-License-Identifier: Apache-2.0
/// Where the batches of a run come from: held in memory, or loaded one at a time.
///
///     calibrate(student, tensors);        // std::vector<nn::Tensor>: a network of one input
///     calibrate(student, batches);        // std::vector<Batch>: a tensor for each input of the network
///     struct Files {                      // anything with these two
///         std::size_t size() const;
///         result<Batch> load(std::size_t i) const;        // the same values at every call
///     };
///     calibrate(student, Files{...});
///
/// They are asked for one batch at a time, by a thread that may be another than the caller's (load_ahead.hpp;
/// `RunOptions::load_ahead`).
///
/// A source that can load some samples of a batch has two more, and a rank of several loads no others:
///
///         std::size_t samples(std::size_t i) const;                          // of batch i
///         result<Batch> load(std::size_t i, BatchSlice part) const;
#pragma once
#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "../core/result.hpp"
#include "../nn/tensor.hpp"
#include "batch_slice.hpp"

namespace amct_distill {

/// A tensor for each input of a network, in the order of its inputs; dimension 0 is the sample.
using Batch = std::vector<nn::Tensor>;

/// Loads batches one at a time; more than once each, and not in order.
template <class S>
concept LoadsBatches = requires(const S& source, std::size_t i) {
    { source.size() } -> std::convertible_to<std::size_t>;
    { source.load(i) } -> std::same_as<result<Batch>>;
};

/// Loads some samples of a batch as well.
template <class S>
concept LoadsParts = LoadsBatches<S> && requires(const S& source, std::size_t i, BatchSlice part) {
    { source.samples(i) } -> std::convertible_to<std::size_t>;
    { source.load(i, part) } -> std::same_as<result<Batch>>;
};

/// A reference to batches: what it refers to outlives it, as with std::span.
class DataSource {
public:
    /// No batches.
    DataSource() = default;

    template <class Range>
    requires(std::constructible_from<std::span<const nn::Tensor>, const Range&>)
        DataSource(const Range& tensors)
        : tensors_(tensors), size_(tensors_.size()) {}

    template <class Range>
    requires(std::constructible_from<std::span<const Batch>, const Range&> &&
             !std::constructible_from<std::span<const nn::Tensor>, const Range&>)
        DataSource(const Range& batches)
        : batches_(batches), size_(batches_.size()) {}

    template <LoadsBatches Source>
    requires(!std::same_as<Source, DataSource>) DataSource(const Source& source)
        : source_(&source),
          load_([](const void* from, std::size_t i) { return static_cast<const Source*>(from)->load(i); }),
          size_(static_cast<std::size_t>(source.size())) {
        if constexpr (LoadsParts<Source>) {
            samples_ = [](const void* from, std::size_t i) {
                return static_cast<nn::Index>(static_cast<const Source*>(from)->samples(i));
            };
            load_part_ = [](const void* from, std::size_t i, BatchSlice part) {
                return static_cast<const Source*>(from)->load(i, part);
            };
        }
    }

    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }

    /// The tensors of batch i; valid until `buffer`, which holds a batch that was loaded, changes.
    result<std::span<const nn::Tensor>> load(std::size_t i, Batch& buffer) const;

    /// Whether there are the two below.
    bool loads_parts() const { return load_part_ != nullptr; }
    nn::Index samples(std::size_t i) const { return samples_(source_, i); }
    result<Batch> load_part(std::size_t i, BatchSlice part) const { return load_part_(source_, i, part); }

private:
    friend class LoadAhead;

    std::span<const nn::Tensor> tensors_{};
    std::span<const Batch> batches_{};
    const void* source_ = nullptr;
    result<Batch> (*load_)(const void*, std::size_t) = nullptr;
    nn::Index (*samples_)(const void*, std::size_t) = nullptr;
    result<Batch> (*load_part_)(const void*, std::size_t, BatchSlice) = nullptr;
    result<std::span<const nn::Tensor>> (*view_)(const void*, std::size_t) = nullptr;  // of a LoadAhead
    std::size_t size_ = 0;
};

}  // namespace amct_distill

#ifndef AMCT_DISTILL_COMPILED
#include "data_source-inl.hpp"
#endif
