// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwarding

internal import AditLinux

// A checksum that the kernel left to be finished: the field holds the pseudo-header's sum, so summing it with the
// bytes that it covers gives the whole (virtio 1.2 §5.1.6.2).
extension PacketBytes {
    /// Whether the checksum field that `offload` names lies in the packet behind an IP header.
    @inline(__always) func holdsChecksum(_ offload: PacketOffload) -> Bool {
        let start = Int(offload.checksumStart)
        let offset = Int(offload.checksumOffset)
        return start >= 20 && start & 1 == 0 && offset & 1 == 0 && start &+ offset &+ 2 <= count
    }

    /// Copies the packet to `destination`, which has room for it, with its checksum finished.
    @inline(__always) func writeFinished(_ offload: PacketOffload, to destination: PacketBytes) {
        guard offload.needsChecksum else {
            destination.copy(self, to: 0)
            return
        }
        let start = Int(offload.checksumStart)
        destination.copy(slice(0, start), to: 0)
        var sum = MemoryOrderSum()
        sum.addCopying(suffix(from: start), to: destination.suffix(from: start))
        destination.store(sum, offload)
    }

    /// Finishes the checksum in place; false when the fields lie.
    func finishChecksum(_ offload: PacketOffload) -> Bool {
        guard holdsChecksum(offload) else { return false }
        var sum = MemoryOrderSum()
        sum.add(suffix(from: Int(offload.checksumStart)))
        store(sum, offload)
        return true
    }

    @inline(__always) private func store(_ sum: MemoryOrderSum, _ offload: PacketOffload) {
        let isUDP = offload.checksumOffset == 6
        setRaw(
            isUDP ? sum.udpChecksum : sum.checksum, at: Int(offload.checksumStart) &+ Int(offload.checksumOffset))
    }
}
