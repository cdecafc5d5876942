// SPDX-License-Identifier: Apache-2.0
/// What a module of a network is: pure functions forward and backward, and parameters.
///
///     Module m = Conv2d({.in_channels = 1, .out_channels = 8, .kernel = {3, 3}});
///     m.type();                                           // "Conv2d"
///     for (auto& p : m.parameters()) use(p.name, p.role, p.values);
///     if (Conv2d* conv = m.get_if<Conv2d>()) conv->weight().fill(0);
///
/// A module of one's own is a copyable type with the members that the concept `ModuleOf` lists, and any of
/// the hooks `options()`, `parameters(list)`, `check_parameters()`, `constrain()`,
/// `update_statistics(inputs)`; nothing is registered or derived from. One with weights that can be quantized
/// says so by the members of `WeightedModule`. The examples user_module.cpp and custom_layer have one each.
#pragma once
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include "../core/result.hpp"
#include "guided.hpp"
#include "options_text.hpp"
#include "parameter.hpp"
#include "scratch.hpp"
#include "tensor.hpp"
#include "weighted.hpp"

namespace amct_distill::nn {

/// In `train` BatchNorm normalizes by the batch's own statistics; all else is the same in both.
enum class Mode { evaluate, train };

template <class T>
using BasicInputs = std::span<const BasicTensor<T>* const>;

/// The contract of a module. All of it is const and pure: what backward needs it finds in its arguments.
///
/// - `type_name`, or a function `type()`: the type as PyTorch spells it, the one a configuration speaks of.
///   Optionally `operation`, of the same kind, the name as ONNX spells it, where that is another; it is the
///   type of a use without a named module.
/// - `output_shape(inputs)`: the shape, or an error that says what was expected and what was found.
///   Dimension 0 may be `any_batch` and is passed on.
/// - `forward(inputs, output, scratch, mode)`: `output` has its shape already; its values are overwritten.
/// - `backward(inputs, output, grad_output, grad_inputs, grad_parameters, scratch, mode)`: ADDS to the
///   gradients, so that fan-out and accumulation need nothing else. A null `grad_inputs[i]` is not wanted;
///   two of them may be the same tensor. `grad_parameters` run parallel to `parameters`.
/// - Optionally `options()`: an aggregate of numbers, flags, texts and lists of them, from which the module
///   can be constructed. Printing, saving and fingerprints of networks read it by reflection.
///   `parameters(list)`: appends a `BasicParameter<T>` for each; always the same ones in one order.
///   `check_parameters()`: a `result<void>` that says which of them has not the shape that the options say.
///   `prepare(out, scratch)`: computes what depends on the parameters alone (a quantized weight) for several
///   runs, which find it in `scratch.prepared()`; and with it `finish_gradients(grad_parameters, scratch)`:
///   what those runs' backward left to be done once, on the sums of their gradients.
///   `constrain()`: what must hold after every step of the optimizer. `update_statistics(inputs)`: what it
///   learns outside of the gradients. A hook that is misspelt is not there: test that it is called.
///   One that derives from `GuidedModule` is told the steps of its training: guided.hpp.
///   `static constexpr bool is_homogeneous = true`: f(a x) = a f(x) for every a above 0, and for each channel
///   (dimension 1) of its one input alone, so that what scales channels before it may take it for granted.
template <class M>
concept HasType = requires(const M m) {
    { m.type() } -> std::convertible_to<std::string_view>;
}
|| requires {
    { M::type_name } -> std::convertible_to<std::string_view>;
};

template <class M, class T>
concept ModuleOf = HasType<M> && std::copyable<M> &&
    requires(const M m, std::span<const Shape> shapes, BasicInputs<T> inputs, BasicTensor<T>& output,
             const BasicTensor<T>& tensor, std::span<BasicTensor<T>* const> grad_inputs,
             std::span<BasicTensor<T>> grad_parameters, BasicScratch<T>& scratch, Mode mode) {
    { m.output_shape(shapes) } -> std::same_as<result<Shape>>;
    m.forward(inputs, output, scratch, mode);
    m.backward(inputs, tensor, tensor, grad_inputs, grad_parameters, scratch, mode);
};

/// A module with several outputs: the same, with a list where the other has one tensor.
template <class M, class T>
concept MultiModuleOf = HasType<M> && std::copyable<M> &&
    requires(const M m, std::span<const Shape> shapes, BasicInputs<T> inputs,
             std::span<BasicTensor<T>* const> outputs, std::span<BasicTensor<T>* const> grad_inputs,
             std::span<BasicTensor<T>> grad_parameters, BasicScratch<T>& scratch, Mode mode) {
    { m.output_shapes(shapes) } -> std::same_as<result<std::vector<Shape>>>;
    m.forward(inputs, outputs, scratch, mode);
    m.backward(inputs, inputs, inputs, grad_inputs, grad_parameters, scratch, mode);
};

/// What a BasicModule asks of the module that it holds. A class of its own: of one within BasicModule clang's
/// compiled library would not have the table of virtual functions.
template <class T>
struct ModuleInterface {
    ModuleInterface() = default;
    ModuleInterface(const ModuleInterface&) = default;
    ModuleInterface& operator=(const ModuleInterface&) = delete;
    virtual ~ModuleInterface() = default;
    virtual std::unique_ptr<ModuleInterface> clone() const = 0;
    virtual std::string_view type() const = 0;
    virtual std::string_view operation() const = 0;
    virtual std::string options() const = 0;
    virtual bool is_homogeneous() const = 0;
    virtual result<std::vector<Shape>> output_shapes(std::span<const Shape>) const = 0;
    virtual void forward(BasicInputs<T>, std::span<BasicTensor<T>* const>, BasicScratch<T>&, Mode) const = 0;
    virtual void backward(BasicInputs<T>, BasicInputs<T>, BasicInputs<T>, std::span<BasicTensor<T>* const>,
                          std::span<BasicTensor<T>>, BasicScratch<T>&, Mode) const = 0;
    virtual void parameters(std::vector<BasicParameter<T>>&) = 0;
    virtual result<void> check_parameters() const = 0;
    virtual bool prepare(BasicTensor<T>&, BasicScratch<T>&) const = 0;
    virtual void finish_gradients(std::span<BasicTensor<T>>, BasicScratch<T>&) const = 0;
    virtual void constrain() = 0;
    virtual void update_statistics(BasicInputs<T>) = 0;
    virtual BasicWeighted<T>* weighted() = 0;
    virtual BasicGuidedModule<T>* guided() = 0;
    /// The module that is held, when it is of this type; else null.
    virtual void* find(const std::type_info& type) = 0;
};

/// Any module, by value: a copy is a copy of the parameters.
template <class T>
class BasicModule {
public:
    template <class M>
    requires(!std::same_as<M, BasicModule> && (ModuleOf<M, T> || MultiModuleOf<M, T>)) BasicModule(M module)
        : held_(std::make_unique<Holder<M>>(std::move(module))) {}

