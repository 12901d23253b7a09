// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import Adit
internal import AditWire

/// Reads `[gateway]`.
struct GatewaySection {
    let reader: TableReader

    func read(into gateway: inout GatewayConfiguration, _ settings: inout ConfigurationFile.ExecutableSettings) {
        reader.checkKeys()
        if let name = interfaceName() { gateway.interface = name }
        if let items = reader.strings("address", mayBeEmpty: true) {
            gateway.addresses = items.compactMap { interfaceAddress($0) }
        }
        gateway.mtu = reader.integerOrAuto("mtu", in: 576...65_535)
        if let items = reader.strings("listen", limit: listenLimit, mayBeEmpty: true) {
            gateway.listen = items.compactMap { item in
                let address = IPAddress(item.text)
                if address == nil { reader.refuse("listen", found: quoted(item.text), item: item.index) }
                return address
            }
        }
        if let port = reader.integer("ike_port", in: 1...65_535) { gateway.ikePort = UInt16(port) }
        if let port = reader.integer("nat_port", in: 1...65_535) { gateway.natPort = UInt16(port) }
        if gateway.ikePort == gateway.natPort {
            let key = reader.has("nat_port") ? "nat_port" : "ike_port"
            reader.problems.error(
                reader.path + [key], "found \(gateway.natPort) for both ports; ike_port and nat_port must differ")
        }
        gateway.workers = reader.integerOrAuto("workers", in: 1...64)
        if let value = reader.integer("nice", in: -20...19) { gateway.niceness = value }
        if let items = reader.strings("offloads", limit: offloadNames.count, mayBeEmpty: true) {
            gateway.offloads = items.reduce(into: []) { offloads, item in
                if let offload = offloadNames[item.text] {
                    offloads.insert(offload)
                } else {
                    reader.refuse("offloads", found: quoted(item.text), item: item.index)
                }
            }
        }
        if let flag = reader.boolean("install_routes") { gateway.installRoutes = flag }
        if let timeout = duration("retransmit_timeout", in: 1...60) { gateway.retransmitTimeout = timeout }
        if let tries = reader.integer("retransmit_tries", in: 1...12) { gateway.retransmitTries = tries }
        if let time = duration("keep_alive", in: 0...3600) { gateway.keepAlive = time }
        settings.control = controlPath()
        settings.metrics = metricsEndpoint()
        settings.logLevel = reader.word("log_level", LogThreshold.self)
    }

    private func interfaceName() -> String? {
        guard let name = reader.string("interface") else { return nil }
        // The kernel's rule for device names (IFNAMSIZ is 16 with the final NUL).
        let fits = (1...15).contains(name.utf8.count) && name != "." && name != ".."
        let allowed = name.utf8.allSatisfy {
            $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":")
        }
        guard fits, allowed, !name.contains("%") else {
            reader.refuse("interface", found: quoted(name))
            return nil
        }
        return name
    }

    private func duration(_ key: String, in seconds: ClosedRange<Int64>) -> Duration? {
        guard let duration = reader.duration(key) else { return nil }
        guard seconds.contains(duration.components.seconds) else {
            reader.refuse(key, found: quoted(reader.string(key) ?? ""))
            return nil
        }
        return duration
    }

    private func interfaceAddress(_ item: TableReader.Item) -> IPPrefix? {
        guard let prefix = IPPrefix(item.text) else {
            reader.refuse("address", found: quoted(item.text), item: item.index)
            return nil
        }
        return prefix
    }

    private func controlPath() -> String? {
        guard let path = reader.string("control") else { return nil }
        guard path.hasPrefix("/"), ControlSocketAddress.isUsable(path) else {
            reader.refuse("control", found: quoted(path))
            return nil
        }
        return path
    }

    /// Who can connect can read names, addresses and counts, so it is this machine only.
    private func metricsEndpoint() -> Endpoint? {
        guard let text = reader.string("metrics") else { return nil }
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0,
            case let host = text[..<colon], host.hasPrefix("[") == host.contains(":"),
            host.hasPrefix("[") == host.hasSuffix("]"),
            let address = IPAddress(String(host.hasPrefix("[") ? host.dropFirst().dropLast() : host)),
            isLoopback(address)
        else {
            reader.refuse("metrics", found: quoted(text))
            return nil
        }
        return Endpoint(address, port: port)
    }

    private func isLoopback(_ address: IPAddress) -> Bool {
        switch address.family {
        case .v4: UInt32(truncatingIfNeeded: address.low) >> 24 == 127
        case .v6: address.high == 0 && address.low == 1
        }
    }

    private let listenLimit = 64
    private let offloadNames: [String: GatewayConfiguration.Offloads] = [
        "tun": .tun, "tso": .tso, "uso": .uso, "gso": .gso, "gro": .gro,
    ]
}
