// SPDX-License-Identifier: Apache-2.0
/// What a conversion reads of one operator of a model: its attributes, and its inputs as the network has
/// them.
///
///     o.shape(0)                     // [N, 3, 8, 8]
///     o.axis(-1, 0)                  // the last dimension of input 0 as the model counts, in the network
///     o.constant(1), o.integers(2)   // values; what is no constant is a failure
///     o.fail("expected two numbers")
///
/// After a failure everything gives something empty: a conversion asks failed() before it uses what it read.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "attributes.hpp"
#include "importing.hpp"

namespace amct_distill::onnx::detail {

/// Which activations an operator takes besides floats. The network has float tensors, which hold integers
/// exactly up to 2^24.
enum class Accepts {
    floats,
    int32_and_64,  ///< arithmetic that gives the same in floats, but would wrap around in narrower integers
    everything     ///< values move, or are compared
};

/// Where an operator's inputs may have the batch (layout.hpp).
enum class BatchAt {
    front,      ///< in dimension 0
    anywhere,   ///< its conversion counts the model's dimensions by axis(), or needs none of them
    broadcasts  ///< the same of several tensors: constants are broadcast along such inputs
};

class OperationInputs {
public:
    /// `nodes`: of the model, the first being the one whose attributes count. `inputs`: what is read.
    OperationInputs(Importing& so_far, std::vector<NodeId> nodes, std::vector<TensorId> inputs)
        : so_far_(so_far),
          nodes_(std::move(nodes)),
          inputs_(std::move(inputs)),
          attributes_(*so_far.graph.node(nodes_.front()).proto) {}

    // ---- the operator

    const GraphNode& node() const { return so_far_.graph.node(nodes_.front()); }
    std::string_view op() const { return node().op(); }
    std::int64_t opset() const { return so_far_.graph.model().opset(); }
    Attributes& attributes() { return attributes_; }
    const GraphView& graph() const { return so_far_.graph; }
    std::optional<std::int64_t> exported_batch() const { return so_far_.exported_batch; }

    // ---- its inputs

