// SPDX-License-Identifier: Apache-2.0
/// What tests of ONNX models read and compare: tensors in files of their own, and how far numbers differ.
///
///     onnx_data::Values x = onnx_data::read("test_data_set_0/input_0.pb").value();
///     nn::Tensor t = x.tensor();                        // a tensor without dimensions has the shape [1]
///     onnx_data::compare(y, expected).relative;         // of the largest expected value
#pragma once
#include <algorithm>
#include <amct_distill/io/mapped_file.hpp>
#include <amct_distill/nn/tensor.hpp>
#include <amct_distill/onnx/tensor_values.hpp>
#include <amct_distill/wire/reader.hpp>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace onnx_data {

using namespace amct_distill;

/// A tensor of any type as doubles, which hold all that tests have (integers up to 2^53).
struct Values {
    std::string name{};
    onnx::ElementType type = onnx::ElementType::undefined;
    std::vector<std::size_t> shape{};
    std::vector<double> data{};

    nn::Shape network_shape() const {
        if (shape.empty()) return {1};
        return nn::Shape(shape.begin(), shape.end());
    }
    nn::Tensor tensor() const {
        nn::Tensor out(network_shape());
        std::ranges::transform(data, out.begin(), [](double v) { return static_cast<float>(v); });
        return out;
    }
};

/// A TensorProto alone in its file. Errors: it is none (a sequence ...), or of a type that is not read.
inline result<Values> read(const std::filesystem::path& path) {
    result<MappedFile> const file = MappedFile::open(path);
    if (!file) return file.diagnostics();
    result<onnx::TensorProto> const proto =
        read_binary<onnx::TensorProto>(file->bytes(), {.source = path.string()});
    if (!proto) return proto.diagnostics();
    result<onnx::TensorValues> const values = onnx::tensor_values(*proto);
    if (!values) return values.diagnostics();
    return Values{std::string(proto->name.get()), values->type(), values->shape(),
                  values->to_vector<double>()};
}

/// How two lists of numbers differ. NaN is equal to NaN, and an infinity to itself alone.
struct Difference {
    bool same_size = true;
    double largest = 0;           ///< of the absolute differences
    double largest_expected = 0;  ///< of the absolute expected values
    double relative = 0;          ///< largest / largest_expected; where all of those are 0, largest
    double excess = 0;            ///< how many times the tolerance 1e-7 + 1e-3 |expected| the worst takes
};

inline Difference compare(std::span<const float> found, std::span<const double> expected) {
    Difference d;
    d.same_size = found.size() == expected.size();
    if (!d.same_size) return d;
    for (std::size_t i = 0; i != found.size(); ++i) {
        double const y = double(found[i]), e = expected[i];
        if ((std::isnan(y) && std::isnan(e)) || y == e) {
            if (std::isfinite(e)) d.largest_expected = (std::max)(d.largest_expected, std::abs(e));
            continue;
        }
        // Not finite on one side alone, or beyond what a float holds.
        double const off =
            std::isfinite(y) && std::isfinite(e) ? std::abs(y - e) : std::numeric_limits<double>::infinity();
        d.largest = (std::max)(d.largest, off);
        if (std::isfinite(e)) d.largest_expected = (std::max)(d.largest_expected, std::abs(e));
        d.excess = (std::max)(d.excess, off / (1e-7 + 1e-3 * (std::isfinite(e) ? std::abs(e) : 0)));
    }
    d.relative = d.largest_expected > 0 ? d.largest / d.largest_expected : d.largest;
    return d;
}
inline Difference compare(const nn::Tensor& found, std::span<const double> expected) {
    return compare(found.span(), expected);
}

}  // namespace onnx_data
