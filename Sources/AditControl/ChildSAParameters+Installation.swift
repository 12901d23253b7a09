// SPDX-License-Identifier: Apache-2.0
// Adit: AditControl

internal import AditESP
internal import AditIKE

extension ChildSAParameters {
    /// What IKE agreed, as the data plane takes it.
    init(_ child: ChildSAInstallation, order: UInt32) {
        self.init(
            connection: child.connection, child: child.child, inboundSPI: child.inboundSPI,
            outboundSPI: child.outboundSPI, suite: child.suite, inboundKey: child.inboundKey,
            outboundKey: child.outboundKey, esn: child.esn, localSelectors: child.localSelectors,
            remoteSelectors: child.remoteSelectors, local: child.local, remote: child.remote)
        self.order = order
        replayWindow = child.configuration.replayWindow
        replaces = child.replaces
        outboundActive = child.outboundActive
        copyDSCP = child.configuration.copyDSCP
        copyECN = child.configuration.copyECN
        clampMSS = child.configuration.clampMSS
        // What is configured never lifts a limit of the suite.
        if let bytes = child.configuration.rekeyBytes { lifetime.rekeyBytes = min(bytes, lifetime.rekeyBytes) }
        if let packets = child.configuration.rekeyPackets { lifetime.rekeyPackets = packets }
    }
}
