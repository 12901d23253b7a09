// SPDX-License-Identifier: Apache-2.0
// Adit: AditESP

internal import AditCrypto
public import AditWire
internal import Synchronization

/// The receiving half of a Child SA. Lives in memory that ``SATable`` owns; reached through pointers only.
///
/// Threading: immutable fields are anyone's; `opener`, `window` and the notes belong to the worker ``owner``; counters
/// are written by the owner and read by control; the path is published by control.
@safe public struct InboundSA: ~Copyable {
    /// The SPI that we chose.
    public let spi: SPI
    /// The worker that owns the SA: the only one that may open its packets.
    public let owner: Int
    /// Whether TCP's MSS is to be clamped in packets that arrive here.
    public let clampMSS: Bool

    let esn: Bool
    /// ESP header and IV.
    let headerLength: Int
    let icvLength: Int
    /// What the encrypted text must be a multiple of, less one.
    let blockMask: Int
    let opener: Unmanaged<PacketOpener>
    var window: ReplayWindow
    let localSelectors: SelectorSet
    let remoteSelectors: SelectorSet
    let lifetime: SALifetime

    let packets = Atomic<UInt64>(0)
    let bytes = Atomic<UInt64>(0)
    let currentPath: Atomic<UnsafeMutablePointer<OuterPath>>

    /// The drain in which activity was last told.
    var activityTick: UInt64 = 0
    /// The drain in which a new remote was last told.
    var movedTick: UInt64 = 0
    var toldLifetime = false

    init(_ parameters: ChildSAParameters, owner: Int, opener: PacketOpener, path: UnsafeMutablePointer<OuterPath>) {
        let suite = parameters.suite
        spi = parameters.inboundSPI
        self.owner = owner
        clampMSS = parameters.clampMSS
        esn = parameters.esn
        headerLength = ESPHeader.length + suite.ivLength
        icvLength = suite.icvLength
        blockMask = suite.blockLength - 1
        // SAFETY: retained here, released in deinit; used in between without reference counting.
        unsafe self.opener = Unmanaged.passRetained(opener)
        window = ReplayWindow(size: parameters.replayWindow)
        localSelectors = SelectorSet(parameters.localSelectors)
        remoteSelectors = SelectorSet(parameters.remoteSelectors)
        lifetime = parameters.lifetime
        unsafe currentPath = Atomic(path)
    }

    deinit {
        unsafe opener.release()
        localSelectors.deallocate()
        remoteSelectors.deallocate()
    }

    /// The outer endpoints as control last set them.
    public var path: OuterPath { unsafe currentPath.load(ordering: .acquiring).pointee }
}
