// SPDX-License-Identifier: Apache-2.0
// Adit: Fuzz

// What reads netlink is internal to its module: debug builds can reach it, and scripts/fuzz enables it.
#if TESTABLE
    @testable import AditLinux
    import AditWire

    extension FuzzSubject {
        /// Datagrams from rtnetlink: cut into messages and attributes, taken for interfaces, addresses and routes.
        public static let netlink = FuzzSubject(
            name: "Netlink",
            run: { bytes in
                let matters = NetworkMonitor.matters(bytes[...])
                guard let answers = NetlinkAnswer.parse(bytes[...]) else {
                    precondition(matters, "what cannot be read may matter")
                    return
                }
                precondition(answers.count <= NetlinkAnswer.messageLimit)
                for answer in answers {
                    _ = Link(answer)
                    if let entry = InterfaceAddress(answer) {
                        // Of what is in range, the kernel would be told the same.
                        let again = NetlinkAnswer.parse(entry.request(answer.type, flags: 0).finish(sequence: 1)[...])
                        let copy = again?.first.flatMap(InterfaceAddress.init)
                        precondition(copy?.prefix == entry.prefix && copy?.link == entry.link)
                    }
                    if let route = Route(answer) {
                        let again = NetlinkAnswer.parse(route.request(answer.type, flags: 0).finish(sequence: 1)[...])
                        let copy = again?.first.flatMap(Route.init)
                        precondition(copy?.link == route.link && copy?.table == route.table)
                        precondition(copy?.origin == route.origin && copy?.metric == route.metric)
                    }
                }
            },
            seeds: {
                let addresses = ["192.0.2.1/24", "2001:db8::1/64"].compactMap { IPPrefix($0) }.enumerated().map {
                    ("address\($0.offset)", InterfaceAddress(link: 3, prefix: $0.element).request(20, flags: 0))
                }
                let routes = ["198.51.100.0/24", "0.0.0.0/0", "2001:db8::/32"].compactMap { IPPrefix($0) }.enumerated()
                    .map { index, destination in
                        var route = Route(destination, link: 3)
                        if index == 1 {
                            route.gateway = IPAddress(v4: 0xc000_0201)
                            route.metric = 7
                        }
                        return ("route\(index)", route.request(24, flags: 0))
                    }
                // RTM_NEWLINK of interface 3, which is up, with its name and its MTU.
                let link: [UInt8] =
                    [52, 0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
                    + [9, 0, 3, 0] + Array("eth0".utf8) + [0, 0, 0, 0] + [8, 0, 4, 0, 0xdc, 5, 0, 0]
                let alone = (addresses + routes).map { ($0.0, $0.1.finish(sequence: 1)) } + [("link", link)]
                return alone + [("several", alone.flatMap(\.1))]
            })
    }
#endif