    std::size_t inputs() const { return inputs_.size(); }
    bool has(std::size_t i) const { return i < inputs_.size() && inputs_[i] != none; }
    /// Fails where there are more inputs than the conversion reads.
    void at_most(std::size_t n) {
        for (std::size_t i = n; i < inputs_.size(); ++i)
            if (has(i)) return fail(concat("expected at most ", n, " inputs, found ", inputs_.size()));
    }
    TensorId tensor(std::size_t i) const { return i < inputs_.size() ? inputs_[i] : none; }
    /// float32 after a failure.
    ElementType type(std::size_t i) {
        if (!has(i)) return missing(i), ElementType::float32;
        is_constant(i);  // a weight that nobody has read tells its type now
        return so_far_.type_of(inputs_[i]);
    }
    bool is_scalar(std::size_t i) const {
        if (!has(i)) return false;
        const Value* const v = so_far_.known.find(inputs_[i]);
        return v != nullptr ? v->shape().empty() : so_far_.tensors[inputs_[i]].is_scalar;
    }
    /// Where the batch is in the inputs that have it elsewhere than in dimension 0; plain: nowhere so.
    const Layout& layout() const { return layout_; }
    /// As the network has it: [N, 3, 8, 8]; [1] for rank 0, also of constants. Empty after a failure.
    nn::Shape shape(std::size_t i) {
        if (!has(i)) return missing(i), nn::Shape{};
        if (aligns_ && made(i) == nullptr) return constant(i).shape();
        if (const amct_distill::NodeId* const id = made(i)) return so_far_.network.node(*id).shape;
        result<const Value*> const v = so_far_.known.read(inputs_[i]);
        if (!v) return fail(v.diagnostics().front().message), nn::Shape{};
        if (*v == nullptr) return missing(i), nn::Shape{};
        std::optional<nn::Shape> out = network_shape((*v)->shape());
        if (!out)
            fail(concat("input ", i, " is a constant ", onnx::to_string((*v)->shape()),
                        ", a shape that the network does not have"));
        return out.value_or(nn::Shape{});
    }
    /// As the model has it: of rank 0 too.
    Shape model_shape(std::size_t i) {
        if (has(i) && is_scalar(i)) return {};
        if (has(i) && made(i) != nullptr && !so_far_.tensors[inputs_[i]].layout.is_plain())
            return so_far_.tensors[inputs_[i]].layout.model_shape(shape(i));
        if (const Value* const v = has(i) ? so_far_.known.find(inputs_[i]) : nullptr) return v->shape();
        return detail::model_shape(shape(i));
    }
    std::size_t rank(std::size_t i) { return shape(i).size(); }
    bool is_constant(std::size_t i) {
        if (!has(i) || made(i) != nullptr) return false;
        result<const Value*> const v = so_far_.known.read(inputs_[i]);
        return v && *v != nullptr;
    }
    /// The values of a constant input; an empty tensor after a failure.
    nn::Tensor constant(std::size_t i) {
        if (!has(i)) return missing(i), nn::Tensor{};
        if (!is_constant(i)) return fail(not_constant(i)), nn::Tensor{};
        result<nn::Tensor> value = so_far_.constant(inputs_[i]);
        if (!value) return fail(concat("input ", i, ": ", value.diagnostics().front().message)), nn::Tensor{};
        if (aligns_ && value->size() != 1) {
            std::optional<nn::Shape> const aligned = layout_.aligned(value->shape(), rank_);
            if (!aligned)
                return fail(batch_elsewhere("it reads a constant that differs along it")), nn::Tensor{};
            value->resize(*aligned);
        }
        return *std::move(value);
    }
    /// The integers of a constant input, in one row; nothing after a failure.
    std::vector<std::int64_t> integers(std::size_t i) {
        if (!has(i)) return missing(i), std::vector<std::int64_t>{};
        if (!is_constant(i)) return fail(not_constant(i)), std::vector<std::int64_t>{};
        if (!take(so_far_.known.find(inputs_[i])->count())) return {};
        std::optional<std::vector<std::int64_t>> values = so_far_.known.find(inputs_[i])->integers();
        if (!values) fail(concat("input ", i, ": expected integers that do not depend on the batch"));
        for (std::int64_t v : values ? *values : std::vector<std::int64_t>{})
            if (v > largest_size || v < -largest_size) fail(concat("input ", i, ": ", v, " is too large"));
        return std::move(values).value_or(std::vector<std::int64_t>{});
    }
    /// The same, of which a tensor's dimensions have one each, or two: axes, pads, steps.
    std::vector<std::int64_t> few_integers(std::size_t i) {
        if (is_constant(i) && so_far_.known.find(inputs_[i])->count() > longest_list)
            fail(concat("input ", i, " has more numbers than any tensor has dimensions"));
        return failed() ? std::vector<std::int64_t>{} : integers(i);
    }
    /// The same, where they may depend on the batch.
    std::vector<Size> sizes(std::size_t i) {
        if (!has(i)) return missing(i), std::vector<Size>{};
        if (!is_constant(i)) return fail(not_constant(i)), std::vector<Size>{};
        if (std::size_t const n = so_far_.known.find(inputs_[i])->count(); n > longest_list)
            return fail(concat("input ", i, " has ", n, " numbers, more than any tensor has dimensions")),
                   std::vector<Size>{};
        std::optional<std::vector<Size>> values = so_far_.known.find(inputs_[i])->sizes();
        if (!values) fail(concat("input ", i, ": expected integers"));
        return std::move(values).value_or(std::vector<Size>{});
    }
    /// Makes room for values that the file does not hold; false, and a failure, where there is none.
    bool take(std::size_t count) {
        if (std::optional<std::string> no_room = so_far_.take(count)) fail(*std::move(no_room));
        return !failed();
    }
    /// An axis as the model counts them, also from the end, as a dimension of input `i` in the network; 0
    /// after a failure.
    std::size_t axis(std::int64_t given, std::size_t i) {
        std::size_t const axis = axis_of(given, model_shape(i).size());
        if (layout_.is_plain() || failed()) return axis;
        std::optional<std::size_t> const d = layout_.dimension(axis);
        if (!d || *d >= rank(i))  // of a constant beside what has the layout, also where it has fewer
            return fail(batch_elsewhere(concat("it computes along dimension ", axis))), std::size_t{0};
        axes_.push_back(*d);
        return *d;
    }
    std::size_t axis_of(std::int64_t given, std::size_t rank) {
        auto const n = static_cast<std::int64_t>(rank);
        if (given < -n || given >= n)
            return fail(concat("axis ", given, " is not one of the ", n, " dimensions")), std::size_t{0};
        return static_cast<std::size_t>(given < 0 ? given + n : given);
    }

