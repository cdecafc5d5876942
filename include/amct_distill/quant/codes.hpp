// SPDX-License-Identifier: Apache-2.0
/// Codes of a weight as they are stored and shipped, typed by their width: up to 4 bits two in a byte, the
/// low nibble first and every row padded to whole bytes; above, a byte each.
///
///     Codes<Int4> const codes = Codes<Int4>::pack(q.codes, q.rows, q.cols).value();
///     codes.at(r, c);                     // in -8..7
///     codes.bytes();                      // std::uint8_t for nibbles, std::int8_t otherwise
///     codes.unpack();                     // == q.codes
///
/// The width is a type: what stores, reads or computes with codes is chosen by the compiler. fixed_codes.hpp
/// has the same of a constant size.
#pragma once
#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/concat.hpp"
#include "../core/result.hpp"
#include "../policy/bits.hpp"
#include "../run/execution.hpp"
#include "fixed_codes.hpp"
#include "int4.hpp"
#include "quantized_matrix.hpp"

namespace amct_distill {

namespace detail {

/// The first code that B does not have, or `codes.size()`.
template <BitWidth B>
std::size_t first_outside(std::span<const std::int8_t> codes) {
    auto const bad =
        std::find_if(codes.begin(), codes.end(), [](std::int8_t c) { return c < B::qmin || c > B::qmax; });
    return static_cast<std::size_t>(bad - codes.begin());
}

[[gnu::cold, gnu::noinline]] inline Diagnostic code_outside(int code, std::size_t row, std::size_t col,
                                                            int qmin, int qmax, std::string_view bits) {
    return general_error(concat("codes: code ", code, " at [", row, ", ", col, "] is outside ", qmin, "..",
                                qmax, "; quantize with ", bits));
}

}  // namespace detail

/// A rows x cols matrix of codes in qmin..qmax.
template <BitWidth B>
class Codes {
public:
    using bits = B;
    using byte_type = code_byte<B>;

    /// No rows.
    Codes() = default;
    /// Zeros.
    Codes(std::size_t rows, std::size_t cols)
        : rows_(rows), cols_(cols), bytes_(rows * code_row_bytes<B>(cols)) {}

    /// Of row-major codes, one in each byte. Errors: not rows * cols of them; one that B does not have.
    static result<Codes> pack(std::span<const std::int8_t> codes, std::size_t rows, std::size_t cols,
                              const Execution& on = {}) {
        if (codes.size() != rows * cols)
            return general_error(detail::concat("codes: ", codes.size(), " codes are not a ", rows, " x ",
                                                cols, " matrix; pass the rows and columns of the weight"));
        if (std::size_t const bad = detail::first_outside<B>(codes); bad != codes.size())
            return detail::code_outside(codes[bad], bad / cols, bad % cols, B::qmin, B::qmax, B::name);
        Codes packed(rows, cols);
        if constexpr (two_codes_a_byte<B>)
            packed.bytes_ = *pack_int4(codes, rows, cols, on);
        else
            packed.bytes_.assign(codes.begin(), codes.end());
        return packed;
    }
    /// Of bytes as they are stored. Errors: not as many as the matrix takes; a code that B does not have.
    static result<Codes> from_bytes(std::vector<byte_type> bytes, std::size_t rows, std::size_t cols) {
        std::size_t const size = rows * code_row_bytes<B>(cols);
        if (bytes.size() != size)
            return general_error(detail::concat("codes: a ", rows, " x ", cols, " matrix of ", B::name,
                                                " takes ", size, " bytes, found ", bytes.size(),
                                                "; pass the rows and columns it was stored with"));
        Codes stored;
        stored.rows_ = rows;
        stored.cols_ = cols;
        stored.bytes_ = std::move(bytes);
        for (std::size_t r = 0; r != rows; ++r)
            for (std::size_t c = 0; c != cols; ++c)
                if (int const code = stored.at(r, c); code < B::qmin || code > B::qmax)
                    return detail::code_outside(code, r, c, B::qmin, B::qmax, B::name);
        return stored;
    }
    /// Straight from floats. Preconditions: `scales` fit the rows; w has no NaN.
    static Codes quantize(const ConstMatrixRef& w, const Scales& scales, const Execution& on = {}) {
        Codes made(static_cast<std::size_t>(w.rows()), static_cast<std::size_t>(w.cols()));
        detail::quantize_rows(on, w, scales, std::span(made.bytes_),
                              [](auto x, auto bytes, ScaleOffset p, const Execution& serial) {
                                  if constexpr (two_codes_a_byte<B>)
                                      quantize_int4<B>(x, bytes, p, serial);
                                  else
                                      amct_distill::quantize<B>(x, bytes, p, serial);
                              });
        return made;
    }

