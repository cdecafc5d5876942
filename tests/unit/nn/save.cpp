// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <amct_distill/nn/initialize.hpp>
#include <amct_distill/nn/save.hpp>
#include <array>
#include <cctype>
#include <cmath>
#include <cstddef>
#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"

namespace nn_save_test {

using namespace amct_distill;
using namespace amct_distill::nn;

namespace {

struct GainOptions {
    Index channels = 1;
    double start = 1;
};
/// A module of a user's: a factor for each channel.
struct Gain {
    static constexpr std::string_view type_name = "Gain";
    GainOptions settings{};
    Tensor gain{};
    explicit Gain(const GainOptions& o) : settings(o), gain({o.channels}) {
        gain.fill(static_cast<float>(o.start));
    }
    GainOptions options() const { return settings; }
    void parameters(std::vector<Parameter>& list) { list.push_back({"gain", Role::affine, &gain}); }
    result<Shape> output_shape(std::span<const Shape> inputs) const { return inputs[0]; }
    void forward(Inputs inputs, Tensor& output, Scratch&, Mode) const {
        for (std::size_t i = 0; i != output.size(); ++i) output[i] = (*inputs[0])[i] * gain[i % gain.size()];
    }
    void backward(Inputs, const Tensor&, const Tensor&, std::span<Tensor* const>, std::span<Tensor>, Scratch&,
                  Mode) const {}
};

/// Every module of the library, shared modules, names that need quoting, two inputs and outputs, a constant.
Network everything() {
    Network net;
    NodeId const image = net.input("image \"1\"", {2, 8, 8}), side = net.input("side", {4});
    NodeId x = net.add(
        "conv1", Conv2d({.in_channels = 2, .out_channels = 4, .kernel = {3, 3}, .padding = {1, 1}}), {image});
    x = net.add("bn", BatchNorm2d({.num_features = 4, .eps = 1e-3}), {x});
    x = net.add("relu", ReLU{}, {x});
    x = net.add("leaky", LeakyReLU(0.1f), {x});
    x = net.add("pool", MaxPool2d({.kernel = {2, 2}}), {x});
    NodeId const a =
        net.add("average", AvgPool2d({.kernel = {3, 3}, .stride = {1, 1}, .padding = {1, 1}}), {x});
    NodeId const grid = net.constant("grid \\ {}", Tensor({1, 4, 4, 4}, std::vector<float>(64, 0.5f)));
    (void)grid;
    x = net.add_function("/Add", Add{}, {x, a});
    x = net.add_function("/Concat", Concat(1), {x, a});
    x = net.apply("relu_again", "relu", {x});
    x = net.add_function("/Global", GlobalAveragePool{}, {x});
    x = net.add_function("/Flatten", Flatten{}, {x});
    x = net.add("卷积.fc", Linear({.in_features = 8, .out_features = 4, .bias = false}), {x});
    x = net.add_function("/Reshape", Reshape({2, -1}), {net.add_function("/Sum", Add{}, {x, side})});
    x = net.add("softmax", Softmax(2), {x});
    net.output(x);
    x = net.add("sigmoid", Sigmoid{}, {net.add("tanh", Tanh{}, {net.add("drop", Dropout{}, {x})})});
    net.output(net.add("same", Identity{}, {x}));
    initialize(net, 3);
    return net;
}

/// Modules that move, pool and resize, an output each.
Network moving() {
    Embedding table({.num_embeddings = 5, .embedding_dim = 2});
    for (std::size_t i = 0; i != 10; ++i) table.weight()[i] = static_cast<float>(i);
    Network net;
    NodeId const image = net.input("x", {4, 6, 6}), ids = net.input("ids", {3});
    NodeId const token = net.constant("token", Tensor({1, 4, 6, 6}, std::vector<float>(144, 0.5f)));
    int number = 0;
    auto const add = [&](const Module& m, const std::vector<NodeId>& inputs) {
        NodeId const first = net.add_function(amct_distill::detail::concat("f", number++), m, inputs);
        for (NodeId id : net.outputs_of(first)) net.output(id);
        return first;
    };
    net.output(net.add("table", table, {ids}));
    for (const Module& m :
         {Module(Pad({.begin = {0, 0, 1, -1}, .end = {0, 0, 2, 0}, .mode = PadMode::edge, .value = 3})),
          Module(Transpose({0, 2, 3, 1})), Module(Unsqueeze({2})), Module(Split({.dim = 1, .sizes = {1, 3}})),
          Module(Slice({.dims = {2}, .starts = {-1}, .ends = {-9}, .steps = {-2}})),
          Module(Gather({.dim = 1, .indices = {3, 0}, .shape = {1, 2}})), Module(Tile({1, 1, 2, 1})),
          Module(PixelShuffle({.block = 2})), Module(DepthToSpace({.block = 2})),
          Module(PixelUnshuffle({.block = 2})), Module(SpaceToDepth({.block = 3})),
          Module(MaxPool2d({.kernel = {3, 2}, .padding = {1, 0}, .end_padding = {0, 1}, .ceil_mode = true})),
          Module(AvgPool2d({.kernel = {2, 2}, .padding = {1, 1}, .count_include_pad = false})),
          Module(LPPool2d({.norm = 3, .kernel = {2, 2}})), Module(GlobalMaxPool{}),
          Module(GlobalLpPool2d({.norm = 1})),
          Module(Upsample({.sizes = {0, 0, 9, 4},
          .mode = ResizeMode::cubic,
          .coordinates = ResizeCoordinates::align_corners,
          .cubic_coefficient = -0.5f})),
          Module(RoundTo({}))})
        add(m, {image});
    NodeId const mean = add(GlobalAveragePool{}, {image});
    add(Squeeze({3}), {mean});
    add(Expand({1, 1, 2, 3}), {mean});
    add(RepeatOverBatch{}, {token, image});
    add(Concat(1), {token, image});
    NodeId const line = add(Reshape({4, 36}), {image}), cube = add(Reshape({1, 4, 6, 6}), {image});
    for (const Module& m :
         {Module(MaxPool1d({.kernel = {3}, .dilation = {2}})), Module(AvgPool1d({.kernel = {3}})),
          Module(LPPool1d({.kernel = {2}})), Module(GlobalAveragePool1d{}), Module(GlobalMaxPool1d{}),
          Module(GlobalLpPool1d({}))})
        add(m, {line});
    for (const Module& m :
         {Module(MaxPool3d({.kernel = {2, 3, 1}})), Module(AvgPool3d({.kernel = {1, 3, 3}})),
          Module(LPPool3d({.kernel = {4, 1, 1}})), Module(GlobalAveragePool3d{}), Module(GlobalMaxPool3d{}),
          Module(GlobalLpPool3d({}))})
        add(m, {cube});

    return net;
}

/// Element-wise modules, arithmetic and reductions.
Network computing() {
    double const infinity = std::numeric_limits<double>::infinity();
    PReLU slopes({.num_parameters = 4});
    slopes.weight() = Tensor({4}, {0.1f, 0.2f, -0.3f, 4});
    ReduceOptions const last{.axes = {2}, .keepdims = false};
    Network net;
    NodeId const image = net.input("x", {4, 3});
    NodeId const one = net.constant("one", Tensor({1}, {1}));
    int number = 0;
    auto const add = [&](const Module& m, const std::vector<NodeId>& inputs) {
        net.output(net.add_function(amct_distill::detail::concat("f", number++), m, inputs));
    };
    net.output(net.add("slopes", slopes, {image}));
    for (const Module& m : {Module(ReLU6{}),
                            Module(Hardtanh({.min_val = -infinity, .max_val = 0.7})),
                            Module(Hardsigmoid({.alpha = 0.2, .beta = 0.6})),
                            Module(Hardswish{}),
                            Module(Threshold({.threshold = 0.3, .value = 2})),
                            Module(Shrink({.lambd = 0.3, .bias = 0.1})),
                            Module(SiLU{}),
                            Module(Mish{}),
                            Module(GELU({.approximate = "tanh"})),
                            Module(ELU({.alpha = 0.3})),
                            Module(SELU({.alpha = 2, .gamma = 3})),
                            Module(CELU({.alpha = 0.7})),
                            Module(Softplus({.beta = 2, .threshold = 9})),
                            Module(Softsign{}),
                            Module(LogSoftmax({.dim = 1, .to_end = true})),
                            Module(Exp{}),
                            Module(Log{}),
                            Module(Sqrt{}),
                            Module(Erf{}),
                            Module(Abs{}),
                            Module(Neg{}),
                            Module(Reciprocal{}),
                            Module(Sign{}),
                            Module(Floor{}),
                            Module(Ceil{}),
                            Module(Round{}),
                            Module(Sin{}),
                            Module(Cos{}),
                            Module(Tan{}),
                            Module(Asin{}),
                            Module(Acos{}),
                            Module(Atan{}),
                            Module(Sinh{}),
                            Module(Cosh{}),
                            Module(Asinh{}),
                            Module(Acosh{}),
                            Module(Atanh{}),
                            Module(ReduceSum(last)),
                            Module(ReduceMean(last)),
                            Module(ReduceMax(last)),
                            Module(ReduceMin(last)),
                            Module(ReduceProd(last)),
                            Module(ReduceL1(last)),
                            Module(ReduceL2(last)),
                            Module(ReduceLogSum(last)),
                            Module(ReduceLogSumExp(last)),
                            Module(ReduceSumSquare(last))})
        add(m, {image});
    for (const Module& m : {Module(Add{}), Module(Sub{}), Module(Mul{}), Module(Div{}), Module(Pow{}),
                            Module(Sum{}), Module(Mean{}), Module(Max{}), Module(Min{})})
        add(m, {image, one});

    return net;
}

std::string load_error(const std::filesystem::path& path) {
    auto const net = load(path);
    return net ? "" : to_string(net.diagnostics());
}

/// The file of a network with another text.
std::string with_text(const Network& net, std::string_view text) {
    std::string const bytes = to_bytes(net).value();
    ZipReader const archive = ZipReader::open(bytes).value();
    ZipWriter zip;
    for (const ZipReader::File& f : archive.files())
        zip.add(std::string(f.name), f.name == "network.txt" ? text : f.content);
    return std::move(zip).finish().value();
}

/// All its nodes, for a sample.
double values_of(const Network& net) {
    double sum = 0;
    for (std::size_t i = 0; i != net.graph().size(); ++i) {
        double n = 1;
        for (Index d : net.node({i}).shape) n *= d == any_batch ? 1 : double(d);
        sum += n;
    }
    return sum;
}

}  // namespace

TEST_CASE("a network is saved whole and loaded with the same bits") {
    support::temporary_directory dir;
    Network const net = everything();
    auto const file = dir.path() / "net.npz";
    save(net, file).value();
    Network const back = load(file).value();
    CHECK(print(back) == print(net));
    CHECK(difference(back.graph(), net.graph(), "one", "the other").empty());
    std::vector<Tensor> inputs{Tensor({3, 2, 8, 8}), Tensor({3, 4})};
    for (Tensor& t : inputs)
        for (std::size_t i = 0; i != t.size(); ++i) t[i] = std::sin(static_cast<float>(i));
    CHECK(back.predict(inputs) == net.predict(inputs));
    CHECK(back.node(*back.find("grid \\ {}")).constant == net.node(*net.find("grid \\ {}")).constant);

    save(back, dir.path() / "again.npz").value();
    CHECK(read_file(dir.path() / "again.npz").value() == read_file(file).value());
}

TEST_CASE("modules that move, pool and resize are loaded with the options they had") {
    Network const net = moving();
    support::temporary_directory dir;
    auto const file = dir.path() / "net.npz";
    save(net, file).value();
    CHECK(load_error(file) == "");
    Network const back = load(file).value();
    CHECK(print(back) == print(net));
    Tensor x({2, 4, 6, 6});
    for (std::size_t i = 0; i != x.size(); ++i) x[i] = std::sin(static_cast<float>(i));
    Tensor const chosen({2, 3}, {0, 1, 4, -1, 2, 2});
    CHECK(back.predict(std::vector{x, chosen}) == net.predict(std::vector{x, chosen}));
}

TEST_CASE("element-wise modules, arithmetic and reductions are loaded with the options they had") {
    Network const net = computing();
    support::temporary_directory dir;
    save(net, dir.path() / "net.npz").value();
    Network const back = load(dir.path() / "net.npz").value();
    CHECK(print(back) == print(net));
    Tensor x({2, 4, 3});
    for (std::size_t i = 0; i != x.size(); ++i) x[i] = 0.02f + 0.04f * static_cast<float>(i);
    std::vector<Tensor> const y = net.predict(std::vector{x}), z = back.predict(std::vector{x});
    REQUIRE(y.size() == z.size());
    for (std::size_t i = 0; i != y.size(); ++i)
        CHECK(std::equal(y[i].begin(), y[i].end(), z[i].begin(),
                         [](float a, float b) { return a == b || (std::isnan(a) && std::isnan(b)); }));
}

TEST_CASE("the structure is a text that a person reads") {
    Network net;
    NodeId const x = net.input("image", {1, 8, 8});
    net.output(net.add("leaky", LeakyReLU(0.25f), {x}));
    CHECK(print(net) ==
          "amct_distill network 1\n"
          "input \"image\" [N, 1, 8, 8]\n"
          "layer \"leaky\" LeakyReLU { negative_slope: 0.25 } \"image\"\n"
          "output \"leaky\"\n");
}

TEST_CASE("inputs of a fixed batch are loaded as they were") {
    support::temporary_directory dir;
    auto const file = dir.path() / "net.npz";
    Network net;
    net.output(net.add("b", ReLU{}, {net.fixed_input("fixed", {2, 3})}));
    net.output(net.add("c", ReLU{}, {net.input("matrix", {3, 4})}));
    save(net, file).value();
    Network const loaded = load(file).value();
    CHECK(print(loaded) == print(net));
    for (NodeId const id : net.inputs()) CHECK(loaded.node(id).shape == net.node(id).shape);
}

TEST_CASE("a module of one's own is loaded when its type is named") {
    support::temporary_directory dir;
    Network net;
    net.output(net.add("gain", Gain({.channels = 2, .start = 3}), {net.input("x", {2})}));
    net.module("gain").get_if<Gain>()->gain[1] = 5;
    auto const file = dir.path() / "net.npz";
    save(net, file).value();
    Network const back = load<Gain>(file).value();
    CHECK(back.predict(Tensor({1, 2}, {1, 1})) == Tensor({1, 2}, {3, 5}));
    CHECK(load_error(file).find(
              "no module of type `Gain` is known; name your own: nn::load<YourModule>(...)") !=
          std::string::npos);
}

TEST_CASE("files that are no network are errors with their place") {
    support::temporary_directory dir;
    auto const file = dir.path() / "net.npz";
    CHECK_FALSE(load(file));
    REQUIRE(write_file(file, "nothing"));
    CHECK(load_error(file).find("is too short to be one") != std::string::npos);

    auto const with_text = [&](std::string text) {
        ZipWriter zip;
        zip.add("network.txt", "amct_distill network 1\n" + text);
        REQUIRE(write_file(file, std::move(zip).finish().value()));
        return load_error(file);
    };
    auto const says = [&](std::string text, std::string_view part) {
        std::string const error = with_text(std::move(text));
        INFO(error);
        CHECK(error.find(part) != std::string::npos);
    };
    says("input \"x\" [N, 2]\nlayer \"r\" ReLU { } \"y\"\n",
         "net.npz:3:1: error: cannot load the network: no node before it is named `y`");
    says("input \"x\" [N, 2]\nlayer \"c\" Conv2d { in_channels: 0 } \"x\"\n",
         "a Conv2d: Conv2d: channels, groups");
    says("input \"x\" [N, 2]\nlayer \"c\" Softmax { dim: -3 } \"x\"\n",
         "Softmax: expected a dim of 0 or more");
    says("input \"x\" [N, 2]\nlayer \"c\" ReLU { slope: 2 } \"x\"\n", "a ReLU has no options");
    says("input \"x\" [N, 2]\nlayer \"fc\" Linear { in_features: 2 out_features: 1 bias: true } \"x\"\n",
         "the file has no array `fc.weight.npy`");
    says("input \"x\" [N, 2]\nlayer \"fc\" Linear { in_features: 3 out_features: 1 bias: true } \"x\"\n",
         "expected one input [N, ..., 3]");
    says("inputs \"x\" [N, 2]\n", "expected `input`, `constant`");
    says("output \"x\"\n", "no node is named `x`");
    says("layer \"c\" ReLU { \"}\" ", "expected `}` after the options");
    says("layer \"c\" ReLU { \"\\", "expected `}` after the options");
    says("input x [N, 2]\n", "expected a name in quotes");
    says("input \"x\" [N, \"2\"]\n", "expected a shape");
    says("input \"x\" [N]\n",
         "net.npz:2:1: error: cannot load the network: input \"x\": expected the shape of a");
    says("\ninput \"x\" [2, 2]\n\ninput \"x\" [N, 2]\n", "net.npz:5:1: error: cannot load the network: ");
    says("layer \"c\" ReLU 3\n", "expected the options of a module in braces");
    says("layer \"c\" Telu { }\n", "no module of type `Telu` is known; name your own");
    says("use \"c\" 3\n", "expected `input`, `constant`");
    says("input \"x\" [N, 2]\nlayer \"c\" ReLU { } x\n",
         "expected the names of what the node reads, in quotes");
    says("constant \"c\"\n", "the file has no array `constant:c.npy`");

    auto const with_array = [&](std::string array) {
        ZipWriter zip;
        zip.add("network.txt", "amct_distill network 1\nconstant \"c\"\n");
        zip.add("constant:c.npy", array);
        REQUIRE(write_file(file, std::move(zip).finish().value()));
        return load_error(file);
    };
    CHECK(with_array("no array").find("constant:c.npy") != std::string::npos);
    ZipWriter other;
    other.add("network.txt", "amct_distill network 2\n");
    REQUIRE(write_file(file, std::move(other).finish().value()));
    CHECK(load_error(file).find("it is not a network of this version") != std::string::npos);
    REQUIRE(write_file(file, ZipWriter{}.finish().value()));
    CHECK(load_error(file).find("it has no network.txt") != std::string::npos);
}

TEST_CASE("the text of a network, cut anywhere, is an error or a smaller network") {
    support::temporary_directory dir;
    auto const file = dir.path() / "net.npz";
    save(everything(), file).value();
    std::string const bytes = read_file(file).value();
    auto const archive = ZipReader::open(bytes).value();
    std::string const text(archive.find("network.txt").value());
    std::size_t errors = 0;
    for (std::size_t size = 0; size < text.size(); size += 3) {
        std::string const cut = text.substr(0, size);
        auto const loaded = amct_distill::detail::NetworkReader<Gain>(cut, archive, "net.npz").read();
        if (!loaded) {
            ++errors;
            continue;
        }
        std::string const printed = print(*loaded);  // its last line may have lost inputs
        CHECK(text.starts_with(printed.substr(0, printed.rfind('\n', printed.size() - 2))));
    }
    CHECK(errors > text.size() / 6);
}

TEST_CASE("a damaged or cut archive is an error, wherever it is damaged") {
    support::temporary_directory dir;
    auto const file = dir.path() / "net.npz";
    Network net;
    net.output(net.add("fc", Linear({.in_features = 3, .out_features = 2}), {net.input("x", {3})}));
    save(net, file).value();
    std::string const whole = read_file(file).value();
    for (std::size_t size = 0; size != whole.size(); size += 7) {
        REQUIRE(write_file(file, std::string_view(whole).substr(0, size)));
        CHECK_FALSE(load(file));
    }
    std::string damaged = whole;
    damaged[whole.find("amct_distill network") + 3] ^= 1;
    REQUIRE(write_file(file, damaged));
    CHECK(load_error(file).find("is damaged at `network.txt`") != std::string::npos);
}

TEST_CASE("sizes of a file that no memory holds are errors, and what is taken can be run") {
    support::temporary_directory dir;
    auto const file = dir.path() / "net.npz";
    std::mt19937 random(1);
    constexpr std::array<std::string_view, 12> sizes{"0",
                                                     "-1",
                                                     "2",
                                                     "7",
                                                     "1073741824",
                                                     "1073741825",
                                                     "2147483648",
                                                     "-2147483649",
                                                     "4294967296",
                                                     "-1073741825",
                                                     "9223372036854775807",
                                                     "-9223372036854775808"};
    int refused = 0, taken = 0;
    for (const Network& net : {everything(), moving(), computing()}) {
        std::string const text = print(net);
        std::vector<std::size_t> numbers;  // where an integer begins
        for (std::size_t i = text.find('\n'); i != text.size(); ++i)
            if (std::isdigit(static_cast<unsigned char>(text[i])) != 0 &&
                std::string_view(" [-").find(text[i - 1]) != std::string_view::npos)
                numbers.push_back(text[i - 1] == '-' ? i - 1 : i);
        REQUIRE(numbers.size() > 3);
        for (int k = 0; k != 200; ++k) {
            std::string changed = text;
            std::size_t const at = numbers[random() % numbers.size()],
                              end = changed.find_first_not_of("-0123456789", at);
            changed.replace(at, end - at, sizes[random() % sizes.size()]);
            INFO(changed);
            REQUIRE(write_file(file, with_text(net, changed)));
            auto const back = load(file);
            if (!back) {
                CHECK_FALSE(to_string(back.diagnostics()).empty());
                ++refused;
                continue;
            }
            ++taken;
            if (values_of(*back) > 1e5) continue;
            std::vector<Tensor> batch;
            for (NodeId id : back->inputs()) {
                Shape shape = back->node(id).shape;
                if (shape[0] == any_batch) shape[0] = 1;
                batch.push_back(Tensor(shape));
            }
            CHECK(back->predict(batch).size() == back->outputs().size());
        }
    }
    CHECK(refused > 100);
    CHECK(taken > 20);
}

TEST_CASE("a file of some bytes cannot ask for all memory") {
    support::temporary_directory dir;
    auto const file = dir.path() / "net.npz";
    auto const says = [&](std::string_view layer, std::string_view part) {
        ZipWriter zip;
        zip.add("network.txt", amct_distill::detail::concat(
                                   "amct_distill network 1\ninput \"x\" [N, 8, 8, 8]\n", layer, " \"x\"\n"));
        REQUIRE(write_file(file, std::move(zip).finish().value()));
        std::string const error = load_error(file);
        INFO(error);
        CHECK(error.find(part) != std::string::npos);
    };
    says("layer \"c\" Conv2d { in_channels: 8 out_channels: 200000000 kernel: [3, 3] }",
         "its options ask for more values than the file has");
    says("layer \"f\" Linear { in_features: 1000000000 out_features: 1000000000 }",
         "its options ask for more values than the file has");
    says("layer \"f\" Linear { in_features: 4611686018427387904 out_features: 4611686018427387904 }",
         "more values than can be counted");
    says("function \"r\" Reshape { sample: [1073741824, 1073741824, -1] }", "Reshape: expected");
    says("function \"t\" Tile { repeats: [1, 1073741824, 1073741824, 1073741824] }", "which is too large");
    says(
        "layer \"c\" Conv2d { in_channels: 8 out_channels: 1 kernel: [1, 1] padding: [4611686018427387904, "
        "0] }",
        "a size is above 1073741824");
}

TEST_CASE("an array's shape cannot say more than its values, nor an archive more than its bytes") {
    std::string const four = amct_distill::detail::npy_content<float>({4}, std::vector<float>(4));
    auto const with_shape = [&](std::string_view shape) {
        std::string bytes = four;
        std::size_t const at = bytes.find("(4, )");
        bytes.replace(at, 5 + shape.size() - 5, shape);  // the header's spaces make room
        return parse_npy(bytes, "x.npy");
    };
    CHECK(with_shape("(2, 2, )"));
    CHECK_FALSE(with_shape("(4, 4611686018427387905, )"));  // 4 values, in 64 bits
    CHECK_FALSE(with_shape("(4, 2305843009213693952, 8, )"));
    CHECK_FALSE(with_shape("(0, 4611686018427387905, 4611686018427387905, )"));

    // A thousand names of one content.
    ZipWriter one;
    one.add("a", std::string(1000, 'x'));
    std::string bytes = std::move(one).finish().value();
    std::size_t const entry = bytes.find("PK\x01\x02"), end = bytes.find("PK\x05\x06");
    std::string const name = bytes.substr(entry, end - entry);
    REQUIRE(ZipReader::open(bytes));
    std::string many;
    for (int i = 0; i != 1000; ++i) many += name;
    bytes.replace(entry, end - entry, many);
    bytes[bytes.size() - 12] = bytes[bytes.size() - 14] = '\xE8';  // 1000 files
    bytes[bytes.size() - 11] = bytes[bytes.size() - 13] = '\x03';
    auto const archive = ZipReader::open(bytes);
    REQUIRE_FALSE(archive);
    CHECK(to_string(archive.diagnostics()).find("has files that overlap") != std::string::npos);
}

}  // namespace nn_save_test
