// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

// CORE_ONLY=1 leaves out the executable, AditPKI and every third-party package: the sanitizer builds take seconds then.
// FUZZ=1 instruments the library targets for libFuzzer and adds the fuzz executables (see scripts/fuzz).
let coreOnly = Context.environment["CORE_ONLY"] == "1"
let fuzzing = Context.environment["FUZZ"] == "1"
// STRICT=1 makes every warning in our own targets an error; dependencies keep theirs (see scripts/check).
let strict = Context.environment["STRICT"] == "1"

let settings: [SwiftSetting] =
    [
        .swiftLanguageMode(.v6),
        .strictMemorySafety(),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
    ] + (strict ? [.treatAllWarnings(as: .error)] : []) + (fuzzing ? [.unsafeFlags(["-sanitize=fuzzer"])] : [])

let testSettings: [SwiftSetting] = [.swiftLanguageMode(.v6)] + (strict ? [.treatAllWarnings(as: .error)] : [])

func library(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, path: "Tests/\(name)", swiftSettings: testSettings)
}

var targets: [Target] = [
    .target(name: "CLinux"),
    .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    library("AditWire", []),
    library("AditCrypto", ["COpenSSL"]),
    library("AditESP", ["AditWire", "AditCrypto"]),
    library("AditIKE", ["AditWire", "AditCrypto"]),
    library("AditLinux", ["AditWire", "CLinux"]),
    library("AditForwarding", ["AditESP", "AditLinux", "AditWire"]),
    library("AditControl", ["AditIKE", "AditESP", "AditLinux", "AditWire", "AditCrypto"]),
    library(
        "Adit", ["AditControl", "AditForwarding", "AditIKE", "AditESP", "AditLinux", "AditWire", "AditCrypto"]),
    tests("AditWireTests", ["AditWire"]),
    tests("AditCryptoTests", ["AditCrypto", "COpenSSL"]),
    tests("AditESPTests", ["AditESP", "AditWire", "AditCrypto"]),
    tests("AditIKETests", ["AditIKE", "AditWire", "AditCrypto", "Simulation"]),
    tests("AditLinuxTests", ["AditLinux", "AditWire", "CLinux"]),
    tests("AditForwardingTests", ["AditForwarding", "AditESP", "AditLinux", "AditWire", "AditCrypto"]),
    tests(
        "AditControlTests", ["AditControl", "AditIKE", "AditESP", "AditLinux", "AditWire", "AditCrypto"]),
    tests(
        "AditTests",
        ["Adit", "AditControl", "AditForwarding", "AditIKE", "AditESP", "AditLinux", "AditWire", "AditCrypto"]),
    tests("TidyTests", []),
    .target(
        name: "FuzzSubjects",
        dependencies: ["AditForwarding", "AditLinux", "AditIKE", "AditESP", "AditWire", "AditCrypto"],
        path: "Tests/Fuzz/Subjects",
        swiftSettings: testSettings + [
            fuzzing ? .define("TESTABLE") : .define("TESTABLE", .when(configuration: .debug))
        ]),
    tests("FuzzReplayTests", ["FuzzSubjects"]),
    .target(
        name: "Simulation", dependencies: ["AditIKE", "AditESP", "AditWire", "AditCrypto"], path: "Tests/Simulation",
        swiftSettings: testSettings),
    tests("SimulationTests", ["Simulation", "AditIKE", "AditESP", "AditWire", "AditCrypto"]),
]

// SIMULATE=1 adds the program that runs seeds in a release build (see scripts/simulate).
if Context.environment["SIMULATE"] == "1" {
    targets.append(
        .executableTarget(
            name: "Simulator", dependencies: ["Simulation"], path: "Tests/Simulator", swiftSettings: testSettings))
}

