// SPDX-License-Identifier: Apache-2.0
/// A deployment from its files: what write() wrote with the network.
///
///     write(deployment, "out", {.network = true}).value();
///     Deployment back = read_deployment("out").value();
///     integer_network(back).predict(images);              // the same bits
///     read_deployment<LocallyConnected>("out");           // with modules of one's own
///
/// The simulation of what is read quantizes inputs by scale and offset; the student's own quantizers are no
/// part of a deployment's files.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "../text/reader-inl.hpp"
#include "deployment-inl.hpp"
#include "write-inl.hpp"

namespace amct_distill {
namespace detail {

/// One layer after the other, each from its files and its entry of the record.
class DeploymentReader {
public:
    DeploymentReader(std::filesystem::path directory, const nn::Network& network)
        : directory_(std::move(directory)), network_(network) {}

    result<DeployedLayer> read_layer(const LayerFiles& files, const SingleLayerRecord& record) const {
        DeployedLayer out;
        out.name = files.layer.get();
        auto const module = network_.graph().module_named(out.name);
        if (!module) return fail("files.txt", concat("the network has no layer `", out.name, "`"));
        const nn::Weighted* const layer = network_.module(*module).weighted();
        if (layer == nullptr)
            return fail("files.txt", concat("layer `", out.name, "` is a ", network_.module(*module).type(),
                                            ", which has no weights that are quantized"));
        if (network_.graph().uses(*module).size() != 1)
            return fail("files.txt", concat("layer `", out.name, "` is not used once"));
        out.module = *module;
        out.node = network_.graph().uses(*module).front();
        auto const axis = channel_axis(*layer, network_.node(network_.node(out.node).inputs.at(0)).shape);
        if (!axis) return of_layer(out.name, axis.diagnostics());
        out.channel_axis = *axis;
        out.batch_norm = files.batch_norm.get();

        nn::WeightRows const rows(*layer);
        auto const channels = static_cast<std::size_t>(rows.count());
        for (std::uint32_t channel : files.requantized) {
            if (channel >= channels)
                return fail("files.txt", concat("layer `", out.name, "`: there is no channel ", channel,
                                                " to be requantized; it has ", channels));
            out.requantized.push_back(channel);
        }
        if (auto ok = read_factors(record, channels, out); !ok) return ok.diagnostics();
        if (auto ok = read_codes(files, record, *layer, out); !ok) return ok.diagnostics();
        if (files.bias.has_value()) {
            auto bias = read_values<std::int32_t>(*files.bias);
            if (!bias) return bias.diagnostics();
            if (bias->values.size() != channels)
                return fail(*files.bias,
                            concat("expected ", channels, " values, one for each channel, found ",
                                   bias->values.size()));
            out.bias = std::move(bias->values);
        }
        return check_accumulators(std::move(out), files);
    }

private:
    [[gnu::cold]] Diagnostic fail(std::string_view file, std::string message) const {
        Diagnostic d = general_error(std::move(message));
        d.source = (directory_ / file).string();
        return d;
    }
    /// Error: not one of the directory's own files.
    template <class T>
    result<NpyValues<T>> read_values(const std::string& name) const {
        std::filesystem::path const path = name;
        if (path != std::filesystem::path("weights") / path.filename())
            return fail("files.txt", concat("`", name, "` is no file in weights/"));
        auto const bytes = read_file(directory_ / path);
        if (!bytes) return bytes.diagnostics();
        return parse_npy_of<T>(*bytes, (directory_ / path).string());
    }

