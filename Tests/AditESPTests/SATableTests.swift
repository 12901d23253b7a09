// SPDX-License-Identifier: Apache-2.0
// Adit: AditESPTests

import AditCrypto
import AditWire
import Testing

@testable import AditESP

@Suite struct SATableTests {
    private func flow(
        _ source: String, _ destination: String, _ ipProtocol: UInt8 = 17, _ sourcePort: UInt16 = 1000,
        _ destinationPort: UInt16 = 2000, visible: Bool = true
    ) -> FlowKey {
        let nowhere = IPAddress(v4: 0)
        return FlowKey(
            source: IPAddress(source) ?? nowhere, destination: IPAddress(destination) ?? nowhere,
            ipProtocol: ipProtocol, sourcePort: sourcePort, destinationPort: destinationPort, portsVisible: visible)
    }

    /// The inbound SPI of the SA that a flow takes; nil when it takes none.
    private func chosen(_ reader: SAReader, _ flow: FlowKey) -> UInt32? {
        guard case .protect(let sa) = reader.outbound(for: flow) else { return nil }
        return sa.pointee.inboundSPI.rawValue
    }

    private func awake(_ table: SATable) -> SAReader {
        let reader = table.reader(worker: 0)
        reader.leaveIdle()
        return reader
    }

    @Test func installsFindsAndRemoves() throws {
        let table = SATable(workers: 2, capacity: 4)
        let reader = awake(table)
        #expect(reader.inbound(SPI(rawValue: 0x1000)) == nil)
        #expect(chosen(reader, flow("10.1.0.1", "10.2.0.1")) == nil)
        try table.install(.sample())
        reader.quiescent()
        let sa = try #require(reader.inbound(SPI(rawValue: 0x1000)))
        #expect(sa.pointee.owner == 0 && sa.pointee.spi == SPI(rawValue: 0x1000))
        #expect(sa.pointee.path.remote == endpoint("192.0.2.2"))
        #expect(chosen(reader, flow("10.1.0.1", "10.2.0.1")) == 0x1000)
        #expect(chosen(reader, flow("fd01::1", "fd02::1")) == 0x1000)
        #expect(chosen(reader, flow("10.2.0.1", "10.1.0.1")) == nil, "outbound means local to remote")
        #expect(table.remove(inboundSPI: SPI(rawValue: 0x1000)) == SACounters())
        reader.quiescent()
        #expect(reader.inbound(SPI(rawValue: 0x1000)) == nil)
        #expect(chosen(reader, flow("10.1.0.1", "10.2.0.1")) == nil)
        #expect(table.remove(inboundSPI: SPI(rawValue: 0x1000)) == nil)
        #expect(table.reclaim() == 0)
    }

    @Test func limitsAndMistakesAreErrors() throws {
        let table = SATable(workers: 1, capacity: 2)
        #expect(throws: SATableError.reservedSPI) { try table.install(.sample(inbound: 255)) }
        #expect(throws: SATableError.reservedSPI) { try table.install(.sample(outbound: 0)) }
        var wrong = ChildSAParameters.sample()
        wrong.outboundKey = SecretBytes([1, 2, 3])
        #expect(throws: SATableError.crypto(.malformedInput)) { try table.install(wrong) }
        let ranges = (0..<3).map { TrafficSelector("10.\($0).0.1-10.\($0).255.254") }.compactMap { $0 }
        let many = Array(repeating: ranges, count: 2).flatMap { $0 }
        #expect(throws: SATableError.tooManySelectors) { try table.install(.sample(local: many, remote: many)) }
        #expect(table.count == 0)
        try table.install(.sample(inbound: 0x1000))
        #expect(throws: SATableError.duplicateSPI) { try table.install(.sample(inbound: 0x1000)) }
        try table.install(.sample(inbound: 0x1001))
        #expect(throws: SATableError.full) { try table.install(.sample(inbound: 0x1002)) }
        table.remove(inboundSPI: SPI(rawValue: 0x1000))
        try table.install(.sample(inbound: 0x1002))
    }

