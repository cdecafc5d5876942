// SPDX-License-Identifier: Apache-2.0
/// What Boost 1.84 has here, as far as reflect/fields.hpp looks at it, and what the Boost that is there
/// needs.
#pragma once
#if __has_include_next(<boost/pfr/config.hpp>)
#include_next <boost/pfr/config.hpp>
#endif
#undef BOOST_PFR_CORE_NAME_ENABLED
#define BOOST_PFR_CORE_NAME_ENABLED 1
