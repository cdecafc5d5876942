// SPDX-License-Identifier: Apache-2.0
/// A reference to something that can be called, for functions that call it and return: one instantiation for
/// all callers, and no allocation.
///
///     void for_each(std::size_t n, function_ref<void(std::size_t)> body);
///     for_each(8, [&](std::size_t i) { sum += x[i]; });
///
/// It does not keep what it refers to alive: it is for parameters only. (C++26 has std::function_ref.)
#pragma once
#include <memory>
#include <type_traits>
#include <utility>

namespace amct_distill::detail {

template <class Signature>
class function_ref;

template <class R, class... Args>
class function_ref<R(Args...)> {
public:
    template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, function_ref> &&
             std::is_invocable_r_v<R, std::remove_reference_t<F>&, Args...>) function_ref(F&& f)
        : object_(const_cast<void*>(static_cast<const void*>(std::addressof(f)))),
          call_([](void* object, Args... args) -> R {
              return (*static_cast<std::remove_reference_t<F>*>(object))(std::forward<Args>(args)...);
          }) {}

    R operator()(Args... args) const { return call_(object_, std::forward<Args>(args)...); }

private:
    void* object_;
    R (*call_)(void*, Args...);
};

}  // namespace amct_distill::detail
