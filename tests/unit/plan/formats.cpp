// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/plan/formats.hpp>

#include <array>
#include <string_view>
#include <utility>

#include "amct_distill/config/messages.hpp"
#include "support/catch.hpp"

namespace plan_formats_test {

using namespace amct_distill;
using namespace amct_distill::detail;

namespace {
struct Plain {};  // no settings
enum class Own { WIDE = 0, INT4 = 1 };
constexpr std::array<std::pair<std::string_view, Own>, 2> enumerators(Own) {
    return {{{"WIDE", Own::WIDE}, {"INT4", Own::INT4}}};
}
struct OwnWidth {
    optional<Own, Own::INT4> dst_type{};
};
}  // namespace

TEST_CASE("the formats are every width with every granularity, from the lists in policy") {
    STATIC_REQUIRE(std::is_same_v<data_formats, type_list<Int4, Int8>>);
    STATIC_REQUIRE(
        std::is_same_v<weight_formats,
                       type_list<WeightFormat<Int4, ChannelWise>, WeightFormat<Int4, TensorWise>,
                                 WeightFormat<Int8, ChannelWise>, WeightFormat<Int8, TensorWise>>>);
    STATIC_REQUIRE(size_of(weight_formats{}) == 4);
    STATIC_REQUIRE(index_in<WeightFormat<Int8, ChannelWise>>(weight_formats{}) == 2);
    STATIC_REQUIRE(std::is_same_v<TypeAt<weight_formats, 3>::type, WeightFormat<Int8, TensorWise>>);
}

TEST_CASE("a message's format is its width, and its granularity or what holds unless it is set") {
    STATIC_REQUIRE(weight_format(ARQDistill{}, true) == 2);
    STATIC_REQUIRE(weight_format(ARQDistill{}, false) == 3);
    STATIC_REQUIRE(weight_format(ARQDistill{.dst_type = DataType::INT4}, true) == 0);
    STATIC_REQUIRE(weight_format(ARQDistill{.dst_type = DataType::INT4, .channel_wise = false}, true) == 1);
    STATIC_REQUIRE(weight_format(Plain{}, true) == 3);
    STATIC_REQUIRE(data_format(ActULQquantize{}) == 1);
    STATIC_REQUIRE(data_format(ActULQquantize{.dst_type = DataType::INT4}) == 0);
    // Widths go by their names, not by their numbers.
    STATIC_REQUIRE(data_format(OwnWidth{}) == 0);
    STATIC_REQUIRE(data_format(OwnWidth{.dst_type = Own::WIDE}) == 1);
}

TEST_CASE("an index leads back to its type") {
    for (std::size_t i = 0; i != 4; ++i)
        CHECK(visit_type(weight_formats{}, i,
                         []<class F>(std::type_identity<F>) { return index_in<F>(weight_formats{}); }) == i);
}

}  // namespace plan_formats_test
