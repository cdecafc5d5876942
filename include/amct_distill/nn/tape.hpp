// SPDX-License-Identifier: Apache-2.0
/// The workspace of a network's run: every node's output, gradient and buffers, and the parameters'
/// gradients. The caller owns it and hands it to one step after another, so that only the first one
/// allocates.
///
///     Tape tape;
///     const Tensor& y = net.forward(images, tape, Mode::evaluate);
///     tape.output(relu1) = features;                          // a run may start in the middle of the graph
///     net.forward_nodes(block, tape, Mode::evaluate);
#pragma once
#include <cstddef>
#include <deque>
#include <span>
#include <vector>

#include "../graph/ids.hpp"
#include "module.hpp"

namespace amct_distill::nn {

using amct_distill::ModuleId;
using amct_distill::NodeId;

template <class T>
class BasicNetwork;

template <class T>
class BasicTape {
public:
    /// With whose threads the modules compute; null: the caller's alone. The results are the same bits.
    explicit BasicTape(const Executor* executor = nullptr) : executor_(executor) {}
    void use(const Executor* executor) { executor_ = executor; }
    const Executor* executor() const { return executor_; }

    /// The output of a node, of rank 0 before the first run. References stay valid.
    BasicTensor<T>& output(NodeId node) { return slot(node).output; }
    /// Throws std::out_of_range for a node that no run has come by.
    const BasicTensor<T>& output(NodeId node) const { return slots_.at(node.index).output; }

    /// The gradient of the loss with respect to the node's output, after a backward run over it.
    BasicTensor<T>& gradient(NodeId node) { return slot(node).gradient; }
    const BasicTensor<T>& gradient(NodeId node) const { return slots_.at(node.index).gradient; }

    /// The gradients of a module's parameters, parallel to its parameters; summed over all backward
    /// runs since `BasicNetwork::zero_gradients`. Empty before.
    std::span<BasicTensor<T>> parameter_gradients(ModuleId module) {
        if (parameters_.size() <= module) parameters_.resize(module + 1);
        return parameters_[module];
    }

    /// What modules have prepared for several runs, by module (empty: nothing); null: each run does it
    /// itself.
    void use_prepared(const std::vector<BasicTensor<T>>* prepared) { prepared_ = prepared; }

    /// Which sample of the whole batch is the first of those it runs.
    void use_first_sample(Index sample) { first_sample_ = sample; }

    /// What it holds, in bytes. After a step of a network that is, for every node: the output and, where it
    /// was run backward, the gradient, as large as each other; a gradient for every parameter; and what the
    /// modules borrow. For t threads, a batch of n, and weights of w values, these are at most, in values:
    ///
    ///     Conv2d, forward     (98560 + l) t
    ///     Conv2d, backward    (139520 + 2 l) t + max(w, min(2 Mi, 8 w))     (kernels of at most 416 pixels)
    ///     Linear              98560 t + n max(inputs, outputs)
    ///
    /// where l is what 256 positions see of a channel, with zeros around it;
    /// and of a quantized layer, besides, three times its weight and three times its input. Nothing grows
    /// from step to step.
    std::size_t bytes() const {
        std::size_t sum = 0;
        auto const add = [&](const BasicTensor<T>& t) { sum += t.capacity() * sizeof(T); };
        for (const Slot& slot : slots_) {
            add(slot.output);
            add(slot.gradient);
            sum += slot.scratch.bytes();
        }
        for (const auto& gradients : parameters_)
            for (const BasicTensor<T>& gradient : gradients) add(gradient);
        return sum;
    }

    /// Whether a backward run also computes the gradients of what its nodes read from outside the run: the
    /// inputs of the network, or of a block. Most runs have no use for them, and they cost a convolution.
    bool input_gradients = false;

private:
    friend class BasicNetwork<T>;

    struct Slot {
        BasicTensor<T> output{}, gradient{};
        BasicScratch<T> scratch{};
        bool wanted = false;  ///< the backward run in progress computes this gradient
    };
    Slot& slot(NodeId node) {
        if (slots_.size() <= node.index) slots_.resize(node.index + 1);
        return slots_[node.index];
    }

    const Executor* executor_;
    const std::vector<BasicTensor<T>>* prepared_ = nullptr;
    Index first_sample_ = 0;
    std::deque<Slot> slots_{};
    std::deque<std::vector<BasicTensor<T>>> parameters_{};
    std::vector<const BasicTensor<T>*> inputs_{};  // of the node being run
    std::vector<BasicTensor<T>*> outputs_{};       // likewise, its first and those of its ports
    std::vector<const BasicTensor<T>*> done_{}, grad_outputs_{};  // likewise, when it runs backward
    std::vector<BasicTensor<T>*> grad_inputs_{};                  // likewise
    std::vector<BasicParameter<T>> list_{};  // of the module that `fit_gradients` looks at
};

using Tape = BasicTape<float>;

}  // namespace amct_distill::nn
