# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""`[gateway] metrics`: what a collector on the gateway's machine reads."""
import re
import time

from adit import Gateway, connection

ENDPOINT = "127.0.0.1:9500"


def scrape(lab, path="/metrics"):
    """The series by name and labels, and the raw text."""
    text = lab.run("a", "curl", "-sS", "--max-time", "5", "--fail", f"http://{ENDPOINT}{path}")
    series = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            series[name] = float(value)
    return series, text


def test_what_a_collector_reads(lab, program):
    Gateway(lab, program, "b", {"peer": connection(lab, "b")}).start()
    a = Gateway(lab, program, "a", {"peer": connection(lab, "a")}, metrics=ENDPOINT).start()
    before, _ = scrape(lab)
    assert before['adit_connection_state{connection="peer",state="established"}'] == 0
    a.up()
    assert lab.ping("a", count=7).received == 7
    assert a.command("rekey", "peer", "--ike").returncode == 0
    after, text = scrape(lab)
    assert after['adit_connection_state{connection="peer",state="established"}'] == 1
    assert after['adit_connection_established_total{connection="peer"}'] == 1
    assert after['adit_rekeys_total{connection="peer",sa="ike"}'] == 1
    labels = f'connection="peer",child="peer",spi_in="{a.child()["spi_in"]}"'
    assert after[f'adit_child_packets_total{{{labels},direction="out"}}'] == 7
    assert after[f'adit_child_bytes_total{{{labels},direction="in"}}'] == a.child()["bytes_in"]
    assert {name for name in after if name.startswith("adit_dropped")} == {
        f'adit_dropped_packets_total{{reason="{reason}"}}' for reason in a.drops()}
    assert re.search(r'# TYPE adit_failures_total counter', text)
    # Nobody else's: not from outside, and nothing besides the one document.
    assert "9500" not in lab.run("b", "ss", "-ltn")
    assert lab.run("a", "ss", "-ltnH").split().count("127.0.0.1:9500") == 1
    assert "404" in lab.run("a", "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", f"http://{ENDPOINT}/")
    # A client that says nothing holds nobody up.
    stalled = lab.start("a", "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9500; sleep 20", log=a.log + ".y")
    time.sleep(0.2)
    began = time.monotonic()
    scrape(lab)
    assert time.monotonic() - began < 1
    stalled.kill()


def test_a_port_in_use_is_one_sentence(lab, program):
    taken = lab.start("a", "bash", "-c", "exec python3 -m http.server --bind 127.0.0.1 9500", log=lab.folder + "/h.log")
    deadline = time.monotonic() + 5
    while "9500" not in lab.run("a", "ss", "-ltn") and time.monotonic() < deadline:
        time.sleep(0.05)
    gateway = Gateway(lab, program, "a", metrics=ENDPOINT)
    gateway.launch()
    assert gateway.process.wait(10) == 1
    assert "metrics" in gateway.log_text() and "in use" in gateway.log_text(), gateway.log_text()
    assert gateway.leftovers() == ""
    taken.kill()
