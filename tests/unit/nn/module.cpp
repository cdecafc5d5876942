// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/nn/module.hpp>

#include "support/catch.hpp"

namespace nn_module_test {

using namespace amct_distill;
using namespace amct_distill::nn;

namespace {

/// A module as a user would write one: a learned factor, kept within [0, 1], and the number of batches seen.
struct Scale {
    static constexpr std::string_view type_name = "Scale";
    Tensor factor{{1}, {2}};
    int batches = 0;

    void parameters(std::vector<Parameter>& list) { list.push_back({"factor", Role::scale, &factor}); }
    void constrain() { factor[0] = (std::min)(factor[0], 1.0f); }
    void update_statistics(Inputs) { ++batches; }
    result<Shape> output_shape(std::span<const Shape> inputs) const {
        if (inputs.size() != 1) return detail::unexpected_inputs("one input", inputs);
        return inputs[0];
    }
    void forward(Inputs inputs, Tensor& output, Scratch&, Mode) const {
        array(output) = array(*inputs[0]) * factor[0];
    }
    void backward(Inputs inputs, const Tensor&, const Tensor& grad_output,
                  std::span<Tensor* const> grad_inputs, std::span<Tensor> grad_parameters, Scratch&,
                  Mode) const {
        if (grad_inputs[0]) array(*grad_inputs[0]) += array(grad_output) * factor[0];
        grad_parameters[0][0] += (array(grad_output) * array(*inputs[0])).sum();
    }
};

/// The least that a module is; its operation has another name than its type.
struct Pass {
    static constexpr std::string_view type_name = "Pass";
    static constexpr std::string_view operation = "NoOp";
    result<Shape> output_shape(std::span<const Shape> inputs) const { return inputs[0]; }
    void forward(Inputs inputs, Tensor& output, Scratch&, Mode) const { output = *inputs[0]; }
    void backward(Inputs, const Tensor&, const Tensor&, std::span<Tensor* const>, std::span<Tensor>, Scratch&,
                  Mode) const {}
};

static_assert(ModuleOf<Scale, float> && ModuleOf<Pass, float>);
static_assert(!ModuleOf<Scale, double> && !ModuleOf<int, float>);
static_assert(std::constructible_from<Module, Scale> && !std::constructible_from<BasicModule<double>, Scale>);

}  // namespace

TEST_CASE("a module holds any type with the contract, by value") {
    Module a = Scale{};
    Module b = a;
    b.get_if<Scale>()->factor[0] = 0.5f;
    CHECK(a.get_if<Scale>()->factor[0] == 2);
    CHECK(a.get_if<Pass>() == nullptr);
    CHECK(a.type() == "Scale");
    CHECK(a.operation() == "Scale");
    CHECK(Module(Pass{}).operation() == "NoOp");
    a = b;
    CHECK(std::as_const(a).get_if<Scale>()->factor[0] == 0.5f);

    Tensor const x({1, 2}, {3, 4});
    Tensor y({1, 2});
    Scratch scratch;
    const Tensor* const inputs[] = {&x};
    a.forward(inputs, y, scratch, Mode::evaluate);
    CHECK(y == Tensor({1, 2}, {1.5f, 2}));
}

TEST_CASE("the optional members of a module are found, or nothing happens") {
    Module scale = Scale{}, pass = Pass{};
    REQUIRE(scale.parameters().size() == 1);
    CHECK(scale.parameters()[0].name == "factor");
    CHECK(scale.parameters()[0].role == Role::scale);
    CHECK(std::as_const(scale).parameters()[0].values.data() == scale.parameters()[0].values.data());
    CHECK(pass.parameters().empty());

    scale.constrain();
    pass.constrain();
    CHECK(scale.get_if<Scale>()->factor[0] == 1);
    scale.update_statistics({});
    pass.update_statistics({});
    CHECK(scale.get_if<Scale>()->batches == 1);
}

TEST_CASE("scratch buffers stay where they are") {
    Scratch scratch;
    Tensor& first = scratch.tensor(0);
    first.resize({4});
    scratch.tensor(9).resize({2});
    CHECK(&scratch.tensor(0) == &first);
    CHECK(scratch.tensor(0).size() == 4);
}

TEST_CASE("an error of shapes says what was expected and what was found") {
    CHECK(detail::unexpected_inputs("one input", {}).message == "expected one input, found none");
    std::vector<Shape> const two{{any_batch, 2}, {3}};
    CHECK(detail::unexpected_inputs("one input", two).message == "expected one input, found [N, 2] and [3]");
}

}  // namespace nn_module_test