    result<void> read_factors(const SingleLayerRecord& record, std::size_t channels,
                              DeployedLayer& out) const {
        auto const bad = [&](const auto&... why) {
            return fail("record.txt", concat("layer `", out.name, "`: ", why...));
        };
        if (auto const [field, name] = type_in(record, "act_type", record.act_type);
            !take_width(name, out.data_width))
            return bad("its ", field, " `", name, "` is not known; INT4 or INT8");
        if (!record.scale_d.has_value() || !record.offset_d.has_value())
            return bad("scale_d or offset_d is missing");
        out.data = {*record.scale_d, *record.offset_d};
        if (!(std::isnormal(out.data.scale) && out.data.scale > 0))
            return bad("scale_d is ", out.data.scale, "; expected a positive number");
        bool const fits =
            std::visit([&]<class B>(B) { return out.data.offset >= B::qmin && out.data.offset <= B::qmax; },
                       out.data_width);
        if (!fits) return bad("offset_d is ", out.data.offset, ", which is no code");
        if (record.scale_w.size() != record.offset_w.size() ||
            (record.scale_w.size() != 1 && record.scale_w.size() != channels))
            return bad("has ", record.scale_w.size(), " scale_w and ", record.offset_w.size(),
                       " offset_w for ", channels, " channels");
        std::vector<ScaleOffset> scales;
        for (std::size_t i = 0; i != record.scale_w.size(); ++i) {
            if (record.offset_w[i] != 0) return bad("offset_w is ", record.offset_w[i], "; expected 0");
            float const unit = record.scale_w[i] * out.data.scale;
            if (!(std::isnormal(record.scale_w[i]) && record.scale_w[i] > 0 && std::isnormal(unit)))
                return bad("scale_w is ", record.scale_w[i], "; expected a positive number");
            scales.push_back({record.scale_w[i], 0});
        }
        out.weight_scales = Scales(std::move(scales));
        return {};
    }
    /// The name of a width, and the field that has it: one of its own, or the one for both.
    template <class Field>
    static std::pair<std::string_view, std::string> type_in(const SingleLayerRecord& record,
                                                            std::string_view own, const Field& type) {
        if (!type.has_value() && record.dst_type.has_value()) return {"dst_type", *record.dst_type};
        return {own, std::string(type.get())};
    }
    template <class... B>
    static bool take_width(std::string_view name, std::variant<B...>& width) {
        return ((B::name == name ? (width = B{}, true) : false) || ...);
    }

    result<void> read_codes(const LayerFiles& files, const SingleLayerRecord& record,
                            const nn::Weighted& layer, DeployedLayer& out) const {
        Width width;
        if (auto const [field, name] = type_in(record, "wts_type", record.wts_type); !take_width(name, width))
            return fail("record.txt", concat("layer `", out.name, "`: its ", field, " `", name,
                                             "` is not known; INT4 or INT8"));
        if (!files.weight.has_value())
            return fail("files.txt", concat("layer `", out.name, "` has no file of weights"));
        return std::visit([&]<class B>(B) { return read_codes_of<B>(*files.weight, layer, out); }, width);
    }
    template <class B>
    result<void> read_codes_of(const std::string& file, const nn::Weighted& layer, DeployedLayer& out) const {
        using Byte = typename Codes<B>::byte_type;
        auto array = read_values<Byte>(file);
        if (!array) return array.diagnostics();
        nn::WeightRows const rows(layer);
        auto const count = static_cast<std::size_t>(rows.count()),
                   length = static_cast<std::size_t>(rows.length());
        nn::Shape expected = layer.weight().shape();
        if constexpr (two_codes_a_byte<B>)
            expected = {rows.count(), static_cast<nn::Index>(code_row_bytes<B>(length))};
        if (!std::ranges::equal(array->shape, expected))
            return fail(file, concat("expected the shape ", nn::to_string(expected), ", found ",
                                     npy_shape(array->shape)));
        std::vector<Byte> bytes = std::move(array->values);
        if constexpr (!two_codes_a_byte<B>) {
            nn::BasicTensor<Byte> const weight(expected, bytes);
            nn::BasicTensor<Byte> buffer;
            auto const matrix = rows.gather(weight, buffer).span();
            bytes.assign(matrix.begin(), matrix.end());
        }
        auto codes = Codes<B>::from_bytes(std::move(bytes), count, length);
        if (!codes) return fail(file, codes.diagnostics()[0].message);
        out.codes = *std::move(codes);
        return {};
    }

