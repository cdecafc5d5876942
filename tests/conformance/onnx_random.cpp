// SPDX-License-Identifier: Apache-2.0
// Random small graphs of the operators that the import takes: odd shapes, broadcasting, pads, strides,
// dilations, groups, ceil_mode, opsets 7 to 21. Each is imported and run, and left with its inputs and our
// outputs for ONNX Runtime to compare.
//
//     conformance_onnx_random FOLDER COUNT [SEED]
//     node tests/models/onnx_random.mjs FOLDER            # where onnxruntime-web is installed
//
// In FOLDER: graphs.bin, the models and tensors one after the other, and graphs.json, where they are. What
// the import refuses is counted by its reason.
#include <algorithm>
#include <amct_distill/onnx/import.hpp>
#include <amct_distill/onnx/model_file.hpp>
#include <amct_distill/wire/writer.hpp>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <numeric>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace amct_distill;
using Ints = std::vector<std::int64_t>;

/// Of a value of the graph: its shape as the network has it.
struct Value {
    std::string_view name{};
    Ints shape{};
    bool exact = true;      ///< an input or a move of one: steps such as Floor lie where they lie for all
    bool positive = false;  ///< above 0.25
    nn::Tensor data{};
};

class Maker {
public:
    explicit Maker(std::uint64_t seed) : random_(seed) {}

    std::size_t below(std::size_t n) { return random_() % n; }
    bool one_in(std::size_t n) { return below(n) == 0; }
    std::int64_t between(std::int64_t a, std::int64_t b) {
        return a + static_cast<std::int64_t>(below(static_cast<std::size_t>(b - a + 1)));
    }
    float real() { return static_cast<float>(between(-2000, 2000)) / 1000; }
    template <class T>
    T any(std::initializer_list<T> of) {
        return of.begin()[below(of.size())];
    }

    std::string_view text(std::string s) { return names_.emplace_back(std::move(s)); }
    std::string_view fresh() { return text("v" + std::to_string(count_++)); }

    void begin() {
        names_.clear();
        values.clear();
        graph = {};
        graph.name = std::string_view("random");
        count_ = 0;
        opset = between(7, 21);
        std::size_t const inputs = one_in(4) ? 2 : 1;
        Ints first;
        for (std::size_t i = 0; i != inputs; ++i) {
            Ints shape;
            if (i == 1 && one_in(2)) {
                shape = first;
                for (std::size_t d = 1; d < shape.size(); ++d)
                    if (one_in(4)) shape[d] = 1;
            } else {
                std::size_t const rank = any<std::size_t>({2, 3, 3, 4, 4, 4, 4, 5});
                for (std::size_t d = 0; d != rank; ++d)
                    shape.push_back(d == 0 ? between(1, 3) : rank == 5 ? between(1, 5) : between(1, 8));
                if (rank > 2 && one_in(2)) shape[1] = any<std::int64_t>({2, 4, 6, 8});
            }
            if (i == 0) first = shape;
            if (i == 1) shape[0] = first[0];
            Value v{.name = fresh(), .shape = shape, .positive = one_in(3)};
            graph.input.push_back(info(v.name, &shape));
            values.push_back(v);
        }
    }
    onnx::ValueInfoProto info(std::string_view name, const Ints* shape) {
        onnx::ValueInfoProto v{.name = name};
        v.type.emplace();
        v.type->tensor_type.emplace(onnx::TypeProto::Tensor{});
        v.type->tensor_type->elem_type = 1;
        if (shape != nullptr) {
            v.type->tensor_type->shape.emplace();
            for (std::int64_t d : *shape) {
                onnx::TensorShapeProto::Dimension dim;
                dim.value.emplace<0>(d);
                v.type->tensor_type->shape->dim.push_back(dim);
            }
        }
        return v;
    }
    std::string_view floats(const Ints& dims, std::function<float()> value = {}) {
        std::size_t const n = static_cast<std::size_t>(
            std::accumulate(dims.begin(), dims.end(), std::int64_t{1}, std::multiplies<>()));
        onnx::TensorProto t{.dims = dims, .data_type = 1, .name = fresh()};
        for (std::size_t i = 0; i != n; ++i) t.float_data.push_back(value ? value() : real());
        graph.initializer.push_back(t);
        return *graph.initializer.back().name;
    }
    std::string_view ints(const Ints& values_of, bool scalar = false) {
        onnx::TensorProto t{.data_type = 7, .name = fresh()};
        if (!scalar) t.dims = {static_cast<std::int64_t>(values_of.size())};
        t.int64_data = values_of;
        graph.initializer.push_back(t);
        return *graph.initializer.back().name;
    }

    // ---- a node and its attributes
    void node(std::string_view op, std::vector<std::string_view> inputs) {
        while (!inputs.empty() && inputs.back().empty()) inputs.pop_back();
        graph.node.push_back({.input = std::move(inputs), .output = {fresh()}, .op_type = op});
    }
    void attribute(std::string_view name, std::int64_t i) {
        graph.node.back().attribute.push_back({.name = name, .i = i, .type = 2});
    }
    void attribute(std::string_view name, float f) {
        graph.node.back().attribute.push_back({.name = name, .f = f, .type = 1});
    }
    void attribute(std::string_view name, std::string_view s) {
        graph.node.back().attribute.push_back({.name = name, .s = s, .type = 3});
    }
    void attribute(std::string_view name, Ints list) {
        graph.node.back().attribute.push_back({.name = name, .ints = std::move(list), .type = 7});
    }
    void attribute(std::string_view name, std::vector<float> list) {
        graph.node.back().attribute.push_back({.name = name, .floats = std::move(list), .type = 6});
    }

