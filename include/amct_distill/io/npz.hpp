// SPDX-License-Identifier: Apache-2.0
/// Several arrays in one file, as NumPy's `.npz`: a zip archive without compression.
///
///     ZipWriter zip;
///     zip.add("conv1.weight.npy", npy_bytes<float>({8, 3}, weights));
///     write_file("weights.npz", zip.finish().value()).value();
///     ZipReader archive = ZipReader::open(bytes).value();           // a view of the bytes
///     archive.find("conv1.weight.npy");
///
/// numpy.load reads what is written. What numpy.savez writes is read; compressed archives (savez_compressed)
/// are refused with a remedy. Files of 4 GiB and more are refused: that takes another format of zip.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "crc32.hpp"

namespace amct_distill {
namespace detail {

/// `width` bytes of a number, the lowest first.
inline void put_little(std::string& out, std::uint32_t value, int width) {
    for (int i = 0; i != width; ++i) out.push_back(static_cast<char>(value >> (8 * i) & 0xFF));
}
inline std::uint32_t little(std::string_view bytes, std::size_t at, std::size_t width) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i != width; ++i)
        value |= std::uint32_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
    return value;
}

}  // namespace detail

class ZipWriter {
public:
    void add(std::string name, std::string_view content) {
        std::uint32_t const crc = detail::crc32(content);
        std::string common;
        detail::put_little(common, 20, 2);       // version needed
        detail::put_little(common, 1 << 11, 2);  // the name is UTF-8
        detail::put_little(common, 0, 2);        // stored
        detail::put_little(common, 0, 2);        // no time: the same arrays give the same bytes
        detail::put_little(common, 0x21, 2);     // 1980-01-01
        detail::put_little(common, crc, 4);
        detail::put_little(common, static_cast<std::uint32_t>(content.size()), 4);
        detail::put_little(common, static_cast<std::uint32_t>(content.size()), 4);
        detail::put_little(common, static_cast<std::uint32_t>(name.size()), 2);
        detail::put_little(common, 0, 2);  // extra
        too_large_ = too_large_ || name.size() > 0xFFFF || files_ == 0xFFFF ||
                     content.size() + out_.size() > 0xFFFFFFFFu - (1u << 20);

        detail::put_little(directory_, 0x02014B50, 4);
        detail::put_little(directory_, 20, 2);  // version made by
        directory_ += common;
        for (int width : {2, 2, 2, 4}) detail::put_little(directory_, 0, width);  // comment, disk, attributes
        detail::put_little(directory_, static_cast<std::uint32_t>(out_.size()), 4);
        directory_ += name;

        detail::put_little(out_, 0x04034B50, 4);
        out_ += common;
        out_ += name;
        out_ += content;
        ++files_;
    }
    /// The archive's bytes. Error: they are 4 GiB or more.
    result<std::string> finish() && {
        std::size_t const at = out_.size();
        if (too_large_ || at + directory_.size() > 0xFFFFFFFFu)
            return general_error("the arrays take 4 GiB or more, which this format of .npz cannot hold");
        out_ += directory_;
        detail::put_little(out_, 0x06054B50, 4);
        detail::put_little(out_, 0, 4);  // disks
        for (int i = 0; i != 2; ++i) detail::put_little(out_, files_, 2);
        detail::put_little(out_, static_cast<std::uint32_t>(directory_.size()), 4);
        detail::put_little(out_, static_cast<std::uint32_t>(at), 4);
        detail::put_little(out_, 0, 2);  // comment
        return std::move(out_);
    }

private:
    std::string out_{}, directory_{};
    std::uint32_t files_ = 0;
    bool too_large_ = false;
};

/// A view of an archive's files; valid as long as the bytes.
class ZipReader {
public:
    struct File {
        std::string_view name{}, content{};
    };
    const std::vector<File>& files() const { return files_; }
    /// Of all files, in bytes.
    std::size_t size() const {
        std::size_t sum = 0;
        for (const File& f : files_) sum += f.content.size();
        return sum;
    }
    std::optional<std::string_view> find(std::string_view name) const {
        auto const found = std::ranges::find(files_, name, &File::name);
        if (found == files_.end()) return std::nullopt;
        return found->content;
    }

    /// Errors: the bytes are no zip archive, or a damaged one; a file in it is compressed.
    static result<ZipReader> open(std::string_view bytes) {
        auto const bad = [](std::string_view why) {
            return general_error(detail::concat("this .npz ", why));
        };
        // The end record stands before a comment of at most 65535 bytes, of which ours have none.
        if (bytes.size() < 22) return bad("is too short to be one");
        std::size_t end = bytes.size() - 22;
        for (std::size_t tried = 0; detail::little(bytes, end, 4) != 0x06054B50; --end, ++tried)
            if (end == 0 || tried == 0xFFFF)
                return bad("has no directory: it is no zip archive, or is cut off");
        std::size_t const count = detail::little(bytes, end + 10, 2);
        std::size_t at = detail::little(bytes, end + 16, 4);
        ZipReader reader;
        std::size_t left = end;  // files that overlap would let a small archive take hours
        for (std::size_t i = 0; i != count; ++i) {
            if (at > end || end - at < 46 || detail::little(bytes, at, 4) != 0x02014B50)
                return bad("has a damaged directory");
            std::size_t const method = detail::little(bytes, at + 10, 2),
                              size = detail::little(bytes, at + 20, 4),
                              name_size = detail::little(bytes, at + 28, 2),
                              rest = std::size_t{detail::little(bytes, at + 30, 2)} +
                                     detail::little(bytes, at + 32, 2),
                              local = detail::little(bytes, at + 42, 4);
            std::uint32_t const crc = detail::little(bytes, at + 16, 4);
            if (end - at < 46 + name_size + rest) return bad("has a damaged directory");
            std::string_view const name = bytes.substr(at + 46, name_size);
            if (method != 0)
                return bad(detail::concat("is compressed (`", name,
                                          "`): write it with numpy.savez, not savez_compressed"));
            if (local > end || end - local < 30 || detail::little(bytes, local, 4) != 0x04034B50)
                return bad(detail::concat("is damaged at `", name, "`"));
            std::size_t const data =
                local + 30 + detail::little(bytes, local + 26, 2) + detail::little(bytes, local + 28, 2);
            if (data > end || end - data < size) return bad(detail::concat("is cut off at `", name, "`"));
            if (size > left) return bad("has files that overlap");
            left -= size;
            std::string_view const content = bytes.substr(data, size);
            if (detail::crc32(content) != crc) return bad(detail::concat("is damaged at `", name, "`"));
            reader.files_.push_back({name, content});
            at += 46 + name_size + rest;
        }
        return reader;
    }

private:
    std::vector<File> files_{};
};

}  // namespace amct_distill
