// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/opset_conversion.hpp>

#include <list>
#include <string>
#include <utility>
#include <vector>

#include "models.hpp"
#include "support/catch.hpp"

namespace onnx_opset_conversion_test {

using namespace amct_distill;
using onnx_test::attribute;
using onnx_test::Model;

namespace {

/// What the nodes of a model are after the conversion: "Squeeze(x,[1])".
class Converted {
public:
    Converted(Model& model, std::int64_t opset) {
        onnx::GraphEdit edit(model.file());
        auto const ok = onnx::convert_opset(edit, opset);
        if (!ok) {
            error = ok.diagnostics().front().message;
            return;
        }
        bytes_ = edit.finish().value().model;
        onnx::ModelFile const file = onnx::ModelFile::of_bytes(bytes_).value();
        version = file.opset();
        ir_version = file.proto().ir_version.get();
        for (const onnx::NodeProto& n : file.graph().node) {
            std::string line = std::string(n.op_type.get()) + "(";
            for (std::string_view input : n.input)
                line += (line.back() == '(' ? "" : ",") + text(file, input);
            line += ")";
            for (const onnx::AttributeProto& a : n.attribute) line += " " + std::string(a.name.get());
            lines.push_back(std::move(line));
        }
    }
    std::vector<std::string> lines{};
    std::int64_t version = 0, ir_version = 0;
    std::string error{};

private:
    static std::string text(const onnx::ModelFile& file, std::string_view input) {
        for (const onnx::TensorProto& t : file.graph().initializer) {
            if (t.name.get() != input) continue;
            std::string out = t.dims.empty() ? "" : "[";
            for (double v : file.values(t).value().to_vector<double>())
                out += (out.size() > 1 ? " " : "") + std::to_string(static_cast<int>(v));
            return out + (t.dims.empty() ? "" : "]");
        }
        return std::string(input);
    }
    std::string bytes_{};
};

Model of(std::int64_t opset) {
    Model m(opset);
    m.input("x").output("y");
    return m;
}
onnx::AttributeProto real(std::string_view name, float value) {
    return {.name = name, .f = value, .type = 1};
}
onnx::AttributeProto mode(std::string_view value) {
    return {.name = std::string_view("mode"), .s = value, .type = 3};
}
using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("attributes that became inputs are inputs after a conversion of the opset") {
    Model m = of(9);
    m.node("Clip", {"x"}, {"a"}, {real("min", 0), real("max", 6)}, "clip");
    m.node("Pad", {"a"}, {"b"}, {attribute("pads", {0, 1, 0, 1}), real("value", 2), mode("constant")}, "pad");
    m.node("Squeeze", {"b"}, {"c"}, {attribute("axes", std::vector<std::int64_t>{1})}, "squeeze");
    m.node("ReduceSum", {"c"}, {"d"},
           {attribute("axes", std::vector<std::int64_t>{0}), attribute("keepdims", 0)});
    m.node(
        "Slice", {"d"}, {"e"},
        {attribute("starts", std::vector<std::int64_t>{1}), attribute("ends", std::vector<std::int64_t>{5})},
        "slice");
    m.node("Split", {"e"}, {"y", "z"}, {attribute("axis", 0), attribute("split", {2, 2})}, "split");
    Converted const to13(m, 13);
    CHECK(to13.lines == Lines{"Clip(x,0,6)", "Pad(a,[0 1 0 1],2) mode", "Squeeze(b,[1])",
                              "ReduceSum(c,[0]) keepdims", "Slice(d,[1],[5])", "Split(e,[2 2]) axis"});
    CHECK(to13.version == 13);
    CHECK(to13.ir_version == 7);
}

TEST_CASE("only what has changed by then is converted, and a later version is kept") {
    Model m = of(13);
    m.node("ReduceMean", {"x"}, {"a"}, {attribute("axes", std::vector<std::int64_t>{1})}, "mean");
    m.node("Split", {"a"}, {"y", "z"}, {attribute("axis", 0)}, "split");
    CHECK(Converted(m, 13).lines == Lines{"ReduceMean(x) axes", "Split(a) axis"});
    Converted const to21(m, 21);
    CHECK(to21.lines == Lines{"ReduceMean(x,[1])", "Split(a) axis num_outputs"});
    CHECK(to21.ir_version == 10);
    Model later = of(17);
    later.node("Relu", {"x"}, {"y"});
    CHECK(Converted(later, 13).version == 17);
    CHECK(Converted(later, 13).ir_version == 8);
}

TEST_CASE("an Upsample becomes a Resize with its coordinates") {
    Model m = of(7);
    onnx::AttributeProto scales{.name = std::string_view("scales"), .floats = {1, 1, 2, 2}, .type = 6};
    m.node("Upsample", {"x"}, {"y"}, {mode("nearest"), scales}, "up");
    CHECK(Converted(m, 13).lines ==
          Lines{"Resize(x,[],[1 1 2 2]) mode coordinate_transformation_mode nearest_mode"});
}

TEST_CASE("a softmax over several dimensions stays one") {
    Model m = of(11);
    m.node("Softmax", {"x"}, {"y"}, {attribute("axis", 1)}, "softmax");
    CHECK(Converted(m, 13).lines == Lines{"Shape(x)", "Flatten(x) axis", "Softmax(softmax/matrix) axis",
                                          "Reshape(softmax/rows,softmax/shape)"});
    Model matrix = of(11);
    matrix.node("Flatten", {"x"}, {"f"}).node("Softmax", {"f"}, {"y"});
    CHECK(Converted(matrix, 13).lines == Lines{"Flatten(x)", "Softmax(f) axis"});
    Model last = of(11);
    last.node("Softmax", {"x"}, {"y"}, {attribute("axis", -1)});
    CHECK(Converted(last, 13).lines == Lines{"Softmax(x) axis"});
}

TEST_CASE("what cannot be converted is refused, with its node") {
    Model m = of(18);
    m.node("GroupNormalization", {"x", "s", "b"}, {"y"}, {}, "norm").input("s").input("b");
    CHECK(Converted(m, 18).error.empty());
    CHECK(Converted(m, 21).error.starts_with(
        "node `norm` (GroupNormalization) is not converted to opset 21: "));
    Model old = of(6);
    old.node("Relu", {"x"}, {"y"});
    CHECK(Converted(old, 13).error ==
          "the model is of opset 6; those from 7 on become 13; convert it with onnx.version_converter first");
}

TEST_CASE("nodes of other domains, and those that were removed, are not converted") {
    Model m = of(9);
    m.node("Squeeze", {"x"}, {"a"}, {attribute("axes", std::vector<std::int64_t>{1})}, "other");
    m.graph().node.back().domain = std::string_view("com.example");
    m.node("Squeeze", {"a"}, {"b"}, {attribute("axes", std::vector<std::int64_t>{2})}, "own");
    m.node("Squeeze", {"b"}, {"y"}, {attribute("axes", std::vector<std::int64_t>{3})}, "standard");
    m.graph().node.back().domain = std::string_view("ai.onnx");
    CHECK(Converted(m, 13).lines == Lines{"Squeeze(x) axes", "Squeeze(a,[2])", "Squeeze(b,[3])"});
}

TEST_CASE("an error of a conversion has the model's file, and names the node or what it makes") {
    Model m = of(18);
    m.node("GroupNormalization", {"x", "s", "b"}, {"y"}).input("s").input("b");
    onnx::GraphEdit edit(m.file());
    auto const refused = onnx::convert_opset(edit, 21);
    REQUIRE_FALSE(refused);
    CHECK_THAT(
        to_string(refused.diagnostics()),
        Catch::StartsWith("test.onnx: error: node `y` (GroupNormalization) is not converted to opset 21: "));
    Model old = of(6);
    old.node("Relu", {"x"}, {"y"});
    onnx::GraphEdit of_old(old.file());
    CHECK(to_string(onnx::convert_opset(of_old, 13).diagnostics()) ==
          "test.onnx: error: the model is of opset 6; those from 7 on become 13; convert it with "
          "onnx.version_converter first");
    CHECK(onnx::convert_opset(of_old, 6).has_value());
    Model seven = of(7);
    seven.node("Relu", {"x"}, {"y"});
    CHECK(Converted(seven, 8).version == 8);
    CHECK(Converted(seven, 7).version == 7);
}

TEST_CASE("the format's version goes with that of the operators") {
    for (auto const& [opset, version] : std::vector<std::pair<std::int64_t, std::int64_t>>{
             {7, 7}, {13, 7}, {14, 7}, {15, 8}, {18, 8}, {19, 9}, {20, 9}, {21, 10}})
        CHECK(onnx::ir_version_of(opset) == version);
}

}  // namespace onnx_opset_conversion_test
