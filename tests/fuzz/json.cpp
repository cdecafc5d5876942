// SPDX-License-Identifier: Apache-2.0
// Any bytes through the JSON reader: no crash, and what is read prints back to the same JSON.
#include <amct_distill/adapters/json.hpp>
#include <amct_distill/adapters/json_reader.hpp>
#include <boost/json/src.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace amct_distill;

namespace {

const Topology& topology() {
    static const Topology t{{{"conv1", "Conv2d"},
                             {"bn1", "BatchNorm2d"},
                             {"relu1", "ReLU"},
                             {"conv2", "Conv2d"},
                             {"fc", "Linear"}},
                            {{"conv1", "Conv2d", 0, {}},
                             {"bn1", "BatchNorm2d", 1, {0}},
                             {"relu1", "ReLU", 2, {1}},
                             {"conv2", "Conv2d", 3, {2}},
                             {"fc", "Linear", 4, {3}}},
                            {4}};
    return t;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view const text(reinterpret_cast<const char*>(data), size);
    auto const plan = plan_from_json(text, topology());
    if (!plan) {
        if (to_string(plan.diagnostics()).empty()) std::abort();
        return 0;
    }
    std::string const printed = print_json(to_json(*plan));
    auto const again = plan_from_json(printed, topology());
    if (!again || print_json(to_json(*again)) != printed) std::abort();
    return 0;
}
