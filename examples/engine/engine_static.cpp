// SPDX-License-Identifier: Apache-2.0
// An inference engine whose configuration the compiler has read: no parser and no heap is left in the
// program.
#include <cstdio>

#include "network.hpp"
#include "test_digits.hpp"

using namespace amct_distill;

using config = static_config<R"(
    distill_data_quant_config { ulq_quantize { clip_max_min { clip_max: 6.3 clip_min: -6.3 } } }
    distill_override_layers {
        layer_name: "conv1"
        distill_data_quant_config { ulq_quantize {
            clip_max_min { clip_max: 1 clip_min: -1 } fixed_min: true } }
        distill_weight_quant_config { arq_distill { dst_type: INT8 channel_wise: true } }
    }
    distill_override_layers {
        layer_name: "conv2"
        distill_data_quant_config { ulq_quantize {
            clip_max_min { clip_max: 3.2 clip_min: -1 } fixed_min: true } }
        distill_weight_quant_config { arq_distill { dst_type: INT4 channel_wise: true } }
    }
    distill_override_layers {
        layer_name: "fc"
        distill_data_quant_config { ulq_quantize { clip_max_min { clip_max: 6.3 clip_min: -6.3 } } }
        distill_weight_quant_config { arq_distill { dst_type: INT8 channel_wise: false } }
    }
)">;

int main() {
    static engine::Network<config::value> const network;
    std::printf("%zu bytes of weights; ", network.bytes());
    engine::report([&](const float* image) { return network.recognize(image); });
}
