// SPDX-License-Identifier: Apache-2.0
// Boost.JSON, compiled with the program; the other way is to link its library.
#include <boost/json/src.hpp>