    /// One more operator, of the last value or of any. Empty: none fits what was drawn.
    std::string_view add_operator();

    onnx::GraphProto graph{};
    std::vector<Value> values{};
    std::int64_t opset = 13;
    bool next_exact = false, next_positive = false;

private:
    std::size_t rank_of(const Value& x) const { return x.shape.size(); }
    /// Also from the end.
    std::int64_t axis(const Value& x, std::size_t first = 0) {
        auto const rank = static_cast<std::int64_t>(rank_of(x));
        std::int64_t const a = between(static_cast<std::int64_t>(first), rank - 1);
        return opset >= 11 && one_in(3) ? a - rank : a;
    }
    Ints axes_of(const Value& x) {
        Ints out;
        for (std::size_t d = 0; d != rank_of(x); ++d)
            if (one_in(2)) out.push_back(static_cast<std::int64_t>(d));
        if (out.empty()) out.push_back(static_cast<std::int64_t>(below(rank_of(x))));
        if (opset >= 11 && one_in(4))
            for (std::int64_t& a : out) a -= static_cast<std::int64_t>(rank_of(x));
        return out;
    }
    /// Broadcasts with x, now and then to a larger one.
    Ints against(const Value& x) {
        Ints shape = x.shape;
        for (std::int64_t& d : shape)
            if (one_in(3)) d = 1;
        if (one_in(3)) shape.erase(shape.begin(), shape.begin() + static_cast<long>(below(shape.size() + 1)));
        for (std::size_t d = 0; d != shape.size(); ++d)
            if (shape.size() > 1 && d != 0 && x.shape[x.shape.size() - shape.size() + d] == 1 && one_in(3))
                shape[d] = between(2, 3);
        return shape;
    }
    void windows(const Value& x, bool dilations, bool ceil, bool needs_kernel = true);
    /// Whether values along the dimensions from one on are all but the same somewhere: what is left of them
    /// without their mean is rounding.
    static bool one_value(const Value& x, std::size_t first) {
        std::size_t n = 1;
        for (std::size_t d = first; d < x.shape.size(); ++d) n *= static_cast<std::size_t>(x.shape[d]);
        for (std::size_t i = 0; i < x.data.size(); i += n) {
            auto const part = x.data.span().subspan(i, n);
            auto const [low, high] = std::ranges::minmax(part);
            if (!(high - low > 0.05f * std::max(std::abs(low), std::abs(high)))) return true;
        }
        return false;
    }
    std::string_view unary(const Value& x);
    std::string_view binary(const Value& x);
    std::string_view convolution(const Value& x);
    std::string_view pooling(const Value& x);
    std::string_view move(const Value& x);
    std::string_view structure(const Value& x);
    std::string_view normalization(const Value& x);
    std::string_view linear(const Value& x);
    std::string_view reduction(const Value& x);
    std::string_view resize(const Value& x);
    std::string_view activation(const Value& x);

    std::mt19937_64 random_;
    std::deque<std::string> names_{};
    std::size_t count_ = 0;
};

std::string_view Maker::add_operator() {
    const Value x = one_in(5) ? values[below(values.size())] : values.back();
    next_exact = next_positive = false;
    std::size_t const before = graph.node.size();
    std::string_view op;
    switch (below(13)) {
        case 0:
            op = unary(x);
            break;
        case 1:
        case 2:
            op = binary(x);
            break;
        case 3:
        case 4:
            op = convolution(x);
            break;
        case 5:
        case 6:
            op = pooling(x);
            break;
        case 7:
            op = move(x);
            break;
        case 8:
            op = structure(x);
            break;
        case 9:
            op = normalization(x);
            break;
        case 10:
            op = one_in(2) ? linear(x) : reduction(x);
            break;
        case 11:
            op = one_in(2) ? resize(x) : reduction(x);
            break;
        default:
            op = activation(x);
    }
    if (op.empty()) graph.node.resize(before);
    return op;
}

void Maker::windows(const Value& x, bool dilations, bool ceil, bool needs_kernel) {
    std::size_t const spatial = rank_of(x) - 2;
    onnx::NodeProto& n = graph.node.back();
    Ints kernel;
    for (const auto& a : n.attribute)
        if (a.name.get() == "kernel_shape") kernel = a.ints;
    if (kernel.empty() && needs_kernel) {
        for (std::size_t d = 0; d != spatial; ++d) kernel.push_back(between(1, 4));
        attribute("kernel_shape", kernel);
    }
    if (one_in(2)) {
        Ints strides;
        for (std::size_t d = 0; d != spatial; ++d) strides.push_back(between(1, 3));
        attribute("strides", strides);
    }
    Ints dilation(spatial, 1);
    if (dilations && one_in(3)) {
        for (auto& d : dilation) d = between(1, 3);
        attribute("dilations", dilation);
    }
    switch (below(5)) {
        case 0:
        case 1: {
            Ints pads;
            for (std::size_t d = 0; d != 2 * spatial; ++d)
                pads.push_back(between(0, std::min<std::int64_t>(2, kernel[d % spatial] - 1)));
            attribute("pads", pads);
            break;
        }
        case 2:
            attribute("auto_pad", any<std::string_view>({"SAME_UPPER", "SAME_LOWER", "VALID"}));
            // ONNX Runtime pads by a negative number where a stride is above the kernel, and does not take
            // dilations.
            for (auto& a : graph.node.back().attribute) {
                if (a.name.get() == "strides")
                    for (std::size_t d = 0; d != spatial; ++d) a.ints[d] = std::min(a.ints[d], kernel[d]);
                if (a.name.get() == "dilations") a.ints.assign(spatial, 1);
            }
            break;
        default:
            break;
    }
    if (ceil && one_in(3)) attribute("ceil_mode", std::int64_t{1});
}

