// SPDX-License-Identifier: Apache-2.0
/// The 397 digits that examples/digits.cpp keeps for testing, of those that CMake has put into
/// digits_data.hpp.
#pragma once
#include <array>
#include <cstddef>
#include <cstdio>
#include <numeric>
#include <random>
#include <utility>

#include "digits_data.hpp"

namespace engine {

inline constexpr std::size_t all_digits = std::size(digits_data), train_digits = 1400,
                             test_digits = all_digits - train_digits;

/// A row of digits_data.
inline const unsigned char* test_digit(std::size_t k) {
    static auto const order = [] {
        std::array<std::size_t, all_digits> out;
        std::iota(out.begin(), out.end(), std::size_t{0});
        std::mt19937_64 random(0);
        for (std::size_t i = all_digits; i > 1; --i) std::swap(out[i - 1], out[random() % i]);
        return out;
    }();
    return digits_data[order[train_digits + k]];
}
/// Its pixels in 0..1, 8 x 8.
inline void copy_image(std::size_t k, float* to) {
    for (std::size_t p = 0; p != 64; ++p) to[p] = static_cast<float>(test_digit(k)[p]) / 16.0f;
}

/// How many of them are recognized, in a line for people.
template <class Recognize>
void report(Recognize&& recognize) {
    std::size_t right = 0;
    for (std::size_t k = 0; k != test_digits; ++k) {
        std::array<float, 64> image;
        copy_image(k, image.data());
        if (recognize(image.data()) == test_digit(k)[64]) ++right;
    }
    std::printf("%zu of %zu digits recognized\n", right, test_digits);
}

}  // namespace engine
