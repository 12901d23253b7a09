// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

// Sending, for each call of `send`:
//
//  1. Each run becomes messages of at most 64 segments and 64 KB, for the socket of the peer's family or of the local
//     address.
//  2. Messages for the same socket leave in one sendmmsg.
//  3. A full buffer is waited for a moment, then the message is lost: queues drop, they do not grow.
//  4. A refused UDP_SEGMENT message is sent again datagram by datagram. When that works, the socket cannot segment
//     (EIO, EINVAL: a device without checksum offload, an old kernel) and is not asked again for a while; when it is
//     too large for the path (EMSGSIZE, before Linux 6.14 EINVAL), the peer is noted, and what no tunnel MTU could make
//     smaller leaves in fragments.
//
// Threading: one thread at a time; nothing is allocated or locked after the initialiser.

public import AditWire
internal import CLinux
internal import Glibc

/// The sockets of one worker. Used by one thread at a time.
@safe public final class UDPTransport: DatagramTransport, @unchecked Sendable {
    /// The sockets' descriptors.
    public let descriptors: [CInt]
    /// Datagrams that were received but were empty, cut off or from an unknown family.
    public var unreadable: UInt64 { unsafe unreadableCount.pointee }

    /// The most messages of one recvmmsg or sendmmsg.
    public static let messageLimit = 32
    /// The most datagrams of one UDP_SEGMENT message (UDP_MAX_SEGMENTS of every kernel that has it).
    public static let segmentLimit = 64
    /// The most bytes of one UDP_SEGMENT message, for IPv4 and IPv6.
    public static let messageSizeLimit = 65_487
    /// How long one call waits for room in a full socket buffer: at most so many times so many milliseconds.
    static let roomWaits = 2
    static let roomWaitMilliseconds: CInt = 5
    /// After so many refusals in a row without a success the socket is not asked to segment for a while.
    static let refusalLimit = 4
    /// That while, in runs of several datagrams: then the reason may be gone, and one refusal more costs little.
    static let restLimit = 1024
    /// Datagrams of at most so many bytes leave in fragments when the path is still smaller: what the smallest tunnel
    /// MTU (1,280 bytes) makes with any suite. So a narrow path, or an ICMP message that pretends one, stops nothing.
    static let fragmentLimit = 1408
    /// How often in a row one socket is read before the others get their turn.
    static let streakLimit = 8

    /// A socket as the hot path sees it.
    private struct Lane {
        let socket: BoundSocket
        var segments: Bool
        var refusals = 0
        /// How many runs are still sent datagram by datagram before the socket is asked again; 0 asks never.
        var rest = 0
    }

    private let owners: [UDPSocket]
    private let setsDF: Bool
    private let lanes: UnsafeMutablePointer<Lane>
    private let laneCount: Int
    private let incoming = MessageBuffers(capacity: messageLimit)
    private let outgoing = MessageBuffers(capacity: messageLimit)
    private let pending: UnsafeMutablePointer<OutgoingRun>
    /// In memory of its own: a class's variable would be checked for exclusive access at each use.
    private let unreadableCount: UnsafeMutablePointer<UInt64>
    private var pendingCount = 0
    private var pendingLane = 0
    private var currentLane = 0
    private var streak = 0
    private var waitsLeft = 0
    private var oversized: Endpoint?
    /// How many datagrams were too large for the path.
    private var oversizedCount: UInt64 = 0
    /// Stands between the kernel and what is made of a refused message; tests pretend an older kernel by it.
    var refusal: (CInt) -> CInt = { $0 }

    init(_ sockets: [UDPSocket], options: UDPOptions) {
        owners = sockets
        setsDF = options.pathMTU == .discover
        descriptors = sockets.map(\.bound.descriptor)
        laneCount = sockets.count
        // SAFETY: the blocks live as long as the transport and are freed only in deinit; no element owns anything.
        unsafe unreadableCount = .allocate(capacity: 1)
        unsafe unreadableCount.initialize(to: 0)
        unsafe lanes = .allocate(capacity: max(sockets.count, 1))
        unsafe pending = .allocate(capacity: Self.messageLimit)
        for (index, socket) in sockets.enumerated() {
            let lane = Lane(socket: socket.bound, segments: options.segmentation && socket.hasSegmentation())
            unsafe (lanes + index).initialize(to: lane)
        }
    }

    deinit {
        unsafe lanes.deallocate()
        unsafe pending.deallocate()
        unsafe unreadableCount.deallocate()
    }

