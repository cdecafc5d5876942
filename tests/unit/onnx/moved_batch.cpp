// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/moved_batch.hpp>
// The header under test comes first.
#include "operators/one_operator.hpp"
#include "support/catch.hpp"

namespace test_onnx_moved_batch {

using namespace amct_distill;
using onnx_test::attribute;
using onnx_test::floats;
using onnx_test::integers;

namespace {
bool contains(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }

/// A model that begins by taking the batch of x [N, 2, 3] to dimension 1: [2, N, 3] is `t`.
struct Moved {
    onnx_test::Model model;

    explicit Moved(std::int64_t opset = 13) : model(opset) {
        model.graph().input.push_back(onnx_test::declared("x", {2, 3}));
        model.node("Transpose", {"x"}, {"t"}, {attribute("perm", {1, 0, 2})});
    }
    Moved& node(std::string_view op, std::vector<std::string_view> inputs, std::string_view output,
                std::vector<onnx::AttributeProto> attributes = {}) {
        return model.node(op, std::move(inputs), {output}, std::move(attributes)), *this;
    }
    Moved& constant(onnx::TensorProto t) { return model.initializer(std::move(t)), *this; }
    std::string error() {
        auto const read = onnx::import_network(model.output("y").file());
        return read ? "" : read.diagnostics().front().message;
    }
    nn::Tensor run(nn::Index batch) {
        nn::Tensor x({batch, 2, 3});
        for (std::size_t i = 0; i != x.size(); ++i) x[i] = static_cast<float>(i);
        return onnx::import_network(model.output("y").file()).value().network.predict(x);
    }
};
}  // namespace

TEST_CASE("onnx: a constant of fewer dimensions than what has the batch elsewhere is no such tensor") {
    for (std::string_view op : {"LayerNormalization", "Concat"}) {
        std::string const error = Moved(17)
                                      .constant(floats("c", {3}, {1, 2, 4}))
                                      .node(op, {"c", "t"}, "y", {attribute("axis", 0)})
                                      .error();
        INFO(error);
        CHECK(contains(error, "the batch is not in dimension 0 here, and it computes along dimension 0"));
    }
}

TEST_CASE("onnx: tensors that have the batch in different places are not computed together") {
    std::string const different =
        "the batch is not in dimension 0 here, and it reads tensors that have it in different places";
    CHECK(contains(Moved()
                       .node("Transpose", {"t"}, "u", {attribute("perm", {0, 2, 1})})
                       .node("Mul", {"t", "u"}, "y")
                       .error(),
                   different));
    // Indices of two dimensions make of [2, N, 3] a tensor of four.
    CHECK(contains(Moved()
                       .constant({.dims = {1, 2}, .data_type = 7, .int64_data = {1, 0}, .name = "i"})
                       .node("Gather", {"t", "i"}, "y", {attribute("axis", 2)})
                       .error(),
                   "what becomes of it is not known"));
    CHECK(contains(Moved().node("Flatten", {"t"}, "y").error(),
                   "the output `y` is [2, 3N], without the batch in dimension 0"));
    CHECK(contains(Moved().node("Shape", {"t"}, "y").error(), "the output `y`: "));
}

TEST_CASE("onnx: before opset 7 too, a constant is broadcast along a batch in dimension 1") {
    nn::Tensor const sum = Moved(6)
                               .constant(floats("c", {3}, {10, 20, 30}))
                               .node("Add", {"t", "c"}, "s", {attribute("broadcast", 1)})
                               .node("Transpose", {"s"}, "y", {attribute("perm", {1, 0, 2})})
                               .run(2);
    CHECK(sum == nn::Tensor({2, 2, 3}, {10, 21, 32, 13, 24, 35, 16, 27, 38, 19, 30, 41}));
}

TEST_CASE("onnx: matrices whose rows have the batch among them") {
    // [2, N, 3] as rows: [2 N, 3].
    auto const rows = [] {
        Moved m;
        m.constant(integers("to", {-1, 3})).node("Reshape", {"t", "to"}, "r");
        m.constant(floats("w", {3, 3}, {1, 0, 0, 0, 1, 0, 0, 0, 1}))
            .constant(floats("d", {6, 1}, {1, 2, 3, 4, 5, 6}));
        return m;
    };
    auto const gemm = [&](std::vector<std::string_view> inputs,
                          std::vector<onnx::AttributeProto> attributes = {}) {
        return rows().node("Gemm", std::move(inputs), "y", std::move(attributes)).error();
    };
    CHECK(contains(gemm({"r", "w", "r"}), "what is added may not follow it"));
    CHECK(contains(gemm({"r", "w", "d"}), "what is added does not follow it"));
    CHECK(contains(gemm({"r", "w"}, {attribute("transA", 1)}), "it is one of a matrix's dimensions"));
    CHECK(contains(gemm({"r", "r"}, {attribute("transB", 1)}), "it is one of a matrix's dimensions"));
    Moved three;  // [2, N, 1, 3], whose matrices have constants of their own along N
    three.constant(floats("c", {2, 3, 3}, std::vector<float>(18, 1))).constant(integers("axes", {2}));
    three.node("Unsqueeze", {"t", "axes"}, "u").node("MatMul", {"u", "c"}, "y");
    CHECK(contains(three.error(), "it reads a constant that may differ along it"));
}

TEST_CASE("onnx: what is computed of a batch in dimension 1 comes back with the batch in front") {
    for (nn::Index batch : {1, 3}) {
        // [2, N, 3] + [2, 1, 3]: each of the two rows has values of its own.
        nn::Tensor const sum = Moved()
                                   .constant(floats("c", {2, 1, 3}, {10, 20, 30, 40, 50, 60}))
                                   .node("Add", {"t", "c"}, "s")
                                   .node("Transpose", {"s"}, "y", {attribute("perm", {1, 0, 2})})
                                   .run(batch);
        REQUIRE(sum.shape() == nn::Shape{batch, 2, 3});
        for (std::size_t i = 0; i != sum.size(); ++i)
            CHECK(sum[i] == static_cast<float>(i) + 10 * static_cast<float>(i % 6 + 1));

        // [2, N, 3] -> [2 N, 3] -> [2, N, 3, 1] -> [2, N, 3] -> [N, 2, 3]
        nn::Tensor const same = Moved()
                                    .constant(integers("flat", {-1, 3}))
                                    .constant(integers("deep", {2, -1, 3, 1}))
                                    .constant(integers("axis", {-1}))
                                    .node("Reshape", {"t", "flat"}, "f")
                                    .node("Neg", {"f"}, "n")
                                    .node("Reshape", {"n", "deep"}, "d")
                                    .node("Squeeze", {"d", "axis"}, "q")
                                    .node("Transpose", {"q"}, "y", {attribute("perm", {1, 0, 2})})
                                    .run(batch);
        REQUIRE(same.shape() == nn::Shape{batch, 2, 3});
        for (std::size_t i = 0; i != same.size(); ++i) CHECK(same[i] == -static_cast<float>(i));

        // Flatten of [2, N, 3] at 2 is [2 N, 3] as well; Unsqueeze in front of it all.
        nn::Tensor const front =
            Moved(11)
                .node("Flatten", {"t"}, "f", {attribute("axis", 2)})
                .node("Unsqueeze", {"f"}, "u", {attribute("axes", std::vector<std::int64_t>{0})})
                .constant(integers("back", {2, -1, 3}))
                .node("Reshape", {"u", "back"}, "b")
                .node("Transpose", {"b"}, "y", {attribute("perm", {1, 2, 0})})
                .run(batch);
        REQUIRE(front.shape() == nn::Shape{batch, 3, 2});
        for (std::size_t i = 0; i != front.size(); ++i)
            CHECK(front[i] == static_cast<float>(i / 6 * 6 + i % 2 * 3 + i % 6 / 2));
    }
}

TEST_CASE("onnx: Gemm takes rows of every kind, and no matrix of which the batch is a dimension") {
    auto const flat = [](float beta) {
        Moved m;  // [2, N, 3] -> [2 N, 3] -> [2 N, 2] -> [2, N, 2] -> [N, 2, 2]
        m.constant(integers("flat", {-1, 3})).constant(integers("deep", {2, -1, 2}));
        m.constant(floats("w", {3, 2}, {1, 0, 0, 1, 0, 0})).constant(floats("b", {2}, {10, 20}));
        m.node("Reshape", {"t", "flat"}, "f");
        m.node("Gemm", {"f", "w", "b"}, "g", {onnx_test::real("beta", beta)});
        m.node("Reshape", {"g", "deep"}, "d");
        m.node("Transpose", {"d"}, "y", {attribute("perm", {1, 0, 2})});
        return m.run(3);
    };
    for (float beta : {1.0f, 0.5f}) {
        nn::Tensor const y = flat(beta);
        REQUIRE(y.shape() == nn::Shape{3, 2, 2});
        for (std::size_t i = 0; i != y.size(); ++i)
            CHECK(y[i] == static_cast<float>(i / 2 * 3 + i % 2) + beta * (i % 2 == 0 ? 10.0f : 20.0f));
    }
    auto const refused = [](std::vector<std::string_view> reads,
                            std::vector<onnx::AttributeProto> attributes) {
        Moved m;
        m.constant(integers("flat", {-1, 3})).constant(floats("w", {3, 3}, std::vector<float>(9, 1)));
        m.node("Reshape", {"t", "flat"}, "f");
        return m.node("Gemm", std::move(reads), "y", std::move(attributes)).error();
    };
    CHECK(contains(refused({"f", "f"}, {attribute("transB", 1)}), "it is one of a matrix's dimensions"));
    CHECK(contains(refused({"f", "w"}, {attribute("transA", 1)}), "it is one of a matrix's dimensions"));
}

TEST_CASE("onnx: what needs the batch in dimension 0 is refused elsewhere, with a remedy") {
    auto const refused = [](auto&& m, std::string_view part) {
        std::string const found = m.error();
        INFO(found);
        CHECK(contains(found, part));
    };
    std::string_view const remedy = "give the inputs' shapes with a number in the batch's place";
    refused(Moved().constant(integers("r", {1, 2, 1})).node("Tile", {"t", "r"}, "y"),
            "the batch is not in dimension 0 here, and the operator needs it in dimension 0");
    refused(Moved().node("Softmax", {"t"}, "y", {attribute("axis", 1)}), "it computes along dimension 1");
    refused(Moved().node("Identity", {"t"}, "y"), "without the batch in dimension 0");
    refused(Moved().constant(integers("s", {2, 3, 1, -1})).node("Reshape", {"t", "s"}, "y"),
            "a tensor [2, N, 3] becomes [2, 3, 1, N]");
    refused(Moved().constant(integers("s", {2, 3, 1, -1})).node("Reshape", {"t", "s"}, "y"), remedy);
    refused(Moved().constant(integers("a", {1})).node("Squeeze", {"t", "a"}, "y"),
            "dimension 1 of [2, N, 3], a dimension that is not 1");
    refused(Moved().constant(integers("a", {1, 1})).node("Unsqueeze", {"t", "a"}, "y"),
            "it has the same axis twice");
    refused(Moved().node("Transpose", {"t"}, "y", {attribute("perm", {1, 1, 0})}),
            "expected every dimension once in perm");
    refused(Moved().node("Flatten", {"t"}, "y", {attribute("axis", 4)}),
            "axis 4 is no place in 3 dimensions");
    refused(Moved().constant(floats("c", {2, 3, 3}, std::vector<float>(18, 1))).node("Add", {"t", "c"}, "y"),
            "it reads a constant that differs along it");
    refused(Moved().node("Add", {"t", "x"}, "y"), "it reads tensors that have it in different places");
}

}  // namespace test_onnx_moved_batch