std::string_view Maker::unary(const Value& x) {
    struct Op {
        std::string_view name;
        std::int64_t since = 7;
        bool positive = false, exact = false;
    };
    static constexpr Op all[]{{"Abs"},
                              {"Neg"},
                              {"Exp"},
                              {"Sigmoid"},
                              {"Tanh"},
                              {"Sin"},
                              {"Cos"},
                              {"Atan"},
                              {"Sinh", 9},
                              {"Cosh", 9},
                              {"Asinh", 9},
                              {"Erf", 9},
                              {"Identity"},
                              {"Log", 7, true},
                              {"Sqrt", 7, true},
                              {"Reciprocal", 7, true},
                              {"Floor", 7, false, true},
                              {"Ceil", 7, false, true},
                              {"Round", 11, false, true},
                              {"Sign", 9, false, true},
                              {"Tan", 7, false, true},
                              {"Acos", 7, false, true},
                              {"Asin", 7, false, true},
                              {"Acosh", 9, false, true},
                              {"Atanh", 9, false, true}};
    const Op& op = all[below(std::size(all))];
    if (opset < op.since || (op.positive && !x.positive) || (op.exact && !x.exact)) return {};
    node(op.name, {x.name});
    next_exact = x.exact && (op.name == "Abs" || op.name == "Neg" || op.name == "Identity");
    next_positive = x.positive && (op.name == "Abs" || op.name == "Identity" || op.name == "Exp" ||
                                   op.name == "Sqrt" || op.name == "Reciprocal" || op.name == "Cosh");
    return op.name;
}

std::string_view Maker::binary(const Value& x) {
    std::string_view const op =
        any<std::string_view>({"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Sum", "Mean", "PRelu"});
    bool const variadic = op == "Max" || op == "Min" || op == "Sum" || op == "Mean";
    if (variadic && opset < 8) return {};
    std::string_view other;
    bool other_positive = false;
    Ints shape = against(x);
    if (op == "PRelu" && (shape.size() > x.shape.size())) return {};
    if (op == "PRelu")
        for (std::size_t d = 0; d != shape.size(); ++d)
            if (shape[d] > x.shape[x.shape.size() - shape.size() + d]) return {};
    if (op != "PRelu" && one_in(3)) {
        const Value& y = values[below(values.size())];
        other = y.name;
        other_positive = y.positive;
        for (std::size_t k = 1; k <= std::min(y.shape.size(), x.shape.size()); ++k) {
            auto const a = y.shape[y.shape.size() - k], b = x.shape[x.shape.size() - k];
            if (a != b && a != 1 && b != 1) return {};
        }
    } else {
        bool const above = op == "Div" || one_in(2);
        other_positive = above;
        other = op == "Pow" ? floats(one_in(2) ? Ints{} : shape,
                                     [&] {
                                         return any<float>({1, 2, 3, 0.5f, 2, -1, 1.5f});
                                     })
                            : floats(shape, [&] { return above ? std::abs(real()) + 0.3f : real(); });
    }
    if ((op == "Div" && !other_positive) || (op == "Pow" && !x.positive)) return {};
    std::vector<std::string_view> inputs{x.name, other};
    if (variadic && one_in(3)) inputs.push_back(floats(against(x)));
    if (variadic && one_in(6)) inputs = {x.name};
    if (!variadic && op != "PRelu" && op != "Div" && op != "Pow" && one_in(4))
        std::swap(inputs[0], inputs[1]);
    node(op, inputs);
    next_positive = x.positive && other_positive && (op == "Add" || (variadic && inputs.size() == 2));
    return op;
}

std::string_view Maker::convolution(const Value& x) {
    std::size_t const rank = rank_of(x);
    if (rank != 3 && rank != 4) return {};
    bool const transposed = one_in(4);
    std::int64_t const channels = x.shape[1];
    Ints divisors;
    for (std::int64_t d = 1; d <= channels; ++d)
        if (channels % d == 0) divisors.push_back(d);
    std::int64_t const group = one_in(2) ? 1 : divisors[below(divisors.size())];
    std::int64_t const per_group = between(1, 3);
    Ints w = transposed ? Ints{channels, per_group} : Ints{per_group * group, channels / group};
    Ints kernel;
    for (std::size_t d = 2; d != rank; ++d) kernel.push_back(between(1, 4));
    w.insert(w.end(), kernel.begin(), kernel.end());
    std::string_view const weight = floats(w);
    std::string_view const bias = one_in(2) ? floats({per_group * group}) : std::string_view();
    std::string_view const op = transposed ? "ConvTranspose" : "Conv";
    node(op, {x.name, weight, bias});
    if (!one_in(4)) attribute("kernel_shape", kernel);
    if (group != 1 || one_in(4)) attribute("group", group);
    if (graph.node.back().attribute.empty() || graph.node.back().attribute[0].name.get() != "kernel_shape") {
        // pads need the kernel's size
        if (one_in(2)) attribute("strides", Ints(rank - 2, between(1, 3)));
        if (one_in(2)) attribute("pads", Ints(2 * (rank - 2), std::int64_t{0}));
    } else {
        windows(x, true, false, false);
    }
    if (transposed && one_in(3)) {
        Ints strides(rank - 2, 1), dilations(rank - 2, 1), out;
        for (const auto& a : graph.node.back().attribute) {
            if (a.name.get() == "strides") strides = a.ints;
            if (a.name.get() == "dilations") dilations = a.ints;
        }
        for (std::size_t d = 0; d != rank - 2; ++d)
            out.push_back(between(0, std::max(strides[d] - 1, std::int64_t{0})));
        attribute("output_padding", out);
    }
    return op;
}

