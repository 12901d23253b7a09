// SPDX-License-Identifier: Apache-2.0
// Adit: AditPKITests

import AditCrypto
import AditIKE
import AditWire
import Synchronization
import Testing
import X509

@testable import AditPKI

/// Two IKE endpoints with real certificates.
@Suite struct CertificateHandshakeTests {
    let root: TestAuthority
    let intermediate: TestAuthority

    init() throws {
        root = try TestAuthority("O=Test, CN=Root", TestKeys.root)
        intermediate = try root.authority("O=Test, CN=Intermediate", TestKeys.intermediate)
    }

    @Test(arguments: [TestKeys.alice, TestKeys.ecdsa384, TestKeys.ecdsa521, TestKeys.ed25519, TestKeys.rsa2048])
    func certificatesBothWays(_ key: String) throws {
        var sides = try sides()
        sides.alice.authentication.local = .signature(try credential([root.peer("CN=alice", key)], key))
        let result = Handshake(sides.alice, sides.bob)
        #expect(result.failures == [[], []])
        #expect(result.established == [.fqdn("bob.test"), .fqdn("alice.test")])
    }

    @Test func intermediatesAreSentAlongInFragments() throws {
        var sides = try sides()
        let chain = [try intermediate.peer("CN=alice", TestKeys.rsa2048), intermediate.certificate]
        sides.alice.authentication.local = .signature(try credential(chain, TestKeys.rsa2048))
        let result = Handshake(sides.alice, sides.bob)
        #expect(result.established == [.fqdn("bob.test"), .fqdn("alice.test")])
        #expect(result.longest <= 1280)
    }

    @Test func theSubjectIsTheIdentityWhereNoneIsSet() throws {
        var sides = try sides()
        sides.alice.localID = nil
        sides.bob.remoteID = Identity("CN=Alice")
        #expect(Handshake(sides.alice, sides.bob).established[1]?.description == "CN=alice")
    }

    /// What may be wrong with a peer's certificate, and the code that both directions report.
    enum Fault: String, CaseIterable {
        case expired, early, unknownAuthority, wrongName, wrongKeyUsage, revoked, noIntermediate

        var code: FailureReport.Code {
            switch self {
            case .expired, .early: .certificateExpired
            case .wrongName: .invalidIdentity
            case .unknownAuthority, .wrongKeyUsage, .revoked, .noIntermediate: .certificateUntrusted
            }
        }
    }

    @Test(arguments: Fault.allCases, [true, false])
    func faultsAreRefusedByBothRoles(_ fault: Fault, _ faultyInitiates: Bool) throws {
        var (alice, bob) = try sides()
        let certificate: [UInt8] =
            switch fault {
            case .expired: try root.peer("CN=alice") { $0.days = -10...(-1) }
            case .early: try root.peer("CN=alice") { $0.days = 1...10 }
            case .unknownAuthority: try TestAuthority("CN=Other", TestKeys.mallory).peer("CN=alice")
            case .wrongName: try root.peer("CN=alice", dns: "mallory.test")
            case .wrongKeyUsage: try root.peer("CN=alice") { $0.keyUsage = KeyUsage(keyAgreement: true) }
            case .revoked: try root.peer("CN=alice") { $0.serial = 13 }
            case .noIntermediate: try intermediate.peer("CN=alice")
            }
        alice.authentication.local = .signature(try credential([certificate], TestKeys.alice))
        if fault == .revoked {
            let list = try root.revocationList(revoking: [13])
            bob.authentication.remote = .certificate(
                try PathValidator(authorities: [root.certificate], revocationLists: [list]))
        }
        let result = faultyInitiates ? Handshake(alice, bob) : Handshake(bob, alice)
        let refuser = faultyInitiates ? 1 : 0
        #expect(result.established == [nil, nil])
        #expect(result.installed == [0, 0])
        let report = try #require(result.failures[refuser].first)
        #expect(report.code == fault.code, "\(report)")
        #expect(report.stage == .ikeAuth)
        #expect(report.message.contains("CN="))
        #expect(report.comparison.contains { $0.subject == "remote_id" })
        #expect(!report.suggestion.isEmpty)
        #expect(result.failures[1 - refuser].first?.code == .authenticationFailed)
    }

