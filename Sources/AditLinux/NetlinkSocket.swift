// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

internal import CLinux
internal import Glibc

/// A request-and-answer connection to rtnetlink. Used by one thread; waits for the kernel only, at most a few seconds.
struct NetlinkSocket: ~Copyable {
    /// How long the kernel may take for an answer.
    static let answerSeconds = 5
    /// The most datagrams of one answer.
    static let datagramLimit = 100_000
    /// How often a dump that changed while it was read is asked for again.
    static let dumpLimit = 8

    private let owned: OwnedDescriptor
    private var sequence: UInt32 = 0
    private var buffer = [UInt8](repeating: 0, count: 1 << 17)

    init() throws(SystemError) { owned = try Self.open() }

    /// Makes a change and waits for its acknowledgement.
    mutating func perform(
        _ request: NetlinkRequest, _ operation: String, remedy: (CInt) -> String? = { _ in nil }
    ) throws(SystemError) {
        let code = try exchange(request, operation) { _ in }
        guard code == 0 else { throw SystemError(operation, code: code, remedy: remedy(code)) }
    }

    /// Lists something: `request` has NLM_F_DUMP. A listing that the kernel calls inconsistent is made again.
    mutating func listing(_ request: NetlinkRequest, _ operation: String) throws(SystemError) -> [NetlinkAnswer] {
        for _ in 0..<Self.dumpLimit {
            var answers: [NetlinkAnswer] = []
            var isConsistent = true
            let code = try exchange(request, operation) { answer in
                if answer.flags & Int(NLM_F_DUMP_INTR) != 0 { isConsistent = false }
                answers.append(answer)
            }
            guard code == 0 else { throw SystemError(operation, code: code) }
            if isConsistent { return answers }
        }
        throw SystemError(operation, code: EAGAIN, remedy: "the list changes faster than it can be read")
    }

    /// Sends `request` and hands out what comes back, until the acknowledgement, whose errno is returned.
    private mutating func exchange(
        _ request: NetlinkRequest, _ operation: String, _ body: (NetlinkAnswer) -> Void
    ) throws(SystemError) -> CInt {
        sequence &+= 1
        let bytes = request.finish(sequence: sequence)
        try SystemCall.check(operation) { unsafe send(owned.value, bytes, bytes.count, 0) }
        for _ in 0..<Self.datagramLimit {
            let length = try SystemCall.check(operation, remedy: Self.remedy) {
                unsafe recv(owned.value, &buffer, buffer.count, CInt(MSG_TRUNC))
            }
            guard length <= buffer.count, let answers = NetlinkAnswer.parse(buffer[..<length]) else {
                throw SystemError(operation, code: EBADMSG)
            }
            // What is left of an earlier exchange, given up, has another number.
            for answer in answers where answer.sequence == sequence {
                switch answer.type {
                case Int(NLMSG_DONE), Int(NLMSG_ERROR):
                    return -(answer.payload.integer(at: 0, as: CInt.self) ?? -EBADMSG)
                case Int(NLMSG_NOOP): continue
                default: body(answer)
                }
            }
        }
        throw SystemError(operation, code: EOVERFLOW)
    }

    private static func open() throws(SystemError) -> OwnedDescriptor {
        let owned = OwnedDescriptor(
            try SystemCall.check("open a netlink socket") {
                socket(AF_NETLINK, CInt(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), NETLINK_ROUTE)
            })
        var limit = timeval(tv_sec: answerSeconds, tv_usec: 0)
        try SystemCall.check("set the timeout of a netlink socket") {
            unsafe setsockopt(owned.value, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
        return owned
    }

    private static func remedy(_ code: CInt) -> String? {
        code == EAGAIN ? "the kernel did not answer within \(answerSeconds) s" : nil
    }
}
