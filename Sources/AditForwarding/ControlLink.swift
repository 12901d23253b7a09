// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwarding

internal import AditESP
internal import AditLinux
internal import AditWire

/// A worker's way to the control thread: its place in the mailbox, with what did not fit counted.
struct ControlLink {
    private let mailbox: Mailbox
    private let producer: Int
    private let counters: WorkerCounters

    init(mailbox: Mailbox, producer: Int, counters: WorkerCounters) {
        self.mailbox = mailbox
        self.producer = producer
        self.counters = counters
    }

    /// Posts a hint; a full mailbox is counted, and makes this false.
    @discardableResult
    func post(_ hint: ForwardingHint) -> Bool {
        let isPosted = mailbox.post(hint.message, from: producer)
        if !isPosted { counters.mailboxFull.add(1) }
        return isPosted
    }

    /// Posts an IKE datagram, without its marker; a full mailbox is counted, the peer sends again.
    func post(_ datagram: PacketBytes, local: Endpoint, remote: Endpoint) {
        // SAFETY: the mailbox copies the lent bytes before it returns.
        let bytes = unsafe UnsafeRawBufferPointer(start: datagram.start, count: datagram.count)
        guard unsafe !mailbox.post(bytes, local: local, remote: remote, from: producer) else { return }
        counters.mailboxFull.add(1)
        counters.drops.count(.queueFull)
    }
}
