// SPDX-License-Identifier: Apache-2.0
#include <amct_distill/core/version.hpp>
#include <amct_distill/quant/affine.hpp>
#ifdef WITH_CONFIGURATIONS
#include <amct_distill/config/messages.hpp>
#endif
#ifdef WITH_JSON
#include <amct_distill/adapters/report_json.hpp>
#endif
#include <cstdio>

using namespace amct_distill;

int main() {
#ifdef WITH_CONFIGURATIONS
    if (AMCTDistillConfig{.group_size = 2u}.group_size.get() != 2) return 1;
#endif
#ifdef WITH_JSON
    if (to_json(DistillReport{}).at("layers").as_array().size() != 0) return 1;
#endif
    std::printf("amct_distill %d.%d.%d: 1.3 is %g\n", AMCT_DISTILL_VERSION_MAJOR, AMCT_DISTILL_VERSION_MINOR,
                AMCT_DISTILL_VERSION_PATCH, static_cast<double>(fake_quantize<Int4>(1.3f, {0.5f, 0})));
}
