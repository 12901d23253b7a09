// SPDX-License-Identifier: Apache-2.0
// Adit: AditWireTests

import Testing

@testable import AditWire

@Suite struct IPAddressTests {
    /// RFC 4291 §2.2 in, RFC 5952 out.
    @Test(arguments: [
        ("0.0.0.0", "0.0.0.0"), ("255.255.255.255", "255.255.255.255"), ("192.0.2.1", "192.0.2.1"),
        ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("2001:DB8::1", "2001:db8::1"),
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"),
        ("1:0:0:4:0:0:0:8", "1:0:0:4::8"), ("::ffff:192.0.2.128", "::ffff:c000:280"), ("1::8", "1::8"),
        ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"), ("0:0:0:0:0:0:0:0", "::"),
        ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
    ])
    func text(input: String, canonical: String) throws {
        let address = try #require(IPAddress(input))
        #expect(address.description == canonical)
        #expect(IPAddress(canonical) == address)
        #expect(IPAddress(bytes: address.bytes) == address)
    }

    @Test(arguments: [
        "", ".", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.-4", "1.2.3.+4", " 1.2.3.4", "1.2.3.4 ",
        "0x1.2.3.4", "1..3.4", ":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "g::", "::+1",
        "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3", "1.2.3.4::", "fe80::1%eth0", "[::1]", "1:2:3:4:5:6:7::8:9", "1:", ":1",
        "1:2:3:4:5:6:7:", "::1:", "0000:0000:0000:0000:0000:0000:0000:0000:0000",
    ])
    func textThatIsNoAddress(input: String) {
        #expect(IPAddress(input) == nil)
    }

    @Test func bytesOfOtherLengthsAreNoAddress() {
        for count in 0...20 where count != 4 && count != 16 {
            #expect(IPAddress(bytes: [UInt8](repeating: 1, count: count)) == nil)
        }
    }

    @Test func orderIsFamilyThenValue() throws {
        let texts = ["0.0.0.0", "10.0.0.1", "255.255.255.255", "::", "::1", "1::", "ffff::"]
        let addresses = try texts.map { try #require(IPAddress($0)) }
        #expect(addresses.shuffled().sorted() == addresses)
    }

    @Test func successors() throws {
        #expect(IPAddress("10.0.0.255")?.successor == IPAddress("10.0.1.0"))
        #expect(IPAddress("255.255.255.255").map { $0.successor == nil } == true)
        #expect(IPAddress("1::ffff:ffff:ffff:ffff")?.successor == IPAddress("1:0:0:1::"))
        #expect(IPAddress.bounds(of: .v6).last.successor == nil)
    }

    @Test func endpoints() {
        #expect(Endpoint(IPAddress(v4: 0xc000_0201), port: 4500).description == "192.0.2.1:4500")
        #expect(Endpoint(IPAddress(v6High: 0, low: 1), port: 500).description == "[::1]:500")
    }

    @Test func spis() {
        #expect(SPI(rawValue: 0xab).description == "000000ab")
        #expect(SPI(rawValue: 255).isReserved)
        #expect(!SPI(rawValue: 256).isReserved)
    }
}
