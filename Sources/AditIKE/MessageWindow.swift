// SPDX-License-Identifier: Apache-2.0
// Adit: AditIKE

internal import AditWire

/// The Message IDs of one IKE SA in both directions, the request that waits for its response, and the last answer.
///
/// The window is one message in each direction (RFC 7296 §2.3): a request goes out when the one before it was answered.
struct MessageWindow: Sendable {
    /// What an arriving request is.
    enum Arrival: Equatable {
        /// The one expected next.
        case fresh
        /// The last one again: what was answered is sent again, byte for byte (RFC 7296 §2.1).
        case retransmission([[UInt8]])
        /// Neither; it is not answered.
        case outside
    }

    /// A request that waits for its response.
    struct Outstanding: Sendable {
        /// Its Message ID.
        let id: UInt32
        /// Its datagrams, several when it was fragmented (RFC 7383 §2.5.1).
        let datagrams: [[UInt8]]
        /// How often it was sent.
        var sendings: Int
        /// The wait before it is sent again.
        var wait: Duration
    }

    /// The Message ID of our next request.
    private(set) var nextRequest: UInt32
    /// Our request that waits for its response.
    private(set) var outstanding: Outstanding?
    /// The Message ID that the peer's next request has to have.
    private(set) var expectedRequest: UInt32
    private var lastAnswer: [[UInt8]] = []

    /// A window whose next IDs are `nextRequest` and `expectedRequest`: both 0 for a new IKE SA (RFC 7296 §2.2).
    init(nextRequest: UInt32 = 0, expectedRequest: UInt32 = 0) {
        self.nextRequest = nextRequest
        self.expectedRequest = expectedRequest
    }

    /// Whether the Message IDs are nearly used up, so that the IKE SA must be closed (RFC 7296 §2.2).
    var isExhausted: Bool { nextRequest >= Self.lastID || expectedRequest >= Self.lastID }

    /// What a request with this ID is; authenticated before, except for retransmissions' sake.
    func classify(request id: UInt32) -> Arrival {
        // RFC 7296 §2.2: Message IDs never wrap; an IKE SA that has used them up takes no more requests.
        if id == expectedRequest { return id < Self.lastID ? .fresh : .outside }
        guard expectedRequest > 0, id == expectedRequest - 1, !lastAnswer.isEmpty else { return .outside }
        return .retransmission(lastAnswer)
    }

    /// Records the answer to the request expected next, and moves on.
    mutating func answer(with datagrams: [[UInt8]]) {
        lastAnswer = datagrams
        expectedRequest &+= 1
    }

    /// Records a request of ours that is about to be sent for the first time.
    mutating func send(_ datagrams: [[UInt8]], wait: Duration) {
        precondition(outstanding == nil, "the window is one request")
        outstanding = Outstanding(id: nextRequest, datagrams: datagrams, sendings: 1, wait: wait)
        nextRequest &+= 1
    }

    /// Replaces the outstanding request by another with the same ID: IKE_SA_INIT with a cookie or another group.
    mutating func replaceOutstanding(_ datagrams: [[UInt8]], wait: Duration) {
        guard let id = outstanding?.id else { return }
        outstanding = Outstanding(id: id, datagrams: datagrams, sendings: 1, wait: wait)
    }

    /// Whether a response with this ID answers the outstanding request.
    func awaits(response id: UInt32) -> Bool { outstanding?.id == id }

    /// The response arrived, or is no longer waited for.
    mutating func settle() { outstanding = nil }

    /// The datagrams to send again, out of turn.
    mutating func repeatOutstanding() -> [[UInt8]] {
        outstanding?.sendings += 1
        return outstanding?.datagrams ?? []
    }

    /// The datagrams to send again over another path, as if they had not been sent before.
    mutating func restartOutstanding(wait: Duration) -> [[UInt8]] {
        outstanding?.sendings = 1
        outstanding?.wait = wait
        return outstanding?.datagrams ?? []
    }

    /// The datagrams to send again and the wait after them; nil when `tries` sendings are used up.
    mutating func retransmit(tries: Int) -> (datagrams: [[UInt8]], wait: Duration)? {
        guard var request = outstanding, request.sendings < tries else { return nil }
        request.sendings += 1
        // RFC 7296 §2.4: retransmission times increase exponentially.
        request.wait = request.wait * Self.backOffNumerator / Self.backOffDenominator
        outstanding = request
        return (request.datagrams, request.wait)
    }

    /// Each wait is so many times the one before.
    static let backOffNumerator = 9
    static let backOffDenominator = 5
    private static let lastID: UInt32 = 0xffff_fff0
}
