// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/max_planes.hpp>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "support/catch.hpp"

namespace nn_max_planes_test {

using namespace amct_distill;
using namespace amct_distill::nn;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

/// Few different values, so that many are equal; NaN and infinities among them.
std::vector<float> values(Index n, bool special) {
    std::vector<float> v(static_cast<std::size_t>(n));
    std::mt19937 bits(static_cast<unsigned>(n));
    for (float& x : v) {
        x = float(int(bits() % 7) - 3);
        if (special && bits() % 5 == 0) x = std::numeric_limits<float>::quiet_NaN();
        if (special && bits() % 2 == 0) x = -infinity;
    }
    return v;
}

struct Results {
    std::vector<float> y, gx;
};

/// Window by window.
Results direct(const detail::Window& w, Index planes, const std::vector<float>& x,
               const std::vector<float>& g) {
    Results r{std::vector<float>(g.size()), std::vector<float>(x.size(), 0.5f)};
    std::size_t out = 0;
    for (Index plane = 0; plane != planes; ++plane)
        for (Index position = 0; position != w.positions(); ++position, ++out) {
            std::size_t best = x.size();
            for (Index k = 0; k != w.taps(); ++k) {
                Index const row = position / w.output(1) * w.stride[0] + w.offset(0, k / w.kernel[1]);
                Index const col = position % w.output(1) * w.stride[1] + w.offset(1, k % w.kernel[1]);
                if (row < 0 || row >= w.input[0] || col < 0 || col >= w.input[1]) continue;
                auto const at = static_cast<std::size_t>((plane * w.input[0] + row) * w.input[1] + col);
                if (best == x.size() || x[at] > x[best] || (std::isnan(x[at]) && !std::isnan(x[best])))
                    best = at;
            }
            r.y[out] = x[best];
            r.gx[best] += g[out];
        }
    return r;
}

bool same(const std::vector<float>& a, const std::vector<float>& b) {
    for (std::size_t i = 0; i != a.size(); ++i)
        if (a[i] != b[i] && !(std::isnan(a[i]) && std::isnan(b[i]))) return false;
    return a.size() == b.size();
}

}  // namespace

TEST_CASE(
    "MaxPlanes: the definition, with equals, NaN and infinities, on every instruction set and threads") {
    std::vector<detail::Window> windows;
    for (Index side : {1, 4, 9, 16, 33})
        for (Index kernel : {1, 2, 3, 5})
            for (Index stride : {1, 2, 3})
                for (Index dilation : {1, 2})
                    windows.push_back({.input = {side, side + 1},
                                       .kernel = {kernel, kernel},
                                       .stride = {stride, stride},
                                       .padding = {kernel / 2, kernel / 2},
                                       .dilation = {dilation, dilation}});
    windows.push_back({.input = {150, 70}, .kernel = {3, 2}, .stride = {1, 2}, .padding = {1, 1}});  // tiles
    windows.push_back({.input = {1, 6000}, .kernel = {1, 4}, .stride = {1, 3}});
    // The last window reaches beyond the padding.
    windows.push_back({.input = {6, 7}, .kernel = {3, 3}, .stride = {2, 2}, .count = {3, 3}});
    for (const auto& w : windows) {
        if (w.positions() < 1) continue;
        bool read = true;  // every window something of the image
        for (std::size_t d : {0u, 1u})
            for (Index o = 0; o != w.output(d); ++o) {
                bool some = false;
                for (Index k = 0; k != w.kernel[d]; ++k) {
                    Index const at = o * w.stride[d] + w.offset(d, k);
                    some = some || (at >= 0 && at < w.input[d]);
                }
                read = read && some;
            }
        if (!read) continue;
        for (bool special : {false, true}) {
            INFO(to_string(w.input) << ' ' << to_string(w.kernel) << ' ' << to_string(w.stride) << ' '
                                    << to_string(w.dilation) << ' ' << special);
            Index const planes = 3;
            auto const x = values(planes * w.input[0] * w.input[1], special);
            auto const g = values(planes * w.positions(), false);  // whole numbers: sums are exact
            Results const expected = direct(w, planes, x, g);
            for (InstructionSet set : all_instruction_sets)
                for (int threads : {1, 2, 3}) {
                    if (!available(set) || (threads != 1 && set != best_instructions())) continue;
                    INFO(name(set) << ' ' << threads);
                    Executor const executor(threads, set);
                    Scratch scratch;
                    scratch.use(&executor);
                    Results r{std::vector<float>(g.size(), 9), std::vector<float>(x.size(), 0.5f)};
                    detail::MaxPlanes<float> const max(w, planes);
                    max.forward(x.data(), r.y.data(), scratch);
                    max.backward(x.data(), g.data(), r.gx.data(), scratch);
                    CHECK(same(r.y, expected.y));
                    CHECK(same(r.gx, expected.gx));
                }
        }
    }
}

}  // namespace nn_max_planes_test
