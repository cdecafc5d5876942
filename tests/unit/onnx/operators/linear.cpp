// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/operators/linear.hpp>
// The header under test comes first.
#include "one_operator.hpp"
#include "support/catch.hpp"

namespace test_onnx_linear {

using namespace amct_distill;
using onnx_test::floats;
using onnx_test::OneOperator;

namespace {
bool contains(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }
nn::Tensor counted(nn::Shape shape, float first, float step) {
    nn::Tensor x(std::move(shape));
    for (std::size_t i = 0; i != x.size(); ++i) x[i] = first + step * static_cast<float>(i);
    return x;
}
onnx::TensorProto constant(std::string_view name, const nn::Tensor& t) {
    return floats(name, {t.shape().begin(), t.shape().end()}, {t.begin(), t.end()});
}
/// alpha * A' * B' + beta * c(row, column)
template <class C>
nn::Tensor gemm(const nn::Tensor& a, bool trans_a, const nn::Tensor& b, bool trans_b, double alpha,
                double beta, C c) {
    nn::Index const rows = a.dim(trans_a ? 1 : 0), inner = a.dim(trans_a ? 0 : 1),
                    cols = b.dim(trans_b ? 0 : 1);
    nn::Tensor out({rows, cols});
    for (nn::Index r = 0; r != rows; ++r)
        for (nn::Index k = 0; k != cols; ++k) {
            double sum = 0;
            for (nn::Index i = 0; i != inner; ++i)
                sum += double(a[static_cast<std::size_t>(trans_a ? i * rows + r : r * inner + i)]) *
                       double(b[static_cast<std::size_t>(trans_b ? k * inner + i : i * cols + k)]);
            out[static_cast<std::size_t>(r * cols + k)] = static_cast<float>(alpha * sum + beta * c(r, k));
        }
    return out;
}
void same(const nn::Tensor& found, const nn::Tensor& expected) {
    REQUIRE(found.shape() == expected.shape());
    for (std::size_t i = 0; i != found.size(); ++i) CHECK(found[i] == Approx(expected[i]).epsilon(1e-5));
}
}  // namespace

TEST_CASE("onnx linear: Gemm by a constant, all attributes and their defaults") {
    for (bool trans_a : {false, true})
        for (bool trans_b : {false, true})
            for (float alpha : {1.0f, 0.5f})
                for (float beta : {1.0f, -2.0f, 0.0f})
                    for (nn::Shape c_shape : {nn::Shape{}, nn::Shape{4}, nn::Shape{1, 4}, nn::Shape{2, 1},
                                              nn::Shape{2, 4}, nn::Shape{1}}) {
                        INFO("transA " << trans_a << " transB " << trans_b << " alpha " << alpha << " beta "
                                       << beta << " C " << nn::to_string(c_shape));
                        nn::Tensor const a = counted(trans_a ? nn::Shape{3, 2} : nn::Shape{2, 3}, -1, 0.75f),
                                         b = counted(trans_b ? nn::Shape{4, 3} : nn::Shape{3, 4}, 2, -0.5f);
                        OneOperator o("Gemm", {a.dim(0), a.dim(1)}, 13, 1, true);
                        o.constant(constant("w", b));
                        nn::Tensor const c = counted(c_shape.empty() ? nn::Shape{1} : c_shape, 3, 1);
                        if (!c_shape.empty()) o.constant(constant("c", c));
                        if (trans_a) o.integer("transA", 1);
                        if (trans_b) o.integer("transB", 1);
                        if (alpha != 1) o.real("alpha", alpha);
                        if (beta != 1) o.real("beta", beta);
                        same(o.run(a),
                             gemm(a, trans_a, b, trans_b, alpha, beta, [&](nn::Index r, nn::Index k) {
                                 if (c_shape.empty()) return 0.0;
                                 bool const by_row = c_shape.size() == 2 && c_shape[0] != 1;
                                 bool const by_column = c_shape.back() != 1;
                                 nn::Index const width = c_shape.back();
                                 return double(c[static_cast<std::size_t>((by_row ? r * width : 0) +
                                                                          (by_column ? k : 0))]);
                             }));
                    }
    // A value for each column is the Linear's bias, one for each row is not.
    auto const layer = [](nn::Shape c, bool fixed) {
        OneOperator o("Gemm", fixed ? std::vector<std::int64_t>{2, 3} : std::vector<std::int64_t>{3}, 13, 1,
                      fixed);
        o.constant(constant("w", nn::Tensor({3, 4}))).constant(constant("c", nn::Tensor(std::move(c))));
        return o.layer();
    };
    CHECK(layer({4}, false) == "Linear { in_features: 3 out_features: 4 bias: true }");
    CHECK(layer({1, 4}, false) == "Linear { in_features: 3 out_features: 4 bias: true }");
    CHECK(layer({2, 1}, true) == "Linear { in_features: 3 out_features: 4 bias: false } Add { }");
}

TEST_CASE("onnx linear: Gemm of two activations") {
    nn::Tensor const a = counted({2, 3}, -1, 0.75f);
    for (bool trans_b : {false, true})
        for (float alpha : {1.0f, 0.25f})
            for (float beta : {1.0f, 3.0f, 0.0f})
                for (bool has_c : {false, true}) {
                    INFO("transB " << trans_b << " alpha " << alpha << " beta " << beta << " C " << has_c);
                    // B is x + 1 in [3, 2], or its transpose: x is read twice.
                    onnx_test::Model m;
                    m.graph().input.push_back(onnx_test::declared("x", {2, 3}, 1, true));
                    m.initializer(floats("one", {1}, {1})).initializer(floats("c", {2}, {5, -7}));
                    m.node("Add", {"x", "one"}, {"more"});
                    if (!trans_b) m.node("Transpose", {"more"}, {"b"});
                    std::vector<onnx::AttributeProto> attributes{onnx_test::real("alpha", alpha),
                                                                 onnx_test::real("beta", beta)};
                    if (trans_b) attributes.push_back(onnx_test::attribute("transB", 1));
                    std::vector<std::string_view> inputs{"x", trans_b ? "more" : "b"};
                    if (has_c) inputs.push_back("c");
                    m.node("Gemm", inputs, {"y"}, std::move(attributes)).output("y");
                    nn::Tensor more = a;
                    for (float& v : more) v += 1;
                    same(onnx::import_network(m.file()).value().network.predict(a),
                         gemm(a, false, more, true, alpha, beta,
                              [&](nn::Index, nn::Index k) { return has_c ? (k == 0 ? 5.0 : -7.0) : 0.0; }));
                }
}

TEST_CASE("onnx linear: MatMul with a constant matrix is a Linear, for any leading dimensions") {
    nn::Tensor const w = counted({3, 4}, 2, -0.5f);
    for (const std::vector<std::int64_t>& sample :
         {std::vector<std::int64_t>{3}, std::vector<std::int64_t>{2, 3},
          std::vector<std::int64_t>{2, 2, 3}}) {
        OneOperator o("MatMul", sample);
        o.constant(constant("w", w));
        CHECK(o.layer() == "Linear { in_features: 3 out_features: 4 bias: false }");
        nn::Shape shape(sample.begin(), sample.end());
        shape.insert(shape.begin(), 2);
        nn::Tensor const x = counted(shape, -1, 0.25f), y = o.run(x);
        auto const rows = static_cast<nn::Index>(x.size() / 3);
        nn::Tensor matrix = x, flat = y;
        matrix.resize({rows, 3});
        flat.resize({rows, 4});
        shape.back() = 4;
        CHECK(y.shape() == shape);
        same(flat, gemm(matrix, false, w, false, 1, 0, [](nn::Index, nn::Index) { return 0.0; }));
    }
    // On the left, as a vector, or different for each matrix of the other it is no Linear.
    OneOperator vector("MatMul", {2, 3});
    vector.constant(floats("v", {3}, {1, 10, 100}));
    CHECK(vector.layer() == "MatMul { }");
    CHECK(vector.run(nn::Tensor({1, 2, 3}, {1, 2, 3, 4, 5, 6})) == nn::Tensor({1, 2}, {321, 654}));
    OneOperator stack("MatMul", {2, 1, 2});
    stack.constant(floats("s", {2, 2, 1}, {1, 10, 100, 1000}));
    CHECK(stack.layer() == "MatMul { }");
    CHECK(stack.run(nn::Tensor({1, 2, 1, 2}, {1, 2, 3, 4})) == nn::Tensor({1, 2, 1, 1}, {21, 4300}));
}

TEST_CASE("onnx linear: what does not fit is said, with the operator") {
    auto const error = [](auto&& o, std::string_view op, std::string_view part) {
        std::string const found = o.layer();
        INFO(found);
        CHECK(contains(found, op));
        CHECK(contains(found, part));
    };
    nn::Tensor const w({3, 4});
    error(OneOperator("Gemm", {2, 3}).constant(constant("w", w)), "Gemm", "expected matrices");
    error(OneOperator("Gemm", {5}).constant(constant("w", w)), "Gemm", "3");
    error(OneOperator("Gemm", {3}).constant(constant("w", w)).constant(constant("c", nn::Tensor({5}))),
          "Gemm", "[5]");
    error(OneOperator("Gemm", {3}).constant(constant("w", w)).integer("transA", 1), "Gemm", "batch");
    error(OneOperator("Gemm", {3}).constant(constant("w", w)).real("gamma", 1), "Gemm", "gamma");
    error(OneOperator("MatMul", {5}).constant(constant("w", w)), "MatMul", "3");
    error(OneOperator("MatMul", {2, 5}).constant(constant("w", nn::Tensor({7, 3, 4}))), "MatMul",
          "[7, 3, 4]");
}

}  // namespace test_onnx_linear
