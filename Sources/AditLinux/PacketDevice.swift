// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

/// Where inner packets come from and go to: one queue of a TUN device, or an embedder's own source.
///
/// Used by one thread, unless it is ``isFullDuplex``: then by one that reads and one that writes.
public protocol PacketDevice: AnyObject {
    /// A descriptor that is readable as long as ``read(into:)`` would return packets, for the worker's epoll: the
    /// worker may sleep although there are more, and asks only what epoll names.
    var descriptor: CInt { get }

    /// Fills `batch` from its first slot with what is there, without waiting; `batch.count` is 0 when nothing was.
    func read(into batch: PacketBatch) -> DeviceResult

    // SAFETY: the pieces and the bytes they point to are lent for the call.
    /// Writes one packet that lies in `pieces`, in order; a super-packet when `offload` says so.
    func write(_ pieces: UnsafeBufferPointer<PacketPiece>, offload: PacketOffload) -> DeviceResult

    /// Which super-packets ``write(_:offload:)`` takes.
    var capabilities: DeviceCapabilities { get }

    /// Whether one thread may write while another one reads, and a packet may be written to any of several devices;
    /// false unless the device says so.
    var isFullDuplex: Bool { get }

    /// How many packets were read but could not be understood or did not fit; 0 unless the device counts them.
    var unreadable: UInt64 { get }
}

extension PacketDevice {
    /// One thread does both.
    public var isFullDuplex: Bool { false }
    /// Not counted.
    public var unreadable: UInt64 { 0 }
}

/// What a device can do.
public struct DeviceCapabilities: OptionSet, Sendable {
    /// The bits.
    public let rawValue: UInt8
    /// From bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// Unfinished checksums in both directions.
    public static let checksum = DeviceCapabilities(rawValue: 1)
    /// TCP super-packets in both directions.
    public static let tcpSegmentation = DeviceCapabilities(rawValue: 2)
    /// UDP super-packets in both directions.
    public static let udpSegmentation = DeviceCapabilities(rawValue: 4)
}

/// How a device or transport call ended.
public enum DeviceResult: Sendable {
    /// Done.
    case done
    /// Nothing to read, or no room to write now.
    case wouldBlock
    /// The kernel refused with this errno; the packet is lost.
    case failed(CInt)
}
