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

TEST_CASE("columns of an image, and back") {
    float const image[] = {1, 2, 3, 4};  // 2x2
    Window const w{.input = {2, 2}, .kernel = {2, 2}, .padding = {1, 0}};
    float columns[4 * 3];
    detail::image_to_columns(image, 1, w, columns);
    CHECK(std::vector<float>(columns, columns + 12) ==
          std::vector<float>{0, 1, 3, 0, 2, 4, 1, 3, 0, 2, 4, 0});

    float back[4] = {};
    detail::add_columns_to_image(columns, 1, w, back);
    CHECK(std::vector<float>(back, back + 4) == std::vector<float>{2, 4, 6, 8});  // each pixel is seen twice
}

}  // namespace nn_window_test
