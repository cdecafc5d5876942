// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/input_shapes.hpp>

#include <filesystem>
#include <string>
#include <vector>

#include "models.hpp"
#include "support/catch.hpp"
#include "support/golden.hpp"

namespace onnx_input_shapes_test {

using namespace amct_distill;
using onnx::Batch;
using onnx::GraphView;
using onnx::input_shapes;
using onnx::Shape;
using onnx::Size;
using onnx_test::Model;

/// A size: a number, or a name, or "" for neither.
struct Dimension {
    std::int64_t value = -1;
    std::string_view name{};
};
onnx::ValueInfoProto input(std::string_view name, std::vector<Dimension> dims) {
    onnx::TensorShapeProto shape;
    for (const Dimension& d : dims) {
        auto& value = shape.dim.emplace_back().value;
        if (d.value >= 0) value.emplace<0>(d.value);
        if (!d.name.empty()) value.emplace<1>(d.name);
    }
    return {.name = name,
            .type = onnx::TypeProto{.tensor_type = onnx::TypeProto::Tensor{.elem_type = 1, .shape = shape}}};
}
/// A model with these inputs, all of which it adds.
Model model(std::vector<onnx::ValueInfoProto> inputs) {
    Model m;
    std::vector<std::string_view> names;
    for (auto& i : inputs) names.push_back(i.name.get());
    for (auto& i : inputs) m.graph().input.push_back(std::move(i));
    m.node("Sum", names, {"y"}).output("y");
    return m;
}
std::string error_of(std::vector<onnx::ValueInfoProto> inputs, const onnx::UserShapes& given = {}) {
    Model m = model(std::move(inputs));
    auto const graph = GraphView::of(m.file());
    auto const shapes = input_shapes(graph.value(), given);
    return shapes ? "no error" : to_string(shapes.diagnostics());
}

TEST_CASE("dimension 0 is the batch and stays free") {
    Model m = model({input("x", {{.name = "batch"}, {3}, {8}}), input("z", {{}, {3}, {8}})});
    auto const graph = GraphView::of(m.file());
    auto const shapes = input_shapes(graph.value());
    REQUIRE(shapes);
    CHECK(shapes->shapes == std::vector<Shape>(2, {Size::of_batch(), 3, 8}));
    CHECK_FALSE(shapes->exported_batch);
}

TEST_CASE(
    "a number in dimension 0 is the exporter's batch, unless it is kept, given, or not the same everywhere") {
    Model m = model({input("x", {{2}, {3}})});
    auto const graph = GraphView::of(m.file());
    auto const free = input_shapes(graph.value());
    CHECK(free.value().shapes[0] == Shape{Size::of_batch(), 3});
    CHECK(free.value().exported_batch == 2);
    auto const kept = input_shapes(graph.value(), {}, Batch::as_exported);
    CHECK(kept.value().shapes[0] == Shape{2, 3});
    CHECK_FALSE(kept.value().exported_batch);
    auto const given = input_shapes(graph.value(), {{"x", {5, 3}}});
    CHECK(given.value().shapes[0] == Shape{5, 3});
    CHECK(given.value().exported_batch == 2);

    Model two = model({input("x", {{2}, {3}}), input("z", {{7}, {3}})});
    auto const both = GraphView::of(two.file());
    auto const differing = input_shapes(both.value());
    CHECK(differing.value().shapes == std::vector<Shape>{{2, 3}, {7, 3}});
    CHECK_FALSE(differing.value().exported_batch);
}

TEST_CASE("sizes that the model leaves open are given by the user") {
    std::vector<onnx::ValueInfoProto> const open{
        input("image", {{.name = "batch"}, {3}, {.name = "height"}, {}})};
    CHECK(error_of(open) ==
          "test.onnx: error: the input `image` is [batch, 3, height, ?]: give its shape; the model leaves "
          "open size "
          "2, 3");
    Model m = model(open);
    auto const graph = GraphView::of(m.file());
    CHECK(input_shapes(graph.value(), {{"image", {-1, 3, 32, 48}}}).value().shapes[0] ==
          Shape{Size::of_batch(), 3, 32, 48});
    // The batch may stand elsewhere, when it has the same name.
    Model time = model({input("x", {{.name = "N"}, {3}}), input("z", {{4}, {.name = "N"}})});
    auto const timed = GraphView::of(time.file());
    CHECK(input_shapes(timed.value()).value().shapes[1][1] == Size::of_batch());
}

TEST_CASE("what contradicts the model is told, all at once") {
    std::vector<onnx::ValueInfoProto> const inputs{input("image", {{.name = "batch"}, {3}, {8}}),
                                                   {.name = std::string_view("mask")}};
    CHECK(error_of(inputs, {{"imag", {-1, 3, 8}}, {"image", {-1, 4, 8}}}) ==
          "test.onnx: error: a shape is given for `imag`, which is no input of the model; did you mean "
          "`image`?\n"
          "test.onnx: error: the shape given for the input `image` has 4 as size 1; the model has [batch, 3, "
          "8]\n"
          "test.onnx: error: the model does not tell the shape of its input `mask`; give it");
    CHECK_THAT(error_of(inputs, {{"image", {-1, 3}}, {"mask", {1}}}),
               Catch::Contains("has 2 sizes; the model has [batch, 3, 8]"));
    CHECK_THAT(error_of(inputs, {{"image", {-1, -3, 8}}, {"mask", {1}}}),
               Catch::Contains("has the size -3; -1 is the batch"));
    CHECK(error_of(inputs, {{"mask", {1}}}) == "no error");
}

TEST_CASE("the zoo's inputs have shapes, given those that are open") {
    std::size_t models = 0, open = 0;
    std::filesystem::path const zoo = std::filesystem::path(AMCT_DISTILL_GOLDEN_DIR) / "zoo";
    for (const auto& entry : std::filesystem::directory_iterator(zoo)) {
        std::string const name = entry.path().stem().string();
        if (entry.path().extension() != ".onnx") continue;
        auto const about = golden::load("zoo/" + name + ".json");
        if (about.at("expect").as_string() != "run") continue;
        INFO(name);
        auto const file = onnx::ModelFile::open(entry.path());
        auto const graph = GraphView::of(file.value());
        if (!input_shapes(graph.value())) ++open;
        for (const auto& one : about.at("cases").as_array()) {
            onnx::UserShapes given;
            for (const auto& [input, value] : one.at("inputs").as_object()) {
                for (std::size_t d : golden::shape(value))
                    given[std::string(input)].push_back(static_cast<std::int64_t>(d));
                given[std::string(input)].at(0) = -1;
            }
            auto const shapes = input_shapes(graph.value(), given);
            REQUIRE(shapes);
            for (const Shape& s : shapes->shapes) CHECK(s.at(0) == Size::of_batch());
        }
        ++models;
    }
    CHECK(models == 85);
    CHECK(open == 7);  // of any height and width, or time
}

}  // namespace onnx_input_shapes_test
