// SPDX-License-Identifier: Apache-2.0
/// What a compiled library has: the templates of the standard algorithms, instantiated once.
///
///     // with CMake: target_link_libraries(program amct_distill::compiled)
///     // with copied headers: one file of the program says
///     #define AMCT_DISTILL_IMPLEMENTATION
///     #include "amct_distill.hpp"
///     // and all of them are compiled with -DAMCT_DISTILL_COMPILED
///
/// Header-only stays the default: without the definition this header does nothing. With it,
/// amct_distill.hpp declares the steps of a run, whose definitions are in headers of their own
/// (distill-inl.hpp beside distill.hpp), and the library has them. A file with algorithms, messages, losses
/// or optimizers of one's own includes definitions.hpp (where a single header was copied, it is compiled with
/// -DAMCT_DISTILL_DEFINITIONS), and instantiates what it uses of them. The results are the same.
#pragma once
#include "compiled_extended.hpp"
#include "config/messages.hpp"
#include "config/record.hpp"
#include "deploy/deployment.hpp"
#include "deploy/record.hpp"
#include "deploy/verify.hpp"
#include "distill/distill.hpp"
#include "distill/report_layers.hpp"
#include "nn/initialize.hpp"
#include "nn/layers/activation.hpp"
#include "nn/layers/arithmetic.hpp"
#include "nn/layers/batch_norm.hpp"
#include "nn/layers/concat.hpp"
#include "nn/layers/conv2d.hpp"
#include "nn/layers/global_pool.hpp"
#include "nn/layers/linear.hpp"
#include "nn/layers/pool.hpp"
#include "nn/layers/reshape.hpp"
#include "nn/layers/softmax.hpp"
#include "nn/layers/structure.hpp"
#include "nn/network.hpp"
#include "plan/resolve.hpp"
#include "quant/act_ulq.hpp"
#include "quant/arq.hpp"
#include "quant/histogram.hpp"
#include "quant/ifmr.hpp"
#include "quant/kernels/affine.hpp"
#include "quant/kernels/codes.hpp"
#include "quant/kernels/fake_quantize_rows.hpp"
#include "quant/kernels/fixed_point.hpp"
#include "quant/kernels/gradient.hpp"
#include "quant/kernels/range.hpp"
#include "quant/kernels/squared_error.hpp"
#include "quant/ulq.hpp"
#include "report/plan_text.hpp"
#include "run/instructions.hpp"
#include "run/ordered_sum.hpp"
#include "student/bias_correction.hpp"
#include "student/calibrate.hpp"
#include "student/student.hpp"
#include "text/printer.hpp"
#include "text/reader.hpp"

#include <utility>

#if defined(AMCT_DISTILL_COMPILED) || defined(AMCT_DISTILL_IMPLEMENTATION)
#ifdef AMCT_DISTILL_IMPLEMENTATION
#define AMCT_DISTILL_TEMPLATE template
#else
#define AMCT_DISTILL_TEMPLATE extern template
#endif

