// SPDX-License-Identifier: Apache-2.0
/// The samples that this rank has of every batch: those of its slices. Without ranks, all of them.
///
///     OwnBatches own(batches, network, executor, slices, "distill");
///     OwnBatches::Loaded const batch = *own.load(3, buffer);
///     runner.run_batch(batch.tensors, nodes, values, batch.samples);
///
/// A source that can load parts of a batch (data_source.hpp) is asked for no others; of another the batch is
/// loaded, and cut here.
#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "data_source.hpp"
#include "same_network.hpp"
#include "slices.hpp"

namespace amct_distill {

class OwnBatches {
public:
    struct Loaded {
        std::span<const nn::Tensor> tensors{};  ///< of this rank's samples; valid until the buffer changes
        nn::Index samples = 0;                  ///< of the whole batch
    };

    /// Network and executor, which may be null, outlive it. `who` begins the message about a batch that does
    /// not fit the network.
    OwnBatches(DataSource batches, const nn::Network& network, const nn::Executor* executor,
               std::size_t slices, std::string_view who)
        : batches_(batches), network_(network), cut_(network, executor, slices), who_(who) {}

    std::size_t size() const { return batches_.size(); }

    /// Error: the batch cannot be loaded. Throws std::invalid_argument when it does not fit the network.
    result<Loaded> load(std::size_t i, Batch& buffer) {
        if (cut_.ranks() != nullptr && batches_.loads_parts()) return load_part(i, buffer);
        auto const loaded = batches_.load(i, cut_.ranks() == nullptr ? buffer : whole_);
        if (!loaded) return loaded.diagnostics();
        detail::require_batch(network_, *loaded, who_, i);
        nn::Index const samples = loaded->empty() ? 1 : (*loaded)[0].dim(0);
        if (cut_.ranks() == nullptr) return Loaded{*loaded, samples};
        buffer.resize(loaded->size());
        for (std::size_t k = 0; k != buffer.size(); ++k)
            detail::take_slice((*loaded)[k], shape(k), cut_.own_part(samples), buffer[k]);
        whole_.clear();
        return Loaded{buffer, samples};
    }

private:
    const nn::Shape& shape(std::size_t k) const { return network_.node(network_.inputs()[k]).shape; }
    result<Loaded> load_part(std::size_t i, Batch& buffer) {
        nn::Index const samples = batches_.samples(i);
        BatchSlice const part = cut_.own_part(samples);
        if (part.size() == 0) {
            buffer.resize(network_.inputs().size());
            for (std::size_t k = 0; k != buffer.size(); ++k) buffer[k].resize_batch(shape(k), 0);
            return Loaded{buffer, samples};
        }
        auto loaded = batches_.load_part(i, part);
        if (!loaded) return loaded.diagnostics();
        buffer = *std::move(loaded);
        detail::require_batch(network_, buffer, who_, i);
        if (buffer[0].dim(0) != part.size())
            return general_error(detail::concat(who_, ": batch ", i, ": samples ", part.begin, " to ",
                                                part.end, " were asked for, and ", buffer[0].dim(0),
                                                " loaded"));
        return Loaded{buffer, samples};
    }

    DataSource batches_;
    const nn::Network& network_;
    SliceRunner cut_;
    std::string who_;
    Batch whole_{};
};

}  // namespace amct_distill
