// SPDX-License-Identifier: Apache-2.0
/// The definitions of cpp_header.hpp.
#pragma once
#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "../config/messages.hpp"
#include "../core/inline.hpp"
#include "../graph/layer_types.hpp"
#include "../nn/save.hpp"
#include "../text/printer.hpp"
#include "cpp_header.hpp"
#include "cpp_text.hpp"

namespace amct_distill {
namespace detail {

template <class... M>
bool is_one_of(const nn::Module& module, ModuleList<M...>) {
    return (module.get_if<M>() || ...);
}

/// A module's options, which are known as text, as constants.
class CppOptions {
public:
    explicit CppOptions(std::string_view text) {
        for (OptionsReader in(text); !in.at_end();) {
            std::string const name(in.word());
            in.take(":");
            out_ += declaration(name, in);
        }
    }
    const std::string& text() const { return out_; }

private:
    static std::string declaration(const std::string& name, OptionsReader& in) {
        auto const constant = [&](std::string_view type, std::string_view value) {
            return concat("        static constexpr ", type, ' ', name, " = ", value, ";\n");
        };
        if (in.take("true")) return constant("bool", "true");
        if (in.take("false")) return constant("bool", "false");
        if (std::string text; in.rest().find('"') == in.rest().find_first_not_of(' ') && in.value(text))
            return constant("std::string_view", cpp_literal(text));
        if (std::vector<double> numbers; in.rest().find('[') == in.rest().find_first_not_of(' ')) {
            in.value(numbers);
            if (!std::ranges::all_of(numbers, is_whole))
                return cpp_array("double", name, numbers, "        ");
            return cpp_array("std::int64_t", name, std::vector<std::int64_t>(numbers.begin(), numbers.end()),
                             "        ");
        }
        double number = 0;
        in.value(number);
        return is_whole(number) ? constant("std::int64_t", cpp_literal(static_cast<std::int64_t>(number)))
                                : constant("double", cpp_literal(number));
    }
    static bool is_whole(double x) { return std::abs(x) < 0x1p53 && x == std::floor(x); }

    std::string out_{};
};

class CppHeaderWriter {
public:
    CppHeaderWriter(const Deployment& deployment, const CppHeaderOptions& options)
        : deployment_(deployment), network_(deployment.network()), options_(options) {}

    result<std::string> write() {
        if (Diagnostics errors = what_is_wrong(); !errors.empty()) return errors;
        std::string layers, names;
        for (std::size_t i = 0; i != network_.graph().size(); ++i) {
            NodeId const id{i};
            const auto& node = network_.node(id);
            if (node.kind == NodeKind::input || node.kind == NodeKind::port) continue;
            std::string const name = names_.add(network_.name(id));
            names += concat(names.empty() ? "" : ", ", "layers::", name);
            layers += layer(id, name);
        }
        return concat(
            "// A deployed network as types and constants: written by amct_distill, see its "
            "deploy/cpp_header.hpp.\n// clang-format off\n#pragma once\n#include ",
            options_.include,
            "\n#include <array>\n#include <cstdint>\n#include <limits>\n#include <string_view>\n#include "
            "<tuple>\n\nnamespace ",
            options_.name, " {\n\n", configuration(), "\nnamespace layers {\n\n", layers,
            "}  // namespace layers\n\n", network(names), "\n}  // namespace ", options_.name, '\n');
    }

private:
    Diagnostics what_is_wrong() const {
        Diagnostics errors;
        if (!is_cpp_identifier(options_.name) || is_cpp_keyword(options_.name))
            errors.push_back(general_error(
                concat("`", options_.name, "` is no name for a namespace; use letters, digits and `_`")));
        for (NodeId id : network_.operations()) {
            const nn::Module& module = network_.operation(id);
            if (!is_one_of(module, standard_modules{}))
                errors.push_back(general_error(
                    concat("layer `", network_.name(id), "` (", module.type(),
                           "): a module of your own cannot be written as a header, an engine knows nothing ",
                           "of it; build the network of the library's layers, or let the engine run the ",
                           "part of the network before it and the part after it")));
        }
        return errors;
    }

