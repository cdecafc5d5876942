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

/// How many of them a network recognizes, in a line for people.
template <class Recognize>
void report(Recognize&& recognize) {
    constexpr std::size_t rows = std::size(digits_data), train_rows = 1400;
    static std::array<std::size_t, rows> order;
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::mt19937_64 random(0);
    for (std::size_t i = rows; i > 1; --i) std::swap(order[i - 1], order[random() % i]);

    std::size_t right = 0;
    for (std::size_t i = train_rows; i != rows; ++i) {
        const unsigned char* const row = digits_data[order[i]];
        std::array<float, 64> image;
        for (std::size_t p = 0; p != image.size(); ++p) image[p] = static_cast<float>(row[p]) / 16.0f;
        if (recognize(image.data()) == row[64]) ++right;
    }
    std::printf("%zu of %zu digits recognized\n", right, rows - train_rows);
}

}  // namespace engine
