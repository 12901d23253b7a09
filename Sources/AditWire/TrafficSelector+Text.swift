// SPDX-License-Identifier: Apache-2.0
// Adit: AditWire

extension TrafficSelector: LosslessStringConvertible {
    /// Parses swanctl's form: `PREFIX`, `ADDRESS` or `FIRST-LAST`, optionally followed by `[PROTOCOL]`,
    /// `[PROTOCOL/PORT]` or `[PROTOCOL/FIRST-LAST]`, with a protocol's number or its name and `opaque` for ports that
    /// cannot be seen.
    public init?(_ description: String) {
        var body = description[...]
        var ipProtocol: UInt8 = 0
        var ports: (UInt16, UInt16) = (0, .max)
        if let bracket = body.firstIndex(of: "[") {
            guard body.last == "]" else { return nil }
            let inside = body[body.index(after: bracket)..<body.index(before: body.endIndex)]
            guard let parsed = Self.parseProtocol(inside) else { return nil }
            (ipProtocol, ports) = parsed
            body = body[..<bracket]
        }
        if let dash = body.firstIndex(of: "-") {
            guard let first = IPAddress(String(body[..<dash])),
                let last = IPAddress(String(body[body.index(after: dash)...]))
            else { return nil }
            self.init(first: first, last: last, ipProtocol: ipProtocol, firstPort: ports.0, lastPort: ports.1)
        } else {
            guard let prefix = IPPrefix(String(body)) else { return nil }
            self.init(prefix, ipProtocol: ipProtocol, firstPort: ports.0, lastPort: ports.1)
        }
    }

    /// The same form: a prefix where the range is one, else `FIRST-LAST`.
    public var description: String {
        let range = prefix.map(\.description) ?? "\(first)-\(last)"
        guard ipProtocol != 0 || !anyPort else { return range }
        let name = Self.protocolNames.first { $0.number == ipProtocol }?.name ?? String(ipProtocol)
        if anyPort { return "\(range)[\(name)]" }
        if firstPort > lastPort { return "\(range)[\(name)/opaque]" }
        return "\(range)[\(name)/\(firstPort == lastPort ? "\(firstPort)" : "\(firstPort)-\(lastPort)")]"
    }

    /// The range as one CIDR block; nil when it is not one.
    public var prefix: IPPrefix? {
        (0...family.bits).lazy.compactMap { IPPrefix(first, length: $0) }.first { $0.first == first && $0.last == last }
    }

    /// The fewest CIDR blocks that cover the range exactly, as routes need it; at most 2 × the address length.
    public var prefixes: [IPPrefix] {
        var blocks: [IPPrefix] = []
        var start: IPAddress? = first
        while let address = start, address <= last, blocks.count < 2 * family.bits {
            let block = (0...family.bits).lazy.compactMap { IPPrefix(address, length: $0) }
                .first { $0.first == address && $0.last <= last }
            guard let block else { break }
            blocks.append(block)
            start = block.last.successor
        }
        return blocks
    }

    private static func parseProtocol(_ text: Substring) -> (UInt8, (UInt16, UInt16))? {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let name = parts[0].lowercased()
        guard let number = protocolNames.first(where: { $0.name == name })?.number ?? UInt8(name) else { return nil }
        guard parts.count == 2 else { return (number, (0, .max)) }
        if parts[1] == "opaque" { return (number, (.max, 0)) }
        let bounds = parts[1].split(separator: "-", omittingEmptySubsequences: false)
        guard bounds.count <= 2, let first = UInt16(bounds[0]), let last = UInt16(bounds[bounds.count - 1]),
            first <= last
        else { return nil }
        return (number, (first, last))
    }

    private static let protocolNames: [(name: String, number: UInt8)] = [
        ("any", 0), ("icmp", 1), ("tcp", 6), ("udp", 17), ("ipv6-icmp", 58), ("icmpv6", 58), ("sctp", 132),
    ]
}
