// SPDX-License-Identifier: Apache-2.0
// What the operators refuse, and the forms of them that are rare: each with the words that say so.
#include <amct_distill/onnx/operators.hpp>

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "one_operator.hpp"
#include "support/catch.hpp"

namespace test_onnx_refused {

using namespace amct_distill;
using Catch::Contains;
using onnx_test::floats;
using onnx_test::integers;
using onnx_test::OneOperator;

namespace {
inline constexpr std::int32_t uint8_type = 2, int8_type = 3, int16_type = 5, int32_type = 6, int64_type = 7,
                              bool_type = 9, float16_type = 10, uint32_type = 12, uint64_type = 13,
                              bfloat16_type = 16;
onnx::TensorProto ones(std::string_view name, std::vector<std::int64_t> dims) {
    std::size_t n = 1;
    for (std::int64_t d : dims) n *= static_cast<std::size_t>(d);
    return floats(name, std::move(dims), std::vector<float>(n, 1));
}
/// Text or numbers that are no constant's of the file: a float where integers are read.
onnx::TensorProto index(std::string_view name, std::int64_t value) {
    onnx::TensorProto t = integers(name, {value});
    t.dims.clear();
    return t;
}
std::string cast(std::int32_t from, std::int64_t to) {
    return OneOperator("Cast", {2}, 13, from).integer("to", to).layer();
}
}  // namespace

TEST_CASE("onnx refused: weights of convolutions that do not fit, output shapes of no image") {
    auto const conv = [](std::string_view op, std::vector<std::int64_t> of_weight, std::int64_t groups) {
        OneOperator o(op, {4, 5, 5});
        o.constant(ones("w", std::move(of_weight))).integer("group", groups);
        return o.layer();
    };
    CHECK_THAT(conv("Conv", {4, 4, 3, 3}, 0), Contains("expected a weight for 4 channels in 0 groups"));
    CHECK_THAT(conv("Conv", {2, 1, 3, 3}, 4), Contains("in 4 groups, found [2, 1, 3, 3]"));
    CHECK_THAT(conv("Conv", {5, 2, 3, 3}, 2), Contains("in 2 groups, found [5, 2, 3, 3]"));
    CHECK_THAT(conv("ConvTranspose", {4, 2, 3, 3}, 3), Contains("in 3 groups, found [4, 2, 3, 3]"));
    CHECK_THAT(OneOperator("Conv", {4}).constant(ones("w", {4, 4})).layer(),
               Contains("its images have 0 dimensions; convolutions of one and two are supported"));
    CHECK_THAT(OneOperator("Conv", {4, 2, 2, 2, 2}).constant(ones("w", {4, 4, 1, 1, 1, 1})).layer(),
               Contains("its images have 4 dimensions"));
    CHECK_THAT(OneOperator("Conv", {4, 2, 2}).constant(ones("w", {4, 4, 1})).layer(),
               Contains("expected a weight of 4 dimensions, found [4, 4, 1]"));
    CHECK_THAT(OneOperator("Conv", {1, 2}).constant(ones("w", {2, 1, 1})).constant(ones("b", {3})).layer(),
               Contains("expected a bias of 2 values, found [3]"));
    auto const transposed = [](std::vector<std::int64_t> output_shape) {
        OneOperator o("ConvTranspose", {1, 3});
        o.constant(ones("w", {1, 1, 3})).integers("output_shape", std::move(output_shape));
        return o.integers("strides", {2}).layer();
    };
    CHECK_THAT(transposed({1, 1, 8}), Contains("padding: 0 output_padding: 1"));  // with batch and channels
    CHECK_THAT(transposed({8, 8}), Contains("expected an output_shape of the image's dimensions"));
    CHECK_THAT(OneOperator("ConvTranspose", {1, 3})
                   .constant(ones("w", {1, 1, 3}))
                   .integers("output_padding", {0, 0})
                   .layer(),
               Contains("output_padding"));
    CHECK_THAT(OneOperator("Conv", {1, 3}).constant(ones("w", {1, 1, 3})).integers("strides", {0}).layer(),
               Contains("strides"));
    CHECK_THAT(OneOperator("Conv", {1, 3}).input("w", {1, 3}).layer(), Contains("expected a constant"));
}

TEST_CASE("onnx refused: equations that are no product of two tensors") {
    auto const einsum = [](std::string_view equation, bool two = false) {
        OneOperator o("Einsum", {2, 3});
        if (two) o.constant(ones("w", {3, 4}));
        return o.text("equation", equation).layer();
    };
    std::string const refused = "expected one or two tensors whose letters differ; write it by";
    CHECK_THAT(einsum("abc,cd,de->abe", true), Contains("`abc,cd,de->abe`; " + refused));
    CHECK_THAT(einsum("abc,cd->abD,d", true), Contains(refused));
    CHECK_THAT(einsum("abc->ab1"), Contains("`abc->ab1`; " + refused));
    CHECK_THAT(einsum("ab[->ab"), Contains(refused));
    CHECK_THAT(einsum("ab{->ab"), Contains(refused));
    CHECK_THAT(einsum("a@b->ab"), Contains(refused));
    CHECK_THAT(einsum("abb->ab"), Contains(refused));
    CHECK_THAT(einsum("abc->abb"), Contains(refused));
    CHECK_THAT(einsum("abc->abd"), Contains(refused));
    CHECK_THAT(einsum("ab->ab"), Contains("`ab->ab` does not fit its inputs' dimensions"));
    CHECK_THAT(einsum(std::string(300, 'a')), Contains(std::string(40, 'a') + " ...`; " + refused));
    CHECK_THAT(einsum("abc,bd->acd", true), Contains("the letter b has the sizes 2 and 3"));
    CHECK_THAT(einsum("abc->bc"), Contains("batch"));
    CHECK(einsum("ABC->ACB") == "Transpose { permutation: [0, 2, 1] }");
    CHECK_THAT(einsum("cab"), Contains("expected a fixed batch for another place of dimension 0"));
}

TEST_CASE("onnx refused: matrices with a batch, biases of other shapes") {
    auto const gemm = [](onnx::TensorProto c) {
        OneOperator o("Gemm", {3});
        return o.constant(ones("w", {3, 4})).constant(std::move(c)).layer();
    };
    std::string const apart = "Linear { in_features: 3 out_features: 4 bias: false } Add { }";
    CHECK(gemm(ones("c", {4})) == "Linear { in_features: 3 out_features: 4 bias: true }");
    CHECK(gemm(ones("c", {1, 4})) == "Linear { in_features: 3 out_features: 4 bias: true }");
    CHECK_THAT(gemm(ones("c", {4, 1})), Contains("broadcast") || Contains("batch"));
    CHECK_THAT(gemm(ones("c", {1, 1, 4})), Contains("found [N, 4] and [1, 1, 4]"));
    CHECK_THAT(OneOperator("Gemm", {3}).constant(ones("w", {3, 4})).input("c", {4}).layer(), Contains(apart));
    for (std::int64_t columns : {1, 4})
        CHECK(OneOperator("MatMul", {3}, 13, 1, true).constant(ones("w", {3, columns})).layer() ==
              "MatMul { }");
    CHECK(OneOperator("MatMul", {3}, 13, 1, true).constant(ones("v", {3})).layer() == "MatMul { }");
    CHECK_THAT(OneOperator("Gemm", {3}).absent().layer(), Contains("input 1 is missing"));
}

TEST_CASE("onnx refused: slices, gathers, pads and tiles of the batch") {
    auto const slice = [](std::vector<std::int64_t> steps) {
        OneOperator o("Slice", {5});
        o.constant(integers("s", {0})).constant(integers("e", {2})).constant(integers("a", {1}));
        return o.constant(integers("t", std::move(steps))).layer();
    };
    CHECK(slice({2}) == "Slice { dims: [1] starts: [0] ends: [2] steps: [2] }");
    CHECK_THAT(slice({1, 1}), Contains("its starts, ends, axes and steps differ in number"));
    CHECK_THAT(OneOperator("Slice", {5}, 9).integers("starts", {1}).layer(), Contains("differ in number"));
    CHECK_THAT(OneOperator("Slice", {5}, 9).constant(integers("s", {1})).layer(),
               Contains("expected at most 1 inputs, found 2"));
    CHECK_THAT(OneOperator("Slice", {5}).constant(integers("s", {1})).constant(integers("e", {2})).layer(),
               Contains("fixed batch"));

    onnx_test::Model m;
    m.graph().input.push_back(onnx_test::declared("ids", {2}, int64_type));
    m.initializer(ones("table", {3, 2}))
        .node("Gather", {"table", "ids"}, {"y"}, {onnx_test::attribute("axis", 1)});
    CHECK_THAT(onnx::import_network(m.output("y").file()).diagnostics().at(0).message,
               Contains("are taken into the rows of a table [number, size] alone"));
    CHECK(OneOperator("Gather", {3}, 13, 1, true).constant(index("i", 1)).layer() ==
          "Gather { dim: 0 indices: [1] shape: [] }");
    CHECK_THAT(OneOperator("Gather", {3}).constant(floats("i", {1}, {1})).integer("axis", 1).layer(),
               Contains("expected integers"));

    CHECK(OneOperator("Pad", {3}, 1).integers("paddings", {0, 1, 0, 2}).layer() ==
          "Pad { begin: [0, 1] end: [0, 2] mode: 0 value: 0 }");
    CHECK_THAT(OneOperator("Pad", {3}, 18)
                   .constant(integers("p", {1, 2}))
                   .absent()
                   .constant(integers("axes", {5}))
                   .layer(),
               Contains("axis 5 is not one of the 2 dimensions"));
    CHECK(OneOperator("Expand", {3})
              .constant(onnx::TensorProto{.dims = {0}, .data_type = 7, .name = "s"})
              .layer() == "Identity { }");
    CHECK_THAT(OneOperator("Tile", {3}, 5).constant(integers("r", {1, 2})).layer(),
               Contains("of an opset before 6; export the model with a newer one"));
    CHECK(OneOperator("Tile", {}, 13, 1, true).constant(integers("r", {})).layer() == "Identity { }");
    CHECK_THAT(OneOperator("Tile", {3}).constant(floats("r", {2}, {1, 2})).layer(),
               Contains("expected integers"));
    CHECK_THAT(OneOperator("Tile", {3}).constant(integers("r", {1, std::int64_t{1} << 40})).layer(),
               Contains("input 1: 1099511627776 is too large"));
    CHECK_THAT(OneOperator("Tile", {3}).constant(integers("r", {1, -(std::int64_t{1} << 40)})).layer(),
               Contains("input 1: -1099511627776 is too large"));
    CHECK_THAT(OneOperator("Tile", {3}).constant(integers("r", std::vector<std::int64_t>(65, 1))).layer(),
               Contains("input 1 has more numbers than any tensor has dimensions"));
    CHECK_THAT(OneOperator("Expand", {3}).constant(integers("r", std::vector<std::int64_t>(65, 1))).layer(),
               Contains("input 1 has 65 numbers, more than any tensor has dimensions"));
    CHECK_THAT(OneOperator("Expand", {3}).constant(floats("r", {1}, {3})).layer(),
               Contains("expected integers"));
    CHECK_THAT(OneOperator("Expand", {3}).layer(), Contains("input 1 is missing"));
    CHECK_THAT(OneOperator("Tile", {3}).layer(), Contains("input 1 is missing"));
}

TEST_CASE("onnx refused: normalizations in training, of other sizes, with an odd epsilon") {
    auto const batch_norm = [](const std::vector<std::int64_t>& dims, std::int64_t opset) {
        OneOperator o("BatchNormalization", dims, opset);
        for (std::string_view name : {"s", "b", "m", "v"}) o.constant(ones(name, {2}));
        return o;
    };
    CHECK_THAT(batch_norm({2, 3}, 9).real("epsilon", std::numeric_limits<float>::infinity()).layer(),
               Contains("eps"));
    CHECK_THAT(batch_norm({2, 3}, 9).real("epsilon", -0.5f).layer(), Contains("eps"));
    CHECK_THAT(batch_norm({2, 3}, 15).integer("training_mode", 1).layer(),
               Contains("it is in training mode; export the model after model.eval()"));
    CHECK_THAT(batch_norm({2, 3}, 6).layer(), Contains("it is in training mode"));
    CHECK(batch_norm({2}, 6).integer("is_test", 1).layer().starts_with("BatchNorm1d"));
    CHECK_THAT(batch_norm({2, 3}, 7).integer("spatial", 0).layer(), Contains("spatial is 0"));
    CHECK_THAT(OneOperator("BatchNormalization", {4}, 9, 1, true).layer(),
               Contains("expected an input with channels"));
    CHECK_THAT(batch_norm({3, 2}, 9).layer(), Contains("input 1: expected 3 values, found [2]"));
    CHECK_THAT(batch_norm({2, 1, 1, 1, 1}, 9).layer(), Contains("images of one, two or three dimensions"));
    CHECK(batch_norm({2, 1, 1, 1}, 9).layer().starts_with("BatchNorm3d"));
    for (std::size_t wanted : {1u, 2u, 3u, 4u}) {
        onnx_test::Model m(13);
        m.graph().input.push_back(onnx_test::declared("x", {2, 3}));
        for (std::string_view name : {"s", "b", "m", "v"}) m.initializer(ones(name, {2}));
        static constexpr std::array<std::string_view, 5> names{"y", "y1", "y2", "y3", "y4"};
        m.node("BatchNormalization", {"x", "s", "b", "m", "v"},
               std::vector<std::string_view>(names.begin(), names.end()));
        m.output("y").output(names[wanted]);
        CHECK_THAT(onnx::import_network(m.file()).diagnostics().at(0).message, Contains("in training mode"));
    }

    auto const group_norm = [](std::int64_t groups, std::int64_t opset, std::int64_t values) {
        OneOperator o("GroupNormalization", {4, 2}, opset);
        return o.constant(ones("s", {values}))
            .constant(ones("b", {values}))
            .integer("num_groups", groups)
            .layer();
    };
    CHECK(group_norm(2, 18, 2).starts_with("GroupNorm { num_groups: 2 num_channels: 4"));
    CHECK(group_norm(2, 21, 4).starts_with("GroupNorm { num_groups: 2 num_channels: 4"));
    CHECK_THAT(group_norm(3, 18, 3), Contains("3 groups do not divide its 4 channels"));
    CHECK_THAT(group_norm(0, 18, 3), Contains("0 groups do not divide"));
    CHECK_THAT(group_norm(5, 18, 3), Contains("5 groups do not divide"));
    CHECK_THAT(group_norm(2, 21, 2), Contains("input 1: expected 4 values, found [2]"));
    CHECK_THAT(OneOperator("GroupNormalization", {4}, 18, 1, true).integer("num_groups", 1).layer(),
               Contains("expected an input with channels"));

    auto const instance_norm = [](const std::vector<std::int64_t>& dims, float scale, float bias) {
        OneOperator o("InstanceNormalization", dims);
        return o.constant(floats("s", {2}, {1, scale})).constant(floats("b", {2}, {0, bias})).layer();
    };
    CHECK_THAT(instance_norm({2, 3}, 1, 0), Contains("InstanceNorm1d") && Contains("affine: false"));
    CHECK_THAT(instance_norm({2, 3, 3}, 1, 1), Contains("InstanceNorm2d") && Contains("affine: true"));
    CHECK_THAT(instance_norm({2, 3, 3}, 2, 0), Contains("affine: true"));
    CHECK_THAT(instance_norm({2}, 1, 0), Contains("expected images, [N, C, ...]"));

    auto const layer_norm = [](std::int64_t axis, onnx::TensorProto scale) {
        OneOperator o("LayerNormalization", {2, 3}, 17);
        return o.constant(std::move(scale)).integer("axis", axis).layer();
    };
    CHECK_THAT(layer_norm(-1, ones("s", {3})), Contains("LayerNorm { normalized_shape: [3]"));
    CHECK_THAT(layer_norm(1, ones("s", {2, 1})), Contains("normalized_shape: [2, 3]"));
    CHECK_THAT(layer_norm(1, ones("s", {1})), Contains("normalized_shape: [2, 3]"));
    CHECK_THAT(layer_norm(1, ones("s", {2})), Contains("input 1: expected values for [2, 3], found [2]"));
    CHECK_THAT(layer_norm(-1, ones("s", {1, 3})), Contains("input 1: expected values for [3], found [1, 3]"));
    CHECK_THAT(layer_norm(0, ones("s", {3})), Contains("it normalizes over the batch"));
    CHECK_THAT(layer_norm(3, ones("s", {3})), Contains("axis 3 is not one of the 3 dimensions"));
}

TEST_CASE("onnx refused: sizes to resize to, and scales, that are not one for each dimension") {
    auto const sizes = [](std::vector<std::int64_t> to) {
        OneOperator o("Resize", {1, 4, 4});
        return o.absent().absent().constant(integers("s", std::move(to))).layer();
    };
    CHECK_THAT(sizes({1, 8, 8}), Contains("expected a size for each dimension, found 3"));
    CHECK_THAT(OneOperator("Resize", {1, 4, 4}).absent().constant(floats("s", {1}, {2})).layer(),
               Contains("expected a scale for each dimension, found 1"));
    auto const axes = [](std::int64_t axis) {
        OneOperator o("Resize", {1, 4, 4}, 18);
        return o.absent().absent().constant(integers("s", {8})).integers("axes", {axis}).layer();
    };
    CHECK_THAT(axes(-1), Contains("sizes: [0, 0, 0, 8]"));
    CHECK_THAT(axes(4), Contains("axis 4 is not one of the 4 dimensions"));
    CHECK_THAT(OneOperator("Resize", {1, 4, 4}, 18)
                   .absent()
                   .constant(floats("s", {1}, {2}))
                   .integers("axes", {7})
                   .layer(),
               Contains("axis 7 is not one of the 4 dimensions"));
    auto const upsample = [](std::int64_t opset, std::string_view mode, std::vector<float> scales) {
        OneOperator o("Upsample", {1, 4, 4}, opset);
        o.constant(floats("s", {static_cast<std::int64_t>(scales.size())}, scales));
        return o.text("mode", mode).layer();
    };
    CHECK_THAT(upsample(9, "bilinear", {1, 1, 2, 2}), Contains("Upsample { "));
    CHECK_THAT(upsample(9, "linear", {1, 1, 0.5f, 2}), Contains("Upsample { "));
    CHECK_THAT(upsample(9, "nearest", {1, 1, 0.5f, 2}),
               Contains("it makes one dimension larger and another smaller"));
    CHECK_THAT(upsample(9, "nearest", {1, 1, 0.5f, 0.5f}), Contains("Upsample { "));
    CHECK_THAT(upsample(9, "area", {1, 1, 2, 2}), Contains("mode `area` is not supported"));
    CHECK_THAT(OneOperator("Upsample", {1, 4, 4}, 8).layer(), Contains("its scales are missing"));
    CHECK_THAT(OneOperator("Resize", {1, 4, 4}).absent().input("s", {4}).layer(),
               Contains("expected a constant"));
}

TEST_CASE("onnx refused: numbers that float32 has not, tensors without elements, copies without end") {
    auto const doubles = [](std::string_view name, std::vector<std::int64_t> dims,
                            std::vector<double> values) {
        onnx::TensorProto t{.dims = std::move(dims), .data_type = 11, .name = name};
        t.double_data = std::move(values);
        return t;
    };
    std::string const beyond = ": a double of it is beyond float32, which the network computes in";
    CHECK(OneOperator("MatMul", {2}).constant(doubles("w", {2, 1}, {1, 1e300})).layer() ==
          "node 0 (MatMul), which makes `y`: input 1" + beyond);
    CHECK(OneOperator("Gemm", {2}).constant(doubles("w", {2, 1}, {1, 1e300})).layer() ==
          "node 0 (Gemm), which makes `y`: input 1" + beyond);
    onnx_test::Model table;
    table.graph().input.push_back(onnx_test::declared("ids", {2}, int64_type));
    table.initializer(doubles("t", {2, 1}, {1, 1e300})).node("Gather", {"t", "ids"}, {"y"}).output("y");
    CHECK(onnx::import_network(table.file()).diagnostics().at(0).message ==
          "node 0 (Gather), which makes `y`: input 0" + beyond);
    CHECK_THAT(OneOperator("PRelu", {2}).constant(doubles("s", {2}, {1, 1e300})).layer(), Contains(beyond));
    std::string const too_often =
        "its constants are copied so often that they would take many times the file's size";
    CHECK_THAT(OneOperator("GroupNormalization", {3000000, 1}, 18)
                   .constant(ones("s", {1}))
                   .constant(ones("b", {1}))
                   .integer("num_groups", 1)
                   .layer(),
               Contains(too_often));
    CHECK_THAT(OneOperator("LayerNormalization", {1, 3000000}, 17).constant(ones("s", {1})).layer(),
               Contains(too_often));
}

TEST_CASE("onnx refused: slices and repeats whose numbers depend on the batch") {
    auto const with = [](std::string_view op, std::vector<std::string_view> inputs) {
        onnx_test::Model m;
        m.graph().input.push_back(onnx_test::declared("x", {4}));
        m.initializer(integers("0", {0})).initializer(integers("1", {1})).initializer(integers("4", {4}));
        m.initializer(integers("large", {1000000000000}));
        m.node("Shape", {"x"}, {"s"}).node("Slice", {"s", "0", "1"}, {"n"}).node("Sub", {"n", "1"}, {"n-1"});
        m.node("Concat", {"n", "1", "4"}, {"n14"}, {onnx_test::attribute("axis", 0)});
        m.node("Concat", {"n", "n"}, {"nn"}, {onnx_test::attribute("axis", 0)});
        m.initializer(floats("c", {1}, {1})).node("Expand", {"c", "nn"}, {"square"});
        m.node(op, std::move(inputs), {"y"}).output("y");
        auto const read = onnx::import_network(m.file());
        return read ? std::string("no error") : read.diagnostics().at(0).message;
    };
    CHECK(with("Slice", {"x", "0", "n", "0"}) == "no error");
    CHECK(with("Slice", {"x", "0", "large", "0"}) == "no error");
    std::string const depends = "what it cuts depends on the batch; give the inputs fixed shapes";
    CHECK_THAT(with("Slice", {"x", "0", "n-1", "0"}), Contains(depends));
    CHECK_THAT(with("Slice", {"x", "n-1", "n", "0"}), Contains(depends));
    CHECK_THAT(with("Expand", {"x", "n14"}),
               Contains("it repeats over the batch; give the inputs fixed shapes"));
    for (std::int64_t axis : {0, 2}) {
        onnx_test::Model m;
        m.graph().input.push_back(onnx_test::declared("x", {4}));
        m.initializer(integers("0", {0})).initializer(integers("1", {1})).initializer(floats("c", {1}, {1}));
        m.node("Shape", {"x"}, {"s"}).node("Slice", {"s", "0", "1"}, {"n"});
        m.node("Concat", {"n", "n"}, {"nn"}, {onnx_test::attribute("axis", 0)})
            .node("Expand", {"c", "nn"}, {"e"});
        m.node("Flatten", {"e"}, {"y"}, {onnx_test::attribute("axis", axis)}).output("y");
        CHECK_THAT(onnx::import_network(m.file()).diagnostics().at(0).message,
                   Contains("the tensor is too large"));
    }
    CHECK(OneOperator("Expand", {}, 13, 1, true).constant(integers("s", {2})).layer() ==
          "Expand { shape: [2] }");
    CHECK_THAT(OneOperator("Reshape", {}, 13, 1, true)
                   .constant(integers("s", std::vector<std::int64_t>(40, 1)))
                   .layer(),
               Contains("the result would be [1, 1, "));
    onnx_test::Model ids;  // an index without dimensions
    ids.graph().input.push_back(onnx_test::declared("i", {}, int64_type, true));
    ids.initializer(ones("table", {3, 2})).node("Gather", {"table", "i"}, {"y"}).output("y");
    CHECK_THAT(onnx::import_network(ids.file()).diagnostics().at(0).message,
               Contains("are taken into the rows of a table [number, size] alone"));
}

TEST_CASE("onnx refused: moments over no axis, norms that are no whole numbers, sizes of Resize") {
    auto const moments = [](std::int64_t axis) {
        onnx_test::Model m(17);
        m.graph().input.push_back(onnx_test::declared("x", {2}));
        m.initializer(ones("s", {2}));
        m.node("LayerNormalization", {"x", "s"}, {"y", "", "inverse"}, {onnx_test::attribute("axis", axis)});
        m.node("Add", {"y", "inverse"}, {"z"}).output("z");
        auto const read = onnx::import_network(m.file());
        return read ? read->network.predict(nn::Tensor({1, 2}, {1, 5})) : nn::Tensor();
    };
    CHECK(moments(9).empty());
    CHECK(moments(-1)[0] == Approx(-0.5));
    CHECK(moments(-1)[1] == Approx(1.5));
    auto const norm = [](float p) {
        return OneOperator("LpPool", {1, 4}, 1).integers("kernel_shape", {2}).real("p", p).layer();
    };
    CHECK_THAT(norm(2), Contains("LPPool1d { norm: 2"));
    for (float p : {0.5f, 2.5f, 2e6f, std::numeric_limits<float>::quiet_NaN()})
        CHECK_THAT(norm(p), Contains("p: expected a whole number from 1 on"));
    auto const resize = [](std::vector<std::int64_t> to, std::vector<std::int64_t> axes, bool fixed) {
        OneOperator o("Resize",
                      fixed ? std::vector<std::int64_t>{1, 1, 4, 4} : std::vector<std::int64_t>{1, 4, 4}, 18,
                      1, fixed);
        o.absent().absent().constant(integers("s", std::move(to)));
        if (!axes.empty()) o.integers("axes", std::move(axes));
        return o.layer();
    };
    CHECK_THAT(resize({8, 8}, {2, 9}, false), Contains("axis 9 is not one of the 4 dimensions"));
    CHECK_THAT(resize({8, 8}, {9, 2}, false), Contains("axis 9 is not one of the 4 dimensions"));
    CHECK_THAT(resize({1, 1, 8, 8}, {}, true), Contains("sizes: [0, 0, 8, 8]"));
    CHECK_THAT(resize({2, 1, 8, 8}, {}, true), Contains("sizes: [2, 0, 8, 8]"));  // of the batch of the file
    CHECK_THAT(OneOperator("Resize", {1, 4, 4}, 18)
                   .absent()
                   .constant(floats("f", {2}, {2, 2}))
                   .integers("axes", {9, 2})
                   .layer(),
               Contains("axis 9 is not one of the 4 dimensions"));
    CHECK_THAT(OneOperator("Resize", {1, 4, 4}).absent().absent().input("s", {4}).layer(),
               Contains("input 3 (`s`) depends on the network's inputs; expected a constant"));
    onnx_test::Model upsample(7);
    upsample.graph().input.push_back(onnx_test::declared("x", {1, 2}));
    upsample.node("Upsample", {"x"}, {"y"}, {{.name = "scales", .floats = {1, 1, 2}, .type = 6}}).output("y");
    CHECK(onnx::import_network(upsample.file()).value().network.predict(nn::Tensor({1, 1, 2}, {3, 4})) ==
          nn::Tensor({1, 1, 4}, {3, 3, 4, 4}));
    CHECK(cast(22, int8_type) == "Identity { }");
    CHECK_THAT(cast(int8_type, bool_type), Contains("from int8 to bool it changes values"));
}

TEST_CASE("onnx refused: functions with weights of no module, slopes of lists, constants over the batch") {
    // PyTorch's torch.nn.functional: a name of the whole network's scope, and parameters that none owns.
    onnx_test::Model m;
    m.graph().input.push_back(onnx_test::declared("x", {1, 2}));
    m.initializer(floats("w", {2, 1, 1}, {2, 3})).initializer(floats("b", {2}, {10, 20}));
    m.node("Conv", {"x", "w", "b"}, {"c"}, {}, "/Conv")
        .node("Flatten", {"c"}, {"f"}, {onnx_test::attribute("axis", 1)});
    m.initializer(floats("g", {4, 1}, {1, 10, 100, 1000}))
        .node("Gemm", {"f", "g"}, {"y"}, {}, "/Gemm")
        .output("y");
    auto const read = onnx::import_network(m.file());
    REQUIRE(read);
    std::string types;
    for (std::size_t i = 0; i != read->network.graph().size(); ++i)
        if (read->network.node({i}).kind == NodeKind::operation)
            types += std::string(read->network.graph().type({i})) + " ";
    CHECK(types == "Conv Add Flatten MatMul ");
    CHECK(read->network.predict(nn::Tensor({1, 1, 2}, {1, 2})) ==
          nn::Tensor({1, 1}, {12 + 140 + 2300 + 26000}));

    std::string const one_each = "expected a slope of one number, or one of each channel";
    CHECK_THAT(OneOperator("PRelu", {4}, 6, 1, true).constant(ones("s", {4})).layer(), Contains(one_each));
    onnx::TensorProto beyond{.dims = {2}, .data_type = 11, .name = std::string_view("c")};
    beyond.double_data = {1, 1e300};
    CHECK_THAT(OneOperator("Add", {2, 3}, 6)
                   .constant(std::move(beyond))
                   .integer("broadcast", 1)
                   .integer("axis", 1)
                   .layer(),
               Contains("a double of it is beyond float32"));
    CHECK(OneOperator("MaxPool", {1, 4})
              .integers("kernel_shape", {2})
              .text("auto_pad", "")
              .layer()
              .starts_with("MaxPool1d"));
    onnx_test::Model wide;
    wide.graph().input.push_back(onnx_test::declared("x", {4}));
    wide.initializer(integers("0", {0})).initializer(integers("1", {1})).initializer(integers("2", {2, 2}));
    wide.node("Shape", {"x"}, {"s"}).node("Slice", {"s", "0", "1"}, {"n"});
    wide.node("Concat", {"n", "2"}, {"to"}, {onnx_test::attribute("axis", 0)});
    wide.initializer(floats("c", {1}, {5})).node("Expand", {"c", "to"}, {"e"}).node("Flatten", {"e"}, {"f"});
    wide.node("Add", {"x", "f"}, {"y"}).output("y");
    CHECK(onnx::import_network(wide.file()).value().network.predict(nn::Tensor({1, 4}, {1, 2, 3, 4})) ==
          nn::Tensor({1, 4}, {6, 7, 8, 9}));
}

TEST_CASE("onnx refused: casts that change values, and those that do not") {
    std::string const same = "Identity { }";
    CHECK(cast(uint8_type, int32_type) == same);
    CHECK(cast(int8_type, int16_type) == same);
    CHECK(cast(int16_type, int64_type) == same);
    CHECK(cast(bool_type, uint8_type) == same);
    CHECK(cast(bool_type, int8_type) == same);
    CHECK(cast(int32_type, int32_type) == same);
    CHECK(cast(uint8_type, uint32_type) == same);
    CHECK(cast(bfloat16_type, bfloat16_type) == same);
    CHECK(cast(float16_type, float16_type) == same);
    CHECK(cast(int64_type, float16_type) == "RoundTo { format: 0 }");
    CHECK_THAT(cast(int8_type, uint64_type), Contains("from int8 to uint64 it changes values"));
    CHECK_THAT(cast(uint8_type, int8_type), Contains("from uint8 to int8 it changes values"));
    CHECK_THAT(cast(int64_type, int32_type), Contains("from int64 to int32 it changes values"));
    CHECK_THAT(cast(int32_type, bool_type), Contains("from int32 to bool it changes values"));
    CHECK_THAT(cast(int32_type, 22), Contains("from int32 to int4 it changes values"));
    CHECK_THAT(cast(1, int8_type), Contains("from float to int8 it changes values"));
    CHECK_THAT(cast(1, bfloat16_type), Contains("to bfloat16, which ONNX's own tests cut"));
    CHECK_THAT(cast(1, 8), Contains("to string; the network has numbers of type float"));
    CHECK(OneOperator("CastLike", {2}, 15).input("z", {2}).layer() == same);
    CHECK_THAT(OneOperator("CastLike", {2}, 15).layer(), Contains("input 1 is missing"));
}

TEST_CASE("onnx refused: reshapes by an attribute, places to flatten at, axes twice, training") {
    CHECK(OneOperator("Reshape", {4}, 4).integers("shape", {0, 2, 2}).layer() ==
          "Reshape { sample: [2, 2] whole: false }");
    CHECK_THAT(OneOperator("Reshape", {4}, 4).layer(), Contains("its shape is missing"));
    CHECK_THAT(OneOperator("Flatten", {4, 2}).integer("axis", 4).layer(),
               Contains("axis 4 is no place in 3 dimensions"));
    CHECK_THAT(OneOperator("Flatten", {4, 2}).integer("axis", -4).layer(),
               Contains("axis -4 is no place in 3 dimensions"));
    CHECK(OneOperator("Flatten", {4, 2}).integer("axis", -2).layer() == "Flatten { start_dim: 1 }");
    CHECK_THAT(OneOperator("Squeeze", {1, 2}).layer(), Contains("Squeeze { "));
    CHECK_THAT(OneOperator("Squeeze", {1, 2}, 11).integers("axes", {1, -2}).layer(),
               Contains("it has the same axis twice"));
    CHECK_THAT(OneOperator("Squeeze", {1, 2}).integers("axes", {1}).layer(),
               Contains("its axes are an input since opset 13"));
    CHECK_THAT(OneOperator("Squeeze", {1, 2}).constant(integers("a", {2})).layer(),
               Contains("it takes away dimension 2 of [N, 1, 2], a dimension that is not 1"));
    CHECK_THAT(OneOperator("Unsqueeze", {2}).layer(), Contains("its axes are missing"));
    CHECK_THAT(OneOperator("Unsqueeze", {2}).constant(integers("a", {7})).layer(),
               Contains("axis 7 is not one of"));
    CHECK(OneOperator("Unsqueeze", {}, 13, 1, true).constant(integers("a", {0, 1})).layer() ==
          "Reshape { sample: [1, 1] whole: true }");
    auto const dropout = [](std::vector<std::int32_t> training) {
        OneOperator o("Dropout", {2});
        o.absent();
        auto const n = static_cast<std::int64_t>(training.size());
        return o.constant({.dims = {n}, .data_type = bool_type, .int32_data = training, .name = "t"}).layer();
    };
    CHECK(dropout({0}) == "Identity { }");
    CHECK_THAT(dropout({1}), Contains("it is in training mode; export the model in evaluation mode"));
    CHECK_THAT(OneOperator("Dropout", {2}).absent().input("t", {1}, bool_type).layer(),
               Contains("in training mode"));
    CHECK_THAT(OneOperator("Reshape", {4}).input("s", {1}, int64_type).layer(),
               Contains("input 1 (`s`) depends on the network's inputs; expected a constant"));
}

TEST_CASE("onnx refused: operands of before opset 7 in places where they do not lie") {
    auto const add = [](std::vector<std::int64_t> dims, std::int64_t axis) {
        OneOperator o("Add", {2, 3}, 6);
        return o.constant(ones("c", std::move(dims))).integer("broadcast", 1).integer("axis", axis).layer();
    };
    CHECK(add({}, 1) == "Add { }");
    CHECK(add({2, 3}, 1) == "Add { }");
    CHECK_THAT(add({3, 4}, 2), Contains("its `axis` does not fit the operands"));
    CHECK_THAT(add({2}, 5), Contains("axis 5 is not one of the 3 dimensions"));
    CHECK_THAT(
        OneOperator("Add", {2, 3}, 6).input("z", {2}).integer("broadcast", 1).integer("axis", 0).layer(),
        Contains("its second operand is broadcast along `axis`, and is no constant"));
    CHECK_THAT(OneOperator("Add", {2, 3}, 6).layer(), Contains("expected two inputs, found 1"));
    CHECK_THAT(OneOperator("Pow", {2}).layer(), Contains("expected two inputs"));
    CHECK_THAT(OneOperator("Pow", {2}).absent().layer(), Contains("expected two inputs"));
    CHECK(OneOperator("PRelu", {4}, 13, 1, true).constant(floats("s", {1}, {0.5f})).layer() ==
          "PReLU { num_parameters: 1 }");
    CHECK_THAT(OneOperator("PRelu", {4}, 13, 1, true).constant(ones("s", {1, 1})).layer(),
               Contains("Mul { }"));
    CHECK_THAT(OneOperator("PRelu", {2, 3}, 6).constant(ones("s", {3})).layer(),
               Contains("expected a slope of one number, or one of each channel"));
    CHECK_THAT(OneOperator("LpPool", {1, 4}, 18).integers("kernel_shape", {2}).integer("p", 0).layer(),
               Contains("p"));
    CHECK_THAT(OneOperator("LpPool", {1, 4}, 18).integers("kernel_shape", {2}).integer("p", 2000000).layer(),
               Contains("p"));
}

}  // namespace test_onnx_refused
