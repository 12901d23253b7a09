// SPDX-License-Identifier: Apache-2.0
// Adit: AditTests

import Testing

@testable import Adit

@Suite struct EventBroadcasterTests {
    private func texts(_ stream: AsyncStream<GatewayEvent>) async -> [String] {
        var texts: [String] = []
        for await event in stream { if case .warning(let text) = event { texts.append(text) } }
        return texts
    }

    @Test func everySubscriberGetsEverythingInOrder() async {
        let broadcaster = EventBroadcaster()
        let (one, other) = (broadcaster.subscribe(), broadcaster.subscribe())
        for number in 1...3 { broadcaster.send(.warning("\(number)")) }
        broadcaster.finish()
        #expect(await texts(one) == ["1", "2", "3"])
        #expect(await texts(other) == ["1", "2", "3"])
    }

    @Test func aSlowSubscriberLosesTheOldest() async {
        let broadcaster = EventBroadcaster()
        let stream = broadcaster.subscribe()
        let sent = EventBroadcaster.bufferedEventLimit + 10
        for number in 1...sent { broadcaster.send(.warning("\(number)")) }
        broadcaster.finish()
        let texts = await texts(stream)
        #expect(texts.count == EventBroadcaster.bufferedEventLimit)
        #expect(texts.last == "\(sent)")
    }

    @Test(.timeLimit(.minutes(1))) func subscribersAreBoundedAndLeave() async {
        let broadcaster = EventBroadcaster()
        var streams = (0..<EventBroadcaster.subscriberLimit).map { _ in broadcaster.subscribe() }
        #expect(await texts(broadcaster.subscribe()).isEmpty, "one too many is a stream that has ended")
        // Looked at, so that an optimized build keeps them until here.
        #expect(streams.count == EventBroadcaster.subscriberLimit)
        streams.removeAll()
        let late = broadcaster.subscribe()
        broadcaster.send(.warning("hello"))
        broadcaster.finish()
        #expect(await texts(late) == ["hello"])
    }

    @Test func theFirstSubscriberMissesNothingSinceTheStart() async {
        let broadcaster = EventBroadcaster()
        for number in 1...EventBroadcaster.earlyEventLimit + 5 { broadcaster.send(.warning("\(number)")) }
        let (first, second) = (broadcaster.subscribe(), broadcaster.subscribe())
        broadcaster.send(.warning("now"))
        broadcaster.finish()
        #expect(await texts(first) == (1...EventBroadcaster.earlyEventLimit).map(String.init) + ["now"])
        #expect(await texts(second) == ["now"])
    }

    @Test func afterTheEndNothingBegins() async {
        let broadcaster = EventBroadcaster()
        broadcaster.finish()
        #expect(await texts(broadcaster.subscribe()).isEmpty)
    }
}
