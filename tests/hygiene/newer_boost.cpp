// SPDX-License-Identifier: Apache-2.0
// Boost 1.84 and newer knows the names of fields itself: with such a Boost (newer_boost/ stands in for it)
// they come from there.
#include <amct_distill/reflect/fields.hpp>

struct Two {
    int called_otherwise;
    int also;
};
static_assert(amct_distill::reflect::field_name<Two, 1>() == "second");
static_assert(amct_distill::reflect::field_names<Two>[0] == "expected_spelling");
