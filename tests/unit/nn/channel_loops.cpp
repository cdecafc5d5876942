// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/channel_loops.hpp>

#include <random>
#include <vector>

#include "support/catch.hpp"

namespace nn_channel_loops_test {

using namespace amct_distill;
using nn::Index;

namespace {

template <class T>
struct Results {
    double sum = 0;
    detail::Moments moments{}, dots{};
    std::vector<T> scaled, gradient;
};

template <class T>
Results<T> compute(InstructionSet set, const std::vector<T>& x, const std::vector<T>& g, T slope) {
    auto const n = static_cast<Index>(x.size());
    Results<T> r;
    r.scaled.resize(x.size());
    r.gradient = x;
    r.sum = run_on(set, detail::SumLoop<T>{x.data(), n});
    r.moments = run_on(set, detail::MomentsLoop<T>{x.data(), n, 0.75});
    r.dots = run_on(set, detail::DotLoop<T>{g.data(), x.data(), n});
    run_on(set, detail::ScaleLoop<T>{x.data(), T(1.3), T(-0.7), r.scaled.data(), n});
    run_on(set, detail::NormGradientLoop<T>{g.data(), x.data(), slope * T(0.1), T(0.3), slope, T(1.7),
                                            r.gradient.data(), n});
    return r;
}

template <class T>
void check() {
    std::mt19937 bits(1);
    std::normal_distribution<double> normal;
    for (Index n : {1, 3, 15, 16, 17, 40, 1000})
        for (T slope : {T(0), T(0.2)}) {
            std::vector<T> x, g;
            for (Index i = 0; i != n; ++i) x.push_back(T(normal(bits))), g.push_back(T(normal(bits)));
            double sum = 0, first = 0, second = 0, dot = 0, of_g = 0;
            for (std::size_t i = 0; i != x.size(); ++i) {
                sum += double(x[i]), first += double(x[i]) - 0.75;
                second += (double(x[i]) - 0.75) * (double(x[i]) - 0.75);
                of_g += double(g[i]), dot += double(g[i]) * double(x[i]);
            }
            Results<T> const expected = compute(InstructionSet::scalar, x, g, slope);
            constexpr double tolerance = 1e-11;  // sums of 1000 products of order 1 to 10, in another order
            CHECK(std::abs(expected.sum - sum) < tolerance);
            CHECK(std::abs(expected.moments.first - first) < tolerance);
            CHECK(std::abs(expected.moments.second - second) < tolerance);
            CHECK(std::abs(expected.dots.first - of_g) < tolerance);
            CHECK(std::abs(expected.dots.second - dot) < tolerance);
            for (std::size_t i = 0; i != x.size(); ++i) {
                double const close = sizeof(T) == 4 ? 1e-5 : 1e-13;
                double const gradient = double(x[i]) + (double(g[i]) - double(slope * T(0.1)) -
                                                        (double(x[i]) - double(T(0.3))) * double(slope)) *
                                                           double(T(1.7));
                if (!(std::abs(double(expected.scaled[i]) - (double(x[i]) * 1.3 - 0.7)) < close) ||
                    !(std::abs(double(expected.gradient[i]) - gradient) < close))
                    FAIL(n << ": " << i);
            }
            for (InstructionSet set : all_instruction_sets) {
                if (!available(set)) continue;
                INFO(name(set) << ' ' << n);
                Results<T> const r = compute(set, x, g, slope);
                CHECK(r.sum == expected.sum);
                CHECK(r.moments.first == expected.moments.first);
                CHECK(r.moments.second == expected.moments.second);
                CHECK(r.dots.first == expected.dots.first);
                CHECK(r.dots.second == expected.dots.second);
                CHECK(r.scaled == expected.scaled);
                CHECK(r.gradient == expected.gradient);
            }
        }
}

}  // namespace

TEST_CASE(
    "sums of channels, and normalization: the definition, with the same bits on every instruction set") {
    check<float>();
    check<double>();
}

}  // namespace nn_channel_loops_test
