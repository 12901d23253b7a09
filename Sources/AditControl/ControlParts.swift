// SPDX-License-Identifier: Apache-2.0
// Adit: AditControl

package import AditCrypto
package import AditESP
package import AditIKE
package import AditLinux
package import AditWire

/// What the control thread is made of; it owns all of it from ``ControlLoop/start(_:)`` on.
package struct ControlParts {
    /// The IKE machine.
    package var endpoint: IKEEndpoint
    /// The connections that `endpoint` was made with.
    package var connections: [ConnectionConfiguration]
    /// Published to by this thread, read by the workers.
    package var table: SATable
    /// Posted to by the workers, drained by this thread.
    package var mailbox: Mailbox
    /// IKE on port 500, received and sent by this thread.
    package var ikeSocket: IKESocket
    /// IKE on port 4500: the workers receive, this thread sends.
    package var natSocket: IKESocket
    /// The addresses that the sockets listen on; empty for all.
    package var listened: [IPAddress]
    /// The TUN device's index, nil when there is none to configure, and the addresses it gets.
    package var link: UInt32?
    package var addresses: [IPPrefix]
    /// A fixed MTU, or nil to follow the suites and the path.
    package var fixedMTU: Int?
    /// Whether routes to the remote selectors are installed.
    package var installRoutes: Bool
    /// The inner MTU that a suite leaves of a path's MTU.
    package var innerMTU: @Sendable (CipherSuite, IPAddress.Family, Int) -> Int
    /// Called with every change of the tunnel's MTU.
    package var mtuChanged: @Sendable (Int) -> Void
    /// Called after a Child SA was installed or activated: packets may be waiting for it.
    package var childInstalled: @Sendable () -> Void
    /// Called with every report of the IKE machine.
    package var report: @Sendable (IKEReport) -> Void
    /// Called with problems of the system.
    package var warn: @Sendable (String) -> Void

    /// Where the keys of every SA are written; nil keeps them.
    package var keyLog: KeyLog?

    /// How host names are looked up, on a thread where that may take its time.
    package var lookup: @Sendable (String) -> HostLookup

    /// Called once, with the errno, when the device can no longer be read.
    package var deviceFailed: @Sendable (CInt) -> Void

    /// All of it.
    package init(
        endpoint: IKEEndpoint, connections: [ConnectionConfiguration], table: SATable, mailbox: Mailbox,
        ikeSocket: IKESocket, natSocket: IKESocket, listened: [IPAddress], link: UInt32?, addresses: [IPPrefix],
        fixedMTU: Int?,
        installRoutes: Bool, innerMTU: @escaping @Sendable (CipherSuite, IPAddress.Family, Int) -> Int,
        mtuChanged: @escaping @Sendable (Int) -> Void, childInstalled: @escaping @Sendable () -> Void,
        report: @escaping @Sendable (IKEReport) -> Void, warn: @escaping @Sendable (String) -> Void,
        keyLog: KeyLog? = nil, lookup: @escaping @Sendable (String) -> HostLookup = NameResolver.systemLookup,
        deviceFailed: @escaping @Sendable (CInt) -> Void = { _ in }
    ) {
        self.endpoint = endpoint
        self.connections = connections
        self.table = table
        self.mailbox = mailbox
        self.ikeSocket = ikeSocket
        self.natSocket = natSocket
        self.listened = listened
        self.link = link
        self.addresses = addresses
        self.fixedMTU = fixedMTU
        self.installRoutes = installRoutes
        self.innerMTU = innerMTU
        self.mtuChanged = mtuChanged
        self.childInstalled = childInstalled
        self.report = report
        self.warn = warn
        self.keyLog = keyLog
        self.lookup = lookup
        self.deviceFailed = deviceFailed
    }
}
