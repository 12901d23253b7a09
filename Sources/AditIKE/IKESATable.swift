// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

/// Every IKE SA by the SPI that we chose.
///
/// An IKE SA is taken out to be worked on and put back, so that its arrays are never shared while they change.
struct IKESATable: Sendable {
    private var slots: [IKESA?] = []
    private var index: [IKESPI: Int] = [:]
    private var free: [Int] = []

    /// How many there are, one that is taken out included.
    var count: Int { index.count }

    /// Whether one with this SPI exists.
    func contains(_ spi: IKESPI) -> Bool { index[spi] != nil }

    /// Looks at one; nil when there is none or when it is taken out.
    subscript(spi: IKESPI) -> IKESA? { index[spi].flatMap { slots[$0] } }

    /// The SPIs in an order that does not depend on hashing.
    var spis: [IKESPI] { index.keys.sorted { $0.rawValue < $1.rawValue } }

    /// Adds one with an SPI that is not in use.
    mutating func insert(_ sa: consuming IKESA) {
        let spi = sa.spi
        precondition(index[spi] == nil, "an SPI names one IKE SA")
        if let slot = free.popLast() {
            slots[slot] = consume sa
            index[spi] = slot
        } else {
            slots.append(consume sa)
            index[spi] = slots.count - 1
        }
    }

    /// Takes one out; nil when there is none or when it is taken out already.
    mutating func take(_ spi: IKESPI) -> IKESA? {
        guard let slot = index[spi] else { return nil }
        return slots[slot].take()
    }

    /// Puts back what was taken out; one whose state is `gone` leaves the table.
    mutating func putBack(_ sa: consuming IKESA) {
        guard let slot = index[sa.spi] else { return }
        if case .gone = sa.state {
            index[sa.spi] = nil
            free.append(slot)
        } else {
            slots[slot] = consume sa
        }
    }
}
