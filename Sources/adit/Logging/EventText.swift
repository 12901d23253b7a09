// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import Adit
internal import AditIKE
internal import AditWire
internal import Logging

/// An event in words, for the log and for whoever waits for a command.
struct EventText {
    var level: Logger.Level
    /// The connection; nil when the event belongs to none.
    var connection: String?
    var message: String
    /// A stable word for programs that read the JSON log.
    var kind: String
    /// The failure, where the event is one.
    var failure: FailureReport?

    /// The words for `event`; `elapsed` is how long the handshake took, where that is known.
    init(_ event: GatewayEvent, elapsed: Duration? = nil) {
        switch event {
        case .warning(let text):
            self.init(.warning, nil, text, "warning")
        case .failed(let error):
            self.init(.error, nil, error.description, "gateway_failed")
        case .ike(let report):
            self.init(report, elapsed: elapsed)
        }
    }

    /// A second line where less was agreed than was asked for; nil when all was, and after a rekey.
    init?(narrowingIn event: GatewayEvent) {
        guard case .ike(.childInstalled(let connection, let child, let sa, nil)) = event, sa.isNarrowed else {
            return nil
        }
        let list = Self.selectors
        var (word, wanted) = ("asked", list(sa.askedLocalSelectors, sa.askedRemoteSelectors))
        var given = list(sa.localSelectors, sa.remoteSelectors)
        if sa.askedLocalSelectors == sa.localSelectors, sa.askedRemoteSelectors == sa.remoteSelectors {
            // All that was asked for was given: it, or what passes of it, is less than is configured.
            (word, wanted) = ("configured", list(sa.configuredLocalSelectors, sa.configuredRemoteSelectors))
            if !sa.passedLocalSelectors.isEmpty { given = list(sa.passedLocalSelectors, sa.passedRemoteSelectors) }
        }
        let text = "child \(child) narrowed: \(word) \(wanted), given \(given)"
        self.init(.notice, connection, text, "child_narrowed")
    }

    /// What somebody who waits for the connection is told; of a failure that ends nothing, what goes on.
    var progress: String {
        guard let failure else { return message }
        return switch failure.consequence {
        case .ended: message
        case .nextAddress: "\(failure.message), trying the next address"
        case .kept: "\(failure.message); the IKE SA beside it stays"
        case .refused: "refused a request of \(failure.remote ?? "a peer"): \(failure.message)"
        }
    }

    private init(_ level: Logger.Level, _ connection: String?, _ message: String, _ kind: String) {
        self.level = level
        self.connection = connection
        self.message = message
        self.kind = kind
    }

    private init(_ report: IKEReport, elapsed: Duration?) {
        let time = elapsed.map { ", " + Self.time($0) } ?? ""
        switch report {
        case .connecting(let connection, let remote, .initiator):
            self.init(.info, connection, "connecting to \(remote)", "connecting")
        case .connecting(let connection, let remote, .responder):
            self.init(.info, connection, "\(remote) is connecting", "connecting")
        case .queued(let connection, let remote):
            self.init(.info, connection, "waits for other attempts to \(remote)", "queued")
        case .established(let connection, let sa):
            let text = "IKE SA established with \(sa.remote) (\(sa.proposal))\(time)"
            self.init(.info, connection, text, "established")
        case .childInstalled(let connection, let child, let sa, let replaces):
            let verb = replaces == nil ? "installed" : "rekeyed"
            let spis = "SPI \(sa.inboundSPI) in, \(sa.outboundSPI) out"
            let selectors = Self.selectors(sa.localSelectors, sa.remoteSelectors)
            let text = "child \(child) \(verb): \(selectors) (\(sa.proposal)), \(spis)"
            self.init(.info, connection, text, "child_\(verb)")
        case .childIdle(let connection, let child, let time):
            let text = "child \(child) carried nothing for \(time.components.seconds) s and is deleted"
            self.init(.info, connection, text, "child_idle")
        case .childRemoved(let connection, let child, let spi):
            self.init(.info, connection, "child \(child) removed, SPI \(spi) in", "child_removed")
        case .moved(let connection, let sa):
            self.init(.info, connection, "moved to the path \(sa.local) to \(sa.remote)", "moved")
        case .ikeRekeyed(let connection, let sa):
            self.init(.info, connection, "IKE SA rekeyed with \(sa.remote) (\(sa.proposal))", "ike_rekeyed")
        case .closed(let connection, let reason):
            self.init(.info, connection, "IKE SA closed: \(reason)", "closed")
        case .failed(let failure):
            let peer = failure.connection == nil ? failure.remote.map { " with \($0)" } ?? "" : ""
            let text = "\(failure.stage.rawValue) failed\(peer): \(failure.code.rawValue): \(Self.sentence(failure))"
            self.init(.error, failure.connection, text, "failed")
            self.failure = failure
        }
    }

    /// The failure's message and remedy as one sentence.
    private static func sentence(_ failure: FailureReport) -> String {
        let message = failure.message.hasSuffix(".") ? String(failure.message.dropLast()) : failure.message
        return failure.suggestion.isEmpty ? message : "\(message); \(failure.suggestion)"
    }

    private static func selectors(_ local: [TrafficSelector], _ remote: [TrafficSelector]) -> String {
        let list = { (selectors: [TrafficSelector]) in
            let shown = selectors.prefix(selectorsShown).map(\.description).joined(separator: ",")
            return selectors.count > selectorsShown ? "\(shown) and \(selectors.count - selectorsShown) more" : shown
        }
        return "\(list(local)) to \(list(remote))"
    }

    /// `12 ms`, or `3.4 s` from a second on.
    private static func time(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let milliseconds = attoseconds / 1_000_000_000_000_000
        return seconds == 0 ? "\(milliseconds) ms" : "\(seconds).\(milliseconds / 100) s"
    }

    private static let selectorsShown = 4
}
