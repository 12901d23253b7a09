// SPDX-License-Identifier: Apache-2.0
// Adit: AditControl

internal import AditLinux
internal import AditWire

/// The destinations that are routed through the tunnel, with their users (children); whether an address lies in one of
/// them costs a look-up for each prefix length in use, however many destinations there are.
struct RoutedDestinations {
    private struct Kind: Hashable {
        let family: IPAddress.Family
        let length: Int
    }

    private var entries: [IPPrefix: (route: Route, users: Int)] = [:]
    private var kinds: [Kind: Int] = [:]

    /// Their routes.
    var routes: [Route] { entries.values.map(\.route) }

    /// One user more of a destination that is there; false when it is not.
    mutating func addUser(of destination: IPPrefix) -> Bool {
        guard let entry = entries[destination] else { return false }
        entries[destination] = (entry.route, entry.users + 1)
        return true
    }

    /// Adds the destination of `route`, with one user.
    mutating func insert(_ route: Route) {
        let destination = Self.canonical(route.destination)
        guard entries.updateValue((route, 1), forKey: destination) == nil else { return }
        kinds[Kind(family: destination.address.family, length: destination.length), default: 0] += 1
    }

    /// One user fewer; gives the route when that was the last one.
    mutating func removeUser(of destination: IPPrefix) -> Route? {
        guard let entry = entries[destination] else { return nil }
        guard entry.users <= 1 else {
            entries[destination] = (entry.route, entry.users - 1)
            return nil
        }
        entries[destination] = nil
        let kind = Kind(family: destination.address.family, length: destination.length)
        kinds[kind] = kinds[kind].flatMap { $0 > 1 ? $0 - 1 : nil }
        return entry.route
    }

    /// Whether `address` lies in one of them.
    func contain(_ address: IPAddress) -> Bool {
        kinds.keys.contains { kind in
            guard kind.family == address.family, let block = IPPrefix(address, length: kind.length) else {
                return false
            }
            return entries[Self.canonical(block)] != nil
        }
    }

    /// Without host bits.
    private static func canonical(_ prefix: IPPrefix) -> IPPrefix {
        IPPrefix(prefix.first, length: prefix.length) ?? prefix
    }
}
