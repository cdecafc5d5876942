// SPDX-License-Identifier: Apache-2.0
/// Whether the sanitizers run: what compares numbers alone takes fewer of them then, as they see nothing new.
#pragma once

namespace support {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool sanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif
#else
inline constexpr bool sanitized = false;
#endif

}  // namespace support
