// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/quant/quantizer.hpp>

#include <amct_distill/quant/act_ulq.hpp>
#include <amct_distill/quant/adaround.hpp>
#include <amct_distill/quant/arq.hpp>
#include <amct_distill/quant/ifmr.hpp>
#include <amct_distill/quant/ulq.hpp>

#include "support/catch.hpp"

namespace quant_concepts_test {

using namespace amct_distill;

namespace {

/// A quantizer that is none of ours: scales are powers of two.
template <BitWidth B, Granularity G>
struct Pow2 {
    using bits = B;
    using granularity = G;

    result<void> initialize(ConstMatrixRef w) { return check_finite(w, "weights"); }
    void fake_quantize(ConstMatrixRef w, MatrixRef out) const {
        for (Eigen::Index r = 0; r != w.rows(); ++r)
            for (Eigen::Index c = 0; c != w.cols(); ++c)
                out(r, c) = amct_distill::fake_quantize<B>(w(r, c), scale_offsets(w)[0]);
    }
    void backward(ConstMatrixRef, ConstMatrixRef grad_out, MatrixRef grad_w, std::span<float>) const {
        grad_w = grad_out;
    }
    std::span<float> parameters() { return {}; }
    std::span<const float> parameters() const { return {}; }
    void constrain() {}
    Scales scale_offsets(ConstMatrixRef) const { return {{0.125f, 0}}; }
    result<QuantizedMatrix> quantize(ConstMatrixRef w) const {
        return amct_distill::quantize<B>(w, scale_offsets(w));
    }
};

struct OnlyBegins : Arq<Int8, ChannelWise> {
    void begin_step(const TrainingStep&) {}
};
struct FreezesNothing : Arq<Int8, ChannelWise> {
    static constexpr bool freezes_weights = false;
};

struct NoBackward : Arq<Int8, ChannelWise> {
    void backward() const {}
};

}  // namespace

TEST_CASE("our quantizers are models of the concepts") {
    STATIC_REQUIRE(WeightQuantizer<Arq<Int4, ChannelWise>>);
    STATIC_REQUIRE(WeightQuantizer<Arq<Int8, TensorWise, Asymmetric>>);
    STATIC_REQUIRE(WeightQuantizer<Ulq<Int4, ChannelWise>>);
    STATIC_REQUIRE(WeightQuantizer<Ulq<Int8, TensorWise>>);
    STATIC_REQUIRE(ActivationQuantizer<ActUlq<Int4>>);
    STATIC_REQUIRE(ActivationQuantizer<ActUlq<Int8, Symmetric>>);
    STATIC_REQUIRE(Calibrator<Ifmr<Int4>>);
    STATIC_REQUIRE(Calibrator<Ifmr<Int8, Asymmetric>>);
    CHECK(WeightQuantizer<Arq<Int4, ChannelWise>>);
}

TEST_CASE("so is one that takes matrices by value, without a base class") {
    STATIC_REQUIRE(WeightQuantizer<Pow2<Int4, ChannelWise>>);
    RowMajorMatrix w(1, 2), out(1, 2);
    w << 0.3f, -2;
    Pow2<Int4, ChannelWise>{}.fake_quantize(w, out);
    CHECK(out == (RowMajorMatrix(1, 2) << 0.25f, -1).finished());
}

TEST_CASE("what lacks a part is not") {
    STATIC_REQUIRE_FALSE(WeightQuantizer<NoBackward>);
    STATIC_REQUIRE_FALSE(WeightQuantizer<ActUlq<Int8>>);
    STATIC_REQUIRE_FALSE(WeightQuantizer<int>);
    STATIC_REQUIRE_FALSE(ActivationQuantizer<Arq<Int8, ChannelWise>>);
    STATIC_REQUIRE_FALSE(ActivationQuantizer<Ifmr<Int8>>);
    STATIC_REQUIRE_FALSE(Calibrator<ActUlq<Int8>>);
    CHECK_FALSE(WeightQuantizer<int>);
}

TEST_CASE("the checks with a line for each missing part agree with the concepts") {
    STATIC_REQUIRE(check_weight_quantizer<Arq<Int4, ChannelWise>>());
    STATIC_REQUIRE(check_weight_quantizer<Ulq<Int8, TensorWise>>());
    STATIC_REQUIRE(check_weight_quantizer<Pow2<Int4, ChannelWise>>());
    STATIC_REQUIRE(check_activation_quantizer<ActUlq<Int8>>());

    // Each part is asked for by itself: what lacks one has the others.
    STATIC_REQUIRE_FALSE(detail::BackwardOfWeights<NoBackward>);
    STATIC_REQUIRE(detail::FakeQuantizesWeights<NoBackward>);
    STATIC_REQUIRE(detail::InitializesWeights<NoBackward>);
    STATIC_REQUIRE(detail::ScalesOfWeights<NoBackward>);
    STATIC_REQUIRE(detail::QuantizesWeights<NoBackward>);
    STATIC_REQUIRE(detail::HasBits<NoBackward>);
    STATIC_REQUIRE(detail::HasGranularity<NoBackward>);
    STATIC_REQUIRE_FALSE(detail::HasBits<int>);
    STATIC_REQUIRE_FALSE(detail::HasGranularity<ActUlq<Int8>>);
    STATIC_REQUIRE_FALSE(detail::HasCalibrator<Arq<Int8, ChannelWise>>);
    STATIC_REQUIRE_FALSE(detail::ScaleOfActivations<Arq<Int8, ChannelWise>>);
    STATIC_REQUIRE_FALSE(detail::BackwardOfActivations<Arq<Int8, ChannelWise>>);
    CHECK(check_activation_quantizer<ActUlq<Int4>>());
}

TEST_CASE("what a weight quantizer may have besides is found by its members") {
    using Learned = AdaRound<Int4, ChannelWise>;
    using Plain = Arq<Int4, ChannelWise>;
    STATIC_REQUIRE(check_weight_quantizer<Learned>());
    STATIC_REQUIRE(SteppedQuantizer<Learned>);
    STATIC_REQUIRE(RegularizedQuantizer<Learned>);
    STATIC_REQUIRE(HasLearningRate<Learned>);
    STATIC_REQUIRE(FreezesWeights<Learned>);
    STATIC_REQUIRE_FALSE(SteppedQuantizer<Plain>);
    STATIC_REQUIRE_FALSE(RegularizedQuantizer<Plain>);
    STATIC_REQUIRE_FALSE(HasLearningRate<Plain>);
    STATIC_REQUIRE_FALSE(FreezesWeights<Plain>);
    STATIC_REQUIRE_FALSE(FreezesWeights<FreezesNothing>);
    // A half is not the part; check_weight_quantizer says so.
    STATIC_REQUIRE_FALSE(SteppedQuantizer<OnlyBegins>);
    STATIC_REQUIRE(detail::NamesBeginStep<OnlyBegins>);
    STATIC_REQUIRE_FALSE(detail::NamesEndSteps<OnlyBegins>);
    STATIC_REQUIRE(detail::NamesRegularize<Learned>);
    CHECK(SteppedQuantizer<Learned>);
}

}  // namespace quant_concepts_test
