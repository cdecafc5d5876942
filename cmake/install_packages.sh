# Sourced by the two scripts: installs the Debian packages they need and does not ask for what is there.

# need_packages NAME...: installs those that are missing; without apt, prints the list and exits with 2.
need_packages() {
    local missing=() package
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        [ -n "${AMCT_DISTILL_PACKAGES_ARE_THERE:-}" ] && return
        echo "There is no apt here. Install these, or their like, and set" \
            "AMCT_DISTILL_PACKAGES_ARE_THERE=1:" >&2
        printf '  %s\n' "$@" >&2
        exit 2
    fi
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
            missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    echo "Installing: ${missing[*]}"
    local sudo=
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    $sudo apt-get update -q >/dev/null &&
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
            "${missing[@]}" >/dev/null ||
        { echo "apt could not install: ${missing[*]}" >&2; exit 2; }
}

# Boost's headers: libboost-dev is new enough from Debian 13 on; Debian 12 has 1.81 beside its 1.74.
boost_package() {
    local candidate sudo=
    candidate=$(apt-cache policy libboost-dev 2>/dev/null | sed -n 's/^ *Candidate: //p')
    if [ -z "$candidate" ] || [ "$candidate" = "(none)" ]; then  # a fresh machine has no package lists yet
        [ "$(id -u)" -eq 0 ] || sudo=sudo
        $sudo apt-get update -q >/dev/null 2>&1 || true
        candidate=$(apt-cache policy libboost-dev 2>/dev/null | sed -n 's/^ *Candidate: //p')
    fi
    if dpkg --compare-versions "$candidate" ge 1.81; then echo libboost-dev; else echo libboost1.81-dev; fi
}
