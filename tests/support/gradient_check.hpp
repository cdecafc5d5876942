// SPDX-License-Identifier: Apache-2.0
/// Compares a module's backward with central differences of its forward, in double.
///
///     nn::BasicModule<double> m = nn::BasicLinear<double>({.in_features = 3, .out_features = 2});
///     CHECK(gradient_error(m, {{4, 3}}) < gradient_tolerance);
#pragma once
#include <algorithm>
#include <amct_distill/nn/module.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace amct_distill::nn {

/// Half the step of the differences, and what is tolerated: their own error is about step^2 (the third
/// derivatives, which are of order 1 to 10 here) plus 1e-16 / step (rounding of a loss of order 1 to 100).
inline constexpr double gradient_step = 1e-5;
inline constexpr double gradient_tolerance = 1e-8;

/// Distinct values in [-1, 1), none closer to 0 or to another than many steps, so that no kink (ReLU's, the
/// maximum's) lies within a difference. The same at each call.
inline void fill_distinct(std::span<double> tensor, std::uint64_t seed) {
    std::mt19937_64 bits(seed);
    auto const n = tensor.size();
    for (std::size_t i = 0; i != n; ++i) tensor[i] = (2 * (double(i) + 0.3) / double(n)) - 1;
    for (std::size_t i = n; i > 1; --i) std::swap(tensor[i - 1], tensor[bits() % i]);
}

/// The largest difference between a gradient of `sum(weights * output)` and its central difference,
/// relative where it exceeds 1; over all inputs and all trained parameters. Infinite when backward replaces
/// what is in the gradients instead of adding to it, or when leaving the input gradients out changes the
/// parameters' gradients.
inline double gradient_error_at(BasicModule<double>& module, std::vector<BasicTensor<double>> inputs,
                                Mode mode = Mode::evaluate) {
    std::vector<const BasicTensor<double>*> views;
    std::vector<Shape> shapes;
    for (const auto& x : inputs) views.push_back(&x), shapes.push_back(x.shape());

    BasicTensor<double> output(module.output_shape(shapes).value());
    BasicTensor<double> weights(output.shape());
    fill_distinct(weights.span(), 99);
    BasicScratch<double> scratch;
    auto const loss = [&] {
        output.fill(std::numeric_limits<double>::quiet_NaN());  // forward overwrites
        module.forward(views, output, scratch, mode);
        double sum = 0;
        for (std::size_t i = 0; i != output.size(); ++i) sum += weights[i] * output[i];
        return sum;
    };
    (void)loss();

    double const start = 0.25;  // what the gradients hold before
    std::vector<BasicTensor<double>> grad_inputs, grad_parameters;
    std::vector<BasicTensor<double>*> grad_views;
    for (const Shape& shape : shapes) grad_inputs.emplace_back(shape).fill(start);
    for (auto& g : grad_inputs) grad_views.push_back(&g);
    auto const parameters = module.parameters();
    for (const auto& p : parameters)
        grad_parameters.emplace_back(Shape(p.shape().begin(), p.shape().end())).fill(start);
    auto again = grad_parameters;
    module.backward(views, output, weights, grad_views, grad_parameters, scratch, mode);

    std::vector<BasicTensor<double>*> const unwanted(shapes.size(), nullptr);
    module.backward(views, output, weights, unwanted, again, scratch, mode);
    if (again != grad_parameters) return std::numeric_limits<double>::infinity();

    double worst = 0;
    auto const compare = [&](std::span<double> value, const BasicTensor<double>& gradient) {
        for (std::size_t i = 0; i != value.size(); ++i) {
            double const at = value[i];
            value[i] = at + gradient_step;
            double const above = loss();
            value[i] = at - gradient_step;
            double const below = loss();
            value[i] = at;
            double const expected = (above - below) / (2 * gradient_step), found = gradient[i] - start;
            double const error = std::abs(expected - found) / (std::max)(1.0, std::abs(expected));
            worst = error <= worst ? worst : error;  // NaN is worst
        }
    };
    for (std::size_t i = 0; i != inputs.size(); ++i) compare(inputs[i].span(), grad_inputs[i]);
    for (std::size_t i = 0; i != parameters.size(); ++i)
        if (parameters[i].role != Role::statistic) compare(parameters[i].values, grad_parameters[i]);
    return worst;
}

/// The same, at distinct values in [-1, 1).
inline double gradient_error(BasicModule<double>& module, const std::vector<Shape>& shapes,
                             Mode mode = Mode::evaluate) {
    std::vector<BasicTensor<double>> inputs;
    for (const Shape& shape : shapes) fill_distinct(inputs.emplace_back(shape).span(), inputs.size());
    return gradient_error_at(module, std::move(inputs), mode);
}

/// Fills the module's trained parameters with distinct values.
inline void fill_parameters(BasicModule<double>& module) {
    std::uint64_t seed = 7;
    for (const auto& p : module.parameters())
        if (p.role != Role::statistic) fill_distinct(p.values, seed++);
}

/// The output of a module for these inputs.
template <class T>
BasicTensor<T> run(const BasicModule<T>& module, const std::vector<BasicTensor<T>>& inputs,
                   Mode mode = Mode::evaluate) {
    std::vector<Shape> shapes;
    std::vector<const BasicTensor<T>*> views;
    for (const auto& x : inputs) shapes.push_back(x.shape()), views.push_back(&x);
    BasicTensor<T> output(module.output_shape(shapes).value());
    BasicScratch<T> scratch;
    module.forward(views, output, scratch, mode);
    return output;
}

/// The text of the error for inputs that a module does not take; empty when it takes them.
template <class T>
std::string shape_error(const BasicModule<T>& module, const std::vector<Shape>& shapes) {
    auto const shape = module.output_shape(shapes);
    return shape ? "" : shape.diagnostics().front().message;
}

}  // namespace amct_distill::nn
