// SPDX-License-Identifier: Apache-2.0
/// A whole network in one file: its structure as text, and its parameters, in an `.npz`.
///
///     nn::save(network, "net.npz").value();                    // whole or not there
///     nn::Network back = nn::load("net.npz").value();           // the same bits
///     nn::load<LocallyConnected>("net.npz");                    // with modules of one's own
///
/// A module takes part by its `options()` (an aggregate from which it can be made) and `parameters(list)`;
/// nothing is registered. numpy.load reads the file: "conv1.weight", "conv1.bias", ..., and the text
/// "network.txt".
#pragma once
#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "../io/file.hpp"
#include "../io/npy.hpp"
#include "../io/npz.hpp"
#include "layers/activation.hpp"
#include "layers/arithmetic.hpp"
#include "layers/batch_norm.hpp"
#include "layers/clamp.hpp"
#include "layers/concat.hpp"
#include "layers/conv1d.hpp"
#include "layers/conv2d.hpp"
#include "layers/conv_function.hpp"
#include "layers/conv_transpose.hpp"
#include "layers/embedding.hpp"
#include "layers/expand.hpp"
#include "layers/extremes.hpp"
#include "layers/linear.hpp"
#include "layers/matmul.hpp"
#include "layers/normalization.hpp"
#include "layers/pad.hpp"
#include "layers/pool.hpp"
#include "layers/prelu.hpp"
#include "layers/reduce.hpp"
#include "layers/repeat_over_batch.hpp"
#include "layers/reshape.hpp"
#include "layers/rounding.hpp"
#include "layers/slice.hpp"
#include "layers/smooth_activation.hpp"
#include "layers/softmax.hpp"
#include "layers/structure.hpp"
#include "layers/transpose.hpp"
#include "layers/trigonometric.hpp"
#include "layers/unary.hpp"
#include "layers/upsample.hpp"
#include "print.hpp"

namespace amct_distill::detail {

template <class... M>
struct ModuleList {};
/// The library's own.
using standard_modules = ModuleList<
    nn::Conv2d, nn::Linear, nn::BatchNorm2d, nn::ReLU, nn::LeakyReLU, nn::Sigmoid, nn::Tanh, nn::Softmax,
    nn::MaxPool2d, nn::AvgPool2d, nn::GlobalAveragePool, nn::Add, nn::Concat, nn::Flatten, nn::Reshape,
    nn::Identity, nn::Dropout,
    // element by element
    nn::LogSoftmax, nn::PReLU, nn::Hardtanh, nn::ReLU6, nn::Hardsigmoid, nn::Hardswish, nn::Threshold,
    nn::Shrink, nn::SiLU, nn::Mish, nn::GELU, nn::ELU, nn::SELU, nn::CELU, nn::Softplus, nn::Softsign,
    nn::Sub, nn::Mul, nn::Div, nn::Pow, nn::Sum, nn::Mean, nn::Max, nn::Min, nn::Exp, nn::Log, nn::Sqrt,
    nn::Erf, nn::Abs, nn::Neg, nn::Reciprocal, nn::Sign, nn::Floor, nn::Ceil, nn::Round, nn::Sin, nn::Cos,
    nn::Tan, nn::Asin, nn::Acos, nn::Atan, nn::Sinh, nn::Cosh, nn::Asinh, nn::Acosh, nn::Atanh,
    // reductions
    nn::ReduceSum, nn::ReduceMean, nn::ReduceMax, nn::ReduceMin, nn::ReduceProd, nn::ReduceL1, nn::ReduceL2,
    nn::ReduceLogSum, nn::ReduceLogSumExp, nn::ReduceSumSquare,
    // that move values
    nn::Pad, nn::Transpose, nn::Squeeze, nn::Unsqueeze, nn::Split, nn::Slice, nn::Gather, nn::Expand,
    nn::Tile, nn::PixelShuffle, nn::PixelUnshuffle, nn::DepthToSpace, nn::SpaceToDepth, nn::Embedding,
    nn::RepeatOverBatch, nn::Upsample, nn::RoundTo,
    // pools
    nn::MaxPool1d, nn::MaxPool3d, nn::AvgPool1d, nn::AvgPool3d, nn::LPPool1d, nn::LPPool2d, nn::LPPool3d,
    nn::GlobalAveragePool1d, nn::GlobalAveragePool3d, nn::GlobalMaxPool, nn::GlobalMaxPool1d,
    nn::GlobalMaxPool3d, nn::GlobalLpPool1d, nn::GlobalLpPool2d, nn::GlobalLpPool3d,
    // with weights, and norms
    nn::Conv1d, nn::ConvTranspose1d, nn::ConvTranspose2d, nn::FunctionalConv1d, nn::FunctionalConv2d,
    nn::FunctionalConvTranspose1d, nn::FunctionalConvTranspose2d, nn::MatMul, nn::BatchNorm1d,
    nn::BatchNorm3d, nn::InstanceNorm1d, nn::InstanceNorm2d, nn::InstanceNorm3d, nn::GroupNorm,
    nn::LayerNorm>;

/// A module of type M from the text of its options. Errors: options that cannot be read or make no sense.
template <class M>
result<nn::Module> make_module(std::string_view options) {
    if constexpr (requires(const M& m) { m.options(); }) {
        using O = std::remove_cvref_t<decltype(std::declval<const M&>().options())>;
        static_assert(
            std::is_constructible_v<M, const O&>,
            "a module that is loaded can be constructed from what its options() gives: add that constructor");
        auto read = read_options<O>(options);
        if (!read) return read.diagnostics();
        try {
            return nn::Module(M(*read));
        } catch (const std::invalid_argument& e) {
            return general_error(e.what());
        }
    } else {
        static_assert(
            std::is_default_constructible_v<M>,
            "a module that is loaded has options(), an aggregate, or a default constructor: add one of them");
        if (options.find_first_not_of(' ') != options.npos)
            return general_error(concat("a ", M::type_name, " has no options"));
        return nn::Module(M{});
    }
}
template <class... M>
std::optional<result<nn::Module>> make_module_of(ModuleList<M...>, [[maybe_unused]] std::string_view type,
                                                 [[maybe_unused]] std::string_view options) {
    std::optional<result<nn::Module>> made;
    ((made || M::type_name != type ? void() : void(made.emplace(make_module<M>(options)))), ...);
    return made;
}

/// One of the library's own. (A template, for the compiled library to have it and no others.)
template <class = void>
std::optional<result<nn::Module>> make_standard_module(std::string_view type, std::string_view options) {
    return make_module_of(standard_modules{}, type, options);
}
#ifdef AMCT_DISTILL_COMPILED_ONNX  // whose import has all of the library's modules anyway
extern template std::optional<result<nn::Module>> make_standard_module<>(std::string_view, std::string_view);
#endif

/// Takes a network from the text that `nn::print` gave, line by line, and its tensors from an archive.
template <class... Own>
class NetworkReader {
public:
    NetworkReader(std::string_view text, const ZipReader& archive, std::string_view source)
        : text_(text), archive_(archive), source_(source) {}

