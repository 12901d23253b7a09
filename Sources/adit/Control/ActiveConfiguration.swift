// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import Adit
internal import AditIKE
internal import Logging
internal import Synchronization

/// The configuration in force and how it is replaced. Any thread may call it.
final class ActiveConfiguration: Sendable {
    /// Why a reload changed nothing: the lines that `adit check` would print.
    struct Refusal: Error {
        var problems: [String]
    }

    private let path: String
    private let logger: Logger
    private let configuration: Mutex<GatewayConfiguration>

    init(path: String, _ configuration: GatewayConfiguration, _ logger: Logger) {
        self.path = path
        self.logger = logger
        self.configuration = Mutex(configuration)
    }

    /// The configuration in force.
    var current: GatewayConfiguration { configuration.withLock { $0 } }

    /// Reads the file again and hands its connections to `gateway`; on an error nothing changes.
    func reload(into gateway: some ControlledGateway) -> Result<String, Refusal> {
        let file = ConfigurationFile.load(path)
        for problem in file.problems {
            logger.log(level: problem.severity == .error ? .error : .warning, "\(problem.description)")
        }
        guard let next = file.gateway else {
            logger.error("reload refused, nothing was changed")
            return .failure(Refusal(problems: file.errors.map(\.description)))
        }
        // One reload at a time: what the gateway is told last is what is kept here.
        let summary = configuration.withLock { current -> String? in
            guard gateway.perform(.configure(next.connections)) else { return nil }
            let summary = Self.difference(current, next)
            current.connections = next.connections
            return summary
        }
        guard let summary else {
            logger.error("reload refused, nothing was changed: too many requests wait for the gateway")
            return .failure(Refusal(problems: ["too many requests wait for the gateway; try again"]))
        }
        logger.info("configuration reloaded: \(summary)")
        return .success(summary)
    }

    private static func difference(_ old: GatewayConfiguration, _ new: GatewayConfiguration) -> String {
        let before = Dictionary(old.connections.map { ($0.name, $0) }) { first, _ in first }
        let names = Set(new.connections.map(\.name))
        let kept = new.connections.filter { before[$0.name] == $0 }.count
        let added = new.connections.filter { before[$0.name] == nil }.count
        let removed = old.connections.filter { !names.contains($0.name) }.count
        let changed = new.connections.count - kept - added
        var text = "\(count(new.connections.count, "connection")): \(kept) unchanged, \(changed) changed, "
        text += "\(added) added, \(removed) removed"
        var section = new
        section.connections = old.connections
        if section != old { text += "; what changed in [gateway] takes effect after a restart" }
        return text
    }
}
