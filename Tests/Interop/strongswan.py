# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""strongSwan as the peer: one charon daemon in a lab's namespace, with ESP in userspace (plugin kernel-libipsec)."""
import os
import re
import socket
import shutil

from lab import OTHER, LabError, end, sh, wait_until

CHARON = "/usr/lib/ipsec/charon"
# kernel-libipsec comes before kernel-netlink: the first that can do ESP does it.
PLUGINS = ("random nonce x509 constraints pubkey pkcs1 pkcs8 pem openssl curve25519 chapoly kdf drbg gcm aes sha1 sha2 "
           "hmac kernel-libipsec kernel-netlink socket-default vici updown counters")
SECRET = "a secret of the interoperability tests"


def configuration(lab, side, ike="aes128gcm16-prfsha256-x25519", esp="aes128gcm16", secret=SECRET, family=4,
                  inner=4, local_ts=None, remote_ts=None, local_addrs=None, remote_addrs=None, local_id=None,
                  remote_id=None, mobike=False, connection="", child="", name="peer", to=None):
    """swanctl.conf of connection `peer` with child `net`; extra lines go in as they are. The texts of several names
    can be joined: swanctl merges sections."""
    mine, theirs = lab.sites[side], lab.sites[to or OTHER[side]]
    outer = (lambda site: site.outer4) if family == 4 else (lambda site: site.outer6)
    inside = (lambda site: site.net4) if inner == 4 else (lambda site: site.net6)
    local_id, remote_id = local_id or mine.identity, remote_id or theirs.identity
    identities = "".join(f"    id-{number} = {identity}\n" for number, identity in enumerate((local_id, remote_id))
                         if identity != "%any")
    return f"""
connections {{
  {name} {{
    version = 2
    local_addrs = {local_addrs or outer(mine)}
    remote_addrs = {remote_addrs or ("%any" if lab.nat and side == "b" else outer(theirs))}
    proposals = {ike}
    mobike = {"yes" if mobike else "no"}
    {connection}
    local {{
      auth = psk
      id = {local_id}
    }}
    remote {{
      auth = psk
      id = {remote_id}
    }}
    children {{
      net {{
        local_ts = {local_ts or inside(mine)}
        remote_ts = {remote_ts or inside(theirs)}
        esp_proposals = {esp}
        {child}
      }}
    }}
  }}
}}
secrets {{
  ike-{name} {{
{identities}    secret = "{secret}"
  }}
}}
"""


class StrongSwan:
    """A running charon with its configuration loaded."""

    def __init__(self, lab, side, text, options="", files=None, levels="default = 1\n      ike = 4\n      chd = 4"):
        """`files` are copied below swanctl's folder, by their place there: {"x509/a.crt": PATH}.
        `levels` are those of the log."""
        self.lab, self.side = lab, side
        self.folder = os.path.join(lab.folder, f"strongswan-{side}")
        os.makedirs(os.path.join(self.folder, "run"))
        for name in ("x509", "x509ca", "private", "pubkey", "ecdsa", "rsa", "pkcs8", "conf.d"):
            os.makedirs(os.path.join(self.folder, "swanctl", name))
        self.log = os.path.join(self.folder, "charon.log")
        self.socket = os.path.join(self.folder, "vici")
        self._write("swanctl/swanctl.conf", text)
        for place, path in (files or {}).items():
            shutil.copy(path, os.path.join(self.folder, "swanctl", place))
        # The mark lets ESP leave by the main table while protected packets enter the TUN device.
        self._write("strongswan.conf", f"""
charon {{
  load = {PLUGINS}
  retransmit_timeout = 2
  retransmit_tries = 3
  {options}
  filelog {{
    file {{
      path = {self.log}
      {levels}
      flush_line = yes
    }}
  }}
  syslog {{
    daemon {{
      default = -1
    }}
    auth {{
      default = -1
    }}
  }}
  plugins {{
    vici {{
      socket = unix://{self.socket}
    }}
    kernel-libipsec {{
      fwmark = !0x42
    }}
    kernel-netlink {{
      fwmark = !0x42
    }}
    socket-default {{
      fwmark = 0x42
    }}
  }}
}}
""")
        self.environment = {"STRONGSWAN_CONF": os.path.join(self.folder, "strongswan.conf"),
                            "SWANCTL_DIR": os.path.join(self.folder, "swanctl")}
        self.start()

    def start(self):
        """Starts the daemon, and waits until it has its configuration."""
        # charon's pid file has a fixed place: each daemon gets a /run of its own.
        self.process = self.lab.start(self.side, "sh", "-c", 'mount --bind "$0" /run && exec "$1"',
                                      os.path.join(self.folder, "run"), CHARON,
                                      log=os.path.join(self.folder, "output"), environment=self.environment)
        wait_until("charon is up", self._is_up, seconds=10)
        self.control("--load-all", "--noprompt")

    def kill(self):
        """The daemon is gone at once, without a farewell."""
        self.process.kill()
        self.process.wait()
        for name in os.listdir(os.path.join(self.folder, "run")):
            os.remove(os.path.join(self.folder, "run", name))
        os.remove(self.socket)

    def _write(self, name, text):
        with open(os.path.join(self.folder, name), "w") as file:
            file.write(text)

    def _is_up(self):
        if self.process.poll() is not None:
            raise LabError("charon ended: " + self.log_text()[-2000:])
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(self.socket)
        except OSError:
            return False
        return True

    def control(self, *arguments, check=True, timeout=30):
        """swanctl ARGUMENTS, for example `--initiate --child net`."""
        return sh("swanctl", *arguments, "--uri", f"unix://{self.socket}", check=check, timeout=timeout,
                  env={**os.environ, **self.environment})

    def initiate(self, seconds=10):
        """Brings the child up; gives swanctl's words, which end in success or in the reason."""
        return self.control("--initiate", "--child", "net", "--timeout", str(seconds), check=False)

    def sas(self):
        """The IKE SAs, newest last: `swanctl --list-sas` as dictionaries."""
        text = self.control("--list-sas", "--raw")
        found = []
        for event in re.findall(r"^list-sa event (\{.*\})\s*$", text, re.M):
            for name, sa in parse_vici(event).items():
                sa["name"] = name
                sa["children"] = list(sa.get("child-sas", {}).values())
                found.append(sa)
        return found

    def sa(self):
        """The only IKE SA."""
        sas = self.sas()
        assert len(sas) == 1, f"strongSwan has {len(sas)} IKE SAs"
        return sas[0]

    def log_text(self):
        try:
            with open(self.log, errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def stop(self):
        return end(self.process, patience=10)


def parse_vici(text):
    """swanctl's --raw output, `{key=value list=[a b] section {…}}`, as dictionaries."""
    tokens = re.findall(r"[{}\[\]=]|[^\s{}\[\]=]+", text)
    position = 0

    def section():
        nonlocal position
        values = {}
        while position < len(tokens) and tokens[position] != "}":
            key = tokens[position]
            position += 1
            if tokens[position] == "{":
                position += 1
                values[key] = section()
            else:
                position += 1  # the equals sign
                if tokens[position] == "[":
                    stop = tokens.index("]", position)
                    values[key] = tokens[position + 1:stop]
                    position = stop + 1
                elif position + 1 < len(tokens) and tokens[position + 1] in "={" or tokens[position] == "}":
                    values[key] = ""  # an empty value: the next word is a key already
                else:
                    values[key] = tokens[position]
                    position += 1
        position += 1
        return values

    assert tokens[position] == "{"
    position += 1
    return section()
