// SPDX-License-Identifier: Apache-2.0
/// Which rank calibrates which layer, and how the layer's inputs come to it from all ranks.
///
///     LayerOwners owners(runner, sizes);          // sizes: of each layer's input, values a sample
///     if (owners.is_own(2)) ...
///     owners.collect(samples, inputs, [&](std::size_t layer, std::span<const float> whole) -> result<void> {
///         return calibrators[layer].observe(whole);          // all samples of the batch, in their order
///     });
///
/// So a calibrator sees the same values in the same order on any number of ranks, whatever it computes of
/// them, and each rank keeps those of its layers alone.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/result.hpp"
#include "../io/binary.hpp"
#include "slices.hpp"

namespace amct_distill {

class LayerOwners {
public:
    /// The runner outlives it.
    LayerOwners(SliceRunner& runner, std::vector<std::size_t> sizes)
        : runner_(runner), sizes_(std::move(sizes)), order_(sizes_.size()) {
        std::iota(order_.begin(), order_.end(), std::size_t{0});
        // Large ones first, in rounds of a layer for each rank, back and forth.
        if (ranks() > 1)
            std::ranges::stable_sort(order_,
                                     [&](std::size_t a, std::size_t b) { return sizes_[a] > sizes_[b]; });
    }

    bool is_own(std::size_t layer) const {
        auto const at = static_cast<std::size_t>(std::ranges::find(order_, layer) - order_.begin());
        return owner_of(at) == rank();
    }

    /// f(layer, values) for the layers of this rank; inputs[layer] has this rank's samples.
    template <class F>
    result<void> collect(nn::Index samples, std::span<const nn::Tensor* const> inputs, F&& f) {
        for (std::size_t first = 0; first < order_.size(); first += ranks()) {
            std::size_t const end = (std::min)(first + ranks(), order_.size());
            std::span<const float> own{};
            std::size_t layer = order_.size();
            exchange_.begin(runner_.ranks());
            for (std::size_t at = first; at != end; ++at) {
                std::span<const float> const part = inputs[order_[at]]->span();
                exchange_.send(owner_of(at), part);
                if (owner_of(at) != rank()) continue;
                layer = order_[at];
                own = part;
            }
            if (layer != order_.size() && ranks() > 1) {
                whole_.resize(sizes_[layer] * static_cast<std::size_t>(samples));
                std::size_t begin = 0;
                for (std::size_t r = 0; r != ranks(); ++r) {
                    auto const of_rank = static_cast<std::size_t>(runner_.part_of(samples, r).size());
                    std::span<float> const to = std::span(whole_).subspan(begin, of_rank * sizes_[layer]);
                    if (r == rank())
                        std::ranges::copy(own, to.begin());
                    else
                        exchange_.receive(r, to);
                    begin += to.size();
                }
                own = whole_;
            }
            exchange_.run(runner_.ranks());
            if (layer == order_.size()) continue;
            if (auto ok = f(layer, own); !ok) return ok;
        }
        return {};
    }

private:
    std::size_t ranks() const { return runner_.ranks() == nullptr ? 1 : runner_.ranks()->size(); }
    std::size_t rank() const { return runner_.ranks() == nullptr ? 0 : runner_.ranks()->rank(); }
    std::size_t owner_of(std::size_t at) const {
        std::size_t const place = at % ranks();
        return at / ranks() % 2 == 0 ? place : ranks() - 1 - place;
    }

    SliceRunner& runner_;
    std::vector<std::size_t> sizes_, order_;
    std::vector<float> whole_{};
    detail::Exchange exchange_{};
};

namespace detail {

inline void put(BinaryWriter& out, const Diagnostics& all) {
    out.put(std::uint64_t{all.size()});
    for (const Diagnostic& d : all) {
        out.put(std::uint8_t{d.severity == Severity::warning});
        out.put(std::string_view(d.source));
        out.put(std::string_view(d.path));
        out.put(std::string_view(d.message));
    }
}
inline bool get(BinaryReader& in, Diagnostics& all) {
    std::uint64_t size = 0;
    if (!in.get(size)) return false;
    for (std::uint64_t i = 0; i != size; ++i) {
        Diagnostic d;
        std::uint8_t is_warning = 0;
        if (!in.get(is_warning) || !in.get(d.source) || !in.get(d.path) || !in.get(d.message)) return false;
        d.severity = is_warning != 0 ? Severity::warning : Severity::error;
        all.push_back(std::move(d));
    }
    return true;
}

}  // namespace detail
}  // namespace amct_distill
