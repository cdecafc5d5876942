// SPDX-License-Identifier: Apache-2.0
/// What both translation units do with the library: read, print, resolve, quantize, calibrate.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

struct Answers {
    std::string printed{};
    std::vector<std::int8_t> codes{};
    amct_distill::ClipRange clip{};
    bool failed = false;
};

Answers answers_of_one();
Answers answers_of_two();

inline Answers answers() {
    using namespace amct_distill;
    constexpr const char* text = "distill_weight_quant_config { arq_distill { dst_type: INT4 } }";
    auto const config = read<AMCTDistillConfig>(text).value();
    std::vector<float> const values{0.5f, -1.0f, 0.25f, 0.125f, 2.0f, -0.75f};
    auto const w = ConstMatrixRef(Eigen::Map<const RowMajorMatrix>(values.data(), 2, 3));
    Ifmr<Int8> ifmr;
    ifmr.observe(values).value();
    return {print(config), Arq<Int4, ChannelWise>{}.quantize(w).value().codes, ifmr.finish().value().clip,
            !read<AMCTDistillConfig>("batch_nun: 1").has_value()};
}
