// SPDX-License-Identifier: Apache-2.0
/// How a function that is not a template is defined in an -inl header: once in the compiled library, else in
/// every file that uses it.
///
///     AMCT_DISTILL_INLINE result<void> write(const Deployment& deployment, ...) { ... }
#pragma once

#ifdef AMCT_DISTILL_IMPLEMENTATION
#define AMCT_DISTILL_INLINE
#else
#define AMCT_DISTILL_INLINE inline
#endif
