// SPDX-License-Identifier: Apache-2.0
/// Fields that a message's text has and the message has not: kept as text, and printed again.
///
///     struct Record { optional<float> scale{}; UnknownFields unknown_fields{}; };
///     auto r = read<Record>("scale: 1 shape { dim: 3 }").value();     // with a warning
///     r.unknown_fields.text();                                        // "shape {\n  dim: 3\n}\n"
///
/// Without such a member an unknown field is an error. The binary format does not keep them.
#pragma once
#include <string>
#include <string_view>

namespace amct_distill {

class UnknownFields {
public:
    /// In protobuf's canonical text format: one field a line, in the order of the text that was read.
    const std::string& text() const noexcept { return text_; }
    bool empty() const noexcept { return text_.empty(); }
    void append(std::string_view canonical_text) { text_.append(canonical_text); }
    void clear() noexcept { text_.clear(); }
    friend bool operator==(const UnknownFields&, const UnknownFields&) = default;

private:
    std::string text_{};
};

}  // namespace amct_distill
