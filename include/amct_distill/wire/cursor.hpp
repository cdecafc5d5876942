// SPDX-License-Identifier: Apache-2.0
/// Where a reader of protobuf's wire format is in its bytes: numbers, tags and lengths, the bound of the heap, and the
/// path of fields for diagnostics.
///
///     detail::WireCursor cursor(bytes, {.source = "quant.pb"});
///     std::uint32_t tag = 0;
///     if (!cursor.read_tag(tag)) return cursor.take_diagnostics();     // "at byte 0: ..."
#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "fields.hpp"

namespace amct_distill {

struct BinaryOptions {
    std::string_view source = {};     ///< name of the file, for diagnostics
    std::size_t max_depth = 100;      ///< of nested messages, as in protobuf
    std::size_t max_expansion = 128;  ///< bytes of heap per byte read
};

namespace detail {

class WireCursor {
public:
    WireCursor(std::string_view bytes, const BinaryOptions& options)
        : at_(bytes.data()), end_(at_ + bytes.size()), begin_(at_), options_(options) {
        std::uint64_t const most = (std::uint64_t{1} << 62) / (options.max_expansion + 1);
        heap_left_ = (std::min)(std::uint64_t{bytes.size()}, most) * options.max_expansion + (1 << 16);
    }

    Diagnostics take_diagnostics() { return std::move(diagnostics_); }

protected:
    static constexpr std::size_t no_index = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_diagnostics = 100;
    /// The fields that lead to where the reader is: a list through the stack.
    struct Step {
        std::string_view name;
        std::size_t index;
        const Step* outer;
    };
    // ---- bytes

    bool read_varint(std::uint64_t& v) {
        const char* const where = at_;
        v = 0;
        for (unsigned shift = 0; at_ != end_; shift += 7) {
            if (shift == 70) return stop(where, "a number of more than 10 bytes");
            auto const byte = static_cast<unsigned char>(*at_++);
            v |= std::uint64_t{byte & 0x7Fu} << shift;  // what the tenth has above 64 bits is dropped
            if (byte < 0x80) return true;
        }
        return stop(where, "the bytes end within a number");
    }
    bool read_tag(std::uint32_t& tag) {
        const char* const where = at_;
        std::uint64_t v = 0;
        if (!read_varint(v)) return false;
        if (at_ - where > 5) return stop(where, "a field's tag of more than 5 bytes");
        tag = static_cast<std::uint32_t>(v);
        if (tag >> 3 == 0) return stop(where, "expected a field; a field's number is never 0");
        return true;
    }
    /// A length that the bytes hold.
    bool read_length(std::size_t& length) {
        const char* const where = at_;
        std::uint64_t v = 0;
        if (!read_varint(v)) return false;
        if (at_ - where > 5) return stop(where, "a length of more than 5 bytes");
        auto const left = static_cast<std::uint64_t>(end_ - at_);
        if (v > left)
            return stop(where, concat("the length is ", v, ", but the bytes left are ", left,
                                      depth_ == 0 ? ": is the file whole?" : " in the message around it"));
        length = static_cast<std::size_t>(v);
        return true;
    }
    bool skip(WireType type, const char* where) {
        std::size_t length = 0;
        std::uint64_t ignored = 0;
        switch (type) {
            case WireType::varint:
                return read_varint(ignored);
            case WireType::length:
                if (!read_length(length)) return false;
                break;
            case WireType::fixed32:
                length = 4;
                break;
            case WireType::fixed64:
                length = 8;
                break;
            case WireType::start_group:
            case WireType::end_group:
                return stop(where, "groups (wire types 3 and 4) are not supported");
            default:
                return stop(where, concat("wire type ", static_cast<unsigned>(type), " does not exist"));
        }
        if (static_cast<std::size_t>(end_ - at_) < length)
            return stop(where,
                        concat("a value takes ", length, " bytes, but the bytes left are ", end_ - at_));
        at_ += length;
        return true;
    }

    /// Precondition: the bytes are there.
    template <class T>
    T take_fixed() {
        using U = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
        U u = 0;
        for (std::size_t i = 0; i != sizeof(T); ++i)
            u |= static_cast<U>(static_cast<U>(static_cast<unsigned char>(at_[i])) << (8 * i));
        at_ += sizeof(T);
        return std::bit_cast<T>(u);
    }

    std::size_t count_packed(const char* value, WireType each) const {
        std::size_t length = 0;
        WireCursor run(*this, Silent{});
        run.at_ = value;
        if (!run.read_length(length)) return 0;
        if (each != WireType::varint) return length / (each == WireType::fixed32 ? 4 : 8);
        return static_cast<std::size_t>(std::count_if(
            run.at_, run.at_ + length, [](char c) { return (static_cast<unsigned char>(c) & 0x80) == 0; }));
    }

    /// Takes from the bound of the heap.
    bool charge(std::uint64_t bytes, const char* where) {
        if (bytes <= heap_left_) {
            heap_left_ -= bytes;
            return true;
        }
        return stop(where, concat("the message would take more memory than ", options_.max_expansion,
                                  " times its bytes: the file is damaged, or made to exhaust memory"));
    }

    // ---- diagnostics

    std::string path_text() const {
        std::string out;
        for (const Step* s = path_; s != nullptr; s = s->outer) {
            std::string part(s->name);
            if (s->index != no_index) part += concat('[', s->index, ']');
            out = out.empty() ? std::move(part) : concat(part, '.', out);
        }
        return out;
    }
    [[gnu::cold, gnu::noinline]] void report(Severity severity, std::string message) {
        if (severity == Severity::error) ok_ = false;
        if (silent_ || diagnostics_.size() == max_diagnostics) return;
        Diagnostic d;
        d.severity = severity;
        d.source = std::string(options_.source);
        d.path = path_text();
        d.message = std::move(message);
        std::size_t const size = d.source.size() + d.path.size() + d.message.size() + 3 * sizeof d;
        if (severity == Severity::warning) {  // they are part of what the bytes may take
            if (size > heap_left_) return;
            heap_left_ -= size;
        }
        diagnostics_.push_back(std::move(d));
    }
    [[gnu::cold, gnu::noinline]] bool stop(const char* where, std::string_view message) {
        if (!silent_) report(Severity::error, concat("at byte ", where - begin_, ": ", message));
        return false;
    }
    [[gnu::cold, gnu::noinline]] void warn(const char* where, std::string_view message) {
        report(Severity::warning, concat("at byte ", where - begin_, ": ", message));
    }

    struct Silent {};
    /// From the same place to the same end, without a word and without memory.
    WireCursor(const WireCursor& from, Silent)
        : at_(from.at_), end_(from.end_), begin_(from.begin_), options_(from.options_), silent_(true) {}

    const char* at_;
    const char* end_;  // of the message that is being read
    const char* begin_;
    BinaryOptions options_;
    std::uint64_t heap_left_ = 0;
    std::size_t depth_ = 0;
    const Step* path_ = nullptr;
    bool meets_required_ = false;
    bool silent_ = false;
    bool ok_ = true;
    Diagnostics diagnostics_{};
};

}  // namespace detail
}  // namespace amct_distill
