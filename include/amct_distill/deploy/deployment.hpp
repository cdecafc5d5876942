// SPDX-License-Identifier: Apache-2.0
/// What a device needs of a student, in one object: the network with its BatchNorms folded, and the integers
/// of its quantized layers.
///
///     Deployment device = deploy(student).value();
///     device.layers()[0].codes;                       // see deployed_layer.hpp
///     write(device, "out").value();                   // record, codes, biases: write.hpp
///     nn::Network integers = integer_network(device); // integer.hpp
///     verify(device, batches).value().agrees();       // verify.hpp
#pragma once
#include <cstddef>
#include <string_view>
#include <vector>

#include "../nn/network.hpp"
#include "../student/student.hpp"
#include "deployed_layer.hpp"

namespace amct_distill {

class Deployment {
public:
    /// Use deploy(). Throws std::invalid_argument when a layer is not the network's, with the first
    /// difference.
    Deployment(nn::Network network, std::vector<DeployedLayer> layers);

    /// The network in float: a quantized layer has the weights that its codes stand for and the folded bias,
    /// and does not quantize its input; a folded BatchNorm is an Identity; all else is the student's.
    const nn::Network& network() const { return network_; }
    /// The quantized layers, in definition order.
    const std::vector<DeployedLayer>& layers() const { return layers_; }
    /// By name; null: the layer is not quantized.
    const DeployedLayer* layer(std::string_view name) const;

private:
    void check_layer(const DeployedLayer& layer) const;

    nn::Network network_;
    std::vector<DeployedLayer> layers_;
};

/// The student as a device runs it. A BatchNorm that is the only consumer of a quantized layer is folded into
/// it (fold.hpp); which codes and scales come of it says fold_codes.hpp. Channels with other codes than the
/// student's are named in `requantized`.
///
/// Errors, all of them, each with its layer: not calibrated; weights, or what BatchNorm makes of them, not
/// finite; weights with an offset; scale_d * scale_w not finite; an accumulator that could leave
/// INT32: per channel, sum of |w| * max(qmax - offset, offset - qmin) + |bias| must not.
template <class Algorithms>
result<Deployment> deploy(const BasicStudent<Algorithms>& student);

}  // namespace amct_distill

#ifndef AMCT_DISTILL_COMPILED
#include "deployment-inl.hpp"
#endif
