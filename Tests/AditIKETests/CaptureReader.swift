// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import AditWire

/// An IKE message of a capture and where it went.
struct CapturedMessage {
    let bytes: [UInt8]
    let source: Endpoint
    let destination: Endpoint
}

/// Reads the IKE messages of a pcap or pcapng file: UDP 500, and UDP 4500 behind the non-ESP marker (RFC 3948 §2.2).
struct CaptureReader {
    private(set) var messages: [CapturedMessage] = []

    init(_ file: [UInt8]) throws {
        if file.starts(with: [0x0a, 0x0d, 0x0d, 0x0a]) {
            try readBlocks(file)
        } else {
            try readRecords(file)
        }
    }

    private mutating func readRecords(_ file: [UInt8]) throws {
        guard file.count >= 24 else { throw WireError.truncated }
        let little = file[0] == 0xd4 || file[0] == 0x4d
        let link = Self.integer(file, 20, little) & 0xffff
        var position = 24
        while position + 16 <= file.count {
            let length = Self.integer(file, position + 8, little)
            let end = min(file.count, position + 16 + length)
            add(frame: Array(file[position + 16..<end]), link: link)
            position = end
        }
    }

    private mutating func readBlocks(_ file: [UInt8]) throws {
        var little = true
        var link = 1
        var position = 0
        while position + 12 <= file.count {
            let isSection = file[position] == 0x0a
            if isSection { little = file[position + 8] == 0x4d }
            let type = Self.integer(file, position, little)
            let length = Self.integer(file, position + 4, little)
            guard length >= 12, position + length <= file.count else { return }
            if type == 1 { link = Self.integer(file, position + 8, little) & 0xffff }
            if type == 6 {
                let captured = Self.integer(file, position + 20, little)
                let end = min(position + 28 + captured, file.count)
                add(frame: Array(file[position + 28..<end]), link: link)
            }
            position += length
        }
    }

    private mutating func add(frame: [UInt8], link: Int) {
        var start: Int
        switch link {
        case 1:
            start = 14
            while frame.count >= start, start >= 14, frame[start - 2] == 0x81, frame[start - 1] == 0 { start += 4 }
        case 0: start = 4
        case 113: start = 16
        default: start = 0
        }
        guard frame.count > start + 28 else { return }
        if frame[start] >> 4 == 4 {
            let header = Int(frame[start] & 15) * 4
            guard frame[start + 9] == 17 else { return }
            addUDP(
                frame, at: start + header, source: frame[start + 12..<start + 16],
                destination: frame[start + 16..<start + 20])
        } else if frame[start] >> 4 == 6, frame.count > start + 48, frame[start + 6] == 17 {
            addUDP(
                frame, at: start + 40, source: frame[start + 8..<start + 24],
                destination: frame[start + 24..<start + 40])
        }
    }

    private mutating func addUDP(
        _ frame: [UInt8], at start: Int, source: ArraySlice<UInt8>, destination: ArraySlice<UInt8>
    ) {
        guard frame.count >= start + 8, let source = IPAddress(bytes: source),
            let destination = IPAddress(bytes: destination)
        else { return }
        let ports = [Self.port(frame, start), Self.port(frame, start + 2)]
        let end = min(frame.count, start + Int(Self.port(frame, start + 4)))
        guard end > start + 8 else { return }
        var bytes = Array(frame[start + 8..<end])
        if bytes.starts(with: [0, 0, 0, 0]), !ports.contains(500) {
            bytes.removeFirst(4)
        } else if !ports.contains(500) {
            return
        }
        guard bytes.count >= 28 else { return }
        messages.append(
            CapturedMessage(
                bytes: bytes, source: Endpoint(source, port: ports[0]),
                destination: Endpoint(destination, port: ports[1])))
    }

    private static func port(_ bytes: [UInt8], _ offset: Int) -> UInt16 {
        UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1])
    }

    private static func integer(_ bytes: [UInt8], _ offset: Int, _ little: Bool) -> Int {
        let four = bytes[offset..<offset + 4]
        return (little ? Array(four.reversed()) : Array(four)).reduce(0) { $0 << 8 | Int($1) }
    }
}
