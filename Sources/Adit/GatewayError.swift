// SPDX-License-Identifier: Apache-2.0
// Adit: Adit

internal import AditLinux
internal import Glibc

/// Why a gateway could not start or go on: one sentence, with the remedy.
public struct GatewayError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Stable words, for programs.
    public enum Code: String, Sendable {
        case permissionDenied = "permission_denied"
        case deviceUnavailable = "device_unavailable"
        case addressInUse = "address_in_use"
        case addressUnavailable = "address_unavailable"
        case systemCall = "system_call"
        case unsupported = "unsupported"
        case invalidConfiguration = "invalid_configuration"
    }

    /// What kind of failure.
    public var code: Code
    /// What failed and what to do about it.
    public var description: String

    /// An error.
    public init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }

    /// Of a device that could be read and no longer can; `name` is that of an interface, nil an embedder's device.
    init(lostDevice name: String?, code: CInt) {
        let error = SystemError(
            name.map { "read interface \($0)" } ?? "read a packet device", code: code,
            remedy: name == nil ? nil : "somebody removed it; start the gateway again, which makes it anew")
        self.init(.deviceUnavailable, error.description)
    }

    init(_ error: SystemError) {
        let code: Code =
            switch error.code {
            case EPERM, EACCES: .permissionDenied
            case EADDRINUSE: .addressInUse
            case EADDRNOTAVAIL: .addressUnavailable
            case ENOENT, ENODEV, ENXIO, EBUSY: .deviceUnavailable
            case EOPNOTSUPP, ENOPROTOOPT, EAFNOSUPPORT: .unsupported
            default: .systemCall
            }
        self.init(code, error.description)
    }
}
