/// The loop that turns floats into 24-bit fixed point, for a histogram of them (histogram.hpp).
///
///     bool const all = run_on(set, fixed_point_loop<false>{x, n, factor, u});      // u[i] = |x[i]| * factor
///
/// The product is rounded to float and its fraction cut off. With `Signed`, 23 bits of magnitude below a bit
/// of sign. Where the magnitude does not fit, u has a higher bit too, and the result is false.
#pragma once
#include <cstddef>
#include <cstdint>

#include "lanes.hpp"

namespace amct_distill::detail {

template <bool Signed>
struct fixed_point_loop {
    static constexpr int magnitude_bits = Signed ? 23 : 24;
    static constexpr std::int32_t does_not_fit = std::int32_t{1} << 24;

    const float* x;
    std::size_t n;
    float factor;
    std::int32_t* u;

    template <class F>
    [[gnu::always_inline]] void step(std::size_t i, ints_of<F>& all) const {
        using I = ints_of<F>;
        F const limit = F{} + static_cast<float>(1 << magnitude_bits);
        F v;
        load(x + i, v);
        F product = __builtin_bit_cast(F, __builtin_bit_cast(I, v) & INT32_MAX) * factor;
        I fits{}, whole;
        if constexpr (sizeof(F) == 4) {
            fits = product < limit ? -1 : 0;
            product = fits ? product : 0.0f;
            whole = static_cast<I>(product);
        }
#if defined(__GNUC__)
        else {
            fits = product < limit;
            product = __builtin_bit_cast(F, __builtin_bit_cast(I, product) & fits);
            whole = __builtin_convertvector(product, I);
        }
#endif
        if constexpr (Signed) whole |= __builtin_bit_cast(I, v) >> 31 & (1 << 23);
        whole |= ~fits & does_not_fit;
        all &= fits;
        store(whole, u + i);
    }

    template <int Bytes>
    [[gnu::always_inline]] bool run() const {
        using F = typename lanes<Bytes>::floats;
        constexpr std::size_t count = lanes<Bytes>::count;
        ints_of<F> wide = ints_of<F>{} - 1;
        std::int32_t one = -1, of_lane[count];
        std::size_t i = 0;
        for (; n - i >= count; i += count) step<F>(i, wide);
        for (; i < n; ++i) step<float>(i, one);
        std::memcpy(of_lane, &wide, sizeof of_lane);
        for (std::int32_t v : of_lane) one &= v;
        return one != 0;
    }
};

}  // namespace amct_distill::detail
