// SPDX-License-Identifier: Apache-2.0
/// Whether two models are the same graph: by names and by what is connected, whatever the order.
///
///     std::vector<std::string> const found = onnx_graphs::differences(ours, theirs, {{"fc.weight", "w_1"}});
#pragma once
#include <amct_distill/onnx/model_file.hpp>
#include <bit>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace onnx_graphs {

using namespace amct_distill;

/// The values' bits, whatever fields they are in.
inline std::vector<std::uint64_t> bits(const onnx::ModelFile& model, const onnx::TensorProto& tensor) {
    auto const values = model.values(tensor).value();
    std::vector<std::uint64_t> out;
    if (values.type() == onnx::ElementType::float32)
        for (float v : values.to_vector<float>()) out.push_back(std::bit_cast<std::uint32_t>(v));
    else if (values.type() == onnx::ElementType::uint64)
        out = values.to_vector<std::uint64_t>();
    else
        for (std::int64_t v : values.to_vector<std::int64_t>()) out.push_back(static_cast<std::uint64_t>(v));
    return out;
}

class Comparison {
public:
    /// `names`: what is called otherwise in the second, on purpose.
    Comparison(const onnx::ModelFile& a, const onnx::ModelFile& b, std::map<std::string, std::string> names)
        : a_(a), b_(b), names_(std::move(names)) {}

    std::vector<std::string> run() {
        if (a_.opset() != b_.opset()) differ("opset ", a_.opset(), " and ", b_.opset());
        if (a_.proto().ir_version.get() != b_.proto().ir_version.get()) differ("another ir_version");
        if (a_.proto().opset_import.size() != b_.proto().opset_import.size()) differ("other domains");
        auto const list = [](const auto& values) {
            std::vector<std::string> out;
            for (const auto& v : values) out.emplace_back(v.name.get());
            return out;
        };
        if (list(a_.graph().input) != list(b_.graph().input)) differ("other inputs");
        if (list(a_.graph().output) != list(b_.graph().output)) differ("other outputs");
        compare(by_name(a_.graph().node, true), by_name(b_.graph().node, false), "node",
                [&](const auto& x, const auto& y) { compare_nodes(x, y); });
        compare(by_name(a_.graph().initializer, true), by_name(b_.graph().initializer, false), "initializer",
                [&](const auto& x, const auto& y) { compare_tensors(x, y, x.name.get()); });
        return found_;
    }

private:
    template <class... Pieces>
    void differ(const Pieces&... what) {
        found_.push_back(detail::concat(what...));
    }
    /// A name of the first as the second has it.
    std::string other(std::string_view name) const {
        auto const at = names_.find(std::string(name));
        return at == names_.end() ? std::string(name) : at->second;
    }
    template <class T>
    std::map<std::string, const T*> by_name(const std::vector<T>& all, bool ours) {
        std::map<std::string, const T*> out;
        for (const T& x : all)
            if (!out.emplace(ours ? other(x.name.get()) : std::string(x.name.get()), &x).second)
                differ("two are called ", x.name.get());
        return out;
    }
    template <class T, class F>
    void compare(const std::map<std::string, const T*>& a, const std::map<std::string, const T*>& b,
                 std::string_view what, F f) {
        for (const auto& [name, x] : a)
            if (auto const y = b.find(name); y == b.end())
                differ(what, " ", name, " is only in the first");
            else
                f(*x, *y->second);
        for (const auto& [name, y] : b)
            if (!a.contains(name)) differ(what, " ", name, " is only in the second");
    }
    void compare_nodes(const onnx::NodeProto& x, const onnx::NodeProto& y) {
        std::string_view const name = x.name.get();
        if (x.op_type.get() != y.op_type.get()) differ(name, ": ", x.op_type.get(), ", ", y.op_type.get());
        if (x.domain.get() != y.domain.get()) differ(name, ": another domain");
        auto const values = [&](const std::vector<std::string_view>& list, bool ours) {
            std::string out;
            for (std::string_view v : list) out += (ours ? other(v) : std::string(v)) + " ";
            return out;
        };
        if (values(x.input, true) != values(y.input, false))
            differ(name, " reads ", values(x.input, true), "and ", values(y.input, false));
        if (values(x.output, true) != values(y.output, false))
            differ(name, " makes ", values(x.output, true), "and ", values(y.output, false));
        std::map<std::string_view, const onnx::AttributeProto*> of_y;
        for (const auto& a : y.attribute) of_y.emplace(a.name.get(), &a);
        if (x.attribute.size() != y.attribute.size()) differ(name, ": other attributes");
        for (const auto& a : x.attribute) {
            if (!of_y.contains(a.name.get())) {
                differ(name, ": has ", a.name.get(), " only in the first");
                continue;
            }
            const onnx::AttributeProto& b = *of_y[a.name.get()];
            bool const same =
                a.type.get() == b.type.get() &&
                std::bit_cast<std::uint32_t>(a.f.get()) == std::bit_cast<std::uint32_t>(b.f.get()) &&
                a.i.get() == b.i.get() && a.s.get() == b.s.get() && a.ints == b.ints &&
                a.floats == b.floats && a.strings == b.strings && bool(a.t) == bool(b.t);
            if (!same) differ(name, ": another ", a.name.get());
            if (a.t && b.t) compare_tensors(*a.t, *b.t, name);
        }
    }
    void compare_tensors(const onnx::TensorProto& x, const onnx::TensorProto& y, std::string_view name) {
        if (x.data_type.get() != y.data_type.get())
            differ(name, ": type ", x.data_type.get(), " and ", y.data_type.get());
        else if (x.dims != y.dims)
            differ(name, ": other dimensions");
        else if (bits(a_, x) != bits(b_, y))
            differ(name, ": other values");
    }

    const onnx::ModelFile &a_, &b_;
    std::map<std::string, std::string> names_;
    std::vector<std::string> found_{};
};

inline std::vector<std::string> differences(const onnx::ModelFile& a, const onnx::ModelFile& b,
                                            std::map<std::string, std::string> names = {}) {
    return Comparison(a, b, std::move(names)).run();
}

}  // namespace onnx_graphs
