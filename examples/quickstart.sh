#!/usr/bin/env bash
# Installs what is missing, builds the program amct-distill, trains a small network on digits, and shows what
# the program makes of it. The files are written to build/quickstart.
set -eu
cd "$(dirname "$0")/.."
. cmake/install_packages.sh
boost=libboost-dev
command -v apt-cache >/dev/null && boost=$(boost_package)
need_packages g++ cmake ninja-build libeigen3-dev libcli11-dev libstb-dev "$boost"
[ -z "${AMCT_DISTILL_PACKAGES_ONLY:-}" ] || exit 0

echo 'Building (a few minutes) ...'
if ! log=$(cmake --preset dev -DAMCT_DISTILL_BUILD_TESTS=OFF \
        -DAMCT_DISTILL_WARNINGS_AS_ERRORS=OFF 2>&1) ||
    ! log=$(cmake --build --preset dev --target digits_model amct-distill 2>&1); then
    printf '%s\n' "$log" >&2
    exit 1
fi

# Shows a command, and runs it.
run() {
    printf '\n\n$ %s\n' "$*"
    "$@"
}
rm -rf build/quickstart
run build/dev/examples/digits_model examples/data/digits.csv build/quickstart
run cp examples/digits.cfg build/quickstart
printf '\n\n$ export PATH="$PWD/build/dev/tools:$PATH"\n'
export PATH="$PWD/build/dev/tools:$PATH"
run cd build/quickstart
run amct-distill plan digits.onnx --config digits.cfg
run amct-distill distill digits.onnx --config digits.cfg --data train.npy --labels labels.npy --out result
run amct-distill verify result --data test.npy --labels test_labels.npy
run amct-distill report result
