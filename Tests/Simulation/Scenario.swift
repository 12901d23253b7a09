// SPDX-License-Identifier: Apache-2.0
// Adit: Simulation

import AditIKE

/// What one seed does: two sites, a network, and what happens to them.
package struct Scenario: Sendable {
    /// Something that happens to the sites once they are up.
    package enum Disturbance: Sendable, Equatable {
        case rekeyIKE(Int)
        case rekeyChildren(Int)
        case bothRekeyIKE
        case bothRekeyChildren
        /// One side rekeys the IKE SA, the other one its children.
        case rekeyIKEAgainstChildren(Int)
        /// The data plane says that every SA of a side is used up.
        case lifetimes(Int)
        /// The data plane cannot take a new child, so it is deleted while the other side may rekey it.
        case deleteChild(Int)
        /// The data plane does not take the next SA, which the other side asks for.
        case refuseChild(Int)
        /// The connection is initiated although it is up, and configured as it is.
        case repeatCommands(Int)
        /// The NAT before A forgets its mappings, or has another address.
        case rebind(otherAddress: Bool)
        /// Sides have other ones of their places from now on, the preferred first; none: a side is nowhere.
        case roam([Int], places: [Int])
        /// A side is nowhere for so many seconds, and then in these places.
        case vanish(Int, seconds: Int, places: [Int])
        /// The address that a side prefers is of no use for so many seconds, though the side has it.
        case deafen(Int, seconds: Int)
        /// A is behind another NAT, or behind none, and in another place.
        case changeNAT(Int?, place: Int)
        /// Nothing arrives for so many seconds.
        case cut(Int)
        /// A gateway dies, and starts without memory after so many seconds.
        case restart(Int, after: Int)
        /// A side takes the connection down, and up again after so many seconds.
        case downAndUp(Int, after: Int)
        /// A side's child is configured anew.
        case reconfigure(Int, child: Int, Reconfiguration)
        case pause(Int)
    }

    /// What is configured anew of a child.
    package enum Reconfiguration: Sendable, Equatable {
        /// Its own timing only: the SAs stay.
        case timing
        /// What the data plane does by itself: rekeyed, without a gap.
        case replayWindow
        /// What is agreed with the peer: deleted and made anew.
        case proposals
        /// It is removed, and there again after so many seconds.
        case removal(seconds: Int)
        /// The connection gets another child, which the peer does not know.
        case addition
    }

    package let seed: UInt64
    package var conditions = VirtualNetwork.Conditions()
    package var limits = IKELimits()
    package var isBehindNAT = false
    /// Whether the NATs let in only what was asked for.
    package var isFiltering = false
    /// Whose children start by themselves.
    package var initiators: [Int] = [0]
    package var children = 1
    package var esn = true
    /// Seconds; 0 for hours.
    package var childLifetime = 0
    package var ikeLifetime = 0
    /// Seconds after which the side that began authenticates anew, and which of the sides asks for it; 0 for never.
    package var authenticationLifetime = 0
    package var limitsAuthentication: [Int] = [0, 1]
    /// Packets after which the data plane asks for a rekey; 0 for none.
    package var packetLimit = 0
    /// Whether each side begins without a child (RFC 6023), and takes it.
    package var childless: [ConnectionConfiguration.ChildlessPolicy] = [.allow, .allow]
    package var disturbances: [Disturbance] = []
    /// Whether addresses change, and whether the sides tell each other of it (RFC 4555).
    package var isRoaming = false
    package var mobike = [true, true]

    /// A begins, the network loses nothing, and nothing happens by itself.
    package init(calm seed: UInt64) { self.seed = seed }

    package init(seed: UInt64) {
        self.seed = seed
        var random = SplitMix(seed ^ 0xabcdef)
        conditions.loss = random.pick([0, 0.05, 0.2, 0.4])
        conditions.duplication = random.pick([0, 0.1, 0.5])
        conditions.corruption = random.pick([0, 0.05])
        conditions.delay = random.pick([1...20, 5...900, 1...200])
        if random.chance(0.2) { limits.halfOpenBeforeCookie = 0 }
        if random.chance(0.1) { limits.fragmentSize = 300 }
        isBehindNAT = random.chance(0.25)
        initiators = isBehindNAT ? [0] : random.pick([[0], [1], [0, 1]])
        children = random.number(in: 1...3)
        esn = random.chance(0.7)
        if random.chance(0.2) { childLifetime = random.number(in: 20...60) }
        if random.chance(0.2) { ikeLifetime = random.number(in: 50...120) }
        if random.chance(0.2) { packetLimit = random.number(in: 20...100) }
        for _ in 0..<random.number(in: 0...5) { disturbances.append(Self.disturbance(&random, isBehindNAT)) }
        // Where hardly anything arrives, what cannot be authenticated anew in time is given up.
        if conditions.loss <= 0.05, random.chance(0.3) {
            authenticationLifetime = random.number(in: 40...120)
            limitsAuthentication = random.pick([[0], [1], [0, 1]])
        }
        addRoaming()
        addShapes()
        addReconfigurations()
    }

    /// A third of the seeds is also configured anew.
    private mutating func addReconfigurations() {
        var random = SplitMix(seed ^ 0x333333)
        guard random.chance(0.33) else { return }
        for _ in 0..<random.number(in: 1...4) {
            let place = random.number(in: 0...disturbances.count)
            let removal = Reconfiguration.removal(seconds: random.pick([0, 1, 5, 30]))
            let change = random.pick([.timing, .replayWindow, .proposals, .proposals, removal, removal, .addition])
            disturbances.insert(
                .reconfigure(random.number(in: 0...1), child: random.number(in: 0...children - 1), change), at: place)
        }
    }

    /// How IKE SAs begin, and what the data plane does not take.
    private mutating func addShapes() {
        var random = SplitMix(seed ^ 0x999999)
        if random.chance(0.4) {
            childless = random.pick([
                [.prefer, .allow], [.allow, .prefer], [.prefer, .never], [.prefer, .prefer], [.force, .force],
                [.never, .never],
            ])
        }
        if random.chance(0.15) {
            let place = random.number(in: 0...disturbances.count)
            disturbances.insert(.refuseChild(random.number(in: 0...1)), at: place)
        }
    }

    /// A third of the seeds also changes addresses.
    private mutating func addRoaming() {
        var random = SplitMix(seed ^ 0x777777)
        guard random.chance(0.33) else { return }
        isRoaming = true
        isFiltering = random.chance(0.5)
        if random.chance(0.15) { mobike[random.number(in: 0...1)] = false }
        for _ in 0..<random.number(in: 1...4) {
            let place = random.number(in: 0...disturbances.count)
            disturbances.insert(roaming(&random), at: place)
        }
    }

    private func roaming(_ random: inout SplitMix) -> Disturbance {
        let side = random.number(in: 0...1)
        let places = random.pick([[0], [1], [2], [0, 1], [1, 0], [2, 0]])
        switch random.number(in: 0...9) {
        case 0...3: return .roam([side], places: places)
        case 4: return .roam([0, 1], places: places)
        case 5...6: return .vanish(side, seconds: random.pick([0, 3, 30, 100]), places: places)
        case 7: return .deafen(side, seconds: random.pick([5, 40, 90]))
        // A NAT keeps others from connecting to A.
        case 8...9 where initiators == [0]:
            return .changeNAT(random.chance(0.7) ? random.number(in: 1...9) : nil, place: random.number(in: 0...2))
        default: return .roam([side], places: places)
        }
    }

    private static func disturbance(_ random: inout SplitMix, _ isBehindNAT: Bool) -> Disturbance {
        let side = random.number(in: 0...1)
        switch random.number(in: 0...23) {
        case 0...3: return .bothRekeyIKE
        case 4...7: return .bothRekeyChildren
        case 8...10: return .rekeyIKEAgainstChildren(side)
        case 11...12: return .rekeyIKE(side)
        case 13...14: return .rekeyChildren(side)
        case 15: return .lifetimes(side)
        case 16: return .deleteChild(side)
        case 17: return .repeatCommands(side)
        case 18: return .cut(random.pick([1, 5, 20, 70]))
        case 19: return .restart(side, after: random.pick([0, 2, 10, 80]))
        case 20: return .downAndUp(side, after: random.pick([0, 1, 5]))
        case 21...22: return isBehindNAT ? .rebind(otherAddress: random.chance(0.5)) : .bothRekeyChildren
        default: return .pause(random.number(in: 1...40))
        }
    }

    var configurations: [[ConnectionConfiguration]] {
        Sites.pair(children: children) { left, right in
            for index in 0..<children {
                left.children[index].startAction = initiators.contains(0) ? .start : .none
                right.children[index].startAction = initiators.contains(1) ? .start : .none
                right.children[index].esn = esn
                if childLifetime > 0 { left.children[index].rekeyTime = .seconds(childLifetime) }
                if childLifetime > 0 { right.children[index].rekeyTime = .seconds(childLifetime) }
                if packetLimit > 0 { left.children[index].rekeyPackets = UInt64(packetLimit) }
                if packetLimit > 0 { right.children[index].rekeyPackets = UInt64(packetLimit) }
            }
            if ikeLifetime > 0 { left.ikeRekeyTime = .seconds(ikeLifetime) }
            if ikeLifetime > 0 { right.ikeRekeyTime = .seconds(ikeLifetime) }
            let lifetime = Duration.seconds(authenticationLifetime)
            if limitsAuthentication.contains(0) { left.reauthTime = lifetime }
            if limitsAuthentication.contains(1) { right.reauthTime = lifetime }
            left.mobike = mobike[0]
            right.mobike = mobike[1]
            if isRoaming {
                left.localAddresses = []
                right.localAddresses = []
                left.remoteAddresses = initiators.contains(0) ? Sites.places(1) : []
                right.remoteAddresses = initiators.contains(1) ? Sites.places(0) : []
            }
            (left.childless, right.childless) = (childless[0], childless[1])
            if isBehindNAT { right.remoteAddresses = [] }
        }
    }
}
