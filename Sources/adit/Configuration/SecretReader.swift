// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import AditCrypto

/// Reads a connection's pre-shared key: `psk` or `psk_file`, exactly one of them.
struct SecretReader {
    let reader: TableReader
    let context: ConnectionSection.Context

    /// The secret; nil after an error.
    func read() -> SecretBytes? {
        switch (reader.has("psk"), reader.has("psk_file")) {
        case (false, false):
            let missing =
                reader.has("cert_file") || reader.has("key_file")
                ? "missing; ca_file is needed for a peer with a certificate, psk or psk_file for one without"
                : reader.has("ca_file")
                    ? "missing; cert_file and key_file are needed for a certificate of our own, psk without one"
                    : "missing; psk or psk_file is needed (see adit genpsk), or cert_file, key_file and ca_file"
            reader.problems.error(reader.path + ["psk"], missing)
            return nil
        case (true, true):
            _ = reader.string("psk", secret: true)
            reader.problems.error(reader.path + ["psk_file"], "found beside psk; allowed is one of psk and psk_file")
            return nil
        case (true, false): return inline()
        case (false, true): return file()
        }
    }

    private func inline() -> SecretBytes? {
        guard let text = reader.string("psk", secret: true) else { return nil }
        // The parser's text is the one copy that nothing erases (SECURITY.md): psk_file avoids it.
        return decode(SecretBytes(text.utf8), key: "psk")
    }

    private func file() -> SecretBytes? {
        let limit = secretLimit + 2
        guard let (content, _) = reader.secretFile("psk_file", in: context.directory, limit: limit) else { return nil }
        return decode(content.withoutLineEnd, key: "psk_file")
    }

    /// swanctl's forms: `0x` hexadecimal, `0s` base64, anything else is the secret itself.
    private func decode(_ text: SecretBytes, key: String) -> SecretBytes? {
        let decoded: SecretBytes?
        let form: String
        switch text.prefix(2) {
        case Array("0x".utf8):
            decoded = unsafe text.decoded(decodeHexadecimal)
            form = "0x without an even number of hexadecimal digits"
        case Array("0s".utf8):
            decoded = unsafe text.decoded(decodeBase64)
            form = "0s without base64"
        default:
            decoded = text
            form = ""
        }
        guard let decoded else {
            reader.refuse(key, found: form)
            return nil
        }
        guard (1...secretLimit).contains(decoded.count) else {
            reader.refuse(key, found: decoded.count == 0 ? "an empty secret" : "\(decoded.count) bytes")
            return nil
        }
        if decoded.count < shortSecret {
            reader.problems.warning(
                reader.path + [key],
                "the secret has \(decoded.count) bytes and can be guessed; 20 or more are advised (see adit genpsk)")
        }
        return decoded
    }

    private let secretLimit = 4096
    private let shortSecret = 20
}

extension SecretBytes {
    /// Without one LF or CRLF at its end.
    fileprivate var withoutLineEnd: SecretBytes {
        let length = unsafe withUnsafeBytes { bytes in
            let rest = unsafe bytes.last == 0x0a ? bytes.dropLast() : bytes[...]
            return unsafe rest.last == 0x0d ? rest.count - 1 : rest.count
        }
        return slice(0..<length)
    }

    /// The first bytes, which say how the rest is written.
    fileprivate func prefix(_ count: Int) -> [UInt8] { unsafe withUnsafeBytes { unsafe Array($0.prefix(count)) } }

    /// What `decode` makes of everything after the first two bytes; never in memory that is not cleansed.
    fileprivate func decoded(_ decode: (UnsafeRawBufferPointer, (UInt8) -> Void) -> Bool) -> SecretBytes? {
        unsafe withUnsafeBytes { bytes in
            // SAFETY: both are lent for this closure; no decoding makes more bytes than there are characters.
            let text = unsafe UnsafeRawBufferPointer(rebasing: bytes.dropFirst(2))
            var length = 0
            var isWellFormed = false
            let whole = unsafe SecretBytes(count: text.count) { target in
                isWellFormed = unsafe decode(text) { byte in
                    unsafe target[length] = byte
                    length += 1
                }
            }
            return isWellFormed ? whole.slice(0..<length) : nil
        }
    }
}

/// Two hexadecimal digits a byte; nil for anything else.
func decodeHexadecimal(_ text: some Collection<UInt8>) -> [UInt8]? {
    var bytes: [UInt8] = []
    return decodeHexadecimal(text) { bytes.append($0) } ? bytes : nil
}

/// Gives `emit` one byte for two hexadecimal digits; false for anything else.
func decodeHexadecimal(_ text: some Collection<UInt8>, _ emit: (UInt8) -> Void) -> Bool {
    guard text.count.isMultiple(of: 2) else { return false }
    var upper: UInt8?
    for byte in text {
        let digit: UInt8
        switch byte {
        case 0x30...0x39: digit = byte - 0x30
        case 0x41...0x46: digit = byte - 0x41 + 10
        case 0x61...0x66: digit = byte - 0x61 + 10
        default: return false
        }
        if let high = upper { emit(high << 4 | digit) }
        upper = upper == nil ? digit : nil
    }
    return true
}

/// RFC 4648 §4, with or without its padding, to `emit`; false for anything else.
func decodeBase64(_ text: some BidirectionalCollection<UInt8>, _ emit: (UInt8) -> Void) -> Bool {
    let padding = text.lazy.reversed().prefix { $0 == UInt8(ascii: "=") }.count
    guard padding <= 2, padding == 0 || text.count.isMultiple(of: 4), (text.count - padding) % 4 != 1 else {
        return false
    }
    var bits: UInt32 = 0
    var count = 0
    for byte in text.dropLast(padding) {
        guard let value = base64Alphabet.firstIndex(of: byte) else { return false }
        bits = bits << 6 | UInt32(value)
        count += 6
        guard count >= 8 else { continue }
        count -= 8
        emit(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
        bits &= (1 << UInt32(count)) - 1
    }
    return true
}

/// RFC 4648 §4, padded.
func encodeBase64(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 3) {
        let group = bytes[start..<min(start + 3, bytes.count)]
        let bits = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - group.count))
        for position in 0..<4 {
            let index = Int(bits >> UInt32(18 - 6 * position) & 63)
            text.append(position <= group.count ? base64Alphabet[index] : UInt8(ascii: "="))
        }
    }
    return String(decoding: text, as: UTF8.self)
}

private let base64Alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
