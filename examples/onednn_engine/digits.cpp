// SPDX-License-Identifier: Apache-2.0
// The digits' network (examples/engine) on oneDNN: the types of its layers are those that its configuration,
// read by the compiler, gives them.
#include "../engine/configured.hpp"
#include "../engine/digits_model.hpp"
#include "../engine/test_digits.hpp"
#include "compare.hpp"

using config = amct_distill::static_config<digits_model::configuration>;
static_assert(amct_distill::RunsOn<config::value, engine::OneDnn::capabilities>);

int main() {
    return engine::compare<engine::Configured<config::value, digits_model::network>>(
        engine::test_digits, [](std::size_t k, float* to) { engine::copy_image(k, to); });
}
