// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

// The virtio-net header before each packet of a TUN queue (virtio 1.2 §5.1.6), little-endian by TUNSETVNETLE:
//
//      0       1        2         4          6            8              10
//      | flags | type   | header  | segment  | checksum   | checksum     | packet…
//      |       |        | length  | size     | start      | offset       |
//
// Decoding trusts nothing: values are passed on as they are, and whoever splits the packet checks them.

/// Bytes to ``PacketOffload`` and back.
enum VirtioHeader {
    /// The header's length in bytes.
    static let size = 10

    // virtio 1.2 §5.1.6, VIRTIO_NET_HDR_*
    static let flagNeedsChecksum: UInt8 = 1
    static let typeNone: UInt8 = 0
    static let typeTCPv4: UInt8 = 1
    static let typeTCPv6: UInt8 = 4
    static let typeUDP: UInt8 = 5
    static let typeBitECN: UInt8 = 0x80

    /// What the ``size`` bytes at `header` say; nil for a kind of super-packet that was never asked for.
    @inline(__always)
    // SAFETY: both pointers are the caller's, with the header's length of bytes behind them, and are not kept.
    static func decode(_ header: UnsafeRawPointer) -> PacketOffload? {
        var offload = PacketOffload()
        let type = unsafe header.load(fromByteOffset: 1, as: UInt8.self)
        switch type & ~typeBitECN {
        case typeNone: offload.segmentation = .none
        case typeTCPv4: offload.segmentation = .tcpV4
        case typeTCPv6: offload.segmentation = .tcpV6
        case typeUDP: offload.segmentation = .udp
        default: return nil
        }
        offload.ecn = type & typeBitECN != 0
        offload.needsChecksum = unsafe header.load(as: UInt8.self) & flagNeedsChecksum != 0
        offload.headerLength = unsafe header.loadLittleEndian(at: 2)
        offload.segmentSize = unsafe header.loadLittleEndian(at: 4)
        offload.checksumStart = unsafe header.loadLittleEndian(at: 6)
        offload.checksumOffset = unsafe header.loadLittleEndian(at: 8)
        return offload
    }

    /// Writes ``size`` bytes at `header`.
    @inline(__always)
    static func encode(_ offload: PacketOffload, to header: UnsafeMutableRawPointer) {
        let type: UInt8 =
            switch offload.segmentation {
            case .none: typeNone
            case .tcpV4: typeTCPv4
            case .tcpV6: typeTCPv6
            case .udp: typeUDP
            }
        unsafe header.storeBytes(of: offload.needsChecksum ? flagNeedsChecksum : 0, as: UInt8.self)
        unsafe header.storeBytes(
            of: offload.ecn ? type | typeBitECN : type, toByteOffset: 1, as: UInt8.self)
        unsafe header.storeBytes(of: offload.headerLength.littleEndian, toByteOffset: 2, as: UInt16.self)
        unsafe header.storeBytes(of: offload.segmentSize.littleEndian, toByteOffset: 4, as: UInt16.self)
        unsafe header.storeBytes(of: offload.checksumStart.littleEndian, toByteOffset: 6, as: UInt16.self)
        unsafe header.storeBytes(of: offload.checksumOffset.littleEndian, toByteOffset: 8, as: UInt16.self)
    }
}

extension UnsafeRawPointer {
    @inline(__always)
    fileprivate func loadLittleEndian(at offset: Int) -> UInt16 {
        UInt16(littleEndian: unsafe loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }
}
