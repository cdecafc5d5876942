// SPDX-License-Identifier: Apache-2.0
/// A block's loss on a batch and the gradients of its parameters, slice by slice.
///
///     BlockGradient<MeanSquaredError> block(network, data.block(), modules, executor, 8);
///     double loss = block.loss(step, loss_function);               // forward
///     loss = block.loss_and_gradients(step, loss_function);        // and backward, into block.gradients()
///
/// Losses and gradients of the slices are added along one binary tree, whatever the threads and ranks.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "../nn/network.hpp"
#include "../student/slices.hpp"
#include "block_data.hpp"
#include "blocks.hpp"
#include "loss.hpp"
#include "rank_sums.hpp"

namespace amct_distill {

template <BlockLoss Loss>
class BlockGradient {
public:
    /// All but the list of modules outlive it; `modules` are the block's, each once.
    BlockGradient(nn::Network& network, const TrainedBlock& block, std::vector<ModuleId> modules,
                  const nn::Executor* executor, std::size_t slices)
        : network_(network),
          block_(block),
          modules_(std::move(modules)),
          runner_(network, executor, slices),
          work_(runner_.tapes().size()),
          losses_((std::max)(slices, std::size_t{1})),
          slices_(losses_.size()),
          rank_sums_(runner_.ranks()) {
        for (Work& w : work_) {
            w.targets.resize(block.outputs.size());
            w.weights.resize(block.outputs.size());
            w.gradients.resize(block.outputs.size());
            for (const nn::Tensor& g : w.gradients) w.views.push_back(&g);
        }
    }

    /// The trained parameters as they are now; the workspaces and sums are fitted to them.
    std::vector<nn::NamedParameter> parameters() {
        std::vector<nn::NamedParameter> trained;
        at_.clear();
        for (nn::Tape& tape : runner_.tapes()) {
            trained = network_.parameters(tape, modules_);
            std::erase_if(trained, [](const auto& p) { return p.role == nn::Role::statistic; });
        }
        for (ModuleId m : modules_) {
            auto const all = std::as_const(network_).module(m).parameters();
            for (std::size_t k = 0; k != all.size(); ++k)
                if (all[k].role != nn::Role::statistic) at_.push_back({m, k});
        }
        sums_.clear();
        for (const nn::NamedParameter& p : trained) sums_.emplace_back(p.gradient->shape());
        for (auto& slice : slices_)
            if (runner_.ranks() == nullptr)
                slice = sums_;
            else
                slice.clear();  // made where it is this rank's
        return trained;
    }
    /// Of the last `loss_and_gradients`, parallel to the parameters.
    std::span<nn::Tensor> gradients() { return sums_; }

    /// After a change of the parameters.
    void prepare() { runner_.prepare(block_.nodes); }
    double loss(const BlockData::Step& step, const Loss& loss) {
        runner_.for_each(samples(step),
                         [&](std::size_t k, BatchSlice slice, nn::Tape& tape, std::size_t worker) {
                             losses_[k] = forward(step, loss, slice, tape, work_[worker]);
                         });
        std::size_t const count = runner_.count(samples(step));
        detail::gather_ranges(runner_.ranks(), std::span(losses_).first(count), count, exchange_);
        return sum_of_losses(step);
    }
    /// What the loss is multiplied by where its gradients are taken, and the sum of the modules' own terms.
    struct Factors {
        double loss = 1;
        double regularizers = 0;  ///< 0: they add nothing
    };
    /// Returns the loss alone.
    double loss_and_gradients(const BlockData::Step& step, const Loss& loss, Factors factors = {}) {
        auto const all = static_cast<double>(values(step)) / factors.loss;
        auto const one = [&](std::size_t k, BatchSlice slice, nn::Tape& tape, std::size_t worker) {
            Work& work = work_[worker];
            losses_[k] = forward(step, loss, slice, tape, work);
            for (std::size_t o = 0; o != block_.outputs.size(); ++o) {
                const nn::Tensor& output = tape.output(block_.outputs[o]);
                nn::Tensor& gradient = work.gradients[o];
                gradient.resize(output.shape());
                auto const share = static_cast<float>(static_cast<double>(output.size()) / all);
                if constexpr (InPlaceBlockLoss<Loss>)
                    if (step.weights.empty()) {
                        loss.gradient_of(output.span(), targets(step, o, slice), share, gradient.span());
                        continue;
                    }
                if constexpr (WeightedBlockLoss<Loss>) {
                    if (step.weights.empty())
                        loss.gradient(output, work.targets[o], gradient);
                    else
                        loss.gradient(output, work.targets[o], work.weights[o], gradient);
                } else {
                    loss.gradient(output, work.targets[o], gradient);
                }
                if (share != 1) nn::array(gradient) *= share;
            }
            for (ModuleId m : modules_)
                for (nn::Tensor& g : tape.parameter_gradients(m)) g.fill(0);
            network_.backward_nodes(block_.nodes, block_.outputs, work.views, tape, nn::Mode::evaluate);
            if (slices_[k].empty()) slices_[k] = sums_;
            for (std::size_t p = 0; p != at_.size(); ++p)
                std::swap(tape.parameter_gradients(at_[p].first)[at_[p].second], slices_[k][p]);
        };
        if (!std::exchange(has_room_, true)) runner_.make_room(samples(step), one);
        runner_.for_each(samples(step), one);
        if (std::size_t const count = runner_.count(samples(step)); runner_.ranks() != nullptr)
            rank_sums_.add_up(slices_, count, losses_, sums_);
        else
            add_up(count);
        finish_gradients(factors.regularizers);
        return sum_of_losses(step);
    }
    /// Of the block's outputs, on the whole batch.
    std::size_t values(const BlockData::Step& step) const {
        std::size_t n = 0;
        for (std::size_t k = 0; k != step.targets.size(); ++k) {
            const nn::Shape& shape = network_.node(block_.outputs[k]).shape;
            n += runner_.ranks() == nullptr
                     ? step.targets[k].size()
                     : static_cast<std::size_t>(step.samples * nn::product(shape, 1, shape.size()));
        }
        return n;
    }

private:
    /// What a slice needs besides its tape; one for each that runs at a time.
    struct Work {
        std::vector<nn::Tensor> targets{}, weights{}, gradients{};
        std::vector<const nn::Tensor*> views{};
    };

