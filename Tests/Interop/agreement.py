# SPDX-License-Identifier: Apache-2.0
# Adit: Interop
"""What two gateways say of the same tunnel, compared: Adit's status with strongSwan's list, or two statuses."""

ENCRYPTION = {"AES_GCM_16": "aes{}gcm16", "AES_CBC": "aes{}", "CHACHA20_POLY1305": "chacha20poly1305", "3DES_CBC": "3des"}
INTEGRITY = {"HMAC_MD5_96": "md5", "HMAC_SHA1_96": "sha1", "HMAC_SHA2_256_128": "sha256", "HMAC_SHA2_384_192": "sha384",
             "HMAC_SHA2_512_256": "sha512"}
PRF = {"PRF_HMAC_MD5": "prfmd5", "PRF_HMAC_SHA1": "prfsha1", "PRF_HMAC_SHA2_256": "prfsha256", "PRF_HMAC_SHA2_384": "prfsha384",
       "PRF_HMAC_SHA2_512": "prfsha512"}
GROUP = {"CURVE_25519": "x25519", "ECP_256": "ecp256", "ECP_384": "ecp384", "ECP_521": "ecp521",
         "MODP_1024": "modp1024", "MODP_1536": "modp1536", "MODP_2048": "modp2048", "MODP_3072": "modp3072", "MODP_4096": "modp4096"}


def keywords(sa):
    """A strongSwan SA's suite in swanctl's keywords; the PRF is left unsaid where the integrity algorithm implies it."""
    words = [ENCRYPTION[sa["encr-alg"]].format(sa.get("encr-keysize", ""))]
    integrity = INTEGRITY[sa["integ-alg"]] if sa.get("integ-alg") else None
    if sa.get("prf-alg") and PRF[sa["prf-alg"]] != f"prf{integrity}":
        words.append(PRF[sa["prf-alg"]])
    if integrity:
        words.append(integrity)
    if sa.get("dh-group"):
        words.append(GROUP[sa["dh-group"]])
    return "-".join(words)


def endpoint(host, port):
    """An address and a port as Adit writes them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def assert_agreement(gateway, swan):
    """Adit's only tunnel is strongSwan's only tunnel, seen from the other end."""
    mine, theirs = gateway.peer(), swan.sa()
    assert mine["state"] == "established" and theirs["state"] == "ESTABLISHED"
    assert mine["ike_version"] == int(theirs["version"])
    assert mine["role"] == ("responder" if theirs.get("initiator") == "yes" else "initiator")
    assert mine["ike_spi"]["initiator"] == theirs["initiator-spi"]
    assert mine["ike_spi"]["responder"] == theirs["responder-spi"]
    assert mine["local"]["id"] == theirs["remote-id"] and mine["remote"]["id"] == theirs["local-id"]
    assert mine["local"]["address"] == endpoint(theirs["remote-host"], theirs["remote-port"])
    assert mine["remote"]["address"] == endpoint(theirs["local-host"], theirs["local-port"])
    assert sorted(mine["proposal"].split("-")) == sorted(keywords(theirs).split("-"))

    my_child = gateway.child()
    installed = [child for child in theirs["children"] if child["state"] == "INSTALLED"]
    assert len(installed) == 1
    their_child = installed[0]
    assert int(my_child["spi_in"], 16) == int(their_child["spi-out"], 16)
    assert int(my_child["spi_out"], 16) == int(their_child["spi-in"], 16)
    assert my_child["proposal"].split("-") == keywords(their_child).split("-")
    assert sorted(my_child["local_ts"]) == sorted(their_child["remote-ts"])
    assert sorted(my_child["remote_ts"]) == sorted(their_child["local-ts"])
    assert my_child["mode"] == "tunnel" and my_child["encap"] == "udp"
    assert my_child["esn"] == (their_child.get("esn") == "1")


def assert_mirrored(one, other):
    """Two Adit gateways say the same of the tunnel between them."""
    mine, theirs = one.peer(), other.peer()
    assert mine["ike_spi"] == theirs["ike_spi"] and mine["proposal"] == theirs["proposal"]
    assert {mine["role"], theirs["role"]} == {"initiator", "responder"}
    assert (mine["local"]["id"], mine["remote"]["id"]) == (theirs["remote"]["id"], theirs["local"]["id"])
    my_child, their_child = one.child(), other.child()
    assert (my_child["spi_in"], my_child["spi_out"]) == (their_child["spi_out"], their_child["spi_in"])
    assert (my_child["local_ts"], my_child["remote_ts"]) == (their_child["remote_ts"], their_child["local_ts"])
    assert my_child["proposal"] == their_child["proposal"] and my_child["esn"] == their_child["esn"]
