// SPDX-License-Identifier: Apache-2.0
// Adit: aditCommandTests

import Foundation
import Testing

@testable import adit

/// A document as text in one form, for comparison.
private func canonical(_ value: TOMLValue) -> String {
    switch value {
    case .string(let text): "\"\(text)\""
    case .integer(let number): "\(number)"
    case .float(let number): "f\(number)"
    case .boolean(let flag): "\(flag)"
    case .dateTime: "date"
    case .array(let items): "[" + items.map { canonical($0.value) }.joined(separator: ",") + "]"
    case .table(let table): canonical(table)
    case .faulty: "?"
    }
}

private func canonical(_ table: TOMLTable) -> String {
    "{" + table.names.map { "\($0)=\(table[$0].map { canonical($0.value) } ?? "")" }.joined(separator: ",") + "}"
}

private func parse(_ text: String) -> (String, [TOMLFault]) {
    let (root, faults) = TOMLParser.parse(Array(text.utf8))
    return (canonical(root), faults)
}

@Suite struct TOMLParserTests {
    private let text = #"""
        # comment [not.a.table]
        [gateway]              # another
        interface = "a # b"
        listen = [ "1", # one
          "]2",

          '3' ]
        "quoted key" = 1
        long = """
        [fake]
        key = "x"
        """
        raw = '''
        k = 1 '' '''
        inline = { a = 1, b.c = [ { d = 2 } ] }

