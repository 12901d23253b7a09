// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

internal import CLinux
internal import Glibc

/// A netlink message being built: header, family header, attributes (rtnetlink(7)); host byte order.
struct NetlinkRequest {
    /// The length and sequence fields are filled in by ``finish(sequence:)``.
    private var bytes: [UInt8] = []

    /// A request of `type` (RTM_…) with `flags` beside NLM_F_REQUEST, and the family header `fixed`.
    init<Fixed: BitwiseCopyable>(_ type: Int, flags: Int, fixed: Fixed) {
        append(UInt32(0))
        append(UInt16(type))
        append(UInt16(flags | Int(NLM_F_REQUEST)))
        append(UInt32(0))
        append(UInt32(0))
        append(fixed)
    }

    /// Appends an attribute.
    mutating func attribute(_ type: Int, _ payload: [UInt8]) { bytes += Self.encoded(type, payload) }

    /// An attribute by itself, padded to 4 bytes, to be nested in another one.
    static func encoded(_ type: Int, _ payload: [UInt8]) -> [UInt8] {
        var result = [UInt16(payload.count + 4), UInt16(type)].flatMap { value in
            unsafe withUnsafeBytes(of: value) { unsafe Array($0) }
        }
        result += payload
        while result.count % 4 != 0 { result.append(0) }
        return result
    }

    /// Appends an attribute of one 32-bit value.
    mutating func attribute(_ type: Int, _ value: UInt32) {
        attribute(type, unsafe withUnsafeBytes(of: value) { unsafe Array($0) })
    }

    /// The bytes to send.
    func finish(sequence: UInt32) -> [UInt8] {
        var result = bytes
        unsafe result.withUnsafeMutableBytes { buffer in
            // SAFETY: the initialiser wrote 16 bytes of header at least.
            unsafe buffer.storeBytes(of: UInt32(buffer.count), toByteOffset: 0, as: UInt32.self)
            unsafe buffer.storeBytes(of: sequence, toByteOffset: 8, as: UInt32.self)
        }
        return result
    }

    private mutating func append<Value: BitwiseCopyable>(_ value: Value) {
        unsafe withUnsafeBytes(of: value) { unsafe bytes.append(contentsOf: $0) }
        while bytes.count % 4 != 0, MemoryLayout<Value>.size > 4 { bytes.append(0) }
    }
}

/// One message of an answer; every access is checked against the bytes that came.
struct NetlinkAnswer {
    /// RTM_… or NLMSG_….
    let type: Int
    /// NLM_F_….
    let flags: Int
    /// To which request.
    let sequence: UInt32
    /// What follows the header.
    let payload: ArraySlice<UInt8>

    /// The length of nlmsghdr.
    static let headerLength = 16
    /// The most messages that one datagram is read for.
    static let messageLimit = 4096
    /// The most attributes that one message is read for.
    static let attributeLimit = 256

    /// Cuts a datagram into messages; nil when a length lies.
    static func parse(_ datagram: ArraySlice<UInt8>) -> [NetlinkAnswer]? {
        var rest = datagram
        var answers: [NetlinkAnswer] = []
        while !rest.isEmpty {
            guard answers.count < messageLimit, let length = rest.integer(at: 0, as: UInt32.self),
                let type = rest.integer(at: 4, as: UInt16.self), let flags = rest.integer(at: 6, as: UInt16.self),
                let sequence = rest.integer(at: 8, as: UInt32.self), length >= headerLength, length <= rest.count
            else { return nil }
            let message = rest.prefix(Int(length))
            answers.append(
                NetlinkAnswer(
                    type: Int(type), flags: Int(flags), sequence: sequence, payload: message.dropFirst(headerLength)))
            rest = rest.dropFirst(aligned(Int(length)))
        }
        return answers
    }

    /// The attributes after a family header of `fixedLength` bytes, by type (nested flags cut off), the last of a type
    /// winning; nil when a length lies.
    func attributes(after fixedLength: Int) -> [Int: ArraySlice<UInt8>]? {
        guard payload.count >= fixedLength else { return nil }
        var rest = payload.dropFirst(Self.aligned(fixedLength))
        var result: [Int: ArraySlice<UInt8>] = [:]
        var count = 0
        while rest.count >= 4 {
            guard count < Self.attributeLimit, let length = rest.integer(at: 0, as: UInt16.self),
                let type = rest.integer(at: 2, as: UInt16.self), length >= 4, length <= rest.count
            else { return nil }
            result[Int(type & 0x3fff)] = rest.prefix(Int(length)).dropFirst(4)
            rest = rest.dropFirst(Self.aligned(Int(length)))
            count += 1
        }
        return result
    }

    private static func aligned(_ length: Int) -> Int { (length + 3) & ~3 }
}

extension ArraySlice<UInt8> {
    /// The integer in host byte order at `offset` from the beginning; nil when it reaches past the end.
    func integer<Value: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: Value.Type) -> Value? {
        let size = MemoryLayout<Value>.size
        guard offset >= 0, offset <= count - size else { return nil }
        return unsafe withUnsafeBytes { unsafe $0.loadUnaligned(fromByteOffset: offset, as: Value.self) }
    }

    /// The text up to the first zero byte.
    var text: String { String(decoding: prefix { $0 != 0 }, as: UTF8.self) }
}
