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
        return decode(Array(text.utf8), key: "psk")
    }

    private func file() -> SecretBytes? {
        guard let name = reader.string("psk_file") else { return nil }
        let path = name.hasPrefix("/") ? name : context.directory + name
        switch BoundedFile.read(path, limit: secretLimit + 2) {
        case .failure(let failure):
            reader.problems.error(
                reader.path + ["psk_file"], "found \(quoted(path)): \(failure.reason); \(failure.remedy)")
            return nil
        case .success(let file):
            guard file.permissions & 0o077 == 0 else {
                let mode = String(file.permissions & 0o777, radix: 8)
                reader.problems.error(
                    reader.path + ["psk_file"],
                    "found \(quoted(path)) with mode \(mode), readable by others; allowed is 600: chmod 600 \(path)"
                )
                return nil
            }
            var bytes = file.bytes
            if bytes.last == 0x0a { bytes.removeLast() }
            if bytes.last == 0x0d { bytes.removeLast() }
            return decode(bytes, key: "psk_file")
        }
    }

    /// swanctl's forms: `0x` hexadecimal, `0s` base64, anything else is the secret itself.
    private func decode(_ bytes: [UInt8], key: String) -> SecretBytes? {
        let prefix = bytes.count >= 2 && bytes[0] == UInt8(ascii: "0") ? bytes[1] : 0
        let decoded: [UInt8]?
        switch prefix {
        case UInt8(ascii: "x"): decoded = decodeHexadecimal(bytes.dropFirst(2))
        case UInt8(ascii: "s"): decoded = decodeBase64(bytes.dropFirst(2))
        default: decoded = bytes
        }
        guard let decoded else {
            let form =
                prefix == UInt8(ascii: "x") ? "0x without an even number of hexadecimal digits" : "0s without base64"
            reader.refuse(key, found: form)
            return nil
        }
        guard (1...secretLimit).contains(decoded.count) else {
            reader.refuse(key, found: decoded.isEmpty ? "an empty secret" : "\(decoded.count) bytes")
            return nil
        }
        if decoded.count < shortSecret {
            reader.problems.warning(
                reader.path + [key],
                "the secret has \(decoded.count) bytes and can be guessed; 20 or more are advised (see adit genpsk)")
        }
        return SecretBytes(decoded)
    }

    private let secretLimit = 4096
    private let shortSecret = 20
}

/// Two hexadecimal digits a byte; nil for anything else.
func decodeHexadecimal(_ text: some Collection<UInt8>) -> [UInt8]? {
    guard text.count.isMultiple(of: 2) else { return nil }
    let digits = text.map { byte -> UInt8? in
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }
    guard !digits.contains(nil) else { return nil }
    let values = digits.compactMap(\.self)
    return stride(from: 0, to: values.count, by: 2).map { values[$0] << 4 | values[$0 + 1] }
}

/// RFC 4648 §4, with or without its padding; nil for anything else.
func decodeBase64(_ text: some Collection<UInt8>) -> [UInt8]? {
    let body = Array(text)
    let padding = body.reversed().prefix { $0 == UInt8(ascii: "=") }.count
    guard padding <= 2, padding == 0 || body.count.isMultiple(of: 4), (body.count - padding) % 4 != 1 else {
        return nil
    }
    var bytes: [UInt8] = []
    var bits: UInt32 = 0
    var count = 0
    for byte in body.dropLast(padding) {
        guard let value = base64Alphabet.firstIndex(of: byte) else { return nil }
        bits = bits << 6 | UInt32(value)
        count += 6
        guard count >= 8 else { continue }
        count -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
        bits &= (1 << UInt32(count)) - 1
    }
    return bytes
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