    @Test func aStolenCertificateWithoutItsKeyProvesNothing() throws {
        var sides = try sides()
        sides.alice.authentication.local = .signature(try credential([root.peer("CN=alice")], TestKeys.mallory))
        let result = Handshake(sides.alice, sides.bob)
        #expect(result.established == [nil, nil])
        #expect(result.failures[1].first?.code == .authenticationFailed)
        #expect(result.failures[1].first?.message.contains("does not fit the key of its certificate") == true)
    }

    @Test func withoutAClockNothingIsValid() throws {
        let sides = try sides()
        let result = Handshake(sides.alice, sides.bob, time: 0)
        #expect(result.failures[1].first?.code == .certificateExpired)
    }

    private func credential(_ chain: [[UInt8]], _ key: String) throws -> SigningCredential {
        SigningCredential(
            chain: chain, subject: CertificateSummary(der: chain[0])?.subjectName ?? [],
            key: try SignaturePrivateKey(pem: SecretBytes(key.utf8)))
    }

    private func sides() throws -> (alice: ConnectionConfiguration, bob: ConnectionConfiguration) {
        let validator = try PathValidator(authorities: [root.certificate])
        let own = [
            try credential([root.peer("CN=alice")], TestKeys.alice),
            try credential([root.peer("CN=bob", TestKeys.bob, dns: "bob.test")], TestKeys.bob),
        ]
        let sides = [0, 1].map { index in
            let nets = [IPPrefix("10.1.0.0/16"), IPPrefix("10.2.0.0/16")].map { TrafficSelector($0!) }
            var child = ChildConfiguration(
                name: "net", localSelectors: [nets[index]], remoteSelectors: [nets[1 - index]])
            child.startAction = .none
            var side = ConnectionConfiguration(
                name: "peer",
                authentication: .init(local: .signature(own[index]), remote: .certificate(validator)), children: [child]
            )
            side.localAddresses = [Handshake.addresses[index]]
            side.remoteAddresses = [Handshake.addresses[1 - index]]
            let names = [Identity.fqdn("alice.test"), .fqdn("bob.test")]
            (side.localID, side.remoteID) = (names[index], names[1 - index])
            return side
        }
        return (sides[0], sides[1])
    }
}

/// Two endpoints that hand each other every message at once; the first initiates.
struct Handshake {
    /// The peer's identity at each side; nil where nothing was established.
    var established: [Identity?] = [nil, nil]
    var failures: [[FailureReport]] = [[], []]
    /// Child SAs that were installed and not removed.
    var installed = [0, 0]
    /// Bytes of the longest message.
    var longest = 0

    static let addresses = [IPAddress(v4: 0xc000_0201), IPAddress(v4: 0xc000_0202)]

    init(_ initiator: ConnectionConfiguration, _ responder: ConnectionConfiguration, time: Int64 = testTime) {
        var endpoints = [initiator, responder].enumerated().map { index, configuration in
            IKEEndpoint(
                connections: [configuration], entropy: Self.entropy(seed: UInt64(index + 1)),
                wallClock: WallClock { time })
        }
        var queue: [(IKEEvent, Int)] = [(.command(.initiate(connection: "peer", child: nil)), 0)]
        var now = Timestamp(nanoseconds: 1_000_000_000)
        var steps = 0
        while !queue.isEmpty, steps < 100 {
            steps += 1
            let (event, node) = queue.removeFirst()
            now = now + .milliseconds(1)
            var effects: [IKEEffect] = []
            endpoints[node].handle(event, now: now, into: &effects)
            for effect in effects {
                switch effect {
                case .send(let bytes, let local, let remote):
                    longest = max(longest, bytes.count)
                    queue.append((.datagram(bytes, local: remote, remote: local), 1 - node))
                case .installChild: installed[node] += 1
                case .removeChild: installed[node] -= 1
                case .report(.failed(let report)): failures[node].append(report)
                case .report(.established(_, let status)): established[node] = status.remoteID
                case .report(.closed): established[node] = nil
                default: break
                }
            }
        }
    }

    private static func entropy(seed: UInt64) -> EntropySource {
        let state = Counter(seed)
        return EntropySource { count in (0..<count).map { _ in state.next() } }
    }

    private final class Counter: Sendable {
        private let state: Mutex<UInt64>

        init(_ seed: UInt64) { state = Mutex(seed) }

        func next() -> UInt8 {
            state.withLock {
                $0 = $0 &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return UInt8(truncatingIfNeeded: $0 >> 56)
            }
        }
    }
}
