// SPDX-License-Identifier: Apache-2.0
/// Everything but the adapters: reads AMCT's distillation configurations, resolves them to a plan, quantizes,
/// distills and writes the record.
///
///     #include <amct_distill/amct_distill.hpp>
///     using namespace amct_distill;
///
/// Each header can be included by itself; `policy/` needs the standard library alone, `quant/` Eigen besides.
/// With AMCT_DISTILL_COMPILED it declares the steps of a run, which the library has (compiled.hpp); what the
/// library cannot have, definitions.hpp includes.
#pragma once
#include "compiled.hpp"
#include "config/extended.hpp"
#include "config/messages.hpp"
#include "config/record.hpp"
#include "core/diagnostic.hpp"
#include "core/result.hpp"
#include "core/table.hpp"
#include "core/version.hpp"
#include "deploy/cpp_header.hpp"
#include "deploy/deployed_layer.hpp"
#include "deploy/deployment.hpp"
#include "deploy/record.hpp"
#include "deploy/verify.hpp"
#include "deploy/verify_report.hpp"
#include "deploy/write.hpp"
#include "distill/adamw.hpp"
#include "distill/distill.hpp"
#include "distill/report.hpp"
#include "distill/report_layers.hpp"
#include "graph/topology.hpp"
#include "io/file.hpp"
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
#include "nn/tensor.hpp"
#include "plan/plan.hpp"
#include "plan/resolve.hpp"
#include "plan/target.hpp"
#include "quant/act_ulq.hpp"
#include "quant/arq.hpp"
#include "quant/ulq.hpp"
#include "report/plan_text.hpp"
#include "report/preparation_text.hpp"
#include "report/text.hpp"
#include "report/verify_text.hpp"
#include "student/bias_correction.hpp"
#include "student/calibrate.hpp"
#include "student/equalize.hpp"
#include "student/extended.hpp"
#include "student/student.hpp"
#include "text/printer.hpp"
#include "text/reader.hpp"

#ifndef AMCT_DISTILL_COMPILED
#include "definitions.hpp"
#endif
