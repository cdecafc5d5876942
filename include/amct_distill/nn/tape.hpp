/// What a network computes: every node's output, gradient and buffers, and the parameters' gradients. The
/// caller owns it and hands it to one step after another, so that only the first one allocates.
///
///     Tape tape;
///     const Tensor& y = net.forward(images, tape, Mode::evaluate);
///     tape.output(relu1) = features;                          // a run may start in the middle of the graph
///     net.forward_nodes(block, tape, Mode::evaluate);
#pragma once
#include <compare>
#include <cstddef>
#include <deque>
#include <span>
#include <vector>

#include "module.hpp"

namespace amct_distill::nn {

/// A node of a network, in graph order.
struct NodeId {
    std::size_t index = 0;
    friend auto operator<=>(const NodeId&, const NodeId&) = default;
};

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

    /// The gradients of a module's parameters, parallel to its `parameters()`; summed over all backward
    /// runs since `BasicNetwork::zero_gradients`. Empty before.
    std::span<BasicTensor<T>> parameter_gradients(std::size_t module) {
        if (parameters_.size() <= module) parameters_.resize(module + 1);
        return parameters_[module];
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
    std::deque<Slot> slots_{};
    std::deque<std::vector<BasicTensor<T>>> parameters_{};
    std::vector<const BasicTensor<T>*> inputs_{};  // of the node being run
    std::vector<BasicTensor<T>*> grad_inputs_{};   // likewise
    Shape shape_{};                                // likewise, of its output
};

using Tape = BasicTape<float>;

}  // namespace amct_distill::nn
