// SPDX-License-Identifier: Apache-2.0
// A quantizer with one part taken away, chosen by MISSING; 0 takes none away and compiles.
// Each other value must fail with the line of static_assert that names the part.
#include <amct_distill/quant/arq.hpp>
#include <amct_distill/quant/quantizer.hpp>

using namespace amct_distill;

struct Mine {
#if MISSING != 1
    using bits = Int8;
#endif
    using granularity = ChannelWise;
    result<void> initialize(const ConstMatrixRef& w) { return arq.initialize(w); }
    void fake_quantize(const ConstMatrixRef& w, MatrixRef out) const { arq.fake_quantize(w, out); }
#if MISSING != 2
    void backward(const ConstMatrixRef&, const ConstMatrixRef& grad_out, MatrixRef grad_w,
                  std::span<float>) const {
        grad_w = grad_out;
    }
#endif
    std::span<float> parameters() { return {}; }
    std::span<const float> parameters() const { return {}; }
    void constrain() {}
#if MISSING != 3
    Scales scale_offsets(const ConstMatrixRef& w) const { return arq.scale_offsets(w); }
#endif
    result<QuantizedMatrix> quantize(const ConstMatrixRef& w) const { return arq.quantize(w); }

    Arq<Int8, ChannelWise> arq{};
};

static_assert(check_weight_quantizer<Mine>());