std::string_view Maker::pooling(const Value& x) {
    std::size_t const rank = rank_of(x);
    if (rank < 3) return {};
    std::string_view const op =
        any<std::string_view>({"MaxPool", "MaxPool", "AveragePool", "AveragePool", "LpPool",
                               "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"});
    node(op, {x.name});
    next_positive = x.positive && op.find("Max") != op.npos;
    if (op.starts_with("Global")) {
        if (op == "GlobalLpPool" && one_in(2)) attribute("p", between(1, 3));
        return op;
    }
    bool const dilations = (op == "MaxPool" && opset >= 10) || (op == "AveragePool" && opset >= 19) ||
                           (op == "LpPool" && opset >= 18);
    windows(x, dilations, (op != "LpPool" && opset >= 10) || opset >= 18);
    if (op == "AveragePool" && one_in(2)) attribute("count_include_pad", between(0, 1));
    if (op == "LpPool" && one_in(2)) attribute("p", between(1, 3));
    if (op == "MaxPool") next_exact = x.exact;
    return op;
}

std::string_view Maker::move(const Value& x) {
    std::size_t const rank = rank_of(x);
    next_exact = x.exact;
    next_positive = x.positive;
    switch (below(9)) {
        case 0: {
            Ints perm(rank);
            std::iota(perm.begin(), perm.end(), 0);
            for (std::size_t i = rank; i > 1; --i) std::swap(perm[i - 1], perm[below(i)]);
            node("Transpose", {x.name});
            if (!one_in(5)) attribute("perm", perm);
            return "Transpose";
        }
        case 1: {
            std::int64_t const a = axis(x);
            std::int64_t const at = a < 0 ? a + static_cast<std::int64_t>(rank) : a;
            std::vector<std::string_view> inputs{x.name};
            for (std::size_t n = 1 + below(2); n != 0; --n) {
                Ints shape = x.shape;
                shape[static_cast<std::size_t>(at)] = between(1, 3);
                inputs.push_back(one_in(3) ? x.name : floats(shape));
            }
            next_positive = false;
            node("Concat", inputs);
            attribute("axis", a);
            return "Concat";
        }
        case 2: {
            Ints starts, ends, axes, steps;
            for (std::size_t d = 0; d != rank; ++d) {
                if (!one_in(2)) continue;
                axes.push_back(static_cast<std::int64_t>(d));
                bool const back = opset >= 10 && one_in(3);
                std::int64_t const n = x.shape[d], a = between(0, n - 1), b = between(a, n - 1);
                starts.push_back(back ? b : one_in(3) ? a - n : a);
                ends.push_back(back ? (a == 0 ? -n - 1 : a - 1) : one_in(4) ? 1000 : b + 1);
                steps.push_back(back ? -between(1, 2) : opset >= 10 ? between(1, 3) : 1);
            }
            if (axes.empty()) return {};
            if (opset < 10) {
                node("Slice", {x.name});
                attribute("starts", starts);
                attribute("ends", ends);
                attribute("axes", axes);
            } else {
                auto const s = ints(starts), e = ints(ends), a = ints(axes);
                bool const ones = std::ranges::all_of(steps, [](auto v) { return v == 1; });
                node("Slice", {x.name, s, e, a, ones && one_in(2) ? std::string_view() : ints(steps)});
            }
            return "Slice";
        }
        case 3: {
            std::size_t const d = below(rank);
            std::int64_t const n = x.shape[d];
            bool const scalar = one_in(3);
            Ints index;
            for (std::size_t k = scalar ? 1 : 1 + below(4); k != 0; --k)
                index.push_back(opset >= 11 ? between(-n, n - 1) : between(0, n - 1));
            node("Gather", {x.name, ints(index, scalar)});
            attribute("axis", static_cast<std::int64_t>(d));
            return "Gather";
        }
        case 4: {
            Ints shape = x.shape;
            for (std::size_t d = 0; d != rank; ++d)
                if (shape[d] == 1 && one_in(2)) shape[d] = between(1, 3);
            if (one_in(4)) shape.insert(shape.begin(), between(1, 2));
            if (opset < 8) return {};
            node("Expand", {x.name, ints(shape)});
            return "Expand";
        }
        case 5: {
            Ints repeats;
            for (std::size_t d = 0; d != rank; ++d) repeats.push_back(one_in(2) ? 1 : between(1, 3));
            node("Tile", {x.name, ints(repeats)});
            return "Tile";
        }
        case 6: {
            std::string_view const mode = any<std::string_view>({"constant", "constant", "edge", "reflect"});
            Ints pads;
            for (std::size_t d = 0; d != 2 * rank; ++d) {
                std::int64_t const most =
                    mode == "reflect" ? std::min<std::int64_t>(x.shape[d % rank] - 1, 2) : 2;
                pads.push_back(one_in(2) || d % rank == 0 ? 0 : between(0, most));
            }
            if (mode == "constant" && one_in(4)) pads[below(pads.size())] = -1;
            for (std::size_t d = 0; d != rank; ++d)
                if (x.shape[d] + pads[d] + pads[d + rank] < 1) return {};
            next_positive = x.positive && mode != "constant";
            float const value = real();
            if (opset < 11) {
                node("Pad", {x.name});
                attribute("pads", pads);
                if (one_in(2)) attribute("value", value);
            } else {
                auto const p = ints(pads);
                auto const c =
                    one_in(2) && mode == "constant" ? floats({}, [&] { return value; }) : std::string_view();
                node("Pad", {x.name, p, c});
            }
            attribute("mode", mode);
            return "Pad";
        }
        case 7: {
            if (rank != 4) return {};
            std::int64_t const b = between(1, 2);
            bool const space = one_in(2);
            if (space ? x.shape[2] % b != 0 || x.shape[3] % b != 0 : x.shape[1] % (b * b) != 0) return {};
            node(space ? "SpaceToDepth" : "DepthToSpace", {x.name});
            attribute("blocksize", b);
            if (!space && opset >= 11 && one_in(2)) attribute("mode", any<std::string_view>({"DCR", "CRD"}));
            return graph.node.back().op_type.get();
        }
        default: {
            std::size_t const d = below(rank);
            if (x.shape[d] < 2) return {};
            Ints const sizes{between(1, x.shape[d] - 1), 0};
            Ints split = sizes;
            split[1] = x.shape[d] - split[0];
            bool const equal = x.shape[d] % 2 == 0 && one_in(2);
            if (opset < 13) {
                node("Split", {x.name});
                if (!equal) attribute("split", split);
            } else {
                node("Split", {x.name, equal ? std::string_view() : ints(split)});
                if (equal && opset >= 18) attribute("num_outputs", std::int64_t{2});
            }
            attribute("axis", static_cast<std::int64_t>(d));
            graph.node.back().output.push_back(fresh());
            if (one_in(2)) std::swap(graph.node.back().output[0], graph.node.back().output[1]);
            return "Split";
        }
    }
}

