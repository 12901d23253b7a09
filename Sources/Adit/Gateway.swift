// SPDX-License-Identifier: Apache-2.0
// Adit: Adit

internal import AditControl
internal import AditCrypto
internal import AditESP
internal import AditForwarding
public import AditIKE
internal import AditLinux
internal import AditWire
internal import Synchronization

/// An IPsec gateway: a TUN device, UDP sockets, packet threads and a control thread, as one object.
///
/// Several can live in one process. All members may be called from any thread; none waits for the network.
public final class Gateway: Sendable {
    private let startedAt = MonotonicClock.now()
    private let broadcaster = EventBroadcaster()
    private let control: ControlLoop
    private let running: Mutex<GatewayParts?>

    /// Opens the device and the sockets and starts the threads; nothing is left behind when it throws.
    public init(_ configuration: GatewayConfiguration) throws(GatewayError) {
        let broadcaster = broadcaster
        do {
            let parts = try GatewayParts(configuration)
            control = try ControlLoop()
            try parts.start(
                control, configuration, report: { broadcaster.send(.ike($0)) },
                warn: { broadcaster.send(.warning($0)) })
            running = Mutex(parts)
        } catch {
            throw GatewayError(error)
        }
    }

    deinit { stop() }

    /// What happens, from now on. A slow reader loses the oldest events, never holds the gateway up.
    public func events() -> AsyncStream<GatewayEvent> { broadcaster.subscribe() }

    /// Asks the control thread to do something; progress and outcome come as ``events()``.
    ///
    /// False when the control thread has too much to do, or has ended.
    @discardableResult
    public func perform(_ command: IKECommand) -> Bool { control.perform(command) }

    /// A snapshot; after ``stop()`` an empty one.
    public func status() -> GatewayStatus {
        let known = control.status()
        return running.withLock { parts in
            GatewayStatus(
                uptime: MonotonicClock.now() - startedAt, interface: parts?.device.name ?? "",
                mtu: known?.mtu ?? 0, workers: parts?.workers ?? 0, now: known?.now ?? MonotonicClock.now(),
                connections: known?.connections ?? [], traffic: parts?.traffic(of: known?.connections ?? []) ?? [:],
                drops: parts?.drops() ?? [])
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