// HOT_PATH=1 adds the program that counts and measures the packet path (see scripts/hotpath).
if Context.environment["HOT_PATH"] == "1" {
    targets += [
        .target(name: "CBaseline", path: "Benchmarks/CBaseline", linkerSettings: [.linkedLibrary("crypto")]),
        .target(name: "CCounting", path: "Benchmarks/CCounting"),
        .target(
            name: "BenchmarkSubjects",
            dependencies: [
                "CBaseline", "AditForwarding", "AditLinux", "AditIKE", "AditESP", "AditWire", "AditCrypto",
            ],
            path: "Benchmarks/Subjects", swiftSettings: testSettings),
        .target(
            name: "Splitting", dependencies: ["AditLinux", "AditWire"], path: "Benchmarks/Splitting",
            swiftSettings: testSettings),
        .executableTarget(
            name: "HotPath", dependencies: ["BenchmarkSubjects", "Splitting", "CCounting", "AditCrypto"],
            path: "Benchmarks/HotPath", swiftSettings: testSettings),
    ]
}

if fuzzing {
    // libFuzzer's runtime comes with the instrumentation; gold ends with an internal error on it.
    let linking: [LinkerSetting] = [.unsafeFlags(["-sanitize=fuzzer", "-use-ld=lld"])]
    targets.append(
        .target(
            name: "FuzzDriver", dependencies: ["FuzzSubjects"], path: "Tests/Fuzz/Driver", swiftSettings: testSettings))
    for name in [
        "IKEMessage", "IKEPayloads", "IKESequence", "InnerPacket", "SuperPacket", "ESPOpen", "Text", "Signature",
        "Netlink",
    ] {
        targets.append(
            .executableTarget(
                name: "Fuzz\(name)", dependencies: ["FuzzDriver", "FuzzSubjects"], path: "Tests/Fuzz/Fuzz\(name)",
                swiftSettings: testSettings, linkerSettings: linking))
    }
}

if fuzzing && !coreOnly {
    let linking: [LinkerSetting] = [.unsafeFlags(["-sanitize=fuzzer", "-use-ld=lld"])]
    // An executable cannot be linked into another one: links in this target's folder lead to the parser's files.
    targets.append(
        .executableTarget(
            name: "FuzzConfiguration",
            dependencies: ["FuzzDriver", "FuzzSubjects", "Adit", "AditPKI", "AditIKE", "AditWire", "AditCrypto"],
            path: "Tests/Fuzz/FuzzConfiguration",
            exclude: ["Configuration/ReloadPlan.swift", "Configuration/ConfigurationDifference.swift"],
            swiftSettings: settings, linkerSettings: linking))
    targets.append(
        .executableTarget(
            name: "FuzzCertificates", dependencies: ["FuzzDriver", "FuzzSubjects", "AditPKI", "AditIKE"],
            path: "Tests/Fuzz/FuzzCertificates", swiftSettings: testSettings, linkerSettings: linking))
}

if !coreOnly {
    targets.append(
        .target(
            name: "AditPKI",
            dependencies: [
                "AditIKE", "AditWire", "AditCrypto", .product(name: "X509", package: "swift-certificates"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
            ],
            swiftSettings: settings))
}

if !coreOnly && !fuzzing {
    targets += [
        tests(
            "AditPKITests",
            [
                "AditPKI", "AditIKE", "AditWire", "AditCrypto",
                .product(name: "X509", package: "swift-certificates"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
            ]),
        .executableTarget(
            name: "adit",
            dependencies: [
                "Adit", "AditPKI", "AditIKE", "AditWire", "AditCrypto",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
        tests(
            "aditCommandTests",
            [
                "adit", "Adit", "AditPKI", "AditIKE", "AditWire", "AditCrypto",
                .product(name: "Logging", package: "swift-log"),
            ]),
    ]
}

let package = Package(
    name: "adit",
    products: [
        .library(name: "AditESP", targets: ["AditESP", "AditWire", "AditCrypto"]),
        .library(name: "AditIKE", targets: ["AditIKE", "AditWire", "AditCrypto"]),
        .library(
            name: "Adit", targets: ["Adit", "AditIKE", "AditESP", "AditLinux", "AditWire", "AditCrypto"]),
    ],
    dependencies: [],
    targets: targets
)

if !coreOnly && !fuzzing {
    package.products += [
        .executable(name: "adit", targets: ["adit"]), .library(name: "AditPKI", targets: ["AditPKI"]),
    ]
    package.dependencies += [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    ]
}

if !coreOnly {
    package.dependencies += [
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
    ]
}
