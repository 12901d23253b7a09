// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import Adit
internal import Dispatch
internal import Synchronization

/// Hands a gateway's events to whoever follows a request. No reader can hold another, or the gateway, up.
final class EventHub: Sendable {
    private let followers = Mutex<[Int: EventFollower]>([:])
    private let nextKey = Atomic(0)

    /// Gives an event to every follower.
    func publish(_ event: GatewayEvent) {
        for follower in followers.withLock({ Array($0.values) }) { follower.offer(event) }
    }

    /// Lends a follower, which sees every event from now on, to `body`.
    func following<Result>(_ body: (EventFollower) -> Result) -> Result {
        let follower = EventFollower()
        let key = nextKey.add(1, ordering: .relaxed).newValue
        followers.withLock { $0[key] = follower }
        defer { followers.withLock { _ = $0.removeValue(forKey: key) } }
        return body(follower)
    }
}

/// A bounded queue of events for one reading thread; when it is full the oldest event is lost.
final class EventFollower: Sendable {
    /// Events that wait at the most.
    static let limit = 256

    private let events = Mutex<[GatewayEvent]>([])
    private let arrival = DispatchSemaphore(value: 0)

    /// Adds an event; never waits.
    func offer(_ event: GatewayEvent) {
        events.withLock { events in
            if events.count == Self.limit { events.removeFirst() }
            events.append(event)
        }
        arrival.signal()
    }

    /// The next event; nil when none comes before `deadline`.
    func next(before deadline: ContinuousClock.Instant) -> GatewayEvent? {
        while true {
            if let event = events.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { return event }
            let left = ContinuousClock.now.duration(to: deadline)
            guard left > .zero else { return nil }
            let milliseconds = Int(clamping: left.components.seconds * 1000) + 1
            _ = arrival.wait(timeout: .now() + .milliseconds(min(milliseconds, 1000)))
        }
    }
}