    result<nn::Network> read() {
        if (!text_.starts_with(nn::network_text_begins))
            return fail("expected the line `amct_distill network 1`: it is not a network of this version");
        // Each value is read, and held by a module or a constant; and a module may have some of its own.
        ValueLimit const limit(4 * archive_.size() + (std::size_t{1} << 20));
        try {
            std::string_view rest = text_;
            for (line_ = 1; !rest.empty(); ++line_) {
                std::size_t const end = (std::min)(rest.find('\n'), rest.size());
                std::string_view const line = rest.substr(0, end);
                rest.remove_prefix((std::min)(end + 1, rest.size()));
                if (line_ == 1 || line.empty()) continue;
                if (auto ok = read_line(line); !ok) return ok.diagnostics();
            }
            line_ = 0;
            for (const auto& m : net_.modules())
                if (auto ok = read_parameters(m.name); !ok) return ok.diagnostics();
        } catch (const std::invalid_argument& e) {
            return fail(e.what());
        }
        return std::move(net_);
    }

private:
    Diagnostic fail(std::string_view why) const {
        Diagnostic d = general_error(concat("cannot load the network: ", why));
        d.source = std::string(source_);
        if (line_ != 0) d.where = {line_, 1};
        return d;
    }

    result<void> read_line(std::string_view line) {
        OptionsReader in(line);
        std::string_view const kind = in.word();
        std::string name;
        if (!in.value(name)) return fail("expected a name in quotes");
        if (kind == "input") {
            bool const batch = in.take("[N");
            if (batch) in.take(",");
            nn::Shape shape;
            std::string const rest = concat(batch ? "[" : "", in.rest());
            if (OptionsReader dims(rest); !dims.value(shape)) return fail("expected a shape");
            batch ? net_.input(name, shape) : net_.fixed_input(name, shape);
            return {};
        }
        if (kind == "constant") {
            auto value = tensor(concat("constant:", name, ".npy"));
            if (!value) return value.diagnostics();
            net_.constant(name, *std::move(value));
            return {};
        }
        if (kind == "output") {
            auto const id = net_.find(name);
            if (!id) return fail(concat("no node is named `", name, "`"));
            net_.output(*id);
            return {};
        }
        std::optional<nn::Module> module;
        std::string used;
        if (kind == "layer" || kind == "function") {
            std::string_view const type = in.word();
            if (!in.take("{")) return fail("expected the options of a module in braces");
            std::string_view const rest = in.rest();
            std::size_t const end = end_of_options(rest);
            if (end == rest.npos) return fail("expected `}` after the options");
            auto made = make_module_of(ModuleList<Own...>{}, type, rest.substr(0, end));
            if (!made) made = make_standard_module(type, rest.substr(0, end));
            if (!made)
                return fail(concat("no module of type `", type,
                                   "` is known; name your own: nn::load<YourModule>(...)"));
            if (!*made) return fail(concat("a ", type, ": ", made->diagnostics()[0].message));
            module.emplace(**std::move(made));
            in = OptionsReader(rest.substr(end + 1));
        } else if (kind != "use" || !in.value(used)) {
            return fail("expected `input`, `constant`, `layer`, `use`, `function` or `output`");
        }
        std::vector<NodeId> inputs;
        while (!in.at_end()) {
            std::string input;
            if (!in.value(input)) return fail("expected the names of what the node reads, in quotes");
            auto const id = net_.find(input);
            if (!id) return fail(concat("no node before it is named `", input, "`"));
            inputs.push_back(*id);
        }
        if (kind == "layer")
            net_.add(name, *std::move(module), inputs);
        else if (kind == "function")
            net_.add_function(name, *std::move(module), inputs);
        else
            net_.apply(name, used, inputs);
        return {};
    }
    /// The `}` that is not in a text.
    static std::size_t end_of_options(std::string_view rest) {
        bool quoted = false;
        for (std::size_t i = 0; i != rest.size(); ++i) {
            if (quoted && rest[i] == '\\')
                ++i;
            else if (rest[i] == '"')
                quoted = !quoted;
            else if (rest[i] == '}' && !quoted)
                return i;
            if (i >= rest.size()) break;
        }
        return rest.npos;
    }

