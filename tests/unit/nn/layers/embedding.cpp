// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/layers/embedding.hpp>

#include "support/catch.hpp"

namespace nn_embedding_test {

using namespace amct_distill::nn;

TEST_CASE("Embedding: rows of the table, and their gradients") {
    Embedding e({.num_embeddings = 3, .embedding_dim = 2});
    e.weight() = Tensor({3, 2}, {1, 2, 3, 4, 5, 6});
    Tensor const ids({2, 2}, {0, 2, -1, 1}), y({2, 2, 2}, {1, 2, 5, 6, 5, 6, 3, 4});
    const Tensor* const inputs[] = {&ids};
    Tensor out(y.shape());
    Scratch scratch;
    e.forward(inputs, out, scratch, Mode::evaluate);
    CHECK(out == y);

    // The table's gradient: what each row's uses get, added up.
    Tensor const g({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
    Tensor grad[] = {Tensor({3, 2}, {0, 0, 0, 0, 100, 0})};
    Tensor* const none[] = {nullptr};
    e.backward(inputs, out, g, none, grad, scratch, Mode::train);
    CHECK(grad[0] == Tensor({3, 2}, {1, 2, 7, 8, 108, 10}));
}

TEST_CASE("Embedding: shapes, options and errors") {
    Module const m = Embedding({.num_embeddings = 3, .embedding_dim = 2});
    CHECK(m.type() == "Embedding");
    CHECK(m.operation() == "Gather");
    CHECK(m.options() == "num_embeddings: 3 embedding_dim: 2");
    CHECK(m.output_shape(std::vector<Shape>{{any_batch, 5}}).value() == Shape{any_batch, 5, 2});
    CHECK(m.parameters().at(0).name == "weight");
    CHECK(m.check_parameters());

    Embedding e({.num_embeddings = 3, .embedding_dim = 2});
    Scratch scratch;
    Tensor out({1, 2});
    for (auto const& [index, text] : {std::pair{3.0f, "3"}, std::pair{0.5f, "0.5"}, std::pair{-4.0f, "-4"}}) {
        Tensor const ids({1}, {index});
        const Tensor* const inputs[] = {&ids};
        CHECK_THROWS_WITH(e.forward(inputs, out, scratch, Mode::evaluate),
                          std::string("Embedding: expected an index from -3 to 2, found ") + text);
    }
    e.weight() = Tensor({2, 2});
    CHECK(e.check_parameters().diagnostics()[0].message == "weight: expected [3, 2], found [2, 2]");
    CHECK_THROWS_WITH(Embedding({.num_embeddings = 0, .embedding_dim = 2}),
                      "Embedding: num_embeddings and embedding_dim must be at least 1");
}

}  // namespace nn_embedding_test
