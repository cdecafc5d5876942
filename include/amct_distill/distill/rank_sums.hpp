// SPDX-License-Identifier: Apache-2.0
/// Adds up the slices' gradients of all ranks along the tree of `tree_sum`.
///
///     RankSums sums(ranks);
///     sums.add_up(slices, 8, losses, result);      // slices[k]: a tensor for each parameter; this rank's k
///
/// A rank first adds what is a subtree of its own slices. Then each rank has a part of the elements, of which
/// it is sent the subtrees, adds them up, and sends the sums to all: as many bytes for two ranks as for a
/// hundred. Where that is little, all of it goes to all at once.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "../nn/tensor.hpp"
#include "../run/ranks.hpp"
#include "../student/slices.hpp"

namespace amct_distill::detail {

/// Whether an addition is of values that are all in a range.
inline bool is_within(IndexRange range, std::size_t i, std::size_t stride, std::size_t count) {
    return i >= range.begin && (std::min)(i + 2 * stride, count) <= range.end;
}

/// The values of a range that are left after the additions within it: each the sum of a subtree.
inline std::vector<std::size_t> roots_of(IndexRange range, std::size_t count) {
    std::vector<bool> is_added(count, false);
    for_each_addition(count, [&](std::size_t i, std::size_t stride) {
        if (is_within(range, i, stride, count)) is_added[i + stride] = true;
    });
    std::vector<std::size_t> roots;
    for (std::size_t k = range.begin; k != range.end; ++k)
        if (!is_added[k]) roots.push_back(k);
    return roots;
}

class RankSums {
public:
    /// Up to how many bytes of gradients everything goes to all.
    static constexpr std::size_t least_to_part = 1 << 16;

    explicit RankSums(Ranks* ranks, std::size_t to_part = least_to_part) : ranks_(ranks), to_part_(to_part) {}

    /// slices[k][p]: the gradient of parameter p on slice k, of this rank's slices; overwritten. sums[p]
    /// becomes that of all. `losses`, one a slice, become everyone's.
    void add_up(std::vector<std::vector<nn::Tensor>>& slices, std::size_t count, std::span<double> losses,
                std::span<nn::Tensor> sums) {
        IndexRange const own = own_range(ranks_, count);
        for_each_addition(count, [&](std::size_t i, std::size_t stride) {
            if (is_within(own, i, stride, count))
                for (std::size_t p = 0; p != sums.size(); ++p)
                    nn::array(slices[i][p]) += nn::array(slices[i + stride][p]);
        });
        prepare(count, sums);
        std::size_t const me = ranks_->rank(), n = ranks_->size();
        // What goes to rank r: the losses, then the elements of r's part, root by root.
        exchange_.begin(ranks_);
        for (std::size_t r = 0; r != n; ++r) {
            if (r == me) continue;
            IndexRange const part = part_of(r);
            std::vector<std::byte>& out = out_[r];
            out.resize(own.size() * sizeof(double) + roots_[me].size() * part.size() * sizeof(float));
            std::ranges::copy(std::as_bytes(losses.subspan(own.begin, own.size())), out.begin());
            auto* to = reinterpret_cast<float*>(out.data() + own.size() * sizeof(double));
            for (std::size_t root : roots_[me]) to = copy(slices[root], part, to);
            exchange_.send(r, std::span<const std::byte>(out));
            IndexRange const theirs = range_of_rank(count, r, n);
            in_[r].resize(theirs.size() * sizeof(double) +
                          roots_[r].size() * part_of(me).size() * sizeof(float));
            exchange_.receive(r, std::span(in_[r]));
        }
        exchange_.run(ranks_);
        IndexRange const part = part_of(me);
        own_.resize(roots_[me].size() * part.size());
        float* to = own_.data();
        for (std::size_t root : roots_[me]) to = copy(slices[root], part, to);
        at_.assign(count, nullptr);
        for (std::size_t r = 0; r != n; ++r) {
            IndexRange const theirs = range_of_rank(count, r, n);
            float* from = own_.data();
            if (r != me) {
                std::ranges::copy(
                    std::span(in_[r]).first(theirs.size() * sizeof(double)),
                    std::as_writable_bytes(losses.subspan(theirs.begin, theirs.size())).begin());
                from = reinterpret_cast<float*>(in_[r].data() + theirs.size() * sizeof(double));
            }
            for (std::size_t root : roots_[r]) at_[root] = from, from += part.size();
        }
        auto const size = static_cast<nn::Index>(part.size());
        for_each_addition(count, [&](std::size_t i, std::size_t stride) {
            for (std::size_t r = 0; r != n; ++r)
                if (is_within(range_of_rank(count, r, n), i, stride, count)) return;
            nn::ArrayMap<float>(at_[i], size) += nn::ArrayMap<float>(at_[i + stride], size);
        });
        all_.resize(total_);
        std::copy_n(at_[0], part.size(), all_.data() + part.begin);
        if (!in_parts_) return give(sums);
        exchange_.begin(ranks_);
        for (std::size_t r = 0; r != n; ++r) {
            auto const of = [&](IndexRange range) {
                return std::span(all_).subspan(range.begin, range.size());
            };
            exchange_.send(r, std::span<const float>(of(part)));
            exchange_.receive(r, of(part_of(r)));
        }
        exchange_.run(ranks_);
        give(sums);
    }

private:
    void prepare(std::size_t count, std::span<const nn::Tensor> sums) {
        total_ = 0;
        for (const nn::Tensor& t : sums) total_ += t.size();
        in_parts_ = total_ * sizeof(float) > to_part_;
        std::size_t const n = ranks_->size();
        out_.resize(n);
        in_.resize(n);
        if (count == count_) return;
        count_ = count;
        roots_.clear();
        for (std::size_t r = 0; r != n; ++r) roots_.push_back(roots_of(range_of_rank(count, r, n), count));
    }
    /// The elements, of all parameters one after the other, that rank r adds up.
    IndexRange part_of(std::size_t r) const {
        return in_parts_ ? range_of_rank(total_, r, ranks_->size()) : IndexRange{0, total_};
    }
    /// Elements of some tensors, as if they were one.
    static float* copy(std::span<const nn::Tensor> from, IndexRange part, float* to) {
        std::size_t at = 0;
        for (const nn::Tensor& t : from) {
            std::size_t const begin = (std::max)(at, part.begin), end = (std::min)(at + t.size(), part.end);
            if (begin < end) to = std::copy_n(t.data() + (begin - at), end - begin, to);
            at += t.size();
        }
        return to;
    }
    void give(std::span<nn::Tensor> sums) const {
        const float* from = all_.data();
        for (nn::Tensor& t : sums) {
            std::copy_n(from, t.size(), t.data());
            from += t.size();
        }
    }

    Ranks* ranks_;
    std::size_t to_part_, total_ = 0, count_ = 0;
    bool in_parts_ = false;
    std::vector<std::vector<std::size_t>> roots_{};  // by rank
    std::vector<std::vector<std::byte>> out_{}, in_{};
    std::vector<float> own_{}, all_{};
    std::vector<float*> at_{};  // of each root, the elements that this rank adds up
    Exchange exchange_{};
};

}  // namespace amct_distill::detail
