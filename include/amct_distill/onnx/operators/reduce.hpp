// SPDX-License-Identifier: Apache-2.0
/// ONNX's reductions. The axes are an attribute, or, of later opsets, an input.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "../../nn/layers/reduce.hpp"
#include "../operation.hpp"

namespace amct_distill::onnx::detail {

template <class Module>
void convert_reduce(Operation& o) {
    bool const keep = o.attributes().integer("keepdims", 1) != 0;
    bool const none_is_none = o.attributes().integer("noop_with_empty_axes", 0) != 0;
    std::vector<std::int64_t> given;
    if (o.has(1))
        given = o.integers(1);
    else
        given = o.attributes().integers("axes").value_or(given);
    std::size_t const rank = o.model_shape(0).size();
    nn::ReduceOptions options{.axes = {}, .keepdims = keep};
    for (std::int64_t axis : given) options.axes.push_back(static_cast<nn::Index>(o.axis(axis, 0)));
    if (o.failed()) return;
    std::sort(options.axes.begin(), options.axes.end());
    if (std::adjacent_find(options.axes.begin(), options.axes.end()) != options.axes.end())
        return o.fail("an axis is there twice");
    if (given.empty() && none_is_none) {
        if constexpr (requires { Module::function::keeps_one_value; }) return o.pass(0);
        return o.fail("without axes, and with noop_with_empty_axes, its meaning is not the same everywhere");
    }
    if (given.empty())
        for (std::size_t i = 0; i != (std::max)(rank, std::size_t{1}); ++i)
            options.axes.push_back(static_cast<nn::Index>(i));
    bool const all = options.axes.size() >= rank;
    o.result_is_scalar(rank == 0 || (all && !keep));
    o.function(Module(options), {0});
}

inline constexpr std::array reduce_rules{
    OperatorRule{"ReduceL1", convert_reduce<nn::ReduceL1>, Accepts::int32_and_64, BatchAt::anywhere},
    OperatorRule{"ReduceL2", convert_reduce<nn::ReduceL2>, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"ReduceLogSum", convert_reduce<nn::ReduceLogSum>, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"ReduceLogSumExp", convert_reduce<nn::ReduceLogSumExp>, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"ReduceMax", convert_reduce<nn::ReduceMax>, Accepts::everything, BatchAt::anywhere},
    OperatorRule{"ReduceMean", convert_reduce<nn::ReduceMean>, Accepts::floats, BatchAt::anywhere},
    OperatorRule{"ReduceMin", convert_reduce<nn::ReduceMin>, Accepts::everything, BatchAt::anywhere},
    OperatorRule{"ReduceProd", convert_reduce<nn::ReduceProd>, Accepts::int32_and_64, BatchAt::anywhere},
    OperatorRule{"ReduceSum", convert_reduce<nn::ReduceSum>, Accepts::int32_and_64, BatchAt::anywhere},
    OperatorRule{"ReduceSumSquare", convert_reduce<nn::ReduceSumSquare>, Accepts::int32_and_64,
                 BatchAt::anywhere},
};

}  // namespace amct_distill::onnx::detail
