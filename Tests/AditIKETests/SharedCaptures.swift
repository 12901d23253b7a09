// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import Foundation

/// The recorded conversations and vectors that lie beside the repository; tests that need them are off without them.
enum SharedCaptures {
    static let root: URL = {
        if let path = ProcessInfo.processInfo.environment["ADIT_SHARED"] { return URL(fileURLWithPath: path) }
        let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return package.deletingLastPathComponent().appendingPathComponent("shared")
    }()

    static let available = FileManager.default.fileExists(atPath: root.appendingPathComponent("captures").path)

    /// Every strongSwan conversation over IKEv2, by folder name.
    static let conversations: [String] = {
        guard available else { return [] }
        let folder = root.appendingPathComponent("captures/strongswan")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.sorted().filter { name in
            !name.hasPrefix("ikev1")
                && FileManager.default.fileExists(atPath: folder.appendingPathComponent("\(name)/keys.json").path)
        }
    }()

    /// Every other capture file.
    static let thirdParty: [String] = {
        guard available else { return [] }
        let folder = root.appendingPathComponent("captures/third-party")
        let paths = FileManager.default.enumerator(atPath: folder.path)?.allObjects as? [String] ?? []
        return paths.filter { $0.hasSuffix(".pcap") || $0.hasSuffix(".pcapng") || $0.hasSuffix(".cap") }.sorted()
    }()

    static func bytes(_ path: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: root.appendingPathComponent(path)))
    }

    static func text(_ path: String) throws -> String {
        try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
    }
}

/// The bytes of hexadecimal digits.
func hex(_ text: some StringProtocol) -> [UInt8] {
    let digits = text.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

/// A small generator with a seed, so that a failure can be repeated.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8.random(in: 0...255, using: &self) } }
}