    BasicModule(const BasicModule& other) : held_(other.held_->clone()) {}
    BasicModule(BasicModule&&) noexcept = default;
    BasicModule& operator=(BasicModule other) noexcept {
        held_ = std::move(other.held_);
        return *this;
    }
    ~BasicModule() = default;

    std::string_view type() const { return held_->type(); }
    std::string_view operation() const { return held_->operation(); }
    /// The options by name, "in_channels: 1 out_channels: 8 ..."; empty for a module that has none.
    std::string options() const { return held_->options(); }
    /// Whether the module says of itself that scaling a channel of its input scales that of its output.
    bool is_homogeneous() const { return held_->is_homogeneous(); }
    /// One for each output; most modules have one.
    result<std::vector<Shape>> output_shapes(std::span<const Shape> inputs) const {
        return held_->output_shapes(inputs);
    }
    /// Of the first output.
    result<Shape> output_shape(std::span<const Shape> inputs) const {
        auto shapes = held_->output_shapes(inputs);
        if (!shapes) return shapes.diagnostics();
        return std::move(shapes->front());
    }
    void forward(BasicInputs<T> inputs, std::span<BasicTensor<T>* const> outputs, BasicScratch<T>& scratch,
                 Mode mode) const {
        held_->forward(inputs, outputs, scratch, mode);
    }
    void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>& scratch, Mode mode) const {
        BasicTensor<T>* const outputs[] = {&output};
        held_->forward(inputs, outputs, scratch, mode);
    }
    void backward(BasicInputs<T> inputs, BasicInputs<T> outputs, BasicInputs<T> grad_outputs,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>> grad_parameters,
                  BasicScratch<T>& scratch, Mode mode) const {
        held_->backward(inputs, outputs, grad_outputs, grad_inputs, grad_parameters, scratch, mode);
    }
    void backward(BasicInputs<T> inputs, const BasicTensor<T>& output, const BasicTensor<T>& grad_output,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>> grad_parameters,
                  BasicScratch<T>& scratch, Mode mode) const {
        const BasicTensor<T>*const outputs[] = {&output}, *const grad_outputs[] = {&grad_output};
        held_->backward(inputs, outputs, grad_outputs, grad_inputs, grad_parameters, scratch, mode);
    }

