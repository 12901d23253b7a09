// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

/// The IKE SAs that peers began: which first message made which SA, and how many are still half open, in total and per
/// source.
struct HalfOpenTable: Sendable {
    /// What tells first messages apart together with their bytes: two peers behind one NAT may choose one SPI (RFC 7296
    /// §2.1).
    struct Key: Hashable, Sendable {
        let initiatorSPI: IKESPI
        let remote: Endpoint
    }

    /// A half-open IKE SA.
    private struct Entry {
        let source: IPAddress
        /// Bytes of fragments that wait for others.
        var fragments = 0
    }

    private var made: [Key: IKESPI] = [:]
    private var open: [IKESPI: Entry] = [:]
    // Those of each source, in the order in which they came; as many as one source may have.
    private var perSource: [IPAddress: [IKESPI]] = [:]
    // The sources that have so many, as the index says.
    private var ranks: [ArrivalOrder<IPAddress>] = []
    private var fragmented = ArrivalOrder<IKESPI>()
    /// Bytes of fragments that wait for others, in all.
    private(set) var fragmentBytes = 0

    /// How many IKE SAs are half open.
    var count: Int { open.count }

    /// How many IKE SAs of one source are half open.
    func count(from address: IPAddress) -> Int { perSource[address.source]?.count ?? 0 }

    /// Whether the IKE SA is half open.
    func contains(_ spi: IKESPI) -> Bool { open[spi] != nil }

    /// The IKE SA that the first message with this key made, half open or further.
    func ikeSA(for key: Key) -> IKESPI? { made[key] }

    /// The oldest IKE SA of a source that has the most.
    var dispensable: IKESPI? { ranks.last { !$0.isEmpty }?.first.flatMap { perSource[$0]?.first } }

    /// The IKE SA whose fragments have waited longest.
    var longestFragmented: IKESPI? { fragmented.first }

    /// Records a new half-open IKE SA.
    mutating func insert(_ spi: IKESPI, key: Key) {
        let source = key.remote.address.source
        made[key] = spi
        open[spi] = Entry(source: source)
        perSource[source, default: []].append(spi)
        rank(source, before: count(from: source) - 1)
    }

    /// Records how many bytes of fragments wait for others.
    mutating func setFragments(_ spi: IKESPI, bytes: Int) {
        guard let entry = open[spi] else { return }
        fragmentBytes += bytes - entry.fragments
        open[spi]?.fragments = bytes
        if bytes > 0 { fragmented.append(spi) } else { fragmented.remove(spi) }
    }

    /// The IKE SA is authenticated: it is no longer half open, but its first message is still known.
    mutating func complete(_ spi: IKESPI) {
        setFragments(spi, bytes: 0)
        guard let source = open.removeValue(forKey: spi)?.source, let those = perSource[source] else { return }
        let left = those.filter { $0 != spi }
        perSource[source] = left.isEmpty ? nil : left
        rank(source, before: those.count)
    }

    /// The IKE SA is gone.
    mutating func remove(_ spi: IKESPI, key: Key) {
        complete(spi)
        if made[key] == spi { made[key] = nil }
    }

    /// A source that had `before` IKE SAs has another number.
    private mutating func rank(_ source: IPAddress, before: Int) {
        let now = count(from: source)
        while ranks.count <= max(before, now) { ranks.append(ArrivalOrder()) }
        ranks[before].remove(source)
        if now > 0 { ranks[now].append(source) }
    }
}

extension IPAddress {
    /// Whom limits for each source count this address to: of IPv6 the prefix, as one host has a whole /64.
    var source: IPAddress { family == .v4 ? self : IPAddress(v6High: high, low: 0) }
}
