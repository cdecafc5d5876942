// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/operators/moves.hpp>
// The header under test comes first.
#include <limits>

#include "one_operator.hpp"
#include "support/catch.hpp"

namespace test_onnx_moves {

using namespace amct_distill;
using onnx_test::floats;
using onnx_test::integers;
using onnx_test::OneOperator;

namespace {
inline constexpr std::int32_t int64_type = 7;
bool contains(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }
onnx::TensorProto index(std::string_view name, std::int64_t value) {
    onnx::TensorProto t = integers(name, {value});
    t.dims.clear();
    return t;
}
}  // namespace

TEST_CASE("onnx moves: Concat and Split") {
    CHECK(OneOperator("Concat", {2, 3}).input("z", {4, 3}).integer("axis", -2).layer() ==
          "Concat { dim: 1 }");
    CHECK(OneOperator("Concat", {2}, 3).input("z", {4}).layer() == "Concat { dim: 1 }");
    CHECK(contains(OneOperator("Concat", {2}).input("z", {4}).layer(), "its axis is missing"));
    CHECK(contains(OneOperator("Concat", {2}).input("z", {4}).integer("axis", 0).layer(),
                   "expected a fixed batch for joining dimension 0 (fixed_input(); of an import --shape"));
    CHECK(contains(OneOperator("Concat", {2}).input("z", {4}).integer("axis", 2).layer(),
                   "axis 2 is not one of"));
    OneOperator token("Concat", {2});
    token.constant(floats("c", {1, 1}, {9})).integer("axis", 1);
    CHECK(token.run(nn::Tensor({2, 2}, {1, 2, 3, 4})) == nn::Tensor({2, 3}, {1, 2, 9, 3, 4, 9}));

    CHECK(OneOperator("Split", {4}).integer("axis", 1).layer() == "Split { dim: 1 sizes: [4] }");
    CHECK(contains(OneOperator("Split", {4}).integer("axis", 1).constant(integers("s", {1, 3})).layer(),
                   "2 sizes for 1 outputs"));
    CHECK(contains(OneOperator("Split", {4}).layer(), "a dimension of -1 has no 1 equal parts"));
}

TEST_CASE("onnx moves: Split's sizes in all opsets, by number of outputs") {
    auto const layer = [](std::int64_t opset, std::vector<onnx::AttributeProto> attributes,
                          std::vector<std::int64_t> sizes, std::int64_t width) {
        onnx_test::Model m(opset);
        m.graph().input.push_back(onnx_test::declared("x", {width}));
        std::vector<std::string_view> inputs{"x"};
        if (!sizes.empty()) {
            m.initializer(integers("sizes", std::move(sizes)));
            inputs.push_back("sizes");
        }
        attributes.push_back(onnx_test::attribute("axis", 1));
        m.node("Split", inputs, {"a", "b", "c"}, std::move(attributes)).output("a").output("b").output("c");
        auto const read = onnx::import_network(m.file());
        if (!read) return read.diagnostics().front().message;
        return read->network.operation(read->network.operations().front()).options();
    };
    CHECK(layer(11, {onnx_test::attribute("split", std::vector<std::int64_t>{1, 2, 3})}, {}, 6) ==
          "dim: 1 sizes: [1, 2, 3]");
    CHECK(layer(13, {}, {3, 2, 1}, 6) == "dim: 1 sizes: [3, 2, 1]");
    CHECK(layer(13, {}, {}, 6) == "dim: 1 sizes: [2, 2, 2]");
    CHECK(contains(layer(13, {}, {}, 7), "a dimension of 7 has no 3 equal parts"));
    CHECK(layer(18, {onnx_test::attribute("num_outputs", 3)}, {}, 7) == "dim: 1 sizes: [3, 3, 1]");
    CHECK(contains(layer(18, {onnx_test::attribute("num_outputs", 2)}, {}, 6), "equal parts"));
    CHECK(contains(layer(18, {onnx_test::attribute("num_outputs", 3)}, {}, 4), "equal parts"));
    CHECK(contains(layer(13, {}, {3, 3, 1}, 6), "expected one input whose dimension 1 is 7"));
}

TEST_CASE("onnx moves: Transpose and blocks of pixels") {
    CHECK(OneOperator("Transpose", {2, 3}).integers("perm", {0, 2, 1}).layer() ==
          "Transpose { permutation: [0, 2, 1] }");
    CHECK(OneOperator("Transpose", {2, 3}).integers("perm", {0, 1, 2}).layer() == "Identity { }");
    CHECK(OneOperator("Transpose", {2, 3}, 13, 1, true).layer() == "Transpose { permutation: [1, 0] }");
    CHECK(contains(OneOperator("Transpose", {2, 3}, 13, 1, true).integers("perm", {0}).layer(),
                   "perm has 1 axes for 2 dimensions"));
    CHECK(contains(OneOperator("Transpose", {2, 3}, 13, 1, true).integers("perm", {1, 1}).layer(),
                   "every dimension once"));
    CHECK(OneOperator("DepthToSpace", {8, 1, 1}).integer("blocksize", 2).layer() ==
          "DepthToSpace { block: 2 }");
    CHECK(OneOperator("DepthToSpace", {8, 1, 1}).integer("blocksize", 2).text("mode", "CRD").layer() ==
          "PixelShuffle { block: 2 }");
    CHECK(contains(OneOperator("DepthToSpace", {8, 1, 1}).integer("blocksize", 2).text("mode", "X").layer(),
                   "expected DCR or CRD"));
    CHECK(contains(OneOperator("DepthToSpace", {8, 1, 1}).layer(), "expected a block from 1 to 1073741824"));
    CHECK(OneOperator("SpaceToDepth", {1, 2, 2}).integer("blocksize", 2).layer() ==
          "SpaceToDepth { block: 2 }");
}

TEST_CASE("onnx moves: Slice by attributes and by inputs") {
    constexpr std::int64_t end = std::numeric_limits<std::int64_t>::max();
    CHECK(OneOperator("Slice", {5, 6}, 9)
              .integers("starts", {1, -2})
              .integers("ends", {3, 9})
              .integers("axes", {1, 2})
              .layer() == "Slice { dims: [1, 2] starts: [1, -2] ends: [3, 9] steps: [1, 1] }");
    auto const slice = [](std::vector<std::int64_t> starts, std::vector<std::int64_t> ends,
                          std::vector<std::int64_t> axes, std::vector<std::int64_t> steps) {
        OneOperator o("Slice", {5});
        o.constant(integers("s", std::move(starts))).constant(integers("e", std::move(ends)));
        axes.empty() ? o.absent() : o.constant(integers("a", std::move(axes)));
        if (!steps.empty()) o.constant(integers("t", std::move(steps)));
        return o.layer();
    };
    CHECK(slice({-1}, {-end}, {-1}, {-1}) ==
          "Slice { dims: [1] starts: [-1] ends: [-9223372036854775807] steps: [-1] }");
    // All of the batch stays.
    CHECK(slice({0, 1}, {end, 3}, {}, {}) == "Slice { dims: [1] starts: [1] ends: [3] steps: [1] }");
    CHECK(slice({0}, {end}, {0}, {}) == "Identity { }");
    CHECK(contains(slice({0}, {1}, {0}, {}), "expected a fixed batch for a slice of dimension 0"));
    CHECK(contains(slice({0}, {1, 2}, {1}, {}), "differ in number"));
    CHECK(contains(slice({7}, {9}, {1}, {}), "the slice leaves something"));
    CHECK(contains(slice({0}, {2}, {1}, {0}), "a step other than 0"));
    CHECK(contains(slice({0}, {2}, {2}, {}), "axis 2 is not one of"));
}

TEST_CASE("onnx moves: Gather of constant indices, and a table that is looked up") {
    CHECK(OneOperator("Gather", {3, 2}).constant(integers("i", {2, 0})).integer("axis", 1).layer() ==
          "Gather { dim: 1 indices: [2, 0] shape: [2] }");
    CHECK(OneOperator("Gather", {3, 2}).constant(index("i", -1)).integer("axis", -2).layer() ==
          "Gather { dim: 1 indices: [-1] shape: [] }");
    CHECK(contains(OneOperator("Gather", {3}).constant(integers("i", {3})).integer("axis", 1).layer(),
                   "dimension 1 has an index 3"));
    CHECK(contains(OneOperator("Gather", {3}).input("i", {2}, int64_type).layer(),
                   "its indices depend on the network's inputs"));

    onnx_test::Model m;
    m.graph().input.push_back(onnx_test::declared("ids", {2}, int64_type));
    m.initializer(floats("emb.weight", {3, 2}, {1, 2, 3, 4, 5, 6}));
    m.node("Gather", {"emb.weight", "ids"}, {"y"}).output("y");
    auto const read = onnx::import_network(m.file());
    REQUIRE(read);
    CHECK(read->network.modules().front().name == "emb");
    CHECK(read->network.modules().front().module.type() == "Embedding");
    CHECK(read->network.predict(nn::Tensor({1, 2}, {2, 0})) == nn::Tensor({1, 2, 2}, {5, 6, 1, 2}));
}

TEST_CASE("onnx moves: Pad by attributes, by inputs, and of some axes") {
    CHECK(OneOperator("Pad", {3}, 10).integers("pads", {0, 1, 0, 2}).real("value", 5).layer() ==
          "Pad { begin: [0, 1] end: [0, 2] mode: 0 value: 5 }");
    CHECK(OneOperator("Pad", {3}).constant(integers("p", {0, 1, 0, 2})).text("mode", "reflect").layer() ==
          "Pad { begin: [0, 1] end: [0, 2] mode: 1 value: 0 }");
    CHECK(OneOperator("Pad", {3})
              .constant(integers("p", {0, 1, 0, -2}))
              .constant(floats("v", {}, {7}))
              .layer() == "Pad { begin: [0, 1] end: [0, -2] mode: 0 value: 7 }");
    CHECK(OneOperator("Pad", {3, 4}, 18)
              .constant(integers("p", {1, 2}))
              .absent()
              .constant(integers("axes", {-1}))
              .text("mode", "edge")
              .layer() == "Pad { begin: [0, 0, 1] end: [0, 0, 2] mode: 2 value: 0 }");
    CHECK(OneOperator("Pad", {3}).constant(integers("p", {0, 0, 0, 0})).layer() == "Identity { }");
    CHECK(contains(OneOperator("Pad", {3}).constant(integers("p", {0, 0, 0})).layer(),
                   "expected 4 pads, found 3"));
    CHECK(contains(OneOperator("Pad", {3}).constant(integers("p", {0, 1, 0, 1})).text("mode", "wrap").layer(),
                   "mode `wrap`; expected constant, reflect or edge"));
    CHECK(contains(OneOperator("Pad", {3}).constant(integers("p", {1, 0, 0, 0})).layer(),
                   "expected a fixed batch for padding of dimension 0"));
    CHECK(contains(OneOperator("Pad", {3}, 10).layer(), "its pads are missing"));
}

TEST_CASE("onnx moves: Expand and Tile") {
    auto const expand = [](std::vector<std::int64_t> shape) {
        return OneOperator("Expand", {1, 3}).constant(integers("s", std::move(shape))).layer();
    };
    CHECK(expand({1, 4, 3}) == "Expand { shape: [1, 4, 3] }");
    CHECK(expand({2, 1}) == "Expand { shape: [2, 1] }");
    CHECK(contains(expand({2, 4, 3}), "expected a fixed batch for another dimension 0"));
    CHECK(contains(expand({1, 1, 1, 1}), "expected a fixed batch for another dimension 0"));
    CHECK(contains(expand({4}), "expected an input that can be expanded to [4]"));
    CHECK(OneOperator("Tile", {2}).constant(integers("r", {1, 3})).layer() == "Tile { repeats: [1, 3] }");
    CHECK(contains(OneOperator("Tile", {2}).constant(integers("r", {2, 1})).layer(),
                   "expected a fixed batch for repeating dimension 0"));
    CHECK(contains(OneOperator("Tile", {2}).constant(integers("r", {1})).layer(),
                   "expected one input with 1 dimensions"));
}

TEST_CASE("onnx moves: where the values go") {
    using Values = std::vector<float>;
    auto const moved = [](auto&& o, nn::Shape shape) {
        nn::Tensor x(std::move(shape));
        for (std::size_t i = 0; i != x.size(); ++i) x[i] = static_cast<float>(i);
        nn::Tensor const y = o.run(x);
        return Values(y.begin(), y.end());
    };
    CHECK(moved(OneOperator("Transpose", {2, 3}).integers("perm", {0, 2, 1}), {1, 2, 3}) ==
          Values{0, 3, 1, 4, 2, 5});
    CHECK(moved(OneOperator("DepthToSpace", {8, 1, 1}).integer("blocksize", 2), {1, 8, 1, 1}) ==
          Values{0, 2, 4, 6, 1, 3, 5, 7});
    CHECK(moved(OneOperator("DepthToSpace", {8, 1, 1}).integer("blocksize", 2).text("mode", "CRD"),
                {1, 8, 1, 1}) == Values{0, 1, 2, 3, 4, 5, 6, 7});
    CHECK(moved(OneOperator("SpaceToDepth", {2, 2, 2}).integer("blocksize", 2), {1, 2, 2, 2}) ==
          Values{0, 4, 1, 5, 2, 6, 3, 7});

    auto const pad = [&](std::string_view mode, std::vector<std::int64_t> pads) {
        OneOperator o("Pad", {3});
        if (!mode.empty()) o.text("mode", mode);
        return moved(o.constant(integers("p", std::move(pads))), {1, 3});
    };
    CHECK(pad("", {0, 1, 0, 2}) == Values{0, 0, 1, 2, 0, 0});
    CHECK(pad("reflect", {0, 1, 0, 2}) == Values{1, 0, 1, 2, 1, 0});
    CHECK(pad("edge", {0, 1, 0, 2}) == Values{0, 0, 1, 2, 2, 2});
    CHECK(pad("constant", {0, -1, 0, 1}) == Values{1, 2, 0});

    auto const slice = [&](std::int64_t start, std::int64_t end, std::int64_t step) {
        OneOperator o("Slice", {5});
        o.constant(integers("s", {start})).constant(integers("e", {end})).constant(integers("a", {1}));
        return moved(o.constant(integers("t", {step})), {1, 5});
    };
    constexpr std::int64_t end = std::numeric_limits<std::int64_t>::max();
    CHECK(slice(1, end, 2) == Values{1, 3});
    CHECK(slice(-1, -end, -2) == Values{4, 2, 0});
    CHECK(slice(-4, -1, 1) == Values{1, 2, 3});

    CHECK(moved(OneOperator("Gather", {3}).constant(integers("i", {2, 0, -1})).integer("axis", 1), {1, 3}) ==
          Values{2, 0, 2});
    CHECK(moved(OneOperator("Tile", {2}).constant(integers("r", {1, 2})), {1, 2}) == Values{0, 1, 0, 1});
    CHECK(moved(OneOperator("Expand", {1, 2}).constant(integers("s", {1, 3, 1})), {1, 1, 2}) ==
          Values{0, 1, 0, 1, 0, 1});
}

TEST_CASE("onnx moves: an error says where, and what instead") {
    CHECK(OneOperator("Pad", {3}).constant(integers("p", {0, 1, 0, 1})).text("mode", "wrap").layer() ==
          "node 0 (Pad), which makes `y`: mode `wrap`; expected constant, reflect or edge");
    CHECK(OneOperator("Transpose", {2, 3}).integers("perm", {0, 2, 2}).layer() ==
          "node 0 (Transpose), which makes `y`: expected every dimension once in perm");
    CHECK(OneOperator("Transpose", {2, 3}).integers("perm", {0, 1, 3}).layer() ==
          "node 0 (Transpose), which makes `y`: axis 3 is not one of the 3 dimensions");
}

}  // namespace test_onnx_moves
