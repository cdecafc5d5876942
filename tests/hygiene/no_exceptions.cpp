// SPDX-License-Identifier: Apache-2.0
// policy/ and quant/ where there are neither exceptions nor type information: an error is a result that has
// no value.
#include "amct_distill_quant.hpp"
//
#include <array>
#include <limits>
#include <vector>

#ifdef __cpp_exceptions
#error "this is compiled with -fno-exceptions"
#endif
#ifdef __cpp_rtti
#error "this is compiled with -fno-rtti"
#endif

using namespace amct_distill;

int main() {
    std::vector<float> values{0.5f, -1.0f, 0.25f, 0.125f, 2.0f, -0.75f};
    Eigen::Map<RowMajorMatrix> const w(values.data(), 2, 3);
    std::vector<float> out(values.size());
    std::array<float, 2> gradient{};

    Ulq<Int8, ChannelWise> ulq;
    if (!ulq.initialize(w) || !Arq<Int4, TensorWise>{}.quantize(w)) return 1;
    ulq.backward(w, w, Eigen::Map<RowMajorMatrix>(out.data(), 2, 3), gradient);
    Ifmr<Int8> ifmr;
    if (!ifmr.observe(values)) return 2;
    ActUlq<Int8> data(ifmr.finish()->clip, false);
    data.backward(values, values, out, gradient);
    data.constrain();
    auto const packed = pack<Int4>(*Arq<Int4, TensorWise>{}.quantize(w));
    if (!packed || packed->codes.bytes().size() != 4) return 3;

    values[0] = std::numeric_limits<float>::quiet_NaN();
    return Arq<Int4, TensorWise>{}.quantize(w) || ifmr.observe({}) ? 4 : 0;
}
