// SPDX-License-Identifier: Apache-2.0
// Adit: AditESP

internal import AditWire
internal import Synchronization

/// The readers' side of outbound policy: the hash tables of ``PolicyTable``, most specific shape first, immutable.
@safe struct PolicyDirectory {
    /// A hash table and the shape of its blocks.
    @safe struct Listing {
        let shape: PolicyBlock.Shape
        let root: UnsafeMutablePointer<Atomic<UInt>>
    }

    @safe private struct Entry {
        let localHigh: UInt64
        let localLow: UInt64
        let remoteHigh: UInt64
        let remoteLow: UInt64
        let root: UnsafeMutablePointer<Atomic<UInt>>
    }

    private struct Header {
        let v4Count: Int
        let v6Count: Int
    }

    /// The run's address.
    let base: UnsafeMutableRawPointer

    /// A published directory.
    @inline(__always) init(_ base: UnsafeMutableRawPointer) { unsafe self.base = base }

    /// A new run; freed through ``base``.
    init(_ listings: [Listing]) {
        let sorted = listings.sorted { left, right in
            let (a, b) = (left.shape, right.shape)
            if a.family != b.family { return a.family == .v4 }
            return (a.remoteLength, a.localLength) > (b.remoteLength, b.localLength)
        }
        let length = MemoryLayout<Header>.stride + listings.count * MemoryLayout<Entry>.stride
        // SAFETY: header and entries are trivial and initialized before anyone sees the run.
        unsafe base = .allocate(byteCount: length, alignment: 64)
        let v4Count = sorted.count { $0.shape.family == .v4 }
        unsafe base.initializeMemory(
            as: Header.self, to: Header(v4Count: v4Count, v6Count: listings.count - v4Count))
        for (index, listing) in sorted.enumerated() {
            let shape = listing.shape
            let local = Self.mask(shape.family, Int(shape.localLength))
            let remote = Self.mask(shape.family, Int(shape.remoteLength))
            unsafe (entries + index).initialize(
                to: Entry(
                    localHigh: local.high, localLow: local.low, remoteHigh: remote.high, remoteLow: remote.low,
                    root: listing.root))
        }
    }

    /// The most specific rule's target for an outbound packet: its source is local, its destination remote.
    func target(for flow: FlowKey) -> PolicyTarget {
        let header = unsafe base.assumingMemoryBound(to: Header.self)
        let isV4 = flow.family == .v4
        var entry = unsafe isV4 ? entries : entries + header.pointee.v4Count
        let count = unsafe isV4 ? header.pointee.v4Count : header.pointee.v6Count
        for _ in 0..<count {
            let localHigh = unsafe flow.sourceHigh & entry.pointee.localHigh
            let localLow = unsafe flow.sourceLow & entry.pointee.localLow
            let remoteHigh = unsafe flow.destinationHigh & entry.pointee.remoteHigh
            let remoteLow = unsafe flow.destinationLow & entry.pointee.remoteLow
            let hash = PolicyBlock.hash(localHigh, localLow, remoteHigh, remoteLow)
            // SAFETY: the reader's epoch keeps directory, tables and buckets alive until its next batch boundary.
            let word = unsafe entry.pointee.root.pointee.load(ordering: .acquiring)
            if let block = unsafe UnsafeMutableRawPointer(bitPattern: word) {
                let table = unsafe ProbeTable(block)
                var cursor = table.start(hash)
                while let bucket = PolicyBucket(table.next(hash, &cursor)) {
                    guard bucket.isAbout(localHigh, localLow, remoteHigh, remoteLow) else { continue }
                    let target = bucket.target(for: flow)
                    if target != .none { return target }
                    break
                }
            }
            unsafe entry += 1
        }
        return .none
    }

    @inline(__always) private var entries: UnsafeMutablePointer<Entry> {
        unsafe (base + MemoryLayout<Header>.stride).assumingMemoryBound(to: Entry.self)
    }

    private static func mask(_ family: IPAddress.Family, _ length: Int) -> (high: UInt64, low: UInt64) {
        switch family {
        case .v4: return (0, length == 0 ? 0 : (UInt64.max << UInt64(32 - length)) & 0xffff_ffff)
        case .v6:
            let high = length == 0 ? 0 : length >= 64 ? UInt64.max : UInt64.max << UInt64(64 - length)
            let low = length <= 64 ? 0 : UInt64.max << UInt64(128 - length)
            return (high, low)
        }
    }
}