    /// As many rules as one pair of blocks takes, and one more.
    @Test func rulesPerBlockAreLimited() throws {
        let table = SATable(workers: 1, capacity: 4000)
        let reader = awake(table)
        let remote = selectors("10.2.0.0/16")
        for number in 0..<PolicyBucket.ruleLimit {
            let local = selectors("10.1.0.0/16[udp/\(number)]")
            try table.install(.sample(inbound: UInt32(1000 + number), local: local, remote: remote))
        }
        #expect(throws: SATableError.tooManySelectors) {
            try table.install(.sample(inbound: 9000, local: selectors("10.1.0.0/16[udp/60000]"), remote: remote))
        }
        #expect(reader.inbound(SPI(rawValue: 9000)) == nil)
        reader.quiescent()
        #expect(chosen(reader, flow("10.1.0.1", "10.2.0.1", 17, 77)) == 1077)
    }

    @Test func mostSpecificWins() throws {
        let table = SATable(workers: 1, capacity: 16)
        let reader = awake(table)
        let rules: [(UInt32, String, String)] = [
            (0x1000, "0.0.0.0/0", "0.0.0.0/0"), (0x1001, "10.1.0.0/16", "10.2.0.0/16"),
            (0x1002, "10.1.0.0/16", "10.2.3.0/24"), (0x1003, "10.1.9.0/24", "10.2.3.0/24"),
            (0x1004, "10.1.0.0/16[tcp]", "10.2.3.0/24[tcp]"), (0x1005, "10.1.0.0/16[tcp]", "10.2.3.0/24[tcp/443]"),
            (0x1006, "10.1.0.0/16", "10.2.3.4-10.2.3.6"),
        ]
        for (spi, local, remote) in rules.shuffled() {
            try table.install(.sample(inbound: spi, local: selectors(local), remote: selectors(remote)))
        }
        reader.quiescent()
        #expect(chosen(reader, flow("192.0.2.1", "8.8.8.8")) == 0x1000)
        #expect(chosen(reader, flow("10.1.0.1", "10.2.0.1")) == 0x1001)
        #expect(chosen(reader, flow("10.1.0.1", "10.2.3.1")) == 0x1002)
        #expect(chosen(reader, flow("10.1.9.1", "10.2.3.1")) == 0x1003)
        #expect(chosen(reader, flow("10.1.0.1", "10.2.3.1", 6)) == 0x1004)
        #expect(chosen(reader, flow("10.1.0.1", "10.2.3.1", 6, 1, 443)) == 0x1005)
        #expect(chosen(reader, flow("10.1.0.1", "10.2.3.5", 6, 1, 443)) == 0x1006)
        #expect(chosen(reader, flow("10.1.0.1", "10.2.3.7", 6, 1, 443)) == 0x1005)
        #expect(chosen(reader, flow("10.1.0.1", "10.2.3.1", 6, visible: false)) == 0x1004, "a later fragment")
        #expect(chosen(reader, flow("fd01::1", "fd02::1")) == nil)
    }

    @Test func betweenEqualsTheOrderDecidesThenTheNewer() throws {
        let table = SATable(workers: 1, capacity: 16)
        let reader = awake(table)
        let flow = flow("10.1.0.1", "10.2.0.1")
        for (spi, order, wanted) in [
            (0x1000, 5, 0x1000), (0x1001, 5, 0x1001), (0x1002, 9, 0x1001), (0x1003, 1, 0x1003),
        ] {
            var parameters = ChildSAParameters.sample(inbound: UInt32(spi))
            parameters.order = UInt32(order)
            try table.install(parameters)
            reader.quiescent()
            #expect(chosen(reader, flow) == UInt32(wanted))
        }
    }

    @Test func activatedAgainItIsTheNewest() throws {
        let table = SATable(workers: 1, capacity: 16)
        let reader = awake(table)
        let flow = flow("10.1.0.1", "10.2.0.1")
        for spi in [0x1000, 0x1001] as [UInt32] { try table.install(.sample(inbound: spi, outbound: spi + 0x1000)) }
        for spi in [0x1000, 0x1001, 0x1000, 0x1000] as [UInt32] {
            #expect(table.activateOutbound(inboundSPI: SPI(rawValue: spi)))
            reader.quiescent()
            #expect(chosen(reader, flow) == spi)
        }
        // Each has one rule, however often it was activated.
        table.remove(inboundSPI: SPI(rawValue: 0x1000))
        reader.quiescent()
        #expect(chosen(reader, flow) == 0x1001)
        table.remove(inboundSPI: SPI(rawValue: 0x1001))
        reader.quiescent()
        #expect(chosen(reader, flow) == nil)
    }

    /// RFC 7296 §2.8: make before break. The successor receives first; when it sends, its predecessor only receives.
    @Test func rekeying() throws {
        let table = SATable(workers: 1, capacity: 16)
        let reader = awake(table)
        let flow = flow("10.1.0.1", "10.2.0.1")
        try table.install(.sample(inbound: 0x1000))
        var successor = ChildSAParameters.sample(inbound: 0x1001, outbound: 0x2001)
        successor.replaces = SPI(rawValue: 0x1000)
        successor.outboundActive = false
        // Narrower, so that only the deactivation keeps the rest from the predecessor.
        successor.remoteSelectors = selectors("10.2.0.0/24")
        try table.install(successor)
        reader.quiescent()
        #expect(chosen(reader, flow) == 0x1000)
        #expect(reader.inbound(SPI(rawValue: 0x1001)) != nil)
        #expect(table.activateOutbound(inboundSPI: SPI(rawValue: 0x1001)))
        reader.quiescent()
        #expect(chosen(reader, flow) == 0x1001)
        #expect(chosen(reader, self.flow("10.1.0.1", "10.2.1.1")) == nil)
        #expect(reader.inbound(SPI(rawValue: 0x1000)) != nil)
        #expect(table.activateOutbound(inboundSPI: SPI(rawValue: 0x1001)), "again changes nothing")
        table.remove(inboundSPI: SPI(rawValue: 0x1000))
        reader.quiescent()
        #expect(chosen(reader, flow) == 0x1001)
        #expect(!table.activateOutbound(inboundSPI: SPI(rawValue: 0x1000)))
    }

    @Test func policiesAskUntilThereIsAnSA() throws {
        let table = SATable(workers: 1, capacity: 16)
        let reader = awake(table)
        func policy(_ id: UInt32, _ remote: String, _ action: ChildPolicy.Action = .acquire) -> ChildPolicy {
            ChildPolicy(
                id: PolicyID(rawValue: id), localSelectors: selectors("10.1.0.0/16"),
                remoteSelectors: selectors(remote), order: id, action: action)
        }
        func answer(_ destination: String) -> String {
            switch reader.outbound(for: flow("10.1.0.1", destination)) {
            case .protect(let sa): "\(sa.pointee.inboundSPI)"
            case .acquire(let id): "acquire \(id.rawValue)"
            case .drop(let reason): reason.description
            }
        }
        try table.setPolicies([policy(7, "10.2.0.0/16"), policy(8, "10.3.0.0/16"), policy(9, "10.2.9.0/24", .drop)])
        reader.quiescent()
        #expect(answer("10.2.0.1") == "acquire 7" && answer("10.3.0.1") == "acquire 8")
        #expect(answer("10.2.9.1") == "no_policy" && answer("10.4.0.1") == "no_policy")
        try table.install(.sample(remote: selectors("10.2.0.0/16")))
        reader.quiescent()
        #expect(answer("10.2.0.1") == "00001000" && answer("10.2.9.1") == "no_policy")
        try table.setPolicies([policy(8, "10.2.0.0/16")])
        reader.quiescent()
        #expect(answer("10.2.0.1") == "00001000" && answer("10.3.0.1") == "no_policy")
        table.remove(inboundSPI: SPI(rawValue: 0x1000))
        reader.quiescent()
        #expect(answer("10.2.0.1") == "acquire 8")
        let wide = selectors("10.0.0.1-10.255.255.254")
        let tooMany = ChildPolicy(
            id: PolicyID(rawValue: 1), localSelectors: Array(repeating: wide[0], count: 3),
            remoteSelectors: Array(repeating: wide[0], count: 3), order: 0, action: .drop)
        #expect(throws: SATableError.self) { try table.setPolicies([policy(3, "10.2.0.0/16"), tooMany, tooMany]) }
        reader.quiescent()
        #expect(answer("10.2.0.1") == "acquire 8", "the old ones stay")
    }

    @Test func policiesThatStayTakeTheirNewOrder() throws {
        let table = SATable(workers: 1, capacity: 16)
        let reader = awake(table)
        func set(_ ids: [UInt32], _ action: ChildPolicy.Action = .acquire) throws {
            try table.setPolicies(
                ids.enumerated().map { order, id in
                    ChildPolicy(
                        id: PolicyID(rawValue: id), localSelectors: selectors("10.1.0.0/16"),
                        remoteSelectors: selectors("10.2.0.0/16"), order: UInt32(order), action: action)
                })
            reader.quiescent()
        }
        func chosen() -> UInt32? {
            if case .acquire(let id) = reader.outbound(for: flow("10.1.0.1", "10.2.0.1")) { id.rawValue } else { nil }
        }
        for ids: [UInt32] in [[1, 2, 3], [1, 2, 3], [3, 1, 2], [2, 3], [4, 2, 3], [3]] {
            try set(ids)
            #expect(chosen() == ids[0])
        }
        try set([3], .drop)
        #expect(chosen() == nil, "the same number, another action")
        try set([])
        #expect(chosen() == nil)
    }

    /// Another order in the configuration decides between SAs that are there; of one order the newer one goes on.
    @Test func pairsThatStayTakeTheirNewOrder() throws {
        let table = SATable(workers: 1, capacity: 16)
        let reader = awake(table)
        let flow = flow("10.1.0.1", "10.2.0.1")
        let spis: [UInt32] = [0x1000, 0x1001, 0x1002]
        for spi in spis {
            var parameters = ChildSAParameters.sample(inbound: spi)
            parameters.order = 5
            try table.install(parameters)
        }
        func reordered(_ orders: [UInt32]) -> UInt32? {
            table.reorder(Dictionary(uniqueKeysWithValues: zip(spis.map { SPI(rawValue: $0) }, orders)))
            reader.quiescent()
            return chosen(reader, flow)
        }
        #expect(reordered([5, 5, 5]) == 0x1002)
        #expect(reordered([6, 6, 6]) == 0x1002)
        #expect(reordered([1, 0, 2]) == 0x1001 && reordered([0, 1, .max]) == 0x1000)
        #expect(reordered([7, 7, 7]) == 0x1002)
        table.remove(inboundSPI: SPI(rawValue: 0x1002))
        #expect(reordered([8, 8, 8]) == 0x1001)
    }

    /// What a worker remembers about a flow is void as soon as policy changes.
    @Test func theFlowCacheFollowsPolicy() throws {
        let table = SATable(workers: 1, capacity: 16)
        let reader = awake(table)
        let flow = flow("10.1.0.1", "10.2.0.1")
        for round in 0..<10 {
            try table.install(.sample(inbound: 0x1000 + UInt32(round)))
            reader.quiescent()
            for _ in 0..<3 { #expect(chosen(reader, flow) == 0x1000 + UInt32(round)) }
            table.remove(inboundSPI: SPI(rawValue: 0x1000 + UInt32(round)))
            reader.quiescent()
            for _ in 0..<3 { #expect(chosen(reader, flow) == nil) }
        }
    }

    @Test func aReaderOutlivesItsTable() throws {
        var table: SATable? = SATable(workers: 1, capacity: 16)
        try table?.install(.sample())
        let reader = try #require(table?.reader(worker: 0))
        reader.leaveIdle()
        let sa = try #require(reader.inbound(SPI(rawValue: 0x1000)))
        table = nil
        #expect(sa.pointee.spi == SPI(rawValue: 0x1000))
    }
}