    static std::string indices(std::string_view name, const std::vector<int>& of) {
        return cpp_array("int", name, of);
    }
    std::string layer(NodeId id, const std::string& name) const {
        const auto& node = network_.node(id);
        bool const constant = node.kind == NodeKind::constant;
        std::vector<int> reads, writes;
        for (NodeId input : node.inputs) reads.push_back(static_cast<int>(input.index));
        for (std::size_t k = 0; k <= node.ports; ++k) writes.push_back(static_cast<int>(id.index + k));
        std::string out =
            concat("struct ", name,
                   " {\n    static constexpr std::string_view name = ", cpp_literal(network_.name(id)),
                   ";\n    static constexpr std::string_view type = ",
                   cpp_literal(constant ? std::string_view("Constant") : network_.operation(id).type()),
                   ";\n", indices("reads", reads), indices("writes", writes));
        if (constant)
            return out + unquantized("        " + floats("value", node.constant.span()).substr(4)) + "};\n\n";
        if (CppOptions const options(network_.operation(id).options()); !options.text().empty())
            out += concat("    struct options {\n", options.text(), "    };\n");
        if (const DeployedLayer* const quantized = layer_at(id)) return out + integers(*quantized) + "};\n\n";
        std::string parameters;
        for (const auto& p : network_.operation(id).parameters())
            parameters += "    " + floats(p.name, p.values);
        return out + unquantized(parameters) + "};\n\n";
    }
    const DeployedLayer* layer_at(NodeId id) const {
        for (const DeployedLayer& layer : deployment_.layers())
            if (layer.node == id) return &layer;
        return nullptr;
    }
    static std::string floats(std::string_view name, std::span<const float> values) {
        return cpp_array("float", name, values);
    }
    static std::string unquantized(const std::string& parameters) {
        std::string out = "    static constexpr bool quantized = false;\n";
        return parameters.empty() ? out : concat(out, "    struct parameters {\n", parameters, "    };\n");
    }

    static std::string_view granularity(const DeployedLayer& layer) {
        return layer.weight_scales.size() == 1 && layer.rows() != 1 ? "TensorWise" : "ChannelWise";
    }
    static std::string_view width(const Width& of) {
        return std::visit(
            []<class B>(B) -> std::string_view { return std::same_as<B, Int4> ? "Int4" : "Int8"; }, of);
    }
    static Width width_of(const AnyCodes& codes) {
        return std::visit([]<class B>(const Codes<B>&) { return Width(B{}); }, codes);
    }
    static std::string integers(const DeployedLayer& layer) {
        std::vector<float> scales;
        for (std::size_t k = 0; k != layer.weight_scales.size(); ++k)
            scales.push_back(layer.weight_scales.of_row(k).scale);
        std::string_view const bits = width(width_of(layer.codes));
        std::string out = concat(
            "    static constexpr bool quantized = true;\n    using weights = "
            "amct_distill::Arq<amct_distill::",
            bits, ", amct_distill::", granularity(layer),
            ">;\n    using data = amct_distill::ActUlq<amct_distill::", width(layer.data_width),
            ">;\n    static constexpr amct_distill::ScaleOffset input{", cpp_literal(layer.data.scale), ", ",
            layer.data.offset, "};\n", cpp_array("float", "scales", scales),
            cpp_array("std::int32_t", "bias", layer.bias));
        out += concat("    static constexpr amct_distill::FixedCodes<amct_distill::", bits, ", ",
                      layer.rows(), ", ", layer.cols(), "> codes{{\n");
        std::visit(
            [&](const auto& codes) {
                out += cpp_lines(codes.bytes(), "        ",
                                 [](auto byte) { return number(static_cast<int>(byte)); });
            },
            layer.codes);
        return out + "    }};\n";
    }

