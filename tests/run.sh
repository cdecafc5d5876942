#!/usr/bin/env bash
# Installs what is missing, then builds and runs all tests with g++, with clang, and under the sanitizers.
#   tests/run.sh            the three presets ci-gcc, ci-clang and asan
#   tests/run.sh PRESET...  some of them
set -eu
cd "$(dirname "$0")/.."
. cmake/install_packages.sh
boost=libboost-dev
command -v apt-cache >/dev/null && boost=$(boost_package)
need_packages g++ clang libclang-rt-dev cmake ninja-build libeigen3-dev catch2 protobuf-compiler libprotobuf-dev \
    pkg-config doxygen locales "$boost"
# clang 19 with libc++ has a test of its own, where it can be installed.
command -v apt-get >/dev/null && { (need_packages clang-19 libc++-19-dev libc++abi-19-dev) || true; }
[ -z "${AMCT_DISTILL_PACKAGES_ONLY:-}" ] || exit 0

[ $# -gt 0 ] || set -- ci-gcc ci-clang asan
for preset in "$@"; do
    printf '\n==== %s: build\n' "$preset"
    cmake --preset "$preset" >/dev/null
    cmake --build --preset "$preset"
    printf '\n==== %s: test\n' "$preset"
    log="build/$preset/ctest.txt"
    status=0
    ctest --preset "$preset" -j "$(nproc)" >"$log" 2>&1 || status=$?
    # The counts that passing tests print (golden cases, ...), which ctest keeps in a log of its own.
    grep -hE '^(golden |conformance: |kill tests: |IFMR |-- compile_fail: )' "build/$preset/Testing/Temporary/LastTest.log" | sort -u || true
    grep -vE '^ +Start ' "$log"
    [ "$status" -eq 0 ] || exit "$status"
done