    std::size_t rows() const { return rows_; }
    std::size_t cols() const { return cols_; }
    std::size_t row_bytes() const { return code_row_bytes<B>(cols_); }
    /// rows() rows of row_bytes() each. A nibble that pads a row is 0 unless `from_bytes` was given another.
    std::span<const byte_type> bytes() const { return bytes_; }

    /// Preconditions of the four: r < rows(), c < cols(); the code is one of B's; `out` has cols() entries.
    int at(std::size_t r, std::size_t c) const {
        assert(r < rows_ && c < cols_);
        return detail::code_at<B>(bytes_.data() + r * row_bytes(), c);
    }
    void set(std::size_t r, std::size_t c, int code) {
        assert(r < rows_ && c < cols_);
        detail::set_code<B>(bytes_.data() + r * row_bytes(), c, code);
    }
    void unpack_row(std::size_t r, std::span<std::int8_t> out, const Execution& on = {}) const {
        assert(r < rows_ && out.size() == cols_);
        const byte_type* const row = bytes_.data() + r * row_bytes();
        if constexpr (two_codes_a_byte<B>)
            detail::run_on(on.instructions, detail::UnpackInt4Loop{row, out.data(), cols_});
        else
            std::copy(row, row + cols_, out.begin());
    }

    /// Row-major, a code in each byte.
    std::vector<std::int8_t> unpack(const Execution& on = {}) const {
        std::vector<std::int8_t> out(rows_ * cols_);
        detail::in_parts(on, rows_, detail::rows_per_task(cols_), [&](std::size_t begin, std::size_t end) {
            for (std::size_t r = begin; r != end; ++r)
                unpack_row(r, std::span(out).subspan(r * cols_, cols_), on);
        });
        return out;
    }

    /// Whether shapes and codes are the same; padding does not count.
    friend bool operator==(const Codes& a, const Codes& b) {
        if (a.rows_ != b.rows_ || a.cols_ != b.cols_) return false;
        return a.bytes_ == b.bytes_ || a.unpack() == b.unpack();
    }

private:
    std::size_t rows_ = 0, cols_ = 0;
    std::vector<byte_type> bytes_{};
};

/// Codes with their scales, in the least of memory.
template <BitWidth B>
struct PackedMatrix {
    Codes<B> codes{};
    Scales scales{};
};

/// The codes of q, which must be of B's bits. Errors as in Codes::pack.
template <BitWidth B>
result<PackedMatrix<B>> pack(const QuantizedMatrix& q, const Execution& on = {}) {
    auto codes = Codes<B>::pack(q.codes, q.rows, q.cols, on);
    if (!codes) return codes.diagnostics();
    return PackedMatrix<B>{*std::move(codes), q.scales};
}

/// What the codes stand for. Preconditions: `out` has the shape of q.codes, q.scales fit it.
template <BitWidth B>
void dequantize(const PackedMatrix<B>& q, MatrixRef out, const Execution& on = {}) {
    assert(q.codes.rows() == static_cast<std::size_t>(out.rows()) &&
           q.codes.cols() == static_cast<std::size_t>(out.cols()));
    detail::in_parts(
        on, q.codes.rows(), detail::rows_per_task(q.codes.cols()), [&](std::size_t begin, std::size_t end) {
            std::vector<std::int8_t> codes(q.codes.cols());
            Execution serial;
            serial.instructions = on.instructions;
            for (std::size_t r = begin; r != end; ++r) {
                q.codes.unpack_row(r, codes, serial);
                dequantize(codes, detail::row(out, static_cast<Eigen::Index>(r)), q.scales.of_row(r), serial);
            }
        });
}

}  // namespace amct_distill
