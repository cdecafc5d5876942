// SPDX-License-Identifier: Apache-2.0
/// What several ranks do comes to an end on all of them, or fails on all of them.
///
///     return detail::together(run.ranks, [&]() -> result<Report> { ... });
#pragma once
#include <exception>
#include <new>
#include <span>
#include <string>
#include <utility>

#include "../core/result.hpp"
#include "ranks.hpp"

namespace amct_distill::detail {

/// What is said to other ranks, which put before it who says so.
inline std::string text_of_failure(std::span<const Diagnostic> why) {
    std::string text = to_string(why);
    return text.starts_with("error: ") ? text.substr(7) : text;
}

/// f(), a result, whose error or exception the other ranks learn of: theirs is then an error that says so.
template <class F>
auto together(Ranks* ranks, F&& f) -> decltype(f()) {
    if (!are_several(ranks)) return f();
    try {
        auto done = f();
        if (!done)
            ranks->fail(text_of_failure(done.diagnostics()));
        else
            meet(ranks);
        return done;
    } catch (const RankFailure& of_other) {
        return general_error(of_other.what());
    } catch (const std::bad_alloc&) {
        ranks->fail("there is not enough memory");
        throw;
    } catch (const std::exception& e) {
        ranks->fail(e.what());
        throw;
    } catch (...) {
        ranks->fail("an exception of an unknown type");
        throw;
    }
}

}  // namespace amct_distill::detail
