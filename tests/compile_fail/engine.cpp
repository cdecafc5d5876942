// SPDX-License-Identifier: Apache-2.0
// The engine of examples/engine refuses what it cannot run when it is compiled, and names the layer. As in
// cases.cpp, each case has a twin that compiles.
#include "engine/engine.hpp"
#include "engine/configured.hpp"
#include "engine/digits_model.hpp"

#ifdef BAD
#define EITHER(good, bad) bad
#else
#define EITHER(good, bad) good
#endif

using namespace amct_distill;
namespace layers = digits_model::layers;

/// A network of one layer of the digits' network, changed.
template <class Layer>
struct only : digits_model::network {
    using layers = std::tuple<Layer>;
};

// expect: Runs<conv2_of_one_scale,
// expect: no kernel for weights of these bits and this granularity
struct conv2_of_one_scale : layers::conv2 {
    using weights = Arq<Int4, EITHER(ChannelWise, TensorWise)>;
};
inline void run_weights() { engine::Engine<only<conv2_of_one_scale>>().run(); }

// expect: Runs<conv3_of_four_bits,
// expect: no kernel for inputs of these bits
struct conv3_of_four_bits : layers::conv3 {
    using data = ActUlq<EITHER(Int8, Int4)>;
};
inline void run_data() { engine::Engine<only<conv3_of_four_bits>>().run(); }

// A Linear that quant_skip_layers leaves in float.
// expect: Runs<fc_in_float,
// expect: no kernel for layers of this type
struct fc_in_float : layers::fc {
    static constexpr bool quantized = EITHER(true, false);
};
inline void run_type() { engine::Engine<only<fc_in_float>>().run(); }

// A configuration that is not that of the codes; conv3 has 8 bits.
// expect: ConfiguredLayer<digits_model::layers::conv3,
// expect: the configuration gives the layer other bits than its codes have
using config = static_config<
    "distill_override_layers { layer_name: 'conv2' distill_data_quant_config { ulq_quantize { } }"
    "  distill_weight_quant_config { arq_distill { dst_type: INT4 } } }"
    "distill_weight_quant_config { arq_distill { dst_type: " EITHER("INT8", "INT4") " } }">;
inline void run_configured() {
    engine::Engine<engine::Configured<config::value, digits_model::network>>().run();
}
