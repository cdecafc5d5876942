// SPDX-License-Identifier: Apache-2.0
/// The files beside a model that hold its tensors' bytes, mapped; no other files, whatever the model says.
///
///     onnx::ExternalData data("models");                          // the model's folder
///     result<std::string_view> bytes = data.bytes(tensor, 4096);   // the 4096 bytes that its shape asks for
///
/// A model is someone else's file: it may name files by the keys location, offset, length and checksum only,
/// by a relative path without `..`, a regular file below the model's folder; symbolic links are refused
/// unless asked for, and then their targets must lie in the folder too. offset + length must be inside the
/// file. (The checksum is not compared: it would read all of the file.)
#pragma once
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "../io/mapped_file.hpp"
#include "messages.hpp"

namespace amct_distill::onnx {

class ExternalData {
public:
    using Links = MappedFile::Links;

    explicit ExternalData(std::filesystem::path folder, Links links = Links::refused)
        : folder_(folder.empty() ? std::filesystem::path(".") : std::move(folder)), links_(links) {}

    /// The tensor's bytes, valid as long as this object. Precondition: tensor.data_location is 1.
    result<std::string_view> bytes(const TensorProto& tensor, std::uint64_t needed) {
        std::optional<std::string_view> values[4]{};
        constexpr std::string_view keys[4]{"location", "offset", "length", "checksum"};
        for (const StringStringEntryProto& entry : tensor.external_data) {
            std::size_t k = 0;
            while (k != 4 && keys[k] != entry.key.get()) ++k;
            if (k == 4)
                return error(tensor, "external_data has the key `", entry.key.get(),
                             "`; the keys are location, offset, length and checksum");
            if (values[k]) return error(tensor, "external_data has the key `", keys[k], "` twice");
            values[k] = entry.value.get();
        }
        if (!values[0] || values[0]->empty())
            return error(tensor, "its values are in another file, but external_data has no location");
        std::uint64_t offset = 0, length = needed;
        if (values[1] && !number(*values[1], offset))
            return error(tensor, "the offset of its external data, `", *values[1],
                         "`, is not a whole number");
        if (values[2] && !number(*values[2], length))
            return error(tensor, "the length of its external data, `", *values[2],
                         "`, is not a whole number");
        if (length != needed)
            return error(tensor, "its external data has ", length, " bytes, but its shape and type need ",
                         needed);

        result<const MappedFile*> const file = open(tensor, *values[0]);
        if (!file) return file.diagnostics();
        std::string_view const all = (*file)->bytes();
        if (offset > all.size() || length > all.size() - offset)
            return error(tensor, "its external data are ", length, " bytes at offset ", offset, " of ",
                         *values[0], ", which has only ", all.size(), "; is that file whole?");
        return all.substr(static_cast<std::size_t>(offset), static_cast<std::size_t>(length));
    }

    /// Of the files that were asked for, each counted once.
    std::uint64_t size() const {
        std::uint64_t sum = 0;
        for (auto const& [path, file] : files_) sum += file.bytes().size();
        return sum;
    }

private:
    template <class... Pieces>
    [[gnu::cold, gnu::noinline]] static Diagnostic error(const TensorProto& tensor, const Pieces&... pieces) {
        return general_error(amct_distill::detail::concat("tensor `", tensor.name.get(), "`: ", pieces...));
    }
    static bool number(std::string_view text, std::uint64_t& value) {
        const char* const end = text.data() + text.size();
        auto const parsed = std::from_chars(text.data(), end, value);
        return parsed.ec == std::errc{} && parsed.ptr == end;
    }
    result<const MappedFile*> open(const TensorProto& tensor, std::string_view location) {
        namespace fs = std::filesystem;
        if (auto const known = locations_.find(location); known != locations_.end()) return known->second;
        fs::path const relative{std::string(location)};
        bool leaves =
            relative.is_absolute() || relative.has_root_path() || location.find('\0') != location.npos;
        for (const fs::path& part : relative) leaves = leaves || part == "..";
        if (leaves)
            return error(tensor, "its external data are at `", location,
                         "`; a model may name files of its own folder only, by a relative path without `..`");
        std::error_code code;
        fs::path const folder = fs::canonical(folder_, code);
        if (code) return error(tensor, "the model's folder ", folder_.string(), ": ", code.message());
        fs::path const path = fs::canonical(folder / relative, code);
        if (code)
            return error(tensor, "its external data: cannot open ", (folder_ / relative).string(), ": ",
                         code.message(), "; copy that file beside the model");
        if (links_ == Links::refused && path != (folder / relative).lexically_normal())
            return error(tensor, "its external data are at `", location,
                         "`, which is or passes a symbolic link; allow links if the model can be trusted");
        fs::path const inside = path.lexically_relative(folder);
        if (inside.empty() || *inside.begin() == ".." || inside.is_absolute())
            return error(tensor, "its external data are at `", location,
                         "`, a link that leaves the model's folder");
        auto at = files_.find(path);
        if (at == files_.end()) {
            result<MappedFile> file = MappedFile::open(path, Links::refused);
            if (!file) return error(tensor, "its external data: ", file.diagnostics().front().message);
            at = files_.emplace(path, *std::move(file)).first;
        }
        return locations_.emplace(std::string(location), &at->second).first->second;
    }

    std::filesystem::path folder_;
    Links links_;
    std::map<std::filesystem::path, MappedFile> files_{};
    std::map<std::string, const MappedFile*, std::less<>> locations_{};  // as tensors name them
};

}  // namespace amct_distill::onnx
