// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

/// What a deadline of the endpoint is for; each case is set at most once at a time.
enum IKETimer: Hashable, Sendable {
    /// The outstanding request of an IKE SA is sent again, or given up.
    case retransmit(IKESPI)
    /// A half-open IKE SA is forgotten.
    case halfOpen(IKESPI)
    /// The peer of an IKE SA is asked whether it lives.
    case liveness(IKESPI)
    /// A NAT mapping is kept alive.
    case keepalive(IKESPI)
    /// An IKE SA is rekeyed.
    case rekeyIKE(IKESPI)
    /// The peers of an IKE SA authenticate anew.
    case reauthenticate(IKESPI)
    /// Whether another IKE SA to the peer carries what this one does, so that it can be closed.
    case handover(IKESPI)
    /// Tasks that a peer put off are tried again.
    case retry(IKESPI)
    /// An IKE SA on its way out is forgotten.
    case closing(IKESPI)
    /// A Child SA is rekeyed.
    case rekeyChild(SPI)
    /// A Child SA that carries nothing is deleted.
    case inactivity(SPI)
    /// A Child SA that could not be rekeyed is deleted.
    case expireChild(SPI)
    /// The names of a connection's peer were not looked up in time.
    case resolution(ConnectionID)
    /// A connection is initiated again.
    case initiate(ConnectionID)
}

/// Every deadline of an endpoint, the earliest first: a binary heap that knows where each timer lies.
///
/// Setting, moving and cancelling cost O(log n), the earliest O(1). Equal deadlines run in the order in which they were
/// set.
struct TimerTable: Sendable {
    private struct Entry: Sendable {
        var deadline: Timestamp
        var order: UInt64
        var timer: IKETimer

        func precedes(_ other: Entry) -> Bool {
            deadline == other.deadline ? order < other.order : deadline < other.deadline
        }
    }

    private var heap: [Entry] = []
    private var positions: [IKETimer: Int] = [:]
    private var order: UInt64 = 0

    /// The earliest deadline; nil when no timer is set.
    var next: Timestamp? { heap.first?.deadline }

    /// How many timers are set.
    var count: Int { heap.count }

    /// When `timer` is due; nil when it is not set.
    func deadline(of timer: IKETimer) -> Timestamp? { positions[timer].map { heap[$0].deadline } }

    /// Sets `timer`, moving it when it is set already.
    mutating func set(_ timer: IKETimer, at deadline: Timestamp) {
        order &+= 1
        let entry = Entry(deadline: deadline, order: order, timer: timer)
        if let position = positions[timer] {
            heap[position] = entry
            siftUp(siftDown(position))
        } else {
            heap.append(entry)
            positions[timer] = heap.count - 1
            siftUp(heap.count - 1)
        }
    }

    /// Forgets `timer`, if it is set.
    mutating func cancel(_ timer: IKETimer) {
        guard let position = positions.removeValue(forKey: timer) else { return }
        let last = heap.removeLast()
        guard position < heap.count else { return }
        heap[position] = last
        positions[last.timer] = position
        siftUp(siftDown(position))
    }

    /// Takes the earliest timer that is due at `now`; nil when none is.
    mutating func popExpired(_ now: Timestamp) -> IKETimer? {
        guard let first = heap.first, first.deadline <= now else { return nil }
        cancel(first.timer)
        return first.timer
    }

    private mutating func siftUp(_ start: Int) {
        var child = start
        while child > 0, heap[child].precedes(heap[(child - 1) / 2]) {
            exchange(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    @discardableResult
    private mutating func siftDown(_ start: Int) -> Int {
        var parent = start
        while true {
            var smallest = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
                if heap[child].precedes(heap[smallest]) { smallest = child }
            }
            guard smallest != parent else { return parent }
            exchange(parent, smallest)
            parent = smallest
        }
    }

    private mutating func exchange(_ left: Int, _ right: Int) {
        heap.swapAt(left, right)
        positions[heap[left].timer] = left
        positions[heap[right].timer] = right
    }
}
