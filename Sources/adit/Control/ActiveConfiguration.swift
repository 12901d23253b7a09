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

    /// What a reload did, or would do.
    struct Outcome: Sendable {
        var plan: ReloadPlan
        /// What is doubtful in the new file.
        var warnings: [String]
    }

    private struct State: Sendable {
        var configuration: GatewayConfiguration
        var settings: ConfigurationFile.ExecutableSettings
    }

    private let path: String
    private let logger: Logger
    private let state: Mutex<State>

    init(
        path: String, _ configuration: GatewayConfiguration, _ logger: Logger,
        settings: ConfigurationFile.ExecutableSettings = .init()
    ) {
        self.path = path
        self.logger = logger
        state = Mutex(State(configuration: configuration, settings: settings))
    }

    /// The configuration in force.
    var current: GatewayConfiguration { state.withLock { $0.configuration } }

    /// Reads the file again and says what a reload would do.
    func plan() -> Result<Outcome, Refusal> {
        read().map { next, outcome in outcome(state.withLock { $0 }) }
    }

    /// Reads the file again, makes a plan and hands the connections to `gateway`; on an error nothing changes.
    func reload(into gateway: some ControlledGateway) -> Result<Outcome, Refusal> {
        switch read() {
        case .failure(let refusal):
            for problem in refusal.problems { logger.error("\(problem)") }
            logger.error("reload refused, nothing was changed")
            return .failure(refusal)
        case .success(let (next, makeOutcome)):
            // One reload at a time: what the gateway is told last is what is kept here.
            let outcome = state.withLock { state -> Outcome? in
                guard gateway.perform(.configure(next.connections)) else { return nil }
                let outcome = makeOutcome(state)
                state.configuration.connections = next.connections
                return outcome
            }
            guard let outcome else {
                logger.error("reload refused, nothing was changed: too many requests wait for the gateway")
                return .failure(Refusal(problems: ["too many requests wait for the gateway; try again"]))
            }
            for warning in outcome.warnings { logger.warning("\(warning)") }
            for line in outcome.plan.lines.dropLast() { logger.info("reload: \(line)") }
            logger.info("configuration reloaded: \(outcome.plan.summary)")
            return .success(outcome)
        }
    }

    /// The file as it is now, and how to compare it with what is in force.
    private func read() -> Result<(GatewayConfiguration, (State) -> Outcome), Refusal> {
        let file = ConfigurationFile.load(path)
        guard let next = file.gateway else {
            return .failure(Refusal(problems: file.problems.map(\.description)))
        }
        let warnings = file.problems.map(\.description)
        return .success(
            (
                next,
                { state in
                    Outcome(
                        plan: ReloadPlan(
                            from: state.configuration, state.settings, to: next, file.settings),
                        warnings: warnings)
                }
            ))
    }
}
