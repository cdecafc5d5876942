#!/usr/bin/env bash
# Installs what is missing, then builds and runs all tests with g++, with clang, and under the sanitizers.
#   tests/run.sh            the three presets ci-gcc, ci-clang and asan
#   tests/run.sh PRESET...  some of them
set -eu
cd "$(dirname "$0")/.."
. cmake/install_packages.sh
boost=libboost-dev
command -v apt-cache >/dev/null && boost=$(boost_package)
need_packages g++ clang libclang-rt-dev cmake ninja-build libeigen3-dev catch2 protobuf-compiler \
    libprotobuf-dev pkg-config doxygen locales libcli11-dev libstb-dev libbenchmark-dev "$boost"
# Tests of their own have clang 19 with libc++, and the clang-format and clang-tidy that Debian 12 has; where
# one cannot be installed, its test says so or is not there.
if command -v apt-get >/dev/null; then
    (need_packages clang-19 libc++-19-dev libc++abi-19-dev) || true
    ! apt-cache show clang-format-14 clang-tidy-14 >/dev/null 2>&1 ||
        need_packages clang-format-14 clang-tidy-14
    # ONNX's own tests; its Python module checks the models that are written.
    (need_packages libonnx-testdata python3-onnx) || true
    # Several processes; without it the program's tests on ranks are left out. MPICH is compiled with only.
    (need_packages libopenmpi-dev openmpi-bin procps) || true
    (need_packages libmpich-dev) || true
    # An example's; without it the example is left out.
    (need_packages libdnnl-dev) || true
fi
[ -z "${AMCT_DISTILL_PACKAGES_ONLY:-}" ] || exit 0

[ $# -gt 0 ] || set -- ci-gcc ci-clang asan
for preset in "$@"; do
    printf '\n==== %s: build\n' "$preset"
    cmake --preset "$preset" >/dev/null
    # As many at once as there are processors: the largest units take 4 GB each.
    cmake --build --preset "$preset" -j "$(nproc)"
    printf '\n==== %s: test\n' "$preset"
    log="build/$preset/ctest.txt"
    status=0
    ctest --preset "$preset" -j "$(nproc)" >"$log" 2>&1 || status=$?
    # The counts that passing tests print (golden cases, ...), which ctest keeps in a log of its own.
    counts='^(golden |conformance: |kill tests: |IFMR |-- compile_fail: )'
    grep -hE "$counts" "build/$preset/Testing/Temporary/LastTest.log" | sort -u || true
    grep -vE '^ +Start ' "$log"
    [ "$status" -eq 0 ] || exit "$status"
done
