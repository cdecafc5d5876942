// SPDX-License-Identifier: Apache-2.0
/// Weights with scales that are powers of two, so that a device multiplies by shifting: an algorithm of one's
/// own.
///
///     BasicConfig<power_of_two> config =
///         read<BasicConfig<power_of_two>>("distill_weight_quant_config { pow2_distill { } }").value();
#pragma once
#include <amct_distill/config/messages.hpp>
#include <amct_distill/quant/arq.hpp>
#include <cmath>
#include <span>

namespace mine {
using namespace amct_distill;

/// The quantizer: ARQ's scales, rounded up to a power of two.
template <BitWidth B, Granularity G>
class Pow2 {
public:
    using bits = B;
    using granularity = G;

    result<void> initialize(const ConstMatrixRef& w) { return Arq<B, G>{}.initialize(w); }
    Scales scale_offsets(const ConstMatrixRef& w) const {
        auto all = Arq<B, G>{}.scale_offsets(w);
        for (ScaleOffset& one : all) one.scale = std::exp2(std::ceil(std::log2(one.scale)));
        return all;
    }
    void fake_quantize(const ConstMatrixRef& w, MatrixRef out) const {
        auto const scales = scale_offsets(w);
        for (Eigen::Index r = 0; r != w.rows(); ++r)
            for (Eigen::Index c = 0; c != w.cols(); ++c)
                out(r, c) =
                    amct_distill::fake_quantize<B>(w(r, c), scales.of_row(static_cast<std::size_t>(r)));
    }
    void backward(const ConstMatrixRef&, const ConstMatrixRef& grad_out, MatrixRef grad_w,
                  std::span<float>) const {
        grad_w = grad_out;  // straight through
    }
    result<QuantizedMatrix> quantize(const ConstMatrixRef& w) const {
        if (auto ok = check_finite(w, "weights"); !ok) return ok.diagnostics();
        return amct_distill::quantize<B>(w, scale_offsets(w));
    }
    std::span<float> parameters() { return {}; }  // nothing is trained
    std::span<const float> parameters() const { return {}; }
    void constrain() {}
};

/// Its message: what a configuration can say of it.
struct Pow2Distill {
    template <class B, class G>
    using quantizer = Pow2<B, G>;

    optional<DataType, DataType::INT4> dst_type{};
    optional<bool> channel_wise{};
    friend bool operator==(const Pow2Distill&, const Pow2Distill&) = default;
};

/// The algorithms that a configuration may name.
struct power_of_two : StandardAlgorithms {
    struct weights {
        ARQDistill arq_distill;
        Pow2Distill pow2_distill;
    };
};

}  // namespace mine
