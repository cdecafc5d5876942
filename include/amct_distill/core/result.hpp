// SPDX-License-Identifier: Apache-2.0
/// A value, or the diagnostics that say why there is none; the return type of every edge that meets input.
///
///     result<AMCTDistillConfig> config = read<AMCTDistillConfig>(text);
///     if (!config) { std::cerr << to_string(config.diagnostics()); return 1; }
///     use(*config);
///     use(read<AMCTDistillConfig>(text).value());   // throws ConfigError with the same text
///
/// Diagnostics of a result that holds a value are warnings.
#pragma once
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "diagnostic.hpp"

namespace amct_distill {

using Diagnostics = std::vector<Diagnostic>;

/// All diagnostics, a line break between them.
std::string to_string(std::span<const Diagnostic> all);

/// What `result::value()` throws; `what()` is the text of all diagnostics.
class ConfigError : public std::exception {
public:
    explicit ConfigError(Diagnostics diagnostics);
    const char* what() const noexcept override { return text_.c_str(); }
    const Diagnostics& diagnostics() const noexcept { return diagnostics_; }

private:
    Diagnostics diagnostics_;
    std::string text_;
};

namespace detail {
[[noreturn]] void raise(const Diagnostics& diagnostics);
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

    /// The value; throws ConfigError when there is none (aborts under -fno-exceptions).
    const T& value() const& { return require_value(), *value_; }
    T& value() & { return require_value(), *value_; }
    T&& value() && { return require_value(), *std::move(value_); }

private:
    void require_value() const {
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
    /// Success, with something to tell.
    static result with_warnings(Diagnostics warnings) {
        result done;
        done.diagnostics_ = std::move(warnings);
        return done;
    }
    result(Diagnostic error) : failed_(true) { diagnostics_.push_back(std::move(error)); }
    result(Diagnostics errors) : failed_(true), diagnostics_(std::move(errors)) {}

    bool has_value() const noexcept { return !failed_; }
    explicit operator bool() const noexcept { return has_value(); }
    /// Errors, when it failed; warnings, when it did not.
    const Diagnostics& diagnostics() const noexcept { return diagnostics_; }
    void value() const {
        if (failed_) detail::raise(diagnostics_);
    }

private:
    bool failed_ = false;
    Diagnostics diagnostics_{};
};

}  // namespace amct_distill

#ifndef AMCT_DISTILL_COMPILED
#include "result-inl.hpp"
#endif
