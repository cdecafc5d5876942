// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/patterns/scaled_convolution.hpp>
// The header under test comes first.
#include <amct_distill/onnx/import.hpp>

#include "../operators/one_operator.hpp"
#include "support/catch.hpp"

// The patterns of weighted layers: scaled convolutions, MatMul and Add, LayerNorm.
namespace test_onnx_pattern_weighted {

using namespace amct_distill;
using onnx_test::floats;

namespace {

struct Graph : onnx_test::Model {
    explicit Graph(const std::vector<std::int64_t>& dims) {
        graph().input.push_back(onnx_test::declared("x", dims));
        output("y");
    }
    /// The types of what the network computes; or the errors.
    std::string types() {
        auto read = onnx::import_network(file());
        if (!read) return to_string(read.diagnostics());
        network = std::move(read->network);
        notes = read->notes;
        std::string out;
        for (std::size_t i = 0; i != network.graph().size(); ++i)
            if (network.node({i}).kind == NodeKind::operation)
                out += (out.empty() ? "" : " ") + std::string(network.graph().type({i}));
        return out;
    }
    nn::Network network{};
    std::vector<std::string> notes{};
};

}  // namespace

TEST_CASE("onnx patterns: a scale and a shift after a convolution are folded into it") {
    for (bool swapped : {false, true}) {
        Graph g({1, 2});
        g.initializer(floats("w", {2, 1, 1}, {3, 5})).initializer(floats("b", {2}, {1, 2}));
        g.initializer(floats("factor", {2, 1}, {2, -1})).initializer(floats("shift", {1}, {0.5f}));
        g.node("Conv", {"x", "w", "b"}, {"c"});
        if (swapped)
            g.node("Mul", {"factor", "c"}, {"m"}).node("Add", {"shift", "m"}, {"y"});
        else
            g.node("Mul", {"c", "factor"}, {"m"}).node("Add", {"m", "shift"}, {"y"});
        REQUIRE(g.types() == "Conv1d");
        REQUIRE(g.notes.size() >= 1);
        CHECK(g.notes[0].find("folded into its weights") != std::string::npos);
        CHECK(g.network.predict(nn::Tensor({1, 1, 2}, {1, 2})) ==
              nn::Tensor({1, 2, 2}, {8.5f, 14.5f, -6.5f, -11.5f}));
    }
}

TEST_CASE("onnx patterns: a transposed convolution in groups is folded by its channels") {
    Graph g({2, 1});
    g.initializer(floats("w", {2, 2, 1}, {1, 2, 3, 4}));  // channels 0 and 1 read input 0, 2 and 3 input 1
    g.initializer(floats("factor", {1, 4, 1}, {1, 10, 100, 1000}));
    g.node("ConvTranspose", {"x", "w"}, {"c"}, {onnx_test::attribute("group", std::int64_t{2})});
    g.node("Mul", {"c", "factor"}, {"y"});
    REQUIRE(g.types() == "ConvTranspose1d");
    CHECK(g.network.predict(nn::Tensor({1, 2, 1}, {1, 2})) == nn::Tensor({1, 4, 1}, {1, 20, 600, 8000}));
}

TEST_CASE("onnx patterns: what is not folded into a convolution") {
    auto const with = [](onnx::TensorProto constant, std::string_view op) {
        Graph g({1, 2});
        g.initializer(floats("w", {2, 1, 1}, {3, 5})).initializer(std::move(constant));
        g.node("Conv", {"x", "w"}, {"c"}).node(op, {"c", "k"}, {"y"});
        return g.types();
    };
    CHECK(with(floats("k", {2, 1}, {1, 2}), "Add") == "Conv1d");  // a bias
    CHECK(with(floats("k", {}, {3}), "Mul") == "Conv1d");
    CHECK(with(floats("k", {}, {3}), "Add") == "Conv1d Add");      // of a HardSigmoid
    CHECK(with(floats("k", {2}, {1, 2}), "Mul") == "Conv1d Mul");  // along the pixels
    CHECK(with(floats("k", {1, 1, 2, 1}, {1, 2}), "Mul").find("Mul") != std::string::npos);
    Graph read({1, 2});
    read.initializer(floats("w", {2, 1, 1}, {3, 5})).initializer(floats("k", {2, 1}, {1, 2}));
    read.node("Conv", {"x", "w"}, {"c"}).node("Mul", {"c", "k"}, {"y"}).output("c");
    CHECK(read.types() == "Conv1d Mul");
}

TEST_CASE("onnx patterns: constants that are not one for each channel, and convolutions that are none") {
    auto const with = [](std::vector<std::int64_t> dims, std::string_view op, std::int64_t channels) {
        Graph g({1, 2, 2});
        auto const n = static_cast<std::size_t>(channels);
        std::size_t count = 1;
        for (std::int64_t d : dims) count *= static_cast<std::size_t>(d);
        g.initializer(floats("w", {channels, 1, 1, 1}, std::vector<float>(n, 1)));
        g.initializer(floats("k", std::move(dims), std::vector<float>(count, 2)));
        g.node("Conv", {"x", "w"}, {"c"}).node(op, {"c", "k"}, {"y"});
        return g.types();
    };
    CHECK(with({1, 2, 1, 1}, "Mul", 2) == "Conv2d");
    CHECK(with({1, 1, 2, 1}, "Mul", 2) == "Conv2d Mul");
    CHECK(with({1, 2, 2, 1}, "Mul", 2) == "Conv2d Mul");
    CHECK(with({2, 1}, "Mul", 2) == "Conv2d Mul");
    CHECK(with({1}, "Add", 2) == "Conv2d Add");
    CHECK(with({1}, "Add", 1) == "Conv2d");
    auto const transposed = [](std::int64_t group) {
        Graph g({2, 1});
        g.initializer(floats("w", {2, 1, 1}, {1, 2})).initializer(floats("k", {}, {3}));
        g.node("ConvTranspose", {"x", "w"}, {"c"}, {onnx_test::attribute("group", group)});
        g.node("Mul", {"c", "k"}, {"y"});
        return g.types();
    };
    CHECK(transposed(2) == "ConvTranspose1d");
    for (std::int64_t group : {-1, 0, 3})
        CHECK_THAT(transposed(group), Catch::Contains(detail::concat("expected a weight for 2 channels in ",
                                                                     group, " groups, found [2, 1, 1]")));
    Graph depends({1, 2});  // a bias that is no constant
    depends.initializer(floats("w", {1, 1, 1}, {1})).initializer(floats("k", {}, {3}));
    depends.node("Conv", {"x", "w", "x"}, {"c"}).node("Mul", {"c", "k"}, {"y"});
    CHECK_THAT(depends.types(),
               Catch::Contains("input 2 (`x`) depends on the network's inputs; expected a constant"));
    Graph other({3, 2});  // the weight's channels are others
    other.initializer(floats("w", {1, 1, 1}, {1})).initializer(floats("k", {}, {3}));
    other.node("Conv", {"x", "w"}, {"c"}).node("Mul", {"c", "k"}, {"y"});
    CHECK_THAT(other.types(),
               Catch::Contains("expected a weight for 3 channels in 1 groups, found [1, 1, 1]"));
    for (std::string_view op : {"Mul", "Add"}) {  // a number that float32 has not
        Graph g({1, 2});
        g.initializer(floats("w", {1, 1, 1}, {1}));
        onnx::TensorProto k{.dims = {1}, .data_type = 11, .name = std::string_view("k")};
        k.double_data = {1e300};
        g.initializer(std::move(k));
        g.node("Conv", {"x", "w"}, {"c"}).node(op, {"c", "k"}, {"y"});
        CHECK_THAT(g.types(),
                   Catch::Contains("a double of it is beyond float32, which the network computes in"));
    }
}

TEST_CASE("onnx patterns: MatMul and Add of a value for each column are a Linear") {
    for (bool swapped : {false, true}) {
        Graph g({2});
        g.initializer(floats("w", {2, 3}, {1, 2, 3, 4, 5, 6})).initializer(floats("b", {3}, {10, 20, 30}));
        g.node("MatMul", {"x", "w"}, {"m"});
        swapped ? g.node("Add", {"b", "m"}, {"y"}) : g.node("Add", {"m", "b"}, {"y"});
        REQUIRE(g.types() == "Linear");
        CHECK(g.network.predict(nn::Tensor({1, 2}, {1, -1})) == nn::Tensor({1, 3}, {7, 17, 27}));
    }
    Graph other({2, 2});
    other.initializer(floats("w", {2, 3}, {1, 2, 3, 4, 5, 6})).initializer(floats("b", {2, 1}, {10, 20}));
    other.node("MatMul", {"x", "w"}, {"m"}).node("Add", {"m", "b"}, {"y"});
    CHECK(other.types() == "Linear Add");
}

TEST_CASE("onnx patterns: LayerNorm spelled out") {
    auto const spell = [](Graph& g, std::vector<std::int64_t> axes, bool by_pow) {
        auto const over = [&] { return std::vector{onnx_test::attribute("axes", axes)}; };
        g.initializer(floats("two", {}, {2})).initializer(floats("eps", {}, {0.0001f}));
        g.initializer(floats("w", {2}, {1, 3})).initializer(floats("b", {2}, {0, 1}));
        g.node("ReduceMean", {"x"}, {"m"}, over()).node("Sub", {"x", "m"}, {"d"});
        by_pow ? g.node("Pow", {"d", "two"}, {"q"}) : g.node("Mul", {"d", "d"}, {"q"});
        g.node("ReduceMean", {"q"}, {"v"}, over())
            .node("Add", {"v", "eps"}, {"e"})
            .node("Sqrt", {"e"}, {"s"});
        g.node("Div", {"d", "s"}, {"n"}).node("Mul", {"w", "n"}, {"p"}).node("Add", {"p", "b"}, {"y"});
    };
    for (bool by_pow : {false, true})
        for (std::int64_t axis : {-1, 2}) {
            Graph g({2, 2});
            spell(g, {axis}, by_pow);
            REQUIRE(g.types() == "LayerNorm");
            nn::Tensor const y = g.network.predict(nn::Tensor({1, 2, 2}, {1, 3, 5, 5}));
            CHECK(y[0] == Approx(-1).margin(1e-4));
            CHECK(y[1] == Approx(4).margin(2e-4));
            CHECK(y[2] == 0);
            CHECK(y[3] == 1);
        }
    Graph first({2, 2});
    spell(first, {1}, true);
    CHECK(first.types() == "ReduceMean Sub Pow ReduceMean Add Sqrt Div Mul Add");
}

TEST_CASE("onnx patterns: LayerNorm over all dimensions is one, which says that the batch is among them") {
    for (const std::vector<std::int64_t>& axes : {std::vector<std::int64_t>{0, 1}, {-1, 0}, {1, -2}}) {
        Graph g({2});
        auto const over = [&] { return std::vector{onnx_test::attribute("axes", axes)}; };
        g.initializer(floats("two", {}, {2})).initializer(floats("eps", {}, {0.0001f}));
        g.node("ReduceMean", {"x"}, {"m"}, over())
            .node("Sub", {"x", "m"}, {"d"})
            .node("Pow", {"d", "two"}, {"q"});
        g.node("ReduceMean", {"q"}, {"v"}, over())
            .node("Add", {"v", "eps"}, {"e"})
            .node("Sqrt", {"e"}, {"s"});
        g.node("Div", {"d", "s"}, {"y"});
        CHECK_THAT(g.types(),
                   Catch::Contains("it normalizes over the batch; give the inputs' shapes with a number "
                                   "in the batch's place"));
    }
}

TEST_CASE("onnx patterns: axes from the front are none of a LayerNorm where the rank is not known") {
    for (const std::vector<std::int64_t>& axes : {std::vector<std::int64_t>{0, 1}, {0}}) {
        Graph g({2});
        auto const over = [&] { return std::vector{onnx_test::attribute("axes", axes)}; };
        g.initializer(floats("two", {}, {2})).initializer(floats("eps", {}, {0.0001f}));
        g.node("Relu", {"x"}, {"r"}).node("ReduceMean", {"r"}, {"m"}, over()).node("Sub", {"r", "m"}, {"d"});
        g.node("Pow", {"d", "two"}, {"q"}).node("ReduceMean", {"q"}, {"v"}, over());
        g.node("Add", {"v", "eps"}, {"e"}).node("Sqrt", {"e"}, {"s"}).node("Div", {"d", "s"}, {"y"});
        CHECK_THAT(g.types(),
                   Catch::Contains("node 1 (ReduceMean), which makes `m`: expected an input of a fixed "
                                   "size, because dimension 0, which is reduced, is the batch"));
    }
}

}  // namespace test_onnx_pattern_weighted
