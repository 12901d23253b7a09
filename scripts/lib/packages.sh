# SPDX-License-Identifier: Apache-2.0
# Adit: scripts
# What the scripts need beyond the Swift toolchain, installed when it is missing. Sourced after report.sh.

packages_build=(libssl-dev pkg-config git ca-certificates)
packages_network=(iproute2 iputils-ping procps)
packages_demo=("${packages_network[@]}" iperf3)
packages_interop=("${packages_demo[@]}" nftables tcpdump tshark util-linux python3 python3-venv
    strongswan-charon strongswan-swanctl strongswan-pki libcharon-extra-plugins libcharon-extauth-plugins
    libstrongswan-standard-plugins libstrongswan-extra-plugins)

# need_packages PACKAGE...: Debian packages; installs what is missing, in one go
need_packages() {
    local missing=() package log
    for package in "$@"; do
        dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "these are missing, and there is no apt-get to install them: ${missing[*]}"
    [ "$(id -u)" = 0 ] || die "these packages are missing: ${missing[*]} (as root: apt-get install ${missing[*]})"
    detail "installing ${missing[*]}"
    log=$(mktemp)
    # A lock that another apt-get holds is waited for, so that two scripts can start at once.
    if ! { install_packages "${missing[@]}" || { apt-get -o DPkg::Lock::Timeout=300 update && install_packages "${missing[@]}"; }; } \
        >"$log" 2>&1 </dev/null; then
        tail -20 "$log" >&2
        rm -f "$log"
        die "apt-get could not install ${missing[*]}"
    fi
    rm -f "$log"
}

install_packages() {
    # policy-rc.d semantics by environment: no daemon is to start because its package was unpacked.
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -q --no-install-recommends "$@"
}

# need_swift: the toolchain cannot be installed by us
need_swift() {
    command -v swift >/dev/null || die "no swift in PATH: install Swift 6.3 (https://www.swift.org/install) and run this again"
}

# need_python: a virtual environment of our own with the test libraries, in .build-python; made anew when the list changed
need_python() {
    need_packages python3 python3-venv
    python="$root/.build-python/bin/python"
    python_is_complete && return 0
    detail "making .build-python (pytest, scapy, cryptography)"
    (
        exec 8>"$root/.build-python.lock"
        flock 8
        python_is_complete && exit 0
        /usr/bin/python3 -m venv --clear "$root/.build-python" &&
            "$python" -m pip install --quiet --disable-pip-version-check \
                -r "$root/Tests/Interop/requirements.txt" &&
            cp "$root/Tests/Interop/requirements.txt" "$root/.build-python/complete"
    ) || die "could not make the Python environment in .build-python"
}

python_is_complete() {
    cmp -s "$root/Tests/Interop/requirements.txt" "$root/.build-python/complete" &&
        "$python" -c 'import pytest, xdist, scapy, cryptography' 2>/dev/null
}
