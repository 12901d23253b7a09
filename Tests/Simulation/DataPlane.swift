// SPDX-License-Identifier: Apache-2.0
// Adit: Simulation

import AditCrypto
import AditESP
import AditIKE
import AditWire

/// The ESP side of a simulated gateway: the real SA table, sealing and opening, and a record of what it was told.
package final class DataPlane {
    /// A pair of SAs as it was installed, and where it stands.
    package struct Pair {
        package internal(set) var installation: ChildSAInstallation
        /// Whether the machine wants us to send on it.
        package internal(set) var isActive: Bool
    }

    /// What became of a packet that arrived.
    enum Opening {
        case probe(UInt64, inbound: SPI)
        case unknownSPI(SPI)
        case refused(DropReason)
    }

    /// What became of a packet that was to leave.
    enum Sealing {
        case sealed([UInt8], local: Endpoint, remote: Endpoint)
        case acquire(connection: String, child: String, packet: FlowKey)
        case dropped(DropReason)
    }

    /// Every pair by our SPI.
    package private(set) var pairs: [SPI: Pair] = [:]
    /// What is wrong with what it was told or has done.
    private(set) var problems: [String] = []
    /// How many of the next pairs it does not take.
    package var refusals = 0
    private var refused: Set<SPI> = []
    /// The counter of the last packet sealed with each pair, 0 before the first: an AEAD's IV must never come back.
    /// Apart from the pairs, as every packet asks for it.
    private var lastIV: [SPI: UInt64] = [:]
    private let table: SATable
    private let reader: SAReader
    private var children: [(connection: String, child: String)] = []

    init(_ connections: [ConnectionConfiguration]) {
        table = SATable(workers: 1, capacity: 1024)
        reader = table.reader(worker: 0)
        reader.leaveIdle()
        publish(connections)
    }

    /// The policies of the configured children.
    func publish(_ connections: [ConnectionConfiguration]) {
        children = []
        var policies: [ChildPolicy] = []
        for connection in connections {
            for child in connection.children {
                policies.append(
                    ChildPolicy(
                        id: PolicyID(rawValue: UInt32(children.count)), localSelectors: child.localSelectors,
                        remoteSelectors: child.remoteSelectors, order: UInt32(children.count),
                        action: child.startAction == .none ? .drop : .acquire))
                children.append((connection.name, child.name))
            }
        }
        do { try table.setPolicies(policies) } catch { problems.append("refuses the policies: \(error)") }
        table.reorder(pairs.mapValues { order(of: $0.installation) })
        reader.quiescent()
    }

    // MARK: What the IKE machine asks

    /// Why the pair cannot be installed; nil when it is.
    func install(_ child: ChildSAInstallation) -> String? {
        guard refusals == 0 else {
            refusals -= 1
            refused.insert(child.inboundSPI)
            return "the table is full"
        }
        var parameters = ChildSAParameters(
            connection: child.connection, child: child.child, inboundSPI: child.inboundSPI,
            outboundSPI: child.outboundSPI, suite: child.suite, inboundKey: child.inboundKey,
            outboundKey: child.outboundKey, esn: child.esn, localSelectors: child.localSelectors,
            remoteSelectors: child.remoteSelectors, local: child.local, remote: child.remote)
        parameters.order = order(of: child)
        parameters.replayWindow = child.configuration.replayWindow
        parameters.replaces = child.replaces
        parameters.outboundActive = child.outboundActive
        if let packets = child.configuration.rekeyPackets { parameters.lifetime.rekeyPackets = packets }
        do { try table.install(parameters) } catch { return "\(error)" }
        pairs[child.inboundSPI] = Pair(installation: child, isActive: child.outboundActive)
        lastIV[child.inboundSPI] = 0
        reader.quiescent()
        return nil
    }

    func activate(_ spi: SPI) {
        // It is told that a pair was refused after it was asked to send on it.
        guard !refused.contains(spi) else { return }
        if !table.activateOutbound(inboundSPI: spi) { problems.append("activates \(spi), which is not installed") }
        pairs[spi]?.isActive = true
        reader.quiescent()
    }

    func remove(_ spi: SPI) {
        guard refused.remove(spi) == nil else { return }
        if table.remove(inboundSPI: spi) == nil { problems.append("removes \(spi), which is not installed") }
        pairs[spi] = nil
        lastIV[spi] = nil
        reader.quiescent()
    }

    func move(_ spi: SPI, local: Endpoint, remote: Endpoint) {
        guard !refused.contains(spi) else { return }
        if !table.move(inboundSPI: spi, local: local, remote: remote) {
            problems.append("moves \(spi), which is not installed")
        }
        pairs[spi]?.installation.local = local
        pairs[spi]?.installation.remote = remote
        reader.quiescent()
    }

    /// What the workers noticed since the last drain.
    func drain() -> [IKEEvent] {
        var events: [IKEEvent] = []
        table.drainHints { hint in
            switch hint {
            case .lifetimeReached(let spi): events.append(.lifetimeReached(inboundSPI: spi))
            case .inboundActivity(let spi): events.append(.inboundActivity(inboundSPI: spi))
            case .peerMoved(let spi, let remote): events.append(.peerMoved(inboundSPI: spi, to: remote))
            }
        }
        reader.quiescent()
        table.reclaim()
        return events
    }

    // MARK: Packets

    /// Sends a packet by policy.
    func seal(_ probe: ProbePacket) -> Sealing {
        let packet = probe.bytes
        guard
            let flow = packet.withUnsafeBytes({ bytes in
                bytes.baseAddress.flatMap { FlowKey($0, available: bytes.count) }
            })
        else { return .dropped(.malformed) }
        switch reader.outbound(for: flow) {
        case .drop(let reason): return .dropped(reason)
        case .acquire(let policy):
            let (connection, child) = children[Int(policy.rawValue)]
            return .acquire(connection: connection, child: child, packet: flow)
        case .protect(let sa):
            let block = sa.pointee.reserve(1, bytes: packet.count, reader: reader)
            guard block.count == 1 else { return .dropped(.sequenceExhausted) }
            var room = [UInt8](repeating: 0, count: ESPSeal.headRoom + packet.count + ESPSeal.tailRoom)
            room.replaceSubrange(ESPSeal.headRoom..<ESPSeal.headRoom + packet.count, with: packet)
            let length = room.withUnsafeMutableBytes { bytes in
                bytes.baseAddress.map {
                    ESPSeal.seal(
                        $0 + ESPSeal.headRoom, length: packet.count, sequence: block.first, sa: sa, reader: reader)
                } ?? 0
            }
            guard length > 0 else { return .dropped(.sealFailed) }
            let start = ESPSeal.headRoom - sa.pointee.headerLength
            let sealed = Array(room[start..<start + length])
            noteIV(sealed, sa.pointee.inboundSPI)
            return .sealed(sealed, local: sa.pointee.path.local, remote: sa.pointee.path.remote)
        }
    }

    /// Opens what arrived.
    func open(_ bytes: [UInt8], from remote: Endpoint) -> Opening {
        guard bytes.count >= ESPHeader.length else { return .refused(.truncated) }
        let spi = SPI(rawValue: bytes.prefix(4).reduce(0) { $0 << 8 | UInt32($1) })
        guard let sa = reader.inbound(spi) else { return .unknownSPI(spi) }
        var bytes = bytes
        let verdict = bytes.withUnsafeMutableBytes { packet in
            packet.baseAddress.map {
                ESPOpen.open($0, length: packet.count, outerTrafficClass: 0, sa: sa, reader: reader)
            } ?? .drop(.truncated)
        }
        switch verdict {
        case .drop(let reason): return .refused(reason)
        case .packet(let opened):
            if opened.isNewest { ESPOpen.noteRemote(remote, sa: sa, reader: reader) }
            guard let number = ProbePacket.number(bytes[opened.offset..<opened.offset + opened.length]) else {
                return .refused(.malformed)
            }
            return .probe(number, inbound: spi)
        }
    }

    private func noteIV(_ sealed: [UInt8], _ inbound: SPI) {
        let iv = sealed[ESPHeader.length..<ESPHeader.length + 8].reduce(0) { $0 << 8 | UInt64($1) }
        guard let last = lastIV[inbound] else {
            problems.append("sends on \(inbound), which is not installed")
            return
        }
        if last >= iv { problems.append("uses an IV of \(inbound) again") }
        lastIV[inbound] = iv
    }

    private func order(of child: ChildSAInstallation) -> UInt32 {
        UInt32(children.firstIndex { $0 == (child.connection, child.child) } ?? Int(UInt16.max))
    }
}
