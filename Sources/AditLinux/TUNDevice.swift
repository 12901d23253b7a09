// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

/// Which offloads a TUN device is asked for and has.
public struct TUNOffloads: OptionSet, Hashable, Sendable {
    /// The bits.
    public let rawValue: UInt8
    /// From bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// Unfinished checksums; every other one needs it.
    public static let checksum = TUNOffloads(rawValue: 1)
    /// TCP over IPv4 super-packets.
    public static let tcpV4 = TUNOffloads(rawValue: 2)
    /// TCP over IPv6 super-packets.
    public static let tcpV6 = TUNOffloads(rawValue: 4)
    /// TCP super-packets with CWR.
    public static let tcpECN = TUNOffloads(rawValue: 8)
    /// UDP over IPv4 super-packets.
    public static let udpV4 = TUNOffloads(rawValue: 16)
    /// UDP over IPv6 super-packets.
    public static let udpV6 = TUNOffloads(rawValue: 32)
    /// Everything.
    public static let all: TUNOffloads = [.checksum, .tcpV4, .tcpV6, .tcpECN, .udpV4, .udpV6]
}

/// A TUN interface, created or adopted, with one queue for each worker. The interface goes away with the last queue,
/// unless it existed before.
public final class TUNDevice: Sendable {
    /// What to open.
    public struct Options: Sendable {
        /// The interface's name, 1 to 15 bytes; `%d` in it lets the kernel choose a number.
        public var name: String
        /// How many queues, 1 to 256.
        public var queues: Int
        /// The offloads to ask for; what the kernel lacks is left out.
        public var offloads: TUNOffloads

        /// Options.
        public init(name: String, queues: Int = 1, offloads: TUNOffloads = .all) {
            self.name = name
            self.queues = queues
            self.offloads = offloads
        }
    }

    /// The interface's name.
    public let name: String
    /// The interface's index.
    public let index: UInt32
    /// Whether the interface existed before and stays.
    public let isAdopted: Bool
    /// The offloads that the kernel gave.
    public let offloads: TUNOffloads
    /// The queues; each is used by one thread at a time.
    public let queues: [TUNQueue]

    /// Creates the interface, or adopts it when it exists.
    public init(_ options: Options) throws(SystemError) { fatalError("filled in by linux") }

    /// Whether a TUN device can be opened here, else the error with its remedy.
    public static func probe() -> SystemError? { fatalError("filled in by linux") }
}

/// One queue of a TUN device. Used by one thread at a time.
public final class TUNQueue: PacketDevice, @unchecked Sendable {
    /// The queue's descriptor.
    public let descriptor: CInt
    /// Which super-packets may be written.
    public let capabilities: DeviceCapabilities

    init(descriptor: CInt, offloads: TUNOffloads) { fatalError("filled in by linux") }

    /// One read for each slot until nothing is there or the batch is full.
    public func read(into batch: PacketBatch) -> DeviceResult { fatalError("filled in by linux") }

    /// One `writev` of the virtio header and the pieces.
    public func write(_ pieces: UnsafeBufferPointer<PacketPiece>, offload: PacketOffload) -> DeviceResult {
        fatalError("filled in by linux")
    }
}
