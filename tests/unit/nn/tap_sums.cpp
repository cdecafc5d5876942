// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/tap_sums.hpp>
#include <amct_distill/run/instructions.hpp>

#include <vector>

#include "support/catch.hpp"

namespace nn_tap_sums_test {

using namespace amct_distill;
using nn::Index;

namespace {

/// Small whole numbers: all sums are exact.
std::vector<float> numbers(Index n, Index step) {
    std::vector<float> v(static_cast<std::size_t>(n));
    for (Index i = 0; i != n; ++i) v[std::size_t(i)] = float(i * step % 11 - 5);
    return v;
}

struct Sums {
    template <int Bytes>
    [[gnu::always_inline]] bool run() const {
        bool right = true;
        for (Index n : {1, 5, 16, 33, 100, 250}) {
            Index const offsets[] = {0, 7, 3, 12}, weights[] = {2, 0, 3, 1};
            detail::Taps const taps{offsets, weights, 4};
            auto const x = numbers(n + 12 + detail::run_slack, 3), w = numbers(4, 7);
            for (bool add : {false, true}) {
                auto y = numbers(n + detail::run_slack, 5);
                auto const before = y;
                detail::tap_sums<Bytes>(x.data(), taps, w.data(), 0.5f, add, y.data(), n);
                for (Index i = 0; i != n; ++i) {
                    float sum = add ? before[std::size_t(i)] : 0.5f;
                    for (std::size_t t = 0; t != 4; ++t)
                        sum += w[std::size_t(weights[t])] * x[std::size_t(offsets[t] + i)];
                    right &= y[std::size_t(i)] == sum;
                }
            }
        }
        return right;
    }
};

struct Squares {
    template <int Bytes>
    [[gnu::always_inline]] bool run() const {
        return of<Bytes, 3>() && of<Bytes, 5>();
    }
    template <int Bytes, int Side>
    [[gnu::always_inline]] bool of() const {
        bool right = true;
        std::vector<Index> offsets, weights;
        for (Index t = 0; t != Side * Side; ++t) offsets.push_back(0), weights.push_back(Side * Side - 1 - t);
        detail::Taps const taps{offsets.data(), weights.data(), Side * Side};
        auto const w = numbers(Side * Side, 4);
        for (Index rows : {1, 3, 4, 7})
            for (Index cols : {1, 4, 5, 8, 9, 16, 20, 33}) {
                Index const pitch = cols + Side - 1, y_pitch = cols + 2;
                auto const x = numbers((rows + Side) * pitch + detail::run_slack, 3);
                std::vector<float> y(static_cast<std::size_t>(rows * y_pitch + detail::run_slack));
                detail::square_sums<Bytes, Side>(x.data(), pitch, taps, w.data(), 1.0f, rows, cols, y.data(),
                                                 y_pitch);
                for (Index r = 0; r != rows; ++r)
                    for (Index c = 0; c != cols; ++c) {
                        float sum = 1;
                        for (Index t = 0; t != Side * Side; ++t)
                            sum += w[std::size_t(Side * Side - 1 - t)] *
                                   x[std::size_t((r + t / Side) * pitch + c + t % Side)];
                        right &= y[std::size_t(r * y_pitch + c)] == sum;
                    }
            }
        return right;
    }
};

struct Products {
    template <int Bytes>
    [[gnu::always_inline]] bool run() const {
        bool right = true;
        for (Index count : {1, 2, 4, 9, 25, 30})
            for (Index n : {1, 16, 50}) {
                Index const whole = (n + 15) / 16 * 16;
                std::vector<Index> offsets, weights;
                for (Index t = 0; t != count; ++t) offsets.push_back(2 * t), weights.push_back(count - 1 - t);
                auto const x = numbers(2 * (whole + 2 * count), 3);
                auto g = numbers(2 * whole, 7);
                for (Index run = 0; run != 2; ++run)
                    for (Index i = n; i != whole; ++i) g[std::size_t(run * whole + i)] = 0;
                std::vector<float> sums(static_cast<std::size_t>(count), 1);
                detail::tap_products<Bytes>(
                    detail::Runs<float>{x.data(), whole + 2 * count, g.data(), whole, 2},
                    {offsets.data(), weights.data(), count}, n, sums.data());
                for (Index t = 0; t != count; ++t) {
                    float sum = 1;
                    for (Index run = 0; run != 2; ++run)
                        for (Index i = 0; i != n; ++i)
                            sum += g[std::size_t(run * whole + i)] *
                                   x[std::size_t(run * (whole + 2 * count) + 2 * t + i)];
                    right &= sums[std::size_t(count - 1 - t)] == sum;
                }
            }
        return right;
    }
};

template <class Kernel>
bool on_all_widths(const Kernel& kernel) {
    for (InstructionSet set : all_instruction_sets)
        if (available(set) && !detail::run_on(set, kernel)) return false;
    return true;
}

}  // namespace

TEST_CASE("sums over taps are the definition, for vectors of any width") {
    CHECK(on_all_widths(Sums{}));
    CHECK(on_all_widths(Squares{}));
    CHECK(on_all_widths(Products{}));
}

}  // namespace nn_tap_sums_test
