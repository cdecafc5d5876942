// SPDX-License-Identifier: Apache-2.0
/// CRC-32 (ISO 3309), the checksum of zip and PNG files.
///
///     detail::crc32("123456789") == 0xCBF43926
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

namespace amct_distill::detail {

inline std::uint32_t crc32(std::string_view bytes) {
    static constexpr auto table = [] {
        std::array<std::uint32_t, 256> t{};
        for (std::uint32_t i = 0; i != 256; ++i) {
            std::uint32_t c = i;
            for (int k = 0; k != 8; ++k) c = (c & 1) != 0 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
            t[i] = c;
        }
        return t;
    }();
    std::uint32_t crc = 0xFFFFFFFFu;
    for (char byte : bytes) crc = table[(crc ^ static_cast<unsigned char>(byte)) & 0xFF] ^ (crc >> 8);
    return ~crc;
}

}  // namespace amct_distill::detail
