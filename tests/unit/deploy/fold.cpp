#include <amct_distill/deploy/fold.hpp>

#include <cmath>

#include "support/catch.hpp"
#include "support/small_network.hpp"

namespace deploy_fold_test {

using namespace amct_distill;

TEST_CASE("the BatchNorm that folds is the only reader of the layer") {
    nn::Network net = support::small_network();
    CHECK(batch_norm_behind(net, "conv1") == net.module("bn1").get_if<nn::BatchNorm2d>());
    CHECK(batch_norm_behind(net, "conv2") == nullptr);
    CHECK(batch_norm_behind(net, "fc") == nullptr);
    CHECK(batch_norm_behind(net, "nothing") == nullptr);
    net.add("also", nn::ReLU{}, {*net.find("conv1")});
    CHECK(batch_norm_behind(net, "conv1") == nullptr);
}

TEST_CASE("the factor is gamma over the deviation") {
    nn::Network const net = support::small_network();
    auto const factors = fold_factors(*net.module("bn1").get_if<nn::BatchNorm2d>());
    REQUIRE(factors.size() == 4);
    CHECK(factors[0] == 1.0f / std::sqrt(0.5f + 1e-5f));
    CHECK(factors[1] == -1.5f / std::sqrt(1.0f + 1e-5f));
}

}  // namespace deploy_fold_test
