# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""Adit itself: a gateway of the lab, run as a user would run it, and asked through its own commands."""
import json
import os
import signal
import subprocess
import time

from lab import OTHER, LabError, end, sh, wait_until
from strongswan import SECRET


# Keys of `[gateway]` that every gateway of a test has besides those it is given.
DEFAULTS = {}


def connection(lab, side, family=4, inner=4, **changes):
    """The keys of `[connections.peer]` for one side; `changes` replace them, None removes one."""
    mine, theirs = lab.sites[side], lab.sites[OTHER[side]]
    address = theirs.outer4 if family == 4 else theirs.outer6
    keys = {
        "remote_addrs": ["%any" if lab.nat and side == "b" else address],
        "local_id": mine.identity,
        "remote_id": theirs.identity,
        "psk": SECRET,
        "local_ts": [mine.net4 if inner == 4 else mine.net6],
        "remote_ts": [theirs.net4 if inner == 4 else theirs.net6],
        "start_action": "none",
    }
    keys.update(changes)
    return {key: value for key, value in keys.items() if value is not None}


def toml(value):
    """A value in TOML's words."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return json.dumps(value)


def document(gateway, connections):
    """A configuration file."""
    lines = ["[gateway]"] + [f"{key} = {toml(value)}" for key, value in gateway.items()]
    for name, keys in connections.items():
        lines += ["", f"[connections.{name}]"] + [f"{key} = {toml(value)}" for key, value in keys.items()]
    return "\n".join(lines) + "\n"


class Gateway:
    """`adit run` in a side's namespace; not yet running when made."""

    def __init__(self, lab, program, side, connections=None, text=None, options=(), **gateway):
        self.lab, self.program, self.side = lab, program, side
        self.folder = os.path.join(lab.folder, f"adit-{side}")
        os.makedirs(self.folder, exist_ok=True)
        self.file = os.path.join(self.folder, "adit.toml")
        self.log = os.path.join(self.folder, "adit.log")
        self.control = os.path.join(self.folder, "control.sock")
        self.process, self.options = None, list(options)
        lab.witnesses.append((f"adit-{side}: adit status", lambda: self.command("status", "--json").stdout))
        settings = {"interface": "adit0", "control": self.control, **DEFAULTS, **gateway}
        self.write(text if text is not None else document(settings, connections or {"peer": connection(lab, side)}))

    def write(self, text):
        """Replaces the configuration file."""
        with open(self.file, "w") as file:
            file.write(text)
        os.chmod(self.file, 0o600)

    def launch(self, *prefix):
        """Starts the process; `prefix` is a program that starts it in turn."""
        self.process = self.lab.start(self.side, *prefix, self.program, "run", "--config", self.file,
                                      "--log-level", "debug", *self.options, log=self.log)
        return self

    def start(self):
        """Starts it and waits until it answers `adit status`."""
        self.launch()
        wait_until("adit answers", self._answers, seconds=10)
        return self

    def _answers(self):
        if self.process.poll() is not None:
            raise LabError(f"adit ended with {self.process.returncode}: {self.log_text()[-3000:]}")
        return os.path.exists(self.control) and self.command("status", "--json").returncode == 0

    def command(self, *arguments, timeout=30):
        """`adit ARGUMENTS --control …`; gives the ended process with its output."""
        return subprocess.run(["ip", "netns", "exec", self.lab.namespace(self.side), self.program, *arguments,
                               "--control", self.control], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout)

    def status(self):
        done = self.command("status", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def peer(self, name="peer"):
        """The status of one connection."""
        found = [entry for entry in self.status()["connections"] if entry["name"] == name]
        assert found, f"no connection {name} in the status"
        return found[0]

    def child(self, name="peer"):
        """The only child of a connection."""
        children = self.peer(name)["children"]
        assert len(children) == 1, f"{len(children)} children: {children}"
        return children[0]

    def wait_for(self, state, seconds=10, name="peer"):
        """Waits until the connection is in `state` (with a child, if established)."""
        def reached():
            found = self.peer(name)
            return found if found["state"] == state and (state != "established" or found["children"]) else None
        try:
            return wait_until(f"{name} is {state}", reached, seconds)
        except LabError as error:
            raise LabError(f"{error}; it is {self.peer(name)}") from None

    def up(self, name="peer"):
        done = self.command("up", name)
        assert done.returncode == 0, f"adit up: {done.stdout}{done.stderr}"
        return done.stdout

    def drops(self):
        return self.status()["drops"]

    def terminate(self, with_signal=signal.SIGTERM):
        """Asks it to end, as a service manager does; gives (exit status, seconds)."""
        began = time.monotonic()
        self.process.send_signal(with_signal)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            raise LabError("adit did not end within 10 s of the signal") from None
        return self.process.returncode, time.monotonic() - began

    def kill(self):
        """The process is gone at once, without a farewell."""
        self.process.kill()
        self.process.wait()

    def log_text(self):
        with open(self.log, errors="replace") as file:
            return file.read()

    def leftovers(self):
        """What of its interface and routes is still there."""
        links = self.lab.ip(self.side, "-o link show dev adit0", check=False)
        routes = "".join(self.lab.ip(self.side, f"-{family} route show table all dev adit0", check=False)
                         for family in (4, 6))
        return "\n".join(line for line in (links + routes).splitlines()
                         if line and "does not exist" not in line and "Cannot find device" not in line)

    def stop(self):
        return end(self.process)


def run_program(lab, side, program, *arguments, **options):
    """`adit ARGUMENTS` to its end, without a gateway behind it."""
    return subprocess.run(["ip", "netns", "exec", lab.namespace(side), program, *arguments],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, **options)


__all__ = ["Gateway", "connection", "document", "run_program", "sh"]
