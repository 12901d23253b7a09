// SPDX-License-Identifier: Apache-2.0
// Adit: Benchmarks

import AditCrypto
import AditWire
import Benchmark
import BenchmarkSubjects

/// Thousandths of bare libcrypto's time for the same bytes in the same process.
let relative = BenchmarkMetric.custom("‰ of libcrypto", polarity: .prefersSmaller, useScalingFactor: false)

let benchmarks: @Sendable () -> Void = {
    Benchmark.defaultConfiguration = .init(
        metrics: [.wallClock, .throughput], timeUnits: .nanoseconds, warmupIterations: 5, scalingFactor: .one,
        maxDuration: .seconds(2), maxIterations: 10_000)
    sealing()
    looking()
    checksumming()
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
                    configuration: .init(metrics: [relative, .wallClock], maxDuration: .seconds(1))
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

func looking() {
    for count in [1, 1_000, 100_000] {
        let configuration = Benchmark.Configuration(
            metrics: [.wallClock, .throughput], scalingFactor: .kilo, maxDuration: .seconds(1))
        Benchmark("SA by SPI, \(count) SAs", configuration: configuration) { benchmark, subject in
            for _ in benchmark.scaledIterations { blackHole(subject.inbound()) }
        } setup: {
            try Looker(count)
        }
        Benchmark("policy of a known flow, \(count) SAs", configuration: configuration) { benchmark, subject in
            for _ in benchmark.scaledIterations { blackHole(subject.known()) }
        } setup: {
            try Looker(count)
        }
        Benchmark("policy of a new flow, \(count) SAs", configuration: configuration) { benchmark, subject in
            for _ in benchmark.scaledIterations { blackHole(subject.new()) }
        } setup: {
            try Looker(count)
        }
    }
}

func checksumming() {
    for length in [64, 512, 1400] {
        let bytes = [UInt8](repeating: 0xa5, count: length)
        Benchmark(
            "Internet checksum, \(length) B",
            configuration: .init(metrics: [.wallClock, .throughput], scalingFactor: .kilo, maxDuration: .seconds(1))
        ) { benchmark in
            for _ in benchmark.scaledIterations {
                var sum = InternetChecksum()
                bytes.withUnsafeBytes { if let base = $0.baseAddress { sum.add(base, count: length) } }
                blackHole(sum.checksum)
            }
        }
    }
}

/// Segmentation with sealing and opening with coalescing, on memory.
func walking() {
    let perPacket = BenchmarkMetric.custom("ns a packet", polarity: .prefersSmaller, useScalingFactor: false)
    for traffic in WalkSubject<Void>.Traffic.allCases {
        for isOut in [true, false] {
            Benchmark(
                "walk \(isOut ? "out" : "in"), \(traffic.rawValue)",
                configuration: .init(metrics: [perPacket, .wallClock], warmupIterations: 1, maxDuration: .seconds(2))
            ) { benchmark in
                for _ in benchmark.scaledIterations {
                    let walks = try WalkSubject<Void>(traffic, batches: traffic == .tcp ? 40 : 1000, mark: {}).run()
                    let span = isOut ? walks.out : walks.into
                    benchmark.measurement(perPacket, Int(span.nanoseconds) / max(span.packets, 1))
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

/// Ten SAs of a table asked for in turn.
final class Looker: @unchecked Sendable {
    private let subject: LookupSubject
    init(_ count: Int) throws { subject = try LookupSubject(count) }
    func inbound() -> Double { subject.inbound(.active, rounds: 1) }
    func known() -> Double { subject.outbound(.active, rounds: 1) }
    func new() -> Double { subject.newFlows(.active, rounds: 1) }
}
