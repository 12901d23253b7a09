# SPDX-License-Identifier: Apache-2.0
# Adit: Tunnel benchmark
"""A UDP generator that outruns the tunnels, and a count of what arrived that costs the receiver next to nothing.

The sender gives the kernel many datagrams by one call: one by one as most applications' datagrams come (sendmmsg), or
with `runs` as one segmented send, as QUIC servers do (UDP_SEGMENT). One by one they are put before the tunnel's TUN
device by a packet socket, with the unfinished checksum and the counted identification that the kernel's own datagrams
have: that costs half of what a UDP socket's way there does (0.80 against 1.65 µs), on a processor that the tunnel needs
as well. Where the way is no TUN device it is a UDP socket. The sink is a socket that nobody reads: the kernel
counts each datagram for which it has no room, which are all but the first two or three, and nothing but those that came
to this socket (the counters of the namespace would count the tunnel's own datagrams too). It writes the count with the
time, again and again, so that what arrived while the sender was sending can be told from what a queue let go later.

    python3 load.py send|runs TARGET PORT SIZE[,SIZE…] RATE SECONDS     prints: sent, first and last moment (ns)
    python3 load.py sink PORT                                           prints until its end: moment (ns), arrived
"""
import ctypes
import json
import os
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "Tests", "Interop"))
from mmsghdr import Message, Vector  # noqa: E402

UDP_SEGMENT = 103
SOL_PACKET, PACKET_VNET_HDR = 263, 15
ETH_P_IP = 0x0800
ARPHRD_NONE = 65534  # a device without link addresses: TUN
IDENTIFICATIONS = 1024  # datagrams that are made beforehand, and so how many identifications there are
SO_SNDBUFFORCE = 32
SO_MEMINFO = 55
SAMPLE_SECONDS = 0.01
BURST_LIMIT = 64
BYTES_LIMIT = 60_000  # of one segmented send
BURSTS_PER_SECOND = 4_000


def udp_socket(target, port):
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 8 << 20)
    out.connect((target, port))
    return out


def messages_of(parts):
    """Messages for sendmmsg, each of several pieces of memory (address, length); gives what must stay alive with it."""
    width = max(len(pieces) for pieces in parts)
    vectors = (Vector * (len(parts) * width))()
    messages = (Message * len(parts))()
    for index, pieces in enumerate(parts):
        for number, (address, length) in enumerate(pieces):
            vectors[index * width + number] = Vector(address, length)
        messages[index].header.vectors = ctypes.addressof(vectors) + index * width * ctypes.sizeof(Vector)
        messages[index].header.vector_count = len(pieces)
    return messages, vectors


def sender_of(out, messages, burst, kept_alive):
    """A function that sends the next `burst` of the messages, and begins again after the last; gives how many left."""
    function, descriptor = ctypes.CDLL(None, use_errno=True).sendmmsg, out.fileno()
    first, size, start = 0, ctypes.sizeof(Message), ctypes.addressof(messages)

    def go(_kept_alive=(out, messages, kept_alive)):
        nonlocal first
        count = min(burst, len(messages) - first)
        left = max(function(descriptor, ctypes.c_void_p(start + first * size), count, 0), 0)
        first = (first + left) % len(messages)
        return left
    return go


def one_by_one(target, port, sizes, burst):
    """A function that sends the next `burst` datagrams, each on its own, sizes in turn; gives how many left."""
    route, = json.loads(subprocess.run(["ip", "-j", "route", "get", target], check=True, capture_output=True).stdout)
    with open(f"/sys/class/net/{route['dev']}/type") as file:
        is_tun = int(file.read()) == ARPHRD_NONE
    payload = ctypes.create_string_buffer(max(sizes))
    base = ctypes.addressof(payload)
    count = -(-IDENTIFICATIONS // len(sizes)) * len(sizes)
    chosen = [sizes[index % len(sizes)] for index in range(count)]
    known = udp_socket(target, port)
    if not is_tun:
        messages, vectors = messages_of([[(base, size)] for size in chosen])
        return sender_of(known, messages, burst, (payload, vectors))
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    out.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    out.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 8 << 20)
    out.bind((route["dev"], ETH_P_IP))
    heads = [ctypes.create_string_buffer(head(known.getsockname(), (target, port), size, number))
             for number, size in enumerate(chosen)]
    messages, vectors = messages_of(
        [[(ctypes.addressof(one), len(one) - 1), (base, size)] for one, size in zip(heads, chosen)])
    return sender_of(out, messages, burst, (payload, vectors, heads, known))


def head(source, target, size, identification):
    """What goes before a payload: the virtio header that says where the checksum is to be finished, IPv4 and UDP."""
    def folded(data):
        total = sum(struct.unpack(f"!{len(data) // 2}H", data))
        total = (total & 0xffff) + (total >> 16)
        return (total & 0xffff) + (total >> 16)

    addresses = socket.inet_aton(source[0]) + socket.inet_aton(target[0])
    def ip(checksum):
        return struct.pack("!BBHHHBBH", 0x45, 0, 28 + size, identification, 0x4000, 64, socket.IPPROTO_UDP,
                           checksum) + addresses

    pseudo = folded(addresses + struct.pack("!HH", socket.IPPROTO_UDP, 8 + size))
    needs_checksum, udp_start, checksum_offset = 1, 20, 6
    return (struct.pack("=BBHHHH", needs_checksum, 0, 0, 0, udp_start, checksum_offset)
            + ip(~folded(ip(0)) & 0xffff) + struct.pack("!HHHH", source[1], target[1], 8 + size, pseudo))


def in_runs(target, port, sizes, burst):
    """The same as one segmented send, all of one size."""
    out = udp_socket(target, port)
    count = max(1, min(burst, BYTES_LIMIT // max(sizes)))
    turns = []
    for size in sizes:
        control = [(socket.IPPROTO_UDP, UDP_SEGMENT, size.to_bytes(2, sys.byteorder))] if count > 1 else []
        turns.append(([bytes(size * count)], control))
    number = 0

    def go():
        nonlocal number
        data, control = turns[number % len(turns)]
        number += 1
        out.sendmsg(data, control)
        return count
    return go


def send(make, target, port, sizes, rate, seconds):
    """Sends `rate` datagrams a second; gives how many left, and from when to when."""
    go = make(target, port, sizes, max(1, min(BURST_LIMIT, int(rate / BURSTS_PER_SECOND))))
    sent, began = 0, time.monotonic_ns()
    end = began + int(seconds * 1e9)
    while True:
        now = time.monotonic_ns()
        if now >= end:
            return sent, began, now
        ahead = sent / rate - (now - began) / 1e9
        if ahead > 0:
            time.sleep(min(ahead, 0.002))
            continue
        try:
            sent += go()
        except OSError:
            continue  # the socket's buffer is full, or nobody listens yet: it did not leave


def sink(port):
    """Holds a port and tells what arrived, until it is ended."""
    hold = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    hold.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    hold.bind(("0.0.0.0", port))
    while True:
        # struct: nine 32-bit numbers, the last one sk_drops
        dropped = int.from_bytes(hold.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 36)[32:36], sys.byteorder)
        print(time.monotonic_ns(), dropped, flush=True)
        time.sleep(SAMPLE_SECONDS)


def main(words):
    if words[0] == "sink":
        sink(int(words[1]))
    else:
        make = {"send": one_by_one, "runs": in_runs}[words[0]]
        target, port, sizes, rate, seconds = words[1:]
        print(*send(make, target, int(port), [int(size) for size in sizes.split(",")], float(rate), float(seconds)))


if __name__ == "__main__":
    main(sys.argv[1:])
