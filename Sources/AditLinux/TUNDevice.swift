// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

internal import CLinux
internal import Glibc

/// A TUN interface, created or adopted, with one queue for each worker. The interface goes away with the last queue,
/// unless it existed before.
public final class TUNDevice: Sendable {
    /// What to open.
    public struct Options: Sendable {
        /// The interface's name, 1 to 15 bytes; `%d` in it lets the kernel choose a number.
        public var name: String
        /// How many queues, 1 to 256.
        public var queues: Int
        /// The offloads to ask for; what the kernel lacks is left out.
        public var offloads: TUNOffloads

        /// Options.
        public init(name: String, queues: Int = 1, offloads: TUNOffloads = .all) {
            self.name = name
            self.queues = queues
            self.offloads = offloads
        }
    }

    /// The interface's name.
    public let name: String
    /// The interface's index.
    public let index: UInt32
    /// Whether the interface existed before and stays.
    public let isAdopted: Bool
    /// The offloads that the kernel gave.
    public let offloads: TUNOffloads
    /// The queues; each is read by one thread and written by one at a time.
    public let queues: [TUNQueue]

    /// The most queues that one device can have (MAX_TAP_QUEUES of the kernel).
    public static let queueLimit = 256
    /// The longest interface name in bytes (IFNAMSIZ less its end).
    public static let nameLimit = 15

    /// Creates the interface, or adopts it when it exists.
    public init(_ options: Options) throws(SystemError) {
        try Self.check(options)
        let existed = unsafe if_nametoindex(options.name) != 0
        if existed, let link = try Netlink().link(named: options.name) {
            // Of another kind: who has it is beside the point.
            guard link.isWithoutHeader else {
                throw SystemError("open interface \(options.name)", code: EINVAL, remedy: Self.remedy(for: EINVAL))
            }
            // A device of several queues would let a second gateway share the packets of the first.
            guard !link.hasCarrier else {
                throw SystemError("open interface \(options.name)", code: EBUSY, remedy: Self.remedy(for: EBUSY))
            }
        }
        let first = try Self.attach(options.name, multiQueue: options.queues > 1, existed: existed)
        if existed, !first.isPersistent {
            throw SystemError("open interface \(options.name)", code: EBUSY, remedy: Self.remedy(for: EBUSY))
        }
        if options.queues > 1, !first.isMultiQueue {
            throw SystemError("open interface \(options.name)", code: EINVAL, remedy: Self.remedy(for: EINVAL))
        }
        var descriptors = [first.descriptor]
        for _ in 1..<max(options.queues, 1) {
            descriptors.append(try Self.attach(first.name, multiQueue: true, existed: true).descriptor)
        }
        let granted = try Self.setOffloads(options.offloads, of: first)
        name = first.name
        index = unsafe if_nametoindex(first.name)
        isAdopted = existed
        offloads = granted
        queues = descriptors.map { TUNQueue(descriptor: $0, offloads: granted) }
    }

    /// Whether a TUN device can be opened here, else the error with its remedy. Nothing stays behind.
    public static func probe() -> SystemError? {
        do {
            _ = try attach("aditprobe%d", multiQueue: false, existed: false)
            return nil
        } catch {
            return error
        }
    }

