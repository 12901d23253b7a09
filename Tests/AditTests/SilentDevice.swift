// SPDX-License-Identifier: Apache-2.0
// Adit: AditTests

import AditLinux

/// A packet device on which nothing ever arrives, and which takes whatever it is given; or which cannot be read.
final class SilentDevice: PacketDevice, @unchecked Sendable {
    private let never: WakeUp

    private let readError: CInt?

    init(readError: CInt? = nil) throws {
        never = try WakeUp()
        self.readError = readError
        if readError != nil { never.signal() }
    }

    var descriptor: CInt { never.descriptor }
    var capabilities: DeviceCapabilities { [] }

    func read(into batch: PacketBatch) -> DeviceResult {
        batch.count = 0
        return readError.map { .failed($0) } ?? .wouldBlock
    }

    func write(_ pieces: UnsafeBufferPointer<PacketPiece>, offload: PacketOffload) -> DeviceResult { .done }
}
