// SPDX-License-Identifier: Apache-2.0
// With two.cpp: the headers in one translation unit, in either order, and both units in one program although
// they are compiled with different options (one definition rule).
#include "amct_distill.hpp"
#include "amct_distill_quant.hpp"
// and then
#include "amct_distill_onnx.hpp"
// and then
#include <cstdio>

#include "two.hpp"

using namespace amct_distill;

Answers answers_of_one() { return answers(); }

int main() {
    if (amct_distill::onnx::ModelFile::of_bytes("no model")) return 2;
    Answers const one = answers_of_one(), two = answers_of_two();
    if (one.printed == two.printed && one.codes == two.codes && one.clip == two.clip && one.failed &&
        two.failed)
        return 0;
    std::fprintf(stderr, "one:\n%s\ntwo:\n%s\n", one.printed.c_str(), two.printed.c_str());
    return 1;
}
