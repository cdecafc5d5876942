// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/plan/quantizer_lists.hpp>

#include <amct_distill/config/messages.hpp>

#include "support/catch.hpp"

namespace plan_quantizers_test {

using namespace amct_distill;

namespace {
template <class B>
struct Pow2;  // declared only, as any quantizer may be here
struct MyPow2 {
    template <class B, class>
    using quantizer = Pow2<B>;
};
struct mine : StandardAlgorithms {
    struct weights {
        ARQDistill arq_distill;
        MyPow2 my_pow2;
    };
};
}  // namespace

TEST_CASE("the variant of an algorithm list has every quantizer it can name, once") {
    STATIC_REQUIRE(
        std::is_same_v<weight_quantizer_variant<StandardAlgorithms>,
                       std::variant<Arq<Int4, ChannelWise>, Arq<Int4, TensorWise>, Arq<Int8, ChannelWise>,
                                    Arq<Int8, TensorWise>, Ulq<Int4, ChannelWise>, Ulq<Int4, TensorWise>,
                                    Ulq<Int8, ChannelWise>, Ulq<Int8, TensorWise>>>);
    STATIC_REQUIRE(std::is_same_v<activation_quantizer_variant<StandardAlgorithms>,
                                  std::variant<ActUlq<Int4>, ActUlq<Int8>>>);
    STATIC_REQUIRE(
        std::is_same_v<weight_quantizer_variant<mine>,
                       std::variant<Arq<Int4, ChannelWise>, Arq<Int4, TensorWise>, Arq<Int8, ChannelWise>,
                                    Arq<Int8, TensorWise>, Pow2<Int4>, Pow2<Int8>>>);
}

}  // namespace plan_quantizers_test
