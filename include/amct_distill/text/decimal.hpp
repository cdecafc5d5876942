// SPDX-License-Identifier: Apache-2.0
/// A decimal number to binary floating point, correctly rounded (half to even) in one step.
///
///     static_assert(detail::to_floating<float>("1.17549435e-38") == std::numeric_limits<float>::min());
///
/// The same at run time and in constant evaluation, on every standard library: `std::from_chars` is not
/// constexpr (nor complete everywhere), and rounding to double first and to float then is wrong for about
/// one literal in a hundred thousand.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>

namespace amct_distill::detail {

/// A natural number of at most `capacity` bits; as much as the exact path below needs, and no more.
class BigNatural {
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
    constexpr bool less_than(const BigNatural& other) const {
        if (size_ != other.size_) return size_ < other.size_;
        for (std::size_t i = size_; i-- != 0;)
            if (limbs_[i] != other.limbs_[i]) return limbs_[i] < other.limbs_[i];
        return false;
    }
    /// Precondition: not less_than(other).
    constexpr void subtract(const BigNatural& other) {
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
struct Scientific {
    static constexpr std::size_t max_digits = 800;  // 768 decide any double; the rest only as "not zero"
    std::string_view text{};                        // of the number, without sign and suffix
    std::uint64_t leading = 0;                      // its first 19 significant digits
    std::size_t significant = 0;                    // digits from the first that is not zero
    std::int64_t exponent = 0;                      // of the last digit

    constexpr explicit Scientific(std::string_view number) : text(number) {
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
constexpr F round_exactly(const Scientific& number) {
    using limits = std::numeric_limits<F>;
    using bits_type = std::conditional_t<sizeof(F) == 4, std::uint32_t, std::uint64_t>;
    constexpr int mantissa = limits::digits;                   // 24, 53
    constexpr std::int64_t lowest = limits::min_exponent - 1;  // of a normal number: -126, -1022

    // value = digits * 10^exponent lies in [10^magnitude, 10^(magnitude + 1))
    std::int64_t const magnitude = number.exponent + static_cast<std::int64_t>(number.significant) - 1;
    if (magnitude > limits::max_exponent10) return limits::infinity();
    if (magnitude < limits::min_exponent10 - limits::digits10 - 3) return 0;

    std::size_t used = 0;
    bool rest = false;  // digits after max_digits: they only break ties
    std::int64_t exponent = number.exponent;
    BigNatural above, below;
    for (char c : number.text) {
        if (c == '.' || (used == 0 && c == '0')) continue;
        if (used == Scientific::max_digits) {
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
    Scientific const number(text);
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
