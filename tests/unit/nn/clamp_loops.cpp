// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/clamp_loops.hpp>

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "support/catch.hpp"

namespace nn_clamp_loops_test {

using namespace amct_distill;

namespace {

template <class T>
void check() {
    T const nan = std::numeric_limits<T>::quiet_NaN(), infinity = std::numeric_limits<T>::infinity();
    std::vector<T> x{nan, -infinity, infinity, T(-0.0), T(0), 1, -1, 6, 7, T(-0.5), T(5.5)}, g;
    while (x.size() < 75) x.push_back(x[x.size() - 11]);
    for (std::size_t i = 0; i != x.size(); ++i) g.push_back(T(i + 1));
    for (auto [low, high] :
         {std::pair{T(0), T(6)}, std::pair{T(0), nan}, std::pair{T(-1), infinity}, std::pair{T(3), T(-2)}})
        for (InstructionSet set : all_instruction_sets) {
            if (!available(set)) continue;
            INFO(name(set) << ' ' << low << ' ' << high);
            std::size_t wrong = 0;
            auto const n = static_cast<nn::Index>(x.size());
            std::vector<T> y(x.size()), gx(x.size(), T(0.5));
            run_on(set, detail::ClampLoop<T>{x.data(), low, high, y.data(), n});
            run_on(set, detail::GateLoop<T>{x.data(), low, high, g.data(), gx.data(), n});
            for (std::size_t i = 0; i != x.size(); ++i) {
                T expected = x[i] <= low ? low : x[i];
                expected = (expected >= high ? high : expected) + T(0);
                bool const right = std::isnan(x[i])
                                       ? std::isnan(y[i])
                                       : y[i] == expected && std::signbit(y[i]) == std::signbit(expected);
                T const gradient = x[i] <= low || x[i] >= high ? T(0) : g[i];
                wrong += !right || gx[i] != T(0.5) + gradient;
            }
            CHECK(wrong == 0);
        }
}

}  // namespace

TEST_CASE("bounds cut, NaN passes, and the gradient between them, on every instruction set") {
    check<float>();
    check<double>();
}

}  // namespace nn_clamp_loops_test
