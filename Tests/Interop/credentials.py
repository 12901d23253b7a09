# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""Certificates for a test, made with strongSwan's `pki`: authorities, peers' certificates, revocation lists."""
import os
import subprocess

KINDS = {
    "ecdsa256": ["ecdsa", "256"], "ecdsa384": ["ecdsa", "384"], "ecdsa521": ["ecdsa", "521"],
    "rsa3072": ["rsa", "3072"], "ed25519": ["ed25519", None],
}


class Authority:
    """A certification authority with its files in `folder`."""

    def __init__(self, folder, name="root", parent=None):
        os.makedirs(folder, exist_ok=True)
        self.folder, self.name = folder, name
        self.key, self.certificate = self.path(f"{name}.key"), self.path(f"{name}.crt")
        self._generate("ecdsa256", self.key)
        if parent is None:
            self._pki(self.certificate, "--self", "--ca", "--in", self.key, "--type", "ecdsa",
                      "--dn", f"O=Adit, CN={name}", "--lifetime", "3650")
        else:
            parent.issue_to(self.key, self.certificate, f"O=Adit, CN={name}", "--ca")

    def path(self, name):
        return os.path.join(self.folder, name)

    def peer(self, name, kind="ecdsa256", san=None, *options, lifetime=None):
        """Makes a key and a certificate for `name`; gives the certificate's and the key's paths."""
        key, certificate = self.path(f"{name}.key"), self.path(f"{name}.crt")
        self._generate(kind, key)
        names = [name] if san is None else san
        self.issue_to(key, certificate, f"O=Adit, CN={name}", *options,
                      *(word for entry in names for word in ("--san", entry)), lifetime=lifetime)
        return certificate, key

    def issue_to(self, key, certificate, subject, *options, lifetime=None):
        public = subprocess.run(["pki", "--pub", "--in", key, "--type", "priv"], check=True, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL).stdout
        validity = ["--lifetime", "3649"] if lifetime is None else \
            ["--dateform", "%Y-%m-%d", "--not-before", lifetime[0], "--not-after", lifetime[1]]
        self._pki(certificate, "--issue", "--cacert", self.certificate, "--cakey", self.key, "--dn", subject,
                  *validity, *options, data=public)

    def revoke(self, *certificates):
        """A revocation list of these certificates; gives its path."""
        place = self.path(f"{self.name}.crl")
        words = [word for entry in certificates for word in ("--reason", "key-compromise", "--cert", entry)]
        self._pki(place, "--signcrl", "--cacert", self.certificate, "--cakey", self.key, "--lifetime", "30", *words)
        return place

    def _generate(self, kind, place):
        algorithm, size = KINDS[kind]
        self._pki(place, "--gen", "--type", algorithm, *(["--size", size] if size else []))
        os.chmod(place, 0o600)

    @staticmethod
    def _pki(place, *arguments, data=None):
        """Runs pki and keeps what it says, in PEM."""
        given = {"stdin": subprocess.DEVNULL} if data is None else {"input": data}
        done = subprocess.run(["pki", *arguments, "--outform", "pem"], capture_output=True, check=False, **given)
        assert done.returncode == 0, f"pki {' '.join(arguments)}: {done.stderr.decode()}"
        with open(place, "wb") as file:
            file.write(done.stdout)


def bundle(place, *paths):
    """Several PEM files in one."""
    with open(place, "w") as file:
        for path in paths:
            with open(path) as part:
                file.write(part.read())
    return place
