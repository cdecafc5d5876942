// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/attributes.hpp>

#include <string_view>
#include <vector>

#include "models.hpp"
#include "support/catch.hpp"

namespace onnx_attributes_test {

using namespace amct_distill;
using onnx::Attributes;
using onnx_test::attribute;

TEST_CASE("attributes are asked for by name and type") {
    onnx::NodeProto node;
    node.attribute.push_back(attribute("axis", 2));
    node.attribute.push_back(attribute("pads", std::vector<std::int64_t>{1, 2}));
    node.attribute.push_back({.name = std::string_view("alpha"), .f = 0.5f, .type = 1});
    node.attribute.push_back({.name = std::string_view("mode"), .s = std::string_view("linear"), .type = 3});
    node.attribute.push_back({.name = std::string_view("old"), .i = 7});  // without a type
    Attributes a(node);
    CHECK(a.integer("axis", 0) == 2);
    CHECK(a.integer("missing", 9) == 9);
    CHECK_FALSE(a.integer("missing"));
    CHECK(a.integers("pads") == std::vector<std::int64_t>{1, 2});
    CHECK(a.real("alpha", 1) == 0.5f);
    CHECK(a.text("mode") == "linear");
    CHECK(a.text("missing", "nearest") == "nearest");
    CHECK(*a.error() == "unknown attribute `old`; the result would be another one without it");
    CHECK(a.integer("old", 0) == 7);
    CHECK_FALSE(a.error());
}

TEST_CASE("attributes of a wrong type, and those that nobody asked for, are told") {
    onnx::NodeProto node;
    node.attribute.push_back(attribute("axis", std::vector<std::int64_t>{1}));
    node.attribute.push_back(attribute("b", 1));
    node.attribute.push_back(attribute("c", 1));
    Attributes a(node);
    CHECK(*a.error() == "unknown attribute `axis`, `b`, `c`; the result would be another one without it");
    a.ignore("b");
    CHECK(a.has("c"));
    CHECK(a.integer("axis", 4) == 4);
    CHECK(*a.error() == "attribute `axis` is not an integer, but of type 7");
}

TEST_CASE("numbers and lists that are too large for any tensor are cut, which is an error") {
    onnx::NodeProto node;
    node.attribute.push_back(attribute("axis", std::int64_t{1} << 62));
    node.attribute.push_back(attribute("pads", std::vector<std::int64_t>{1, -(std::int64_t{1} << 62)}));
    Attributes a(node);
    CHECK(a.integer("axis", 0) == onnx::largest_size + 1);
    CHECK(a.integers("pads") == std::vector<std::int64_t>{1, -onnx::largest_size - 1});
    CHECK(*a.error() == "attribute `axis`: 4611686018427387904 is too large");
    onnx::NodeProto lists;
    lists.attribute.push_back(attribute("axes", std::vector<std::int64_t>(1000, 1)));
    lists.attribute.push_back(attribute("split", std::vector<std::int64_t>(1000, 1)));
    Attributes b(lists);
    CHECK(b.integers("split")->size() == 1000);
    CHECK_FALSE(b.integers("axes")->size() > onnx::longest_list);
    CHECK(*b.error() == "attribute `axes` has 1000 numbers, more than any tensor has dimensions");
}

TEST_CASE("the first error of two counts, and a type of 0 is one that is left out") {
    onnx::NodeProto node;
    node.attribute.push_back(attribute("axes", std::vector<std::int64_t>(65, 1)));
    node.attribute.push_back(attribute("pads", std::vector<std::int64_t>(66, 1)));
    node.attribute.push_back({.name = std::string_view("axis"), .i = 3, .type = 0});
    node.attribute.push_back({.name = std::string_view("value"), .type = 4});  // without its tensor
    Attributes a(node);
    CHECK(a.integers("axes")->size() == onnx::longest_list);
    CHECK(a.integers("pads")->size() == onnx::longest_list);
    CHECK(a.integer("axis", 0) == 3);
    CHECK(a.tensor("value") == nullptr);
    CHECK(*a.error() == "attribute `axes` has 65 numbers, more than any tensor has dimensions");
}

}  // namespace onnx_attributes_test
