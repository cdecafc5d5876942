// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/onnx/operators.hpp>

#include <amct_distill/nn/network.hpp>
#include <amct_distill/onnx/import.hpp>
#include <amct_distill/onnx/model_file.hpp>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "operators/one_operator.hpp"
#include "support/catch.hpp"

namespace onnx_operators_test {

using namespace amct_distill;
using Integers = std::vector<std::int64_t>;

namespace {

template <class Random>
std::size_t one_of(std::size_t count, Random& random) {
    return std::uniform_int_distribution<std::size_t>(0, count - 1)(random);
}
template <class T, class Random>
const T& any(const std::vector<T>& list, Random& random) {
    return list[one_of(list.size(), random)];
}

/// A model of one node: its operator, and inputs and attributes that may fit it or not.
template <class Random>
onnx_test::Model model_of(std::string_view op, Random& random) {
    static const std::vector<Integers> samples{{}, {4}, {3, 4}, {2, 4, 4}, {4, 6, 5}, {2, 3, 4, 4}};
    static const std::vector<Integers> lists{{},
                                             {0},
                                             {1},
                                             {-1},
                                             {2, 2},
                                             {1, 1, 1, 1},
                                             {0, 1},
                                             {1, 2},
                                             {3, 3},
                                             {0, 9},
                                             {0, 2, 1},
                                             {2, 3},
                                             {0, 0, 1, 1},
                                             {-9},
                                             {0, 3, 1, 2},
                                             {1, 0},
                                             {1LL << 40, 1LL << 40}};
    static const std::vector<Integers> shapes{
        {},     {1},    {4},          {4, 1, 1},    {4, 2, 3, 3}, {2, 2, 1, 1}, {4, 2, 3}, {0},
        {4, 4}, {4, 5}, {2, 4, 3, 3}, {1, 4, 1, 1}, {6, 4, 2, 2}, {4, 2, 1, 1}, {2},       {3, 4}};
    static const std::vector<std::string_view> names{"axis",         "axes",
                                                     "kernel_shape", "strides",
                                                     "pads",         "dilations",
                                                     "group",        "keepdims",
                                                     "perm",         "to",
                                                     "epsilon",      "alpha",
                                                     "ceil_mode",    "mode",
                                                     "auto_pad",     "transA",
                                                     "transB",       "num_outputs",
                                                     "split",        "blocksize",
                                                     "starts",       "count_include_pad",
                                                     "ends",         "equation",
                                                     "allowzero",    "output_padding"};
    static const std::vector<std::string_view> words{"",      "linear",  "nearest",   "SAME_UPPER",
                                                     "VALID", "reflect", "bi,io->bo", "sum",
                                                     "edge",  "DCR",     "CRD",       "b...,->"};
    static const std::vector<std::int64_t> opsets{5, 6, 7, 9, 10, 11, 12, 13, 15, 17, 18, 19, 21};
    static const std::vector<std::string_view> values{"a", "b", "c", "d"};

    onnx_test::Model model(any(opsets, random));
    std::int32_t const type = one_of(12, random) == 0 ? 7 : 1;
    model.graph().input.push_back(
        onnx_test::declared("x", any(samples, random), type, one_of(4, random) == 0));
    std::vector<std::string_view> inputs{"x"};
    if (one_of(12, random) == 0) inputs.clear();
    for (std::size_t k = one_of(5, random); k != 0; --k) {
        std::string_view const name = values[k - 1];
        switch (one_of(5, random)) {
            case 0:
                inputs.push_back("");
                continue;
            case 1:
                inputs.push_back("x");
                continue;
            case 2:
                model.initializer(onnx_test::integers(name, any(lists, random)));
                break;
            default: {
                Integers const& shape = any(shapes, random);
                std::size_t count = 1;
                for (std::int64_t d : shape) count *= static_cast<std::size_t>(d);
                std::vector<float> numbers(count);
                for (float& v : numbers) v = static_cast<float>(one_of(9, random)) / 2 - 1;
                model.initializer(onnx_test::floats(name, shape, std::move(numbers)));
            }
        }
        inputs.push_back(name);
    }
    std::vector<onnx::AttributeProto> attributes;
    for (std::size_t k = one_of(4, random); k != 0; --k) {
        std::string_view const name = any(names, random);
        switch (one_of(4, random)) {
            case 0:
                attributes.push_back(onnx_test::attribute(name, std::int64_t(one_of(5, random)) - 1));
                break;
            case 1:
                attributes.push_back({.name = name, .s = any(words, random), .type = 3});
                break;
            case 2:
                attributes.push_back(onnx_test::real(name, 0.5f));
                break;
            default:
                attributes.push_back(onnx_test::attribute(name, any(lists, random)));
        }
    }
    std::vector<std::string_view> outputs{"y"};
    if (one_of(8, random) == 0) outputs.push_back("z");
    model.node(op, std::move(inputs), std::move(outputs), std::move(attributes));
    model.output("y");
    return model;
}

}  // namespace

TEST_CASE("onnx import: any operator with any inputs and attributes is refused with its name, or runs") {
    using namespace onnx::detail;
    std::mt19937 random(26);
    std::size_t imported = 0, refused = 0;
    std::string unnamed;
    for (std::span<const OperatorRule> family : operator_families)
        for (const OperatorRule& rule : family)
            for (int k = 0; k != 80; ++k) {
                onnx_test::Model model = model_of(rule.op, random);
                auto const read = onnx::import_network(model.file());
                if (!read) {
                    ++refused;
                    for (const Diagnostic& d : read.diagnostics())
                        if (d.message.find(rule.op) == std::string::npos &&
                            d.message.find('`') == std::string::npos)
                            unnamed += d.message + '\n';
                    continue;
                }
                ++imported;
                const nn::Network& network = read->network;
                std::vector<nn::Tensor> batch;
                for (nn::NodeId id : network.inputs()) {
                    nn::Shape shape = network.node(id).shape;
                    if (shape[0] == nn::any_batch) shape[0] = 2;
                    nn::Tensor& x = batch.emplace_back(shape);
                    for (std::size_t i = 0; i != x.size(); ++i) x[i] = float(i % 3);
                }
                INFO(rule.op);
                std::vector<const nn::Tensor*> inputs;
                for (const nn::Tensor& x : batch) inputs.push_back(&x);
                nn::Tape tape;
                CHECK_NOTHROW(network.forward(inputs, tape, nn::Mode::evaluate));
            }
    CHECK(unnamed == "");
    CHECK(imported > 330);
    CHECK(refused > 1700);
}

}  // namespace onnx_operators_test
