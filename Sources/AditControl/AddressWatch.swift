// SPDX-License-Identifier: Apache-2.0
// Adit: AditControl

internal import AditIKE
internal import AditLinux
internal import AditWire

/// The host's addresses, and when they or the routes have changed: a burst of changes is told once. Used by the control
/// thread.
final class AddressWatch {
    private let monitor: NetworkMonitor
    private let netlink: Netlink
    private let tunnel: UInt32?
    private let listened: [IPAddress]
    private let warn: @Sendable (String) -> Void
    /// When the change under way began, and when it is to be told.
    private var began: Timestamp?
    private(set) var due: Timestamp?

    /// `tunnel` is the TUN device's index; `listened` are the addresses of the sockets, empty for all.
    init(
        tunnel: UInt32?, listened: [IPAddress], warn: @escaping @Sendable (String) -> Void
    ) throws(SystemError) {
        monitor = try NetworkMonitor()
        netlink = try Netlink()
        self.tunnel = tunnel
        self.listened = listened
        self.warn = warn
    }

    /// Readable when ``note(_:)`` is to be called.
    var descriptor: CInt { monitor.descriptor }

    /// Reads what changed.
    func note(_ now: Timestamp) {
        guard monitor.drain() else { return }
        let first = began ?? now
        began = first
        due = min(now + Self.quiet, first + Self.patience)
    }

    /// Whether a change is to be told now; each is told once.
    func take(_ now: Timestamp) -> Bool {
        guard let due, due <= now else { return false }
        began = nil
        self.due = nil
        return true
    }

    /// Every address of the host; nil when they cannot be listed, which is told.
    func addresses() -> [HostAddress]? {
        do {
            let links = Dictionary(try netlink.links().map { ($0.index, $0) }, uniquingKeysWith: { first, _ in first })
            return try netlink.addresses().map { entry in
                let link = links[entry.link]
                let isOutside = link.map { $0.isUp && !$0.isLoopback } ?? false
                let isListened = listened.isEmpty || listened.contains(entry.prefix.address)
                return HostAddress(
                    entry.prefix.address,
                    isOuter: isOutside && isListened && entry.link != tunnel && entry.isGlobal && entry.isReady)
            }
        } catch {
            warn("cannot list the host's addresses: \(error)")
            return nil
        }
    }

    /// A change is told when nothing more happened for this long,
    static let quiet: Duration = .milliseconds(50)
    /// and after this in any case.
    static let patience: Duration = .milliseconds(300)
}
