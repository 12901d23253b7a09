// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinuxTests

import AditWire
import Glibc
import Synchronization
import Testing

@testable import AditLinux

@Suite struct MailboxTests {
    static let local = Endpoint(IPAddress(v6High: 7, low: 9), port: 4500)
    static let remote = Endpoint(IPAddress(v4: 0x0a00_0001), port: 500)

    @Test func itemsComeOutInOrderWithTheirEndpoints() throws {
        let box = try Mailbox(producers: 2)
        #expect(!isReadable(box))
        #expect(post(box, [1, 2, 3], from: 0))
        #expect(box.post(Mailbox.Hint(kind: 7, first: 8, second: 9), from: 0))
        #expect(post(box, [], from: 0))
        #expect(box.post(Mailbox.Hint(kind: 1), from: 1))
        #expect(isReadable(box))
        var seen: [String] = []
        let count = box.drain { bytes, local, remote in
            seen.append("\(Array(bytes)) \(local) \(remote)")
        } hint: {
            seen.append("\($0.kind) \($0.first) \($0.second)")
        }
        #expect(count == 4)
        #expect(
            seen == [
                "[1, 2, 3] [::7:0:0:0:9]:4500 10.0.0.1:500", "7 8 9", "[] [::7:0:0:0:9]:4500 10.0.0.1:500", "1 0 0",
            ])
        #expect(!isReadable(box))
    }

    @Test(arguments: [0, 1, 63, 64, 65, 1500, 65_535])
    func aFullRingRefusesAndKeepsRoomForHints(_ size: Int) throws {
        let box = try Mailbox(producers: 1)
        let bytes = pattern(size)
        var posted = 0
        // Twice, so that records lie at other places and the ring's end is crossed.
        for _ in 0..<5 {
            posted = 0
            while post(box, bytes, from: 0) { posted += 1 }
            let record = MailboxRing.headerSize + (size + 127) / 128 * 128
            // Full but for the hints' part, one record that did not fit, and one filler.
            #expect(posted * record > (1 << 18) - MailboxRing.hintReserve - 2 * record)
            var hints = 0
            while box.post(Mailbox.Hint(kind: UInt32(hints)), from: 0) { hints += 1 }
            #expect(hints >= 16)
            var received = 0, receivedHints = 0
            box.drain(limit: .max) { datagram, _, _ in
                if datagram.elementsEqual(bytes) { received += 1 }
            } hint: {
                if $0.kind == UInt32(receivedHints) { receivedHints += 1 }
            }
            #expect(received == posted)
            #expect(receivedHints == hints)
        }
    }

    /// Every place at which a record can end leaves room for a filler's header before the ring's end.
    @Test func aFillerAlwaysFits() {
        #expect(MemoryLayout<MailboxRing.Header>.size <= MailboxRing.alignment)
        #expect(MailboxRing.headerSize % MailboxRing.alignment == 0)
    }

    @Test func tooLargeADatagramIsRefused() throws {
        let box = try Mailbox(producers: 1)
        #expect(!post(box, pattern(65_536), from: 0))
        #expect(post(box, pattern(65_535), from: 0))
    }

    @Test func whatIsLeftKeepsTheDescriptorReadable() throws {
        let box = try Mailbox(producers: 1)
        for kind in 0..<10 { #expect(box.post(Mailbox.Hint(kind: UInt32(kind)), from: 0)) }
        var seen: [UInt32] = []
        while isReadable(box) { box.drain(limit: 3, datagram: { _, _, _ in }, hint: { seen.append($0.kind) }) }
        #expect(seen == Array(0..<10))
    }

    /// Producers and a sleeping consumer: nothing lost beyond what was refused, nothing out of order, no wake-up
    /// missed. Run under the thread sanitizer by scripts/sanitize.
    @Test(arguments: [1, 4]) func producersAndASleepingConsumer(_ producers: Int) throws {
        let box = try Mailbox(producers: producers)
        let perProducer = 20_000
        let tally = Tally()
        var threads: [PinnedThread] = []
        for producer in 0..<producers {
            threads.append(
                try PinnedThread(name: "producer\(producer)") {
                    produce(perProducer, into: box, as: producer, tally)
                })
        }
        var newest = [Int](repeating: -1, count: producers)
        var count = 0, disorder = 0, damaged = 0
        let poll = try EventPoll()
        try poll.add(box.descriptor, token: 1)
        while true {
            let isLast = tally.finished.load(ordering: .acquiring) == producers
            // A missed wake-up would leave items behind: the wait would time out while something is in the box.
            if !isLast, poll.wait(until: MonotonicClock.now() + .seconds(5)) == 0 { break }
            let drained = box.drain(limit: 100) { bytes, _, _ in
                count += 1
                let producer = Int(bytes.load(as: UInt64.self))
                let index = Int(bytes.load(fromByteOffset: 8, as: UInt64.self))
                if newest[producer] >= index { disorder += 1 }
                newest[producer] = index
                let isWhole = bytes.count == index * 37 % 1900 + 16
                if !isWhole || bytes.dropFirst(16).contains(where: { $0 != UInt8(truncatingIfNeeded: index) }) {
                    damaged += 1
                }
            } hint: { hint in
                count += 1
                if newest[Int(hint.kind)] >= Int(hint.first) { disorder += 1 }
                newest[Int(hint.kind)] = Int(hint.first)
            }
            if isLast, drained == 0 { break }
        }
        for thread in threads { thread.join() }
        #expect(count == tally.accepted.load(ordering: .relaxed))
        #expect(count > 0)
        #expect(disorder == 0)
        #expect(damaged == 0)
    }

    private func isReadable(_ box: Mailbox) -> Bool {
        var request = pollfd(fd: box.descriptor, events: Int16(POLLIN), revents: 0)
        return Glibc.poll(&request, 1, 0) > 0
    }
}

private func post(_ box: Mailbox, _ bytes: [UInt8], from producer: Int) -> Bool {
    bytes.withUnsafeBytes { box.post($0, local: MailboxTests.local, remote: MailboxTests.remote, from: producer) }
}

private final class Tally: Sendable {
    let finished = Atomic(0)
    let accepted = Atomic(0)
}

private func produce(_ count: Int, into box: Mailbox, as producer: Int, _ tally: Tally) {
    var accepted = 0
    for index in 0..<count {
        var bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: index), count: index * 37 % 1900 + 16)
        withUnsafeBytes(of: (UInt64(producer), UInt64(index))) { bytes.replaceSubrange(0..<16, with: $0) }
        let isPosted =
            index % 5 == 0
            ? box.post(Mailbox.Hint(kind: UInt32(producer), first: UInt64(index)), from: producer)
            : post(box, bytes, from: producer)
        if isPosted { accepted += 1 }
        if index % 1000 == 0 { usleep(200) }
    }
    tally.accepted.add(accepted, ordering: .relaxed)
    tally.finished.add(1, ordering: .releasing)
}
