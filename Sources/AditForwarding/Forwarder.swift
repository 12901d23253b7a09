// SPDX-License-Identifier: Apache-2.0
// Adit: AditForwarding

public import AditESP
public import AditLinux
internal import Synchronization

/// The packet threads of a gateway: one for each pair of a device queue and a transport.
///
/// Everything may be called from any thread. The devices and transports belong to the workers until ``stop()``
/// returned.
public final class Forwarder<Device: PacketDevice, Transport: DatagramTransport>: Sendable {
    private let settings: SharedSettings
    private let workerCounters: [WorkerCounters]
    private let wakes: [WakeUp]
    private let threads: [PinnedThread]

    /// Starts the workers.
    ///
    /// Worker `i` serves `devices[i]` and `transports[i]`, reads `table` as its reader `i`, and posts into `mailbox`
    /// as its producer `i`. Where the devices are ``PacketDevice/isFullDuplex`` it writes to the next worker's. `mtu`
    /// is the largest inner packet in bytes, see ``PathMTU``. With `processors` worker `i` is bound to
    /// `processors[i]`; `niceness` is theirs where we may take it, and while packets do not come one by one by the ten
    /// thousand. There are as many transports as devices, at least one.
    public init(
        devices: [Device], transports: [Transport], table: SATable, mailbox: Mailbox, mtu: Int,
        processors: [Int]? = nil, niceness: Int? = nil
    ) throws(SystemError) {
        precondition(devices.count == transports.count && !devices.isEmpty, "one transport for each device queue")
        let settings = SharedSettings(mtu: Self.clamped(mtu))
        self.settings = settings
        var counters: [WorkerCounters] = []
        var wakes: [WakeUp] = []
        var threads: [PinnedThread] = []
        do throws(SystemError) {
            for number in devices.indices {
                let workerCounters = WorkerCounters()
                let wake = try WakeUp()
                let worker = try WorkerBox(
                    Worker(
                        number: number, device: devices[number], sink: Self.sink(of: number, devices),
                        transport: transports[number],
                        reader: table.reader(worker: number), mailbox: mailbox, settings: settings,
                        counters: workerCounters, wake: wake, isShared: devices.count > 1, niceness: niceness))
                let body = Lent { worker.run() }
                counters.append(workerCounters)
                wakes.append(wake)
                threads.append(
                    try PinnedThread(
                        name: "adit-worker-\(number)", processor: processors?[number], niceness: niceness
                    ) { body.run() })
            }
        } catch {
            Self.end(settings, wakes, threads)
            throw error
        }
        workerCounters = counters
        self.wakes = wakes
        self.threads = threads
    }

    /// Ends the workers and waits for them; packets under way are finished. May be called more than once.
    public func stop() { Self.end(settings, wakes, threads) }

    /// The largest inner packet in bytes: larger ones are fragmented or answered, and TCP's MSS is clamped to it.
    public var mtu: Int {
        get { settings.mtu.load(ordering: .relaxed) }
        set { settings.mtu.store(Self.clamped(newValue), ordering: .relaxed) }
    }

    /// Tells the workers that an SA was installed, so that packets which wait for it leave at once.
    public func wake() {
        for wake in wakes { wake.signal() }
    }

    /// Each worker's counters now.
    public var countersByWorker: [ForwardingCounters] { workerCounters.map(\.values) }

    /// All workers' counters together.
    public var counters: ForwardingCounters { countersByWorker.reduce(ForwardingCounters(), +) }

    /// Where worker `number` writes: to the next worker's queue where that may be.
    ///
    /// The kernel sends a flow to the queue that its other direction was written to. One worker opens all packets of a
    /// tunnel; written to its own queue, they would make it seal all the answers, too, and leave the others idle.
    private static func sink(of number: Int, _ devices: [Device]) -> Device {
        guard devices.allSatisfy(\.isFullDuplex) else { return devices[number] }
        return devices[(number + 1) % devices.count]
    }

    private static func clamped(_ mtu: Int) -> Int { min(max(mtu, Fragmentation.smallestMTU), PathMTU.largest) }

    private static func end(_ settings: SharedSettings, _ wakes: [WakeUp], _ threads: [PinnedThread]) {
        settings.isStopping.store(true, ordering: .releasing)
        for wake in wakes { wake.signal() }
        for thread in threads { thread.join() }
    }
}

/// A worker's body, handed to the one thread that will run it.
private struct Lent: @unchecked Sendable {
    // SAFETY: (@unchecked Sendable) only the worker's thread touches what the closure holds after it was made.
    let run: () -> Void

    init(_ run: @escaping () -> Void) { self.run = run }
}
