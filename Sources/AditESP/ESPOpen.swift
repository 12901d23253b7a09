// SPDX-License-Identifier: Apache-2.0
// Adit: AditESP

public import AditWire

public enum ESPOpen {
    /// Opens the ESP packet of `length` bytes at `packet` in place.
    public static func open(
        _ packet: UnsafeMutableRawPointer, length: Int, outerTrafficClass: UInt8, sa: UnsafeMutablePointer<InboundSA>, reader: SAReader
    ) -> OpenVerdict { fatalError() }
    /// After ``OpenedPacket/isNewest`` packets: notes where the packet came from, and hints control when that is new.
    public static func noteRemote(_ remote: Endpoint, sa: UnsafeMutablePointer<InboundSA>, reader: SAReader) { fatalError() }
}

/// What became of an ESP packet.
public enum OpenVerdict: Sendable {
    /// The inner packet.
    case packet(OpenedPacket)
    /// Lost.
    case drop(DropReason)
}

/// An inner packet that passed every check.
public struct OpenedPacket: Sendable {
    /// Where it begins, from the ESP header.
    public var offset: Int
    /// Its length by its own header: padding for traffic flow confidentiality is gone.
    public var length: Int
    /// Whether no packet of the SA with a higher sequence number was authenticated before.
    public var isNewest: Bool
}
