// SPDX-License-Identifier: Apache-2.0
// Adit: Simulation

import AditIKE
import AditWire

/// A datagram under way.
package struct Letter {
    /// What it carries; the non-ESP marker is left out.
    package enum Kind: Sendable { case ike, esp, keepalive }

    package let kind: Kind
    package var bytes: [UInt8]
    /// The gateway that sent it.
    package let sender: Int
    /// The source as the receiver sees it, behind whatever NAT it passed.
    package let source: Endpoint
    package let destination: Endpoint
    /// Which probe it carries.
    var probe: UInt64?

    /// The IKE header; nil for anything else.
    package var header: IKEHeader? {
        guard kind == .ike else { return nil }
        var reader = ByteReader(bytes)
        return try? IKEHeader(parsing: &reader)
    }
}

extension Letter: CustomStringConvertible {
    package var description: String {
        guard kind == .ike else { return "\(kind), \(bytes.count) bytes" }
        guard let header else { return "\(bytes.count) bytes" }
        let role = header.isResponse ? "response" : "request"
        let side = header.flags.contains(.initiator) ? "initiator's" : "responder's"
        return "\(header.exchange) \(side) \(role) \(header.messageID)"
            + " [\(header.initiatorSPI) \(header.responderSPI)] \(bytes.count) B"
    }
}
