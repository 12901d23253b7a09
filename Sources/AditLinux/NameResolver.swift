// SPDX-License-Identifier: Apache-2.0
// Adit: AditLinux

package import AditWire
internal import Glibc

/// What became of one host name.
package struct HostLookup: Sendable, Hashable {
    /// The name as it was asked for.
    package var name: String
    /// Its addresses in the order in which the system would use them (RFC 6724); empty after a failure.
    package var addresses: [IPAddress]
    /// Why there are none, in words.
    package var failure: String?

    /// The outcome for one name.
    package init(name: String, addresses: [IPAddress], failure: String? = nil) {
        self.name = name
        self.addresses = addresses
        self.failure = failure
    }
}

/// Looks host names up with the system's resolver on threads of its own, as that may wait for seconds.
///
/// A bounded queue of questions; a bounded number of threads, started when they are first needed. Answers are taken by
/// whoever polls ``descriptor``. A thread that waits for a name server when the resolver is let go of ends by itself.
package final class NameResolver: Sendable {
    /// One question: the token comes back with the answer.
    private struct Question: Sendable {
        var token: UInt32
        var names: [String]
    }

    private struct State: Sendable {
        var questions: [Question] = []
        var answers: [(token: UInt32, lookups: [HostLookup])] = []
        var threads = 0
        var idle = 0
        var closed = false
    }

    /// What the threads hold, so that they do not keep the resolver itself.
    private final class Shared: Sendable {
        let state = LockedState(State())
        let wake: WakeUp
        let lookup: @Sendable (String) -> HostLookup
        let ready: Signal

        init(lookup: @escaping @Sendable (String) -> HostLookup) throws(SystemError) {
            wake = try WakeUp()
            ready = Signal()
            self.lookup = lookup
        }
    }

    private let shared: Shared

    /// A resolver; `lookup` is the system's unless a test brings another.
    package init(lookup: @escaping @Sendable (String) -> HostLookup = NameResolver.systemLookup) throws(SystemError) {
        shared = try Shared(lookup: lookup)
    }

    deinit {
        shared.state.withLock { $0.closed = true }
        for _ in 0..<Self.threadLimit { shared.ready.post() }
    }

    /// Readable while answers wait.
    package var descriptor: CInt { shared.wake.descriptor }

    /// Asks for all `names`; the answer comes in any case, and says so when too many questions wait already.
    package func ask(_ names: [String], token: UInt32) {
        let names = Array(names.prefix(Self.nameLimit))
        let (taken, needsThread) = shared.state.withLock { state -> (Bool, Bool) in
            guard state.questions.count < Self.questionLimit else {
                let failure = "too many names are being looked up"
                state.answers.append((token, names.map { HostLookup(name: $0, addresses: [], failure: failure) }))
                return (false, false)
            }
            state.questions.append(Question(token: token, names: names))
            let needsThread = state.idle < state.questions.count && state.threads < Self.threadLimit
            if needsThread { state.threads += 1 }
            return (true, needsThread)
        }
        guard taken else { return shared.wake.signal() }
        if needsThread { startThread() }
        shared.ready.post()
    }

    /// Every answer that has come since, each once.
    package func take() -> [(token: UInt32, lookups: [HostLookup])] {
        shared.wake.acknowledge()
        return shared.state.withLock { state in
            defer { state.answers = [] }
            return state.answers
        }
    }

    private func startThread() {
        let shared = shared
        // Not joined: it may be inside the system's resolver for longer than anybody wants to wait.
        if (try? PinnedThread(name: "adit-resolver", { Self.run(shared) })) == nil {
            shared.state.withLock { $0.threads -= 1 }
        }
    }

    private static func run(_ shared: Shared) {
        while true {
            shared.state.withLock { $0.idle += 1 }
            shared.ready.wait()
            let (question, closed) = shared.state.withLock { state -> (Question?, Bool) in
                state.idle -= 1
                return (state.questions.isEmpty ? nil : state.questions.removeFirst(), state.closed)
            }
            if closed { return }
            guard let question else { continue }
            let lookups = question.names.map(shared.lookup)
            shared.state.withLock { state in
                if !state.closed { state.answers.append((question.token, lookups)) }
            }
            shared.wake.signal()
        }
    }

    /// Questions that may wait at once.
    package static let questionLimit = 1024
    /// Threads at the most: so many names that nobody answers hold up no other.
    package static let threadLimit = 4
    /// Names in one question at the most.
    private static let nameLimit = 32
}

/// A counting semaphore.
@safe private final class Signal: @unchecked Sendable {
    // SAFETY: allocated in init, destroyed in deinit; a semaphore may be used from any thread.
    private let semaphore: UnsafeMutablePointer<sem_t>

    init() {
        unsafe semaphore = .allocate(capacity: 1)
        unsafe sem_init(semaphore, 0, 0)
    }

    deinit {
        unsafe sem_destroy(semaphore)
        unsafe semaphore.deallocate()
    }

    func post() { unsafe sem_post(semaphore) }

    func wait() { while unsafe sem_wait(semaphore) != 0 {} }
}

extension NameResolver {
    /// What the system says: its hosts file, its name servers, in its order.
    package static let systemLookup: @Sendable (String) -> HostLookup = { name in
        guard !name.utf8.contains(0) else { return HostLookup(name: name, addresses: [], failure: "no host name") }
        // SAFETY: hints and list are ours; the list is used before it is freed, by the lengths that it gives.
        var hints = unsafe addrinfo()
        unsafe hints.ai_family = AF_UNSPEC
        unsafe hints.ai_socktype = CInt(SOCK_DGRAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = unsafe getaddrinfo(name, nil, &hints, &list)
        guard code == 0 else {
            // SAFETY: both functions give a string that lives on, or until the next call; it is copied at once.
            let text = unsafe code == EAI_SYSTEM ? strerror(errno) : UnsafeMutablePointer(mutating: gai_strerror(code))
            return HostLookup(
                name: name, addresses: [], failure: unsafe text.map { unsafe String(cString: $0) } ?? "error \(code)")
        }
        // SAFETY: the list belongs to us until it is freed at the end; its addresses have the lengths that it says.
        defer { unsafe freeaddrinfo(list) }
        var addresses: [IPAddress] = []
        var entry = unsafe list
        while let current = unsafe entry, addresses.count < addressLimit {
            if let start = unsafe current.pointee.ai_addr,
                let found = unsafe SocketAddress.decode(UnsafeRawPointer(start), length: current.pointee.ai_addrlen),
                !addresses.contains(found.address)
            {
                addresses.append(found.address)
            }
            unsafe entry = current.pointee.ai_next
        }
        return HostLookup(
            name: name, addresses: addresses, failure: addresses.isEmpty ? "it has no IPv4 or IPv6 address" : nil)
    }

    /// Addresses of one name at the most.
    package static let addressLimit = 16
}