        [ connections . "h q".children.'a.b' ]
        esn = true
        after.that = 2026-11-23 00:00:00Z
        """#

    @Test func linesOfKeys() {
        let (root, faults) = TOMLParser.parse(Array(text.utf8))
        #expect(faults.isEmpty)
        let expected: [([String], Int)] = [
            (["gateway"], 2), (["gateway", "interface"], 3), (["gateway", "listen"], 4),
            (["gateway", "quoted key"], 8),
            (["gateway", "long"], 9), (["gateway", "raw"], 13), (["gateway", "inline", "a"], 15),
            (["gateway", "inline", "b", "c"], 15), (["connections"], 17),
            (["connections", "h q", "children", "a.b"], 17), (["connections", "h q", "children", "a.b", "esn"], 18),
            (["connections", "h q", "children", "a.b", "after", "that"], 19), (["fake"], 1), (["gateway", "none"], 2),
        ]
        for (path, line) in expected { #expect(root.line(of: path) == line, "\(path)") }
        #expect((0..<4).map { root.line(of: ["gateway", "listen"], item: $0) } == [4, 5, 7, 4])
    }

    /// Texts and what they mean, after the examples of the TOML 1.0 text.
    static let documents: [(String, String)] = [
        ("", "{}"), ("\u{feff}a=1", "{a=1}"), ("a = 1 # x\r\nb = 2\r\n", "{a=1,b=2}"),
        ("1234 = 'x'\n3.14 = 'pi'", #"{1234="x",3={14="pi"}}"#),
        (#"site."google.com" = true"#, "{site={google.com=true}}"), ("a.b.c = 1\na.d = 2", "{a={b={c=1},d=2}}"),
        (#""" = 1"#, "{=1}"), ("[x.y.z.w]\n[x]\na=1", "{x={y={z={w={}}},a=1}}"),
        ("[a]\nb.c=1\n[a.b.d]", "{a={b={c=1,d={}}}}"),
        ("[[p]]\nn=1\n[[p]]\n[[p]]\nn=3\n[p.q]\nr=1", "{p=[{n=1},{},{n=3,q={r=1}}]}"),
        ("a = [1,\n 2, # x\n]\n", "{a=[1,2]}"), ("a = [[1],['x',[]]]", #"{a=[[1],["x",[]]]}"#),
        ("a = { x = 1, y.z = 2 }\nb = {}", "{a={x=1,y={z=2}},b={}}"),
        (#"a = "\b\t\n\f\r\"\\\u00e9\U0001F600""#, "{a=\"\u{8}\t\n\u{c}\r\"\\é😀\"}"), (#"a = 'C:\x'"#, #"{a="C:\x"}"#),
        ("a = \"\"\"\nx\n  y\"\"\"", "{a=\"x\n  y\"}"), ("a = \"\"\"x \\\n\n   y\"\"\"", #"{a="x y"}"#),
        ("a = \"\"\"\"x\"\"\"\"\"", #"{a=""x"""}"#), ("a = ''''x''''", #"{a="'x'"}"#),
        ("a=+99\nb=-0\nc=1_000\nd=0xDEAD_beef\ne=0o17\nf=0b101", "{a=99,b=0,c=1000,d=3735928559,e=15,f=5}"),
        ("a=9223372036854775807\nb=-9223372036854775808", "{a=9223372036854775807,b=-9223372036854775808}"),
        (
            "a=+1.0\nb=-0.01\nc=5e+2\nd=1e06\ne=6.5e-3\nf=1_0.2_5",
            "{a=f1.0,b=f-0.01,c=f500.0,d=f1000000.0,e=f0.0065,f=f10.25}"
        ),
        ("a=inf\nb=-inf\nc=nan", "{a=finf,b=f-inf,c=fnan}"),
        ("a=1979-05-27T07:32:00Z\nb=1979-05-27 07:32:00.9-07:00\nc=1979-05-27", "{a=date,b=date,c=date}"),
        ("a=1979-05-27 # d\nb=1979-05-27t07:32:00\nc=07:32:00.5", "{a=date,b=date,c=date}"),
    ]

    @Test(arguments: documents) func meaning(text: String, meaning: String) {
        let (found, faults) = parse(text)
        #expect(faults == [])
        #expect(found == meaning)
    }

    /// Texts that are no TOML, and the line of their one fault.
    static let invalid: [(String, Int)] = [
        ("a", 1), ("a =", 1), ("= 1", 1), ("a = 1 b = 2", 1), ("a = b", 1), ("a = \"x", 1), ("a = 'x\ny'", 1),
        ("\na = \"\\x\"", 2), ("a = \"\"\"\nx", 1), ("a = 1\na = 2", 2), ("a.b = 1\na = 2", 2), ("a = 1\na.b = 2", 2),
        ("[a]\n[a]", 2), ("[a]\nb=1\n[a.b]", 3), ("a = {b=1}\n[a.c]", 2), ("a = {b=1}\na.c=1", 2),
        ("[a.b]\n[a]\nb.c=1", 3), ("a.b=1\n[a]", 2), ("a=[]\n[[a]]", 2), ("[[a]]\n[a]", 2), ("[a]\n[[a]]", 2),
        ("a = [1 2]", 1), ("a = [1,,2]", 1), ("a = [,]", 1), ("a = {b=1,}", 1), ("a = {b=1 c=2}", 1),

        ("[a", 1), ("[[a]", 1), ("[]", 1), ("[a.]", 1), (".a = 1", 1), ("a. = 1", 1), ("é = 1", 1), ("a = 01", 1),
        ("a = 1_", 1), ("a = _1", 1), ("a = 1__0", 1), ("a = 1.", 1), ("a = .1", 1), ("a = 1.e1", 1), ("a = 0x", 1),
        ("a = +0x1", 1), ("a = 0x-1", 1), ("a = 1e", 1), ("a = 9223372036854775808", 1), ("a = 2026-1-1", 1),
        ("a = 07:32", 1), ("a = \"\u{1}\"", 1), ("# \u{1}", 1), ("a = \"\\ud800\"", 1), ("a = True", 1),
        ("a = \"\"\"x\"\"\"\"\"\"", 1), ("\"\"\"a\"\"\" = 1", 1), ("a = \"\\u12\"", 1), ("a = 1\rb = 2", 1),
        ("a = 00:00:00.", 1), ("a=[[1],[2]\nb=1", 2),
    ]

    @Test(arguments: invalid) func faultsHaveALine(text: String, line: Int) {
        let (_, faults) = parse(text)
        #expect(faults.count == 1 && faults.first?.line == line, "\(faults)")
    }

    @Test func everyFaultIsFound() {
        let (found, faults) = parse(
            """
            a = = 1
            b = [
              "x"
              "y",
              "z",
            ]
            c = 3
            [d
            e = 5
            [f]
            g = "unended
            h = 8
            i = \"""
            j = 10
            """)
        #expect(faults.map(\.line) == [1, 4, 8, 11, 13])
        #expect(found == #"{a=?,b=?,c=3,f={g=?,h=8,i=?,j=10}}"#)
        #expect(parse(String(repeating: "a =\n", count: 1000)).1.count == TOMLParser.faultLimit)
    }

    @Test func nestingHasALimit() {
        let atLimit = Array(repeating: "a", count: 16).joined(separator: ".")
        #expect(parse("\(atLimit) = 1\n").1 == [])
        #expect(
            parse("\n\(atLimit).a = 1").1 == [TOMLFault(line: 2, message: "nested too deeply; allowed are 16 levels")])
        for text in [
            String(repeating: "a.", count: 100_000) + "a = 1", "a = " + String(repeating: "[", count: 100_000),
            "a = " + String(repeating: "{a=", count: 100_000), String(repeating: "[", count: 100_000),
        ] {
            #expect(parse(text).1.count == 1)
        }
    }

    @Test func whatIsNoTextIsRefused() {
        let refused = { (bytes: [UInt8]) in ConfigurationFile.parse(bytes, file: "t.toml").problems.map(\.description) }
        let invalid = Array("\n\na = \"".utf8) + [0xff] + Array("\"".utf8)
        #expect(refused(invalid).first?.hasPrefix("t.toml:3: not UTF-8") == true)
        #expect(
            refused(Array("[gateway]\n a = \"x\0y\"".utf8)).contains {
                $0.hasPrefix("t.toml:2: not valid TOML: a control")
            })
        #expect(refused([UInt8](repeating: 0x20, count: 4 * 1024 * 1024 + 1)).count == 1)
    }

    /// Seeded mutations of a full file: any answer is fine, a trap or an endless loop is not. A refused
    /// file has an error. `ADIT_FUZZ_SECONDS` lets it run for longer.
    @Test func mutatedFilesNeverTrap() {
        let seconds = ProcessInfo.processInfo.environment["ADIT_FUZZ_SECONDS"].flatMap(Double.init) ?? 1
        var random = SplitMix(state: 0x5eed)
        let seeds = [text, sample].map { Array($0.utf8) }
        let words = [
            "[", "]", "{", "}", "=", "\"", "'''", "\"\"\"", "\\", ".", ",", "\n", "#", "0x", "1e9", "%any", "-",
            "\u{e9}",
        ]
        let end = ContinuousClock.now + .seconds(seconds)
        var runs = 0
        while ContinuousClock.now < end {
            var bytes = seeds[Int(random.next() % UInt64(seeds.count))]
            for _ in 0...Int(random.next() % 6) {
                let position = Int(random.next() % UInt64(bytes.count + 1))
                switch random.next() % 4 {
                case 0:
                    bytes.insert(contentsOf: Array(words[Int(random.next() % UInt64(words.count))].utf8), at: position)
                case 1 where position < bytes.count: bytes[position] = UInt8(truncatingIfNeeded: random.next())
                case 2: bytes.removeSubrange(position..<min(bytes.count, position + Int(random.next() % 20)))
                default:
                    bytes.insert(contentsOf: bytes.suffix(Int(random.next() % 40) % (bytes.count + 1)), at: position)
                }
            }
            let file = ConfigurationFile.parse(bytes, file: "t.toml")
            #expect(file.gateway != nil || !file.errors.isEmpty)
            runs += 1
        }
        #expect(runs > 10)
    }

    private let sample = """
        [gateway]
        interface = "adit0"
        address = ["10.1.0.1/24"]
        [connections.hq]
        remote_addrs = ["203.0.113.7"]
        local_id = "paris.example.com"
        psk = "0123456789abcdefghijklmnop"
        proposals = ["aes128gcm16-prfsha256-x25519"]
        esp_proposals = "aes128gcm16"
        dpd_delay = "30s"
        [connections.hq.children.a]
        local_ts = ["10.1.0.0/16"]
        remote_ts = ["10.2.0.0/16[tcp/80]"]
        replay_window = 128
        """
}

/// A small seeded generator.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
