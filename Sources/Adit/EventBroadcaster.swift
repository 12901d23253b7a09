// SPDX-License-Identifier: Apache-2.0
// Adit: Adit

internal import AditLinux

/// Hands every event to every subscriber through a bounded stream that drops its oldest, so nobody can hold the gateway
/// up.
final class EventBroadcaster: Sendable {
    private struct Subscribers: Sendable {
        var nextID = 0
        var continuations: [Int: AsyncStream<GatewayEvent>.Continuation] = [:]
        var finished = false
        /// What was sent before anybody could subscribe; nil afterwards.
        var early: [GatewayEvent]? = []
    }

    private let subscribers = LockedState(Subscribers())

    /// A stream of everything that is sent from now on; it ends with ``finish()``. The first one begins at the start.
    func subscribe() -> AsyncStream<GatewayEvent> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: GatewayEvent.self, bufferingPolicy: .bufferingNewest(Self.bufferedEventLimit))
        let id = subscribers.withLock { subscribers -> Int? in
            guard !subscribers.finished, subscribers.continuations.count < Self.subscriberLimit else { return nil }
            subscribers.nextID += 1
            for event in subscribers.early ?? [] { continuation.yield(event) }
            subscribers.early = nil
            subscribers.continuations[subscribers.nextID] = continuation
            return subscribers.nextID
        }
        guard let id else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in
            self?.subscribers.withLock { _ = $0.continuations.removeValue(forKey: id) }
        }
        return stream
    }

    /// Sends `event` to every subscriber; never waits.
    func send(_ event: GatewayEvent) {
        let continuations = subscribers.withLock { subscribers in
            if let early = subscribers.early, early.count < Self.earlyEventLimit { subscribers.early?.append(event) }
            return Array(subscribers.continuations.values)
        }
        for continuation in continuations { continuation.yield(event) }
    }

    /// Ends every stream, and those asked for later.
    func finish() {
        let continuations = subscribers.withLock { subscribers in
            subscribers.finished = true
            return Array(subscribers.continuations.values)
        }
        for continuation in continuations { continuation.finish() }
    }

    /// Events that wait for one slow subscriber at the most.
    static let bufferedEventLimit = 1024
    /// Events that are kept for the first subscriber at the most.
    static let earlyEventLimit = 256
    /// Subscribers at the most.
    static let subscriberLimit = 256
}
