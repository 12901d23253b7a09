// SPDX-License-Identifier: Apache-2.0
// Adit: AditTests

import AditLinux

/// A packet device on which nothing ever arrives, and which takes whatever it is given.
final class SilentDevice: PacketDevice, @unchecked Sendable {
    private let never: WakeUp

    init() throws { never = try WakeUp() }

    var descriptor: CInt { never.descriptor }
    var capabilities: DeviceCapabilities { [] }

    func read(into batch: PacketBatch) -> DeviceResult {
        batch.count = 0
        return .wouldBlock
    }

    func write(_ pieces: UnsafeBufferPointer<PacketPiece>, offload: PacketOffload) -> DeviceResult { .done }
}
