# SPDX-License-Identifier: Apache-2.0
# Adit: Tunnel benchmark
"""A UDP generator that outruns the tunnels, and a count of what arrived that costs the receiver next to nothing.

The sender gives the kernel up to 64 equal datagrams by one call (UDP_SEGMENT), so that it is the tunnel that is
measured. The receiver binds a socket that nobody reads: the kernel counts each datagram as delivered (InDatagrams) or as
one for which the socket had no room (RcvbufErrors); both came through the tunnel.

    python3 load.py send TARGET PORT SIZE[,SIZE…] RATE SECONDS     prints how many it sent
    python3 load.py sink PORT                                      binds and waits for its end
"""
import signal
import socket
import sys
import time

UDP_SEGMENT = 103
SO_SNDBUFFORCE = 32


def send(target, port, sizes, rate, seconds):
    """Sends `rate` datagrams a second, in bursts of one size; gives how many left."""
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 8 << 20)
    out.connect((target, port))
    burst = max(1, min(64, int(rate / 2000), 60000 // max(sizes)))
    messages = []
    for size in sizes:
        control = [(socket.IPPROTO_UDP, UDP_SEGMENT, size.to_bytes(2, sys.byteorder))] if burst > 1 else []
        messages.append(([bytes(size * burst)], control))
    sent, began, turn = 0, time.perf_counter(), 0
    while True:
        passed = time.perf_counter() - began
        if passed >= seconds:
            break
        due = passed * rate
        if sent > due:
            time.sleep(min((sent - due) / rate, 0.002))
            continue
        data, control = messages[turn % len(messages)]
        turn += 1
        try:
            out.sendmsg(data, control)
        except OSError:
            continue  # no room in the device's queue: the loss is the tunnel's
        finally:
            sent += burst
    return sent, time.perf_counter() - began


def sink(port):
    """Holds a port until it is ended."""
    hold = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    hold.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    hold.bind(("0.0.0.0", port))
    print("ready", flush=True)
    signal.pause()


def main(words):
    if words[0] == "sink":
        sink(int(words[1]))
    else:
        target, port, sizes, rate, seconds = words[1:]
        sent, took = send(target, int(port), [int(size) for size in sizes.split(",")], float(rate), float(seconds))
        print(sent, f"{took:.6f}")


if __name__ == "__main__":
    main(sys.argv[1:])
