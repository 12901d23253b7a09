// SPDX-License-Identifier: Apache-2.0
// Adit: AditControlTests

import AditLinux
import AditWire
import Testing

@testable import AditControl

@Suite struct RoutedDestinationsTests {
    private func prefix(_ text: String) throws -> IPPrefix { try #require(IPPrefix(text)) }

    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    @Test func anAddressIsFoundInAnyOfThem() throws {
        var table = RoutedDestinations()
        for text in ["10.1.0.0/16", "10.2.3.4/32", "128.0.0.0/1", "fd01::/64"] {
            table.insert(Route(try prefix(text), link: 7, source: nil))
        }
        for text in ["10.1.0.0", "10.1.255.255", "10.2.3.4", "203.0.113.1", "fd01::1234"] {
            let address = try address(text)
            #expect(table.contain(address), "\(text)")
        }
        for text in ["10.2.3.5", "10.0.255.255", "127.0.0.1", "fd01:0:0:1::", "::10.1.0.1"] {
            let address = try address(text)
            #expect(!table.contain(address), "\(text)")
        }
    }

    @Test func theLastUserTakesTheRouteWithIt() throws {
        var table = RoutedDestinations()
        let (one, inside) = (try prefix("10.1.0.0/16"), try address("10.1.0.1"))
        let early = table.addUser(of: one)
        #expect(!early)
        table.insert(Route(one, link: 7, source: nil))
        table.insert(Route(try prefix("10.2.0.0/16"), link: 7, source: nil))
        let second = table.addUser(of: one)
        let kept = table.removeUser(of: one)
        #expect(second && kept == nil && table.contain(inside) && table.routes.count == 2)
        let last = table.removeUser(of: one)
        #expect(last?.destination == one && !table.contain(inside) && table.routes.count == 1)
        let other = try address("10.2.0.1")
        #expect(table.contain(other))
        let again = table.removeUser(of: one)
        #expect(again == nil)
    }
}