    /// Whether every socket sends runs by UDP_SEGMENT now.
    public var isSegmenting: Bool { (0..<laneCount).allSatisfy { unsafe lanes[$0].segments } }

    /// The peer of the last datagram refused as too large for the path (EMSGSIZE) since the last call, so that its MTU
    /// is asked for by ``PathQuery/mtu(to:)``.
    public func takeOversizedPeer() -> Endpoint? {
        defer { oversized = nil }
        return oversized
    }

    /// One `recvmmsg` of the socket that had something last, of the others when it has nothing.
    public func receive(into batch: DatagramBatch) -> DeviceResult {
        batch.count = 0
        if streak >= Self.streakLimit { turn() }
        for _ in 0..<laneCount {
            let code = receive(into: batch, from: unsafe lanes[currentLane].socket)
            if batch.count > 0 {
                streak += 1
                return .done
            }
            // An error that a socket reports is that of an earlier datagram; the next one may still be there.
            guard code == 0 || code == EAGAIN else { return .failed(code) }
            turn()
        }
        return .wouldBlock
    }

    private func turn() {
        streak = 0
        currentLane = currentLane + 1 < laneCount ? currentLane + 1 : 0
    }

    private func receive(into batch: DatagramBatch, from socket: BoundSocket) -> CInt {
        let room = min(batch.capacity, Self.messageLimit)
        for index in 0..<room {
            // SAFETY: run `index` of the batch may use `stride` bytes, which are more than `runLimit`.
            unsafe incoming.prepareToReceive(
                index, at: batch.base + index * batch.stride, length: DatagramBatch.runLimit)
        }
        let (filled, code) = incoming.receive(room, from: socket.descriptor)
        var count = 0
        for index in 0..<filled {
            guard var run = incoming.received(index, on: socket) else {
                unsafe unreadableCount.pointee &+= 1
                continue
            }
            run.offset = index * batch.stride
            unsafe batch.runs[count] = run
            count += 1
        }
        batch.count = count
        return code
    }

    /// Sends every run, by UDP_SEGMENT where the socket can.
    public func send(_ runs: UnsafeBufferPointer<OutgoingRun>) -> Int {
        var lost = 0
        waitsLeft = Self.roomWaits
        for index in runs.indices {
            // SAFETY: the caller lends the runs' bytes for the call.
            let run = unsafe runs[index]
            let isSendable = unsafe run.length > 0 && run.segmentSize > 0
            guard isSendable, let lane = unsafe lane(for: run.remote.address, local: run.local) else {
                unsafe lost += Self.datagrams(of: run)
                continue
            }
            if lane != pendingLane { lost += flush() }
            pendingLane = lane
            unsafe lost += append(run)
        }
        return lost + flush()
    }

    /// Cuts `run` into messages; returns what was lost when they had to be flushed.
    private func append(_ run: OutgoingRun) -> Int {
        var lost = 0
        let size = unsafe run.segmentSize
        if unsafe lanes[pendingLane].rest > 0, unsafe run.length > size { rest() }
        let most = unsafe lanes[pendingLane].segments ? min(Self.segmentLimit, Self.messageSizeLimit / size) : 1
        let step = max(most, 1) * size
        var offset = 0
        while unsafe offset < run.length {
            if pendingCount == Self.messageLimit { lost += flush() }
            var part = unsafe run
            unsafe part.start = unsafe run.start + offset
            unsafe part.length = unsafe min(step, run.length - offset)
            unsafe pending[pendingCount] = unsafe part
            unsafe prepare(pendingCount, part, segmentSize: part.length > size ? size : 0)
            pendingCount += 1
            unsafe offset += part.length
        }
        return lost
    }

    /// One run less until the socket is asked to segment again.
    @inline(never) private func rest() {
        unsafe lanes[pendingLane].rest -= 1
        guard unsafe lanes[pendingLane].rest == 0 else { return }
        unsafe lanes[pendingLane].segments = true
        unsafe lanes[pendingLane].refusals = Self.refusalLimit - 1
    }

    private func flush() -> Int {
        let end = pendingCount
        pendingCount = 0
        let descriptor = unsafe lanes[pendingLane].socket.descriptor
        var lost = 0
        var first = 0
        while first < end {
            let (sent, code) = outgoing.send(first, end, on: descriptor)
            if code == 0 {
                unsafe lanes[pendingLane].refusals = 0
                first += max(sent, 1)
            } else if code != EAGAIN || !waitForRoom(descriptor) {
                lost += resend(first, after: refusal(code))
                first += 1
            }
        }
        return lost
    }

