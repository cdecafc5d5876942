// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/plan/select.hpp>

#include "support/catch.hpp"

namespace plan_select_test {

using namespace amct_distill;

namespace {

using weights = oneof<StandardAlgorithms::weights>;
using data = oneof<StandardAlgorithms::data>;

/// Whether `Expected` is the quantizer that is called for.
template <class Expected>
constexpr auto is = []<class Q>(std::type_identity<Q>, const auto&) { return std::is_same_v<Q, Expected>; };

struct PlainData {  // algorithms without settings
    template <class B>
    using quantizer = ActUlq<B>;
};
struct PlainWeights {
    template <class B, class G>
    using quantizer = Ulq<B, G>;
};
struct plain {
    struct data {
        PlainData plain_data;
    };
    struct weights {
        PlainWeights plain_weights;
    };
};

}  // namespace

TEST_CASE("a resolved message selects its quantizer's type") {
    constexpr auto INT4 = DataType::INT4, INT8 = DataType::INT8;
    auto const arq = [](DataType bits, bool channels) { return weights{ARQDistill{bits, channels}}; };
    auto const ulq = [](DataType bits, bool channels) { return weights{WtsULQDistill{bits, channels}}; };
    CHECK(visit_weight_quantizer(arq(INT4, true), is<Arq<Int4, ChannelWise>>).value());
    CHECK(visit_weight_quantizer(arq(INT4, false), is<Arq<Int4, TensorWise>>).value());
    CHECK(visit_weight_quantizer(arq(INT8, true), is<Arq<Int8, ChannelWise>>).value());
    CHECK(visit_weight_quantizer(arq(INT8, false), is<Arq<Int8, TensorWise>>).value());
    CHECK(visit_weight_quantizer(ulq(INT4, true), is<Ulq<Int4, ChannelWise>>).value());
    CHECK(visit_weight_quantizer(ulq(INT8, false), is<Ulq<Int8, TensorWise>>).value());
    CHECK(visit_activation_quantizer(data{ActULQquantize{.dst_type = INT4}}, is<ActUlq<Int4>>).value());
    CHECK(visit_activation_quantizer(data{ActULQquantize{.dst_type = INT8}}, is<ActUlq<Int8>>).value());
}

TEST_CASE("a message whose settings are not set means INT8 with one scale") {
    CHECK(visit_weight_quantizer(weights{ARQDistill{}}, is<Arq<Int8, TensorWise>>).value());
    CHECK(visit_weight_quantizer(weights{WtsULQDistill{}}, is<Ulq<Int8, TensorWise>>).value());
    CHECK(visit_activation_quantizer(data{ActULQquantize{}}, is<ActUlq<Int8>>).value());
}

TEST_CASE("the function also gets the message, and may return nothing or a result") {
    weights const arq{ARQDistill{.channel_wise = true}};
    bool channels = false;
    auto const nothing = visit_weight_quantizer(
        arq, [&](auto, const auto& message) { channels = message.channel_wise.get(); });
    STATIC_REQUIRE(std::is_same_v<decltype(nothing), const result<void>>);
    CHECK(nothing);
    CHECK(channels);
    auto const failed = visit_weight_quantizer(
        arq, [](auto, const auto&) -> result<int> { return general_error("not today"); });
    STATIC_REQUIRE(std::is_same_v<decltype(failed), const result<int>>);
    CHECK(to_string(failed.diagnostics()) == "error: not today");
}

TEST_CASE("only what an engine supports is instantiated, and anything else is an error that names it") {
    using engine = supports<Arq<Int8, ChannelWise>, ActUlq<Int8>>;
    auto const only_these = []<class Q>(std::type_identity<Q>, const auto&) {
        static_assert(engine::has<Q>);
        return 1;
    };
    CHECK(visit_weight_quantizer<engine>(weights{ARQDistill{.channel_wise = true}}, only_these).value() == 1);
    CHECK(to_string(visit_weight_quantizer<engine>(
                        weights{WtsULQDistill{.dst_type = DataType::INT4, .channel_wise = true}}, only_these)
                        .diagnostics()) ==
          "error: `ulq_distill, INT4, channel_wise` is not what this engine runs; it has `arq_distill, INT8, "
          "channel_wise`; choose one of them for the layer, or skip it with quant_skip_layers");
    CHECK(to_string(
              visit_activation_quantizer<engine>(data{ActULQquantize{.dst_type = DataType::INT4}}, only_these)
                  .diagnostics()) ==
          "error: `ulq_quantize, INT4` is not what this engine runs; it has `ulq_quantize, INT8`; choose one "
          "of them for the layer, or skip it with quant_skip_layers");
}

TEST_CASE("a message without an algorithm is an error") {
    CHECK(to_string(visit_weight_quantizer(weights{}, is<int>).diagnostics()) ==
          "error: no weight algorithm is set; take the message from a resolved plan");
    CHECK(to_string(visit_activation_quantizer(data{}, is<int>).diagnostics()) ==
          "error: no activation algorithm is set; take the message from a resolved plan");
}

TEST_CASE("an algorithm without the settings means INT8 with one scale") {
    CHECK(visit_weight_quantizer(oneof<plain::weights>{PlainWeights{}}, is<Ulq<Int8, TensorWise>>).value());
    CHECK(visit_activation_quantizer(oneof<plain::data>{PlainData{}}, is<ActUlq<Int8>>).value());
}

}  // namespace plan_select_test
