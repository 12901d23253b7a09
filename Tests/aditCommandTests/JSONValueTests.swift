// SPDX-License-Identifier: Apache-2.0
// Adit: aditCommandTests

import Foundation
import Testing

@testable import adit

@Suite struct JSONValueTests {
    @Test func textKeepsTheOrder() {
        let value = JSONValue.object([
            ("b", .array([.null, .boolean(true), .integer(-7), .number(12.3), .number(11)])),
            ("a", .string("x\"\\\n\u{1}é")),
            ("n", .count(.max)), ("no", .optional(nil)), ("nan", .number(.nan)),
        ])
        #expect(
            value.text
                == #"{"b":[null,true,-7,12.3,11.0],"a":"x\"\\\n\u0001é","n":9223372036854775807,"no":null,"nan":null}"#
        )
    }

    @Test func parsingIsTheInverse() throws {
        let text = #"{"a":[1,-2.5,true,false,null,"\u00e9\ud83d\ude00\/\b"],"b":{"c":{}},"d":[]}"#
        let value = try #require(JSONValue(parsing: Array(text.utf8)))
        #expect(value.text == #"{"a":[1,-2.5,true,false,null,"é😀/\u0008"],"b":{"c":{}},"d":[]}"#)
        #expect(JSONValue(parsing: Array(value.text.utf8))?.text == value.text)
    }

    @Test(arguments: [
        "", "{", "}", "[1,]", "{\"a\"}", "{\"a\":}", "{a:1}", "\"", "\"\\", "\"\\u12", "\"\\ud800\"", "\"\\x\"", "tru",
        "01x",
        "-", "+1", "1 2", "\u{1}", "\"\u{1}\"", "1e999", "nul", "{\"a\":1,}", "[",
        "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]",
    ]) func garbage(text: String) {
        #expect(JSONValue(parsing: Array(text.utf8)) == nil)
    }

    @Test func invalidUTF8() {
        #expect(JSONValue(parsing: [0x22, 0xff, 0x22]) == nil)
    }

    @Test func mutationsNeverTrap() {
        var random = SplitMix(state: 7)
        let seed = Array(#"{"request":"rekey","connection":"h\u00e9q","ike":true,"n":[1,2.5e3,{"x":null}]}"#.utf8)
        for _ in 0..<20_000 {
            var bytes = seed
            for _ in 0...Int(random.next() % 3) {
                bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
            }
            if let value = JSONValue(parsing: bytes) {
                #expect(JSONValue(parsing: Array(value.text.utf8)) != nil)
            }
            _ = ControlRequest(parsing: bytes)
            _ = ControlAnswer(parsing: bytes)
        }
    }

    @Test func requestsRoundTrip() {
        let requests: [ControlRequest] = [
            .status, .up(connection: "hq"), .down(connection: "a b"), .rekey(connection: "x", ike: true),
            .rekey(connection: "x", ike: false), .explain(connection: nil), .explain(connection: "hq"),
            .reload(dryRun: false), .reload(dryRun: true),
        ]
        for request in requests { #expect(ControlRequest(parsing: Array(request.json.text.utf8)) == request) }
        for text in [#"{"request":"up"}"#, #"{"request":"fly"}"#, "[]", #"{"connection":"x"}"#, #"{"request":1}"#] {
            #expect(ControlRequest(parsing: Array(text.utf8)) == nil)
        }
    }
}
