# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""Fixtures, and what the tests need: root, /dev/net/tun and Debian's packages (scripts/test installs them)."""
import os
import re
import shutil
import signal

import pytest

pytest.register_assert_rewrite("agreement")

import lab as laboratory
from strongswan import CHARON

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def what_is_missing():
    """Why the namespace tests cannot run here, or nothing."""
    if os.geteuid() != 0:
        return "they need root (namespaces)"
    if not os.path.exists("/dev/net/tun"):
        return "they need /dev/net/tun"
    for program in ("ip", "nft", "ping", "iperf3", "tcpdump", "tshark", "swanctl", CHARON):
        if not shutil.which(program):
            return f"they need {program}"
    return None


def pytest_configure(config):
    """A request to end is an interruption: the fixtures close what they opened."""
    config.addinivalue_line("markers", "alone: measures time, load or memory, so nothing else may run beside it")

    def interrupt(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, interrupt)


@pytest.fixture(scope="session", autouse=True)
def equipment():
    missing = what_is_missing()
    if missing and os.environ.get("ADIT_REQUIRE_ALL") == "1":
        pytest.fail(f"the namespace tests must run here (ADIT_REQUIRE_ALL=1), but {missing}")
    if missing:
        pytest.skip(f"namespace tests skipped: {missing}")
    laboratory.remove_leftovers()


def pytest_sessionfinish(session, exitstatus):
    """Tests of which none could run have not passed: scripts/test takes 75 for a step that cannot run here."""
    if exitstatus == 0 and not session.config.option.collectonly and what_is_missing():
        session.exitstatus = 75


@pytest.fixture(scope="session")
def program():
    """The adit executable: $ADIT, else the release build, else the debug build."""
    candidates = [os.environ.get("ADIT")] + [os.path.join(ROOT, ".build", kind, "adit") for kind in ("release", "debug")]
    for path in candidates:
        if path and os.access(path, os.X_OK):
            return os.path.abspath(path)
    pytest.fail("there is no adit executable: run `swift build -c release --product adit` first, or set ADIT")


@pytest.fixture
def lab():
    with laboratory.Lab() as made:
        yield made


@pytest.fixture
def nat_lab():
    with laboratory.Lab(nat=True) as made:
        yield made


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """A failed test brings the logs of its daemons along."""
    report = yield
    if report.when == "call" and report.failed:
        for made in item.funcargs.values():
            if isinstance(made, laboratory.Lab):
                report.sections += [(name, text) for name, text in logs(made)]
                report.sections += [(name, testimony(ask)) for name, ask in made.witnesses]
    return report


def testimony(ask):
    try:
        return ask()
    except Exception as error:  # the daemon may be gone; the failure is told all the same
        return f"none: {error}"


def logs(made):
    for folder, _, names in os.walk(made.folder):
        for name in names:
            if name.endswith(".log"):
                with open(os.path.join(folder, name), errors="replace") as file:
                    lines = file.read().splitlines()
                # charon's key dumps would bury the rest
                lines = [line for line in lines if not re.search(r" bytes @ 0x|\]\s+\d+: (?:[0-9A-F]{2} )+", line)]
                yield os.path.join(os.path.basename(folder), name), "\n".join(lines[-60:])
