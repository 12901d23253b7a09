// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import Glibc

/// Tells the service manager how far the gateway is (sd_notify(3)); does nothing without one.
struct ServiceNotifier {
    private let socketPath: String?

    /// Reads `NOTIFY_SOCKET`.
    init() {
        socketPath = unsafe getenv("NOTIFY_SOCKET").map { unsafe String(cString: $0) }
    }

    /// Sends a state such as `READY=1`.
    func notify(_ state: String) {
        guard let socketPath, socketPath.hasPrefix("/") || socketPath.hasPrefix("@") else { return }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let bytes = Array(state.utf8)
        _ = unsafe ControlSocketAddress.withAddress(socketPath, abstract: socketPath.hasPrefix("@")) {
            address, length in
            let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
            return unsafe sendto(descriptor, bytes, bytes.count, flags, address, length)
        }
    }
}
