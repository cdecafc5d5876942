// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/import.hpp>
#include <amct_distill/onnx/model_file.hpp>
// The header under test comes first.
#include <amct_distill/nn/print.hpp>

#include <sys/resource.h>
#include <ctime>
#include <functional>
#include <limits>
#include <list>
#include <numeric>
#include <string>
#include <vector>

#include "models.hpp"
#include "support/catch.hpp"
#include "support/child_process.hpp"

namespace test_onnx_import {

using namespace amct_distill;
using onnx_test::Model;

/// A value's declaration: elem_type, and sizes, -1 being "batch".
onnx::ValueInfoProto value_info(std::string_view name, std::vector<std::int64_t> dims,
                                std::int32_t type = 1) {
    onnx::ValueInfoProto info{.name = name};
    info.type.emplace();
    info.type->tensor_type = onnx::TypeProto::Tensor{};
    info.type->tensor_type->elem_type = type;
    info.type->tensor_type->shape = onnx::TensorShapeProto{};
    for (std::int64_t d : dims) {
        onnx::TensorShapeProto::Dimension dim;
        if (d == -1)
            dim.value.emplace<1>(std::string_view("batch"));
        else
            dim.value.emplace<0>(d);
        info.type->tensor_type->shape->dim.push_back(dim);
    }
    return info;
}
struct Graph : Model {
    using Model::Model;
    Graph& in(std::string_view name, std::vector<std::int64_t> dims, std::int32_t type = 1) {
        graph().input.push_back(value_info(name, std::move(dims), type));
        return *this;
    }
    Graph& says(std::string_view name, std::vector<std::int64_t> dims) {
        graph().value_info.push_back(value_info(name, std::move(dims)));
        return *this;
    }
};
onnx::TensorProto weight(std::string_view name, std::vector<std::int64_t> dims) {
    std::size_t n = 1;
    for (std::int64_t d : dims) n *= static_cast<std::size_t>(d);
    std::vector<float> values(n);
    std::iota(values.begin(), values.end(), 1.0f);
    return onnx_test::floats(name, std::move(dims), std::move(values));
}
std::string errors_of(const result<onnx::Imported>& r) { return r ? "" : to_string(r.diagnostics()); }

using Catch::Contains;

TEST_CASE("onnx import: modules by their PyTorch names, functions by their nodes'") {
    Graph m;
    m.in("x", {-1, 2, 4, 4});
    m.initializer(weight("layer1.0.conv1.weight", {3, 2, 1, 1}))
        .initializer(weight("layer1.0.conv1.bias", {3}));
    m.node("Conv", {"x", "layer1.0.conv1.weight", "layer1.0.conv1.bias"}, {"c"}, {},
           "/layer1/layer1.0/conv1/Conv");
    m.node("Relu", {"c"}, {"r"}, {}, "/layer1/layer1.0/relu/Relu");
    m.output("r");
    auto const model = onnx::import_network(m.file());
    REQUIRE(errors_of(model) == "");
    CHECK(nn::print(model->network) ==
          "amct_distill network 1\n"
          "input \"x\" [N, 2, 4, 4]\n"
          "layer \"layer1.0.conv1\" Conv2d { in_channels: 2 out_channels: 3 kernel: [1, 1] stride: [1, 1] "
          "padding: [0, 0] dilation: [1, 1] groups: 1 bias: true } \"x\"\n"
          "layer \"layer1.0.relu\" ReLU { } \"layer1.0.conv1\"\n"
          "output \"layer1.0.relu\"\n");
    REQUIRE(model->names.size() == 2);
    CHECK(model->names[0].source == onnx::NameSource::weight);
    CHECK(model->names[1].source == onnx::NameSource::scope);
    CHECK(model->inputs == std::vector<std::string>{"x"});
    CHECK(model->outputs == std::vector<std::string>{"r"});

    nn::Tensor x({1, 2, 4, 4});
    x.fill(1);
    nn::Tensor const y = model->network.predict(x);
    CHECK(y.shape() == nn::Shape{1, 3, 4, 4});
    CHECK(y[0] == 1 + 2 + 1);
    CHECK(y[16] == 3 + 4 + 2);
}

TEST_CASE("onnx import: everything that is wrong, at once, and nothing that only follows from it") {
    Graph m;
    m.in("x", {-1, 2, 4, 4});
    m.node("NonZero", {"x"}, {"a"}, {}, "first");
    m.node("Relu", {"a"}, {"b"}, {}, "follows");
    m.node("If", {"b"}, {"c"}, {}, "branch");
    m.node("LeakyRelu", {"x"}, {"d"}, {onnx_test::attribute("slope", std::int64_t{1})}, "unknown attribute");
    m.output("c").output("d");
    auto const model = onnx::import_network(m.file());
    REQUIRE_FALSE(model);
    REQUIRE(model.diagnostics().size() == 3);
    CHECK_THAT(model.diagnostics()[0].message, Contains("node `first` (NonZero): its result is indices"));
    CHECK_THAT(model.diagnostics()[1].message, Contains("node `branch` (If): control flow"));
    CHECK_THAT(model.diagnostics()[2].message, Contains("unknown attribute `slope`"));
    CHECK(model.diagnostics()[0].source == "test.onnx");
}

TEST_CASE(
    "onnx import: what would be known of a shape is not told when what it reads could not be imported") {
    Graph m;
    m.in("x", {-1, 2, 4, 4});
    m.node("NonZero", {"x"}, {"a"}, {}, "first");
    for (std::string_view op : {"Shape", "Size", "Floor"}) m.node(op, {"a"}, {op}, {}, op).output(op);
    m.node("Shape", {"a"}, {"z"}, {}, "another's").output("z");
    m.graph().node.back().domain = "com.example";
    auto const model = onnx::import_network(m.file());
    REQUIRE_FALSE(model);
    REQUIRE(model.diagnostics().size() == 2);
    CHECK_THAT(model.diagnostics()[0].message, Contains("node `first` (NonZero): its result is indices"));
    CHECK_THAT(model.diagnostics()[1].message, Contains("node `another's` (com.example.Shape)"));
}

TEST_CASE("onnx import: operators of others, and versions that are not known") {
    Graph m;
    m.in("x", {-1, 2}).node("Relu", {"x"}, {"y"}).output("y");
    m.graph().node[0].domain = "com.microsoft";
    CHECK_THAT(errors_of(onnx::import_network(m.file())), Contains("com.microsoft.Relu"));
    for (std::int64_t opset : {0, 23}) {
        Graph other(opset);
        other.in("x", {-1, 2}).node("Relu", {"x"}, {"y"}).output("y");
        CHECK_THAT(errors_of(onnx::import_network(other.file())), Contains("opsets 1 to 22 are known"));
    }
}

TEST_CASE("onnx import: an output that is an input, another output, or a constant") {
    Graph m;
    m.in("x", {-1, 2});
    m.initializer(weight("w", {1, 2})).node("Relu", {"x"}, {"y"}).node("Identity", {"y"}, {"again"});
    m.output("y").output("again").output("x").output("w");
    auto const model = onnx::import_network(m.file());
    if (!model) {  // Identity is not there: every other kind is
        CHECK_THAT(errors_of(model), Contains("Identity"));
        return;
    }
    auto const out = model->network.predict(std::vector{nn::Tensor({2, 2}, {1, -1, 2, -2})});
    REQUIRE(out.size() == 4);
    CHECK(out[0] == nn::Tensor({2, 2}, {1, 0, 2, 0}));
    CHECK(out[1] == out[0]);
    CHECK(out[2] == nn::Tensor({2, 2}, {1, -1, 2, -2}));
    CHECK(out[3] == nn::Tensor({1, 2}, {1, 2}));
}

TEST_CASE("onnx import: a weight that two nodes read is one module, used twice") {
    Graph m;
    m.in("x", {-1, 2, 4, 4}).initializer(weight("cell.weight", {2, 2, 1, 1}));
    m.node("Conv", {"x", "cell.weight"}, {"a"}, {}, "/cell/Conv");
    m.node("Conv", {"a", "cell.weight"}, {"b"}, {}, "/cell_1/Conv");
    m.node("Conv", {"b", "cell.weight"}, {"c"},
           {onnx_test::attribute("strides", std::vector<std::int64_t>{2, 2})});
    m.output("c");
    auto const model = onnx::import_network(m.file());
    REQUIRE(errors_of(model) == "");
    REQUIRE(model->network.modules().size() == 2);  // of other strides it is another one
    CHECK(model->network.modules()[0].name == "cell");
    CHECK(model->network.graph().uses(ModuleId{0}).size() == 2);
    CHECK(model->network.modules()[1].name == "cell_2");
}

TEST_CASE("onnx import: what the model says of a shape is compared with what comes out") {
    Graph m;
    m.in("x", {-1, 2, 4, 4}).says("y", {-1, 3, 4, 4}).node("Relu", {"x"}, {"y"}, {}, "relu").output("y");
    CHECK_THAT(errors_of(onnx::import_network(m.file())),
               Contains("its output `y` would be [N, 2, 4, 4], but the model says [batch, 3, 4, 4]"));
    // Not where the user gave other sizes than the exporter saw.
    Graph open;
    open.in("x", {-1, 2}).says("y", {-1, 3}).node("Relu", {"x"}, {"y"}).output("y");
    open.graph().input[0].type->tensor_type->shape->dim[1].value.emplace<1>(std::string_view("width"));
    CHECK(errors_of(onnx::import_network(open.file(), {.shapes = {{"x", {-1, 5}}}})) == "");
}

TEST_CASE("onnx import: inputs that become constants") {
    Graph m;
    m.in("x", {1, 2, 4, 4}).in("w", {3, 2, 1, 1}).node("Conv", {"x", "w"}, {"y"}, {}, "conv").output("y");
    CHECK_THAT(errors_of(onnx::import_network(m.file())), Contains("(`w`) depends on the network's inputs"));
    auto const model = onnx::import_network(m.file(), {.constants = {{"w", nn::Tensor({3, 2, 1, 1})}}});
    REQUIRE(errors_of(model) == "");
    CHECK(model->inputs == std::vector<std::string>{"x"});
    CHECK(model->network.node(model->network.inputs()[0]).shape == nn::Shape{nn::any_batch, 2, 4, 4});
    CHECK_THAT(errors_of(onnx::import_network(m.file(), {.constants = {{"v", nn::Tensor({1})}}})),
               Contains("`v`, which is no input"));
}

TEST_CASE("onnx import: inputs that the network has no tensors for") {
    Graph texts;
    texts.in("x", {-1, 2}, 8).node("Relu", {"x"}, {"y"}).output("y");
    CHECK_THAT(errors_of(onnx::import_network(texts.file())),
               Contains("of string: a type that is not supported"));
    Graph integers;
    integers.in("x", {-1, 2}, 7).node("Sigmoid", {"x"}, {"y"}).output("y");
    CHECK_THAT(errors_of(onnx::import_network(integers.file())), Contains("input 0 is of type int64"));
    Graph numbers;
    numbers.in("x", {-1}).node("Relu", {"x"}, {"y"}).output("y");
    CHECK_THAT(errors_of(onnx::import_network(numbers.file())), Contains("no dimension besides the batch"));
    CHECK(errors_of(onnx::import_network(numbers.file(), {.shapes = {{"x", {5}}}})) == "");
    Graph empty;
    empty.in("x", {-1, 0}).node("Relu", {"x"}, {"y"}).output("y");
    CHECK_THAT(errors_of(onnx::import_network(empty.file())), Contains("expected sizes of at least 1"));
    Graph half;
    half.in("x", {-1, 2}, 10).node("Relu", {"x"}, {"y"}).output("y");
    auto const model = onnx::import_network(half.file());
    REQUIRE(errors_of(model) == "");
    REQUIRE(model->notes.size() == 1);
    CHECK_THAT(model->notes[0], Contains("of type float16; the network reads it as float32"));
}

TEST_CASE("onnx import: what is no tensor, and doubles beyond float32") {
    Graph sequence;
    sequence.in("x", {-1, 2}).in("all", {1}).node("Relu", {"x"}, {"y"}).output("y");
    sequence.graph().input[1].type->tensor_type = {};
    CHECK_THAT(errors_of(onnx::import_network(sequence.file())),
               Contains("the input `all` is a sequence or an optional value; expected a tensor"));
    for (double large : {1e39, std::numeric_limits<double>::infinity()}) {
        Graph doubles;
        doubles.in("x", {-1, 2}, 11);
        doubles.initializer({.dims = {1}, .data_type = 11, .name = "c", .double_data = {large}});
        doubles.node("Add", {"x", "c"}, {"y"}).output("y");
        std::string const wrong = errors_of(onnx::import_network(doubles.file()));
        CHECK((wrong.find("beyond float32") != wrong.npos) == (large == 1e39));
    }
}

TEST_CASE("onnx import: a weight that many nodes read does not become many times the file") {
    Graph m;
    m.in("x", {-1, 1000, 1, 1});
    std::string zeros(4000 * 1000, '\0');
    onnx::TensorProto w{.dims = {1000, 1000, 1, 1}, .data_type = 1, .name = "w"};
    w.raw_data = std::string_view(zeros);
    m.initializer(w);
    std::vector<std::string> names{"x"};
    names.reserve(200);
    for (std::int64_t i = 0; i != 100; ++i) {
        names.push_back("t" + std::to_string(i));
        m.node("Conv", {names[names.size() - 2], "w"}, {names.back()},
               {onnx_test::attribute("strides", std::vector<std::int64_t>{i + 1, 1})});
    }
    m.output(names.back());
    CHECK_THAT(errors_of(onnx::import_network(m.file())), Contains("many times the file's size"));
}

// ---- models that are made to take much

/// Numbers for a model's names, which must live as long as it.
struct Texts {
    std::string_view operator()(std::string text) { return kept.emplace_back(std::move(text)); }
    std::string_view operator()(char letter, std::size_t i) {
        return (*this)(std::string(1, letter) + std::to_string(i));
    }
    std::list<std::string> kept{};
};
std::string repeated(std::string_view piece, std::size_t n) {
    std::string out;
    for (std::size_t i = 0; i != n; ++i) out += piece;
    return out;
}
/// The bytes of memory and the seconds of a processor that an import takes, and its first error.
struct Cost {
    std::int64_t bytes = 0;
    double seconds = 0;
    std::string error{};
};
Cost cost_of(const onnx::ModelFile& model) {
    std::string const text = child_process::run([&] {
        auto const peak = [] {
            rusage used{};
            getrusage(RUSAGE_SELF, &used);
            return std::int64_t{used.ru_maxrss} * 1024;  // of Linux: in KiB
        };
        std::int64_t const before = peak();
        std::string answer = "ok";
        if (auto const r = onnx::import_network(model); !r) answer = r.diagnostics().front().message;
        double const processor = double(std::clock()) / double(CLOCKS_PER_SEC);
        return std::to_string(peak() - before) + ' ' + std::to_string(processor) + ' ' +
               answer.substr(0, 200);
    });
    Cost cost;
    std::size_t at = 0, more = 0;
    cost.bytes = std::stoll(text, &at);
    cost.seconds = std::stod(text.substr(at), &more);
    cost.error = text.substr(at + more + 1);
    return cost;
}

TEST_CASE("onnx import: hostile models take no more memory and time than they justify") {
    constexpr std::size_t n = 2000;
    Texts name;
    auto const chain = [&](Graph& m, std::string_view op, std::vector<std::string_view> more,
                           auto attributes) {
        std::string_view last = "x";
        for (std::size_t i = 0; i != n; ++i) {
            std::vector<std::string_view> reads{last};
            reads.insert(reads.end(), more.begin(), more.end());
            last = name('t', i);
            m.node(op, reads, {last}, attributes(static_cast<std::int64_t>(i)));
        }
        m.output(last);
    };
    auto const none = [](std::int64_t) { return std::vector<onnx::AttributeProto>{}; };
    auto const strides = [](std::int64_t i) {
        return std::vector{onnx_test::attribute("strides", std::vector<std::int64_t>{i + 1, 1})};
    };
    struct Hostile {
        const char* what;
        const char* answer;  ///< "ok", or a part of the error
        std::function<void(Graph&)> make;
    };
    std::vector<Hostile> const all{
        {"a weight's name with many parts", "ok",
         [&](Graph& m) {
             m.in("x", {-1, 4}).initializer(weight(name(repeated("a.", 20 * n) + "weight"), {1}));
             m.node("Relu", {"x"}, {"y"}).output("y");
         }},
        {"a node's name with many parts", "ok",
         [&](Graph& m) {
             m.in("x", {-1, 4}).node("Relu", {"x"}, {"y"}, {}, name("/" + repeated("a/", 20 * n) + "Relu"));
             m.output("y");
         }},
        {"a long name that many modules would have", "ok",
         [&](Graph& m) {
             std::string_view const w = name(repeated("a", 500 * n) + ".weight");
             m.in("x", {-1, 1, 1, 1}).initializer(weight(w, {1, 1, 1, 1})).node("Identity", {w}, {"i"});
             chain(m, "Conv", {"i"}, strides);
         }},
        {"different modules of one weight", "ok",
         [&](Graph& m) {
             m.in("x", {-1, 1, 1, 1}).initializer(weight("w", {1, 1, 1, 1}));
             chain(m, "Conv", {"w"}, strides);
         }},
        {"a long list that many nodes read", "many times the file's size",
         [&](Graph& m) {
             m.in("x", {-1, 1}).initializer(onnx_test::integers("i", std::vector<std::int64_t>(50 * n, 0)));
             chain(m, "Gather", {"i"},
                   [](std::int64_t) { return std::vector{onnx_test::attribute("axis", 1)}; });
         }},
        {"a long list that constants are picked by", "more than such a file may ask for",
         [&](Graph& m) {
             m.in("x", {-1, 1}).initializer(onnx_test::integers("i", std::vector<std::int64_t>(50 * n, 0)));
             m.initializer(onnx_test::floats("e", {1, 0}, {})).node("Relu", {"x"}, {"y"}).output("y");
             for (std::size_t i = 0; i != n; ++i) {
                 m.node("Gather", {"e", "i"}, {name('t', i)});
                 m.output(name('t', i));
             }
         }},
        {"a constant that many nodes make again", "more than such a file may ask for",
         [&](Graph& m) {
             m.in("x", {-1, 1}).node("Relu", {"x"}, {"y"}).output("y");
             m.initializer(onnx_test::integers("n", {1 << 20})).node("ConstantOfShape", {"n"}, {"c"});
             for (std::size_t i = 0; i != 100; ++i) {
                 m.node(i % 2 == 0 ? "Identity" : "Cast", {"c"}, {name('t', i)},
                        i % 2 == 0 ? std::vector<onnx::AttributeProto>{}
                                   : std::vector{onnx_test::attribute("to", 7)});
                 m.output(name('t', i));
             }
         }},
        {"an input of many dimensions", "the input `x`, [N",
         [&](Graph& m) {
             std::vector<std::int64_t> dims(50 * n, 1);
             dims[0] = -1;
             m.in("x", dims);
             chain(m, "Relu", {}, none);
         }},
        {"axes without end", "more than any tensor has dimensions",
         [&](Graph& m) {
             std::vector<std::int64_t> axes(10 * n);
             std::iota(axes.begin(), axes.end(), 1);
             m.in("x", {-1, 1}).node("Reshape", {"x", "a"}, {"y"}).output("y");
             m.initializer(onnx_test::integers("a", axes));
         }},
        {"channels without end", "many times the file's size",
         [&](Graph& m) {
             m.in("x", {-1, 1 << 30, 1}).initializer(weight("w", {1})).initializer(weight("b", {1}));
             m.node("GroupNormalization", {"x", "w", "b"}, {"y"}, {onnx_test::attribute("num_groups", 1)});
             m.output("y");
         }},
        {"a pool over an image without end", "ok",
         [&](Graph& m) {
             m.in("x", {-1, 1, 1 << 30});
             m.node("MaxPool", {"x"}, {"y"},
                    {onnx_test::attribute("kernel_shape", std::vector<std::int64_t>{1})});
             m.output("y");
         }},
        {"a norm without end", "many times the file's size",
         [&](Graph& m) {
             m.in("x", {-1, 1 << 30}).initializer(weight("w", {1}));
             m.node("LayerNormalization", {"x", "w"}, {"y"}).output("y");
         }},
        {"an equation without end", "expected one or two tensors whose letters differ",
         [&](Graph& m) {
             onnx::AttributeProto equation{.name = std::string_view("equation")};
             equation.s = name(repeated("a", 10 * n));
             equation.type = 3;
             m.in("x", {-1, 4}).node("Einsum", {"x"}, {"y"}, {equation}).output("y");
         }},
        {"inputs of integers, each with a note", "ok",
         [&](Graph& m) {
             for (std::size_t i = 0; i != n; ++i) m.in(name('x', i), {-1, 4}, 7);
             m.node("Identity", {"x0"}, {"y"}).output("y");
         }},
    };
    for (const Hostile& h : all) {
        INFO(h.what);
        Graph m(18);
        h.make(m);
        const onnx::ModelFile& file = m.file();
        Cost const cost = cost_of(file);
        if (std::string_view(h.answer) == "ok")
            CHECK(cost.error == "ok");
        else
            CHECK_THAT(cost.error, Contains(h.answer));
        CHECK(cost.bytes <= (std::int64_t{512} << 20) + 1024 * static_cast<std::int64_t>(file.size()));
        CHECK(cost.seconds < 30);
    }
}

}  // namespace test_onnx_import
