// SPDX-License-Identifier: Apache-2.0
// Adit: Benchmarks

import AditCrypto
import BenchmarkSubjects
import CCounting
import Glibc

/// What is counted, by name.
private let counters: [(name: String, field: KeyPath<counting, UInt64> & Sendable)] = [
    ("allocations", \.allocations), ("frees", \.frees), ("locks", \.locks), ("objects", \.objects),
    ("retains", \.retains), ("releases", \.releases),
]

/// Every cipher with every key length, and every integrity algorithm.
private let suites: [(name: String, suite: CipherSuite)] = [
    ("AES-128-GCM", .aesGCM16(.bits128)), ("AES-192-GCM", .aesGCM16(.bits192)),
    ("AES-256-GCM", .aesGCM16(.bits256)), ("ChaCha20-Poly1305", .chaCha20Poly1305),
    ("AES-128-CBC, SHA-1", .aesCBC(.bits128, .hmacSHA1_96)),
    ("AES-128-CBC, SHA-256", .aesCBC(.bits128, .hmacSHA256_128)),
    ("AES-192-CBC, SHA-384", .aesCBC(.bits192, .hmacSHA384_192)),
    ("AES-256-CBC, SHA-512", .aesCBC(.bits256, .hmacSHA512_256)),
    ("AES-128-CBC, MD5", .aesCBC(.bits128, .hmacMD5_96)), ("3DES, SHA-1", .tripleDESCBC(.hmacSHA1_96)),
]

/// Nothing is allocated, locked or counted for a packet; what an SA took is given back with it.
func counts(_ verdict: inout Verdict) throws {
    probe(&verdict)
    // A counter that sees nothing proves nothing.
    guard verdict.isGood else { return }
    for (name, suite) in suites {
        for isV6 in [false, true] {
            for esn in [false, true] {
                for workers in [1, 2] {
                    let kind = Fixture.Kind(suite: suite, esn: esn, isV6: isV6, workers: workers)
                    let words = [name, isV6 ? "IPv6" : "IPv4", esn ? "ESN" : "", workers > 1 ? "2 workers" : ""]
                    let label = words.filter { !$0.isEmpty }.joined(separator: ", ")
                    try walks(kind, label, &verdict)
                    if !isV6 { try leftovers(kind, label, &verdict) }
                }
            }
        }
    }
}

/// Both walks of one kind of SA with every kind of traffic.
private func walks(_ kind: Fixture.Kind, _ label: String, _ verdict: inout Verdict) throws {
    for traffic in WalkSubject<counting>.Traffic.allCases {
        let subject = WalkSubject<counting>(
            traffic, kind: kind, batches: traffic == .tcp ? 16 : 200, mark: { counting_now() })
        let (out, into) = try subject.run()
        for (direction, spans) in [("out", out), ("in", [into])] {
            let packets = Double(spans.map(\.packets).reduce(0, +))
            for (what, field) in counters {
                let count = spans.map { $0.end[keyPath: field] - $0.begin[keyPath: field] }.reduce(0, +)
                verdict.hold(
                    "\(traffic.rawValue) \(direction), \(label): \(what) a packet", Double(count) / packets,
                    limit: allowed(field, kind.suite), isQuiet: true)
            }
            let time = spans.map { Double($0.nanoseconds) }.reduce(0, +) / packets
            verdict.tell("\(traffic.rawValue) \(direction), \(label)", "\(Int(packets)) packets, \(Int(time)) ns each")
        }
    }
}

/// libcrypto 3.0 duplicates two digest contexts for an HMAC and frees them; there is nothing else for any suite.
private func allowed(_ field: KeyPath<counting, UInt64>, _ suite: CipherSuite) -> Double {
    guard !suite.isAEAD, field == \.allocations || field == \.frees else { return 0 }
    return 2
}

/// SAs that are installed, used and removed again and again: as much is freed as was allocated.
private func leftovers(_ kind: Fixture.Kind, _ label: String, _ verdict: inout Verdict) throws {
    let subject = ChurnSubject(kind: kind)
    let (few, many) = (100, 400)
    try subject.run(few)
    let before = counting_now()
    try subject.run(many)
    let after = counting_now()
    let allocated = after.allocations - before.allocations
    let freed = after.frees - before.frees
    verdict.hold(
        "\(label): blocks left behind by \(many) SAs", Double(allocated) - Double(freed), limit: 0, isQuiet: true)
    verdict.hold(
        "\(label): blocks freed too often by \(many) SAs", Double(freed) - Double(allocated), limit: 0, isQuiet: true)
    verdict.tell("\(label), \(many) SAs installed, used and removed", "\(allocated) blocks, all of them freed")
}

/// That every counter counts, since what is proved by them is zeros.
private func probe(_ verdict: inout Verdict) {
    let before = counting_now()
    do {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 16)
        opaque(memory)
        memory.deallocate()
        let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
        pthread_mutex_init(lock, nil)
        pthread_mutex_lock(lock)
        pthread_mutex_unlock(lock)
        lock.deallocate()
        let kept = keep(Thing())
        kept.release()
    }
    let after = counting_now()
    for (name, field) in counters {
        let isBlind = after[keyPath: field] == before[keyPath: field]
        verdict.hold("blind counter: \(name)", isBlind ? 1 : 0, limit: 0)
    }
}

private final class Thing {}

/// The caller lends the object, so that keeping it takes a retain.
@inline(never) private func keep(_ object: AnyObject) -> Unmanaged<AnyObject> { Unmanaged.passRetained(object) }

/// Hides from the optimizer what becomes of the memory.
@inline(never) private func opaque(_ memory: UnsafeMutableRawPointer) {
    memory.storeBytes(of: 1, as: UInt8.self)
}
