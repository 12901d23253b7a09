// SPDX-License-Identifier: Apache-2.0
// Adit: AditESP

public import AditWire
internal import Synchronization

/// One worker's view of the ``SATable``. Used by one thread at a time; lookups are acquire loads only.
///
/// What it returns is good until the next ``quiescent()`` or ``enterIdle()``. A new reader is idle.
@safe public final class SAReader: @unchecked Sendable {
    // SAFETY (@unchecked Sendable): made by control, then one worker's; what is shared is atomic.

    private struct State {
        /// The policy generation that this batch uses.
        var generation: UInt64
        /// The drain of hints that this batch belongs to.
        var tick: UInt64
    }

    /// The worker's number: 0 up to the number of workers.
    public let worker: Int

    private let roots: SharedRoots
    private let words: UnsafeMutablePointer<SharedRoots.Words>
    private let reclamation: Reclamation
    private let ring: HintRing
    private let cache: FlowCache
    private let state: UnsafeMutablePointer<State>

    init(worker: Int, roots: SharedRoots) {
        self.worker = worker
        self.roots = roots
        unsafe words = roots.words
        reclamation = roots.reclamation
        ring = roots.rings[worker]
        cache = FlowCache()
        // SAFETY: freed in deinit; this worker's alone.
        unsafe state = .allocate(capacity: 1)
        unsafe state.initialize(to: State(generation: 0, tick: 0))
    }

    deinit {
        enterIdle()
        cache.deallocate()
        unsafe state.deallocate()
    }

    /// The inbound SA with this SPI (RFC 4303 §3.4.2); nil when there is none.
    public func inbound(_ spi: SPI) -> UnsafeMutablePointer<InboundSA>? {
        // SAFETY: table and SA are kept alive by this worker's announced epoch.
        let root = unsafe words.pointee.inbound.load(ordering: .acquiring)
        guard let block = unsafe UnsafeMutableRawPointer(bitPattern: root) else { return nil }
        let table = unsafe ProbeTable(block)
        let key = UInt64(spi.rawValue)
        var cursor = table.start(key)
        while let sa = unsafe UnsafeMutablePointer<InboundSA>(bitPattern: table.next(key, &cursor)) {
            if unsafe sa.pointee.spi == spi { return unsafe sa }
        }
        return nil
    }

    /// What is to happen to an outbound packet (RFC 4301 §5.1): the most specific policy decides.
    public func outbound(for flow: FlowKey) -> OutboundVerdict {
        let index = FlowCache.index(flow)
        let generation = unsafe state.pointee.generation
        if let target = cache.target(for: flow, at: index, generation: generation) { return unsafe target.verdict }
        return unsafe search(flow, index, generation)
    }

    /// A batch boundary: no pointer from an earlier lookup is used afterwards.
    public func quiescent() {
        reclamation.announce(worker)
        refresh()
    }

    /// Before sleeping: no pointer from an earlier lookup is used afterwards, and nothing is looked up.
    public func enterIdle() { reclamation.sleep(worker) }

    /// After sleeping, before the first lookup.
    public func leaveIdle() {
        reclamation.wake(worker)
        refresh()
    }

    /// The drain of hints that this batch belongs to.
    var tick: UInt64 { @inline(__always) get { unsafe state.pointee.tick } }

    /// Posts a hint to control; false when the ring is full.
    func post(_ hint: SAHint) -> Bool { ring.post(hint) }

    @inline(never) private func search(_ flow: FlowKey, _ index: Int, _ generation: UInt64) -> OutboundVerdict {
        // SAFETY: as for `inbound`.
        let root = unsafe words.pointee.directory.load(ordering: .acquiring)
        guard let block = unsafe UnsafeMutableRawPointer(bitPattern: root) else { return unsafe .drop(.noPolicy) }
        let target = unsafe PolicyDirectory(block).target(for: flow)
        cache.store(target, for: flow, at: index, generation: generation)
        return unsafe target.verdict
    }

    /// After the epoch was announced: a generation seen here is at least as new as that epoch's unpublishing.
    private func refresh() {
        unsafe state.pointee.generation = words.pointee.generation.load(ordering: .acquiring)
        unsafe state.pointee.tick = words.pointee.tick.load(ordering: .relaxed)
    }
}

/// What is to happen to an outbound packet (RFC 4301 §5.1).
@unsafe public enum OutboundVerdict {
    /// Seal with this SA; the pointer is good until the reader's next ``SAReader/quiescent()``.
    case protect(UnsafeMutablePointer<OutboundSA>)
    /// Ask for an SA; hold the packet, or drop it (``DropReason/noSA``).
    case acquire(PolicyID)
    /// Drop.
    case drop(DropReason)
}