std::string_view Maker::structure(const Value& x) {
    std::size_t const rank = rank_of(x);
    next_exact = x.exact;
    next_positive = x.positive;
    std::int64_t const all =
        std::accumulate(x.shape.begin(), x.shape.end(), std::int64_t{1}, std::multiplies<>());
    switch (below(6)) {
        case 0: {
            node("Flatten", {x.name});
            if (!one_in(3)) attribute("axis", between(0, static_cast<std::int64_t>(rank)));
            return "Flatten";
        }
        case 1: {
            Ints shape;
            std::int64_t left = all;
            if (!one_in(3)) shape.push_back(one_in(3) ? x.shape[0] : 0), left /= x.shape[0];
            for (std::size_t k = below(3); k != 0; --k) {
                Ints divisors;
                for (std::int64_t d = 1; d <= left; ++d)
                    if (left % d == 0) divisors.push_back(d);
                shape.push_back(divisors[below(divisors.size())]);
                left /= shape.back();
            }
            shape.push_back(one_in(2) ? -1 : left);
            node("Reshape", {x.name, ints(shape)});
            return "Reshape";
        }
        case 2: {
            Ints axes;
            for (std::size_t d = 0; d != rank; ++d)
                if (x.shape[d] == 1 && !one_in(3)) axes.push_back(static_cast<std::int64_t>(d));
            if (axes.empty() || axes.size() == rank) return {};
            if (opset >= 13)
                node("Squeeze", {x.name, ints(axes)});
            else
                node("Squeeze", {x.name}), attribute("axes", axes);
            return "Squeeze";
        }
        case 3: {
            std::int64_t const out = static_cast<std::int64_t>(rank) + 1;
            Ints const axes{opset >= 11 && one_in(3) ? between(-out, -1) : between(0, out - 1)};
            if (opset >= 13)
                node("Unsqueeze", {x.name, ints(axes)});
            else
                node("Unsqueeze", {x.name}), attribute("axes", axes);
            return "Unsqueeze";
        }
        case 4: {
            node("Dropout", {x.name});
            if (opset < 12 && one_in(2)) attribute("ratio", 0.25f);
            return "Dropout";
        }
        default: {
            node("Cast", {x.name});
            attribute("to", std::int64_t{1});
            return "Cast";
        }
    }
}

