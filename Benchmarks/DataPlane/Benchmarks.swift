// SPDX-License-Identifier: Apache-2.0
// Adit: Benchmarks

import AditCrypto
import AditWire
import Benchmark
import BenchmarkSubjects
import Splitting

/// Thousandths of bare libcrypto's time for the same bytes in the same process.
let relative = BenchmarkMetric.custom("‰ of libcrypto", polarity: .prefersSmaller, useScalingFactor: false)

/// What may differ from a baseline (`benchmark baseline check`). Counts need the package's own tools: where its
/// interposer was not built, or the machine has no counters, they are not measured or read 0, and the limits are those
/// of scripts/hotpath, which counts by itself.
func tolerances(_ metrics: [BenchmarkMetric]) -> [BenchmarkMetric: BenchmarkThresholds] {
    let all: [BenchmarkMetric: BenchmarkThresholds] = [
        .mallocCountTotal: BenchmarkThresholds(absolute: [.p50: 0]),
        .instructions: BenchmarkThresholds(relative: [.p50: 5]),
        relative: BenchmarkThresholds(relative: [.p50: 5]),
    ]
    return all.filter { metrics.contains($0.key) }
}

/// What is measured for `seconds`, with its tolerances.
func measured(
    _ metrics: [BenchmarkMetric], seconds: Int, warmups: Int = 5, scale: BenchmarkScalingFactor = .one
) -> Benchmark.Configuration {
    Benchmark.Configuration(
        metrics: metrics, timeUnits: .nanoseconds, warmupIterations: warmups, scalingFactor: scale,
        maxDuration: .seconds(seconds), maxIterations: 10_000, thresholds: tolerances(metrics))
}

let benchmarks: @Sendable () -> Void = {
    Benchmark.defaultConfiguration = measured([.wallClock, .throughput, .mallocCountTotal, .instructions], seconds: 2)
    sealing()
    looking()
    checksumming()
    splitting()
    walking()
    shaking()
}

func sealing() {
    let suites: [(String, CipherSuite)] = [
        ("AES-128-GCM", .aesGCM16(.bits128)), ("AES-256-GCM", .aesGCM16(.bits256)),
        ("ChaCha20-Poly1305", .chaCha20Poly1305), ("AES-128-CBC with SHA-256", .aesCBC(.bits128, .hmacSHA256_128)),
    ]
    for (name, suite) in suites {
        for length in [64, 512, 1400] {
            for direction in SealSubject.Direction.allCases {
                Benchmark(
                    "\(direction.rawValue) \(length) B, \(name)",
                    configuration: measured([relative, .wallClock], seconds: 1)
                ) { benchmark in
                    let subject = try SealSubject(suite: suite, length: length)
                    for _ in benchmark.scaledIterations {
                        let (adit, bare) = subject.measure(direction, rounds: 50)
                        if bare > 0 { benchmark.measurement(relative, Int(adit / bare * 1000)) }
                    }
                }
            }
        }
    }
}

/// One iteration is a pass over a few thousand keys that were made before: ``LookupSubject``.
func looking() {
    let perLookup = BenchmarkMetric.custom("ns a lookup", polarity: .prefersSmaller, useScalingFactor: false)
    for count in [10, 1_000, 100_000] {
        for traffic in LookupSubject.Traffic.allCases {
            for search in LookupSubject.Search.allCases {
                Benchmark(
                    "\(search.rawValue), \(traffic.rawValue) of \(count)",
                    configuration: measured([perLookup, .wallClock, .mallocCountTotal, .instructions], seconds: 1)
                ) { benchmark, subject in
                    for _ in benchmark.scaledIterations {
                        benchmark.measurement(perLookup, Int(subject.median(search, traffic, rounds: 5)))
                    }
                } setup: {
                    try LookupSubject(count)
                }
            }
        }
    }
}

func checksumming() {
    for length in [64, 512, 1400] {
        let bytes = [UInt8](repeating: 0xa5, count: length)
        Benchmark(
            "Internet checksum, \(length) B",
            configuration: measured([.wallClock, .throughput], seconds: 1, scale: .kilo)
        ) { benchmark in
            for _ in benchmark.scaledIterations {
                var sum = InternetChecksum()
                bytes.withUnsafeBytes { if let base = $0.baseAddress { sum.add(base, count: length) } }
                blackHole(sum.checksum)
            }
        }
    }
}

/// Segmentation and coalescing alone: a super-packet of 45 segments.
func splitting() {
    for isV6 in [false, true] {
        let name = isV6 ? "IPv6" : "IPv4"
        Benchmark("segmentation of a super-packet, TCP over \(name)") { benchmark, subject in
            for _ in benchmark.scaledIterations { subject.split() }
        } setup: {
            SplitSubject(isV6)
        }
        Benchmark("coalescing of its segments, TCP over \(name)") { benchmark, subject in
            for _ in benchmark.scaledIterations { subject.join() }
        } setup: {
            SplitSubject(isV6)
        }
    }
}

extension SplitSubject {
    fileprivate convenience init(_ isV6: Bool) {
        let (bytes, offload) = Fixture.superPacket(isV6: isV6)
        self.init(bytes, offload: offload)
    }
}

/// Both walks: segmentation with sealing and opening with coalescing, on memory.
func walking() {
    let perPacket = BenchmarkMetric.custom("ns a packet", polarity: .prefersSmaller, useScalingFactor: false)
    for traffic in WalkSubject<Void>.Traffic.allCases {
        for isOut in [true, false] {
            Benchmark(
                "walk \(isOut ? "out" : "in"), \(traffic.rawValue)",
                configuration: measured([perPacket, .wallClock], seconds: 2, warmups: 1)
            ) { benchmark in
                for _ in benchmark.scaledIterations {
                    let walks = try WalkSubject<Void>(traffic, batches: traffic == .tcp ? 40 : 1000, mark: {}).run()
                    let span = isOut ? walks.out.first : walks.into
                    if let span { benchmark.measurement(perPacket, Int(span.nanoseconds) / max(span.packets, 1)) }
                }
            }
        }
    }
}

func shaking() {
    Benchmark("IKE handshake, both ends (PSK, X25519, one child)") { benchmark in
        let subject = HandshakeSubject()
        for _ in benchmark.scaledIterations {
            guard subject.run() == 2 else { benchmark.error("no Child SA"); return }
        }
    }
}