    /// Whether `name` may name an interface: 1 to 15 bytes, no space, slash or colon, not `.` or `..`; one `%d` at
    /// most.
    public static func isValidName(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        guard (1...nameLimit).contains(bytes.count), name != ".", name != ".." else { return false }
        let isPlain = bytes.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":") }
        let percents = bytes.indices.filter { bytes[$0] == UInt8(ascii: "%") }
        guard let percent = percents.first else { return isPlain }
        return isPlain && percents.count == 1 && percent + 1 < bytes.count && bytes[percent + 1] == UInt8(ascii: "d")
    }

    private static func check(_ options: Options) throws(SystemError) {
        guard isValidName(options.name) else {
            throw SystemError(
                "open interface \(options.name)", code: EINVAL,
                remedy: "an interface name has 1 to \(nameLimit) bytes without space, slash and colon")
        }
        guard (1...queueLimit).contains(options.queues) else {
            throw SystemError(
                "open \(options.queues) queues of \(options.name)", code: EINVAL,
                remedy: "a TUN device has 1 to \(queueLimit) queues")
        }
    }

    private struct Attachment {
        let descriptor: OwnedDescriptor
        let name: String
        let isMultiQueue: Bool
        let isPersistent: Bool
    }

    private static func attach(
        _ name: String, multiQueue: Bool, existed: Bool
    ) throws(SystemError) -> Attachment {
        let path = "/dev/net/tun"
        let opened = try SystemCall.check("open \(path)", remedy: remedy(forOpening:)) {
            unsafe open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK)
        }
        let descriptor = OwnedDescriptor(opened)
        let base = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR
        var actual = [CChar](repeating: 0, count: 16)
        var attached = multiQueue
        var (_, code) = SystemCall.attempt {
            unsafe adit_tun_attach(opened, name, base | (multiQueue ? IFF_MULTI_QUEUE : 0), &actual)
        }
        if code == EINVAL, existed {
            // An adopted interface is of one kind: with several queues or with one.
            attached.toggle()
            (_, code) = SystemCall.attempt {
                unsafe adit_tun_attach(opened, name, base | (attached ? IFF_MULTI_QUEUE : 0), &actual)
            }
        }
        guard code == 0 else {
            throw SystemError("open interface \(name)", code: code, remedy: remedy(for: code))
        }
        let bytes = actual.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        try SystemCall.check("set the virtio header size of \(name)") {
            adit_tun_set_header_size(opened, CInt(VirtioHeader.size))
        }
        // Refused only by kernels before 4.0; the host's order is little-endian on everything that runs those.
        _ = SystemCall.attempt { adit_tun_set_little_endian(opened) }
        return Attachment(
            descriptor: descriptor, name: String(decoding: bytes, as: UTF8.self), isMultiQueue: attached,
            isPersistent: adit_tun_is_persistent(opened) == 1)
    }

    /// Asks for `wanted`, then for less and less, as the kernel refuses everything when it lacks one.
    private static func setOffloads(
        _ wanted: TUNOffloads, of device: Attachment
    ) throws(SystemError) -> TUNOffloads {
        var rest: TUNOffloads = wanted.contains(.checksum) ? wanted : []
        let concessions: [TUNOffloads] = [[], [.udpV4, .udpV6], .tcpECN, .tcpV6, .tcpV4, .checksum]
        for concession in concessions {
            rest.subtract(concession)
            let (_, code) = SystemCall.attempt {
                adit_tun_set_offload(device.descriptor.value, rest.kernelBits)
            }
            if code == 0 { return rest }
            guard code == EINVAL else { throw SystemError("set the offloads of \(device.name)", code: code) }
        }
        return []
    }

    private static func remedy(forOpening code: CInt) -> String? {
        switch code {
        case ENOENT:
            "load the driver (modprobe tun), or make the node: "
                + "mkdir -p /dev/net && mknod /dev/net/tun c 10 200 (in a container, pass --device /dev/net/tun)"
        case ENODEV, ENXIO: "load the driver: modprobe tun"
        case EPERM, EACCES: "run it as root, or let the user read and write /dev/net/tun"
        default: nil
        }
    }

    private static func remedy(for code: CInt) -> String? {
        switch code {
        case EPERM: "run it as root, or give it CAP_NET_ADMIN (setcap cap_net_admin,cap_net_bind_service+ep FILE)"
        case EBUSY: "another program has this interface; stop it, or choose another name"
        case EINVAL:
            "an interface of that name exists and is no TUN device, or has another number of queues; "
                + "remove it (ip link delete), or choose another name"
        default: nil
        }
    }
}
