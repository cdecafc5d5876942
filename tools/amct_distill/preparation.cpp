// SPDX-License-Identifier: Apache-2.0
#include "preparation.hpp"

#include <amct_distill/core/number.hpp>
#include <string>
#include <utility>

namespace tool {

namespace ad = amct_distill;
using ad::detail::concat;

bool Preparation::equalize(ad::nn::Network& network, const Dataset& data, const ad::RunOptions& run) {
    if (o_.equalize == "none") return true;
    auto found = ad::equalize(
        network, data, run,
        {.into = o_.equalize == "convolutions" ? ad::EqualizeInto::convolutions : ad::EqualizeInto::depthwise,
         .batch_num = batch_num_});
    if (!found && interrupted()) return false;
    equalized_ = std::move(found).value();
    return !interrupted();
}

ad::CalibrateOptions Preparation::calibration() const {
    ad::CalibrateOptions out;
    if (o_.calibration == "range")
        out.ifmr = {.max_percentile = 1, .min_percentile = 1, .search_start = 1, .search_end = 1.005};
    return out;
}

void Preparation::print() const {
    if (equalized_)
        console_.table("Equalized: the largest magnitudes of channels that share a scale, before and now",
                       ad::to_table(*equalized_, console_.width()));
    if (corrected_)
        console_.table("Bias correction: the mean shift of a layer's channels, beside the outputs' deviation",
                       ad::to_table(*corrected_, console_.width()));
}

std::vector<ad::PageFact> Preparation::facts() const {
    std::vector<ad::PageFact> out;
    if (equalized_) {
        std::string text = equalized_->pairs.empty() ? "nothing could be" : "";
        for (const ad::EqualizedPair& p : equalized_->pairs)
            text += concat(text.empty() ? "" : "; ", p.first, " > ", p.second, ": channels' ranges ",
                           ad::detail::short_number(p.narrowest_before), " to ",
                           ad::detail::short_number(p.widest_before), " became ",
                           ad::detail::short_number(p.narrowest_after), " to ",
                           ad::detail::short_number(p.widest_after));
        if (!equalized_->others.empty()) text += concat("; not into ", equalized_->others.size(), " others");
        out.push_back({"equalized", std::move(text)});
    }
    if (o_.calibration == "range")
        out.push_back({"ranges of inputs", "from the smallest to the largest value"});
    if (corrected_)
        out.push_back({"bias correction",
                       concat(corrected_->layers.size(), " layers, over ", corrected_->batches,
                              corrected_->batches == 1 ? " batch" : " batches",
                              corrected_->others.empty()
                                  ? std::string()
                                  : concat("; ", corrected_->others.size(), " have no bias to correct"))});
    return out;
}

}  // namespace tool