std::string_view Maker::normalization(const Value& x) {
    std::size_t const rank = rank_of(x);
    std::int64_t const c = rank > 1 ? x.shape[1] : 0;
    auto const eps = [&] {
        if (one_in(2)) attribute("epsilon", any<float>({1e-3f, 1e-2f, 0.1f}));
    };
    switch (below(5)) {
        case 0:
        case 1: {
            if (rank < 2) return {};
            auto const s = floats({c}), b = floats({c}), m = floats({c}),
                       v = floats({c}, [&] { return std::abs(real()) + 0.2f; });
            node("BatchNormalization", {x.name, s, b, m, v});
            eps();
            return "BatchNormalization";
        }
        case 2: {
            if (rank < 3 || one_value(x, 2)) return {};
            auto const s = floats({c}), b = floats({c});
            node("InstanceNormalization", {x.name, s, b});
            eps();
            return "InstanceNormalization";
        }
        case 3: {
            if (opset < 17) return {};
            std::size_t const d = below(rank);
            if (one_value(x, d)) return {};
            Ints const shape(x.shape.begin() + static_cast<long>(d), x.shape.end());
            auto const s = floats(shape), b = one_in(2) ? floats(shape) : std::string_view();
            node("LayerNormalization", {x.name, s, b});
            attribute("axis", one_in(2) ? static_cast<std::int64_t>(d)
                                        : static_cast<std::int64_t>(d) - static_cast<std::int64_t>(rank));
            eps();
            return "LayerNormalization";
        }
        default: {
            if (opset != 21 || rank < 3 || one_value(x, 2)) return {};
            Ints divisors;
            for (std::int64_t d = 1; d <= c; ++d)
                if (c % d == 0) divisors.push_back(d);
            auto const s = floats({c}), b = floats({c});
            node("GroupNormalization", {x.name, s, b});
            attribute("num_groups", divisors[below(divisors.size())]);
            eps();
            return "GroupNormalization";
        }
    }
}

std::string_view Maker::linear(const Value& x) {
    std::size_t const rank = rank_of(x);
    std::int64_t const k = x.shape.back(), n = between(1, 5);
    if (one_in(2) && rank == 2) {
        bool const ta = one_in(5), tb = one_in(2);
        std::int64_t const in = ta ? x.shape[0] : k;
        auto const w = floats(tb ? Ints{n, in} : Ints{in, n});
        std::string_view c;
        if (opset < 11 || one_in(2)) c = floats(one_in(4) ? Ints{1, n} : one_in(4) ? Ints{1} : Ints{n});
        node("Gemm", {x.name, w, c});
        if (ta) attribute("transA", std::int64_t{1});
        if (tb) attribute("transB", std::int64_t{1});
        if (one_in(4)) attribute("alpha", any<float>({0.5f, 2, -1}));
        if (one_in(4)) attribute("beta", any<float>({0.5f, 0, -1}));
        return "Gemm";
    }
    if (opset >= 12 && one_in(5) && rank == 3) {
        auto const w = floats({k, n});
        node("Einsum", {x.name, w});
        attribute("equation",
                  any<std::string_view>({"bik,kj->bij", "bik,kj->bji", "bik, kj -> ij", "abc,cd"}));
        return "Einsum";
    }
    Ints w{k, n};
    if (rank > 2 && one_in(4)) {
        w.insert(w.begin(), one_in(2) ? 1 : x.shape[rank - 3]);
    }
    if (one_in(8)) w = {k};
    node("MatMul", {x.name, floats(w)});
    if (one_in(6) && rank >= 2 && w.size() == 2) {
        graph.node.back().input = {floats({n, x.shape[rank - 2]}), x.name};
    }
    return "MatMul";
}

std::string_view Maker::reduction(const Value& x) {
    std::string_view const op =
        any<std::string_view>({"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1",
                               "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"});
    if (op == "ReduceLogSum" && !x.positive) return {};
    Ints const axes = axes_of(x);
    bool const by_input = op == "ReduceSum" ? opset >= 13 : opset >= 18, given = !one_in(5);
    node(op, {x.name, by_input && given ? ints(axes) : std::string_view()});
    if (!by_input && given) attribute("axes", axes);
    if (one_in(2)) attribute("keepdims", between(0, 1));
    if (by_input && !given && one_in(3)) attribute("noop_with_empty_axes", std::int64_t{1});
    next_positive = x.positive && (op == "ReduceMean" || op == "ReduceMax" || op == "ReduceMin");
    return op;
}

