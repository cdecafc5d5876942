// SPDX-License-Identifier: Apache-2.0
// Graphs that few exporters write: without names, with odd names, of an opset between two, cut off, repeated.
#include <amct_distill/onnx/layer_nodes.hpp>

#include <amct_distill/onnx/changed_parameters.hpp>
#include <amct_distill/onnx/import.hpp>
#include <amct_distill/onnx/opset_conversion.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "models.hpp"
#include "operators/one_operator.hpp"
#include "support/catch.hpp"

namespace onnx_rare_graphs_test {

using namespace amct_distill;
using Catch::Contains;
using onnx_test::attribute;
using onnx_test::declared;
using onnx_test::floats;
using onnx_test::integers;
using onnx_test::Model;
using onnx_test::real;
using Integers = std::vector<std::int64_t>;

namespace {

std::string import_error(Model& m, const onnx::ImportOptions& options = {}) {
    auto const read = onnx::import_network(m.file(), options);
    return read ? "no error" : to_string(read.diagnostics());
}
std::string view_error(Model& m) {
    auto const graph = onnx::GraphView::of(m.file());
    return graph ? "no error" : to_string(graph.diagnostics());
}
onnx::AttributeProto text(std::string_view name, std::string_view value) {
    return {.name = name, .s = value, .type = 3};
}

}  // namespace

TEST_CASE("onnx graphs: tensors without a name, twice, sparse, or made by nobody") {
    Model m;
    m.input("x").input("x").initializer(floats("", {1}, {1})).initializer(floats("w", {1}, {1}));
    m.initializer(floats("w", {1}, {2})).node("Neg", {"x"}, {"y"}).output("y").output("y").output("z");
    m.graph().sparse_initializer.push_back({});
    m.graph().sparse_initializer.push_back({.values = boxed<onnx::TensorProto>(floats("s", {1}, {1}))});
    std::string const all = view_error(m);
    CHECK_THAT(all, Contains("an initializer has no name") && Contains("two initializers are called `w`"));
    CHECK_THAT(all, Contains("two inputs are called `x`") && Contains("two outputs are called `y`"));
    CHECK_THAT(all, Contains("the initializer `` is sparse, which is not supported; store it dense"));
    CHECK_THAT(all, Contains("the initializer `s` is sparse"));
    CHECK_THAT(all, Contains("the output `z` is made by no node, input or initializer"));
    Model twice;
    twice.input("x").initializer(floats("w", {1}, {1})).node("Neg", {"x"}, {"w"}).node("Neg", {"x"}, {"x"});
    twice.node("Neg", {"x"}, {"y"}).node("Abs", {"x"}, {"y"}, {}, "abs").node("Abs", {"x"}, {""}).output("y");
    std::string const made = view_error(twice);
    CHECK_THAT(made, Contains("node 0 (Neg), which makes `w` makes `w`, which is an initializer"));
    CHECK_THAT(made, Contains("makes `x`, which is an input of the model"));
    CHECK_THAT(made, Contains("node `abs` (Abs) makes `y`, which node 2 (Neg), which makes `y` makes too"));
    Model none;
    none.input("x").node("Neg", {"x"}, {"y"});
    CHECK_THAT(view_error(none), Contains("the model has no outputs"));
    Model many;  // a hundred errors are enough
    static std::vector<std::string> const names = [] {
        std::vector<std::string> out;
        for (int i = 0; i != 150; ++i) out.push_back("t" + std::to_string(i));
        return out;
    }();
    many.input("x").node("Neg", {"x"}, {"y"}).output("y");
    for (const std::string& name : names) many.node("Neg", {name}, {});
    CHECK(onnx::GraphView::of(many.file()).diagnostics().size() == 100);
    Model label;
    label.input("x").node("Neg", {"x"}, {"", "y"}).node("Neg", {"x"}, {}).output("y");
    auto const graph = onnx::GraphView::of(label.file()).value();
    CHECK(graph.label(0) == "node 0 (Neg), which makes `y`");
    CHECK(graph.label(1) == "node 1 (Neg)");
}

TEST_CASE("onnx graphs: the model's and the user's word on a value") {
    Model m;
    m.graph().input.push_back(declared("x", {4}));
    m.node("Relu", {"x"}, {"r"}).node("Neg", {"r"}, {"y"}).output("y");
    m.graph().value_info.push_back(declared("r", {5}));
    CHECK_THAT(import_error(m), Contains("its output `r` would be [N, 4], but the model says [batch, 5]"));
    CHECK(import_error(m, {.shapes = {{"x", {-1, 4}}}}) == "no error");  // the user's word counts
    CHECK_THAT(import_error(m, {.constants = {{"w", nn::Tensor({1})}}}),
               Contains("a value is given for `w`, which is no input of the model"));
    CHECK_THAT(import_error(m, {.constants = {{"r", nn::Tensor({1})}}}),
               Contains("a value is given for `r`, which is no input of the model"));
    CHECK_THAT(import_error(m, {.shapes = {{"r", {1}}}}),
               Contains("a shape is given for `r`, which is no input of the model"));
    CHECK_THAT(import_error(m, {.shapes = {{"a name of its own", {1}}}}),
               !Contains("did you mean") && Contains("which is no input of the model"));
    Model bare;  // nothing is said of its input
    bare.input("x").node("Relu", {"x"}, {"y"}).output("y");
    CHECK_THAT(import_error(bare), Contains("the model does not tell the shape of its input `x`; give it"));
    CHECK(import_error(bare, {.shapes = {{"x", {-1, 3}}}}) == "no error");
    CHECK(import_error(bare, {.constants = {{"x", nn::Tensor({2}, {1, 2})}}}) == "no error");
    // A list of values with a name that was not declared, beside an input.
    Model scaled;
    scaled.graph().input.push_back(declared("x", {2}));
    scaled.graph().input.push_back(declared("k", {}, 1, true));
    scaled.node("Mul", {"x", "k"}, {"y"}).output("y");
    auto const read = onnx::import_network(scaled.file(), {.constants = {{"k", nn::Tensor({1}, {3})}}});
    REQUIRE(read);
    CHECK(read->inputs == std::vector<std::string>{"x"});
    CHECK(read->network.predict(nn::Tensor({1, 2}, {1, 2})) == nn::Tensor({1, 2}, {3, 6}));
}

TEST_CASE("onnx graphs: outputs beyond the first that are read, too many nodes that are wrong") {
    Model m;
    m.graph().input.push_back(declared("x", {2, 4, 4}));
    m.node("MaxPool", {"x"}, {"y", "where"}, {attribute("kernel_shape", Integers{2, 2})})
        .output("y")
        .output("where");
    CHECK_THAT(import_error(m), Contains("its output 1 is read, which is not supported"));
    Model unread;
    unread.graph().input.push_back(declared("x", {2, 4, 4}));
    unread.node("MaxPool", {"x"}, {"y", "where"}, {attribute("kernel_shape", Integers{2, 2})}).output("y");
    CHECK(import_error(unread) == "no error");
    Model first;  // the output that counts is left out
    first.graph().input.push_back(declared("x", {2}));
    first.node("Dropout", {"x"}, {"", "mask"}).node("Neg", {"mask"}, {"y"}).output("y");
    CHECK_THAT(import_error(first), Contains("output"));
    Model many;
    many.graph().input.push_back(declared("x", {2}));
    static std::vector<std::string> const names = [] {
        std::vector<std::string> out;
        for (int i = 0; i != 120; ++i) out.push_back("bad" + std::to_string(i));
        return out;
    }();
    for (const std::string& name : names) many.node("NonZero", {"x"}, {name}).output(name);
    auto const read = onnx::import_network(many.file());
    REQUIRE_FALSE(read);
    CHECK(read.diagnostics().size() == 100);
    Model unknown;  // what follows from another error is not said, what is certain is
    unknown.graph().input.push_back(declared("x", {2}));
    unknown.node("NonZero", {"x"}, {"a"})
        .node("Range", {"a", "a", "a"}, {"b"})
        .node("Loop", {"b"}, {"y"})
        .output("y");
    auto const errors = onnx::import_network(unknown.file());
    REQUIRE(errors.diagnostics().size() == 2);
    CHECK_THAT(errors.diagnostics()[1].message, Contains("(Loop)"));
}

TEST_CASE("onnx graphs: shape arithmetic that goes wrong, and what reads it") {
    Model m;
    m.graph().input.push_back(declared("x", {4}));
    m.initializer(integers("nine", {9})).node("Shape", {"x"}, {"s"}).node("Gather", {"s", "nine"}, {"g"});
    m.node("Range", {"g", "g", "g"}, {"unsaid"}).node("Mine", {"g"}, {"own"}).node("Fast", {"g"}, {"fast"});
    m.graph().node[3].domain = "my.own";
    m.graph().node[4].domain = "com.microsoft.nchwc";
    for (std::string_view output : {"unsaid", "own", "fast"}) m.output(output);
    CHECK(
        import_error(m) ==
        "test.onnx: error: node 1 (Gather), which makes `g`: index 9 of an axis of size 2\n"
        "test.onnx: error: node 3 (my.own.Mine), which makes `own`: an operator of the domain `my.own`; only "
        "ONNX's own operators are known\n"
        "test.onnx: error: node 4 (com.microsoft.nchwc.Fast), which makes `fast`: an operator of ONNX "
        "Runtime's own, which its optimizer writes; give the model as exported");
}

TEST_CASE("onnx graphs: constants in the place of inputs that are no tensors, or have another rank") {
    Model m;
    m.graph().input.push_back(declared("x", {2}));
    m.graph().input.push_back({.name = "sequence"});
    m.graph().input.back().type.emplace();
    m.graph().input.push_back(declared("k", {}, 1, true));
    m.node("Add", {"x", "sequence"}, {"s"}).node("Mul", {"s", "k"}, {"y"}).output("y");
    auto const read = onnx::import_network(
        m.file(), {.constants = {{"sequence", nn::Tensor({2}, {1, 2})}, {"k", nn::Tensor({2}, {3, 4})}}});
    REQUIRE(read);
    CHECK(read->network.predict(nn::Tensor({1, 2}, {10, 20})) == nn::Tensor({1, 2}, {33, 88}));
    CHECK_THAT(import_error(m, {.constants = {{"k", nn::Tensor({1}, {3})}}}),
               Contains("the input `sequence` is a sequence or an optional value; expected a tensor"));
}

TEST_CASE("onnx graphs: inputs whose shapes no network has") {
    auto const with = [](Integers dims) {
        Model m;
        m.graph().input.push_back(declared("x", std::move(dims)));
        return import_error(m.node("Relu", {"x"}, {"y"}).output("y"));
    };
    std::string const refused =
        "expected sizes of at least 1, at most 32 of them, and the batch in dimension 0 alone; give its "
        "shape";
    CHECK(with(Integers(31, 1)) == "no error");
    CHECK_THAT(with(Integers(32, 1)), Contains(refused));
    CHECK_THAT(with({(std::int64_t{1} << 30) + 1}), Contains(refused));
    CHECK_THAT(with({1 << 20, 1 << 20}), Contains(refused));
}

TEST_CASE("onnx graphs: constants over the batch, damaged ones, and notes that are said once") {
    auto const expanded = [](std::string_view name, Integers inner, bool batch_last, bool read_by_add) {
        Model m;
        m.graph().input.push_back(declared("x", {4}));
        m.initializer(floats("c", {1}, {5})).initializer(integers("inner", std::move(inner)));
        m.initializer(integers("0", {0})).initializer(integers("1", {1}));
        m.node("Shape", {"x"}, {"s"}).node("Slice", {"s", "0", "1"}, {"n"});
        if (batch_last)
            m.node("Concat", {"inner", "n"}, {"to"}, {attribute("axis", 0)});
        else
            m.node("Concat", {"n", "inner"}, {"to"}, {attribute("axis", 0)});
        m.node("Expand", {"c", "to"}, {"e"}, {}, name);
        m.node("Add", {"x", read_by_add ? "e" : "c"}, {"y"}).output("y");
        if (!read_by_add) m.output("e");
        auto const read = onnx::import_network(m.file());
        if (!read) return to_string(read.diagnostics());
        std::string out;
        for (std::size_t i = 0; i != read->network.graph().size(); ++i)
            out += detail::concat(i == 0 ? "" : " ", read->network.graph().node({i}).name);
        return out;
    };
    CHECK(expanded("", {4}, false, true) == "x e/value e y");
    CHECK(expanded("repeat", {4}, false, true) == "x repeat/value repeat y");
    CHECK_THAT(
        expanded("", {3}, true, false),
        Contains("the output `e`: a constant is repeated over the batch elsewhere than in dimension 0; "
                 "give the inputs' shapes with a number in the batch's place"));
    Model damaged;
    damaged.graph().input.push_back(declared("x", {2}));
    damaged.initializer({.dims = {2}, .data_type = 1, .float_data = {1}, .name = "w"});
    damaged.node("Add", {"x", "w"}, {"y"}).output("y");
    CHECK_THAT(import_error(damaged), Contains("tensor `w`: it has 1 values, but its shape and type need 2"));
    Model twice;  // two nodes of one name, each with the same note
    twice.graph().input.push_back(declared("x", {1, 2}));
    twice.initializer(floats("w", {1, 1, 1}, {3})).initializer(floats("f", {1, 1}, {2}));
    twice.node("Conv", {"x", "w"}, {"a"}, {}, "c").node("Mul", {"a", "f"}, {"b"});
    twice.node("Conv", {"b", "w"}, {"d"}, {}, "c").node("Mul", {"d", "f"}, {"y"}).output("y");
    auto const read = onnx::import_network(twice.file());
    REQUIRE(read);
    CHECK(read->notes ==
          std::vector<std::string>{"node `c` (Conv): the constants that its result is multiplied "
                                   "by, and that are added, are folded into its weights"});
    CHECK(read->network.predict(nn::Tensor({1, 1, 2}, {1, 2})) == nn::Tensor({1, 1, 2}, {36, 72}));
}

TEST_CASE("onnx graphs: outputs that are left out, the first, the last, and between") {
    auto const types = [](Model& m) {
        auto const read = onnx::import_network(m.file());
        if (!read) return read.diagnostics()[0].message;
        std::string out;
        for (std::size_t i = 0; i != read->network.graph().size(); ++i)
            if (read->network.node({i}).kind == NodeKind::operation)
                out += (out.empty() ? "" : " ") + std::string(read->network.graph().type({i}));
        return out;
    };
    Model split;  // of two parts the second one alone
    split.graph().input.push_back(declared("x", {4}));
    split.node("Split", {"x"}, {"", "b"}, {attribute("axis", 1)}).node("Neg", {"b"}, {"y"}).output("y");
    CHECK(types(split) == "Split Neg");
    CHECK(onnx::import_network(split.file()).value().network.predict(nn::Tensor({1, 4}, {1, 2, 3, 4})) ==
          nn::Tensor({1, 2}, {-3, -4}));
    Model relu;
    relu.graph().input.push_back(declared("x", {4}));
    relu.node("Relu", {"x"}, {"y", ""}).output("y");
    CHECK(types(relu) == "ReLU");
    Model norm;  // statistics that nobody reads
    norm.graph().input.push_back(declared("x", {2, 3}));
    for (std::string_view name : {"s", "b", "m", "v"}) norm.initializer(floats(name, {2}, {1, 1}));
    norm.node("BatchNormalization", {"x", "s", "b", "m", "v"}, {"y", "", "unread"}).output("y");
    CHECK(types(norm) == "BatchNorm1d");
    // Mish's Softplus is its own where nothing else reads it.
    auto const mish = [&](std::vector<std::string_view> made, std::string_view reader, bool is_output) {
        Model m;
        m.graph().input.push_back(declared("x", {4}));
        m.node("Softplus", {"x"}, std::move(made)).node("Tanh", {"s"}, {"t"}).node("Mul", {"x", "t"}, {"y"});
        m.output("y");
        if (!reader.empty()) m.node(reader, {"s"}, {"z"}).output("z");
        if (is_output) m.output("s");
        return types(m);
    };
    CHECK(mish({"s"}, "", false) == "Mish");
    CHECK(mish({"s", ""}, "", false) == "Mish");
    CHECK(mish({"s"}, "", true) == "Softplus Tanh Mul");
    CHECK(mish({"s"}, "Neg", false) == "Softplus Tanh Mul Neg");
    Model none;  // an operator that reads nothing
    none.graph().input.push_back(declared("x", {4}));
    none.node("Cast", {}, {"c"}, {attribute("to", 1)}).node("Add", {"x", "c"}, {"y"}).output("y");
    CHECK(types(none) == "node 0 (Cast), which makes `c`: input 0 is missing");
}

TEST_CASE("onnx graphs: names without a module, of metadata that is broken, of shared weights") {
    using onnx::NameSource;
    CHECK(onnx::dotted_scope("//a//Conv") == "a");
    CHECK(onnx::dotted_scope("/a/a.b/Conv") == "a.b");
    CHECK(onnx::dotted_scope("/a/ab/Conv") == "a.ab");
    CHECK(onnx::dotted_scope("/a/a.b_1/a.b/Conv") != "");
    std::string const longer(300, 'a'), scopes = "['" + longer + "', 'x']";
    Model m;
    m.input("x").initializer(floats("w", {1}, {2})).initializer(floats("deep.weight", {1}, {2}));
    auto const conv = [&](std::string_view in, std::string_view out, std::string_view name,
                          std::string_view list = {}, std::string_view key = "pkg.torch.onnx.name_scopes") {
        m.node("Conv", {in, "w"}, {out}, {}, name);
        if (!list.empty()) m.graph().node.back().metadata_props.push_back({.key = key, .value = list});
    };
    conv("x", "t0", "a", "['', \"b'c\", 'own']");
    conv("t0", "t1", "b", "['unclosed");
    conv("t1", "t2", "c", "['own']");
    conv("t2", "t3", "d", scopes);
    conv("t3", "t4", "e", "['', 'z', 'own']", "another key");
    conv("t4", "t5", "/f");
    conv("t5", "/g/h/Conv_output_0", "");
    conv("/g/h/Conv_output_0", "t7", "/i/");
    m.node("Relu", {"t7"}, {"/j/j.k/Relu_output_0"}).node("Relu", {"/j/j.k/Relu_output_0"}, {"/j/l"});
    m.node("Squeeze", {"deep.weight"}, {"s"}).node("MatMul", {"/j/l", "s"}, {"y"}).output("y");
    auto const graph = onnx::GraphView::of(m.file());
    REQUIRE(graph);
    onnx::Names const names(*graph);
    auto const of = [&](onnx::NodeId n, bool weight = true) {
        auto const name = names.of(std::vector{n}, weight ? graph->node(n).input(1) : onnx::none);
        return name.name;
    };
    CHECK(of(0) == "b'c");
    CHECK(of(1) == "b");
    CHECK(of(2) == "c");
    CHECK(of(3) == "d");
    CHECK(of(4) == "e");
    CHECK(of(5) == "f");
    CHECK(of(6) == "g.h");
    CHECK(of(7) == "i");
    CHECK(of(8, false) == "j.k");
    CHECK(of(9, false) == "j.l");
    CHECK(of(11) == "deep");
}

TEST_CASE("onnx layers: nodes of one layer in a model, in other orders, and gone from it") {
    Model m;
    m.graph().input.push_back(declared("x", {1, 2}));
    m.initializer(floats("c.weight", {1, 1, 1}, {2})).initializer(floats("k", {1, 1}, {3}));
    for (std::string_view name : {"s", "b", "m", "v"}) m.initializer(floats(name, {1}, {1}));
    m.initializer(floats("fc.weight", {2, 2}, {1, 2, 3, 4})).initializer(floats("fc.bias", {2}, {5, 6}));
    m.initializer(floats("last.weight", {2, 2}, {1, 2, 3, 4}));
    m.node("Conv", {"x", "c.weight"}, {"a"}, {}, "/c/Conv").node("Mul", {"k", "a"}, {"p"});
    m.node("Add", {"k", "p"}, {"q"}).node("Identity", {"q"}, {"i"}).node("Dropout", {"i"}, {"d"});
    m.node("Cast", {"d"}, {"f"}, {attribute("to", 1)});
    m.node("BatchNormalization", {"f", "s", "b", "m", "v"}, {"n"}, {}, "/bn/BatchNormalization");
    m.node("MatMul", {"n", "fc.weight"}, {"z"})
        .node("Add", {"fc.bias", "z"}, {"r"})
        .node("Relu", {"r"}, {"t"});
    m.node("Gemm", {"g", "last.weight"}, {"y"}).node("Flatten", {"t"}, {"g"}).output("y");
    const onnx::ModelFile& file = m.file();
    auto const imported = onnx::import_network(file).value();
    std::string modules;
    for (const onnx::ImportedName& n : imported.names)
        modules += detail::concat(n.module, ' ', n.nodes.size(), ' ');
    CHECK(modules == "c 3 bn 1 fc 2 t 1 last 1 ");
    auto const lines = [](const onnx::GraphEdit& edit) {
        std::string out;
        for (std::size_t n = 0; n != edit.nodes(); ++n) {
            if (!edit.has(n)) continue;
            out += detail::concat(out.empty() ? "" : " ", edit.op(n), '(');
            for (std::size_t i = 0; i != edit.node(n).input.size(); ++i)
                out += detail::concat(i == 0 ? "" : ",", edit.input(n, i));
            out += ')';
        }
        return out;
    };
    std::string const rest = "MatMul(a,fc.weight) Add(fc.bias,z) Relu(r) Gemm(g,last.weight) Flatten(t)";
    onnx::GraphEdit edit(file);
    onnx::detail::LayerFinder finder(edit, imported.names);
    auto const conv = finder.find("c", {.has_bias = true, .batch_norm = "bn"});
    REQUIRE(conv);
    CHECK(lines(edit) == "Conv(x,c.weight) " + rest);
    finder.set_parameters(*conv, "w", "");
    finder.set_parameters(*conv, "w", "b");
    auto const fc = finder.find("fc", {.has_bias = true});
    REQUIRE(fc);
    CHECK(fc->bias == "fc.bias");
    finder.set_parameters(*fc, "matrix", "row");
    CHECK(lines(edit) == "Conv(x,w,b) MatMul(a,matrix) Add(row,z) Relu(r) Gemm(g,last.weight) Flatten(t)");
    edit.set_inputs(*fc->bias_add, {"z", "row"});
    finder.set_parameters(*fc, "matrix", "other");
    CHECK(edit.input(*fc->bias_add, 1) == "other");
    auto const without = finder.find("fc", {});  // the Add is none of the layer's
    REQUIRE(without);
    CHECK_FALSE(without->bias_add);
    CHECK(without->output == "z");
    auto const gemm = finder.find("last", {});
    REQUIRE(gemm);
    CHECK_FALSE(gemm->adds_float);
    CHECK(onnx::find_attribute(edit.node(gemm->node), "beta")->f.get() == 1.0f);

    // A new bias of a MatMul whose result the next node reads.
    std::vector<onnx::ImportedName> names = imported.names;
    for (onnx::ImportedName& n : names)
        if (n.module == "fc") n.nodes.pop_back();
    onnx::GraphEdit other(file);
    auto const added = onnx::detail::LayerFinder(other, names).find("fc", {.has_bias = true});
    REQUIRE(added);
    REQUIRE(added->bias_add);
    CHECK(other.input(*added->bias_add, 0) == "z");
    CHECK(other.input(8, 1) == added->output);  // the Add of the file, now a part of what follows

    // Names whose nodes are gone, or that nothing connects.
    for (onnx::ImportedName& n : names) {
        if (n.module == "bn") n.nodes.clear();
        if (n.module == "t") n.nodes.clear();
        if (n.module == "c") n.nodes = {0, 10, 9};
    }
    onnx::GraphEdit broken(file);
    onnx::detail::LayerFinder lost(broken, names);
    CHECK(lost.find("t", {}).diagnostics()[0].message ==
          "layer `t`: the model has no such layer; give the model that was quantized");
    CHECK(lost.find("c", {.batch_norm = "bn"}).diagnostics()[0].message ==
          "layer `c`: the model has no BatchNorm `bn` after it; give the model that was quantized");
    CHECK(broken.has(10));  // which reads what another layer makes
    CHECK(broken.has(9));
}

TEST_CASE("onnx layers: changed numbers that are a node's own, or that the model has otherwise") {
    Model m;
    m.graph().input.push_back(declared("x", {2}));
    onnx::AttributeProto value{.name = std::string_view("value"), .type = 4};
    value.t = boxed<onnx::TensorProto>(floats("", {2}, {0.25f, 0.5f}));
    m.node("Constant", {}, {"slope"}, {std::move(value)})
        .node("Constant", {}, {"none"}, {real("value_float", 1)});
    m.initializer(floats("n.weight", {2}, {3, 4})).initializer(floats("n.bias", {2}, {3, 4}));
    m.initializer(floats("fc.weight", {2, 2}, {1, 2, 3, 4})).initializer(floats("three", {3}, {1, 2, 3}));
    m.node("PRelu", {"x", "slope"}, {"p"}, {}, "/act/PRelu");
    m.node("LayerNormalization", {"p", "n.weight", "n.bias"}, {"n"}, {}, "/n/LayerNormalization");
    m.node("MatMul", {"n", "fc.weight"}, {"y"}, {}, "/fc/MatMul").output("y");
    m.graph().input.reserve(4);
    const onnx::ModelFile& file = m.file();
    auto const imported = onnx::import_network(file).value();
    auto const put = [&](nn::Network changed, std::vector<onnx::ImportedName> names) {
        onnx::GraphEdit edit(file);
        onnx::detail::ChangedParameters parameters(edit, imported, changed);
        for (const onnx::ImportedName& name : names)
            if (auto const ok = parameters.put(name); !ok) return ok.diagnostics()[0].message;
        std::string out;
        for (std::size_t n = 2; n != edit.nodes(); ++n)
            for (std::size_t i = 1; i < edit.node(n).input.size(); ++i) {
                std::string_view const name = edit.input(n, i);
                out += detail::concat(out.empty() ? "" : " ", name);
                if (const onnx::TensorProto* const t = edit.initializer(name))
                    for (float v : file.values(*t).value().to_vector<float>()) out += detail::concat(' ', v);
            }
        return out;
    };
    auto const change = [&](std::string_view module, std::string_view parameter) {
        nn::Network changed = imported.network;
        for (const nn::Parameter& p : changed.module(module).parameters())
            if (p.name == parameter) p.values[0] += 10;
        return changed;
    };
    CHECK(put(imported.network, imported.names) == "slope n.weight 3 4 n.bias 3 4 fc.weight 1 2 3 4");
    CHECK(put(change("act", "weight"), imported.names) ==
          "act.weight 10.25 0.5 n.weight 3 4 n.bias 3 4 fc.weight 1 2 3 4");
    // The weight and the bias are equal: the first is the weight's, whichever of them has changed.
    CHECK(put(change("n", "weight"), imported.names) == "slope n.weight_1 13 4 n.bias 3 4 fc.weight 1 2 3 4");
    CHECK(put(change("n", "bias"), imported.names) == "slope n.weight 3 4 n.bias_1 13 4 fc.weight 1 2 3 4");
    CHECK(put(change("fc", "weight"), imported.names) ==
          "slope n.weight 3 4 n.bias 3 4 fc.weight_1 11 2 3 4");
    std::vector<onnx::ImportedName> names = imported.names;
    for (onnx::ImportedName& n : names)
        if (n.module == "n") n.nodes = {2};
    CHECK(put(change("n", "bias"), names) ==
          "layer `n`: distillation has changed its bias, which is no constant of its own in the model; write "
          "the "
          "network with export --format float, and quantize that model");
    for (onnx::ImportedName& n : names) n.nodes.clear();
    CHECK(put(change("n", "bias"), names) == "slope n.weight 3 4 n.bias 3 4 fc.weight 1 2 3 4");
    names[0].module = "unknown";
    CHECK(put(imported.network, names) == "slope n.weight 3 4 n.bias 3 4 fc.weight 1 2 3 4");
    nn::Network other;  // of the same type, with parameters of another number
    other.output(other.add("n", nn::LayerNorm({.normalized_shape = {2}, .elementwise_affine = false}),
                           {other.input("x", {2})}));
    CHECK(put(std::move(other), {{.module = "n", .nodes = {3}}}) ==
          "layer `n`: it is a LayerNorm in the model, but a LayerNorm in the deployment; give the model that "
          "was "
          "quantized");
}

TEST_CASE("onnx opsets: each spelling that changed, and what has none in the new one") {
    auto const converted = [](std::int64_t from, std::int64_t to, std::string_view op,
                              std::vector<onnx::AttributeProto> attributes, std::string_view name = "n",
                              bool two = false) {
        Model m(from);
        m.graph().input.push_back(declared("x", {2, 4}));
        m.initializer(floats("s", {3}, {1, 2, 2}));
        m.node(op, two ? std::vector<std::string_view>{"x", "s"} : std::vector<std::string_view>{"x"}, {"y"},
               std::move(attributes), name);
        m.output("y");
        onnx::GraphEdit edit(m.file());
        auto const ok = onnx::convert_opset(edit, to);
        if (!ok) return ok.diagnostics()[0].message;
        std::string out;
        for (std::size_t n = 0; n != edit.nodes(); ++n) {
            out += (out.empty() ? "" : " ") + std::string(edit.op(n)) +
                   detail::concat(edit.node(n).input.size());
            for (const onnx::AttributeProto& a : edit.node(n).attribute)
                out +=
                    " " + std::string(a.name.get()) + (a.s.get().empty() ? "" : "=") + std::string(a.s.get());
        }
        return out;
    };
    CHECK(converted(8, 9, "BatchNormalization", {attribute("spatial", 1)}) == "BatchNormalization1");
    CHECK(converted(8, 9, "BatchNormalization", {attribute("spatial", std::int64_t{0})}) ==
          "node `n` (BatchNormalization) is not converted to opset 9: its statistics are not per channel "
          "(spatial 0)");
    CHECK(converted(8, 9, "Upsample", {}, "") ==
          "node `y` (Upsample) is not converted to opset 9: it has no scales");
    CHECK(converted(9, 10, "Slice", {attribute("starts", Integers{1})}) ==
          "node `n` (Slice) is not converted to opset 10: it has no starts or ends");
    CHECK(converted(9, 10, "Slice", {}) ==
          "node `n` (Slice) is not converted to opset 10: it has no starts or ends");
    CHECK(converted(10, 11, "Pad", {}) == "node `n` (Pad) is not converted to opset 11: it has no pads");
    CHECK(converted(10, 11, "Pad", {attribute("pads", Integers{0, 0, 0, 0, 0, 0})}, "") == "Pad2");
    CHECK(converted(10, 11, "Clip", {}) == "Clip1");
    CHECK(converted(10, 11, "Resize", {}, "n", true) ==
          "Resize3 coordinate_transformation_mode=asymmetric nearest_mode=floor");
    CHECK(converted(10, 11, "Resize", {text("mode", "linear")}, "n", true) ==
          "Resize3 mode=linear coordinate_transformation_mode=asymmetric");
    CHECK(converted(11, 12, "Dropout", {real("ratio", 0.5f)}) == "Dropout1");
    CHECK(converted(12, 13, "Squeeze", {}) == "Squeeze1");
    CHECK(converted(17, 18, "Split", {}) == "Split1 num_outputs");
    CHECK(converted(17, 18, "Split", {}, "n", true) == "Split2");
    CHECK(converted(19, 20, "GridSample", {}) == "GridSample1 mode=linear");
    CHECK(converted(19, 20, "GridSample", {text("mode", "bilinear")}) == "GridSample1 mode=linear");
    CHECK(converted(19, 20, "GridSample", {text("mode", "bicubic")}) == "GridSample1 mode=cubic");
    CHECK(converted(19, 20, "GridSample", {text("mode", "nearest")}) == "GridSample1 mode=nearest");
    CHECK(converted(12, 13, "Softmax", {attribute("axis", 2)}) == "Softmax1 axis");  // the last of three
    CHECK(converted(12, 13, "Softmax", {}).starts_with("Softmax1 axis Shape"));
    Model gemm(12);
    gemm.input("x")
        .node("Gemm", {"x", "x"}, {"g"})
        .node("Softmax", {"g"}, {"y"}, {attribute("axis", 1)})
        .output("y");
    onnx::GraphEdit edit(gemm.file());
    REQUIRE(onnx::convert_opset(edit, 13));
    CHECK(edit.nodes() == 2);
    Model relu(12);
    relu.input("x")
        .node("Relu", {"x"}, {"g"})
        .node("Softmax", {"g"}, {"y"}, {attribute("axis", 1)})
        .output("y");
    onnx::GraphEdit unknown(relu.file());
    REQUIRE(onnx::convert_opset(unknown, 13));
    CHECK(unknown.nodes() == 5);
    Model others(12);  // another domain's Squeeze is not ONNX's
    others.input("x").node("Squeeze", {"x"}, {"y"}, {attribute("axes", Integers{1})}).output("y");
    others.graph().node[0].domain = "my.own";
    onnx::GraphEdit own(others.file());
    REQUIRE(onnx::convert_opset(own, 13));
    CHECK(own.node(0).input.size() == 1);
}

TEST_CASE("onnx opsets: a node without outputs and without a name is not converted, and not written") {
    Model m(9);
    m.graph().input.push_back(declared("x", {2, 4}));
    m.node("Slice", {"x"}, {}).node("Softmax", {"x"}, {}).node("Relu", {"x"}, {"y"}).output("y");
    onnx::GraphEdit edit(m.file());
    REQUIRE(onnx::convert_opset(edit, 13));
    CHECK(edit.nodes() == 3);
    std::string const bytes = edit.finish().value().model;
    CHECK(onnx::ModelFile::of_bytes(bytes, "converted.onnx").value().graph().node.size() == 1);
}

TEST_CASE("onnx types: float16 from floats, rounded to even, subnormal, beyond its range") {
    using onnx::to_float16;
    CHECK(to_float16(1) == 0x3C00);
    CHECK(to_float16(-2) == 0xC000);
    CHECK(to_float16(std::numeric_limits<float>::quiet_NaN()) == 0x7E00);
    CHECK(to_float16(std::numeric_limits<float>::infinity()) == 0x7C00);
    CHECK(to_float16(-65520) == 0xFC00);
    CHECK(to_float16(65519) == 0x7BFF);
    CHECK(to_float16(0x1p-26f) == 0);
    CHECK(to_float16(-0x1p-30f) == 0x8000);
    CHECK(to_float16(0x1p-25f) == 0);  // a tie
    CHECK(to_float16(0x1.8p-25f) == 1);
    CHECK(to_float16(0x1.8p-24f) == 2);  // a tie
    CHECK(to_float16(0x1.ff8p-15f) == 0x03FF);
    CHECK(to_float16(1 + 0x1p-11f) == 0x3C00);  // ties to even
    CHECK(to_float16(1 + 0x1.8p-10f) == 0x3C02);
    CHECK(to_float16(1 + 0x1.1p-11f) == 0x3C01);
    for (unsigned h = 0; h != 0x10000; ++h) {
        float const value = onnx::from_float16(static_cast<std::uint16_t>(h));
        if (!std::isnan(value) && to_float16(value) != h) FAIL(h);
    }
    CHECK(onnx::to_bfloat16(std::numeric_limits<float>::quiet_NaN()) == 0x7FC0);
    CHECK(onnx::to_bfloat16(1 + 0x1p-8f) == 0x3F80);
    CHECK(onnx::to_bfloat16(1 + 0x1.8p-7f) == 0x3F82);
}

TEST_CASE("onnx layers: what a model has in the place of a layer") {
    Model m;
    m.graph().input.push_back(declared("x", {1, 4, 4}));
    m.initializer(floats("c.weight", {1, 1, 1, 1}, {2}))
        .initializer(floats("fc.weight", {16, 2}, std::vector<float>(32, 1)));
    for (std::string_view name : {"s", "b", "m", "v"}) m.initializer(floats(name, {1}, {1}));
    m.node("Conv", {"x", "c.weight"}, {"a"}, {}, "/c/Conv").node("Relu", {"a"}, {"r"}, {}, "/r/Relu");
    m.node("BatchNormalization", {"r", "s", "b", "m", "v"}, {"n"}, {}, "/bn/BatchNormalization");
    m.node("Flatten", {"n"}, {"f"}, {}, "/f/Flatten")
        .node("MatMul", {"f", "fc.weight"}, {"y"}, {}, "/fc/MatMul")
        .output("y");
    const onnx::ModelFile& file = m.file();
    auto const imported = onnx::import_network(file).value();
    auto const found = [&](std::string_view module, const onnx::detail::LayerFacts& facts) {
        onnx::GraphEdit edit(file);
        onnx::detail::LayerFinder finder(edit, imported.names);
        auto const nodes = finder.find(module, facts);
        if (!nodes) return nodes.diagnostics()[0].message;
        return detail::concat(edit.op(nodes->node), ' ', nodes->input, ' ', nodes->output,
                              nodes->bias_add ? " +" : "");
    };
    CHECK(found("c", {}) == "Conv x a");
    CHECK(found("fc", {}) == "MatMul f y");
    CHECK(found("fc", {.has_bias = true}) == "MatMul f y +");  // an Add of its own
    CHECK(found("none", {}) ==
          "layer `none`: the model has no such layer; give the model that was quantized");
    CHECK(found("r", {}) == "layer `r`: it is a Relu there, which has no weights that are quantized");
    std::string const no_norm = "` after it; give the model that was quantized";
    CHECK(found("c", {.batch_norm = "none"}) == "layer `c`: the model has no BatchNorm `none" + no_norm);
    CHECK(found("c", {.batch_norm = "r"}) == "layer `c`: the model has no BatchNorm `r" + no_norm);
    CHECK(found("c", {.batch_norm = "bn"}) ==
          "layer `c`: the model has no BatchNorm `bn" + no_norm);  // a Relu between
    CHECK(found("fc", {.batch_norm = "bn"}) == "layer `fc`: the model has no BatchNorm `bn" + no_norm);

    // What distillation changed, put into a model that has other layers.
    auto const put = [&](nn::Network changed) {
        onnx::GraphEdit edit(file);
        onnx::detail::ChangedParameters parameters(edit, imported, changed);
        for (const onnx::ImportedName& name : imported.names)
            if (auto const ok = parameters.put(name); !ok) return ok.diagnostics()[0].message;
        return std::string("put");
    };
    CHECK(put(imported.network) == "put");
    nn::Network other;
    other.output(other.add("c", nn::ReLU{}, {other.input("x", {1, 4, 4})}));
    CHECK(put(std::move(other)) ==
          "layer `c`: it is a Conv2d in the model, but a ReLU in the deployment; give the model that was "
          "quantized");
    nn::Network wider;
    wider.output(wider.add("c",
                           nn::Conv2d({.in_channels = 1, .out_channels = 2, .kernel = {1, 1}, .bias = false}),
                           {wider.input("x", {1, 4, 4})}));
    CHECK(put(std::move(wider)) ==
          "layer `c`: its weight has another shape in the model; give the model that was quantized");
    nn::Network without;
    without.output(without.add("d", nn::ReLU{}, {without.input("x", {1, 4, 4})}));
    CHECK(put(std::move(without)) ==
          "layer `c`: the deployment has no such layer; give the model that was quantized");
    nn::Network changed = imported.network;
    for (std::size_t k = 0; k != changed.modules().size(); ++k)
        for (const nn::Parameter& p : changed.module({k}).parameters())
            for (float& v : p.values) v += 1;
    CHECK(put(std::move(changed)) == "put");
}

}  // namespace onnx_rare_graphs_test
