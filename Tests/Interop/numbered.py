# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""Numbered datagrams: a sender that keeps a rate, and a receiver that tells which numbers were lost or came twice.

    python3 numbered.py send SOURCE TARGET PORT RATE SECONDS     prints {"sent", "seconds"}
    python3 numbered.py receive ADDRESS PORT                     until SIGTERM; prints {"received", "duplicates", …}

Both use calls that take many datagrams (sendmmsg, recvmmsg), so that 20,000 a second cost a fraction of a core. The
receiver's own socket may lose what it has no room for; the kernel counts that, and it is told apart.
"""
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time

from lab import LabError, end, wait_until
from mmsghdr import Message, Vector

SO_RCVBUFFORCE = 33
SO_SNDBUFFORCE = 32
SO_MEMINFO = 55
MSG_WAITFORONE = 0x10000
SIZE = 64
BATCH = 256
BURSTS_PER_SECOND = 1000
NUMBERS_LIMIT = 1 << 24


class Slots:
    """Room for many datagrams, each of SIZE bytes, its number in the first eight."""

    def __init__(self):
        self.buffer = ctypes.create_string_buffer(SIZE * BATCH)
        self.numbers = memoryview(self.buffer).cast("B").cast("Q")
        self._vectors = (Vector * BATCH)()
        self.messages = (Message * BATCH)()
        for index in range(BATCH):
            self._vectors[index] = Vector(ctypes.addressof(self.buffer) + index * SIZE, SIZE)
            self.messages[index].header.vectors = ctypes.addressof(self._vectors) + index * ctypes.sizeof(Vector)
            self.messages[index].header.vector_count = 1


def send(source, target, port, rate, seconds):
    """Sends `rate` numbered datagrams a second; what the socket has no room for is offered again."""
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 8 << 20)
    out.bind((source, 0))
    out.connect((target, port))
    slots, function = Slots(), ctypes.CDLL(None, use_errno=True).sendmmsg
    sent, total, began = 0, int(rate * seconds), time.monotonic()
    while sent < total:
        due = min(int((time.monotonic() - began) * rate), total) - sent
        if due <= 0:
            time.sleep(1 / BURSTS_PER_SECOND)
            continue
        count = min(due, BATCH)
        for index in range(count):
            slots.numbers[index * SIZE // 8] = sent + index
        sent += max(function(out.fileno(), slots.messages, count, 0), 0)
    print(json.dumps({"sent": sent, "seconds": time.monotonic() - began}))


def receive(address, port):
    """Receives until SIGTERM, and a moment longer for what is on its way."""
    hold = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    hold.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 256 << 20)
    hold.bind((address, port))
    hold.settimeout(0.2)
    slots, function = Slots(), ctypes.CDLL(None, use_errno=True).recvmmsg
    seen, received, duplicates, late, newest = bytearray(NUMBERS_LIMIT), 0, 0, 0, -1
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    print("ready", flush=True)
    last, worst = time.monotonic(), 0.0
    while True:
        count = function(hold.fileno(), slots.messages, BATCH, 0x40, None)  # MSG_DONTWAIT
        now = time.monotonic()
        if count <= 0:
            if ended and now - last > 1:
                break
            time.sleep(0.002)
            continue
        if received and not ended:
            worst = max(worst, now - last)
        last = now
        received += count
        for number in slots.numbers[:count * SIZE // 8:SIZE // 8].tolist():
            if number >= NUMBERS_LIMIT:
                continue
            if seen[number]:
                duplicates += 1
            seen[number] = 1
            if number < newest:
                late += 1
            else:
                newest = number
    # struct: nine 32-bit numbers, the last one sk_drops
    dropped = int.from_bytes(hold.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 36)[32:36], sys.byteorder)
    missing, number = [], -1
    total = newest + 1
    while len(missing) < 1000:
        number = seen.find(b"\0", number + 1, total)
        if number < 0:
            break
        missing.append(number)
    print(json.dumps({"received": received, "duplicates": duplicates, "late": late, "newest": newest,
                      "distinct": seen.count(1, 0, total), "receiver_dropped": dropped, "missing": missing,
                      "longest_gap_seconds": round(worst, 4)}))


class Load:
    """Numbered datagrams from one side's host to the other's, in the background."""

    def __init__(self, lab, side, other, rate, seconds, port=9000):
        self.lab = lab
        source, target = lab.sites[side].host4, lab.sites[other].host4
        self.files = {name: os.path.join(lab.folder, f"numbered-{side}-{name}") for name in ("send", "receive")}
        self.receiver = lab.start(other, sys.executable, __file__, "receive", target, str(port),
                                  log=self.files["receive"])
        wait_until("the receiver is ready", lambda: "ready" in self._text("receive"))
        self.sender = lab.start(side, sys.executable, __file__, "send", source, target, str(port), str(rate),
                                str(seconds), log=self.files["send"])

    def _text(self, name):
        with open(self.files[name]) as file:
            return file.read()

    @property
    def running(self):
        return self.sender.poll() is None

    def result(self, timeout=600):
        """Waits for the sender's end; what was sent, received, lost and doubled."""
        try:
            self.sender.wait(timeout)
        except subprocess.TimeoutExpired:
            raise LabError("the sender did not end") from None
        end(self.receiver, patience=20)
        try:
            figures = {**json.loads(self._text("send").splitlines()[-1]),
                       **json.loads(self._text("receive").splitlines()[-1])}
        except (IndexError, ValueError):
            raise LabError(f"numbered: {self._text('send')}{self._text('receive')}") from None
        figures["lost"] = figures["sent"] - figures["distinct"]
        return figures


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send(sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5]), float(sys.argv[6]))
    else:
        receive(sys.argv[2], int(sys.argv[3]))
