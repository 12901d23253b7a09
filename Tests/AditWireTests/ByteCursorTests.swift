// SPDX-License-Identifier: Apache-2.0
// Adit: AditWireTests

import Testing

@testable import AditWire

@Suite struct ByteCursorTests {
    @Test func writesAndReadsBack() throws {
        var writer = ByteWriter(reservingCapacity: 32)
        writer.write(UInt8(0x01))
        writer.write(UInt16(0x0203))
        writer.write(UInt32(0x0405_0607))
        writer.write(UInt64(0x0809_0a0b_0c0d_0e0f))
        writer.write(contentsOf: [0x10, 0x11])
        #expect(writer.bytes == Array(0x01...0x11))
        var reader = ByteReader(writer.bytes)
        #expect(try reader.readUInt8() == 0x01)
        #expect(try reader.readUInt16() == 0x0203)
        #expect(try reader.readUInt32() == 0x0405_0607)
        #expect(try reader.readUInt64() == 0x0809_0a0b_0c0d_0e0f)
        #expect(reader.consumed == 15 && reader.remaining == 2)
        #expect(reader.readRemaining() == [0x10, 0x11])
        #expect(reader.isAtEnd)
    }

    @Test func patches() {
        var writer = ByteWriter()
        writer.write(UInt64(0))
        writer.patch(UInt16(0x1234), at: 1)
        writer.patch(UInt32(0x5678_9abc), at: 4)
        #expect(writer.bytes == [0, 0x12, 0x34, 0, 0x56, 0x78, 0x9a, 0xbc])
    }

    @Test func neverReadsPastTheEnd() throws {
        for count in 0..<8 {
            let bytes = [UInt8](repeating: 7, count: count)
            var reader = ByteReader(bytes)
            #expect(throws: WireError.truncated) { try reader.readUInt64() }
            #expect(throws: WireError.truncated) { try reader.readBytes(count + 1) }
            #expect(throws: WireError.truncated) { try reader.readBytes(-1) }
            #expect(throws: WireError.truncated) { try reader.readBytes(.max) }
            #expect(throws: WireError.truncated) { try reader.readSlice(count + 1) }
            #expect(reader.consumed == 0, "a failed read consumes nothing")
            if count < 4 { #expect(throws: WireError.truncated) { try reader.readUInt32() } }
            if count < 2 { #expect(throws: WireError.truncated) { try reader.readUInt16() } }
            if count < 1 { #expect(throws: WireError.truncated) { try reader.readUInt8() } }
            #expect(try reader.readBytes(count).count == count)
        }
    }

    @Test func slicesEndWhereTheyWereCut() throws {
        var reader = ByteReader([1, 2, 3, 4, 5][1...])
        var slice = try reader.readSlice(2)
        #expect(try slice.readUInt16() == 0x0203)
        #expect(throws: WireError.truncated) { try slice.readUInt8() }
        #expect(try reader.readUInt16() == 0x0405)
    }
}
