// SPDX-License-Identifier: Apache-2.0
// Adit: Simulation

import AditWire

/// What will happen, the earliest first; what is due at one moment happens in the order in which it was added.
struct EventQueue<Event> {
    private var heap: [(time: UInt64, order: UInt64, event: Event)] = []
    private var order: UInt64 = 0

    var isEmpty: Bool { heap.isEmpty }

    /// When the earliest one is due.
    var next: Timestamp? { heap.first.map { Timestamp(nanoseconds: $0.time) } }

    mutating func add(_ event: Event, at time: Timestamp) {
        order += 1
        heap.append((time.nanoseconds, order, event))
        var child = heap.count - 1
        while child > 0, precedes(child, (child - 1) / 2) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func removeFirst() -> Event {
        heap.swapAt(0, heap.count - 1)
        let event = heap.removeLast().event
        var parent = 0
        while true {
            var smallest = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && precedes(child, smallest) {
                smallest = child
            }
            guard smallest != parent else { return event }
            heap.swapAt(parent, smallest)
            parent = smallest
        }
    }

    private func precedes(_ left: Int, _ right: Int) -> Bool {
        heap[left].time == heap[right].time
            ? heap[left].order < heap[right].order : heap[left].time < heap[right].time
    }
}
