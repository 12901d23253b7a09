// SPDX-License-Identifier: Apache-2.0
// Adit: AditPKI

internal import AditIKE
internal import AditWire
internal import FoundationEssentials
internal import SwiftASN1
internal import X509

// What IKE asks of a certificate, in the types of the rest of Adit.

extension Certificate {
    /// DER of the SubjectPublicKeyInfo (RFC 5280 §4.1.2.7); empty where it cannot be written, which verifies nothing.
    var subjectPublicKeyInfo: [UInt8] {
        var serializer = DER.Serializer()
        guard (try? serializer.serialize(publicKey)) != nil else { return [] }
        return serializer.serializedBytes
    }

    /// From when to when it is valid, in seconds since 1970; where the end comes before the beginning, the end alone.
    var validity: ClosedRange<Int64> {
        let end = Int64(clamping: notValidAfter.seconds)
        return min(Int64(clamping: notValidBefore.seconds), end)...end
    }

    /// The subjectAltNames; empty where there are none, or none that can be read.
    var alternativeNames: [GeneralName] {
        (try? extensions.subjectAlternativeNames).flatMap { $0 }.map(Array.init) ?? []
    }

    /// The serial number's bytes without leading zeros.
    var serialBytes: [UInt8] { Array(serialNumber.bytes.drop { $0 == 0 }) }

    /// RFC 4945 §3.1: whether the certificate says that it is this identity's.
    func names(_ identity: Identity) -> Bool {
        switch identity {
        case .distinguishedName(let name):
            // RFC 4945 §3.1.5: the subject, whole.
            return Identity.distinguishedName(name).matches(.distinguishedName(subject.der))
        case .address(let address):
            return alternativeNames.contains { name in
                if case .ipAddress(let bytes) = name { Array(bytes.bytes) == address.bytes } else { false }
            }
        case .fqdn(let wanted):
            // RFC 4945 §3.1.2: no wildcards.
            return alternativeNames.contains { name in
                if case .dnsName(let text) = name { text.lowercased() == wanted.lowercased() } else { false }
            }
        case .email(let wanted):
            return alternativeNames.contains { name in
                if case .rfc822Name(let text) = name { Self.mailbox(text) == Self.mailbox(wanted) } else { false }
            }
        case .keyID:
            return false
        }
    }

    /// RFC 5280 §7.5: the host's case does not matter, the user's does.
    private static func mailbox(_ text: String) -> String {
        guard let at = text.lastIndex(of: "@") else { return text }
        return text[..<at] + text[at...].lowercased()
    }
}

extension X509.DistinguishedName {
    /// The DER name; empty where it cannot be written.
    var der: [UInt8] {
        var serializer = DER.Serializer()
        guard (try? serializer.serialize(self)) != nil else { return [] }
        return serializer.serializedBytes
    }

    /// `C=CH, O=Example, CN=paris`, without what does not belong on a terminal; at most ``textLimit`` characters.
    var text: String {
        let full = Identity.distinguishedName(der).description
        return full.count <= Self.textLimit ? full : full.prefix(Self.textLimit) + "…"
    }

    private static let textLimit = 200
}

extension GeneralName {
    /// The kind and the value of a name that IKE can use; nil for others.
    var text: String? {
        switch self {
        case .dnsName(let name): "DNS:" + Self.printable(name)
        case .rfc822Name(let name): "email:" + Self.printable(name)
        case .ipAddress(let bytes): IPAddress(bytes: Array(bytes.bytes)).map { "IP:\($0)" }
        default: nil
        }
    }

    private static func printable(_ name: String) -> String {
        String(name.unicodeScalars.prefix(255).map { (0x20...0x7e).contains($0.value) ? Character($0) : "?" })
    }
}

extension Date {
    /// Seconds since 1970.
    fileprivate var seconds: Double { timeIntervalSince1970 }
}

extension Int64 {
    fileprivate init(clamping value: Double) {
        self =
            value.isNaN
            ? 0 : value >= 9e15 ? 9_000_000_000_000_000 : value <= -9e15 ? -9_000_000_000_000_000 : Int64(value)
    }
}
