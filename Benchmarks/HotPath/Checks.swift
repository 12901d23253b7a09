// SPDX-License-Identifier: Apache-2.0
// Adit: Benchmarks

import AditCrypto
import BenchmarkSubjects
import CCounting

/// Figures held against their limits.
struct Verdict {
    private(set) var isGood = true

    mutating func hold(_ name: String, _ value: Double, limit: Double?, unit: String = "", note: String = "") {
        let passes = limit.map { value <= $0 } ?? true
        if !passes { isGood = false }
        let bound = limit.map { " (limit \(rounded($0)))" } ?? ""
        print("\(passes ? "ok  " : "FAIL") \(name): \(rounded(value))\(unit)\(bound)\(note)")
    }
}

func rounded(_ value: Double) -> String {
    let thousandths = Int((value * 1000).rounded())
    let rest = String(thousandths % 1000)
    return "\(thousandths / 1000)." + String(repeating: "0", count: 3 - rest.count) + rest
}

/// That the counting counts, since what is proved by it is zeros.
private func probe(_ verdict: inout Verdict) {
    final class Thing { var other: Thing? }
    let before = counting_now()
    let thing = Thing()
    thing.other = Thing()
    thing.other?.other = thing
    thing.other?.other = nil
    let after = counting_now()
    let isCounting =
        after.allocations > before.allocations && after.objects > before.objects && after.releases > before.releases
    verdict.hold("allocations and references are not counted here", isCounting ? 0 : 1, limit: 0)
}

/// Both walks: nothing is allocated, locked or counted for a packet.
func counts(_ verdict: inout Verdict) throws {
    probe(&verdict)
    for traffic in WalkSubject<counting>.Traffic.allCases {
        let few = traffic == .tcp ? 40 : 400
        let (out, into) = try WalkSubject<counting>(traffic, batches: few, mark: { counting_now() }).run()
        for (name, span) in [("out", out), ("in", into)] {
            let packets = Double(span.packets)
            func each(_ field: KeyPath<counting, UInt64>) -> Double {
                Double(span.end[keyPath: field] - span.begin[keyPath: field]) / packets
            }
            let label = "\(traffic.rawValue) \(name)"
            verdict.hold("\(label), allocations a packet", each(\.allocations), limit: 0)
            verdict.hold("\(label), frees a packet", each(\.frees), limit: 0)
            verdict.hold("\(label), locks a packet", each(\.locks), limit: 0)
            verdict.hold("\(label), objects a packet", each(\.objects), limit: 0)
            verdict.hold("\(label), retains and releases a packet", each(\.retains) + each(\.releases), limit: 0)
            verdict.hold(
                "\(label), whole walk with device and wire in memory", Double(span.nanoseconds) / packets, limit: nil,
                unit: " ns a packet", note: ", \(span.packets) packets")
        }
    }
}

/// Both walks once; prints how many packets passed in all.
func walk(_ words: [String]) throws {
    guard words.count == 2, let traffic = WalkSubject<Void>.Traffic(rawValue: words[0]), let batches = Int(words[1])
    else {
        fatalError("hotpath walk tcp|large|small BATCHES")
    }
    let (out, _) = try WalkSubject<Void>(traffic, batches: batches, mark: {}).run()
    print("\(out.packets * 2) packets")
}

/// Sealing and opening against libcrypto alone.
func ratios(_ verdict: inout Verdict) throws {
    let suites: [(String, CipherSuite)] = [
        ("AES-128-GCM", .aesGCM16(.bits128)), ("AES-256-GCM", .aesGCM16(.bits256)),
        ("ChaCha20-Poly1305", .chaCha20Poly1305), ("AES-128-CBC, SHA-256", .aesCBC(.bits128, .hmacSHA256_128)),
    ]
    for (name, suite) in suites {
        for length in [64, 512, 1400] {
            let subject = try SealSubject(suite: suite, length: length)
            for direction in SealSubject.Direction.allCases {
                let (adit, bare) = subject.measure(direction, rounds: 3000)
                let label = "\(name), \(direction.rawValue) \(length) B"
                guard bare > 0 else {
                    verdict.hold(label, adit, limit: nil, unit: " ns")
                    continue
                }
                verdict.hold(
                    label, adit / bare, limit: length == 1400 ? 1.10 : 1.25, unit: " × libcrypto",
                    note: ", \(rounded(adit)) ns against \(rounded(bare)) ns")
            }
        }
    }
}

/// Lookups in tables of 10 to 100,000 entries.
func lookups(_ verdict: inout Verdict) throws {
    var first: [String: Double] = [:]
    for count in [10, 1_000, 100_000] {
        let subject = try LookupSubject(count)
        for traffic in LookupSubject.Traffic.allCases {
            for (name, time) in [
                ("SA by SPI", subject.inbound(traffic, rounds: 400)),
                ("policy of a known flow", subject.outbound(traffic, rounds: 400)),
                ("policy of a new flow", subject.newFlows(traffic, rounds: 400)),
            ] {
                let key = "\(name), \(traffic.rawValue)"
                let base = first[key, default: time]
                first[key] = base
                verdict.hold(
                    "\(key), \(count) entries", time / base, limit: traffic == .active ? 1.5 : nil,
                    unit: " × that of 10", note: ", \(rounded(time)) ns")
            }
        }
    }
}
