// SPDX-License-Identifier: Apache-2.0
// Adit: AditCryptoTests

import Testing

@testable import AditCrypto

extension CipherSuite {
    /// Every suite: what the tests run over.
    static let all: [CipherSuite] =
        AESKeyLength.allCases.map { .aesGCM16($0) } + [.chaCha20Poly1305]
        + AESKeyLength.allCases.flatMap { length in Integrity.allCases.map { .aesCBC(length, $0) } }
        + Integrity.allCases.map { .tripleDESCBC($0) }

    static let aead = all.filter(\.isAEAD)

    /// A key of the right length.
    func key(_ seed: UInt64 = 1) -> SecretBytes { SecretBytes(arbitraryBytes(keyLength, seed: seed)) }

    /// Text lengths worth a test, in the suite's blocks.
    var textLengths: [Int] {
        isAEAD
            ? [0, 1, 4, 15, 16, 17, 31, 32, 63, 64, 65, 95, 96, 127, 128, 191, 192, 287, 288, 289, 1400, 9000]
            : [1, 2, 3, 4, 8, 15, 16, 88, 562].map { $0 * blockLength }
    }
}

/// A packet in one run of bytes, with the lengths of its parts.
struct TestPacket: Equatable {
    var bytes: [UInt8]
    var prefixLength: Int
    var textLength: Int
    var extended: UInt32?
    var suite: CipherSuite

    init(_ suite: CipherSuite, prefix: [UInt8], text: [UInt8], extended: UInt32? = nil) {
        self.suite = suite
        self.extended = extended
        (prefixLength, textLength) = (prefix.count, text.count)
        bytes = prefix + [UInt8](repeating: 0xee, count: suite.ivLength) + text
        bytes += [UInt8](repeating: 0xee, count: suite.icvLength)
    }

    init(_ suite: CipherSuite, prefix: [UInt8], iv: [UInt8], text: [UInt8], icv: [UInt8], extended: UInt32? = nil) {
        self.init(suite, prefix: prefix, text: text, extended: extended)
        bytes = prefix + iv + text + icv
    }

    var iv: [UInt8] { Array(bytes[prefixLength..<prefixLength + suite.ivLength]) }
    var text: [UInt8] { Array(bytes[prefixLength + suite.ivLength..<bytes.count - suite.icvLength]) }
    var icv: [UInt8] { Array(bytes.suffix(suite.icvLength)) }

    /// The packet sealed, or nil where the sealer refused and left it as it was.
    func sealed(by sealer: PacketSealer) throws -> TestPacket? {
        let (result, packet) = run {
            sealer.seal($0, prefixLength: prefixLength, textLength: textLength, extended: extended)
        }
        try #require(result || packet == self, "a refused packet is left as it was")
        return result ? packet : nil
    }

    /// The text, or nil where the opener refused.
    func opened(by opener: PacketOpener) -> [UInt8]? {
        let (result, packet) = run {
            opener.open($0, prefixLength: prefixLength, textLength: textLength, extended: extended)
        }
        return result ? packet.text : nil
    }

    /// The packet with one byte changed.
    func flipped(_ index: Int, _ bits: UInt8 = 0x80) -> TestPacket {
        var packet = self
        packet.bytes[index] ^= bits
        return packet
    }

    /// Runs on a copy between guard bytes, which must stay.
    private func run(_ body: (UnsafeMutableRawPointer) -> Bool) -> (Bool, TestPacket) {
        let guardLength = 32
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count + 2 * guardLength, alignment: 16)
        defer { room.deallocate() }
        room.initializeMemory(as: UInt8.self, repeating: 0xa5)
        guard let base = room.baseAddress else { return (false, self) }
        (base + guardLength).copyMemory(from: bytes, byteCount: bytes.count)
        let result = body(base + guardLength)
        precondition(
            room.prefix(guardLength).allSatisfy { $0 == 0xa5 } && room.suffix(guardLength).allSatisfy { $0 == 0xa5 },
            "nothing outside of the packet is written")
        var packet = self
        packet.bytes = Array(room[guardLength..<guardLength + bytes.count])
        return (result, packet)
    }
}
