// SPDX-License-Identifier: Apache-2.0
/// The attributes of an operator that slides a window over images: strides, dilations, pads, auto_pad.
///
///     WindowAttributes w = read_window(o, 2, {3, 3});           // dimensions; the weight's kernel
///     w.pad_as_asked({28, 28});                                 // auto_pad, of an image
///     w.stride, w.dilation, w.begin, w.end                      // a number for each dimension
///
/// Numbers are bounded, so that sums and products of them are in range.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "operation.hpp"

namespace amct_distill::onnx::detail {

enum class AutoPad { none, valid, upper, lower };

struct WindowAttributes {
    std::vector<nn::Index> kernel{}, stride{}, dilation{};
    std::vector<nn::Index> begin{}, end{};  ///< the paddings; 0 where auto_pad has yet to be computed
    AutoPad auto_pad = AutoPad::none;

    /// How much a window covers.
    nn::Index extent(std::size_t d) const { return (kernel[d] - 1) * dilation[d] + 1; }
    /// Padding of `total` values; of an odd number, one more at the end, or at the beginning.
    void pad(std::size_t d, nn::Index total) {
        begin[d] = auto_pad == AutoPad::lower ? total - total / 2 : total / 2;
        end[d] = total - begin[d];
    }
    /// Computes what auto_pad asks for: as many positions as the image has, divided by the stride.
    void pad_as_asked(const std::vector<nn::Index>& image) {
        if (auto_pad != AutoPad::upper && auto_pad != AutoPad::lower) return;
        for (std::size_t d = 0; d != kernel.size(); ++d) {
            nn::Index const positions = (image[d] + stride[d] - 1) / stride[d];
            pad(d, (std::max)((positions - 1) * stride[d] + extent(d) - image[d], nn::Index(0)));
        }
    }
};

/// `n` integers of an attribute, each in [least, 2^30]; all `otherwise` where it is not there.
inline std::vector<nn::Index> read_sizes(Operation& o, std::string_view name, std::size_t n,
                                         nn::Index otherwise, nn::Index least) {
    std::vector<std::int64_t> const given =
        o.attributes().integers(name).value_or(std::vector<std::int64_t>(n, otherwise));
    bool fits = given.size() == n;
    for (std::int64_t v : given) fits = fits && v >= least && v <= (std::int64_t{1} << 30);
    if (!fits)
        o.fail(amct_distill::detail::concat("expected ", n, n == 1 ? " integer" : " integers",
                                            " of at least ", least, " as ", name));
    return fits ? std::vector<nn::Index>(given.begin(), given.end()) : std::vector<nn::Index>(n, otherwise);
}

/// What the attributes say; `kernel` is the weight's, or empty where kernel_shape alone says it.
inline WindowAttributes read_window(Operation& o, std::size_t dims, std::vector<nn::Index> kernel = {}) {
    WindowAttributes w;
    if (kernel.empty() && !o.attributes().has("kernel_shape")) o.fail("expected a kernel_shape");
    w.kernel = read_sizes(o, "kernel_shape", dims, 1, 1);
    if (!kernel.empty()) {
        if (o.attributes().has("kernel_shape") && w.kernel != kernel)
            o.fail("its kernel_shape is not that of its weight");
        w.kernel = std::move(kernel);
    }
    w.stride = read_sizes(o, "strides", dims, 1, 1);
    w.dilation = read_sizes(o, "dilations", dims, 1, 1);
    std::vector<nn::Index> const pads = read_sizes(o, "pads", 2 * dims, 0, 0);
    auto const half = pads.begin() + static_cast<std::ptrdiff_t>(dims);
    w.begin.assign(pads.begin(), half);
    w.end.assign(half, pads.end());
    std::string_view const asked = o.attributes().text("auto_pad", "NOTSET");
    if (asked == "SAME_UPPER")
        w.auto_pad = AutoPad::upper;
    else if (asked == "SAME_LOWER")
        w.auto_pad = AutoPad::lower;
    else if (asked == "VALID")
        w.auto_pad = AutoPad::valid;
    else if (asked != "NOTSET" && !asked.empty())
        o.fail(amct_distill::detail::concat("auto_pad is `", asked,
                                            "`; expected NOTSET, VALID, SAME_UPPER or SAME_LOWER"));
    if (w.auto_pad != AutoPad::none && std::ranges::any_of(pads, [](nn::Index p) { return p != 0; }))
        o.fail("it has pads and an auto_pad, which contradict each other");
    return w;
}

}  // namespace amct_distill::onnx::detail
