// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/tensor_values.hpp>

#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"

namespace onnx_tensor_values_test {

using namespace amct_distill;
using onnx::ElementType;
using onnx::tensor_values;
using onnx::TensorProto;

TensorProto tensor(ElementType type, std::vector<std::int64_t> dims) {
    TensorProto t;
    t.name = std::string_view("w");
    t.data_type = static_cast<std::int32_t>(type);
    t.dims = std::move(dims);
    return t;
}
TensorProto raw(ElementType type, std::vector<std::int64_t> dims, std::string_view bytes) {
    TensorProto t = tensor(type, std::move(dims));
    t.raw_data = bytes;
    return t;
}
std::string error_of(const TensorProto& t) {
    auto const r = tensor_values(t);
    return r ? "no error" : to_string(r.diagnostics());
}
using Floats = std::vector<float>;
using Integers = std::vector<std::int64_t>;

TEST_CASE("raw bytes of every type are read as numbers") {
    using namespace std::string_view_literals;
    auto const floats = [](ElementType type, std::int64_t n, std::string_view bytes) {
        return tensor_values(raw(type, {n}, bytes)).value().to_vector<float>();
    };
    CHECK(floats(ElementType::float32, 2, "\0\0\x80\x3F\0\0\0\xC0"sv) == Floats{1, -2});
    CHECK(floats(ElementType::float64, 1, "\0\0\0\0\0\0\xF8\x3F"sv) == Floats{1.5f});
    CHECK(floats(ElementType::float16, 2, "\0\x3C\0\xC0"sv) == Floats{1, -2});
    CHECK(floats(ElementType::bfloat16, 2, "\x80\x3F\0\xC0"sv) == Floats{1, -2});
    CHECK(floats(ElementType::int8, 2, "\xFF\x7F"sv) == Floats{-1, 127});
    CHECK(floats(ElementType::uint8, 2, "\xFF\x01"sv) == Floats{255, 1});
    CHECK(floats(ElementType::int16, 1, "\xFE\xFF"sv) == Floats{-2});
    CHECK(floats(ElementType::uint16, 1, "\xFE\xFF"sv) == Floats{65534});
    CHECK(floats(ElementType::int32, 1, "\xFD\xFF\xFF\xFF"sv) == Floats{-3});
    CHECK(floats(ElementType::uint32, 1, "\0\0\0\x80"sv) == Floats{0x1p31f});
    CHECK(floats(ElementType::int64, 1, "\xFC\xFF\xFF\xFF\xFF\xFF\xFF\xFF"sv) == Floats{-4});
    CHECK(floats(ElementType::uint64, 1, "\0\0\0\0\0\0\0\x80"sv) == Floats{0x1p63f});
    CHECK(floats(ElementType::boolean, 3, "\0\x01\x07"sv) == Floats{0, 1, 1});
    CHECK(floats(ElementType::int4, 3, "\x8F\x07"sv) == Floats{-1, -8, 7});
    CHECK(floats(ElementType::uint4, 3, "\x8F\x07"sv) == Floats{15, 8, 7});
    CHECK(tensor_values(raw(ElementType::int64, {1}, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F"sv))
              .value()
              .to_vector<std::int64_t>() == Integers{0x7FFFFFFFFFFFFFFF});
}

TEST_CASE("typed fields are read as numbers") {
    TensorProto f = tensor(ElementType::float32, {2});
    f.float_data = {1, -2};
    CHECK(tensor_values(f).value().to_vector<float>() == Floats{1, -2});
    TensorProto h = tensor(ElementType::float16, {2});
    h.int32_data = {0x3C00, 0xC000};
    CHECK(tensor_values(h).value().to_vector<float>() == Floats{1, -2});
    TensorProto b = tensor(ElementType::bfloat16, {1});
    b.int32_data = {0x3F80};
    CHECK(tensor_values(b).value().to_vector<float>() == Floats{1});
    TensorProto d = tensor(ElementType::float64, {1});
    d.double_data = {0.5};
    CHECK(tensor_values(d).value().to_vector<double>() == std::vector<double>{0.5});
    TensorProto i = tensor(ElementType::int64, {1});
    i.int64_data = {-5};
    CHECK(tensor_values(i).value().to_vector<std::int64_t>() == Integers{-5});
    TensorProto c = tensor(ElementType::int8, {2});
    c.int32_data = {-1, 127};
    CHECK(tensor_values(c).value().to_vector<std::int64_t>() == Integers{-1, 127});
    TensorProto u = tensor(ElementType::uint32, {1});
    u.uint64_data = {0xFFFFFFFFu};
    CHECK(tensor_values(u).value().to_vector<std::int64_t>() == Integers{0xFFFFFFFF});
    TensorProto n = tensor(ElementType::int4, {3});
    n.int32_data = {0x8F, 7};
    CHECK(tensor_values(n).value().to_vector<std::int64_t>() == Integers{-1, -8, 7});
    TensorProto t = tensor(ElementType::boolean, {2});
    t.int32_data = {1, 0};
    CHECK(tensor_values(t).value().to_vector<float>() == Floats{1, 0});
}

TEST_CASE("floats become the nearest integers") {
    TensorProto f = tensor(ElementType::float32, {6});
    f.float_data = {1.9f, -1.9f, 1e30f, -1e30f, std::numeric_limits<float>::quiet_NaN(), 0x1p63f};
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
    CHECK(tensor_values(f).value().to_vector<std::int64_t>() == Integers{1, -1, most, -most - 1, 0, most});
    CHECK(tensor_values(f).value().to_vector<std::int8_t>() ==
          std::vector<std::int8_t>{1, -1, 127, -128, 0, 127});
}

TEST_CASE("shapes: scalars, empty tensors, many dimensions") {
    auto const scalar = tensor_values(raw(ElementType::int8, {}, "\x05"));
    CHECK(scalar.value().shape().empty());
    CHECK(scalar.value().to_vector<int>() == std::vector<int>{5});
    auto const empty = tensor_values(tensor(ElementType::float32, {0}));
    CHECK(empty.value().size() == 0);
    CHECK(empty.value().to_vector<float>().empty());
    CHECK(tensor_values(raw(ElementType::float32, {1LL << 40, 1LL << 40, 0}, "")).value().size() == 0);
    auto const many = tensor_values(raw(ElementType::int8, {1, 2, 1, 1, 2}, "abcd"));
    CHECK(many.value().shape() == std::vector<std::size_t>{1, 2, 1, 1, 2});
}

TEST_CASE("raw bytes are not copied before they are asked for") {
    std::string const bytes(4000, 'x');
    auto const t = tensor_values(raw(ElementType::float32, {1000}, bytes));
    CHECK(std::get<std::string_view>(t.value().source()).data() == bytes.data());
}

TEST_CASE("sizes that do not fit are refused before anything is allocated") {
    CHECK(error_of(raw(ElementType::float32, {2}, "1234567")) ==
          "error: tensor `w`: raw_data has 7 bytes, but its shape and type need 8");
    CHECK(error_of(raw(ElementType::int4, {3}, "1")) ==
          "error: tensor `w`: raw_data has 1 bytes, but its shape and type need 2");
    CHECK(error_of(raw(ElementType::float32, {-1}, "1234")) == "error: tensor `w`: a dimension is -1");
    for (std::vector<std::int64_t> dims : {std::vector<std::int64_t>{1LL << 62},
                                           {1LL << 32, 1LL << 32},
                                           {1LL << 21, 1LL << 21, 1LL << 21},
                                           {1LL << 60, 3}})
        CHECK(error_of(raw(ElementType::float32, dims, "1234")) ==
              "error: tensor `w`: the product of its dimensions is larger than any memory");
    CHECK(error_of(raw(ElementType::float32, {1000000, 1000000}, "1234")) ==
          "error: tensor `w`: raw_data has 4 bytes, but its shape and type need 4000000000000");
    TensorProto few = tensor(ElementType::float32, {3});
    few.float_data = {1, 2};
    CHECK(error_of(few) == "error: tensor `w`: it has 2 values, but its shape and type need 3");
    CHECK(error_of(tensor(ElementType::float32, {3})) ==
          "error: tensor `w`: it has 0 values, but its shape and type need 3");
}

TEST_CASE("values in two places or in a wrong one are refused") {
    TensorProto two = raw(ElementType::float32, {1}, "1234");
    two.float_data = {1};
    CHECK_THAT(error_of(two), Catch::Contains("it has raw_data and values in a typed field"));
    TensorProto wrong = tensor(ElementType::float32, {1});
    wrong.int32_data = {1};
    CHECK(error_of(wrong) == "error: tensor `w`: values in a field that is not the one of type float");
    TensorProto outside = tensor(ElementType::float32, {1});
    outside.data_location = 1;
    CHECK_THAT(error_of(outside),
               Catch::Contains("its values are in another file; read the model by its path"));
    outside.raw_data = std::string_view("1234");
    CHECK_THAT(error_of(outside), Catch::Contains("its values are in the model and in another file"));
}

TEST_CASE("raw bytes of no values, too many dimensions, values in a field beside another file") {
    CHECK(tensor_values(raw(ElementType::float32, {2, 0}, "")).value().to_vector<float>().empty());
    CHECK(error_of(raw(ElementType::int8, Integers(33, 1), "a")) ==
          "error: tensor `w`: it has 33 dimensions, more than the 32 that are supported");
    TensorProto both = tensor(ElementType::float32, {1});
    both.data_location = 1;
    both.float_data = {1};
    CHECK(error_of(both) == "error: tensor `w`: its values are in the model and in another file");
}

TEST_CASE("types whose values are not read are named") {
    CHECK(error_of(tensor(ElementType::string, {1})) ==
          "error: tensor `w`: values of type string (8) are not supported");
    CHECK(error_of(tensor(ElementType::float8e5m2, {1})) ==
          "error: tensor `w`: values of type float8e5m2 (19) are not supported");
    CHECK(error_of(TensorProto{}) == "error: tensor ``: values of type undefined (0) are not supported");
    CHECK_THAT(error_of(tensor(static_cast<ElementType>(-7), {})), Catch::Contains("type unknown (-7)"));
}

}  // namespace onnx_tensor_values_test
