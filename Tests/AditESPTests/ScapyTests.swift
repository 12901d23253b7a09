// SPDX-License-Identifier: Apache-2.0
// Adit: AditESPTests

import AditCrypto
import AditWire
import Foundation
import Testing

@testable import AditESP

/// Against an implementation that shares nothing with ours: scapy, in both directions.
@Suite struct ScapyTests {
    /// One question a line (verb, cipher, HMAC, SPI, low half, keys, bytes, high half), one answer a line.
    static let program = """
        import sys, logging
        logging.getLogger('scapy').setLevel(logging.ERROR)
        from scapy.layers.inet import IP, UDP
        from scapy.layers.inet6 import IPv6
        from scapy.layers.ipsec import ESP, SecurityAssociation
        def answer(verb, cipher, mac, spi, sequence, key, mac_key, data, high):
            data, spi = bytes.fromhex(data), int(spi)
            auth = {} if mac == '-' else dict(auth_algo=mac, auth_key=bytes.fromhex(mac_key))
            esn = {} if high == '-' else dict(esn_en=True, esn=int(high))
            sa = SecurityAssociation(
                ESP, spi=spi, crypt_algo=cipher, crypt_key=bytes.fromhex(key), **auth, **esn,
                tunnel_header=IP(src='192.0.2.1', dst='192.0.2.2'), nat_t_header=UDP(sport=4500, dport=4500))
            if verb == 'seal':
                inner = IPv6(data) if data[0] >> 4 == 6 else IP(data)
                return bytes(sa.encrypt(inner, seq_num=int(sequence), **esn))[28:].hex()
            outer = IP(src='192.0.2.1', dst='192.0.2.2') / UDP(sport=4500, dport=4500) / data
            return bytes(sa.decrypt(IP(bytes(outer)), **esn)).hex()
        for line in sys.stdin:
            try: print(answer(*line.split()), flush=True)
            except Exception as error: print('refused', type(error).__name__, error, flush=True)
        """

    static let python = ProcessInfo.processInfo.environment["ADIT_PYTHON"] ?? "python3"
    static let isPresent = (try? run("import scapy.layers.ipsec, cryptography", input: ""))?.status == 0
    static let absent = "no scapy with cryptography for ADIT_PYTHON (else python3)"

    static func ask(_ questions: [String]) throws -> [String] {
        let answer = try run(program, input: questions.joined(separator: "\n") + "\n")
        return answer.output.split(separator: "\n").map(String.init)
    }

    private static func run(_ program: String, input: String) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [python, "-c", program]
        let (questions, answers) = (Pipe(), Pipe())
        (process.standardInput, process.standardOutput, process.standardError) = (questions, answers, Pipe())
        try process.run()
        // The oracle answers as it reads: a thread of its own writes, so that neither pipe fills up.
        Thread.detachNewThread {
            try? questions.fileHandleForWriting.write(contentsOf: Data(input.utf8))
            try? questions.fileHandleForWriting.close()
        }
        let output = answers.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }

    /// scapy's names of a suite: cipher and HMAC.
    static func names(_ suite: CipherSuite) -> String {
        switch suite {
        case .aesGCM16: "AES-GCM -"
        case .chaCha20Poly1305: "CHACHA20-POLY1305 -"
        case .aesCBC(_, let integrity): "AES-CBC \(name(integrity))"
        case .tripleDESCBC(let integrity): "3DES \(name(integrity))"
        }
    }

    private static func name(_ integrity: CipherSuite.Integrity) -> String {
        switch integrity {
        case .hmacMD5_96: "HMAC-MD5-96"
        case .hmacSHA1_96: "HMAC-SHA1-96"
        case .hmacSHA256_128: "SHA2-256-128"
        case .hmacSHA384_192: "SHA2-384-192"
        case .hmacSHA512_256: "SHA2-512-256"
        }
    }

    struct Question {
        var sequence: UInt64
        var inner: [UInt8]
        var parameters: ChildSAParameters

        /// The question about `bytes`.
        func line(_ verb: String, _ bytes: [UInt8]) -> String {
            let suite = parameters.suite
            let keys = parameters.outboundKey.withUnsafeBytes { Array($0) }
            let (cipher, mac) = (keys.prefix(suite.encryptionKeyLength), keys.dropFirst(suite.encryptionKeyLength))
            let words = [
                verb, ScapyTests.names(suite), "\(parameters.outboundSPI.rawValue)", "\(sequence & 0xffff_ffff)",
                hex(Array(cipher)), mac.isEmpty ? "-" : hex(Array(mac)), hex(bytes),
                parameters.esn ? "\(sequence >> 32)" : "-",
            ]
            return words.joined(separator: " ")
        }
    }

    /// Packets of many sizes, both families, with ESN on both sides of 2^32.
    static func questions(seed: UInt64) -> [Question] {
        var generator = SeededGenerator(seed: seed)
        let numbers: [UInt64] = [1, 2, 70_000, 0xffff_fffe, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001, 0x7_1234_5678]
        var questions: [Question] = []
        for suite in CipherSuite.all {
            for (index, sequence) in numbers.enumerated() {
                let esn = sequence > 0xffff_ffff || Bool.random(using: &generator)
                let isV6 = index % 3 == 2
                let inner = InnerPacket.udp(
                    from: isV6 ? "fd01::1" : "10.1.0.1", to: isV6 ? "fd02::1" : "10.2.0.1",
                    length: Int.random(in: 28...1400, using: &generator))
                questions.append(
                    Question(sequence: sequence, inner: inner, parameters: .sample(suite: suite, esn: esn)))
            }
        }
        return questions
    }

    @Test(.enabled(if: isPresent, "\(absent)"))
    func scapyOpensWhatWeSeal() throws {
        let questions = Self.questions(seed: 71)
        let lines = try questions.map { question in
            let gateway = try TestGateway(question.parameters)
            return question.line("open", try #require(try gateway.seal(question.inner, sequence: question.sequence)))
        }
        let answers = try Self.ask(lines)
        try #require(answers.count == questions.count)
        for (question, answer) in zip(questions, answers) {
            let name = "\(question.parameters.suite) \(question.sequence) esn \(question.parameters.esn)"
            #expect(answer == hex(question.inner), "\(name)")
        }
    }

    @Test(.enabled(if: isPresent, "\(absent)"))
    func weOpenWhatScapySeals() throws {
        let questions = Self.questions(seed: 72)
        let answers = try Self.ask(questions.map { $0.line("seal", $0.inner) })
        try #require(answers.count == questions.count)
        for (question, answer) in zip(questions, answers) {
            let gateway = try TestGateway(question.parameters.mirrored)
            let (sa, _) = try gateway.inbound()
            if question.sequence > 1 { sa.pointee.window.commit(question.sequence - 1) }
            let sealed = hex(answer)
            try #require(sealed.count > 36, "\(answer)")
            var forged = sealed
            forged[forged.count - 1] ^= 1
            #expect(try gateway.drop(forged) == .badICV)
            let opened = try gateway.open(sealed)
            let name = "\(question.parameters.suite) \(question.sequence) esn \(question.parameters.esn)"
            #expect(opened.inner == question.inner, "\(name): \(opened.verdict)")
        }
    }
}
