// SPDX-License-Identifier: Apache-2.0
// Adit: adit

/// The client's side of the control socket.
struct ControlClient {
    let path: String

    /// Sends `request` and returns its result; `progress` is called for each line on the way.
    func perform(_ request: ControlRequest, progress: (String) -> Void = { _ in }) throws(CommandFailure) -> JSONValue {
        let channel = try connect()
        // A gateway that is too busy to read answers all the same, and closes.
        _ = channel.send(request.json)
        while true {
            guard case .line(let line) = channel.receive(within: Self.patience) else { throw lost }
            switch ControlAnswer(parsing: line) {
            case .progress(let text): progress(text)
            case .result(let value): return value
            case .error(let code, let message, let suggestion):
                throw .failed(printable("\(code): \(message)" + (suggestion.isEmpty ? "" : "; \(suggestion)")))
            case nil: throw .failed("the gateway at \(path) answers in a way this version does not know")
            }
        }
    }

    private func connect() throws(CommandFailure) -> LineChannel {
        switch LineChannel.connect(to: path, lineLimit: LineChannel.answerLimit) {
        case .success(let channel): return channel
        case .failure(let failure):
            if SystemCallFailure.nobodyListens.contains(failure) {
                throw CommandFailure(
                    status: .noGateway,
                    message: "no gateway is running at \(path); start one with: adit run (or give its --control PATH)")
            }
            let remedy = failure.isPermission ? "run as root or as the gateway's user" : "check the path"
            throw .failed("cannot reach the gateway at \(path): \(systemError(failure.code)); \(remedy)")
        }
    }

    private var lost: CommandFailure {
        CommandFailure(status: .noGateway, message: "the gateway at \(path) ended or does not answer; see its log")
    }

    /// Longer than any request takes on the gateway's side.
    private static let patience = 150.0
}
