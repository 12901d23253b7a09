// SPDX-License-Identifier: Apache-2.0
// Adit: Adit

internal import AditControl
internal import AditCrypto
internal import AditESP
internal import AditForwarding
public import AditIKE
public import AditLinux
internal import AditWire

/// An IPsec gateway: a TUN device, UDP sockets, packet threads and a control thread, as one object.
///
/// Several can live in one process. All members may be called from any thread; none waits for the network.
public final class Gateway: Sendable {
    private let startedAt = MonotonicClock.now()
    private let broadcaster = EventBroadcaster()
    private let control: ControlLoop
    private let running: LockedState<GatewayParts?>

    /// Opens a TUN device and the sockets and starts the threads; nothing is left behind when it throws.
    ///
    /// Needs CAP_NET_ADMIN, and CAP_NET_BIND_SERVICE for ports below 1024.
    public convenience init(_ configuration: GatewayConfiguration) throws(GatewayError) {
        try configuration.check()
        do {
            try self.init(configuration, GatewayParts(configuration))
        } catch {
            throw GatewayError(error)
        }
    }

    /// The same on an embedder's own packet devices, one packet thread each; no interface, address or route is touched.
    ///
    /// The devices, 1 to 256, belong to the gateway until ``stop()`` has returned.
    public convenience init<Device: PacketDevice>(
        _ configuration: GatewayConfiguration, devices: sending [Device]
    ) throws(GatewayError) {
        try configuration.check()
        guard (1...SATable.workerLimit).contains(devices.count) else {
            throw GatewayError(
                .invalidConfiguration, "devices: found \(devices.count); allowed is 1 to \(SATable.workerLimit)")
        }
        do {
            try self.init(configuration, GatewayParts(configuration, devices: devices))
        } catch {
            throw GatewayError(error)
        }
    }

    private init(_ configuration: GatewayConfiguration, _ parts: GatewayParts) throws(SystemError) {
        let broadcaster = broadcaster
        control = try ControlLoop()
        running = LockedState(parts)
        try parts.start(
            control, configuration, report: { broadcaster.send(.ike($0)) }, warn: { broadcaster.send(.warning($0)) },
            fail: { broadcaster.send(.failed($0)) })
    }

    deinit { stop() }

    /// What happens, from now on; the first stream that is asked for also has what happened since the start.
    ///
    /// A slow reader loses the oldest events, never holds the gateway up.
    public func events() -> AsyncStream<GatewayEvent> { broadcaster.subscribe() }

    /// Asks the control thread to do something; progress and outcome come as ``events()``.
    ///
    /// False when too many requests wait for it already, or when it has ended: nothing will happen. The same for
    /// connections that ``GatewayConfiguration/check()`` refuses, whose fault is then a ``GatewayEvent/warning(_:)``.
    @discardableResult
    public func perform(_ command: IKECommand) -> Bool {
        if case .configure(let connections) = command {
            do {
                try GatewayConfiguration.check(connections)
            } catch {
                broadcaster.send(.warning("the connections stay as they are: \(error)"))
                return false
            }
        }
        return control.perform(command)
    }

    /// A snapshot; after ``stop()`` an empty one.
    public func status() -> GatewayStatus {
        let known = control.status()
        let now = known?.now ?? MonotonicClock.now()
        let connections = known?.connections ?? []
        let traffic = (known?.traffic ?? [:]).mapValues(GatewayStatus.SATraffic.init)
        return running.withLock { parts in
            GatewayStatus(
                uptime: now - startedAt, interface: parts?.device?.name ?? "", mtu: known?.mtu ?? 0,
                workers: parts?.workers ?? 0, now: now, connections: connections,
                totals: known?.totals ?? IKETotals(), traffic: traffic, drops: parts?.drops() ?? [])
        }
    }

    /// The last failure of a connection, or of peers that fit none (`nil`).
    public func lastFailure(of connection: String?) -> FailureReport? {
        guard let known = control.status() else { return nil }
        guard let connection else { return known.lastUnmatchedFailure }
        return known.connections.first { $0.name == connection }?.lastFailure
    }

    /// Deletes the SAs at the peers, removes routes and interface, ends the threads; returns within 2 s.
    public func stop() {
        let parts = running.withLock { running in
            defer { running = nil }
            return running
        }
        guard let parts else { return }
        control.stop()
        parts.stop()
        broadcaster.finish()
    }
}
