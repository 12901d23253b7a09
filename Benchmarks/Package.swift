// swift-tools-version: 6.1
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

// A package of its own, so that what benchmarks need is no dependency of Adit's. INITIATORS_ONLY=1 is for
// scripts/scale: its program instead of package-benchmark, which takes every program here for benchmarks and runs it.
// What is measured comes with the products' modules (AditWire, AditCrypto with AditESP; AditForwarding, AditLinux with
// Adit). HotPath is built by Adit's own manifest (see scripts/hotpath).
let initiatorsOnly = Context.environment["INITIATORS_ONLY"] == "1"

let package = Package(
    name: "adit-benchmarks",
    dependencies: [.package(name: "adit", path: "..")],
    targets: [
        .target(name: "CBaseline", path: "CBaseline", linkerSettings: [.linkedLibrary("crypto")]),
        .target(
            name: "BenchmarkSubjects",
            dependencies: [
                "CBaseline", .product(name: "AditESP", package: "adit"), .product(name: "AditIKE", package: "adit"),
                .product(name: "Adit", package: "adit"),
            ],
            path: "Subjects"),
        .target(
            name: "Splitting", dependencies: [.product(name: "Adit", package: "adit")], path: "Splitting"),
    ]
)

if initiatorsOnly {
    package.targets.append(
        .executableTarget(
            name: "Initiators",
            dependencies: [.product(name: "AditIKE", package: "adit"), .product(name: "Adit", package: "adit")],
            path: "Initiators"))
} else {
    package.dependencies.append(.package(url: "https://github.com/ordo-one/benchmark", from: "1.38.1", traits: []))
    package.targets.append(
        .executableTarget(
            name: "DataPlane",
            dependencies: [
                "BenchmarkSubjects", "Splitting", .product(name: "AditESP", package: "adit"),
                .product(name: "Benchmark", package: "benchmark"),
            ],
            path: "DataPlane",
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]))
}