    /// deploy() lets no accumulator leave INT32; a file that was changed might.
    result<DeployedLayer> check_accumulators(DeployedLayer out, const LayerFiles& files) const {
        std::int64_t const farthest = largest_data(out.data_width, out.data);
        std::vector<std::int8_t> codes(out.cols());
        for (std::size_t r = 0; r != out.rows(); ++r) {
            unpack_row(out.codes, r, codes);
            std::int64_t most = sum_of_magnitudes(codes) * farthest;
            if (!out.bias.empty()) most += std::abs(std::int64_t{out.bias[r]});
            if (most > (std::numeric_limits<std::int32_t>::max)())
                return fail(*files.weight, concat("channel ", r, ": its accumulator can reach ", most,
                                                  ", more than INT32 holds"));
        }
        return out;
    }

    std::filesystem::path directory_;
    const nn::Network& network_;
};

}  // namespace detail

/// `Own`: modules besides the library's that the network has. Errors, which name the file: one is missing,
/// damaged, or does not fit the others; there is no network.npz.
template <class... Own>
result<Deployment> read_deployment(const std::filesystem::path& directory) {
    std::error_code none;
    if (!std::filesystem::exists(directory / "files.txt", none))
        return general_error(
            detail::concat(directory.string(), ": there is no files.txt; is it the folder of a deployment?"));
    if (!std::filesystem::exists(directory / detail::network_file, none))
        return general_error(detail::concat(directory.string(), ": there is no ", detail::network_file,
                                            "; write the deployment with {.network = true}"));
    auto network = nn::load<Own...>(directory / detail::network_file);
    if (!network) return network.diagnostics();
    auto const read_text = [&]<class M>(std::type_identity<M>, const char* file) -> result<M> {
        auto const source = SourceText::file((directory / file).string());
        if (!source) return source.diagnostics();
        return read<M>(*source);
    };
    auto const files = read_text(std::type_identity<DeploymentFiles>{}, "files.txt");
    auto const record = read_text(std::type_identity<ScaleOffsetRecord>{}, "record.txt");
    Diagnostics errors = files ? Diagnostics{} : files.diagnostics();
    if (!record) errors.insert(errors.end(), record.diagnostics().begin(), record.diagnostics().end());
    if (!errors.empty()) return errors;

    detail::DeploymentReader const reader(directory, *network);
    std::vector<DeployedLayer> layers;
    std::set<std::string> seen;
    auto const bad = [&](const char* file, std::string message) {
        Diagnostic d = general_error(std::move(message));
        d.source = (directory / file).string();
        errors.push_back(std::move(d));
    };
    std::map<std::string, const SingleLayerRecord*> entries;
    for (const MapFiledEntry& e : record->record)
        if (e.value.has_value()) entries[e.key.get()] = &*e.value;
    for (const LayerFiles& one : files->files) {
        if (!seen.insert(one.layer.get()).second) {
            bad("files.txt", detail::concat("layer `", std::string(one.layer.get()), "` stands there twice"));
            continue;
        }
        auto const entry = entries.find(one.layer.get());
        if (entry == entries.end()) {
            bad("record.txt",
                detail::concat("there is no entry of layer `", std::string(one.layer.get()), "`"));
            continue;
        }
        auto layer = reader.read_layer(one, *entry->second);
        if (layer)
            layers.push_back(*std::move(layer));
        else
            errors.insert(errors.end(), layer.diagnostics().begin(), layer.diagnostics().end());
    }
    for (const MapFiledEntry& e : record->record)
        if (!seen.contains(e.key.get()))
            bad("files.txt", detail::concat("there is nothing of layer `", std::string(e.key.get()),
                                            "`, which record.txt has"));
    if (!errors.empty()) return errors;
    try {
        return Deployment(*std::move(network), std::move(layers));
    } catch (const std::invalid_argument& e) {
        return general_error(detail::concat(directory.string(), ": ", e.what()));
    }
}

}  // namespace amct_distill