namespace amct_distill {

AMCT_DISTILL_TEMPLATE result<AMCTDistillConfig> read<AMCTDistillConfig>(std::string_view,
                                                                        const ReaderOptions&);
AMCT_DISTILL_TEMPLATE result<ScaleOffsetRecord> read<ScaleOffsetRecord>(std::string_view,
                                                                        const ReaderOptions&);
AMCT_DISTILL_TEMPLATE result<AMCTDistillConfig> read<AMCTDistillConfig>(const SourceText&,
                                                                        const ReaderOptions&);
AMCT_DISTILL_TEMPLATE result<ScaleOffsetRecord> read<ScaleOffsetRecord>(const SourceText&,
                                                                        const ReaderOptions&);
AMCT_DISTILL_TEMPLATE std::string print<AMCTDistillConfig>(const AMCTDistillConfig&);
AMCT_DISTILL_TEMPLATE std::string print<ScaleOffsetRecord>(const ScaleOffsetRecord&);
AMCT_DISTILL_TEMPLATE result<DistillPlan> resolve<StandardAlgorithms, HeapStorage>(const AMCTDistillConfig&,
                                                                                   const Graph&,
                                                                                   const Target&,
                                                                                   const ResolveOptions&);
AMCT_DISTILL_TEMPLATE std::string to_table<StandardAlgorithms>(const DistillPlan&, std::size_t);
AMCT_DISTILL_TEMPLATE class LayerQuantizers<StandardAlgorithms>;
AMCT_DISTILL_TEMPLATE class QuantizedLayer<StandardAlgorithms>;
AMCT_DISTILL_TEMPLATE class BasicStudent<StandardAlgorithms>;
AMCT_DISTILL_TEMPLATE result<Student> make_student<StandardAlgorithms>(const nn::Network&,
                                                                       const DistillPlan&);
AMCT_DISTILL_TEMPLATE result<CalibrationReport> calibrate<StandardAlgorithms>(Student&, DataSource,
                                                                              const RunOptions&,
                                                                              const CalibrateOptions&);
AMCT_DISTILL_TEMPLATE result<BiasReport> correct_biases<StandardAlgorithms>(const nn::Network&, Student&,
                                                                            DataSource, const RunOptions&,
                                                                            const BiasOptions&);
AMCT_DISTILL_TEMPLATE result<DistillReport> distill<MeanSquaredError, AdamW, StandardAlgorithms>(
    const nn::Network&, Student&, DataSource, const DistillOptions&, const RunOptions&);
AMCT_DISTILL_TEMPLATE result<std::vector<LayerReport>> report_layers<StandardAlgorithms>(const Student&,
                                                                                         DataSource,
                                                                                         const nn::Executor*);
AMCT_DISTILL_TEMPLATE result<VerifyReport> verify<StandardAlgorithms>(const Deployment&, const Student&,
                                                                      const DataSource&, const RunOptions&);
AMCT_DISTILL_TEMPLATE result<Deployment> deploy<StandardAlgorithms>(const Student&);
AMCT_DISTILL_TEMPLATE result<ScaleOffsetRecord> make_record<StandardAlgorithms>(const Student&);
AMCT_DISTILL_TEMPLATE class Arq<Int8, ChannelWise>;
AMCT_DISTILL_TEMPLATE class Arq<Int8, TensorWise>;
AMCT_DISTILL_TEMPLATE class Arq<Int4, ChannelWise>;
AMCT_DISTILL_TEMPLATE class Arq<Int4, TensorWise>;
AMCT_DISTILL_TEMPLATE class Ulq<Int8, ChannelWise>;
AMCT_DISTILL_TEMPLATE class Ulq<Int8, TensorWise>;
AMCT_DISTILL_TEMPLATE class Ulq<Int4, ChannelWise>;
AMCT_DISTILL_TEMPLATE class Ulq<Int4, TensorWise>;
AMCT_DISTILL_TEMPLATE class ActUlq<Int8>;
AMCT_DISTILL_TEMPLATE class ActUlq<Int4>;
AMCT_DISTILL_TEMPLATE class Ifmr<Int8, Symmetric>;
AMCT_DISTILL_TEMPLATE class Ifmr<Int4, Symmetric>;

namespace nn {
AMCT_DISTILL_TEMPLATE struct ModuleInterface<float>;
AMCT_DISTILL_TEMPLATE class BasicModule<float>;
AMCT_DISTILL_TEMPLATE class BasicModuleGraph<float>;
AMCT_DISTILL_TEMPLATE class BasicNetwork<float>;
AMCT_DISTILL_TEMPLATE class BasicTape<float>;
AMCT_DISTILL_TEMPLATE class BasicScratch<float>;
AMCT_DISTILL_TEMPLATE void initialize<float>(BasicNetwork<float>&, std::uint64_t);
#define AMCT_DISTILL_MODULE(M) AMCT_DISTILL_TEMPLATE struct BasicModule<float>::Holder<M>
AMCT_DISTILL_MODULE(Conv2d);
AMCT_DISTILL_MODULE(Linear);
AMCT_DISTILL_MODULE(BatchNorm2d);
AMCT_DISTILL_MODULE(ReLU);
AMCT_DISTILL_MODULE(LeakyReLU);
AMCT_DISTILL_MODULE(Sigmoid);
AMCT_DISTILL_MODULE(Tanh);
AMCT_DISTILL_MODULE(Softmax);
AMCT_DISTILL_MODULE(MaxPool2d);
AMCT_DISTILL_MODULE(AvgPool2d);
AMCT_DISTILL_MODULE(GlobalAveragePool);
AMCT_DISTILL_MODULE(Add);
AMCT_DISTILL_MODULE(Concat);
AMCT_DISTILL_MODULE(Flatten);
AMCT_DISTILL_MODULE(Reshape);
AMCT_DISTILL_MODULE(Identity);
AMCT_DISTILL_MODULE(Dropout);
#undef AMCT_DISTILL_MODULE
}  // namespace nn

namespace detail {
AMCT_DISTILL_TEMPLATE class WeightedView<nn::Conv2d, float>;
AMCT_DISTILL_TEMPLATE class WeightedView<nn::Linear, float>;

AMCT_DISTILL_TEMPLATE class CertifiedHistogram<false, 10>;
AMCT_DISTILL_TEMPLATE class CertifiedHistogram<false, 12>;

// The loops of quantizers, whoever wrote those.
#if defined(__GNUC__)
#define AMCT_DISTILL_LOOP_ON(RUN, ...) \
    AMCT_DISTILL_TEMPLATE decltype(std::declval<__VA_ARGS__&>().template run<16>()) RUN(__VA_ARGS__)
#if (defined(__x86_64__) || defined(__i386__)) && !defined(AMCT_DISTILL_NO_DISPATCH)
#define AMCT_DISTILL_LOOP(...)                      \
    AMCT_DISTILL_LOOP_ON(run_vectors, __VA_ARGS__); \
    AMCT_DISTILL_LOOP_ON(run_avx2, __VA_ARGS__);    \
    AMCT_DISTILL_LOOP_ON(run_avx512, __VA_ARGS__)
#else
#define AMCT_DISTILL_LOOP(...) AMCT_DISTILL_LOOP_ON(run_vectors, __VA_ARGS__)
#endif
AMCT_DISTILL_LOOP(FakeQuantizeLoop<false>);
AMCT_DISTILL_LOOP(FakeQuantizeLoop<true>);
AMCT_DISTILL_LOOP(FakeQuantizeRowsLoop<false>);
AMCT_DISTILL_LOOP(FakeQuantizeRowsLoop<true>);
AMCT_DISTILL_LOOP(DequantizeLoop);
AMCT_DISTILL_LOOP(QuantizeLoop<false>);
AMCT_DISTILL_LOOP(PackInt4Loop);
AMCT_DISTILL_LOOP(RangeLoop);
AMCT_DISTILL_LOOP(CountLoop<false, 10>);
AMCT_DISTILL_LOOP(CountLoop<false, 12>);
AMCT_DISTILL_LOOP(BlockSumLoop<BlockOf<SquaredError>>);
AMCT_DISTILL_LOOP(BlockSumLoop<BlockOf<ClipGradient<false>>>);
AMCT_DISTILL_LOOP(BlockSumLoop<BlockOf<ClipGradient<true>>>);
#undef AMCT_DISTILL_LOOP
#undef AMCT_DISTILL_LOOP_ON
#endif
}  // namespace detail

}  // namespace amct_distill

#undef AMCT_DISTILL_TEMPLATE
#endif