    std::vector<BasicParameter<T>> parameters() {
        std::vector<BasicParameter<T>> list;
        held_->parameters(list);
        return list;
    }
    std::vector<BasicParameter<const T>> parameters() const {
        std::vector<BasicParameter<T>> all;
        held_->parameters(all);
        return {all.begin(), all.end()};
    }
    /// Appends them to a list, which need not allocate then.
    void parameters(std::vector<BasicParameter<T>>& list) { held_->parameters(list); }
    /// Error: a parameter has not the shape that the options ask for.
    result<void> check_parameters() const { return held_->check_parameters(); }
    /// Makes the gradients run parallel to the parameters: zeros, where there is none of a parameter's shape.
    /// `list` is a buffer.
    void fit_gradients(std::vector<BasicTensor<T>>& gradients, std::vector<BasicParameter<T>>& list) const {
        list.clear();
        held_->parameters(list);
        gradients.resize(list.size());
        for (std::size_t k = 0; k != list.size(); ++k)
            if (!std::ranges::equal(gradients[k].shape(), list[k].shape()))
                gradients[k] = BasicTensor<T>(Shape(list[k].shape().begin(), list[k].shape().end()));
    }
    /// What depends on the parameters alone, for several runs; false: nothing does.
    bool prepare(BasicTensor<T>& out, BasicScratch<T>& scratch) const { return held_->prepare(out, scratch); }
    /// After backward runs with what `prepare` gave: makes gradients of the parameters of their sums.
    void finish_gradients(std::span<BasicTensor<T>> grad_parameters, BasicScratch<T>& scratch) const {
        held_->finish_gradients(grad_parameters, scratch);
    }
    /// What must hold after every step of the optimizer (a clip range that stays open, ...).
    void constrain() { held_->constrain(); }
    /// What a module learns from its inputs outside of the gradients: BatchNorm's running statistics.
    void update_statistics(BasicInputs<T> inputs) { held_->update_statistics(inputs); }

    /// Its weights, when it is a WeightedModule: what can be quantized. Else null.
    const BasicWeighted<T>* weighted() const { return held_->weighted(); }
    BasicWeighted<T>* weighted() { return held_->weighted(); }

    /// What it is told of its training, when it derives from GuidedModule; else null.
    const BasicGuidedModule<T>* guided() const { return held_->guided(); }
    BasicGuidedModule<T>* guided() { return held_->guided(); }

    /// The module itself when it is an `M`, else null. (Asked by type_info: a cast to Holder<M> would compile
    /// all functions of every `M` that a program only asks for.)
    template <class M>
    M* get_if() {
        return static_cast<M*>(held_->find(typeid(M)));
    }
    template <class M>
    const M* get_if() const {
        return static_cast<const M*>(held_->find(typeid(M)));
    }

private:
    using Interface = ModuleInterface<T>;

