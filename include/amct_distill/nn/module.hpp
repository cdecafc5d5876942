// SPDX-License-Identifier: Apache-2.0
/// What a module of a network is: pure functions forward and backward, and parameters.
///
///     Module m = Conv2d({.in_channels = 1, .out_channels = 8, .kernel = {3, 3}});
///     m.type();                                           // "Conv2d"
///     for (auto& p : m.parameters()) use(p.name, p.role, *p.value);
///     if (Conv2d* conv = m.get_if<Conv2d>()) conv->weight().fill(0);
///
/// A module of one's own is a copyable type with the members that the concept `ModuleOf` lists, and any of
/// the hooks `parameters(list)`, `constrain()`, `update_statistics(inputs)`; nothing is registered or derived
/// from. The example user_module.cpp has one.
#pragma once
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <deque>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/result.hpp"
#include "../run/executor.hpp"
#include "tensor.hpp"

namespace amct_distill::nn {

/// In `train` BatchNorm normalizes by the batch's own statistics; all else is the same in both.
enum class Mode { evaluate, train };

/// What a parameter is to the optimizer. A statistic (BatchNorm's running mean) is not trained.
enum class Role { weight, bias, affine, clip, scale, statistic };

template <class T>
struct BasicParameter {
    std::string_view name{};  ///< "weight", "bias", ...; unique in its module
    Role role = Role::weight;
    BasicTensor<T>* value = nullptr;
};
template <class T>
struct BasicConstParameter {
    std::string_view name{};
    Role role = Role::weight;
    const BasicTensor<T>* value = nullptr;
};

/// What a node lends to its module: buffers, so that only the first step allocates, and threads. The buffers
/// carry nothing from one call to the next.
template <class T>
class BasicScratch {
public:
    /// The k-th buffer; references stay valid when others are asked for. Not from within `parallel_for`: ask
    /// for all of them before.
    BasicTensor<T>& tensor(std::size_t k) {
        while (tensors_.size() <= k) tensors_.emplace_back();
        return tensors_[k];
    }

    /// `size` values for every thread that may work at a time; worker w has those from w * size on.
    T* buffer(std::size_t k, Index size) { return buffer(k, size, static_cast<Index>(threads())); }
    T* buffer(std::size_t k, Index size, Index workers) {
        tensor(k).resize({size * workers});
        return tensor(k).data();
    }

    /// Whose threads the module uses; null: the caller's alone.
    void use(const Executor* executor) { executor_ = executor; }
    std::size_t threads() const { return executor_ ? static_cast<std::size_t>(executor_->threads()) : 1; }
    /// f(i, worker) for every i below `count`, all of which is `work` additions or so: see
    /// `Executor::parallel_for`. Where it takes no longer than waking a thread, on the caller's alone.
    template <class F>
    void parallel_for(Index count, double work, F&& f) const {
        auto const call = [&f](std::size_t i, std::size_t worker) {
            f(static_cast<Index>(i), static_cast<Index>(worker));
        };
        if (executor_ && work > 1e6)
            executor_->parallel_for(static_cast<std::size_t>(count), call);
        else
            Executor::run_here(static_cast<std::size_t>(count), call);
    }
    /// f(begin, end) for parts of [0, n) whose elements have nothing to do with each other.
    template <class F>
    void in_parts(std::size_t n, F&& f) const {
        constexpr std::size_t size = 1 << 14;
        parallel_for(static_cast<Index>((n + size - 1) / size), double(n), [&](Index part, Index) {
            std::size_t const begin = static_cast<std::size_t>(part) * size;
            f(begin, (std::min)(n, begin + size));
        });
    }
    /// The threads in the quantizers' form.
    const Execution& execution() const {
        static const Execution alone{};
        return executor_ ? executor_->execution() : alone;
    }

    /// What the buffers hold, in bytes.
    std::size_t bytes() const {
        std::size_t sum = 0;
        for (const auto& t : tensors_) sum += t.capacity() * sizeof(T);
        return sum;
    }

private:
    std::deque<BasicTensor<T>> tensors_{};
    const Executor* executor_ = nullptr;
};

template <class T>
using BasicInputs = std::span<const BasicTensor<T>* const>;

/// The contract of a module. All of it is const and pure: what backward needs it finds in its arguments.
///
/// - `type_name`: the type as PyTorch spells it, the one a configuration speaks of. Optionally `operation`,
///   the name as ONNX spells it, where that is another; it is the type of a use without a named module.
/// - `output_shape(inputs)`: the shape, or an error that says what was expected and what was found.
///   Dimension 0 may be `any_batch` and is passed on.
/// - `forward(inputs, output, scratch, mode)`: `output` has its shape already; its values are overwritten.
/// - `backward(inputs, output, grad_output, grad_inputs, grad_parameters, scratch, mode)`: ADDS to the
///   gradients, so that fan-out and accumulation need nothing else. A null `grad_inputs[i]` is not wanted;
///   two of them may be the same tensor. `grad_parameters` run parallel to `parameters`.
/// - Optionally `parameters(list)`: appends a `BasicParameter<T>` for each; always the same ones in one
///   order. `constrain()`: what must hold after every step of the optimizer. `update_statistics(inputs)`:
///   what it learns outside of the gradients. A hook that is misspelt is not there: test that it is called.
template <class M, class T>
concept ModuleOf = std::copyable<M> &&
    requires(const M m, std::span<const Shape> shapes, BasicInputs<T> inputs, BasicTensor<T>& output,
             const BasicTensor<T>& tensor, std::span<BasicTensor<T>* const> grad_inputs,
             std::span<BasicTensor<T>> grad_parameters, BasicScratch<T>& scratch, Mode mode) {
    { M::type_name } -> std::convertible_to<std::string_view>;
    { m.output_shape(shapes) } -> std::same_as<result<Shape>>;
    m.forward(inputs, output, scratch, mode);
    m.backward(inputs, tensor, tensor, grad_inputs, grad_parameters, scratch, mode);
};

/// Any module, by value: a copy is a copy of the parameters.
template <class T>
class BasicModule {
public:
    template <class M>
    requires(!std::same_as<M, BasicModule> && ModuleOf<M, T>) BasicModule(M module)
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
    result<Shape> output_shape(std::span<const Shape> inputs) const { return held_->output_shape(inputs); }
    void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>& scratch, Mode mode) const {
        held_->forward(inputs, output, scratch, mode);
    }
    void backward(BasicInputs<T> inputs, const BasicTensor<T>& output, const BasicTensor<T>& grad_output,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>> grad_parameters,
                  BasicScratch<T>& scratch, Mode mode) const {
        held_->backward(inputs, output, grad_output, grad_inputs, grad_parameters, scratch, mode);
    }