std::string_view Maker::resize(const Value& x) {
    std::size_t const rank = rank_of(x);
    if (rank < 3) return {};
    std::vector<float> scales(rank, 1);
    Ints sizes = x.shape;
    std::string_view const mode = any<std::string_view>({"nearest", "linear", "linear"});
    for (std::size_t d = 2; d != rank; ++d) {
        scales[d] = opset < 11 || one_in(2) ? static_cast<float>(between(1, 3))
                                            : any<float>({1.5f, 2.5f, 0.5f, 0.75f});
        sizes[d] = between(1, 12);
        if (static_cast<float>(x.shape[d]) * scales[d] < 1) return {};
    }
    if (mode == "linear" && rank != 4) return {};
    auto const scale_list = [&] {
        std::size_t k = 0;
        return floats({static_cast<std::int64_t>(rank)}, [&, k]() mutable { return scales[k++]; });
    };
    if (opset < 9) {
        node("Upsample", {x.name});
        attribute("mode", mode);
        attribute("scales", scales);
        return "Upsample";
    }
    if (opset == 9 || opset == 10) {
        auto const s = scale_list();
        node(opset == 9 ? "Upsample" : "Resize", {x.name, s});
        attribute("mode", mode);
        return graph.node.back().op_type.get();
    }
    bool const by_sizes = one_in(2);
    auto const last = by_sizes ? ints(sizes) : scale_list();
    auto const empty = opset < 13 && (by_sizes || one_in(2)) ? floats({0}) : std::string_view();
    if (opset < 13 && empty.empty() && by_sizes) return {};
    auto const roi = opset < 13 ? floats({0}) : std::string_view();
    node("Resize", by_sizes ? std::vector<std::string_view>{x.name, roi, empty, last}
                            : std::vector<std::string_view>{x.name, roi, last});
    std::string_view const how = any<std::string_view>(
        {"half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel"});
    attribute("mode", one_in(5) && rank == 4 ? std::string_view("cubic") : mode);
    attribute("coordinate_transformation_mode", how);
    if (mode == "nearest" && one_in(2))
        attribute("nearest_mode",
                  any<std::string_view>({"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}));
    if (graph.node.back().attribute[0].s.get() == "cubic" && one_in(2))
        attribute("cubic_coeff_a", any<float>({-0.5f, -0.75f}));
    return "Resize";
}

std::string_view Maker::activation(const Value& x) {
    struct Op {
        std::string_view name;
        std::int64_t since = 7;
        bool exact = false;
    };
    static constexpr Op all[]{
        {"Relu"},           {"LeakyRelu"}, {"Elu"},           {"Selu"},     {"Celu", 12},
        {"HardSigmoid"},    {"Softplus"},  {"Softsign"},      {"Softmax"},  {"LogSoftmax"},
        {"Clip"},           {"Mish", 18},  {"HardSwish", 14}, {"Gelu", 20}, {"ThresholdedRelu", 10, true},
        {"Shrink", 9, true}};
    const Op& op = all[below(std::size(all))];
    if (opset < op.since || (op.exact && !x.exact)) return {};
    if (op.name == "Clip" && opset >= 11) {
        auto const low = one_in(4) ? std::string_view() : floats({}, [&] { return -std::abs(real()); });
        auto const high = one_in(4) ? std::string_view() : floats({}, [&] { return std::abs(real()); });
        node("Clip", {x.name, low, high});
        return op.name;
    }
    node(op.name, {x.name});
    if (op.name == "Clip" && one_in(2)) attribute("min", -std::abs(real()));
    if (op.name == "Clip" && one_in(2)) attribute("max", std::abs(real()));
    bool const alpha = op.name == "LeakyRelu" || op.name == "Elu" || op.name == "Celu" ||
                       op.name == "HardSigmoid" || op.name == "ThresholdedRelu";
    if (alpha && one_in(2)) attribute("alpha", std::abs(real()) + 0.05f);
    if (op.name == "HardSigmoid" && one_in(2)) attribute("beta", real());
    if (op.name == "Shrink" && one_in(2)) attribute("lambd", std::abs(real()));
    if (op.name == "Shrink" && one_in(2)) attribute("bias", real());
    if (op.name == "Gelu" && one_in(2)) attribute("approximate", std::string_view("tanh"));
    if (op.name.ends_with("oftmax") && !one_in(3)) attribute("axis", axis(x));
    return op.name;
}

nn::Tensor values_of(const Ints& shape, bool positive, Maker& random) {
    nn::Tensor t(nn::Shape(shape.begin(), shape.end()));
    for (float& v : t) v = positive ? std::abs(random.real()) + 0.3f : random.real();
    return t;
}

class Files {
public:
    explicit Files(const std::filesystem::path& folder) {
        std::filesystem::create_directories(folder);
        bytes_.open(folder / "graphs.bin", std::ios::binary);
        places_.open(folder / "graphs.json");
        places_ << "[";
    }
    ~Files() { places_ << "\n]\n"; }
    std::string place(std::string_view bytes) {
        std::string const padding((8 - at_ % 8) % 8, '\0');
        bytes_ << padding << bytes;
        at_ += padding.size();
        std::string out = detail::concat("[", at_, ",", bytes.size(), "]");
        at_ += bytes.size();
        return out;
    }
    std::string place(const std::string& name, const nn::Tensor& t, double tolerance = 0) {
        std::string shape;
        for (nn::Index d : t.shape()) detail::append(shape, detail::concat(shape.empty() ? "" : ",", d));
        char number[32];
        std::snprintf(number, sizeof number, "%.6g", tolerance);
        return detail::concat(
            "{\"name\":\"", name, "\",\"shape\":[", shape, "],\"tolerance\":", std::string_view(number),
            ",\"at\":", place({reinterpret_cast<const char*>(t.data()), t.size() * sizeof(float)}), "}");
    }
    void graph(const std::string& line) {
        places_ << (first_ ? "\n" : ",\n") << line;
        first_ = false;
    }

private:
    std::ofstream bytes_{}, places_{};
    std::size_t at_ = 0;
    bool first_ = true;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) return std::fprintf(stderr, "conformance_onnx_random FOLDER COUNT [SEED]\n"), 2;
    std::size_t const wanted = std::strtoull(argv[2], nullptr, 10);
    Maker make(argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1);
    Files files(argv[1]);
    std::map<std::string, std::size_t> refused, used;
    std::size_t made = 0;
    for (std::size_t tries = 0; made != wanted && tries != 100 * wanted + 1000; ++tries) {
        make.begin();
        std::size_t const nodes = 1 + make.below(4);
        std::vector<nn::Tensor> inputs;
        for (Value& v : make.values) {
            inputs.push_back(values_of(v.shape, v.positive, make));
            v.data = inputs.back();
        }
        std::vector<nn::Tensor> found;
        std::string bytes, ops;
        onnx::Batch batch = make.one_in(2) ? onnx::Batch::free : onnx::Batch::as_exported;
        std::size_t used_nodes = 0;
        bool good = false;
        std::vector<nn::Shape> shapes;
        for (std::size_t attempt = 0; attempt != 12 && used_nodes != nodes; ++attempt) {
            auto const before = make.graph;
            std::string_view const op = make.add_operator();
            if (op.empty()) {
                make.graph = before;
                continue;
            }
            std::string_view const out = make.graph.node.back().output[0];
            make.graph.output = {make.info(out, nullptr)};
            // Some graphs also give a value from their middle, which no pattern may then take in.
            if (make.values.size() > inputs.size() && make.one_in(6))
                make.graph.output.push_back(make.info(make.values.back().name, nullptr));
            onnx::ModelProto model{.ir_version = make.opset < 9 ? 3 : make.opset < 15 ? 6 : 8};
            model.opset_import.push_back({.domain = std::string_view(""), .version = make.opset});
            model.graph.emplace(make.graph);
            if (*model.ir_version == 3)  // initializers are inputs then
                for (const auto& t : make.graph.initializer) {
                    model.graph->input.push_back(make.info(t.name.get(), &t.dims));
                    model.graph->input.back().type->tensor_type->elem_type = t.data_type.get();
                }
            std::string written = write_binary(model);
            auto const file = onnx::ModelFile::of_bytes(written);
            if (!file) return std::printf("not read: %s\n", to_string(file.diagnostics()).c_str()), 1;
            auto imported = onnx::import_network(*file, {.batch = batch});
            if (!imported && batch == onnx::Batch::free) {
                batch = onnx::Batch::as_exported;
                imported = onnx::import_network(*file, {.batch = batch});
            }
            if (!imported) {
                std::string why = imported.diagnostics()[0].message;
                std::string shortened;
                for (char c : why)
                    if (!std::isdigit(static_cast<unsigned char>(c)) || (shortened += '#').ends_with("##"))
                        std::isdigit(static_cast<unsigned char>(c)) ? shortened.pop_back()
                                                                    : shortened.push_back(c);
                why = shortened;
                ++refused[detail::concat(op, ": ",
                                         why.substr(why.find(": ") == why.npos ? 0 : why.find(": ")))];
                make.graph = before;
                continue;
            }
            std::vector<nn::Tensor> mine;
            for (const std::string& name : imported->inputs)
                for (std::size_t i = 0; i != inputs.size(); ++i)
                    if (make.values[i].name == name) mine.push_back(inputs[i]);
            if (mine.size() != imported->inputs.size() || mine.empty()) {
                make.graph = before;
                continue;
            }
            std::size_t largest = 0;
            for (std::size_t i = 0; i != imported->network.graph().size(); ++i) {
                std::size_t n = 1;
                for (nn::Index d : imported->network.node({i}).shape)
                    n *= static_cast<std::size_t>(d == nn::any_batch ? 3 : d);
                largest = std::max(largest, n);
            }
            if (largest > 20000) {
                make.graph = before;
                continue;
            }
            std::vector<nn::Tensor> outputs = imported->network.predict(mine);
            Value v{.name = out, .exact = make.next_exact, .positive = make.next_positive};
            v.shape.assign(outputs[0].shape().begin(), outputs[0].shape().end());
            bool const finite =
                std::ranges::all_of(outputs[0].span(), [](float f) { return std::abs(f) < 1e6f; });
            v.data = outputs[0];
            make.values.push_back(v);
            // How far a small change of the inputs leads: what is badly conditioned may differ more.
            std::vector<double> tolerances(outputs.size());
            for (bool const all_up : {true, false}) {
                std::vector<nn::Tensor> moved = mine;
                for (nn::Tensor& t : moved)
                    for (std::size_t i = 0; i != t.size(); ++i)
                        t[i] *= all_up || i % 3 == 0 ? 1 + 3e-7f : i % 3 == 1 ? 1 - 3e-7f : 1.0f;
                std::vector<nn::Tensor> const others = imported->network.predict(moved);
                for (std::size_t i = 0; i != outputs.size(); ++i)
                    for (std::size_t k = 0; k != outputs[i].size(); ++k) {
                        double const d = std::abs(double(outputs[i][k]) - double(others[i][k]));
                        if (std::isfinite(d)) tolerances[i] = std::max(tolerances[i], d);
                    }
            }
            std::string line =
                detail::concat("{\"ops\":\"", ops, op, "\",\"opset\":", make.opset, ",\"model\":");
            line += files.place(written);
            line += ",\"inputs\":[";
            for (std::size_t i = 0; i != mine.size(); ++i)
                line += detail::concat(i == 0 ? "" : ",", files.place(imported->inputs[i], mine[i]));
            line += "],\"outputs\":[";
            for (std::size_t i = 0; i != outputs.size(); ++i) {
                line += detail::concat(i == 0 ? "" : ",",
                                       files.place(imported->outputs[i], outputs[i], 30 * tolerances[i]));
            }
            line += "]}";
            bytes = std::move(line);
            ops += detail::concat(op, " ");
            ++used[std::string(op)];
            ++used_nodes;
            good = true;
            if (!finite || v.shape == Ints{1}) break;  // [1] may be [], of rank 0, in the model
        }
        if (!good) continue;
        files.graph(bytes);
        ++made;
    }
    std::size_t total = 0;
    for (const auto& [why, n] : refused) total += n;
    std::printf("%zu graphs; by operator:", made);
    for (const auto& [op, n] : used) std::printf(" %s %zu", op.c_str(), n);
    std::printf("\n%zu operators more were refused:\n", total);
    for (const auto& [why, n] : refused) std::printf("  %zu %s\n", n, why.c_str());
    return made == wanted ? 0 : 1;
}
