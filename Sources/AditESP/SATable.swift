// SPDX-License-Identifier: Apache-2.0
// Adit: AditESP

internal import AditCrypto
public import AditWire
internal import Synchronization

// 1. Control makes both halves of a Child SA in memory of their own, then publishes them by release stores.
// 2. Workers find them through an ``SAReader``: inbound by SPI (``ProbeTable``), outbound by policy
// (``PolicyDirectory``).
// 3. Control unpublishes, retires, and frees after every worker passed a batch boundary (``Reclamation``).
// Threading: every method here belongs to the one control thread.

/// The Child SAs and policies of a gateway: one writer, many readers without locks or atomic read-modify-write.
@safe public final class SATable: @unchecked Sendable {
    // SAFETY (@unchecked Sendable): made anywhere, then used by the control thread alone; what workers see is behind
    // `roots`.

    /// What control knows of an installed pair.
    @safe private struct Pair {
        let inbound: UnsafeMutablePointer<InboundSA>
        let outbound: UnsafeMutablePointer<OutboundSA>
        var path: UnsafeMutablePointer<OuterPath>
        let localSelectors: [TrafficSelector]
        let remoteSelectors: [TrafficSelector]
        var order: UInt32
        let replaces: SPI?
        var isSending = false
    }

    /// A configured child.
    private struct Policy {
        let target: PolicyTarget
        let localSelectors: [TrafficSelector]
        let remoteSelectors: [TrafficSelector]
        let expansion: PolicyExpansion
        let order: UInt32

        init(_ policy: ChildPolicy) throws(SATableError) {
            target = policy.action == .acquire ? PolicyTarget(acquire: policy.id) : PolicyTarget(drop: policy.id)
            localSelectors = policy.localSelectors
            remoteSelectors = policy.remoteSelectors
            expansion = try PolicyExpansion(local: policy.localSelectors, remote: policy.remoteSelectors)
            order = policy.order
        }

        /// Whether it leads the same packets to the same target.
        func isLike(_ other: Policy) -> Bool {
            target == other.target && localSelectors == other.localSelectors
                && remoteSelectors == other.remoteSelectors
        }
    }

    /// The most workers: each has an IV space of its own, numbered in one octet.
    public static let workerLimit = 256

    /// The most pairs of a local and a remote address block (CIDR) that the selectors of one SA or policy may make.
    public static let blockPairLimit = PolicyExpansion.limit

    /// How many workers read the table.
    public let workers: Int
    /// How many pairs of SAs it may hold.
    public let capacity: Int

    private let roots: SharedRoots
    private var reclamation: Reclamation { roots.reclamation }
    private var inbound: ProbeIndex
    private var policy: PolicyTable
    private var pairs: [SPI: Pair] = [:]
    private var policies: [Policy] = []

    /// An empty table for `workers` workers (1 to ``workerLimit``) and `capacity` pairs of SAs.
    public convenience init(workers: Int, capacity: Int = 131_072) {
        self.init(workers: workers, capacity: capacity, quarantines: false)
    }

    /// With `quarantines`, freed SAs are poisoned and kept, for tests.
    init(workers: Int, capacity: Int, quarantines: Bool) {
        precondition((1...Self.workerLimit).contains(workers), "a table has 1 to 256 workers")
        precondition(capacity > 0, "a table has room")
        self.workers = workers
        self.capacity = capacity
        roots = SharedRoots(workers: workers, quarantines: quarantines)
        // SAFETY: the roots outlive the table.
        unsafe inbound = ProbeIndex(root: roots.inboundRoot)
        unsafe policy = PolicyTable(root: roots.directoryRoot)
    }

    deinit {
        // Readers that are left keep the roots, and these free what is retired here when the last reader goes.
        for pair in pairs.values { retire(pair) }
        policy.retireAll(reclamation)
        inbound.retire(reclamation)
        reclamation.advance()
    }

    /// The reader of worker `worker`; one for each worker, idle at first.
    public func reader(worker: Int) -> SAReader {
        precondition((0..<workers).contains(worker), "a reader belongs to one of the table's workers")
        return SAReader(worker: worker, roots: roots)
    }

    /// The worker that owns the inbound SA with this SPI: its low byte modulo the workers, as the transport steers.
    ///
    /// So SPIs with one low byte share a worker: those of one IKE SA do, as GRO may join their datagrams in one run.
    public func owner(of spi: SPI) -> Int { Int(spi.rawValue & 0xff) % workers }

    /// How many pairs are installed.
    public var count: Int { pairs.count }

