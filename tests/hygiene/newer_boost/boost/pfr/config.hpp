/// What Boost 1.84 has here, as far as reflect/fields.hpp looks at it.
#pragma once
#define BOOST_PFR_CORE_NAME_ENABLED 1
