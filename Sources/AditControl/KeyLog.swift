// SPDX-License-Identifier: Apache-2.0
// Adit: AditControl

internal import AditCrypto
internal import AditIKE
package import AditLinux
internal import AditWire

/// Writes the keys of every SA as Wireshark's tables, so that a capture can be read. Whoever has these files can read
/// the traffic, so they exist only where somebody asked for them by name.
package final class KeyLog: Sendable {
    /// The names of Wireshark's files, which it looks for in its configuration directory.
    package static let ikeFile = "ikev2_decryption_table"
    package static let espFile = "esp_sa"

    /// Bytes of each file at the most, what was there before included: a first message that nobody has authenticated
    /// makes keys, too.
    package static let sizeLimit = 64 << 20

    private let ike: PrivateFile
    private let esp: PrivateFile
    private let limit: Int

    /// Opens both files in `directory`.
    package init(directory: String, limit: Int = sizeLimit) throws(SystemError) {
        self.limit = limit
        ike = try PrivateFile(Self.ikeFile, in: directory)
        esp = try PrivateFile(Self.espFile, in: directory)
    }

    /// Adds an IKE SA; false when it could not be written.
    func add(_ disclosure: IKEKeyDisclosure) -> Bool { ike.append(Self.line(disclosure), limit: limit) }

    /// Adds both directions of a Child SA; false when they could not be written.
    func add(_ child: ChildSAInstallation) -> Bool { esp.append(Self.lines(child), limit: limit) }

    // MARK: Wireshark's words

    /// Initiator's and responder's SPI, SK_ei, SK_er, cipher, SK_ai, SK_ar, integrity.
    static func line(_ disclosure: IKEKeyDisclosure) -> String {
        let (spis, keys) = ([disclosure.initiatorSPI, disclosure.responderSPI].map(Self.hexadecimal), disclosure.keys)
        guard let (cipher, integrity) = ikeNames(disclosure.suite) else {
            return "# \(spis[0]),\(spis[1]): \(unknownCipher)\n"
        }
        let encryption = [keys.skEi, keys.skEr].map(Self.hexadecimal).joined(separator: ",")
        let authentication = [keys.skAi, keys.skAr].map(Self.hexadecimal).joined(separator: ",")
        return "\(spis[0]),\(spis[1]),\(encryption),\"\(cipher)\",\(authentication),\"\(integrity)\"\n"
    }

    /// One entry a direction and address family: the SPI decides, wherever the peers move.
    static func lines(_ child: ChildSAInstallation) -> String {
        [(child.inboundSPI, child.inboundKey), (child.outboundSPI, child.outboundKey)].map { spi, key in
            guard let (cipher, integrity) = espNames(child.suite) else { return "# \(spi): \(unknownCipher)\n" }
            let encryption = hexadecimal(key.slice(0..<child.suite.encryptionKeyLength))
            let mac = hexadecimal(key.slice(child.suite.encryptionKeyLength..<key.count))
            return ["IPv4", "IPv6"].map { family in
                "\"\(family)\",\"*\",\"*\",\"0x\(spi)\",\"\(cipher)\",\"0x\(encryption)\",\"\(integrity)\","
                    + "\"\(mac.isEmpty ? "" : "0x" + mac)\"\n"
            }.joined()
        }.joined()
    }

    private static func ikeNames(_ suite: CipherSuite) -> (cipher: String, integrity: String)? {
        switch suite {
        case .aesGCM16(let key): ("AES-GCM-\(key.rawValue) with 16 octet ICV [RFC5282]", "NONE [RFC4306]")
        case .aesCBC(let key, let integrity): ("AES-CBC-\(key.rawValue) [RFC3602]", ikeName(integrity))
        case .tripleDESCBC(let integrity): ("3DES [RFC2451]", ikeName(integrity))
        case .chaCha20Poly1305: nil
        }
    }

    private static func ikeName(_ integrity: CipherSuite.Integrity) -> String {
        switch integrity {
        case .hmacMD5_96: "HMAC_MD5_96 [RFC2403]"
        case .hmacSHA1_96: "HMAC_SHA1_96 [RFC2404]"
        case .hmacSHA256_128: "HMAC_SHA2_256_128 [RFC4868]"
        case .hmacSHA384_192: "HMAC_SHA2_384_192 [RFC4868]"
        case .hmacSHA512_256: "HMAC_SHA2_512_256 [RFC4868]"
        }
    }

    private static func espNames(_ suite: CipherSuite) -> (cipher: String, integrity: String)? {
        switch suite {
        case .aesGCM16: ("AES-GCM with 16 octet ICV [RFC4106]", "NULL")
        case .aesCBC(_, let integrity): ("AES-CBC [RFC3602]", espName(integrity))
        case .tripleDESCBC(let integrity): ("TripleDES-CBC [RFC2451]", espName(integrity))
        case .chaCha20Poly1305: nil
        }
    }

    private static func espName(_ integrity: CipherSuite.Integrity) -> String {
        switch integrity {
        case .hmacMD5_96: "HMAC-MD5-96 [RFC2403]"
        case .hmacSHA1_96: "HMAC-SHA-1-96 [RFC2404]"
        case .hmacSHA256_128: "HMAC-SHA-256-128 [RFC4868]"
        case .hmacSHA384_192: "HMAC-SHA-384-192 [RFC4868]"
        case .hmacSHA512_256: "HMAC-SHA-512-256 [RFC4868]"
        }
    }

    private static func hexadecimal(_ spi: IKESPI) -> String { hexadecimal(spi.bytes) }

    private static func hexadecimal(_ secret: SecretBytes) -> String {
        // SAFETY: the bytes are read inside the closure only.
        unsafe secret.withUnsafeBytes { unsafe hexadecimal($0) }
    }

    private static func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private static let unknownCipher = "Wireshark's tables have no ChaCha20-Poly1305"
}
