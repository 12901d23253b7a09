# SPDX-License-Identifier: Apache-2.0
# Adit: scripts
# Two hosts in network namespaces, joined by a veth pair; nothing outside them is touched. Sourced after report.sh.
#
#   $ns_a 192.0.2.1, site 10.1.0.1/24  <-- veth, MTU 1500 -->  $ns_b 192.0.2.2, site 10.2.0.1/24

# need_namespaces: says what is missing, for a person
need_namespaces() {
    [ "$(id -u)" = 0 ] || die "network namespaces and a TUN device need root: sudo $0"
    [ -e /dev/net/tun ] || die "there is no /dev/net/tun: load the tun module, or give the container --device /dev/net/tun"
}

# build_namespaces PREFIX: the names carry the process id, so that two runs do not meet
build_namespaces() {
    ns_a="$1-$$-a" ns_b="$1-$$-b"
    ip netns add "$ns_a" && ip netns add "$ns_b" || die "network namespaces are not allowed here"
    ip -n "$ns_a" link add eth0 mtu 1500 type veth peer name eth0 mtu 1500 netns "$ns_b"
    ip -n "$ns_a" addr add 192.0.2.1/24 dev eth0
    ip -n "$ns_b" addr add 192.0.2.2/24 dev eth0
    ip -n "$ns_a" addr add 10.1.0.1/24 dev lo
    ip -n "$ns_b" addr add 10.2.0.1/24 dev lo
    local namespace
    for namespace in "$ns_a" "$ns_b"; do
        ip -n "$namespace" link set lo up
        ip -n "$namespace" link set eth0 up
    done
}

remove_namespaces() {
    local namespace
    for namespace in "${ns_a:-}" "${ns_b:-}"; do
        [ -z "$namespace" ] || ip netns del "$namespace" 2>/dev/null || true
    done
}

in_a() { ip netns exec "$ns_a" "$@"; }
in_b() { ip netns exec "$ns_b" "$@"; }

# end_process PID: gently, then not; only what we started
end_process() {
    local pid=$1 tries
    [ -n "$pid" ] && kill "$pid" 2>/dev/null || return 0
    for tries in {1..60}; do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.05
    done
    kill -9 "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
}

# wait_for SECONDS COMMAND...: until it succeeds
wait_for() {
    local end=$(($(now) + $1 * 1000))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$(now)" -lt "$end" ] || return 1
        sleep 0.05
    done
}
