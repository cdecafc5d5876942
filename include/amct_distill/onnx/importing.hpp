// SPDX-License-Identifier: Apache-2.0
/// What an import has made so far: the network, and what each tensor of the model is in it.
///
///     Importing so_far(graph);                    // a GraphView, which must outlive it
///     so_far.known                                // what is a constant
///     so_far.node_of(tensor)                      // the network's node; a constant becomes one on demand
///
/// operation.hpp adds to it, one operator of the model at a time; import.hpp drives both.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "../nn/layers/repeat_over_batch.hpp"
#include "../nn/layers/structure.hpp"
#include "../nn/network.hpp"
#include "attributes.hpp"
#include "constants.hpp"
#include "layout.hpp"
#include "names.hpp"
#include "shared_modules.hpp"

namespace amct_distill::onnx {

namespace detail {

/// More values than any machine holds, a dimension beyond largest_size, or too many of them.
inline bool is_too_large(const nn::Shape& shape) {
    return shape.size() > max_rank || nn::is_too_large(shape, nn::Index{1} << 32);
}
/// [N, 3] for the network; nothing where the batch is not dimension 0 alone, or a size is 0, or there are too
/// many. Of rank 0: [1].
inline std::optional<nn::Shape> network_shape(const Shape& shape) {
    if (shape.size() > max_rank) return std::nullopt;
    nn::Shape out;
    for (Size s : shape) {
        if (s == Size::of_batch() && out.empty())
            out.push_back(nn::any_batch);
        else if (s.is_fixed() && s.fixed > 0 && s.fixed <= largest_size)
            out.push_back(static_cast<nn::Index>(s.fixed));
        else
            return std::nullopt;
    }
    if (out.empty()) out.push_back(1);
    return is_too_large(out) ? std::nullopt : std::optional(out);
}
inline Shape model_shape(const nn::Shape& shape) {
    Shape out;
    for (nn::Index d : shape) out.push_back(d == nn::any_batch ? Size::of_batch() : Size(d));
    return out;
}

struct Importing {
    explicit Importing(const GraphView& view)
        : graph(view), known(view), names(view), tensors(view.tensors().size()) {
        // What is copied out of the file is bounded by it: a weight that a thousand nodes read is one tensor
        // of the file, but might become a thousand of the network.
        copies_left = (std::size_t{1} << 22) + 8 * view.model().size_with_data();
    }

    /// What a tensor of the model is in the network, unless it is known (a constant).
    struct Tensor {
        std::optional<amct_distill::NodeId> node{};
        ElementType type = ElementType::float32;
        bool is_scalar = false;  ///< of rank 0 in the model, [1] in the network
        Layout layout{};         ///< where the batch is, when it is not dimension 0
        bool failed = false;     ///< what makes it could not be imported, which has been said
    };
    Tensor& tensor(TensorId t) { return tensors[t]; }

    const GraphView& graph;
    Constants known;
    Names names;
    std::vector<Tensor> tensors;
    std::optional<std::int64_t> exported_batch{};
    bool check_shapes = true;  ///< the shapes in the file hold: the user gave no others
    nn::Network network{};
    std::vector<ImportedName> imported{};
    std::vector<std::string> notes{};
    std::unordered_set<std::string> noted{};
    std::optional<amct_distill::NodeId> of_batch{};  ///< an input whose dimension 0 is the batch
    Diagnostics errors{};
    std::size_t copies_left = 0;
    SharedModules shared{graph};

    void note(std::string text) {
        if (noted.insert(text).second) notes.push_back(std::move(text));
    }
    ElementType type_of(TensorId t) const {
        const Value* const v = known.find(t);
        return v != nullptr ? v->type() : tensors[t].type;
    }
    /// Makes room in the bound on copies; an error message where there is none.
    std::optional<std::string> take(std::size_t count) {
        if (count > copies_left)
            return std::string(
                "its constants are copied so often that they would take many times the file's size");
        copies_left -= count;
        return std::nullopt;
    }
    /// The values of a constant as the network holds them, [1] for rank 0. Errors are messages.
    result<nn::Tensor> constant(TensorId t) {
        result<const Value*> const value = known.read(t);
        if (!value) return value.diagnostics();
        if (*value == nullptr) return general_error("it is not a constant");
        if (auto no_room = take((*value)->count())) return general_error(*std::move(no_room));
        if (!(*value)->fits_floats())
            return general_error("a double of it is beyond float32, which the network computes in");
        std::optional<std::vector<float>> const values = (*value)->floats();
        if (!values) return general_error("its values depend on the batch");
        nn::Shape shape((*value)->extents().begin(), (*value)->extents().end());
        if (shape.empty()) shape.push_back(1);
        if (values->empty()) return general_error("it has no elements");
        return nn::Tensor(shape, *values);
    }
    /// The node that holds a tensor; a constant becomes one now. Precondition: it is known, or was made.
    result<amct_distill::NodeId> node_of(TensorId t) {
        if (tensors[t].node) return *tensors[t].node;
        result<nn::Tensor> value = constant(t);
        if (!value) return value.diagnostics();
        const Value& of = *known.find(t);
        if (of.shape().empty()) tensors[t].is_scalar = true;
        const GraphTensor& tensor = graph.tensor(t);
        if (!of.is_over_batch()) {
            tensors[t].node = network.constant(names.unique(std::string(tensor.name)), *std::move(value));
            return *tensors[t].node;
        }
        if (!network_shape(of.shape()))
            return general_error(
                "a constant is repeated over the batch elsewhere than in dimension 0; give the inputs' "
                "shapes with a number in the batch's place");
        std::string_view const made_by =
            graph.node(tensor.producer).proto->name.get();  // it was repeated by a node
        std::string const name = names.unique(std::string(made_by.empty() ? tensor.name : made_by));
        amct_distill::NodeId const id = network.constant(names.unique(name + "/value"), *std::move(value));
        tensors[t].node = network.add_function(name, nn::RepeatOverBatch{}, {id, *of_batch});
        return *tensors[t].node;
    }
};

}  // namespace detail

}  // namespace amct_distill::onnx
