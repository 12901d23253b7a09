// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKETests

import Testing

@testable import AditIKE

@Suite struct DistinguishedNameTests {
    @Test func derIsReadAndWritten() throws {
        let bytes = Self.name(["0603550406", "1302", "4348"], ["060355040a", "0c08", "4578c3a46d706c65"])
        let name = try #require(DistinguishedName(der: bytes))
        #expect(name.description == "C=CH, O=Exämple")
        #expect(name.der == bytes)
    }

    @Test(arguments: [
        "CN=paris", "C=CH, O=Example, CN=paris.example.com", "C=CH, O=A\\, B \\+ C \\= D\\\\, CN=x",
        "DC=com, DC=example, CN=x, E=a@example.com", "CN=x + SERIALNUMBER=12", "1.3.6.1.4.1.99999.7=value",
        "O=\\ edge\\ ", "UID=u, ST=Zürich, L=東京, T=t, G=g, SN=s, STREET=Main 1, DNQ=q",
    ])
    func textIsReadAndWritten(_ text: String) throws {
        let name = try #require(DistinguishedName(text))
        #expect(name.description == text)
        #expect(DistinguishedName(der: name.der) == name)
        #expect(Identity(text) == .distinguishedName(name.der))
        #expect(Identity.distinguishedName(name.der).description == text)
    }

    @Test(arguments: ["", "CN", "CN=", "=x", "XX=1", "CN=a,", "CN=a, , O=b", "3.1=x", "1=x", "1.40=x", "CN=a\u{7}"])
    func otherTextIsRefused(_ text: String) {
        #expect(DistinguishedName(text) == nil)
    }

    @Test func keywordsComeInAnyCase() throws {
        #expect(try #require(DistinguishedName("cn=a, emailaddress=b@c")).description == "CN=a, E=b@c")
        #expect(DistinguishedName("CN=a,O=b") == DistinguishedName("cn = a ,  o = b"))
    }

    /// RFC 5280 §7.1.
    @Test func comparisonIgnoresStringTypeCaseAndSpaces() throws {
        let printable = try #require(DistinguishedName(der: Self.name(["0603550403", "1305", "7061726973"])))
        let utf8 = try #require(DistinguishedName(der: Self.name(["0603550403", "0c05", "5041524953"])))
        let bmp = try #require(
            DistinguishedName(der: Self.name(["0603550403", "1e0a", "0070006100720069 0073".replacing(" ", with: "")])))
        #expect(printable == utf8)
        #expect(printable == bmp)
        #expect(printable.hashValue == utf8.hashValue)
        #expect(
            [printable, utf8, bmp].map { Identity.distinguishedName($0.der).description }.sorted() == [
                "CN=PARIS", "CN=paris", "CN=paris",
            ])
        #expect(DistinguishedName("CN=a  b") == DistinguishedName("CN=A b"))
        #expect(DistinguishedName("CN=ab") != DistinguishedName("CN=a b"))
        #expect(DistinguishedName("CN=a, O=b") != DistinguishedName("O=b, CN=a"))
        #expect(DistinguishedName("CN=a") != DistinguishedName("O=a"))
        #expect(Identity.distinguishedName(printable.der).matches(.distinguishedName(utf8.der)))
        #expect(!Identity.distinguishedName(printable.der).matches(.fqdn("paris")))
    }

    @Test func everyPrefixAndEveryChangedLengthIsSafe() {
        let bytes = Self.name(["0603550406", "1302", "4348"], ["0603550403", "1305", "7061726973"])
        for count in 0..<bytes.count { #expect(DistinguishedName(der: Array(bytes.prefix(count))) == nil) }
        for index in bytes.indices {
            for value in [0, 1, 0x7f, 0x80, 0x81, 0x84, 0xff] as [UInt8] {
                var changed = bytes
                changed[index] = value
                _ = DistinguishedName(der: changed).map { ($0.description, $0.der) }
            }
        }
        #expect(DistinguishedName(der: bytes + [0]) == nil)
    }

    @Test func theNumberOfAttributesIsLimited() {
        let one = ["0603550403", "1301", "61"]
        #expect(DistinguishedName(der: Self.name(Array(repeating: one, count: 64))) != nil)
        #expect(DistinguishedName(der: Self.name(Array(repeating: one, count: 65))) == nil)
    }

    private static func name(_ attributes: [String]...) -> [UInt8] { name(attributes) }

    private static func name(_ attributes: [[String]]) -> [UInt8] {
        DERReader.encode(
            0x30,
            attributes.flatMap { DERReader.encode(0x31, DERReader.encode(0x30, $0.flatMap { hex($0) })) })
    }
}
