/// amct_distill in one file, all but its adapters: reads AMCT's distillation configurations, resolves them to a
/// plan, quantizes, distills and writes the record. Needs C++20, Boost (PFR, Spirit X3: headers) and Eigen.
// Made from include/ by cmake/single_header.cmake: change the headers there.
#pragma once

#ifndef AMCT_DISTILL_VERSION
#if __has_include(<Eigen/Core>)
#include <Eigen/Core>
#else
#include <eigen3/Eigen/Core>
#endif
#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>
#include <cerrno>
#include <cfloat>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

// ---- amct_distill/core/version.hpp

/// The version of amct_distill: the only macros that its headers leave behind.
///
///     #if AMCT_DISTILL_VERSION >= 200      // 0.2.0 or newer
///
/// CMake takes the project's version from here.

#define AMCT_DISTILL_VERSION_MAJOR 0
#define AMCT_DISTILL_VERSION_MINOR 1
#define AMCT_DISTILL_VERSION_PATCH 0
#define AMCT_DISTILL_VERSION 100  // 10000 * major + 100 * minor + patch

// ---- amct_distill/policy/bits.hpp

/// Bit widths as types: how many bits a quantized value has, and the codes they give.
///
///     Arq<Int4, ChannelWise>            // weights in 4 bits
///     Int4::qmin == -8, Int4::qmax == 7, Int4::name == "INT4"
///     struct Int6 : bits<6> { static constexpr std::string_view name = "INT6"; };   // a width of your own

namespace amct_distill {

/// Signed two's complement codes of `N` bits.
template <int N>
struct bits {
    static_assert(N >= 2 && N <= 8,
                  "bits<N>: N must be 2..8; for a layer that stays in float use quant_skip_layers");
    static constexpr int width = N;
    static constexpr int qmin = -(1 << (N - 1));
    static constexpr int qmax = (1 << (N - 1)) - 1;
    using storage = std::int8_t;  ///< one code, not packed
};

/// The names are those of the configuration's DataType.
struct Int4 : bits<4> {
    static constexpr std::string_view name = "INT4";
};
struct Int8 : bits<8> {
    static constexpr std::string_view name = "INT8";
};

template <class B>
concept BitWidth = requires {
    { B::name } -> std::convertible_to<std::string_view>;
    typename bits<B::width>;
    requires B::qmin == bits<B::width>::qmin&& B::qmax == bits<B::width>::qmax;
    requires std::same_as<typename B::storage, typename bits<B::width>::storage>;
};

}  // namespace amct_distill

// ---- amct_distill/policy/granularity.hpp

/// How many scales a weight has: one per output channel, or one for the whole tensor.
///
///     Arq<Int8, ChannelWise>      // as many scales as rows of the weight matrix
///     Arq<Int8, TensorWise>       // one

namespace amct_distill {

struct ChannelWise {
    static constexpr std::string_view name = "channel_wise";
};
struct TensorWise {
    static constexpr std::string_view name = "tensor_wise";
};

template <class G>
concept Granularity = std::same_as<G, ChannelWise> || std::same_as<G, TensorWise>;

}  // namespace amct_distill

// ---- amct_distill/policy/symmetry.hpp

/// Whether the integer 0 stands for the real 0: offset 0 (symmetric), or an offset fitted to the range.
///
///     Arq<Int8, ChannelWise>                  // weights are symmetric by default
///     ActUlq<Int8>                            // activations are asymmetric by default
///     Arq<Int8, ChannelWise, Asymmetric>

namespace amct_distill {

struct Symmetric {
    static constexpr std::string_view name = "symmetric";
};
struct Asymmetric {
    static constexpr std::string_view name = "asymmetric";
};

template <class S>
concept Symmetry = std::same_as<S, Symmetric> || std::same_as<S, Asymmetric>;

}  // namespace amct_distill

// ---- amct_distill/policy/quantizer_names.hpp

/// The quantizers' names, declared: enough for a message to name its quantizer, without Eigen.
///
///     template <class B, class G> using quantizer = Arq<B, G>;   // in the message ARQDistill
///
/// Their definitions are in quant/arq.hpp, quant/ulq.hpp, quant/act_ulq.hpp and quant/ifmr.hpp.

namespace amct_distill {

template <BitWidth B, Granularity G, Symmetry S = Symmetric>
class Arq;
template <BitWidth B, Granularity G>
class Ulq;
template <BitWidth B, Symmetry S = Asymmetric>
class ActUlq;
template <BitWidth B, Symmetry S = Symmetric>
class Ifmr;

}  // namespace amct_distill

// ---- amct_distill/policy/supports.hpp

/// What an engine can run: a closed list of quantizers, asked at compile time.
///
///     using engine = supports<Arq<Int4, ChannelWise>, Arq<Int8, ChannelWise>, ActUlq<Int8>>;
///     static_assert(engine::has<ActUlq<Int8>>);
///     static_assert(!engine::has<ActUlq<Int4>>);
///
/// Only what the list has is instantiated, so it is also what an embedder pays for.

namespace amct_distill {

template <class... Q>
struct supports {
    template <class X>
    static constexpr bool has = (std::same_as<X, Q> || ...);
};

/// An engine without limits.
struct supports_all {
    template <class X>
    static constexpr bool has = true;
};

}  // namespace amct_distill

// ---- amct_distill/core/concat.hpp

/// One string from pieces: texts, characters and whole numbers.
///
///     detail::concat("expected ", 3, " channels, found ", n)
///
/// (`std::string + "..."` would do, but g++ 12 at -O2 answers it with false -Wrestrict and -Warray-bounds
/// warnings, GCC bugs 105329 and 105651.)

namespace amct_distill::detail {

inline void append(std::string& out, std::string_view piece) { out.append(piece); }
inline void append(std::string& out, char piece) { out.push_back(piece); }
template <std::integral N>
requires(!std::same_as<N, char> && !std::same_as<N, bool>) void append(std::string& out, N piece) {
    out.append(std::to_string(piece));
}

template <class... Pieces>
std::string concat(const Pieces&... pieces) {
    std::string out;
    (append(out, pieces), ...);
    return out;
}

}  // namespace amct_distill::detail

// ---- amct_distill/core/utf8.hpp

/// Whether a text is UTF-8.
///
///     detail::first_invalid_utf8("caf\xc3\xa9") == std::string_view::npos
///
/// Usable in constant evaluation.

namespace amct_distill::detail {

constexpr bool is_utf8_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0u) == 0x80u; }

/// How many bytes at the beginning are ASCII for sure: all but the last few of them, eight at a time.
inline std::size_t ascii_prefix(std::string_view s) {
    std::size_t i = 0;
    std::uint64_t eight = 0;
    for (; i + sizeof eight <= s.size(); i += sizeof eight) {
        std::memcpy(&eight, s.data() + i, sizeof eight);
        if ((eight & 0x8080808080808080u) != 0) break;
    }
    return i;
}
inline bool is_ascii(std::string_view s) {
    s.remove_prefix(ascii_prefix(s));
    for (char c : s)
        if ((static_cast<unsigned char>(c) & 0x80u) != 0) return false;
    return true;
}

/// The first byte that is not part of valid UTF-8 (no surrogates, no overlong forms), or npos.
constexpr std::size_t first_invalid_utf8(std::string_view s) {
    auto const byte = [&](std::size_t k) { return std::uint32_t{static_cast<unsigned char>(s[k])}; };
    for (std::size_t i = 0; i < s.size();) {
        if (!std::is_constant_evaluated()) {  // eight ASCII bytes at a time
            i += ascii_prefix(s.substr(i));
            if (i == s.size()) break;
        }
        std::uint32_t const lead = byte(i);
        if (lead < 0x80) {
            ++i;
            continue;
        }
        std::size_t const length = lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
        if (length == 0 || i + length > s.size()) return i;
        std::uint32_t code = lead & (0x7Fu >> length);
        for (std::size_t k = 1; k < length; ++k) {
            if (byte(i + k) >> 6 != 2) return i;
            code = code << 6 | (byte(i + k) & 0x3Fu);
        }
        constexpr std::uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        if (code < least[length] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return i;
        i += length;
    }
    return std::string_view::npos;
}

}  // namespace amct_distill::detail

// ---- amct_distill/core/diagnostic.hpp

/// A message about one place in a text: where, what, and the line it is about.
///
///     Diagnostic d = diagnostic_at(Severity::error, "quant.cfg", text, offset, "batch_num", "expected `:`");
///     std::cerr << to_string(d);
///     // quant.cfg:3:11: error: batch_num: expected `:`, found `1`
///     //   batch_num 1
///     //             ^

namespace amct_distill {

enum class Severity { error, warning };

/// A place in a text, 1-based; columns count code points, a tab counts one. `line == 0`: no place.
struct Position {
    std::size_t line = 0;
    std::size_t column = 0;
    friend constexpr bool operator==(const Position&, const Position&) = default;
};

struct Diagnostic {
    Severity severity = Severity::error;
    std::string source{};   ///< name of the text, as given to the reader; may be empty
    Position where{};       ///< {0, 0} when the message is not about a place
    std::string path{};     ///< the fields that lead there, `a.b[1].c`; may be empty
    std::string message{};  ///< what is wrong, and the remedy
    std::string excerpt{};  ///< the line, cut to `max_excerpt` code points around the place; may be empty
    std::size_t caret = 0;  ///< 0-based column of the caret below `excerpt`
    bool quoted = false;    ///< the text was at hand: `excerpt` and `caret` are its

    static constexpr std::size_t max_excerpt = 100;
    friend bool operator==(const Diagnostic&, const Diagnostic&) = default;
};

namespace detail {

/// Code points of a text that may not be valid UTF-8: every byte that does not continue another one.
constexpr std::size_t count_code_points(std::string_view text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return !is_utf8_continuation(c); }));
}

constexpr Position position_of(std::string_view text, std::size_t offset) {
    std::string_view const before = text.substr(0, offset);
    auto const newline = before.rfind('\n');
    std::string_view const line = newline == before.npos ? before : before.substr(newline + 1);
    auto const lines = static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n'));
    return {lines + 1, count_code_points(line) + 1};
}

/// Fills in the excerpt of a diagnostic whose position is set.
inline void quote_line(Diagnostic& d, std::string_view text, std::size_t offset) {
    std::string_view const before = text.substr(0, offset);
    auto const newline = before.rfind('\n');
    std::size_t const start = newline == before.npos ? 0 : newline + 1;
    std::size_t stop = (std::min)(text.find('\n', offset), text.size());
    if (stop > start && text[stop - 1] == '\r') --stop;
    std::string_view const line = text.substr(start, (std::max)(stop, start) - start);

    // The window of code points that is shown: all of a short line, else around the caret.
    std::size_t const length = count_code_points(line), column = d.where.column - 1;
    std::size_t const first =
        length <= Diagnostic::max_excerpt ? 0
        : column <= Diagnostic::max_excerpt / 2
            ? 0
            : (std::min)(column - Diagnostic::max_excerpt / 2, length - Diagnostic::max_excerpt);
    std::size_t index = 0;
    bool shown = false;
    std::size_t valid = (std::min)(first_invalid_utf8(line), line.size());  // up to here
    for (std::size_t i = 0; i != line.size(); ++i) {
        char c = line[i];
        if (!is_utf8_continuation(c)) {
            shown = index >= first && index < first + Diagnostic::max_excerpt;
            ++index;
        }
        // What a terminal would act on (NUL, escape, a carriage return, ...) or cannot show is one `?`.
        bool const control = (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == '\x7f';
        if (control || i == valid) c = '?';
        if (i == valid) valid = (std::min)(first_invalid_utf8(line.substr(i + 1)), line.size()) + i + 1;
        if (shown) d.excerpt += c;
    }
    d.caret = column - first;
    d.quoted = true;
}

}  // namespace detail

/// The diagnostic for byte `offset` of `text`: finds line and column, copies the line.
inline Diagnostic diagnostic_at(Severity severity, std::string_view source, std::string_view text,
                                std::size_t offset, std::string path, std::string message) {
    offset = (std::min)(offset, text.size());
    Diagnostic d{severity, std::string(source), detail::position_of(text, offset), std::move(path),
                 std::move(message)};
    detail::quote_line(d, text, offset);
    return d;
}

/// A diagnostic that is not about a place in a text.
// Not inlined: an error path is cold, and inlining it draws false -Wstringop-overflow from g++ 12.
[[gnu::cold, gnu::noinline]] inline Diagnostic general_error(std::string message) {
    Diagnostic d;
    d.message = std::move(message);
    return d;
}
[[gnu::cold, gnu::noinline]] inline Diagnostic general_warning(std::string message) {
    Diagnostic d = general_error(std::move(message));
    d.severity = Severity::warning;
    return d;
}

/// `source:line:column: error: path: message`, then the line, indented by two, and a caret. No newline at
/// the end.
inline std::string to_string(const Diagnostic& d) {
    std::string out = d.source;
    if (d.where.line != 0) {
        if (!out.empty()) out += ':';
        out += detail::concat(d.where.line, ':', d.where.column);
    }
    if (!out.empty()) out += ": ";
    out += d.severity == Severity::error ? "error: " : "warning: ";
    if (!d.path.empty()) out += detail::concat(d.path, ": ");
    out += d.message;
    if (d.quoted) {
        out += detail::concat("\n  ", d.excerpt, "\n  ");
        // Tabs stay tabs, so that the caret stands below its token whatever the tab width.
        std::size_t left = d.caret;
        for (std::size_t i = 0; i < d.excerpt.size() && left != 0; ++i) {
            if (detail::is_utf8_continuation(d.excerpt[i])) continue;
            out += d.excerpt[i] == '\t' ? '\t' : ' ';
            --left;
        }
        out.append(left, ' ');
        out += '^';
    }
    return out;
}

}  // namespace amct_distill

// ---- amct_distill/core/result.hpp

/// A value, or the diagnostics that say why there is none; the return type of every edge that meets input.
///
///     result<AMCTDistillConfig> config = read<AMCTDistillConfig>(text);
///     if (!config) { std::cerr << to_string(config.diagnostics()); return 1; }
///     use(*config);
///     use(read<AMCTDistillConfig>(text).value());   // throws config_error with the same text
///
/// Diagnostics of a result that holds a value are warnings.

namespace amct_distill {

using Diagnostics = std::vector<Diagnostic>;

/// All diagnostics, a line break between them.
inline std::string to_string(std::span<const Diagnostic> all) {
    std::string out;
    for (const Diagnostic& d : all) {
        if (!out.empty()) out += '\n';
        out += to_string(d);
    }
    return out;
}

/// What `result::value()` throws; `what()` is the text of all diagnostics.
class config_error : public std::exception {
public:
    explicit config_error(Diagnostics diagnostics)
        : diagnostics_(std::move(diagnostics)), text_(to_string(diagnostics_)) {}
    const char* what() const noexcept override { return text_.c_str(); }
    const Diagnostics& diagnostics() const noexcept { return diagnostics_; }

private:
    Diagnostics diagnostics_;
    std::string text_;
};

namespace detail {
[[noreturn]] inline void raise(const Diagnostics& diagnostics) {
#if defined(__cpp_exceptions)
    throw config_error(diagnostics);
#else
    std::fprintf(stderr, "%s\n", to_string(diagnostics).c_str());
    std::abort();  // -fno-exceptions: ask has_value() first
#endif
}
}  // namespace detail

template <class T>
class [[nodiscard]] result {
public:
    using value_type = T;

    result(T value) : value_(std::move(value)) {}
    result(T value, Diagnostics warnings) : value_(std::move(value)), diagnostics_(std::move(warnings)) {}
    result(Diagnostic error) { diagnostics_.push_back(std::move(error)); }
    result(Diagnostics errors) : diagnostics_(std::move(errors)) {}

    bool has_value() const noexcept { return value_.has_value(); }
    explicit operator bool() const noexcept { return has_value(); }
    /// Errors, when there is no value; warnings, when there is one.
    const Diagnostics& diagnostics() const noexcept { return diagnostics_; }

    /// Precondition: has_value().
    const T& operator*() const& noexcept { return *value_; }
    T& operator*() & noexcept { return *value_; }
    T&& operator*() && noexcept { return *std::move(value_); }
    const T* operator->() const noexcept { return &*value_; }
    T* operator->() noexcept { return &*value_; }

    /// The value; throws config_error when there is none (aborts under -fno-exceptions).
    const T& value() const& { return check(), *value_; }
    T& value() & { return check(), *value_; }
    T&& value() && { return check(), *std::move(value_); }

private:
    void check() const {
        if (!value_) detail::raise(diagnostics_);
    }

    std::optional<T> value_{};
    Diagnostics diagnostics_{};
};

/// Success, or the diagnostics that say what failed.
template <>
class [[nodiscard]] result<void> {
public:
    using value_type = void;

    result() = default;
    result(Diagnostic error) : failed_(true) { diagnostics_.push_back(std::move(error)); }
    result(Diagnostics errors) : failed_(true), diagnostics_(std::move(errors)) {}

    bool has_value() const noexcept { return !failed_; }
    explicit operator bool() const noexcept { return has_value(); }
    const Diagnostics& diagnostics() const noexcept { return diagnostics_; }
    void value() const {
        if (failed_) detail::raise(diagnostics_);
    }

private:
    bool failed_ = false;
    Diagnostics diagnostics_{};
};

}  // namespace amct_distill

// ---- amct_distill/run/instructions.hpp

/// The instruction sets that the loops are compiled for, and the choice of one at run time.
///
///     struct twice {                                    // a kernel: its loop, for vectors of any width
///         float* x; std::size_t n;
///         template <int Bytes> [[gnu::always_inline]] void run() const { ... }
///     };
///     run_on(best_instructions(), twice{x, n});         // compiled once for each, chosen by the processor
///
/// So a program compiled with plain -O2 runs at the speed of its machine. Results do not depend on the
/// choice, bit for bit.

#if defined(__linux__)
#include <unistd.h>
#endif

namespace amct_distill {

/// In order of speed. `vectors` are of 16 bytes and need nothing beyond what the compiler may use anyway
/// (SSE2 on x86-64, NEON on AArch64).
enum class InstructionSet { scalar, vectors, avx2, avx512 };

inline constexpr InstructionSet all_instruction_sets[] = {InstructionSet::scalar, InstructionSet::vectors,
                                                          InstructionSet::avx2, InstructionSet::avx512};

constexpr std::string_view name(InstructionSet set) {
    constexpr std::string_view names[] = {"scalar", "16-byte vectors", "AVX2", "AVX-512"};
    return names[static_cast<std::size_t>(set)];
}

/// Whether this compiler and this machine have it.
inline bool available(InstructionSet set) {
    switch (set) {
        case InstructionSet::scalar:
            return true;
#if defined(__GNUC__)
        case InstructionSet::vectors:
            return true;
#if defined(__x86_64__) || defined(__i386__)
        case InstructionSet::avx2:
            return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
        case InstructionSet::avx512:
            return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                   __builtin_cpu_supports("fma");
#endif
#endif
        default:
            return false;
    }
}

/// The fastest available; asked of the processor once.
inline InstructionSet best_instructions() {
    static InstructionSet const best = [] {
        InstructionSet found = InstructionSet::scalar;
        for (InstructionSet set : all_instruction_sets)
            if (available(set)) found = set;
        return found;
    }();
    return best;
}

/// Half the last-level cache in bytes. Outputs that are larger are written past the caches: nothing of them
/// would be left there for the next reader, and a store into the cache reads the line first.
inline std::size_t streaming_size() {
    static std::size_t const size = [] {
        long cache = 0;
#if defined(_SC_LEVEL3_CACHE_SIZE)
        cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
        if (cache <= 0) cache = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
        return cache > 0 ? static_cast<std::size_t>(cache) / 2 : std::size_t{8} << 20;
    }();
    return size;
}

namespace detail {

// The kernel goes by value: through a reference, its members would be loaded again after every store.
template <class Kernel>
[[gnu::noinline]] auto run_scalar(Kernel kernel) {
    return kernel.template run<4>();
}
#if defined(__GNUC__)
template <class Kernel>
[[gnu::noinline]] auto run_vectors(Kernel kernel) {
    return kernel.template run<16>();
}
#if defined(__x86_64__) || defined(__i386__)
template <class Kernel>
[[gnu::noinline, gnu::target("avx2,fma")]] auto run_avx2(Kernel kernel) {
    return kernel.template run<32>();
}
template <class Kernel>
[[gnu::noinline, gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]] auto run_avx512(Kernel kernel) {
    return kernel.template run<64>();
}
#endif
#endif

/// kernel.run<Bytes>() with vectors of `Bytes` bytes, compiled for `set`. Precondition: available(set).
template <class Kernel>
auto run_on(InstructionSet set, const Kernel& kernel) {
    switch (set) {
#if defined(__GNUC__)
#if defined(__x86_64__) || defined(__i386__)
        case InstructionSet::avx512:
            return run_avx512(kernel);
        case InstructionSet::avx2:
            return run_avx2(kernel);
#endif
        case InstructionSet::vectors:
            return run_vectors(kernel);
#endif
        default:
            return run_scalar(kernel);
    }
}

}  // namespace detail
}  // namespace amct_distill

// ---- amct_distill/run/execution.hpp

/// How a loop is run: with which instructions, on how many threads. Results do not depend on it, bit for
/// bit.
///
///     Execution on;                                     // the best instructions, this thread
///     on.parallel_for = [&](std::size_t n, const std::function<void(std::size_t)>& task) {
///         pool.run(n, task);                            // task(0), ..., task(n - 1), in any order, on any
///     };                                                // threads; returns when all are done
///     fake_quantize<Int8>(x, y, p, on);

namespace amct_distill {

struct Execution {
    InstructionSet instructions = best_instructions();
    /// Empty: all on the calling thread.
    std::function<void(std::size_t tasks, const std::function<void(std::size_t)>& task)> parallel_for{};
    /// Outputs of more bytes are written past the caches.
    std::size_t streaming_size = amct_distill::streaming_size();
};

namespace detail {

/// What a thread takes at a time, in elements: 256 KB of floats are some 50 us of work, a thousand times
/// what handing out a task costs. A multiple of `sum_block`.
inline constexpr std::size_t task_size = std::size_t{1} << 16;

/// body(begin, end) for parts of 0..n that begin at multiples of `size`; on one thread, in a single part.
template <class Body>
void in_parts(const Execution& on, std::size_t n, std::size_t size, const Body& body) {
    if (!on.parallel_for || n <= size) return body(std::size_t{0}, n);
    auto const part = [&](std::size_t k) { body(k * size, (std::min)(n, (k + 1) * size)); };
    on.parallel_for((n - 1) / size + 1, std::cref(part));  // a std::function of a reference: no allocation
}

}  // namespace detail
}  // namespace amct_distill

// ---- amct_distill/run/vectors.hpp

/// Vectors of floats of any width, a float alone among them, and the few things the loops do with them.
///
///     using F = lanes<Bytes>::floats;          // 4 bytes: float; 16, 32, 64: 4, 8, 16 of them
///     F v; load(x, v);  v = v / scale;  round_lanes(v);  store(v, y);
///
/// Written in the vector extensions of GCC and clang: a loop's body is written once, for every width, and
/// inlined into functions that are compiled for an instruction set each (instructions.hpp). Vectors go by
/// reference, since passing them by value is another calling convention on each of those. Comparisons stand
/// in `a < b ? c : d` or are `less`: kept in a variable, g++ 12 does them element by element for AVX-512.

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

// GCC has a macro for each of the options that -ffast-math stands for, clang only for the first two.
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ > 0) || \
    defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || defined(__NO_SIGNED_ZEROS__)
#error \
    "amct_distill rounds by IEEE arithmetic: compile without -ffast-math, -Ofast and their parts \
(-ffinite-math-only, -fassociative-math, -freciprocal-math, -fno-signed-zeros)"
#endif
// 16 differs from 0 in _Float16 only.
static_assert(
    FLT_EVAL_METHOD == 0 || FLT_EVAL_METHOD == 16,
    "amct_distill needs float arithmetic in float precision; on 32-bit x86 use -msse2 -mfpmath=sse");

namespace amct_distill::detail {

template <int Bytes>
struct lanes;

template <>
struct lanes<4> {
    using floats = float;
    using ints = std::int32_t;
    using doubles = double;
    static constexpr std::size_t count = 1;
};

#if defined(__GNUC__)
template <int Bytes>
struct lanes {
    typedef float floats __attribute__((vector_size(Bytes)));
    typedef std::int32_t ints __attribute__((vector_size(Bytes)));
    typedef double doubles __attribute__((vector_size(Bytes)));  // half as many
    static constexpr std::size_t count = Bytes / 4;
};
typedef std::int8_t bytes16 __attribute__((vector_size(16)));
typedef std::uint8_t ubytes16 __attribute__((vector_size(16)));
#endif

template <class F>
using ints_of = typename lanes<sizeof(F)>::ints;

template <class T, class V>
[[gnu::always_inline]] inline void load(const T* p, V& v) {
    std::memcpy(&v, p, sizeof v);
}
template <class V, class T>
[[gnu::always_inline]] inline void store(const V& v, T* p) {
    std::memcpy(p, &v, sizeof v);
}

/// The nearest whole number, ties to even; -0.3 gives -0.0. Precondition: |v| <= 2^22.
///
/// Floats between 2^23 and 2^24 are the integers, so adding 1.5 * 2^23 makes the addition itself round, in
/// the processor's default mode (to nearest, ties to even), and subtracting it again is exact. SSE2 has no
/// rounding instruction.
inline constexpr float rounding_shift = 12582912.0f;

template <class F>
[[gnu::always_inline]] inline void round_lanes(F& v) {
    using I = ints_of<F>;
    I const sign = __builtin_bit_cast(I, v) & INT32_MIN;
    F const whole = (v + rounding_shift) - rounding_shift;
    v = __builtin_bit_cast(F, __builtin_bit_cast(I, whole) | sign);
}

/// What a multiplication gave is not merged with an addition that follows into an FMA, which would round
/// once only, on some instruction sets. (g++ does that across statements; clang only with
/// -ffp-contract=fast. __builtin_assoc_barrier takes vectors of 64 bytes apart.)
template <class F>
[[gnu::always_inline]] inline void keep_rounded([[maybe_unused]] F& product) {
#if defined(__clang__) && (defined(__x86_64__) || defined(__i386__))
    product = __arithmetic_fence(product);
#elif defined(__GNUC__) && !defined(__clang__)
#if defined(__SSE2__)
    __asm__("" : "+v"(product));
#else
    product = __builtin_assoc_barrier(product);
#endif
#endif
}

/// 0 where the bits are.
template <class F>
[[gnu::always_inline]] inline void mask(F& v, const ints_of<F>& bits) {
    v = __builtin_bit_cast(F, __builtin_bit_cast(ints_of<F>, v) & bits);
}

/// All bits where a < b. Vectors of 64 bytes have the sign of a - b in all bits; of equal numbers that is +0,
/// but for a = -0, b = +0, which must not be.
template <class F>
[[gnu::always_inline]] inline void less(const F& a, const F& b, ints_of<F>& bits) {
    if constexpr (sizeof(F) == 4)
        bits = a < b ? -1 : 0;
    else if constexpr (sizeof(F) == 64)
        bits = __builtin_bit_cast(ints_of<F>, a - b) >> 31;
#if defined(__GNUC__)
    else
        bits = a < b;
#endif
}

#if defined(__GNUC__)
/// The halves of a vector of floats, as doubles. (g++ 12 converts a whole vector by an instruction for each
/// half, but half a vector element by element.)
template <class F, class D>
[[gnu::always_inline]] inline void widen(const F& v, D& low, D& high) {
    using Both = typename lanes<2 * sizeof(F)>::doubles;
    Both const d = __builtin_convertvector(v, Both);
    if constexpr (sizeof(F) == 16) {
        low = __builtin_shufflevector(d, d, 0, 1);
        high = __builtin_shufflevector(d, d, 2, 3);
    } else if constexpr (sizeof(F) == 32) {
        low = __builtin_shufflevector(d, d, 0, 1, 2, 3);
        high = __builtin_shufflevector(d, d, 4, 5, 6, 7);
    } else {
        low = __builtin_shufflevector(d, d, 0, 1, 2, 3, 4, 5, 6, 7);
        high = __builtin_shufflevector(d, d, 8, 9, 10, 11, 12, 13, 14, 15);
    }
}
#endif

#if defined(__GNUC__)
template <class F, class Half>
[[gnu::always_inline]] inline void halves(const F& v, Half& low, Half& high) {
    if constexpr (sizeof(F) == 32) {
        low = __builtin_shufflevector(v, v, 0, 1, 2, 3);
        high = __builtin_shufflevector(v, v, 4, 5, 6, 7);
    } else {
        low = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7);
        high = __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
    }
}

/// 16 bytes of a vector, the K-th.
template <int K, class V, class Piece>
[[gnu::always_inline]] inline void piece(const V& v, Piece& out) {
    static_assert(sizeof out == 16);
    if constexpr (sizeof(V) == 16)
        out = v;
    else
        out = __builtin_shufflevector(v, v, 4 * K, 4 * K + 1, 4 * K + 2, 4 * K + 3);
}

/// The low bytes of 16 ints that are in -128..127.
[[gnu::always_inline]] inline void narrow(const lanes<16>::ints& a, const lanes<16>::ints& b,
                                          const lanes<16>::ints& c, const lanes<16>::ints& d, bytes16& out) {
#if defined(__SSE2__)
    out = __builtin_bit_cast(
        bytes16,
        _mm_packs_epi16(_mm_packs_epi32(__builtin_bit_cast(__m128i, a), __builtin_bit_cast(__m128i, b)),
                        _mm_packs_epi32(__builtin_bit_cast(__m128i, c), __builtin_bit_cast(__m128i, d))));
#else
    typedef std::int8_t bytes4 __attribute__((vector_size(4)));
    lanes<16>::ints const* const parts[] = {&a, &b, &c, &d};
    for (int k = 0; k != 4; ++k) {
        bytes4 const part = __builtin_convertvector(*parts[k], bytes4);
        std::memcpy(reinterpret_cast<char*>(&out) + 4 * k, &part, 4);
    }
#endif
}
#endif

/// Asks for the line of the cache that `ahead` floats after p is in. That may be beyond the end of an array,
/// which does no harm to a prefetch, but no pointer may be formed there.
[[gnu::always_inline]] inline void prefetch([[maybe_unused]] const float* p,
                                            [[maybe_unused]] std::size_t ahead) {
#if defined(__GNUC__)
    __builtin_prefetch(
        reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(p) + ahead * sizeof(float)));
#endif
}

/// How far ahead floats are asked for by loops that wait for reading: measured 15 % faster on Zen 3.
inline constexpr std::size_t read_ahead = 512;

/// Whether whole lines of the cache can be written past it from p on.
inline bool is_aligned(const float* p) { return reinterpret_cast<std::uintptr_t>(p) % 64 == 0; }

/// Past the caches, where the processor can: p must then be a multiple of 16 bytes. `streaming_fence` comes
/// after the last.
template <class F>
[[gnu::always_inline]] inline void store_streaming(const F& v, float* p) {
#if defined(__SSE2__)
    if constexpr (sizeof(F) >= 16) {
        __m128 part;
        piece<0>(v, part);
        _mm_stream_ps(p, part);
        if constexpr (sizeof(F) >= 32) {
            piece<1>(v, part);
            _mm_stream_ps(p + 4, part);
        }
        if constexpr (sizeof(F) >= 64) {
            piece<2>(v, part);
            _mm_stream_ps(p + 8, part);
            piece<3>(v, part);
            _mm_stream_ps(p + 12, part);
        }
        return;
    }
#endif
    store(v, p);
}
inline void streaming_fence() {
#if defined(__SSE2__)
    _mm_sfence();
#endif
}

}  // namespace amct_distill::detail

// ---- amct_distill/run/sums.hpp

/// The loop that adds up a block of terms in double, in the order of ordered_sum.hpp, whatever the width of
/// the vectors.
///
///     struct dot {                              // terms: products of floats
///         static constexpr std::size_t sums = 1;
///         const float *x, *y;
///         template <int Bytes> [[gnu::always_inline]] void add(std::size_t i, std::size_t lane,
///                                                              SumLanes<Bytes>* to) const {
///             typename lanes<Bytes>::floats a, b;
///             load(x + i, a), load(y + i, b);
///             to[0].add_product(a, b, lane);
///         }
///     };
///     std::array<double, 1> const part = run_on(set, block_sum_loop<dot>{{x, y}, n});

namespace amct_distill::detail {

inline constexpr std::size_t sum_lanes = 8;
inline constexpr std::size_t sum_block = 4096;

/// The eight lanes of a sum, in vectors of doubles.
template <int Bytes>
struct SumLanes {
    using F = typename lanes<Bytes>::floats;
    using D = typename lanes<Bytes>::doubles;
    static constexpr std::size_t width = sizeof(D) / sizeof(double);

    D sums[sum_lanes / width];

    /// Adds the floats to the lanes in turn: as many as a vector, but eight of the 16 of 64 bytes.
    template <class Floats>
    [[gnu::always_inline]] void add(const Floats& v, std::size_t lane) {
        if constexpr (Bytes == 4) {
            sums[lane] += static_cast<double>(v);
        } else {
#if defined(__GNUC__)
            if constexpr (Bytes == 64) {
                sums[0] += __builtin_convertvector(v, D);
            } else {
                D low, high;
                widen(v, low, high);
                sums[lane / width] += low;
                sums[(lane + width) % sum_lanes / width] += high;
            }
#endif
        }
    }

    /// Adds a * b, exactly formed since the factors are floats, so with or without an FMA instruction; its
    /// first element to `lane`.
    [[gnu::always_inline]] void add_product(const F& a, const F& b, std::size_t lane) {
        if constexpr (Bytes == 4) {
            sums[lane] += static_cast<double>(a) * static_cast<double>(b);
        } else {
#if defined(__GNUC__)
            D low_a, high_a, low_b, high_b;
            widen(a, low_a, high_a);
            widen(b, low_b, high_b);
            sums[lane / width] += low_a * low_b;
            sums[(lane + width) % sum_lanes / width] += high_a * high_b;
#endif
        }
    }
};

/// Terms that are floats, given by `begin` and `terms` instead of added by `add`, are first added in float in
/// runs of 64 elements, eight terms to a lane, and then to the lanes: converting to double is what takes the
/// time. A run adds pairs of terms 8 apart, and the pair of each 16 elements to those before. Rounding a term
/// to float once, adding a pair and then three more is an error of 5 * 2^-24 (3e-7) at most, relative to the
/// sum of the terms' absolute values.
template <class Terms>
inline constexpr bool in_runs = requires {
    &Terms::template terms<float>;
};
inline constexpr std::size_t sum_run = 64;

/// Eight floats, one for each lane, in vectors of 32 bytes at most.
template <int Bytes>
struct FloatLanes {
    using F = typename lanes<(Bytes < 32 ? Bytes : 32)>::floats;
    static constexpr std::size_t count = sizeof(F) / sizeof(float), size = sum_lanes / count;
    F v[size];
};

template <class Terms>
struct block_sum_loop {
    Terms terms;
    std::size_t n;  ///< at most sum_block

    /// 16 elements at a time.
    static constexpr std::size_t pair = 2 * sum_lanes;
    template <int Bytes>
    static constexpr std::size_t parts = pair / lanes<Bytes>::count;

    /// `begin` is called some time before `terms`: see fake_quantize_loop.
    template <int Bytes, class F>
    [[gnu::always_inline]] void begin_pair(std::size_t i, F* quotients) const {
#pragma GCC unroll 16
        for (std::size_t k = 0; k != parts<Bytes>; ++k)
            terms.begin(i + k * lanes<Bytes>::count, quotients[k]);
    }
    /// Terms are rounded before they are added: not an FMA.
    template <int Bytes, bool First, class F>
    [[gnu::always_inline]] void add_pair(std::size_t i, const F* quotients, FloatLanes<Bytes>* to) const {
        constexpr std::size_t count = lanes<Bytes>::count;
#pragma GCC unroll 8
        for (std::size_t k = 0; k != FloatLanes<Bytes>::size; ++k) {
            F low[Terms::sums], high[Terms::sums];
            terms.terms(i + k * count, quotients[k], low);
            if constexpr (count <= sum_lanes)
                terms.terms(i + k * count + sum_lanes, quotients[k + parts<Bytes> / 2], high);
#pragma GCC unroll 4
            for (std::size_t s = 0; s != Terms::sums; ++s) {
                typename FloatLanes<Bytes>::F both, other;
                keep_rounded(low[s]);
                if constexpr (count <= sum_lanes) {
                    keep_rounded(high[s]);
                    both = low[s];
                    other = high[s];
                } else {
#if defined(__GNUC__)
                    halves(low[s], both, other);
#endif
                }
                both += other;
                if constexpr (First)
                    to[s].v[k] = both;
                else
                    to[s].v[k] += both;
            }
        }
    }
    template <int Bytes>
    [[gnu::always_inline]] void add_run(FloatLanes<Bytes>* run, SumLanes<Bytes>* to) const {
#pragma GCC unroll 4
        for (std::size_t s = 0; s != Terms::sums; ++s) {
#pragma GCC unroll 8
            for (std::size_t k = 0; k != FloatLanes<Bytes>::size; ++k)
                to[s].add(run[s].v[k], k * FloatLanes<Bytes>::count);
        }
    }
    template <int Bytes>
    [[gnu::always_inline]] std::size_t add_runs(SumLanes<Bytes>* to) const {
        using F = typename lanes<Bytes>::floats;
        if (n < sum_run) return 0;
        std::size_t const end = n - n % sum_run;
        F now[parts<Bytes>];
        begin_pair<Bytes>(0, now);
        for (std::size_t i = 0; i != end; i += sum_run) {
            FloatLanes<Bytes> run[Terms::sums];
#pragma GCC unroll 4
            for (std::size_t k = 0; k != sum_run; k += pair) {
                F after[parts<Bytes>];
                // Behind the last there is nothing to begin; its own once more does no harm.
                std::size_t const next = k + pair != sum_run || i + sum_run != end ? i + k + pair : i;
                begin_pair<Bytes>(next, after);
                if (k == 0)
                    add_pair<Bytes, true>(i + k, now, run);
                else
                    add_pair<Bytes, false>(i + k, now, run);
#pragma GCC unroll 16
                for (std::size_t j = 0; j != parts<Bytes>; ++j) now[j] = after[j];
            }
            add_run<Bytes>(run, to);
        }
        return end;
    }

    template <int Bytes>
    [[gnu::always_inline]] std::array<double, Terms::sums> run() const {
        SumLanes<Bytes> wide[Terms::sums] = {};
        std::size_t i = 0;
        if constexpr (in_runs<Terms>) {
            i = add_runs<Bytes>(wide);
        } else {
            constexpr std::size_t count = lanes<Bytes>::count;
            constexpr std::size_t step = count > sum_lanes ? count : sum_lanes;
            for (; n - i >= step; i += step) {
#pragma GCC unroll 8
                for (std::size_t k = 0; k < step; k += count) terms.template add<Bytes>(i + k, k, wide);
            }
        }
        SumLanes<4> one[Terms::sums];
        std::memcpy(one, wide, sizeof one);
        for (; i < n; ++i) {
            if constexpr (in_runs<Terms>) {
                float quotient, of[Terms::sums];
                terms.begin(i, quotient);
                terms.terms(i, quotient, of);
                for (std::size_t s = 0; s != Terms::sums; ++s) one[s].add(of[s], i % sum_lanes);
            } else {
                terms.template add<4>(i, i % sum_lanes, one);
            }
        }

        std::array<double, Terms::sums> total{};
        for (std::size_t s = 0; s != Terms::sums; ++s)
            for (double lane : one[s].sums) total[s] += lane;
        return total;
    }
};

}  // namespace amct_distill::detail

// ---- amct_distill/run/ordered_sum.hpp

/// Sums in double whose order of additions is fixed: the same bits however many threads or lanes compute it.
///
///     auto const [sum] = ordered_sums(on, n, Dot{x, y});       // terms: see kernels/sums.hpp
///
/// The order: elements go in blocks of `sum_block`; in a block, element i is added to lane i % sum_lanes, and
/// at its end the lanes are added from the first to the last; the blocks are added from the first to the
/// last. Lanes are what a vector register adds, blocks are what a thread takes. Terms that are floats are
/// first added in runs of 64 (block_sum_loop), as fixed.

namespace amct_distill::detail {

/// The terms of elements `begin` to `begin + n`, n at most sum_block.
template <class Terms>
struct block_of {
    static constexpr std::size_t sums = Terms::sums;
    Terms inner;
    std::size_t first;

    template <int Bytes>
    [[gnu::always_inline]] void add(std::size_t i, std::size_t lane, SumLanes<Bytes>* to) const
        requires(!in_runs<Terms>) {
        inner.template add<Bytes>(first + i, lane, to);
    }
    template <class F>
    [[gnu::always_inline]] void begin(std::size_t i, F& v) const requires(in_runs<Terms>) {
        inner.begin(first + i, v);
    }
    template <class F>
    [[gnu::always_inline]] void terms(std::size_t i, const F& v, F* of) const requires(in_runs<Terms>) {
        inner.terms(first + i, v, of);
    }
};

template <class Terms>
std::array<double, Terms::sums> ordered_sums(const Execution& on, std::size_t n, const Terms& terms) {
    using Sums = std::array<double, Terms::sums>;
    auto const block = [&](std::size_t k) {
        std::size_t const begin = k * sum_block;
        return run_on(on.instructions,
                      block_sum_loop<block_of<Terms>>{{terms, begin}, (std::min)(sum_block, n - begin)});
    };
    Sums total{};
    auto const add = [&](const Sums& part) {
        for (std::size_t s = 0; s != Terms::sums; ++s) total[s] += part[s];
    };
    std::size_t const blocks = n / sum_block + (n % sum_block != 0);
    if (!on.parallel_for || n <= task_size) {
        for (std::size_t k = 0; k != blocks; ++k) add(block(k));
        return total;
    }
    std::array<Sums, 1024> parts;  // of 4 M elements, on the stack
    for (std::size_t first = 0; first < blocks; first += parts.size()) {
        std::size_t const count = (std::min)(parts.size(), blocks - first);
        in_parts(on, count, task_size / sum_block, [&](std::size_t begin, std::size_t end) {
            for (std::size_t k = begin; k != end; ++k) parts[k] = block(first + k);
        });
        for (std::size_t k = 0; k != count; ++k) add(parts[k]);
    }
    return total;
}

}  // namespace amct_distill::detail

// ---- amct_distill/quant/kernels/range.hpp

/// The loop that finds the largest and the smallest value, and whether all are finite.
///
///     ValueRange const r = run_on(set, range_loop{x, n});      // of no values: {-inf, inf, true}
///
/// A NaN is passed over by the range and makes `finite` false. The zero of a range is +0.0, whichever zeros
/// it was found among. range.hpp makes scales of ranges.

namespace amct_distill::detail {

struct ValueRange {
    float max, min;
    bool finite;
};

struct range_loop {
    const float* x;
    std::size_t n;

    /// Two vectors at a time: comparing takes longer than the processor needs to begin the next.
    template <class F>
    struct State {
        F max[2], min[2];
        F nan;  ///< the last NaN, or 0
    };

    template <class F>
    [[gnu::always_inline]] static void step(const float* p, State<F>& s, std::size_t k) {
        F v;
        load(p, v);
        s.max[k] = v > s.max[k] ? v : s.max[k];
        s.min[k] = v < s.min[k] ? v : s.min[k];
        s.nan = v == v ? s.nan : v;
    }

    /// The largest or the smallest element: halves are compared with each other, which takes fewer steps one
    /// after the other than elements do. It is what short rows wait for.
    template <bool Largest, class F>
    [[gnu::always_inline]] static float extreme(const F& v) {
        if constexpr (sizeof(F) == 4) {
            return v;
        }
#if defined(__GNUC__)
        else if constexpr (sizeof(F) == 16) {
            F const far = __builtin_shufflevector(v, v, 2, 3, 0, 1);
            F const two = Largest ? (v > far ? v : far) : (v < far ? v : far);
            return Largest ? (two[0] > two[1] ? two[0] : two[1]) : (two[0] < two[1] ? two[0] : two[1]);
        } else {
            using Half = typename lanes<sizeof(F) / 2>::floats;
            Half low, high;
            halves(v, low, high);
            Half const both = Largest ? (low > high ? low : high) : (low < high ? low : high);
            return extreme<Largest>(both);
        }
#endif
    }

    template <class F>
    [[gnu::always_inline]] static float sum(const F& v) {
        if constexpr (sizeof(F) == 4) {
            return v;
        }
#if defined(__GNUC__)
        else if constexpr (sizeof(F) == 16) {
            F const two = v + __builtin_shufflevector(v, v, 2, 3, 0, 1);
            return two[0] + two[1];
        } else {
            typename lanes<sizeof(F) / 2>::floats low, high;
            halves(v, low, high);
            low += high;
            return sum(low);
        }
#endif
    }

    template <int Bytes>
    [[gnu::always_inline]] ValueRange run() const {
        using F = typename lanes<Bytes>::floats;
        constexpr std::size_t count = lanes<Bytes>::count;
        constexpr float infinity = std::numeric_limits<float>::infinity();
        State<F> wide{{F{} - infinity, F{} - infinity}, {F{} + infinity, F{} + infinity}, {}};
        State<float> one{{-infinity, -infinity}, {infinity, infinity}, 0.0f};
        std::size_t i = 0;
        for (; n - i >= 2 * count; i += 2 * count) {
            step(x + i, wide, 0);
            step(x + i + count, wide, 1);
        }
        for (; i < n; ++i) step(x + i, one, 0);

        wide.max[0] = wide.max[1] > wide.max[0] ? wide.max[1] : wide.max[0];
        wide.min[0] = wide.min[1] < wide.min[0] ? wide.min[1] : wide.min[0];
        float const max = extreme<true>(wide.max[0]), min = extreme<false>(wide.min[0]);
        one.max[0] = max > one.max[0] ? max : one.max[0];
        one.min[0] = min < one.min[0] ? min : one.min[0];
        return {one.max[0] + 0.0f, one.min[0] + 0.0f,
                sum(wide.nan) + one.nan == 0 && one.max[0] < infinity && one.min[0] > -infinity};
    }
};

}  // namespace amct_distill::detail

// ---- amct_distill/quant/kernels/affine.hpp

/// The loops of affine quantization: floats to the values their codes stand for, to codes, and back.
///
///     run_on(set, fake_quantize_loop<false>{x, y, n, {scale, offset, -128, 127}});
///
/// Elements are independent: a part of a loop gives the same bits as the whole. Input and output may be the
/// same array. affine.hpp has the functions for callers.

namespace amct_distill::detail {

struct AffineConstants {
    float scale, offset;
    float lowest, highest;  ///< codes
};

/// Clamping to whole numbers first gives the same as rounding first, and keeps to the precondition of the
/// rounding. A NaN stays one.
template <class F>
[[gnu::always_inline]] inline void clamp(F& v, AffineConstants p) {
    F const lowest = F{} + p.lowest, highest = F{} + p.highest;
    v = v + p.offset;
    v = v < lowest ? lowest : v;
    v = v > highest ? highest : v;
}
template <class F>
[[gnu::always_inline]] inline void scale_and_clamp(F& v, AffineConstants p) {
    v = v / p.scale;
    clamp(v, p);
}

/// Streaming: past the caches; `streaming_fence` is to come after it.
template <bool Streaming>
struct fake_quantize_loop {
    const float* x;
    float* y;
    std::size_t n;
    AffineConstants p;
    /// What is read after x, to be on its way to the cache while this is computed.
    const float* next = nullptr;

    template <class F>
    [[gnu::always_inline]] void quotient(std::size_t i, F& v) const {
        load(x + i, v);
        v = v / p.scale;
    }
    template <bool Stream, class F>
    [[gnu::always_inline]] void finish(const F& quotient, std::size_t i) const {
        F v = quotient;
        clamp(v, p);
        round_lanes(v);
        v = (v - p.offset) * p.scale;
        if constexpr (Stream)
            store_streaming(v, y + i);
        else
            store(v, y + i);
    }
    template <int Bytes, bool Stream>
    [[gnu::always_inline]] void step(std::size_t i) const {
        typename lanes<Bytes>::floats v;
        quotient(i, v);
        finish<Stream>(v, i);
    }

    /// Divisions are begun four vectors before their quotients are used: what waits for a quotient takes up
    /// the processor's queue, and in order of the program that would be most of the queue.
    template <int Bytes>
    [[gnu::always_inline]] void run() const {
        using F = typename lanes<Bytes>::floats;
        constexpr std::size_t count = lanes<Bytes>::count, batch = 4 * count;
        std::size_t i = 0;
        if constexpr (Streaming)
            for (; i < n && !is_aligned(y + i); ++i) step<4, false>(i);
        if (n - i >= batch) {
            F now[4];
#pragma GCC unroll 4
            for (std::size_t k = 0; k != 4; ++k) quotient(i + k * count, now[k]);
            for (; n - i >= 2 * batch; i += batch) {
                F after[4];
                if (next != nullptr) {
#pragma GCC unroll 4
                    for (std::size_t k = 0; k < batch; k += 16) prefetch(next + i, k);
                }
#pragma GCC unroll 4
                for (std::size_t k = 0; k != 4; ++k) quotient(i + batch + k * count, after[k]);
#pragma GCC unroll 4
                for (std::size_t k = 0; k != 4; ++k) {
                    finish<Streaming>(now[k], i + k * count);
                    now[k] = after[k];
                }
            }
#pragma GCC unroll 4
            for (std::size_t k = 0; k != 4; ++k) finish<Streaming>(now[k], i + k * count);
            i += batch;
        }
        for (; n - i >= count; i += count) step<Bytes, Streaming>(i);
        for (; i < n; ++i) step<4, false>(i);
    }
};

/// Rows, each with the range of its own: a row is still in the cache when it is read again.
/// `to_constants(ValueRange)` makes scale and offset of a range.
template <bool Streaming, class ToConstants>
struct fake_quantize_rows_loop {
    const float* x;
    float* y;
    std::size_t rows, cols;
    std::size_t x_stride, y_stride;  ///< from row to row, in floats
    ToConstants to_constants;

    /// The range of a short row is found before the row ahead of it is written: from a range to its scale is
    /// a chain of some 50 cycles, which a processor fills with the other row. A long row is written at once,
    /// while the next comes from memory.
    template <int Bytes>
    [[gnu::always_inline]] void run() const {
        constexpr std::size_t longest_short = 1024;
        std::size_t const behind = cols <= longest_short ? 1 : 0;
        AffineConstants before{}, now{};
        for (std::size_t r = 0; r != rows + behind; ++r) {
            if (r < rows) now = to_constants(range_loop{x + r * x_stride, cols}.template run<Bytes>());
            if (r >= behind) {
                const float* const row = x + (r - behind) * x_stride;
                const float* const next = behind == 0 && r + 1 < rows ? row + x_stride : nullptr;
                fake_quantize_loop<Streaming>{row, y + (r - behind) * y_stride, cols,
                                              behind == 0 ? now : before, next}
                    .template run<Bytes>();
            }
            before = now;
        }
        if constexpr (Streaming) streaming_fence();
    }
};

/// The code is in the low bits of what rounding by `rounding_shift` leaves there.
template <class F>
[[gnu::always_inline]] inline void codes_of(const float* x, AffineConstants p, ints_of<F>& codes) {
    constexpr std::int32_t shift = 0x4B400000;  // the bits of rounding_shift
    F v;
    load(x, v);
    scale_and_clamp(v, p);
    v = v + rounding_shift;
    codes = __builtin_bit_cast(ints_of<F>, v) - shift;
}

#if defined(__GNUC__)
/// 16 codes.
template <int Bytes>
[[gnu::always_inline]] inline void codes_of_16(const float* x, AffineConstants p, bytes16& out) {
    using F = typename lanes<Bytes>::floats;
    lanes<16>::ints a, b, c, d;
    if constexpr (Bytes == 16) {
        codes_of<F>(x, p, a);
        codes_of<F>(x + 4, p, b);
        codes_of<F>(x + 8, p, c);
        codes_of<F>(x + 12, p, d);
    } else if constexpr (Bytes == 32) {
        ints_of<F> low, high;
        codes_of<F>(x, p, low);
        codes_of<F>(x + 8, p, high);
        piece<0>(low, a);
        piece<1>(low, b);
        piece<0>(high, c);
        piece<1>(high, d);
    } else {
        ints_of<F> all;
        codes_of<F>(x, p, all);
        piece<0>(all, a);
        piece<1>(all, b);
        piece<2>(all, c);
        piece<3>(all, d);
    }
    narrow(a, b, c, d, out);
}
#endif

/// Precondition: no NaN.
struct quantize_loop {
    const float* x;
    std::int8_t* codes;
    std::size_t n;
    AffineConstants p;

    template <int Bytes>
    [[gnu::always_inline]] void run() const {
        std::size_t i = 0;
#if defined(__GNUC__)
        if constexpr (Bytes != 4) {
            for (; i + 16 <= n; i += 16) {
                bytes16 some;
                prefetch(x + i, read_ahead);
                codes_of_16<Bytes>(x + i, p, some);
                store(some, codes + i);
            }
        }
#endif
        for (; i != n; ++i) {
            std::int32_t code;
            codes_of<float>(x + i, p, code);
            codes[i] = static_cast<std::int8_t>(code);
        }
    }
};

/// Codes of 8 bits at most. The conversions of bytes to floats are written for 16-byte vectors; wider ones
/// gain nothing, the loop waits for memory.
struct dequantize_loop {
    const std::int8_t* codes;
    float* y;
    std::size_t n;
    float scale, offset;

    template <int Bytes>
    [[gnu::always_inline]] void run() const {
        std::size_t i = 0;
#if defined(__SSE2__)
        if constexpr (Bytes != 4) {
            for (; i + 16 <= n; i += 16) {
                __m128i some, words[2];
                load(codes + i, some);
                words[0] = _mm_unpacklo_epi8(some, some);
                words[1] = _mm_unpackhi_epi8(some, some);
#pragma GCC unroll 2
                for (std::size_t k = 0; k != 2; ++k) {
                    // Each byte four times in 32 bits; the shift leaves the last, with its sign.
                    __m128i const low = _mm_srai_epi32(_mm_unpacklo_epi16(words[k], words[k]), 24);
                    __m128i const high = _mm_srai_epi32(_mm_unpackhi_epi16(words[k], words[k]), 24);
                    store((_mm_cvtepi32_ps(low) - offset) * scale, y + i + 8 * k);
                    store((_mm_cvtepi32_ps(high) - offset) * scale, y + i + 8 * k + 4);
                }
            }
        }
#endif
        for (; i != n; ++i) y[i] = (static_cast<float>(codes[i]) - offset) * scale;
    }
};

}  // namespace amct_distill::detail

// ---- amct_distill/quant/affine.hpp

/// Affine quantization, x ~ (code - offset) * scale: of a value, of a span, of a matrix's rows.
///
///     ScaleOffset const p{0.5f, 0};
///     quantize<Int4>(1.3f, p) == 3;   dequantize(3, p) == 1.5f;   fake_quantize<Int4>(1.3f, p) == 1.5f;
///     fake_quantize<Int8>(x, y, p);   // spans of equal size; they may be the same
///
/// code = clamp(round(x / scale + offset), qmin, qmax) in float32, division a true division, round half to
/// even: bit for bit what AMCT computes.

namespace amct_distill {

struct ScaleOffset {
    float scale = 1;
    std::int32_t offset = 0;
    friend constexpr bool operator==(const ScaleOffset&, const ScaleOffset&) = default;
};

/// A weight as a matrix: a row per output channel (Linear `[out, in]`, Conv2d `[out, in * kh * kw]`).
using RowMajorMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
/// Views of it. Anything that is not float32 does not convert; what is not row-major is copied first.
using ConstMatrixRef = Eigen::Ref<const RowMajorMatrix, 0, Eigen::OuterStride<>>;
using MatrixRef = Eigen::Ref<RowMajorMatrix, 0, Eigen::OuterStride<>>;

/// The integers of a weight, not packed.
struct QuantizedMatrix {
    std::size_t rows = 0;
    std::size_t cols = 0;
    std::vector<std::int8_t> codes{};   ///< row-major
    std::vector<ScaleOffset> scales{};  ///< one, or one per row
};

namespace detail {

/// std::nearbyint, which is a call where the processor has no such instruction. Precondition: |v| <= 2^22.
inline float round_half_even(float v) {
    round_lanes(v);
    return v;
}

template <BitWidth B>
AffineConstants constants(ScaleOffset p) {
    return {p.scale, static_cast<float>(p.offset), static_cast<float>(B::qmin), static_cast<float>(B::qmax)};
}

inline std::span<const float> row(const ConstMatrixRef& w, Eigen::Index r) {
    return {w.data() + r * w.outerStride(), static_cast<std::size_t>(w.cols())};
}
inline std::span<float> row(MatrixRef& w, Eigen::Index r) {
    return {w.data() + r * w.outerStride(), static_cast<std::size_t>(w.cols())};
}

/// How many rows a thread takes at a time.
inline std::size_t rows_per_task(std::size_t cols) {
    return (task_size - 1) / (std::max)(cols, std::size_t{1}) + 1;
}
inline std::size_t rows_per_task(const ConstMatrixRef& w) {
    return rows_per_task(static_cast<std::size_t>(w.cols()));
}

/// body(r, serial) for each row, `serial` being `on` without its threads: rows are what threads share.
template <class Body>
void for_each_row(const Execution& on, const ConstMatrixRef& w, const Body& body) {
    Execution serial;
    serial.instructions = on.instructions;
    // A row is written past the caches where the whole would be.
    serial.streaming_size = static_cast<std::size_t>(w.size()) * sizeof(float) > on.streaming_size
                                ? 0
                                : static_cast<std::size_t>(-1);
    in_parts(on, static_cast<std::size_t>(w.rows()), rows_per_task(w),
             [&](std::size_t begin, std::size_t end) {
                 for (std::size_t r = begin; r != end; ++r) body(static_cast<Eigen::Index>(r), serial);
             });
}

/// quantize_row(row of w, its part of `out`, its scale, execution), `out` being equal parts, one per row.
/// Precondition: `scales` has 1 or w.rows() entries.
template <class Code, class QuantizeRow>
void quantize_rows(const Execution& on, const ConstMatrixRef& w, std::span<const ScaleOffset> scales,
                   std::span<Code> out, const QuantizeRow& quantize_row) {
    assert(scales.size() == 1 || scales.size() == static_cast<std::size_t>(w.rows()));
    std::size_t const size = w.rows() == 0 ? 0 : out.size() / static_cast<std::size_t>(w.rows());
    for_each_row(on, w, [&](Eigen::Index r, const Execution& serial) {
        auto const k = static_cast<std::size_t>(r);
        quantize_row(row(w, r), out.subspan(k * size, size), scales[scales.size() == 1 ? 0 : k], serial);
    });
}

}  // namespace detail

/// The nearest value that a code stands for. A NaN stays one; an infinity becomes the end of the range.
template <BitWidth B>
float fake_quantize(float x, ScaleOffset p) {
    detail::scale_and_clamp(x, detail::constants<B>(p));
    return (detail::round_half_even(x) - static_cast<float>(p.offset)) * p.scale;
}

/// The code, in qmin..qmax. Precondition: x is not NaN.
template <BitWidth B>
typename B::storage quantize(float x, ScaleOffset p) {
    detail::scale_and_clamp(x, detail::constants<B>(p));
    return static_cast<typename B::storage>(detail::round_half_even(x));
}

/// What a code stands for: fake_quantize, except that a code has no -0.0.
inline float dequantize(std::int32_t code, ScaleOffset p) {
    return (static_cast<float>(code) - static_cast<float>(p.offset)) * p.scale;
}

/// Of every element. Preconditions of the three: equal sizes; x has no NaN to quantize. x and y may be the
/// same span, but not overlap otherwise.
template <BitWidth B>
void fake_quantize(std::span<const float> x, std::span<float> y, ScaleOffset p, const Execution& on = {}) {
    assert(x.size() == y.size());
    bool const stream = x.data() != y.data() && y.size_bytes() > on.streaming_size;
    detail::AffineConstants const c = detail::constants<B>(p);
    detail::in_parts(on, x.size(), detail::task_size, [&](std::size_t begin, std::size_t end) {
        float const* const from = x.data() + begin;
        float* const to = y.data() + begin;
        if (stream) {
            detail::run_on(on.instructions, detail::fake_quantize_loop<true>{from, to, end - begin, c});
            detail::streaming_fence();
        } else {
            detail::run_on(on.instructions, detail::fake_quantize_loop<false>{from, to, end - begin, c});
        }
    });
}
template <BitWidth B>
void quantize(std::span<const float> x, std::span<typename B::storage> codes, ScaleOffset p,
              const Execution& on = {}) {
    assert(x.size() == codes.size());
    detail::AffineConstants const c = detail::constants<B>(p);
    detail::in_parts(on, x.size(), detail::task_size, [&](std::size_t begin, std::size_t end) {
        detail::run_on(on.instructions,
                       detail::quantize_loop{x.data() + begin, codes.data() + begin, end - begin, c});
    });
}
inline void dequantize(std::span<const std::int8_t> codes, std::span<float> y, ScaleOffset p,
                       const Execution& on = {}) {
    assert(codes.size() == y.size());
    detail::in_parts(on, y.size(), detail::task_size, [&](std::size_t begin, std::size_t end) {
        detail::run_on(on.instructions,
                       detail::dequantize_loop{codes.data() + begin, y.data() + begin, end - begin, p.scale,
                                               static_cast<float>(p.offset)});
    });
}

/// The codes of a matrix with one scale, or one per row. Preconditions: `scales` has 1 or w.rows() entries;
/// w has no NaN.
template <BitWidth B>
QuantizedMatrix quantize(const ConstMatrixRef& w, std::vector<ScaleOffset> scales, const Execution& on = {}) {
    QuantizedMatrix q{static_cast<std::size_t>(w.rows()), static_cast<std::size_t>(w.cols()), {}, {}};
    q.codes.resize(q.rows * q.cols);
    detail::quantize_rows(
        on, w, scales, std::span(q.codes),
        [](auto x, auto codes, ScaleOffset p, const Execution& serial) { quantize<B>(x, codes, p, serial); });
    q.scales = std::move(scales);
    return q;
}

}  // namespace amct_distill

// ---- amct_distill/quant/scale.hpp

/// From a range of values to the scale and offset that cover it, and back.
///
///     ClipRange const range{1.0f, -2.0f};
///     symmetric_scale<Int8>(range);    // {2 / 128, 0}: the longer, negative side has a code more
///     asymmetric_scale<Int8>(range);   // {3 / 255, 42}
///     clip_of<Int8>(p);                // the range of values that the codes of p stand for
///
/// A scale below `scale_epsilon` (a range of zeros, mostly) becomes 1: it would only divide noise.

namespace amct_distill {

/// The values that are kept; what lies outside is clipped.
struct ClipRange {
    float max = 0;
    float min = 0;
    friend constexpr bool operator==(const ClipRange&, const ClipRange&) = default;
};

inline constexpr float scale_epsilon = 0x1p-23f;

namespace detail {

/// The largest integer that the longer side of a symmetric range is mapped to.
template <BitWidth B>
float symmetric_limit(ClipRange range) {
    return static_cast<float>(B::qmax + (std::abs(range.max) < std::abs(range.min) ? 1 : 0));
}
inline float magnitude(ClipRange range) { return (std::max)(std::abs(range.max), std::abs(range.min)); }

/// Of all parts.
template <class Part>
ValueRange range_in_parts(const Execution& on, std::size_t n, std::size_t size, const Part& range_of_part) {
    if (!on.parallel_for || n <= size) return range_of_part(0, n);
    std::array<ValueRange, 64> parts;  // at a time, on the stack
    std::size_t const step = parts.size() * size;
    ValueRange all = range_of_part(0, 1);
    for (std::size_t first = 0; first < n; first += step) {
        std::size_t const count = (std::min)(step, n - first);
        in_parts(on, count, size, [&](std::size_t begin, std::size_t end) {
            parts[begin / size] = range_of_part(first + begin, first + end);
        });
        std::size_t const used = on.parallel_for && count > size ? (count - 1) / size + 1 : 1;
        for (std::size_t k = 0; k != used; ++k)
            all = {(std::max)(all.max, parts[k].max), (std::min)(all.min, parts[k].min),
                   all.finite && parts[k].finite};
    }
    return all;
}

/// Largest and smallest value; a NaN is passed over. Precondition of its use as a ClipRange: not empty.
inline ValueRange range_of(std::span<const float> x, const Execution& on = {}) {
    return range_in_parts(on, x.size(), task_size, [&](std::size_t begin, std::size_t end) {
        return run_on(on.instructions, range_loop{x.data() + begin, end - begin});
    });
}

inline ValueRange range_of(const ConstMatrixRef& w, const Execution& on = {}) {
    if (w.rows() <= 1 || w.outerStride() == w.cols())
        return range_of(std::span<const float>(w.data(), static_cast<std::size_t>(w.size())), on);
    return range_in_parts(
        on, static_cast<std::size_t>(w.rows()), rows_per_task(w), [&](std::size_t begin, std::size_t end) {
            ValueRange all{-std::numeric_limits<float>::infinity(), std::numeric_limits<float>::infinity(),
                           true};
            for (std::size_t r = begin; r != end; ++r) {
                ValueRange const one =
                    run_on(on.instructions, range_loop{row(w, static_cast<Eigen::Index>(r)).data(),
                                                       static_cast<std::size_t>(w.cols())});
                all = {(std::max)(all.max, one.max), (std::min)(all.min, one.min), all.finite && one.finite};
            }
            return all;
        });
}
inline ClipRange clips(ValueRange range) { return {range.max, range.min}; }

/// `offset_of(t)` is the offset, given t = min / scale <= 0. A NaN in the range takes the guarded branch.
template <BitWidth B, class OffsetOf>
ScaleOffset asymmetric_scale(ClipRange range, OffsetOf offset_of) {
    float const max = (std::max)(0.0f, range.max), min = (std::min)(0.0f, range.min);
    float const scale = (max - min) / static_cast<float>(B::qmax - B::qmin);
    if (!(scale >= scale_epsilon)) return {1.0f, B::qmin};
    return {scale, static_cast<std::int32_t>(offset_of(min / scale))};
}

}  // namespace detail

/// Scale ratio * max(|max|, |min|) / limit, offset 0; limit = qmax, or qmax + 1 when |max| < |min|.
template <BitWidth B>
ScaleOffset symmetric_scale(ClipRange range, float ratio = 1.0f) {
    float const scale = ratio * detail::magnitude(range) / detail::symmetric_limit<B>(range);
    return {scale >= scale_epsilon ? scale : 1.0f, 0};
}

/// Scale (max - min) / (2^n - 1) of the range extended to hold 0; offset qmin - round(min / scale), so that
/// 0 has a code. AMCT's ARQ and IFMR with offset.
template <BitWidth B>
ScaleOffset asymmetric_scale(ClipRange range) {
    return detail::asymmetric_scale<B>(
        range, [](float t) { return static_cast<float>(B::qmin) - detail::round_half_even(t); });
}

/// The same scale, with the offset round(qmin - min / scale): AMCT's ULQ. It differs from the one above
/// where the float32 subtraction rounds min / scale onto a tie.
template <BitWidth B>
ScaleOffset asymmetric_scale_learned(ClipRange range) {
    return detail::asymmetric_scale<B>(
        range, [](float t) { return detail::round_half_even(static_cast<float>(B::qmin) - t); });
}

/// The values of the highest and the lowest code.
template <BitWidth B>
ClipRange clip_of(ScaleOffset p) {
    return {dequantize(B::qmax, p), dequantize(B::qmin, p)};
}

}  // namespace amct_distill

// ---- amct_distill/quant/finite.hpp

/// The check of every input: it holds values, and each of them is finite.
///
///     if (auto ok = check_finite(w, "weights"); !ok) return ok;
///     // weights: value at [3, 5] is nan; only finite values can be quantized: check where they come from

namespace amct_distill {

namespace detail {

/// The shortest text that reads back as the same number; "nan", "inf", "-inf".
template <std::floating_point T>
std::string number(T v) {
    if (std::isnan(v)) return "nan";
    char text[32];
    return {text, std::to_chars(text, text + sizeof text, v).ptr};
}

inline std::size_t first_not_finite(std::span<const float> x) {
    std::size_t i = 0;
    while (i != x.size() && std::isfinite(x[i])) ++i;
    return i;
}

// Not inlined: an error path is cold, and inlining this one draws a false -Wstringop-overflow from g++ 12.
[[gnu::cold, gnu::noinline]] inline Diagnostic not_finite(std::string_view what, std::string_view index,
                                                          float value) {
    return general_error(concat(what, ": value at [", index, "] is ", number(value),
                                "; only finite values can be quantized: check where they come from"));
}

[[gnu::cold, gnu::noinline]] inline Diagnostic no_values(std::string_view what, std::string_view shape) {
    return general_error(concat(what, ": no values", shape, "; an empty tensor cannot be quantized"));
}

}  // namespace detail

/// `what` begins the message and names the tensor, "conv1: weights".
inline result<void> check_finite(std::span<const float> x, std::string_view what, const Execution& on = {}) {
    if (x.empty()) return detail::no_values(what, "");
    if (detail::range_of(x, on).finite) return {};
    std::size_t const i = detail::first_not_finite(x);
    return detail::not_finite(what, detail::concat(i), x[i]);
}

/// The index in the message is [row, column].
inline result<void> check_finite(const ConstMatrixRef& w, std::string_view what, const Execution& on = {}) {
    if (w.size() == 0) return detail::no_values(what, detail::concat(" (", w.rows(), " x ", w.cols(), ")"));
    if (detail::range_of(w, on).finite) return {};
    for (Eigen::Index r = 0;; ++r) {
        auto const x = detail::row(w, r);
        std::size_t const c = detail::first_not_finite(x);
        if (c != x.size()) return detail::not_finite(what, detail::concat(r, ", ", c), x[c]);
    }
}

}  // namespace amct_distill

// ---- amct_distill/quant/kernels/fixed_point.hpp

/// The loops that turn floats into 24-bit fixed point and count them by its upper bits (histogram.hpp).
///
///     bool const all = run_on(set, fixed_point_loop<false>{x, n, factor, u});      // u[i] = |x[i]| * factor
///     run_on(set, count_loop<false, 12>{x, n, factor, words, &beyond});            // of 2^12 cells
///
/// The product is rounded to float and its fraction cut off. With `Signed`, 23 bits of magnitude below a bit
/// of sign. Where the magnitude does not fit, u has a higher bit too, and the result is false.

namespace amct_distill::detail {

template <bool Signed>
struct fixed_point_loop {
    static constexpr int magnitude_bits = Signed ? 23 : 24;
    static constexpr std::int32_t does_not_fit = std::int32_t{1} << 24;

    const float* x;
    std::size_t n;
    float factor;
    std::int32_t* u;

    template <class F>
    [[gnu::always_inline]] void step(std::size_t i, ints_of<F>& all) const {
        using I = ints_of<F>;
        F const limit = F{} + static_cast<float>(1 << magnitude_bits);
        F v;
        load(x + i, v);
        F product = __builtin_bit_cast(F, __builtin_bit_cast(I, v) & INT32_MAX) * factor;
        I fits{}, whole;
        if constexpr (sizeof(F) == 4) {
            fits = product < limit ? -1 : 0;
            product = fits ? product : 0.0f;
            whole = static_cast<I>(product);
        }
#if defined(__GNUC__)
        else {
            fits = product < limit;
            product = __builtin_bit_cast(F, __builtin_bit_cast(I, product) & fits);
            whole = __builtin_convertvector(product, I);
        }
#endif
        if constexpr (Signed) whole |= __builtin_bit_cast(I, v) >> 31 & (1 << 23);
        whole |= ~fits & does_not_fit;
        all &= fits;
        store(whole, u + i);
    }

    template <int Bytes>
    [[gnu::always_inline]] bool run() const {
        using F = typename lanes<Bytes>::floats;
        constexpr std::size_t count = lanes<Bytes>::count;
        ints_of<F> wide = ints_of<F>{} - 1;
        std::int32_t one = -1, of_lane[count];
        std::size_t i = 0;
        for (; n - i >= count; i += count) step<F>(i, wide);
        for (; i < n; ++i) step<float>(i, one);
        std::memcpy(of_lane, &wide, sizeof of_lane);
        for (std::int32_t v : of_lane) one &= v;
        return one != 0;
    }
};

/// Adds the values to `words`, one for each of 2^CellBits cells: their number above `sum_bits` bits of the
/// sum of their fixed point (the magnitudes of it). Values that do not fit are appended to `beyond`.
template <bool Signed, int CellBits>
struct count_loop {
    static constexpr int magnitude_bits = fixed_point_loop<Signed>::magnitude_bits;
    static constexpr std::size_t cells = std::size_t{1} << CellBits;
    static constexpr int sum_bits = 44;

    const float* x;
    std::size_t n;
    float factor;
    std::uint64_t* words;
    std::vector<float>* beyond;

    [[gnu::always_inline]] static void add(std::int32_t u, std::uint64_t* to) {
        auto const w = static_cast<std::uint32_t>(u);
        std::uint32_t const magnitude = Signed ? w & 0x7FFFFFu : w;
        to[w >> (24 - CellBits)] += (std::uint64_t{1} << sum_bits) + magnitude;
    }

    template <int Bytes>
    [[gnu::always_inline]] void run() const {
        constexpr std::size_t block = 1024;  // small beside the words, in the first-level cache
        std::int32_t u[block];
        for (std::size_t i = 0; i < n; i += block) {
            std::size_t const size = n - i < block ? n - i : block;
            if (fixed_point_loop<Signed>{x + i, size, factor, u}.template run<Bytes>()) {
                std::size_t k = 0;
                for (; size - k >= 4; k += 4) {
                    add(u[k], words);
                    add(u[k + 1], words);
                    add(u[k + 2], words);
                    add(u[k + 3], words);
                }
                for (; k < size; ++k) add(u[k], words);
            } else {
                for (std::size_t k = 0; k != size; ++k) {
                    if (u[k] >= fixed_point_loop<Signed>::does_not_fit)
                        beyond->push_back(x[i + k]);
                    else
                        add(u[k], words);
                }
            }
        }
    }
};

}  // namespace amct_distill::detail

// ---- amct_distill/quant/histogram.hpp

/// A certified histogram for IFMR: one pass over the values tells, for each candidate, between which bounds
/// its loss is, so that only those that could be the smallest need be evaluated exactly.
///
///     CertifiedHistogram<false, 12> histogram(largest);     // of |x|, 2^12 cells up to `largest`
///     if (histogram.usable(candidates)) histogram.add(part, on);  ...
///     histogram.finish();
///     LossBound const of_first = histogram.bound(candidates[0]);
///
/// How it works. The loss of a candidate, with q_k = float(k * s) for its codes k and e the float32 error, is
/// L = sum e(x)^2. But for rounding that is sum min_k (q_k - x)^2 (a code is the nearest one there is), and
///
///     L - sum x^2 = sum g(x),   g(x) = min_k (q_k^2 - 2 q_k x)
///
/// where sum x^2 is common to all candidates and g is concave and piecewise linear. Where a cell of the
/// histogram lies within one piece, the number n of its values and their sum S give its part exactly,
/// n q_k^2 - 2 q_k S. In a cell [a, b) with a boundary t between pieces k and k + 1, the k-th piece is too
/// large by 2 (q_{k+1} - q_k) * sum (x - t)+, of which with the mean m = S / n the convexity of (x - t)+ gives
///
///     n (m - t)+  <=  sum (x - t)+  <=  n (m - a)(b - t) / (b - a)      (Jensen; the chord)
///
/// Lengths are measured in units of the fixed point, x -> F x with F = (2^24 - 2^4) / largest (Signed: 2^23),
/// and e = 2^-24. What else separates this from L, term by term as in `bound`:
///
///  1. Fixed point. w = float(F x) < 2^24 has an error of at most e w, and u = trunc(w): so x is within
///     h = 1/2 + e (u + 1) <= 3/2 of u + 1/2, which is taken for it - by all candidates alike, so that
///     sum x^2 stays common. A squared error changes with slope 2 |error|, that is step + 2h at most between
///     the outermost codes (step: the largest q_{k+1} - q_k), where it moves by h (step + 2h) at most, and
///     by 2h (d + h) for a value at d beyond an outermost code.
///  2. Codes. float(x / s) passes k + 1/2 within a relative e of it, and (q_k + q_{k+1}) / 2 is within
///     e (|k| + 1) s of (k + 1/2) s. Values between the two, 2.02 e (|k| + 1) step apart at most, have the
///     other code, at 2 step times the distance. They are in the boundary's cell or the two beside it.
///  3. float(q_k - x) rounds once, relative e: 2 e L, with what the summation in double adds below 3.1 e L.
///     L <= n (step / 2 + 3)^2 between the outermost codes and sum d^2 <= max d * sum d beyond them.
///  4. Values beyond `largest` have the outermost code of every candidate. They are kept as they are, for
///     they are few, or the histogram is not used; so nothing is added for them.
///  5. Double arithmetic here: at most 2 (codes + cells) roundings, 2^-53 each, on the path of any term, and
///     as many as there are values beyond `largest`.
///
/// Counts and sums are integers, exact. A cell is one 64-bit word, a count above 44 bits of sum, so that a
/// value costs one addition. Words are emptied into wider counters after 2^19 values at most: the sum is then
/// below 2^19 * 2^24 = 2^43 and the count, of 20 bits, below 2^20.

namespace amct_distill::detail {

/// What the loss of a candidate depends on: values become float(k * scale), k = min_code..max_code.
struct Codes {
    float scale;
    int min_code, max_code;
};

/// Its loss times F^2, without the sum of squares, is within `slack` of `estimate`.
struct LossBound {
    double estimate = 0, slack = 0;
    double low() const { return estimate - slack; }
    double high() const { return estimate + slack; }
};

/// `Signed` makes a histogram of x, otherwise of |x|, for candidates that treat x and -x alike.
template <bool Signed, int CellBits>
class CertifiedHistogram {
    using Loop = count_loop<Signed, CellBits>;
    static constexpr std::size_t cells = Loop::cells;
    static constexpr double epsilon = 0x1p-24;

public:
    /// `largest`: the largest magnitude that a candidate does not clip, or a smaller one that all values have.
    /// To be checked by `usable` first.
    explicit CertifiedHistogram(float largest)
        : factor_(static_cast<float>((1 << Loop::magnitude_bits) - 16) / largest),
          counts_(cells),
          sums_(cells) {}

    /// Whether fixed point can represent the values, and cells are narrow enough for the candidates: at most
    /// one boundary in each, and farther from the next than step 2 above looks.
    bool usable(std::span<const Codes> candidates) const {
        if (!(std::isnormal(factor_) && factor_ < 0x1p100f && factor_ > 0x1p-100f)) return false;
        return std::all_of(candidates.begin(), candidates.end(), [&](const Codes& c) {
            double const step = static_cast<double>(c.scale) * static_cast<double>(factor_);
            bool const finite = std::isfinite(c.scale * static_cast<float>(c.max_code)) &&
                                std::isfinite(c.scale * static_cast<float>(c.min_code));
            return finite && (c.min_code == c.max_code || step >= 4 * width());
        });
    }

    /// Precondition: all finite.
    void add(std::span<const float> x, const Execution& on) {
        std::mutex merging;
        in_parts(on, x.size(), period, [&](std::size_t begin, std::size_t end) {
            std::vector<std::uint64_t> words(cells);
            for (std::size_t i = begin; i < end; i += period) {
                std::vector<float> beyond;
                run_on(on.instructions,
                       Loop{x.data() + i, (std::min)(period, end - i), factor_, words.data(), &beyond});
                std::lock_guard const lock(merging);
                empty(words);
                beyond_.insert(beyond_.end(), beyond.begin(), beyond.end());
            }
        });
        total_ += x.size();
    }

    /// Whether so many values lie beyond `largest` that counting them was of no use.
    bool too_many_beyond() const { return beyond_.size() > total_ / 16 + 1024; }

    /// Call once, after the last `add`.
    void finish() {
        std::sort(beyond_.begin(), beyond_.end());  // no matter in which order they came
        for (float v : beyond_) {
            double const y = static_cast<double>(v) * static_cast<double>(factor_);
            auto& [n, sum] = above(v) ? above_ : below_;
            ++n;
            sum += Signed ? y : std::abs(y);
            beyond_squares_ += y * y;
        }
        n_.assign(cells + 1, 0);
        s_.assign(cells + 1, 0);
        for (std::size_t j = 0; j != cells; ++j) {
            // In increasing order: of the negative ones, the largest magnitude first.
            std::size_t const half = cells / 2, cell = !Signed ? j : j < half ? cells - 1 - j : j - half;
            auto const n = static_cast<double>(counts_[cell]);
            double const magnitude = static_cast<double>(sums_[cell]) + n / 2;
            magnitudes_ += magnitude;
            n_[j + 1] = n_[j] + n;
            s_[j + 1] = s_[j] + (Signed && j < half ? -magnitude : magnitude);
        }
    }

    LossBound bound(const Codes& c) const {
        auto const q = [&](int k) {
            return static_cast<double>(static_cast<float>(k) * c.scale) * static_cast<double>(factor_);
        };
        double const n = n_[cells], scale = static_cast<double>(c.scale) * static_cast<double>(factor_);
        // Neighbours are a scale apart, but for the rounding of both.
        double const step =
            c.min_code == c.max_code ? 0 : scale * (1 + 4 * epsilon * (std::max)(-c.min_code, c.max_code));
        double estimate = 0, magnitude = 0, slack = 0;
        auto const add_line = [&](double count, double sum, double to) {
            estimate += count * to * to - 2 * to * sum;
            magnitude += count * to * to + 2 * std::abs(to * sum);
        };

        std::size_t begin = 0;  // the first cell that no code has taken yet
        for (int k = c.min_code; k != c.max_code; ++k) {
            double const here = q(k), next = q(k + 1), t = (here + next) / 2;
            std::size_t const end = cellsbelow(t);  // the last of them may have t inside
            if (end > begin) add_line(n_[end] - n_[begin], s_[end] - s_[begin], here);
            if (end != 0) {
                double const a = edge(end - 1), b = edge(end), count = n_[end] - n_[end - 1];
                if (count > 0 && t < b) {
                    double const m = (std::clamp)((s_[end] - s_[end - 1]) / count, a, b);
                    double const least = count * (std::max)(0.0, m - t);
                    double const most = count * (m - a) * (b - t) / (b - a);
                    estimate -= (next - here) * (least + most);
                    slack += (next - here) * (std::max)(0.0, most - least);
                }
            }
            double const near = n_[(std::min)(end + 1, cells)] - n_[end < 2 ? 0 : end - 2];
            slack += near * 2 * step * 2.02 * epsilon * (std::abs(k) + 2) * step;  // 2
            begin = (std::max)(begin, end);
        }
        add_line(n - n_[begin], s_[cells] - s_[begin], q(c.max_code));
        add_line(above_.n, above_.sum, q(c.max_code));
        add_line(below_.n, below_.sum, q(c.min_code));

        // Beyond the outermost codes: the sum of distances, from the edge of the cell the code is in.
        std::size_t const top = cellsbelow(q(c.max_code)), last = top == 0 ? 0 : top - 1;
        double beyond = s_[cells] - s_[last] - (n - n_[last]) * edge(last),
               farthest = edge(cells) - edge(last);
        if (Signed) {
            std::size_t const first = cellsbelow(q(c.min_code));
            beyond += n_[first] * edge(first) - s_[first];
            farthest = (std::max)(farthest, edge(first) - edge(0));
        }
        slack += step * (n / 2 + 1.01 * epsilon * (magnitudes_ + n)) + 4.5 * n + 3 * beyond + 4.5 * n;  // 1
        double const inside = step / 2 + 3;
        double const loss = n * inside * inside + (farthest + 1.5) * (beyond + 1.5 * n) + beyond_squares_;
        slack += 3.1 * epsilon * loss;  // 3
        slack += 0x1p-52 * (c.max_code - c.min_code + static_cast<double>(cells) + above_.n + below_.n) *
                 magnitude;  // 5
        return {estimate, slack};
    }

    /// To turn an estimate into a sum of squared errors.
    double unit_squared() const { return 1 / (static_cast<double>(factor_) * static_cast<double>(factor_)); }

private:
    struct Sum {
        double n = 0, sum = 0;
    };

    static bool above(float v) { return !Signed || v > 0; }
    static constexpr double width() { return 1 << (24 - CellBits); }
    double edge(std::size_t j) const {
        return (static_cast<double>(j) - (Signed ? static_cast<double>(cells / 2) : 0.0)) * width();
    }
    /// How many cells begin at or below t.
    std::size_t cellsbelow(double t) const {
        double const j = std::floor((t - edge(0)) / width()) + 1;
        return static_cast<std::size_t>((std::clamp)(j, 0.0, static_cast<double>(cells)));
    }

    void empty(std::span<std::uint64_t> words) {
        for (std::size_t j = 0; j != cells; ++j) {
            counts_[j] += words[j] >> Loop::sum_bits;
            sums_[j] += words[j] & ((std::uint64_t{1} << Loop::sum_bits) - 1);
            words[j] = 0;
        }
    }

    static constexpr std::size_t period = std::size_t{1} << 19;

    float factor_;
    std::vector<std::uint64_t> counts_, sums_;
    std::vector<float> beyond_{};
    std::size_t total_ = 0;
    // Since finish(): of the cells up to the j-th in increasing order, and of what lies beyond them.
    std::vector<double> n_{}, s_{};
    Sum above_{}, below_{};
    double magnitudes_ = 0, beyond_squares_ = 0;
};

}  // namespace amct_distill::detail

// ---- amct_distill/quant/kernels/squared_error.hpp

/// The terms of a candidate's loss (ifmr.hpp): squares of the float32 errors of fake quantization.
///
///     double const sum = ordered_sums(on, n, SquaredError{x, upper, lower, scale})[0];

namespace amct_distill::detail {

struct SquaredError {
    static constexpr std::size_t sums = 1;
    const float* x;
    float upper, lower;  ///< values are clamped to these
    float scale;

    /// Errors are those of float32, whose product is rounded before the subtraction. Giving the product its
    /// sign (the scale is positive) after the multiplication keeps the two apart: next to each other, g++
    /// makes an FMA of them where the target has one.
    template <int Bytes>
    [[gnu::always_inline]] void add(std::size_t i, std::size_t lane, SumLanes<Bytes>* to) const {
        using F = typename lanes<Bytes>::floats;
        using I = typename lanes<Bytes>::ints;
        F const highest = F{} + upper, lowest = F{} + lower;
        F v;
        load(x + i, v);
        F t = v > highest ? highest : v;
        t = t < lowest ? lowest : t;
        t = t / scale;
        I const sign = __builtin_bit_cast(I, t) & INT32_MIN;
        F const nearest = ((t + rounding_shift) - rounding_shift) * scale;
        F const error = __builtin_bit_cast(F, (__builtin_bit_cast(I, nearest) & INT32_MAX) | sign) - v;
        to[0].add_product(error, error, lane);
    }
};

}  // namespace amct_distill::detail

// ---- amct_distill/quant/tail.hpp

/// The k-th largest and the k-th smallest of values that come in parts, each with its range.
///
///     Tails tails(k_largest, k_smallest);
///     tails.add(part, range_of(part));  ...
///     tails.kth_largest();  tails.kth_smallest();
///
/// Only what could still be among the k outermost is kept, and a part without such values is not read.

namespace amct_distill::detail {

/// The first k in the order of Before.
template <class Before>
class Tail {
public:
    /// `last`: no value comes after it. Precondition: k > 0.
    Tail(std::size_t k, float last) : k_(k), threshold_(last) {}

    float threshold() const { return threshold_; }

    /// Values equal to the threshold need not be kept: they leave the k-th as it is.
    void add(float v) {
        if (!Before{}(v, threshold_)) return;
        kept_.push_back(v);
        if (kept_.size() >= 2 * k_ + 1024) shrink();
    }

    /// Precondition: at least k values were added.
    float kth() {
        if (kept_.size() >= k_) shrink();
        return threshold_;
    }

private:
    void shrink() {
        auto const kth = kept_.begin() + static_cast<std::ptrdiff_t>(k_ - 1);
        std::nth_element(kept_.begin(), kth, kept_.end(), Before{});
        threshold_ = *kth;
        kept_.resize(k_);
    }

    std::size_t k_;
    float threshold_;
    std::vector<float> kept_{};
};

class Tails {
public:
    Tails(std::size_t k_largest, std::size_t k_smallest)
        : largest_(k_largest, -std::numeric_limits<float>::infinity()),
          smallest_(k_smallest, std::numeric_limits<float>::infinity()) {}

    /// Precondition: all finite, `range` their range or a larger one.
    void add(std::span<const float> x, ValueRange range) {
        if (range.max > largest_.threshold())
            for (float v : x) largest_.add(v);
        if (range.min < smallest_.threshold())
            for (float v : x) smallest_.add(v);
    }

    float kth_largest() { return largest_.kth(); }
    float kth_smallest() { return smallest_.kth(); }

private:
    Tail<std::greater<>> largest_;
    Tail<std::less<>> smallest_;
};

}  // namespace amct_distill::detail

// ---- amct_distill/quant/value_store.hpp

/// Values of many batches, one after the other; beyond a number of bytes in a temporary file.
///
///     ValueStore values(64 << 20);                        // at most 64 MB of memory
///     values.append(batch);  ...
///     values.for_each_part([&](std::span<const float> part) { ... });      // in the order of appending
///
/// The file has no name and vanishes with the object. Nothing is ever left out.

namespace amct_distill::detail {

class ValueStore {
public:
    /// Half of the bytes hold what was appended last, half are for reading the file; at least 512 KB.
    explicit ValueStore(std::size_t max_bytes)
        : capacity_((std::max)(max_bytes / (2 * sizeof(float)) / task_size, std::size_t{1}) * task_size),
          in_memory_(max_bytes == static_cast<std::size_t>(-1)) {}

    std::size_t size() const { return written_ + recent_.size(); }
    bool uses_file() const { return file_ != nullptr; }

    /// An error when the file cannot be written, and from then on: values are missing.
    result<void> append(std::span<const float> x) {
        if (!complete_) return complete_;
        if (in_memory_) {
            recent_.insert(recent_.end(), x.begin(), x.end());
            return {};
        }
        while (!x.empty()) {
            if (recent_.size() == capacity_)
                if (complete_ = write(); !complete_) return complete_;
            std::size_t const n = (std::min)(x.size(), capacity_ - recent_.size());
            recent_.insert(recent_.end(), x.begin(), x.begin() + static_cast<std::ptrdiff_t>(n));
            x = x.subspan(n);
        }
        return {};
    }

    /// body(part): all parts but the last are multiples of `task_size`. An error when the file cannot be read,
    /// or could not be written.
    template <class Body>
    result<void> for_each_part(const Body& body) const {
        if (!complete_) return complete_;
        if (file_) {
            std::rewind(file_.get());
            std::vector<float> part(capacity_);
            for (std::size_t read = 0; read != written_; read += capacity_) {
                if (std::fread(part.data(), sizeof(float), capacity_, file_.get()) != capacity_)
                    return failed("read");
                body(std::span<const float>(part));
            }
        }
        if (!recent_.empty()) body(std::span<const float>(recent_));
        return {};
    }

private:
    struct close {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };

    result<void> write() {
        if (!file_) file_.reset(std::tmpfile());
        if (!file_ || std::fseek(file_.get(), 0, SEEK_END) != 0 ||
            std::fwrite(recent_.data(), sizeof(float), capacity_, file_.get()) != capacity_)
            return failed("write");
        written_ += capacity_;
        recent_.clear();
        return {};
    }

    [[gnu::cold, gnu::noinline]] static Diagnostic failed(const char* what) {
        return general_error(concat("cannot ", what, " the temporary file of observed values: ",
                                    std::strerror(errno), "; make room for it, or allow more memory"));
    }

    std::size_t capacity_;
    bool in_memory_;
    std::size_t written_ = 0;
    std::unique_ptr<std::FILE, close> file_{};
    std::vector<float> recent_{};
    result<void> complete_{};
};

}  // namespace amct_distill::detail

// ---- amct_distill/quant/ifmr.hpp

/// IFMR, input feature map reconstruction: the clip range of activations with the smallest squared error.
///
///     Ifmr<Int8> ifmr;
///     ifmr.observe(batch1).value();
///     ifmr.observe(batch2).value();
///     result<IfmrResult> found = ifmr.finish();    // found->clip, found->scale_offset
///
/// Source: AMCT's IFMR. The winner is the candidate with the smallest sum, in double, of the squares of the
/// exact float32 errors; AMCT sums in float32 and can miss it. All observed values count: none is sampled.

namespace amct_distill {

/// Candidate i has the ratio float(search_start + i * search_step), for i < ceil((search_end - search_start)
/// / search_step). The defaults give 61 of them, 0.70 to 1.30: in double, 0.6 / 0.01 is a little over 60.
struct IfmrOptions {
    double max_percentile = 0.999999;  ///< the part of the values that are not above the range, (0, 1]
    double min_percentile = 0.999999;  ///< the part of the values that are not below it, (0, 1]
    double search_start = 0.7;
    double search_end = 1.3;
    double search_step = 0.01;
    /// Of memory for values; at least 512 KB are used. What is more goes to a temporary file, and `finish`
    /// reads it three times.
    std::size_t max_bytes = static_cast<std::size_t>(-1);
    /// Evaluate every candidate exactly; otherwise only those that could be the best.
    bool every_loss = false;

    static constexpr double max_candidates = 10000;
};

struct IfmrResult {
    ScaleOffset scale_offset{};
    ClipRange clip{};                   ///< the values of the highest and the lowest code
    std::size_t best = 0;               ///< the winning candidate: the first with the smallest loss
    std::vector<double> losses{};       ///< mean squared error, by candidate: exact for the best
    std::vector<double> loss_errors{};  ///< how far each may be from the exact one; 0: it is
    ClipRange range{};                  ///< the percentiles, extended to hold 0
};

/// With M = max(|max|, |min|) of the percentiles and limit as in `symmetric_scale`, ratio r has
///   symmetric:   scale r * M / limit, values clamped to -r * M .. r * M;
///   asymmetric:  scale and offset of `asymmetric_scale` of r * max and min (the ratio moves only the upper
///                end), values clamped to min .. r * max.
/// Its loss is mean((round(clamp(x) / scale) * scale - x)^2): not clamped to the integers of n bits.
template <BitWidth B, Symmetry S>
class Ifmr {
public:
    using bits = B;
    using symmetry = S;

    Ifmr() = default;
    explicit Ifmr(IfmrOptions options) : options_(options), values_(options.max_bytes) {}

    /// Adds a batch, of any shape. An error when it is empty or has a value that is not finite; it is then
    /// not added. Also when the temporary file cannot be written; no calibration is possible then.
    result<void> observe(std::span<const float> batch, const Execution& on = {}) {
        // The check finds the range of each few values too, which tells `finish` where the outermost are.
        std::size_t const before = ranges_.size();
        ranges_.resize(before + (batch.size() + detail::sum_block - 1) / detail::sum_block);
        detail::in_parts(on, batch.size(), detail::task_size, [&](std::size_t begin, std::size_t end) {
            for (std::size_t i = begin; i < end; i += detail::sum_block) {
                std::size_t const n = (std::min)(detail::sum_block, end - i);
                ranges_[before + i / detail::sum_block] = {
                    values_.size() + i + n,
                    detail::run_on(on.instructions, detail::range_loop{batch.data() + i, n})};
            }
        });
        bool const finite = std::all_of(ranges_.begin() + static_cast<std::ptrdiff_t>(before), ranges_.end(),
                                        [](const Range& r) { return r.values.finite; });
        if (batch.empty() || !finite) {
            ranges_.resize(before);
            return check_finite(batch, "activations", on);
        }
        return values_.append(batch);
    }

    /// The best clip range of all values observed. Errors: no batch, options outside their limits, values so
    /// large that no candidate has a finite loss, a temporary file that cannot be read.
    result<IfmrResult> finish(const Execution& on = {}) const {
        if (auto ok = check_options(); !ok) return ok.diagnostics();
        if (values_.size() == 0)
            return general_error("IFMR: no batch was observed; call observe() before finish()");

        IfmrResult found;
        float largest = 0;
        if (auto ok = find_range(found.range, largest); !ok) return ok.diagnostics();
        std::vector<Candidate> const candidates = candidates_in(found.range);
        if (auto ok = find_losses(on, candidates, largest, found); !ok) return ok.diagnostics();
        double smallest = std::numeric_limits<double>::infinity();
        for (std::size_t i = 0; i != candidates.size(); ++i) {
            if (found.loss_errors[i] == 0 && found.losses[i] < smallest) {
                smallest = found.losses[i];
                found.best = i;
            }
        }
        if (!std::isfinite(smallest))
            return general_error(detail::concat(
                "IFMR: no candidate has a finite loss for values between ", detail::number(found.range.min),
                " and ", detail::number(found.range.max), "; scale the network's input down"));
        found.scale_offset = candidates[found.best].p;
        found.clip = clip_of<B>(found.scale_offset);
        return found;
    }

private:
    /// Of values that were observed together.
    struct Range {
        std::size_t end;  // the place of the first after them
        detail::ValueRange values;
    };

    struct Candidate {
        float upper, lower;  // values are clamped to these
        ScaleOffset p;

        detail::SquaredError terms(std::span<const float> x) const {
            return {x.data(), upper, lower, p.scale};
        }
        /// Precondition: the ends and the scale are finite.
        detail::Codes codes() const {
            auto const code = [this](float end) { return static_cast<int>(std::nearbyint(end / p.scale)); };
            return {p.scale, std::same_as<S, Symmetric> ? 0 : code(lower), code(upper)};
        }
        bool is_finite() const { return std::isfinite(upper - lower) && std::isfinite(p.scale); }
        /// All values become 0: the loss does not depend on the candidate.
        bool is_zero() const {
            return is_finite() && codes().max_code == 0 && std::nearbyint(lower / p.scale) == 0;
        }
    };

    double count_of_candidates() const {
        return std::ceil((options_.search_end - options_.search_start) / options_.search_step);
    }

    result<void> check_options() const {
        using detail::number;
        for (double p : {options_.max_percentile, options_.min_percentile})
            if (!(p > 0 && p <= 1))
                return general_error(detail::concat("IFMR: the percentile ", number(p),
                                                    " is not in (0, 1]; the default is 0.999999"));
        double const count = count_of_candidates();
        if (!(options_.search_start > 0 && options_.search_step > 0 && count >= 1 &&
              count <= IfmrOptions::max_candidates))
            return general_error(detail::concat(
                "IFMR: the search from ", number(options_.search_start), " to ", number(options_.search_end),
                " by ", number(options_.search_step),
                " is not one of 1 to 10000 positive ratios; the default is from 0.7 to 1.3 by 0.01"));
        return {};
    }

    /// The percentiles - the k-th value from an end, k = N - int(percentile * N) but at least 1 - extended to
    /// hold 0, and the largest magnitude of all values.
    result<void> find_range(ClipRange& range, float& largest) const {
        std::size_t const n = values_.size();
        auto const k = [n](double percentile) {
            auto const below = static_cast<std::size_t>(percentile * static_cast<double>(n));
            return (std::max<std::size_t>)(1, n - (std::min)(n, below));
        };
        detail::Tails tails(k(options_.max_percentile), k(options_.min_percentile));
        auto current = ranges_.begin();
        std::size_t place = 0;
        auto read = values_.for_each_part([&](std::span<const float> part) {
            while (!part.empty()) {
                std::size_t const size = (std::min)(part.size(), current->end - place);
                tails.add(part.first(size), current->values);
                place += size;
                part = part.subspan(size);
                if (place == current->end) ++current;
            }
        });
        range = {(std::max)(0.0f, tails.kth_largest()), (std::min)(0.0f, tails.kth_smallest())};
        largest = 0;
        for (const Range& r : ranges_) largest = (std::max)({largest, r.values.max, -r.values.min});
        return read;
    }

    std::vector<Candidate> candidates_in(ClipRange range) const {
        auto const count = static_cast<std::size_t>(count_of_candidates());
        std::vector<Candidate> all;
        all.reserve(count);
        for (std::size_t i = 0; i != count; ++i) {
            auto const ratio =
                static_cast<float>(options_.search_start + static_cast<double>(i) * options_.search_step);
            if constexpr (std::same_as<S, Symmetric>) {
                float const upper = ratio * detail::magnitude(range);
                all.push_back({upper, -upper, symmetric_scale<B>(range, ratio)});
            } else {
                float const upper = ratio * range.max;
                all.push_back({upper, range.min, asymmetric_scale<B>({upper, range.min})});
            }
        }
        return all;
    }

    /// All losses, or those of the candidates that the histogram leaves, and estimates of the others.
    result<void> find_losses(const Execution& on, const std::vector<Candidate>& candidates, float largest,
                             IfmrResult& found) const {
        // Below, the sweep takes less time than the bounds do.
        constexpr std::size_t few = 8192;
        found.losses.assign(candidates.size(), 0);
        found.loss_errors.assign(candidates.size(), 0);
        std::vector<std::size_t> left(candidates.size());
        std::iota(left.begin(), left.end(), std::size_t{0});
        std::vector<detail::LossBound> bounds;
        double unit_squared = 0;
        if (values_.size() >= few && !options_.every_loss)
            if (auto ok = bound_losses(on, candidates, largest, bounds, unit_squared); !ok) return ok;
        if (!bounds.empty()) {
            double lowest = std::numeric_limits<double>::infinity();
            for (const auto& bound : bounds) lowest = (std::min)(lowest, bound.high());
            std::erase_if(left, [&](std::size_t i) { return bounds[i].low() > lowest; });
        }
        if (auto ok = evaluate(on, candidates, left, found.losses); !ok) return ok;
        if (bounds.empty()) return {};

        // An estimate lacks the sum of squares, which an exact loss has.
        double const to_mean = unit_squared / static_cast<double>(values_.size());
        std::size_t const known = left[0];
        std::size_t next = 0;
        for (std::size_t i = 0; i != candidates.size(); ++i) {
            if (next != left.size() && left[next] == i) {
                ++next;
                continue;
            }
            found.losses[i] = found.losses[known] + (bounds[i].estimate - bounds[known].estimate) * to_mean;
            found.loss_errors[i] = (bounds[i].slack + bounds[known].slack) * to_mean;
        }
        return {};
    }

    /// `bounds` stays empty where the histogram cannot be used.
    result<void> bound_losses(const Execution& on, const std::vector<Candidate>& candidates, float largest,
                              std::vector<detail::LossBound>& bounds, double& unit_squared) const {
        std::vector<detail::Codes> codes;
        float kept = 0;  // the largest magnitude that some candidate does not clip
        for (const Candidate& c : candidates) {
            if (!c.is_finite()) return {};
            codes.push_back(c.codes());
            kept = (std::max)({kept, std::abs(c.upper), std::abs(c.lower)});
        }
        // Cells are a twentieth of a step or less, and their words stay in the first-level cache.
        constexpr int cell_bits = (std::min)(12, B::width + 6);
        detail::CertifiedHistogram<std::same_as<S, Asymmetric>, cell_bits> histogram(
            (std::min)(kept, largest));
        if (!histogram.usable(codes)) return {};
        if (auto ok = values_.for_each_part([&](std::span<const float> part) { histogram.add(part, on); });
            !ok)
            return ok;
        if (histogram.too_many_beyond()) return {};
        histogram.finish();
        for (const detail::Codes& c : codes) bounds.push_back(histogram.bound(c));
        unit_squared = histogram.unit_squared();
        return {};
    }

    /// The exact losses of the candidates in `which`. Every block of values is read from memory once, and
    /// evaluated for all of them while in cache.
    result<void> evaluate(const Execution& on, const std::vector<Candidate>& candidates,
                          const std::vector<std::size_t>& which, std::vector<double>& losses) const {
        std::vector<std::size_t> todo;
        std::size_t zero = candidates.size();
        for (std::size_t i : which) {
            bool const is_zero = candidates[i].is_zero();
            if (is_zero && zero != candidates.size()) continue;
            if (is_zero) zero = i;
            todo.push_back(i);
        }
        Execution serial;
        serial.instructions = on.instructions;
        auto read = values_.for_each_part([&](std::span<const float> part) {
            std::size_t const blocks = (part.size() - 1) / detail::sum_block + 1;
            std::vector<double> sums(blocks * todo.size());
            detail::in_parts(
                on, blocks, detail::task_size / detail::sum_block, [&](std::size_t begin, std::size_t end) {
                    for (std::size_t k = begin; k != end; ++k) {
                        auto const block =
                            part.subspan(k * detail::sum_block)
                                .first((std::min)(detail::sum_block, part.size() - k * detail::sum_block));
                        for (std::size_t c = 0; c != todo.size(); ++c)
                            sums[k * todo.size() + c] = detail::ordered_sums(
                                serial, block.size(), candidates[todo[c]].terms(block))[0];
                    }
                });
            for (std::size_t k = 0; k != blocks; ++k)
                for (std::size_t c = 0; c != todo.size(); ++c) losses[todo[c]] += sums[k * todo.size() + c];
        });
        if (!read) return read;
        for (std::size_t i : todo) losses[i] /= static_cast<double>(values_.size());
        for (std::size_t i : which)
            if (candidates[i].is_zero()) losses[i] = losses[zero];
        return {};
    }

    IfmrOptions options_{};
    detail::ValueStore values_{options_.max_bytes};
    std::vector<Range> ranges_{};
};

}  // namespace amct_distill

// ---- amct_distill/quant/kernels/gradient.hpp

/// The terms of ULQ's gradients: of clips (act_ulq.hpp) and of scales (ulq.hpp), whose formulas are there.
///
///     std::array<double, 2> const sums = ordered_sums(on, n, ClipGradient<false>{x, g, dx, constants});
///
/// A term is a factor times g, in float; the factor is round(x / scale) - x / scale within the range, and a
/// constant for all that is clipped to one end of it.

namespace amct_distill::detail {

/// round(t) - t; of no use where t is beyond 2^22.
template <class F>
[[gnu::always_inline]] inline void residual_of(const F& t, F& residual) {
    residual = ((t + rounding_shift) - rounding_shift) - t;
}

/// The three sums that both gradients of clips are made of: of the residual times g within the range, of g
/// above it, and of g below. Writes dx, which may be g. Streaming: past the caches; dx is then a multiple of
/// 64 bytes.
template <bool Streaming>
struct ClipGradient {
    static constexpr std::size_t sums = 3;
    const float* x;
    const float* g;
    float* dx;
    float scale, upper;
    float lower;  ///< not +0 but -0: see `less`

    template <class F>
    [[gnu::always_inline]] void begin(std::size_t i, F& quotient) const {
        prefetch(x + i, read_ahead);
        prefetch(g + i, read_ahead);
        load(x + i, quotient);
        quotient = quotient / scale;
    }
    template <class F>
    [[gnu::always_inline]] void terms(std::size_t i, const F& quotient, F* of) const {
        F v, grad, residual;
        load(x + i, v);
        load(g + i, grad);
        residual_of(quotient, residual);
        ints_of<F> above, below;
        less(upper - F{}, v, above);
        less(v, lower - F{}, below);  // F{} + lower would not be -0
        F inside = grad;
        mask(inside, ~(above | below));
        if constexpr (Streaming)
            store_streaming(inside, dx + i);
        else
            store(inside, dx + i);
        mask(residual, ~(above | below));  // it can be a NaN outside
        of[0] = residual * inside;
        of[1] = of[2] = grad;
        mask(of[1], above);
        mask(of[2], below);
    }
};

/// The terms of ds, before the division by sqrt(K * qmax).
struct ScaleGradient {
    static constexpr std::size_t sums = 1;
    const float* w;
    const float* g;
    float scale, qmax, qmin;
    float upper, lower;  ///< scale * qmax, scale * qmin

    template <class F>
    [[gnu::always_inline]] void begin(std::size_t i, F& quotient) const {
        prefetch(w + i, read_ahead);
        prefetch(g + i, read_ahead);
        load(w + i, quotient);
        quotient = quotient / scale;
    }
    template <class F>
    [[gnu::always_inline]] void terms(std::size_t i, const F& quotient, F* of) const {
        F const zero{};
        F v, grad, factor;
        load(w + i, v);
        load(g + i, grad);
        residual_of(quotient, factor);
        factor = v < lower ? zero + qmin : factor;
        factor = v > upper ? zero + qmax : factor;
        of[0] = factor * grad;
    }
};

}  // namespace amct_distill::detail

// ---- amct_distill/quant/act_ulq.hpp

/// ULQ, universal linear quantization of activations: the clips are trained. For weights see ulq.hpp.
///
///     ActUlq<Int8> ulq(ClipRange{6.0f, -6.0f}, /*fixed_min=*/false);
///     ulq.fake_quantize(x, y);
///     ulq.backward(x, grad_y, grad_x, grad_clips);   // then the optimizer changes ulq.parameters()
///     ulq.constrain();
///
/// Source: AMCT's activation ULQ; forward and grad_x are equal to it bit for bit.

namespace amct_distill {

/// Scale and offset come from the clips: `asymmetric_scale_learned` or, symmetric, `symmetric_scale` of the
/// clips extended to hold 0.
template <BitWidth B, Symmetry S>
class ActUlq {
public:
    using bits = B;
    using symmetry = S;
    using calibrator = Ifmr<B>;

    /// Not calibrated yet: scale 1.
    ActUlq() = default;
    /// The state at the first step.
    ActUlq(ClipRange clip, bool fixed_min) : ActUlq(clip, clip, fixed_min) { constrain(); }
    /// The state between an optimizer step and `constrain`, which comes next: clips as the optimizer left
    /// them, and those of the step before.
    ActUlq(ClipRange clip, ClipRange previous, bool fixed_min)
        : clips_{clip.max, clip.min}, previous_(previous), fixed_min_(fixed_min) {}

    /// {clip_max, clip_min}.
    std::span<float> parameters() { return clips_; }
    std::span<const float> parameters() const { return clips_; }

    ClipRange clip() const { return {clips_[0], clips_[1]}; }
    bool fixed_min() const { return fixed_min_; }
    ScaleOffset scale_offset() const { return scale_of(clip()); }

    /// Whether `constrain` has something sound to fall back to and nothing to repair: clips and previous
    /// clips finite, and the width of their range too. (Where AMCT fails at the next forward.)
    result<void> check() const {
        for (auto [name, range] : {std::pair<std::string_view, ClipRange>{"clip", clip()},
                                   std::pair<std::string_view, ClipRange>{"previous clip", previous_}})
            if (!std::isfinite(range.max - range.min))
                return general_error(detail::concat(
                    "activations: the ", name, " range is ", detail::number(range.min), " to ",
                    detail::number(range.max), "; its ends and its width must be finite: set other clips"));
        return {};
    }

    /// What AMCT does to the clips at the start of a forward; here after each change of `parameters()`:
    ///   1. with fixed_min, clip_min = 0;
    ///   2. if clip_max - clip_min == 0, both clips as they were at the previous step; else if clip_max < 0,
    ///      clip_max as it was; else if clip_min > 0, clip_min as it was.
    /// Nothing else is repaired: a clip_max below clip_min does no harm, since the range is extended to hold
    /// 0. Before the two steps, a clip that is not finite is set to its previous value; after them, so are
    /// both if the range is wider than the largest float. (AMCT fails in these cases.)
    void constrain() {
        ClipRange now = clip();
        if (!std::isfinite(now.max)) now.max = previous_.max;
        if (!std::isfinite(now.min)) now.min = previous_.min;
        if (fixed_min_) now.min = 0;
        if (now.max - now.min == 0)
            now = previous_;
        else if (now.max < 0)
            now.max = previous_.max;
        else if (now.min > 0)
            now.min = previous_.min;
        if (!std::isfinite(now.max - now.min)) now = previous_;
        clips_ = {now.max, now.min};
        previous_ = now;
    }

    /// y = the values x's codes stand for. Precondition: equal sizes; y may be x.
    void fake_quantize(std::span<const float> x, std::span<float> y, const Execution& on = {}) const {
        amct_distill::fake_quantize<B>(x, y, scale_offset(), on);
    }

    /// With `up` = x > s * (qmax - o), `dn` = x < s * (qmin - o),
    /// t = (up ? clip_max : dn ? clip_min : x) / s and e = (round(t) - t) / (2^n - 1):
    ///   d clip_max = sum of (e + up) * g,   d clip_min = sum of (dn - e) * g,
    ///   dx = g where neither up nor dn, else 0.
    /// The sums are ordered_sums. Preconditions: equal sizes; grad_clips has two entries. grad_x may be grad_y.
    void backward(std::span<const float> x, std::span<const float> grad_y, std::span<float> grad_x,
                  std::span<float> grad_clips, const Execution& on = {}) const {
        assert(x.size() == grad_y.size() && x.size() == grad_x.size() && grad_clips.size() == 2);
        constexpr double levels = B::qmax - B::qmin;
        ClipRange const c = clip();
        ScaleOffset const p = scale_offset();
        auto const offset = static_cast<float>(p.offset);
        float const upper = p.scale * (static_cast<float>(B::qmax) - offset);
        float lower = p.scale * (static_cast<float>(B::qmin) - offset);
        if (lower == 0) lower = -0.0f;  // the same, as a bound

        bool const stream = grad_x.data() != grad_y.data() && grad_x.data() != x.data() &&
                            grad_x.size_bytes() > on.streaming_size && detail::is_aligned(grad_x.data());
        auto const sums = [&](auto terms) { return detail::ordered_sums(on, x.size(), terms); };
        auto const [inside, above, below] =
            stream ? sums(detail::ClipGradient<true>{x.data(), grad_y.data(), grad_x.data(), p.scale, upper,
                                                     lower})
                   : sums(detail::ClipGradient<false>{x.data(), grad_y.data(), grad_x.data(), p.scale, upper,
                                                      lower});
        if (stream) detail::streaming_fence();

        // What is clipped has the residual of its clip.
        auto const residual_of = [&](float clip) {
            float const t = clip / p.scale;
            return static_cast<double>(detail::round_half_even(t) - t);
        };
        double const e = (inside + residual_of(c.max) * above + residual_of(c.min) * below) / levels;
        grad_clips[0] = static_cast<float>(above + e);
        grad_clips[1] = static_cast<float>(below - e);
    }

private:
    static ScaleOffset scale_of(ClipRange range) {
        if constexpr (std::same_as<S, Symmetric>)
            return symmetric_scale<B>({(std::max)(0.0f, range.max), (std::min)(0.0f, range.min)});
        else
            return asymmetric_scale_learned<B>(range);
    }

    std::array<float, 2> clips_{};
    ClipRange previous_{};
    bool fixed_min_ = false;
};

}  // namespace amct_distill

// ---- amct_distill/quant/arq.hpp

/// ARQ, adaptive range quantization of weights: the largest weight of a row, or of all, sets the scale.
///
///     Arq<Int4, ChannelWise> arq;
///     arq.fake_quantize(w, out);                  // w: one row per output channel
///     result<QuantizedMatrix> q = arq.quantize(w);
///
/// Source: AMCT's ARQ; equal to it bit for bit. Nothing is trained and nothing is kept: scales are recomputed
/// from the weights each time.

namespace amct_distill {

/// Symmetric: `symmetric_scale` of the range; asymmetric: `asymmetric_scale` of it (range.hpp).
template <BitWidth B, Granularity G, Symmetry S>
class Arq {
public:
    using bits = B;
    using granularity = G;
    using symmetry = S;

    /// An error when w is empty, has a value that is not finite, or, asymmetric, is wider than a float holds.
    result<void> initialize(const ConstMatrixRef& w, const Execution& on = {}) { return check(w, on); }

    /// out = the values w's codes stand for. Preconditions: equal shapes, not empty; out may be w.
    void fake_quantize(const ConstMatrixRef& w, MatrixRef out, const Execution& on = {}) const {
        assert(w.rows() == out.rows() && w.cols() == out.cols());
        if constexpr (std::same_as<G, ChannelWise>) {
            auto const to_constants = [](detail::ValueRange range) {
                return detail::constants<B>(scale_of(range));
            };
            auto const stream = w.data() != out.data() &&
                                static_cast<std::size_t>(w.size()) * sizeof(float) > on.streaming_size;
            auto const cols = static_cast<std::size_t>(w.cols());
            auto const from = static_cast<std::size_t>(w.outerStride());
            auto const to = static_cast<std::size_t>(out.outerStride());
            detail::in_parts(on, static_cast<std::size_t>(w.rows()), detail::rows_per_task(w),
                             [&](std::size_t begin, std::size_t end) {
                                 auto const run = [&]<bool Stream>(std::bool_constant<Stream>) {
                                     detail::run_on(
                                         on.instructions,
                                         detail::fake_quantize_rows_loop<Stream, decltype(to_constants)>{
                                             w.data() + begin * from, out.data() + begin * to, end - begin,
                                             cols, from, to, to_constants});
                                 };
                                 stream ? run(std::true_type{}) : run(std::false_type{});
                             });
        } else {
            ScaleOffset const p = scale_of(detail::range_of(w, on));
            detail::for_each_row(on, w, [&](Eigen::Index r, const Execution& serial) {
                amct_distill::fake_quantize<B>(detail::row(w, r), detail::row(out, r), p, serial);
            });
        }
    }

    /// Straight through: grad_w = grad_out. `grad_parameters` is empty.
    void backward(const ConstMatrixRef&, const ConstMatrixRef& grad_out, MatrixRef grad_w,
                  [[maybe_unused]] std::span<float> grad_parameters) const {
        assert(grad_parameters.empty());
        grad_w = grad_out;
    }

    /// Nothing is trained.
    std::span<float> parameters() { return {}; }
    std::span<const float> parameters() const { return {}; }
    void constrain() {}

    /// One per row, or one.
    std::vector<ScaleOffset> scale_offsets(const ConstMatrixRef& w, const Execution& on = {}) const {
        if constexpr (std::same_as<G, ChannelWise>) {
            std::vector<ScaleOffset> scales(static_cast<std::size_t>(w.rows()));
            detail::for_each_row(on, w, [&](Eigen::Index r, const Execution& serial) {
                scales[static_cast<std::size_t>(r)] = scale_of(detail::range_of(detail::row(w, r), serial));
            });
            return scales;
        } else {
            return {scale_of(detail::range_of(w, on))};
        }
    }

    /// The integers. Errors as in `initialize`.
    result<QuantizedMatrix> quantize(const ConstMatrixRef& w, const Execution& on = {}) const {
        if (auto ok = check(w, on); !ok) return ok.diagnostics();
        return amct_distill::quantize<B>(w, scale_offsets(w, on), on);
    }

private:
    static result<void> check(const ConstMatrixRef& w, const Execution& on) {
        if (auto ok = check_finite(w, "weights", on); !ok) return ok;
        if constexpr (std::same_as<S, Asymmetric>) {
            ClipRange const range = detail::clips(detail::range_of(w, on));
            if (!std::isfinite(range.max - range.min))
                return general_error(detail::concat("weights: the range ", detail::number(range.min), " to ",
                                                    detail::number(range.max),
                                                    " is wider than the largest float; use Symmetric"));
        }
        return {};
    }

    static ScaleOffset scale_of(detail::ValueRange range) {
        if constexpr (std::same_as<S, Symmetric>)
            return symmetric_scale<B>(detail::clips(range));
        else
            return asymmetric_scale<B>(detail::clips(range));
    }
};

}  // namespace amct_distill

// ---- amct_distill/quant/checked_affine.hpp

/// Quantization of what comes from outside: everything is checked first, and on an error nothing is written.
///
///     result<void> done = checked_fake_quantize<Int4>(w, out, scales);
///     // error: weights: value at [3, 5] is nan; only finite values can be quantized: ...
///     // error: scales: the scale of row 2 is 0; a scale is positive and finite: ...
///     auto const w = as_channels(data, 64);           // of 64 rows, or the error that 64 does not divide
///
/// The functions of affine.hpp take the same as a precondition. Values are float32; float16 is to be widened
/// first.

namespace amct_distill {

/// A tensor of any shape whose first dimension is `channels`, as a matrix of a row per channel.
inline result<Eigen::Map<const RowMajorMatrix>> as_channels(std::span<const float> x, std::size_t channels) {
    if (x.empty()) return detail::no_values("weights", "");
    if (channels == 0 || x.size() % channels != 0)
        return general_error(detail::concat("weights: ", channels, " channels do not divide ", x.size(),
                                            " values; pass the size of the first dimension"));
    return Eigen::Map<const RowMajorMatrix>(x.data(), static_cast<Eigen::Index>(channels),
                                            static_cast<Eigen::Index>(x.size() / channels));
}

/// One scale, or one per row; each positive and finite, with an offset that B has a code for.
template <BitWidth B>
result<void> check_scales(std::span<const ScaleOffset> scales, std::size_t rows) {
    if (scales.size() != 1 && scales.size() != rows)
        return general_error(detail::concat("scales: ", scales.size(), " scales for ", rows,
                                            " rows; pass one, or one per row"));
    for (std::size_t r = 0; r != scales.size(); ++r) {
        auto const [scale, offset] = scales[r];
        if (!(scale > 0) || !std::isfinite(scale))
            return general_error(detail::concat("scales: the scale of row ", r, " is ", detail::number(scale),
                                                "; a scale is positive and finite: recompute it"));
        if (offset < B::qmin || offset > B::qmax)
            return general_error(detail::concat("scales: the offset of row ", r, " is ", offset, ", outside ",
                                                B::qmin, "..", B::qmax, "; use the bits it was found with"));
    }
    return {};
}

namespace detail {

template <BitWidth B>
result<void> check_all(const ConstMatrixRef& w, std::span<const ScaleOffset> scales, const Execution& on) {
    if (auto ok = check_finite(w, "weights", on); !ok) return ok;
    return check_scales<B>(scales, static_cast<std::size_t>(w.rows()));
}

inline Diagnostic not_equal_shapes(Eigen::Index rows, Eigen::Index cols, const ConstMatrixRef& out) {
    return general_error(concat("output: its shape is ", out.rows(), " x ", out.cols(),
                                ", that of the input ", rows, " x ", cols, "; pass one of the same shape"));
}

}  // namespace detail

/// out = the values w's codes stand for; out may be w. Reads w twice: an output that was begun could not be
/// taken back.
template <BitWidth B>
result<void> checked_fake_quantize(const ConstMatrixRef& w, MatrixRef out,
                                   std::span<const ScaleOffset> scales, const Execution& on = {}) {
    if (w.rows() != out.rows() || w.cols() != out.cols())
        return detail::not_equal_shapes(w.rows(), w.cols(), out);
    if (auto ok = detail::check_all<B>(w, scales, on); !ok) return ok;
    detail::for_each_row(on, w, [&](Eigen::Index r, const Execution& serial) {
        fake_quantize<B>(detail::row(w, r), detail::row(out, r),
                         scales[scales.size() == 1 ? 0 : static_cast<std::size_t>(r)], serial);
    });
    return {};
}

template <BitWidth B>
result<QuantizedMatrix> checked_quantize(const ConstMatrixRef& w, std::vector<ScaleOffset> scales,
                                         const Execution& on = {}) {
    if (auto ok = detail::check_all<B>(w, scales, on); !ok) return ok.diagnostics();
    return quantize<B>(w, std::move(scales), on);
}

/// What the codes stand for, which must be of B's bits.
template <BitWidth B>
result<void> checked_dequantize(const QuantizedMatrix& q, MatrixRef out, const Execution& on = {}) {
    auto const rows = static_cast<Eigen::Index>(q.rows), cols = static_cast<Eigen::Index>(q.cols);
    if (rows != out.rows() || cols != out.cols()) return detail::not_equal_shapes(rows, cols, out);
    if (q.codes.empty() || q.codes.size() != q.rows * q.cols)
        return general_error(detail::concat("codes: ", q.codes.size(), " codes are not a matrix of ", q.rows,
                                            " x ", q.cols, "; pass what was quantized"));
    if (auto ok = check_scales<B>(q.scales, q.rows); !ok) return ok;
    for (std::size_t i = 0; i != q.codes.size(); ++i)
        if (q.codes[i] < B::qmin || q.codes[i] > B::qmax)
            return general_error(detail::concat("codes: code ", static_cast<int>(q.codes[i]), " at [",
                                                i / q.cols, ", ", i % q.cols, "] is outside ", B::qmin, "..",
                                                B::qmax, "; use the bits it was quantized with"));
    detail::for_each_row(on, out, [&](Eigen::Index row, const Execution& serial) {
        auto const r = static_cast<std::size_t>(row);
        dequantize(std::span(q.codes).subspan(r * q.cols, q.cols), detail::row(out, row),
                   q.scales[q.scales.size() == 1 ? 0 : r], serial);
    });
    return {};
}

}  // namespace amct_distill

// ---- amct_distill/quant/kernels/int4.hpp

/// The loops of packed INT4: codes to nibbles and back, and floats to nibbles without codes in between.
///
///     bool const all_in_range = run_on(set, pack_int4_loop{codes, bytes, n});
///
/// n codes take n / 2 bytes, and one more where n is odd; its high nibble is 0. int4.hpp has the functions
/// for callers.

namespace amct_distill::detail {

inline std::uint8_t nibbles(int low, int high) {
    return static_cast<std::uint8_t>((static_cast<unsigned>(low) & 0xFu) |
                                     ((static_cast<unsigned>(high) & 0xFu) << 4));
}

#if defined(__GNUC__)
/// 32 codes into 16 bytes.
[[gnu::always_inline]] inline void pack_32(const bytes16& first, const bytes16& second, ubytes16& out) {
    typedef std::uint16_t words8 __attribute__((vector_size(16)));
    // A word is two codes: its low byte becomes their nibbles.
    words8 a = __builtin_bit_cast(words8, first), b = __builtin_bit_cast(words8, second);
    a = (a & 0x0F) | (a >> 4 & 0xF0);
    b = (b & 0x0F) | (b >> 4 & 0xF0);
    out = __builtin_shufflevector(__builtin_bit_cast(ubytes16, a), __builtin_bit_cast(ubytes16, b), 0, 2, 4,
                                  6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
}
#endif

/// Returns whether all codes are in -8..7; what is written is of no use otherwise.
struct pack_int4_loop {
    const std::int8_t* codes;
    std::uint8_t* bytes;
    std::size_t n;

    template <int Bytes>
    [[gnu::always_inline]] bool run() const {
        std::size_t i = 0;
        bool outside = false;
#if defined(__GNUC__)
        if constexpr (Bytes != 4) {
            bytes16 far{};
            for (; i + 32 <= n; i += 32) {
                bytes16 a, b;
                ubytes16 packed;
                load(codes + i, a);
                load(codes + i + 16, b);
                far |= (a < -8) | (a > 7) | (b < -8) | (b > 7);
                pack_32(a, b, packed);
                store(packed, bytes + i / 2);
            }
            for (int k = 0; k != 16; ++k) outside |= far[k] != 0;
        }
#endif
        for (; i < n; i += 2) {
            int const low = codes[i], high = i + 1 < n ? codes[i + 1] : 0;
            outside |= low < -8 || low > 7 || high < -8 || high > 7;
            bytes[i / 2] = nibbles(low, high);
        }
        return !outside;
    }
};

struct unpack_int4_loop {
    const std::uint8_t* bytes;
    std::int8_t* codes;
    std::size_t n;

    /// Four bits of two's complement to eight.
    static std::int8_t extended(unsigned nibble) {
        return static_cast<std::int8_t>(static_cast<int>(nibble ^ 8u) - 8);
    }

    template <int Bytes>
    [[gnu::always_inline]] void run() const {
        std::size_t i = 0;
#if defined(__GNUC__)
        if constexpr (Bytes != 4) {
            for (; i + 32 <= n; i += 32) {
                ubytes16 both;
                load(bytes + i / 2, both);
                ubytes16 const low = ((both & 0x0F) ^ 8) - 8, high = ((both >> 4) ^ 8) - 8;
                ubytes16 const first = __builtin_shufflevector(low, high, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20,
                                                               5, 21, 6, 22, 7, 23);
                ubytes16 const second = __builtin_shufflevector(low, high, 8, 24, 9, 25, 10, 26, 11, 27, 12,
                                                                28, 13, 29, 14, 30, 15, 31);
                store(first, codes + i);
                store(second, codes + i + 16);
            }
        }
#endif
        for (; i < n; i += 2) {
            codes[i] = extended(bytes[i / 2] & 0xFu);
            if (i + 1 < n) codes[i + 1] = extended(bytes[i / 2] >> 4);
        }
    }
};

/// Precondition: no NaN.
struct quantize_int4_loop {
    const float* x;
    std::uint8_t* bytes;
    std::size_t n;
    AffineConstants p;

    template <int Bytes>
    [[gnu::always_inline]] void run() const {
        std::size_t i = 0;
#if defined(__GNUC__)
        if constexpr (Bytes != 4) {
            for (; i + 32 <= n; i += 32) {
                bytes16 a, b;
                ubytes16 packed;
                prefetch(x + i, read_ahead);
                prefetch(x + i, read_ahead + 16);
                codes_of_16<Bytes>(x + i, p, a);
                codes_of_16<Bytes>(x + i + 16, p, b);
                pack_32(a, b, packed);
                store(packed, bytes + i / 2);
            }
        }
#endif
        for (; i < n; i += 2) {
            std::int32_t low, high = 0;
            codes_of<float>(x + i, p, low);
            if (i + 1 < n) codes_of<float>(x + i + 1, p, high);
            bytes[i / 2] = nibbles(low, high);
        }
    }
};

}  // namespace amct_distill::detail

// ---- amct_distill/quant/int4.hpp

/// Packed INT4: two codes a byte, the low nibble first, every row padded to whole bytes.
///
///     PackedInt4 const p = quantize_int4(w, arq.scale_offsets(w));      // straight from floats
///     auto const q = arq.quantize(w);                                   // or by way of codes
///     auto const bytes = pack_int4(q->codes, q->rows, q->cols);         // *bytes == p.bytes
///     auto const codes = unpack_int4(*bytes, q->rows, q->cols);         // *codes == q->codes

namespace amct_distill {

constexpr std::size_t packed_row_bytes(std::size_t cols) { return cols / 2 + cols % 2; }

/// The integers of a weight, packed.
struct PackedInt4 {
    std::size_t rows = 0;
    std::size_t cols = 0;
    std::vector<std::uint8_t> bytes{};  ///< rows * packed_row_bytes(cols)
    std::vector<ScaleOffset> scales{};  ///< one, or one per row
};

/// `codes` is a row-major rows x cols matrix of codes in -8..7. The nibble that pads an odd row is 0.
inline result<std::vector<std::uint8_t>> pack_int4(std::span<const std::int8_t> codes, std::size_t rows,
                                                   std::size_t cols, const Execution& on = {}) {
    if (codes.size() != rows * cols)
        return general_error(detail::concat("pack_int4: ", codes.size(), " codes are not a ", rows, " x ",
                                            cols,
                                            " matrix; pass the rows and columns they were quantized with"));
    std::vector<std::uint8_t> bytes(rows * packed_row_bytes(cols));
    std::atomic<bool> fits = true;
    detail::in_parts(on, rows, detail::rows_per_task(cols), [&](std::size_t begin, std::size_t end) {
        for (std::size_t r = begin; r != end; ++r)
            if (!detail::run_on(on.instructions,
                                detail::pack_int4_loop{codes.data() + r * cols,
                                                       bytes.data() + r * packed_row_bytes(cols), cols}))
                fits = false;
    });
    if (fits) return bytes;
    auto const bad = std::find_if(codes.begin(), codes.end(),
                                  [](std::int8_t c) { return c < Int4::qmin || c > Int4::qmax; });
    auto const i = static_cast<std::size_t>(bad - codes.begin());
    return general_error(detail::concat("pack_int4: code ", static_cast<int>(*bad), " at [", i / cols, ", ",
                                        i % cols, "] is outside -8..7; quantize with Int4"));
}

/// The inverse of pack_int4; what is in the padding does not matter.
inline result<std::vector<std::int8_t>> unpack_int4(std::span<const std::uint8_t> bytes, std::size_t rows,
                                                    std::size_t cols, const Execution& on = {}) {
    if (bytes.size() != rows * packed_row_bytes(cols))
        return general_error(detail::concat("unpack_int4: a ", rows, " x ", cols, " matrix takes ",
                                            rows * packed_row_bytes(cols), " bytes, found ", bytes.size(),
                                            "; pass the rows and columns it was packed with"));
    std::vector<std::int8_t> codes(rows * cols);
    detail::in_parts(on, rows, detail::rows_per_task(cols), [&](std::size_t begin, std::size_t end) {
        for (std::size_t r = begin; r != end; ++r)
            detail::run_on(on.instructions,
                           detail::unpack_int4_loop{bytes.data() + r * packed_row_bytes(cols),
                                                    codes.data() + r * cols, cols});
    });
    return codes;
}

/// `bytes` has packed_row_bytes(x.size()) entries. Preconditions: that; x has no NaN.
inline void quantize_int4(std::span<const float> x, std::span<std::uint8_t> bytes, ScaleOffset p,
                          const Execution& on = {}) {
    assert(bytes.size() == packed_row_bytes(x.size()));
    detail::in_parts(on, x.size(), detail::task_size, [&](std::size_t begin, std::size_t end) {
        detail::run_on(on.instructions, detail::quantize_int4_loop{x.data() + begin, bytes.data() + begin / 2,
                                                                   end - begin, detail::constants<Int4>(p)});
    });
}

/// Preconditions: `scales` has 1 or w.rows() entries; w has no NaN.
inline PackedInt4 quantize_int4(const ConstMatrixRef& w, std::vector<ScaleOffset> scales,
                                const Execution& on = {}) {
    PackedInt4 q{static_cast<std::size_t>(w.rows()), static_cast<std::size_t>(w.cols()), {}, {}};
    q.bytes.resize(q.rows * packed_row_bytes(q.cols));
    detail::quantize_rows(on, w, scales, std::span(q.bytes),
                          [](auto x, auto bytes, ScaleOffset p, const Execution& serial) {
                              quantize_int4(x, bytes, p, serial);
                          });
    q.scales = std::move(scales);
    return q;
}

/// What the codes stand for. Preconditions: `out` has the shape of q, whose members agree.
inline void dequantize(const PackedInt4& q, MatrixRef out, const Execution& on = {}) {
    assert(q.rows == static_cast<std::size_t>(out.rows()) && q.cols == static_cast<std::size_t>(out.cols()));
    detail::for_each_row(on, out, [&](Eigen::Index row, const Execution& serial) {
        auto const r = static_cast<std::size_t>(row);
        std::span<float> const y = detail::row(out, row);
        std::array<std::int8_t, 1024> codes;  // stays in the cache
        for (std::size_t c = 0; c < q.cols; c += codes.size()) {
            auto const some = std::span(codes).first((std::min)(codes.size(), q.cols - c));
            detail::run_on(serial.instructions,
                           detail::unpack_int4_loop{q.bytes.data() + r * packed_row_bytes(q.cols) + c / 2,
                                                    some.data(), some.size()});
            dequantize(some, y.subspan(c, some.size()), q.scales[q.scales.size() == 1 ? 0 : r], serial);
        }
    });
}

}  // namespace amct_distill

// ---- amct_distill/quant/quantizer.hpp

/// What a quantizer must offer to take part in distillation: models are Arq and Ulq for weights, ActUlq for
/// activations with Ifmr as its calibrator; a quantizer of your own needs nothing else, no base class.
///
///     static_assert(WeightQuantizer<MyPow2<Int4, ChannelWise>>);
///     static_assert(check_weight_quantizer<MyPow2<Int4, ChannelWise>>());     // says what is missing
///
/// Forward and backward are const: a quantizer changes in `initialize`, in `constrain`, and through
/// `parameters()`, which an optimizer writes to. Copies are independent (a snapshot is a copy).

namespace amct_distill {

/// `parameters()`: what is trained; may be empty. `constrain()`: after each change of them, before the next
/// forward, restores what must hold (scales positive, clips ordered).
template <class Q>
concept HasParameters = std::copyable<Q> && std::default_initializable<Q> && requires(Q q, const Q& c) {
    { q.parameters() } -> std::same_as<std::span<float>>;
    { c.parameters() } -> std::same_as<std::span<const float>>;
    { q.constrain() } -> std::same_as<void>;
};

/// `w` is the float weight, a row per output channel; the other matrices have its shape, and
/// `grad_parameters` the size of `parameters()`. Gradients are written, not added.
template <class Q>
concept WeightQuantizer = HasParameters<Q> && BitWidth<typename Q::bits> &&
    Granularity<typename Q::granularity> &&
    requires(Q q, const Q& c, const ConstMatrixRef& w, MatrixRef out, std::span<float> grad_parameters) {
    { q.initialize(w) } -> std::same_as<result<void>>;
    { c.fake_quantize(w, out) } -> std::same_as<void>;
    { c.backward(w, /*grad_out*/ w, /*grad_w*/ out, grad_parameters) } -> std::same_as<void>;
    { c.scale_offsets(w) } -> std::same_as<std::vector<ScaleOffset>>;
    { c.quantize(w) } -> std::same_as<result<QuantizedMatrix>>;
};

/// Finds the clips from the values of some batches.
template <class C>
concept Calibrator = std::default_initializable<C> && requires(C c, const C& done, std::span<const float> x) {
    { c.observe(x) } -> std::same_as<result<void>>;
    { done.finish()->clip } -> std::convertible_to<ClipRange>;
    { done.finish().has_value() } -> std::same_as<bool>;
};

/// Constructed from the initial clips and fixed_min (the lower clip is 0 and stays it). `x` is the input of
/// the layer, of any shape; the other spans of elements have its size, `grad_parameters` is
/// {d clip_max, d clip_min}, as `parameters()` is {clip_max, clip_min}. Gradients are written, not added.
template <class Q>
concept ActivationQuantizer = HasParameters<Q> && BitWidth<typename Q::bits> &&
    Calibrator<typename Q::calibrator> && std::constructible_from<Q, ClipRange, bool> &&
    requires(const Q& c, std::span<const float> x, std::span<float> y, std::span<float> grad_parameters) {
    { c.clip() } -> std::same_as<ClipRange>;
    { c.scale_offset() } -> std::same_as<ScaleOffset>;
    { c.fake_quantize(x, y) } -> std::same_as<void>;
    { c.backward(x, /*grad_out*/ x, /*grad_in*/ y, grad_parameters) } -> std::same_as<void>;
};

namespace detail {

template <class Q>
concept HasBits = BitWidth<typename Q::bits>;
template <class Q>
concept HasGranularity = Granularity<typename Q::granularity>;
template <class Q>
concept HasCalibrator = Calibrator<typename Q::calibrator>;
template <class Q>
concept ReturnsParameters = requires(Q q, const Q& c) {
    { q.parameters() } -> std::same_as<std::span<float>>;
    { c.parameters() } -> std::same_as<std::span<const float>>;
};
template <class Q>
concept Constrains = requires(Q q) {
    { q.constrain() } -> std::same_as<void>;
};

template <class Q>
concept InitializesWeights = requires(Q q, const ConstMatrixRef& w) {
    { q.initialize(w) } -> std::same_as<result<void>>;
};
template <class Q>
concept FakeQuantizesWeights = requires(const Q& c, const ConstMatrixRef& w, MatrixRef out) {
    { c.fake_quantize(w, out) } -> std::same_as<void>;
};
template <class Q>
concept BackwardOfWeights = requires(const Q& c, const ConstMatrixRef& w, MatrixRef out,
                                     std::span<float> grad) {
    { c.backward(w, w, out, grad) } -> std::same_as<void>;
};
template <class Q>
concept ScalesOfWeights = requires(const Q& c, const ConstMatrixRef& w) {
    { c.scale_offsets(w) } -> std::same_as<std::vector<ScaleOffset>>;
};
template <class Q>
concept QuantizesWeights = requires(const Q& c, const ConstMatrixRef& w) {
    { c.quantize(w) } -> std::same_as<result<QuantizedMatrix>>;
};

template <class Q>
concept ScaleOfActivations = requires(const Q& c) {
    { c.clip() } -> std::same_as<ClipRange>;
    { c.scale_offset() } -> std::same_as<ScaleOffset>;
};
template <class Q>
concept FakeQuantizesActivations = requires(const Q& c, std::span<const float> x, std::span<float> y) {
    { c.fake_quantize(x, y) } -> std::same_as<void>;
};
template <class Q>
concept BackwardOfActivations = requires(const Q& c, std::span<const float> x, std::span<float> y) {
    { c.backward(x, x, y, y) } -> std::same_as<void>;
};

/// What both kinds must have.
template <class Q>
consteval bool check_quantizer() {
    static_assert(std::copyable<Q> && std::default_initializable<Q>,
                  "a quantizer must be copyable and default-constructible: a snapshot of it is a copy");
    static_assert(HasBits<Q>,
                  "a quantizer names its width: add `using bits = Int4;`, Int8 or bits of your own");
    static_assert(ReturnsParameters<Q>,
                  "a quantizer shows what is trained: add `std::span<float> parameters()` and "
                  "`std::span<const float> parameters() const`, empty if nothing is");
    static_assert(
        Constrains<Q>,
        "a quantizer restores what must hold after a training step: add `void constrain()`, empty if "
        "nothing need be");
    return true;
}

}  // namespace detail

/// Whether Q is a WeightQuantizer; if not, a line of compile error for each part that it lacks.
template <class Q>
consteval bool check_weight_quantizer() {
    detail::check_quantizer<Q>();
    static_assert(detail::HasGranularity<Q>,
                  "a weight quantizer names its granularity: add `using granularity = ChannelWise;` or "
                  "TensorWise");
    static_assert(detail::InitializesWeights<Q>,
                  "a weight quantizer begins with the float weights: add "
                  "`result<void> initialize(const ConstMatrixRef& w)`");
    static_assert(detail::FakeQuantizesWeights<Q>,
                  "a weight quantizer has a forward: add "
                  "`void fake_quantize(const ConstMatrixRef& w, MatrixRef out) const`");
    static_assert(detail::BackwardOfWeights<Q>,
                  "a weight quantizer has a backward: add `void backward(const ConstMatrixRef& w, const "
                  "ConstMatrixRef& grad_out, MatrixRef grad_w, std::span<float> grad_parameters) const`");
    static_assert(detail::ScalesOfWeights<Q>,
                  "a weight quantizer tells its scales: add "
                  "`std::vector<ScaleOffset> scale_offsets(const ConstMatrixRef& w) const`");
    static_assert(detail::QuantizesWeights<Q>,
                  "a weight quantizer gives the integers: add "
                  "`result<QuantizedMatrix> quantize(const ConstMatrixRef& w) const`");
    return WeightQuantizer<Q>;
}

/// Whether Q is an ActivationQuantizer; if not, a line of compile error for each part that it lacks.
template <class Q>
consteval bool check_activation_quantizer() {
    detail::check_quantizer<Q>();
    static_assert(detail::HasCalibrator<Q>,
                  "an activation quantizer names what finds its first clips: add `using calibrator = "
                  "Ifmr<bits>;` or one of your own with observe() and finish()");
    static_assert(std::constructible_from<Q, ClipRange, bool>,
                  "an activation quantizer is made from its clips: add a constructor `(ClipRange clip, bool "
                  "fixed_min)`");
    static_assert(detail::ScaleOfActivations<Q>,
                  "an activation quantizer tells its scale: add `ClipRange clip() const` and `ScaleOffset "
                  "scale_offset() const`");
    static_assert(detail::FakeQuantizesActivations<Q>,
                  "an activation quantizer has a forward: add `void fake_quantize(std::span<const float> x, "
                  "std::span<float> y) const`");
    static_assert(detail::BackwardOfActivations<Q>,
                  "an activation quantizer has a backward: add `void backward(std::span<const float> x, "
                  "std::span<const float> grad_out, std::span<float> grad_in, std::span<float> "
                  "grad_parameters) const`");
    return ActivationQuantizer<Q>;
}

}  // namespace amct_distill

// ---- amct_distill/quant/ulq.hpp

/// ULQ, universal linear quantization of weights: the scales are trained. For activations see act_ulq.hpp.
///
///     Ulq<Int4, ChannelWise> ulq;
///     ulq.initialize(w).value();                       // begins with ARQ's scales
///     ulq.fake_quantize(w, out);
///     ulq.backward(w, grad_out, grad_w, grad_scales);  // then the optimizer changes ulq.parameters()
///     ulq.constrain();
///
/// Source: AMCT's weight ULQ; the forward is equal to it bit for bit.

namespace amct_distill {

/// Symmetric, offset 0. `initialize` comes first; every w after it has the same number of rows.
template <BitWidth B, Granularity G>
class Ulq {
public:
    using bits = B;
    using granularity = G;
    using symmetry = Symmetric;

    /// Takes ARQ's scales of w. An error when w is empty or has a value that is not finite.
    result<void> initialize(const ConstMatrixRef& w, const Execution& on = {}) {
        if (auto ok = check_finite(w, "weights", on); !ok) return ok;
        scales_.clear();
        for (ScaleOffset p : Arq<B, G>{}.scale_offsets(w, on)) scales_.push_back(p.scale);
        last_good_ = scales_;
        return {};
    }

    /// out = the values w's codes stand for. Precondition: equal shapes; out may be w.
    void fake_quantize(const ConstMatrixRef& w, MatrixRef out, const Execution& on = {}) const {
        assert(w.rows() == out.rows() && w.cols() == out.cols());
        detail::for_each_row(on, w, [&](Eigen::Index r, const Execution& serial) {
            amct_distill::fake_quantize<B>(detail::row(w, r), detail::row(out, r), {scale_of_row(w, r), 0},
                                           serial);
        });
    }

    /// Straight through for the weights: grad_w = grad_out, outside the range too. For a scale s, with
    /// t = w / s and K the row length (also when the scale is of the whole tensor):
    /// ds = sum of grad_out * (qmax where w > s * qmax; qmin where w < s * qmin; else round(t) - t), divided
    /// by sqrt(K * qmax). A row's sum is ordered_sums; rows are added from the first to the last.
    void backward(const ConstMatrixRef& w, const ConstMatrixRef& grad_out, MatrixRef grad_w,
                  std::span<float> grad_scales, const Execution& on = {}) const {
        assert(grad_scales.size() == scales_.size());
        double const divisor = std::sqrt(static_cast<double>(w.cols()) * B::qmax);
        std::array<double, 256> sums;  // of some rows, on the stack
        double whole = 0;
        auto const step = static_cast<Eigen::Index>(sums.size());
        for (Eigen::Index first = 0; first < w.rows(); first += step) {
            Eigen::Index const rows = (std::min)(step, w.rows() - first);
            detail::for_each_row(on, w.middleRows(first, rows), [&](Eigen::Index i, const Execution& serial) {
                Eigen::Index const r = first + i;
                sums[static_cast<std::size_t>(i)] =
                    scale_gradient(detail::row(w, r), detail::row(grad_out, r), scale_of_row(w, r), serial);
            });
            for (Eigen::Index i = 0; i != rows; ++i) {
                double const sum = sums[static_cast<std::size_t>(i)];
                if constexpr (std::same_as<G, ChannelWise>)
                    grad_scales[static_cast<std::size_t>(first + i)] = static_cast<float>(sum / divisor);
                else
                    whole += sum;
            }
        }
        if constexpr (!std::same_as<G, ChannelWise>) grad_scales[0] = static_cast<float>(whole / divisor);
        grad_w = grad_out;
    }

    /// The scales: one per row, or one.
    std::span<float> parameters() { return scales_; }
    std::span<const float> parameters() const { return scales_; }

    /// A scale below `scale_epsilon` or not finite falls back to its last good value. (AMCT has no guard here
    /// and divides by it.)
    void constrain() {
        for (std::size_t i = 0; i != scales_.size(); ++i) {
            if (scales_[i] >= scale_epsilon && std::isfinite(scales_[i]))
                last_good_[i] = scales_[i];
            else
                scales_[i] = last_good_[i];
        }
    }

    /// One per row, or one.
    std::vector<ScaleOffset> scale_offsets(const ConstMatrixRef&) const {
        std::vector<ScaleOffset> all;
        all.reserve(scales_.size());
        for (float scale : scales_) all.push_back({scale, 0});
        return all;
    }

    /// The integers. An error when w is empty or has a value that is not finite.
    result<QuantizedMatrix> quantize(const ConstMatrixRef& w, const Execution& on = {}) const {
        if (auto ok = check_finite(w, "weights", on); !ok) return ok.diagnostics();
        return amct_distill::quantize<B>(w, scale_offsets(w), on);
    }

private:
    float scale_of_row([[maybe_unused]] const ConstMatrixRef& w, Eigen::Index r) const {
        if constexpr (std::same_as<G, ChannelWise>) {
            assert(scales_.size() == static_cast<std::size_t>(w.rows()));
            return scales_[static_cast<std::size_t>(r)];
        } else {
            assert(scales_.size() == 1);
            return scales_[0];
        }
    }

    static double scale_gradient(std::span<const float> w, std::span<const float> g, float scale,
                                 const Execution& on) {
        constexpr auto qmax = static_cast<float>(B::qmax), qmin = static_cast<float>(B::qmin);
        return detail::ordered_sums(
            on, w.size(),
            detail::ScaleGradient{w.data(), g.data(), scale, qmax, qmin, scale * qmax, scale * qmin})[0];
    }

    std::vector<float> scales_{};
    std::vector<float> last_good_{};
};

}  // namespace amct_distill

#elif AMCT_DISTILL_VERSION != 100
#error "two versions of amct_distill in one translation unit"
#endif  // AMCT_DISTILL_VERSION

#include <bit>
#include <boost/pfr/core.hpp>
#include <boost/pfr/tuple_size.hpp>
#include <boost/spirit/home/x3/char/char.hpp>
#include <boost/spirit/home/x3/char/char_class.hpp>
#include <boost/spirit/home/x3/core/parse.hpp>
#include <boost/spirit/home/x3/operator.hpp>
#include <chrono>
#include <compare>
#include <deque>
#include <filesystem>
#include <initializer_list>
#include <iterator>
#include <random>
#include <stdexcept>
#include <system_error>
#include <tuple>
#include <typeinfo>
#include <unordered_map>
#include <variant>

// ---- amct_distill/reflect/fields.hpp

/// The fields of an aggregate: how many, their names, types and values, without macros or registration.
///
///     struct point { int x; int y; };
///     static_assert(reflect::field_count<point> == 2 && reflect::field_name<point, 1>() == "y");
///     reflect::get<0>(p) = 3;
///
/// The only user of Boost.PFR. Boost >= 1.84 knows field names; for older ones the same technique is below.
#if __has_include(<boost/pfr/config.hpp>)
#include <boost/pfr/config.hpp>
#endif
#if defined(BOOST_PFR_CORE_NAME_ENABLED) && BOOST_PFR_CORE_NAME_ENABLED
#include <boost/pfr/core_name.hpp>
#endif

namespace amct_distill::reflect {

template <class T>
inline constexpr std::size_t field_count = boost::pfr::tuple_size_v<T>;

template <class T, std::size_t I>
using field_type = boost::pfr::tuple_element_t<I, T>;

template <std::size_t I, class T>
constexpr auto& get(T& object) noexcept {
    return boost::pfr::get<I>(object);
}

#if defined(BOOST_PFR_CORE_NAME_ENABLED) && BOOST_PFR_CORE_NAME_ENABLED

template <class T, std::size_t I>
consteval std::string_view field_name() {
    return boost::pfr::get_name<I, T>();
}

#else

namespace detail {
#ifdef __clang__
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wundefined-var-template"
#pragma clang diagnostic ignored "-Wundefined-internal"
#endif
template <class T>
struct holder {
    const T value;
};
template <class T>
extern const holder<T> phantom;  // declared, never defined: only the address of its fields is spelled

template <class P>
struct address {  // clang < 18 does not take the pointer itself as a template argument
    P pointer;
};
template <class P>
address(P) -> address<P>;

template <class T, address Where>
consteval auto spelled_name() {
    // g++:   ... Where = address<..>{(& phantom<X>.holder<X>::value.X::name)}]
    // clang: ... Where = {&phantom.value.name}]       -- either way: the last identifier
    constexpr std::string_view text = __PRETTY_FUNCTION__;
    constexpr std::string_view word = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    constexpr auto end = text.find_last_of(word) + 1, begin = text.find_last_not_of(word, end - 1) + 1;
    std::array<char, end - begin> out{};
    for (std::size_t i = 0; i != out.size(); ++i) out[i] = text[begin + i];
    return out;  // a copy, so that only the name itself gets into the binary
}
template <class T, std::size_t I>
inline constexpr auto name_chars =
    spelled_name<T, address{std::addressof(boost::pfr::get<I>(phantom<T>.value))}>();
#ifdef __clang__
#pragma clang diagnostic pop
#endif
}  // namespace detail

template <class T, std::size_t I>
consteval std::string_view field_name() {
    return {detail::name_chars<T, I>.data(), detail::name_chars<T, I>.size()};
}

#endif

/// The names of all fields, in order.
template <class T>
inline constexpr auto field_names = []<std::size_t... I>(std::index_sequence<I...>) {
    return std::array<std::string_view, sizeof...(I)>{field_name<T, I>()...};
}
(std::make_index_sequence<field_count<T>>{});

namespace detail {
struct known {
    int expected_spelling;
};
static_assert(field_name<known, 0>() == "expected_spelling",
              "amct_distill: this compiler spells pointers to members in an unknown way; use Boost >= 1.84");
}  // namespace detail

}  // namespace amct_distill::reflect

// ---- amct_distill/reflect/labels.hpp

/// The labels of proto2 as member types, so that an aggregate reads like its .proto message.
///
///     struct Greeting {
///         required<std::string> name;             // leaving it out does not compile
///         optional<std::uint32_t, 1u> times{};    // [default = 1]
///         oneof<Tone> tone{};                     // struct Tone { Polite polite; Rude rude; };
///         repeated<std::string> languages{};
///     };
///     Greeting g{.name = "Ada"};   g.times.get() == 1;   g.times.has_value() == false;
///
/// A label that was read from a text knows its place in it, `position()`; two labels that differ only in
/// that are equal.

namespace amct_distill {

namespace detail {
/// Where a field was read; {0, 0} when it was not.
class located {
public:
    constexpr Position position() const noexcept { return {line_, column_}; }
    constexpr void set_position(Position p) noexcept {
        line_ = static_cast<std::uint32_t>(p.line);
        column_ = static_cast<std::uint32_t>(p.column);
    }

private:
    std::uint32_t line_ = 0;
    std::uint32_t column_ = 0;
};

/// Tag: a message that is being read, its required fields not yet set.
struct blank_t {
    explicit blank_t() = default;
};
}  // namespace detail

/// `required`: a message spelled in C++ that leaves it out does not compile (but for clang 14, which misses it).
template <class T>
class required : public detail::located {
public:
    using value_type = T;

    constexpr required(T value) : value_(std::move(value)) {}
    template <class U>
    requires(std::is_class_v<T>&& std::is_convertible_v<U, T> &&
             !std::is_class_v<U>) constexpr required(const U& value)
        : value_(value) {}  // a string literal, for instance
    constexpr explicit required(detail::blank_t) : value_() {}
    /// Declared so that `Message{}` is well formed where it is not evaluated: Boost.PFR then counts fields
    /// by bisection, not one by one (minutes and gigabytes). Evaluating it is a compile-time error.
    consteval required() : value_((throw "a required field is missing", T())) {}

    constexpr const T& operator*() const noexcept { return value_; }
    constexpr T& operator*() noexcept { return value_; }
    constexpr const T* operator->() const noexcept { return &value_; }
    constexpr T* operator->() noexcept { return &value_; }
    constexpr operator const T&() const noexcept { return value_; }
    friend constexpr bool operator==(const required& a, const required& b) { return a.value_ == b.value_; }

private:
    T value_;
};

/// `optional`, with the schema's `[default = ...]` as part of the type.
template <class T, auto... Default>
class optional : public detail::located {
public:
    using value_type = T;

    constexpr optional() = default;
    constexpr optional(T value) : value_(std::move(value)) {}
    template <class U>
    requires(std::is_class_v<T>&& std::is_convertible_v<U, T> &&
             !std::is_class_v<U>) constexpr optional(const U& value)
        : value_(value) {}
    constexpr optional(std::nullopt_t) {}

    constexpr bool has_value() const noexcept { return value_.has_value(); }
    constexpr explicit operator bool() const noexcept
        requires(!std::is_same_v<T, bool>)  // `if (fixed_min)` would ask the wrong question
    {
        return has_value();
    }
    /// Precondition: has_value().
    constexpr const T& operator*() const noexcept { return *value_; }
    constexpr T& operator*() noexcept { return *value_; }
    constexpr const T* operator->() const noexcept { return &*value_; }
    constexpr T* operator->() noexcept { return &*value_; }
    /// The value, or the schema's default.
    constexpr T get() const {
        if (value_) return *value_;
        return T(Default...);
    }
    template <class... A>
    constexpr T& emplace(A&&... a) {
        return value_.emplace(std::forward<A>(a)...);
    }
    constexpr void reset() noexcept { value_.reset(); }
    friend constexpr bool operator==(const optional& a, const optional& b) { return a.value_ == b.value_; }

private:
    std::optional<T> value_{};
};

/// `oneof`: `Alternatives` is an aggregate whose members name the alternatives.
template <class Alternatives>
class oneof : public detail::located {
    template <class>
    struct storage;
    template <std::size_t... I>
    struct storage<std::index_sequence<I...>> {
        using type = std::variant<std::monostate, reflect::field_type<Alternatives, I>...>;
    };

public:
    using alternatives = Alternatives;
    static constexpr std::size_t size = reflect::field_count<Alternatives>;
    using variant = typename storage<std::make_index_sequence<size>>::type;

    constexpr oneof() = default;
    template <class T>
    requires(!std::is_same_v<std::remove_cvref_t<T>, oneof> && std::is_constructible_v<variant, T> &&
             std::is_class_v<std::remove_cvref_t<T>>) constexpr oneof(T&& alternative)
        : value_(std::forward<T>(alternative)) {}

    constexpr bool has_value() const noexcept { return value_.index() != 0; }
    /// The field name of the alternative that is set, or "".
    constexpr std::string_view name() const noexcept {
        return has_value() ? reflect::field_names<Alternatives>[value_.index() - 1] : std::string_view{};
    }
    template <class T>
    constexpr const T* get_if() const noexcept {
        return std::get_if<T>(&value_);
    }
    /// Sets alternative `I`, counted from 0.
    template <std::size_t I, class... A>
    constexpr auto& emplace(A&&... a) {
        if (std::is_constant_evaluated()) {  // clang cannot evaluate emplace of libstdc++ 12
            std::destroy_at(&value_);
            std::construct_at(&value_, std::in_place_index<I + 1>, std::forward<A>(a)...);
            return *std::get_if<I + 1>(&value_);
        }
        return value_.template emplace<I + 1>(std::forward<A>(a)...);
    }
    /// The variant behind it; `std::monostate` when nothing is set.
    constexpr const variant& value() const noexcept { return value_; }
    constexpr variant& value() noexcept { return value_; }
    friend constexpr bool operator==(const oneof& a, const oneof& b) { return a.value_ == b.value_; }

private:
    variant value_{};
};

/// `repeated`: a vector that knows where each element was read.
template <class T>
class repeated : public std::vector<T> {
public:
    using std::vector<T>::vector;

    /// Where element `i` was read; {0, 0} when the list was not read, or has changed in length since.
    Position position(std::size_t i) const noexcept {
        return positions_.size() == this->size() ? positions_[i].position() : Position{};
    }
    void note_position(Position p) {  // of the last element
        positions_.resize(this->size());
        positions_.back().set_position(p);
    }
    friend bool operator==(const repeated& a, const repeated& b) {
        return static_cast<const std::vector<T>&>(a) == static_cast<const std::vector<T>&>(b);
    }

private:
    std::vector<detail::located> positions_{};
};

namespace detail {

template <class T>
inline constexpr bool is_required = false;
template <class T>
inline constexpr bool is_required<required<T>> = true;
template <class T>
inline constexpr bool is_optional = false;
template <class T, auto... D>
inline constexpr bool is_optional<optional<T, D...>> = true;
template <class T>
inline constexpr bool is_oneof = false;
template <class A>
inline constexpr bool is_oneof<oneof<A>> = true;
template <class T>
concept list_field = requires(T list, typename T::value_type v) {
    list.push_back(std::move(v));
    list.back();
}
&&!requires(T s) { s.substr(); };
/// Messages are aggregates; everything else is a scalar.
template <class T>
concept message_type = std::is_aggregate_v<T>;

template <class F>
constexpr F blank_field() {
    if constexpr (is_required<F>)
        return F(blank_t{});
    else
        return F{};
}

/// A message with no field set, also where it has required ones.
template <class M>
constexpr M blank_message() {
    return []<std::size_t... I>(std::index_sequence<I...>) {
        return M{blank_field<reflect::field_type<M, I>>()...};
    }
    (std::make_index_sequence<reflect::field_count<M>>{});
}

/// A value to read into.
template <class T>
constexpr T blank_value() {
    if constexpr (message_type<T>)
        return blank_message<T>();
    else
        return T{};
}

/// The fields of a message as its texts name them: its members, a oneof replaced by its alternatives.
struct text_field {
    std::string_view name;
    std::size_t member;       // index of the member
    std::size_t alternative;  // index in the oneof
};
template <class M, std::size_t I>
consteval std::size_t text_field_width() {
    using F = reflect::field_type<M, I>;
    if constexpr (is_oneof<F>)
        return F::size;
    else
        return 1;
}
template <class M>
inline constexpr auto text_fields = []<std::size_t... I>(std::index_sequence<I...>) {
    std::array<text_field, (std::size_t{0} + ... + text_field_width<M, I>())> all{};
    std::size_t n = 0;
    auto add = [&]<std::size_t J>(std::integral_constant<std::size_t, J>) {
        using F = reflect::field_type<M, J>;
        if constexpr (is_oneof<F>) {
            for (std::size_t a = 0; a != F::size; ++a)
                all[n++] = {reflect::field_names<typename F::alternatives>[a], J, a};
        } else {
            all[n++] = {reflect::field_name<M, J>(), J, 0};
        }
    };
    (add(std::integral_constant<std::size_t, I>{}), ...);
    return all;
}
(std::make_index_sequence<reflect::field_count<M>>{});

}  // namespace detail
}  // namespace amct_distill

// ---- amct_distill/config/messages.hpp

/// AMCT's distillation configuration, `AMCTDistillConfig` and its messages, as plain aggregates.
///
///     AMCTDistillConfig c{.batch_num = 2u};
///     c.distill_weight_quant_config = DistillWeightQuantConfig{ARQDistill{.dst_type = DataType::INT4}};
///     c.quant_skip_layers = {"fc"};
///
/// Names, order and defaults are those of the schema (proto2, "distill_config_pytorch.proto"). The
/// algorithms that may be chosen are a template parameter:
///
///     struct mine : standard_algorithms {
///         struct weights { ARQDistill arq_distill; WtsULQDistill ulq_distill; MyPow2 my_pow2; };
///     };
///     using MyConfig = BasicConfig<mine>;
///
/// where a message names its quantizer by a member template, `template <class Bits, class Granularity>
/// using quantizer = ...`.

namespace amct_distill {

enum class DataType { INT4 = 0, INT8 = 1 };

/// Names and numbers of an enum, found by argument-dependent lookup: names in a schema need not be C++ names.
constexpr std::array<std::pair<std::string_view, DataType>, 2> enumerators(DataType) {
    return {{{"INT4", DataType::INT4}, {"INT8", DataType::INT8}}};
}

/// Initial clip range of an activation; clip_max > 0, clip_min < 0, both finite.
struct ClipMaxMin {
    required<float> clip_max;
    required<float> clip_min;
    friend bool operator==(const ClipMaxMin&, const ClipMaxMin&) = default;
};

/// Activations by universal linear quantization.
struct ActULQquantize {
    template <class Bits>
    using quantizer = ActUlq<Bits>;

    optional<ClipMaxMin> clip_max_min{};  ///< without it IFMR computes the initial clips
    optional<bool> fixed_min{};           ///< lower clip 0, not learned; unset: true behind a ReLU
    optional<DataType, DataType::INT8> dst_type{};
    friend bool operator==(const ActULQquantize&, const ActULQquantize&) = default;
};

/// Weights by adaptive range quantization.
struct ARQDistill {
    template <class Bits, class Granularity>
    using quantizer = Arq<Bits, Granularity>;

    optional<DataType, DataType::INT8> dst_type{};
    optional<bool>
        channel_wise{};  ///< one scale per output channel; unset: true for Conv2d, false for Linear
    friend bool operator==(const ARQDistill&, const ARQDistill&) = default;
};

/// Weights by universal linear quantization.
struct WtsULQDistill {
    template <class Bits, class Granularity>
    using quantizer = Ulq<Bits, Granularity>;

    optional<DataType, DataType::INT8> dst_type{};
    optional<bool> channel_wise{};  ///< as in ARQDistill
    friend bool operator==(const WtsULQDistill&, const WtsULQDistill&) = default;
};

/// The algorithms a configuration can name; the first of each list is the default.
struct standard_algorithms {
    struct data {
        ActULQquantize ulq_quantize;
    };
    struct weights {
        ARQDistill arq_distill;
        WtsULQDistill ulq_distill;
    };
};

/// Where strings and repeated fields live.
struct heap_storage {
    using string = std::string;
    template <class T>
    using list = repeated<T>;
};

template <class Algorithms>
struct BasicDataQuantConfig {
    oneof<typename Algorithms::data> data_quant_algo{};
    friend bool operator==(const BasicDataQuantConfig&, const BasicDataQuantConfig&) = default;
};

template <class Algorithms>
struct BasicWeightQuantConfig {
    oneof<typename Algorithms::weights> weights_quant_algo{};
    friend bool operator==(const BasicWeightQuantConfig&, const BasicWeightQuantConfig&) = default;
};

/// A block given by the user: its first and its last layer.
template <class Storage>
struct BasicDistillGroup {
    required<typename Storage::string> start_layer_name;
    required<typename Storage::string> end_layer_name;
    friend bool operator==(const BasicDistillGroup&, const BasicDistillGroup&) = default;
};

/// Other settings for one layer.
template <class Algorithms, class Storage>
struct BasicOverrideLayer {
    required<typename Storage::string> layer_name;
    optional<BasicDataQuantConfig<Algorithms>> distill_data_quant_config{};
    optional<BasicWeightQuantConfig<Algorithms>> distill_weight_quant_config{};
    friend bool operator==(const BasicOverrideLayer&, const BasicOverrideLayer&) = default;
};

/// Other settings for one type of layer.
template <class Algorithms, class Storage>
struct BasicOverrideLayerType {
    required<typename Storage::string> layer_type;
    optional<BasicDataQuantConfig<Algorithms>> distill_data_quant_config{};
    optional<BasicWeightQuantConfig<Algorithms>> distill_weight_quant_config{};
    friend bool operator==(const BasicOverrideLayerType&, const BasicOverrideLayerType&) = default;
};

template <class Algorithms = standard_algorithms, class Storage = heap_storage>
struct BasicConfig {
    using algorithms = Algorithms;
    using storage = Storage;
    using string = typename Storage::string;
    template <class T>
    using list = typename Storage::template list<T>;

    optional<std::uint32_t, 1u> batch_num{};   ///< batches that IFMR sees before it computes clips; >= 1
    optional<std::uint32_t, 1u> group_size{};  ///< units that make one block; >= 1
    optional<bool, false> data_dump{};         ///< dump the teacher's block inputs and outputs once
    list<BasicDistillGroup<Storage>> distill_group{};
    optional<BasicDataQuantConfig<Algorithms>> distill_data_quant_config{};
    optional<BasicWeightQuantConfig<Algorithms>> distill_weight_quant_config{};
    list<BasicOverrideLayer<Algorithms, Storage>> distill_override_layers{};
    list<BasicOverrideLayerType<Algorithms, Storage>> distill_override_layer_types{};
    list<string> quant_skip_layers{};       ///< not quantized, but still distilled
    list<string> quant_skip_layer_types{};  ///< the same, by type
    friend bool operator==(const BasicConfig&, const BasicConfig&) = default;
};

using AMCTDistillConfig = BasicConfig<>;
using DistillGroup = BasicDistillGroup<heap_storage>;
using DistillDataQuantConfig = BasicDataQuantConfig<standard_algorithms>;
using DistillWeightQuantConfig = BasicWeightQuantConfig<standard_algorithms>;
using DistillOverrideLayer = BasicOverrideLayer<standard_algorithms, heap_storage>;
using DistillOverrideLayerType = BasicOverrideLayerType<standard_algorithms, heap_storage>;

}  // namespace amct_distill

// ---- amct_distill/core/fixed_string.hpp

/// A string literal as a template argument.
///
///     template <fixed_string Name> struct layer {};   layer<"conv1">::name.view() == "conv1"

namespace amct_distill {

template <std::size_t N>  // characters, the terminating NUL included
struct fixed_string {
    char text[N]{};

    constexpr fixed_string() = default;
    consteval fixed_string(const char (&literal)[N]) {
        for (std::size_t i = 0; i != N; ++i) text[i] = literal[i];
    }
    constexpr std::string_view view() const { return {text, N - 1}; }
};

}  // namespace amct_distill

// ---- amct_distill/config/record.hpp

/// `ScaleOffsetRecord`: the quantization factors of every layer, as a deployment tool reads them (proto2).
///
///     ScaleOffsetRecord r;
///     r.record.push_back({.key = "conv1", .value = SingleLayerRecord{.scale_d = .02f, .offset_d = -3}});
///     std::string text = print(r);   // record { key: "conv1" value { scale_d: 0.02 offset_d: -3 } } ...

namespace amct_distill {

namespace detail {
/// A string default of a schema as a template argument.
template <std::size_t N>
struct string_default : fixed_string<N> {
    consteval string_default(const char (&literal)[N]) : fixed_string<N>(literal) {}
    operator std::string() const { return std::string(this->view()); }
};
}  // namespace detail

/// One layer: `d` its data (activations), `w` its weights; real value = (code - offset) * scale.
struct SingleLayerRecord {
    optional<float> scale_d{};
    optional<std::int32_t> offset_d{};
    repeated<float> scale_w{};          ///< one per output channel, or one for the tensor
    repeated<std::int32_t> offset_w{};  ///< likewise; always 0
    repeated<std::uint32_t> shift_bit{};
    repeated<float> tensor_balance_factor{};
    optional<bool, false> skip_fusion{};
    optional<std::string, detail::string_default{"INT8"}> dst_type{};
    optional<std::string, detail::string_default{"INT8"}> act_type{};
    optional<std::string, detail::string_default{"INT8"}> wts_type{};
    friend bool operator==(const SingleLayerRecord&, const SingleLayerRecord&) = default;
};

/// An entry of the record: the layer's name and its factors. (Spelled so in the schema.)
struct MapFiledEntry {
    optional<std::string> key{};
    optional<SingleLayerRecord> value{};
    friend bool operator==(const MapFiledEntry&, const MapFiledEntry&) = default;
};

struct ScaleOffsetRecord {
    repeated<MapFiledEntry> record{};
    friend bool operator==(const ScaleOffsetRecord&, const ScaleOffsetRecord&) = default;
};

}  // namespace amct_distill

// ---- amct_distill/reflect/bytes.hpp

/// proto2's `bytes`: a string that need not be UTF-8.
///
///     struct Blob { optional<bytes> data{}; };
///     read<Blob>(R"(data: "\377\000")")->data->size() == 2      // as a string, this would be an error
///
/// Raw bytes in a text are UTF-8, as the text is; escapes may spell any.

namespace amct_distill {

class bytes : public std::string {
public:
    using std::string::string;
    bytes() = default;
    bytes(std::string s) : std::string(std::move(s)) {}
};

}  // namespace amct_distill

// ---- amct_distill/core/suggest.hpp

/// The nearest of some names to a misspelled one, for messages that end in "did you mean ...?".
///
///     detail::nearest("clip_maks", names)           // "clip_max", or "" when none is near
///
/// Usable in constant evaluation.

namespace amct_distill::detail {

/// Edits (insert, delete, replace, swap of neighbours) from `a` to `b`, in bytes; optimal string alignment.
constexpr std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> rows;  // three rows of the table; only pushed to, see reader.hpp
    std::size_t const width = b.size() + 1;
    for (std::size_t i = 0; i != 3 * width; ++i) rows.push_back(i % width);
    auto cell = [&](std::size_t row, std::size_t column) -> std::size_t& {
        return rows[(row % 3) * width + column];
    };
    for (std::size_t i = 1; i <= a.size(); ++i) {
        cell(i, 0) = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            std::size_t const replaced = cell(i - 1, j - 1) + (a[i - 1] != b[j - 1] ? 1u : 0u);
            cell(i, j) = (std::min)({cell(i - 1, j) + 1, cell(i, j - 1) + 1, replaced});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                cell(i, j) = (std::min)(cell(i, j), cell(i - 2, j - 2) + 1);
        }
    }
    return cell(a.size(), b.size());
}

/// The first of the names with the fewest edits: at most a third of the word's length, one at least, but not
/// all of it; empty when there is none, or when the word is too long to be a name.
template <class Names>
constexpr std::string_view nearest(std::string_view word, const Names& names) {
    constexpr std::size_t longest = 256;
    std::string_view best;
    if (word.empty() || word.size() > longest) return best;
    std::size_t least = (std::min)((std::max<std::size_t>)(word.size() / 3, 1) + 1, word.size());
    for (std::string_view name : names) {
        std::size_t const apart =
            name.size() > word.size() ? name.size() - word.size() : word.size() - name.size();
        if (apart >= least) continue;
        if (std::size_t const d = edit_distance(word, name); d < least) {
            least = d;
            best = name;
        }
    }
    return best;
}

}  // namespace amct_distill::detail

// ---- amct_distill/text/grammar.hpp

/// The tokens of protobuf's text format, written once, as Boost.Spirit X3 expressions.
///
///     const char* at = text.data();
///     grammar::match(grammar::identifier, at, end)    // true, and `at` behind the identifier; or false
///
/// At run time X3 parses them. X3 (1.81 to 1.90) has no constexpr parse(), so in constant evaluation `walk`
/// interprets the very same expression objects: a text means the same to the compiler and at run time.
///
/// The only user of Boost.Spirit.

namespace amct_distill::grammar {
namespace x3 = boost::spirit::x3;
using x3::standard::char_;
using x3::standard::lit;

// clang-format off
inline constexpr auto space       = lit(' ') | '\n' | '\t' | '\r' | '\v' | '\f';
inline constexpr auto comment     = '#' >> *(char_ - '\n');
inline constexpr auto skipped     = *(+space | comment);

inline constexpr auto digit       = char_('0', '9');
inline constexpr auto octal_digit = char_('0', '7');
inline constexpr auto hex_digit   = digit | char_('a', 'f') | char_('A', 'F');
inline constexpr auto letter      = char_('a', 'z') | char_('A', 'Z') | '_';
inline constexpr auto identifier  = letter >> *(letter | digit);

inline constexpr auto hex         = '0' >> (lit('x') | 'X') >> +hex_digit;
inline constexpr auto octal       = '0' >> +octal_digit;
inline constexpr auto whole       = lit('0') | (char_('1', '9') >> *digit);
inline constexpr auto exponent    = (lit('e') | 'E') >> -(lit('+') | '-') >> +digit;
inline constexpr auto decimal     = ((whole >> -('.' >> *digit)) | ('.' >> +digit)) >> -exponent >> -(lit('f') | 'F');
/// A number may not touch what could continue it: `12abc`, `08`, `1e`, `1.2.3` are no numbers.
inline constexpr auto number      = (hex | octal | decimal) >> !(letter | digit | '.');
/// What a person takes for one token where the rules see none; for messages.
inline constexpr auto word        = +(letter | digit | '.');

inline constexpr auto quoted      = ('"'  >> *(('\\' >> (char_ - '\n')) | (char_ - (lit('"')  | '\\' | '\n'))) >> '"')
                                  | ('\'' >> *(('\\' >> (char_ - '\n')) | (char_ - (lit('\'') | '\\' | '\n'))) >> '\'');
// clang-format on

// The walker: each overload is what X3 does for that expression. All are declared first, since an expression
// may hold any other.
using iterator = const char*;
template <class L, class R>
constexpr bool walk(const x3::sequence<L, R>&, iterator&, iterator);
template <class L, class R>
constexpr bool walk(const x3::alternative<L, R>&, iterator&, iterator);
template <class L, class R>
constexpr bool walk(const x3::difference<L, R>&, iterator&, iterator);
template <class S>
constexpr bool walk(const x3::kleene<S>&, iterator&, iterator);
template <class S>
constexpr bool walk(const x3::plus<S>&, iterator&, iterator);
template <class S>
constexpr bool walk(const x3::optional<S>&, iterator&, iterator);
template <class S>
constexpr bool walk(const x3::not_predicate<S>&, iterator&, iterator);

template <class E, class A>
constexpr bool walk(const x3::literal_char<E, A>& p, iterator& at, iterator end) {
    return at != end && *at == p.ch ? (++at, true) : false;
}
template <class E, class A>
constexpr bool walk(const x3::char_range<E, A>& p, iterator& at, iterator end) {
    return at != end && p.from <= *at && *at <= p.to ? (++at, true) : false;
}
template <class E>
constexpr bool walk(const x3::any_char<E>&, iterator& at, iterator end) {
    return at != end ? (++at, true) : false;
}
template <class L, class R>
constexpr bool walk(const x3::sequence<L, R>& p, iterator& at, iterator end) {
    iterator const start = at;
    return walk(p.left, at, end) && walk(p.right, at, end) ? true : (at = start, false);
}
template <class L, class R>
constexpr bool walk(const x3::alternative<L, R>& p, iterator& at, iterator end) {
    return walk(p.left, at, end) || walk(p.right, at, end);
}
template <class L, class R>
constexpr bool walk(const x3::difference<L, R>& p, iterator& at, iterator end) {
    iterator probe = at;
    return !walk(p.right, probe, end) && walk(p.left, at, end);
}
template <class S>
constexpr bool walk(const x3::kleene<S>& p, iterator& at, iterator end) {
    while (walk(p.subject, at, end)) {}
    return true;
}
template <class S>
constexpr bool walk(const x3::plus<S>& p, iterator& at, iterator end) {
    if (!walk(p.subject, at, end)) return false;
    while (walk(p.subject, at, end)) {}
    return true;
}
template <class S>
constexpr bool walk(const x3::optional<S>& p, iterator& at, iterator end) {
    (void)walk(p.subject, at, end);
    return true;
}
template <class S>
constexpr bool walk(const x3::not_predicate<S>& p, iterator& at, iterator end) {
    return !walk(p.subject, at, end);
}

/// Whether the text at `at` begins with the rule; if so `at` moves behind it, else it stays.
template <class Rule>
constexpr bool match(const Rule& rule, iterator& at, iterator end) {
    if (std::is_constant_evaluated()) return walk(rule, at, end);
    return x3::parse(at, end, rule);
}
/// Whether the rule matches the whole text.
template <class Rule>
constexpr bool match_all(const Rule& rule, iterator at, iterator end) {
    return match(rule, at, end) && at == end;
}

}  // namespace amct_distill::grammar

// ---- amct_distill/text/strings.hpp

/// The escapes of quoted strings.
///
///     detail::unescape(R"(\101\n\u00e9)", out)      // appends "A\n\xc3\xa9"; says what is wrong otherwise
///
/// Usable in constant evaluation.

namespace amct_distill::detail {

constexpr int hex_value(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/// Appends a code point; `out` takes characters by push_back.
template <class Out>
constexpr void append_utf8(Out& out, std::uint32_t code) {
    auto const put = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
    if (code < 0x80) {
        put(code);
        return;
    }
    if (code < 0x800) {
        put(0xC0u | code >> 6);
    } else {
        if (code < 0x10000) {
            put(0xE0u | code >> 12);
        } else {
            put(0xF0u | code >> 18);
            put(0x80u | (code >> 12 & 0x3Fu));
        }
        put(0x80u | (code >> 6 & 0x3Fu));
    }
    put(0x80u | (code & 0x3Fu));
}

/// What is wrong with an escape, and where in the text it begins; `message` is empty when nothing is.
struct escape_error {
    std::size_t offset = 0;
    std::string_view message{};
};

/// Appends what a quoted string's inside means. Precondition: it does not end in a lone backslash
/// (`grammar::quoted` sees to that).
template <class Out>
constexpr escape_error unescape(std::string_view text, Out& out) {
    for (std::size_t i = 0; i < text.size();) {
        if (text[i] != '\\') {
            out.push_back(text[i++]);
            continue;
        }
        std::size_t const start = i++;
        char const c = text[i];
        std::size_t digits = 0;
        auto const number = [&](std::uint32_t base, std::size_t most) {
            std::uint32_t code = 0;
            for (; digits < most && i < text.size(); ++digits, ++i) {
                int const d = hex_value(text[i]);
                if (d < 0 || static_cast<std::uint32_t>(d) >= base) break;
                code = code * base + static_cast<std::uint32_t>(d);
            }
            return code;
        };
        if (c >= '0' && c <= '7') {
            std::uint32_t const code = number(8, 3);
            if (code > 0xFF) return {start, "octal escapes end at `\\377`"};
            out.push_back(static_cast<char>(code));
            continue;
        }
        ++i;
        if (c == 'x') {
            std::uint32_t const code = number(16, 2);
            if (digits == 0) return {start, "expected hexadecimal digits behind `\\x`"};
            out.push_back(static_cast<char>(code));
        } else if (c == 'u' || c == 'U') {
            std::size_t const most = c == 'u' ? 4 : 8;
            std::uint32_t const code = number(16, most);
            if (digits != most)
                return {start, c == 'u' ? "expected four hexadecimal digits behind `\\u`"
                                        : "expected eight hexadecimal digits behind `\\U`"};
            if (code >= 0xD800 && code < 0xE000)
                return {start, "surrogates are no characters; write the character itself"};
            if (code > 0x10FFFF) return {start, "characters end at `\\U0010FFFF`"};
            append_utf8(out, code);
        } else {
            constexpr std::string_view names = "abfnrtv\\'\"?", values = "\a\b\f\n\r\t\v\\'\"?";
            auto const k = names.find(c);
            if (k == names.npos) return {start, "unknown escape; a backslash itself is written `\\\\`"};
            out.push_back(values[k]);
        }
    }
    return {};
}

}  // namespace amct_distill::detail

// ---- amct_distill/text/cursor.hpp

/// A place in a text: tokens are taken, what is wrong is noted, valid values of no use are passed over.
///
/// The part of the reader that knows neither messages nor types. Usable in constant evaluation.

namespace amct_distill {

/// What a second value for a singular field, or a second member of a oneof, means.
enum class duplicates {
    error,      ///< it is an error that names both places
    last_wins,  ///< as protobuf's Merge: a scalar or a oneof is replaced, a message merged; with a warning
                ///< each
};

struct reader_options {
    std::string_view source = {};  ///< name of the text, for diagnostics
    duplicates on_duplicate = duplicates::error;
    bool unknown_fields_are_warnings = false;
    std::size_t max_depth = 100;  ///< of nested messages
};

namespace detail {

/// A text that grows by push_back only, so that clang with libstdc++ 12 can evaluate it in constants.
class text_buffer {
public:
    constexpr text_buffer() = default;
    constexpr text_buffer(std::string_view s) { append(s); }
    constexpr void append(std::string_view s) {
        for (char c : s) chars_.push_back(c);
    }
    constexpr void append(char c) { chars_.push_back(c); }
    constexpr void append(const text_buffer& other) { append(other.view()); }
    template <std::unsigned_integral N>
    constexpr void append(N n) {
        if (n >= 10) append(static_cast<N>(n / 10));
        chars_.push_back(static_cast<char>('0' + n % 10));
    }
    constexpr std::string_view view() const { return {chars_.data(), chars_.size()}; }
    constexpr bool empty() const { return chars_.empty(); }

private:
    std::vector<char> chars_{};
};

template <class... Pieces>
[[gnu::cold, gnu::noinline]] constexpr text_buffer say(const Pieces&... pieces) {
    text_buffer out;
    (out.append(pieces), ...);
    return out;
}

/// A diagnostic of the reader, before lines and columns are counted.
struct reader_note {
    Severity severity{};
    std::size_t offset = 0;
    text_buffer path{};
    text_buffer message{};
};

inline constexpr std::size_t max_diagnostics = 100;

class text_cursor {
public:
    constexpr text_cursor(std::string_view text, const reader_options& options)
        : at_(text.data()), end_(at_ + text.size()), options_(options), begin_(at_), column_mark_(at_) {}
    constexpr const std::vector<reader_note>& notes() const { return notes_; }

protected:
    /// A field that is being read: the fields that lead here are a list through the stack.
    struct step {
        std::string_view name;
        std::size_t index;
        step* outer;
    };
    static constexpr std::size_t no_index = static_cast<std::size_t>(-1);

    // ---- tokens
    constexpr void skip() {
        // Mostly there is nothing, or one blank: not worth a rule.
        if (peek(' ')) ++at_;
        if (at_ == end_ || (*at_ > ' ' && *at_ != '#')) return;
        const char* const start = at_;
        grammar::match(grammar::skipped, at_, end_);
        if (std::is_constant_evaluated()) return;  // positions of fields are for run time
        for (const char* p = start; p != at_; ++p) {
            if (*p != '\n') continue;
            ++line_;
            column_mark_ = p + 1;
            columns_ = 0;
        }
    }
    constexpr bool peek(char c) const { return at_ != end_ && *at_ == c; }
    constexpr bool take(char c) { return peek(c) ? (++at_, skip(), true) : false; }
    template <class Rule>
    constexpr std::string_view token(const Rule& rule) {
        const char* const start = at_;
        if (!grammar::match(rule, at_, end_)) return {};
        std::string_view const t(start, static_cast<std::size_t>(at_ - start));
        skip();
        return t;
    }
    template <class Rule>
    constexpr bool sees(const Rule& rule) const {
        const char* probe = at_;
        return grammar::match(rule, probe, end_);
    }
    /// Line and column of the current token, in time linear over the whole text.
    constexpr Position here() {
        if (std::is_constant_evaluated()) return {};
        columns_ += static_cast<std::size_t>(at_ - column_mark_);
        if (!ascii_)
            for (const char* p = column_mark_; p != at_; ++p) columns_ -= is_utf8_continuation(*p) ? 1u : 0u;
        column_mark_ = at_;
        return {line_, columns_ + 1};
    }

    // ---- diagnostics
    [[gnu::cold, gnu::noinline]] constexpr void note(Severity severity, const char* where,
                                                     text_buffer message) {
        if (severity == Severity::error) ++errors_;
        if (notes_.size() == max_diagnostics) return;
        text_buffer path;
        append_path(path, path_);
        if (notes_.size() + 1 == max_diagnostics) message.append(" (further messages are not shown)");
        notes_.push_back(
            {severity, static_cast<std::size_t>(where - begin_), std::move(path), std::move(message)});
    }
    static constexpr void append_path(text_buffer& out, const step* s) {
        if (s == nullptr) return;
        append_path(out, s->outer);
        if (!out.empty()) out.append('.');
        out.append(s->name);
        if (s->index != no_index) out.append(say("[", s->index, "]"));
    }
    /// An error of meaning: reading goes on.
    [[gnu::cold, gnu::noinline]] constexpr bool error(const char* where, text_buffer message) {
        note(Severity::error, where, std::move(message));
        return true;
    }
    /// An error of syntax: reading stops.
    [[gnu::cold, gnu::noinline]] constexpr bool stop(const char* where, text_buffer message) {
        note(Severity::error, where, std::move(message));
        return false;
    }
    [[gnu::cold, gnu::noinline]] constexpr text_buffer place(const char* p) const {
        auto const position = position_of({begin_, static_cast<std::size_t>(end_ - begin_)},
                                          static_cast<std::size_t>(p - begin_));
        return say(position.line, ':', position.column);
    }
    /// What stands at the current place, for "..., found X".
    [[gnu::cold, gnu::noinline]] constexpr text_buffer found() const {
        if (at_ == end_) return say("the end of the text");
        const char* probe = at_;
        if (!grammar::match(grammar::word, probe, end_) && !grammar::match(grammar::quoted, probe, end_)) {
            do ++probe;  // one character
            while (probe != end_ && is_utf8_continuation(*probe));
        }
        constexpr std::ptrdiff_t longest = 40;
        if (probe - at_ <= longest)
            return say("`", std::string_view(at_, static_cast<std::size_t>(probe - at_)), "`");
        probe = at_ + longest;
        while (is_utf8_continuation(*probe)) --probe;
        return say("`", std::string_view(at_, static_cast<std::size_t>(probe - at_)), "...`");
    }
    template <class Names>
    [[gnu::cold, gnu::noinline]] static constexpr text_buffer suggestion(std::string_view word,
                                                                         const Names& names) {
        std::string_view const name = nearest(word, names);
        if (name.empty()) return {};  // (g++ 12 cannot evaluate `?:` between two buffers)
        return say("; did you mean `", name, "`?");
    }
    constexpr bool check_characters() {
        std::string_view const text(begin_, static_cast<std::size_t>(end_ - begin_));
        if (text.starts_with("\xEF\xBB\xBF"))
            return stop(begin_, say("the text begins with a byte order mark; save it as UTF-8 without BOM"));
        if (auto const bad = first_invalid_utf8(text); bad != text.npos)
            return stop(begin_ + bad, say("not valid UTF-8; save the text as UTF-8"));
        if (!std::is_constant_evaluated()) ascii_ = is_ascii(text);
        if (auto const nul = text.find('\0'); nul != text.npos)
            return stop(begin_ + nul, say("a NUL character cannot stand in a text"));
        return true;
    }

    /// Whether a field begins here: where a value is expected, that value was forgotten.
    constexpr bool sees_field() const {
        const char* probe = at_;
        if (!grammar::match(grammar::identifier, probe, end_)) return false;
        grammar::match(grammar::skipped, probe, end_);
        return probe != end_ && (*probe == ':' || *probe == '{' || *probe == '<');
    }

    // ---- values that are passed over
    [[gnu::cold, gnu::noinline]] constexpr bool skip_field() {
        take(':');
        return skip_value();
    }
    /// Any valid value; without recursion, since the schema does not bound it.
    [[gnu::cold, gnu::noinline]] constexpr bool skip_value() {
        std::vector<char> open;  // the closers of what is open
        for (;;) {
            // one value
            if (peek('{') || peek('<') || peek('[')) {
                char const opener = *at_;
                if (depth_ + open.size() >= options_.max_depth)
                    return stop(at_, say("nested more than ", options_.max_depth, " messages deep"));
                take(opener);
                open.push_back(opener == '{' ? '}' : opener == '<' ? '>' : ']');
                if (open.back() == ']' && !peek(']')) continue;  // a list begins with a value
            } else if (!skip_scalar()) {
                return false;
            }
            // what follows it, up to the next value
            for (;;) {
                if (open.empty()) return true;
                if (take(open.back())) {
                    open.pop_back();
                    continue;
                }
                if (open.back() == ']') {
                    if (!take(',')) return stop(at_, say("expected `,` or `]`, found ", found()));
                    break;
                }
                if (!take(',')) take(';');
                if (take(open.back())) {
                    open.pop_back();
                    continue;
                }
                if (token(grammar::identifier).empty() && token(grammar::number).empty())
                    return stop(at_, say("expected a field name or `", open.back(), "`, found ", found()));
                take(':');
                break;
            }
        }
    }
    constexpr bool skip_scalar() {
        bool const negative = take('-');
        if (!token(grammar::number).empty() || !token(grammar::identifier).empty()) return true;
        if (!negative && sees(grammar::quoted)) {
            while (!token(grammar::quoted).empty()) {}
            return true;
        }
        return no_value();
    }
    /// Nothing here is a value: an error of syntax.
    [[gnu::cold, gnu::noinline]] constexpr bool no_value() {
        if (peek('"') || peek('\'')) return stop(at_, say("the string is not closed on its line"));
        if (sees(grammar::word)) return stop(at_, say(found(), " is not a number"));
        return stop(at_, say("expected a value, found ", found()));
    }
    [[gnu::cold, gnu::noinline]] constexpr bool wrong_type(std::string_view expected) {
        // A value of another kind is passed over; anything else is an error of syntax.
        bool const is_value = peek('-') || peek('{') || peek('<') || peek('[') || sees(grammar::number) ||
                              sees(grammar::identifier) || sees(grammar::quoted);
        if (!is_value) {
            if (peek('"') || peek('\'') || sees(grammar::word)) return no_value();
            return stop(at_, say("expected ", expected, ", found ", found()));
        }
        error(at_, say("expected ", expected, ", found ", found()));
        return skip_value();
    }

    const char* at_;  // the current token; blanks before it are skipped
    const char* end_;
    const reader_options& options_;
    step* path_ = nullptr;   // the innermost field
    std::size_t depth_ = 0;  // messages that are open
    std::size_t errors_ = 0;

private:
    const char* begin_;
    const char* column_mark_;  // columns_ code points of the line lie before it
    std::size_t columns_ = 0;
    bool ascii_ = false;  // the whole text: a column is a byte
    std::size_t line_ = 1;
    std::vector<reader_note> notes_{};
};

}  // namespace detail
}  // namespace amct_distill

// ---- amct_distill/text/decimal.hpp

/// A decimal number to binary floating point, correctly rounded (half to even) in one step.
///
///     static_assert(detail::to_floating<float>("1.17549435e-38") == std::numeric_limits<float>::min());
///
/// The same at run time and in constant evaluation, on every standard library: `std::from_chars` is not
/// constexpr (nor complete everywhere), and rounding to double first and to float then is wrong for about
/// one literal in a hundred thousand.

namespace amct_distill::detail {

/// A natural number of at most `capacity` bits; as much as the exact path below needs, and no more.
class big_natural {
    // The largest: `max_digits` digits (below) over 10^-(max_digits + 400), brought to the same size.
    static constexpr std::size_t capacity = 288;  // limbs of 32 bits
    std::array<std::uint32_t, capacity> limbs_{};
    std::size_t size_ = 0;

    constexpr void trim() {
        while (size_ != 0 && limbs_[size_ - 1] == 0) --size_;
    }

public:
    constexpr void multiply_add(std::uint32_t factor, std::uint32_t term) {
        std::uint64_t carry = term;
        for (std::size_t i = 0; i != size_; ++i) {
            carry += std::uint64_t{limbs_[i]} * factor;
            limbs_[i] = static_cast<std::uint32_t>(carry);
            carry >>= 32;
        }
        if (carry != 0) limbs_[size_++] = static_cast<std::uint32_t>(carry);
    }
    constexpr void multiply_by_power_of_ten(std::size_t exponent) {
        for (; exponent >= 9; exponent -= 9) multiply_add(1'000'000'000u, 0);
        for (; exponent != 0; --exponent) multiply_add(10, 0);
    }
    constexpr void shift_left(std::size_t bits) {
        std::size_t const whole = bits / 32, rest = bits % 32;
        for (std::size_t i = size_; i-- != 0;) limbs_[i + whole] = limbs_[i];
        for (std::size_t i = 0; i != whole; ++i) limbs_[i] = 0;
        if (size_ != 0) size_ += whole;
        if (rest != 0) multiply_add(std::uint32_t{1} << rest, 0);
    }
    constexpr std::size_t bit_width() const {
        return size_ == 0 ? 0 : size_ * 32 - static_cast<std::size_t>(std::countl_zero(limbs_[size_ - 1]));
    }
    constexpr bool is_zero() const { return size_ == 0; }
    constexpr bool less_than(const big_natural& other) const {
        if (size_ != other.size_) return size_ < other.size_;
        for (std::size_t i = size_; i-- != 0;)
            if (limbs_[i] != other.limbs_[i]) return limbs_[i] < other.limbs_[i];
        return false;
    }
    /// Precondition: not less_than(other).
    constexpr void subtract(const big_natural& other) {
        std::uint64_t borrow = 0;
        for (std::size_t i = 0; i != size_; ++i) {
            std::uint64_t const take = (i < other.size_ ? std::uint64_t{other.limbs_[i]} : 0) + borrow;
            borrow = limbs_[i] < take ? 1 : 0;
            limbs_[i] = static_cast<std::uint32_t>((borrow << 32) + limbs_[i] - take);
        }
        trim();
    }
};

/// digits * 10^exponent, every digit counted.
struct scientific {
    static constexpr std::size_t max_digits = 800;  // 768 decide any double; the rest only as "not zero"
    std::string_view text{};                        // of the number, without sign and suffix
    std::uint64_t leading = 0;                      // its first 19 significant digits
    std::size_t significant = 0;                    // digits from the first that is not zero
    std::int64_t exponent = 0;                      // of the last digit

    constexpr explicit scientific(std::string_view number) : text(number) {
        std::size_t i = 0;
        bool fraction = false;
        for (; i < number.size() && number[i] != 'e' && number[i] != 'E'; ++i) {
            if (number[i] == '.') {
                fraction = true;
                continue;
            }
            if (fraction) --exponent;
            if (significant == 0 && number[i] == '0') continue;
            if (++significant <= 19) leading = leading * 10 + static_cast<std::uint64_t>(number[i] - '0');
        }
        text = number.substr(0, i);
        if (i == number.size()) return;
        bool const negative = number[++i] == '-';
        if (number[i] == '-' || number[i] == '+') ++i;
        std::int64_t written = 0;
        // Large enough to over- or underflow whatever the digits; kept from overflowing itself.
        constexpr std::int64_t enough = std::int64_t{1} << 60;
        for (; i < number.size(); ++i) written = (std::min)(written * 10 + (number[i] - '0'), enough / 16);
        exponent += negative ? -written : written;
    }
};

template <class F>
constexpr F exact_power_of_ten(std::size_t exponent) {  // exact up to 10^10 in float, 10^22 in double
    F power = 1;
    for (; exponent != 0; --exponent) power *= 10;
    return power;
}

/// The exact path: the quotient of two natural numbers, bit after bit.
template <class F>
constexpr F round_exactly(const scientific& number) {
    using limits = std::numeric_limits<F>;
    using bits_type = std::conditional_t<sizeof(F) == 4, std::uint32_t, std::uint64_t>;
    constexpr int mantissa = limits::digits;                   // 24, 53
    constexpr std::int64_t lowest = limits::min_exponent - 1;  // of a normal number: -126, -1022

    // value = digits * 10^exponent lies in [10^magnitude, 10^(magnitude + 1))
    std::int64_t const magnitude = number.exponent + static_cast<std::int64_t>(number.significant) - 1;
    if (magnitude > limits::max_exponent10) return limits::infinity();
    if (magnitude < limits::min_exponent10 - limits::digits10 - 3) return 0;

    std::size_t used = 0;
    bool rest = false;  // digits behind max_digits: they only break ties
    std::int64_t exponent = number.exponent;
    big_natural above, below;
    for (char c : number.text) {
        if (c == '.' || (used == 0 && c == '0')) continue;
        if (used == scientific::max_digits) {
            ++exponent;
            rest = rest || c != '0';
        } else {
            above.multiply_add(10, static_cast<std::uint32_t>(c - '0'));
            ++used;
        }
    }
    below.multiply_add(0, 1);
    if (exponent >= 0)
        above.multiply_by_power_of_ten(static_cast<std::size_t>(exponent));
    else
        below.multiply_by_power_of_ten(static_cast<std::size_t>(-exponent));

    // Scale both so that 1 <= above / below < 2: value = above / below * 2^binary.
    auto const above_width = above.bit_width(), below_width = below.bit_width();
    std::int64_t binary = static_cast<std::int64_t>(above_width) - static_cast<std::int64_t>(below_width);
    if (above_width < below_width)
        above.shift_left(below_width - above_width);
    else
        below.shift_left(above_width - below_width);
    if (above.less_than(below)) {
        above.shift_left(1);
        --binary;
    }

    // A subnormal number has fewer bits.
    std::int64_t const width = mantissa - (binary < lowest ? lowest - binary : 0);
    if (width < 0) return 0;
    bits_type m = 0;
    auto next_bit = [&] {
        bool const one = !above.less_than(below);
        if (one) above.subtract(below);
        above.shift_left(1);
        return one;
    };
    for (std::int64_t i = 0; i != width; ++i) m = static_cast<bits_type>(m << 1 | (next_bit() ? 1u : 0u));
    bool const half = next_bit(), more = rest || !above.is_zero();
    if (half && (more || (m & 1) != 0)) ++m;

    if (binary < lowest) return std::bit_cast<F>(m);  // rounding up into the normal numbers comes out right
    if (m >> mantissa != 0) {
        m >>= 1;
        ++binary;
    }
    if (binary >= limits::max_exponent) return limits::infinity();
    bits_type const biased = static_cast<bits_type>(binary - lowest + 1);
    bits_type const fraction = m & ((bits_type{1} << (mantissa - 1)) - 1);
    return std::bit_cast<F>(static_cast<bits_type>(biased << (mantissa - 1) | fraction));
}

/// The number of `grammar::decimal`, without its suffix; overflow gives infinity, underflow zero.
template <class F>
requires(std::is_same_v<F, float> || std::is_same_v<F, double>) constexpr F
    to_floating(std::string_view text) {
    scientific const number(text);
    if (number.significant == 0) return 0;
    if (number.significant <= 19 && number.exponent >= -22 && number.exponent <= 22 &&
        number.leading <= (std::uint64_t{1} << 53)) {
        // Both factors are exact doubles, so one operation rounds correctly (Clinger 1990).
        auto const power = exact_power_of_ten<double>(
            static_cast<std::size_t>(number.exponent < 0 ? -number.exponent : number.exponent));
        double const value = number.exponent < 0 ? static_cast<double>(number.leading) / power
                                                 : static_cast<double>(number.leading) * power;
        if constexpr (std::is_same_v<F, double>) {
            return value;
        } else {
            // Halfway points between normal floats are doubles. If the nearest double is none of them, it
            // lies on the same side of each as the number itself, and rounds to the same float.
            constexpr std::uint64_t below_float = (std::uint64_t{1} << 29) - 1,
                                    halfway = std::uint64_t{1} << 28;
            if ((std::bit_cast<std::uint64_t>(value) & below_float) != halfway &&
                value <= (std::numeric_limits<float>::max)())
                return static_cast<float>(value);
        }
    }
    return round_exactly<F>(number);
}

}  // namespace amct_distill::detail

// ---- amct_distill/text/scalars.hpp

/// The scalar values of protobuf's text format: numbers, bool, enums, strings.

namespace amct_distill::detail {

template <std::integral T>
requires(!std::same_as<T, bool>) constexpr std::string_view integer_name() {
    if constexpr (std::signed_integral<T>)
        return sizeof(T) == 4 ? "int32 (-2147483648 to 2147483647)"
                              : "int64 (-9223372036854775808 to 9223372036854775807)";
    else
        return sizeof(T) == 4 ? "uint32 (0 to 4294967295)" : "uint64 (0 to 18446744073709551615)";
}

/// Characters of strings that are not one piece of the text, for messages of string_view.
struct string_arena {
    std::vector<char> chars{};
    const char* placed = nullptr;  // where they will stand; null: not known yet, and no string points to them
};

/// Reads one scalar into a variable of its type. False: an error of syntax, reading stops.
class scalar_reader : public text_cursor {
protected:
    using text_cursor::text_cursor;

    enum class base { none, decimal, octal, hex };
    static constexpr base base_of(std::string_view number) {
        const char *const b = number.data(), *const e = b + number.size();
        if (grammar::match_all(grammar::whole, b, e)) return base::decimal;
        if (grammar::match_all(grammar::octal, b, e)) return base::octal;
        return grammar::match_all(grammar::hex, b, e) ? base::hex : base::none;
    }
    /// The value of a whole number; saturates far above any range.
    struct whole_number {
        std::uint64_t value = 0;
        bool fits = true;
    };
    static constexpr whole_number to_whole(std::string_view number, base b) {
        std::uint64_t const radix = b == base::hex ? 16 : b == base::octal ? 8 : 10;
        number.remove_prefix(b == base::hex ? 2 : 0);
        whole_number n;
        for (char c : number) {
            auto const d = static_cast<std::uint64_t>(hex_value(c));
            if (n.value > ((std::numeric_limits<std::uint64_t>::max)() - d) / radix) n.fits = false;
            n.value = n.value * radix + d;
        }
        return n;
    }
    template <std::integral T>
    requires(!std::same_as<T, bool>) constexpr bool scalar(T& v) {
        const char* const where = at_;
        constexpr std::string_view wanted = std::signed_integral<T> ? "an integer" : "an unsigned integer";
        if (std::unsigned_integral<T> && peek('-')) return wrong_type(wanted);
        bool const negative = std::signed_integral<T> && take('-');
        const char* const number_at = at_;
        std::string_view const number = token(grammar::number);
        if (number.empty()) return wrong_type(wanted);
        base const b = base_of(number);
        if (b == base::none) return error(number_at, say("expected ", wanted, ", found `", number, "`"));
        whole_number const n = to_whole(number, b);
        std::uint64_t const most =
            static_cast<std::uint64_t>((std::numeric_limits<T>::max)()) + (negative ? 1u : 0u);
        if (!n.fits || n.value > most)
            return error(where,
                         say("`", negative ? "-" : "", number, "` is out of range for ", integer_name<T>()));
        v = static_cast<T>(negative ? std::uint64_t{0} - n.value : n.value);
        return true;
    }
    constexpr bool scalar(bool& v) {
        const char* const where = at_;
        constexpr std::string_view wanted = "true or false";
        if (std::string_view const number = token(grammar::number); !number.empty()) {
            base const b = base_of(number);
            whole_number const n = b == base::none ? whole_number{2, false} : to_whole(number, b);
            if (!n.fits || n.value > 1)
                return error(where, say("expected ", wanted, ", found `", number, "`"));
            v = n.value == 1;
            return true;
        }
        std::string_view const word = token(grammar::identifier);
        if (word.empty()) return wrong_type(wanted);
        v = word == "true" || word == "True" || word == "t";
        return v || word == "false" || word == "False" || word == "f" ||
               error(where, say("expected ", wanted, ", found `", word, "`"));
    }
    template <std::floating_point T>
    constexpr bool scalar(T& v) {
        constexpr std::string_view wanted = "a number";
        const char* const where = at_;
        bool const negative = take('-');
        const char* const number_at = at_;
        if (std::string_view number = token(grammar::number); !number.empty()) {
            const char *const b = number.data(), *const e = b + number.size();
            if (!grammar::match_all(grammar::decimal, b, e))
                return error(number_at, say("expected a decimal number, found `", number, "`"));
            if (number.back() == 'f' || number.back() == 'F') number.remove_suffix(1);
            v = to_floating<T>(number);
        } else if (std::string_view const word = token(grammar::identifier); !word.empty()) {
            if (same_ignoring_case(word, "inf") || same_ignoring_case(word, "infinity"))
                v = std::numeric_limits<T>::infinity();
            else if (same_ignoring_case(word, "nan"))
                v = std::numeric_limits<T>::quiet_NaN();
            else
                return error(number_at, say("expected ", wanted, ", found `", word, "`"));
        } else {
            if (negative) return stop(number_at, say("expected a number behind `-`, found ", found()));
            at_ = where;
            return wrong_type(wanted);
        }
        if (negative) v = -v;
        return true;
    }
    static constexpr bool same_ignoring_case(std::string_view a, std::string_view lower) {
        return std::equal(a.begin(), a.end(), lower.begin(), lower.end(), [](char x, char y) {
            return (x >= 'A' && x <= 'Z' ? static_cast<char>(x - 'A' + 'a') : x) == y;
        });
    }
    template <class E>
    requires std::is_enum_v<E>
    constexpr bool scalar(E& v) {
        const char* const where = at_;
        constexpr auto all = enumerators(E{});
        std::array<std::string_view, all.size()> names{};
        for (std::size_t i = 0; i != all.size(); ++i) names[i] = all[i].first;
        auto const wanted = [&] {
            text_buffer list;
            for (std::size_t i = 0; i != names.size(); ++i)
                list.append(say(i == 0 ? "" : i + 1 == names.size() ? " or " : ", ", "`", names[i], "`"));
            return list;
        };
        auto const unknown = [&](std::string_view seen) {
            return error(where, say("expected ", wanted(), ", found `", seen, "`", suggestion(seen, names)));
        };
        if (std::string_view const word = token(grammar::identifier); !word.empty()) {
            for (auto const& [name, value] : all)
                if (name == word) return v = value, true;
            return unknown(word);
        }
        bool const negative = take('-');
        if (std::string_view const number = token(grammar::number); !number.empty()) {
            base const b = base_of(number);
            if (b == base::none) return unknown(number);
            whole_number const n = to_whole(number, b);
            for (auto const& [name, value] : all) {
                auto const known = static_cast<std::int64_t>(value);
                std::uint64_t const size = static_cast<std::uint64_t>(known < 0 ? -known : known);
                if (n.fits && size == n.value && (known < 0) == (negative && n.value != 0))
                    return v = value, true;
            }
            return unknown(
                std::string_view(where, static_cast<std::size_t>(number.data() + number.size() - where)));
        }
        if (negative) return stop(at_, say("expected a number behind `-`, found ", found()));
        return wrong_type(wanted().view());
    }
    static constexpr std::string_view a_string = "a string in quotes";

    /// Appends what the quoted pieces here mean.
    template <class Out>
    constexpr bool pieces(Out& out, bool must_be_utf8) {
        const char* const where = at_;
        std::size_t const start = out.size();
        bool escapes = false;
        std::string_view piece = token(grammar::quoted);
        if (piece.empty()) return wrong_type(a_string);
        for (; !piece.empty(); piece = token(grammar::quoted)) {
            piece = piece.substr(1, piece.size() - 2);
            if (piece.find('\\') == piece.npos) {
                out.insert(out.end(), piece.begin(), piece.end());
                continue;
            }
            escapes = true;
            if (auto const bad = unescape(piece, out); !bad.message.empty()) {
                error(piece.data() + bad.offset, say(bad.message));
                while (!token(grammar::quoted).empty()) {}
                return true;
            }
        }
        // Raw bytes were checked with the whole text; escapes can spell bytes that are no UTF-8.
        if (must_be_utf8 && escapes &&
            first_invalid_utf8({out.data() + start, out.size() - start}) != std::string_view::npos)
            error(where, say("the escapes of this string do not spell valid UTF-8"));
        return true;
    }
    constexpr bool scalar(std::string& v) {
        v.clear();
        return pieces(v, true);
    }
    constexpr bool scalar(bytes& v) {
        v.clear();
        return pieces(v, false);
    }
    /// For constant evaluation: a part of the text where the string is one piece without escapes, else of the
    /// arena.
    constexpr bool scalar(std::string_view& v) {
        const char* probe = at_;
        if (arena_ == nullptr || !grammar::match(grammar::quoted, probe, end_)) return wrong_type(a_string);
        std::string_view const piece(at_ + 1, static_cast<std::size_t>(probe - at_ - 2));
        grammar::match(grammar::skipped, probe, end_);
        if (piece.find('\\') == piece.npos && (probe == end_ || (*probe != '"' && *probe != '\''))) {
            v = piece;
            at_ = probe;
            return true;
        }
        std::size_t const start = arena_->chars.size();
        if (!pieces(arena_->chars, true)) return false;
        if (arena_->placed != nullptr) v = {arena_->placed + start, arena_->chars.size() - start};
        return true;
    }
    string_arena* arena_ = nullptr;
};

}  // namespace amct_distill::detail

// ---- amct_distill/text/reader.hpp

/// Protobuf text format into any aggregate message.
///
///     result<AMCTDistillConfig> config = read<AMCTDistillConfig>(text, {.source = "quant.cfg"});
///     if (!config) std::cerr << to_string(config.diagnostics());
///
/// A reflective descent: the message's fields decide what is expected, the token rules are those of
/// grammar.hpp. Syntax errors stop it; errors of meaning (unknown field, wrong type, range, duplicate,
/// missing) are collected, up to `max_diagnostics`. It never throws on any input but for lack of memory.

namespace amct_distill {

namespace detail {

class text_reader : public scalar_reader {
public:
    using scalar_reader::scalar_reader;
    /// For messages of string_view, in constant evaluation.
    constexpr text_reader(std::string_view text, const reader_options& options, string_arena& arena)
        : scalar_reader(text, options) {
        arena_ = &arena;
    }

    /// Reads the whole text into `message`; whether it is free of errors.
    template <class M>
    constexpr bool read(M& message) {
        if (!check_characters()) return false;
        skip();
        fields_of(message, '\0', at_, false);
        return errors_ == 0;
    }

private:
    template <class M>
    struct places {
        std::array<const char*, text_fields<M>.size()> first{};  // where each field was first set
        std::array<bool, text_fields<M>.size()> misspelled{};    // an unknown field that may have meant it
        bool merging = false;                                    // into a message that was read before
    };

    /// The fields up to `closer` ('\0': the end of the text).
    template <class M>
    constexpr bool fields_of(M& m, char closer, const char* opened, bool merging) {
        places<M> seen{.merging = merging};
        for (;;) {
            if (closer != '\0' ? take(closer) : at_ == end_) break;
            const char* const where = at_;
            Position const position = here();
            std::string_view const name = token(grammar::identifier);
            if (name.empty()) {
                if (sees(grammar::number) || peek('[')) {
                    if (!unknown_name()) return false;
                } else {
                    if (closer == '\0') return stop(where, say("expected a field name, found ", found()));
                    if (at_ == end_)
                        return stop(where, say("expected `", closer, "` to close the message that begins at ",
                                               place(opened), ", found the end of the text"));
                    return stop(where, say("expected a field name or `", closer, "`, found ", found()));
                }
            } else if (!dispatch(m, name, where, position, seen,
                                 std::make_index_sequence<text_fields<M>.size()>{})) {
                return false;
            }
            if (!take(',')) take(';');
        }
        if (!merging) check_required<M>(seen, opened, std::make_index_sequence<text_fields<M>.size()>{});
        return true;
    }
    template <class M, std::size_t... K>
    constexpr void check_required(const places<M>& seen, const char* opened, std::index_sequence<K...>) {
        text_buffer missing;
        auto const check = [&](std::size_t k, bool is_one) {
            if (is_one && seen.first[k] == nullptr && !seen.misspelled[k])
                missing.append(say(missing.empty() ? "`" : ", `", text_fields<M>[k].name, "`"));
        };
        (check(K, is_required<reflect::field_type<M, text_fields<M>[K].member>>), ...);
        if (!missing.empty()) error(opened, say("missing required ", missing));
    }
    template <class M, std::size_t... K>
    constexpr bool dispatch(M& m, std::string_view name, const char* where, Position position,
                            places<M>& seen, std::index_sequence<K...>) {
        using handler = bool (text_reader::*)(M&, const char*, Position, places<M>&);
        constexpr std::array<handler, sizeof...(K)> handlers{&text_reader::template field<M, K>...};
        for (std::size_t k = 0; k != sizeof...(K); ++k)
            if (text_fields<M>[k].name == name) return (this->*handlers[k])(m, where, position, seen);
        std::array<std::string_view, sizeof...(K)> const names{text_fields<M>[K].name...};
        std::string_view const meant = nearest(name, names);
        ((seen.misspelled[K] = seen.misspelled[K] || names[K] == meant), ...);
        note(options_.unknown_fields_are_warnings ? Severity::warning : Severity::error, where,
             say("unknown field `", name, "`", suggestion(name, names)));
        return skip_field();
    }
    /// `[extension]`, `[type.url/Any]` or a field number: valid text format, but nothing a message here can
    /// hold.
    constexpr bool unknown_name() {
        const char* const where = at_;
        if (take('[')) {
            while (at_ != end_ && *at_ != ']' && *at_ != '\n') ++at_;
            if (!take(']')) return stop(where, say("expected `]`, found ", found()));
            error(where, say("extensions and Any are not supported; name a field"));
        } else {
            auto const number = token(grammar::number);
            error(where, say("fields go by name, not by number; found `", number, "`"));
        }
        return skip_field();
    }
    template <class M, std::size_t K>
    constexpr bool field(M& m, const char* where, Position position, places<M>& seen) {
        auto& first = seen.first;
        constexpr text_field entry = text_fields<M>[K];
        using F = reflect::field_type<M, entry.member>;
        auto& f = reflect::get<entry.member>(m);
        step here{entry.name, no_index, path_};
        path_ = &here;
        bool const ok = [&] {
            if constexpr (list_field<F>) {
                return elements(f, position);
            } else {
                bool const again = first[K] != nullptr, merge = again || seen.merging;
                if (!again) first[K] = where;
                if (again && !duplicate(where, say("set more than once; first at ", place(first[K]))))
                    return skip_field();
                if constexpr (is_oneof<F>) {
                    for (std::size_t k = 0; k != text_fields<M>.size(); ++k)
                        if (k != K && text_fields<M>[k].member == entry.member && first[k] != nullptr) {
                            if (!duplicate(where,
                                           say("only one of a oneof can be set; `", text_fields<M>[k].name,
                                               "` already is, at ", place(first[k]))))
                                return skip_field();
                            first[k] = nullptr;
                        }
                    f.set_position(position);
                    using T = reflect::field_type<typename F::alternatives, entry.alternative>;
                    if (merge && f.value().index() == entry.alternative + 1)
                        return value_of(std::get<entry.alternative + 1>(f.value()), true);
                    return value_of(f.template emplace<entry.alternative>(blank_value<T>()), false);
                } else {
                    f.set_position(position);
                    if constexpr (is_required<F>) {
                        return value_of(*f, merge);
                    } else {
                        static_assert(
                            is_optional<F>,
                            "a member of a message is required<T>, optional<T>, oneof<T> or a list");
                        if (merge && f.has_value()) return value_of(*f, true);
                        return value_of(f.emplace(blank_value<typename F::value_type>()), false);
                    }
                }
            }
        }();
        path_ = here.outer;
        return ok;
    }
    /// Notes a duplicate; whether to read it all the same.
    constexpr bool duplicate(const char* where, text_buffer message) {
        if (options_.on_duplicate == duplicates::error) return error(where, std::move(message)), false;
        message.append("; the last one counts");
        note(Severity::warning, where, std::move(message));
        return true;
    }
    /// A repeated field: one value, or a list in brackets.
    template <class L>
    constexpr bool elements(L& list, Position position) {
        using T = typename L::value_type;
        auto const one = [&](Position p) {
            path_->index = list.size();
            bool ok = true;
            if constexpr (std::is_same_v<T, bool>) {  // std::vector<bool> has no bool to read into
                bool v = false;
                ok = value(v, false);
                list.push_back(v);
            } else {
                list.push_back(blank_value<T>());
                ok = value(list.back(), false);
            }
            if constexpr (requires { list.note_position(p); }) {
                if (!std::is_constant_evaluated()) list.note_position(p);
            }
            return ok;
        };
        bool const colon = take(':');
        const char* const opened = at_;
        if (!take('[')) {
            if (!colon && !message_type<T>) return stop(at_, say("expected `:`, found ", found()));
            return one(position);
        }
        if (!colon && !message_type<T>) return stop(opened, say("expected `:` before the list"));
        if (take(']')) return true;
        do
            if (!one(here())) return false;
        while (take(','));
        path_->index = no_index;
        if (at_ == end_)
            return stop(at_, say("expected `]` to close the list that begins at ", place(opened),
                                 ", found the end of the text"));
        return take(']') || stop(at_, say("expected `,` or `]`, found ", found()));
    }
    /// `: value`, the colon being optional before a message.
    template <class T>
    constexpr bool value_of(T& v, bool merging) {
        if (!take(':') && !message_type<T>) return stop(at_, say("expected `:`, found ", found()));
        return value(v, merging);
    }
    template <class T>
    constexpr bool value(T& v, bool merging) {
        if constexpr (message_type<T>) {
            const char* const opened = at_;
            char const closer = peek('{') ? '}' : '>';
            if (!peek('{') && !peek('<')) return wrong_type("a message in `{ }`");
            if (depth_ == options_.max_depth)
                return stop(opened, say("nested more than ", options_.max_depth, " messages deep"));
            ++depth_;
            ++at_;
            skip();
            bool const ok = fields_of(v, closer, opened, merging);
            --depth_;
            return ok;
        } else {
            if (sees_field()) return error(at_, say("expected a value, found the next field, ", found()));
            return scalar(v);
        }
    }
};

}  // namespace detail

/// Reads a message. Warnings ride on the value; without a value, every diagnostic is there, in order of text.
template <class M>
result<M> read(std::string_view text, const reader_options& options = {}) {
    M message = detail::blank_message<M>();
    detail::text_reader reader(text, options);
    bool const ok = reader.read(message);
    std::vector<detail::reader_note> notes = reader.notes();
    std::stable_sort(notes.begin(), notes.end(),
                     [](const auto& a, const auto& b) { return a.offset < b.offset; });
    Diagnostics diagnostics;
    for (const detail::reader_note& n : notes)
        diagnostics.push_back(diagnostic_at(n.severity, options.source, text, n.offset,
                                            std::string(n.path.view()), std::string(n.message.view())));
    if (!ok) return diagnostics;
    return {std::move(message), std::move(diagnostics)};
}

}  // namespace amct_distill

// ---- amct_distill/config/static_config.hpp

/// A configuration that the compiler reads: a wrong one does not compile.
///
///     using config = static_config<R"(distill_weight_quant_config { arq_distill { dst_type: INT4 } })">;
///     static_assert(config::value.distill_weight_quant_config.has_value());
///     static_config<"batch_nun: 1">::value;     // does not compile:
///     // invalid_configuration<... "1:1: unknown field `batch_nun`; did you mean `batch_num`?"...>
///
/// `value` is a constexpr aggregate of string_view and static_list. The grammar and the messages are those of
/// read(). g++ shows a message as a string, clang as a list of characters (`'1', ':', '1'`, ...), and every
/// compiler with static_assert messages of C++26 as what static_assert says.
///
/// Under the default limits of constant evaluation a text of 16 kB compiles everywhere (clang 14 and 19: 16 kB but not
/// 24 kB; g++ 12: 32 kB but not 64 kB), in about 6 s; -fconstexpr-steps (clang) and -fconstexpr-ops-limit (g++) lift it.
/// An algorithm of one's own may have scalar settings here, but no std::string and no lists: they cannot outlive
/// constant evaluation.

namespace amct_distill {

/// Elements that stand somewhere in static storage.
template <class T>
class static_list : public std::span<const T> {
public:
    constexpr static_list() = default;
    template <std::size_t N>
    constexpr static_list(const std::array<T, N>& elements) : std::span<const T>(elements) {}
    friend constexpr bool operator==(const static_list& a, const static_list& b) {
        return std::equal(a.begin(), a.end(), b.begin(), b.end());
    }
};

/// Storage of a configuration that came out of constant evaluation.
struct static_storage {
    using string = std::string_view;
    template <class T>
    using list = static_list<T>;
};

namespace detail {

/// Storage of a configuration in the middle of constant evaluation.
struct transient_storage {
    using string = std::string_view;
    template <class T>
    using list = std::vector<T>;
};

/// The same value, its message with another storage.
template <class To, class From>
constexpr To with_storage(const From& from) {
    if constexpr (std::is_same_v<To, From>) {
        return from;
    } else {
        return [&]<std::size_t... I>(std::index_sequence<I...>) { return To{reflect::get<I>(from)...}; }
        (std::make_index_sequence<reflect::field_count<From>>{});
    }
}

/// A text, and the messages that constant evaluation reads it into and keeps.
template <fixed_string Text, class Algorithms>
struct static_source {
    static constexpr std::string_view text = Text.view();
    using transient = BasicConfig<Algorithms, transient_storage>;
    using frozen = BasicConfig<Algorithms, static_storage>;
    static constexpr std::size_t fields = reflect::field_count<transient>;
    using indices = std::make_index_sequence<fields>;
    template <std::size_t I>
    static constexpr bool is_list = list_field<reflect::field_type<transient, I>>;
};

/// What is allocated in constant evaluation cannot leave it, so the first reading counts for the others.
template <class Source>
struct static_survey {
    bool ok = false;
    std::array<std::size_t, Source::fields> sizes{};  // of the lists
    std::size_t arena = 0;
    std::size_t errors = 0;
    std::size_t message_characters = 0;
};

inline constexpr reader_options static_options{};

constexpr text_buffer note_text(std::string_view text, const reader_note& note) {
    Position const where = position_of(text, note.offset);
    return say(where.line, ':', where.column, ": ", note.path, note.path.empty() ? "" : ": ", note.message);
}

template <class Source>
constexpr static_survey<Source> make_survey() {
    static_survey<Source> s;
    string_arena arena;
    text_reader reader(Source::text, static_options, arena);
    auto m = blank_message<typename Source::transient>();
    s.ok = reader.read(m);
    s.arena = arena.chars.size();
    s.errors = reader.notes().size();
    for (const reader_note& note : reader.notes())
        s.message_characters += note_text(Source::text, note).view().size();
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        auto const count = [&]<std::size_t K>(std::integral_constant<std::size_t, K>) {
            if constexpr (Source::template is_list<K>) s.sizes[K] = reflect::get<K>(m).size();
        };
        (count(std::integral_constant<std::size_t, I>{}), ...);
    }
    (typename Source::indices{});
    return s;
}
template <class Source>
inline constexpr static_survey<Source> surveyed = make_survey<Source>();

// ---- a good text

template <class Source>
constexpr auto make_static_chars() {
    std::array<char, surveyed<Source>.arena + 1> out{};
    if constexpr (surveyed<Source>.arena != 0) {
        string_arena arena;
        auto m = blank_message<typename Source::transient>();
        text_reader(Source::text, static_options, arena).read(m);
        for (std::size_t i = 0; i != surveyed<Source>.arena; ++i) out[i] = arena.chars[i];
    }
    return out;
}
template <class Source>
inline constexpr auto static_chars = make_static_chars<Source>();

/// A list as an array, anything else as it is.
template <class Source, std::size_t I>
constexpr auto static_part(const typename Source::transient& m) {
    if constexpr (Source::template is_list<I>) {
        using element = typename reflect::field_type<typename Source::frozen, I>::value_type;
        return [&]<std::size_t... K>(std::index_sequence<K...>) {
            return std::array<element, sizeof...(K)>{with_storage<element>(reflect::get<I>(m)[K])...};
        }
        (std::make_index_sequence<surveyed<Source>.sizes[I]>{});
    } else {
        return reflect::get<I>(m);
    }
}
template <class Source>
constexpr auto make_static_parts() {
    string_arena arena;
    arena.placed = static_chars<Source>.data();
    auto m = blank_message<typename Source::transient>();
    text_reader(Source::text, static_options, arena).read(m);
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
        return std::tuple(static_part<Source, I>(m)...);
    }
    (typename Source::indices{});
}
template <class Source>
inline constexpr auto static_parts = make_static_parts<Source>();

// ---- a bad one

template <class Source>
struct static_messages {
    std::array<std::size_t, surveyed<Source>.errors + 1> ends{};
    std::array<char, surveyed<Source>.message_characters> chars{};
};
template <class Source>
constexpr auto make_static_messages() {
    static_messages<Source> out;
    string_arena arena;
    text_reader reader(Source::text, static_options, arena);
    auto m = blank_message<typename Source::transient>();
    reader.read(m);
    std::size_t n = 0, end = 0;
    for (const reader_note& note : reader.notes()) {
        text_buffer const text = note_text(Source::text, note);
        for (char c : text.view()) out.chars[end++] = c;
        out.ends[++n] = end;
    }
    return out;
}
template <class Source>
inline constexpr auto all_messages = make_static_messages<Source>();

template <class Source, std::size_t I>
constexpr auto static_message() {
    constexpr std::size_t start = all_messages<Source>.ends[I],
                          size = all_messages<Source>.ends[I + 1] - start;
    fixed_string<size + 1> out;
    for (std::size_t i = 0; i != size; ++i) out.text[i] = all_messages<Source>.chars[start + i];
    return out;
}

#if defined(__cpp_static_assert) && __cpp_static_assert >= 202306L
template <fixed_string Message>
struct invalid_configuration {
    static_assert(Message.view().empty(), Message.view());
};
template <fixed_string Message>
using report_invalid = invalid_configuration<Message>;
#elif defined(__clang__)
template <char... Message>  // clang abbreviates strings in its messages, but no lists of characters
struct invalid_configuration {
    static_assert(sizeof...(Message) == 0,
                  "the configuration is wrong: see invalid_configuration<'line:column: what'>");
};
template <fixed_string Message, std::size_t... I>
invalid_configuration<Message.text[I]...> spelled(std::index_sequence<I...>);
template <fixed_string Message>
using report_invalid = decltype(spelled<Message>(std::make_index_sequence<Message.view().size()>{}));
#else
template <fixed_string Message>
struct invalid_configuration {
    static_assert(Message.view().empty(),
                  "the configuration is wrong: see invalid_configuration<\"line:column: what\">");
};
template <fixed_string Message>
using report_invalid = invalid_configuration<Message>;
#endif

/// Does not compile when the text is bad: each of its bases then says what is wrong.
template <class Source, class = std::make_index_sequence<surveyed<Source>.errors>>
struct valid_configuration;
template <class Source, std::size_t... I>
struct valid_configuration<Source, std::index_sequence<I...>>
    : report_invalid<static_message<Source, I>()>... {};

template <class Source>
constexpr typename Source::frozen static_value() {
    if constexpr (surveyed<Source>.ok) {
        return []<std::size_t... I>(std::index_sequence<I...>) {
            return typename Source::frozen{std::get<I>(static_parts<Source>)...};
        }
        (typename Source::indices{});
    } else {
        return {};
    }
}

}  // namespace detail

/// A configuration read by the compiler.
template <fixed_string Text, class Algorithms = standard_algorithms>
struct static_config : private detail::valid_configuration<detail::static_source<Text, Algorithms>> {
    static constexpr BasicConfig<Algorithms, static_storage> value =
        detail::static_value<detail::static_source<Text, Algorithms>>();
};

}  // namespace amct_distill

// ---- amct_distill/core/diagnostic_list.hpp

/// What is found wrong or odd while resolving, collected, each finding with its place in the text.
///
///     detail::findings found({.source = "quant.cfg", .text = text});
///     found.error({3, 1}, "batch_num", "...");
///     if (found.failed()) return found.errors();
///
/// Positions come from the message's labels; a message built in C++ has none, and its findings name the path
/// alone.

namespace amct_distill {

struct resolve_options {
    std::string_view source = {};  ///< name of the configuration, for diagnostics
    std::string_view text = {};    ///< the text it was read from: diagnostics then show the line
};

namespace detail {

/// The byte offset of a position: the inverse of position_of. Behind the line's end: that end.
constexpr std::size_t offset_of(std::string_view text, Position where) {
    std::size_t at = 0;
    for (std::size_t line = 1; line < where.line; ++line) {
        at = text.find('\n', at);
        if (at == text.npos) return text.size();
        ++at;
    }
    for (std::size_t column = 1; column < where.column && at != text.size() && text[at] != '\n'; ++column) do
            ++at;
        while (at != text.size() && is_utf8_continuation(text[at]));
    return at;
}

class findings {
public:
    explicit findings(const resolve_options& options) : options_(options) {}

    void error(Position where, std::string path, std::string message) {
        errors_.push_back(make(Severity::error, where, std::move(path), std::move(message)));
    }
    void warning(Position where, std::string path, std::string message) {
        warnings_.push_back(make(Severity::warning, where, std::move(path), std::move(message)));
    }
    bool failed() const { return !errors_.empty(); }
    /// In the order of the text, those without a place last.
    Diagnostics errors() const { return in_order(errors_); }
    Diagnostics warnings() const { return in_order(warnings_); }

private:
    Diagnostic make(Severity severity, Position where, std::string path, std::string message) const {
        if (where.line != 0 && !options_.text.empty())
            return diagnostic_at(severity, options_.source, options_.text, offset_of(options_.text, where),
                                 std::move(path), std::move(message));
        return {severity, std::string(options_.source), where, std::move(path), std::move(message)};
    }
    static Diagnostics in_order(Diagnostics all) {
        std::stable_sort(all.begin(), all.end(), [](const Diagnostic& a, const Diagnostic& b) {
            if (a.where.line == 0 || b.where.line == 0) return a.where.line > b.where.line;
            return std::pair(a.where.line, a.where.column) < std::pair(b.where.line, b.where.column);
        });
        return all;
    }

    resolve_options options_;
    Diagnostics errors_{};
    Diagnostics warnings_{};
};

/// "`a`", "`a` and `b`", "`a`, `b` and `c`"; of more than ten the first eight, and how many more.
template <class Names>
std::string quoted_list(const Names& names) {
    std::size_t const shown = names.size() > 10 ? 8 : names.size();
    std::string out;
    std::size_t i = 0;
    for (const auto& name : names) {
        if (i == shown) break;
        if (i != 0) append(out, i + 1 == names.size() ? " and " : ", ");
        append(out, concat('`', name, '`'));
        ++i;
    }
    if (shown != names.size()) append(out, concat(" and ", names.size() - shown, " more"));
    return out;
}

}  // namespace detail
}  // namespace amct_distill

// ---- amct_distill/core/table.hpp

/// Rows of text as a table: columns as wide as their widest cell, two blanks between them.
///
///     detail::text_table({{"layer", "SQNR"}, {"conv1", "48.9 dB"}});   // the first row is the heading
///     detail::shortened("backbone.layer1.0.conv1", 17);                // "...layer1.0.conv1"
///     detail::short_number(0.00125);                                   // "1.25e-03"

namespace amct_distill::detail {

using TableRow = std::vector<std::string>;

/// Columns on a terminal, one per code point.
inline std::size_t text_width(std::string_view s) {
    return static_cast<std::size_t>(
        std::ranges::count_if(s, [](char c) { return !is_utf8_continuation(c); }));
}

/// Each line begins with two blanks and ends with its last cell. A row may have fewer cells than others.
inline std::string text_table(const std::vector<TableRow>& rows) {
    std::vector<std::size_t> widths;
    for (const TableRow& row : rows) {
        widths.resize((std::max)(widths.size(), row.size()));
        for (std::size_t k = 0; k != row.size(); ++k) widths[k] = (std::max)(widths[k], text_width(row[k]));
    }
    std::string out;
    for (const TableRow& row : rows) {
        std::string line;
        for (std::size_t k = 0; k != row.size(); ++k) {
            line.append(2, ' ');
            line.append(row[k]);
            line.append(widths[k] - text_width(row[k]), ' ');
        }
        line.resize(line.find_last_not_of(' ') + 1);
        out.append(line);
        out.push_back('\n');
    }
    return out;
}

/// The text, or its end behind "..." when it is longer than `width` columns (at least 4).
inline std::string shortened(std::string_view text, std::size_t width) {
    std::size_t columns = text_width(text);
    if (columns <= width) return std::string(text);
    while (columns > width - 3) {
        text.remove_prefix(1);
        while (!text.empty() && is_utf8_continuation(text.front())) text.remove_prefix(1);
        --columns;
    }
    return concat("...", text);
}

/// Three digits: "1.25e-03".
inline std::string short_number(double x) {
    char text[32];
    std::snprintf(text, sizeof text, "%.2e", x);
    return text;
}

}  // namespace amct_distill::detail

// ---- amct_distill/graph/topology.hpp

/// What resolving a configuration needs to know of a network: its modules, their use, and the graph.
///
///     Topology t;
///     t.modules = {{"conv1", "Conv2d"}, {"relu1", "ReLU"}};
///     t.nodes = {{"conv1", "Conv2d", 0, {}}, {"relu1", "ReLU", 1, {0}}};
///     t.outputs = {1};

namespace amct_distill {

/// A named module of the network; the name and the type are what a configuration speaks of.
struct TopologyModule {
    std::string name{};        ///< unique, "layer1.0.conv1"
    std::string type{};        ///< as PyTorch spells it: "Conv2d", "Linear", "BatchNorm2d", "ReLU", ...
    bool zero_padding = true;  ///< a Conv2d pads with zeros (`padding_mode="zeros"`)
};

/// One use of an operation in the graph.
struct TopologyNode {
    std::string name{};  ///< unique
    std::string type{};  ///< the module's type; without a module the operation, "Flatten", "Add", "Relu", ...
    std::optional<std::size_t> module{};  ///< index into `modules`; none for a functional operation
    std::vector<std::size_t> inputs{};    ///< nodes read, in order; inputs of the network are not nodes
};

struct Topology {
    std::vector<TopologyModule> modules{};  ///< in definition order
    std::vector<TopologyNode> nodes{};      ///< in graph order: a node comes after those it reads
    std::vector<std::size_t> outputs{};     ///< nodes whose output leaves the network
};

}  // namespace amct_distill

// ---- amct_distill/run/executor.hpp

/// The threads of a run: one pool for all that is computed in it.
///
///     Executor executor(4);
///     tape.use(&executor);                                        // the modules' loops
///     executor.parallel_for(8, [&](std::size_t i) { ... });       // 0 to 7, in any order
///     fake_quantize<Int8>(x, y, p, executor.execution());         // the quantizers' loops
///
/// Whoever shares out work cuts it in parts that do not depend on the number of threads, and adds up what
/// the parts gave in their order: then the results have the same bits for any number.
#if __has_include(<Eigen/ThreadPool>)  // since Eigen 5
#include <Eigen/ThreadPool>
#elif __has_include(<unsupported/Eigen/CXX11/ThreadPool>)
#include <unsupported/Eigen/CXX11/ThreadPool>
#else  // Debian's, when the compiler is told nothing
#include <eigen3/unsupported/Eigen/CXX11/ThreadPool>
#endif

namespace amct_distill::nn {

class Executor {
public:
    /// The caller of `parallel_for` is one of the threads. Throws std::invalid_argument unless 1 to 1024.
    explicit Executor(int threads) : threads_(threads) {
        if (threads < 1 || threads > 1024)
            throw std::invalid_argument(
                detail::concat("Executor: expected 1 to 1024 threads, found ", threads));
        if (threads == 1) return;
        pool_ = std::make_unique<Eigen::ThreadPool>(threads - 1);
        execution_.parallel_for = [this](std::size_t tasks, const std::function<void(std::size_t)>& task) {
            parallel_for(tasks, task);
        };
    }
    Executor(const Executor&) = delete;
    Executor& operator=(const Executor&) = delete;

    int threads() const { return threads_; }

    /// f(i), or f(i, worker), for every i below `count`; returns when all are done. `worker` is below
    /// threads(), and no two calls at the same time have the same: an index of buffers. A call from within
    /// f runs on the thread that it comes from. What f throws is thrown here, the first of it by i, and what
    /// has not begun by then is left out.
    template <class F>
    void parallel_for(std::size_t count, F&& f) const {
        if (!pool_ || count < 2 || pool_->CurrentThreadId() >= 0) return run_here(count, f);
        auto const helpers = static_cast<unsigned>((std::min)(count, static_cast<std::size_t>(threads_)) - 1);
        Job<std::remove_reference_t<F>> job(f, count, helpers);
        for (unsigned k = 0; k != helpers; ++k)  // a pointer: std::function holds it without allocating
            pool_->Schedule([at = &job] {
                at->work();
                at->done.Notify();
            });
        job.work();
        job.done.Wait();
        if (job.error) std::rethrow_exception(job.error);
    }

    /// The same on the calling thread alone, in order.
    template <class F>
    static void run_here(std::size_t count, F&& f) {
        for (std::size_t i = 0; i != count; ++i) call(f, i, 0);
    }

    /// The same threads, for the quantizers.
    const Execution& execution() const { return execution_; }

private:
    template <class F>
    static void call(F& f, std::size_t i, [[maybe_unused]] std::size_t worker) {
        if constexpr (std::is_invocable_v<F&, std::size_t, std::size_t>)
            f(i, worker);
        else
            f(i);
    }

    template <class F>
    struct Job {
        Job(F& function, std::size_t n, unsigned helpers) : f(function), count(n), done(helpers) {}

        void work() {
            std::size_t const worker = workers++;
            for (std::size_t i; (i = next++) < count;) {
                try {
                    call(f, i, worker);
                } catch (...) {
                    std::lock_guard const lock(mutex);
                    if (i < failed) {
                        failed = i;
                        error = std::current_exception();
                    }
                    next = count;
                }
            }
        }

        F& f;
        std::size_t const count;
        std::atomic<std::size_t> next{0}, workers{0};
        std::mutex mutex{};  // of the two below
        std::size_t failed = static_cast<std::size_t>(-1);
        std::exception_ptr error{};
        Eigen::Barrier done;  // of the helpers
    };

    int threads_;
    std::unique_ptr<Eigen::ThreadPoolInterface> pool_{};
    Execution execution_{};
};

}  // namespace amct_distill::nn

// ---- amct_distill/nn/tensor.hpp

/// A row-major tensor that owns its values, and Eigen's view of it as a matrix. The batch is always dimension
/// 0.
///
///     Tensor images({8, 1, 28, 28});                       // zeros
///     Tensor row({2, 3}, {1, 2, 3, 4, 5, 6});
///     matrix(row, 2, 3).row(1).sum();                      // 15
///     images.resize({4, 1, 28, 28});                       // no allocation: it fits
///     to_string(images.shape());                           // "[4, 1, 28, 28]"

namespace amct_distill::nn {

using Index = Eigen::Index;
using Shape = std::vector<Index>;

/// Dimension 0 of a shape that holds for every batch size; printed as `N`.
inline constexpr Index any_batch = -1;

/// "[8, 1, 28, 28]"; "[N, 1, 28, 28]" for any batch size.
inline std::string to_string(const Shape& shape) {
    std::string out = "[";
    for (std::size_t i = 0; i != shape.size(); ++i) {
        if (i != 0) out += ", ";
        out += i == 0 && shape[0] == any_batch ? "N" : std::to_string(shape[i]);
    }
    return out + ']';
}

/// The product of the dimensions [first, last).
inline Index product(const Shape& shape, std::size_t first, std::size_t last) {
    Index n = 1;
    for (std::size_t i = first; i < last; ++i) n *= shape[i];
    return n;
}

template <class T>
class BasicTensor {
public:
    using value_type = T;

    /// Rank 0 and no values; what `resize` has yet to give a shape.
    BasicTensor() = default;
    /// Zeros.
    explicit BasicTensor(const Shape& shape) { resize(shape); }
    /// The values in row-major order; throws std::invalid_argument when their number is not the shape's.
    BasicTensor(const Shape& shape, std::span<const T> values) : BasicTensor(shape) {
        if (values.size() != size())
            throw std::invalid_argument(detail::concat("Tensor: shape ", to_string(shape), " needs ", size(),
                                                       " values, found ", values.size()));
        std::copy(values.begin(), values.end(), values_.begin());
    }
    BasicTensor(const Shape& shape, const std::vector<T>& values)
        : BasicTensor(shape, std::span<const T>(values)) {}

    const Shape& shape() const { return shape_; }
    std::size_t rank() const { return shape_.size(); }
    Index dim(std::size_t i) const { return shape_.at(i); }
    std::size_t size() const { return values_.size(); }
    bool empty() const { return values_.empty(); }
    /// The number of values that it has room for.
    std::size_t capacity() const { return values_.capacity(); }

    T* data() { return values_.data(); }
    const T* data() const { return values_.data(); }
    std::span<T> span() { return values_; }
    std::span<const T> span() const { return values_; }
    T& operator[](std::size_t i) { return values_[i]; }
    const T& operator[](std::size_t i) const { return values_[i]; }
    auto begin() { return values_.begin(); }
    auto begin() const { return values_.begin(); }
    auto end() { return values_.end(); }
    auto end() const { return values_.end(); }

    /// Gives it a shape. Does not allocate when it has held as many values before; which values it holds
    /// then is unspecified, unless the number of values stays the same: then they stay too.
    void resize(const Shape& shape) {
        values_.resize(count(shape));
        shape_ = shape;
    }
    /// resize({8, 3}), without a Shape that would be allocated for it.
    void resize(std::initializer_list<Index> shape) {
        values_.resize(count({shape.begin(), shape.size()}));
        shape_.assign(shape);
    }
    void fill(T value) { std::fill(values_.begin(), values_.end(), value); }

    friend bool operator==(const BasicTensor&, const BasicTensor&) = default;

private:
    static std::size_t count(std::span<const Index> shape) {
        std::size_t n = shape.empty() ? 0 : 1;
        for (Index d : shape) {
            if (d < 0)
                throw std::invalid_argument(detail::concat("Tensor: shape ",
                                                           to_string(Shape(shape.begin(), shape.end())),
                                                           " has a negative dimension"));
            n *= static_cast<std::size_t>(d);
        }
        return n;
    }

    Shape shape_{};
    // Aligned for vectors of any width, because where Eigen's vectors begin decides in which order it adds:
    // the bits must not depend on the address that an allocation happens to have.
    std::vector<T, Eigen::aligned_allocator<T>> values_{};
};

using Tensor = BasicTensor<float>;

template <class T>
using MatrixMap = Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;
template <class T>
using ConstMatrixMap = Eigen::Map<const Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;
template <class T>
using ArrayMap = Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>;
template <class T>
using ConstArrayMap = Eigen::Map<const Eigen::Array<T, Eigen::Dynamic, 1>>;

}  // namespace amct_distill::nn

namespace amct_distill::detail {

template <class T>
void require_matrix(const nn::BasicTensor<T>& tensor, nn::Index rows, nn::Index cols) {
    auto const size = static_cast<nn::Index>(tensor.size());
    if (rows < 0 || cols < 0 || rows * cols != size)
        throw std::invalid_argument(
            concat("a tensor ", nn::to_string(tensor.shape()), " is no ", rows, " x ", cols, " matrix"));
}

/// The sum in double, in eight lanes that are added in the end.
template <class T>
double sum_of(const T* x, nn::Index n) {
    double lanes[8] = {};
    nn::Index i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k != 8; ++k) lanes[k] += double(x[i + k]);
    for (; i != n; ++i) lanes[0] += double(x[i]);
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

}  // namespace amct_distill::detail

namespace amct_distill::nn {

/// The tensor's values as a row-major matrix; throws std::invalid_argument when rows * cols is not their
/// number.
template <class T>
MatrixMap<T> matrix(BasicTensor<T>& tensor, Index rows, Index cols) {
    detail::require_matrix(tensor, rows, cols);
    return {tensor.data(), rows, cols};
}
template <class T>
ConstMatrixMap<T> matrix(const BasicTensor<T>& tensor, Index rows, Index cols) {
    detail::require_matrix(tensor, rows, cols);
    return {tensor.data(), rows, cols};
}

/// The tensor's values in a row, for element-wise arithmetic.
template <class T>
ArrayMap<T> array(BasicTensor<T>& tensor) {
    return {tensor.data(), static_cast<Index>(tensor.size())};
}
template <class T>
ConstArrayMap<T> array(const BasicTensor<T>& tensor) {
    return {tensor.data(), static_cast<Index>(tensor.size())};
}

}  // namespace amct_distill::nn

// ---- amct_distill/nn/module.hpp

/// What a module of a network is: pure functions forward and backward, and parameters.
///
///     Module m = Conv2d({.in_channels = 1, .out_channels = 8, .kernel = {3, 3}});
///     m.type();                                           // "Conv2d"
///     for (auto& p : m.parameters()) use(p.name, p.role, *p.value);
///     if (Conv2d* conv = m.get_if<Conv2d>()) conv->weight().fill(0);
///
/// A module of one's own is a copyable type with the members that the concept `ModuleOf` lists, and any of
/// the hooks `parameters(list)`, `constrain()`, `update_statistics(inputs)`; nothing is registered or derived
/// from. The example user_module.cpp has one.

namespace amct_distill::nn {

/// In `train` BatchNorm normalizes by the batch's own statistics; all else is the same in both.
enum class Mode { evaluate, train };

/// What a parameter is to the optimizer. A statistic (BatchNorm's running mean) is not trained.
enum class Role { weight, bias, affine, clip, scale, statistic };

template <class T>
struct BasicParameter {
    std::string_view name{};  ///< "weight", "bias", ...; unique in its module
    Role role = Role::weight;
    BasicTensor<T>* value = nullptr;
};
template <class T>
struct BasicConstParameter {
    std::string_view name{};
    Role role = Role::weight;
    const BasicTensor<T>* value = nullptr;
};

/// What a node lends to its module: buffers, so that only the first step allocates, and threads. The buffers
/// carry nothing from one call to the next.
template <class T>
class BasicScratch {
public:
    /// The k-th buffer; references stay valid when others are asked for. Not from within `parallel_for`: ask
    /// for all of them before.
    BasicTensor<T>& tensor(std::size_t k) {
        while (tensors_.size() <= k) tensors_.emplace_back();
        return tensors_[k];
    }

    /// `size` values for every thread that may work at a time; worker w has those from w * size on.
    T* buffer(std::size_t k, Index size) { return buffer(k, size, static_cast<Index>(threads())); }
    T* buffer(std::size_t k, Index size, Index workers) {
        tensor(k).resize({size * workers});
        return tensor(k).data();
    }

    /// Whose threads the module uses; null: the caller's alone.
    void use(const Executor* executor) { executor_ = executor; }
    std::size_t threads() const { return executor_ ? static_cast<std::size_t>(executor_->threads()) : 1; }
    /// f(i, worker) for every i below `count`, all of which is `work` additions or so: see
    /// `Executor::parallel_for`. Where it takes no longer than waking a thread, on the caller's alone.
    template <class F>
    void parallel_for(Index count, double work, F&& f) const {
        auto const call = [&f](std::size_t i, std::size_t worker) {
            f(static_cast<Index>(i), static_cast<Index>(worker));
        };
        if (executor_ && work > 1e6)
            executor_->parallel_for(static_cast<std::size_t>(count), call);
        else
            Executor::run_here(static_cast<std::size_t>(count), call);
    }
    /// f(begin, end) for parts of [0, n) whose elements have nothing to do with each other.
    template <class F>
    void in_parts(std::size_t n, F&& f) const {
        constexpr std::size_t size = 1 << 14;
        parallel_for(static_cast<Index>((n + size - 1) / size), double(n), [&](Index part, Index) {
            std::size_t const begin = static_cast<std::size_t>(part) * size;
            f(begin, (std::min)(n, begin + size));
        });
    }
    /// The threads in the quantizers' form.
    const Execution& execution() const {
        static const Execution alone{};
        return executor_ ? executor_->execution() : alone;
    }

    /// What the buffers hold, in bytes.
    std::size_t bytes() const {
        std::size_t sum = 0;
        for (const auto& t : tensors_) sum += t.capacity() * sizeof(T);
        return sum;
    }

private:
    std::deque<BasicTensor<T>> tensors_{};
    const Executor* executor_ = nullptr;
};

template <class T>
using BasicInputs = std::span<const BasicTensor<T>* const>;

/// The contract of a module. All of it is const and pure: what backward needs it finds in its arguments.
///
/// - `type_name`: the type as PyTorch spells it, the one a configuration speaks of. Optionally `operation`,
///   the name as ONNX spells it, where that is another; it is the type of a use without a named module.
/// - `output_shape(inputs)`: the shape, or an error that says what was expected and what was found.
///   Dimension 0 may be `any_batch` and is passed on.
/// - `forward(inputs, output, scratch, mode)`: `output` has its shape already; its values are overwritten.
/// - `backward(inputs, output, grad_output, grad_inputs, grad_parameters, scratch, mode)`: ADDS to the
///   gradients, so that fan-out and accumulation need nothing else. A null `grad_inputs[i]` is not wanted;
///   two of them may be the same tensor. `grad_parameters` run parallel to `parameters`.
/// - Optionally `parameters(list)`: appends a `BasicParameter<T>` for each; always the same ones in one order.
///   `constrain()`: what must hold after every step of the optimizer. `update_statistics(inputs)`: what it
///   learns outside of the gradients. A hook that is misspelt is not there: test that it is called.
template <class M, class T>
concept ModuleOf = std::copyable<M> &&
    requires(const M m, std::span<const Shape> shapes, BasicInputs<T> inputs, BasicTensor<T>& output,
             const BasicTensor<T>& tensor, std::span<BasicTensor<T>* const> grad_inputs,
             std::span<BasicTensor<T>> grad_parameters, BasicScratch<T>& scratch, Mode mode) {
    { M::type_name } -> std::convertible_to<std::string_view>;
    { m.output_shape(shapes) } -> std::same_as<result<Shape>>;
    m.forward(inputs, output, scratch, mode);
    m.backward(inputs, tensor, tensor, grad_inputs, grad_parameters, scratch, mode);
};

/// Any module, by value: a copy is a copy of the parameters.
template <class T>
class BasicModule {
public:
    template <class M>
    requires(!std::same_as<M, BasicModule> && ModuleOf<M, T>) BasicModule(M module)
        : held_(std::make_unique<Holder<M>>(std::move(module))) {}

    BasicModule(const BasicModule& other) : held_(other.held_->clone()) {}
    BasicModule(BasicModule&&) noexcept = default;
    BasicModule& operator=(BasicModule other) noexcept {
        held_ = std::move(other.held_);
        return *this;
    }
    ~BasicModule() = default;

    std::string_view type() const { return held_->type(); }
    std::string_view operation() const { return held_->operation(); }
    result<Shape> output_shape(std::span<const Shape> inputs) const { return held_->output_shape(inputs); }
    void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>& scratch, Mode mode) const {
        held_->forward(inputs, output, scratch, mode);
    }
    void backward(BasicInputs<T> inputs, const BasicTensor<T>& output, const BasicTensor<T>& grad_output,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>> grad_parameters,
                  BasicScratch<T>& scratch, Mode mode) const {
        held_->backward(inputs, output, grad_output, grad_inputs, grad_parameters, scratch, mode);
    }

    std::vector<BasicParameter<T>> parameters() {
        std::vector<BasicParameter<T>> list;
        held_->parameters(list);
        return list;
    }
    std::vector<BasicConstParameter<T>> parameters() const {
        std::vector<BasicParameter<T>> all;
        held_->parameters(all);
        std::vector<BasicConstParameter<T>> list;
        for (const auto& p : all) list.push_back({p.name, p.role, p.value});
        return list;
    }
    /// Makes the gradients run parallel to the parameters: zeros, where there is none of a parameter's shape.
    /// `list` is a buffer.
    void fit_gradients(std::vector<BasicTensor<T>>& gradients, std::vector<BasicParameter<T>>& list) const {
        list.clear();
        held_->parameters(list);
        gradients.resize(list.size());
        for (std::size_t k = 0; k != list.size(); ++k)
            if (gradients[k].shape() != list[k].value->shape())
                gradients[k] = BasicTensor<T>(list[k].value->shape());
    }
    /// What must hold after every step of the optimizer (a clip range that stays open, ...).
    void constrain() { held_->constrain(); }
    /// What a module learns from its inputs outside of the gradients: BatchNorm's running statistics.
    void update_statistics(BasicInputs<T> inputs) { held_->update_statistics(inputs); }

    /// The module itself when it is an `M`, else null.
    template <class M>
    M* get_if() {
        auto* const holder = dynamic_cast<Holder<M>*>(held_.get());
        return holder ? &holder->module : nullptr;
    }
    template <class M>
    const M* get_if() const {
        auto const* const holder = dynamic_cast<const Holder<M>*>(held_.get());
        return holder ? &holder->module : nullptr;
    }

private:
    struct Interface {
        Interface() = default;
        Interface(const Interface&) = default;
        Interface& operator=(const Interface&) = delete;
        virtual ~Interface() = default;
        virtual std::unique_ptr<Interface> clone() const = 0;
        virtual std::string_view type() const = 0;
        virtual std::string_view operation() const = 0;
        virtual result<Shape> output_shape(std::span<const Shape>) const = 0;
        virtual void forward(BasicInputs<T>, BasicTensor<T>&, BasicScratch<T>&, Mode) const = 0;
        virtual void backward(BasicInputs<T>, const BasicTensor<T>&, const BasicTensor<T>&,
                              std::span<BasicTensor<T>* const>, std::span<BasicTensor<T>>, BasicScratch<T>&,
                              Mode) const = 0;
        virtual void parameters(std::vector<BasicParameter<T>>&) = 0;
        virtual void constrain() = 0;
        virtual void update_statistics(BasicInputs<T>) = 0;
    };

    template <class M>
    struct Holder final : Interface {
        explicit Holder(M m) : module(std::move(m)) {}
        std::unique_ptr<Interface> clone() const override { return std::make_unique<Holder>(*this); }
        std::string_view type() const override { return M::type_name; }
        std::string_view operation() const override {
            if constexpr (requires { M::operation; })
                return M::operation;
            else
                return M::type_name;
        }
        result<Shape> output_shape(std::span<const Shape> inputs) const override {
            return module.output_shape(inputs);
        }
        void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>& scratch,
                     Mode mode) const override {
            module.forward(inputs, output, scratch, mode);
        }
        void backward(BasicInputs<T> inputs, const BasicTensor<T>& output, const BasicTensor<T>& grad_output,
                      std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>> grad_parameters,
                      BasicScratch<T>& scratch, Mode mode) const override {
            module.backward(inputs, output, grad_output, grad_inputs, grad_parameters, scratch, mode);
        }
        void parameters([[maybe_unused]] std::vector<BasicParameter<T>>& list) override {
            static_assert(
                !requires { module.parameters(); },
                "a module's parameters(list) appends to the list: void parameters(list)");
            if constexpr (requires { module.parameters(list); }) module.parameters(list);
        }
        void constrain() override {
            if constexpr (requires { module.constrain(); }) module.constrain();
        }
        void update_statistics([[maybe_unused]] BasicInputs<T> inputs) override {
            if constexpr (requires { module.update_statistics(inputs); }) module.update_statistics(inputs);
        }

        M module;
    };

    std::unique_ptr<Interface> held_;
};

using Parameter = BasicParameter<float>;
using Scratch = BasicScratch<float>;
using Inputs = BasicInputs<float>;
using Module = BasicModule<float>;

}  // namespace amct_distill::nn

namespace amct_distill::detail {

/// The error of `output_shape`: "expected one input [N, 3, H, W], found [N, 1, 8, 8]".
inline Diagnostic unexpected_inputs(std::string_view expected, std::span<const nn::Shape> found) {
    std::string list = found.empty() ? "none" : "";
    for (const nn::Shape& shape : found) {
        if (!list.empty()) list += " and ";
        list += nn::to_string(shape);
    }
    return general_error(concat("expected ", expected, ", found ", list));
}

}  // namespace amct_distill::detail

// ---- amct_distill/nn/tape.hpp

/// What a network computes: every node's output, gradient and buffers, and the parameters' gradients. The
/// caller owns it and hands it to one step after another, so that only the first one allocates.
///
///     Tape tape;
///     const Tensor& y = net.forward(images, tape, Mode::evaluate);
///     tape.output(relu1) = features;                          // a run may start in the middle of the graph
///     net.forward_nodes(block, tape, Mode::evaluate);

namespace amct_distill::nn {

/// A node of a network, in graph order.
struct NodeId {
    std::size_t index = 0;
    friend auto operator<=>(const NodeId&, const NodeId&) = default;
};

template <class T>
class BasicNetwork;

template <class T>
class BasicTape {
public:
    /// With whose threads the modules compute; null: the caller's alone. The results are the same bits.
    explicit BasicTape(const Executor* executor = nullptr) : executor_(executor) {}
    void use(const Executor* executor) { executor_ = executor; }
    const Executor* executor() const { return executor_; }

    /// The output of a node, of rank 0 before the first run. References stay valid.
    BasicTensor<T>& output(NodeId node) { return slot(node).output; }
    /// Throws std::out_of_range for a node that no run has come by.
    const BasicTensor<T>& output(NodeId node) const { return slots_.at(node.index).output; }

    /// The gradient of the loss with respect to the node's output, after a backward run over it.
    BasicTensor<T>& gradient(NodeId node) { return slot(node).gradient; }
    const BasicTensor<T>& gradient(NodeId node) const { return slots_.at(node.index).gradient; }

    /// The gradients of a module's parameters, parallel to its parameters; summed over all backward
    /// runs since `BasicNetwork::zero_gradients`. Empty before.
    std::span<BasicTensor<T>> parameter_gradients(std::size_t module) {
        if (parameters_.size() <= module) parameters_.resize(module + 1);
        return parameters_[module];
    }

    /// What it holds, in bytes. After a step of a network that is, for every node: the output and, where it
    /// was run backward, the gradient, as large as each other; a gradient for every parameter; and what the
    /// modules borrow. For t threads, a batch of n, and weights of w values, these are at most, in values:
    ///
    ///     Conv2d, forward     33024 t
    ///     Conv2d, backward    139520 t + max(w, min(2 Mi, 8 w))     (kernels of at most 416 pixels)
    ///     Linear              98560 t + n max(inputs, outputs)
    ///
    /// and of a quantized layer, besides, three times its weight and three times its input. Nothing grows
    /// from step to step.
    std::size_t bytes() const {
        std::size_t sum = 0;
        auto const add = [&](const BasicTensor<T>& t) { sum += t.capacity() * sizeof(T); };
        for (const Slot& slot : slots_) {
            add(slot.output);
            add(slot.gradient);
            sum += slot.scratch.bytes();
        }
        for (const auto& gradients : parameters_)
            for (const BasicTensor<T>& gradient : gradients) add(gradient);
        return sum;
    }

    /// Whether a backward run also computes the gradients of what its nodes read from outside the run: the
    /// inputs of the network, or of a block. Most runs have no use for them, and they cost a convolution.
    bool input_gradients = false;

private:
    friend class BasicNetwork<T>;

    struct Slot {
        BasicTensor<T> output{}, gradient{};
        BasicScratch<T> scratch{};
        bool wanted = false;  ///< the backward run in progress computes this gradient
    };
    Slot& slot(NodeId node) {
        if (slots_.size() <= node.index) slots_.resize(node.index + 1);
        return slots_[node.index];
    }

    const Executor* executor_;
    std::deque<Slot> slots_{};
    std::deque<std::vector<BasicTensor<T>>> parameters_{};
    std::vector<const BasicTensor<T>*> inputs_{};  // of the node being run
    std::vector<BasicTensor<T>*> grad_inputs_{};   // likewise
    Shape shape_{};                                // likewise, of its output
    std::vector<BasicParameter<T>> list_{};        // of the module that `fit_gradients` looks at
};

using Tape = BasicTape<float>;

}  // namespace amct_distill::nn

// ---- amct_distill/nn/network.hpp

/// A named graph of modules, run forward and backward on a tape.
///
///     Network net;
///     NodeId x = net.input("image", {1, 8, 8});                                  // without the batch
///     x = net.add("conv1", Conv2d({.in_channels = 1, .out_channels = 4, .kernel = {3, 3}}), {x});
///     x = net.add("relu", ReLU{}, {x});
///     x = net.add_function("/Flatten", Flatten{}, {x});                          // no named module
///     x = net.add("fc", Linear({.in_features = 144, .out_features = 10}), {x});
///     net.output(net.apply("relu_again", "relu", {x}));                          // a shared module
///
///     initialize(net, 1);
///     Tensor logits = net.predict(images);
///
/// Shapes are checked where a node is added, and again where it runs. What is wrong is misuse, and throws
/// std::invalid_argument: which layer, what was expected, what was found.

namespace amct_distill::nn {

template <class T>
struct BasicNamedModule {
    std::string name{};
    BasicModule<T> module;
};

/// One use of a named module, a functional operation, or (neither) an input of the network.
template <class T>
struct BasicNode {
    std::string name{};
    Shape shape{};                        ///< of the output; dimension 0 is `any_batch`
    std::vector<NodeId> inputs{};         ///< what it reads, in order
    std::optional<std::size_t> module{};  ///< index into `BasicNetwork::modules()`
    std::optional<BasicModule<T>> function{};
    bool is_input() const { return !module && !function; }
};

/// A parameter of the network by its full name, "conv1.weight", and the tape's gradient of it.
template <class T>
struct BasicNamedParameter {
    std::string name{};
    std::size_t module = 0;  ///< index into `BasicNetwork::modules()`
    Role role = Role::weight;
    BasicTensor<T>* value = nullptr;
    BasicTensor<T>* gradient = nullptr;
};

template <class T>
class BasicNetwork {
public:
    using Node = BasicNode<T>;

    // ---- building

    /// An input; the shape is that of one sample, without the batch.
    NodeId input(std::string name, Shape sample) {
        if (sample.empty() || std::ranges::any_of(sample, [](Index d) { return d < 1; }))
            fail("input ", quoted(name),
                 ": expected the shape of a sample, each dimension at least 1, found ", to_string(sample));
        sample.insert(sample.begin(), any_batch);
        NodeId const id = append({.name = std::move(name), .shape = std::move(sample)});
        inputs_.push_back(id);
        return id;
    }

    /// A layer: a module and its first use, both of that name.
    NodeId add(std::string name, BasicModule<T> module, const std::vector<NodeId>& inputs) {
        Shape shape = infer(name, module, inputs);
        NodeId const id =
            append({.name = name, .shape = std::move(shape), .inputs = inputs, .module = modules_.size()});
        modules_.push_back({std::move(name), std::move(module)});
        return id;
    }

    /// A further use of a module that has been added.
    NodeId apply(std::string name, std::string_view module, const std::vector<NodeId>& inputs) {
        std::size_t const index = module_index(module);
        Shape shape = infer(name, modules_[index].module, inputs);
        return append(
            {.name = std::move(name), .shape = std::move(shape), .inputs = inputs, .module = index});
    }

    /// An operation without a named module; it has no parameters.
    NodeId add_function(std::string name, BasicModule<T> function, const std::vector<NodeId>& inputs) {
        if (!function.parameters().empty())
            fail("function ", quoted(name), " (", function.type(), "): it has parameters; use add()");
        Shape shape = infer(name, function, inputs);
        return append({.name = std::move(name),
                       .shape = std::move(shape),
                       .inputs = inputs,
                       .function = std::move(function)});
    }

    /// Marks a node whose output leaves the network.
    void output(NodeId id) {
        if (node(id).is_input() || std::ranges::find(outputs_, id) != outputs_.end())
            fail("output ", quoted(node(id).name), ": it is an input or an output already");
        outputs_.push_back(id);
    }

    /// Puts another module in the place of one, for all its uses; the shapes must stay.
    void replace(std::string_view name, BasicModule<T> module) {
        std::size_t const index = module_index(name);
        for (const Node& n : nodes_)
            if (n.module == index)
                if (Shape const shape = infer(n.name, module, n.inputs); shape != n.shape)
                    fail("layer ", quoted(n.name), ": its replacement (", module.type(), ") must put out ",
                         to_string(n.shape), ", found ", to_string(shape));
        modules_[index].module = std::move(module);
    }

    // ---- looking at it

    /// All nodes but the inputs, in graph order; the k-th is node k of `topology()`.
    std::span<const NodeId> operations() const { return operations_; }
    std::span<const NodeId> inputs() const { return inputs_; }
    std::span<const NodeId> outputs() const { return outputs_; }
    const Node& node(NodeId id) const {
        if (id.index >= nodes_.size()) fail("node ", id.index, ": the network has ", nodes_.size(), " nodes");
        return nodes_[id.index];
    }
    std::optional<NodeId> find(std::string_view name) const {
        auto const found = std::ranges::find(nodes_, name, &Node::name);
        if (found == nodes_.end()) return std::nullopt;
        return NodeId{static_cast<std::size_t>(found - nodes_.begin())};
    }

    std::span<const BasicNamedModule<T>> modules() const { return modules_; }
    const BasicModule<T>& module(std::string_view name) const { return modules_[module_index(name)].module; }
    BasicModule<T>& module(std::string_view name) { return modules_[module_index(name)].module; }

    Topology topology() const {
        Topology t;
        for (const auto& m : modules_)
            t.modules.push_back({.name = m.name, .type = std::string(m.module.type())});
        for (NodeId id : operations_) {
            const Node& n = nodes_[id.index];
            TopologyNode& out = t.nodes.emplace_back();
            out.name = n.name;
            out.type = n.module ? modules_[*n.module].module.type() : n.function->operation();
            out.module = n.module;
            for (NodeId input : n.inputs)
                if (!nodes_[input.index].is_input()) out.inputs.push_back(operation_index(input));
        }
        for (NodeId id : outputs_) t.outputs.push_back(operation_index(id));
        return t;
    }

    // ---- running it

    /// Runs the network; one tensor per input, of one batch size. The result is the first output and lives
    /// in the tape.
    const BasicTensor<T>& forward(BasicInputs<T> inputs, BasicTape<T>& tape, Mode mode) const {
        if (outputs_.empty()) fail("the network has no output");
        if (inputs.size() != inputs_.size())
            fail("expected ", inputs_.size(), " inputs, found ", inputs.size());
        for (std::size_t i = 0; i != inputs.size(); ++i) {
            const Node& n = nodes_[inputs_[i].index];
            if (!fits(n.shape, inputs[i]->shape()))
                fail("input ", quoted(n.name), ": expected ", to_string(n.shape), ", found ",
                     to_string(inputs[i]->shape()));
            tape.output(inputs_[i]) = *inputs[i];
        }
        forward_nodes(operations_, tape, mode);
        return tape.output(outputs_[0]);
    }
    const BasicTensor<T>& forward(const BasicTensor<T>& input, BasicTape<T>& tape, Mode mode) const {
        return forward(std::array{&input}, tape, mode);
    }

    /// After `forward`: from the gradients of the outputs, the gradients of all nodes, and adds those of
    /// the parameters to the tape's.
    void backward(BasicInputs<T> grad_outputs, BasicTape<T>& tape, Mode mode) const {
        if (grad_outputs.size() != outputs_.size())
            fail("expected the gradients of ", outputs_.size(), " outputs, found ", grad_outputs.size());
        begin_backward(operations_, tape);
        for (std::size_t i = 0; i != outputs_.size(); ++i) add_gradient(outputs_[i], *grad_outputs[i], tape);
        for (std::size_t i = operations_.size(); i-- != 0;) backward_node(operations_[i], tape, mode);
    }
    void backward(const BasicTensor<T>& grad_output, BasicTape<T>& tape, Mode mode) const {
        backward(std::array{&grad_output}, tape, mode);
    }

    /// The first output in Mode::evaluate, on a tape of its own.
    BasicTensor<T> predict(const BasicTensor<T>& input) const {
        BasicTape<T> tape;
        return forward(input, tape, Mode::evaluate);
    }

    // ---- running a part of it

    /// Runs some nodes, in graph order. What they read from elsewhere is in the tape: an earlier run left it
    /// there, or the caller has set `tape.output(node)`.
    void forward_nodes(std::span<const NodeId> nodes, BasicTape<T>& tape, Mode mode) const {
        for (NodeId id : nodes) forward_node(id, tape, mode);
    }

    /// After `forward_nodes` of the same nodes: the gradient of the last one's output, carried back through
    /// all of them.
    void backward_nodes(std::span<const NodeId> nodes, const BasicTensor<T>& grad_output, BasicTape<T>& tape,
                        Mode mode) const {
        if (nodes.empty()) fail("backward_nodes: expected at least one node");
        begin_backward(nodes, tape);
        add_gradient(nodes.back(), grad_output, tape);
        for (std::size_t i = nodes.size(); i-- != 0;) backward_node(nodes[i], tape, mode);
    }

    void forward_node(NodeId id, BasicTape<T>& tape, Mode mode) const {
        const Node& n = node(id);
        if (n.is_input()) return;
        read_inputs(n, tape);
        tape.shape_ = n.shape;
        tape.shape_[0] = tape.inputs_[0]->dim(0);
        auto& slot = tape.slot(id);
        slot.output.resize(tape.shape_);
        slot.scratch.use(tape.executor_);
        operation(n).forward(tape.inputs_, slot.output, slot.scratch, mode);
    }

    /// Starts a backward run over these nodes: their gradients become 0, and only they receive any (and,
    /// with `tape.input_gradients`, what they read).
    void begin_backward(std::span<const NodeId> nodes, BasicTape<T>& tape) const {
        for (auto& slot : tape.slots_) slot.wanted = false;
        auto const want = [&](NodeId id) {
            auto& slot = tape.slot(id);
            slot.wanted = true;
            slot.gradient.resize(slot.output.shape());
            slot.gradient.fill(0);
        };
        for (NodeId id : nodes) {
            want(id);
            if (tape.input_gradients) std::ranges::for_each(node(id).inputs, want);
        }
    }

    /// Carries `tape.gradient(id)` back to what the node reads and to its parameters, after
    /// `begin_backward`.
    void backward_node(NodeId id, BasicTape<T>& tape, Mode mode) const {
        const Node& n = node(id);
        if (n.is_input()) return;
        read_inputs(n, tape);
        auto& slot = tape.slot(id);
        if (!fits(n.shape, slot.output.shape()) || slot.gradient.shape() != slot.output.shape())
            fail("layer ", quoted(n.name), ": expected an output ", to_string(n.shape),
                 " and a gradient like it, found ", to_string(slot.output.shape()), " and ",
                 to_string(slot.gradient.shape()));
        slot.scratch.use(tape.executor_);
        tape.grad_inputs_.clear();
        for (NodeId input : n.inputs) {
            auto& from = tape.slot(input);
            tape.grad_inputs_.push_back(from.wanted ? &from.gradient : nullptr);
        }
        operation(n).backward(tape.inputs_, slot.output, slot.gradient, tape.grad_inputs_,
                              n.module ? fit_gradients(*n.module, tape) : std::span<BasicTensor<T>>{},
                              slot.scratch, mode);
    }

    // ---- training it

    void zero_gradients(BasicTape<T>& tape) const {
        for (std::size_t m = 0; m != modules_.size(); ++m)
            for (BasicTensor<T>& gradient : fit_gradients(m, tape)) gradient.fill(0);
    }

    /// All parameters, a shared module's once, with their gradients in this tape.
    std::vector<BasicNamedParameter<T>> parameters(BasicTape<T>& tape) {
        std::vector<BasicNamedParameter<T>> out;
        for (std::size_t m = 0; m != modules_.size(); ++m) {
            auto const gradients = fit_gradients(m, tape);
            auto const parameters = modules_[m].module.parameters();
            for (std::size_t k = 0; k != parameters.size(); ++k)
                out.push_back({detail::concat(modules_[m].name, '.', parameters[k].name), m,
                               parameters[k].role, parameters[k].value, &gradients[k]});
        }
        return out;
    }

    /// After a step of the optimizer.
    void constrain() {
        for (auto& m : modules_) m.module.constrain();
    }

    /// After a forward run in Mode::train: BatchNorm's running statistics.
    void update_statistics(BasicTape<T>& tape) {
        for (NodeId id : operations_)
            if (const Node& n = nodes_[id.index]; n.module) {
                read_inputs(n, tape);
                modules_[*n.module].module.update_statistics(tape.inputs_);
            }
    }

private:
    template <class... Pieces>
    [[noreturn]] static void fail(const Pieces&... pieces) {
        throw std::invalid_argument(detail::concat(pieces...));
    }
    static std::string quoted(std::string_view name) { return detail::concat('"', name, '"'); }

    /// A batch of at least one, and the other dimensions as expected.
    static bool fits(const Shape& expected, const Shape& found) {
        return found.size() == expected.size() && found[0] >= 1 &&
               std::equal(found.begin() + 1, found.end(), expected.begin() + 1);
    }

    const BasicModule<T>& operation(const Node& n) const {
        return n.module ? modules_[*n.module].module : *n.function;
    }
    std::size_t module_index(std::string_view name) const {
        auto const found = std::ranges::find(modules_, name, &BasicNamedModule<T>::name);
        if (found == modules_.end()) fail("the network has no module ", quoted(name));
        return static_cast<std::size_t>(found - modules_.begin());
    }
    std::size_t operation_index(NodeId id) const {
        return static_cast<std::size_t>(std::ranges::lower_bound(operations_, id) - operations_.begin());
    }

    Shape infer(const std::string& name, const BasicModule<T>& module,
                const std::vector<NodeId>& inputs) const {
        std::vector<Shape> shapes;
        for (NodeId id : inputs) shapes.push_back(node(id).shape);
        result<Shape> shape = module.output_shape(shapes);
        if (!shape)
            fail("layer ", quoted(name), " (", module.type(), "): ", shape.diagnostics().front().message);
        if (inputs.empty() || shape->empty() || shape->front() != any_batch)
            fail("layer ", quoted(name), " (", module.type(),
                 "): expected inputs, and an output that keeps the batch as dimension 0, found ",
                 inputs.size(), " inputs and an output ", to_string(*shape));
        return *std::move(shape);
    }
    NodeId append(Node n) {
        if (n.name.empty() || find(n.name)) fail("layer ", quoted(n.name), ": the name is empty or taken");
        NodeId const id{nodes_.size()};
        if (!n.is_input()) operations_.push_back(id);
        nodes_.push_back(std::move(n));
        return id;
    }

    /// Points `tape.inputs_` at what the node reads, which must be there.
    void read_inputs(const Node& n, BasicTape<T>& tape) const {
        tape.inputs_.clear();
        for (NodeId id : n.inputs) {
            const BasicTensor<T>& x = tape.output(id);
            const Node& from = nodes_[id.index];
            if (x.rank() == 0)
                fail("layer ", quoted(n.name), ": it reads ", quoted(from.name),
                     ", which has no output in the tape");
            if (!fits(from.shape, x.shape()))
                fail("layer ", quoted(n.name), ": it reads ", quoted(from.name), ", expected ",
                     to_string(from.shape), ", found ", to_string(x.shape()));
            if (!tape.inputs_.empty() && x.dim(0) != tape.inputs_[0]->dim(0))
                fail("layer ", quoted(n.name), ": expected inputs of one batch size, found ",
                     tape.inputs_[0]->dim(0), " and ", x.dim(0));
            tape.inputs_.push_back(&x);
        }
    }

    void add_gradient(NodeId id, const BasicTensor<T>& gradient, BasicTape<T>& tape) const {
        BasicTensor<T>& sum = tape.gradient(id);
        if (gradient.shape() != sum.shape())
            fail("gradient of ", quoted(node(id).name), ": expected ", to_string(sum.shape()), ", found ",
                 to_string(gradient.shape()));
        array(sum) += array(gradient);
    }

    /// The gradients of a module's parameters; made, as zeros, where they are not there in that shape.
    std::span<BasicTensor<T>> fit_gradients(std::size_t m, BasicTape<T>& tape) const {
        tape.parameter_gradients(m);
        modules_[m].module.fit_gradients(tape.parameters_[m], tape.list_);
        return tape.parameters_[m];
    }

    std::vector<Node> nodes_{};
    std::vector<BasicNamedModule<T>> modules_{};
    std::vector<NodeId> inputs_{}, operations_{}, outputs_{};
};

using NamedModule = BasicNamedModule<float>;
using NamedParameter = BasicNamedParameter<float>;
using Network = BasicNetwork<float>;

}  // namespace amct_distill::nn

// ---- amct_distill/nn/matrix_product.hpp

/// The matrix product behind convolution and linear layers: c = a b, or c += a b, on one thread.
///
///     std::vector<float> buffer(product_buffer);
///     auto const row_of_b = [&](nn::Index k, float*) { return b + k * 100; };
///     multiply(best_instructions(), {.c = c, .c_stride = 100, .a = a, .a_stride = 70, .rows = 50,
///                                    .depth = 70, .cols = 100}, row_of_b, buffer.data());
///
/// Not Eigen's, because that has the instructions that the compiler was told of: at plain -O2 a sixth of the
/// machine's speed. (EIGEN_USE_BLAS and EIGEN_DONT_PARALLELIZE change nothing here.) This one is compiled for each instruction set and chosen at run time. The rows of b are
/// copied to panels of 32 columns, or computed there: the columns of a convolution are nowhere else.
///
/// An element of c is a sum in the order of k, in blocks of `product_depth`; it depends neither on threads,
/// on how c is cut in parts, nor on the width of vectors. (What it depends on is whether there is a fused
/// multiply-add: AVX2 and AVX-512 have it, plain x86-64 has not.)

namespace amct_distill::detail {

inline constexpr nn::Index product_depth =
    128;  ///< of b's rows that are in panels at a time: a panel is half an L1
inline constexpr nn::Index product_cols =
    256;  ///< the most columns of a product; 256 KB of panels: half an L2
inline constexpr nn::Index panel_cols = 32;
/// What `multiply` needs as a buffer: the panels, and a row of b.
inline constexpr nn::Index product_buffer = product_depth * product_cols + product_cols;

template <class T>
struct Product {
    T* c = nullptr;
    nn::Index c_stride = 0;  ///< from row to row
    const T* a = nullptr;
    nn::Index a_stride = 0;
    nn::Index rows = 0, depth = 0, cols = 0;
    bool add = true;  ///< else c is overwritten
};

#if defined(__GNUC__)
template <class T, int Bytes>
struct product_lanes {
    typedef T type __attribute__((vector_size(Bytes)));
    static constexpr int count = Bytes / int(sizeof(T));
};
#else
template <class T, int Bytes>
struct product_lanes;
#endif
template <class T>
struct product_lanes<T, 4> {  // the scalar instruction set
    using type = T;
    static constexpr int count = 1;
};

/// c += a b over panels that are filled. A tile of c stays in registers: 12 of the 16 that AVX2 has.
template <class T>
struct panel_product {
    Product<T> p;
    const T* panels;

    template <int Bytes, int Rows>
    [[gnu::always_inline]] void tile(const T* a, const T* b, T* c, nn::Index c_stride, bool add) const {
        using V = typename product_lanes<T, Bytes>::type;
        constexpr int count = product_lanes<T, Bytes>::count;
        nn::Index const depth = p.depth, stride = p.a_stride;
        V sums[std::size_t(Rows)][2] = {};
        for (nn::Index k = 0; k != depth; ++k, b += panel_cols) {
            V left, right;
            std::memcpy(&left, b, sizeof left);
            std::memcpy(&right, b + count, sizeof right);
#pragma GCC unroll 8
            for (int r = 0; r != Rows; ++r) {
                T const factor = a[r * stride + k];
                sums[r][0] += factor * left;
                sums[r][1] += factor * right;
            }
        }
#pragma GCC unroll 8
        for (int r = 0; r != Rows; ++r)
#pragma GCC unroll 2
            for (int half = 0; half != 2; ++half) {
                T* const to = c + r * c_stride + half * count;
                V sum = sums[r][half];
                if (add) {
                    V old;
                    std::memcpy(&old, to, sizeof old);
                    sum += old;
                }
                std::memcpy(to, &sum, sizeof sum);
            }
    }

    /// All tiles of this height that the rows from `row` on have room for; returns the next row.
    template <int Bytes, int Rows>
    [[gnu::always_inline]] nn::Index tiles(nn::Index row, const T* b, nn::Index col) const {
        constexpr int width = 2 * product_lanes<T, Bytes>::count;
        T aside[std::size_t(Rows * width)];  // where c has only some of the columns
        nn::Index const cols = (std::min)(p.cols - col, nn::Index(width));
        bool const whole = cols == width;
        for (; row + Rows <= p.rows; row += Rows) {
            T* const c = p.c + row * p.c_stride + col;
            tile<Bytes, Rows>(p.a + row * p.a_stride, b, whole ? c : aside, whole ? p.c_stride : width,
                              whole && p.add);
            if (whole) continue;
            for (nn::Index r = 0; r != Rows; ++r)
                for (nn::Index j = 0; j != cols; ++j) {
                    T& to = c[r * p.c_stride + j];
                    to = aside[r * width + j] + (p.add ? to : T(0));
                }
        }
        return row;
    }

    template <int Bytes>
    [[gnu::always_inline]] void run() const {
        constexpr int width = 2 * product_lanes<T, Bytes>::count;
        for (nn::Index col = 0; col < p.cols; col += width) {
            const T* const b = panels + col / panel_cols * panel_cols * p.depth + col % panel_cols;
            nn::Index row = 0;
            if constexpr (Bytes == 64) row = tiles<Bytes, 8>(row, b, col);
            if constexpr (Bytes == 32) row = tiles<Bytes, 6>(row, b, col);
            row = tiles<Bytes, 4>(row, b, col);
            row = tiles<Bytes, 2>(row, b, col);
            tiles<Bytes, 1>(row, b, col);
        }
    }
};

/// `row_of_b(k, line)` tells where the p.cols values of row k are: in memory of the caller's, or, computed,
/// in `line`. `buffer` has `product_buffer` values. Precondition: p.cols <= product_cols.
template <class T, class RowOfB>
void multiply(InstructionSet set, Product<T> p, const RowOfB& row_of_b, T* buffer) {
    T* const line = buffer + product_depth * product_cols;
    nn::Index const depth = p.depth;
    for (nn::Index first = 0; first < depth; first += product_depth) {
        p.depth = (std::min)(product_depth, depth - first);
        for (nn::Index k = 0; k != p.depth; ++k) {
            const T* const from = row_of_b(first + k, line);
            nn::Index col = 0;
            for (; col + panel_cols <= p.cols; col += panel_cols)
                std::memcpy(buffer + col * p.depth + k * panel_cols, from + col, panel_cols * sizeof(T));
            if (col == p.cols) continue;
            T* const last = buffer + col * p.depth + k * panel_cols;
            std::fill(std::copy(from + col, from + p.cols, last), last + panel_cols, T(0));
        }
        run_on(set, panel_product<T>{p, buffer});
        p.a += p.depth;
        p.add = true;
    }
}

/// y += factor * x, for products of so few rows that panels do not pay.
template <class T>
struct add_scaled_loop {
    const T* x;
    T factor;
    T* y;
    nn::Index n;

    template <int Bytes>
    [[gnu::always_inline]] void run() const {
        using V = typename product_lanes<T, Bytes>::type;
        constexpr nn::Index count = product_lanes<T, Bytes>::count;
        nn::Index i = 0;
        for (; i + count <= n; i += count) {
            V from, to;
            std::memcpy(&from, x + i, sizeof from);
            std::memcpy(&to, y + i, sizeof to);
            to += factor * from;
            std::memcpy(y + i, &to, sizeof to);
        }
        for (; i < n; ++i) y[i] += factor * x[i];
    }
};

/// The sum of x * y, in 16 lanes that are added in the end; likewise.
template <class T>
struct dot_loop {
    const T *x, *y;
    nn::Index n;

    template <int Bytes>
    [[gnu::always_inline]] T run() const {
        using V = typename product_lanes<T, Bytes>::type;
        constexpr int count = product_lanes<T, Bytes>::count;
        constexpr std::size_t vectors = 16 / std::size_t(count);
        V sums[vectors] = {};
        nn::Index i = 0;
        for (; i + 16 <= n; i += 16)
#pragma GCC unroll 16
            for (std::size_t v = 0; v != vectors; ++v) {
                V a, b;
                std::memcpy(&a, x + i + v * count, sizeof a);
                std::memcpy(&b, y + i + v * count, sizeof b);
                sums[v] += a * b;
            }
        T lanes[16];
        std::memcpy(lanes, sums, sizeof lanes);
        for (int lane = 0; i < n; ++i, ++lane) lanes[lane] += x[i] * y[i];
        T sum = 0;
        for (T lane : lanes) sum += lane;
        return sum;
    }
};

/// How many parts of at most `size` something of length n has.
constexpr nn::Index parts(nn::Index n, nn::Index size) { return (n + size - 1) / size; }

/// to = from^T; `from` is rows x cols.
template <class T>
void transpose(const T* from, nn::Index from_stride, nn::Index rows, nn::Index cols, T* to,
               nn::Index to_stride) {
    constexpr nn::Index block = 8;  // lines of the cache at a time: as many as can lie a power of two apart
    for (nn::Index i = 0; i < rows; i += block)
        for (nn::Index j = 0; j < cols; j += block)
            for (nn::Index r = i; r < (std::min)(rows, i + block); ++r)
                for (nn::Index c = j; c < (std::min)(cols, j + block); ++c)
                    to[c * to_stride + r] = from[r * from_stride + c];
}

}  // namespace amct_distill::detail

// ---- amct_distill/nn/window.hpp

/// A window that slides over the images of a batch: the arithmetic that convolution and pooling share.
///
///     detail::Window w{.input = {28, 28}, .kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1}};
///     w.output(0);                    // 14 rows
///     w.inside(0, w.offset(0, 2));    // the outputs [first, last) for which tap 2 reads inside the image

namespace amct_distill::nn {

/// Height and width.
using Size2 = std::array<Index, 2>;

/// "3x3"
inline std::string to_string(const Size2& size) { return detail::concat(size[0], 'x', size[1]); }

}  // namespace amct_distill::nn

namespace amct_distill::detail {

/// std::copy for the some tens of values of a row: without a call, and without a loop for the last ones,
/// which are copied again where need be. The arrays do not overlap.
template <class T>
void copy_row(const T* from, nn::Index n, T* to) {
    constexpr nn::Index step = 8;
    if (n < step) {
        for (nn::Index i = 0; i < n; ++i) to[i] = from[i];
        return;
    }
    for (nn::Index i = 0; i < n - step; i += step) std::memcpy(to + i, from + i, step * sizeof(T));
    std::memcpy(to + n - step, from + n - step, step * sizeof(T));
}

/// to += from, in vectors that g++ at -O2 does not make by itself.
template <class T>
void add_row(const T* from, nn::Index n, T* to) {
    nn::Index i = 0;
#if defined(__GNUC__)
    typedef T vector __attribute__((vector_size(16)));
    for (constexpr nn::Index step = 16 / sizeof(T); i + step <= n; i += step) {
        vector a, b;
        std::memcpy(&a, from + i, sizeof a);
        std::memcpy(&b, to + i, sizeof b);
        b += a;
        std::memcpy(to + i, &b, sizeof b);
    }
#endif
    for (; i < n; ++i) to[i] += from[i];
}

struct Window {
    nn::Size2 input{};  ///< height and width of the image
    nn::Size2 kernel{1, 1};
    nn::Size2 stride{1, 1};
    nn::Size2 padding{0, 0};
    nn::Size2 dilation{1, 1};

    /// Positions of the window along `axis`, as PyTorch counts them; 0 or less when it does not fit.
    nn::Index output(std::size_t axis) const {
        nn::Index const room = input[axis] + 2 * padding[axis] - dilation[axis] * (kernel[axis] - 1) - 1;
        return room < 0 ? 0 : steps(axis, room) + 1;
    }
    nn::Index positions() const { return output(0) * output(1); }
    nn::Index taps() const { return kernel[0] * kernel[1]; }

    /// What tap `k` of the window at output 0 reads; at output `o` it is `o * stride` further on.
    nn::Index offset(std::size_t axis, nn::Index k) const { return k * dilation[axis] - padding[axis]; }

    /// n / stride: this is computed for every tap, and a division takes as long as copying a row of it.
    nn::Index steps(std::size_t axis, nn::Index n) const { return stride[axis] == 1 ? n : n / stride[axis]; }

    struct Range {
        nn::Index first = 0, last = 0;
    };
    /// The outputs [first, last) at which a tap with this offset reads inside the image, not the padding.
    Range inside(std::size_t axis, nn::Index offset) const {
        nn::Index const end = input[axis] - offset;  // o * stride in [-offset, end)
        nn::Index const last = end <= 0 ? 0 : (std::min)(steps(axis, end - 1) + 1, output(axis));
        nn::Index const first = offset >= 0 ? 0 : steps(axis, -offset + stride[axis] - 1);
        return {(std::min)(first, last), last};
    }
};

/// Calls f(y, x, last, k) for the parts in rows of the positions [first, first + n): columns [x, last) of
/// row y, the k-th and so on of them.
template <class F>
void for_each_row_of(const Window& w, nn::Index first, nn::Index n, F f) {
    nn::Index const cols = w.output(1);
    nn::Index y = first / cols, x = first % cols;
    for (nn::Index k = 0; k != n; x = 0, ++y) {
        nn::Index const last = (std::min)(cols, x + n - k);
        f(y, x, last, k);
        k += last - x;
    }
}

/// What tap (ky, kx) of the window sees of an image's plane at the positions [first, first + n); padding
/// reads as 0. A convolution is a matrix product whose second factor has these as rows.
template <class T>
void read_tap(const T* plane, const Window& w, nn::Index ky, nn::Index kx, nn::Index first, nn::Index n,
              T* line) {
    nn::Index const dy = w.offset(0, ky), dx = w.offset(1, kx), step = w.stride[1];
    auto const y_inside = w.inside(0, dy), x_inside = w.inside(1, dx);
    for_each_row_of(w, first, n, [&](nn::Index y, nn::Index x, nn::Index last, nn::Index k) {
        T* const to = line + k - x;
        if (y < y_inside.first || y >= y_inside.last) {
            std::fill(to + x, to + last, T(0));
            return;
        }
        const T* const from = plane + (y * w.stride[0] + dy) * w.input[1] + dx;
        nn::Index const begin = std::clamp(x_inside.first, x, last),
                        end = std::clamp(x_inside.last, begin, last);
        std::fill(to + x, to + begin, T(0));
        if (step == 1)
            copy_row(from + begin, end - begin, to + begin);
        else
            for (nn::Index i = begin; i != end; ++i) to[i] = from[i * step];
        std::fill(to + end, to + last, T(0));
    });
}

/// The transpose of `read_tap`: adds every value of the line to the pixel that it came from.
template <class T>
void add_tap(const T* line, const Window& w, nn::Index ky, nn::Index kx, nn::Index first, nn::Index n,
             T* plane) {
    nn::Index const dy = w.offset(0, ky), dx = w.offset(1, kx), step = w.stride[1];
    auto const y_inside = w.inside(0, dy), x_inside = w.inside(1, dx);
    for_each_row_of(w, first, n, [&](nn::Index y, nn::Index x, nn::Index last, nn::Index k) {
        if (y < y_inside.first || y >= y_inside.last) return;
        const T* const from = line + k - x;
        T* const to = plane + (y * w.stride[0] + dy) * w.input[1] + dx;
        nn::Index const begin = std::clamp(x_inside.first, x, last),
                        end = std::clamp(x_inside.last, begin, last);
        if (step == 1)
            add_row(from + begin, end - begin, to + begin);
        else
            for (nn::Index i = begin; i != end; ++i) to[i * step] += from[i];
    });
}

}  // namespace amct_distill::detail

// ---- amct_distill/nn/layers/weighted_layer.hpp

/// What Conv2d and Linear share: options, a weight and perhaps a bias, and the module's members around them.
///
///     class Linear : public detail::WeightedLayer<Linear, float, LinearOptions> {
///         ... output_shape, and
///         void forward_with(weight, input, output, scratch) const;    // with another weight than its own
///         void backward_with(weight, input, grad_output, grad_input, grad_weight, grad_bias, scratch) const;
///     };

namespace amct_distill::detail {

template <class Derived, class T, class Options>
class WeightedLayer {
public:
    const Options& options() const { return options_; }
    nn::BasicTensor<T>& weight() { return weight_; }
    const nn::BasicTensor<T>& weight() const { return weight_; }
    nn::BasicTensor<T>& bias() { return bias_; }
    const nn::BasicTensor<T>& bias() const { return bias_; }

    void parameters(std::vector<nn::BasicParameter<T>>& list) {
        list.push_back({"weight", nn::Role::weight, &weight_});
        if (options_.bias) list.push_back({"bias", nn::Role::bias, &bias_});
    }
    void forward(nn::BasicInputs<T> inputs, nn::BasicTensor<T>& output, nn::BasicScratch<T>& scratch,
                 nn::Mode) const {
        self().forward_with(weight_, *inputs[0], output, scratch);
    }
    void backward(nn::BasicInputs<T> inputs, const nn::BasicTensor<T>&, const nn::BasicTensor<T>& grad_output,
                  std::span<nn::BasicTensor<T>* const> grad_inputs,
                  std::span<nn::BasicTensor<T>> grad_parameters, nn::BasicScratch<T>& scratch,
                  nn::Mode) const {
        self().backward_with(weight_, *inputs[0], grad_output, grad_inputs[0], &grad_parameters[0],
                             options_.bias ? &grad_parameters[1] : nullptr, scratch);
    }

protected:
    explicit WeightedLayer(const Options& options) : options_(options) {}

    /// Zeros.
    void make(const nn::Shape& weight) {
        weight_.resize(weight);
        if (options_.bias) bias_.resize({weight[0]});
    }

private:
    const Derived& self() const { return static_cast<const Derived&>(*this); }

    Options options_;
    nn::BasicTensor<T> weight_{}, bias_{};
};

}  // namespace amct_distill::detail

// ---- amct_distill/nn/layers/conv2d.hpp

/// Two-dimensional convolution, [N, in, H, W] -> [N, out, H', W'], as torch.nn.Conv2d with zero padding.
///
///     Conv2d conv({.in_channels = 1, .out_channels = 8, .kernel = {3, 3}, .stride = {2, 2}});
///     conv.weight();   // [out, in / groups, kernel height, kernel width]
///     conv.bias();     // [out]; empty when the options say `.bias = false`
///
/// Each image and group is one matrix product; matrix_product.hpp says what its bits depend on. Measured
/// against Eigen's product of the same columns, and against a product per tap of images that are laid out
/// with their channels last (no columns, but twice a transposition): see tests/bench/conv.cpp.

namespace amct_distill::nn {

struct Conv2dOptions {
    Index in_channels = 0;
    Index out_channels = 0;
    Size2 kernel{1, 1};
    Size2 stride{1, 1};
    Size2 padding{0, 0};
    Size2 dilation{1, 1};
    Index groups = 1;
    bool bias = true;
    friend bool operator==(const Conv2dOptions&, const Conv2dOptions&) = default;
};

template <class T>
class BasicConv2d : public detail::WeightedLayer<BasicConv2d<T>, T, Conv2dOptions> {
public:
    static constexpr std::string_view type_name = "Conv2d";
    /// A module around this one that needs buffers of its own takes them from here on.
    static constexpr std::size_t scratch_tensors = 3;

    /// Weight and bias are 0; throws std::invalid_argument when the options make no sense.
    explicit BasicConv2d(const Conv2dOptions& options)
        : detail::WeightedLayer<BasicConv2d, T, Conv2dOptions>(options) {
        const auto& o = options;
        auto const least = [](const Size2& size, Index bound) {
            return size[0] >= bound && size[1] >= bound;
        };
        if (o.in_channels < 1 || o.out_channels < 1 || o.groups < 1 || !least(o.kernel, 1) ||
            !least(o.stride, 1) || !least(o.dilation, 1) || !least(o.padding, 0))
            throw std::invalid_argument(
                "Conv2d: channels, groups, kernel, stride, dilation must be at least 1, padding at least 0");
        if (o.in_channels % o.groups != 0 || o.out_channels % o.groups != 0)
            throw std::invalid_argument(detail::concat("Conv2d: ", o.groups, " groups must divide the ",
                                                       o.in_channels, " input and the ", o.out_channels,
                                                       " output channels"));
        this->make({o.out_channels, o.in_channels / o.groups, o.kernel[0], o.kernel[1]});
    }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].size() != 4 || inputs[0][1] != this->options().in_channels)
            return detail::unexpected_inputs(
                detail::concat("one input [N, ", this->options().in_channels, ", H, W]"), inputs);
        detail::Window const w = window(inputs[0]);
        if (w.positions() == 0)
            return detail::unexpected_inputs(
                detail::concat("an image that holds the kernel ", to_string(this->options().kernel),
                               " (padding ", to_string(this->options().padding), ", dilation ",
                               to_string(this->options().dilation), ")"),
                inputs);
        return Shape{inputs[0][0], this->options().out_channels, w.output(0), w.output(1)};
    }

    /// The convolution with other weights in the place of its own, such as quantized ones, and its own bias.
    void forward_with(const BasicTensor<T>& weight, const BasicTensor<T>& input, BasicTensor<T>& output,
                      BasicScratch<T>& scratch) const {
        Sizes const s = sizes(input);
        Index const step = s.outputs < few_outputs ? 16 * detail::product_cols : detail::product_cols;
        Index const blocks = detail::parts(s.positions, step);
        T* const buffers = scratch.buffer(0, detail::product_buffer);
        auto const set = scratch.execution().instructions;
        scratch.parallel_for(s.images * s.groups * blocks, s.work, [&](Index task, Index worker) {
            Index const first = task % blocks * step, image = task / blocks;
            Index const channel = image % s.groups * s.outputs;  // the first output of the group
            Index const n = (std::min)(step, s.positions - first);
            T* const y = output.data() + image * s.outputs * s.positions + first;
            for (Index c = 0; c != s.outputs; ++c)
                std::fill_n(y + c * s.positions, n,
                            this->options().bias ? this->bias().data()[channel + c] : T(0));
            const T* const x = input.data() + image * s.pixels;
            T* const buffer = buffers + worker * detail::product_buffer;
            if (s.outputs < few_outputs) {
                for (Index tap = 0; tap != s.taps; ++tap) {
                    s.read(x, tap, first, n, buffer);
                    for (Index c = 0; c != s.outputs; ++c)
                        detail::run_on(set, detail::add_scaled_loop<T>{
                                                buffer, weight.data()[(channel + c) * s.taps + tap],
                                                y + c * s.positions, n});
                }
                return;
            }
            detail::multiply<T>(
                set,
                {.c = y,
                 .c_stride = s.positions,
                 .a = weight.data() + channel * s.taps,
                 .a_stride = s.taps,
                 .rows = s.outputs,
                 .depth = s.taps,
                 .cols = n},
                [&](Index tap, T* line) {
                    s.read(x, tap, first, n, line);
                    return line;
                },
                buffers + worker * detail::product_buffer);
        });
    }

    /// The gradients of `forward_with`, added to those that are wanted (not null).
    void backward_with(const BasicTensor<T>& weight, const BasicTensor<T>& input,
                       const BasicTensor<T>& grad_output, BasicTensor<T>* grad_input,
                       BasicTensor<T>* grad_weight, BasicTensor<T>* grad_bias,
                       BasicScratch<T>& scratch) const {
        Sizes const s = sizes(input);
        if (grad_weight) add_weight_gradient(s, input, grad_output, *grad_weight, scratch);
        if (grad_bias) add_bias_gradient(s, grad_output, *grad_bias, scratch);
        if (grad_input) add_input_gradient(s, weight, grad_output, *grad_input, scratch);
    }

private:
    /// A batch as matrices: for each image and group, outputs x taps (the weights) times taps x positions
    /// (what the window sees) gives outputs x positions.
    struct Sizes {
        detail::Window window{};
        Index images = 0, groups = 0, channels = 0, outputs = 0, taps = 0, positions = 0;
        Index pixels = 0;  ///< of the channels of a group
        double work = 0;   ///< multiplications in all

        /// The row `tap` of taps x positions, columns [first, first + n), of an image's group.
        void read(const T* image, Index tap, Index first, Index n, T* line) const {
            Index const k = tap % window.taps();
            detail::read_tap(image + tap / window.taps() * window.input[0] * window.input[1], window,
                             k / window.kernel[1], k % window.kernel[1], first, n, line);
        }
        void add(const T* line, Index tap, Index first, Index n, T* image) const {
            Index const k = tap % window.taps();
            detail::add_tap(line, window, k / window.kernel[1], k % window.kernel[1], first, n,
                            image + tap / window.taps() * window.input[0] * window.input[1]);
        }
    };

    detail::Window window(const Shape& input) const {
        return {{input[2], input[3]},
                this->options().kernel,
                this->options().stride,
                this->options().padding,
                this->options().dilation};
    }
    Sizes sizes(const BasicTensor<T>& input) const {
        Sizes s{.window = window(input.shape())};
        s.images = input.dim(0);
        s.groups = this->options().groups;
        s.channels = this->options().in_channels / s.groups;
        s.outputs = this->options().out_channels / s.groups;
        s.taps = s.channels * s.window.taps();
        s.positions = s.window.positions();
        s.pixels = s.channels * input.dim(2) * input.dim(3);
        s.work = double(s.images * s.groups * s.outputs) * double(s.taps * s.positions);
        return s;
    }

    // Below, as in a depthwise convolution, panels would mostly hold what is not used.
    static constexpr Index few_outputs = 4;
    // Of a product for the weights' gradient.
    static constexpr Index gradient_taps = 576, gradient_positions = 128;

    /// taps x positions times positions x outputs, the sum over all images: the images go in parts, whose
    /// sums are added in the end, from the first to the last. How many parts there are depends on the sizes
    /// alone: at most 8, and at most 8 MB of them unless one is larger.
    void add_weight_gradient(const Sizes& s, const BasicTensor<T>& input, const BasicTensor<T>& grad_output,
                             BasicTensor<T>& grad_weight, BasicScratch<T>& scratch) const {
        auto const size = static_cast<Index>(grad_weight.size());
        Index const most = std::clamp((Index(8) << 20) / Index(sizeof(T)) / size, Index(1), Index(8));
        Index const in_part = detail::parts(s.images, (std::min)(most, s.images));  // images
        Index const image_parts = detail::parts(s.images, in_part);
        Index const tap_parts = detail::parts(s.taps, gradient_taps);
        Index const tap_step = detail::parts(s.taps, tap_parts);

        T* const sums = scratch.buffer(1, image_parts * size, 1);
        constexpr Index line_buffer = (gradient_taps + detail::product_cols) * gradient_positions;
        T* const lines = scratch.buffer(2, line_buffer);
        T* const buffers = scratch.buffer(0, detail::product_buffer);
        auto const set = scratch.execution().instructions;
        scratch.parallel_for(image_parts * s.groups * tap_parts, s.work, [&](Index task, Index worker) {
            Index const tap = task % tap_parts * tap_step, taps = (std::min)(tap_step, s.taps - tap);
            Index const group = task / tap_parts % s.groups, part = task / tap_parts / s.groups;
            T* const sum = sums + part * size + (group * s.taps + tap) * s.outputs;
            T* const columns = lines + worker * line_buffer;
            T* const transposed = columns + gradient_taps * gradient_positions;
            Index const last = (std::min)(s.images, (part + 1) * in_part);
            bool add = false;
            for (Index image = part * in_part; image != last; ++image)
                for (Index first = 0; first < s.positions; first += gradient_positions, add = true) {
                    Index const n = (std::min)(gradient_positions, s.positions - first);
                    const T* const x = input.data() + (image * s.groups + group) * s.pixels;
                    for (Index k = 0; k != taps; ++k)
                        s.read(x, tap + k, first, n, columns + k * gradient_positions);
                    const T* const g =
                        grad_output.data() + (image * s.groups + group) * s.outputs * s.positions + first;
                    if (s.outputs < few_outputs) {
                        for (Index k = 0; k != taps; ++k)
                            for (Index c = 0; c != s.outputs; ++c) {
                                T& to = sum[k * s.outputs + c];
                                T const dot =
                                    detail::run_on(set, detail::dot_loop<T>{columns + k * gradient_positions,
                                                                            g + c * s.positions, n});
                                to = add ? to + dot : dot;
                            }
                        continue;
                    }
                    for (Index out = 0; out < s.outputs; out += detail::product_cols) {
                        Index const outs = (std::min)(detail::product_cols, s.outputs - out);
                        detail::transpose(g + out * s.positions, s.positions, outs, n, transposed, outs);
                        detail::multiply<T>(
                            set,
                            {.c = sum + out,
                             .c_stride = s.outputs,
                             .a = columns,
                             .a_stride = gradient_positions,
                             .rows = taps,
                             .depth = n,
                             .cols = outs,
                             .add = add},
                            [&](Index k, T*) { return transposed + k * outs; },
                            buffers + worker * detail::product_buffer);
                    }
                }
        });
        scratch.parallel_for(s.groups * s.outputs, double(size) * double(image_parts), [&](Index out, Index) {
            T* const to = grad_weight.data() + out * s.taps;
            const T* const from = sums + out / s.outputs * s.taps * s.outputs + out % s.outputs;
            for (Index tap = 0; tap != s.taps; ++tap) {
                T sum = from[tap * s.outputs];
                for (Index part = 1; part != image_parts; ++part) sum += from[part * size + tap * s.outputs];
                to[tap] += sum;
            }
        });
    }

    void add_bias_gradient(const Sizes& s, const BasicTensor<T>& grad_output, BasicTensor<T>& grad_bias,
                           BasicScratch<T>& scratch) const {
        Index const outputs = this->options().out_channels;
        scratch.parallel_for(outputs, double(grad_output.size()), [&](Index c, Index) {
            double sum = 0;
            for (Index image = 0; image != s.images; ++image)
                sum += detail::sum_of(grad_output.data() + (image * outputs + c) * s.positions, s.positions);
            grad_bias.data()[c] += T(sum);
        });
    }

    /// taps x outputs times outputs x positions gives taps x positions, added to the pixels they came from.
    void add_input_gradient(const Sizes& s, const BasicTensor<T>& weight, const BasicTensor<T>& grad_output,
                            BasicTensor<T>& grad_input, BasicScratch<T>& scratch) const {
        T* const transposed = scratch.buffer(1, static_cast<Index>(weight.size()), 1);
        for (Index group = 0; group != s.groups; ++group)
            detail::transpose(weight.data() + group * s.outputs * s.taps, s.taps, s.outputs, s.taps,
                              transposed + group * s.outputs * s.taps, s.outputs);

        // Channels go in parts of some 144 taps.
        Index const step = std::clamp(Index(144) / s.window.taps(), Index(1), s.channels);
        Index const channel_parts = detail::parts(s.channels, step);
        Index const line_buffer = step * s.window.taps() * detail::product_cols;
        T* const lines = scratch.buffer(2, line_buffer);
        T* const buffers = scratch.buffer(0, detail::product_buffer);
        auto const set = scratch.execution().instructions;
        scratch.parallel_for(s.images * s.groups * channel_parts, s.work, [&](Index task, Index worker) {
            Index const channel = task % channel_parts * step, image = task / channel_parts;
            Index const tap = channel * s.window.taps();
            Index const taps = (std::min)(step, s.channels - channel) * s.window.taps();
            T* const columns = lines + worker * line_buffer;
            for (Index first = 0; first < s.positions; first += detail::product_cols) {
                Index const n = (std::min)(detail::product_cols, s.positions - first);
                const T* const g = grad_output.data() + image * s.outputs * s.positions + first;
                detail::multiply<T>(
                    set,
                    {.c = columns,
                     .c_stride = detail::product_cols,
                     .a = transposed + (image % s.groups * s.taps + tap) * s.outputs,
                     .a_stride = s.outputs,
                     .rows = taps,
                     .depth = s.outputs,
                     .cols = n,
                     .add = false},
                    [&](Index k, T*) { return g + k * s.positions; },
                    buffers + worker * detail::product_buffer);
                for (Index k = 0; k != taps; ++k)
                    s.add(columns + k * detail::product_cols, tap + k, first, n,
                          grad_input.data() + image * s.pixels);
            }
        });
    }
};

using Conv2d = BasicConv2d<float>;

}  // namespace amct_distill::nn

// ---- amct_distill/nn/layers/linear.hpp

/// A fully connected layer, [N, in] -> [N, out], as torch.nn.Linear.
///
///     Linear fc({.in_features = 64, .out_features = 10});
///     fc.weight();   // [out, in]
///     fc.bias();     // [out]; empty when the options say `.bias = false`

namespace amct_distill::nn {

struct LinearOptions {
    Index in_features = 0;
    Index out_features = 0;
    bool bias = true;
    friend bool operator==(const LinearOptions&, const LinearOptions&) = default;
};

template <class T>
class BasicLinear : public detail::WeightedLayer<BasicLinear<T>, T, LinearOptions> {
public:
    static constexpr std::string_view type_name = "Linear";
    /// A module around this one that needs buffers of its own takes them from here on.
    static constexpr std::size_t scratch_tensors = 3;

    /// Weight and bias are 0; throws std::invalid_argument when the options make no sense.
    explicit BasicLinear(const LinearOptions& options)
        : detail::WeightedLayer<BasicLinear, T, LinearOptions>(options) {
        if (options.in_features < 1 || options.out_features < 1)
            throw std::invalid_argument("Linear: in_features and out_features must be at least 1");
        this->make({options.out_features, options.in_features});
    }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        const LinearOptions& o = this->options();
        if (inputs.size() != 1 || inputs[0].size() != 2 || inputs[0][1] != o.in_features)
            return detail::unexpected_inputs(detail::concat("one input [N, ", o.in_features, "]"), inputs);
        return Shape{inputs[0][0], o.out_features};
    }

    /// The layer with other weights in the place of its own, such as quantized ones, and its own bias.
    void forward_with(const BasicTensor<T>& weight, const BasicTensor<T>& input, BasicTensor<T>& output,
                      BasicScratch<T>& scratch) const {
        // The outputs are computed transposed, out x n: so the weights, mostly the larger factor, stay as they
        // are.
        Index const n = input.dim(0), in = this->options().in_features, out = this->options().out_features;
        T* const transposed = scratch.buffer(1, in * n, 1);
        detail::transpose(input.data(), in, n, in, transposed, n);
        constexpr Index step = detail::product_cols;
        T* const results = scratch.buffer(2, step * step);
        T* const buffers = scratch.buffer(0, detail::product_buffer);
        auto const set = scratch.execution().instructions;
        scratch.parallel_for(
            detail::parts(out, step), double(n * in) * double(out), [&](Index task, Index worker) {
                Index const first = task * step, outs = (std::min)(step, out - first);
                T* const result = results + worker * step * step;
                for (Index i = 0; i < n; i += step) {
                    Index const cols = (std::min)(step, n - i);
                    detail::multiply<T>(
                        set,
                        {.c = result,
                         .c_stride = step,
                         .a = weight.data() + first * in,
                         .a_stride = in,
                         .rows = outs,
                         .depth = in,
                         .cols = cols,
                         .add = false},
                        [&](Index k, T*) { return transposed + k * n + i; },
                        buffers + worker * detail::product_buffer);
                    detail::transpose(result, step, outs, cols, output.data() + i * out + first, out);
                    if (this->options().bias)
                        for (Index row = i; row != i + cols; ++row)
                            for (Index o = first; o != first + outs; ++o)
                                output.data()[row * out + o] += this->bias().data()[o];
                }
            });
    }

    /// The gradients of `forward_with`, added to those that are wanted (not null).
    void backward_with(const BasicTensor<T>& weight, const BasicTensor<T>& input,
                       const BasicTensor<T>& grad_output, BasicTensor<T>* grad_input,
                       BasicTensor<T>* grad_weight, BasicTensor<T>* grad_bias,
                       BasicScratch<T>& scratch) const {
        Index const n = input.dim(0), in = this->options().in_features, out = this->options().out_features;
        const T* const g = grad_output.data();
        double const work = double(n * in) * double(out);
        T* const buffers = scratch.buffer(0, detail::product_buffer);
        auto const set = scratch.execution().instructions;
        // Both gradients have a row per output or sample and `in` columns, whose parts are products each.
        auto const multiply = [&](T* c, const T* a, Index depth, Index rows, const T* b, Index col,
                                  Index worker) {
            detail::multiply<T>(
                set,
                {.c = c + col,
                 .c_stride = in,
                 .a = a,
                 .a_stride = depth,
                 .rows = rows,
                 .depth = depth,
                 .cols = (std::min)(detail::product_cols, in - col)},
                [&](Index k, T*) { return b + k * in + col; }, buffers + worker * detail::product_buffer);
        };
        if (grad_weight) {
            constexpr Index step = 64;
            T* const transposed = scratch.buffer(1, out * n, 1);
            scratch.parallel_for(detail::parts(out, step), work, [&](Index task, Index worker) {
                Index const first = task * step, outs = (std::min)(step, out - first);
                detail::transpose(g + first, out, n, outs, transposed + first * n, n);
                for (Index col = 0; col < in; col += detail::product_cols)
                    multiply(grad_weight->data() + first * in, transposed + first * n, n, outs, input.data(),
                             col, worker);
            });
        }
        if (grad_bias)
            for (Index i = 0; i != n; ++i)
                for (Index o = 0; o != out; ++o) grad_bias->data()[o] += g[i * out + o];
        if (grad_input)
            scratch.parallel_for(detail::parts(in, detail::product_cols), work,
                                 [&](Index task, Index worker) {
                                     multiply(grad_input->data(), g, out, n, weight.data(),
                                              task * detail::product_cols, worker);
                                 });
    }
};

using Linear = BasicLinear<float>;

}  // namespace amct_distill::nn

// ---- amct_distill/plan/common_settings.hpp

/// The settings that algorithms have in common, found by their names; and an algorithm in one line.
///
///     describe(layer.weights);        // "arq_distill, INT4, channel_wise"
///     describe(layer.data);           // "ulq_quantize, INT8"

namespace amct_distill {
namespace detail {

/// The name of an enumerator; empty when the number is none.
template <class E>
requires requires(E value) { enumerators(value); }
std::string_view name_of(E value) {
    for (const auto& [name, number] : enumerators(value))
        if (number == value) return name;
    return {};
}

template <class M>
concept has_dst_type = requires(const M& message) {
    name_of(message.dst_type.get());
};
template <class M>
concept has_channel_wise = requires(const M& message) {
    message.channel_wise.get();
};

/// One scale per output channel? Without the setting: one in all.
template <class M>
bool wants_channels(const M& message) {
    if constexpr (has_channel_wise<M>)
        return message.channel_wise.get();
    else
        return false;
}
template <class Alternatives>
bool wants_channels(const oneof<Alternatives>& algorithm) {
    return std::visit([](const auto& message) { return wants_channels(message); }, algorithm.value());
}

/// "INT4", "INT8"; empty without the setting.
template <class Alternatives>
std::string_view width_of(const oneof<Alternatives>& algorithm) {
    return std::visit(
        []<class M>(const M& message) -> std::string_view {
            if constexpr (has_dst_type<M>)
                return name_of(message.dst_type.get());
            else
                return {};
        },
        algorithm.value());
}

}  // namespace detail

/// The algorithm's name, its width and its granularity, as far as it has them; "" when none is set.
template <class Alternatives>
std::string describe(const oneof<Alternatives>& algorithm) {
    std::string_view const width = detail::width_of(algorithm);
    return std::visit(
        [&]<class M>(const M& message) {
            std::string_view granularity;
            if constexpr (detail::has_channel_wise<M>)
                granularity = detail::wants_channels(message) ? ChannelWise::name : TensorWise::name;
            return detail::concat(algorithm.name(), width.empty() ? "" : ", ", width,
                                  granularity.empty() ? "" : ", ", granularity);
        },
        algorithm.value());
}

}  // namespace amct_distill

// ---- amct_distill/plan/provenance.hpp

/// Where a setting of a plan came from: a place in the configuration, or a default.
///
///     layer.weights_from["dst_type"].text;        // "distill_override_layers[1] at 41:9"
///     layer.data_from["fixed_min"].text;          // "default: behind ReLU `relu1`"
///     plan.batch_num.from.by_user;                // false: nobody said

namespace amct_distill {

/// Where a setting came from.
struct Provenance {
    /// For people: "default", "default: behind ReLU `relu1`", "distill_weight_quant_config at 12:3"; without
    /// " at ..." when the configuration was built in C++.
    std::string text = "default";
    bool by_user = false;  ///< the configuration says so
    Position where{};      ///< of the field in the configuration's text
    friend bool operator==(const Provenance&, const Provenance&) = default;
};

template <class T>
struct PlannedValue {
    T value{};
    Provenance from{};
    friend bool operator==(const PlannedValue&, const PlannedValue&) = default;
};

/// Where the settings of a layer's algorithm came from: the algorithm itself, and each field of its message.
struct AlgorithmProvenance {
    Provenance algo{};
    std::vector<std::pair<std::string_view, Provenance>> settings{};  ///< in the message's order

    /// Throws std::invalid_argument when the algorithm has no such setting.
    const Provenance& operator[](std::string_view name) const {
        for (const auto& [setting, from] : settings)
            if (setting == name) return from;
        throw std::invalid_argument(detail::concat("AlgorithmProvenance: the algorithm has no setting `",
                                                   name, "`; ask for a field of its message"));
    }
    friend bool operator==(const AlgorithmProvenance&, const AlgorithmProvenance&) = default;
};

namespace detail {

/// The first position that is one.
constexpr Position either(Position exact, Position fallback) { return exact.line != 0 ? exact : fallback; }

/// "distill_group[0] at 3:1"
inline Provenance said_by(std::string_view what, Position where) {
    if (where.line == 0) return {std::string(what), true, where};
    return {concat(what, " at ", where.line, ':', where.column), true, where};
}

/// An element of a repeated field: what messages call it, and where it was read.
inline std::string element(std::string_view list, std::size_t i) { return concat(list, '[', i, ']'); }
template <class List>
Position position_in(const List& list, std::size_t i) {
    if constexpr (requires { list.position(i); })
        return list.position(i);
    else
        return {};
}

}  // namespace detail
}  // namespace amct_distill

// ---- amct_distill/plan/plan.hpp

/// What will be done to a network: every quantizable layer's settings, none left open, and the blocks that
/// are distilled one after the other.
///
///     for (const auto& layer : plan.layers)
///         std::cout << layer.name << ": " << describe(layer.weights);   // "arq_distill, INT8, channel_wise"
///     plan.layers[0].weights_from["dst_type"].text;   // "distill_override_layers[1] at 41:9"
///
/// Made by resolve(), which is in resolve.hpp.

namespace amct_distill {

/// A layer that can be quantized. Of its algorithms' settings `dst_type`, `channel_wise` and `fixed_min` are
/// always set; `clip_max_min` is set only when the user did, and without it IFMR computes the clips.
template <class Algorithms>
struct BasicPlannedLayer {
    std::string name{};
    std::string type{};      ///< "Conv2d" or "Linear"
    std::size_t module = 0;  ///< index into Topology::modules
    std::size_t node = 0;    ///< index into Topology::nodes
    bool quant_enable = true;
    Provenance quant_enable_from{};
    oneof<typename Algorithms::data> data{};
    AlgorithmProvenance data_from{};
    oneof<typename Algorithms::weights> weights{};
    AlgorithmProvenance weights_from{};
    std::optional<std::size_t> block{};  ///< index into BasicDistillPlan::blocks; none: it is not distilled
};

/// Nodes in a row that are distilled together.
struct PlannedBlock {
    std::vector<std::size_t> nodes{};  ///< indices into Topology::nodes, each reading the one before
    std::vector<std::string> names{};  ///< of their modules
    Provenance from{};                 ///< "distill_group[0] at 3:1", or "default"
    friend bool operator==(const PlannedBlock&, const PlannedBlock&) = default;
};

template <class Algorithms = standard_algorithms>
struct BasicDistillPlan {
    using algorithms = Algorithms;

    PlannedValue<std::uint32_t> batch_num{1, {}};
    PlannedValue<std::uint32_t> group_size{1, {}};
    PlannedValue<bool> data_dump{};
    std::vector<BasicPlannedLayer<Algorithms>> layers{};  ///< every quantizable layer, in definition order
    std::vector<PlannedBlock> blocks{};                   ///< in graph order
};

using PlannedLayer = BasicPlannedLayer<standard_algorithms>;
using DistillPlan = BasicDistillPlan<>;

}  // namespace amct_distill

// ---- amct_distill/plan/quantizer_lists.hpp

/// The quantizers that an algorithm list can name, as a variant type.
///
///     weight_quantizer_variant<standard_algorithms>         // std::variant<Arq<Int4, ChannelWise>, ...>
///     activation_quantizer_variant<standard_algorithms>     // std::variant<ActUlq<Int4>, ActUlq<Int8>>
///
/// A message names its quantizer by a member template `quantizer<Bits, Granularity>` (weights) or
/// `quantizer<Bits>` (activations). The types may be incomplete here: they are only named.

namespace amct_distill {
namespace detail {

template <class...>
struct type_list {};

template <class... Lists>
struct joined {
    using type = type_list<>;
};
template <class... A>
struct joined<type_list<A...>> {
    using type = type_list<A...>;
};
template <class... A, class... B, class... Rest>
struct joined<type_list<A...>, type_list<B...>, Rest...> : joined<type_list<A..., B...>, Rest...> {};

template <class Done, class... Rest>
struct distinct {
    using type = Done;
};
template <class... Done, class T, class... Rest>
struct distinct<type_list<Done...>, T, Rest...>
    : distinct<
          std::conditional_t<(std::is_same_v<Done, T> || ...), type_list<Done...>, type_list<Done..., T>>,
          Rest...> {};

/// A quantizer, and the message that names it.
template <class Quantizer, class Message>
struct choice {
    using quantizer = Quantizer;
    using message = Message;
};
/// All that a message can name.
template <class M>
struct weight_choices {
    using type = type_list<choice<typename M::template quantizer<Int4, ChannelWise>, M>,
                           choice<typename M::template quantizer<Int4, TensorWise>, M>,
                           choice<typename M::template quantizer<Int8, ChannelWise>, M>,
                           choice<typename M::template quantizer<Int8, TensorWise>, M>>;
};
template <class M>
struct activation_choices {
    using type = type_list<choice<typename M::template quantizer<Int4>, M>,
                           choice<typename M::template quantizer<Int8>, M>>;
};
template <template <class> class Choices, class Alternatives,
          class = std::make_index_sequence<reflect::field_count<Alternatives>>>
struct all_choices;
template <template <class> class Choices, class Alternatives, std::size_t... I>
struct all_choices<Choices, Alternatives, std::index_sequence<I...>>
    : joined<typename Choices<reflect::field_type<Alternatives, I>>::type...> {};
template <class Alternatives>
using all_weight_choices = typename all_choices<weight_choices, Alternatives>::type;
template <class Alternatives>
using all_activation_choices = typename all_choices<activation_choices, Alternatives>::type;

template <class... C>
typename distinct<type_list<>, typename C::quantizer...>::type quantizers_in(type_list<C...>);
template <class Quantizers>
struct variant_of;
template <class... Q>
struct variant_of<type_list<Q...>> {
    using type = std::variant<Q...>;
};

}  // namespace detail

/// Every weight quantizer that an algorithm list can name, each once: what a student's layer holds.
template <class Algorithms>
using weight_quantizer_variant = typename detail::variant_of<decltype(detail::quantizers_in(
    detail::all_weight_choices<typename Algorithms::weights>{}))>::type;
template <class Algorithms>
using activation_quantizer_variant = typename detail::variant_of<decltype(detail::quantizers_in(
    detail::all_activation_choices<typename Algorithms::data>{}))>::type;

}  // namespace amct_distill

// ---- amct_distill/plan/select.hpp

/// From a layer's resolved settings to its quantizer's type: the one step from run time to compile time.
///
///     visit_weight_quantizer(layer.weights, [&]<class Q>(std::type_identity<Q>, const auto& message) {
///         use<Q>(message);                       // Q is Arq<Int4, ChannelWise>, Ulq<Int8, TensorWise>, ...
///     }).value();
///     using engine = supports<Arq<Int8, ChannelWise>, ActUlq<Int8>>;
///     visit_weight_quantizer<engine>(layer.weights, f);   // an error for any other; f is not instantiated
///
/// The quantizers may be incomplete types here: they are only named.

namespace amct_distill {
namespace detail {

/// What `f` returns, as a result: asked of the first quantizer that is supported.
template <class Supported, class F, class... C>
struct answer {
    static_assert(
        sizeof...(C) != 0,
        "visit_..._quantizer: the engine supports none of the quantizers that the algorithm list can "
        "name; add one to supports<...>");
};
template <class R>
struct as_result {
    using type = result<R>;
};
template <class R>
struct as_result<result<R>> {
    using type = result<R>;
};
template <class Supported, class F, class First, class... Rest>
struct answer<Supported, F, First, Rest...> : answer<Supported, F, Rest...> {};
template <class Supported, class F, class First, class... Rest>
requires(Supported::template has<typename First::quantizer>) struct answer<Supported, F, First, Rest...>
    : as_result<std::invoke_result_t<F&, std::type_identity<typename First::quantizer>,
                                     const typename First::message&>> {
};
template <class Supported, class F, class... C>
typename answer<Supported, F, C...>::type answer_to(type_list<C...>);

/// Adds what an engine has of a message's quantizers, as describe() says it.
template <class Supported, class M, class B, class G>
void add_supported(std::string_view name, std::vector<std::string>& all) {
    bool supported = false;
    if constexpr (requires { typename M::template quantizer<B, G>; })
        supported = Supported::template has<typename M::template quantizer<B, G>>;
    else
        supported = Supported::template has<typename M::template quantizer<B>>;
    if (!supported) return;
    std::string one = concat('`', name, has_dst_type<M> ? concat(", ", B::name) : "",
                             has_channel_wise<M> ? concat(", ", G::name) : "", '`');
    if (std::find(all.begin(), all.end(), one) == all.end()) all.push_back(std::move(one));
}
/// All that it has of an algorithm list: "`arq_distill, INT8, channel_wise`, `...`".
template <class Supported, class Alternatives>
std::string names_of_supported() {
    std::vector<std::string> all;
    const auto& names = reflect::field_names<Alternatives>;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        (add_supported<Supported, reflect::field_type<Alternatives, I>, Int4, ChannelWise>(names[I], all),
         ...);
        (add_supported<Supported, reflect::field_type<Alternatives, I>, Int4, TensorWise>(names[I], all),
         ...);
        (add_supported<Supported, reflect::field_type<Alternatives, I>, Int8, ChannelWise>(names[I], all),
         ...);
        (add_supported<Supported, reflect::field_type<Alternatives, I>, Int8, TensorWise>(names[I], all),
         ...);
    }
    (std::make_index_sequence<reflect::field_count<Alternatives>>{});
    std::string text;
    for (const std::string& one : all) append(text, concat(text.empty() ? "" : ", ", one));
    return text;
}

/// Runs `f` for one quantizer, or says that the engine does not have it, and what it has.
template <class Supported, class Answer, class Quantizer, class Alternatives, class M, class F>
Answer run_for(const oneof<Alternatives>& resolved, const M& message, F& f) {
    if constexpr (!Supported::template has<Quantizer>) {
        return general_error(concat("`", describe(resolved), "` is not what this engine runs; it has ",
                                    names_of_supported<Supported, Alternatives>(),
                                    "; choose one of them for the layer, or skip it with quant_skip_layers"));
    } else if constexpr (std::is_void_v<std::invoke_result_t<F&, std::type_identity<Quantizer>, const M&>>) {
        f(std::type_identity<Quantizer>{}, message);
        return {};
    } else {
        return f(std::type_identity<Quantizer>{}, message);
    }
}

template <class M>
bool wants_int4(const M& message) {
    if constexpr (requires { message.dst_type.get() == DataType::INT4; })
        return message.dst_type.get() == DataType::INT4;
    else
        return false;
}

}  // namespace detail

/// Calls `f(std::type_identity<Quantizer>{}, message)` for the quantizer that a layer's resolved weights ask
/// for. `f` returns the same type for all; it comes back as a result of that type (of void for void). Error:
/// the quantizer is not in `Supported`. A message without `dst_type` means INT8, without `channel_wise` one
/// scale.
template <class Supported = supports_all, class Alternatives, class F>
auto visit_weight_quantizer(const oneof<Alternatives>& resolved, F&& f) {
    using Answer = decltype(detail::answer_to<Supported, F>(detail::all_weight_choices<Alternatives>{}));
    return std::visit(
        [&]<class M>(const M& message) -> Answer {
            if constexpr (std::is_same_v<M, std::monostate>) {
                return general_error("no weight algorithm is set; take the message from a resolved plan");
            } else {
                auto const with = [&]<class B, class G>(B, G) -> Answer {
                    return detail::run_for<Supported, Answer, typename M::template quantizer<B, G>>(
                        resolved, message, f);
                };
                bool const channels = detail::wants_channels(message);
                if (detail::wants_int4(message))
                    return channels ? with(Int4{}, ChannelWise{}) : with(Int4{}, TensorWise{});
                return channels ? with(Int8{}, ChannelWise{}) : with(Int8{}, TensorWise{});
            }
        },
        resolved.value());
}

/// The same for a layer's activations.
template <class Supported = supports_all, class Alternatives, class F>
auto visit_activation_quantizer(const oneof<Alternatives>& resolved, F&& f) {
    using Answer = decltype(detail::answer_to<Supported, F>(detail::all_activation_choices<Alternatives>{}));
    return std::visit(
        [&]<class M>(const M& message) -> Answer {
            if constexpr (std::is_same_v<M, std::monostate>) {
                return general_error("no activation algorithm is set; take the message from a resolved plan");
            } else {
                if (detail::wants_int4(message))
                    return detail::run_for<Supported, Answer, typename M::template quantizer<Int4>>(
                        resolved, message, f);
                return detail::run_for<Supported, Answer, typename M::template quantizer<Int8>>(resolved,
                                                                                                message, f);
            }
        },
        resolved.value());
}

}  // namespace amct_distill

// ---- amct_distill/student/layer_quantizers.hpp

/// The quantizers of one layer of a student: one for its weights, one for its input, and the input's
/// calibrator while it lasts.
///
///     LayerQuantizers<standard_algorithms> q = ...;       // make_student() makes them
///     q.observe(batch);  q.finish_calibration();          // IFMR; not with clips from the configuration
///     q.data_clip();  q.weight_scales(w);  q.weight_policy();   // "arq_distill, INT4, channel_wise"
///
/// What they train lives in tensors, so that one optimizer serves all parameters; `constrain()`, which
/// follows each of its steps, brings both together.

namespace amct_distill {
namespace detail {

/// A weight as its quantizer sees it: a row per output channel.
inline nn::MatrixMap<float> weight_matrix(nn::Tensor& w) {
    return nn::matrix(w, w.dim(0), static_cast<nn::Index>(w.size()) / w.dim(0));
}
inline nn::ConstMatrixMap<float> weight_matrix(const nn::Tensor& w) {
    return nn::matrix(w, w.dim(0), static_cast<nn::Index>(w.size()) / w.dim(0));
}

/// The diagnostics of what a layer was given, with its name.
inline Diagnostics of_layer(std::string_view layer, Diagnostics all) {
    for (Diagnostic& d : all) d.message = concat("layer `", layer, "`: ", d.message);
    return all;
}

inline void copy_to(std::span<const float> from, nn::Tensor& to) {
    to.resize({static_cast<nn::Index>(from.size())});
    std::copy(from.begin(), from.end(), to.data());
}

/// What a quantizer computes, on some threads where it can use them (the concepts do not ask for it).
template <class Q, class In, class Out>
void fake_quantize_on(const Execution& on, const Q& q, const In& in, const Out& out) {
    if constexpr (requires { q.fake_quantize(in, out, on); })
        q.fake_quantize(in, out, on);
    else
        q.fake_quantize(in, out);
}
template <class Q, class In, class Out>
void backward_on(const Execution& on, const Q& q, const In& in, const In& grad_out, const Out& grad_in,
                 std::span<float> grad_parameters) {
    if constexpr (requires { q.backward(in, grad_out, grad_in, grad_parameters, on); })
        q.backward(in, grad_out, grad_in, grad_parameters, on);
    else
        q.backward(in, grad_out, grad_in, grad_parameters);
}

/// An activation quantizer, and the calibrator that finds its first clips. What a calibrator has observed can
/// be large and need not be copyable: a copy begins its calibration anew.
template <ActivationQuantizer Q>
struct calibrated {
    Q quantizer{};
    typename Q::calibrator calibrator{};

    explicit calibrated(Q q = {}) : quantizer(std::move(q)) {}
    calibrated(const calibrated& other) : quantizer(other.quantizer) {}
    calibrated(calibrated&&) = default;
    calibrated& operator=(calibrated&&) = default;
    calibrated& operator=(const calibrated& other) { return *this = calibrated(other); }
    ~calibrated() = default;
};
template <class>
struct with_calibrators;
template <class... Q>
struct with_calibrators<std::variant<Q...>> {
    using type = std::variant<calibrated<Q>...>;
};

}  // namespace detail

template <class Algorithms>
class LayerQuantizers {
public:
    /// The quantizers that a plan's layer asks for. Error: the weights are empty or not finite.
    static result<LayerQuantizers> make(const BasicPlannedLayer<Algorithms>& layer,
                                        const nn::Tensor& weight) {
        LayerQuantizers q;
        q.weight_policy_ = describe(layer.weights);
        q.data_policy_ = describe(layer.data);
        auto const weights =
            visit_weight_quantizer(layer.weights, [&]<class Q>(std::type_identity<Q>, const auto& settings) {
                static_assert(WeightQuantizer<Q>);
                return q.weights_.template emplace<Q>(made_from<Q>(settings))
                    .initialize(detail::weight_matrix(weight));
            });
        if (!weights) return detail::of_layer(layer.name, weights.diagnostics());
        auto const data = visit_activation_quantizer(
            layer.data, [&]<class Q>(std::type_identity<Q>, const auto& settings) -> result<void> {
                static_assert(ActivationQuantizer<Q>);
                auto& held = q.data_.template emplace<detail::calibrated<Q>>();
                if constexpr (requires { settings.fixed_min.get(); }) q.fixed_min_ = settings.fixed_min.get();
                if constexpr (requires { settings.clip_max_min->clip_max; }) {
                    if (settings.clip_max_min.has_value()) {
                        held.quantizer =
                            Q(ClipRange{*settings.clip_max_min->clip_max, *settings.clip_max_min->clip_min},
                              q.fixed_min_);
                        q.is_calibrated_ = q.has_user_clips_ = true;
                    }
                }
                return {};
            });
        if (!data) return detail::of_layer(layer.name, data.diagnostics());
        q.take_parameters();
        return q;
    }

    // ---- calibration of the input

    /// Whether the input is quantized: after calibration, or from the start with clips of the user's.
    bool is_calibrated() const { return is_calibrated_; }
    bool has_user_clips() const { return has_user_clips_; }
    /// One batch of the layer's inputs. Errors: it is empty or not finite.
    result<void> observe(std::span<const float> x) {
        return std::visit([&](auto& held) { return held.calibrator.observe(x); }, data_);
    }
    /// Takes the clips that the calibrator found, and drops what it has kept.
    result<void> finish_calibration() {
        return std::visit(
            [&]<class Q>(detail::calibrated<Q>& held) -> result<void> {
                auto const found = held.calibrator.finish();
                if (!found) return found.diagnostics();
                held = detail::calibrated<Q>(Q(found->clip, fixed_min_));
                is_calibrated_ = true;
                take_parameters();
                return {};
            },
            data_);
    }

    // ---- what a layer computes

    void quantize_weight(const nn::Tensor& w, nn::Tensor& out, const Execution& on = {}) const {
        out.resize(w.shape());
        std::visit(
            [&](const auto& q) {
                detail::fake_quantize_on(on, q, detail::weight_matrix(w), detail::weight_matrix(out));
            },
            weights_);
    }
    void quantize_data(const nn::Tensor& x, nn::Tensor& out, const Execution& on = {}) const {
        out.resize(x.shape());
        std::visit(
            [&](const auto& held) { detail::fake_quantize_on(on, held.quantizer, x.span(), out.span()); },
            data_);
    }
    /// From the gradient of the quantized weight: grad_w is written, grad_scales added to.
    void weight_backward(const nn::Tensor& w, const nn::Tensor& grad_out, nn::Tensor& grad_w,
                         nn::Tensor* grad_scales, nn::Tensor& buffer, const Execution& on = {}) const {
        grad_w.resize(w.shape());
        buffer.resize(scales_.shape());
        std::visit(
            [&](const auto& q) {
                detail::backward_on(on, q, detail::weight_matrix(w), detail::weight_matrix(grad_out),
                                    detail::weight_matrix(grad_w), buffer.span());
            },
            weights_);
        for (std::size_t i = 0; i != buffer.size(); ++i) (*grad_scales)[i] += buffer[i];
    }
    /// From the gradient of the quantized input: grad_x is written, grad_clips added to.
    void data_backward(const nn::Tensor& x, const nn::Tensor& grad_out, nn::Tensor& grad_x,
                       nn::Tensor& grad_clips, nn::Tensor& buffer, const Execution& on = {}) const {
        grad_x.resize(x.shape());
        buffer.resize(clips_.shape());
        std::visit(
            [&](const auto& held) {
                detail::backward_on(on, held.quantizer, x.span(), grad_out.span(), grad_x.span(),
                                    buffer.span());
            },
            data_);
        for (std::size_t i = 0; i != buffer.size(); ++i) grad_clips[i] += buffer[i];
    }

    // ---- what is trained

    /// "clips" of the input (once calibrated) and "scales" of the weights, when there are any to train.
    void append_parameters(std::vector<nn::BasicParameter<float>>& out) {
        if (!scales_.empty()) out.push_back({"scales", nn::Role::scale, &scales_});
        if (!clips_.empty()) out.push_back({"clips", nn::Role::clip, &clips_});
    }
    bool trains_scales() const { return !scales_.empty(); }
    bool trains_clips() const { return !clips_.empty(); }

    /// After a change of the parameters: the quantizers take them, repair them, and hand them back.
    void constrain() {
        std::visit([&](auto& q) { exchange(q, scales_); }, weights_);
        if (is_calibrated_) std::visit([&](auto& held) { exchange(held.quantizer, clips_); }, data_);
    }

    /// Takes the parameters as another layer's `constrain` left them, also where no repair from here would
    /// lead there.
    void restore() {
        nn::Tensor const scales = scales_, clips = clips_;
        constrain();
        scales_ = scales;
        clips_ = clips;
        auto const take = [](auto& q, const nn::Tensor& values) {
            std::copy(values.begin(), values.end(), q.parameters().begin());
        };
        std::visit([&](auto& q) { take(q, scales_); }, weights_);
        if (is_calibrated_) std::visit([&](auto& held) { take(held.quantizer, clips_); }, data_);
    }

    // ---- what there is to report

    const std::string& weight_policy() const {
        return weight_policy_;
    }                                                                ///< "arq_distill, INT4, channel_wise"
    const std::string& data_policy() const { return data_policy_; }  ///< "ulq_quantize, INT8"
    int weight_bits() const {
        return std::visit([]<class Q>(const Q&) { return Q::bits::width; }, weights_);
    }
    int data_bits() const {
        return std::visit([]<class Q>(const detail::calibrated<Q>&) { return Q::bits::width; }, data_);
    }
    std::vector<ScaleOffset> weight_scales(const nn::Tensor& w) const {
        return std::visit([&](const auto& q) { return q.scale_offsets(detail::weight_matrix(w)); }, weights_);
    }
    result<QuantizedMatrix> weight_codes(const nn::Tensor& w) const {
        return std::visit([&](const auto& q) { return q.quantize(detail::weight_matrix(w)); }, weights_);
    }
    ClipRange data_clip() const {
        return std::visit([](const auto& held) { return held.quantizer.clip(); }, data_);
    }
    ScaleOffset data_scale() const {
        return std::visit([](const auto& held) { return held.quantizer.scale_offset(); }, data_);
    }
    bool fixed_min() const { return fixed_min_; }

private:
    LayerQuantizers() = default;

    /// A quantizer may take its settings from its message; most have none of their own.
    template <class Q, class Message>
    static Q made_from([[maybe_unused]] const Message& settings) {
        if constexpr (std::is_constructible_v<Q, const Message&>)
            return Q(settings);
        else
            return Q{};
    }
    template <class Q>
    static void exchange(Q& q, nn::Tensor& values) {
        std::span<float> const own = q.parameters();
        std::copy(values.begin(), values.end(), own.begin());
        q.constrain();
        std::copy(own.begin(), own.end(), values.begin());
    }
    void take_parameters() {
        std::visit([&](const auto& q) { detail::copy_to(q.parameters(), scales_); }, weights_);
        if (is_calibrated_)
            std::visit([&](const auto& held) { detail::copy_to(held.quantizer.parameters(), clips_); },
                       data_);
    }

    weight_quantizer_variant<Algorithms> weights_{};
    typename detail::with_calibrators<activation_quantizer_variant<Algorithms>>::type data_{};
    nn::Tensor scales_{}, clips_{};  // the quantizers' parameters(), for the optimizer
    std::string weight_policy_{}, data_policy_{};
    bool fixed_min_ = false, is_calibrated_ = false, has_user_clips_ = false;
};

}  // namespace amct_distill

// ---- amct_distill/student/quantized_layer.hpp

/// A Conv2d or Linear that quantizes its input and its weights before it computes: a module like any other.
///
///     QuantizedLayer<nn::Conv2d> layer(conv, quantizers);
///     layer.layer();        // the float layer: its weights are the master that training changes
///     layer.quantizers();   // see layer_quantizers.hpp
///
/// forward:  y = layer(Q_data(x), Q_weights(w));  backward: straight through the rounding, as the quantizers
/// say. The float weights are never overwritten, so that updates smaller than half a step add up.

namespace amct_distill {

template <class Layer, class Algorithms = standard_algorithms>
class QuantizedLayer {
public:
    static constexpr std::string_view type_name = Layer::type_name;

    QuantizedLayer(Layer layer, LayerQuantizers<Algorithms> quantizers)
        : layer_(std::move(layer)), quantizers_(std::move(quantizers)) {}

    const Layer& layer() const { return layer_; }
    Layer& layer() { return layer_; }
    const LayerQuantizers<Algorithms>& quantizers() const { return quantizers_; }
    LayerQuantizers<Algorithms>& quantizers() { return quantizers_; }

    /// Those of the float layer, then "scales" and "clips" where they are trained.
    void parameters(std::vector<nn::BasicParameter<float>>& list) {
        layer_.parameters(list);
        quantizers_.append_parameters(list);
    }
    void constrain() { quantizers_.constrain(); }

    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const {
        return layer_.output_shape(inputs);
    }

    void forward(nn::Inputs inputs, nn::Tensor& output, nn::Scratch& scratch, nn::Mode) const {
        quantizers_.quantize_weight(layer_.weight(), scratch.tensor(quantized_weight), scratch.execution());
        layer_.forward_with(scratch.tensor(quantized_weight), input_of(*inputs[0], scratch), output, scratch);
    }

    void backward(nn::Inputs inputs, const nn::Tensor&, const nn::Tensor& grad_output,
                  std::span<nn::Tensor* const> grad_inputs, std::span<nn::Tensor> grad_parameters,
                  nn::Scratch& scratch, nn::Mode) const {
        const nn::Tensor& x = *inputs[0];
        nn::Tensor* const grad_x = grad_inputs[0];
        bool const bias = layer_.options().bias, scales = quantizers_.trains_scales();
        std::size_t const scales_at = bias ? 2 : 1, clips_at = scales_at + (scales ? 1 : 0);
        bool const needs_data = quantizers_.trains_clips() || grad_x != nullptr;

        nn::Tensor& weight = scratch.tensor(quantized_weight);
        quantizers_.quantize_weight(layer_.weight(), weight, scratch.execution());
        const nn::Tensor& input = input_of(x, scratch);
        nn::Tensor& grad_weight = zeros(scratch.tensor(weight_gradient), weight.shape());
        nn::Tensor* grad_data = nullptr;
        if (needs_data) grad_data = &zeros(scratch.tensor(data_gradient), x.shape());
        layer_.backward_with(weight, input, grad_output, grad_data, &grad_weight,
                             bias ? &grad_parameters[1] : nullptr, scratch);

        nn::Tensor& through = scratch.tensor(straight_through);
        nn::Tensor& few = scratch.tensor(few_gradients);
        quantizers_.weight_backward(layer_.weight(), grad_weight, through,
                                    scales ? &grad_parameters[scales_at] : nullptr, few, scratch.execution());
        nn::array(grad_parameters[0]) += nn::array(through);
        if (!needs_data) return;
        if (quantizers_.trains_clips()) {
            quantizers_.data_backward(x, *grad_data, through, grad_parameters[clips_at], few,
                                      scratch.execution());
            grad_data = &through;
        }
        if (grad_x != nullptr) nn::array(*grad_x) += nn::array(*grad_data);
    }

private:
    // Buffers of the node that lie behind the layer's own.
    static constexpr std::size_t quantized_weight = Layer::scratch_tensors,
                                 quantized_data = quantized_weight + 1,
                                 weight_gradient = quantized_weight + 2, data_gradient = quantized_weight + 3,
                                 straight_through = quantized_weight + 4,
                                 few_gradients = quantized_weight + 5;

    static nn::Tensor& zeros(nn::Tensor& t, const nn::Shape& shape) {
        t.resize(shape);
        t.fill(0);
        return t;
    }
    const nn::Tensor& input_of(const nn::Tensor& x, nn::Scratch& scratch) const {
        if (!quantizers_.is_calibrated()) return x;
        quantizers_.quantize_data(x, scratch.tensor(quantized_data), scratch.execution());
        return scratch.tensor(quantized_data);
    }

    Layer layer_;
    LayerQuantizers<Algorithms> quantizers_;
};

}  // namespace amct_distill

// ---- amct_distill/student/student.hpp

/// A copy of a network whose planned layers quantize.
///
///     Student student = make_student(teacher, plan).value();
///     calibrate(student, batches).value();
///     Tensor logits = student.predict(images);
///     student.quantizers("conv1")->data_clip();

namespace amct_distill {

template <class Algorithms = standard_algorithms>
class BasicStudent {
public:
    using algorithms = Algorithms;

    /// Use make_student().
    BasicStudent(nn::Network network, BasicDistillPlan<Algorithms> plan)
        : network_(std::move(network)), plan_(std::move(plan)) {}

    const nn::Network& network() const { return network_; }
    nn::Network& network() { return network_; }
    const BasicDistillPlan<Algorithms>& plan() const { return plan_; }

    nn::Tensor predict(const nn::Tensor& input) const { return network_.predict(input); }

    /// The quantizers of a layer; null when it is not quantized.
    const LayerQuantizers<Algorithms>* quantizers(std::string_view layer) const {
        return visit(network_.module(layer), [](const auto& q) { return &q.quantizers(); });
    }
    LayerQuantizers<Algorithms>* quantizers(std::string_view layer) {
        return visit(network_.module(layer), [](auto& q) { return &q.quantizers(); });
    }
    /// The float weight behind a quantized layer; null when it is not quantized.
    const nn::Tensor* weight(std::string_view layer) const {
        return visit(network_.module(layer), [](const auto& q) { return &q.layer().weight(); });
    }

private:
    template <class Module, class F>
    static auto visit(Module& module, F f)
        -> decltype(f(*module.template get_if<QuantizedLayer<nn::Conv2d, Algorithms>>())) {
        if (auto* conv = module.template get_if<QuantizedLayer<nn::Conv2d, Algorithms>>()) return f(*conv);
        if (auto* linear = module.template get_if<QuantizedLayer<nn::Linear, Algorithms>>())
            return f(*linear);
        return nullptr;
    }

    nn::Network network_;
    BasicDistillPlan<Algorithms> plan_;
};

using Student = BasicStudent<>;

/// Copies the teacher and puts quantizing layers where the plan, resolved for its topology, enables them.
/// Errors, all of them: weights that are not finite. Throws std::invalid_argument when the plan is of another
/// network.
template <class Algorithms>
result<BasicStudent<Algorithms>> make_student(const nn::Network& teacher,
                                              const BasicDistillPlan<Algorithms>& plan) {
    nn::Network network = teacher;
    Diagnostics errors;
    for (const auto& layer : plan.layers) {
        const nn::Module& module = teacher.module(layer.name);  // throws when there is none
        auto const quantize = [&]<class Layer>(const Layer* found) {
            if (found == nullptr) return false;
            if (auto made = LayerQuantizers<Algorithms>::make(layer, found->weight()))
                network.replace(layer.name, QuantizedLayer<Layer, Algorithms>(*found, *std::move(made)));
            else
                errors.insert(errors.end(), made.diagnostics().begin(), made.diagnostics().end());
            return true;
        };
        if (layer.quant_enable && !quantize(module.get_if<nn::Conv2d>()) &&
            !quantize(module.get_if<nn::Linear>()))
            throw std::invalid_argument(
                detail::concat("make_student: layer \"", layer.name, "\" is a ", module.type(),
                               ", not a Conv2d or Linear; resolve the plan for this network"));
    }
    if (!errors.empty()) return errors;
    return BasicStudent<Algorithms>(std::move(network), plan);
}

}  // namespace amct_distill

// ---- amct_distill/nn/layers/batch_norm.hpp

/// Batch normalization of images, [N, C, H, W], as torch.nn.BatchNorm2d with affine parameters.
///
///     BatchNorm2d bn({.num_features = 8});
///     bn.weight(), bn.bias(), bn.running_mean(), bn.running_var();   // [8] each
///
/// y = (x - mean) / sqrt(var + eps) * weight + bias, per channel. Mode::evaluate takes the running
/// statistics; Mode::train the batch's own (variance divided by n), and `update_statistics` then moves the
/// running ones towards them (variance divided by n - 1). Sums are taken in double.

namespace amct_distill::nn {

struct BatchNorm2dOptions {
    Index num_features = 0;
    double eps = 1e-5;
    double momentum = 0.1;
    friend bool operator==(const BatchNorm2dOptions&, const BatchNorm2dOptions&) = default;
};

template <class T>
class BasicBatchNorm2d {
public:
    static constexpr std::string_view type_name = "BatchNorm2d";

    /// Weight and running variance are 1, the others 0; throws std::invalid_argument without features.
    explicit BasicBatchNorm2d(const BatchNorm2dOptions& options) : options_(options) {
        if (options.num_features < 1)
            throw std::invalid_argument("BatchNorm2d: num_features must be at least 1");
        for (auto* tensor : {&weight_, &bias_, &running_mean_, &running_var_})
            tensor->resize({options.num_features});
        weight_.fill(1);
        running_var_.fill(1);
    }

    const BatchNorm2dOptions& options() const { return options_; }
    BasicTensor<T>& weight() { return weight_; }
    const BasicTensor<T>& weight() const { return weight_; }
    BasicTensor<T>& bias() { return bias_; }
    const BasicTensor<T>& bias() const { return bias_; }
    BasicTensor<T>& running_mean() { return running_mean_; }
    const BasicTensor<T>& running_mean() const { return running_mean_; }
    BasicTensor<T>& running_var() { return running_var_; }
    const BasicTensor<T>& running_var() const { return running_var_; }

    void parameters(std::vector<BasicParameter<T>>& list) {
        list.push_back({"weight", Role::affine, &weight_});
        list.push_back({"bias", Role::affine, &bias_});
        list.push_back({"running_mean", Role::statistic, &running_mean_});
        list.push_back({"running_var", Role::statistic, &running_var_});
    }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].size() != 4 || inputs[0][1] != options_.num_features)
            return detail::unexpected_inputs(
                detail::concat("one input [N, ", options_.num_features, ", H, W]"), inputs);
        return inputs[0];
    }

    /// Throws std::invalid_argument in Mode::train when a channel has one value: it has no variance.
    void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>& scratch, Mode mode) const {
        const BasicTensor<T>& x = *inputs[0];
        for_each_channel(scratch, x, [&](std::size_t c) {
            Normalization const n = normalization(x, c, mode);
            T const factor = weight_[c] * T(n.inverse_deviation);
            T const shift = bias_[c] - T(n.mean) * factor;
            for (Index i = 0; i != x.dim(0); ++i) plane(output, i, c) = plane(x, i, c) * factor + shift;
        });
    }

    void backward(BasicInputs<T> inputs, const BasicTensor<T>&, const BasicTensor<T>& grad_output,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>> grad_parameters,
                  BasicScratch<T>& scratch, Mode mode) const {
        const BasicTensor<T>& x = *inputs[0];
        for_each_channel(scratch, x, [&](std::size_t c) {
            Normalization const n = normalization(x, c, mode);
            double sum = 0, dot = 0;  // of the output's gradient: itself, and with the normalized input
            for (Index i = 0; i != x.dim(0); ++i) {
                sum += plane(grad_output, i, c).template cast<double>().sum();
                dot += (plane(grad_output, i, c).template cast<double>() *
                        (plane(x, i, c).template cast<double>() - n.mean))
                           .sum();
            }
            dot *= n.inverse_deviation;
            grad_parameters[0][c] += T(dot);
            grad_parameters[1][c] += T(sum);
            if (!grad_inputs[0]) return;
            // In train the mean and the variance depend on every input, which takes away from the gradient
            // its mean and its component along the normalized input.
            T const factor = T(weight_[c] * n.inverse_deviation);
            T const mean_gradient = mode == Mode::train ? T(sum / n.count) : T(0);
            T const slope = mode == Mode::train ? T(dot / n.count * n.inverse_deviation) : T(0);
            for (Index i = 0; i != x.dim(0); ++i)
                plane(*grad_inputs[0], i, c) +=
                    (plane(grad_output, i, c) - mean_gradient - (plane(x, i, c) - T(n.mean)) * slope) *
                    factor;
        });
    }

    /// The running statistics after a batch in Mode::train: running += momentum * (batch - running).
    void update_statistics(BasicInputs<T> inputs) {
        for (std::size_t c = 0; c != weight_.size(); ++c) {
            Normalization const n = normalization(*inputs[0], c, Mode::train);
            double const unbiased = n.variance * n.count / (n.count - 1);
            running_mean_[c] =
                T((1 - options_.momentum) * double(running_mean_[c]) + options_.momentum * n.mean);
            running_var_[c] =
                T((1 - options_.momentum) * double(running_var_[c]) + options_.momentum * unbiased);
        }
    }

private:
    template <class F>
    void for_each_channel(const BasicScratch<T>& scratch, const BasicTensor<T>& x, F f) const {
        scratch.parallel_for(options_.num_features, double(x.size()),
                             [&](Index c, Index) { f(static_cast<std::size_t>(c)); });
    }

    struct Normalization {
        double count = 0, mean = 0, variance = 0, inverse_deviation = 0;
    };
    Normalization normalization(const BasicTensor<T>& x, std::size_t c, Mode mode) const {
        Normalization n;
        n.count = double(x.dim(0) * x.dim(2) * x.dim(3));
        if (mode == Mode::evaluate) {
            n.mean = double(running_mean_[c]);
            n.variance = double(running_var_[c]);
        } else {
            if (n.count < 2)
                throw std::invalid_argument(detail::concat(
                    "BatchNorm2d: Mode::train needs more than one value per channel, found an input ",
                    to_string(x.shape())));
            for (Index i = 0; i != x.dim(0); ++i) n.mean += plane(x, i, c).template cast<double>().sum();
            n.mean /= n.count;
            for (Index i = 0; i != x.dim(0); ++i)
                n.variance += (plane(x, i, c).template cast<double>() - n.mean).square().sum();
            n.variance /= n.count;
        }
        n.inverse_deviation = 1 / std::sqrt(n.variance + options_.eps);
        return n;
    }

    /// Channel c of image i.
    template <class Tensor>
    static auto plane(Tensor& tensor, Index i, std::size_t c) {
        using Map = std::conditional_t<std::is_const_v<Tensor>, ConstArrayMap<T>, ArrayMap<T>>;
        Index const pixels = tensor.dim(2) * tensor.dim(3);
        return Map(tensor.data() + (i * tensor.dim(1) + Index(c)) * pixels, pixels);
    }

    BatchNorm2dOptions options_;
    BasicTensor<T> weight_{}, bias_{}, running_mean_{}, running_var_{};
};

using BatchNorm2d = BasicBatchNorm2d<float>;

}  // namespace amct_distill::nn

// ---- amct_distill/deploy/fold.hpp

/// A BatchNorm2d behind a convolution, folded into the convolution's weights and bias.
///
///     if (const auto* bn = batch_norm_behind(network, "conv1")) {
///         std::vector<float> factors = fold_factors(*bn);              // one per output channel
///         FoldedLayer folded = fold(conv.weight(), conv.bias(), *bn);  // bn(conv(x)) = folded(x)
///     }
///
/// weight' = weight * factor, bias' = (bias - mean) * (1 / sqrt(var + eps)) * gamma + beta, per channel, in
/// float32 and in this order: bit for bit what PyTorch folds, and AMCT with it.

namespace amct_distill {

/// The BatchNorm2d that alone reads what the layer puts out; null when there is none, or when the layer or the
/// BatchNorm is used more than once.
inline const nn::BatchNorm2d* batch_norm_behind(const nn::Network& network, std::string_view layer) {
    auto const uses = [&](std::size_t module) {
        std::size_t n = 0;
        for (nn::NodeId id : network.operations())
            if (network.node(id).module == module) ++n;
        return n;
    };
    const nn::Network::Node* reader = nullptr;
    std::size_t readers = 0;
    auto const node = network.find(layer);
    if (!node || !network.node(*node).module || uses(*network.node(*node).module) != 1) return nullptr;
    for (nn::NodeId id : network.operations())
        for (nn::NodeId input : network.node(id).inputs)
            if (input == *node) {
                reader = &network.node(id);
                ++readers;
            }
    for (nn::NodeId output : network.outputs())
        if (output == *node) return nullptr;
    if (readers != 1 || !reader->module || uses(*reader->module) != 1) return nullptr;
    return network.modules()[*reader->module].module.get_if<nn::BatchNorm2d>();
}

namespace detail {
/// 1 / sqrt(running variance + eps) of a channel.
inline float inverse_deviation(const nn::BatchNorm2d& bn, std::size_t channel) {
    return 1.0f / std::sqrt(bn.running_var()[channel] + static_cast<float>(bn.options().eps));
}
}  // namespace detail

/// gamma * (1 / sqrt(running variance + eps)), one per channel; negative or 0 as gamma is.
inline std::vector<float> fold_factors(const nn::BatchNorm2d& bn) {
    std::vector<float> factors(bn.weight().size());
    for (std::size_t c = 0; c != factors.size(); ++c)
        factors[c] = bn.weight()[c] * detail::inverse_deviation(bn, c);
    return factors;
}

struct FoldedLayer {
    nn::Tensor weight{};  ///< of the shape it had
    nn::Tensor bias{};    ///< [out]
};

/// `weight` has the BatchNorm's channels as dimension 0; `bias` is [out], or empty for none.
inline FoldedLayer fold(const nn::Tensor& weight, const nn::Tensor& bias, const nn::BatchNorm2d& bn) {
    auto const factors = fold_factors(bn);
    std::size_t const channels = factors.size(), taps = weight.size() / channels;
    FoldedLayer folded{weight, nn::Tensor({static_cast<nn::Index>(channels)})};
    for (std::size_t c = 0; c != channels; ++c) {
        for (std::size_t k = c * taps; k != (c + 1) * taps; ++k) folded.weight[k] *= factors[c];
        float const centered = (bias.empty() ? 0.0f : bias[c]) - bn.running_mean()[c];
        folded.bias[c] = centered * detail::inverse_deviation(bn, c) * bn.weight()[c] + bn.bias()[c];
    }
    return folded;
}

}  // namespace amct_distill

// ---- amct_distill/deploy/deployment.hpp

/// A student's quantized layers as a device runs them: integer weights and biases, and the scales between.
///
///     std::vector<DeployedLayer> layers = deploy(student).value();
///     layers[0].weights;   // one code a byte; INT4: two, the low nibble first, rows padded
///     layers[0].bias;      // INT32, in units of dequantization_scale(channel)
///
/// A layer computes  y = (sum of w * (x - offset) + bias) * (scale_d * scale_w), w and x being codes. What is
/// folded in, and which codes and scales come of it, says `deploy`.

namespace amct_distill {

struct DeployedLayer {
    std::string name{};
    /// The layer in float: its weights are what the codes stand for, its bias is the folded one.
    std::variant<nn::Conv2d, nn::Linear> layer;
    int data_bits = 8;
    int weight_bits = 8;
    ScaleOffset data{};                      ///< of the input
    std::vector<float> weight_scales{};      ///< one, or one per output channel; offset 0
    std::vector<std::uint8_t> weights{};     ///< the codes, a row per output channel; see codes()
    std::vector<std::int32_t> bias{};        ///< [out]; empty: none
    std::string batch_norm{};                ///< the BatchNorm that is folded in; empty: none
    std::vector<std::size_t> requantized{};  ///< channels whose codes are not the student's, see deploy()

    const nn::Tensor& float_weight() const {
        return std::visit([](const auto& l) -> const nn::Tensor& { return l.weight(); }, layer);
    }
    const nn::Tensor& float_bias() const {
        return std::visit([](const auto& l) -> const nn::Tensor& { return l.bias(); }, layer);
    }
    std::size_t rows() const { return static_cast<std::size_t>(float_weight().dim(0)); }
    std::size_t cols() const { return float_weight().size() / rows(); }

    /// A row per output channel.
    std::vector<std::int8_t> codes() const {
        if (weight_bits == 4) return unpack_int4(weights, rows(), cols()).value();
        return {weights.begin(), weights.end()};
    }
    float weight_scale(std::size_t channel) const {
        return weight_scales[weight_scales.size() == 1 ? 0 : channel];
    }
    /// What one unit of the channel's accumulator stands for: scale_d * scale_w, in float32.
    float dequantization_scale(std::size_t channel) const { return data.scale * weight_scale(channel); }
};

namespace detail {

/// Codes of `bits` bits.
inline AffineConstants affine_constants(ScaleOffset p, int bits) {
    auto const limit = static_cast<float>(1 << (bits - 1));
    return {p.scale, static_cast<float>(p.offset), -limit, limit - 1};
}

/// The most that an accumulator of this channel reaches, without the bias: what the data's codes can do to
/// these weights.
inline std::int64_t largest_accumulator(std::span<const std::int8_t> row, ScaleOffset data, int data_bits) {
    std::int64_t const qmin = -(1 << (data_bits - 1)), qmax = -qmin - 1;
    std::int64_t sum = 0;
    for (std::int8_t c : row) sum += std::abs(static_cast<int>(c));
    return sum * (std::max)(qmax - data.offset, data.offset - qmin);
}

/// Scales and codes of the folded layer, from the student's, whose codes begin as `codes`.
class LayerDeployment {
public:
    LayerDeployment(DeployedLayer& out, QuantizedMatrix student, const nn::BatchNorm2d* bn)
        : out_(out), codes_(std::move(student)), has_factors_(bn != nullptr) {
        const nn::Tensor& weight = out.float_weight();
        folded_ = bn ? fold(weight, out.float_bias(), *bn) : FoldedLayer{weight, out.float_bias()};
        factors_ = bn ? fold_factors(*bn) : std::vector<float>(codes_.rows, 1.0f);
    }

    result<void> run() {
        for (ScaleOffset p : codes_.scales)
            if (p.offset != 0)
                return general_error(concat("weights with an offset (", p.offset,
                                            ") are not deployed; use a symmetric weight quantizer"));
        if (auto ok = check_finite(folded_.weight.span(), "folded weights"); !ok) return ok;
        if (!folded_.bias.empty())
            if (auto ok = check_finite(folded_.bias.span(), "folded bias"); !ok) return ok;
        take_scales();
        return take_bias();
    }

private:
    float bias_of(std::size_t r) const { return folded_.bias.empty() ? 0.0f : folded_.bias[r]; }
    std::span<std::int8_t> row(std::size_t r) {
        return std::span(codes_.codes).subspan(r * codes_.cols, codes_.cols);
    }

    void take_scales() {
        int const qmin = -(1 << (out_.weight_bits - 1)), qmax = -qmin - 1;
        std::vector<float> scales(codes_.rows);
        for (std::size_t r = 0; r != codes_.rows; ++r) {
            float const factor = factors_[r];
            auto const own = row(r);
            bool const flipped = factor < 0;
            float scale = codes_.scales[codes_.scales.size() == 1 ? 0 : r].scale * std::fabs(factor);
            bool requantize = false;
            if (flipped && std::find(own.begin(), own.end(), qmin) != own.end()) {
                scale = scale * static_cast<float>(-qmin) / static_cast<float>(qmax);
                requantize = true;
            }
            float const bias = std::fabs(bias_of(r)) / out_.data.scale;
            if (scale < scale_epsilon || scale < bias / 0x1p30f) {
                scale = (std::max)(scale_epsilon, bias / 0x1p22f);
                requantize = true;
            }
            if (requantize) {
                run_on(best_instructions(),
                       quantize_loop{folded_.weight.data() + r * codes_.cols, own.data(), own.size(),
                                     affine_constants({scale, 0}, out_.weight_bits)});
                out_.requantized.push_back(r);
            } else if (flipped) {
                for (std::int8_t& c : own) c = static_cast<std::int8_t>(-c);
            }
            scales[r] = scale;
        }
        if (codes_.scales.size() == 1 && !has_factors_ && out_.requantized.empty()) scales.resize(1);
        out_.weight_scales = std::move(scales);
        if (out_.weight_bits == 4)
            out_.weights = pack_int4(codes_.codes, codes_.rows, codes_.cols).value();
        else
            out_.weights.assign(codes_.codes.begin(), codes_.codes.end());

        nn::Tensor meant(folded_.weight.shape());
        for (std::size_t r = 0; r != codes_.rows; ++r)
            dequantize(row(r), meant.span().subspan(r * codes_.cols, codes_.cols), {out_.weight_scale(r), 0});
        set_float(std::move(meant));
    }

    result<void> take_bias() {
        for (std::size_t r = 0; r != codes_.rows; ++r) {
            float const unit = out_.dequantization_scale(r);
            if (!(unit > 0) || !std::isfinite(unit))
                return general_error(concat("channel ", r, ": scale_d * scale_w is ", number(unit),
                                            ", not a positive float; calibrate with other data"));
            float const bias = std::nearbyint(bias_of(r) / unit);
            std::int64_t const most = largest_accumulator(row(r), out_.data, out_.data_bits) +
                                      static_cast<std::int64_t>(std::fabs(bias));
            if (most > (std::numeric_limits<std::int32_t>::max)())
                return general_error(concat("channel ", r, ": its accumulator can reach ", most,
                                            ", more than INT32 holds (", codes_.cols,
                                            " weights a channel); use INT4, or split the layer"));
            if (!folded_.bias.empty()) out_.bias.push_back(static_cast<std::int32_t>(bias));
        }
        return {};
    }

    void set_float(nn::Tensor weight) {
        auto const with_bias = [&]<class Layer>(Layer& layer) {
            auto options = layer.options();
            options.bias = !folded_.bias.empty();
            Layer made(options);
            made.weight() = std::move(weight);
            made.bias() = folded_.bias;
            layer = std::move(made);
        };
        std::visit(with_bias, out_.layer);
    }

    DeployedLayer& out_;
    QuantizedMatrix codes_;
    FoldedLayer folded_{};
    std::vector<float> factors_{};
    bool has_factors_;
};

}  // namespace detail

/// The quantized layers, in definition order. A BatchNorm that alone reads a convolution is folded into it
/// (fold.hpp); with `factor` = gamma / sqrt(var + eps) of an output channel:
///
/// - The codes are the student's, with the sign of the factor, and the scale is the student's times |factor|:
///   per channel, also where one scale served the tensor. So the folded layer computes what was simulated.
/// - A negative factor would turn code qmin into qmax + 1, which there is not. A channel that has this code
///   gets the scale times -qmin / qmax, as ARQ would find it for the folded weights, and new codes: those of
///   the folded float weights.
/// - A factor of 0 leaves codes 0, and the bias is the whole output. The scale stays positive: where it would
///   fall below `scale_epsilon`, or so low that the bias would take more than 30 bits, it is the least with
///   which the bias takes 22, as many as a float32 has anyway; the codes are then new ones as above.
/// - bias = round((folded bias) / (scale_d * scale_w)), in float32, half to even.
///
/// Channels with new codes are named in `requantized`. Errors, all of them, each with its layer: not
/// calibrated; weights, or what BatchNorm makes of them, not finite; weights with an offset; an accumulator
/// that could leave INT32: per channel, sum of |w| * max(qmax - offset, offset - qmin) + |bias| must not.
template <class Algorithms>
result<std::vector<DeployedLayer>> deploy(const BasicStudent<Algorithms>& student) {
    const nn::Network& network = student.network();
    std::vector<DeployedLayer> layers;
    Diagnostics errors;
    auto const add = [&]<class Layer>(const std::string& name,
                                      const QuantizedLayer<Layer, Algorithms>& from) -> result<void> {
        const auto& q = from.quantizers();
        if (!q.is_calibrated()) return general_error("it is not calibrated; call calibrate() first");
        auto codes = q.weight_codes(from.layer().weight());
        if (!codes) return codes.diagnostics();
        DeployedLayer out{.name = name, .layer = from.layer()};
        out.data_bits = q.data_bits();
        out.weight_bits = q.weight_bits();
        out.data = q.data_scale();
        const auto* const bn = batch_norm_behind(network, name);
        for (const auto& m : network.modules())
            if (bn != nullptr && m.module.template get_if<nn::BatchNorm2d>() == bn) out.batch_norm = m.name;
        if (auto ok = detail::LayerDeployment(out, *std::move(codes), bn).run(); !ok) return ok;
        layers.push_back(std::move(out));
        return {};
    };
    for (const auto& planned : student.plan().layers) {
        const nn::Module& module = network.module(planned.name);
        result<void> added;
        if (const auto* conv = module.template get_if<QuantizedLayer<nn::Conv2d, Algorithms>>())
            added = add(planned.name, *conv);
        else if (const auto* linear = module.template get_if<QuantizedLayer<nn::Linear, Algorithms>>())
            added = add(planned.name, *linear);
        for (Diagnostic& d : detail::of_layer(planned.name, added.diagnostics()))
            errors.push_back(std::move(d));
    }
    if (!errors.empty()) return errors;
    return layers;
}

}  // namespace amct_distill

// ---- amct_distill/nn/layers/structure.hpp

/// What joins and reshapes: Add, Concat, Flatten, Reshape, Identity, Dropout.
///
///     x = net.add_function("/Add", Add{}, {x, shortcut});
///     x = net.add_function("/Concat", Concat(1), {x, y});       // along the channels
///     x = net.add_function("/Flatten", Flatten{}, {x});         // [N, C, H, W] -> [N, C * H * W]
///     x = net.add_function("/Reshape", Reshape({16, -1}), {x}); // [N, ...] -> [N, 16, what is left]

namespace amct_distill::detail {

/// What only changes the shape: the values pass in their order, and so do the gradients.
template <class T>
class PassThrough {
public:
    void forward(nn::BasicInputs<T> inputs, nn::BasicTensor<T>& output, nn::BasicScratch<T>&,
                 nn::Mode) const {
        std::copy(inputs[0]->begin(), inputs[0]->end(), output.begin());
    }
    void backward(nn::BasicInputs<T>, const nn::BasicTensor<T>&, const nn::BasicTensor<T>& grad_output,
                  std::span<nn::BasicTensor<T>* const> grad_inputs, std::span<nn::BasicTensor<T>>,
                  nn::BasicScratch<T>&, nn::Mode) const {
        if (grad_inputs[0]) array(*grad_inputs[0]) += array(grad_output);
    }
};

}  // namespace amct_distill::detail

namespace amct_distill::nn {

/// The sum of two or more inputs of one shape.
template <class T>
class BasicAdd {
public:
    static constexpr std::string_view type_name = "Add";

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() < 2 ||
            std::adjacent_find(inputs.begin(), inputs.end(), std::not_equal_to<>{}) != inputs.end())
            return detail::unexpected_inputs("two or more inputs of one shape", inputs);
        return inputs[0];
    }
    void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>&, Mode) const {
        array(output) = array(*inputs[0]) + array(*inputs[1]);
        for (const BasicTensor<T>* x : inputs.subspan(2)) array(output) += array(*x);
    }
    void backward(BasicInputs<T>, const BasicTensor<T>&, const BasicTensor<T>& grad_output,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>>, BasicScratch<T>&,
                  Mode) const {
        for (BasicTensor<T>* gx : grad_inputs)
            if (gx) array(*gx) += array(grad_output);
    }
};

/// The inputs one after another along a dimension.
template <class T>
class BasicConcat {
public:
    static constexpr std::string_view type_name = "Concat";
    /// Throws std::invalid_argument for dimension 0, the batch.
    explicit BasicConcat(std::size_t dim = 1) : dim_(dim) {
        if (dim == 0) throw std::invalid_argument("Concat: dim 0 is the batch; expected 1 or more");
    }
    std::size_t dim() const { return dim_; }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        auto const joins = [&](Shape other) {
            if (other.size() <= dim_ || other.size() != inputs[0].size()) return false;
            other[dim_] = inputs[0][dim_];
            return other == inputs[0];
        };
        if (inputs.empty() || !std::all_of(inputs.begin(), inputs.end(), joins))
            return detail::unexpected_inputs(
                detail::concat("inputs whose shapes differ in dimension ", dim_, " at most"), inputs);
        Shape shape = inputs[0];
        for (const Shape& other : inputs.subspan(1)) shape[dim_] += other[dim_];
        return shape;
    }
    void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>&, Mode) const {
        Index const outer = product(output.shape(), 0, dim_);
        MatrixMap<T> y = lines(output, outer);
        Index first = 0;
        for (const BasicTensor<T>* input : inputs) {
            ConstMatrixMap<T> const x = lines(*input, outer);
            y.middleCols(first, x.cols()) = x;
            first += x.cols();
        }
    }
    void backward(BasicInputs<T> inputs, const BasicTensor<T>&, const BasicTensor<T>& grad_output,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>>, BasicScratch<T>&,
                  Mode) const {
        Index const outer = product(grad_output.shape(), 0, dim_);
        ConstMatrixMap<T> const gy = lines(grad_output, outer);
        Index first = 0;
        for (std::size_t i = 0; i != inputs.size(); ++i) {
            Index const cols = static_cast<Index>(inputs[i]->size()) / outer;
            if (grad_inputs[i]) lines(*grad_inputs[i], outer) += gy.middleCols(first, cols);
            first += cols;
        }
    }

private:
    /// Rows are the dimensions before `dim`, columns the others.
    template <class Tensor>
    static auto lines(Tensor& tensor, Index outer) {
        return matrix(tensor, outer, static_cast<Index>(tensor.size()) / outer);
    }
    std::size_t dim_;
};

/// Joins the dimensions from `start_dim` on into one.
template <class T>
class BasicFlatten : public detail::PassThrough<T> {
public:
    static constexpr std::string_view type_name = "Flatten";
    /// Throws std::invalid_argument for dimension 0, the batch.
    explicit BasicFlatten(std::size_t start_dim = 1) : start_dim_(start_dim) {
        if (start_dim == 0)
            throw std::invalid_argument("Flatten: start_dim 0 is the batch; expected 1 or more");
    }
    std::size_t start_dim() const { return start_dim_; }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].size() <= start_dim_)
            return detail::unexpected_inputs(detail::concat("one input with a dimension ", start_dim_),
                                             inputs);
        Shape shape(inputs[0].begin(), inputs[0].begin() + static_cast<std::ptrdiff_t>(start_dim_));
        shape.push_back(product(inputs[0], start_dim_, inputs[0].size()));
        return shape;
    }

private:
    std::size_t start_dim_;
};

/// Another shape for the same values of each sample.
template <class T>
class BasicReshape : public detail::PassThrough<T> {
public:
    static constexpr std::string_view type_name = "Reshape";
    /// The shape without the batch; one dimension may be -1: what is left. Throws std::invalid_argument
    /// when it is none.
    explicit BasicReshape(Shape sample) : sample_(std::move(sample)) {
        auto const is_free = [](Index d) { return d == -1; };
        auto const is_known = [](Index d) { return d > 0; };
        auto const free = std::count_if(sample_.begin(), sample_.end(), is_free);
        auto const known = std::count_if(sample_.begin(), sample_.end(), is_known);
        if (sample_.empty() || free > 1 || free + known != std::ssize(sample_))
            throw std::invalid_argument(
                "Reshape: expected the dimensions after the batch, each at least 1, one of them perhaps -1");
    }
    const Shape& sample() const { return sample_; }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].empty()) return detail::unexpected_inputs("one input", inputs);
        Index const values = product(inputs[0], 1, inputs[0].size());
        Shape shape = sample_;
        auto const free = std::find(shape.begin(), shape.end(), -1);
        Index const known = free == shape.end() ? product(shape, 0, shape.size())
                                                : -product(shape, 0, shape.size());  // without the -1
        if (free == shape.end() ? known != values : values % known != 0)
            return detail::unexpected_inputs(
                detail::concat("one input whose samples have ", free == shape.end() ? "" : "a multiple of ",
                               known, " values"),
                inputs);
        if (free != shape.end()) *free = values / known;
        shape.insert(shape.begin(), inputs[0][0]);
        return shape;
    }

private:
    Shape sample_;
};

template <class T>
class BasicIdentity : public detail::PassThrough<T> {
public:
    static constexpr std::string_view type_name = "Identity";
    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1) return detail::unexpected_inputs("one input", inputs);
        return inputs[0];
    }
};

/// The identity, in train too: a place for the name. What is trained here learns to follow a teacher, and a
/// random teacher or student has nothing to teach or to be compared.
template <class T>
class BasicDropout : public BasicIdentity<T> {
public:
    static constexpr std::string_view type_name = "Dropout";
};

using Add = BasicAdd<float>;
using Concat = BasicConcat<float>;
using Flatten = BasicFlatten<float>;
using Reshape = BasicReshape<float>;
using Identity = BasicIdentity<float>;
using Dropout = BasicDropout<float>;

}  // namespace amct_distill::nn

// ---- amct_distill/deploy/integer.hpp

/// A deployed Conv2d or Linear, run in integers as a device does: a module like any other.
///
///     IntegerLayer layer(deploy(student).value()[0]);
///     layer.accumulate(x, sums);                          // INT32: codes of x times codes of the weights, + bias
///     nn::Network device = integer_network(student).value();   // every quantized layer in integers
///     nn::Tensor logits = device.predict(images);
///
/// Requantization is AMCT's: a sum times the float32 scale_d * scale_w of its channel is the layer's output,
/// float32, and the quantizer of the layer that reads it makes codes of it again. What lies between quantized
/// layers (activations, pooling, skipped layers) runs in float.

namespace amct_distill {

using IntegerTensor = nn::BasicTensor<std::int32_t>;

class IntegerLayer {
public:
    static constexpr std::string_view type_name = "IntegerLayer";

    explicit IntegerLayer(DeployedLayer layer) : layer_(std::move(layer)) {
        auto const codes = layer_.codes();
        weights_.assign(codes.begin(), codes.end());
    }

    const DeployedLayer& layer() const { return layer_; }

    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const {
        return std::visit([&](const auto& l) { return l.output_shape(inputs); }, layer_.layer);
    }

    /// The codes of an input. Throws std::invalid_argument when it has a value that is not finite.
    void quantize_data(const nn::Tensor& x, std::vector<std::int8_t>& codes) const {
        if (auto const ok = check_finite(x.span(), layer_.name); !ok)
            throw std::invalid_argument(ok.diagnostics()[0].message);
        codes.resize(x.size());
        detail::run_on(best_instructions(),
                       detail::quantize_loop{x.data(), codes.data(), codes.size(),
                                             detail::affine_constants(layer_.data, layer_.data_bits)});
    }

    /// The INT32 accumulators, of the shape of the output: sum of w * (x - offset) over what the window sees,
    /// padding being 0, plus bias. They cannot overflow: `deploy` has checked it. Throws
    /// std::invalid_argument when x does not have the shape of an input or is not finite.
    void accumulate(const nn::Tensor& x, IntegerTensor& sums) const {
        auto const shape = output_shape(std::array{x.shape()});
        if (!shape)
            throw std::invalid_argument(detail::concat(layer_.name, ": ", shape.diagnostics()[0].message));
        sums.resize(*shape);
        std::vector<std::int8_t> codes;
        quantize_data(x, codes);
        std::vector<std::int32_t> values(codes.begin(), codes.end());
        for (std::int32_t& v : values) v -= layer_.data.offset;
        for_each_sum(sums, [&](std::size_t i, std::size_t channel) {
            sums[i] = layer_.bias.empty() ? 0 : layer_.bias[channel];
        });
        if (const auto* conv = std::get_if<nn::Conv2d>(&layer_.layer))
            add_convolution(conv->options(), x.shape(), values.data(), sums);
        else
            add_product(values.data(), sums);
    }

    /// float32(sum) * (scale_d * scale_w).
    void dequantize(const IntegerTensor& sums, nn::Tensor& output) const {
        output.resize(sums.shape());
        for_each_sum(sums, [&](std::size_t i, std::size_t channel) {
            output[i] = static_cast<float>(sums[i]) * layer_.dequantization_scale(channel);
        });
    }
    /// f(index, output channel) for each of the sums.
    template <class F>
    void for_each_sum(const IntegerTensor& sums, F f) const {
        nn::Index const positions = nn::product(sums.shape(), 2, sums.rank());
        std::size_t i = 0;
        while (i != sums.size())
            for (std::size_t channel = 0; channel != layer_.rows(); ++channel)
                for (nn::Index p = 0; p != positions; ++p) f(i++, channel);
    }

    void forward(nn::Inputs inputs, nn::Tensor& output, nn::Scratch&, nn::Mode) const {
        IntegerTensor sums;
        accumulate(*inputs[0], sums);
        dequantize(sums, output);
    }
    [[noreturn]] void backward(nn::Inputs, const nn::Tensor&, const nn::Tensor&, std::span<nn::Tensor* const>,
                               std::span<nn::Tensor>, nn::Scratch&, nn::Mode) const {
        throw std::invalid_argument(
            detail::concat("layer `", layer_.name, "` runs in integers: train the student"));
    }

private:
    void add_product(const std::int32_t* values, IntegerTensor& sums) const {
        std::size_t const rows = layer_.rows(), cols = layer_.cols();
        for (std::size_t i = 0; i != sums.size(); ++i)
            sums[i] = std::inner_product(values + i / rows * cols, values + (i / rows + 1) * cols,
                                         weights_.data() + i % rows * cols, sums[i]);
    }

    void add_convolution(const nn::Conv2dOptions& o, const nn::Shape& input, const std::int32_t* values,
                         IntegerTensor& sums) const {
        detail::Window const w{{input[2], input[3]}, o.kernel, o.stride, o.padding, o.dilation};
        nn::Index const ins = o.in_channels / o.groups, outs = o.out_channels / o.groups;
        nn::Index const pixels = input[2] * input[3], cols = w.output(1), stride = w.stride[1];
        std::int32_t* y = sums.data();
        for (nn::Index i = 0; i != input[0] * o.out_channels; ++i, y += w.positions()) {
            nn::Index const image = i / o.out_channels, channel = i % o.out_channels;
            const std::int32_t* plane = values + (image * o.in_channels + channel / outs * ins) * pixels;
            const std::int32_t* weight = weights_.data() + channel * ins * w.taps();
            for (nn::Index c = 0; c != ins; ++c, plane += pixels)
                for (nn::Index tap = 0; tap != w.taps(); ++tap, ++weight) {
                    nn::Index const dy = w.offset(0, tap / o.kernel[1]), dx = w.offset(1, tap % o.kernel[1]);
                    auto const y_inside = w.inside(0, dy), x_inside = w.inside(1, dx);
                    for (nn::Index row = y_inside.first; row < y_inside.last; ++row) {
                        nn::Index const line = (row * w.stride[0] + dy) * input[3] + dx;
                        for (nn::Index col = x_inside.first; col < x_inside.last; ++col)
                            y[row * cols + col] += *weight * plane[line + col * stride];
                    }
                }
        }
    }

    DeployedLayer layer_;
    std::vector<std::int32_t> weights_{};  // the codes, widened
};

/// A deployed layer in float: its input quantized by the student's own quantizer, times what the codes of the
/// weights stand for. What the integers are compared with.
template <class Layer, class Algorithms = standard_algorithms>
class SimulatedLayer {
public:
    static constexpr std::string_view type_name = "SimulatedLayer";

    SimulatedLayer(Layer layer, LayerQuantizers<Algorithms> quantizers)
        : layer_(std::move(layer)), quantizers_(std::move(quantizers)) {}

    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const {
        return layer_.output_shape(inputs);
    }
    void forward(nn::Inputs inputs, nn::Tensor& output, nn::Scratch& scratch, nn::Mode) const {
        nn::Tensor& x = scratch.tensor(Layer::scratch_tensors);
        quantizers_.quantize_data(*inputs[0], x);
        layer_.forward_with(layer_.weight(), x, output, scratch);
    }
    [[noreturn]] void backward(nn::Inputs, const nn::Tensor&, const nn::Tensor&, std::span<nn::Tensor* const>,
                               std::span<nn::Tensor>, nn::Scratch&, nn::Mode) const {
        throw std::invalid_argument("a deployed layer is not trained: train the student");
    }

private:
    Layer layer_;
    LayerQuantizers<Algorithms> quantizers_;
};

namespace detail {

/// The network with `made(layer)` for each deployed layer, and nothing where a BatchNorm is folded.
template <class Made>
nn::Network with_deployed(const nn::Network& network, std::span<const DeployedLayer> layers,
                          const Made& made) {
    nn::Network out = network;
    for (const DeployedLayer& layer : layers) {
        out.replace(layer.name, made(layer));
        if (!layer.batch_norm.empty()) out.replace(layer.batch_norm, nn::Identity{});
    }
    return out;
}

}  // namespace detail

/// The student's network with its quantized layers in integers; `layers` are what `deploy` made of it.
inline nn::Network integer_network(const nn::Network& student, std::span<const DeployedLayer> layers) {
    return detail::with_deployed(student, layers, [](const DeployedLayer& l) { return IntegerLayer(l); });
}
/// Errors: those of `deploy`.
template <class Algorithms>
result<nn::Network> integer_network(const BasicStudent<Algorithms>& student) {
    auto const layers = deploy(student);
    if (!layers) return layers.diagnostics();
    return integer_network(student.network(), *layers);
}

/// The same in float, with SimulatedLayers.
template <class Algorithms>
nn::Network simulation_network(const BasicStudent<Algorithms>& student,
                               std::span<const DeployedLayer> layers) {
    return detail::with_deployed(student.network(), layers, [&](const DeployedLayer& l) {
        return std::visit(
            [&]<class Layer>(const Layer& layer) -> nn::Module {
                return SimulatedLayer<Layer, Algorithms>(layer, *student.quantizers(l.name));
            },
            l.layer);
    });
}

}  // namespace amct_distill

// ---- amct_distill/deploy/record.hpp

/// The record of a student: the quantization factors that a deployment tool needs, recomputed from its final
/// parameters, with each BatchNorm folded into the convolution before it.
///
///     ScaleOffsetRecord record = make_record(student).value();
///     write_file("record.txt", print(record)).value();

namespace amct_distill {

/// One entry per quantized layer, in definition order. The types are named where they are not the schema's
/// default, INT8: `act_type` of the data, `wts_type` of the weights, `dst_type` when both are the same.
inline ScaleOffsetRecord make_record(std::span<const DeployedLayer> layers) {
    ScaleOffsetRecord record;
    auto const type_name = [](int bits) { return detail::concat("INT", bits); };
    for (const DeployedLayer& layer : layers) {
        SingleLayerRecord one;
        one.scale_d = layer.data.scale;
        one.offset_d = layer.data.offset;
        for (float scale : layer.weight_scales) {
            one.scale_w.push_back(scale);
            one.offset_w.push_back(0);
        }
        if (layer.data_bits == layer.weight_bits && layer.data_bits != 8)
            one.dst_type = type_name(layer.data_bits);
        if (layer.data_bits != 8) one.act_type = type_name(layer.data_bits);
        if (layer.weight_bits != 8) one.wts_type = type_name(layer.weight_bits);
        record.record.push_back({.key = layer.name, .value = std::move(one)});
    }
    return record;
}

/// Errors: those of `deploy`.
template <class Algorithms>
result<ScaleOffsetRecord> make_record(const BasicStudent<Algorithms>& student) {
    auto const layers = deploy(student);
    if (!layers) return layers.diagnostics();
    return make_record(std::span<const DeployedLayer>(*layers));
}

}  // namespace amct_distill

// ---- amct_distill/deploy/verify.hpp

/// Whether the integers compute what was simulated, layer by layer.
///
///     VerifyReport report = verify(student, batches).value();
///     std::cout << to_table(report);
///     if (!report.agrees()) ...                           // a difference that rounding does not explain
///
/// Every layer is given the input that it has in the simulation, so that each answers for itself.

namespace amct_distill {

struct VerifiedLayer {
    std::string name{};
    /// The INT32 sums, against the simulation's output in the same unit, rounded.
    std::size_t outputs = 0;
    std::size_t different = 0;
    std::int64_t largest = 0;    ///< difference, in units of the sum
    std::int64_t explained = 0;  ///< what the rounding of float32 and of the bias explain: see verify()
    /// The codes that the layer reads, against those of the simulation: what the layers before it put out,
    /// requantized.
    std::size_t inputs = 0;
    std::size_t inputs_different = 0;
    int inputs_largest = 0;                ///< difference, in codes
    std::size_t requantized_channels = 0;  ///< whose weight codes are not the student's: see deploy()
};

struct VerifyReport {
    std::vector<VerifiedLayer> layers{};
    /// Of the network's first output: mean squared and largest difference between the integers, run from end
    /// to end, and the student, not folded.
    double output_error = 0;
    double output_largest = 0;
    /// Mean square of the student's output, to compare with.
    double output_square = 0;

    /// No layer's sums differ by more than rounding explains.
    bool agrees() const {
        return std::ranges::all_of(layers, [](const VerifiedLayer& l) { return l.largest <= l.explained; });
    }
};

namespace detail {

/// The most by which a sum may differ from the rounded simulation. The simulation computes K products of two
/// rounded factors and adds them and the bias in float32: each term passes at most K + 3 roundings, and two
/// more are in scale_d * scale_w and in the bias. With u = 2^-24, whatever the order of the sum, its error is
/// below g * S, g = (K + 5) u / (1 - (K + 5) u), S the sum of the terms' magnitudes; at most, in units of the
/// sum, what the codes can reach plus |bias|. Rounding the bias adds 1/2, rounding the simulation 1/2.
inline std::int64_t explained_difference(const DeployedLayer& layer) {
    auto const codes = layer.codes();
    double const n = (static_cast<double>(layer.cols()) + 5) * 0x1p-24, growth = n / (1 - n);
    double most = 0;
    for (std::size_t r = 0; r != layer.rows(); ++r) {
        auto const row = std::span(codes).subspan(r * layer.cols(), layer.cols());
        double sum = static_cast<double>(largest_accumulator(row, layer.data, layer.data_bits));
        if (!layer.bias.empty()) sum += std::abs(static_cast<double>(layer.bias[r])) + 1;
        most = (std::max)(most, sum);
    }
    return static_cast<std::int64_t>(growth * most + 1);
}

/// Adds one batch to the comparison.
inline void compare_sums(const IntegerLayer& integer, const IntegerTensor& sums, const nn::Tensor& simulated,
                         VerifiedLayer& to) {
    to.outputs += sums.size();
    integer.for_each_sum(sums, [&](std::size_t i, std::size_t channel) {
        double const unit = static_cast<double>(integer.layer().dequantization_scale(channel));
        auto const expected =
            static_cast<std::int64_t>(std::nearbyint(static_cast<double>(simulated[i]) / unit));
        std::int64_t const d = std::abs(expected - sums[i]);
        if (d != 0) ++to.different;
        to.largest = (std::max)(to.largest, d);
    });
}
inline void compare_inputs(const IntegerLayer& integer, const nn::Tensor& simulated, const nn::Tensor& found,
                           VerifiedLayer& to) {
    std::vector<std::int8_t> a, b;
    integer.quantize_data(simulated, a);
    integer.quantize_data(found, b);
    to.inputs += a.size();
    for (std::size_t i = 0; i != a.size(); ++i) {
        int const d = std::abs(a[i] - b[i]);
        if (d != 0) ++to.inputs_different;
        to.inputs_largest = (std::max)(to.inputs_largest, d);
    }
}

}  // namespace detail

/// Runs the batches through the simulation (`simulation_network`: folded, float32) and through the integers.
/// Each integer layer takes the simulation's input; its sums are compared with the simulation's output, and
/// what becomes of them on the way to the next quantized layers with the codes those read in the simulation.
/// The sums can differ only by rounding, `explained` says how far; codes then differ where a value lies that
/// close to the middle between two codes. Errors: no batches, and those of `deploy`. Throws
/// std::invalid_argument when a batch is not an input of the network.
template <class Algorithms>
result<VerifyReport> verify(const BasicStudent<Algorithms>& student, std::span<const nn::Tensor> batches) {
    if (batches.empty()) return general_error("verify: no batches; give at least one");
    auto const layers = deploy(student);
    if (!layers) return layers.diagnostics();
    nn::Network const simulation = simulation_network(student, *layers);
    nn::Network const device = integer_network(student.network(), *layers);

    VerifyReport report;
    std::vector<const IntegerLayer*> integer;
    std::vector<nn::NodeId> nodes;
    for (const DeployedLayer& l : *layers) {
        report.layers.push_back({.name = l.name,
                                 .explained = detail::explained_difference(l),
                                 .requantized_channels = l.requantized.size()});
        integer.push_back(device.module(l.name).get_if<IntegerLayer>());
        nodes.push_back(*device.find(l.name));
    }

    nn::Tape simulated, mixed, other;
    IntegerTensor sums;
    double values = 0;
    for (const nn::Tensor& batch : batches) {
        simulation.forward(batch, simulated, nn::Mode::evaluate);
        mixed.output(simulation.inputs()[0]) = batch;
        for (nn::NodeId id : simulation.operations()) {
            auto const found = std::ranges::find(nodes, id);
            if (found == nodes.end()) {
                simulation.forward_node(id, mixed, nn::Mode::evaluate);
                continue;
            }
            auto const k = static_cast<std::size_t>(found - nodes.begin());
            nn::NodeId const input = simulation.node(id).inputs[0];
            detail::compare_inputs(*integer[k], simulated.output(input), mixed.output(input),
                                   report.layers[k]);
            integer[k]->accumulate(simulated.output(input), sums);
            detail::compare_sums(*integer[k], sums, simulated.output(id), report.layers[k]);
            integer[k]->dequantize(sums, mixed.output(id));
        }

        const nn::Tensor& theirs = student.network().forward(batch, other, nn::Mode::evaluate);
        nn::Tensor const ours = device.predict(batch);
        for (std::size_t i = 0; i != ours.size(); ++i) {
            double const y = static_cast<double>(theirs[i]), d = static_cast<double>(ours[i]) - y;
            report.output_error += d * d;
            report.output_square += y * y;
            report.output_largest = (std::max)(report.output_largest, std::abs(d));
        }
        values += static_cast<double>(ours.size());
    }
    report.output_error /= values;
    report.output_square /= values;
    return report;
}

/// A table of at most 100 columns, and what it comes to.
inline std::string to_table(const VerifyReport& report) {
    std::vector<detail::TableRow> rows{
        {"layer", "sums", "differ", "by", "explained", "codes in", "differ", "by", "new codes"}};
    for (const VerifiedLayer& l : report.layers)
        rows.push_back({detail::shortened(l.name, 20), std::to_string(l.outputs), std::to_string(l.different),
                        std::to_string(l.largest), std::to_string(l.explained), std::to_string(l.inputs),
                        std::to_string(l.inputs_different), std::to_string(l.inputs_largest),
                        l.requantized_channels == 0 ? std::string("none")
                                                    : detail::concat(l.requantized_channels, " ch.")});
    return detail::concat(
        detail::text_table(rows),
        report.agrees() ? "  The integers compute what was simulated.\n"
                        : "  The integers do NOT compute what was simulated: rounding explains less.\n",
        "  From the student, whole: mean squared difference ", detail::short_number(report.output_error),
        " (of ", detail::short_number(report.output_square), "), at most ",
        detail::short_number(report.output_largest), ".\n");
}

}  // namespace amct_distill

// ---- amct_distill/io/file.hpp

/// Files that are whole or not there: written to a temporary name beside the target, then renamed.
///
///     result<void> ok = write_file("out/record.txt", text);   // makes out/; an old file stays until the rename
///     result<std::string> text = read_file("quant.cfg");

#if __has_include(<unistd.h>)
#include <unistd.h>
#endif

namespace amct_distill {

/// What a file that was written survives: the end of the process, or also a loss of power (slower: it waits for
/// the disk; on POSIX systems).
enum class Durability { after_exit, after_power_loss };

namespace detail {

struct close_file {
    void operator()(std::FILE* f) const { std::fclose(f); }
};
using file_handle = std::unique_ptr<std::FILE, close_file>;

inline Diagnostic file_error(std::string_view verb, const std::filesystem::path& path, int error) {
    return general_error(concat("cannot ", verb, " ", path.string(), ": ", std::strerror(error)));
}

/// Waits until the disk has it; the error's number, or 0.
inline int synchronize([[maybe_unused]] std::FILE* file) {
    if (std::fflush(file) != 0) return errno;
#if __has_include(<unistd.h>)
    if (::fsync(::fileno(file)) != 0) return errno;
#endif
    return 0;
}

}  // namespace detail

/// The whole file. Error: it cannot be opened or read.
inline result<std::string> read_file(const std::filesystem::path& path) {
    detail::file_handle const file(std::fopen(path.c_str(), "rb"));
    if (!file) return detail::file_error("open", path, errno);
    std::string text;
    char buffer[1 << 16];
    while (std::size_t const n = std::fread(buffer, 1, sizeof buffer, file.get())) text.append(buffer, n);
    if (std::ferror(file.get())) return detail::file_error("read", path, errno);
    return text;
}

/// Replaces the file as a whole. Error: a directory or the file cannot be written (a full disk, ...); then the
/// temporary file is removed, and a file that was there before is as it was.
inline result<void> write_file(const std::filesystem::path& path, std::string_view content,
                               Durability durability = Durability::after_exit) {
    std::error_code error;
    if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
    if (error) return detail::file_error("create", path.parent_path(), error.value());
    std::filesystem::path temporary = path;
    temporary += ".tmp";
    auto const fail = [&](int code) -> result<void> {
        std::filesystem::remove(temporary, error);
        return detail::file_error("write", path, code);
    };

    detail::file_handle file(std::fopen(temporary.c_str(), "wb"));
    if (!file) return detail::file_error("write", path, errno);
    if (std::fwrite(content.data(), 1, content.size(), file.get()) != content.size()) {
        int const code = errno;
        file.reset();
        return fail(code);
    }
    if (durability == Durability::after_power_loss)
        if (int const code = detail::synchronize(file.get()); code != 0) {
            file.reset();
            return fail(code);
        }
    if (std::fclose(file.release()) != 0) return fail(errno);  // the last bytes may not fit the disk
    std::filesystem::rename(temporary, path, error);
    if (error) return fail(error.value());
    return {};
}

}  // namespace amct_distill

// ---- amct_distill/io/npy.hpp

/// Arrays as NumPy's `.npy` files (version 1.0, little-endian, row-major).
///
///     write_npy<float>("weights.npy", {8, 3}, values).value();          // whole or not there
///     NpyArray back = read_npy_array("weights.npy").value();            // the same bits
///     write_npy<std::int32_t>("conv1.bias.npy", {32}, bias).value();
///
/// Tensors are written and read by nn/npy.hpp.

namespace amct_distill {

static_assert(std::endian::native == std::endian::little,
              "amct_distill: .npy files are written little-endian");

using NpyShape = std::vector<std::ptrdiff_t>;
struct NpyArray {
    NpyShape shape{};
    std::vector<float> values{};  ///< row-major
};

namespace detail {

inline std::string npy_shape(const NpyShape& shape) {
    std::string text = "[";
    for (std::size_t i = 0; i != shape.size(); ++i) append(text, concat(i == 0 ? "" : ", ", shape[i]));
    return text + ']';
}

inline constexpr std::string_view npy_magic{"\x93NUMPY\x01\x00", 8};

/// As NumPy spells the type.
template <class T>
constexpr std::string_view npy_type() {
    static_assert(std::same_as<T, float> || std::same_as<T, std::int32_t> || std::same_as<T, std::int8_t> ||
                      std::same_as<T, std::uint8_t>,
                  "write_npy: values are float, int32, int8 or uint8");
    if constexpr (std::same_as<T, float>) return "<f4";
    if constexpr (std::same_as<T, std::int32_t>) return "<i4";
    if constexpr (std::same_as<T, std::int8_t>) return "|i1";
    return "|u1";
}
template <class T>
std::string npy_begin() {
    return concat("{'descr': '", npy_type<T>(), "', 'fortran_order': False, 'shape': (");
}

}  // namespace detail

/// Error: the file cannot be written.
template <class T>
result<void> write_npy(const std::filesystem::path& path, const NpyShape& shape, std::span<const T> values) {
    std::string header = detail::npy_begin<T>();
    for (std::ptrdiff_t d : shape) detail::append(header, detail::concat(d, ", "));
    header.append("), }");
    // magic, two bytes of length, header, newline: a multiple of 64 bytes.
    std::size_t const before = detail::npy_magic.size() + 2;
    header.append(64 - (before + header.size() + 1) % 64, ' ');
    header.push_back('\n');

    std::string content(detail::npy_magic);
    content.push_back(static_cast<char>(header.size() & 0xFF));
    content.push_back(static_cast<char>(header.size() >> 8));
    content.append(header);
    std::size_t const data = content.size();
    content.resize(data + values.size_bytes());
    if (!values.empty()) std::memcpy(content.data() + data, values.data(), values.size_bytes());
    return write_file(path, content);
}

/// Errors: the file cannot be read, is cut off, or is not one that write_npy writes.
inline result<NpyArray> read_npy_array(const std::filesystem::path& path) {
    auto const content = read_file(path);
    if (!content) return content.diagnostics();
    auto const bad = [&](std::string_view why) {
        return general_error(detail::concat("cannot read ", path.string(), ": ", why));
    };
    std::string_view rest = *content;
    std::size_t const before = detail::npy_magic.size() + 2;
    if (!rest.starts_with(detail::npy_magic) || rest.size() < before)
        return bad("it is no .npy file of version 1.0");
    auto const byte = [&](std::size_t i) { return std::size_t{static_cast<unsigned char>(rest[i])}; };
    std::size_t const length = byte(before - 2) + (byte(before - 1) << 8);
    if (rest.size() < before + length) return bad("its header is cut off");
    std::string_view header = rest.substr(before, length);
    rest.remove_prefix(before + length);
    std::string const begin = detail::npy_begin<float>();
    if (!header.starts_with(begin)) return bad("expected float32, row-major values");
    header.remove_prefix(begin.size());

    NpyShape shape;
    std::size_t count = 1;
    while (!header.empty() && header.front() != ')') {
        std::ptrdiff_t d = 0;
        auto const [end, error] = std::from_chars(header.data(), header.data() + header.size(), d);
        if (error != std::errc{} || d < 0) return bad("its shape cannot be read");
        header.remove_prefix(static_cast<std::size_t>(end - header.data()));
        while (!header.empty() && (header.front() == ',' || header.front() == ' ')) header.remove_prefix(1);
        shape.push_back(d);
        count *= static_cast<std::size_t>(d);
        if (count > rest.size()) return bad("its values are cut off");
    }
    if (shape.empty() || rest.size() != count * sizeof(float))
        return bad(detail::concat("its shape ", detail::npy_shape(shape), " does not fit its ", rest.size(),
                                  " bytes"));
    NpyArray array{std::move(shape), std::vector<float>(count)};
    if (count != 0) std::memcpy(array.values.data(), rest.data(), rest.size());
    return array;
}

}  // namespace amct_distill

// ---- amct_distill/text/printer.hpp

/// Any aggregate message as protobuf text format.
///
///     std::string text = print(config);
///     read<AMCTDistillConfig>(text).value() == config
///
/// The canonical form of protobuf's TextFormat: two spaces of indentation, one field a line, fields in schema
/// order, `message {`, strings escaped to 7 bits, floats as the shortest text that reads back.

namespace amct_distill {
namespace detail {

class text_printer {
public:
    explicit text_printer(std::string& out) : out_(out) {}

    template <class M>
    void fields_of(const M& m) {
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            (member(reflect::field_name<M, I>(), reflect::get<I>(m)), ...);
        }
        (std::make_index_sequence<reflect::field_count<M>>{});
    }

private:
    template <class F>
    void member(std::string_view name, const F& f) {
        if constexpr (is_required<F>) {
            field(name, *f);
        } else if constexpr (is_optional<F>) {
            if (f.has_value()) field(name, *f);
        } else if constexpr (is_oneof<F>) {
            std::visit(
                [&]<class T>(const T& alternative) {
                    if constexpr (!std::is_same_v<T, std::monostate>) field(f.name(), alternative);
                },
                f.value());
        } else {
            for (const auto& element : f) field(name, element);
        }
    }
    template <class T>
    void field(std::string_view name, const T& value) {
        out_.append(2 * depth_, ' ');
        out_ += name;
        if constexpr (message_type<T>) {
            out_ += " {\n";
            ++depth_;
            fields_of(value);
            --depth_;
            out_.append(2 * depth_, ' ');
            out_ += "}\n";
        } else {
            out_ += ": ";
            scalar(value);
            out_ += '\n';
        }
    }

    void scalar(bool v) { out_ += v ? "true" : "false"; }
    template <class T>
    requires((std::integral<T> && !std::same_as<T, bool>) || std::floating_point<T>) void scalar(T v) {
        if constexpr (std::floating_point<T>) {
            if (std::isnan(v)) {  // to_chars would print a sign that the format does not have
                out_ += "nan";
                return;
            }
        }
        char buffer[64];  // the longest double is 24 characters
        auto const end = std::to_chars(buffer, buffer + sizeof buffer, v).ptr;
        out_.append(buffer, end);
    }
    template <class E>
    requires std::is_enum_v<E>
    void scalar(E v) {
        for (auto const& [name, value] : enumerators(E{}))
            if (value == v) {
                out_ += name;
                return;
            }
        scalar(static_cast<std::underlying_type_t<E>>(v));
    }
    void scalar(std::string_view s) {
        out_ += '"';
        for (char c : s) {
            auto const byte = static_cast<unsigned char>(c);
            constexpr std::string_view plain = "\n\r\t\"'\\", escaped = "nrt\"'\\";
            if (auto const k = plain.find(c); k != plain.npos) {
                out_ += '\\';
                out_ += escaped[k];
            } else if (byte < 0x20 || byte >= 0x7F) {
                out_ += '\\';
                for (int shift : {6, 3, 0}) out_ += static_cast<char>('0' + (byte >> shift & 7));
            } else {
                out_ += c;
            }
        }
        out_ += '"';
    }

    std::string& out_;
    std::size_t depth_ = 0;
};

}  // namespace detail

template <class M>
requires detail::message_type<M> std::string print(const M& message) {
    std::string out;
    detail::text_printer(out).fields_of(message);
    return out;
}

}  // namespace amct_distill

// ---- amct_distill/deploy/write.hpp

/// A deployment as files: the record, and the integers of each layer as NumPy's `.npy`.
///
///     write_deployment("out", student).value();
///
///     out/record.txt         scales, offsets and types: ScaleOffsetRecord, text format
///     out/conv1.weight.npy   int8, of the weight's shape; INT4: uint8 [out, bytes], two codes a byte, the low
///                            nibble first, rows padded
///     out/conv1.bias.npy     int32 [out], in units of scale_d * scale_w; absent when the layer has none
///
/// In file names, bytes of a layer's name other than letters, digits, `_`, `-` and `.` are written as %2F.

namespace amct_distill {
namespace detail {

inline std::string file_name(std::string_view layer) {
    constexpr std::string_view hex = "0123456789ABCDEF";
    std::string out;
    for (char c : layer) {
        bool const plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           c == '_' || c == '-' || c == '.';
        auto const byte = static_cast<unsigned char>(c);
        append(out, plain ? std::string(1, c) : concat('%', hex[byte >> 4], hex[byte & 15]));
    }
    return out;
}

}  // namespace detail

/// Makes the directory. Each file is written to a temporary name and renamed; an older record is removed
/// first and the record is written last, so that a directory with a record is complete. Error: a file cannot
/// be written (a full disk, ...); it names the file.
inline result<void> write_deployment(const std::filesystem::path& directory,
                                     std::span<const DeployedLayer> layers) {
    std::filesystem::path const record = directory / "record.txt";
    std::error_code error;
    std::filesystem::remove(record, error);
    if (error) return detail::file_error("remove", record, error.value());
    for (const DeployedLayer& layer : layers) {
        std::string const name = detail::file_name(layer.name);
        auto const rows = static_cast<nn::Index>(layer.rows());
        std::filesystem::path const weight = directory / (name + ".weight.npy");
        auto const ok =
            layer.weight_bits == 4
                ? write_npy<std::uint8_t>(
                      weight, {rows, static_cast<nn::Index>(packed_row_bytes(layer.cols()))}, layer.weights)
                : write_npy<std::int8_t>(weight, layer.float_weight().shape(), layer.codes());
        if (!ok) return ok;
        std::filesystem::path const bias = directory / (name + ".bias.npy");
        if (layer.bias.empty()) {  // nor one of an older deployment
            std::filesystem::remove(bias, error);
            if (error) return detail::file_error("remove", bias, error.value());
            continue;
        }
        if (auto written = write_npy<std::int32_t>(bias, {rows}, layer.bias); !written) return written;
    }
    return write_file(record, print(make_record(layers)));
}

/// Errors: those of `deploy` and of writing.
template <class Algorithms>
result<void> write_deployment(const std::filesystem::path& directory,
                              const BasicStudent<Algorithms>& student) {
    auto const layers = deploy(student);
    if (!layers) return layers.diagnostics();
    return write_deployment(directory, std::span<const DeployedLayer>(*layers));
}

}  // namespace amct_distill

// ---- amct_distill/distill/adamw.hpp

/// AdamW (Loshchilov and Hutter 2019), with a learning rate per group of parameters, as torch.optim.AdamW.
///
///     AdamW optimizer({.weight_decay = 0});
///     optimizer.add(weight, gradient, 1e-3);      // tensors of the caller's, which outlive the optimizer
///     optimizer.step();

namespace amct_distill {

struct AdamWOptions {
    double beta1 = 0.9;
    double beta2 = 0.999;
    double epsilon = 1e-8;
    double weight_decay = 0.01;
};

class AdamW {
public:
    explicit AdamW(AdamWOptions options = {}) : options_(options) {}

    /// For the fingerprint of a run.
    std::string settings() const {
        return detail::concat(detail::number(options_.beta1), ' ', detail::number(options_.beta2), ' ',
                              detail::number(options_.epsilon), ' ', detail::number(options_.weight_decay));
    }

    /// Trains `value` by `gradient`; throws std::invalid_argument when they differ in shape.
    void add(nn::Tensor& value, const nn::Tensor& gradient, double learning_rate) {
        if (value.shape() != gradient.shape())
            throw std::invalid_argument(detail::concat("AdamW: a parameter ", nn::to_string(value.shape()),
                                                       " has a gradient ", nn::to_string(gradient.shape())));
        entries_.push_back(
            {&value, &gradient, learning_rate, nn::Tensor(value.shape()), nn::Tensor(value.shape())});
    }

    /// Of all learning rates, from the next step on; a schedule sets it step by step.
    void set_learning_rate_factor(double factor) { factor_ = factor; }

    /// p *= 1 - lr * weight_decay;  m = lerp(m, g, 1 - beta1);  v = beta2 * v + (1 - beta2) * g^2;
    /// p -= lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon).
    /// float32 by element, the factors in double, as PyTorch does it.
    void step() {
        ++steps_;
        double const correction1 = 1 - std::pow(options_.beta1, steps_);
        double const correction2 = std::sqrt(1 - std::pow(options_.beta2, steps_));
        auto const keep2 = static_cast<float>(options_.beta2), take1 = static_cast<float>(1 - options_.beta1),
                   take2 = static_cast<float>(1 - options_.beta2), root = static_cast<float>(correction2),
                   epsilon = static_cast<float>(options_.epsilon);
        for (Entry& e : entries_) {
            double const learning_rate = e.learning_rate * factor_;
            auto const decay = static_cast<float>(1 - learning_rate * options_.weight_decay),
                       rate = static_cast<float>(learning_rate / correction1);
            for (std::size_t i = 0; i != e.value->size(); ++i) {
                float const g = (*e.gradient)[i];
                float &p = (*e.value)[i], &m = e.first[i], &v = e.second[i];
                m += take1 * (g - m);
                v = v * keep2 + take2 * (g * g);
                p = p * decay - rate * (m / (std::sqrt(v) / root + epsilon));
            }
        }
    }

private:
    struct Entry {
        nn::Tensor* value;
        const nn::Tensor* gradient;
        double learning_rate;
        nn::Tensor first, second;  // moments
    };

    AdamWOptions options_;
    double factor_ = 1;
    int steps_ = 0;
    std::vector<Entry> entries_{};
};

}  // namespace amct_distill

// ---- amct_distill/nn/npy.hpp

/// Tensors as NumPy's `.npy` files.
///
///     write_npy("run/block0_step0_input.npy", tensor).value();        // whole or not there
///     nn::Tensor back = read_npy("run/block0_step0_input.npy").value();   // the same bits

namespace amct_distill {

/// Error: the file cannot be written.
inline result<void> write_npy(const std::filesystem::path& path, const nn::Tensor& tensor) {
    return write_npy<float>(path, tensor.shape(), tensor.span());
}

/// Errors: the file cannot be read, is cut off, or is not one that write_npy writes for float32.
inline result<nn::Tensor> read_npy(const std::filesystem::path& path) {
    auto const array = read_npy_array(path);
    if (!array) return array.diagnostics();
    return nn::Tensor(array->shape, array->values);
}

}  // namespace amct_distill

// ---- amct_distill/distill/dump.hpp

/// The teacher's inputs and outputs of every block and step, on disk: computed once, read at every epoch.
///
///     auto dump = TeacherDump::write(teacher, plan.blocks, batches, "/tmp");   // a new directory in there
///     dump->load(block, step)->output;                                         // the same bits
///
/// The directory is the run's own and is removed with the object. When something fails, it stays, for looking
/// into, and the diagnostics say where.

namespace amct_distill {

class TeacherDump {
public:
    struct Step {
        nn::Tensor input{}, output{};
    };

    /// Runs the teacher over all batches. Errors: a directory or file cannot be written (a full disk, ...).
    static result<TeacherDump> write(const nn::Network& teacher, std::span<const PlannedBlock> blocks,
                                     std::span<const nn::Tensor> batches, const std::filesystem::path& parent,
                                     const nn::Executor* executor = nullptr) {
        auto directory = make_directory(parent);
        if (!directory) return directory.diagnostics();
        TeacherDump dump(*std::move(directory));
        nn::Tape tape(executor);
        for (std::size_t i = 0; i != batches.size(); ++i) {
            teacher.forward(batches[i], tape, nn::Mode::evaluate);
            for (std::size_t b = 0; b != blocks.size(); ++b) {
                nn::NodeId const first = teacher.operations()[blocks[b].nodes.front()];
                nn::NodeId const last = teacher.operations()[blocks[b].nodes.back()];
                auto written =
                    write_npy(dump.file(b, i, "input"), tape.output(teacher.node(first).inputs.at(0)));
                if (written) written = write_npy(dump.file(b, i, "output"), tape.output(last));
                if (!written) return dump.failed(written.diagnostics());
            }
        }
        return dump;
    }

    TeacherDump(TeacherDump&& other) noexcept : directory_(std::exchange(other.directory_, {})) {}
    TeacherDump& operator=(TeacherDump&& other) noexcept {
        std::swap(directory_, other.directory_);
        return *this;
    }
    ~TeacherDump() {
        std::error_code ignored;
        if (!directory_.empty()) std::filesystem::remove_all(directory_, ignored);
    }

    const std::filesystem::path& directory() const { return directory_; }

    /// Leaves the directory where it is, and says so in the last of the diagnostics.
    Diagnostics failed(Diagnostics why) {
        why.back().message += detail::concat("; the teacher's dump is kept in ", directory_.string());
        directory_.clear();
        return why;
    }

    /// Error: the files cannot be read.
    result<Step> load(std::size_t block, std::size_t step) const {
        auto input = read_npy(file(block, step, "input"));
        if (!input) return input.diagnostics();
        auto output = read_npy(file(block, step, "output"));
        if (!output) return output.diagnostics();
        return Step{*std::move(input), *std::move(output)};
    }

private:
    explicit TeacherDump(std::filesystem::path directory) : directory_(std::move(directory)) {}

    std::filesystem::path file(std::size_t block, std::size_t step, std::string_view what) const {
        return directory_ / detail::concat("block", block, "_step", step, '_', what, ".npy");
    }

    /// A directory that was not there before: create_directory says so, also between processes.
    static result<std::filesystem::path> make_directory(const std::filesystem::path& parent) {
        std::error_code error;
        std::filesystem::create_directories(parent, error);
        if (error) return detail::file_error("create", parent, error.value());
        for (int i = 0;; ++i) {
            std::filesystem::path directory = parent / detail::concat("amct_distill_dump_", i);
            if (std::filesystem::create_directory(directory, error)) return directory;
            if (error) return detail::file_error("create", directory, error.value());
        }
    }

    std::filesystem::path directory_;
};

}  // namespace amct_distill

// ---- amct_distill/distill/loss.hpp

/// What a block is trained to make small; mean squared error unless another is given.
///
///     struct MeanAbsoluteError {
///         double operator()(const nn::Tensor& output, const nn::Tensor& target) const;
///         void gradient(const nn::Tensor& output, const nn::Tensor& target, nn::Tensor& gradient) const;
///     };
///     distill<MeanAbsoluteError>(teacher, student, batches, {.epochs = 5});

namespace amct_distill {

/// A mean over the elements of two tensors of one shape, and its gradient with respect to the output, of that
/// shape too and overwritten. Both are functions of their arguments and of the object alone: what a run
/// resumes must not have changed.
template <class L>
concept BlockLoss = std::copyable<L> && std::default_initializable<L> &&
    requires(const L& loss, const nn::Tensor& t, nn::Tensor& gradient) {
    { loss(t, t) } -> std::convertible_to<double>;
    loss.gradient(t, t, gradient);
};

/// mean((output - target)^2), summed in double, in order; 2 (output - target) / n in float32.
struct MeanSquaredError {
    double operator()(const nn::Tensor& output, const nn::Tensor& target) const {
        double sum = 0;
        for (std::size_t i = 0; i != output.size(); ++i) {
            double const d = static_cast<double>(output[i]) - static_cast<double>(target[i]);
            sum += d * d;
        }
        return sum / static_cast<double>(output.size());
    }
    void gradient(const nn::Tensor& output, const nn::Tensor& target, nn::Tensor& gradient) const {
        nn::array(gradient) =
            (nn::array(output) - nn::array(target)) * (2.0f / static_cast<float>(output.size()));
    }
};

namespace detail {

/// Mean of the squares, summed in double, in order.
inline double mean_square(const nn::Tensor& a) {
    double sum = 0;
    for (float v : a) sum += static_cast<double>(v) * static_cast<double>(v);
    return sum / static_cast<double>(a.size());
}
inline double mean_squared_error(const nn::Tensor& a, const nn::Tensor& b) {
    return MeanSquaredError{}(a, b);
}

}  // namespace detail
}  // namespace amct_distill

// ---- amct_distill/distill/prefix_cache.hpp

/// What a network has computed so far, batch by batch, so that the next block begins where the last one ended.
///
///     CacheBudget budget(512 << 20);
///     Frontier frontier(network, budget, executor);
///     frontier.advance(3, batches[3], block.front());       // runs the nodes before that one ...
///     frontier.tape().output(feed);                         // ... whose outputs are there now
///
/// Kept of a batch is what a later node reads. Where the budget has no room for it, the next call begins at the
/// network's input again: with the same bits, only later.

namespace amct_distill {

/// How many bytes may be kept, by all who share it.
class CacheBudget {
public:
    explicit CacheBudget(std::size_t bytes) : free_(bytes) {}
    bool take(std::size_t bytes) {
        if (bytes > free_) return false;
        free_ -= bytes;
        return true;
    }
    void give_back(std::size_t bytes) { free_ += bytes; }
    std::size_t free() const { return free_; }

private:
    std::size_t free_;
};

class Frontier {
public:
    /// Both outlive it. The network's parameters may change for nodes that no call has come by.
    Frontier(const nn::Network& network, CacheBudget& budget, const nn::Executor* executor = nullptr)
        : network_(network), budget_(budget), tape_(executor) {}

    nn::Tape& tape() { return tape_; }
    const nn::Network& network() const { return network_; }

    /// Brings what the nodes from `to` on read into the tape, for batch number `step`. Throws
    /// std::invalid_argument when the batch does not have the shape of the network's input.
    void advance(std::size_t step, const nn::Tensor& batch, nn::NodeId to) {
        if (kept_.size() <= step) kept_.resize(step + 1);
        Kept& kept = kept_[step];
        std::size_t from = 0;
        if (kept.bytes != 0 && kept.at <= to) {
            from = kept.at.index;
            for (auto& [id, value] : kept.values) std::swap(tape_.output(id), value);
        } else {
            tape_.output(network_.inputs()[0]) = batch;
        }
        for (nn::NodeId id : network_.operations())
            if (id.index >= from && id < to) network_.forward_node(id, tape_, nn::Mode::evaluate);
        keep(kept, to);
    }

    /// After a change of parameters of nodes that calls have come by.
    void forget() {
        for (Kept& kept : kept_) drop(kept);
    }

private:
    struct Kept {
        nn::NodeId at{};
        std::vector<std::pair<nn::NodeId, nn::Tensor>> values{};
        std::size_t bytes = 0;
    };

    void drop(Kept& kept) {
        budget_.give_back(std::exchange(kept.bytes, 0));
        kept.values.clear();
    }
    void keep(Kept& kept, nn::NodeId to) {
        if (live_at_ != to || live_.empty()) find_live(to);
        std::size_t bytes = 0;
        for (nn::NodeId id : live_) bytes += tape_.output(id).size() * sizeof(float);
        drop(kept);
        if (!budget_.take(bytes)) return;
        kept.at = to;
        kept.bytes = bytes;
        for (nn::NodeId id : live_) kept.values.emplace_back(id, tape_.output(id));
    }
    /// The nodes before `to` that it or one behind it reads.
    void find_live(nn::NodeId to) {
        std::vector<bool> live(to.index, false);
        for (nn::NodeId id : network_.operations())
            if (id >= to)
                for (nn::NodeId input : network_.node(id).inputs)
                    if (input < to) live[input.index] = true;
        live_.clear();
        live_at_ = to;
        for (std::size_t i = 0; i != live.size(); ++i)
            if (live[i]) live_.push_back({i});
    }

    const nn::Network& network_;
    CacheBudget& budget_;
    nn::Tape tape_;
    std::vector<Kept> kept_{};  // by step
    std::vector<nn::NodeId> live_{};
    nn::NodeId live_at_{};
};

}  // namespace amct_distill

// ---- amct_distill/distill/block_data.hpp

/// What a block is trained on: for every batch, its input and the output that the teacher has there.
///
///     BlockData data(student_frontier, teacher_frontier, budget, batches, plan.blocks[2], /*dump=*/nullptr, 2);
///     const BlockData::Step& step = *data.load(7).value();     // valid until the next load
///
/// Neither changes while the block is trained, so both are computed once, and kept where the budget allows.

namespace amct_distill {

class BlockData {
public:
    struct Step {
        nn::Tensor input{}, target{};
        /// The input is the teacher's: the student's was off by more than half of the smaller signal's power,
        /// mean((t - s)^2) > 0.5 min(mean t^2, mean s^2), and had nothing left to teach.
        bool from_teacher = false;
    };

    /// The blocks before this one are trained. `dump`: the teacher's part, when it was dumped.
    BlockData(Frontier& student, Frontier& teacher, CacheBudget& budget, std::span<const nn::Tensor> batches,
              const PlannedBlock& block, const TeacherDump* dump, std::size_t index)
        : student_(student),
          teacher_(teacher),
          budget_(budget),
          batches_(batches),
          dump_(dump),
          index_(index),
          steps_(batches.size()) {
        const nn::Network& network = student.network();
        for (std::size_t k : block.nodes) nodes_.push_back(network.operations()[k]);
        feed_ = network.node(nodes_.front()).inputs.at(0);
        // A module that is trained here and also used before makes the input change with every step.
        for (nn::NodeId id : network.operations())
            if (id < nodes_.front() && network.node(id).module)
                for (nn::NodeId own : nodes_)
                    if (network.node(own).module == network.node(id).module) changes_ = true;
    }
    BlockData(const BlockData&) = delete;
    BlockData& operator=(const BlockData&) = delete;
    ~BlockData() {
        budget_.give_back(bytes_);
        if (changes_) student_.forget();
    }

    std::span<const nn::NodeId> nodes() const { return nodes_; }
    nn::NodeId feed() const { return feed_; }
    std::size_t size() const { return batches_.size(); }

    /// Error: the teacher's dump cannot be read.
    result<const Step*> load(std::size_t i) {
        if (steps_[i]) return &*steps_[i];
        if (auto ok = compute(i); !ok) return ok.diagnostics();
        std::size_t const bytes = (current_.input.size() + current_.target.size()) * sizeof(float);
        if (changes_ || !budget_.take(bytes)) return &current_;
        bytes_ += bytes;
        return &steps_[i].emplace(current_);
    }

private:
    result<void> compute(std::size_t i) {
        if (changes_) student_.forget();
        student_.advance(i, batches_[i], nodes_.front());
        const nn::Tensor& own = student_.tape().output(feed_);
        if (dump_ != nullptr) {
            auto step = dump_->load(index_, i);
            if (!step) return step.diagnostics();
            current_.input = std::move(step->input);
            current_.target = std::move(step->output);
        } else {
            teacher_.advance(i, batches_[i], nodes_.front());
            teacher_.network().forward_nodes(nodes_, teacher_.tape(), nn::Mode::evaluate);
            current_.input = teacher_.tape().output(feed_);
            current_.target = teacher_.tape().output(nodes_.back());
        }
        double const distance = detail::mean_squared_error(current_.input, own);
        double const power = (std::min)(detail::mean_square(current_.input), detail::mean_square(own));
        current_.from_teacher = !(distance <= 0.5 * power);  // not finite is too far as well
        if (!current_.from_teacher) current_.input = own;
        return {};
    }

    Frontier &student_, &teacher_;
    CacheBudget& budget_;
    std::span<const nn::Tensor> batches_;
    const TeacherDump* dump_;
    std::size_t index_;
    std::vector<nn::NodeId> nodes_{};
    nn::NodeId feed_{};
    bool changes_ = false;
    std::vector<std::optional<Step>> steps_;
    std::size_t bytes_ = 0;
    Step current_{};
};

}  // namespace amct_distill

// ---- amct_distill/distill/optimizer.hpp

/// What changes a block's parameters by their gradients; AdamW unless another is given.
///
///     distill<MeanSquaredError, Sgd>(teacher, student, batches, {.optimizer = Sgd(0.9)});
///
/// A copy of the object that the options hold trains a block; it is a copy of the same again, with nothing
/// remembered, when training falls back to the best parameters.

namespace amct_distill {

/// `add`: a parameter, its gradient (both outlive the optimizer) and its learning rate; `step`: changes all
/// of them, each rate times the factor that was set last. One with settings may show them as a text by
/// `settings()`: a run that is resumed with others is then refused. (A loss may do the same.)
template <class O>
concept BlockOptimizer = std::copyable<O> && std::default_initializable<O> &&
    requires(O optimizer, nn::Tensor& value, const nn::Tensor& gradient, double rate) {
    optimizer.add(value, gradient, rate);
    optimizer.set_learning_rate_factor(rate);
    optimizer.step();
};

}  // namespace amct_distill

// ---- amct_distill/distill/report.hpp

/// What distillation did: of every layer its quantization, of every block its losses, of the whole the error of
/// the outputs.
///
///     for (const BlockReport& b : report.blocks) std::cout << b.loss_before << " -> " << b.loss_after << '\n';

namespace amct_distill {

/// A quantized layer at the end.
struct LayerReport {
    std::string name{};
    std::string weight_policy{};  ///< "arq_distill, INT4, channel_wise"
    std::string data_policy{};    ///< "ulq_quantize, INT8"
    int weight_bits = 0;
    int data_bits = 0;
    std::vector<ScaleOffset> weight_scales{};  ///< one, or one per output channel
    ScaleOffset data_scale{};
    ClipRange data_clip{};
    bool user_clips = false;                   ///< the first clips were the user's, not IFMR's
    double weight_sqnr = 0;                    ///< signal to quantization noise of the weights, dB
    double data_sqnr = 0;                      ///< the same of the layer's inputs, over all batches, dB
    double saturation = 0;                     ///< share of the layer's inputs outside of the clips, 0 to 1
    std::size_t channels = 0;                  ///< output channels
    std::vector<std::size_t> dead_channels{};  ///< whose weights are all quantized to 0
};

/// A block; its loss is that of its output over all batches, the mean squared error unless another is trained.
struct BlockReport {
    std::vector<std::string> names{};    ///< of its modules
    double loss_before = 0;              ///< as calibrated
    double loss_after = 0;               ///< never above loss_before
    std::vector<double> epoch_losses{};  ///< mean over the training steps of each epoch
    int best_epoch = 0;                  ///< in which epoch the kept parameters were seen; 0: as calibrated
    std::size_t restarts = 0;        ///< how often training went back to the best, with lower learning rates
    std::size_t teacher_inputs = 0;  ///< steps that took the teacher's input, the student's being too far off
    double seconds = 0;              ///< wall time of the block's training
    std::string stopped{};           ///< why it ended early; empty: it did not
};

struct DistillReport {
    std::vector<LayerReport> layers{};
    std::vector<BlockReport> blocks{};
    double output_error_calibrated =
        0;                              ///< mean squared error of the network's first output over all batches
    double output_error_distilled = 0;  ///< never above output_error_calibrated
    bool kept_calibrated = false;    ///< the outputs did not come 5 % nearer, so the calibrated network stays
    bool cancelled = false;          ///< by the progress callback
    std::size_t resumed_blocks = 0;  ///< that an earlier run had finished
};

}  // namespace amct_distill

// ---- amct_distill/distill/train_options.hpp

/// How a block is trained: learning rates and their schedule, how often its loss is looked at, who is told.
///
///     distill(teacher, student, batches, {.epochs = 5, .schedule = Schedule::constant});
///     distill(teacher, student, batches, {.on_progress = [](const Progress& p) { return p.block < 3; }});

namespace amct_distill {

/// AMCT's.
struct LearningRates {
    double parameters = 1e-3;  ///< weights, biases, BatchNorm's affine parameters
    double clips = 0.1;        ///< of activations
    double scales = 1e-4;      ///< of weights

    double of(nn::Role role) const {
        return role == nn::Role::clip ? clips : role == nn::Role::scale ? scales : parameters;
    }
};

/// Of the learning rates over a block's training: as they are throughout (AMCT's), or from there down to 0
/// along half a cosine.
enum class Schedule { constant, cosine };

/// What all rates are multiplied by at a step of a block, from 0; `steps` in all.
inline double schedule_factor(Schedule schedule, std::size_t step, std::size_t steps) {
    constexpr double pi = 3.141592653589793;
    if (schedule == Schedule::constant) return 1;
    return 0.5 * (1 + std::cos(pi * static_cast<double>(step) / static_cast<double>(steps)));
}

/// How the best parameters of a block are found. Of nine networks (dense, convolutional, residual, VGG-like;
/// trained and random; inputs from 0.02 to 30) at INT4 and INT8, the defaults and the cosine left 0.54 of the
/// calibrated error of the outputs on unseen data, the geometric mean; the cosine alone 0.59, AMCT's constant
/// rates with a look per epoch 0.67.
struct SearchOptions {
    /// How often an epoch's steps are interrupted to compute the loss over the whole data: of the parameters
    /// as they are, and of their average. A look costs two forward runs of the block.
    int looks_per_epoch = 2;
    /// After looks that found nothing better, a tenth of all in a row, training goes on from the best, with all
    /// rates times this: so rates that are too high for a block cost steps, not the result. 1: it goes on from
    /// where it is.
    double rate_after_failure = 0.3;
    /// The average is average * decay + parameters * (1 - decay), step by step, with a smaller decay in the
    /// first steps. 0: no average.
    double average_decay = 0.95;
};

struct Progress;
/// False ends the training after this step: every block keeps the best it had.
using ProgressCallback = std::function<bool(const Progress&)>;

/// Where training is; handed to the progress callback after every step.
struct Progress {
    std::size_t block = 0, blocks = 0;  ///< from 0
    int epoch = 0, epochs = 0;          ///< from 0
    std::size_t step = 0, steps = 0;    ///< of the epoch, from 0
    double loss = 0;                    ///< of this step
};

/// `Loss` and `Optimizer` are as in loss.hpp and optimizer.hpp.
template <class Loss, class Optimizer>
struct TrainOptions {
    int epochs = 1;
    LearningRates learning_rates{};
    Schedule schedule = Schedule::cosine;
    SearchOptions search{};
    Loss loss{};
    Optimizer optimizer{};  ///< without parameters; a copy of it trains each block
    ProgressCallback on_progress{};

    /// Throws std::invalid_argument when they make no sense.
    void check() const {
        if (epochs < 0) throw std::invalid_argument("distill: epochs must not be negative");
        if (search.looks_per_epoch < 1)
            throw std::invalid_argument("distill: search.looks_per_epoch must be at least 1");
        if (!(search.rate_after_failure > 0 && search.rate_after_failure <= 1))
            throw std::invalid_argument("distill: search.rate_after_failure must be in (0, 1]");
        if (!(search.average_decay >= 0 && search.average_decay < 1))
            throw std::invalid_argument("distill: search.average_decay must be in [0, 1)");
    }
};

}  // namespace amct_distill

// ---- amct_distill/distill/block.hpp

/// One block of a student learns to put out what the teacher's does.
///
///     BlockTrainer trainer(student.network(), data);                    // data: block_data.hpp
///     BlockReport report = trainer.train(options, {}, cancelled).value();
///
/// Source: AMCT's block-wise distillation, with a float master and the best parameters kept. A step behind the
/// first allocates nothing of its own when the data are kept (and nothing at all when the modules do not).

namespace amct_distill {

template <BlockLoss Loss = MeanSquaredError, BlockOptimizer Optimizer = AdamW>
class BlockTrainer {
public:
    using Options = TrainOptions<Loss, Optimizer>;

    BlockTrainer(nn::Network& student, BlockData& data, const nn::Executor* executor = nullptr)
        : student_(student), data_(data), tape_(executor) {
        for (nn::NodeId id : data.nodes())
            if (auto const m = student.node(id).module;
                m && std::ranges::find(modules_, *m) == modules_.end())
                modules_.push_back(*m);
    }

    /// `progress` has the block's number. `cancelled` is set when the callback said so. Error: the teacher's
    /// dump cannot be read.
    result<BlockReport> train(const Options& options, Progress progress, bool& cancelled) {
        options.check();
        auto const begin = std::chrono::steady_clock::now();
        report_ = {};
        for (nn::NodeId id : data_.nodes())
            if (auto const m = student_.node(id).module) report_.names.push_back(student_.modules()[*m].name);
        auto const finish = [&] {
            std::chrono::duration<double> const spent = std::chrono::steady_clock::now() - begin;
            report_.seconds = spent.count();
            return std::move(report_);
        };
        auto const start = loss_over(options.loss);
        if (!start) return start.diagnostics();
        report_.loss_before = report_.loss_after = *start;
        if (!std::isfinite(*start)) {
            report_.stopped = "the loss is not finite before training";
            return finish();
        }
        best_ = modules();
        begin_from_best(options);

        progress.epochs = options.epochs;
        progress.steps = data_.size();
        std::size_t const steps = data_.size() * static_cast<std::size_t>(options.epochs);
        std::size_t const looks =
            (std::min)(static_cast<std::size_t>(options.search.looks_per_epoch), data_.size());
        // A long training may look in vain more often before its rates are lowered.
        patience_ = (std::max)(std::size_t{1}, looks * static_cast<std::size_t>(options.epochs) / 10);
        std::size_t taken = 0;
        for (int epoch = 0; epoch != options.epochs && report_.stopped.empty() && !cancelled; ++epoch) {
            double sum = 0;
            std::size_t i = 0;
            while (i != data_.size() && report_.stopped.empty() && !cancelled) {
                optimizer_->set_learning_rate_factor(rate_ * schedule_factor(options.schedule, taken, steps));
                auto const loss = step(i, options);
                if (!loss) return loss.diagnostics();
                sum += *loss;
                ++i, ++taken;
                progress.epoch = epoch;
                progress.step = i - 1;
                progress.loss = *loss;
                if (options.on_progress && !options.on_progress(progress)) cancelled = true;
                // The last step is looked at in any case.
                bool const due = i * looks / data_.size() != (i - 1) * looks / data_.size() || cancelled;
                if (due && report_.stopped.empty())
                    if (auto ok = look(epoch, options); !ok) return ok.diagnostics();
            }
            report_.epoch_losses.push_back(sum / static_cast<double>(i));
        }
        restore_best();
        return finish();
    }

private:
    std::vector<nn::Module> modules() const {
        std::vector<nn::Module> copies;
        for (std::size_t m : modules_) copies.push_back(student_.modules()[m].module);
        return copies;
    }
    nn::Module& module(std::size_t k) { return student_.module(student_.modules()[modules_[k]].name); }

    void restore_best() {
        for (std::size_t k = 0; k != modules_.size(); ++k) module(k) = best_[k];
    }
    /// The parameters as they are become what is trained and averaged.
    void begin_from_best(const Options& options) {
        restore_best();
        trained_.clear();
        average_.clear();
        constrained_.clear();
        optimizer_.emplace(options.optimizer);
        for (std::size_t k = 0; k != modules_.size(); ++k) constrained_.push_back(&module(k));
        for (auto& p : student_.parameters(tape_))
            if (std::ranges::find(modules_, p.module) != modules_.end() && p.role != nn::Role::statistic) {
                optimizer_->add(*p.value, *p.gradient, options.learning_rates.of(p.role));
                if (options.search.average_decay > 0) average_.push_back(*p.value);
                trained_.push_back(std::move(p));
            }
        averaged_ = 0;
    }

    result<double> forward(std::size_t i, const Loss& loss, bool count) {
        auto const step = data_.load(i);
        if (!step) return step.diagnostics();
        step_ = *step;
        if (count && step_->from_teacher) ++report_.teacher_inputs;
        tape_.output(data_.feed()) = step_->input;
        student_.forward_nodes(data_.nodes(), tape_, nn::Mode::evaluate);
        return static_cast<double>(loss(tape_.output(data_.nodes().back()), step_->target));
    }

    /// The loss over all batches, the parameters as they are.
    result<double> loss_over(const Loss& loss) {
        double sum = 0, values = 0;
        for (std::size_t i = 0; i != data_.size(); ++i) {
            auto const one = forward(i, loss, false);
            if (!one) return one.diagnostics();
            auto const size = static_cast<double>(step_->target.size());
            sum += *one * size;
            values += size;
        }
        return sum / values;
    }

    /// One step of the optimizer; says why in `stopped` when something is not finite, and then does no harm.
    result<double> step(std::size_t i, const Options& options) {
        auto const loss = forward(i, options.loss, true);
        if (!loss) return loss.diagnostics();
        if (!std::isfinite(*loss)) {
            report_.stopped = "the loss is not finite";
            return *loss;
        }
        const nn::Tensor& output = tape_.output(data_.nodes().back());
        gradient_.resize(output.shape());
        options.loss.gradient(output, step_->target, gradient_);
        for (const nn::NamedParameter& p : trained_) p.gradient->fill(0);
        student_.backward_nodes(data_.nodes(), gradient_, tape_, nn::Mode::evaluate);
        if (!all_finite(&nn::NamedParameter::gradient)) {
            report_.stopped = "a gradient is not finite";
            return *loss;
        }
        optimizer_->step();
        if (!all_finite(&nn::NamedParameter::value)) {
            report_.stopped = "a parameter is not finite";
            return *loss;
        }
        constrain();
        ++averaged_;
        auto const n = static_cast<double>(averaged_);
        auto const decay = static_cast<float>((std::min)(options.search.average_decay, n / (n + 9)));
        for (std::size_t k = 0; k != average_.size(); ++k)
            nn::array(average_[k]) += (nn::array(*trained_[k].value) - nn::array(average_[k])) * (1 - decay);
        return *loss;
    }

    /// Takes the parameters as they are, or their average, if the loss was never as low.
    result<void> look(int epoch, const Options& options) {
        bool better = false;
        auto const take_if_better = [&]() -> result<void> {
            auto const loss = loss_over(options.loss);
            if (!loss) return loss.diagnostics();
            if (*loss < report_.loss_after) {
                report_.loss_after = *loss;
                report_.best_epoch = epoch + 1;
                best_ = modules();
                better = true;
            }
            return {};
        };
        if (auto ok = take_if_better(); !ok) return ok;
        if (!average_.empty()) {
            exchange_average();
            if (auto ok = take_if_better(); !ok) return ok;
            exchange_average();
        }
        failures_ = better ? 0 : failures_ + 1;
        if (failures_ == patience_ && options.search.rate_after_failure < 1) {
            failures_ = 0;
            rate_ *= options.search.rate_after_failure;
            ++report_.restarts;
            begin_from_best(options);
        }
        return {};
    }
    void exchange_average() {
        for (std::size_t k = 0; k != average_.size(); ++k) std::swap(*trained_[k].value, average_[k]);
        constrain();
    }

    void constrain() {
        for (nn::Module* m : constrained_) m->constrain();
    }
    bool all_finite(nn::Tensor* nn::NamedParameter::*member) const {
        return std::ranges::all_of(trained_, [&](const nn::NamedParameter& p) {
            return detail::range_of((p.*member)->span()).finite;
        });
    }

    nn::Network& student_;
    BlockData& data_;
    nn::Tape tape_;
    std::vector<std::size_t> modules_{};  // the block's, as indices
    std::vector<nn::Module*> constrained_{};
    std::vector<nn::NamedParameter> trained_{};
    std::vector<nn::Tensor> average_{};  // parallel to `trained_`, or empty
    std::size_t averaged_ = 0;           // steps in it
    std::vector<nn::Module> best_{};
    std::optional<Optimizer> optimizer_{};
    double rate_ = 1;
    std::size_t patience_ = 1, failures_ = 0;  // looks in a row that found nothing better
    const BlockData::Step* step_ = nullptr;
    nn::Tensor gradient_{};
    BlockReport report_{};
};

}  // namespace amct_distill

// ---- amct_distill/io/binary.hpp

/// Numbers, texts and arrays of numbers as bytes, as in memory and in order: little-endian.
///
///     detail::BinaryWriter out;
///     out.put(std::uint64_t{3}); out.put("conv1"); out.put_values(std::span<const float>(weights));
///     detail::BinaryReader in(out.text);
///     in.get(n) && in.get(name) && in.get_values(std::span<float>(weights)) && in.at_end();

namespace amct_distill::detail {

static_assert(std::endian::native == std::endian::little,
              "amct_distill: checkpoints are written little-endian");

class BinaryWriter {
public:
    template <class T>
    requires std::is_arithmetic_v<T>
    void put(T v) { text.append(reinterpret_cast<const char*>(&v), sizeof v); }
    void put(std::string_view s) {
        put(std::uint64_t{s.size()});
        text.append(s);
    }
    /// Their number, and the values.
    void put_values(std::span<const float> values) {
        put(std::uint64_t{values.size()});
        text.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
    }
    std::string text{};
};

/// Reads what BinaryWriter wrote; false after the end, and where the values do not make sense.
class BinaryReader {
public:
    explicit BinaryReader(std::string_view rest) : rest_(rest) {}
    template <class T>
    requires std::is_arithmetic_v<T>
    bool get(T& v) { return bytes(&v, sizeof v); }
    bool get(std::string& s) {
        std::uint64_t size = 0;
        if (!get(size) || size > rest_.size()) return false;
        s = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return true;
    }
    /// As many values as were written, no others.
    bool get_values(std::span<float> values) {
        std::uint64_t size = 0;
        return get(size) && size == values.size() && bytes(values.data(), values.size_bytes());
    }
    bool at_end() const { return rest_.empty(); }

private:
    bool bytes(void* to, std::size_t n) {
        if (n > rest_.size()) return false;
        if (n != 0) std::memcpy(to, rest_.data(), n);
        rest_.remove_prefix(n);
        return true;
    }
    std::string_view rest_;
};

}  // namespace amct_distill::detail

// ---- amct_distill/io/hash.hpp

/// A hash of 64 bits for fingerprints and checkpoints: against mistakes, not against an enemy.
///
///     detail::Hash hash;
///     hash.add("conv1");
///     hash.add_bytes(weights);        // a span of numbers: their bytes
///     hash.value();

namespace amct_distill::detail {

/// FNV-1a (Fowler, Noll, Vo) over 8 bytes at a time, each step mixed once more because its high bits would not
/// reach the low ones.
class Hash {
public:
    void add(std::uint64_t v) {
        value_ = (value_ ^ v) * 0x100000001B3u;
        value_ ^= value_ >> 29;
    }
    void add(double v) { add(std::bit_cast<std::uint64_t>(v)); }
    void add(std::string_view bytes) {
        add(std::uint64_t{bytes.size()});
        for (std::size_t i = 0; i < bytes.size(); i += 8) {
            std::uint64_t word = 0;
            std::memcpy(&word, bytes.data() + i, (std::min)(bytes.size() - i, std::size_t{8}));
            add(word);
        }
    }
    template <class T>
    requires std::is_arithmetic_v<T>
    void add_bytes(std::span<const T> values) {
        add(std::string_view(reinterpret_cast<const char*>(values.data()), values.size_bytes()));
    }
    std::uint64_t value() const { return value_; }

private:
    std::uint64_t value_ = 0xCBF29CE484222325u;
};

inline std::uint64_t hash_of(std::string_view bytes) {
    Hash hash;
    hash.add(bytes);
    return hash.value();
}

}  // namespace amct_distill::detail

// ---- amct_distill/distill/fingerprint.hpp

/// What a distillation run depends on, as a few numbers: an interrupted run is continued only where all agree.
///
///     Fingerprint now = fingerprint(teacher, student, batches, options);
///     if (auto what = difference(now, saved); !what.empty()) ...       // "the data"

namespace amct_distill {

/// Each by 64 bits; against mistakes, not against an enemy.
struct Fingerprint {
    std::uint64_t teacher = 0, configuration = 0, data = 0, calibration = 0, training = 0;
    friend bool operator==(const Fingerprint&, const Fingerprint&) = default;
};

/// What differs, the first of it; empty when nothing does.
inline std::string_view difference(const Fingerprint& a, const Fingerprint& b) {
    if (a.teacher != b.teacher) return "the teacher";
    if (a.configuration != b.configuration) return "the configuration";
    if (a.data != b.data) return "the data";
    if (a.calibration != b.calibration) return "the calibrated student";
    if (a.training != b.training) return "the training options";
    return {};
}

namespace detail {

inline void add(Hash& hash, const nn::Tensor& t) {
    for (nn::Index d : t.shape()) hash.add(static_cast<std::uint64_t>(d));
    hash.add_bytes(t.span());
}
/// Structure and parameters.
inline void add(Hash& hash, const nn::Network& network) {
    for (nn::NodeId id : network.operations()) {
        const auto& n = network.node(id);
        hash.add(n.name);
        const nn::Module& module = n.module ? network.modules()[*n.module].module : *n.function;
        hash.add(module.type());
        for (nn::NodeId input : n.inputs) hash.add(std::uint64_t{input.index});
        for (nn::Index d : n.shape) hash.add(static_cast<std::uint64_t>(d));
    }
    for (const auto& m : network.modules())
        for (const auto& p : m.module.parameters()) {
            hash.add(p.name);
            add(hash, *p.value);
        }
}

/// What an optimizer or a loss has as settings it shows by `settings()`, a text; see optimizer.hpp.
template <class T>
void add_settings(Hash& hash, const T& t) {
    hash.add(std::string_view(typeid(T).name()));
    if constexpr (requires { std::string_view(t.settings()); }) hash.add(std::string_view(t.settings()));
}

}  // namespace detail

/// The teacher's outputs for the first batch stand for the settings that its modules do not show (a stride, a
/// slope). What does not change a bit of the result is not in it: dump, cache, threads.
template <class Algorithms, class Loss, class Optimizer>
Fingerprint fingerprint(const nn::Network& teacher, const BasicStudent<Algorithms>& student,
                        std::span<const nn::Tensor> batches, const TrainOptions<Loss, Optimizer>& options) {
    detail::Hash of_teacher, of_configuration, of_data, of_calibration, of_training;
    detail::add(of_teacher, teacher);
    detail::add(of_teacher, teacher.predict(batches[0]));
    const auto& plan = student.plan();
    of_configuration.add(std::uint64_t{plan.batch_num.value});
    for (const auto& layer : plan.layers) {
        of_configuration.add(layer.name);
        of_configuration.add(std::uint64_t{layer.quant_enable});
        if (const auto* q = student.quantizers(layer.name)) {
            of_configuration.add(q->weight_policy());
            of_configuration.add(q->data_policy());
            of_configuration.add(std::uint64_t{q->fixed_min()} + 2 * std::uint64_t{q->has_user_clips()});
        }
    }
    for (const PlannedBlock& block : plan.blocks) {
        of_configuration.add(std::uint64_t{block.nodes.size()});
        for (std::size_t n : block.nodes) of_configuration.add(std::uint64_t{n});
    }
    of_data.add(std::uint64_t{batches.size()});
    for (const nn::Tensor& batch : batches) detail::add(of_data, batch);
    detail::add(of_calibration, student.network());
    of_training.add(static_cast<std::uint64_t>(options.epochs));
    of_training.add(static_cast<std::uint64_t>(options.schedule));
    of_training.add(static_cast<std::uint64_t>(options.search.looks_per_epoch));
    for (double v :
         {options.learning_rates.parameters, options.learning_rates.clips, options.learning_rates.scales,
          options.search.rate_after_failure, options.search.average_decay})
        of_training.add(v);
    detail::add_settings(of_training, options.loss);
    detail::add_settings(of_training, options.optimizer);
    return {of_teacher.value(), of_configuration.value(), of_data.value(), of_calibration.value(),
            of_training.value()};
}

}  // namespace amct_distill

// ---- amct_distill/distill/checkpoint.hpp

/// What a run has finished, on disk: a file per block, with its parameters, its report and the fingerprint of
/// the run.
///
///     RunDirectory run("out/run", fingerprint, plan.blocks);
///     run.save(2, student, report).value();                  // out/run/block_2.checkpoint
///     std::optional<BlockReport> done = run.load(2, student).value();    // none: not finished yet
///
/// A file is whole or not there, whatever ends the process, or the machine. Numbers are little-endian as in
/// memory; the last eight bytes are a hash of those before.

namespace amct_distill {

namespace detail {

inline constexpr std::string_view checkpoint_magic = "amct_distill block 2\n";

}  // namespace detail

class RunDirectory {
public:
    RunDirectory(std::filesystem::path directory, const Fingerprint& fingerprint,
                 std::span<const PlannedBlock> blocks)
        : directory_(std::move(directory)), fingerprint_(fingerprint), blocks_(blocks) {}

    std::filesystem::path file(std::size_t block) const {
        return directory_ / detail::concat("block_", block, ".checkpoint");
    }
    /// Whether an earlier run has left anything.
    bool has_checkpoints() const {
        std::error_code none;
        for (std::size_t b = 0; b != blocks_.size(); ++b)
            if (std::filesystem::exists(file(b), none)) return true;
        return false;
    }

    /// After a block is trained. Error: the file cannot be written; what was there before is as it was.
    template <class Algorithms>
    result<void> save(std::size_t block, BasicStudent<Algorithms>& student, const BlockReport& report) const {
        detail::BinaryWriter out;
        out.text = detail::checkpoint_magic;
        for (std::uint64_t v : {fingerprint_.teacher, fingerprint_.configuration, fingerprint_.data,
                                fingerprint_.calibration, fingerprint_.training, std::uint64_t{block}})
            out.put(v);
        put(out, report);
        for_each_module(block, student, [&](const std::string& name, nn::Module& module) {
            out.put(name);
            for (const auto& p : module.parameters()) {
                out.put(p.name);
                out.put_values(p.value->span());
            }
            return true;
        });
        out.put(detail::hash_of(out.text));
        return write_file(file(block), out.text, Durability::after_power_loss);
    }

    /// Gives the student the block's parameters. None: there is no such file. Errors: it cannot be read, is
    /// damaged, or is of another run.
    template <class Algorithms>
    result<std::optional<BlockReport>> load(std::size_t block, BasicStudent<Algorithms>& student) const {
        std::error_code unknown;
        if (!std::filesystem::exists(file(block), unknown) && !unknown) return std::optional<BlockReport>{};
        auto const content = read_file(file(block));
        if (!content) return content.diagnostics();
        auto const bad = [&](std::string_view why) {
            return general_error(detail::concat("cannot resume from ", file(block).string(), ": ", why,
                                                "; remove the file, and its block is trained again"));
        };
        std::string_view text = *content;
        std::uint64_t hash = 0;
        if (!text.starts_with(detail::checkpoint_magic)) return bad("it is no checkpoint of this version");
        if (text.size() < detail::checkpoint_magic.size() + sizeof hash) return bad("it is cut off");
        std::memcpy(&hash, text.data() + text.size() - sizeof hash, sizeof hash);
        text.remove_suffix(sizeof hash);
        if (hash != detail::hash_of(text)) return bad("it is damaged or cut off");
        text.remove_prefix(detail::checkpoint_magic.size());

        detail::BinaryReader in(text);
        Fingerprint found;
        std::uint64_t index = 0;
        BlockReport report;
        if (!in.get(found.teacher) || !in.get(found.configuration) || !in.get(found.data) ||
            !in.get(found.calibration) || !in.get(found.training) || !in.get(index))
            return bad("it is damaged");
        if (auto const what = difference(found, fingerprint_); !what.empty())
            return general_error(detail::concat(
                "cannot resume from ", file(block).string(), ": ", what,
                " is not that of the run that wrote it; resume with what it had, or use another directory"));
        if (index != block || !get(in, report)) return bad("it is of another block");
        report.names = blocks_[block].names;
        bool const restored =
            for_each_module(block, student, [&](const std::string& name, nn::Module& module) {
                std::string text_found;
                if (!in.get(text_found) || text_found != name) return false;
                std::vector<nn::Tensor> values;
                for (const auto& p : module.parameters()) {
                    if (!in.get(text_found) || text_found != p.name || !in.get_values(p.value->span()))
                        return false;
                    values.push_back(*p.value);
                }
                if (auto* const q = student.quantizers(name))
                    q->restore();
                else
                    module.constrain();
                std::size_t k = 0;
                for (const auto& p : module.parameters())
                    if (*p.value != values[k++]) return false;
                return true;
            });
        if (!restored || !in.at_end()) return bad("its parameters do not fit the student");
        return std::optional<BlockReport>(std::move(report));
    }

private:
    /// f(name, module) for the modules of a block, each once, until it says false.
    template <class Algorithms, class F>
    bool for_each_module(std::size_t block, BasicStudent<Algorithms>& student, const F& f) const {
        nn::Network& network = student.network();
        std::vector<std::size_t> seen;
        for (std::size_t k : blocks_[block].nodes) {
            auto const m = network.node(network.operations()[k]).module;
            if (!m || std::ranges::find(seen, *m) != seen.end()) continue;
            seen.push_back(*m);
            const std::string& name = network.modules()[*m].name;
            if (!f(name, network.module(name))) return false;
        }
        return true;
    }

    static void put(detail::BinaryWriter& out, const BlockReport& r) {
        for (double v : {r.loss_before, r.loss_after, r.seconds}) out.put(v);
        for (std::uint64_t v : {static_cast<std::uint64_t>(r.best_epoch), std::uint64_t{r.restarts},
                                std::uint64_t{r.teacher_inputs}, std::uint64_t{r.epoch_losses.size()}})
            out.put(v);
        for (double v : r.epoch_losses) out.put(v);
        out.put(r.stopped);
    }
    static bool get(detail::BinaryReader& in, BlockReport& r) {
        std::uint64_t best = 0, restarts = 0, inputs = 0, losses = 0;
        if (!in.get(r.loss_before) || !in.get(r.loss_after) || !in.get(r.seconds) || !in.get(best) ||
            !in.get(restarts) || !in.get(inputs) || !in.get(losses))
            return false;
        r.best_epoch = static_cast<int>(best);
        r.restarts = restarts;
        r.teacher_inputs = inputs;
        for (std::uint64_t i = 0; i != losses; ++i)
            if (!in.get(r.epoch_losses.emplace_back())) return false;
        return in.get(r.stopped);
    }

    std::filesystem::path directory_;
    Fingerprint fingerprint_;
    std::span<const PlannedBlock> blocks_;
};

}  // namespace amct_distill

// ---- amct_distill/student/calibrate.hpp

/// Finds the first clip range of every quantized layer's input, by IFMR over some batches.
///
///     calibrate(student, batches).value();    // batch_num of the plan, from the start again when they run out
///
/// Source: AMCT's calibration. Weights are quantized throughout; an input passes unquantized until its clips are
/// found, at the end of the last batch, or is quantized from the start by clips of the user's.

namespace amct_distill {

/// Errors: no batches; an input of a layer that is empty or not finite (with the layer's name). Throws
/// std::invalid_argument when a batch does not have the shape of the network's input. With an executor the
/// network runs on its threads; the result has the same bits.
template <class Algorithms>
result<void> calibrate(BasicStudent<Algorithms>& student, std::span<const nn::Tensor> batches,
                       const nn::Executor* executor = nullptr) {
    if (batches.empty()) return general_error("calibrate: no batches; give at least one");
    nn::Network& network = student.network();

    struct Waiting {  // a layer that is being calibrated
        nn::NodeId node;
        std::string name;
        LayerQuantizers<Algorithms>* quantizers;
    };
    std::vector<Waiting> waiting;
    for (const auto& layer : student.plan().layers)
        if (auto* const q = student.quantizers(layer.name); q != nullptr && !q->is_calibrated())
            waiting.push_back({network.operations()[layer.node], layer.name, q});

    nn::Tape tape(executor);
    for (std::size_t i = 0; i != student.plan().batch_num.value; ++i) {
        network.forward(batches[i % batches.size()], tape, nn::Mode::evaluate);
        for (Waiting& w : waiting) {
            const nn::Tensor& x = tape.output(network.node(w.node).inputs[0]);
            if (auto ok = w.quantizers->observe(x.span()); !ok)
                return detail::of_layer(w.name, ok.diagnostics());
        }
    }
    for (Waiting& w : waiting)
        if (auto ok = w.quantizers->finish_calibration(); !ok)
            return detail::of_layer(w.name, ok.diagnostics());
    return {};
}

}  // namespace amct_distill

// ---- amct_distill/distill/report_layers.hpp

/// The quantization of each layer of a student, measured on data.
///
///     for (const LayerReport& l : report_layers(student, batches)) std::cout << l.name << ": " << l.data_sqnr;

namespace amct_distill {
namespace detail {

/// Signal and noise of a quantized tensor, in squares.
struct noise {
    double signal = 0, error = 0;
    void add(const nn::Tensor& x, const nn::Tensor& quantized) {
        for (std::size_t i = 0; i != x.size(); ++i) {
            double const v = static_cast<double>(x[i]), d = v - static_cast<double>(quantized[i]);
            signal += v * v;
            error += d * d;
        }
    }
    /// 10 log10(signal / noise); infinite without noise.
    double sqnr() const {
        return error == 0 ? std::numeric_limits<double>::infinity() : 10 * std::log10(signal / error);
    }
};

/// Counts the values outside of the clips, which always hold 0.
struct outside {
    std::size_t values = 0, clipped = 0;
    void add(const nn::Tensor& x, ClipRange clip) {
        float const high = (std::max)(clip.max, 0.0f), low = (std::min)(clip.min, 0.0f);
        for (float v : x) clipped += static_cast<std::size_t>(v > high || v < low);
        values += x.size();
    }
    double share() const {
        return values == 0 ? 0 : static_cast<double>(clipped) / static_cast<double>(values);
    }
};

/// The rows of a quantized weight that are all 0.
inline std::vector<std::size_t> zero_rows(const nn::Tensor& weight) {
    std::vector<std::size_t> rows;
    auto const count = static_cast<std::size_t>(weight.dim(0)), cols = weight.size() / count;
    for (std::size_t r = 0; r != count; ++r)
        if (std::ranges::all_of(weight.span().subspan(r * cols, cols), [](float v) { return v == 0; }))
            rows.push_back(r);
    return rows;
}

}  // namespace detail

/// Of every quantized layer, in definition order; `batches` are what the figures of its data are measured on.
template <class Algorithms>
std::vector<LayerReport> report_layers(const BasicStudent<Algorithms>& student,
                                       std::span<const nn::Tensor> batches,
                                       const nn::Executor* executor = nullptr) {
    const nn::Network& network = student.network();
    std::vector<LayerReport> reports;
    std::vector<nn::NodeId> inputs;
    std::vector<const LayerQuantizers<Algorithms>*> quantizers;
    nn::Tensor quantized;
    for (const auto& layer : student.plan().layers) {
        const auto* const q = student.quantizers(layer.name);
        if (q == nullptr) continue;
        const nn::Tensor& weight = *student.weight(layer.name);
        LayerReport& r = reports.emplace_back();
        r.name = layer.name;
        r.weight_policy = q->weight_policy();
        r.data_policy = q->data_policy();
        r.weight_bits = q->weight_bits();
        r.data_bits = q->data_bits();
        r.weight_scales = q->weight_scales(weight);
        r.data_scale = q->data_scale();
        r.data_clip = q->data_clip();
        r.user_clips = q->has_user_clips();
        q->quantize_weight(weight, quantized);
        detail::noise n;
        n.add(weight, quantized);
        r.weight_sqnr = n.sqnr();
        r.channels = static_cast<std::size_t>(weight.dim(0));
        r.dead_channels = detail::zero_rows(quantized);
        inputs.push_back(network.node(network.operations()[layer.node]).inputs.at(0));
        quantizers.push_back(q);
    }
    std::vector<detail::noise> noises(reports.size());
    std::vector<detail::outside> clipped(reports.size());
    nn::Tape tape(executor);
    for (const nn::Tensor& batch : batches) {
        network.forward(batch, tape, nn::Mode::evaluate);
        for (std::size_t k = 0; k != reports.size(); ++k) {
            const nn::Tensor& x = tape.output(inputs[k]);
            quantizers[k]->quantize_data(x, quantized);
            noises[k].add(x, quantized);
            clipped[k].add(x, reports[k].data_clip);
        }
    }
    for (std::size_t k = 0; k != reports.size(); ++k) {
        reports[k].data_sqnr = noises[k].sqnr();
        reports[k].saturation = clipped[k].share();
    }
    return reports;
}

}  // namespace amct_distill

// ---- amct_distill/distill/distill.hpp

/// Block-wise distillation: the student learns, block after block, to reproduce the float teacher.
///
///     Student student = make_student(teacher, plan).value();
///     calibrate(student, batches).value();
///     DistillReport report = distill(teacher, student, batches, {.epochs = 5}).value();
///     distill<MyLoss, MySgd>(teacher, student, batches, {.optimizer = MySgd(0.9)});      // of your own
///     distill(teacher, student, batches, {.run_directory = "run", .resume = true});      // where it was killed
///
/// The teacher is never changed. No block ends above the loss it began with, and the student's outputs are nearer
/// to the teacher's than when calibrated, by 5 % of the error, or the calibrated student is what stays. The same
/// bits come out whatever the dump, the cache and the threads, and whether a run was interrupted or not.
///
/// All of that is measured on the batches. Other data follow where the batches stand for them; with fewer values
/// in them than a network has weights, many epochs fit the batches alone.

namespace amct_distill {

template <BlockLoss Loss = MeanSquaredError, BlockOptimizer Optimizer = AdamW>
struct BasicDistillOptions {
    int epochs = 1;
    LearningRates learning_rates{};
    Schedule schedule = Schedule::cosine;
    SearchOptions search{};
    Loss loss{};
    Optimizer optimizer{};
    ProgressCallback on_progress{};
    /// Where a plan with data_dump makes its directory; empty: in the run directory, and without one in the
    /// system's directory for temporary files.
    std::filesystem::path dump_directory{};
    /// Where each finished block is written to; empty: nowhere.
    std::filesystem::path run_directory{};
    /// Whether blocks that the run directory has are taken from there. If not, it must have none.
    bool resume = false;
    /// What may be kept in memory of the blocks' inputs and outputs, and of what both networks have computed up
    /// to them. Where it does not suffice they are computed again (or read, when dumped) at every epoch.
    std::size_t cache_bytes = std::size_t{512} << 20;
    int threads = 1;
};
using DistillOptions = BasicDistillOptions<>;

namespace detail {

/// Mean squared error of the first output over all batches.
inline double output_error(const nn::Network& teacher, const nn::Network& student,
                           std::span<const nn::Tensor> batches, const nn::Executor* executor = nullptr) {
    nn::Tape teacher_tape(executor), student_tape(executor);
    double sum = 0, values = 0;
    for (const nn::Tensor& batch : batches) {
        const nn::Tensor& t = teacher.forward(batch, teacher_tape, nn::Mode::evaluate);
        const nn::Tensor& s = student.forward(batch, student_tape, nn::Mode::evaluate);
        auto const size = static_cast<double>(t.size());
        sum += mean_squared_error(s, t) * size;
        values += size;
    }
    return sum / values;
}

/// What of the calibrated outputs' error may be left on the training data, or the calibrated student stays: a
/// gain that small may be a loss on other data. (Seen on unseen data of nine networks, with gains below 5 %: 3 to
/// 15 % worse in two of three.)
inline constexpr double largest_error_left = 0.95;

/// Puts a network back unless the work on it comes to its end.
class Rollback {
public:
    explicit Rollback(nn::Network& network) : network_(network), before_(network) {}
    Rollback(const Rollback&) = delete;
    Rollback& operator=(const Rollback&) = delete;
    ~Rollback() {
        if (!kept_) network_ = std::move(before_);
    }
    const nn::Network& before() const { return before_; }
    void keep() { kept_ = true; }

private:
    nn::Network& network_;
    nn::Network before_;
    bool kept_ = false;
};

/// The checkpoints of the run, or nothing without a run directory. Errors: it cannot be made; it has some, and
/// they are not asked for.
template <class Algorithms, class Options, class Loss, class Optimizer>
result<std::optional<RunDirectory>> open_run(const nn::Network& teacher,
                                             const BasicStudent<Algorithms>& student,
                                             std::span<const nn::Tensor> batches, const Options& options,
                                             const TrainOptions<Loss, Optimizer>& training) {
    std::optional<RunDirectory> run;
    if (options.run_directory.empty()) return run;
    std::error_code error;  // rather now than after the first block
    std::filesystem::create_directories(options.run_directory, error);
    if (error) return file_error("create", options.run_directory, error.value());
    run.emplace(options.run_directory, fingerprint(teacher, student, batches, training),
                student.plan().blocks);
    if (!options.resume && run->has_checkpoints())
        return general_error(concat("distill: ", options.run_directory.string(),
                                    " has the checkpoints of an earlier run; set resume to continue it, or "
                                    "remove the directory"));
    return run;
}

}  // namespace detail

/// Distills a calibrated student of `teacher`. Errors, the student then being as calibrated: no batches; a layer
/// that is not calibrated; the dump or a checkpoint cannot be written or read (a full disk, ...), which leaves
/// the blocks in the run directory that are finished; a checkpoint is damaged or of another run. Throws
/// std::invalid_argument, the student being as calibrated too, when a batch does not have the shape of the
/// network's input, or an option makes no sense.
template <BlockLoss Loss = MeanSquaredError, BlockOptimizer Optimizer = AdamW, class Algorithms>
result<DistillReport> distill(const nn::Network& teacher, BasicStudent<Algorithms>& student,
                              std::span<const nn::Tensor> batches,
                              const BasicDistillOptions<Loss, Optimizer>& options = {}) {
    if (batches.empty()) return general_error("distill: no batches; give at least one");
    const auto& plan = student.plan();
    for (const auto& layer : plan.layers)
        if (const auto* const q = student.quantizers(layer.name); q != nullptr && !q->is_calibrated())
            return general_error(detail::concat("distill: layer `", layer.name,
                                                "` is not calibrated; call calibrate() first"));
    TrainOptions<Loss, Optimizer> training{.epochs = options.epochs,
                                           .learning_rates = options.learning_rates,
                                           .schedule = options.schedule,
                                           .search = options.search,
                                           .loss = options.loss,
                                           .optimizer = options.optimizer,
                                           .on_progress = options.on_progress};
    training.check();
    nn::Executor const executor(options.threads);
    detail::Rollback rollback(student.network());
    DistillReport report;
    report.output_error_calibrated = detail::output_error(teacher, rollback.before(), batches, &executor);

    // 1. The blocks that an earlier run has finished.
    auto run = detail::open_run(teacher, student, batches, options, training);
    if (!run) return run.diagnostics();
    if (*run)
        for (; report.blocks.size() != plan.blocks.size(); ++report.resumed_blocks) {
            auto done = (*run)->load(report.blocks.size(), student);
            if (!done) return done.diagnostics();
            if (!*done) break;
            report.blocks.push_back(**std::move(done));
        }

    // 2. The teacher's part of the others.
    std::optional<TeacherDump> dump;
    bool const in_run = options.dump_directory.empty() && *run;
    std::filesystem::path const dumps = in_run ? options.run_directory / "dump"
                                        : options.dump_directory.empty()
                                            ? std::filesystem::temp_directory_path()
                                            : options.dump_directory;
    std::error_code ignored;
    if (in_run) std::filesystem::remove_all(dumps, ignored);  // of a run that was killed
    if (plan.data_dump.value && report.blocks.size() != plan.blocks.size()) {
        auto written = TeacherDump::write(teacher, plan.blocks, batches, dumps, &executor);
        if (!written) return written.diagnostics();
        dump.emplace(*std::move(written));
    }
    auto const failed = [&](const Diagnostics& why) { return dump ? dump->failed(why) : why; };

    // 3. The others.
    CacheBudget budget(options.cache_bytes);
    Frontier teacher_frontier(teacher, budget, &executor),
        student_frontier(student.network(), budget, &executor);
    for (std::size_t b = report.blocks.size(); b != plan.blocks.size(); ++b) {
        BlockData data(student_frontier, teacher_frontier, budget, batches, plan.blocks[b],
                       dump ? &*dump : nullptr, b);
        BlockTrainer<Loss, Optimizer> trainer(student.network(), data, &executor);
        if (report.cancelled) training.epochs = 0;
        auto block = trainer.train(training, {.block = b, .blocks = plan.blocks.size()}, report.cancelled);
        if (!block) return failed(block.diagnostics());
        if (*run && !report.cancelled)
            if (auto saved = (*run)->save(b, student, *block); !saved) return failed(saved.diagnostics());
        report.blocks.push_back(*std::move(block));
    }
    dump.reset();
    if (in_run) std::filesystem::remove(dumps, ignored);

    // 4. The whole.
    report.output_error_distilled = detail::output_error(teacher, student.network(), batches, &executor);
    if (!(report.output_error_distilled <= detail::largest_error_left * report.output_error_calibrated)) {
        student.network() = rollback.before();
        report.output_error_distilled = report.output_error_calibrated;
        report.kept_calibrated = true;
    }
    rollback.keep();
    report.layers = report_layers(student, batches, &executor);
    return report;
}

}  // namespace amct_distill

// ---- amct_distill/graph/graph.hpp

/// A topology and what follows from it: who reads a node, how often a module is used, what can be quantized.
///
///     detail::graph g(topology);
///     g.only_consumer(0);                       // the one node that reads node 0
///     g.why_not_quantized(1);                   // "is a ReLU; only Conv2d and Linear layers are quantized"
///     g.relu_before(2);                         // the ReLU behind which node 2 is

namespace amct_distill::detail {

/// One input, and not a value below 0 unless the input has one: pooling, flatten, reshape, dropout. Modules
/// go by PyTorch's names, functional operations by ONNX's.
constexpr bool keeps_sign(std::string_view type) {
    return type.find("Pool") != type.npos || type.starts_with("Dropout") || type == "ReduceMean" ||
           type == "Flatten" || type == "Unflatten" || type == "Reshape" || type == "Identity";
}
constexpr bool is_relu(std::string_view type) { return type == "ReLU" || type == "Relu"; }
/// The activations that may stand in a block.
constexpr bool is_activation(std::string_view type) {
    return type == "ReLU" || type == "LeakyReLU" || type == "Sigmoid" || type == "Tanh" || type == "Softmax";
}
constexpr bool is_quantizable_type(std::string_view type) { return type == "Conv2d" || type == "Linear"; }

/// Holds a reference to the topology.
class graph {
public:
    /// Throws std::invalid_argument when the topology is not one: an index out of range, a node before one
    /// that it reads, two modules of one name.
    explicit graph(const Topology& topology)
        : topology_(topology),
          consumers_(topology.nodes.size()),
          leaves_network_(topology.nodes.size(), false),
          uses_(topology.modules.size()) {
        for (std::size_t m = 0; m != topology.modules.size(); ++m)
            if (!modules_.emplace(topology.modules[m].name, m).second)
                fail("two modules are named `", topology.modules[m].name, "`");
        for (std::size_t n = 0; n != topology.nodes.size(); ++n) {
            const TopologyNode& node = topology.nodes[n];
            if (node.module) {
                if (*node.module >= uses_.size())
                    fail("node `", node.name, "` is of a module that is not there");
                uses_[*node.module].push_back(n);
            }
            for (std::size_t input : node.inputs) {
                if (input >= n) fail("node `", node.name, "` stands before a node that it reads");
                if (consumers_[input].empty() || consumers_[input].back() != n)
                    consumers_[input].push_back(n);
            }
        }
        for (std::size_t n : topology.outputs) {
            if (n >= leaves_network_.size()) fail("an output is a node that is not there");
            leaves_network_[n] = true;
        }
    }

    const Topology& topology() const { return topology_; }
    std::size_t size() const { return topology_.nodes.size(); }
    /// Index of the module of that name.
    std::optional<std::size_t> module_named(std::string_view name) const {
        auto const found = modules_.find(name);
        if (found == modules_.end()) return std::nullopt;
        return found->second;
    }
    std::string_view type(std::size_t node) const { return topology_.nodes[node].type; }
    bool has_module(std::size_t node) const { return topology_.nodes[node].module.has_value(); }
    /// The module's name; the operation's, when it has no module.
    const std::string& name(std::size_t node) const {
        const TopologyNode& n = topology_.nodes[node];
        return n.module ? topology_.modules[*n.module].name : n.name;
    }
    /// The nodes that are uses of a module.
    const std::vector<std::size_t>& uses(std::size_t module) const { return uses_[module]; }
    bool is_shared(std::size_t node) const {
        return has_module(node) && uses_[*topology_.nodes[node].module].size() > 1;
    }
    /// The nodes that read a node, each once.
    const std::vector<std::size_t>& consumers(std::size_t node) const { return consumers_[node]; }
    /// The one node that reads it; none also when its output leaves the network.
    std::optional<std::size_t> only_consumer(std::size_t node) const {
        if (consumers_[node].size() != 1 || leaves_network_[node]) return std::nullopt;
        return consumers_[node].front();
    }

    /// What to say after the module's name; empty when it can be quantized.
    std::string why_not_quantized(std::size_t module) const {
        const TopologyModule& m = topology_.modules[module];
        if (!is_quantizable_type(m.type))
            return concat("is a ", m.type, "; only Conv2d and Linear layers are quantized");
        if (m.type == "Conv2d" && !m.zero_padding)
            return "is a Conv2d that does not pad with zeros; only those that do are quantized";
        if (uses_[module].empty()) return "is never used; only layers that are used once are quantized";
        if (uses_[module].size() > 1)
            return concat("is used ", uses_[module].size(), " times; a shared layer is not quantized");
        return {};
    }

    /// The ReLU that produces a node's input, maybe through operations that keep the sign.
    std::optional<std::size_t> relu_before(std::size_t node) const {
        while (!topology_.nodes[node].inputs.empty()) {
            node = topology_.nodes[node].inputs.front();
            if (is_relu(type(node))) return node;
            if (!keeps_sign(type(node))) break;
        }
        return std::nullopt;
    }

private:
    template <class... Pieces>
    [[noreturn]] static void fail(const Pieces&... pieces) {
        throw std::invalid_argument(concat("Topology: ", pieces...));
    }

    const Topology& topology_;
    std::unordered_map<std::string_view, std::size_t> modules_{};
    std::vector<std::vector<std::size_t>> consumers_;
    std::vector<bool> leaves_network_;
    std::vector<std::vector<std::size_t>> uses_;
};

}  // namespace amct_distill::detail

// ---- amct_distill/nn/initialize.hpp

/// Start values of weights and biases as PyTorch's defaults: uniform in [-b, b), b = 1 / sqrt(fan_in)
/// (Kaiming's uniform initialization with a = sqrt(5)); the same seed gives the same values everywhere.
///
///     initialize(net, 42);
///
/// Affine parameters and statistics keep what their module gave them.

namespace amct_distill::nn {

/// The next number in [0, 1), a multiple of 2^-53. (std::uniform_real_distribution is not the same in every
/// standard library; the bits of std::mt19937_64 are.)
inline double next_uniform(std::mt19937_64& bits) {
    return std::ldexp(static_cast<double>(bits() >> 11), -53);
}

/// Fills the module's parameters of the roles weight and bias, in their order. fan_in is the number of
/// values that one output of its first weight reads.
template <class T>
void initialize(BasicModule<T>& module, std::mt19937_64& bits) {
    double bound = 0;
    for (const auto& p : module.parameters()) {
        if (p.role == Role::weight && bound == 0)
            bound =
                1 / std::sqrt(static_cast<double>(p.value->size()) / static_cast<double>(p.value->dim(0)));
        if (p.role == Role::weight || p.role == Role::bias)
            for (T& value : p.value->span()) value = static_cast<T>((2 * next_uniform(bits) - 1) * bound);
    }
}

/// Fills the weights and biases of all modules, in definition order.
template <class T>
void initialize(BasicNetwork<T>& network, std::uint64_t seed) {
    std::mt19937_64 bits(seed);
    for (const auto& m : network.modules()) initialize(network.module(m.name), bits);
}

}  // namespace amct_distill::nn

// ---- amct_distill/nn/layers/activation.hpp

/// Activations: ReLU, LeakyReLU, Sigmoid, Tanh element by element, and Softmax along a dimension; all as in
/// torch.nn, NaN passes through them.
///
///     net.add("relu1", ReLU{}, {x});
///     net.add("leaky", LeakyReLU(0.1f), {x});
///     net.add("probabilities", Softmax(1), {x});

namespace amct_distill::detail {

/// What the element-wise activations share. `Derived` has `value(x)`, or `values(x, y)` of arrays, and
/// `slope_times(x, y, g)`: the gradient `g` of the output `y`, carried to the input `x`.
template <class Derived, class T>
class Elementwise {
public:
    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const {
        if (inputs.size() != 1) return unexpected_inputs("one input", inputs);
        return inputs[0];
    }
    void forward(nn::BasicInputs<T> inputs, nn::BasicTensor<T>& output, nn::BasicScratch<T>& scratch,
                 nn::Mode) const {
        const T* const x = inputs[0]->data();
        T* const y = output.data();
        scratch.in_parts(output.size(), [&](std::size_t begin, std::size_t end) {
            auto const n = static_cast<nn::Index>(end - begin);
            nn::ConstArrayMap<T> const from(x + begin, n);
            nn::ArrayMap<T> to(y + begin, n);
            if constexpr (requires { self().values(from, to); })
                self().values(from, to);
            else
                for (nn::Index i = 0; i != n; ++i) to[i] = self().value(from[i]);
        });
    }
    void backward(nn::BasicInputs<T> inputs, const nn::BasicTensor<T>& output,
                  const nn::BasicTensor<T>& grad_output, std::span<nn::BasicTensor<T>* const> grad_inputs,
                  std::span<nn::BasicTensor<T>>, nn::BasicScratch<T>& scratch, nn::Mode) const {
        if (!grad_inputs[0]) return;
        const T* const x = inputs[0]->data();
        const T* const y = output.data();
        const T* const g = grad_output.data();
        T* const gx = grad_inputs[0]->data();
        scratch.in_parts(output.size(), [&](std::size_t begin, std::size_t end) {
            for (std::size_t i = begin; i != end; ++i) gx[i] += self().slope_times(x[i], y[i], g[i]);
        });
    }

private:
    const Derived& self() const { return static_cast<const Derived&>(*this); }
};

}  // namespace amct_distill::detail

namespace amct_distill::nn {

/// ReLU and LeakyReLU run forward on Eigen's vectors, because g++ at -O2 makes a branch of the comparison, 10
/// times as slow. Eigen's max and min let NaN pass when it is on their left, as std::max does. The 0 that is
/// added turns -0, which vectors and scalars treat differently, into 0.
template <class T>
class BasicReLU : public detail::Elementwise<BasicReLU<T>, T> {
public:
    static constexpr std::string_view type_name = "ReLU";
    static constexpr std::string_view operation = "Relu";
    static void values(const ConstArrayMap<T>& x, ArrayMap<T>& y) { y = (x.max)(T(0)) + T(0); }
    static T slope_times(T, T y, T g) { return y <= 0 ? T(0) : g; }
};

template <class T>
class BasicLeakyReLU : public detail::Elementwise<BasicLeakyReLU<T>, T> {
public:
    static constexpr std::string_view type_name = "LeakyReLU";
    static constexpr std::string_view operation = "LeakyRelu";
    explicit BasicLeakyReLU(T negative_slope = T(0.01)) : slopes_{negative_slope, T(1)} {}
    T negative_slope() const { return slopes_[0]; }
    void values(const ConstArrayMap<T>& x, ArrayMap<T>& y) const {
        y = (x.max)(T(0)) + (x.min)(T(0)) * negative_slope() + T(0);
    }
    T slope_times(T x, T, T g) const { return g * slopes_[x > 0]; }

private:
    T slopes_[2];  ///< of what is not positive, of what is: looked up, not branched on
};

template <class T>
class BasicSigmoid : public detail::Elementwise<BasicSigmoid<T>, T> {
public:
    static constexpr std::string_view type_name = "Sigmoid";
    static T value(T x) { return T(1) / (T(1) + std::exp(-x)); }
    static T slope_times(T, T y, T g) { return g * (y * (T(1) - y)); }
};

template <class T>
class BasicTanh : public detail::Elementwise<BasicTanh<T>, T> {
public:
    static constexpr std::string_view type_name = "Tanh";
    static T value(T x) { return std::tanh(x); }
    static T slope_times(T, T y, T g) { return g * (T(1) - y * y); }
};

/// exp(x) / sum(exp(x)) along a dimension; shifted by the maximum, so that nothing overflows.
template <class T>
class BasicSoftmax {
public:
    static constexpr std::string_view type_name = "Softmax";
    /// Throws std::invalid_argument for dimension 0, the batch.
    explicit BasicSoftmax(std::size_t dim = 1) : dim_(dim) {
        if (dim == 0) throw std::invalid_argument("Softmax: dim 0 is the batch; expected 1 or more");
    }
    std::size_t dim() const { return dim_; }

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].size() <= dim_)
            return detail::unexpected_inputs(detail::concat("one input with a dimension ", dim_), inputs);
        return inputs[0];
    }
    void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>&, Mode) const {
        const T* const x = inputs[0]->data();
        T* const y = output.data();
        for_each_line(output.shape(), [&](std::size_t first, std::size_t step, std::size_t end) {
            T largest = x[first], sum = 0;
            for (std::size_t i = first; i != end; i += step) largest = (std::max)(largest, x[i]);
            for (std::size_t i = first; i != end; i += step) sum += y[i] = std::exp(x[i] - largest);
            for (std::size_t i = first; i != end; i += step) y[i] /= sum;
        });
    }
    void backward(BasicInputs<T>, const BasicTensor<T>& output, const BasicTensor<T>& grad_output,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>>, BasicScratch<T>&,
                  Mode) const {
        if (!grad_inputs[0]) return;
        const T* const y = output.data();
        const T* const g = grad_output.data();
        T* const gx = grad_inputs[0]->data();
        for_each_line(output.shape(), [&](std::size_t first, std::size_t step, std::size_t end) {
            T dot = 0;
            for (std::size_t i = first; i != end; i += step) dot += y[i] * g[i];
            for (std::size_t i = first; i != end; i += step) gx[i] += y[i] * (g[i] - dot);
        });
    }

private:
    /// Calls f(first, step, end) for the flat indices of every line along the dimension.
    template <class F>
    void for_each_line(const Shape& shape, F f) const {
        auto const outer = static_cast<std::size_t>(product(shape, 0, dim_));
        auto const length = static_cast<std::size_t>(shape[dim_]);
        auto const step = static_cast<std::size_t>(product(shape, dim_ + 1, shape.size()));
        for (std::size_t i = 0; i != outer; ++i)
            for (std::size_t j = 0; j != step; ++j) {
                std::size_t const first = i * length * step + j;
                f(first, step, first + length * step);
            }
    }

    std::size_t dim_;
};

using ReLU = BasicReLU<float>;
using LeakyReLU = BasicLeakyReLU<float>;
using Sigmoid = BasicSigmoid<float>;
using Tanh = BasicTanh<float>;
using Softmax = BasicSoftmax<float>;

}  // namespace amct_distill::nn

// ---- amct_distill/nn/layers/pool.hpp

/// Pooling of images, [N, C, H, W] -> [N, C, H', W'], as in torch.nn: maximum, average, average of it all.
///
///     net.add("pool1", MaxPool2d({.kernel = {2, 2}}), {x});          // the stride is the kernel
///     net.add("pool2", AvgPool2d({.kernel = {3, 3}, .stride = {1, 1}, .padding = {1, 1}}), {x});
///     net.add("pool3", GlobalAveragePool{}, {x});                    // [N, C, 1, 1]

namespace amct_distill::nn {

struct PoolOptions {
    Size2 kernel{1, 1};
    Size2 stride{0, 0};  ///< {0, 0}: the kernel's
    Size2 padding{0, 0};
    friend bool operator==(const PoolOptions&, const PoolOptions&) = default;
};

}  // namespace amct_distill::nn

namespace amct_distill::detail {

/// What the two sliding pools share: options, shapes, and the walk over planes and window positions.
/// `Derived` has, for the patch of a plane that a window covers, `pooled(plane, patch)`, and
/// `carry_back(g, plane, patch, grad_plane)`: adds the gradient of what `pooled` gave.
template <class Derived, class T>
class SlidingPool {
public:
    /// Throws std::invalid_argument when the options make no sense.
    explicit SlidingPool(const nn::PoolOptions& options) : options_(options) {
        nn::PoolOptions& o = options_;
        if (o.stride == nn::Size2{0, 0}) o.stride = o.kernel;
        for (std::size_t axis : {0u, 1u}) {
            if (o.kernel[axis] < 1 || o.stride[axis] < 1 || o.padding[axis] < 0)
                throw std::invalid_argument(
                    "pooling: kernel and stride must be at least 1, padding at least 0");
            // Else a window could lie in the padding alone.
            if (2 * o.padding[axis] > o.kernel[axis])
                throw std::invalid_argument(concat("pooling: padding ", nn::to_string(o.padding),
                                                   " must be at most half the kernel ",
                                                   nn::to_string(o.kernel)));
        }
    }

    void forward(nn::BasicInputs<T> inputs, nn::BasicTensor<T>& output, nn::BasicScratch<T>& scratch,
                 nn::Mode) const {
        const T* const x = inputs[0]->data();
        T* const y = output.data();
        for_each_patch(inputs[0]->shape(), scratch, [&](nn::Index plane, const Patch& patch, nn::Index out) {
            y[out] = self().pooled(x + plane, patch);
        });
    }
    void backward(nn::BasicInputs<T> inputs, const nn::BasicTensor<T>&, const nn::BasicTensor<T>& grad_output,
                  std::span<nn::BasicTensor<T>* const> grad_inputs, std::span<nn::BasicTensor<T>>,
                  nn::BasicScratch<T>& scratch, nn::Mode) const {
        if (!grad_inputs[0]) return;
        const T* const x = inputs[0]->data();
        const T* const g = grad_output.data();
        T* const gx = grad_inputs[0]->data();
        for_each_patch(inputs[0]->shape(), scratch, [&](nn::Index plane, const Patch& patch, nn::Index out) {
            self().carry_back(g[out], x + plane, patch, gx + plane);
        });
    }

    /// With the stride filled in.
    const nn::PoolOptions& options() const { return options_; }

    result<nn::Shape> output_shape(std::span<const nn::Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].size() != 4)
            return unexpected_inputs("one input [N, C, H, W]", inputs);
        Window const w = window(inputs[0]);
        if (w.positions() == 0)
            return unexpected_inputs(concat("an image that holds the kernel ", nn::to_string(options_.kernel),
                                            " (padding ", nn::to_string(options_.padding), ")"),
                                     inputs);
        return nn::Shape{inputs[0][0], inputs[0][1], w.output(0), w.output(1)};
    }

protected:
    Window window(const nn::Shape& input) const {
        return {{input[2], input[3]}, options_.kernel, options_.stride, options_.padding, {1, 1}};
    }

    /// What a window covers of a plane, without the padding: rows [top, bottom) of columns [left, right).
    struct Patch {
        nn::Index top = 0, bottom = 0, left = 0, right = 0;
        nn::Index width = 0;  ///< of the plane

        /// Calls f(offset in the plane) for every pixel.
        template <class F>
        void for_each_pixel(F f) const {
            for (nn::Index row = top; row != bottom; ++row)
                for (nn::Index i = row * width + left; i != row * width + right; ++i) f(i);
        }
    };

private:
    const Derived& self() const { return static_cast<const Derived&>(*this); }

    /// Calls f(offset of the plane in the input, patch, offset in the output) for every output value.
    template <class F>
    void for_each_patch(const nn::Shape& input, const nn::BasicScratch<T>& scratch, F f) const {
        Window const w = window(input);
        nn::Index const rows = w.output(0), cols = w.output(1), height = input[2], width = input[3];
        nn::Index const planes = input[0] * input[1];
        scratch.parallel_for(
            planes, double(planes * w.positions() * w.taps()), [&](nn::Index plane, nn::Index) {
                nn::Index out = plane * rows * cols;
                for (nn::Index y = 0; y != rows; ++y)
                    for (nn::Index x = 0; x != cols; ++x, ++out) {
                        nn::Index const top = y * w.stride[0] - w.padding[0],
                                        left = x * w.stride[1] - w.padding[1];
                        f(plane * height * width,
                          Patch{(std::max)(top, nn::Index(0)), (std::min)(top + w.kernel[0], height),
                                (std::max)(left, nn::Index(0)), (std::min)(left + w.kernel[1], width), width},
                          out);
                    }
            });
    }

    nn::PoolOptions options_;
};

}  // namespace amct_distill::detail

namespace amct_distill::nn {

/// The largest value of each window; the gradient goes to the first that is largest, and NaN is larger than
/// all.
template <class T>
class BasicMaxPool2d : public detail::SlidingPool<BasicMaxPool2d<T>, T> {
    using Base = detail::SlidingPool<BasicMaxPool2d, T>;

public:
    static constexpr std::string_view type_name = "MaxPool2d";
    static constexpr std::string_view operation = "MaxPool";
    using Base::Base;

    static T pooled(const T* plane, const typename Base::Patch& patch) {
        return plane[largest(plane, patch)];
    }
    static void carry_back(T g, const T* plane, const typename Base::Patch& patch, T* grad_plane) {
        grad_plane[largest(plane, patch)] += g;
    }

private:
    static Index largest(const T* plane, const typename Base::Patch& patch) {
        Index best = patch.top * patch.width + patch.left;
        patch.for_each_pixel([&](Index i) {
            if (plane[i] > plane[best] || (std::isnan(plane[i]) && !std::isnan(plane[best]))) best = i;
        });
        return best;
    }
};

/// The mean of each window; padding counts as zeros (`count_include_pad=True`).
template <class T>
class BasicAvgPool2d : public detail::SlidingPool<BasicAvgPool2d<T>, T> {
    using Base = detail::SlidingPool<BasicAvgPool2d, T>;

public:
    static constexpr std::string_view type_name = "AvgPool2d";
    static constexpr std::string_view operation = "AveragePool";
    using Base::Base;

    T pooled(const T* plane, const typename Base::Patch& patch) const {
        T sum = 0;
        patch.for_each_pixel([&](Index i) { sum += plane[i]; });
        return sum / window_size();
    }
    void carry_back(T g, const T*, const typename Base::Patch& patch, T* grad_plane) const {
        T const share = g / window_size();
        patch.for_each_pixel([&](Index i) { grad_plane[i] += share; });
    }

private:
    T window_size() const { return T(this->options().kernel[0] * this->options().kernel[1]); }
};

/// The mean of each plane, as torch.nn.AdaptiveAvgPool2d(1).
template <class T>
class BasicGlobalAveragePool {
public:
    static constexpr std::string_view type_name = "AdaptiveAvgPool2d";
    static constexpr std::string_view operation = "GlobalAveragePool";

    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1 || inputs[0].size() != 4)
            return detail::unexpected_inputs("one input [N, C, H, W]", inputs);
        return Shape{inputs[0][0], inputs[0][1], 1, 1};
    }
    void forward(BasicInputs<T> inputs, BasicTensor<T>& output, BasicScratch<T>&, Mode) const {
        Index const n = pixels(*inputs[0]);
        const T* plane = inputs[0]->data();
        for (T& mean : output) {
            mean = T(detail::sum_of(plane, n) / double(n));
            plane += n;
        }
    }
    void backward(BasicInputs<T> inputs, const BasicTensor<T>&, const BasicTensor<T>& grad_output,
                  std::span<BasicTensor<T>* const> grad_inputs, std::span<BasicTensor<T>>, BasicScratch<T>&,
                  Mode) const {
        if (!grad_inputs[0]) return;
        Index const n = pixels(*inputs[0]);
        T* plane = grad_inputs[0]->data();
        for (T g : grad_output) {
            ArrayMap<T>(plane, n) += g / T(n);
            plane += n;
        }
    }

private:
    static Index pixels(const BasicTensor<T>& input) { return input.dim(2) * input.dim(3); }
};

using MaxPool2d = BasicMaxPool2d<float>;
using AvgPool2d = BasicAvgPool2d<float>;
using GlobalAveragePool = BasicGlobalAveragePool<float>;

}  // namespace amct_distill::nn

// ---- amct_distill/plan/blocks.hpp

/// The blocks of a plan: the user's groups, and the layers that are left, unit by unit, joined `group_size`
/// at a time.
///
///     auto [blocks, left_out] = detail::plan_blocks(graph, quantizable_nodes, user_blocks, group_size);
///
/// A unit is a quantizable layer with a following BatchNorm2d and a following activation.

namespace amct_distill::detail {

struct planned_blocks {
    std::vector<PlannedBlock> blocks{};   // in graph order
    std::vector<std::size_t> left_out{};  // nodes of layers before a BatchNorm that no unit may have
};

class block_planner {
public:
    block_planner(const graph& g, const std::vector<PlannedBlock>& groups)
        : graph_(g), in_group_(g.size(), false), unit_at_(g.size()) {
        for (const PlannedBlock& group : groups)
            for (std::size_t n : group.nodes) in_group_[n] = true;
    }

    /// `layers`: the nodes of the quantizable layers, in graph order.
    planned_blocks plan(const std::vector<std::size_t>& layers, std::vector<PlannedBlock> groups,
                        std::uint32_t group_size) {
        planned_blocks out{std::move(groups), {}};
        for (std::size_t layer : layers) {
            if (in_group_[layer]) continue;
            unit_at_[layer] = unit(layer);
            if (unit_at_[layer].empty()) out.left_out.push_back(layer);
        }
        for (std::size_t layer : layers)
            if (!unit_at_[layer].empty()) out.blocks.push_back(joined(layer, group_size));
        std::sort(out.blocks.begin(), out.blocks.end(), [](const PlannedBlock& a, const PlannedBlock& b) {
            return a.nodes.front() < b.nodes.front();
        });
        return out;
    }

private:
    /// The only reader of a node, unless a group has it.
    std::optional<std::size_t> next(std::size_t node) const {
        auto const reader = graph_.only_consumer(node);
        return reader && !in_group_[*reader] ? reader : std::nullopt;
    }
    /// The unit that begins with a layer. Empty before a BatchNorm that cannot be part of one (BatchNorm1d,
    /// or shared): the original leaves such a layer out of every block, and so do we.
    std::vector<std::size_t> unit(std::size_t layer) const {
        std::vector<std::size_t> nodes{layer};
        auto follower = next(layer);
        if (follower && graph_.has_module(*follower) && graph_.type(*follower).starts_with("BatchNorm")) {
            if (graph_.type(*follower) != "BatchNorm2d" || graph_.is_shared(*follower)) return {};
            nodes.push_back(*follower);
            follower = next(*follower);
        }
        // A functional activation is no module, and stays outside.
        if (follower && graph_.has_module(*follower) && is_activation(graph_.type(*follower)))
            nodes.push_back(*follower);
        return nodes;
    }
    /// The unit at `layer` with those that follow it directly, `group_size` in all; takes them.
    PlannedBlock joined(std::size_t layer, std::uint32_t group_size) {
        PlannedBlock block{std::exchange(unit_at_[layer], {}), {}, {}};
        for (std::uint32_t units = 1; units < group_size; ++units) {
            auto const follower = next(block.nodes.back());
            if (!follower || unit_at_[*follower].empty()) break;
            auto const more = std::exchange(unit_at_[*follower], {});
            block.nodes.insert(block.nodes.end(), more.begin(), more.end());
        }
        for (std::size_t n : block.nodes) block.names.push_back(graph_.name(n));
        return block;
    }

    const graph& graph_;
    std::vector<bool> in_group_;
    std::vector<std::vector<std::size_t>> unit_at_;  // by its first node
};

inline planned_blocks plan_blocks(const graph& g, const std::vector<std::size_t>& layers,
                                  std::vector<PlannedBlock> groups, std::uint32_t group_size) {
    block_planner planner(g, groups);
    return planner.plan(layers, std::move(groups), group_size);
}

}  // namespace amct_distill::detail

// ---- amct_distill/plan/static_select.hpp

/// From a configuration that the compiler read to a layer's quantizer types, and to whether an engine can run it.
///
///     using config = static_config<R"(distill_weight_quant_config { arq_distill { dst_type: INT4 } })">;
///     weight_quantizer_for<config::value, "conv1", "Conv2d">          // Arq<Int4, ChannelWise>
///     weight_quantizer_for<config::value, "fc", "Linear">             // Arq<Int4, TensorWise>
///     activation_quantizer_for<config::value, "fc", "Linear">         // ActUlq<Int8>
///     activation_settings_for<config::value, "fc", "Linear">.clip_max_min     // the message: not set here
///     static_assert(RunsOn<config::value, supports<Arq<Int4, ChannelWise>, Arq<Int4, TensorWise>>>);
///
/// The rules and the defaults are those of resolve(): skip > override of the layer > override of the type >
/// global; an override replaces all of it. Names cannot be checked here: there is no network.

namespace amct_distill {
namespace detail {

/// An algorithm with what decides its quantizer's type.
struct selection {
    bool quantized = true;
    std::size_t alternative = 0;
    bool int4 = false;
    bool channels = false;
    friend bool operator==(const selection&, const selection&) = default;
};

/// No algorithm named: the first of the list.
template <class Alternatives>
constexpr selection select(const oneof<Alternatives>* said, bool is_conv) {
    auto const of = [&](std::size_t alternative, const auto& message) {
        selection s{.alternative = alternative};
        if constexpr (requires { message.dst_type.get() == DataType::INT4; })
            s.int4 = message.dst_type.get() == DataType::INT4;
        if constexpr (requires { message.channel_wise.get(); })
            s.channels = message.channel_wise.has_value() ? *message.channel_wise : is_conv;
        return s;
    };
    if (said == nullptr || !said->has_value())
        return of(0, blank_value<reflect::field_type<Alternatives, 0>>());
    return std::visit(
        [&]<class M>(const M& message) {
            if constexpr (std::is_same_v<M, std::monostate>)
                return selection{};
            else
                return of(said->value().index() - 1, message);
        },
        said->value());
}
/// `rule` is the configuration, or one of its overrides.
template <class Rule>
constexpr auto data_algorithm(const Rule& rule) {
    return rule.distill_data_quant_config.has_value() ? &rule.distill_data_quant_config->data_quant_algo
                                                      : nullptr;
}
template <class Rule>
constexpr auto weight_algorithm(const Rule& rule) {
    return rule.distill_weight_quant_config.has_value()
               ? &rule.distill_weight_quant_config->weights_quant_algo
               : nullptr;
}

template <class Strings>
constexpr bool contains(const Strings& strings, std::string_view name) {
    for (std::string_view s : strings)
        if (s == name) return true;
    return false;
}

/// Calls `f(rule)` for what holds for a layer; false when it is skipped.
template <class Config, class F>
constexpr bool with_rule_of(const Config& config, std::string_view layer, std::string_view type, F&& f) {
    if (contains(config.quant_skip_layers, layer) || contains(config.quant_skip_layer_types, type))
        return false;
    for (const auto& o : config.distill_override_layers)
        if (*o.layer_name == layer) return f(o), true;
    for (const auto& o : config.distill_override_layer_types)
        if (*o.layer_type == type) return f(o), true;
    return f(config), true;
}

constexpr bool is_static_type(std::string_view type) { return type == "Conv2d" || type == "Linear"; }

template <class Alternatives, selection S>
struct selected_weights {
    using type = void;
};
template <class Alternatives, selection S>
requires(S.quantized) struct selected_weights<Alternatives, S> {
    using type = typename reflect::field_type<Alternatives, S.alternative>::template quantizer<
        std::conditional_t<S.int4, Int4, Int8>, std::conditional_t<S.channels, ChannelWise, TensorWise>>;
};
template <class Alternatives, selection S>
struct selected_data {
    using type = void;
};
template <class Alternatives, selection S>
requires(S.quantized) struct selected_data<Alternatives, S> {
    using type = typename reflect::field_type<Alternatives, S.alternative>::template quantizer<
        std::conditional_t<S.int4, Int4, Int8>>;
};

template <class Config>
constexpr selection weights_of(const Config& config, std::string_view layer, std::string_view type) {
    selection s{};
    s.quantized = with_rule_of(
        config, layer, type, [&](const auto& rule) { s = select(weight_algorithm(rule), type == "Conv2d"); });
    return s;
}
template <class Config>
constexpr selection data_of(const Config& config, std::string_view layer, std::string_view type) {
    selection s{};
    s.quantized = with_rule_of(config, layer, type,
                               [&](const auto& rule) { s = select(data_algorithm(rule), type == "Conv2d"); });
    return s;
}

/// The message that names the activation quantizer, as the user wrote it.
template <const auto& Config, fixed_string Layer, fixed_string Type>
constexpr auto activation_message() {
    using alternatives = typename std::remove_cvref_t<decltype(Config)>::algorithms::data;
    constexpr selection selected = data_of(Config, Layer.view(), Type.view());
    static_assert(selected.quantized,
                  "activation_settings_for: the configuration skips the layer; ask for its "
                  "activation_quantizer_for first, which is then void");
    auto message = blank_value<reflect::field_type<alternatives, selected.alternative>>();
    with_rule_of(Config, Layer.view(), Type.view(), [&](const auto& rule) {
        if (const auto* const said = data_algorithm(rule); said != nullptr && said->has_value())
            message = std::get<selected.alternative + 1>(said->value());
    });
    return message;
}

/// Whether an engine has the quantizer of a selection.
template <class Supported, class Alternatives, template <class, selection> class Selected>
constexpr bool has_selected(const selection& s) {
    bool has = false;
    auto const one = [&]<std::size_t I, bool Four, bool Channels>() {
        if (s.alternative != I || s.int4 != Four || s.channels != Channels) return;
        using quantizer = typename Selected<Alternatives, selection{true, I, Four, Channels}>::type;
        has = Supported::template has<quantizer>;
    };
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        ((one.template operator()<I, false, false>(), one.template operator()<I, false, true>(),
          one.template operator()<I, true, false>(), one.template operator()<I, true, true>()),
         ...);
    }
    (std::make_index_sequence<reflect::field_count<Alternatives>>{});
    return has;
}
/// Whether it has any quantizer of a list.
template <class Supported, class... C>
constexpr bool has_any(type_list<C...>) {
    return (Supported::template has<typename C::quantizer> || ...);
}

/// Every layer that a rule may hold for, of either type.
template <class Supported, class Config>
constexpr bool runs_on(const Config& config) {
    using data = typename Config::algorithms::data;
    using weights = typename Config::algorithms::weights;
    bool ok = true;
    auto const check = [&](const auto& rule, std::string_view type) {
        if (contains(config.quant_skip_layer_types, type)) return;
        if constexpr (has_any<Supported>(all_weight_choices<weights>{}))
            ok = ok && has_selected<Supported, weights, selected_weights>(
                           select(weight_algorithm(rule), type == "Conv2d"));
        if constexpr (has_any<Supported>(all_activation_choices<data>{}))
            ok = ok &&
                 has_selected<Supported, data, selected_data>(select(data_algorithm(rule), type == "Conv2d"));
    };
    for (std::string_view type : {"Conv2d", "Linear"}) {
        for (const auto& o : config.distill_override_layers)
            if (!contains(config.quant_skip_layers, *o.layer_name)) check(o, type);
        bool overridden = false;
        for (const auto& o : config.distill_override_layer_types)
            if (*o.layer_type == type) {
                check(o, type);
                overridden = true;
            }
        if (!overridden) check(config, type);
    }
    return ok && (has_any<Supported>(all_weight_choices<weights>{}) ||
                  has_any<Supported>(all_activation_choices<data>{}));
}

}  // namespace detail

/// The weight quantizer of a layer; `void` when the configuration skips it. `Type` is "Conv2d" or "Linear".
template <const auto& Config, fixed_string Layer, fixed_string Type>
requires(detail::is_static_type(Type.view())) using weight_quantizer_for =
    typename detail::selected_weights<typename std::remove_cvref_t<decltype(Config)>::algorithms::weights,
                                      detail::weights_of(Config, Layer.view(), Type.view())>::type;

/// Its activation quantizer; `void` when the configuration skips it.
template <const auto& Config, fixed_string Layer, fixed_string Type>
requires(detail::is_static_type(Type.view())) using activation_quantizer_for =
    typename detail::selected_data<typename std::remove_cvref_t<decltype(Config)>::algorithms::data,
                                   detail::data_of(Config, Layer.view(), Type.view())>::type;

/// The settings of its activations: the message of the algorithm, with the clips when the user gave them.
template <const auto& Config, fixed_string Layer, fixed_string Type>
requires(detail::is_static_type(Type.view())) inline constexpr auto activation_settings_for =
    detail::activation_message<Config, Layer, Type>();

/// Whether `Engine` (a `supports<...>`) has every quantizer that the configuration can ask for, on Conv2d and
/// Linear layers of any name. An override of a layer, whose type is not known here, has to run as either. Of an
/// engine that lists weight quantizers alone, or activation quantizers alone, only those are asked for.
template <const auto& Config, class Engine>
concept RunsOn = detail::runs_on<Engine>(Config);

}  // namespace amct_distill

// ---- amct_distill/plan/check_engine.hpp

/// Whether an engine can run a plan: the run-time twin of RunsOn.
///
///     using engine = supports<Arq<Int8, ChannelWise>, ActUlq<Int8>>;
///     check_engine<engine>(plan, {.source = "quant.cfg", .text = text}).value();
///     // quant.cfg:3:7: error: layer `fc`: `arq_distill, INT8, tensor_wise` is not what this engine runs; it has ...

namespace amct_distill {

/// Errors, all of them: layers that want a quantizer that `Engine` does not list, each at the place in the
/// configuration where its algorithm was chosen. Of an engine that lists weight quantizers alone, or activation
/// quantizers alone, only those are asked for.
template <class Engine, class Algorithms>
result<void> check_engine(const BasicDistillPlan<Algorithms>& plan, const resolve_options& options = {}) {
    constexpr bool has_weights =
        detail::has_any<Engine>(detail::all_weight_choices<typename Algorithms::weights>{});
    constexpr bool has_data =
        detail::has_any<Engine>(detail::all_activation_choices<typename Algorithms::data>{});
    static_assert(
        has_weights || has_data,
        "check_engine: the engine supports none of the quantizers that the algorithm list can name; "
        "add one to supports<...>");
    detail::findings found(options);
    for (const auto& layer : plan.layers) {
        if (!layer.quant_enable) continue;
        auto const check = [&](const result<void>& visited, const Provenance& from) {
            for (const Diagnostic& error : visited.diagnostics())
                found.error(from.where, {}, detail::concat("layer `", layer.name, "`: ", error.message));
        };
        auto const nothing = [](auto, const auto&) {};
        if constexpr (has_weights)
            check(visit_weight_quantizer<Engine>(layer.weights, nothing), layer.weights_from.algo);
        if constexpr (has_data)
            check(visit_activation_quantizer<Engine>(layer.data, nothing), layer.data_from.algo);
    }
    if (found.failed()) return found.errors();
    return {};
}

}  // namespace amct_distill

// ---- amct_distill/plan/layer_lookup.hpp

/// The layers and types of layer that a configuration names, looked up; a name that fits nothing is a
/// finding.
///
///     detail::layer_names names(graph, found);
///     names.layer("conv11", {3, 20}, "quant_skip_layers[0]");   // none, and
///     // quant_skip_layers[0]: no layer is named `conv11`; did you mean `conv1`?

namespace amct_distill::detail {

/// "; did you mean `conv1`?", or else what there is.
inline std::string instead_of(std::string_view name, const std::vector<std::string_view>& names,
                              std::string_view what_they_are) {
    if (std::string_view const near = nearest(name, names); !near.empty())
        return concat("; did you mean `", near, "`?");
    if (names.empty()) return {};
    return concat("; ", what_they_are, ": ", quoted_list(names));
}

/// Holds references to both of its arguments.
class layer_names {
public:
    layer_names(const graph& g, findings& found) : graph_(g), findings_(found) {
        const auto& modules = g.topology().modules;
        for (std::size_t m = 0; m != modules.size(); ++m) {
            if (!g.uses(m).empty()) used_names_.push_back(modules[m].name);
            if (!g.why_not_quantized(m).empty()) continue;
            quantizable_.push_back(m);
            quantizable_names_.push_back(modules[m].name);
            if (std::find(types_.begin(), types_.end(), modules[m].type) == types_.end())
                types_.push_back(modules[m].type);
        }
    }

    /// The modules that can be quantized, in definition order.
    const std::vector<std::size_t>& quantizable() const { return quantizable_; }

    /// The quantizable layer of that name, as an index into Topology::modules.
    std::optional<std::size_t> layer(std::string_view name, Position where, std::string path) const {
        auto const module = graph_.module_named(name);
        if (!module) {
            findings_.error(where, std::move(path),
                            concat("no layer is named `", name, "`",
                                   instead_of(name, quantizable_names_, "the layers that can be quantized")));
            return std::nullopt;
        }
        if (auto const reason = graph_.why_not_quantized(*module); !reason.empty()) {
            findings_.error(where, std::move(path), concat("`", name, "` ", reason, ": remove it here"));
            return std::nullopt;
        }
        return module;
    }

    /// The quantizable layers of that type.
    std::vector<std::size_t> layers_of_type(std::string_view type, Position where, std::string path) const {
        const auto& modules = graph_.topology().modules;
        std::vector<std::size_t> fitting;
        for (std::size_t m : quantizable_)
            if (modules[m].type == type) fitting.push_back(m);
        if (!fitting.empty()) return fitting;

        bool const exists =
            std::any_of(modules.begin(), modules.end(), [&](const auto& m) { return m.type == type; });
        if (is_quantizable_type(type))
            findings_.error(where, std::move(path),
                            concat("the network has no ", type, exists ? " that can be quantized" : "",
                                   ": remove it here"));
        else if (exists)
            findings_.error(
                where, std::move(path),
                concat("a ", type, " is not quantized; only Conv2d and Linear layers are: remove it here"));
        else
            findings_.error(where, std::move(path),
                            concat("no layer is of type `", type, "`",
                                   instead_of(type, types_, "the types that can be quantized")));
        return fitting;
    }

    /// Any module that is used, quantizable or not, as an index into Topology::modules.
    std::optional<std::size_t> used_module(std::string_view name, Position where, std::string path) const {
        auto const module = graph_.module_named(name);
        if (!module)
            findings_.error(where, std::move(path),
                            concat("no layer is named `", name, "`",
                                   instead_of(name, used_names_, "the layers of the network")));
        else if (graph_.uses(*module).empty())
            findings_.error(where, std::move(path),
                            concat("`", name, "` is not in the network's graph; name a layer that is"));
        else
            return module;
        return std::nullopt;
    }

private:
    const graph& graph_;
    findings& findings_;
    std::vector<std::size_t> quantizable_{};
    std::vector<std::string_view> quantizable_names_{};
    std::vector<std::string_view> used_names_{};
    std::vector<std::string_view> types_{};  // of the quantizable layers
};

}  // namespace amct_distill::detail

// ---- amct_distill/plan/settings.hpp

/// One layer's algorithm as a rule of the configuration gives it, with no setting left open, and where each
/// setting came from.
///
///     detail::section<Alternatives> said{&message.weights_quant_algo, "distill_weight_quant_config"};
///     auto [algorithm, from] = detail::settle(said, {.is_conv = true});
///
/// A setting is found by its name: an algorithm of one's own has `dst_type`, `channel_wise`, `fixed_min` and
/// `clip_max_min`, or has them not.

namespace amct_distill::detail {

/// What one rule says of activations, or of weights.
template <class Alternatives>
struct section {
    const oneof<Alternatives>* choice = nullptr;  // null: nothing
    std::string name{};                           // "distill_override_layers[1]"
    Position where{};                             // of the rule
    std::string path{};                           // of its settings, for findings
};

/// What the defaults depend on.
struct layer_facts {
    bool is_conv = false;
    std::string relu_before{};  // its name; empty when the layer is not behind one
};

template <class Alternatives>
struct settled {
    oneof<Alternatives> algorithm{};
    AlgorithmProvenance from{};
};

template <class F>
bool is_set(const F& field) {
    if constexpr (requires { field.has_value(); })
        return field.has_value();
    else if constexpr (requires { field.empty(); })
        return !field.empty();
    else
        return true;
}
template <class F>
Position position_of_field(const F& field) {
    if constexpr (requires { field.position(); })
        return field.position();
    else
        return {};
}

/// Fills in the settings that mean something for every algorithm.
template <class M>
void complete(M& message, AlgorithmProvenance& from, const layer_facts& layer) {
    if constexpr (requires { message.dst_type.emplace(message.dst_type.get()); })
        if (!message.dst_type.has_value()) message.dst_type.emplace(message.dst_type.get());
    if constexpr (requires { message.channel_wise.emplace(true); })
        if (!message.channel_wise.has_value()) message.channel_wise.emplace(layer.is_conv);
    if constexpr (requires { message.fixed_min.emplace(true); })
        if (!message.fixed_min.has_value()) {
            message.fixed_min.emplace(!layer.relu_before.empty());
            if (!layer.relu_before.empty())
                for (auto& [name, provenance] : from.settings)
                    if (name == "fixed_min")
                        provenance.text = concat("default: behind ReLU `", layer.relu_before, "`");
        }
}

/// The algorithm of a section, or the first of its list when the section names none.
template <class Alternatives>
settled<Alternatives> settle(const section<Alternatives>& said, const layer_facts& layer) {
    settled<Alternatives> out;
    Position where = said.where;
    if (said.choice != nullptr && said.choice->has_value()) {
        out.algorithm = *said.choice;
        where = either(said.choice->position(), where);
        out.from.algo = said_by(said.name, where);
    } else {
        out.algorithm.template emplace<0>();
    }
    std::visit(
        [&]<class M>(M& message) {
            if constexpr (!std::is_same_v<M, std::monostate>) {
                [&]<std::size_t... I>(std::index_sequence<I...>) {
                    [[maybe_unused]] auto const note = [&](std::string_view name, const auto& field) {
                        out.from.settings.emplace_back(
                            name, is_set(field) ? said_by(said.name, either(position_of_field(field), where))
                                                : Provenance{});
                    };
                    (note(reflect::field_name<M, I>(), reflect::get<I>(message)), ...);
                }
                (std::make_index_sequence<reflect::field_count<M>>{});
                complete(message, out.from, layer);
            }
        },
        out.algorithm.value());
    return out;
}

/// Whether two algorithms differ, as far as their messages can be compared.
template <class Alternatives>
bool differ(const oneof<Alternatives>& a, const oneof<Alternatives>& b) {
    if (a.value().index() != b.value().index()) return true;
    return std::visit(
        []<class A, class B>(const A& x, const B& y) {
            if constexpr (std::is_same_v<A, B> && requires { x == x; })
                return !(x == y);
            else
                return false;
        },
        a.value(), b.value());
}

inline std::string shortest(float x) {
    std::array<char, 32> buffer{};
    auto const end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), x).ptr;
    return {buffer.data(), end};
}

/// clip_max > 0, clip_min < 0, both finite.
template <class Alternatives>
void check_clips(const section<Alternatives>& said, findings& found) {
    if (said.choice == nullptr) return;
    std::visit(
        [&](const auto& message) {
            if constexpr (requires {
                              message.clip_max_min->clip_max.position();
                              message.clip_max_min->clip_min.position();
                          }) {
                if (!message.clip_max_min.has_value()) return;
                auto const check = [&](const required<float>& clip, std::string_view name, bool ok,
                                       std::string_view rule) {
                    if (ok && std::isfinite(*clip)) return;
                    found.error(either(clip.position(), said.where),
                                concat(said.path, ".clip_max_min.", name),
                                concat(name, " must be ", rule, " and finite, and is ", shortest(*clip),
                                       "; leave clip_max_min out, and IFMR computes the clips"));
                };
                const auto& clips = *message.clip_max_min;
                check(clips.clip_max, "clip_max", *clips.clip_max > 0, "above 0");
                check(clips.clip_min, "clip_min", *clips.clip_min < 0, "below 0");
            }
        },
        said.choice->value());
}

}  // namespace amct_distill::detail

// ---- amct_distill/plan/rule_book.hpp

/// The rules of a configuration, looked up: which skip and which override each quantizable layer falls under.
///
///     detail::rule_book<standard_algorithms> rules(config, graph, names, found);
///     for (const auto& layer : rules.layers()) layer.skipped, layer.strongest().weights ...
///
/// Skip (by layer or by type) > override of the layer > override of the type > global.

namespace amct_distill::detail {

/// The global settings, or an override.
template <class Algorithms>
struct rule {
    std::string name{};  // "distill_override_layers[1]"; empty for the global ones
    Position where{};
    section<typename Algorithms::data> data{};
    section<typename Algorithms::weights> weights{};
};

/// What one layer falls under. The pointers are into the rule book.
template <class Algorithms>
struct layer_rules {
    std::size_t module = 0;
    std::optional<Provenance> skipped{};
    const rule<Algorithms>* of_layer = nullptr;
    const rule<Algorithms>* of_type = nullptr;
    const rule<Algorithms>* global = nullptr;

    const rule<Algorithms>& strongest() const { return of_layer ? *of_layer : of_type ? *of_type : *global; }
    /// What would hold without the strongest.
    const rule<Algorithms>& weaker() const { return of_layer && of_type ? *of_type : *global; }
    bool falls_under(const rule<Algorithms>& r) const { return !skipped && &strongest() == &r; }
};

template <class Algorithms>
class rule_book {
public:
    /// Reports names that fit nothing, repeated overrides, and clips out of range. The arguments must outlive
    /// the book.
    template <class Storage>
    rule_book(const BasicConfig<Algorithms, Storage>& config, const graph& g, const layer_names& names,
              findings& found)
        : graph_(g), findings_(found), index_(g.topology().modules.size()) {
        for (std::size_t module : names.quantizable()) {
            index_[module] = layers_.size();
            layers_.push_back({.module = module, .global = &global_});
        }
        global_ = make_rule(config, "", {});
        read_skips(config, names);
        read_overrides(config, names);
        check_clips(global_.data, found);
        for (const auto& r : of_layers_) check_clips(r.data, found);
        for (const auto& r : of_types_) check_clips(r.data, found);
    }
    rule_book(const rule_book&) = delete;
    rule_book& operator=(const rule_book&) = delete;

    /// The quantizable layers, in definition order.
    const std::vector<layer_rules<Algorithms>>& layers() const { return layers_; }

    /// Warns of rules that never apply, because stronger ones cover all that they match.
    void warn_of_idle_rules() const {
        for (const auto& layer : layers_)
            if (layer.of_layer && layer.skipped)
                findings_.warning(layer.of_layer->where, layer.of_layer->name,
                                  concat("never applies: `", name(layer.module), "` is skipped by ",
                                         layer.skipped->text, "; remove one of the two"));
        for (const auto& r : of_types_)
            if (!in_force(r))
                findings_.warning(r.where, r.name,
                                  "never applies: every layer of that type is skipped or has an override of "
                                  "its own; remove it");
        if (in_force(global_)) return;
        auto const idle = [&](const auto& said) {
            if (said.choice != nullptr)
                findings_.warning(said.where, said.name,
                                  "never applies: every layer is skipped or has an override; remove it");
        };
        idle(global_.data);
        idle(global_.weights);
    }

    /// Warns of overrides that name activations or weights alone, where that changes the others:
    /// what an override does not say takes the default, not the weaker setting. `facts(layer)` gives the
    /// layer_facts of a layer_rules.
    template <class Facts>
    void warn_of_resets(const Facts& facts) const {
        auto const check = [&](const rule<Algorithms>& r) {
            reset(r, &rule<Algorithms>::data, "distill_data_quant_config", facts);
            reset(r, &rule<Algorithms>::weights, "distill_weight_quant_config", facts);
        };
        for (const auto& r : of_layers_) check(r);
        for (const auto& r : of_types_) check(r);
    }

private:
    using rule_type = rule<Algorithms>;

    const std::string& name(std::size_t module) const { return graph_.topology().modules[module].name; }
    layer_rules<Algorithms>& rules_of(std::size_t module) { return layers_[index_[module]]; }
    bool in_force(const rule_type& r) const {
        return std::any_of(layers_.begin(), layers_.end(), [&](const auto& l) { return l.falls_under(r); });
    }

    /// `holder` is the configuration, or one of its overrides: both have the two settings by the same names.
    template <class Holder>
    static rule_type make_rule(const Holder& holder, std::string name, Position where) {
        rule_type r{std::move(name), where, {}, {}};
        auto const read = [&](const auto& field, auto oneof_member, std::string_view field_name, auto& said) {
            said.path = r.name.empty() ? std::string(field_name) : concat(r.name, '.', field_name);
            said.name = r.name.empty() ? said.path : r.name;
            said.where = either(field.position(), where);
            if (!field.has_value()) return;
            said.choice = &((*field).*oneof_member);
            said.path = concat(said.path, '.', said.choice->name());
        };
        read(holder.distill_data_quant_config, &BasicDataQuantConfig<Algorithms>::data_quant_algo,
             "distill_data_quant_config", r.data);
        read(holder.distill_weight_quant_config, &BasicWeightQuantConfig<Algorithms>::weights_quant_algo,
             "distill_weight_quant_config", r.weights);
        return r;
    }

    template <class Config>
    void read_skips(const Config& config, const layer_names& names) {
        auto const skip = [&](std::size_t module, const std::string& path, Position where) {
            auto& skipped = rules_of(module).skipped;
            if (!skipped) skipped = said_by(path, where);
        };
        for (std::size_t i = 0; i != config.quant_skip_layers.size(); ++i) {
            auto const path = element("quant_skip_layers", i);
            Position const where = position_in(config.quant_skip_layers, i);
            if (auto const module = names.layer(config.quant_skip_layers[i], where, path))
                skip(*module, path, where);
        }
        for (std::size_t i = 0; i != config.quant_skip_layer_types.size(); ++i) {
            auto const path = element("quant_skip_layer_types", i);
            Position const where = position_in(config.quant_skip_layer_types, i);
            for (std::size_t module : names.layers_of_type(config.quant_skip_layer_types[i], where, path))
                skip(module, path, where);
        }
    }

    template <class Config>
    void read_overrides(const Config& config, const layer_names& names) {
        const auto& by_layer = config.distill_override_layers;
        of_layers_.reserve(by_layer.size());  // the layers keep pointers
        for (std::size_t i = 0; i != by_layer.size(); ++i) {
            const auto& r = of_layers_.emplace_back(
                make_rule(by_layer[i], element("distill_override_layers", i), position_in(by_layer, i)));
            Position const where = either(by_layer[i].layer_name.position(), r.where);
            auto const path = concat(r.name, ".layer_name");
            if (auto const module = names.layer(*by_layer[i].layer_name, where, path))
                take(rules_of(*module).of_layer, r, *by_layer[i].layer_name, where, path);
        }
        const auto& by_type = config.distill_override_layer_types;
        of_types_.reserve(by_type.size());
        for (std::size_t i = 0; i != by_type.size(); ++i) {
            const auto& r = of_types_.emplace_back(
                make_rule(by_type[i], element("distill_override_layer_types", i), position_in(by_type, i)));
            Position const where = either(by_type[i].layer_type.position(), r.where);
            auto const path = concat(r.name, ".layer_type");
            for (std::size_t module : names.layers_of_type(*by_type[i].layer_type, where, path))
                if (!take(rules_of(module).of_type, r, *by_type[i].layer_type, where, path)) break;
        }
    }
    /// A layer or type has one override.
    bool take(const rule_type*& place, const rule_type& r, std::string_view subject, Position where,
              const std::string& path) {
        if (place == nullptr) return place = &r, true;
        findings_.error(
            where, path,
            concat("`", subject, "` has an override already, ", said_by(place->name, place->where).text,
                   ": put the settings of both into one"));
        return false;
    }

    template <class Section, class Facts>
    void reset(const rule_type& r, Section rule_type::*which, std::string_view field,
               const Facts& facts) const {
        if ((r.*which).choice != nullptr) return;
        std::vector<std::string_view> changed;
        const Section* weaker = nullptr;
        std::string fallback;
        for (const auto& layer : layers_) {
            if (!layer.falls_under(r)) continue;
            auto const now = settle(r.*which, facts(layer)).algorithm;
            if (!differ(now, settle(layer.weaker().*which, facts(layer)).algorithm)) continue;
            changed.push_back(name(layer.module));
            weaker = &(layer.weaker().*which);
            fallback = describe(now);
        }
        if (changed.empty()) return;
        findings_.warning(
            r.where, r.name,
            concat("has no ", field, ", so ", quoted_list(changed), changed.size() == 1 ? " gets" : " get",
                   " the default (", fallback, "), not what ", said_by(weaker->name, weaker->where).text,
                   " says: an override replaces all of it; repeat in it what is to stay"));
    }

    const graph& graph_;
    findings& findings_;
    std::vector<std::size_t> index_;  // by module: into layers_, when it is quantizable
    std::vector<layer_rules<Algorithms>> layers_{};
    rule_type global_{};
    std::vector<rule_type> of_layers_{};
    std::vector<rule_type> of_types_{};
};

}  // namespace amct_distill::detail

// ---- amct_distill/plan/target.hpp

/// Rules of the machine that will run the result; a plan that breaks one is an error.
///
///     resolve(config, topology);                     // target::generic: no rules
///     resolve(config, topology, target::ascend);     // the original's rules
///     resolve(config, topology, Target{.name = "mine", .mixed_widths = false});

namespace amct_distill {

/// As it stands: a machine that runs everything.
struct Target {
    std::string_view name = "generic";  ///< for messages
    bool channel_wise_linear = true;    ///< the weights of a Linear may have one scale per output channel
    bool mixed_widths = true;           ///< a layer's activations and weights may differ in bit width
};

namespace target {
inline constexpr Target generic{};
inline constexpr Target ascend{.name = "ascend", .channel_wise_linear = false, .mixed_widths = false};
}  // namespace target

}  // namespace amct_distill

// ---- amct_distill/plan/check_target.hpp

/// Whether a plan's layers keep the rules of the machine that will run them.
///
///     detail::check_target(plan.layers, rules.layers(), target::ascend, found);
///     // `fc`: a Linear has one weight scale on target ascend; set channel_wise to false for it

namespace amct_distill::detail {

/// Layers that break a rule of the target for one and the same reason, in one error.
class violations {
public:
    void add(std::string_view layer, Position where, std::string path, std::string reason) {
        for (auto& v : all_)
            if (v.where == where && v.path == path && v.reason == reason) return v.layers.push_back(layer);
        all_.push_back({where, std::move(path), std::move(reason), {layer}});
    }
    void report(findings& found) const {
        for (const auto& v : all_)
            found.error(v.where, v.path, concat(quoted_list(v.layers), ": ", v.reason));
    }

private:
    struct violation {
        Position where;
        std::string path;
        std::string reason;
        std::vector<std::string_view> layers;
    };
    std::vector<violation> all_{};
};

/// `layers` and `rules` run parallel.
template <class Algorithms>
void check_target(const std::vector<BasicPlannedLayer<Algorithms>>& layers,
                  const std::vector<layer_rules<Algorithms>>& rules, const Target& target, findings& found) {
    violations wrong;
    for (std::size_t i = 0; i != layers.size(); ++i) {
        const auto& layer = layers[i];
        if (!layer.quant_enable) continue;
        const auto& said = rules[i].strongest();
        auto const path = [](const auto& section, std::string_view field) {
            return concat(section.path, '.', field);
        };
        if (!target.channel_wise_linear && layer.type == "Linear" && wants_channels(layer.weights))
            wrong.add(layer.name, layer.weights_from["channel_wise"].where,
                      path(said.weights, "channel_wise"),
                      concat("a Linear has one weight scale on target ", target.name,
                             "; set channel_wise to false for it"));

        auto const data = width_of(layer.data), weights = width_of(layer.weights);
        if (target.mixed_widths || data.empty() || weights.empty() || data == weights) continue;
        const Provenance& of_data = layer.data_from["dst_type"];
        const Provenance& of_weights = layer.weights_from["dst_type"];
        wrong.add(layer.name, of_weights.by_user ? of_weights.where : of_data.where,
                  of_weights.by_user ? path(said.weights, "dst_type")
                  : of_data.by_user  ? path(said.data, "dst_type")
                                     : std::string(),
                  concat("activations are ", data, " (", of_data.text, "), weights ", weights, " (",
                         of_weights.text, "), and target ", target.name,
                         " wants both of one width; set both dst_type to the same"));
    }
    wrong.report(found);
}

}  // namespace amct_distill::detail

// ---- amct_distill/plan/user_blocks.hpp

/// The blocks that the user spells out: the one path from a distill_group's start to its end.
///
///     std::vector<PlannedBlock> blocks = detail::user_blocks(config.distill_group, graph, names, found);
///
/// What is wrong with a group is a finding, and the group is left out.

namespace amct_distill::detail {

struct paths {
    std::size_t count = 0;             // 2 stands for "several"
    std::vector<std::size_t> nodes{};  // of the path, when there is one
};

/// The paths from a node to those for which `is_end` holds, none of them through another such node. Time
/// linear in the graph.
template <class IsEnd>
paths paths_between(const graph& g, std::size_t start, const IsEnd& is_end) {
    std::vector<std::size_t> ways(g.size(), 0);  // from the start to each node, counted up to 2
    ways[start] = 1;
    std::size_t count = 0, node = start;
    for (std::size_t n = start; n != g.size(); ++n) {
        if (is_end(n) && ways[n] != 0) {
            count = (std::min<std::size_t>)(count + ways[n], 2);
            node = n;
        } else {
            for (std::size_t next : g.consumers(n))
                ways[next] = (std::min<std::size_t>)(ways[next] + ways[n], 2);
        }
    }
    paths found{count, {}};
    if (count != 1) return found;
    while (node != start) {
        found.nodes.push_back(node);
        const auto& inputs = g.topology().nodes[node].inputs;
        node = *std::find_if(inputs.begin(), inputs.end(),
                             [&](std::size_t n) { return ways[n] != 0 && !is_end(n); });
    }
    found.nodes.push_back(start);
    std::reverse(found.nodes.begin(), found.nodes.end());
    return found;
}

inline bool may_stand_in_group(const graph& g, std::size_t node) {
    return g.has_module(node) && (is_quantizable_type(g.type(node)) || g.type(node) == "BatchNorm2d" ||
                                  is_activation(g.type(node)));
}

/// The nodes of the group from module `start` to module `end`; empty, and a finding, when it is not one.
inline std::vector<std::size_t> nodes_of_group(const graph& g, std::size_t start, std::size_t end,
                                               Position where, const std::string& path, findings& found) {
    std::string_view const first = g.topology().modules[start].name, last = g.topology().modules[end].name;
    if (g.uses(start).size() > 1) {
        found.error(where, path,
                    concat("`", first, "` is used ", g.uses(start).size(),
                           " times, and a group cannot start at a shared layer: start it at a layer that is "
                           "used once"));
        return {};
    }
    auto const use_of = [&](std::size_t module) {
        return [&g, module](std::size_t n) { return g.topology().nodes[n].module == module; };
    };
    paths way = paths_between(g, g.uses(start).front(), use_of(end));
    if (way.count == 0) {
        const auto& ends = g.uses(end);
        bool const reversed = std::any_of(ends.begin(), ends.end(), [&](std::size_t n) {
            return paths_between(g, n, use_of(start)).count != 0;
        });
        found.error(where, path,
                    reversed ? concat("`", last, "` comes before `", first,
                                      "`: exchange start_layer_name and end_layer_name")
                             : concat("no path leads from `", first, "` to `", last,
                                      "`: a group is one path of layers, each reading the one before"));
        return {};
    }
    if (way.count != 1) {
        found.error(where, path,
                    concat("several paths lead from `", first, "` to `", last,
                           "`, and a group is one path: start it behind the fork, or end it before"));
        return {};
    }
    auto const foreign = std::find_if(way.nodes.begin(), way.nodes.end(),
                                      [&](std::size_t n) { return !may_stand_in_group(g, n); });
    if (foreign != way.nodes.end()) {
        found.error(
            where, path,
            concat("`", g.name(*foreign), "` (", g.type(*foreign), ") is on the path from `", first, "` to `",
                   last,
                   "`, and a group is made of Conv2d, Linear, BatchNorm2d, ReLU, LeakyReLU, Sigmoid, Tanh "
                   "and Softmax modules only: ",
                   foreign == way.nodes.begin() ? "start it behind that"
                                                : concat("end it at `", g.name(foreign[-1]), "`")));
        return {};
    }
    return way.nodes;
}

/// Every group that is sound and shares no node with an earlier one, in the order of the configuration.
template <class Groups>
std::vector<PlannedBlock> user_blocks(const Groups& groups, const graph& g, const layer_names& names,
                                      findings& found) {
    std::vector<PlannedBlock> blocks;
    std::vector<std::optional<std::size_t>> owner(g.size());  // of a node: index of its group
    for (std::size_t i = 0; i != groups.size(); ++i) {
        const auto& group = groups[i];
        Position const where = position_in(groups, i);
        std::string const path = element("distill_group", i);
        auto const start =
            names.used_module(*group.start_layer_name, either(group.start_layer_name.position(), where),
                              concat(path, ".start_layer_name"));
        auto const end =
            names.used_module(*group.end_layer_name, either(group.end_layer_name.position(), where),
                              concat(path, ".end_layer_name"));
        if (!start || !end) continue;
        auto nodes = nodes_of_group(g, *start, *end, where, path, found);

        auto const shared =
            std::find_if(nodes.begin(), nodes.end(), [&](std::size_t n) { return owner[n].has_value(); });
        if (shared != nodes.end()) {
            found.error(where, path,
                        concat("`", g.name(*shared), "` is already in ",
                               said_by(element("distill_group", *owner[*shared]),
                                       position_in(groups, *owner[*shared]))
                                   .text,
                               ", and a layer is in one group only: end one before the other starts"));
            continue;
        }
        if (nodes.empty()) continue;
        PlannedBlock block{std::move(nodes), {}, said_by(path, where)};
        for (std::size_t n : block.nodes) {
            owner[n] = i;
            block.names.push_back(g.name(n));
        }
        blocks.push_back(std::move(block));
    }
    return blocks;
}

}  // namespace amct_distill::detail

// ---- amct_distill/plan/resolve.hpp

/// A configuration and a network's topology become a plan: which rule holds for each layer, with which
/// settings, and which layers are distilled together.
///
///     result<DistillPlan> plan = resolve(config, topology);
///     if (!plan) std::cerr << to_string(plan.diagnostics());      // every error there is, not the first
///     resolve(config, topology, target::ascend, {.source = "quant.cfg", .text = text});
///
/// With the text the configuration was read from, diagnostics show the line.

namespace amct_distill {
namespace detail {

/// An optional of the configuration with a default in the schema.
template <class T, auto Default>
PlannedValue<T> planned_value(const optional<T, Default>& field, std::string_view name) {
    return {field.get(), field.has_value() ? said_by(name, field.position()) : Provenance{}};
}

inline void check_at_least_one(const PlannedValue<std::uint32_t>& value, std::string_view name,
                               std::string_view rule, findings& found) {
    if (value.value == 0) found.error(value.from.where, std::string(name), concat("0 is too few: ", rule));
}

template <class Algorithms>
layer_facts facts_of(const layer_rules<Algorithms>& layer, const graph& g) {
    auto const relu = g.relu_before(g.uses(layer.module).front());
    return {g.topology().modules[layer.module].type == "Conv2d", relu ? g.name(*relu) : std::string()};
}

template <class Algorithms>
BasicPlannedLayer<Algorithms> plan_layer(const layer_rules<Algorithms>& rules, const graph& g) {
    const TopologyModule& module = g.topology().modules[rules.module];
    BasicPlannedLayer<Algorithms> layer;
    layer.name = module.name;
    layer.type = module.type;
    layer.module = rules.module;
    layer.node = g.uses(rules.module).front();
    layer.quant_enable = !rules.skipped;
    if (rules.skipped) layer.quant_enable_from = *rules.skipped;
    // A layer that is skipped keeps the defaults, as in the original.
    const rule<Algorithms> nothing{};
    const rule<Algorithms>& said = rules.skipped ? nothing : rules.strongest();
    auto const facts = facts_of(rules, g);
    auto data = settle(said.data, facts);
    auto weights = settle(said.weights, facts);
    layer.data = std::move(data.algorithm);
    layer.data_from = std::move(data.from);
    layer.weights = std::move(weights.algorithm);
    layer.weights_from = std::move(weights.from);
    return layer;
}

inline void warn_of_left_out(const std::vector<std::size_t>& nodes, const std::vector<bool>& quantized,
                             const graph& g, findings& found) {
    for (std::size_t node : nodes) {
        if (!quantized[node]) continue;
        const std::string& layer = g.name(node);
        std::size_t const norm = *g.only_consumer(node);
        found.warning({}, "",
                      concat("`", layer, "` is quantized, but not distilled: behind it is `", g.name(norm),
                             "`, a ", g.is_shared(norm) ? "shared " : "", g.type(norm),
                             ", with which it makes no block; a distill_group from `", layer, "` to `", layer,
                             "` makes it one of its own"));
    }
}

template <class Algorithms, class Storage>
result<BasicDistillPlan<Algorithms>> resolve(const BasicConfig<Algorithms, Storage>& config,
                                             const Topology& topology, const Target& target, findings found) {
    BasicDistillPlan<Algorithms> plan;
    plan.batch_num = planned_value(config.batch_num, "batch_num");
    plan.group_size = planned_value(config.group_size, "group_size");
    plan.data_dump = planned_value(config.data_dump, "data_dump");
    check_at_least_one(plan.batch_num, "batch_num", "IFMR computes the clips from at least 1 batch", found);
    check_at_least_one(plan.group_size, "group_size", "a block is made of at least 1 unit", found);

    graph const g(topology);
    layer_names const names(g, found);
    rule_book<Algorithms> const rules(config, g, names, found);
    if (names.quantizable().empty())
        found.error(
            {}, "",
            "the network has no layer that can be quantized: a Conv2d that pads with zeros, or a Linear, "
            "used once");
    else if (std::all_of(rules.layers().begin(), rules.layers().end(),
                         [](const auto& layer) { return layer.skipped.has_value(); }))
        found.error(
            {}, "",
            "every layer that can be quantized is skipped, and nothing is left to distill; take one out "
            "of quant_skip_layers or quant_skip_layer_types");

    std::vector<std::size_t> nodes;  // of the quantizable layers
    std::vector<bool> quantized(g.size(), false);
    for (const auto& layer : rules.layers()) {
        plan.layers.push_back(plan_layer(layer, g));
        nodes.push_back(plan.layers.back().node);
        quantized[nodes.back()] = plan.layers.back().quant_enable;
    }
    check_target(plan.layers, rules.layers(), target, found);

    auto groups = user_blocks(config.distill_group, g, names, found);
    if (found.failed()) return found.errors();

    std::sort(nodes.begin(), nodes.end());
    auto planned = plan_blocks(g, nodes, std::move(groups), plan.group_size.value);
    plan.blocks = std::move(planned.blocks);
    std::vector<std::size_t> block_of(g.size(), plan.blocks.size());
    for (std::size_t b = 0; b != plan.blocks.size(); ++b)
        for (std::size_t n : plan.blocks[b].nodes) block_of[n] = b;
    for (auto& layer : plan.layers)
        if (block_of[layer.node] != plan.blocks.size()) layer.block = block_of[layer.node];

    rules.warn_of_idle_rules();
    rules.warn_of_resets([&](const auto& layer) { return facts_of(layer, g); });
    warn_of_left_out(planned.left_out, quantized, g, found);
    return {std::move(plan), found.warnings()};
}

}  // namespace detail

/// Resolves a configuration. Errors: names that fit nothing or cannot be quantized, repeated overrides,
/// values out of range, groups that are not one path, rules of the target, nothing left to quantize; all of
/// them are reported. Warnings: rules that never apply, overrides that reset what they do not say, layers
/// that are quantized but not distilled. Throws std::invalid_argument when the topology contradicts itself.
template <class Algorithms, class Storage>
result<BasicDistillPlan<Algorithms>> resolve(const BasicConfig<Algorithms, Storage>& config,
                                             const Topology& topology, const Target& target = target::generic,
                                             const resolve_options& options = {}) {
    return detail::resolve(config, topology, target, detail::findings(options));
}

}  // namespace amct_distill

// ---- amct_distill/report/text.hpp

/// A distillation report as tables of at most 100 columns.
///
///     std::cout << to_table(report);
///
/// Four tables: the weights, the inputs and the blocks of the network, and each block's loss per epoch. Long
/// names keep their end.

namespace amct_distill {
namespace detail {

inline std::string formatted(const char* format, double x) {
    char text[64];
    std::snprintf(text, sizeof text, format, x);
    return text;
}
inline std::string decibel(double x) {
    return std::isfinite(x) ? formatted("%.1f dB", x) : std::string(x > 0 ? "exact" : "-");
}

inline std::string weights_table(const std::vector<LayerReport>& layers) {
    std::vector<TableRow> rows{{"layer", "weights", "scale", "SQNR", "dead channels"}};
    for (const LayerReport& l : layers) {
        std::string scale;
        if (!l.weight_scales.empty()) {
            float low = l.weight_scales[0].scale, high = low;
            for (ScaleOffset p : l.weight_scales) {
                low = (std::min)(low, p.scale);
                high = (std::max)(high, p.scale);
            }
            scale = short_number(static_cast<double>(low));
            if (low != high) append(scale, concat(" .. ", short_number(static_cast<double>(high))));
        }
        rows.push_back({shortened(l.name, 18), shortened(l.weight_policy, 31), std::move(scale),
                        decibel(l.weight_sqnr), concat(l.dead_channels.size(), " of ", l.channels)});
    }
    return text_table(rows);
}

inline std::string data_table(const std::vector<LayerReport>& layers) {
    std::vector<TableRow> rows{{"layer", "inputs", "scale", "clips", "by", "SQNR", "outside"}};
    for (const LayerReport& l : layers)
        rows.push_back({shortened(l.name, 18), shortened(l.data_policy, 18),
                        short_number(static_cast<double>(l.data_scale.scale)),
                        concat(formatted("%.3g", static_cast<double>(l.data_clip.min)), " .. ",
                               formatted("%.3g", static_cast<double>(l.data_clip.max))),
                        l.user_clips ? "you" : "IFMR", decibel(l.data_sqnr),
                        formatted("%.2f %%", 100 * l.saturation)});
    return text_table(rows);
}

/// "conv1", or "conv1 .. relu1".
inline std::string block_name(const BlockReport& block) {
    if (block.names.empty()) return {};
    if (block.names.size() == 1) return shortened(block.names[0], 28);
    return concat(shortened(block.names.front(), 12), " .. ", shortened(block.names.back(), 12));
}

inline std::string blocks_table(const std::vector<BlockReport>& blocks) {
    std::vector<TableRow> rows{
        {"block", "modules", "error", "distilled", "best epoch", "teacher's input", "seconds"}};
    for (std::size_t b = 0; b != blocks.size(); ++b) {
        const BlockReport& r = blocks[b];
        rows.push_back({std::to_string(b + 1), block_name(r), short_number(r.loss_before),
                        short_number(r.loss_after),
                        r.best_epoch == 0 ? "calibrated" : std::to_string(r.best_epoch),
                        r.teacher_inputs == 0 ? "never" : concat(r.teacher_inputs, " steps"),
                        formatted("%.2f", r.seconds)});
    }
    std::string out = text_table(rows);
    for (std::size_t b = 0; b != blocks.size(); ++b)
        if (!blocks[b].stopped.empty())
            append(out, concat("  block ", b + 1, " ended early: ", blocks[b].stopped, '\n'));
    return out;
}

/// Eight epochs a line.
inline std::string losses_table(const std::vector<BlockReport>& blocks) {
    constexpr std::size_t per_line = 8;
    std::vector<TableRow> rows{{"block", "loss per epoch"}};
    for (std::size_t b = 0; b != blocks.size(); ++b) {
        const std::vector<double>& losses = blocks[b].epoch_losses;
        for (std::size_t first = 0; first < losses.size(); first += per_line) {
            TableRow& row = rows.emplace_back(TableRow{first == 0 ? std::to_string(b + 1) : "", ""});
            for (std::size_t e = first; e < losses.size() && e < first + per_line; ++e)
                append(row[1], concat(e == first ? "" : "  ", short_number(losses[e])));
        }
    }
    return rows.size() == 1 ? std::string() : concat('\n', text_table(rows));
}

}  // namespace detail

inline std::string to_table(const DistillReport& report) {
    std::string out =
        detail::concat(detail::weights_table(report.layers), '\n', detail::data_table(report.layers), '\n',
                       detail::blocks_table(report.blocks), detail::losses_table(report.blocks));
    detail::append(out, detail::concat("\n  output, mean squared error to the teacher's: ",
                                       detail::short_number(report.output_error_calibrated), " calibrated, ",
                                       detail::short_number(report.output_error_distilled), " distilled\n"));
    if (report.kept_calibrated)
        detail::append(
            out, "  The outputs did not come 5 % nearer to the teacher's: the calibrated network stays.\n");
    if (report.resumed_blocks != 0)
        detail::append(out,
                       detail::concat("  Blocks taken from an earlier run: ", report.resumed_blocks, "\n"));
    if (report.cancelled)
        detail::append(out, "  The distillation was cancelled; what it had reached stays.\n");
    return out;
}

}  // namespace amct_distill

