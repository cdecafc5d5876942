// SPDX-License-Identifier: Apache-2.0
// Each case has a twin that compiles: EITHER(good, bad) is its second with -DBAD. With BAD, the compiler has
// to say what the regular expression above each case says.
#include <amct_distill/config/static_config.hpp>
#include <amct_distill/plan/static_select.hpp>
#include <concepts>
#include <string>

#define COMMA ,
#ifdef BAD
#define EITHER(good, bad) bad
#else
#define EITHER(good, bad) good
#endif

using namespace amct_distill;

template <fixed_string Text>
constexpr bool reads = (static_config<Text>::value, true);

// expect: 1:1: unknown field `batch_nun`; did you mean `batch_num`\?
static_assert(reads<EITHER("batch_num: 1", "batch_nun: 1")>);

// expect: 3:32: distill_weight_quant_config.arq_distill: unknown field `chanel_wise`; did you mean
// `channel_wise`\?
static_assert(reads<EITHER(R"(
distill_weight_quant_config {
  arq_distill { dst_type: INT4 channel_wise: true }
})",
                           R"(
distill_weight_quant_config {
  arq_distill { dst_type: INT4 chanel_wise: true }
})")>);

// Both errors of one text.
// expect: 1:12: batch_num: expected an unsigned integer, found `-`
// expect: 2:13: group_size: expected an unsigned integer, found `true`
static_assert(reads<EITHER("batch_num: 1\ngroup_size: 1", "batch_num: -1\ngroup_size: true")>);

// expect: 1:54: distill_data_quant_config.ulq_quantize.dst_type: expected `INT4` or `INT8`, found `INT5`
static_assert(reads<EITHER("distill_data_quant_config { ulq_quantize { dst_type: INT4 } }",
                           "distill_data_quant_config { ulq_quantize { dst_type: INT5 } }")>);

// expect: 1:15: distill_group.0.: missing required `end_layer_name`
static_assert(reads<EITHER("distill_group { start_layer_name: 'a' end_layer_name: 'b' }",
                           "distill_group { start_layer_name: 'a' }")>);

// expect: 1:47: distill_weight_quant_config.ulq_distill: only one of a oneof can be set; `arq_distill`
// already is, at 1:31
static_assert(reads<EITHER("distill_weight_quant_config { ulq_distill { } }",
                           "distill_weight_quant_config { arq_distill { } ulq_distill { } }")>);

// expect: 1:15: distill_group.0..*expected `}` to close the message that begins at 1:15
static_assert(reads<EITHER("distill_group { start_layer_name: 'c' end_layer_name: 'd' }",
                           "distill_group { start_layer_name: 'c' end_layer_name: 'd'")>);

// expect: clip_max: `12abc` is not a number
static_assert(
    reads<EITHER(
        "distill_data_quant_config { ulq_quantize { clip_max_min { clip_max: 12 clip_min: -1 } } }",
        "distill_data_quant_config { ulq_quantize { clip_max_min { clip_max: 12abc clip_min: -1 } } }")>);

// An algorithm that the configuration's list does not have.
struct arq_only : StandardAlgorithms {
    struct weights {
        ARQDistill arq_distill;
    };
};
// expect: 1:31: distill_weight_quant_config: unknown field `ulq_distill`
static_assert(static_config<EITHER("distill_weight_quant_config { arq_distill { } }",
                                   "distill_weight_quant_config { ulq_distill { } }"),
                            arq_only>::value.quant_skip_layers.empty());

// An engine that cannot run it.
using int4 =
    static_config<"distill_weight_quant_config { arq_distill { dst_type: INT4 channel_wise: true } }">;
template <const auto& Config>
requires RunsOn<Config, supports<EITHER(Arq<Int4 COMMA ChannelWise>, Arq<Int8 COMMA ChannelWise>)>>
void load() {}
// expect: RunsOn
inline void use() { load<int4::value>(); }

// A type of layer that is not quantized.
// expect: is_quantizable_type
using weights = weight_quantizer_for<int4::value, "conv1", EITHER("Conv2d", "MatMul")>;
