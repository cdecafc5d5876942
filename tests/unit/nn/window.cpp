// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/window.hpp>

#include "support/catch.hpp"

namespace nn_window_test {

using namespace amct_distill;
using detail::Window;

TEST_CASE("positions of a window are counted as PyTorch counts them") {
    CHECK(Window{.input = {28, 28}, .kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1}}.output(0) == 14);
    CHECK(Window{.input = {5, 7}, .kernel = {3, 2}}.positions() == 3 * 6);
    CHECK(Window{.input = {5, 5}, .kernel = {3, 3}, .dilation = {2, 2}}.output(1) == 1);
    CHECK(Window{.input = {2, 5}, .kernel = {3, 3}}.output(0) == 0);
    CHECK(nn::to_string(nn::Size2{3, 2}) == "3x2");
}

TEST_CASE("the outputs at which a tap reads inside the image: by formula and by trial") {
    for (nn::Index input = 1; input != 6; ++input)
        for (nn::Index kernel = 1; kernel != 5; ++kernel)
            for (nn::Index stride = 1; stride != 4; ++stride)
                for (nn::Index padding = 0; padding != 4; ++padding)
                    for (nn::Index dilation = 1; dilation != 3; ++dilation) {
                        Window const w{{input, 1}, {kernel, 1}, {stride, 1}, {padding, 0}, {dilation, 1}};
                        for (nn::Index k = 0; k != kernel; ++k) {
                            auto const range = w.inside(0, w.offset(0, k));
                            for (nn::Index o = 0; o < w.output(0); ++o) {
                                nn::Index const at = o * stride + k * dilation - padding;
                                bool const inside = at >= 0 && at < input;
                                if (inside != (o >= range.first && o < range.last))
                                    FAIL("input " << input << " kernel " << kernel << " stride " << stride
                                                  << " padding " << padding << " dilation " << dilation);
                            }
                        }
                    }
}

TEST_CASE("what a tap sees of an image, in any part of the positions, and back") {
    for (nn::Index stride : {1, 2})
        for (nn::Index padding : {0, 1, 3}) {
            Window const w{.input = {9, 11},
                           .kernel = {2, 3},
                           .stride = {stride, stride},
                           .padding = {padding, padding},
                           .dilation = {2, 2}};
            std::vector<float> image(99);
            for (std::size_t i = 0; i != image.size(); ++i) image[i] = static_cast<float>(i + 1);
            nn::Index const n = w.positions(), cols = w.output(1);
            for (nn::Index ky : {0, 1})
                for (nn::Index kx : {0, 1, 2}) {
                    std::vector<float> expected, twice(image.size());
                    for (nn::Index k = 0; k != n; ++k) {
                        nn::Index const y = k / cols * stride + 2 * ky - padding;
                        nn::Index const x = k % cols * stride + 2 * kx - padding;
                        bool const inside = y >= 0 && y < 9 && x >= 0 && x < 11;
                        auto const at = static_cast<std::size_t>(y * 11 + x);
                        expected.push_back(inside ? image[at] : 0);
                        if (inside) twice[at] += 2 * image[at];
                    }
                    for (nn::Index size : {1, 5, 16, 100}) {
                        std::vector<float> line(static_cast<std::size_t>(n), -1), back(image.size());
                        for (nn::Index first = 0; first < n; first += size)
                            detail::read_tap(image.data(), w, ky, kx, first, (std::min)(size, n - first),
                                             line.data() + first);
                        CHECK(line == expected);
                        for (int again = 0; again != 2; ++again)
                            for (nn::Index first = 0; first < n; first += size)
                                detail::add_tap(line.data() + first, w, ky, kx, first,
                                                (std::min)(size, n - first), back.data());
                        CHECK(back == twice);
                    }
                }
        }
}

}  // namespace nn_window_test