    template <class M>
    struct Holder final : Interface {
        explicit Holder(M m) : module(std::move(m)) {}
        std::unique_ptr<Interface> clone() const override { return std::make_unique<Holder>(module); }
        std::string_view type() const override {
            if constexpr (requires { module.type(); })
                return module.type();
            else
                return M::type_name;
        }
        std::string_view operation() const override {
            if constexpr (requires { module.operation(); })
                return module.operation();
            else if constexpr (requires { M::operation; })
                return M::operation;
            else
                return type();
        }
        std::string options() const override {
            if constexpr (requires { std::string(module.options()); })
                return std::string(module.options());
            else if constexpr (requires { module.options(); })
                return detail::options_text(module.options());
            else
                return {};
        }
        bool is_homogeneous() const override {
            if constexpr (requires { M::is_homogeneous; })
                return M::is_homogeneous;
            else
                return false;
        }
        result<std::vector<Shape>> output_shapes(std::span<const Shape> inputs) const override {
            if constexpr (MultiModuleOf<M, T>) {
                return module.output_shapes(inputs);
            } else {
                auto shape = module.output_shape(inputs);
                if (!shape) return shape.diagnostics();
                return std::vector<Shape>{*std::move(shape)};
            }
        }
        void forward(BasicInputs<T> inputs, std::span<BasicTensor<T>* const> outputs,
                     BasicScratch<T>& scratch, Mode mode) const override {
            if constexpr (MultiModuleOf<M, T>)
                module.forward(inputs, outputs, scratch, mode);
            else
                module.forward(inputs, *outputs[0], scratch, mode);
        }
        void backward(BasicInputs<T> inputs, BasicInputs<T> outputs, BasicInputs<T> grad_outputs,
                      std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>> grad_parameters,
                      BasicScratch<T>& scratch, Mode mode) const override {
            if constexpr (MultiModuleOf<M, T>)
                module.backward(inputs, outputs, grad_outputs, grad_inputs, grad_parameters, scratch, mode);
            else
                module.backward(inputs, *outputs[0], *grad_outputs[0], grad_inputs, grad_parameters, scratch,
                                mode);
        }
        void parameters([[maybe_unused]] std::vector<BasicParameter<T>>& list) override {
            static_assert(
                !requires { module.parameters(); },
                "a module's parameters(list) appends to the list: void parameters(list)");
            if constexpr (requires { module.parameters(list); }) module.parameters(list);
        }
        result<void> check_parameters() const override {
            if constexpr (requires { module.check_parameters(); })
                return module.check_parameters();
            else
                return {};
        }
        bool prepare([[maybe_unused]] BasicTensor<T>& out,
                     [[maybe_unused]] BasicScratch<T>& scratch) const override {
            if constexpr (requires { module.prepare(out, scratch); }) {
                module.prepare(out, scratch);
                return true;
            } else {
                return false;
            }
        }
        void finish_gradients([[maybe_unused]] std::span<BasicTensor<T>> grad_parameters,
                              [[maybe_unused]] BasicScratch<T>& scratch) const override {
            if constexpr (requires { module.finish_gradients(grad_parameters, scratch); })
                module.finish_gradients(grad_parameters, scratch);
        }
        void constrain() override {
            if constexpr (requires { module.constrain(); }) module.constrain();
        }
        void update_statistics([[maybe_unused]] BasicInputs<T> inputs) override {
            if constexpr (requires { module.update_statistics(inputs); }) module.update_statistics(inputs);
        }
        BasicWeighted<T>* weighted() override {
            if constexpr (WeightedModuleOf<M, T>)
                return &weights;
            else
                return nullptr;
        }
        BasicGuidedModule<T>* guided() override {
            if constexpr (std::derived_from<M, BasicGuidedModule<T>>)
                return &module;
            else
                return nullptr;
        }

        void* find(const std::type_info& type) override { return type == typeid(M) ? &module : nullptr; }

        M module;
        struct None {
            explicit None(M&) {}
        };
        [[no_unique_address]] std::conditional_t<WeightedModuleOf<M, T>, detail::WeightedView<M, T>, None>
            weights{module};
    };

    std::unique_ptr<Interface> held_;
};

using Inputs = BasicInputs<float>;
using Module = BasicModule<float>;

}  // namespace amct_distill::nn

namespace amct_distill::detail {

/// A dimension of options as the index it is; a negative one counts as the batch, which constructors refuse.
inline std::size_t dimension(nn::Index dim) { return dim < 0 ? 0 : static_cast<std::size_t>(dim); }

/// The error of `check_parameters`: "weight: expected [8, 3], found [3, 8]". Does not allocate when all is
/// well.
template <class T>
result<void> check_shape(std::string_view name, const nn::BasicTensor<T>& tensor,
                         std::span<const nn::Index> expected) {
    if (std::ranges::equal(tensor.shape(), expected)) return {};
    return general_error(concat(name, ": expected ",
                                nn::to_string(nn::Shape(expected.begin(), expected.end())), ", found ",
                                nn::to_string(tensor.shape())));
}

/// The error of `output_shape`: "expected one input [N, 3, H, W], found [N, 1, 8, 8]".
inline Diagnostic unexpected_inputs(std::string_view expected, std::span<const nn::Shape> found) {
    std::string list = found.empty() ? "none" : "";
    for (const nn::Shape& shape : found) {
        if (!list.empty()) list += " and ";
        list += nn::to_string(shape);
    }
    return general_error(concat("expected ", expected, ", found ", list));
}

}  // namespace amct_distill::detail