    result<void> read_parameters(const std::string& name) {
        for (auto& p : net_.module(name).parameters()) {
            auto value = tensor(concat(name, '.', p.name, ".npy"));
            if (!value) return value.diagnostics();
            if (!std::ranges::equal(value->shape(), p.shape()))
                return fail(concat("`", name, '.', p.name, "`: expected ",
                                   nn::to_string(nn::Shape(p.shape().begin(), p.shape().end())), ", found ",
                                   nn::to_string(value->shape())));
            std::ranges::copy(value->span(), p.values.begin());
        }
        return {};
    }
    result<nn::Tensor> tensor(const std::string& file) const {
        auto const content = archive_.find(file);
        if (!content) return fail(concat("the file has no array `", file, "`"));
        auto array = parse_npy(*content, concat("`", file, "` of ", source_));
        if (!array) return array.diagnostics();
        return nn::Tensor(array->shape, array->values);
    }

    std::string_view text_;
    const ZipReader& archive_;
    std::string_view source_;
    std::size_t line_ = 0;
    nn::Network net_{};
};

}  // namespace amct_distill::detail

namespace amct_distill::nn {

/// The bytes of the file. Error: they would be 4 GiB or more.
inline result<std::string> to_bytes(const Network& network) {
    ZipWriter zip;
    zip.add("network.txt", print(network));
    auto const add = [&](const std::string& name, std::span<const Index> shape,
                         std::span<const float> values) {
        zip.add(name + ".npy", detail::npy_content<float>(NpyShape(shape.begin(), shape.end()), values));
    };
    for (std::size_t i = 0; i != network.graph().size(); ++i)
        if (const auto& n = network.node({i}); n.kind == NodeKind::constant)
            add("constant:" + network.name({i}), n.constant.shape(), n.constant.span());
    for (const auto& m : network.modules())
        for (const auto& p : m.module.parameters())
            add(detail::concat(m.name, '.', p.name), p.shape(), p.values);
    return std::move(zip).finish();
}
/// Errors: the file cannot be written, or would take 4 GiB or more; a file that was there before is as it
/// was.
inline result<void> save(const Network& network, const std::filesystem::path& path) {
    auto bytes = to_bytes(network);
    if (!bytes) return bytes.diagnostics();
    return write_file(path, *bytes);
}

/// `Own`: modules besides the library's that the network has. Errors, with the line of the structure: the
/// file cannot be read or is damaged, a module's type is not known, its options or shapes do not fit, a
/// parameter is missing.
template <class... Own>
result<Network> load(const std::filesystem::path& path) {
    auto const content = read_file(path);
    if (!content) return content.diagnostics();
    auto const archive = ZipReader::open(*content);
    if (!archive)
        return general_error(
            detail::concat("cannot load ", path.string(), ": ", archive.diagnostics()[0].message));
    auto const text = archive->find("network.txt");
    if (!text)
        return general_error(detail::concat("cannot load ", path.string(),
                                            ": it has no network.txt; nn::save writes files that have"));
    std::string const source = path.string();
    return detail::NetworkReader<Own...>(*text, *archive, source).read();
}

}  // namespace amct_distill::nn