    /// What becomes of a refused message: sent again datagram by datagram when that can help. Returns how many were
    /// lost.
    private func resend(_ index: Int, after code: CInt) -> Int {
        let run = unsafe pending[index]
        let count = unsafe Self.datagrams(of: run)
        guard count > 1, Self.mayMeanNoSegmentation(code) else {
            return unsafe code == EMSGSIZE && sendTooLarge(index, run) == 0 ? 0 : count
        }
        var sent = 0
        let oversizedBefore = oversizedCount
        for position in 0..<count {
            var part = unsafe run
            let offset = unsafe position * run.segmentSize
            unsafe part.start = unsafe run.start + offset
            unsafe part.length = unsafe min(run.segmentSize, run.length - offset)
            let code = unsafe sendAlone(index, part)
            if code == 0 { sent += 1 }
            // The first one alone is refused too: segmentation is not the reason, and the others would fare no better.
            if code != 0, position == 0 { return count }
        }
        // Then the path was the reason: an ICMP message, which anybody can forge, switches nothing off.
        if code != EMSGSIZE, oversizedCount == oversizedBefore { countRefusal() }
        return count - sent
    }

    private func countRefusal() {
        unsafe lanes[pendingLane].refusals += 1
        guard unsafe lanes[pendingLane].refusals >= Self.refusalLimit else { return }
        unsafe lanes[pendingLane].segments = false
        unsafe lanes[pendingLane].rest = Self.restLimit
    }

    /// Sends a single datagram by message `index`; returns the errno.
    private func sendAlone(_ index: Int, _ run: OutgoingRun) -> CInt {
        let descriptor = unsafe lanes[pendingLane].socket.descriptor
        unsafe prepare(index, run, segmentSize: 0)
        var code = outgoing.send(index, index + 1, on: descriptor).code
        if code == EAGAIN, waitForRoom(descriptor) { code = outgoing.send(index, index + 1, on: descriptor).code }
        return code == EMSGSIZE ? unsafe sendTooLarge(index, run) : code
    }

    /// Notes the peer of a datagram that is too large for the path, and sends it in fragments when it is small enough
    /// (RFC 4301 §8.1: DF is clear on what would otherwise never arrive).
    private func sendTooLarge(_ index: Int, _ run: OutgoingRun) -> CInt {
        oversized = unsafe run.remote
        oversizedCount &+= 1
        let socket = unsafe lanes[pendingLane].socket
        guard setsDF, unsafe run.length <= Self.fragmentLimit, UDPSocket.allowFragments(true, on: socket) else {
            return EMSGSIZE
        }
        unsafe prepare(index, run, segmentSize: 0)
        let code = outgoing.send(index, index + 1, on: socket.descriptor).code
        _ = UDPSocket.allowFragments(false, on: socket)
        return code
    }

    private static func mayMeanNoSegmentation(_ code: CInt) -> Bool {
        code == EIO || code == EINVAL || code == ENOPROTOOPT || code == EOPNOTSUPP || code == EMSGSIZE
    }

    @inline(__always)
    private func prepare(_ index: Int, _ run: OutgoingRun, segmentSize: Int) {
        unsafe outgoing.prepareToSend(
            index, start: run.start, length: run.length, segmentSize: segmentSize, remote: run.remote, local: run.local,
            trafficClass: run.trafficClass, on: lanes[pendingLane].socket)
    }

    private func waitForRoom(_ descriptor: CInt) -> Bool {
        guard waitsLeft > 0 else { return false }
        waitsLeft -= 1
        var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return unsafe poll(&request, 1, Self.roomWaitMilliseconds) > 0
    }

    @inline(__always)
    private func lane(for remote: IPAddress, local: IPAddress) -> Int? {
        var fitting: Int?
        for index in 0..<laneCount {
            let socket = unsafe lanes[index].socket
            guard socket.family == remote.family else { continue }
            if socket.address == local { return index }
            if fitting == nil { fitting = index }
        }
        return fitting
    }

    @inline(__always)
    private static func datagrams(of run: OutgoingRun) -> Int {
        unsafe run.segmentSize > 0 ? max(1, (run.length + run.segmentSize - 1) / run.segmentSize) : 1
    }
}
