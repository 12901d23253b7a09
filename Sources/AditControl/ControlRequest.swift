// SPDX-License-Identifier: Apache-2.0
// Adit: AditControl

internal import AditIKE
internal import AditLinux
internal import Synchronization

/// What other threads ask of the control thread.
enum ControlRequest: Sendable {
    /// Hand a command to the IKE machine.
    case command(IKECommand)
    /// Answer with a snapshot.
    case status(Reply<ControlStatus>)
    /// Delete everything at the peers and end.
    case stop
}

/// A bounded queue of requests that wakes the control thread.
final class ControlRequests: Sendable {
    private let pending = LockedState<[ControlRequest]>([])
    private let isClosed = Atomic(false)
    /// Readable while something is pending.
    let wakeUp: WakeUp

    init() throws(SystemError) { wakeUp = try WakeUp() }

    /// Appends `request`; false when the queue is full or was closed.
    func post(_ request: ControlRequest) -> Bool {
        let taken = pending.withLock { pending in
            guard pending.count < Self.limit, !isClosed.load(ordering: .relaxed) else { return false }
            pending.append(request)
            return true
        }
        if taken { wakeUp.signal() }
        return taken
    }

    /// Takes nothing more; who waits for an answer is told that there will be none.
    func close() {
        let left = pending.withLock { pending in
            isClosed.store(true, ordering: .relaxed)
            defer { pending.removeAll() }
            return pending
        }
        for case .status(let reply) in left { reply.fulfil(nil) }
    }

    /// Everything that is pending, in order.
    func take() -> [ControlRequest] {
        wakeUp.acknowledge()
        return pending.withLock { pending in
            defer { pending.removeAll(keepingCapacity: true) }
            return pending
        }
    }

    /// Requests that may wait at once.
    static let limit = 1024
}
