// SPDX-License-Identifier: Apache-2.0
/// What a compiled library has of the extended algorithms: see compiled.hpp, which includes this.
#pragma once
#include "config/extended.hpp"
#include "deploy/deployment.hpp"
#include "deploy/record.hpp"
#include "deploy/verify.hpp"
#include "distill/distill.hpp"
#include "distill/report_layers.hpp"
#include "plan/resolve.hpp"
#include "quant/adaround.hpp"
#include "report/plan_text.hpp"
#include "student/bias_correction.hpp"
#include "student/calibrate.hpp"
#include "student/extended.hpp"
#include "text/printer.hpp"
#include "text/reader.hpp"

#if defined(AMCT_DISTILL_COMPILED) || defined(AMCT_DISTILL_IMPLEMENTATION)
#ifdef AMCT_DISTILL_IMPLEMENTATION
#define AMCT_DISTILL_TEMPLATE template
#else
#define AMCT_DISTILL_TEMPLATE extern template
#endif

namespace amct_distill {

AMCT_DISTILL_TEMPLATE result<ExtendedConfig> read<ExtendedConfig>(std::string_view, const ReaderOptions&);
AMCT_DISTILL_TEMPLATE result<ExtendedConfig> read<ExtendedConfig>(const SourceText&, const ReaderOptions&);
AMCT_DISTILL_TEMPLATE std::string print<ExtendedConfig>(const ExtendedConfig&);
AMCT_DISTILL_TEMPLATE result<ExtendedPlan> resolve<ExtendedAlgorithms, HeapStorage>(const ExtendedConfig&,
                                                                                    const Graph&,
                                                                                    const Target&,
                                                                                    const ResolveOptions&);
AMCT_DISTILL_TEMPLATE std::string to_table<ExtendedAlgorithms>(const ExtendedPlan&, std::size_t);
AMCT_DISTILL_TEMPLATE class LayerQuantizers<ExtendedAlgorithms>;
AMCT_DISTILL_TEMPLATE class QuantizedLayer<ExtendedAlgorithms>;
AMCT_DISTILL_TEMPLATE class BasicStudent<ExtendedAlgorithms>;
AMCT_DISTILL_TEMPLATE result<ExtendedStudent> make_student<ExtendedAlgorithms>(const nn::Network&,
                                                                               const ExtendedPlan&);
AMCT_DISTILL_TEMPLATE result<CalibrationReport> calibrate<ExtendedAlgorithms>(ExtendedStudent&, DataSource,
                                                                              const RunOptions&,
                                                                              const CalibrateOptions&);
AMCT_DISTILL_TEMPLATE result<BiasReport> correct_biases<ExtendedAlgorithms>(const nn::Network&,
                                                                            ExtendedStudent&, DataSource,
                                                                            const RunOptions&,
                                                                            const BiasOptions&);
AMCT_DISTILL_TEMPLATE result<DistillReport> distill<MeanSquaredError, AdamW, ExtendedAlgorithms>(
    const nn::Network&, ExtendedStudent&, DataSource, const DistillOptions&, const RunOptions&);
AMCT_DISTILL_TEMPLATE result<std::vector<LayerReport>> report_layers<ExtendedAlgorithms>(
    const ExtendedStudent&, DataSource, const nn::Executor*);
AMCT_DISTILL_TEMPLATE result<VerifyReport> verify<ExtendedAlgorithms>(const Deployment&,
                                                                      const ExtendedStudent&,
                                                                      const DataSource&, const RunOptions&);
AMCT_DISTILL_TEMPLATE result<Deployment> deploy<ExtendedAlgorithms>(const ExtendedStudent&);
AMCT_DISTILL_TEMPLATE result<ScaleOffsetRecord> make_record<ExtendedAlgorithms>(const ExtendedStudent&);
AMCT_DISTILL_TEMPLATE class AdaRound<Int8, ChannelWise>;
AMCT_DISTILL_TEMPLATE class AdaRound<Int8, TensorWise>;
AMCT_DISTILL_TEMPLATE class AdaRound<Int4, ChannelWise>;
AMCT_DISTILL_TEMPLATE class AdaRound<Int4, TensorWise>;

}  // namespace amct_distill

#undef AMCT_DISTILL_TEMPLATE
#endif
