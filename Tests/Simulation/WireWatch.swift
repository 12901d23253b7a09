// SPDX-License-Identifier: Apache-2.0
// Adit: Simulation

import AditIKE
import AditWire

/// Looks at every IKE message and every key: nothing that may be used once is used twice.
package struct WireWatch {
    /// What names a protected message: IKE SA, sender, direction, Message ID and fragment.
    private struct Name: Hashable {
        let initiatorSPI: IKESPI
        let responderSPI: IKESPI
        let flags: UInt8
        let messageID: UInt32
        let fragment: UInt32
    }

    /// What one key seals: the messages of one side of an IKE SA.
    private struct Direction: Hashable {
        let initiatorSPI: IKESPI
        let responderSPI: IKESPI
        let isInitiator: Bool
    }

    package private(set) var problems: [String] = []
    /// Messages sent, those repeated included.
    package private(set) var messages = 0
    private var sent: [Name: [UInt8]] = [:]
    private var ivs: [Direction: Set<UInt64>] = [:]
    private var lastRequest: [Direction: UInt32] = [:]
    private var inboundKeys: Set<[UInt8]> = []
    private var outboundKeys: Set<[UInt8]> = []
    private var inboundSPIs: Set<String> = []

    package init() {}

    mutating func note(_ problem: String) { problems.append(problem) }

    /// A gateway sends an IKE message.
    mutating func send(_ bytes: [UInt8], gateway: String) {
        messages += 1
        var reader = ByteReader(bytes)
        guard let header = try? IKEHeader(parsing: &reader), header.length == UInt32(bytes.count) else {
            problems.append("\(gateway) sends a message without a right header")
            return
        }
        let isFragment = header.nextPayload == .encryptedFragment
        guard isFragment || header.nextPayload == .encrypted else { return }
        let fields = Self.prefix + (isFragment ? 4 : 0)
        guard bytes.count > fields + 8 else {
            problems.append("\(gateway) sends a protected message that is too short")
            return
        }
        let fragment = isFragment ? bytes[Self.prefix..<fields].reduce(0) { $0 << 8 | UInt32($1) } : 0
        let name = Name(
            initiatorSPI: header.initiatorSPI, responderSPI: header.responderSPI, flags: header.flags.rawValue,
            messageID: header.messageID, fragment: fragment)
        if let before = sent[name] {
            // RFC 7296 §2.1: a retransmission is the same, bit by bit.
            if before != bytes { problems.append("\(gateway) uses Message ID \(header.messageID) for two messages") }
            return
        }
        sent[name] = bytes
        let direction = Direction(
            initiatorSPI: header.initiatorSPI, responderSPI: header.responderSPI,
            isInitiator: header.flags.contains(.initiator))
        let iv = bytes[fields..<fields + 8].reduce(0) { $0 << 8 | UInt64($1) }
        if !ivs[direction, default: []].insert(iv).inserted { problems.append("\(gateway) uses an IV of IKE again") }
        if !header.isResponse { noteRequest(header, fragment, direction, gateway) }
    }

    private mutating func noteRequest(
        _ header: IKEHeader, _ fragment: UInt32, _ direction: Direction, _ gateway: String
    ) {
        // RFC 7296 §2.2: one after the other, from 0 or, after IKE_SA_INIT, from 1; fragments share one.
        if let last = lastRequest[direction] {
            let isNext = header.messageID == last + 1 || (fragment != 0 && header.messageID == last)
            if !isNext { problems.append("\(gateway) sends request \(header.messageID) after \(last)") }
        } else if header.messageID > 1 {
            problems.append("\(gateway) begins with request \(header.messageID)")
        }
        lastRequest[direction] = header.messageID
    }

    /// A gateway installs a pair of SAs.
    mutating func install(_ child: ChildSAInstallation, gateway: String) {
        // A key appears once as inbound, and once as outbound at the peer.
        let inbound = child.inboundKey.withUnsafeBytes { Array($0) }
        let outbound = child.outboundKey.withUnsafeBytes { Array($0) }
        if !inboundKeys.insert(inbound).inserted { problems.append("\(gateway) uses an inbound key again") }
        if !outboundKeys.insert(outbound).inserted { problems.append("\(gateway) uses an outbound key again") }
        if inbound == outbound { problems.append("\(gateway) has one key for both directions") }
        if child.inboundSPI.isReserved { problems.append("\(gateway) chooses a reserved SPI") }
        if !inboundSPIs.insert("\(gateway) \(child.inboundSPI)").inserted {
            problems.append("\(gateway) uses the SPI \(child.inboundSPI) again")
        }
    }

    /// IKE header and generic payload header.
    private static let prefix = IKEHeader.length + 4
}
