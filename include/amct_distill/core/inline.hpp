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
/// Of onnx/, which is a library of its own: amct_distill::compiled_onnx.
#ifdef AMCT_DISTILL_IMPLEMENTATION_ONNX
#define AMCT_DISTILL_ONNX_INLINE
#else
#define AMCT_DISTILL_ONNX_INLINE inline
#endif