    static nn::Index samples(const BlockData::Step& step) { return step.samples; }
    std::span<const float> targets(const BlockData::Step& step, std::size_t output, BatchSlice slice) const {
        const nn::Tensor& all = step.targets[output];
        bool const is_cut = network_.node(block_.outputs[output]).shape[0] == nn::any_batch;
        return is_cut ? detail::values_of(all, slice) : all.span();
    }
    /// The loss of a slice times its number of elements.
    double forward(const BlockData::Step& step, const Loss& loss, BatchSlice slice, nn::Tape& tape,
                   Work& work) const {
        for (std::size_t k = 0; k != block_.inputs.size(); ++k)
            detail::take_slice(step.inputs[k], network_.node(block_.inputs[k]).shape, slice,
                               tape.output(block_.inputs[k]));
        network_.forward_nodes(block_.nodes, tape, nn::Mode::evaluate);
        double sum = 0;
        for (std::size_t k = 0; k != block_.outputs.size(); ++k) {
            const nn::Tensor& output = tape.output(block_.outputs[k]);
            auto const size = static_cast<double>(output.size());
            if constexpr (InPlaceBlockLoss<Loss>)
                if (step.weights.empty()) {
                    sum += static_cast<double>(loss.of(output.span(), targets(step, k, slice))) * size;
                    continue;
                }
            detail::take_slice(step.targets[k], network_.node(block_.outputs[k]).shape, slice,
                               work.targets[k]);
            if constexpr (WeightedBlockLoss<Loss>)
                if (!step.weights.empty()) {
                    detail::take_slice(step.weights[k], network_.node(block_.outputs[k]).shape, slice,
                                       work.weights[k]);
                    sum += static_cast<double>(loss(output, work.targets[k], work.weights[k])) * size;
                    continue;
                }
            sum += static_cast<double>(loss(output, work.targets[k])) * size;
        }
        return sum;
    }
    double sum_of_losses(const BlockData::Step& step) {
        return detail::tree_sum(std::span(losses_).first(runner_.count(samples(step)))) /
               static_cast<double>(values(step));
    }
    /// What a module does once, on the sums of its gradients.
    void finish_gradients(double regularizers) {
        finishing_.use(runner_.executor());
        for (std::size_t p = 0; p != at_.size();) {
            std::size_t n = 1;
            while (p + n != at_.size() && at_[p + n].first == at_[p].first) ++n;
            nn::Module& module = network_.module(at_[p].first);
            auto const gradients = std::span(sums_).subspan(p, n);
            module.finish_gradients(gradients, finishing_);
            if (nn::GuidedModule* const guided = module.guided(); guided != nullptr && regularizers != 0)
                if (guided->regularized() != 0) guided->regularize(regularizers, gradients, finishing_);
            p += n;
        }
    }
    /// Each element along the tree of `tree_sum`; parts of the elements on all threads.
    void add_up(std::size_t count) {
        for (std::size_t p = 0; p != sums_.size(); ++p) {
            std::size_t const size = sums_[p].size(), parts = (size + part - 1) / part;
            auto const one = [&](std::size_t k) {
                auto const begin = static_cast<nn::Index>(k * part);
                auto const n = static_cast<nn::Index>((std::min)(part, size - k * part));
                auto const of = [&](nn::Tensor& t) { return nn::ArrayMap<float>(t.data() + begin, n); };
                detail::for_each_addition(count, [&](std::size_t i, std::size_t stride) {
                    of(slices_[i][p]) += of(slices_[i + stride][p]);
                });
                of(sums_[p]) = of(slices_[0][p]);
            };
            if (runner_.executor() != nullptr && parts > 1)
                runner_.executor()->parallel_for(parts, one);
            else
                nn::Executor::run_here(parts, one);
        }
    }
    static constexpr std::size_t part = 1 << 16;

    nn::Network& network_;
    const TrainedBlock& block_;
    std::vector<ModuleId> modules_;
    SliceRunner runner_;
    std::vector<Work> work_;
    std::vector<double> losses_;                          // by slice
    std::vector<std::vector<nn::Tensor>> slices_;         // gradients, by slice and parameter
    std::vector<std::pair<ModuleId, std::size_t>> at_{};  // of each trained parameter
    std::vector<nn::Tensor> sums_{};
    nn::Scratch finishing_{};
    detail::RankSums rank_sums_;
    detail::Exchange exchange_{};
    bool has_room_ = false;
};

}  // namespace amct_distill
