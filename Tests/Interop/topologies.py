# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""Labs of more than two hosts: two clients behind one NAT, a NAT before each end, a gateway between two others."""
from dataclasses import replace

from lab import NATTED, SITES, Lab, Site

C = Site("", "", "10.3.0.1", "10.3.0.0/24", "fd03::1", "fd03::/64", "c.example.com")


class SharedNAT(Lab):
    """a (198.51.100.2) and c (198.51.100.3) behind the NAT n; b (192.0.2.2) sees both as 192.0.2.1."""

    def __init__(self):
        super().__init__(nat=True)
        self.sites["c"] = replace(C, outer4="198.51.100.3")

    def _build(self):
        super()._build()
        self.add_namespace("c")
        # The NAT's inner side becomes a bridge with both clients.
        self.ip("n", "link add bridge type bridge")
        self.ip("n", "addr flush dev inside")
        self.ip("n", "addr add 198.51.100.1/24 dev bridge")
        self._join("c", "eth0", "n", "inside2")
        for device in ("inside", "inside2"):
            self.ip("n", f"link set {device} master bridge")
        self.ip("n", "link set bridge up")
        self.ip("c", "addr add 198.51.100.3/24 dev eth0")
        self.ip("c", "route add default via 198.51.100.1")
        self.add_site("c")

    def forget_quickly(self, seconds):
        """From now on the NAT forgets a mapping of UDP after so many idle seconds."""
        for name in ("timeout", "timeout_stream"):
            self.run("n", "sysctl", "-qw", f"net.netfilter.nf_conntrack_udp_{name}={seconds}")


class DoubleNAT(Lab):
    """a (198.51.100.2) behind the NAT n (192.0.2.1), b (203.0.113.2) behind the NAT m (192.0.2.2), which forwards the
    ports of IKE to it."""

    def __init__(self):
        super().__init__(nat=True)
        self.inner_address = "203.0.113.2"

    def _build(self):
        for side in "abnm":
            self.add_namespace(side)
        self._join("a", "eth0", "n", "inside")
        self._join("b", "eth0", "m", "inside")
        self._join("n", "outside", "m", "outside")
        for side, address, gateway in (("a", "198.51.100.2", "198.51.100.1"), ("b", self.inner_address, "203.0.113.1")):
            self.ip(side, f"addr add {address}/24 dev eth0")
            self.ip(side, f"route add default via {gateway}")
            self.add_site(side)
        for side, inside, outside in (("n", "198.51.100.1", "192.0.2.1"), ("m", "203.0.113.1", "192.0.2.2")):
            self.ip(side, f"addr add {inside}/24 dev inside")
            self.ip(side, f"addr add {outside}/24 dev outside")
            self.forward(side)
        self.masquerade("n")
        self.nft("m", "table ip nat { "
                      "chain pre { type nat hook prerouting priority -100; "
                      f"iif outside udp dport {{ 500, 4500 }} dnat to {self.inner_address}; }}; "
                      "chain post { type nat hook postrouting priority 100; oif outside masquerade; }; }")


class Chain(Lab):
    """a (192.0.2.1) and c (203.0.113.3), which reach only the gateway b (192.0.2.2, 203.0.113.2) between them."""

    def __init__(self):
        super().__init__()
        self.sites["c"] = replace(C, outer4="203.0.113.3")
        self.towards_c = replace(SITES["b"], outer4="203.0.113.2")

    def _build(self):
        super()._build()
        self.add_namespace("c")
        self._join("b", "eth1", "c", "eth0")
        self.ip("b", "addr add 203.0.113.2/24 dev eth1")
        self.ip("c", "addr add 203.0.113.3/24 dev eth0")
        self.add_site("c")
        self.forward("b")


__all__ = ["NATTED", "Chain", "DoubleNAT", "SharedNAT"]
