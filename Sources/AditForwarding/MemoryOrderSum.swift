// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwarding

/// The Internet checksum's sum (RFC 1071) over bytes as they lie in memory, before folding.
///
/// RFC 1071 §2(B): the sum is independent of byte order, so words are added as the machine loads them and the folded
/// result is stored as it is. Pieces may be summed apart when each begins at an even offset. Field values in host
/// order are added by ``add(_:)-(UInt16)``. 64 bits never overflow here: a packet has fewer than 2^16 bytes, so
/// fewer than 2^14 words.
struct MemoryOrderSum {
    private var value: UInt64 = 0

    @inline(__always) init() {}

    /// The sum of `bytes`.
    @inline(__always) init(_ bytes: PacketBytes) { add(bytes) }

    /// Adds a 16-bit field given in host order.
    @inline(__always) mutating func add(_ field: UInt16) { value &+= UInt64(field.bigEndian) }

    /// Adds a 32-bit field given in host order.
    @inline(__always) mutating func add(_ field: UInt32) { value &+= UInt64(field.bigEndian) }

    /// Adds another sum.
    @inline(__always) mutating func add(_ other: MemoryOrderSum) { value &+= other.value }

    /// Adds `bytes`, which begin at an even offset of what is summed.
    @inline(__always) mutating func add(_ bytes: PacketBytes) {
        // SAFETY: reads exactly the lent bytes.
        value &+= unsafe sum(bytes.start, bytes.count)
    }

    /// Copies `source` over `destination`'s beginning and adds its bytes, in one pass while they are hot.
    @inline(__always) mutating func addCopying(_ source: PacketBytes, to destination: PacketBytes) {
        precondition(destination.count >= source.count, "copy past the end")
        // SAFETY: the check above bounds the store; source and destination belong to different buffers.
        value &+= unsafe sumCopying(source.start, destination.start, source.count)
    }

    /// The folded 16-bit sum in memory order, to be stored as it is.
    @inline(__always) var folded: UInt16 {
        var folded = (value & 0xffff_ffff) &+ (value >> 32)
        folded = (folded & 0xffff) &+ (folded >> 16)
        folded = (folded & 0xffff) &+ (folded >> 16)
        folded = (folded & 0xffff) &+ (folded >> 16)
        return UInt16(truncatingIfNeeded: (folded & 0xffff) &+ (folded >> 16))
    }

    /// The checksum: the complement of ``folded``.
    @inline(__always) var checksum: UInt16 { ~folded }

    /// UDP's checksum: 0 means that there is none, so it is sent as all ones (RFC 768, RFC 8200 §8.1).
    @inline(__always) var udpChecksum: UInt16 { checksum == 0 ? 0xffff : checksum }
}

private typealias Lanes = SIMD2<UInt64>

// SAFETY of the three functions below: every load and store is inside the `count` bytes that the caller checked.

/// 64 bytes a step in two accumulators, each 64-bit lane split into halves so that no carry is lost.
@inline(never) private func sum(_ bytes: UnsafeMutableRawPointer, _ count: Int) -> UInt64 {
    let lowHalves = Lanes(repeating: 0xffff_ffff)
    var low = Lanes.zero
    var high = Lanes.zero
    var offset = 0
    while offset &+ 64 <= count {
        for lane in 0..<4 {
            let word = unsafe bytes.loadUnaligned(fromByteOffset: offset &+ lane &* 16, as: Lanes.self)
            low &+= word & lowHalves
            high &+= word &>> 32
        }
        offset &+= 64
    }
    low &+= high
    return unsafe low[0] &+ low[1] &+ sumRest(bytes + offset, count &- offset)
}

@inline(never) private func sumCopying(
    _ source: UnsafeMutableRawPointer, _ destination: UnsafeMutableRawPointer, _ count: Int
) -> UInt64 {
    let lowHalves = Lanes(repeating: 0xffff_ffff)
    var low = Lanes.zero
    var high = Lanes.zero
    var offset = 0
    while offset &+ 64 <= count {
        for lane in 0..<4 {
            let word = unsafe source.loadUnaligned(fromByteOffset: offset &+ lane &* 16, as: Lanes.self)
            unsafe destination.storeBytes(of: word, toByteOffset: offset &+ lane &* 16, as: Lanes.self)
            low &+= word & lowHalves
            high &+= word &>> 32
        }
        offset &+= 64
    }
    low &+= high
    unsafe (destination + offset).copyMemory(from: source + offset, byteCount: count &- offset)
    return unsafe low[0] &+ low[1] &+ sumRest(source + offset, count &- offset)
}

@inline(__always) private func sumRest(_ bytes: UnsafeMutableRawPointer, _ count: Int) -> UInt64 {
    var total: UInt64 = 0
    var offset = 0
    while offset &+ 8 <= count {
        let word = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        total &+= (word & 0xffff_ffff) &+ (word >> 32)
        offset &+= 8
    }
    if offset &+ 4 <= count {
        total &+= UInt64(unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        offset &+= 4
    }
    if offset &+ 2 <= count {
        total &+= UInt64(unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
        offset &+= 2
    }
    if offset < count {
        // RFC 1071 §4.1: an odd last byte is the first of a word whose second is zero.
        total &+= UInt64(UInt16(unsafe bytes.load(fromByteOffset: offset, as: UInt8.self)).littleEndian)
    }
    return total
}