    /// What most layers have holds for all, and an override for each that has something else.
    std::string configuration() const {
        using Kind = std::tuple<bool, bool, bool>;  // weights INT4, channel-wise, data INT4
        auto const kind_of = [](const DeployedLayer& layer) {
            return Kind{width(width_of(layer.codes)) == "Int4", granularity(layer) == "ChannelWise",
                        width(layer.data_width) == "Int4"};
        };
        std::map<Kind, std::size_t> counts;
        for (const DeployedLayer& layer : deployment_.layers()) ++counts[kind_of(layer)];
        Kind most{false, true, false};
        for (const auto& [kind, count] : counts)
            if (auto const found = counts.find(most); found == counts.end() || count > found->second)
                most = kind;
        AMCTDistillConfig config;
        auto const fill = [](auto& rule, const Kind& kind) {
            auto const type = [](bool four) { return four ? DataType::INT4 : DataType::INT8; };
            auto const [weights, channels, data] = kind;
            rule.distill_data_quant_config = DistillDataQuantConfig{ActULQquantize{.dst_type = type(data)}};
            rule.distill_weight_quant_config =
                DistillWeightQuantConfig{ARQDistill{.dst_type = type(weights), .channel_wise = channels}};
        };
        fill(config, most);
        for (std::size_t m = 0; m != network_.modules().size(); ++m) {
            const auto& module = network_.modules()[m];
            const DeployedLayer* const layer = deployment_.layer(module.name);
            if (layer == nullptr) {
                if (is_quantizable_type(module.module.type()))
                    config.quant_skip_layers.push_back(module.name);
            } else if (kind_of(*layer) != most) {
                DistillOverrideLayer rule{.layer_name = module.name};
                fill(rule, kind_of(*layer));
                config.distill_override_layers.push_back(rule);
            }
        }
        std::string const text = print(config);
        std::string out =
            "/// For static_config: the bits and granularities that the layers have.\ninline constexpr char "
            "configuration[] =";
        for (std::size_t begin = 0; begin != text.size();) {
            std::size_t const end = text.find('\n', begin) + 1;
            out += "\n    " + cpp_literal(std::string_view(text).substr(begin, end - begin));
            begin = end;
        }
        return out + ";\n";
    }

    std::string network(const std::string& layers) const {
        std::string values;
        std::size_t const count = network_.graph().size();
        for (std::size_t i = 0; i != count; ++i) {
            std::string dims;
            for (nn::Index dim : network_.node({i}).shape)
                dims += concat(dims.empty() ? "" : ", ", dim == nn::any_batch ? 1 : dim);
            values += concat("        {", cpp_literal(network_.name({i})), ", ",
                             network_.node({i}).shape.size(), ", {", dims, "}},\n");
        }
        auto const of = [](std::span<const NodeId> ids) {
            std::vector<int> out;
            for (NodeId id : ids) out.push_back(static_cast<int>(id.index));
            return out;
        };
        std::string list;
        for (std::size_t begin = 0; begin < layers.size();) {
            std::size_t end = layers.size();
            if (end - begin > 90) end = layers.rfind(' ', begin + 90) + 1;
            list += concat("\n        ", std::string_view(layers).substr(begin, end - begin));
            begin = end;
        }
        return concat(
            "/// What layers read and write, for one sample: a batch is 1.\nstruct value {\n"
            "    std::string_view name;\n    int rank;\n    std::array<std::int64_t, 16> shape;\n};\n\n",
            "struct network {\n    static constexpr std::string_view name = ", cpp_literal(options_.name),
            ";\n    using layers = std::tuple<", list, ">;\n", "    static constexpr std::array<value, ",
            count, "> values{{\n", values, "    }};\n", indices("inputs", of(network_.inputs())),
            indices("outputs", of(network_.outputs())), "};\n");
    }

    const Deployment& deployment_;
    const nn::Network& network_;
    const CppHeaderOptions& options_;
    CppNames names_{};
};

}  // namespace detail

AMCT_DISTILL_INLINE result<std::string> write_cpp_header(const Deployment& deployment,
                                                         const CppHeaderOptions& options) {
    return detail::CppHeaderWriter(deployment, options).write();
}

}  // namespace amct_distill
