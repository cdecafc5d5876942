// SPDX-License-Identifier: Apache-2.0
/// The fields of AMCT's other configurations, and what a distillation configuration has for them.
///
///     read<AMCTDistillConfig>("skip_layers: 'fc'");
///    // 1:1: error: this looks like a configuration for AMCT's calibration or retraining: this library reads
///     // distillation configurations (AMCTDistillConfig)
///     // 1:1: error: unknown field `skip_layers`; write `quant_skip_layers`
///
/// Names as in AMCT's calibration_config, retrain_config, quant_calibration_config and basic_info .proto, and
/// in its documents for other frameworks.
#pragma once
#include <string_view>

#include "../text/foreign_fields.hpp"

namespace amct_distill::detail::amct {

inline constexpr std::string_view flows[] = {"calibration", "retraining", "pruning", "automatic search",
                                             "KV-cache quantization"};
inline constexpr unsigned of_calibration = 1, of_retraining = 2, of_pruning = 4, of_search = 8,
                          of_kv_cache = 16;

inline constexpr std::string_view symmetric_weights = "it has no counterpart here: weights have no offset";
inline constexpr std::string_view ifmr_by_itself =
    "leave it out: IFMR finds the clips of `ulq_quantize` by itself, and IfmrOptions has its settings";
inline constexpr std::string_view no_counterpart = "it has no counterpart here: leave it out";
inline constexpr std::string_view no_pruning = "it has no counterpart here: this library does not prune";
inline constexpr std::string_view no_search =
    "it has no counterpart here: widths are chosen layer by layer, by `dst_type`";
inline constexpr std::string_view no_kv_cache =
    "it has no counterpart here: Conv2d and Linear layers are quantized";
inline constexpr std::string_view both_parts =
    "write `distill_data_quant_config` for activations and `distill_weight_quant_config` for weights";
inline constexpr std::string_view by_type = "write `distill_override_layer_types` with a `layer_type`";
inline constexpr std::string_view width = "write `dst_type: INT4` or `dst_type: INT8`";
inline constexpr std::string_view folded =
    "it has no counterpart here: deployment folds each BatchNorm that it can";

inline constexpr ForeignField fields_of_others[] = {
    // What there is here, under another name.
    {"skip_layers", of_calibration | of_retraining, true, "write `quant_skip_layers`"},
    {"skip_layer_types", of_calibration | of_retraining, true, "write `quant_skip_layer_types`"},
    {"quant_skip_types", of_retraining, true, "write `quant_skip_layer_types`"},
    {"override_layer_configs", of_calibration | of_retraining, true, "write `distill_override_layers`"},
    {"override_layers_configs", of_kv_cache, true, "write `distill_override_layers`"},
    {"override_layer_types", of_calibration | of_retraining, true, "write `distill_override_layer_types`"},
    {"common_config", of_calibration, true, both_parts},
    {"calibration_config", of_calibration | of_kv_cache, true, both_parts},
    {"conv_calibration_config", of_calibration, true, by_type},
    {"fc_calibration_config", of_calibration, true, by_type},
    {"arq_quantize", of_calibration, true, "write `arq_distill`, in `distill_weight_quant_config`"},
    {"num_bits", of_calibration | of_retraining, true, width},
    {"quant_bits", of_calibration | of_retraining, true, width},
    {"retrain_data_quant_config", of_retraining, true, "write `distill_data_quant_config`"},
    {"retrain_weight_quant_config", of_retraining, true, "write `distill_weight_quant_config`"},
    {"arq_retrain", of_retraining, true, "write `arq_distill`"},
    {"ulq_retrain", of_retraining, true, "write `ulq_distill`"},
    // Calibration.
    {"ada_quantize", of_calibration, false,
     "it has no counterpart here: weights are quantized by `arq_distill` or `ulq_distill`"},
    {"nuq_quantize", of_calibration, false, "it has no counterpart here: all levels are evenly spaced"},
    {"snq_quantize", of_calibration, false, "it has no counterpart here: all levels are evenly spaced"},
    {"nuq_config", of_calibration, false, "it has no counterpart here: all levels are evenly spaced"},
    {"enable_auto_nuq", of_calibration, false, "it has no counterpart here: all levels are evenly spaced"},
    {"ifmr_quantize", of_calibration | of_kv_cache, false, ifmr_by_itself},
    {"hfmg_quantize", of_calibration | of_kv_cache, false, ifmr_by_itself},
    {"search_range_start", of_calibration | of_kv_cache, false, ifmr_by_itself},
    {"search_range_end", of_calibration | of_kv_cache, false, ifmr_by_itself},
    {"search_step", of_calibration | of_kv_cache, false, ifmr_by_itself},
    {"max_percentile", of_calibration | of_kv_cache, false, ifmr_by_itself},
    {"min_percentile", of_calibration | of_kv_cache, false, ifmr_by_itself},
    {"num_of_bins", of_calibration | of_kv_cache, false, ifmr_by_itself},
    {"activation_offset", of_calibration | of_kv_cache, false,
     "leave it out: activations always have an offset here"},
    {"asymmetric", of_calibration | of_kv_cache, false,
     "leave it out: activations always have an offset here, weights never"},
    {"weight_offset", of_calibration, false, symmetric_weights},
    {"do_fusion", of_calibration, false, folded},
    {"skip_fusion_layers", of_calibration, false, folded},
    {"update_bn", of_calibration, false, no_counterpart},
    {"bn_update_config", of_calibration, false, no_counterpart},
    {"joint_quant", of_calibration, false, no_counterpart},
    {"tensor_quantize", of_calibration, false, no_counterpart},
    {"weight_compress_only", of_calibration, false, no_counterpart},
    {"dmq_balancer", of_calibration, false, no_counterpart},
    {"migration_strength", of_calibration, false, no_counterpart},
    {"num_iteration", of_calibration, false, no_counterpart},
    {"reg_param", of_calibration, false, no_counterpart},
    {"beta_range_start", of_calibration, false, no_counterpart},
    {"beta_range_end", of_calibration, false, no_counterpart},
    {"warm_start", of_calibration, false, no_counterpart},
    {"skip_approximation_layers", of_calibration, false, no_counterpart},
    {"version", of_calibration, false, no_counterpart},
    {"fakequant_precision_mode", of_calibration | of_retraining, false, no_counterpart},
    {"kv_cache_quant_config", of_kv_cache, false, no_kv_cache},
    {"kv_data_quant_config", of_kv_cache, false, no_kv_cache},
    {"quant_layers", of_kv_cache, false, no_kv_cache},
    {"quant_granularity", of_kv_cache, false, no_kv_cache},
    // Pruning.
    {"prune_config", of_pruning, false, no_pruning},
    {"filter_pruner", of_pruning, false, no_pruning},
    {"balanced_l2_norm_filter_prune", of_pruning, false, no_pruning},
    {"prune_ratio", of_pruning, false, no_pruning},
    {"n_out_of_m_pruner", of_pruning, false, no_pruning},
    {"l1_selective_prune", of_pruning, false, no_pruning},
    {"n_out_of_m_type", of_pruning, false, no_pruning},
    {"update_freq", of_pruning, false, no_pruning},
    {"regular_prune_skip_layers", of_pruning, false, no_pruning},
    {"regular_prune_skip_types", of_pruning, false, no_pruning},
    {"ascend_optimized", of_pruning | of_search, false, no_pruning},
    // The search for bits and for channels to prune.
    {"compress_ratio", of_search, false, no_search},
    {"test_iteration", of_search, false, no_search},
    {"max_prune_ratio", of_search, false, no_pruning},
    {"override_prune_cfg", of_search, false, no_pruning},
};

/// The keys that their JSON has beside those.
inline constexpr ForeignField json_keys_of_others[] = {
    {"activation_quant_params", of_calibration, true, "write `distill_data_config`"},
    {"weight_quant_params", of_calibration, true, "write `distill_weight_config`"},
    {"retrain_enable", of_retraining, true, "write `quant_enable`"},
    {"retrain_data_config", of_retraining, true, "write `distill_data_config`"},
    {"retrain_weight_config", of_retraining, true, "write `distill_weight_config`"},
    {"wts_algo", of_calibration, true, "write `algo`"},
    {"act_algo", of_calibration, true, "write `algo`"},
    {"search_range", of_calibration, false, ifmr_by_itself},
    {"regular_prune_enable", of_pruning, false, no_pruning},
    {"regular_prune_config", of_pruning, false, no_pruning},
};

inline constexpr std::string_view shared_fields[] = {"batch_num", "quant_skip_layers"};

inline constexpr ForeignFields foreign{
    .fields = fields_of_others,
    .origins = flows,
    .shared = shared_fields,
    .family = "AMCT's",
    .here = "this library reads distillation configurations (AMCTDistillConfig)",
    .json = "a plan in JSON is read by plan_from_json",
};

inline constexpr ForeignFields foreign_json{
    .fields = json_keys_of_others,
    .origins = flows,
    .family = "AMCT's",
    .here = "plan_from_json reads the plan of a distillation, as create_distill_config writes it",
};

}  // namespace amct_distill::detail::amct