    /// Puts a pair of SAs into the data plane: receives at once, sends at once where `outboundActive` says so.
    public func install(_ parameters: ChildSAParameters) throws(SATableError) {
        let spi = parameters.inboundSPI
        guard !spi.isReserved, !parameters.outboundSPI.isReserved else { throw .reservedSPI }
        guard pairs[spi] == nil else { throw .duplicateSPI }
        reclamation.reclaim()
        guard pairs.count < capacity, reclamation.waiting < retiredLimit else { throw .full }

        let expansion = try PolicyExpansion(local: parameters.localSelectors, remote: parameters.remoteSelectors)
        let pair = try makePair(parameters)
        if parameters.outboundActive {
            do throws(SATableError) {
                try unsafe policy.add(
                    expansion, target: PolicyTarget(pair.outbound), order: parameters.order, reclamation)
            } catch {
                retire(pair)
                commit()
                throw error
            }
        }
        pairs[spi] = pair
        pairs[spi]?.isSending = parameters.outboundActive
        unsafe inbound.insert(UInt64(spi.rawValue), UInt(bitPattern: pair.inbound), reclamation)
        if parameters.outboundActive { stopPredecessor(of: spi) }
        commit()
    }

    /// From now on sends on this SA, before any other one for the same traffic; the one that it replaces only receives.
    /// False when there is no such SA.
    @discardableResult public func activateOutbound(inboundSPI: SPI) -> Bool {
        guard let pair = pairs[inboundSPI] else { return false }
        guard let expansion = try? PolicyExpansion(local: pair.localSelectors, remote: pair.remoteSelectors),
            (try? unsafe policy.add(
                expansion, target: PolicyTarget(pair.outbound), order: pair.order, reclamation)) != nil
        else { return false }
        pairs[inboundSPI]?.isSending = true
        stopPredecessor(of: inboundSPI)
        commit()
        return true
    }

    /// Takes a pair out of the data plane; its memory and keys go once no worker can hold them. Returns what it
    /// carried, nil when there is no such SA.
    @discardableResult public func remove(inboundSPI: SPI) -> SACounters? {
        guard let pair = pairs.removeValue(forKey: inboundSPI) else { return nil }
        unsafe inbound.remove(UInt64(inboundSPI.rawValue), UInt(bitPattern: pair.inbound))
        if pair.isSending { stopSending(pair) }
        let counters = counters(pair)
        retire(pair)
        commit()
        return counters
    }

    /// The peer of this pair is now reached at another address. False when there is no such SA.
    @discardableResult public func move(inboundSPI: SPI, local: Endpoint, remote: Endpoint) -> Bool {
        guard let pair = pairs[inboundSPI] else { return false }
        let old = unsafe pair.path
        let new = UnsafeMutablePointer<OuterPath>.allocate(capacity: 1)
        // SAFETY: initialized before it is published, freed through reclamation.
        unsafe new.initialize(to: OuterPath(local: local, remote: remote))
        unsafe pair.inbound.pointee.currentPath.store(new, ordering: .releasing)
        unsafe pair.outbound.pointee.currentPath.store(new, ordering: .releasing)
        unsafe pairs[inboundSPI]?.path = new
        unsafe reclamation.retire(.memory(UnsafeMutableRawPointer(old)))
        commit()
        return true
    }

    /// Follows another order of the configured children with the pairs of these SPIs.
    public func reorder(_ orders: [SPI: UInt32]) {
        for (spi, order) in orders {
            guard let pair = pairs[spi], pair.order != order else { continue }
            pairs[spi]?.order = order
            guard pair.isSending,
                let expansion = try? PolicyExpansion(local: pair.localSelectors, remote: pair.remoteSelectors)
            else { continue }
            unsafe policy.reorder(expansion, target: PolicyTarget(pair.outbound), order: order, reclamation)
        }
        commit()
    }

    /// Replaces the policies of configured children. On an error the old ones stay.
    ///
    /// One that was there before, with the same number, selectors and action, is there for every packet in
    /// between.
    public func setPolicies(_ new: [ChildPolicy]) throws(SATableError) {
        var wanted: [Policy] = []
        for one in new { wanted.append(try Policy(one)) }
        let old = policies
        do throws(SATableError) {
            try replacePolicies(by: wanted)
        } catch {
            // What fitted before fits again.
            try? replacePolicies(by: old)
            commit()
            throw error
        }
        commit()
    }

    /// What a pair carried so far; nil when there is no such SA.
    public func counters(inboundSPI: SPI) -> SACounters? {
        guard let pair = pairs[inboundSPI] else { return nil }
        return counters(pair)
    }

    /// Hands over what the workers noticed since the last drain; the cost depends on what is active, not on what is
    /// installed. At most one hint of a kind for each SA and drain; some may concern SAs removed meanwhile.
    public func drainHints(_ body: (SAHint) -> Void) {
        let tick = unsafe roots.words.pointee.tick.load(ordering: .relaxed)
        unsafe roots.words.pointee.tick.store(tick &+ 1, ordering: .relaxed)
        for ring in roots.rings { ring.drain(body) }
    }

