#!/usr/bin/env bash
# Runs the README's two commands on a fresh Debian of another release, as a new user would, in a chroot.
#   tests/debian.sh 13              both commands
#   tests/debian.sh 13 PRESET...    tests/run.sh runs these presets only
#   tests/debian.sh 13 --prepare    only makes the chroot and downloads what the commands will install
# Needs root and debootstrap. AMCT_DISTILL_CHROOTS (default /var/tmp/amct_distill) is where the chroots lie:
# the base system is kept from one run to the next, and so are the downloaded packages; the system that the
# commands see is a copy of the base, made anew each time. Everything mounted or started there ends with this
# script.
set -eu
case "${1:-}" in
    12) suite=bookworm ;;
    13) suite=trixie ;;
    *) sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
release=$1
shift
[ "$(id -u)" -eq 0 ] || { echo "tests/debian.sh needs root: chroot, mounts and packages" >&2; exit 2; }
# In a namespace of mounts and processes, which is gone when this script is.
if [ -z "${AMCT_DISTILL_INSIDE:-}" ]; then
    export AMCT_DISTILL_INSIDE=1
    exec unshare --mount --propagation private --pid --fork --kill-child "$BASH" "$0" "$release" "$@"
fi
cd "$(dirname "$0")/.."
. cmake/install_packages.sh
need_packages debootstrap

chroots=${AMCT_DISTILL_CHROOTS:-/var/tmp/amct_distill}
base=$chroots/debian$release packages=$chroots/debian$release-packages system=$chroots/debian$release-run
mkdir -p "$packages/partial"
exec 9>"$base.lock"
flock -n 9 || { echo "another tests/debian.sh $release runs in $chroots" >&2; exit 2; }

if [ ! -e "$base/complete" ]; then
    echo "Making $base (a few minutes) ..."
    rm -rf "$base"
    debootstrap --variant=minbase --include=git,ca-certificates "$suite" "$base" >"$base.log" 2>&1 ||
        { tail -20 "$base.log" >&2; exit 1; }
    touch "$base/complete"
fi
echo "Copying it to $system ..."
rm -rf --one-file-system "$system"
cp -a --reflink=auto "$base" "$system"

mount -t proc proc "$system/proc"
mount --rbind /dev "$system/dev"
mount --rbind /sys "$system/sys"
mount --bind "$packages" "$system/var/cache/apt/archives"
rm -f "$system/etc/apt/apt.conf.d/docker-clean"
cp /etc/resolv.conf "$system/etc/resolv.conf"
mkdir "$system/root/amct_distill"
git -c safe.directory='*' ls-files -z --cached --others --exclude-standard |
    tar --null --ignore-failed-read -T - -c 2>/dev/null | tar -x -C "$system/root/amct_distill"

inside() {
    chroot "$system" /usr/bin/env -i HOME=/root LC_ALL=C.UTF-8 \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        ${CI:+CI="$CI"} ${http_proxy:+http_proxy="$http_proxy"} \
        bash -c 'cd /root/amct_distill && "$@"' bash "$@"
}
# apt keeps what it downloads, for the next run.
echo 'Binary::apt-get::APT::Keep-Downloaded-Packages "true"; APT::Keep-Downloaded-Packages "true";' \
    >"$system/etc/apt/apt.conf.d/90keep"

if [ "${1:-}" = --prepare ]; then
    inside env AMCT_DISTILL_PACKAGES_ONLY=1 examples/quickstart.sh
    inside env AMCT_DISTILL_PACKAGES_ONLY=1 tests/run.sh
    du -sh "$packages" | sed 's/\t.*/ of packages/'
    exit 0
fi
inside sed -n 's/^PRETTY_NAME=//p' /etc/os-release
inside examples/quickstart.sh
inside tests/run.sh "$@"
