// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/runs.hpp>

#include <vector>

#include <amct_distill/run/instructions.hpp>

#include "support/catch.hpp"

namespace nn_runs_test {

using namespace amct_distill;
using nn::Index;

namespace {

/// kernel.run<Bytes>() for every width that this machine has.
template <class Kernel>
bool on_all_widths(const Kernel& kernel) {
    for (InstructionSet set : all_instruction_sets)
        if (available(set) && !detail::run_on(set, kernel)) return false;
    return true;
}

struct Rows {
    template <int Bytes>
    [[gnu::always_inline]] bool run() const {
        bool right = true;
        for (Index n = 0; n != 70; ++n)
            for (Index step : {1, 2, 3}) {
                // Exactly as long as what may be touched: tools that watch memory see the rest.
                auto const touched = static_cast<std::size_t>(n == 0 ? 0 : (n - 1) * step + 1);
                std::vector<float> from(touched), to(static_cast<std::size_t>(n), -1), back(touched, 1);
                for (std::size_t i = 0; i != touched; ++i) from[i] = float(i + 1);
                detail::gather_run<Bytes>(from.data(), n, step, to.data());
                for (Index i = 0; i != n; ++i) right &= to[std::size_t(i)] == float(i * step + 1);
                detail::add_spread_run<Bytes>(to.data(), n, step, back.data());
                for (std::size_t i = 0; i != touched; ++i)
                    right &= back[i] == 1 + (Index(i) % step == 0 ? from[i] : 0.0f);
            }
        return right;
    }
};

struct Planes {
    template <int Bytes>
    [[gnu::always_inline]] bool run() const {
        std::vector<float> plane(5 * 7);
        for (std::size_t i = 0; i != plane.size(); ++i) plane[i] = float(i + 1);
        bool right = true;
        for (Index top : {-6, -1, 0, 2, 7})
            for (Index left : {-9, -2, 0, 3, 8})
                for (Index step : {1, 2, 3}) {
                    detail::PlanePart const part{5, 7, top, left, step, step};
                    constexpr Index rows = 6, cols = 9, pitch = 11;
                    std::vector<float> expected(rows * pitch), twice(plane.size());
                    for (Index r = 0; r != rows; ++r)
                        for (Index c = 0; c != cols; ++c) {
                            Index const y = top + r * step, x = left + c * step;
                            if (y < 0 || y >= 5 || x < 0 || x >= 7) continue;
                            auto const at = static_cast<std::size_t>(y * 7 + x);
                            expected[std::size_t(r * pitch + c)] = plane[at];
                            twice[at] = 2 * plane[at];
                        }
                    std::vector<float> to(rows * pitch + 16, -1), inside(rows * pitch), back(plane.size());
                    detail::lay_out<Bytes>(plane.data(), part, rows, cols, pitch, to.data());
                    to.resize(rows * pitch);
                    right &= to == expected;
                    detail::lay_out_inside<Bytes>(plane.data(), 0, part, rows, cols, pitch, inside.data(), 0,
                                                  2);
                    right &= inside == expected;
                    for (int again = 0; again != 2; ++again)
                        detail::add_back<Bytes>(to.data(), pitch, rows, cols, part, back.data());
                    right &= back == twice;
                }
        return right;
    }
};

}  // namespace

TEST_CASE("rows are copied, added, gathered and spread, of any length") { CHECK(on_all_widths(Rows{})); }

TEST_CASE("a plane is laid out with zeros around it, and added back") { CHECK(on_all_widths(Planes{})); }

}  // namespace nn_runs_test
