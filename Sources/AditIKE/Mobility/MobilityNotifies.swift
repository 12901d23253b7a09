// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

// The notifications of MOBIKE on the wire (RFC 4555 §4). Malformed ones are as if they were not there.

extension PayloadContents {
    /// Whether the peer speaks MOBIKE; data, if there is any, is ignored (RFC 4555 §4.2.1).
    var supportsMobility: Bool { notify(.mobikeSupported) != nil }

    /// The peer's complete list of further addresses, each once; nil when the message does not speak of them
    /// (RFC 4555 §3.6, §4.2.2).
    var additionalAddresses: [IPAddress]? {
        var addresses: [IPAddress] = []
        var isTold = notify(.noAdditionalAddresses) != nil
        for notify in notifies where notify.type == .additionalIPv4Address || notify.type == .additionalIPv6Address {
            let family: IPAddress.Family = notify.type == .additionalIPv4Address ? .v4 : .v6
            isTold = true
            guard addresses.count < Mobility.peerAddressLimit, let address = IPAddress(bytes: notify.data),
                address.family == family, address.isUnicast, !addresses.contains(address)
            else { continue }
            addresses.append(address)
        }
        return isTold ? addresses : nil
    }

    /// What is to be sent back for a return routability check (RFC 4555 §4.2.5): 8 to 64 octets.
    var routabilityCookie: [UInt8]? {
        notify(.cookie2).flatMap { Self.cookieLengths.contains($0.data.count) ? $0.data : nil }
    }

    /// Whether NO_NATS_ALLOWED is there and tells other ends than those that the message arrived between
    /// (RFC 4555 §3.9).
    func isTranslated(local: Endpoint, remote: Endpoint) -> Bool {
        guard let told = notify(.noNATsAllowed) else { return false }
        return told.data != MobilityNotifies.ends(source: remote, destination: local)
    }

    private static let cookieLengths = 8...64
}

/// Making the notifications of MOBIKE.
enum MobilityNotifies {
    /// ADDITIONAL_IP4_ADDRESS and ADDITIONAL_IP6_ADDRESS; NO_ADDITIONAL_ADDRESSES where a complete list is empty.
    static func addresses(_ addresses: [IPAddress], complete: Bool) -> [Payload] {
        guard !addresses.isEmpty else {
            return complete ? [.notify(NotifyPayload(.noAdditionalAddresses))] : []
        }
        return addresses.map { address in
            let type: NotifyType = address.family == .v4 ? .additionalIPv4Address : .additionalIPv6Address
            return .notify(NotifyPayload(type, data: address.bytes))
        }
    }

    /// COOKIE2.
    static func cookie(_ cookie: [UInt8]) -> Payload { .notify(NotifyPayload(.cookie2, data: cookie)) }

    /// NO_NATS_ALLOWED for a message from `local` to `remote`.
    static func noNATs(_ path: Path) -> Payload {
        .notify(NotifyPayload(.noNATsAllowed, data: ends(source: path.local, destination: path.remote)))
    }

    /// RFC 4555 §4.2.6: source address, destination address, source port, destination port.
    static func ends(source: Endpoint, destination: Endpoint) -> [UInt8] {
        let ports = [source.port, destination.port].flatMap { [UInt8($0 >> 8), UInt8($0 & 0xff)] }
        return source.address.bytes + destination.address.bytes + ports
    }

    /// Within what RFC 4555 §4.2.5 allows.
    static let cookieLength = 16
}

extension IPAddress {
    /// Whether a single host can have this address: neither unspecified nor multicast, loopback or broadcast.
    var isUnicast: Bool {
        switch family {
        case .v4: !isUnspecified && low >> 28 < 0xe && low >> 24 != 127 && low >> 24 != 0
        case .v6: !isUnspecified && high >> 56 != 0xff && !(high == 0 && low == 1)
        }
    }
}
