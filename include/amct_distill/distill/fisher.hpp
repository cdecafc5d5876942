// SPDX-License-Identifier: Apache-2.0
/// What the elements of a block's outputs count for the network's: weights of the block's squared error.
///
///     FisherWeights fisher(runner_of_teacher, block, {.seed = 7});
///     // value_of(id): the teacher's tensor, of fisher.given() and of block.outputs, for batch i
///     fisher.compute(i, samples, value_of, weights);
///
/// The weight of an element is the squared gradient there of half the squared distance between the network's
/// outputs and such that are off by plus or minus one, at random, in every element. Its expectation is the
/// diagonal of J'J, J being the derivative of the outputs: what a small error there does to them. Nothing but
/// inputs is needed. Source: Li et al. 2021 (BRECQ), with the teacher's outputs in the place of labels.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "../nn/network.hpp"
#include "../run/random_bits.hpp"
#include "../student/slices.hpp"
#include "blocks.hpp"

namespace amct_distill {

struct FisherOptions {
    std::uint64_t seed = 1;
};

class FisherWeights {
public:
    /// Runner (the teacher's) and block outlive it.
    FisherWeights(SliceRunner& runner, const TrainedBlock& block, const FisherOptions& options)
        : runner_(runner), block_(block), options_(options) {
        const nn::Network& net = runner.network();
        auto const is_of = [&](const std::vector<nn::NodeId>& operations, nn::NodeId value) {
            return std::ranges::find(operations, detail::operation_of(net, value)) != operations.end();
        };
        for (nn::NodeId id : net.operations())
            if (id > block.nodes.front() && !is_of(block.nodes, id)) after_.push_back(id);
        for (nn::NodeId id : after_)
            for (nn::NodeId input : net.node(id).inputs)
                if (net.node(input).kind != NodeKind::constant && !is_of(after_, input)) need(input);
        for (nn::NodeId id : net.outputs())
            if (is_of(after_, id)) ends_.push_back(id);
        values_ = given_;
        values_.insert(values_.end(), block.outputs.begin(), block.outputs.end());
        for (nn::Tape& tape : runner.tapes()) tape.input_gradients = true;
    }
    FisherWeights(const FisherWeights&) = delete;
    FisherWeights& operator=(const FisherWeights&) = delete;

    /// Values from before the block, or within it, that what comes after it reads.
    std::span<const nn::NodeId> given() const { return given_; }

    /// Of a batch's number, of whose samples this rank has some. `weights` become those of the block's
    /// outputs, a sample's with a mean of 1; where no output of the network depends on the block, all are 1.
    template <class ValueOf>
    void compute(std::size_t batch, nn::Index samples, ValueOf&& value_of, std::vector<nn::Tensor>& weights) {
        const nn::Network& net = runner_.network();
        weights.resize(block_.outputs.size());
        for (std::size_t k = 0; k != weights.size(); ++k)
            weights[k].resize(value_of(block_.outputs[k]).shape());
        runner_.prepare(after_);
        runner_.for_each(samples, [&](std::size_t, BatchSlice slice, nn::Tape& tape, std::size_t) {
            for (nn::NodeId id : values_)
                detail::take_slice(value_of(id), net.node(id).shape, slice, tape.output(id));
            net.forward_nodes(after_, tape, nn::Mode::evaluate);
            std::vector<nn::Tensor> seeds;
            std::vector<const nn::Tensor*> views;
            for (nn::NodeId id : ends_) seeds.push_back(signs(batch, id, tape.output(id), slice));
            for (const nn::Tensor& seed : seeds) views.push_back(&seed);
            if (!ends_.empty()) net.backward_nodes(after_, ends_, views, tape, nn::Mode::evaluate);
            for (std::size_t k = 0; k != weights.size(); ++k) {
                nn::NodeId const id = block_.outputs[k];
                nn::Tensor gradient(tape.output(id).shape());
                if (!ends_.empty() && is_read_[k]) nn::array(gradient) = nn::array(tape.gradient(id));
                if (std::ranges::find(net.outputs(), id) != net.outputs().end())
                    nn::array(gradient) += nn::array(signs(batch, id, gradient, slice));
                auto const to = runner_.is_cut() ? detail::values_of(weights[k], slice) : weights[k].span();
                for (std::size_t i = 0; i != to.size(); ++i) to[i] = gradient[i] * gradient[i];
            }
            for (nn::Index s = 0; s != (runner_.is_cut() ? slice.size() : 1); ++s) scale(weights, slice, s);
        });
    }

private:
    void need(nn::NodeId value) {
        auto const output = std::ranges::find(block_.outputs, value);
        if (output != block_.outputs.end())
            is_read_[static_cast<std::size_t>(output - block_.outputs.begin())] = true;
        else if (std::ranges::find(given_, value) == given_.end())
            given_.push_back(value);
    }
    /// Plus or minus one for each element, whatever the slice.
    nn::Tensor signs(std::size_t batch, nn::NodeId id, const nn::Tensor& like, BatchSlice slice) const {
        RandomBits const bits(mixed(options_.seed, batch, id.index));
        std::size_t const one = like.dim(0) == 0 ? 0 : like.size() / static_cast<std::size_t>(like.dim(0));
        std::size_t const first = runner_.is_cut() ? static_cast<std::size_t>(slice.first) * one : 0;
        nn::Tensor out(like.shape());
        for (std::size_t i = 0; i != out.size(); ++i) out[i] = (bits(first + i) & 1) != 0 ? 1.0f : -1.0f;
        return out;
    }
    /// A sample's weights, the s-th of the slice, or all.
    void scale(std::vector<nn::Tensor>& weights, BatchSlice slice, nn::Index s) const {
        auto const of_sample = [&](nn::Tensor& t) {
            return runner_.is_cut() ? detail::values_of(t, BatchSlice{slice.begin + s, slice.begin + s + 1,
                                                                      slice.first + s})
                                    : t.span();
        };
        double sum = 0, count = 0;
        for (nn::Tensor& t : weights) {
            for (float const w : of_sample(t)) sum += static_cast<double>(w);
            count += static_cast<double>(of_sample(t).size());
        }
        bool const has_any = sum > 0 && std::isfinite(sum) && std::isfinite(count / sum);
        for (nn::Tensor& t : weights)
            for (float& w : of_sample(t)) w = has_any ? static_cast<float>(w * (count / sum)) : 1.0f;
    }

    SliceRunner& runner_;
    const TrainedBlock& block_;
    FisherOptions options_;
    std::vector<nn::NodeId> after_{};             // operations
    std::vector<nn::NodeId> given_{}, values_{};  // values that they read; and the block's outputs
    std::vector<nn::NodeId> ends_{};              // outputs that they compute
    std::vector<bool> is_read_ = std::vector<bool>(block_.outputs.size(), false);  // by them
};

}  // namespace amct_distill
