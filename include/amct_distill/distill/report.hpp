// SPDX-License-Identifier: Apache-2.0
/// What distillation did: of every layer its quantization, of every block its losses, of the whole the error
/// of the outputs.
///
///     for (const BlockReport& b : report.blocks) std::cout << b.loss_before << " > " << b.loss_after;
#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "../quant/affine.hpp"
#include "../quant/scale.hpp"

namespace amct_distill {

/// A quantized layer at the end.
struct LayerReport {
    std::string name{};
    std::string weight_algorithm{};  ///< "arq_distill, INT4, channel_wise"
    std::string data_algorithm{};    ///< "ulq_quantize, INT8"
    int weight_bits = 0;
    int data_bits = 0;
    std::vector<ScaleOffset> weight_scales{};  ///< one, or one per output channel
    ScaleOffset data_scale{};
    ClipRange data_clip{};
    bool user_clips = false;                   ///< the first clips were the user's, not IFMR's
    double weight_sqnr = 0;                    ///< signal to quantization noise of the weights, dB
    double data_sqnr = 0;                      ///< the same of the layer's inputs, over all batches, dB
    double saturation = 0;                     ///< share of the layer's inputs outside of the clips, 0 to 1
    std::size_t channels = 0;                  ///< output channels
    std::vector<std::size_t> dead_channels{};  ///< whose weights are all quantized to 0
};

/// A block; its loss is that of its output over all batches, the mean squared error unless another is
/// trained.
struct BlockReport {
    std::vector<std::string> names{};    ///< of its modules
    std::vector<std::string> shared{};   ///< of those, the ones that other nodes of the network use as well
    double loss_before = 0;              ///< as calibrated
    double loss_after = 0;               ///< never above loss_before
    std::vector<double> epoch_losses{};  ///< mean over the training steps of each epoch
    int best_epoch = 0;                  ///< in which epoch the kept parameters were seen; 0: as calibrated
    std::size_t restarts = 0;        ///< how often training went back to the best, with lower learning rates
    std::size_t teacher_inputs = 0;  ///< steps that took the teacher's input, the student's being too far off
    double seconds = 0;              ///< wall time of the block's training
    std::string stopped{};           ///< why it ended early; empty: it did not
};

struct DistillReport {
    std::vector<LayerReport> layers{};
    std::vector<BlockReport> blocks{};
    /// Mean squared error over all values of the network's outputs, of all batches.
    double output_error_calibrated = 0;
    double output_error_distilled = 0;  ///< never above output_error_calibrated
    bool kept_calibrated = false;    ///< the outputs did not come 5 % nearer, so the calibrated network stays
    bool cancelled = false;          ///< by the progress callback
    std::size_t resumed_blocks = 0;  ///< that an earlier run had finished
};

}  // namespace amct_distill
