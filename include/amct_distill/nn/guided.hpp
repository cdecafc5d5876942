// SPDX-License-Identifier: Apache-2.0
/// What a module may be told while its block is trained, and what it may add to the block's loss.
///
///     struct MyLayer : nn::GuidedModule { ... };         // besides a module's members
///     if (nn::GuidedModule* guided = module.guided()) guided->begin_step({.step = 3, .steps = 120});
///
/// A quantized layer is one: its quantizers need it (see quant/quantizer.hpp). Other modules are not.
#pragma once
#include <cstddef>
#include <span>

#include "../run/training_step.hpp"
#include "scratch.hpp"
#include "tensor.hpp"

namespace amct_distill::nn {

/// Does nothing by itself: a module overrides what it needs.
template <class T>
class BasicGuidedModule {
public:
    /// Before each training step, and before the module prepares for it.
    virtual void begin_step(const TrainingStep&) {}
    /// Before a loss is judged, and at the end of the training: from now on as deployed.
    virtual void end_steps() {}
    /// Whether a training has phases here; then its result is judged only in steps that are settled and at
    /// its end, and it is not started again from what was best before.
    virtual bool has_phases() const { return false; }
    /// Whether the step computes what is deployed, up to chance.
    virtual bool is_settled() const { return true; }
    /// At this step, of the parameters whose role is `Role::guided`.
    virtual double learning_rate() const { return 0; }
    /// How many weights `regularize` is a sum over; 0: it adds nothing.
    virtual std::size_t regularized() const { return 0; }
    /// A term of the block's loss; `factor` times its gradients is added to those of the parameters.
    virtual double regularize(double /*factor*/, std::span<BasicTensor<T>> /*grad_parameters*/,
                              BasicScratch<T>&) const {
        return 0;
    }

protected:
    BasicGuidedModule() = default;
    BasicGuidedModule(const BasicGuidedModule&) = default;
    BasicGuidedModule& operator=(const BasicGuidedModule&) = default;
    ~BasicGuidedModule() = default;
};

using GuidedModule = BasicGuidedModule<float>;

}  // namespace amct_distill::nn
