// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

public import AditWire

/// Who a peer is (RFC 7296 §3.5).
public enum Identity: Hashable, Sendable {
    /// ID_IPV4_ADDR or ID_IPV6_ADDR.
    case address(IPAddress)
    /// ID_FQDN, for example `paris.example.com`.
    case fqdn(String)
    /// ID_RFC822_ADDR, for example `alice@example.com`.
    case email(String)
    /// ID_DER_ASN1_DN: the DER encoding of a distinguished name.
    case distinguishedName([UInt8])
    /// ID_KEY_ID: opaque bytes.
    case keyID([UInt8])
}