    std::vector<BasicParameter<T>> parameters() {
        std::vector<BasicParameter<T>> list;
        held_->parameters(list);
        return list;
    }
    std::vector<BasicConstParameter<T>> parameters() const {
        std::vector<BasicParameter<T>> all;
        held_->parameters(all);
        std::vector<BasicConstParameter<T>> list;
        for (const auto& p : all) list.push_back({p.name, p.role, p.value});
        return list;
    }
    /// Makes the gradients run parallel to the parameters: zeros, where there is none of a parameter's shape.
    /// `list` is a buffer.
    void fit_gradients(std::vector<BasicTensor<T>>& gradients, std::vector<BasicParameter<T>>& list) const {
        list.clear();
        held_->parameters(list);
        gradients.resize(list.size());
        for (std::size_t k = 0; k != list.size(); ++k)
            if (gradients[k].shape() != list[k].value->shape())
                gradients[k] = BasicTensor<T>(list[k].value->shape());
    }
    /// What must hold after every step of the optimizer (a clip range that stays open, ...).
    void constrain() { held_->constrain(); }
    /// What a module learns from its inputs outside of the gradients: BatchNorm's running statistics.
    void update_statistics(BasicInputs<T> inputs) { held_->update_statistics(inputs); }

    /// The module itself when it is an `M`, else null.
    template <class M>
    M* get_if() {
        auto* const holder = dynamic_cast<Holder<M>*>(held_.get());
        return holder ? &holder->module : nullptr;
    }
    template <class M>
    const M* get_if() const {
        auto const* const holder = dynamic_cast<const Holder<M>*>(held_.get());
        return holder ? &holder->module : nullptr;
    }

private:
    struct Interface {
        Interface() = default;
        Interface(const Interface&) = default;
        Interface& operator=(const Interface&) = delete;
        virtual ~Interface() = default;
        virtual std::unique_ptr<Interface> clone() const = 0;
        virtual std::string_view type() const = 0;
        virtual std::string_view operation() const = 0;
        virtual result<Shape> output_shape(std::span<const Shape>) const = 0;
        virtual void forward(BasicInputs<T>, BasicTensor<T>&, BasicScratch<T>&, Mode) const = 0;
        virtual void backward(BasicInputs<T>, const BasicTensor<T>&, const BasicTensor<T>&,
                              std::span<BasicTensor<T>* const>, std::span<BasicTensor<T>>, BasicScratch<T>&,
                              Mode) const = 0;
        virtual void parameters(std::vector<BasicParameter<T>>&) = 0;
        virtual void constrain() = 0;
        virtual void update_statistics(BasicInputs<T>) = 0;
    };

    template <class M>
    struct Holder final : Interface {
        explicit Holder(M m) : module(std::move(m)) {}
        std::unique_ptr<Interface> clone() const override { return std::make_unique<Holder>(*this); }
        std::string_view type() const override { return M::type_name; }
        std::string_view operation() const override {
            if constexpr (requires { M::operation; })
                return M::operation;
            else
                return M::type_name;
        }
        result<Shape> output_shape(std::span<const Shape> inputs) const override {
            return module.output_shape(inputs);
        }
        void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>& scratch,
                     Mode mode) const override {
            module.forward(inputs, output, scratch, mode);
        }
        void backward(BasicInputs<T> inputs, const BasicTensor<T>& output, const BasicTensor<T>& grad_output,
                      std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>> grad_parameters,
                      BasicScratch<T>& scratch, Mode mode) const override {
            module.backward(inputs, output, grad_output, grad_inputs, grad_parameters, scratch, mode);
        }
        void parameters([[maybe_unused]] std::vector<BasicParameter<T>>& list) override {
            static_assert(
                !requires { module.parameters(); },
                "a module's parameters(list) appends to the list: void parameters(list)");
            if constexpr (requires { module.parameters(list); }) module.parameters(list);
        }
        void constrain() override {
            if constexpr (requires { module.constrain(); }) module.constrain();
        }
        void update_statistics([[maybe_unused]] BasicInputs<T> inputs) override {
            if constexpr (requires { module.update_statistics(inputs); }) module.update_statistics(inputs);
        }

        M module;
    };

    std::unique_ptr<Interface> held_;
};

using Parameter = BasicParameter<float>;
using Scratch = BasicScratch<float>;
using Inputs = BasicInputs<float>;
using Module = BasicModule<float>;

}  // namespace amct_distill::nn

namespace amct_distill::detail {

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
