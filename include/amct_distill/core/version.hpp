// SPDX-License-Identifier: Apache-2.0
/// The version of amct_distill: the only macros that its headers leave behind.
///
///     #if AMCT_DISTILL_VERSION >= 200      // 0.2.0 or newer
///
/// CMake takes the project's version from here.
#pragma once

#define AMCT_DISTILL_VERSION_MAJOR 0
#define AMCT_DISTILL_VERSION_MINOR 2
#define AMCT_DISTILL_VERSION_PATCH 0
#define AMCT_DISTILL_VERSION 200  // 10000 * major + 100 * minor + patch
