#!/usr/bin/env bash
# Installs what is missing, builds, and runs the quickstart; arguments go to it (try --help).
set -eu
cd "$(dirname "$0")/.."
. cmake/install_packages.sh
boost=libboost-dev
command -v apt-cache >/dev/null && boost=$(boost_package)
need_packages g++ cmake ninja-build libeigen3-dev "$boost"
[ -z "${AMCT_DISTILL_PACKAGES_ONLY:-}" ] || exit 0

echo 'Building (a minute or so) ...'
if ! log=$(cmake --preset dev -DAMCT_DISTILL_BUILD_TESTS=OFF -DAMCT_DISTILL_BUILD_TOOLS=OFF 2>&1) ||
    ! log=$(cmake --build --preset dev --target quickstart 2>&1); then
    printf '%s\n' "$log" >&2
    exit 1
fi
exec build/dev/examples/quickstart "$@"