    /// Says why the operator cannot be imported; the first reason counts.
    void fail(std::string why) {
        if (failed()) return;
        error_ = std::move(why);
        if (error_.empty()) error_ = "it cannot be imported";
    }
    bool failed() const { return !error_.empty(); }
    const std::string& error() const { return error_; }

    /// Fails where an activation has a type that the operator's conversion does not take.
    void check_types(Accepts accepts) {
        if (accepts == Accepts::everything) return;
        for (std::size_t i = 0; i != inputs_.size(); ++i) {
            if (!has(i) || so_far_.known.find(inputs_[i]) != nullptr || is_constant(i)) continue;
            ElementType const t = type(i);
            bool const wide = t == ElementType::int32 || t == ElementType::int64;
            if (!is_floating(t) && !(wide && accepts == Accepts::int32_and_64))
                return fail(concat("input ", i, " is of type ", name_of(t),
                                   "; expected floats, which the network computes with"));
        }
    }

    /// Finds where the inputs have their batch; fails where the operator does not take it there.
    void check_layouts(BatchAt takes) {
        bool plain = false;
        for (std::size_t i = 0; i != inputs_.size(); ++i) {
            if (!has(i) || made(i) == nullptr) continue;
            const Layout& of = so_far_.tensors[inputs_[i]].layout;
            if (so_far_.network.node(*made(i)).kind == NodeKind::constant) continue;
            if (of.is_plain()) {
                plain = true;
                continue;
            }
            if (!layout_.is_plain() && !(layout_ == of))
                return fail(batch_elsewhere("it reads tensors that have it in different places"));
            layout_ = of;
            rank_ = shape(i).size();
        }
        if (layout_.is_plain()) return;
        if (plain) return fail(batch_elsewhere("it reads tensors that have it in different places"));
        if (takes == BatchAt::front) fail(batch_elsewhere("the operator needs it in dimension 0"));
        aligns_ = takes == BatchAt::broadcasts;
    }
    std::string batch_elsewhere(std::string_view why) const {
        return concat("the batch is not in dimension 0 here, and ", why,
                      "; give the inputs' shapes with a number in the batch's place");
    }

protected:
    template <class... Pieces>
    static std::string concat(const Pieces&... pieces) {
        return amct_distill::detail::concat(pieces...);
    }
    void missing(std::size_t i) { fail(concat("input ", i, " is missing")); }
    std::string not_constant(std::size_t i) const {
        return concat("input ", i, " (`", so_far_.graph.tensor(inputs_[i]).name,
                      "`) depends on the network's inputs; expected a constant");
    }
    const amct_distill::NodeId* made(std::size_t i) const {
        const auto& node = so_far_.tensors[inputs_[i]].node;
        return node ? &*node : nullptr;
    }

    Importing& so_far_;
    std::vector<NodeId> nodes_;
    std::vector<TensorId> inputs_;
    Attributes attributes_;
    Layout layout_{};
    std::size_t rank_ = 0;             ///< in the network, of the inputs whose layout it is
    bool aligns_ = false;              ///< constants are broadcast along such inputs
    std::vector<std::size_t> axes_{};  ///< dimensions that the conversion counted
    std::string error_{};
};

}  // namespace amct_distill::onnx::detail
