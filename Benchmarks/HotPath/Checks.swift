// SPDX-License-Identifier: Apache-2.0
// Adit: Benchmarks

import AditCrypto
import BenchmarkSubjects
import Splitting

/// Figures held against their limits.
struct Verdict {
    /// Whether every figure kept to its limit so far.
    private(set) var isGood = true

    /// A figure and its limit; a quiet one is told when it is above.
    mutating func hold(
        _ name: String, _ value: Double, limit: Double?, unit: String = "", note: String = "", isQuiet: Bool = false
    ) {
        let passes = limit.map { value <= $0 } ?? true
        if !passes { isGood = false }
        if passes && isQuiet { return }
        let bound = limit.map { " (limit \(rounded($0)))" } ?? ""
        print("\(passes ? "ok  " : "FAIL") \(name): \(rounded(value))\(unit)\(bound)\(note)")
    }

    /// A line about figures that were held.
    func tell(_ name: String, _ text: String) { print("     \(name): \(text)") }
}

func rounded(_ value: Double) -> String {
    guard value >= 0 else { return "-" + rounded(-value) }
    let thousandths = Int((value * 1000).rounded())
    let rest = String(thousandths % 1000)
    return "\(thousandths / 1000)." + String(repeating: "0", count: 3 - rest.count) + rest
}

/// Both walks once; prints how many packets passed in all.
func walk(_ words: [String]) throws {
    guard words.count >= 2, let traffic = WalkSubject<Void>.Traffic(rawValue: words[0]), let batches = Int(words[1])
    else {
        fatalError("hotpath walk tcp|large|small BATCHES [unsummed]")
    }
    let isSummed = words.dropFirst(2).first != "unsummed"
    let (out, _) = try WalkSubject<Void>(traffic, isSummed: isSummed, batches: batches, mark: {}).run()
    print("\(out.map(\.packets).reduce(0, +) * 2) packets")
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

/// Splitting and joining of a super-packet alone, without limits.
func splits(_ verdict: inout Verdict) {
    for isV6 in [false, true] {
        let (bytes, offload) = Fixture.superPacket(isV6: isV6)
        let subject = SplitSubject(bytes, offload: offload)
        for (name, body) in [("split", subject.split), ("join", subject.join)] {
            let time = medianTime(3000) {
                body()
                return subject.count
            }
            verdict.hold("\(name), TCP over \(isV6 ? "IPv6" : "IPv4")", time, limit: nil, unit: " ns a segment")
        }
    }
}

/// Lookups in tables of 10 to 100,000 entries, and of policies of up to 1,000 shapes.
///
/// Ten SAs that are in use cost the same whatever the table's size. Any of 100,000 miss the processor's caches: what
/// that costs is told beside the same SAs in a plain array of pointers, and that ratio is held.
func lookups(_ verdict: inout Verdict) throws {
    var first: [String: Double] = [:]
    for count in [10, 1_000, 100_000] {
        let subject = try LookupSubject(count)
        for traffic in LookupSubject.Traffic.allCases {
            let array = subject.median(.array, traffic, rounds: 400)
            for search in LookupSubject.Search.allCases {
                let time = search == .array ? array : subject.median(search, traffic, rounds: 400)
                let key = "\(search.rawValue), \(traffic.rawValue)"
                let base = first[key, default: time]
                first[key] = base
                let limit = search == .array || traffic == .scattered ? nil : 1.5
                verdict.hold(
                    "\(key) of \(count)", time / base, limit: limit, unit: " × that of 10",
                    note: ", \(rounded(time)) ns")
                guard traffic == .scattered, count == 100_000, search != .array else { continue }
                verdict.hold(
                    "\(key) of \(count)", time / array, limit: search == .inbound ? 12 : 70,
                    unit: " × that of a plain array")
            }
        }
    }
    try shapes(&verdict)
}

/// Policies of many pairs of prefix lengths: known flows cost the same, and a search no more than its part for each
/// pair.
private func shapes(_ verdict: inout Verdict) throws {
    var first: (known: Double, searched: Double)?
    for count in [1, 32, 1000] {
        let subject = try ShapeSubject(count)
        let times = (known: subject.known(rounds: 1000), searched: subject.searched(rounds: 1000))
        let base = first ?? times
        first = base
        verdict.hold(
            "policy in the flow cache, \(count) shapes", times.known / base.known, limit: 1.5, unit: " × that of 1",
            note: ", \(rounded(times.known)) ns")
        verdict.hold(
            "policy that only the last of \(count) shapes has, for each shape",
            times.searched / Double(count) / base.searched, limit: 1.5, unit: " × that of 1",
            note: ", \(rounded(times.searched)) ns")
    }
}
