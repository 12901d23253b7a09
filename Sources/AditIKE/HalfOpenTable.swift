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

    private var made: [Key: IKESPI] = [:]
    private var open: [IKESPI: IPAddress] = [:]
    private var perSource: [IPAddress: Int] = [:]

    /// How many IKE SAs are half open.
    var count: Int { open.count }

    /// How many IKE SAs of one source are half open.
    func count(from source: IPAddress) -> Int { perSource[source] ?? 0 }

    /// The IKE SA that the first message with this key made, half open or further.
    func ikeSA(for key: Key) -> IKESPI? { made[key] }

    /// Records a new half-open IKE SA.
    mutating func insert(_ spi: IKESPI, key: Key) {
        made[key] = spi
        open[spi] = key.remote.address
        perSource[key.remote.address, default: 0] += 1
    }

    /// The IKE SA is authenticated: it is no longer half open, but its first message is still known.
    mutating func complete(_ spi: IKESPI) {
        guard let source = open.removeValue(forKey: spi), let count = perSource[source] else { return }
        perSource[source] = count > 1 ? count - 1 : nil
    }

    /// The IKE SA is gone.
    mutating func remove(_ spi: IKESPI, key: Key) {
        complete(spi)
        if made[key] == spi { made[key] = nil }
    }
}
