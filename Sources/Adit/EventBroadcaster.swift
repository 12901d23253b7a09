// SPDX-License-Identifier: Apache-2.0
// Adit: Adit

internal import Synchronization

/// Hands every event to every subscriber through a bounded stream that drops its oldest, so nobody can hold the gateway up.
final class EventBroadcaster: Sendable {
    private struct Subscribers {
        var nextID = 0
        var continuations: [Int: AsyncStream<GatewayEvent>.Continuation] = [:]
        var finished = false
    }

    private let subscribers = Mutex(Subscribers())

    /// A stream of everything that is sent from now on; it ends with ``finish()``.
    func subscribe() -> AsyncStream<GatewayEvent> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: GatewayEvent.self, bufferingPolicy: .bufferingNewest(Self.bufferedEventLimit))
        let id = subscribers.withLock { subscribers -> Int? in
            guard !subscribers.finished, subscribers.continuations.count < Self.subscriberLimit else { return nil }
            subscribers.nextID += 1
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
        for continuation in subscribers.withLock({ Array($0.continuations.values) }) { continuation.yield(event) }
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
    /// Subscribers at the most.
    static let subscriberLimit = 256
}
