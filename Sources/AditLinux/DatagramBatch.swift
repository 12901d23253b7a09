// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

public import AditWire

/// Received datagrams: runs of equal-size datagrams of one sender, as UDP GRO delivers them. One worker's, not
/// thread-safe.
@safe public final class DatagramBatch {
    /// One run of datagrams from one sender.
    public struct Run {
        /// Where the first byte lies, from ``DatagramBatch/base``.
        public var offset: Int
        /// Bytes of the whole run.
        public var length: Int
        /// Bytes of each datagram but the last, which may be shorter; equal to ``length`` for a single one.
        public var segmentSize: Int
        /// The sender.
        public var remote: Endpoint
        /// The local address and port it was sent to.
        public var local: Endpoint
        /// The outer traffic class byte (DSCP and ECN).
        public var trafficClass: UInt8

        /// A run.
        @inlinable public init(
            offset: Int, length: Int, segmentSize: Int, remote: Endpoint, local: Endpoint, trafficClass: UInt8
        ) {
            self.offset = offset
            self.length = length
            self.segmentSize = segmentSize
            self.remote = remote
            self.local = local
            self.trafficClass = trafficClass
        }
    }

    /// How many runs fit.
    public let capacity: Int
    /// Bytes from one run's buffer to the next's.
    public let stride: Int
    /// The block; run `i` was received at `i * stride`.
    public let base: UnsafeMutableRawPointer
    /// The runs in use are `runs[0 ..< count]`.
    public let runs: UnsafeMutablePointer<Run>
    /// How many runs are in use. Beside them in memory: a class's own variable would be checked for exclusive access
    /// at each use.
    @inlinable public var count: Int {
        get { unsafe counter.pointee }
        set { unsafe counter.pointee = newValue }
    }
    @usableFromInline let counter: UnsafeMutablePointer<Int>

    /// The largest run.
    public static let runLimit = 65_536

    /// A batch of `capacity` runs.
    public init(capacity: Int) {
        self.capacity = capacity
        stride = Self.runLimit + 256
        let nowhere = Endpoint(IPAddress(v4: 0), port: 0)
        // SAFETY: both blocks live as long as the batch and are freed only in deinit; the second is the count with the
        // runs behind it.
        unsafe base = .allocate(byteCount: capacity * stride, alignment: 64)
        let table = UnsafeMutableRawPointer.allocate(
            byteCount: 64 + capacity * MemoryLayout<Run>.stride, alignment: 64)
        unsafe counter = table.bindMemory(to: Int.self, capacity: 1)
        unsafe counter.initialize(to: 0)
        unsafe runs = (table + 64).bindMemory(to: Run.self, capacity: capacity)
        unsafe runs.initialize(
            repeating: Run(offset: 0, length: 0, segmentSize: 0, remote: nowhere, local: nowhere, trafficClass: 0),
            count: capacity)
    }

    deinit {
        unsafe base.deallocate()
        unsafe UnsafeMutableRawPointer(counter).deallocate()
    }
}

/// Datagrams to be sent: runs of equal-size datagrams to one peer (the last may be shorter). One worker's, not
/// thread-safe.
@unsafe public struct OutgoingRun {
    /// Where the first byte lies.
    public var start: UnsafeRawPointer
    /// Bytes of the whole run.
    public var length: Int
    /// Bytes of each datagram but the last; equal to ``length`` for a single one.
    public var segmentSize: Int
    /// The peer.
    public var remote: Endpoint
    /// The local address to send from; unspecified lets the system choose.
    public var local: IPAddress
    /// The outer traffic class byte (DSCP and ECN).
    public var trafficClass: UInt8

    /// A run.
    @inlinable public init(
        start: UnsafeRawPointer, length: Int, segmentSize: Int, remote: Endpoint, local: IPAddress, trafficClass: UInt8
    ) {
        unsafe self.start = start
        unsafe self.length = length
        unsafe self.segmentSize = segmentSize
        unsafe self.remote = remote
        unsafe self.local = local
        unsafe self.trafficClass = trafficClass
    }
}