    /// Frees what no worker can hold any more; returns how many blocks still wait. To be called now and then.
    @discardableResult public func reclaim() -> Int {
        reclamation.reclaim()
        return reclamation.waiting
    }

    private func makePair(_ parameters: ChildSAParameters) throws(SATableError) -> Pair {
        let owner = owner(of: parameters.inboundSPI)
        let opener: PacketOpener
        var sealers: [PacketSealer] = []
        do throws(CryptoError) {
            opener = try PacketOpener(suite: parameters.suite, key: parameters.inboundKey)
            for worker in 0..<workers {
                let space = UInt8(truncatingIfNeeded: worker)
                sealers.append(
                    try PacketSealer(suite: parameters.suite, key: parameters.outboundKey, ivSpace: space))
            }
        } catch {
            throw .crypto(error)
        }
        // SAFETY: both halves and the path are initialized before anyone sees them, and freed through reclamation.
        let path = UnsafeMutablePointer<OuterPath>.allocate(capacity: 1)
        unsafe path.initialize(to: OuterPath(local: parameters.local, remote: parameters.remote))
        let inbound = unsafe Self.allocate(InboundSA.self)
        unsafe inbound.initialize(to: InboundSA(parameters, owner: owner, opener: opener, path: path))
        let outbound = unsafe Self.allocate(OutboundSA.self)
        unsafe outbound.initialize(to: OutboundSA(parameters, sealers: sealers, path: path))
        return unsafe Pair(
            inbound: inbound, outbound: outbound, path: path, localSelectors: parameters.localSelectors,
            remoteSelectors: parameters.remoteSelectors, order: parameters.order, replaces: parameters.replaces)
    }

    private static func allocate<SA: ~Copyable>(_ type: SA.Type) -> UnsafeMutablePointer<SA> {
        let block = UnsafeMutableRawPointer.allocate(byteCount: MemoryLayout<SA>.size, alignment: 64)
        return unsafe block.bindMemory(to: SA.self, capacity: 1)
    }

    /// Make before break: the successor's rules are published already.
    private func stopPredecessor(of spi: SPI) {
        guard let replaced = pairs[spi]?.replaces, let old = pairs[replaced], old.isSending
        else { return }
        stopSending(old)
        pairs[replaced]?.isSending = false
    }

    private func stopSending(_ pair: Pair) {
        guard let expansion = try? PolicyExpansion(local: pair.localSelectors, remote: pair.remoteSelectors)
        else { return }
        unsafe policy.remove(expansion.entries[...], target: PolicyTarget(pair.outbound), reclamation)
    }

    private func replacePolicies(by new: [Policy]) throws(SATableError) {
        let old = Dictionary(policies.map { ($0.target.word, $0) }) { first, _ in first }
        let staying = new.filter { one in old[one.target.word].map { $0.isLike(one) } ?? false }
        let words = Set(staying.map(\.target.word))
        for one in policies where !words.contains(one.target.word) {
            policy.remove(one.expansion.entries[...], target: one.target, reclamation)
        }
        policies = staying
        for one in staying where old[one.target.word]?.order != one.order {
            policy.reorder(one.expansion, target: one.target, order: one.order, reclamation)
        }
        for one in new where !words.contains(one.target.word) {
            try policy.add(one.expansion, target: one.target, order: one.order, reclamation)
            policies.append(one)
        }
    }

    private func retire(_ pair: Pair) {
        unsafe reclamation.retire(.inbound(pair.inbound))
        unsafe reclamation.retire(.outbound(pair.outbound))
        unsafe reclamation.retire(.memory(UnsafeMutableRawPointer(pair.path)))
    }

    /// Ends a change: flow caches are void first, then the epoch ends, so that whoever announces the new epoch also
    /// sees the new generation.
    private func commit() {
        let generation = unsafe roots.words.pointee.generation.load(ordering: .relaxed)
        unsafe roots.words.pointee.generation.store(generation &+ 1, ordering: .releasing)
        reclamation.advance()
        reclamation.reclaim()
    }

    private func counters(_ pair: Pair) -> SACounters {
        var counters = SACounters()
        let sent = unsafe pair.outbound.pointee.lanes.totals
        counters.packetsIn = unsafe pair.inbound.pointee.packets.load(ordering: .relaxed)
        counters.bytesIn = unsafe pair.inbound.pointee.bytes.load(ordering: .relaxed)
        counters.packetsOut = sent.packets
        counters.bytesOut = sent.bytes
        return counters
    }

    /// How many retired blocks may wait for a worker that does not reach its batch boundary.
    private var retiredLimit: Int { capacity * 8 + 4096 }
}
