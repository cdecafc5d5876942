// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/layout.hpp>

#include <vector>

#include "support/catch.hpp"

namespace test_onnx_layout {

using namespace amct_distill;
using nn::any_batch;
using onnx::Shape;
using onnx::Size;
using onnx::detail::Layout;
using onnx::detail::Relayout;
using Order = std::vector<std::size_t>;

Size const n = Size::of_batch();

TEST_CASE("a transposition takes the batch away, and another one brings it back") {
    nn::Shape const shape{any_batch, 7, 32};
    Relayout const away = onnx::detail::transposed({}, shape, Order{1, 0, 2});
    CHECK(away.layout == Layout{{{1}, {0}, {2}}});
    CHECK(away.permutation.empty());  // the network's tensor is the same
    CHECK(away.shape == shape);
    CHECK(away.layout.model_shape(away.shape) == Shape{7, n, 32});

    Relayout const back = onnx::detail::transposed(away.layout, away.shape, Order{1, 0, 2});
    CHECK(back.layout.is_plain());
    CHECK(back.shape == shape);

    // [3, N, h, T, d] of [N, T, 3, h, d], as vision transformers write it
    Relayout const qkv = onnx::detail::transposed({}, {any_batch, 17, 3, 4, 8}, Order{2, 0, 3, 1, 4});
    CHECK(qkv.permutation == Order{0, 2, 3, 1, 4});
    CHECK(qkv.shape == nn::Shape{any_batch, 3, 4, 17, 8});
    CHECK(qkv.layout == Layout{{{1}, {0}, {2}, {3}, {4}}});
}

TEST_CASE("attention's heads join the batch and leave it") {
    Relayout const away = onnx::detail::transposed({}, {any_batch, 7, 32}, Order{1, 0, 2});
    auto const heads = onnx::detail::reshaped(away.layout, away.shape, {7, Size(0, 4), 8});
    REQUIRE(heads);
    CHECK(heads->shape == nn::Shape{any_batch, 7, 4, 8});
    CHECK(heads->layout == Layout{{{1}, {0, 2}, {3}}});
    CHECK(heads->layout.model_shape(heads->shape) == Shape{7, Size(0, 4), 8});

    Relayout const first = onnx::detail::transposed(heads->layout, heads->shape, Order{1, 0, 2});
    CHECK(first.permutation == Order{0, 2, 1, 3});
    CHECK(first.shape == nn::Shape{any_batch, 4, 7, 8});
    CHECK(first.layout == Layout{{{0, 1}, {2}, {3}}});
    CHECK(first.layout.dimension(2) == 3u);
    CHECK_FALSE(first.layout.dimension(0));

    Relayout const again = onnx::detail::transposed(first.layout, first.shape, Order{1, 0, 2});
    auto const joined = onnx::detail::reshaped(again.layout, again.shape, {Size(0, 7), 32});
    REQUIRE(joined);
    CHECK(joined->layout == Layout{{{1, 0}, {2}}});
    CHECK(joined->shape == nn::Shape{any_batch, 7, 32});
    auto const end = onnx::detail::reshaped(joined->layout, joined->shape, {7, n, 32});
    REQUIRE(end);
    CHECK(end->layout == away.layout);
}

TEST_CASE("tokens join the batch") {
    auto const rows = onnx::detail::reshaped({}, {any_batch, 7, 32}, {Size(0, 7), 32});
    REQUIRE(rows);
    CHECK(rows->layout == Layout{{{0, 1}, {2}}});
    CHECK(rows->shape == nn::Shape{any_batch, 7, 32});
    auto const back = onnx::detail::reshaped(rows->layout, rows->shape, {n, 7, 4, 8});
    REQUIRE(back);
    CHECK(back->layout.is_plain());
    CHECK(back->shape == nn::Shape{any_batch, 7, 4, 8});
    // All of it in one row, and dimensions of 1.
    auto const flat = onnx::detail::reshaped({}, {any_batch, 2, 1, 3}, {1, Size(0, 6), 1});
    REQUIRE(flat);
    CHECK(flat->layout == Layout{{{1}, {0, 2}, {3}}});
    CHECK(flat->shape == nn::Shape{any_batch, 1, 6, 1});
}

TEST_CASE("a batch that would be cut is refused") {
    CHECK_FALSE(onnx::detail::reshaped({}, {any_batch, 4}, {2, Size(0, 2)}));
    CHECK_FALSE(onnx::detail::reshaped({}, {any_batch, 4}, {Size(0, 3), 4}));
    CHECK_FALSE(onnx::detail::reshaped({}, {any_batch, 4}, {Size(1, 1), 4}));
    CHECK_FALSE(onnx::detail::reshaped({}, {any_batch, 6, 4}, {Size(0, 4), 6}));
    CHECK_FALSE(onnx::detail::reshaped({}, {any_batch, 4}, {n, 2}));
    CHECK_FALSE(onnx::detail::reshaped({}, {any_batch, 4}, {n, 4, 0}));
}

TEST_CASE("targets of more values than there are, and of batches that cannot be counted") {
    CHECK_FALSE(onnx::detail::reshaped({}, {any_batch, 2}, {n, 2, 3}));
    CHECK_FALSE(onnx::detail::reshaped({}, {any_batch, 2}, {n, 2, n}));
    CHECK_FALSE(onnx::detail::reshaped({{{1}, {0}}}, {any_batch, 3}, {Size(0, 2), 3}));
    CHECK_FALSE(onnx::detail::reshaped({}, {any_batch}, {1}));
    CHECK_FALSE(Layout({{{1}, {0}}}).dimension(2));
    CHECK_FALSE(Layout({{{1}, {0}}}).dimension(1));
    CHECK(Layout({{{1}, {0}}}).dimension(0) == std::size_t{1});
}

TEST_CASE("dimensions that are gone") {
    Layout const qkv{{{1}, {0}, {2}, {3}}};  // [3, N, T, d]
    CHECK(onnx::detail::without(qkv, Order{1}).is_plain());
    CHECK(onnx::detail::without(qkv, Order{2}) == Layout{{{1}, {0}, {2}}});
    CHECK(onnx::detail::without({{{1}, {0, 2}, {3}}}, Order{1}) == Layout{{{0, 1}, {2}}});
}

TEST_CASE("constants are aligned with the model's dimensions") {
    Layout const heads{{{1}, {0, 2}, {3}}};
    CHECK(heads.aligned({8}, 4) == nn::Shape{1, 1, 1, 8});
    CHECK(heads.aligned({7, 1, 8}, 4) == nn::Shape{1, 7, 1, 8});
    CHECK_FALSE(heads.aligned({4, 8}, 4));
    CHECK_FALSE(heads.aligned({1, 7, 1, 8}, 4));
}

}  // namespace test_onnx_layout
