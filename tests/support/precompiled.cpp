// SPDX-License-Identifier: Apache-2.0
// Exists to build the precompiled header.
