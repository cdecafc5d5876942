// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/deploy/narrow_weights.hpp>

#include <algorithm>
#include <amct_distill/deploy/integer.hpp>
#include <cmath>

#include "support/catch.hpp"
#include "support/deploy_networks.hpp"

namespace deploy_narrow_weights_test {

using namespace amct_distill;

TEST_CASE("weights of 7 bits stand for nearly the same numbers") {
    for (const std::string& config : support::deployed_configs()) {
        INFO(config);
        Deployment const wide =
            deploy(support::calibrated_student(support::every_convolution(), config)).value();
        Deployment const narrow = with_narrow_weights(wide);
        nn::Tensor const images = support::small_batches(1, 4)[0];
        for (std::size_t k = 0; k != wide.layers().size(); ++k) {
            const DeployedLayer &a = wide.layers()[k], &b = narrow.layers()[k];
            INFO(a.name);
            CHECK(has_narrow_weights(b));
            CHECK(b.weight_scales.size() == a.weight_scales.size());
            if (has_narrow_weights(a)) {
                CHECK(a.codes == b.codes);
                CHECK(a.bias == b.bias);
                continue;
            }
            // Each within half a step of the larger scale; and the float network has what the codes mean.
            const nn::Tensor& before = wide.network().module(a.module).weighted()->weight();
            const nn::Tensor& after = narrow.network().module(b.module).weighted()->weight();
            float step = 0;
            for (ScaleOffset s : b.weight_scales) step = (std::max)(step, s.scale);
            for (std::size_t i = 0; i != before.size(); ++i)
                CHECK(std::abs(before[i] - after[i]) <= 0.5001f * step);
            for (std::size_t c = 0; c != b.bias.size(); ++c)
                CHECK(std::abs(static_cast<float>(b.bias[c]) * b.dequantization_scale(c) -
                               static_cast<float>(a.bias[c]) * a.dequantization_scale(c)) <=
                      b.dequantization_scale(c));
        }
        nn::Tensor const x = integer_network(wide).predict(images),
                         y = integer_network(narrow).predict(images);
        for (std::size_t i = 0; i != x.size(); ++i) CHECK(std::abs(x[i] - y[i]) < 0.3f);
    }
}

TEST_CASE("what is narrow stays as it is") {
    Deployment const once =
        with_narrow_weights(deploy(support::calibrated_student(support::every_convolution(), "")).value());
    Deployment const twice = with_narrow_weights(once);
    for (std::size_t k = 0; k != once.layers().size(); ++k) {
        CHECK(once.layers()[k].codes == twice.layers()[k].codes);
        CHECK(once.layers()[k].weight_scales == twice.layers()[k].weight_scales);
        CHECK(once.layers()[k].requantized == twice.layers()[k].requantized);
    }
}

}  // namespace deploy_narrow_weights_test
