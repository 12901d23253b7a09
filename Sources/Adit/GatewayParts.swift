// SPDX-License-Identifier: Apache-2.0
// Adit: Adit

internal import AditControl
internal import AditCrypto
internal import AditESP
internal import AditForwarding
internal import AditIKE
internal import AditLinux
internal import AditWire

/// The opened device and sockets and the running packet threads of one gateway.
final class GatewayParts: Sendable {
    /// The TUN device, unless the packets come from an embedder's own devices.
    let device: TUNDevice?
    let workers: Int
    private let table: SATable
    private let mailbox: Mailbox
    private let natSockets: UDPSocketGroup
    private let ikeSocket: IKESocket
    private let forwarder: any PacketForwarding
    private let keyLog: KeyLog?

    /// Opens a TUN device and the sockets and starts the packet threads.
    init(_ configuration: GatewayConfiguration) throws(SystemError) {
        let workers = configuration.workers ?? Self.workersByDefault
        keyLog = try Self.keyLog(configuration)
        let device = try TUNDevice(
            TUNDevice.Options(
                name: configuration.interface, queues: workers,
                offloads: TUNOffloads(configuration.offloads)))
        self.device = device
        self.workers = workers
        (table, mailbox) = (SATable(workers: workers), try Mailbox(producers: workers))
        ikeSocket = try Self.ikeSocket(configuration)
        natSockets = try Self.natSockets(configuration, workers: workers)
        forwarder = try Forwarder(
            devices: device.queues, transports: natSockets.transports, table: table, mailbox: mailbox,
            mtu: configuration.mtu ?? PathMTU.smallest, niceness: configuration.niceness)
    }

    /// Opens the sockets and starts the packet threads on an embedder's devices, one thread each.
    init<Device: PacketDevice>(_ configuration: GatewayConfiguration, devices: sending [Device]) throws(SystemError) {
        keyLog = try Self.keyLog(configuration)
        device = nil
        workers = devices.count
        (table, mailbox) = (SATable(workers: workers), try Mailbox(producers: workers))
        ikeSocket = try Self.ikeSocket(configuration)
        natSockets = try Self.natSockets(configuration, workers: workers)
        forwarder = try Forwarder(
            devices: devices, transports: natSockets.transports, table: table, mailbox: mailbox,
            mtu: configuration.mtu ?? PathMTU.smallest, niceness: configuration.niceness)
    }

    /// Starts the control thread on these parts.
    func start(
        _ control: ControlLoop, _ configuration: GatewayConfiguration,
        report: @escaping @Sendable (IKEReport) -> Void, warn: @escaping @Sendable (String) -> Void,
        fail: @escaping @Sendable (GatewayError) -> Void
    ) throws(SystemError) {
        let forwarder = forwarder
        let name = device?.name
        let parts = ControlParts(
            endpoint: IKEEndpoint(
                connections: configuration.connections, entropy: .system, limits: Self.limits(configuration),
                wallClock: .system, disclosesKeys: keyLog != nil,
                routes: RouteLookup { PathQuery.localAddress(to: $0) }),
            connections: configuration.connections, table: table, mailbox: mailbox, ikeSocket: ikeSocket,
            natSocket: natSockets.sender, listened: configuration.listen, link: device?.index,
            addresses: configuration.addresses,
            fixedMTU: configuration.mtu, installRoutes: configuration.installRoutes,
            innerMTU: { suite, family, path in
                PathMTU.tunnelMTU(
                    path: path, outerFamily: family, ivLength: suite.ivLength, icvLength: suite.icvLength,
                    blockLength: suite.blockLength)
            },
            mtuChanged: { forwarder.mtu = $0 }, childInstalled: { forwarder.wake() }, report: report, warn: warn,
            keyLog: keyLog, deviceFailed: { fail(GatewayError(lostDevice: name, code: $0)) })
        if let directory = configuration.keyLogDirectory { warn(Self.keyLogWarning(directory)) }
        do throws(SystemError) {
            try control.start(parts)
        } catch {
            forwarder.stop()
            throw error
        }
    }

    /// Ends the packet threads.
    func stop() { forwarder.stop() }

    /// Lost packets by reason, every reason present, in the order of their numbers.
    func drops() -> [(reason: String, count: UInt64)] {
        let counted = forwarder.counters.drops
        return DropReason.allCases.map { (reason: $0.description, count: counted[$0] ?? 0) }
    }

    private static func limits(_ configuration: GatewayConfiguration) -> IKELimits {
        var limits = IKELimits()
        limits.ikePort = configuration.ikePort
        limits.natPort = configuration.natPort
        limits.retransmitInitial = configuration.retransmitTimeout
        limits.retransmitTries = configuration.retransmitTries
        limits.keepaliveInterval = configuration.keepAlive
        return limits
    }

    private static func keyLog(_ configuration: GatewayConfiguration) throws(SystemError) -> KeyLog? {
        guard let directory = configuration.keyLogDirectory else { return nil }
        return try KeyLog(directory: directory)
    }

    private static func keyLogWarning(_ directory: String) -> String {
        "KEYS ARE WRITTEN TO \(directory): whoever can read \(KeyLog.ikeFile) and \(KeyLog.espFile) there can read "
            + "this gateway's traffic; remove the files when they have served"
    }

    private static func ikeSocket(_ configuration: GatewayConfiguration) throws(SystemError) -> IKESocket {
        var options = UDPOptions(port: configuration.ikePort)
        options.addresses = configuration.listen
        return try IKESocket(options)
    }

    private static func natSockets(
        _ configuration: GatewayConfiguration, workers: Int
    ) throws(SystemError) -> UDPSocketGroup {
        var options = UDPOptions(port: configuration.natPort)
        options.addresses = configuration.listen
        options.workers = workers
        options.segmentation = configuration.offloads.contains(.gso)
        options.receiveOffload = configuration.offloads.contains(.gro)
        return try UDPSocketGroup(options)
    }

    /// One thread that does both directions is as fast as two on two processors and answers sooner (measured); beyond
    /// that every second processor gets a worker, the others are left to who uses the tunnel.
    private static var workersByDefault: Int { min(max(PinnedThread.processorCount / 2, 1), workerLimit) }

    /// Packet threads at the most when none are configured.
    private static let workerLimit = 16
}

/// A ``Forwarder`` of whichever device: what the gateway needs of it, never on the packet path.
protocol PacketForwarding: AnyObject, Sendable {
    var mtu: Int { get set }
    var counters: ForwardingCounters { get }
    func wake()
    func stop()
}

extension Forwarder: PacketForwarding {}

extension TUNOffloads {
    /// What `offloads` asks of a TUN device.
    init(_ offloads: GatewayConfiguration.Offloads) {
        self = []
        if offloads.contains(.tun) { formUnion(.all) }
        if offloads.contains(.tso) { formUnion([.checksum, .tcpV4, .tcpV6, .tcpECN]) }
        if offloads.contains(.uso) { formUnion([.checksum, .udpV4, .udpV6]) }
    }
}

extension GatewayStatus.SATraffic {
    init(_ counters: SACounters) {
        self.init()
        packetsIn = counters.packetsIn
        bytesIn = counters.bytesIn
        packetsOut = counters.packetsOut
        bytesOut = counters.bytesOut
    }
}
