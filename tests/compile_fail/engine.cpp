// SPDX-License-Identifier: Apache-2.0
// The engine of examples/engine refuses what it cannot run when it is compiled. As in cases.cpp, each case
// has a twin that compiles.
#include "engine/network.hpp"

#ifdef BAD
#define EITHER(good, bad) bad
#else
#define EITHER(good, bad) good
#endif

using namespace amct_distill;

// No kernel for ULQ's weights.
// expect: RunsOn
using ulq = static_config<
    "distill_data_quant_config { ulq_quantize { clip_max_min { clip_max: 6 clip_min: -6 } } }"
    "distill_weight_quant_config { " EITHER("arq_distill", "ulq_distill") " { } }">;
inline void run_ulq() { engine::Network<ulq::value> const network; }

// expect: this engine calibrates nothing: give every layer clip_max_min
using clips = static_config<"distill_data_quant_config { ulq_quantize { " EITHER(
    "clip_max_min { clip_max: 6 clip_min: -6 }", "dst_type: INT8") " } }">;
inline void run_clips() { engine::Network<clips::value> const network; }

// expect: this engine has no float layers: take the layer out of quant_skip_layers
using skipped = static_config<
    "distill_data_quant_config { ulq_quantize { clip_max_min { clip_max: 6 clip_min: -6 } } }" EITHER(
        "", "quant_skip_layers: 'fc'")>;
inline void run_skipped() { engine::Network<skipped::value> const network; }
