# SPDX-License-Identifier: Apache-2.0
# Adit: Tunnel benchmark
"""A UDP generator that outruns the tunnels, and a count of what arrived that costs the receiver next to nothing.

The sender gives the kernel many datagrams by one call: one by one as most applications' datagrams come (sendmmsg), or
with `runs` as one segmented send, as QUIC servers do (UDP_SEGMENT). The sink is a socket that nobody reads: the kernel
counts each datagram for which it has no room, which are all but the first two or three, and nothing but those that came
to this socket (the counters of the namespace would count the tunnel's own datagrams too). It writes the count with the
time, again and again, so that what arrived while the sender was sending can be told from what a queue let go later.

    python3 load.py send|runs TARGET PORT SIZE[,SIZE…] RATE SECONDS     prints: sent, first and last moment (ns)
    python3 load.py sink PORT                                           prints until its end: moment (ns), arrived
"""
import ctypes
import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "Tests", "Interop"))
from mmsghdr import Message, Vector  # noqa: E402

UDP_SEGMENT = 103
SO_SNDBUFFORCE = 32
SO_MEMINFO = 55
SAMPLE_SECONDS = 0.01
BURST_LIMIT = 64
BYTES_LIMIT = 60_000  # of one segmented send
BURSTS_PER_SECOND = 4_000


def one_by_one(out, sizes, burst):
    """A function that sends the next `burst` datagrams, each on its own, sizes in turn; gives how many left."""
    count = -(-burst // len(sizes)) * len(sizes)
    payload = ctypes.create_string_buffer(max(sizes))
    vectors = (Vector * count)()
    messages = (Message * count)()
    for index in range(count):
        vectors[index] = Vector(ctypes.addressof(payload), sizes[index % len(sizes)])
        messages[index].header.vectors = ctypes.addressof(vectors) + index * ctypes.sizeof(Vector)
        messages[index].header.vector_count = 1
    function, descriptor = ctypes.CDLL(None, use_errno=True).sendmmsg, out.fileno()

    def go(_kept_alive=(payload, vectors)):
        return max(function(descriptor, messages, count, 0), 0)
    return go


def in_runs(out, sizes, burst):
    """The same as one segmented send, all of one size."""
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
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 8 << 20)
    out.connect((target, port))
    go = make(out, sizes, max(1, min(BURST_LIMIT, int(rate / BURSTS_PER_SECOND))))
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
