// SPDX-License-Identifier: Apache-2.0
// Adit: adit

internal import Adit
internal import ArgumentParser
internal import Dispatch
internal import Logging
internal import Synchronization

/// `adit run`
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run the gateway in the foreground.",
        discussion: """
            Checks the configuration, opens the TUN device, the UDP sockets and the control socket, and runs until it \
            is told to stop. Nothing is started when the configuration has an error. The log goes to standard error, \
            one line a change of state; under systemd use Type=notify.

            It needs the right to make a TUN device and, for ports below 1024, to bind them: run it as root or with \
            the capabilities CAP_NET_ADMIN and CAP_NET_BIND_SERVICE.

            --key-log DIR writes the keys of every SA to DIR/ikev2_decryption_table and DIR/esp_sa, as Wireshark reads \
            them from its configuration directory. Whoever has these files can read the traffic. They are made with \
            mode 600, in a directory that only its owner may write to; nothing removes them.

            SIGNALS
              SIGTERM, SIGINT   delete the SAs at the peers, remove routes and
                                interface, exit 0 within 2 s
              SIGHUP            read the configuration again, as 'adit reload';
                                after an error nothing changes

            When somebody removes the interface, it stops in the same way and exits 1.

            EXAMPLES
              adit run
              adit run --config ./adit.toml --control ./control.sock --log-level debug
              adit run --log-format json 2>> /var/log/adit.json
              adit run --key-log ~/.config/wireshark    only to look into a capture
            """)

    @OptionGroup var file: ConfigurationOptions
    @OptionGroup var control: ControlOptions
    @Option(help: ArgumentHelp("The least severe level to log; overrides log_level.", valueName: "level"))
    var logLevel: LogThreshold?
    @Option(
        help: ArgumentHelp(
            "Write the keys of all SAs into this directory, for Wireshark. DANGEROUS.", valueName: "dir"),
        completion: .directory)
    var keyLog: String?
    @Option(help: ArgumentHelp("How a line of the log is written.", valueName: "format"))
    var logFormat = LogFormat.text

    func run() throws {
        let checked = ConfigurationFile.load(file.config)
        guard var configuration = checked.gateway else {
            for problem in checked.problems { writeToStandardError(problem.description + "\n") }
            throw CommandFailure.failed(
                "\(count(checked.errors.count, "error")) in \(file.config); nothing was started")
        }
        configuration.keyLogDirectory = keyLog
        // Before the first thread is started, which inherits what is blocked.
        let signals = ProcessSignals()
        let (logger, writer) = makeLogger(checked.settings)
        // The last lines are worth a moment, when somebody reads them.
        defer { writer.flush(within: .milliseconds(500)) }
        for problem in checked.problems { logger.warning("\(problem.withoutSeverity)") }
        let server = try ControlServer(
            path: control.control ?? checked.settings.control ?? ControlSocketAddress.standard)
        defer { server.stop() }
        let metrics = try checked.settings.metrics.map { endpoint throws(CommandFailure) in try MetricsServer(endpoint)
        }
        defer { metrics?.stop() }
        let gateway: Gateway
        do {
            gateway = try Gateway(configuration)
        } catch {
            throw CommandFailure.failed(error.description)
        }
        let counters = MetricsCounters()
        metrics?.start { MetricsText(status: gateway.status(), counts: counters.counts).text }
        if let failure = serve(gateway, configuration, checked.settings, counters, server, signals, logger) {
            // The main thread would wait for a reader that stands still; the writer's queue does not.
            writer.write("adit: \(failure.description)\n")
            throw CommandFailure.failed()
        }
    }

    /// Runs until a signal, or until the gateway cannot go on, which is returned.
    private func serve(
        _ gateway: Gateway, _ configuration: GatewayConfiguration, _ settings: ConfigurationFile.ExecutableSettings,
        _ counters: MetricsCounters, _ server: ControlServer, _ signals: ProcessSignals, _ logger: Logger
    ) -> GatewayError? {
        let active = ActiveConfiguration(path: file.config, configuration, logger, settings: settings)
        let log = TransitionLog(logger)
        let hub = EventHub()
        let drained = DispatchSemaphore(value: 0)
        let failure = Mutex<GatewayError?>(nil)
        let events = gateway.events()
        Task {
            for await event in events {
                log.log(event)
                counters.count(event)
                hub.publish(event)
                guard case .failed(let error) = event else { continue }
                failure.withLock { $0 = error }
                ProcessSignals.stop()
            }
            drained.signal()
        }
        let service = ControlService(gateway: gateway, events: hub, log: log, configuration: active)
        server.start { service.answer($0, $1) }
        let notifier = ServiceNotifier()
        notifier.notify("READY=1")
        let status = gateway.status()
        let threads = count(status.workers, "worker")
        let connections = count(configuration.connections.count, "connection")
        logger.info(
            "adit \(Gateway.version) is ready: \(status.interface) (MTU \(status.mtu)), \(threads), \(connections)")
        while case .reload = signals.next() { _ = active.reload(into: gateway) }
        notifier.notify("STOPPING=1")
        logger.info("stopping")
        server.stop()
        gateway.stop()
        // The last events are worth a moment, but no more: the whole stop has 2 s.
        _ = drained.wait(timeout: .now() + .milliseconds(100))
        logger.info("stopped")
        return failure.withLock { $0 }
    }

    private func makeLogger(_ settings: ConfigurationFile.ExecutableSettings) -> (Logger, LineWriter) {
        let level = (logLevel ?? settings.logLevel ?? .info).level
        let format = logFormat
        let writer = LineWriter { lost in
            let text = "\(count(lost, "line")) of the log lost: nobody read them in time"
            return LineLogHandler(level: level, format: format, write: { _ in }).line(.warning, text)
        }
        return (
            Logger(label: "adit") { _ in LineLogHandler(level: level, format: format, write: writer.write) }, writer
        )
    }
}

extension LogThreshold: ExpressibleByArgument {}
extension LogFormat: ExpressibleByArgument {}
