// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/operators/einsum.hpp>
// The header under test comes first.
#include <amct_distill/nn/tape.hpp>

#include "one_operator.hpp"
#include "support/catch.hpp"

namespace test_onnx_einsum {

using namespace amct_distill;
using onnx_test::OneOperator;

namespace {
bool contains(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }

nn::Tensor counted(const nn::Shape& shape, float start) {
    nn::Tensor t(shape);
    for (float& v : t) v = start, start += 1;
    return t;
}

/// The sum over all letters that are not in the result, by its definition.
std::vector<float> expected(std::string_view a, std::string_view b, std::string_view out, const nn::Tensor& x,
                            const nn::Tensor& y) {
    std::map<char, nn::Index> size, at;
    for (std::size_t d = 0; d != a.size(); ++d) size[a[d]] = x.dim(d);
    for (std::size_t d = 0; d != b.size(); ++d) size[b[d]] = y.dim(d);
    std::size_t n = 1;
    for (char c : out) n *= static_cast<std::size_t>(size[c]);
    std::vector<float> sums(n, 0.0f);
    for (auto& [c, i] : size) at[c] = 0;
    auto const place = [&](std::string_view letters) {
        nn::Index p = 0;
        for (char c : letters) p = p * size[c] + at[c];
        return static_cast<std::size_t>(p);
    };
    for (bool more = true; more;) {
        sums[place(out)] += x[place(a)] * y[place(b)];
        more = false;
        for (auto& [c, i] : at)
            if (++i == size[c])
                i = 0;
            else {
                more = true;
                break;
            }
    }
    return sums;
}
}  // namespace

TEST_CASE("onnx Einsum: two tensors, against the sum's definition") {
    struct Case {
        std::string_view equation, a, b, out;
        std::vector<std::int64_t> x, y;  // without the batch of 2
    };
    for (const Case& c :
         {Case{"bij,bjk->bik", "bij", "bjk", "bik", {3, 4}, {4, 5}},
          Case{"bhid,bhjd->bhij", "bhid", "bhjd", "bhij", {3, 4, 5}, {3, 2, 5}},
          Case{"bhij,bhjd->bihd", "bhij", "bhjd", "bihd", {3, 4, 2}, {3, 2, 5}},
          Case{"bi,bi->b", "bi", "bi", "b", {3}, {3}}, Case{"bi,bi->bi", "bi", "bi", "bi", {3}, {3}},
          Case{"bi,bj->bji", "bi", "bj", "bji", {3}, {4}},
          Case{"bik,bjk->b", "bik", "bjk", "b", {3, 2}, {4, 2}},
          Case{"b i c d , b c d e -> b e i", "bicd", "bcde", "bei", {3, 2, 4}, {2, 4, 5}}}) {
        INFO(c.equation);
        onnx_test::Model m;
        m.graph().input.push_back(onnx_test::declared("x", c.x));
        m.graph().input.push_back(onnx_test::declared("z", c.y));
        m.node("Einsum", {"x", "z"}, {"y"}, {{.name = "equation", .s = c.equation, .type = 3}}).output("y");
        auto const read = onnx::import_network(m.file());
        REQUIRE(read);
        nn::Shape sx(c.x.begin(), c.x.end()), sy(c.y.begin(), c.y.end());
        sx.insert(sx.begin(), 2);
        sy.insert(sy.begin(), 2);
        nn::Tensor const x = counted(sx, -3), y = counted(sy, 2);
        auto const found = read->network.predict(std::vector{x, y}).front();
        auto const sums = expected(c.a, c.b, c.out, x, y);
        CHECK(std::vector<float>(found.begin(), found.end()) == sums);
    }
}

TEST_CASE("onnx Einsum: one tensor, a constant, no arrow") {
    auto const layer = [](std::string_view equation, std::vector<std::int64_t> dims, bool fixed) {
        return OneOperator("Einsum", dims, 13, 1, fixed).text("equation", equation).layer();
    };
    CHECK(layer("ij->ji", {2, 3}, true) == "Transpose { permutation: [1, 0] }");
    CHECK(layer("bij->bji", {2, 3}, false) == "Transpose { permutation: [0, 2, 1] }");
    CHECK(layer("bij->bi", {2, 3}, false) == "ReduceSum { axes: [2] keepdims: false }");
    CHECK(layer("ba", {2, 3}, true) == "Transpose { permutation: [1, 0] }");
    OneOperator weight("Einsum", {2, 3});
    weight.constant(onnx_test::floats("w", {2, 3}, {1, 2, 3, 4, 5, 6})).text("equation", "bij,kj->bik");
    CHECK(weight.run(counted({1, 2, 3}, 0)) == nn::Tensor({1, 2, 2}, {8, 17, 26, 62}));
}

TEST_CASE("onnx Einsum: what is refused") {
    auto const layer = [](std::string_view equation) {
        return OneOperator("Einsum", {3, 3}).text("equation", equation).layer();
    };
    CHECK(contains(layer("bii->bi"), "`bii->bi`; expected one or two tensors whose letters differ"));
    CHECK(contains(layer("...ij->...ji"), "expected one or two tensors"));
    CHECK(contains(layer("bij,bjk->bik"), "expected one or two tensors"));
    CHECK(contains(layer("bij->bk"), "expected one or two tensors"));
    CHECK(contains(layer("bi->ib"), "does not fit its inputs' dimensions"));
    CHECK(contains(layer("bij->jib"), "expected a fixed batch"));
    CHECK(contains(OneOperator("Einsum", {3}).input("z", {4}).text("equation", "bi,bi->b").layer(),
                   "the letter i has the sizes 3 and 4"));
    CHECK(contains(OneOperator("Einsum", {3}).input("z", {3}).text("equation", "bi,bj->ij").layer(),
                   "it sums over the batch"));
    CHECK(contains(OneOperator("Einsum", {3}).input("z", {3}).text("equation", "bi,ci->bc").layer(),
                   "it sums over the batch, or multiplies samples with each other"));
}

}  // namespace test_onnx_einsum
